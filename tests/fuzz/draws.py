"""Draws: everything that a case draws from its seed, each thing by a name of its own.

A draw depends on the seed and its name alone, not on what was drawn before. So a seed goes on to make the same case
when the fuzz learns to draw more, and any draw can be fixed to its simplest answer while all others stay: that is how a
case that fails is made smaller.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

import numpy as np


class Draws:
    """What one seed draws for a `subject`. `drawn` is the answer to each name so far, `simplest` its simplest one.

    `fixed` are answers that are given instead of drawn.
    """

    def __init__(self, subject: str, seed: int, fixed: Mapping[str, Any] | None = None) -> None:
        self.subject, self.seed, self.fixed = subject, seed, dict(fixed or {})
        self.drawn: dict[str, Any] = {}
        self.simplest: dict[str, Any] = {}

    def rng(self, name: str) -> np.random.Generator:
        """A generator for this name: for the numbers in arrays, which no one wants fixed."""
        return np.random.default_rng((self.seed, crc32(f"{self.subject}: {name}".encode())))

    def one_of(self, name: str, options: Iterable[str]) -> str:
        """One of the options, the simplest of which comes first.

        Each option throws a die of its own and the highest wins: one option more changes only the cases that it wins.
        """
        options = list(options)
        if self.fixed.get(name) in options:
            return self._note(name, self.fixed[name], options[0])
        return self._note(name, max(options, key=lambda option: self._die(f"{name} {option}")), options[0])

    def _die(self, name: str) -> int:
        return int(self.rng(name).integers(2**63))

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number from low, the simplest, to high."""
        drawn = self.fixed[name] if name in self.fixed else int(self.rng(name).integers(low, high + 1))
        return self._note(name, min(max(drawn, low), high), low)

    def chance(self, name: str, probability: float) -> bool:
        """True so often; False is simplest."""
        drawn = self.fixed[name] if name in self.fixed else bool(self.rng(name).random() < probability)
        return self._note(name, drawn, False)

    def _note(self, name: str, answer: Any, simplest: Any) -> Any:
        self.drawn[name], self.simplest[name] = answer, simplest
        return answer

    def __str__(self) -> str:
        told = {name: answer for name, answer in self.drawn.items() if answer != self.simplest[name]}
        return ", ".join(name if answer is True else f"{name}: {answer}" for name, answer in told.items())

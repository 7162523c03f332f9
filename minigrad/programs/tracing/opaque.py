"""Parts that are not traced: what each of their methods returns is seen in a step made by hand, and played back.

A program calls such a part in its place, as Python. To trace the others, and to try the program, nothing of it runs:
its copies return what was seen. So whatever it counts, draws or keeps happens once a step, as by hand.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import walk
from minigrad.programs.ir.ops import Position
from minigrad.programs.tracing.traceable import UNDECLARED, is_traceable
from minigrad.training.objective import Objective

Seen: TypeAlias = Mapping[tuple[Position, str], Any]
"""What each method of the parts returned, by their positions and the methods' names."""


def parts_of(objective: Objective) -> dict[Position, Any]:
    """The layers that run, by their numbers, and the loss."""
    return {**dict(enumerate(objective.layers)), "loss": objective.loss}


def undeclared(parts: Mapping[Position, Any]) -> dict[Position, str]:
    """The parts that are not to be traced, and why: one in which there is a layer that does not say so."""
    return {position: UNDECLARED for position, part in parts.items() if not all(map(is_traceable, _inner(part)))}


def witnessed(objective: Objective) -> tuple[Objective, dict[tuple[Position, str], Any] | None]:
    """The same objective, which fills a dict with what methods of undeclared layers and losses return.

    It is the objective itself, and None, where there are none.
    """
    seen: dict[tuple[Position, str], Any] = {}
    parts = parts_of(objective)
    watched = undeclared(parts)
    if not watched:
        return objective, None
    for position in watched:
        parts[position] = _Witness(parts[position], position, seen)
    twin = copy.copy(objective)
    twin.loss = parts.pop("loss")
    twin.layers = tuple(parts.values())
    return twin, seen


def _inner(part: Any) -> Iterable[Any]:
    return walk([part]) if isinstance(part, Layer) else [part]


class _Witness:
    """Stands before a part in a step made by hand, and keeps what its methods return."""

    def __init__(self, part: Any, position: Position, seen: dict[tuple[Position, str], Any]) -> None:
        self._part, self._position, self._seen = part, position, seen

    def __repr__(self) -> str:
        return repr(self._part)

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._part, verb)

        def call(*arguments: Any) -> Any:
            result = self._seen[self._position, verb] = method(*arguments)
            return result

        return call


class Playback:
    """A method of a copy that returns what the part's own was seen to return, and changes nothing."""

    def __init__(self, part: Any, verb: str, result: Any) -> None:
        self.__self__, self.__name__, self._result = part, verb, result

    def __call__(self, *_: Any) -> Any:
        """A copy of what was seen."""
        return copy.copy(self._result)


def play_back(parts: Mapping[Position, Any], opaque: Iterable[Position], seen: Seen) -> None:
    """Have these parts, which are copies, return what was seen."""
    for (position, verb), result in seen.items():
        if position in opaque:
            vars(parts[position])[verb] = Playback(parts[position], verb, result)


def kinds_of(seen: Seen) -> dict[tuple[Position, str], Any]:
    """The shape, dtype and strides of all that was seen."""
    arrays = {place: np.asarray(result) for place, result in seen.items()}
    return {place: (array.shape, array.dtype, array.strides) for place, array in arrays.items()}

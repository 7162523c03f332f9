"""A gradient that is to be proved, and what was measured of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.subject import INPUT, Part
from minigrad.testing.oracle.derivative import Function
from minigrad.testing.oracle.rounding import Noise


@dataclass
class Point:
    """A gradient to prove: f at v with the upstream dy, in a situation that has words.

    `analytic` is a complex twin of f, or None; `run` gives y and the gradient anywhere, for the noise. At a kink of a
    composite, the product of the parts' derivatives need not be a derivative of the whole (relu(x) - relu(-x) at 0), so
    nothing is asked of it there. Where zeros in a `padded` input are padding, they stay: a mask has no derivative.
    """

    situation: str
    f: Function
    analytic: Function | None
    v: Array
    dy: Array
    gradient: Array
    parts: list[Part]
    run: Callable[[Array, Array], tuple[Array, Array]]
    composite: bool = False
    padded: bool = False
    tolerance: float = 0.0
    noise: Noise | None = None
    roughness: Array | None = None

    @property
    def reach(self) -> float:
        """The largest number that goes in, at least 1: what gradients grow with."""
        return max(1.0, float(abs(self.v).max(initial=0)))

    @cached_property
    def y(self) -> Array:
        """f at v."""
        return self.f(self.v)

    @cached_property
    def scales(self) -> Array:
        """The size of every entry of v; for a zero, that of its part."""
        scales = abs(self.v)
        for part in self.parts:
            held = scales[part.span]
            scales[part.span] = np.where(held == 0, rms(held) or 1.0, held)
        return scales

    @cached_property
    def spread(self) -> float:
        """How much the input varies within a row, relative to its size."""
        for part in self.parts:
            if part.name == INPUT and rms(self.v[part.span]):
                held = self.v[part.span].reshape(part.shape)
                spreads = held.std(axis=tuple(range(1, held.ndim)))
                spread = float(np.min(spreads, where=spreads > 0, initial=np.inf))
                return float(np.clip(spread / rms(held), 1e-8, 1))
        return 1.0

    @property
    def finest(self) -> float:
        """The smallest step worth taking, relative to `scales`: far below how much the input varies within a row."""
        return 1e-10 * self.spread

    def resolution(self, positions: slice) -> float:
        """The smallest size among these entries of v: a zero, which has none, is looked at from size 1 down."""
        held = abs(self.v[positions])
        return float(np.min(np.where(held == 0, np.minimum(self.scales[positions], 1), held), initial=np.inf))

    def part_of(self, position: int) -> Part:
        """The part in which an entry of v lies."""
        return next(part for part in self.parts if part.span.start <= position < part.span.stop)

    @cached_property
    def ties(self) -> Array | None:
        """For every entry of the input the number of its value, where values repeat within a row; else None."""
        for part in self.parts:
            held = self.v[part.span].reshape(part.shape or (1,))
            if part.name == INPUT and held.ndim > 1 and held.size:
                rows = np.sort(held.reshape(len(held), -1), axis=1)
                if (np.diff(rows, axis=1) == 0).any():
                    return np.unique(held, return_inverse=True)[1].ravel()
        return None


@dataclass
class Measured:
    """One comparison: the gradient's slope along a direction, and the interval in which it should be.

    `sure` says that the measurement itself is good, so that a gradient of NaN or infinity is wrong there; `jumps`, that
    there is no derivative along this direction.
    """

    analytic: float
    low: float
    high: float
    tolerance: float
    sure: bool
    jumps: bool = False

    @property
    def numeric(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2

    @property
    def size(self) -> float:
        """The largest of the numbers that are compared."""
        return max(abs(self.analytic), abs(self.low), abs(self.high))

    @property
    def off(self) -> float:
        """How far outside of the interval the gradient lies."""
        return max(self.low - self.analytic, self.analytic - self.high, 0.0)

    @property
    def made(self) -> bool:
        """Whether there is anything to see: what is allowed is small beside the numbers themselves."""
        return self.sure and not self.jumps and (self.tolerance <= 0.1 * self.size or self.size == 0)

    @property
    def agrees(self) -> bool:
        """Whether the gradient lies in the interval, or nothing is known of it."""
        if self.jumps or not np.isfinite(self.tolerance):
            return not (self.sure and np.isnan(self.analytic))
        if not np.isfinite(self.analytic):
            return not self.sure
        return not (self.analytic < self.low - self.tolerance or self.analytic > self.high + self.tolerance)

    def per(self, length: float) -> Measured:
        """The same for a direction shorter by this factor."""
        low, high = self.low / length, self.high / length
        return Measured(self.analytic / length, low, high, self.tolerance / length, self.sure, self.jumps)


@dataclass
class Mismatch(Exception):
    """A gradient that is wrong: at these positions of v, by these measurements."""

    point: Point
    positions: list[int]
    measured: list[Measured]
    part: Part

    def __reduce__(self) -> tuple[type[Exception], tuple[str]]:
        """As words: what was measured has functions in it, which stay in this process."""
        return Exception, (f"a gradient is wrong at {len(self.positions)} positions",)

    @property
    def given(self) -> Array:
        """The gradient's own entries."""
        return np.array([m.analytic for m in self.measured])

    @property
    def wanted(self) -> Array:
        """What they should be."""
        return np.array([m.numeric for m in self.measured])

    @property
    def worst(self) -> Measured:
        """The measurement that is the furthest off."""
        return self.measured[self._furthest()]

    @property
    def index(self) -> tuple[int, ...] | None:
        """The index in its part of the entry that is the furthest off; None along a direction."""
        return self.part.index(self.positions[self._furthest()]) if self.positions else None

    def _furthest(self) -> int:
        off = [abs(m.analytic - m.numeric) - m.tolerance for m in self.measured]
        return int(np.argmax(np.nan_to_num(off, nan=np.inf)))


def rms(values: Array) -> float:
    """The typical size of these numbers."""
    return float(np.sqrt((values**2).mean())) if values.size else 0.0

"""Every comparison that a check makes: what counts as equal, and whether a gradient is the measured derivative.

Whether two results are equal depends on what may set them apart: nothing, the rounding of the same mathematics in
another order, or float32. Each of these has a function here, so that no rule has a tolerance of its own.

A gradient is compared by a `Prover`, which says where it differs, and whether rounding or a kink excuses it. The
tolerance has no absolute part. It is relative to the gradient's own size, plus ten times the estimated error of the
measurement, plus the rounding that the gradient's own code may have: that of the forward, relative to the largest
gradient that this parameter has shown anywhere. So y (1 - y), which is 0 where the true derivative of a sigmoid is
1e-17, is right, and a gradient of 1e-12 that should be 2e-12 is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.derivative import COMPLEX_STEP, EPS, Function, Slope, complex_slope, slope
from minigrad.testing.subject import INPUT, Part

BY_DIFFERENCES, BY_COMPLEX_STEP = 1e-9, 1e-12  # relative tolerances
JITTERS = 16
TINY = float(np.finfo(np.float64).tiny)
EPS32 = float(np.finfo(np.float32).eps)


# Two results.


def same(a: Any, b: Any) -> bool:
    """The same bits: equal arrays (NaN equal), or lists and dicts of them."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")
    return bool(a == b)


def same_configs(a: Any, b: Any) -> bool:
    """Whether two configs say the same; layers in them are compared by their own configs."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same_configs(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        return len(a) == len(b) and all(map(same_configs, a, b))
    if hasattr(a, "config") and hasattr(b, "config"):
        return type(a) is type(b) and same_configs(a.config(), b.config())
    if callable(a) or callable(b):
        return bool(a == b) or type(a) is type(b)
    return same(a, b)


def same_to_rounding(a: Array, b: Array) -> bool:
    """Whether two arrays agree to about ten digits of their largest entry."""
    return bool(np.allclose(a, b, rtol=0, atol=1e-10 * max(float(abs(b).max(initial=0)), 1e-300)))


def same_to_noise(a: Array, b: Array, noise: float, size: float | None = None) -> bool:
    """Whether a layer's results of the same mathematics agree to its own rounding, `noise`, relative to `size`.

    Without a `size` it is that of the largest entry of b.
    """
    if a.shape != b.shape:
        return False
    size = abs(b).max(initial=0) if size is None else size
    return bool(np.allclose(a, b, rtol=0, atol=(1e-11 + 1e3 * noise) * size + 1e-300, equal_nan=True))


def same_in_float32(a: Array, b: Array, noise: float, largest: float = 0.0) -> bool:
    """Whether a float32 result is what float32 can hold of b, where the layer rounds by `noise` in float64.

    `largest` is the largest that such a result has been anywhere. What overflows in float32 is not judged.
    """
    slack = 1e-3 + 1e3 * noise / EPS * EPS32
    allowed = slack * float(abs(b).max(initial=0)) + 1e3 * EPS32 * largest + 1e-30
    return not np.isfinite(a).all() or bool(np.allclose(a, b, rtol=0, atol=allowed))


def same_mean(a: float, b: float, terms: Any) -> bool:
    """Whether two values of a loss agree, as sums or means of these terms."""
    return bool(abs(a - b) <= 1e-10 * max(float(np.max(np.abs(terms))), abs(b)) + 1e-300)


def same_slopes(a: Array, b: Array, size: float) -> bool:
    """Whether two derivatives of a loss agree, whose largest entry is of this size."""
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-12 * size))


def same_loss_in_float32(value: float, exact: float) -> bool:
    """Whether the value of a loss in float32 is nearly that in float64."""
    return not abs(value - exact) > 1e-3 * abs(exact) + 1e3 * EPS32  # not <=: a NaN is judged elsewhere


def same_slopes_in_float32(dp: Array, exact: Array) -> bool:
    """Whether the derivative of a loss in float32 is nearly that in float64."""
    slack = 1e-3 * float(abs(exact).max()) + 1e3 * EPS32 * float(abs(exact).max())
    return bool(np.allclose(dp, exact, rtol=0, atol=slack))


def same_objective(value: float, other: float, gradient: Array, other_gradient: Array) -> bool:
    """Whether two forms of one objective agree in value and in gradient."""
    if abs(other - value) > 1e-8 * abs(value):
        return False
    return bool(np.allclose(other_gradient, gradient, rtol=0, atol=1e-7 * abs(gradient).max(initial=0)))


def matches(a: Array, b: Array, relative: float = 1e-6) -> bool:
    """Whether a wrong gradient is what a bug would make of the right one; nothing is like a b of zeros."""
    size = abs(b).max(initial=0)
    return bool(size > 0 and a.shape == b.shape and (abs(a - b) <= relative * size).all())


# A gradient and the measured derivative.


@dataclass
class Point:
    """A gradient to prove: f at v with the upstream dy, in a situation that has words. `reach` is the input's size.

    `analytic` is a complex twin of f, or None. At a kink of a composite, the product of the parts' derivatives need not
    be a derivative of the whole (relu(x) - relu(-x) at 0), so nothing is asked of it there.
    """

    situation: str
    f: Function
    analytic: Function | None
    v: Array
    dy: Array
    gradient: Array
    parts: list[Part]
    composite: bool = False

    @property
    def reach(self) -> float:
        """The largest entry of the input, at least 1: what parameters' gradients grow with."""
        return max(1.0, *(float(abs(self.v[p.span]).max(initial=0)) for p in self.parts if p.name == INPUT), 0.0)

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
            scales[part.span] = np.where(held == 0, _rms(held) or 1.0, held)
        return scales

    @cached_property
    def finest(self) -> float:
        """The smallest step worth taking, relative to `scales`: far below how much the input varies within a row."""
        for part in self.parts:
            if part.name == INPUT and _rms(self.v[part.span]):
                held = self.v[part.span].reshape(part.shape)
                spreads = held.std(axis=tuple(range(1, held.ndim)))
                spread = float(np.min(spreads, where=spreads > 0, initial=np.inf))
                return 1e-10 * float(np.clip(spread / _rms(held), 1e-8, 1))
        return 1e-10

    def resolution(self, positions: slice) -> float:
        """The smallest size among these entries of v: a zero, which has none, is looked at from size 1 down."""
        held = abs(self.v[positions])
        return float(np.min(np.where(held == 0, np.minimum(self.scales[positions], 1), held), initial=np.inf))

    def part_of(self, position: int) -> Part:
        """The part in which an entry of v lies."""
        return next(part for part in self.parts if part.span.start <= position < part.span.stop)


@dataclass
class Measured:
    """One comparison: the gradient's slope along a direction, and the interval in which it should be.

    `sure` says that the measurement itself is good, so that a gradient of NaN or infinity is wrong there.
    """

    analytic: float
    low: float
    high: float
    tolerance: float
    sure: bool

    @property
    def numeric(self) -> float:
        """The middle of the interval."""
        return (self.low + self.high) / 2

    @property
    def agrees(self) -> bool:
        """Whether the gradient lies in the interval."""
        if not np.isfinite(self.analytic):
            return not self.sure
        return not (self.analytic < self.low - self.tolerance or self.analytic > self.high + self.tolerance)

    def per(self, length: float) -> Measured:
        """The same for a direction shorter by this factor."""
        return Measured(
            self.analytic / length, self.low / length, self.high / length, self.tolerance / length, self.sure
        )


@dataclass
class Mismatch(Exception):
    """A gradient that is wrong: at these positions of v, by these measurements."""

    point: Point
    positions: list[int]
    measured: list[Measured]
    part: Part

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


class Prover:
    """Compares gradients with derivatives, and learns of the code: its sizes, and whether it takes complex numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.complex_safe = True  # as far as is known
        self.by_complex_step = 0
        self.error = self.tolerance = 0.0
        self._largest: dict[str, float] = {}

    def learn(self, point: Point) -> None:
        """Remember how large the gradients of each part get, relative to the input that they are proportional to."""
        for part in point.parts:
            held = abs(point.gradient[part.span])
            size = float(np.max(held, where=np.isfinite(held), initial=0)) / (1 if part.name == INPUT else point.reach)
            self._largest[part.name] = max(size, self._largest.get(part.name, 0.0))

    def prove(self, point: Point, coordinates: int = 0) -> None:
        """Raise Mismatch unless the gradient is right along random directions and at that many entries of each part.

        Two directions are of the whole vector, in proportion to its entries, and one is of each part.
        """
        self.learn(point)
        if not point.v.size or not point.dy.size:
            return
        noise = self.noise(point)
        before = self.by_complex_step
        for direction, finest in self._directions(point):
            measured = self.measure(point, direction, finest, noise)
            if not measured.agrees and not self._excused(point, direction, finest, noise, measured):
                raise self._located(point, direction, noise, measured)
        quick = self.complex_safe and self.by_complex_step > before
        for part in point.parts:
            for position in self._sample(part, coordinates):
                measured = self.entry(point, position, noise, quick=quick and self.complex_safe)
                if not measured.agrees and not self._excused(point, *self._axis(point, position), noise, measured):
                    raise self._located(point, None, noise, measured, position)

    def entry(self, point: Point, position: int, noise: Array, quick: bool = False) -> Measured:
        """Compare one entry of the gradient; `quick` believes a complex step that agrees with it."""
        direction, finest = self._axis(point, position)
        if quick and point.analytic is not None:
            exact = complex_slope(point.analytic, point.v, direction)
            if exact is not None:
                measured = self._compared(point, direction, _exact(exact), noise, BY_COMPLEX_STEP)
                if measured.agrees and measured.sure:
                    return measured.per(direction[position])
        return self.measure(point, direction, finest, noise).per(direction[position])

    def measure(self, point: Point, direction: Array, finest: float, noise: Array) -> Measured:
        """Compare the gradient along a direction, by the complex step where it agrees with differences."""
        found, relative = slope(point.f, point.v, direction, finest=finest, noise=noise), BY_DIFFERENCES
        if point.analytic is not None and self.complex_safe:
            exact = complex_slope(point.analytic, point.v, direction)
            doubt = 10 * found.error + 1e-6 * abs(found.value) + noise + EPS * abs(found.value).max(initial=0)
            if exact is not None and (~found.kinked & (abs(exact - found.value) > doubt)).any():
                self.complex_safe = False
            elif exact is not None and not found.kinked.any() and np.isfinite(found.error).all():
                self.by_complex_step += 1
                if (_exact(exact).error <= found.error).all():
                    found, relative = _exact(exact), BY_COMPLEX_STEP
        return self._compared(point, direction, found, noise, relative)

    def noise(self, point: Point) -> Array:
        """The rounding of each output: of its own digits and of those of v, and what the differences show."""
        direction, finest = self._relative(point)
        found = slope(point.f, point.v, direction, finest=finest)
        return np.asarray(found.noise + 2 * EPS * np.where(np.isfinite(found.error), abs(found.value), 0))

    def relative_noise(self, point: Point) -> float:
        """The rounding of the outputs, relative to the largest of them."""
        largest = float(abs(point.y).max(initial=0))
        return min(float(self.noise(point).max(initial=0)) / largest, 1e-4) if largest and point.v.size else EPS

    def _compared(self, point: Point, direction: Array, found: Slope, noise: Array, relative: float) -> Measured:
        moved = direction != 0
        with np.errstate(all="ignore"):
            pull = point.dy * found.low, point.dy * found.high
            low, high = float(np.minimum(*pull).sum()), float(np.maximum(*pull).sum())
            analytic = float(point.gradient[moved] @ direction[moved])
            error = float((abs(point.dy) * found.error).sum())
        size = max(abs(low), abs(high), abs(analytic) if np.isfinite(analytic) else 0.0)
        rounding = self._rounding(point, direction, found, noise)
        tolerance = relative * size + 10 * error + rounding
        if size and tolerance < 0.1 * size and np.isfinite(analytic):
            self.error = max(self.error, max(low - analytic, analytic - high, 0.0) / size)
            self.tolerance = max(self.tolerance, tolerance / size)
        return Measured(analytic, low, high, tolerance, 10 * error <= 1e-3 * size + rounding)

    def _rounding(self, point: Point, direction: Array, found: Slope, noise: Array) -> float:
        """What the rounding of the gradient's own code may come to along this direction."""
        y = abs(point.y)
        largest = float(y.max(initial=0))
        relative = min(max(float(noise.max(initial=0)) / largest, EPS), 1e-4) if largest else EPS
        of_outputs = EPS * float((abs(point.dy) * y)[(found.value != 0) | (found.error != 0)].sum())
        total = 0.0
        for part in point.parts:
            along = direction[part.span]
            if along.any():
                own = self.largest(part, point.reach)
                with np.errstate(all="ignore"):
                    terms = abs(point.gradient[part.span] * along)
                total += float(np.linalg.norm(along)) * (relative * own + of_outputs)
                total += EPS * float(np.sum(terms, where=np.isfinite(terms)))
        return 64 * total

    @property
    def method(self) -> str:
        """How the derivative was measured."""
        exact = self.complex_safe and self.by_complex_step
        return "complex step" if exact else "central differences, extrapolated"

    def largest(self, part: Part, reach: float = 1.0) -> float:
        """The largest gradient that a part has shown, for an input of that size."""
        return self._largest[part.name] * (1 if part.name == INPUT else reach)

    def _directions(self, point: Point) -> Iterator[tuple[Array, float]]:
        yield self._relative(point)
        for part in point.parts:
            scales = point.scales[part.span]
            if scales.size:
                direction = np.zeros_like(point.v)
                direction[part.span] = _rms(scales) * self.rng.standard_normal(scales.shape)
                yield direction, max(point.finest * min(point.resolution(part.span) / _rms(scales), 1), 1e-22)

    def _relative(self, point: Point) -> tuple[Array, float]:
        zeros = point.scales[point.v == 0]
        finest = point.finest / max(float(zeros.max(initial=1)), 1)
        return point.scales * self.rng.standard_normal(point.scales.shape), max(finest, 1e-22)

    def _axis(self, point: Point, position: int) -> tuple[Array, float]:
        scale = float(point.scales[position])
        length = max(_rms(point.scales[point.part_of(position).span]), scale)
        direction = np.zeros_like(point.v)
        direction[position] = length
        own = point.resolution(slice(position, position + 1))
        return direction, max(point.finest * own / length, 1e-26)

    def _sample(self, part: Part, count: int) -> list[int]:
        size = part.span.stop - part.span.start
        if size <= count:
            return list(range(part.span.start, part.span.stop))
        return sorted(part.span.start + int(i) for i in self.rng.choice(size, count, replace=False))

    def _excused(self, point: Point, direction: Array, finest: float, noise: Array, measured: Measured) -> bool:
        """Whether v lies on a kink that this direction runs along, so that the slopes close by are many.

        Then every slope between those close by is right: Clarke's derivative. (The median of three equal numbers is
        smooth along (1, 0, 0), where its slope is 0, and yet the gradient (1, 0, 0) is right.)
        """
        slopes = []
        for _ in range(JITTERS):
            near = point.v + 1e-7 * point.scales * self.rng.standard_normal(point.scales.shape)
            slopes.append(slope(point.f, near, direction, finest=finest, noise=noise).value)
        low, high = np.min(slopes, axis=0), np.max(slopes, axis=0)
        kinked = high - low > 1e-3 * np.maximum(abs(low), abs(high))
        if not kinked.any():
            return False
        if point.composite and np.isfinite(measured.analytic):
            return True
        found = slope(point.f, point.v, direction, finest=finest, noise=noise)
        found.low = np.where(kinked, np.minimum(low, found.low), found.low)
        found.high = np.where(kinked, np.maximum(high, found.high), found.high)
        found.error = np.where(kinked, 0, found.error)
        return self._compared(point, direction, found, noise, 1e-3).agrees

    def _located(
        self, point: Point, direction: Array | None, noise: Array, measured: Measured, position: int | None = None
    ) -> Mismatch:
        """The mismatch, with the entries of the gradient that it comes from."""
        found: dict[int, Measured] = {} if position is None else {position: measured}
        for part in point.parts:
            for other in self._sample(part, 64):
                if other not in found:
                    found[other] = self.entry(point, other, noise)
        part = self._blamed(point, direction, found)
        positions = [p for p in found if part.span.start <= p < part.span.stop]
        if all(found[p].agrees for p in positions):
            return Mismatch(point, [], [measured], part)
        return Mismatch(point, positions, [found[p] for p in positions], part)

    def _blamed(self, point: Point, direction: Array | None, found: dict[int, Measured]) -> Part:
        """The part that is wrong; a parameter rather than the input, since those are nearer to the bug."""
        wrong = {point.part_of(position).name for position, m in found.items() if not m.agrees}
        moved = [p for p in point.parts if direction is None or direction[p.span].any()]
        return next((part for part in reversed(point.parts) if part.name in wrong), moved[0])


def _rms(values: Array) -> float:
    return float(np.sqrt((values**2).mean())) if values.size else 0.0


def _exact(slopes: Array) -> Slope:
    slopes = np.asarray(slopes)
    return Slope(slopes, EPS * abs(slopes) + 1e3 * TINY / COMPLEX_STEP, slopes, slopes, np.zeros_like(slopes))

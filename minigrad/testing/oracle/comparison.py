"""Whether a gradient is the measured derivative: along directions, where equal entries move alike, and entry by entry.

A gradient is compared by a `Prover`, which says where it differs, and whether rounding or a kink excuses it. What it
allows has no absolute part: a thousand millionth of the gradient's own size, ten times the estimated error of the
measurement, and the rounding that `rounding` measures. Where that leaves nothing to see, where f jumps
or can't be had nearby, the comparison has not been made: `unmeasured` parts are told, not taken for right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.subject import INPUT, Part
from minigrad.testing.budget import LOCATING, PROOF, Deadline
from minigrad.testing.oracle.derivative import COMPLEX_STEP, EPS, Slope, complex_slope, slope
from minigrad.testing.oracle.directions import axis, directions, relative, sample
from minigrad.testing.oracle.point import Measured, Mismatch, Point
from minigrad.testing.oracle.rounding import RELATIVE, TINY, UNITS, Noise, measured_noise

JITTERS = 16
NEAR = 1e-7  # how near to v slopes are compared, beside its own size
MANY_JITTERS = 64  # so many that each of some equal entries is the middle one at least once
LOCATED = 64  # entries of each wrong part that are looked at
FEW, ENOUGH = 2, 0.4  # entries of each part that are looked at once this part of the time is over
TRUSTED = 2  # complex steps that agreed with differences before they are believed alone


class Prover:
    """Compares gradients with derivatives, and learns of the code: its sizes, and whether it takes complex numbers."""

    def __init__(self, rng: np.random.Generator, seconds: float = PROOF) -> None:
        self.rng = rng
        self.complex_safe: bool = True  # as far as is known
        self.by_complex_step: int = 0
        self.error: float = 0.0
        self.tolerance: float = 0.0
        self.seen: set[str] = set()  # the parts whose gradient could be measured somewhere
        self._sizes: list[tuple[float, dict[str, float]]] = []
        self._deadline = Deadline(seconds)

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return self._deadline.is_over()

    def is_late(self, part: float) -> bool:
        """Whether this part of the time is up."""
        return self._deadline.is_over(part)

    def learn(self, point: Point) -> None:
        """Remember how large the gradients of each part get where no number is larger than `reach`."""
        sizes = {}
        for part in point.parts:
            held = abs(point.gradient[part.span])
            sizes[part.name] = float(np.max(held, where=np.isfinite(held), initial=0))
        self._sizes.append((point.reach, sizes))

    def largest(self, part: Part, reach: float) -> float:
        """The largest gradient that a part has shown where no number was larger; parameters' grow with the input.

        One that is beyond all others comes from outside of what the code is for, and is not lent to them.
        """
        found = np.array(
            [
                sizes.get(part.name, 0.0) * (1.0 if part.name == INPUT else reach / of)
                for of, sizes in self._sizes
                if of <= 1.001 * reach
            ]
        )
        usual = found[found > 0]
        return float(np.max(usual, where=usual <= 1e30 * np.median(usual), initial=0)) if usual.size else 0.0

    def noise(self, point: Point) -> Noise:
        """The rounding of every output, and of every entry of the gradient: the largest of its part."""
        if point.noise is None:
            y = np.where(np.isfinite(point.y), abs(point.y), 0)
            columns = np.broadcast_to(y.max(axis=0, keepdims=True, initial=0), y.shape) if y.ndim else y
            floor = Noise((EPS + point.tolerance) * columns, np.zeros_like(point.v))
            for part in point.parts:
                # A difference that cancels, as of a softmax, is multiplied by numbers as large as those that go in.
                floor.gradient[part.span] = EPS * point.reach * self.largest(part, point.reach)
            nudge = 1e-6 * point.spread * point.scales
            point.noise = measured_noise(point.run, point.v, point.dy, nudge, floor)
            for part in point.parts:
                held = point.noise.gradient[part.span]
                held[...] = held.max(initial=0)
        return point.noise

    def rough(self, point: Point) -> Array:
        """The rounding of every output as the differences show it too."""
        if point.roughness is None:
            noise = self.noise(point).y
            direction, finest = relative(point, self.rng)
            found = slope(point.f, point.v, direction, finest=finest, noise=noise)
            along = np.where(np.isfinite(found.error), abs(found.value), 0)
            point.roughness = np.maximum(np.where(found.jumps, 0, found.noise), noise) + 2 * EPS * along
        return point.roughness

    def prove(self, point: Point, coordinates: int = 0) -> None:
        """Raise Mismatch unless the gradient is right along random directions, and at that many entries of each part.

        Two directions are of the whole vector, in proportion to its entries, and one is of each part; where values
        repeat, one more moves equal entries alike. Where those meet a jump, or a kink of a composite, entries are
        looked at one by one.
        """
        self.learn(point)
        if not point.v.size or not point.dy.size:
            return
        self._all_numbers(point)
        for direction, finest, parts in self._directions(point):
            if point.padded:
                direction = np.where(point.v == 0, 0.0, direction)
            measured = self.measure(point, direction, finest)
            if measured.jumps:  # most often at the zeros of padding
                direction = np.where(point.v == 0, 0.0, direction)
                measured = self.measure(point, direction, finest) if direction.any() else measured
            if measured.made:
                self.seen.update(parts)
            if measured.jumps or (
                point.composite and not measured.agrees and self._on_a_kink(point, direction, finest)
            ):
                coordinates = max(coordinates, 12)
            elif not measured.agrees and not self._excused(point, direction, finest, measured):
                raise self._located(point, direction, measured)
        self._prove_entries(point, coordinates)

    def _prove_entries(self, point: Point, count: int) -> None:
        """Raise Mismatch unless that many entries of each part are right; a few are enough if it takes long."""
        for part in point.parts:
            for number, position in enumerate(sample(part, count, self.rng)):
                if number >= FEW and self._deadline.is_over(ENOUGH):
                    break
                if point.padded and point.v[position] == 0:
                    continue
                measured = self.entry(point, position)
                if measured.made:
                    self.seen.add(part.name)
                if measured.agrees or measured.jumps:
                    continue
                along = axis(point, position)
                if not self._excused(point, *along, measured) and not (
                    point.composite and self._on_a_kink(point, *along)
                ):
                    raise self._located(point, None, measured, position)

    def _all_numbers(self, point: Point) -> None:
        """Raise Mismatch where the gradient is NaN though f has slopes, be they two."""
        for position in np.flatnonzero(np.isnan(point.gradient))[:8]:
            measured = self.entry(point, int(position))
            if measured.sure:
                raise Mismatch(point, [int(position)], [measured], point.part_of(int(position)))

    def right_parts(self, point: Point) -> set[str]:
        """The parts whose gradient is right along a random direction: a quick look, for experiments."""
        self.learn(point)
        directions = [found for found in self._directions(point) if found[2]]
        return {parts[0] for direction, finest, parts in directions if self.measure(point, direction, finest).agrees}

    def entry(self, point: Point, position: int, wrong: bool = False) -> Measured:
        """Compare one entry of the gradient; `wrong` as in `measure`."""
        direction, finest = axis(point, position)
        return self.measure(point, direction, finest, wrong).per(direction[position])

    def measure(self, point: Point, direction: Array, finest: float, wrong: bool = False) -> Measured:
        """Compare the gradient along a direction: by the complex step where it is trusted, else by differences.

        The differences have the last word on what is wrong, unless that is known already.
        """
        measured = self._measured(point, direction, finest, wrong)
        if measured.size and measured.made and measured.agrees:
            self.error = max(self.error, measured.off / measured.size)
            self.tolerance = max(self.tolerance, measured.tolerance / measured.size)
        return measured

    def _measured(self, point: Point, direction: Array, finest: float, wrong: bool) -> Measured:
        exact = self._exact(point, direction)
        by_step = None if exact is None else self._compared(point, direction, exact)
        if by_step is not None and self._trusts_steps and by_step.sure and (by_step.agrees or wrong):
            self.by_complex_step += 1
            return by_step
        noise = self.rough(point)
        found = slope(point.f, point.v, direction, finest=finest, noise=noise)
        measured = self._compared(point, direction, found)
        if exact is not None and by_step is not None:
            doubt = 10 * found.error + 1e-6 * abs(found.value) + noise + EPS * abs(found.value).max(initial=0)
            if (~found.kinked & (abs(exact.value - found.value) > doubt)).any():
                self.complex_safe = False
            elif not found.kinked.any() and np.isfinite(found.error).all():
                self.by_complex_step += 1
                if by_step.agrees or not measured.agrees:  # what parts of complex code leave out, differences have
                    return by_step
        return measured

    def _exact(self, point: Point, direction: Array) -> Slope | None:
        """The slope by the complex step, where the code is known to take complex numbers or may do so."""
        if point.analytic is None or not self.complex_safe:
            return None
        slopes = complex_slope(point.analytic, point.v, direction)
        if slopes is None:
            return None
        error = EPS * abs(slopes) + 1e3 * TINY / COMPLEX_STEP
        return Slope(slopes, error, slopes, slopes, np.zeros(slopes.shape), np.zeros(slopes.shape, bool))

    def _compared(self, point: Point, direction: Array, found: Slope) -> Measured:
        moved, used = np.flatnonzero(direction), point.dy != 0
        gradient, along = point.gradient[moved], direction[moved]
        with np.errstate(all="ignore"):
            pull = point.dy * found.low, point.dy * found.high
            low, high = float(np.minimum(*pull).sum()), float(np.maximum(*pull).sum())
            analytic = float(gradient @ along)
            error = float((abs(point.dy) * found.error)[used].sum())
            terms = abs(gradient * along)
            own = EPS * float(terms[np.isfinite(terms)].sum())
        size = max(abs(low), abs(high), abs(analytic) if np.isfinite(analytic) else 0.0)
        noise = along * self.noise(point).gradient[moved]
        rounding = UNITS * (math.sqrt(noise @ noise) + own)
        tolerance = max(RELATIVE, point.tolerance) * size + 10 * error + rounding
        sure = 10 * error <= 1e-3 * size + rounding
        return Measured(analytic, low, high, tolerance, sure, bool(found.jumps[used].any()))

    @property
    def _trusts_steps(self) -> bool:
        """Whether the complex step has agreed with the differences as often as it takes."""
        return self.complex_safe and self.by_complex_step >= TRUSTED

    @property
    def method(self) -> str:
        """How the derivative was measured."""
        exact = self.complex_safe and self.by_complex_step
        return "complex step" if exact else "central differences, extrapolated"

    def told(self, situations: int | None = None) -> str:
        """How the derivative was measured, in how many situations, and how near the gradients came."""
        times = "" if situations is None else f"{situations} situations, "
        return f"{self.method}, {times}off by {self.error:.0e} where {self.tolerance:.0e} is allowed"

    def _directions(self, point: Point) -> Iterator[tuple[Array, float, list[str]]]:
        yield from directions(point, self.rng)
        if not self.late:
            yield *relative(point, self.rng), []

    def _close_by(
        self, point: Point, direction: Array, finest: float, jitters: int, size: float, coarsest: float
    ) -> tuple[Array, Array]:
        """The smallest and the largest slope of every output at points close to v, by steps from the coarsest down."""
        slopes, noise = [], self.rough(point)
        for _ in range(jitters):
            near = point.v + size * point.scales * self.rng.standard_normal(point.scales.shape)
            by_step = point.analytic if self.complex_safe and self.by_complex_step else None
            exact = complex_slope(by_step, near, direction) if by_step else None
            if exact is None:
                exact = slope(point.f, near, direction, finest=finest, coarsest=coarsest, noise=noise).value
            slopes.append(exact)
        return np.min(slopes, axis=0), np.max(slopes, axis=0)

    def _kinks(
        self, point: Point, direction: Array, finest: float, jitters: int = JITTERS, coarsest: float = 0.3
    ) -> tuple[Array, Array, Array]:
        """Where slopes close by differ, and do so closer by too, where those of a mere bend come together; and both."""
        low, high = self._close_by(point, direction, finest, jitters, NEAR, coarsest)
        kinked = high - low > 1e-3 * np.maximum(abs(low), abs(high))
        if kinked.any():
            closer = 0.01 * NEAR
            shorter = coarsest if coarsest > NEAR else closer
            closer_low, closer_high = self._close_by(point, direction, finest, jitters, closer, shorter)
            kinked &= closer_high - closer_low > 0.1 * (high - low)
        return kinked, low, high

    def _on_a_kink(self, point: Point, direction: Array, finest: float) -> bool:
        return bool(self._kinks(point, direction, finest)[0].any())

    def _excused(self, point: Point, direction: Array, finest: float, measured: Measured) -> bool:
        """Whether v lies on a kink that this direction runs along, so that the slopes close by are many.

        Then every slope between those close by is right: Clarke's derivative. (The median of three equal numbers is
        smooth along (1, 0, 0), where its slope is 0, and yet the gradient (1, 0, 0) is right.) They are looked for by
        short steps too: seen from afar, all of them are the one slope at v.
        """
        if not np.isfinite(measured.analytic):
            return False
        return any(self._allowed_by_a_kink(point, direction, finest, coarsest) for coarsest in (0.3, NEAR))

    def _allowed_by_a_kink(self, point: Point, direction: Array, finest: float, coarsest: float) -> bool:
        kinked, low, high = self._kinks(point, direction, finest, MANY_JITTERS, coarsest)
        if not kinked.any():
            return False
        found = slope(point.f, point.v, direction, finest=finest, noise=self.rough(point))
        found.low = np.where(kinked, np.minimum(low, found.low), found.low)
        found.high = np.where(kinked, np.maximum(high, found.high), found.high)
        found.error = np.where(kinked, 0, found.error)
        again = self._compared(point, direction, found)
        again.tolerance += 1e-3 * max(abs(again.low), abs(again.high))
        return again.agrees

    def _located(
        self, point: Point, direction: Array | None, measured: Measured, position: int | None = None
    ) -> Mismatch:
        """The mismatch, with the entries of the gradient that it comes from."""
        found: dict[int, Measured] = {} if position is None else {position: measured}
        deadline = Deadline(LOCATING)
        for part in reversed(point.parts):
            if direction is None or direction[part.span].any():
                for other in sample(part, LOCATED, self.rng):
                    if other not in found and not deadline.is_over():
                        found[other] = self.entry(point, other, wrong=True)
        if direction is not None and all(each.agrees for each in found.values()):
            found |= self._halved(point, direction, measured)
        part = _blamed(point, direction, found)
        positions = [p for p in found if part.span.start <= p < part.span.stop]
        if all(found[p].agrees for p in positions):
            return Mismatch(point, [], [measured], part)
        return Mismatch(point, positions, [found[p] for p in positions], part)

    def _halved(self, point: Point, direction: Array, measured: Measured) -> dict[int, Measured]:
        """An entry that is wrong, found by halving: one half of the direction is wrong, or neither is."""
        positions = np.flatnonzero(direction)
        while len(positions) > 1 and not measured.agrees:
            for half in np.array_split(positions, 2):
                part = np.where(np.isin(np.arange(len(direction)), half), direction, 0)
                measured = self.measure(point, part, point.finest, wrong=True)
                if not measured.agrees and not measured.jumps:
                    positions = half
                    break
            else:
                return {}
        only = int(positions[0]) if len(positions) else 0
        return {only: entry} if len(positions) and not (entry := self.entry(point, only, wrong=True)).agrees else {}


def _blamed(point: Point, direction: Array | None, found: dict[int, Measured]) -> Part:
    """The part that is wrong; a parameter rather than the input, since those are nearer to the bug."""
    wrong = {point.part_of(position).name for position, m in found.items() if not m.agrees}
    moved = [p for p in point.parts if direction is None or direction[p.span].any()]
    return next((part for part in reversed(point.parts) if part.name in wrong), moved[0])

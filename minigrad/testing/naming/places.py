"""Where a gradient is wrong, if its numbers do not say why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import INPUT, Case, Part
from minigrad.testing.naming.sentences import ONE_ROW
from minigrad.testing.naming.signatures import is_first, multiple_of
from minigrad.testing.oracle.derivative import slope
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.oracle.rounding import matches

THROUGH_TIME = (
    "what comes back through time is left out: each step's gradient has its own dy alone, but its state has a part in "
    "the steps after it, too; add what they hand back, da @ U.T say"
)


def partial(bench: LayerBench, case: Case, mismatch: Mismatch) -> Iterator[str]:
    """Where the gradient is wrong, or what else can be said of it."""
    part, given, wanted = mismatch.part, mismatch.given, mismatch.wanted
    yield _from_some_place_on(mismatch)
    yield _factor(given, wanted)
    yield _diagonal(mismatch, given)
    yield _at_output(bench, case, part, np.array(mismatch.positions), given)
    yield where(bench, case, mismatch)
    yield _one_row(bench, case, part)
    yield _without_part(mismatch)


def through_time(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """Whether dx has at the first step, or the last, what that step's own dy alone gives."""
    x, point, part = case.x, mismatch.point, bench.parts()[0]
    if x.ndim != 3 or x.dtype.kind != "f" or np.shape(point.y)[:2] != x.shape[:2] or x.shape[1] < 2:
        return ""
    given = np.reshape(case.gradient[part.span], x.shape)
    for step in (0, -1):
        moved = np.zeros(x.shape)
        moved[:, step] = bench.rng.standard_normal(moved[:, step].shape)
        direction = np.zeros(len(point.v))
        direction[part.span] = moved.ravel()
        change = point.dy * slope(point.f, point.v, direction).value
        own, found = float(change[:, step].sum()), float((given * moved).sum())
        size = abs(change).sum()
        if abs(own - found) < 1e-6 * size < abs(change.sum() - found):
            return THROUGH_TIME
    return ""


def _without_part(mismatch: Mismatch) -> str:
    """Whether y does not depend on the part at all."""
    if mismatch.wanted.any() or all(m.agrees for m in mismatch.measured):
        return ""
    return f"y does not change with {mismatch.part.name}: forward leaves it out, or its gradient is to be 0"


def not_seen(mismatch: Mismatch) -> str:
    """Whether just those entries of a part have a gradient too much that y does not depend on."""
    wrong = np.array([not m.agrees for m in mismatch.measured])
    if not wrong.any() or not mismatch.wanted.any() or mismatch.wanted[wrong].any():
        return ""
    where = f"{mismatch.part.name}{list(mismatch.index or ())}"
    return (
        f"y does not depend on {where}, so that its gradient is 0: what forward leaves out (padding, what is masked) "
        "has no part in the gradient either"
    )


def few_digits(mismatch: Mismatch) -> str:
    """Whether the first digits are right."""
    given, wanted = mismatch.given, mismatch.wanted
    size = abs(wanted).max(initial=0)
    off = abs(given - wanted)
    if not size or not (off <= 4e-3 * abs(wanted) + 1e-9 * size).all():
        return ""
    digits = int(-np.log10(max(float((off / np.maximum(abs(wanted), 1e-9 * size)).max()), 1e-15)))
    return (
        f"right to about {digits} digits: a constant is written with no more (3.1416 for np.pi), something is computed "
        "in float16 or float32, or a small term (eps?) is left out"
    )


def _at_one_value(case: Case, mismatch: Mismatch) -> str:
    """Whether it is wrong just where an entry of x has one value, of an elementwise layer."""
    if mismatch.part.name != INPUT or np.shape(mismatch.point.y) != case.x.shape:
        return ""
    held = case.x.ravel()[np.array(mismatch.positions)]
    wrong = np.array([not m.agrees for m in mismatch.measured])
    values = np.unique(held[wrong])
    if len(values) != 1 or (held[~wrong] == values[0]).any() or wrong.all():
        return ""
    return (
        f"wrong only where x is exactly {values[0]:g}: there two pieces meet, and neither condition of backward holds, "
        "or both do (< for <=)"
    )


def _factor(given: Array, wanted: Array) -> str:
    factor = multiple_of(given, wanted) if len(given) > 1 else 0.0
    sign = "sign flipped, and " if factor < 0 else ""
    return f"{sign}wrong by a constant factor, {abs(factor):.6g}" if factor else ""


def _diagonal(mismatch: Mismatch, given: Array) -> str:
    """Whether only what x_i does to y_i is counted, where y_i depends on other entries too."""
    point, part = mismatch.point, mismatch.part
    if part.name != INPUT or np.shape(point.y) != part.shape:
        return ""
    seen: list[float] = []
    for position, own in list(zip(mismatch.positions, given, strict=True))[:6]:
        direction = (np.arange(len(point.v)) == position) * 1.0
        alone = float((point.dy * slope(point.f, point.v, direction).value).ravel()[position - part.start])
        if abs(alone - own) > 1e-6 * max(float(abs(given).max()), 1e-300):
            return ""
        seen.append(alone)
    if not np.any(seen) or matches(np.array(seen), mismatch.wanted[: len(seen)], 1e-3):
        return ""
    return (
        "only the diagonal of the Jacobian is used: y_i depends on other entries of the row too, through their sum say"
    )


def _at_output(bench: LayerBench, case: Case, part: Part, positions: Array, given: Array) -> str:
    """Whether an elementwise layer's wrong gradient is the right one at the output instead of the input."""
    if part.name != INPUT:
        return ""
    subject = bench.subject
    subject.theta[...] = case.theta
    y = np.array(subject.forward(case.x.copy()))
    if y.shape != case.x.shape:
        return ""
    v = subject.vector(y, case.theta)
    for position in positions[:6]:
        direction = np.zeros_like(v)
        direction[position] = 1.0
        measured = slope(lambda v: subject.at(v, y), v, direction)
        if abs((case.dy * measured.value).sum() - given[list(positions).index(position)]) > 1e-6 * abs(given).max():
            return ""
    return "the derivative is taken at the output instead of the input: it is that of the layer at y"


def _from_some_place_on(mismatch: Mismatch) -> str:
    """Whether rows, or columns, are wrong from one on."""
    part = mismatch.part
    if part.name != INPUT or len(part.shape) < 2:
        return ""
    for axis, words in ((0, "row"), (-1, "column")):
        places = np.array([part.index(position)[axis] for position in mismatch.positions])
        wrong = np.array([not m.agrees for m in mismatch.measured])
        right = ~wrong & (mismatch.wanted != 0)
        if wrong.any() and right.any() and max(places[right]) < min(places[wrong]) >= 6:
            rest = "a part of the batch" if axis == 0 else "what lies beyond, of a wide row,"
            return f"wrong from about {words} {min(places[wrong])} on: {rest} is treated in another way, or left out"
    return ""


def _one_row(bench: LayerBench, case: Case, part: Part) -> str:
    """Whether each row is right alone, and not among the others."""
    rows = [case.x[i : i + 1] for i in range(min(len(case.x), 8))]
    alone = len(rows) > 1 and all(part.name in _right_parts(bench, row, case.theta) for row in rows)
    return ONE_ROW if alone else ""


def _right_parts(bench: LayerBench, x: Array, theta: Array) -> set[str]:
    """The names of the parts whose gradients are right at x and theta."""
    try:
        return bench.prover.right_parts(bench.point(bench.case("", x, theta)))
    except Exception:
        return set()


def where(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """Whether it is wrong only where the input is large, or negative, or has one value."""
    name, x = mismatch.part.name, abs(case.x)
    if case.x.dtype.kind != "f" or not x.any():
        return ""
    one_value = _at_one_value(case, mismatch)
    if one_value:
        return one_value
    if len(case.x) == 1 and name in _right_parts(bench, bench.x, case.theta):
        return "right for several rows, wrong for a batch of one"
    tiny = 0.01 * x / x.max()
    huge = x * 8 if x.max() < 100 else x
    right = _Right(*(name in _right_parts(bench, values, case.theta) for values in (tiny, -tiny, huge, -huge)))
    if not all(bench.finite(values, case.theta) for values in (-tiny, -huge)):
        return ""  # of one sign by nature
    if all(right):
        if "ties" in case.situation:
            return "wrong only where entries of the input are equal, or zero"
        if not is_first(case) and "inputs" not in case.situation:
            return ""
    if "of any sign" in case.situation and name in _right_parts(bench, case.x, bench.theta):
        return "wrong only where a parameter has another sign"
    return right.elsewhere()


class _Right(NamedTuple):
    """Whether a gradient is right where all inputs are small and positive, small and negative, and so on."""

    small: bool
    small_negative: bool
    large: bool
    large_negative: bool

    def elsewhere(self) -> str:
        """What the inputs have in common at which alone it is wrong, if that is their size or their sign."""
        small, large = self.small and self.small_negative, self.large and self.large_negative
        positive, negative = (self.small, self.large), (self.small_negative, self.large_negative)
        if small and not large:
            side = "" if self.large == self.large_negative else " and negative" if self.large else " and positive"
            return f"wrong only where the input is large{side} (saturation)"
        if all(positive) and not any(negative):
            return "wrong only where the input is negative"
        if all(negative) and not any(positive):
            return "wrong only where the input is positive"
        if large and not small:
            return "wrong only where the input is small"
        return ""

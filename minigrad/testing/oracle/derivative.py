"""The derivative of code, measured: along a line, for every output at once, with an estimate of its own error.

For φ(h) = f(v + h d) the central difference (φ(h) - φ(-h)) / 2h is off by h² φ'''/6 + noise / h. No one h is right for
every function, so a whole ladder of steps is climbed down, from about the size of v to a billionth of it. Two
neighbours on the ladder remove the h² term (Richardson 1911), three such extrapolations that agree are believed, and
each output takes the rung where disagreement and noise together are least. The rungs are *incommensurate*: steps in
equal ratios can all fall on the same phase of a fast sine, and then agree on a wrong value.

At a kink the slopes from the left and from the right differ, and every number between them is a derivative. Where φ
jumps there is none, and at the edge of f's domain there is only one of the two.

Where code accepts complex numbers, Im f(v + i h d) / h is the derivative without any difference of close numbers
(Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.parameter import Array

EPS = float(np.finfo(np.float64).eps)
COMPLEX_STEP = 1e-30  # its square is below the rounding of any slope, and a small slope times it is no denormal
BLOCK = 1024  # outputs that are measured at a time, for they have some arrays as long as the ladder each

Function = Callable[[Array], Array]


@dataclass
class Slope:
    """dφ/dh at h = 0 for every output: `value` ± `error`; at a kink anything from `low` to `high`.

    `noise` is how far φ itself is from smooth: its rounding, as it shows in the differences. Where φ jumps, or can't be
    had on either side, the error is infinite.
    """

    value: Array
    error: Array
    low: Array
    high: Array
    noise: Array
    jumps: Array

    @property
    def kinked(self) -> Array:
        """Where the slopes from the left and from the right differ."""
        return self.low < self.high


def ladder(finest: float, coarsest: float = 0.3) -> Array:
    """Steps from the coarsest down to the finest, each about a quarter of the one before, in no common ratio."""
    k = np.arange(max(8, math.ceil(math.log(coarsest / finest, 4))) + 1)
    return coarsest * 4.0**-k * (1 + 0.5 * (k * 0.6180339887498949 % 1))


def slope(
    f: Function,
    at: Array,
    direction: Array,
    *,
    finest: float = 1e-10,
    coarsest: float = 0.3,
    noise: Array | float = 0.0,
) -> Slope:
    """Measure the slope of every output of f at `at` along `direction`, which is as long as `at` is large.

    `noise` is what the caller knows of f's rounding. Steps at which f raises or overflows are not used.
    """
    moved = np.flatnonzero(direction)
    resolved = 4 * EPS * float(np.linalg.norm(at[moved]) / np.linalg.norm(direction))  # below it, v + h d is v
    steps, center = ladder(max(finest, resolved), coarsest), f(at)
    middle, upper, lower, ups, downs = center.ravel(), [], [], [], []
    for h in steps:
        up, down = at + h * direction, at - h * direction
        upper.append(_values(f, up, middle))
        lower.append(_values(f, down, middle))
        if len(moved) == 1:  # the step that rounding has left
            axis = moved[0]
            ups.append((up[axis] - at[axis]) / direction[axis])
            downs.append((at[axis] - down[axis]) / direction[axis])
        else:
            ups.append(h)
            downs.append(h)
    above, below, known = np.array(upper), np.array(lower), np.broadcast_to(np.ravel(noise), middle.shape)
    still = EPS * abs(middle) + known
    outcome = [np.zeros_like(middle), 2 * still / steps[0], np.zeros_like(middle), np.zeros_like(middle), still]
    outcome.append(np.zeros(middle.shape, bool))
    active = np.flatnonzero((above != middle).any(axis=0) | (below != middle).any(axis=0))
    with np.errstate(all="ignore"):
        for start in range(0, len(active), BLOCK):
            block = active[start : start + BLOCK]
            columns = middle[block], above[:, block], below[:, block]
            measured = _measure(*columns, np.array([ups]).T, np.array([downs]).T, known[block])
            for array, values in zip(outcome, measured, strict=True):
                array[block] = values
    return Slope(*(array.reshape(center.shape) for array in outcome))


def _values(f: Function, at: Array, like: Array) -> Array:
    try:
        values = f(at).ravel()
    except (ArithmeticError, ValueError, IndexError):
        return np.full(like.shape, np.nan)
    return values if values.shape == like.shape else np.full(like.shape, np.nan)


def _measure(
    middle: Array, upper: Array, lower: Array, up: Array, down: Array, known: Array | float
) -> tuple[Array, ...]:
    ends = np.maximum(_finite(upper), _finite(lower))
    noise = EPS * np.maximum(_finite(middle), ends) + known
    central, error = _extrapolate((upper - lower) / (up + down), (up + down) ** 2, 2 * noise / (up + down))
    right, right_error = _extrapolate((upper - middle) / up, up, 2 * noise / up)
    left, left_error = _extrapolate((middle - lower) / down, down, 2 * noise / down)

    # At the smallest steps φ is a straight line, and what is not straight is rounding.
    crooked = abs(upper - lower - (up + down) * central)[-4:]
    measured = np.max(_finite(crooked), axis=0, initial=0)

    jumps = _jumps(upper - middle, noise) | _jumps(lower - middle, noise)
    edge = ~np.isfinite(error) & (np.isfinite(right_error) | np.isfinite(left_error))
    sides = right_error + left_error
    kinked = ~edge & (abs(right - left) > 10 * sides + 1e-6 * np.maximum(abs(right), abs(left)))
    apart = abs(right - left)
    unclear = ~edge & ~kinked & (apart > 0.01 * np.maximum(abs(right), abs(left)))  # so is what lies between them
    error = np.where(unclear, np.maximum(error, apart), error)
    one_sided = np.where(right_error <= left_error, right, left)
    value = np.where(edge, one_sided, central)
    low = np.where(kinked, np.minimum(right, left), value)
    high = np.where(kinked, np.maximum(right, left), value)
    error = np.where(kinked, sides, np.where(edge, np.minimum(right_error, left_error), error))
    return value, np.where(jumps, np.inf, error), low, high, np.maximum(noise[-1], measured), jumps


def _finite(values: Array) -> Array:
    """Sizes, 0 where there is none."""
    return np.where(np.isfinite(values), abs(values), 0)


def _jumps(change: Array, noise: Array) -> Array:
    """Where φ does not come back to its value as the step shrinks: not four times less over the last three rungs."""
    last, before = _finite(change[-1]), _finite(change[-4])
    return np.asarray((last > 1e3 * noise[-1]) & (last > 0.25 * before))


def _extrapolate(slopes: Array, size: Array, noise: Array) -> tuple[Array, Array]:
    """Slopes (K, O) whose error is proportional to `size` (K, 1), taken to size 0: the best value, and its error."""
    extrapolated = (size[:-1] * slopes[1:] - size[1:] * slopes[:-1]) / (size[:-1] - size[1:])
    apart = abs(np.diff(extrapolated, axis=0))
    values = extrapolated[1:-1]
    errors = np.maximum(apart[:-1], apart[1:]) + noise[2:-1] + 4 * EPS * abs(slopes[2:-1])
    # A coarse rung can agree with its neighbours on the far side of a structure that only finer ones see: where one of
    # those lies beyond three of its own errors, the distance counts as an error.
    finer = [_largest_after(sign * values - 3 * errors) for sign in (1, -1)]
    errors = errors + np.maximum(_finite(np.maximum(finer[0] - values, 0)), _finite(np.maximum(finer[1] + values, 0)))
    errors[~np.isfinite(errors)] = np.inf
    best = np.argmin(errors, axis=0)[None]
    value = np.take_along_axis(values, best, axis=0)[0]
    return np.where(np.isfinite(value), value, 0), np.take_along_axis(errors, best, axis=0)[0]


def _largest_after(rows: Array) -> Array:
    """For every row the largest of those after it, entry by entry; NaN and infinities don't count."""
    rows = np.where(np.isfinite(rows), rows, -np.inf)
    after = np.maximum.accumulate(rows[::-1], axis=0)[::-1]
    return np.concatenate([after[1:], np.full_like(rows[:1], -np.inf)])


def complex_slope(f: Function, at: Array, direction: Array) -> Array | None:
    """The slope by the complex step, or None where f does not compute with complex numbers."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            values = f(at + (1j * COMPLEX_STEP) * direction)
        except Exception:
            return None
    slopes = np.imag(values) / COMPLEX_STEP
    return slopes if np.iscomplexobj(values) and np.isfinite(slopes).all() else None

"""The one rounding model: how far two results of the same mathematics may lie apart, and when two are the same.

A result can't be better known than it moves when every number that it is made from moves by a unit in the last place.
So the noise of a layer is *measured*: its input, parameters and dy are moved by that, a few times, and what its output
and its gradients do then is their noise (Parker's "Monte Carlo arithmetic", UCLA 1997, in its plainest form). It can't
be less than a unit in the last place of the numbers that went through: the largest of a column of y, and for a
gradient the largest that the same array has had at inputs which are no larger. So y (1 - y), which is 0 where the true
derivative of a sigmoid is 1e-17, is right; a gradient of 1e-12 that should be 2e-12 is wrong; and a bias before a
BatchNorm, whose gradient is nothing but rounding, is equal to any other rounding.

Every rule asks `agree`, with noise from here: a thousand millionth of the numbers themselves plus 64 times their noise.
In float32 the noise is 2²⁹ times as large, and the rest a ten thousandth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.oracle.derivative import EPS

RELATIVE, RELATIVE32 = 1e-9, 1e-4
UNITS = 64.0
TO_FLOAT32 = 2.0**29  # how much larger float32's last place is
TINY, TINY32 = float(np.finfo(np.float64).tiny), float(np.finfo(np.float32).tiny)
DRAWS = 3
WIDER: dict[Any, Any] = {np.float32: np.float64, np.float64: np.longdouble}
"""In what the true value is computed for a result in each of these."""
MOVED = 1e-6
"""By how much numbers are moved, beside their own size, to see how much a true value depends on them."""


def agree(a: Any, b: Any, noise: Any, *, relative: float = RELATIVE) -> bool:
    """Whether two results of the same mathematics agree, everywhere, where both have this noise."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and not far(a, b, noise, relative=relative).any()


def far(a: Array, b: Array, noise: Any, *, relative: float = RELATIVE) -> Array:
    """Where two results lie further apart than they may; NaN and infinities have to be the same."""
    with np.errstate(all="ignore"):
        allowed = relative * np.maximum(abs(a), abs(b)) + UNITS * np.asarray(noise) + UNITS * TINY
        apart = ~(abs(a - b) <= allowed)
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(apart & ~equal)


def agree_in_float32(a: Any, b: Any, noise: Any) -> bool:
    """Whether a float32 result is what float32 can hold of b, which has this noise in float64."""
    return not far_in_float32(np.asarray(a), np.asarray(b), noise).any()


def far_in_float32(a: Array, b: Array, noise: Any, relative: float = RELATIVE32) -> Array:
    """Where a float32 result is not what float32 can hold of b."""
    return far(a.astype(np.float64), b, TO_FLOAT32 * np.asarray(noise) + TINY32, relative=relative)


def noise_of(terms: Any) -> float:
    """The noise of a sum or mean of terms: a unit in the last place of the largest."""
    return EPS * float(np.max(np.abs(terms), initial=0))


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


def matches(a: Array, b: Array, relative: float = 1e-6) -> bool:
    """Whether a wrong gradient is what a bug would make of the right one; nothing is like a b of zeros."""
    size = abs(b).max(initial=0)
    return bool(size > 0 and a.shape == b.shape and (abs(a - b) <= relative * size).all())


@dataclass
class Noise:
    """What rounding may do to a result y, entry by entry, and to a gradient, as one vector."""

    y: Array
    gradient: Array


def measured_noise(
    run: Callable[[Array, Array], tuple[Array, Array]], v: Array, dy: Array, nudge: Array, floor: Noise
) -> Noise:
    """The noise of `run`, which gives y and the gradient at v for dy, and at least `floor`.

    It is measured a little off v, by `nudge`, where entries that are equal in v, or whole, are so no longer: there a
    unit in the last place would choose between branches.
    """
    rng = np.random.default_rng(5)  # the same draws each time: a check is to give the same result twice
    y_noise, gradient_noise = floor.y.copy(), floor.gradient.copy()
    try:
        near = v + nudge * rng.standard_normal(v.shape)
        y, gradient = run(near, dy)
        for _ in range(DRAWS):
            signs = rng.choice([-1.0, 1.0], v.shape), rng.choice([-1.0, 1.0], dy.shape)
            moved, moved_gradient = run(near * (1 + 2 * EPS * signs[0]), dy * (1 + 2 * EPS * signs[1]))
            _raise_to(y_noise, abs(moved - y))
            _raise_to(gradient_noise, abs(moved_gradient - gradient))
    except (ArithmeticError, ValueError, IndexError):
        return floor
    return Noise(_of_columns(y_noise), gradient_noise)


def _raise_to(noise: Array, seen: Array) -> None:
    np.maximum(noise, np.where(np.isfinite(seen), seen, 0), out=noise)


def _of_columns(noise: Array) -> Array:
    """The same for every row: the largest of the column."""
    return np.broadcast_to(noise.max(axis=0, keepdims=True, initial=0), noise.shape) if noise.ndim else noise

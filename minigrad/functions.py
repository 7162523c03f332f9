"""The functions that layers and losses are made of: pure, stable over the whole range of a float, ufuncs only.

No value is asked for its sign by Python: a choice is a minimum, a maximum or a product with a comparison. So a training
step can be recorded once and replayed, and all but the error functions take complex input. There
f(x + ih) = f(x) + ih f'(x) for a tiny h, which gives the derivative without a difference of nearby values (Squire and
Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998). NumPy compares
complex numbers by their real parts first, so `minimum(x, -x)` is -|x| for both kinds.

A result has the dtype of the argument; integers count as float64.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from minigrad.parameter import Array

LARGEST_EXPONENT = {"e": 11.0, "f": 88.7, "F": 88.7}  # by dtype.char; exp of it is just below the largest float
LARGEST_EXPONENT_FLOAT64 = 709.7


def floating(x: Array) -> Array:
    """x itself, or as float64 where it holds integers or booleans: -x of an unsigned integer wraps around."""
    return x if x.dtype.kind in "fc" else x * 1.0


def sum_of_rows(x: Array) -> Array:
    """Σ over all axes but the last, one by one: for images 15 times as fast as all at once, pixel by pixel."""
    while x.ndim > 1:
        x = x.sum(axis=0)
    return x


def as_rows(x: Array) -> Array:
    """x (…, I) as rows (n, I), n counting all axes but the last: a view where x lies in memory without gaps."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def one_hot(labels: Array, classes: int, dtype: npt.DTypeLike) -> Array:
    """Labels 0 to K-1 (…) as (…, K): 1 in the column of the label and 0 elsewhere; for any other number only zeros."""
    hot: Array = np.multiply(labels[..., None] == _codes(classes, labels.dtype), 1, dtype=dtype)
    return hot


@cache
def _codes(classes: int, dtype: npt.DTypeLike) -> Array:
    """0 to K-1: the same array every time, which a recorded program takes for a constant."""
    return np.arange(classes, dtype=dtype)


def exp_minus(x: Array) -> Array:
    """exp(-x), held below overflow: what is left out would only make 1 / (1 + exp(-x)) a smaller subnormal."""
    x = floating(x)
    return np.exp(np.minimum(-x, LARGEST_EXPONENT.get(x.dtype.char, LARGEST_EXPONENT_FLOAT64)))


def sigmoid(x: Array) -> Array:
    """s(x) = 1 / (1 + exp(-x)); s' = s(x) s(-x)"""
    return 1 / (1 + exp_minus(x))


def tanh_slope(x: Array) -> Array:
    """tanh'(x) = 1 - tanh² x = 4 e / (1 + e)², e = exp(-2|x|): right to the last digits where tanh x is close to ±1"""
    e = exp_minus(np.abs(x))
    e = e * e
    y = 2 / (1 + e)
    return e * y * y


def sigmoids(x: Array) -> tuple[Array, Array]:
    """s(x) and s(-x) = 1 - s(x), each right to the last digits in its own tail, and 0 where it underflows.

    With u = exp(-|x|), the larger of the two is 1 / (1 + u), the smaller u / (1 + u). `sigmoid` is cheaper, but
    ends just below the smallest normal number instead of at 0, which a product x s(x) would show.
    """
    x = floating(x)
    u = np.exp(np.minimum(x, -x))
    return np.maximum(u, x >= 0) / (1 + u), np.maximum(u, x < 0) / (1 + u)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); its derivative is s(x)"""
    x = floating(x)
    return np.maximum(x, 0) + np.log1p(np.exp(np.minimum(x, -x)))


def softmax(z: Array) -> Array:
    """exp(z_k) / Σ_j exp(z_j) over the last axis"""
    e = exp_below_max(z)
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y


def log_sum_exp(z: Array) -> Array:
    """log Σ_j exp(z_j) over the last axis, which is kept with length 1; its derivative is softmax(z)"""
    largest: Array = floating(z).max(axis=-1, keepdims=True)
    return largest + _log_sum(exp_below_max(z))


def log_softmax(z: Array) -> Array:
    """log softmax(z) = z_k - max z - log Σ_j exp(z_j - max z) over the last axis, not below the lowest float"""
    half = floating(z) * 0.5
    below: Array = np.maximum(half - half.max(axis=-1, keepdims=True), np.finfo(half.dtype).min / 2)
    return 2 * below - _log_sum(exp_below_max(z))


def exp_below_max(z: Array) -> Array:
    """exp(z - max z) over the last axis: the largest is 1.

    The halves of two floats always have a difference; their difference itself may overflow. Below e^-1000 all is 0.
    """
    half = floating(z) * 0.5
    e: Array = np.exp(2 * np.maximum(half - half.max(axis=-1, keepdims=True), -500))
    return e


def _log_sum(e: Array) -> Array:
    """log Σ e, where the largest e is 1: log1p of the others, so that a sum just over 1 keeps its digits."""
    ones = e * (e == 1)
    others = (e - ones).sum(axis=-1, keepdims=True) + (ones.sum(axis=-1, keepdims=True) - 1)
    log: Array = np.log1p(others)
    return log

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
from collections.abc import Sequence
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


# The error function by W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of
# Computation 23, 1969; the coefficients (highest power first) as in his SPECFUN, routine CALERF, 1990.
# erf(u) = u P(u²) / Q(u²) for |u| <= 0.46875
NEAR_P = (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
          3.20937758913846947e3)  # fmt: skip
NEAR_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
# exp(u²) erfc(u) = P(u) / Q(u) for 0.46875 <= u <= 4
MIDDLE_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
            2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
            1.23033935479799725e3)  # fmt: skip
MIDDLE_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
            3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
# exp(u²) erfc(u) = (1/√π - v P(v) / Q(v)) / u with v = 1/u², for u >= 4
FAR_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
         1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
FAR_Q = (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
         2.33520497626869185e-3)  # fmt: skip

NEAR = 0.46875
FAR = 4.0


def erf(x: Array) -> Array:
    """erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, of real x"""
    wide = _float64(x)
    u = np.minimum(np.abs(wide), 30)
    beyond = np.copysign(1 - _exp_minus_square(u, 1.0) * _scaled_erfc(u), wide)
    return _rounded(_choose(u <= NEAR, _erf_near(wide), beyond), x)


def normal_cdf(x: Array) -> Array:
    """Φ(x) = erfc(-x/√2) / 2, of real x, within 6 ulp also in its left tail.

    exp(-x²/2) is taken from x itself: the rounding of x/√2 alone would cost x² / 2 units in the last place.
    """
    wide = _float64(x)
    r = np.minimum(np.abs(wide), 40)
    u = r * math.sqrt(0.5)
    tail = 0.5 * _exp_minus_square(r, 0.5) * _scaled_erfc(u)
    near = 0.5 + 0.5 * _erf_near(wide * math.sqrt(0.5))
    return _rounded(_choose(u <= NEAR, near, (wide > 0) - np.copysign(tail, wide)), x)


def normal_density(x: Array) -> Array:
    """φ(x) = Φ'(x) = exp(-x²/2) / √(2π), of real x"""
    r = np.minimum(np.abs(_float64(x)), 40)
    return _rounded(_exp_minus_square(r, 0.5) * (1 / math.sqrt(2 * math.pi)), x)


def _float64(x: Array) -> Array:
    """x as float64, in which the error functions of float32 are evaluated, to be rounded once."""
    return np.multiply(x, 1.0, dtype=np.float64)


def _rounded(y: Array, x: Array) -> Array:
    """y in the dtype that a function of x has."""
    return np.multiply(y, 1.0, dtype=x.dtype, casting="same_kind") if x.dtype.kind == "f" else y


def _erf_near(x: Array) -> Array:
    x = np.minimum(np.maximum(x, -NEAR), NEAR)
    return x * (_polynomial(x * x, NEAR_P) / _polynomial(x * x, NEAR_Q))


def _scaled_erfc(u: Array) -> Array:
    """exp(u²) erfc(u) for u >= 0.46875"""
    middle = np.minimum(np.maximum(u, NEAR), FAR)
    far = np.maximum(u, FAR)
    v = 1 / (far * far)
    return _choose(
        u <= FAR,
        _polynomial(middle, MIDDLE_P) / _polynomial(middle, MIDDLE_Q),
        (1 / math.sqrt(math.pi) - v * _polynomial(v, FAR_P) / _polynomial(v, FAR_Q)) / far,
    )


def _exp_minus_square(x: Array, c: float) -> Array:
    """exp(-c x²) for 0 <= x <= 40 and c = 1 or 1/2.

    The rounding of x² would cost x² units in the last place. So, as Cody does, x² = q² + (x - q)(x + q), where q is x
    cut to so few digits that q² is exact.
    """
    q = np.floor(x * 65536) * (1 / 65536)
    e = np.exp(-c * (q * q))
    bell: Array = e + e * np.expm1(-c * ((x - q) * (x + q)))
    return bell


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    y = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        y = y * x + coefficient
    return y


def _choose(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, else b; both finite."""
    chosen: Array = a * condition + b * ~condition
    return chosen

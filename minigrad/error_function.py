"""The error function and the normal distribution, of real x, to the last digits of a float."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minigrad.parameter import Array

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
# exp(r²/2) Φ(-r) = t P(t) with t = 1 / (1 + 0.3 r), for 0 <= r <= 15: a minimax fit to mpmath, with a relative error of
# 3.5e-9. The variable is as in Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in
# 0 <= x < ∞", Mathematics of Computation 36, 1981.
TAIL_P = (-0.02062865070798, 0.1124647387358, -0.2282846678902, 0.1918831440674, -0.07950905587333, 0.09620487593384,
          0.07837223413194, 0.1102393457014, 0.1195713174847, 0.1196867166837)  # fmt: skip
TAIL_SCALE = 0.3
SHORT = "ef"
"""The dtypes of up to 24 binary digits, by their `char`: float64 has the exact square of each of their numbers."""

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

    exp(-x²/2) is taken from x itself: the rounding of x/√2 alone would cost x² / 2 units in the last place. For float32
    one fit serves all of the axis, which takes a quarter of the time.
    """
    wide = _float64(x)
    if x.dtype.char in SHORT:
        t = 1 / (1 + TAIL_SCALE * np.minimum(np.abs(wide), 15))
        tail = np.exp(-0.5 * (wide * wide)) * (t * _polynomial(t, TAIL_P))
        return _rounded(np.abs((wide > 0) - tail), x)
    r = np.minimum(np.abs(wide), 40)
    u = r * math.sqrt(0.5)
    tail = 0.5 * _exp_minus_square(r, 0.5) * _scaled_erfc(u)
    near = 0.5 + 0.5 * _erf_near(wide * math.sqrt(0.5))
    return _rounded(_choose(u <= NEAR, near, (wide > 0) - np.copysign(tail, wide)), x)


def normal_density(x: Array) -> Array:
    """φ(x) = Φ'(x) = exp(-x²/2) / √(2π), of real x"""
    wide = _float64(x)
    short = x.dtype.char in SHORT
    bell = np.exp(-0.5 * (wide * wide)) if short else _exp_minus_square(np.minimum(np.abs(wide), 40), 0.5)
    return _rounded(bell * (1 / math.sqrt(2 * math.pi)), x)


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

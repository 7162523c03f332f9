"""Every function and activation against mpmath, in units in the last place, over the whole range of a float.

An activation is a row of `ROWS`; one without a row fails. Warnings are errors here as everywhere, so each test also
says that finite input gives none. An error is allowed when it is at most `bound` ulp of the truth, or, where terms
cancel, of the larger of the truth and its terms. What is below the normal range may be off by the smallest normal
number; a product with a factor that is below it, by 4096 of the smallest steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.lib.mixins import NDArrayOperatorsMixin

import minigrad
from minigrad import error_function, functions
from minigrad.layer import REGISTRY, Layer
from minigrad.layers import activations, more_activations, rectifiers
from minigrad.layers.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from minigrad.layers.more_activations import (
    ELU,
    GELU,
    HardSigmoid,
    LeakyReLU,
    LogSoftmax,
    Mish,
    Softplus,
    Softsign,
    Swish,
)
from minigrad.layers.rectifiers import CELU, SELU, HardSwish, HardTanh, LogSigmoid, PReLU, ReLU6

mp = mpmath.MPContext()
mp.prec = 220
Real = Any  # mpmath's number
DTYPES = [np.float32, np.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def s(x: Real) -> Real:
    return 1 / (1 + mp.exp(-x))


def cdf(x: Real) -> Real:
    return mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 1000 else mp.mpf(x > 0)


def density(x: Real) -> Real:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def w(x: Real) -> Real:
    return 2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


def dw(x: Real) -> Real:
    return 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mp.mpf("0.044715") * x**2)


def tau(x: Real) -> Real:
    return mp.tanh(mp.log1p(mp.exp(x)))


LAMBDA = mp.mpf("1.0507009873554804934193349852946")
ALPHA = mp.mpf("1.6732632423543772848170429916717")


@dataclass
class Row:
    """An activation and its truth; bounds in ulp, of `terms(x)` where the derivative's own size is smaller.

    Beyond `share` of the largest number, the true value itself overflows.
    """

    layer: Layer
    value: Callable[[Real], Real]
    derivative: Callable[[Real], Real]
    value_ulp: float | Callable[[Real], float] = 4
    derivative_ulp: float | Callable[[Real], float] = 8
    terms: Callable[[Real], Real] = lambda x: 0
    kinks: tuple[float, ...] = ()
    takes_complex: bool = True
    share: float = 1.0

    def __str__(self) -> str:
        return repr(self.layer)


def tail_ulp(x: Real) -> float:
    return 4 if x > -0.66 else 7  # the left tail is Cody's P(u) / Q(u), two sums of nine terms


def exponent_ulp(bound: float) -> Callable[[Real], float]:
    return lambda x: bound + 2 * float(min(abs(min(w(x), 0)), 800))  # w is rounded before exp(w)


ROWS = [
    Row(Identity(), lambda x: x, lambda x: mp.mpf(1), value_ulp=0, derivative_ulp=0),
    Row(Sigmoid(), s, lambda x: s(x) * s(-x), value_ulp=3, derivative_ulp=5),
    Row(Tanh(), mp.tanh, lambda x: mp.sech(x) ** 2),
    Row(ReLU(), lambda x: max(x, 0), lambda x: mp.mpf(x > 0), value_ulp=0, derivative_ulp=0, kinks=(0.0,)),
    Row(
        LeakyReLU(),
        lambda x: max(x, 0) + mp.mpf(0.01) * min(x, 0),
        lambda x: mp.mpf(1 if x > 0 else 0.01),
        value_ulp=1,
        derivative_ulp=1,
        kinks=(0.0,),
    ),
    Row(ELU(), lambda x: x if x > 0 else mp.expm1(x), lambda x: mp.exp(min(x, 0))),
    Row(
        ELU(alpha=0.5),
        lambda x: x if x > 0 else mp.expm1(x) / 2,
        lambda x: mp.mpf(1) if x > 0 else mp.exp(x) / 2,
        kinks=(0.0,),
    ),
    Row(
        SELU(),
        lambda x: LAMBDA * (x if x > 0 else ALPHA * mp.expm1(x)),
        lambda x: LAMBDA * (1 if x > 0 else ALPHA * mp.exp(x)),
        kinks=(0.0,),
        share=0.95,
    ),
    Row(CELU(), lambda x: x if x > 0 else mp.expm1(x), lambda x: mp.exp(min(x, 0))),
    Row(
        CELU(alpha=0.3),
        lambda x: x if x > 0 else mp.mpf(0.3) * mp.expm1(x / mp.mpf(0.3)),
        lambda x: mp.exp(min(x, 0) / mp.mpf(0.3)),
        derivative_ulp=lambda x: 8 + 4 * float(min(abs(min(x, 0)), 800)),  # 0.3 and x / 0.3 are rounded before exp
    ),
    Row(Softplus(), lambda x: mp.log1p(mp.exp(x)), s),
    Row(Swish(), lambda x: x * s(x), lambda x: s(x) * (1 + x * s(-x)), terms=lambda x: s(x)),
    Row(Mish(), lambda x: x * tau(x), lambda x: tau(x) + x * mp.sech(mp.log1p(mp.exp(x))) ** 2 * s(x), terms=tau),
    Row(ReLU6(), lambda x: min(max(x, 0), 6), lambda x: mp.mpf(0 < x < 6), 0, 0, kinks=(0.0, 6.0)),
    Row(HardTanh(), lambda x: min(max(x, -1), 1), lambda x: mp.mpf(-1 < x < 1), 0, 0, kinks=(-1.0, 1.0)),
    Row(
        HardSwish(),
        lambda x: x * min(max(x + 3, 0), 6) / 6,
        lambda x: mp.mpf(x > -3) * (min(x + 3, 6) / 6 + x / 6 * (x < 3)),
        terms=lambda x: min(max(x + 3, 0), 6) / 6,
        kinks=(-3.0, 3.0),
    ),
    Row(LogSigmoid(), lambda x: -mp.log1p(mp.exp(-x)), lambda x: s(-x)),
    Row(
        HardSigmoid(),
        lambda x: min(max(x + 3, 0), 6) / 6,
        lambda x: mp.mpf(-3 < x < 3) / 6,
        kinks=(-3.0, 3.0),
    ),
    Row(
        Softsign(),
        lambda x: x / (1 + abs(x)),
        lambda x: 1 / (1 + abs(x)) ** 2,
        takes_complex=False,  # it does, but its complex step is a difference of two numbers close to 1 / |x|
    ),
    Row(
        GELU(),
        lambda x: x * cdf(x),
        lambda x: cdf(x) + x * density(x),
        value_ulp=tail_ulp,
        terms=cdf,
        takes_complex=False,
    ),
    Row(
        GELU(approximate="tanh"),
        lambda x: x * s(w(x)),
        lambda x: s(w(x)) * (1 + x * s(-w(x)) * dw(x)),
        value_ulp=exponent_ulp(4),
        derivative_ulp=exponent_ulp(8),
        terms=lambda x: s(w(x)),
    ),
]
FUNCTIONS = [
    (functions.sigmoid, s, 3),
    (lambda x: functions.sigmoids(x)[0], s, 4),
    (lambda x: functions.sigmoids(x)[1], lambda x: s(-x), 4),
    (functions.softplus, lambda x: mp.log1p(mp.exp(x)), 4),
    (error_function.erf, mp.erf, 4),
    (error_function.normal_cdf, cdf, tail_ulp),
    (error_function.normal_density, density, 4),
]
rows = pytest.mark.parametrize("row", ROWS, ids=str)


def test_every_activation_has_a_row() -> None:
    pages = {module.__name__ for module in (activations, more_activations, rectifiers)}
    formulas = {cls for cls in REGISTRY.values() if cls.__module__ in pages and cls.__name__ in minigrad.__all__}
    compared = {type(row.layer) for row in ROWS} | {Softmax, LogSoftmax, PReLU}
    assert formulas ^ compared == set(), "give it a row in ROWS: its formula in mpmath, and how exact it is"


def grid(dtype: type) -> np.ndarray:
    """The whole range, evenly in the logarithm, and more of it where activations bend and where they end."""
    info = np.finfo(dtype)
    sizes = np.concatenate(
        [
            2.0 ** np.linspace(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)) - 1e-9, 60),
            np.linspace(0.01, 6, 100),
            np.linspace(6, 120, 60),
            np.linspace(120, 760, 30),
            [0.46875, 0.66291, 1.27846, 1.19220, 0.75179, 2.999999, 3],
            [88.7, 709.7, 1000, float(info.max), float(info.smallest_normal)],
        ]
    ).astype(dtype)
    return np.concatenate([sizes, -sizes, [0, -0.0]]).astype(dtype)


def assert_within(got: np.ndarray, x: np.ndarray, truth: Any, bound: Any, terms: Any = lambda x: 0) -> None:
    assert got.dtype == x.dtype and got.shape == x.shape
    for at, value in zip(x.ravel(), got.ravel(), strict=True):
        exact = mp.mpf(float(at))
        assert_close(value, truth(exact), bound(exact) if callable(bound) else bound, terms(exact), f"at {at!r}")


def assert_close(got: np.floating, true: Real, bound: float, terms: Real = 0, where: str = "") -> None:
    info = np.finfo(got.dtype)
    size = max(abs(true), terms)
    error = float(abs(mp.mpf(float(got)) - true))
    if size < float(info.smallest_normal):
        allowed = float(info.smallest_normal)
    else:
        ulp = float(info.eps) * 2.0 ** (mp.frexp(size)[1] - 1)
        allowed = bound * ulp + 4096 * float(info.smallest_subnormal)
    assert error <= allowed, f"{where}: {got!r}, truly {mp.nstr(true, 20)}: {error / allowed:.3g} of the bound"


def assert_row(row: Row, x: np.ndarray) -> None:
    x = x[np.abs(x) <= row.share * np.finfo(x.dtype).max]
    y = row.layer.forward(x)
    dx = row.layer.backward(np.ones_like(x))
    assert_within(y, x, row.value, row.value_ulp)
    assert_within(dx, x, row.derivative, row.derivative_ulp, row.terms)


@rows
@dtypes
def test_an_activation_over_the_whole_range(row: Row, dtype: type) -> None:
    assert_row(row, grid(dtype))


def numbers(width: int) -> st.SearchStrategy[float]:
    return st.floats(-50, 50, width=width) | st.floats(width=width, allow_nan=False, allow_infinity=False)


@rows
@settings(max_examples=settings.default.max_examples // 2)  # of each row
@given(data=st.data())
def test_an_activation_at_any_number(row: Row, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    assert_row(row, np.array(data.draw(st.lists(numbers(np.finfo(dtype).bits), max_size=5)), dtype))


@pytest.mark.parametrize("function, truth, bound", FUNCTIONS)
@dtypes
def test_a_function_over_the_whole_range(function: Any, truth: Any, bound: Any, dtype: type) -> None:
    assert_within(function(grid(dtype)), grid(dtype), truth, bound)


@rows
def test_the_complex_step_is_the_derivative(row: Row) -> None:
    if not row.takes_complex:
        return
    x = np.array([value for value in grid(np.float64) if value not in row.kinks])
    x = x[np.abs(x) <= row.share * np.finfo(np.float64).max]
    row.layer.forward(x)
    dx = row.layer.backward(np.ones_like(x))
    y = row.layer.forward(x + 1e-200j)
    terms = np.array([float(row.terms(mp.mpf(value))) for value in x])
    error = np.abs(y.imag / 1e-200 - dx)
    assert (error <= 1e-12 * np.maximum(np.abs(dx), terms) + 1e-100).all()  # h f' underflows with f' < 1e-108


@pytest.mark.parametrize("function, truth, bound", FUNCTIONS[:4])
def test_the_complex_step_of_a_function(function: Any, truth: Any, bound: Any) -> None:
    x = np.linspace(-30, 30, 61)
    step = mp.mpf(2) ** -100
    slope = [float((truth(mp.mpf(v) + step) - truth(mp.mpf(v) - step)) / (2 * step)) for v in x]
    np.testing.assert_allclose(function(x + 1e-200j).imag / 1e-200, slope, rtol=1e-12)


# ------------------------------------------------------------------------------------------- functions of a row
@st.composite
def vectors(draw: st.DrawFn, share: float = 1.0) -> np.ndarray:
    """A row of numbers between -share and share times the largest: near each other, spread out, or anything."""
    dtype = draw(st.sampled_from(DTYPES))
    width, largest = np.finfo(dtype).bits, float(np.finfo(dtype).max) * share
    anything = st.floats(-largest, largest, width=width)
    values = draw(
        st.lists(st.floats(-3, 3, width=width) | st.floats(-120, 120, width=width) | anything, min_size=1, max_size=6)
    )
    return np.array([values], dtype)


def exact(z: np.ndarray) -> tuple[list[Real], list[Real], list[Real], int]:
    """z, z - max z and exp(z - max z) of the one row, and the index of the largest."""
    numbers = [mp.mpf(float(v)) for v in z[0]]
    top = int(np.argmax(z[0]))
    below = [v - numbers[top] for v in numbers]
    return numbers, below, [mp.exp(max(d, -5000)) for d in below], top


def distance_ulp(bound: float, distance: Real) -> float:
    """z - max z is rounded before exp: up to |z - max z| / 2 epsilons, of which a number's ulp may be the half."""
    return bound + float(min(abs(distance), 1000))


@given(vectors())
def test_softmax_is_right_within_the_rounding_of_its_exponents(z: np.ndarray) -> None:
    _, below, e, _ = exact(z)
    y = functions.softmax(z)
    assert y.dtype == z.dtype
    for got, d, term in zip(y[0], below, e, strict=True):
        assert_close(got, term / mp.fsum(e), distance_ulp(4, d))


@given(vectors())
def test_log_sum_exp(z: np.ndarray) -> None:
    numbers, below, e, top = exact(z)
    others = mp.fsum(e[:top] + e[top + 1 :])
    nearest = min((abs(d) for d in below[:top] + below[top + 1 :]), default=0)
    got = functions.log_sum_exp(z)
    assert got.shape == (1, 1) and got.dtype == z.dtype
    assert_close(got[0, 0], numbers[top] + mp.log1p(others), distance_ulp(4, nearest), abs(numbers[top]))


@given(vectors(share=0.5))
def test_log_softmax_keeps_the_digits_of_a_probability_close_to_one(z: np.ndarray) -> None:
    _, below, e, top = exact(z)
    rest = mp.log1p(mp.fsum(e[:top] + e[top + 1 :]))
    nearest = min((abs(d) for d in below[:top] + below[top + 1 :]), default=0)
    got = functions.log_softmax(z)
    assert got.dtype == z.dtype
    for value, d in zip(got[0], below, strict=True):
        assert_close(value, d - rest, distance_ulp(4, nearest))


@given(vectors(), st.integers(0, 2**32 - 1))
def test_the_derivative_of_softmax(z: np.ndarray, seed: int) -> None:
    _, below, e, _ = exact(z)
    total = mp.fsum(e)
    dy = np.random.default_rng(seed).standard_normal(z.shape).astype(z.dtype)
    layer = Softmax()
    layer.forward(z)
    dx = layer.backward(dy)
    weights = [mp.mpf(float(g)) for g in dy[0]]
    mean = mp.fsum(g * term / total for g, term in zip(weights, e, strict=True))
    size = mp.fsum(abs(g) * term / total for g, term in zip(weights, e, strict=True))
    for got, g, d, term in zip(dx[0], weights, below, e, strict=True):
        y = term / total
        assert_close(got, y * (g - mean), distance_ulp(8, d), y * (abs(g) + size))


@given(vectors(), st.integers(0, 2**32 - 1))
def test_the_derivative_of_log_softmax(z: np.ndarray, seed: int) -> None:
    _, below, e, _ = exact(z)
    total = mp.fsum(e)
    dy = np.random.default_rng(seed).standard_normal(z.shape).astype(z.dtype)
    layer = LogSoftmax()
    layer.forward(z)
    dx = layer.backward(dy)
    weights = [mp.mpf(float(g)) for g in dy[0]]
    share, size = mp.fsum(weights) / total, mp.fsum(map(abs, weights)) / total
    for got, g, d, term in zip(dx[0], weights, below, e, strict=True):
        assert_close(got, g - term * share, distance_ulp(8, d), abs(g) + term * size)


@pytest.mark.parametrize("function", [functions.softmax, functions.log_softmax, functions.log_sum_exp])
def test_the_complex_step_through_softmax_and_log_sum_exp(function: Any) -> None:
    z = np.random.default_rng(0).normal(0, 5, (3, 4))
    z[1, 2] = z[1, 0] = 9.0  # two largest
    y = functions.softmax(z)
    for j in range(4):
        unit = np.eye(4)[j]
        slope = {
            functions.softmax: y * (unit - y[:, j : j + 1]),
            functions.log_softmax: unit - y[:, j : j + 1],
            functions.log_sum_exp: y[:, j : j + 1],
        }[function]
        np.testing.assert_allclose(function(z + 1e-200j * unit).imag / 1e-200, slope, rtol=1e-12, atol=1e-15)


def test_softmax_and_log_sum_exp_at_the_ends_of_the_range() -> None:
    for dtype in DTYPES:
        largest = np.finfo(dtype).max
        z = np.array([[largest, -largest], [-largest, -largest], [-largest, np.nextafter(-largest, dtype(0))]], dtype)
        np.testing.assert_array_equal(functions.softmax(z), np.array([[1, 0], [0.5, 0.5], [0, 1]], dtype))
        np.testing.assert_array_equal(functions.log_sum_exp(z), z.max(axis=1, keepdims=True))


# ------------------------------------------------------------------------------------------- what every one promises
LAYERS = [row.layer for row in ROWS] + [Softmax(), LogSoftmax()]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=repr)
ON_ARRAYS = [
    functions.exp_minus,
    functions.sigmoid,
    functions.softplus,
    functions.softmax,
    functions.log_softmax,
    functions.log_sum_exp,
    error_function.erf,
    error_function.normal_cdf,
    error_function.normal_density,
]
every_function = pytest.mark.parametrize("function", ON_ARRAYS, ids=lambda function: function.__name__)


class Recorded(NDArrayOperatorsMixin):
    """An array of which only ufuncs, operators, dtype, shape, sum and max can be had, as of a recorder's."""

    __slots__ = ("array",)
    dtype = property(lambda self: self.array.dtype)
    shape = property(lambda self: self.array.shape)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        raw = [value.array if isinstance(value, Recorded) else value for value in inputs]
        return Recorded(getattr(ufunc, method)(*raw, **options))

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError("the values of a recorded array are not there to be read")

    def __bool__(self) -> bool:
        raise TypeError("a recorded array has no truth")

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.add.reduce(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.maximum.reduce(self, axis=axis, keepdims=keepdims)


@every_layer
@dtypes
def test_an_activation_can_be_recorded(layer: Layer, dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.normal(0, 3, (4, 5)).astype(dtype), rng.normal(0, 1, (4, 5)).astype(dtype)
    y, dx = layer.forward(x), layer.backward(dy)
    recorded: Any = Recorded
    np.testing.assert_array_equal(layer.forward(recorded(x)).array, y)
    np.testing.assert_array_equal(layer.backward(recorded(dy)).array, dx)


@every_function
@dtypes
def test_a_function_can_be_recorded(function: Any, dtype: type) -> None:
    x = np.random.default_rng(0).normal(0, 3, (4, 5)).astype(dtype)
    np.testing.assert_array_equal(function(Recorded(x)).array, function(x))


@every_layer
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8])
def test_an_activation_counts_integers_as_float64(layer: Layer, dtype: type) -> None:
    x = np.array([[0, 1, 100, 3]], dtype)
    dy = np.array([[1.0, 2.0, -1.0, 3.0]])
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x.astype(np.float64)))
    if not isinstance(layer, ReLU | Identity):
        assert layer.forward(x).dtype == np.float64
    dx = layer.backward(dy)
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(dy), dx)


def test_gelu_refuses_another_form() -> None:
    with pytest.raises(ValueError, match=r"approximate='fast'.*\"none\" or \"tanh\""):
        GELU(approximate="fast")  # type: ignore[arg-type]

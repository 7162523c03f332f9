"""A layer that writes no backward: it has the one that follows from its forward, and is like any other."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from minigrad import (
    GRU,
    LSTM,
    SGD,
    Adam,
    Dense,
    Flatten,
    Layer,
    MeanSquaredError,
    Objective,
    Residual,
    Sequential,
    load,
    parameter,
    state,
)
from minigrad.derivation import DerivationError, gradients
from minigrad.derivation.rules import CONSTANT, RULES
from minigrad.derivation.trace import Trace
from minigrad.parameter import walk
from minigrad.programs.tracing.arrays import TracingArray
from minigrad.testing import GradientError, check_layer
from minigrad.testing.bench.first_input import find_input
from minigrad.testing.bench.subject import Subject
from minigrad.testing.strategies import layer_classes, layers_of
from tests.derivation.forwards import (
    LAYERS,
    STEPS,
    TABLE,
    Filling,
    Gated,
    Keeping,
    Noisy,
    Norm,
    Plain,
    RunningNorm,
    Silu,
    StepByStep,
)


@pytest.mark.parametrize("cls", layer_classes(), ids=lambda cls: cls.__name__)
@settings(max_examples=settings.default.max_examples // 4)
@given(data=st.data())
def test_for_each_layer_of_the_package_it_equals_the_one_that_is_written(cls, data):
    layer = data.draw(layers_of(cls))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    with np.errstate(all="ignore"):
        x = find_input(Subject(layer), rng)
    for inner in walk([layer]):
        for array in inner.params.values():
            array[...] = array + 0.1 * rng.standard_normal(array.shape)
    trained = copy.deepcopy(layer)
    dy = rng.standard_normal(trained.forward(x).shape)
    written = [trained.backward(dy), *(array for inner in walk([trained]) for array in inner.grads.values())]
    for derived, expected in zip(gradients(layer, x, dy), written, strict=True):
        if expected is None:
            assert derived is None
            continue
        assert derived.shape == expected.shape
        largest = np.abs(expected).max(initial=0.0)
        np.testing.assert_allclose(derived, expected, rtol=0, atol=1e-12 * max(largest, 1e-3))


@pytest.mark.parametrize("cls", [LSTM, GRU], ids=lambda cls: cls.__name__)
def test_through_time_it_equals_the_one_that_is_written(cls):
    written = cls(4, 3, return_sequences=True, seed=0)
    plain = StepByStep(written)
    dy = np.random.default_rng(0).normal(size=written.forward(STEPS).shape)
    plain.forward(STEPS)
    np.testing.assert_allclose(plain.backward(dy), written.backward(dy), rtol=0, atol=1e-13)
    for name, array in written.grads.items():
        np.testing.assert_allclose(plain.grads[name], array, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_it_keeps_the_contract(name):
    make, x = LAYERS[name]
    check_layer(make(), x)


# ---------------------------------------------------------------------------------------------------------- functions
class Of(Layer):
    """y = f(x, w), for any f."""

    w, dw = parameter()

    def __init__(self, f, w):
        self.f = f
        self.w = w

    def forward(self, x):
        return self.f(x, self.w)


NEAR = TABLE * 0.4
SMALL = np.array([0.3, -0.2, 0.5, 0.7])
SQUARE = np.random.default_rng(5).normal(size=(4, 4))
FUNCTIONS = {  # by the name of their rules: f(x, w), w
    "add": (lambda x, w: x + w + 1, SMALL),
    "subtract": (lambda x, w: (x - w) * (2 - x), SMALL),
    "multiply": (lambda x, w: x * w * x, SMALL),
    "divide": (lambda x, w: (x / (w + 2)) / (x * x + 1), SMALL),
    "negative": (lambda x, w: -x * w, SMALL),
    "positive": (lambda x, w: +x * w, SMALL),
    "reciprocal": (lambda x, w: np.reciprocal(x * x + w * w + 1), SMALL),
    "square": (lambda x, w: np.square(x) * w, SMALL),
    "sqrt": (lambda x, w: np.sqrt(x * x + w * w + 1), SMALL),
    "cbrt": (lambda x, w: np.cbrt(x * x + w * w + 1), SMALL),
    "power": (lambda x, w: (x * x + 1) ** w + (x * x + 1) ** 1.5 + w**2, SMALL),
    "scalar_power": (lambda x, w: x * (w * w).sum() ** 1.5, SMALL),
    "exp": (lambda x, w: np.exp(0.3 * np.tanh(x * w)), SMALL),
    "exp2": (lambda x, w: np.exp2(np.tanh(x * w)), SMALL),
    "expm1": (lambda x, w: np.expm1(np.tanh(x * w)), SMALL),
    "log": (lambda x, w: np.log(x * x + w * w + 1), SMALL),
    "log2": (lambda x, w: np.log2(x * x + w * w + 1), SMALL),
    "log10": (lambda x, w: np.log10(x * x + w * w + 1), SMALL),
    "log1p": (lambda x, w: np.log1p(x * x + w * w), SMALL),
    "logaddexp": (lambda x, w: np.logaddexp(x, w), SMALL),
    "sin": (lambda x, w: np.sin(x) * w, SMALL),
    "cos": (lambda x, w: np.cos(x) * w, SMALL),
    "tan": (lambda x, w: np.tan(np.tanh(x * w)), SMALL),
    "sinh": (lambda x, w: np.sinh(np.tanh(x * w)), SMALL),
    "cosh": (lambda x, w: np.cosh(np.tanh(x * w)), SMALL),
    "tanh": (lambda x, w: np.tanh(x * w), SMALL),
    "arcsin": (lambda x, w: np.arcsin(0.5 * np.tanh(x * w)), SMALL),
    "arccos": (lambda x, w: np.arccos(0.5 * np.tanh(x * w)), SMALL),
    "arctan": (lambda x, w: np.arctan(x * w), SMALL),
    "arcsinh": (lambda x, w: np.arcsinh(x * w), SMALL),
    "arctanh": (lambda x, w: np.arctanh(0.5 * np.tanh(x * w)), SMALL),
    "arctan2": (lambda x, w: np.arctan2(x, w * w + 1), SMALL),
    "hypot": (lambda x, w: np.hypot(x, w * w + 1), SMALL),
    "absolute": (lambda x, w: np.abs(x) * w, SMALL),
    "fabs": (lambda x, w: np.fabs(x) * w, SMALL),
    "copysign": (lambda x, w: np.copysign(x * w, x), SMALL),
    "heaviside": (lambda x, w: np.heaviside(np.maximum(x, 0), w) * x, SMALL),
    "maximum": (lambda x, w: np.maximum(x, w), SMALL),
    "minimum": (lambda x, w: np.minimum(x, w), SMALL),
    "fmax": (lambda x, w: np.fmax(x, w), SMALL),
    "fmin": (lambda x, w: np.fmin(w, x), SMALL),
    "matmul": (lambda x, w: x @ w + x @ w[0, :, None] + (w[0] @ x.T)[:, None], SQUARE),
    "dot": (lambda x, w: x.dot(w) + np.dot(x, w[0])[:, None], SQUARE),
    "vecdot": (lambda x, w: np.vecdot(x, w) * x[:, 0], SMALL),
    "einsum": (lambda x, w: np.einsum("bi,io,k->bo", x, w, w[0]), SQUARE),
    "add.reduce": (lambda x, w: x.sum(axis=-1, keepdims=True) * w + w.sum(), SMALL),
    "sum": (lambda x, w: np.sum(x * w, axis=1) * np.sum(w), SMALL),
    "mean": (lambda x, w: (x * w).mean(axis=-1) * w.mean(), SMALL),
    "var": (lambda x, w: (x * w).var(axis=-1, keepdims=True) + np.var(w) * x, SMALL),
    "std": (lambda x, w: (x * w).std(axis=-1, ddof=1, keepdims=True) * x, SMALL),
    "norm": (lambda x, w: np.linalg.norm(x * w, axis=1, keepdims=True) * x, SMALL),
    "maximum.reduce": (lambda x, w: (x * w).max(axis=-1), SMALL),
    "minimum.reduce": (lambda x, w: (x + w).min(axis=-1, keepdims=True) * w, SMALL),
    "max": (lambda x, w: np.max(x * w, axis=-1), SMALL),
    "min": (lambda x, w: np.min(x * w, axis=-1), SMALL),
    "amax": (lambda x, w: np.amax(x * w, axis=-1), SMALL),
    "amin": (lambda x, w: np.amin(x * w, axis=-1), SMALL),
    "add.accumulate": (lambda x, w: np.add.accumulate(x * w, axis=1), SMALL),
    "cumsum": (lambda x, w: np.cumsum(x, axis=-1) * np.cumsum(w), SMALL),
    "where": (lambda x, w: np.where(x > 0, x * w, 2 * w * x), SMALL),
    "concatenate": (lambda x, w: np.concatenate([x * w, x[:, :2], x], axis=-1), SMALL),
    "stack": (lambda x, w: np.stack([x * w, x], axis=-1), SMALL),
    "pad": (lambda x, w: np.pad(x * w, [(0, 0), (1, 2)]), SMALL),
    "clip": (lambda x, w: np.clip(x, -0.7, 0.8) * w + np.clip(x * w, min=w - 0.4) + x.clip(max=w), SMALL),
    "full_like": (lambda x, w: np.full_like(x, w) * np.full_like(x, w[1]) * x, SMALL),
    "repeat": (lambda x, w: np.repeat(x * w, 2, axis=1), SMALL),
    "roll": (lambda x, w: np.roll(x, 1, axis=1) * w, SMALL),
    "tril": (lambda x, w: x @ np.tril(w), SQUARE),
    "triu": (lambda x, w: x @ np.triu(w, 1), SQUARE),
    "copy": (lambda x, w: x.copy() * w, SMALL),
    "astype": (lambda x, w: x.astype(x.dtype) * w, SMALL),
    "nan_to_num": (lambda x, w: np.nan_to_num(x) * w, SMALL),
    "reshape": (
        lambda x, w: x.T.reshape(4, len(x)).T * w + x.reshape(len(x), 2, 2).transpose(0, 2, 1).reshape(-1, 4),
        SMALL,
    ),
    "ravel": (lambda x, w: x * w.reshape(2, 2).T.ravel(), SMALL),
    "flatten": (lambda x, w: x * w.flatten(), SMALL),
    "getitem": (lambda x, w: x[:, [0, 0, 3]] * x[..., 1:] + w[[1, 1, 2]], SMALL),
    "take": (lambda x, w: np.take(x, [0, 2, 2], axis=1) * w[0], SMALL),
}
NOT_BY_A_LAYER = {"copyto", "erf", "expit"}
"""Names under which NumPy has a function that stands here under another one, and functions of SciPy."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_derivative(name):
    f, w = FUNCTIONS[name]
    layer = Of(f, w)
    for rows in (len(NEAR), 1, 0):
        agrees_with_differences(layer, NEAR[:rows].copy())


def agrees_with_differences(layer, x, h=1e-6):
    """Each number of dx and dw is what central differences say."""
    y = layer.forward(x)
    dy = np.random.default_rng(0).normal(size=y.shape)
    for array, derived in ((x, layer.backward(dy)), (layer.w, layer.dw)):
        assert derived.shape == array.shape
        for i in np.ndindex(array.shape):
            before, values = array[i], []
            for step in (h, -h):
                array[i] = before + step
                values.append((layer.predict(x) * dy).sum())
            array[i] = before
            assert derived[i] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6, abs=1e-7)


def test_each_rule_has_an_example():
    assert set(RULES) - NOT_BY_A_LAYER == set(FUNCTIONS)
    assert not set(RULES) & CONSTANT


def odd(a):
    return (1 - np.exp(-2 * np.fabs(a))) * np.sign(a)


ODD = {
    "a product": lambda x: np.sign(x) * np.log1p(np.abs(x)),
    "of another array": lambda x: odd(2 * x[:, ::-1]),
    "copysign": lambda x: np.copysign(np.tanh(np.abs(x)), x),
    "of two": lambda x: np.sign(x) * (np.sqrt(1 + np.abs(x)) - 1 / (1 + abs(x))) * 3,
}


@pytest.mark.parametrize("name", ODD)
def test_where_two_pieces_meet_in_one_slope_that_is_the_derivative(name):
    x = np.concatenate([np.zeros((1, 4)), TABLE])

    layer = Of(lambda x, w: ODD[name](x) * w, SMALL)
    agrees_with_differences(layer, x, h=1e-7)
    layer.forward(x)
    assert (layer.backward(np.ones_like(x))[0] != 0).all()


def test_the_checker_does_not_speak_of_a_backward_that_nobody_wrote():
    class Meets(Layer):
        def forward(self, x):
            return np.maximum(x, 0) - np.maximum(-x, 0)

    with pytest.raises(GradientError, match="likely bug: no backward is written, and the one derived from forward has"):
        check_layer(Meets())


VIEWS = {
    "slices": lambda x: x[:, 1:] * x[:, :3] + x[::-1, ::2][:, :1],
    "the same part twice": lambda x: x[:, :2] * x[:, :2] + x[:, 1:3],
    "one element": lambda x: x * x[0, 0],
    "a new axis": lambda x: x[:, None] * x[..., None],
    "swapped": lambda x: np.swapaxes(x, 0, 1).T * x,
    "moved": lambda x: np.moveaxis(x[:, :, None], 1, 2)[:, 0] * x,
    "permuted": lambda x: x.reshape(len(x), 2, 2).transpose(2, 0, 1)[0] * x[:, :2],
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape) * x,
    "flipped": lambda x: np.flip(x, 1) * x,
    "squeezed": lambda x: np.squeeze(x[:, None]) * np.expand_dims(x, 0)[0],
    "split": lambda x: np.prod(np.shape(x)) * np.split(x, 2, axis=1)[1] * np.split(x, 2, axis=1)[0],
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1).sum(axis=-1) * x[:, 1:],
    "broadcast together": lambda x: (lambda a, b: a * b)(*np.broadcast_arrays(x[:, :1], 2 * x)),
    "unstacked": lambda x: np.unstack(x, axis=1)[1] * np.unstack(x)[0],
    "the diagonal": lambda x: x * np.diagonal(x[:4, :4] * 2).sum(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_has_its_derivative(name):
    agrees_with_differences(Of(lambda x, w: VIEWS[name](x) * w[0], SMALL), TABLE[:4].copy())


# -------------------------------------------------------------------------------------------------------- in training
def network():
    layers = [Keeping(4, 6), Silu(), Norm(6), Gated(6), RunningNorm(6), Noisy(0.2), Residual(Plain(6, 6)), Dense(6, 2)]
    return Sequential(layers, seed=0)


def test_steps_that_fill_an_array_are_recorded_bit_for_bit():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(12, 3, 4)).astype(np.float32), rng.normal(size=(12, 12)).astype(np.float32)
    thetas = []
    for steps in (0, 10**9):
        model = Sequential([Dense(4, 4), Filling(4), Flatten()], input_shape=(3, 4), seed=0)
        model.steps_by_hand = steps
        assert model.program(MeanSquaredError(), Adam(0.01), batch_size=4).opaque == {}
        model.fit(x, t, loss=MeanSquaredError(), optimizer=Adam(0.01), epochs=3, batch_size=4)
        thetas.append(model.theta)
    assert np.array_equal(*thetas)


def test_fit_records_it_like_any_other_bit_for_bit():
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    t = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    model, plain = network(), network()
    model.steps_by_hand = 2
    model.fit(x, t, loss=MeanSquaredError(), optimizer=Adam(0.01), epochs=6, batch_size=8, shuffle=False)
    [program] = model._programs.made
    assert program.opaque == {}
    objective, optimizer = Objective(plain, MeanSquaredError()), Adam(0.01)
    for _ in range(6):
        for start in range(0, 40, 8):
            objective.gradient(x[start : start + 8], t[start : start + 8])
            optimizer.step(plain.theta, plain.dtheta)
    assert np.array_equal(model.theta, plain.theta)
    assert np.array_equal(model[4].scale, plain[4].scale)


def test_it_is_saved_copied_and_pickled_without_what_it_keeps(tmp_path):
    model = network()
    x = np.random.default_rng(9).normal(size=(7, 4)).astype(np.float32)
    model.backward(np.ones_like(model.forward(x)))
    model.save(tmp_path / "model.safetensors")
    for other in (load(tmp_path / "model.safetensors"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(x), model.predict(x))
        assert not hasattr(other[1], "_kept")
    assert x.tobytes() not in pickle.dumps(model)


def test_prediction_keeps_nothing():
    layer = Silu()
    dy = np.ones_like(TABLE)
    layer.forward(TABLE)
    expected = layer.backward(dy)
    layer.predict(2 * TABLE)
    assert np.array_equal(layer.backward(dy), expected)


def test_a_backward_that_a_subclass_or_somebody_later_writes_is_the_one():
    class Doubled(Plain):
        def backward(self, dy):
            return 2 * dy

    class Later(Plain):
        pass

    layer = Doubled(4, 4)
    layer.forward(TABLE)
    assert np.array_equal(layer.backward(TABLE), 2 * TABLE) and not hasattr(layer, "_kept")
    Later.backward = Doubled.backward
    layer = Later(4, 4)
    layer.forward(TABLE)
    assert np.array_equal(layer.backward(TABLE), 2 * TABLE)


# ------------------------------------------------------------------------------------------------------------ refusals
EARLIER = TracingArray(np.ones(4), Trace())


class Decides(Layer):
    def forward(self, x):
        if x.mean() > 0:  # the line
            return 2 * x
        return x


class WritesInPlace(Layer):
    def forward(self, x):
        y = 2 * x
        y += 1  # the line
        return y


class WritesAPartTwice(Layer):
    def forward(self, x):
        y = np.zeros_like(x)
        y[:, 0] = x[:, 1]
        y[:, :2] = x[:, 2:4] * x[:, :2]  # the line
        return y


class WritesWhatItHasRead(Layer):
    def forward(self, x):
        y = np.zeros_like(x)
        y[:, 0] = x[:, 1]
        z = y[:, :1] * y[:, :1]
        y[:, 0] += x[:, 2]  # the line
        return y + z


class ReadsAViewFromBefore(Layer):
    def forward(self, x):
        y = np.zeros_like(x)
        part = y[:, :]
        y[:, 0] = x[:, 1]
        return x * part  # the line


class WritesIntoPlain(Layer):
    def forward(self, x):
        y = np.zeros(x.shape)
        y[:, 0] = x[:, 1]  # the line
        return y


class WritesLater(Layer):
    def forward(self, x):
        m = np.zeros_like(x)
        y = x * m
        m[...] = 1  # the line
        return y


class WritesIntoIntegers(Layer):
    def forward(self, x):
        y = np.zeros_like(x, dtype=int)
        y[:, 0] = x[:, 1]  # the line
        return x * y


class LooksAtBits(Layer):
    def forward(self, x):
        return x.view(np.uint64) * x  # the line


class ThroughComplexNumbers(Layer):
    def forward(self, x):
        return np.abs(np.fft.fft(x))  # the line


class ThroughObjects(Layer):
    def forward(self, x):
        return x.astype(object) * x  # the line


class UsesAnEarlierForward(Layer):
    def forward(self, x):
        return EARLIER * x  # the line


class ReadsWhatItWrote(Layer):
    m = state()

    def __init__(self):
        self.m = 0.0

    def forward(self, x):
        self.m = x.mean()
        return x - self.m  # the line


class Sorts(Layer):
    def forward(self, x):
        return np.sort(x, axis=-1)  # the line


class Converts(Layer):
    def forward(self, x):
        return x * float(x.max())  # the line


REFUSED = {
    Decides: "a decision depends on the values of an array",
    WritesInPlace: "it writes into an array in place; make a new one",
    WritesAPartTwice: "it writes into an array in place; make a new one",
    WritesWhatItHasRead: "it writes into an array in place; make a new one",
    ReadsAViewFromBefore: "it reads a view from before it wrote there; look at the array again",
    WritesIntoPlain: "an array is handed to code that takes plain arrays only",
    WritesLater: "it writes into an array that it has used before; make a new one",
    WritesIntoIntegers: "it writes what depends on x or a parameter into an array of int64",
    LooksAtBits: "it looks at float64 numbers as uint64; write astype",
    ThroughComplexNumbers: "fft makes complex numbers, which have no derivative here",
    ThroughObjects: "astype makes object numbers, which have no derivative here",
    UsesAnEarlierForward: "it uses an array of an earlier forward, kept elsewhere than in an attribute",
    ReadsWhatItWrote: "it reads a state that it has written",
    Sorts: "sort has no derivative here",
    Converts: "a decision depends on the values of an array",
}


@pytest.mark.parametrize("cls", REFUSED, ids=lambda cls: cls.__name__)
def test_what_has_no_derivative_is_refused_with_the_line(cls):
    layer, plain = cls(), np.abs(TABLE)
    y = layer.forward(plain)  # which runs all the same
    assert y.shape == TABLE.shape
    with pytest.raises(DerivationError) as refused:
        layer.backward(np.ones_like(y))
    message = str(refused.value)
    assert message.startswith(f"{layer!r} has no backward, and none can be derived from its forward: line ")
    assert REFUSED[cls] in message and "of test_running.py, `" in message and "# the line`" in message


def test_a_forward_that_catches_the_refusal_is_refused():
    class Catches(Layer):
        def forward(self, x):
            try:
                return x * float(x.max())
            except TypeError:
                return 2 * x

    layer = Catches()
    assert np.array_equal(layer.forward(TABLE), TABLE * TABLE.max())
    with pytest.raises(DerivationError, match="it catches an error that it meets only here"):
        layer.backward(TABLE)


def test_a_tuple_in_an_index_writes_and_reads_like_a_list():
    class Writes(Layer):
        def forward(self, x):
            m = np.zeros_like(x)
            m[:, (0, 2)] = 1
            return m * x + x[:, (1,)]

    layer = Writes()
    assert np.array_equal(layer.forward(TABLE), TABLE * [1, 0, 1, 0] + TABLE[:, 1:2])
    np.testing.assert_allclose(layer.backward(TABLE), TABLE * [1, 0, 1, 0] + np.eye(4)[1] * TABLE.sum(axis=1)[:, None])


def test_a_forward_that_is_refused_runs_once():
    class Counts(Layer):
        rng = state()
        n = 0

        def __init__(self):
            self.rng = np.random.default_rng(0)

        def forward(self, x):
            self.n += 1
            y = x + self.rng.random(x.shape)
            y += 1
            return y

    layer = Counts()
    expected = TABLE + np.random.default_rng(0).random(TABLE.shape) + 1
    assert np.array_equal(layer.forward(TABLE), expected) and layer.n == 1


def test_without_a_forward_before_it_or_with_another_shape_it_says_so():
    with pytest.raises(AttributeError, match=r"call forward\(x\) before backward"):
        Silu().backward(TABLE)
    layer = Plain(4, 3)
    layer.forward(TABLE)
    with pytest.raises(ValueError, match=r"dy has the shape \(5, 4\), y of its latest forward \(5, 3\)"):
        layer.backward(TABLE)


def test_fit_names_the_layer_that_has_no_backward():
    model = Sequential([Dense(4, 4), WritesInPlace(), Dense(4, 1)])
    with pytest.raises(DerivationError, match="y \\+= 1"):
        model.fit(STEPS[:, 0], STEPS[:, 0, :1], loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1)

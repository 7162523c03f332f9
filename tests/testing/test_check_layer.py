"""`check_layer`: it catches every planted bug, names it, says where it is, and never flags what is right."""

import collections
import contextlib
import copy
import pickle

import numpy as np
import pytest
import tblib.pickling_support

from minigrad import GRU, LSTM, BatchNorm, Dense, LeakyReLU, Sequential, Softmax, Tanh
from minigrad.blas_threads import blas_threads
from minigrad.layer import Layer
from minigrad.parameter import parameter
from minigrad.testing import GradientError, check_layer
from minigrad.testing.contract import check
from minigrad.testing.rules.values import single_precision
from tests.planted import independent_layers, refused_layers
from tests.planted.tricky_layers import LAYERS
from tests.planted.wrong_layers import BUGS

RIGHT = LAYERS | independent_layers.LAYERS | refused_layers.LAYERS
DIAGNOSES = [
    "sign flipped",
    "by exactly the batch size",
    "transposed",
    "factor of two",
    "not summed over the batch",
    "never filled in",
    "instead of the",
    "square shapes only",
    "batch size 1 only",
    "where the input is large",
    "where the input is negative",
    "stale cache",
    "overwritten in place",
]


def caught(make):
    with pytest.raises(GradientError) as caught:
        check_layer(make())
    return caught.value


@pytest.mark.parametrize("name", BUGS)
def test_check_layer_catches_and_names_a_planted_bug(name):
    make, words = BUGS[name]
    error = caught(make)
    assert words in error.diagnosis if words else not error.diagnosis
    assert error.rule in str(error) and error.diagnosis in str(error)
    assert error.report.findings[-1].verdict == "broken"


def test_the_planted_bugs_show_every_diagnosis_twice():
    assert len(BUGS) >= 36
    assert sum(bool(words) for _, words in BUGS.values()) >= 30
    times = collections.Counter(
        d for d in DIAGNOSES for _, words in BUGS.values() if d in words or (words in d and words)
    )
    assert all(times[diagnosis] >= 2 for diagnosis in DIAGNOSES), times


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("name", RIGHT)
def test_check_layer_gives_no_false_alarm(name, seed):
    layer, x = RIGHT[name]()
    check_layer(layer, x, seed=seed)


@pytest.mark.parametrize("name", refused_layers.WRONG)
def test_what_a_layer_returns_now_and_then_is_told_in_words(name):
    make, words = refused_layers.WRONG[name]
    assert words in str(caught(make))


@pytest.mark.parametrize(
    "x, words",
    [
        ([[1e-320, 0]], "about 1e-320, whose squares float64 can't hold"),
        ([[1e160, 1]], "whose squares float32 can't hold"),
        ([[0, np.nan]], r"x\[0, 1\] is nan"),
        ([["a", "b"]], "x is to hold numbers"),
    ],
)
def test_an_x_that_says_nothing_is_refused(x, words):
    with pytest.raises(ValueError, match=words):
        check_layer(Tanh(), np.array(x))


def test_equal_numbers_that_are_sorted_are_no_false_alarm():
    for seed in (0, 24):  # they were
        check(refused_layers.Sorted(), np.zeros((3, 3)), seed, only_here=True)


def test_a_saturated_softmax_has_no_gradient_but_rounding():
    check(Softmax(), np.array([[0.0, 40.0, 0.0]]), only_here=True)


def test_beside_large_numbers_a_kink_close_by_may_not_be_seen():
    x = np.array([[0, 1e-12, 0], [0, 40.0, 0], [0, 0, 1.0], [1, 1, 1.0]])
    check(LeakyReLU(slope=0.0), x, only_here=True)


@pytest.mark.parametrize("seed", [17])
def test_where_numbers_are_equal_enough_neighbours_are_looked_at(seed):
    layer, x = LAYERS["Median"]()
    check_layer(layer, np.ones_like(x) if x is not None else np.ones((6, 3)), seed=seed)


@pytest.mark.parametrize("name", independent_layers.BUGS)
def test_check_layer_catches_a_bug_of_another_kind(name):
    caught(independent_layers.BUGS[name])


def test_a_gradient_error_says_where_and_can_be_pickled():
    error = caught(BUGS["AveragedWeights"][0])
    assert error.parameter == "W" and error.right
    assert len(error.index) == 2
    assert error.analytic * 5 == pytest.approx(error.numeric)
    assert "the first input" in error.situation
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    tblib.pickling_support.install()  # as Dask does: what an error came of is sent along
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_single_number_as_parameter_is_called_by_its_name():
    class Shift(Layer):
        b, db = parameter()

        def __init__(self):
            self.b = 0.0

        def forward(self, x):
            return x + self.b

        def backward(self, dy):
            self.db = dy.mean()
            return dy

    with pytest.raises(GradientError, match=r"the gradient of b is "):
        check_layer(Shift())


def test_check_layer_leaves_the_layer_alone():
    layer = Dense(3, 2, seed=0)
    layer.forward(np.ones((2, 3)))
    kept = copy.deepcopy(vars(layer))
    check_layer(layer)
    assert vars(layer).keys() == kept.keys()
    for name, value in kept.items():
        assert np.array_equal(vars(layer)[name], value)


def test_products_use_one_thread_of_blas_and_have_theirs_back(several_blas_threads):
    before, seen = blas_threads(), []

    class Noting(Dense):
        def predict(self, x):
            seen.append(blas_threads())
            return super().predict(x)

    check_layer(Noting(3, 2))
    assert seen and set(seen) == {1}
    assert blas_threads() == before


def test_check_layer_takes_a_model_and_a_layer_of_one():
    model = Sequential([Dense(3, 4), Tanh(), Dense(4, 2)])
    check_layer(model[0])
    check_layer(model)
    assert model.dtype == np.float32


def test_check_layer_notes_rows_that_depend_on_each_other():
    layer, x = LAYERS["BatchCentered"]()
    assert any("not independent" in note for note in check_layer(layer, x).notes)
    layer, x = LAYERS["ReLU"]()
    assert not any("not independent" in note for note in check_layer(layer, x).notes)


def test_what_saturates_before_a_norm_is_no_false_alarm():
    check_layer(
        Sequential([LSTM(3, 4), BatchNorm(4), Dense(4, 3)], seed=0), np.random.default_rng(0).normal(size=(6, 5, 3))
    )


class AllButThirty(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy * (np.arange(len(dy)) % 99 != 30)[:, None]


def test_all_rows_of_a_large_x_are_proved():
    with pytest.raises(GradientError) as caught:
        check_layer(AllButThirty(), np.random.default_rng(0).normal(size=(40, 500)))
    assert caught.value.index[0] == 30
    check_layer(Tanh(), np.random.default_rng(0).normal(size=(40, 500)))


class Counting(Layer):
    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * min(self.calls / 3, 1.0)

    def backward(self, dy):
        return dy


class Switched(Layer):
    """predict leaves a flag that forward reads"""

    training = True

    def forward(self, x):
        self.slope = 2.0 if self.training else 1.0
        return x * self.slope

    def predict(self, x):
        self.training = False
        return 2.0 * x

    def backward(self, dy):
        return dy * self.slope


class Behind(Layer):
    """W's transpose is taken once, in __init__"""

    W, dW = parameter()

    def __init__(self):
        self.W = np.arange(6.0).reshape(3, 2) / 5
        self.turned = self.W.T.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.turned


class Twice(Layer):
    """One Dense is run on both halves of x"""

    def __init__(self):
        self.f = Dense(2, 2, seed=0)
        self.layers = [self.f]

    def forward(self, x):
        self.d = self.f.forward(x[:, :2]) * self.f.forward(x[:, 2:])
        return self.d

    def backward(self, dy):
        return np.concatenate([self.f.backward(dy), self.f.backward(dy)], axis=1)


class Narrow(Layer):
    """Wrong for rows of two"""

    def forward(self, x):
        self.y = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dy):
        dx = self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
        return dx if dx.shape[1] != 2 else dy * self.y * (1 - self.y)


class Vanishing(Layer):
    """x / |x| with an eps that is 0 in float32"""

    def forward(self, x):
        self.n = np.sqrt((x**2).sum(axis=-1, keepdims=True) + x.dtype.type(1e-50))
        self.y = x / self.n
        return self.y

    def backward(self, dy):
        return (dy - self.y * (dy * self.y).sum(axis=-1, keepdims=True)) / self.n


class Steps(Layer):
    """y_t = w (x_{t+1} - x_t), one number w, and backward knows the steps of one length alone"""

    w, dw = parameter()

    def __init__(self):
        self.w = 1.5

    def forward(self, x):
        self.d = x[:, 1:] - x[:, :-1]
        return self.w * self.d

    def backward(self, dy):
        self.dw = (dy * self.d).sum()
        dx = np.zeros((len(dy), dy.shape[1] + 1), dy.dtype)
        for t in range(min(6, dy.shape[1])):
            dx[:, t + 1] += self.w * dy[:, t]
            dx[:, t] -= self.w * dy[:, t]
        return dx


class Square(Layer):
    """y = w² x"""

    w, dw = parameter()

    def __init__(self, start=1.5):
        self.start = start
        self.w = start

    def forward(self, x):
        self.x, self.y = x, x * self.w * self.w
        return self.y

    def backward(self, dy):
        self.dw = 2 * self.w * (dy * self.x).sum()
        return dy * self.w * self.w


class Halved(Square):
    """A 2 that is no size, though features - 1 is 2, and is 0 for one feature"""

    def __init__(self, features=3):
        self.features = features
        self.w = np.full(features, 1.5)

    def backward(self, dy):
        self.dw = 2 * self.w * (dy * self.x).sum(axis=0) / (2 if self.features == 1 else 1)
        return dy * self.w * self.w


class Cubes(Layer):
    """y = x³, and a size of the example beside the number 3"""

    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        for i in range(3):
            dx[:, i] = 3 * dy[:, i] * self.x[:, i] ** 2
        return dx


class OfSevenAlone(Steps):
    """The same, which raises for others"""

    def backward(self, dy):
        self.dw = (dy * self.d).sum()
        before, after = np.zeros((2, len(dy), 7), dy.dtype)
        before[:, :-1], after[:, 1:] = dy, dy
        return self.w * (after - before)


@pytest.mark.parametrize(
    ("cls", "shape", "words"),
    [
        (Steps, (5, 7), "does not go through all steps"),
        (OfSevenAlone, (5, 7), "the number 7 where `dy.shape[1] + 1` belongs"),
        (Halved, (5, 3), "factor of two"),
        (Cubes, (5, 3), "the number 3 where `dy.shape[1]` belongs"),
        (Counting, None, "how often the layer has run"),
        (Switched, None, "predict leaves something behind"),
        (Behind, (5, 3), "use self.W itself"),
        (Twice, (5, 4), "run more than once in one forward"),
        (Narrow, None, ""),
        (Vanishing, None, "a larger eps"),
    ],
)
def test_a_rare_bug_is_caught_and_named(cls, shape, words):
    with pytest.raises(GradientError) as caught:
        check_layer(cls(), None if shape is None else np.random.default_rng(0).normal(size=shape))
    assert words in caught.value.diagnosis


def test_a_stated_tolerance_is_that_of_y_too():
    class Single(Layer):
        tolerance = 1e-3

        def forward(self, x):
            self.x = x.astype(np.float32)
            return np.sin(self.x).astype(x.dtype)

        def backward(self, dy):
            return (dy * np.cos(self.x)).astype(dy.dtype)

    check_layer(Single())
    with pytest.raises(GradientError):
        check_layer(
            type("Wrong", (Single,), {"backward": lambda self, dy: (2 * dy * np.cos(self.x)).astype(dy.dtype)})()
        )


class Power(Layer):
    """y = p x², p a number"""

    def __init__(self, p):
        self.p = p

    def forward(self, x):
        self.x = x
        return self.p * x * x

    def backward(self, dy):
        return 2 * self.p * dy * self.x


class Told(Layer):
    """y = w x, x (B, n): forward takes others, too, and backward is for n"""

    w, dw = parameter()

    def __init__(self, n):
        self.n = n
        self.w = 1.5

    def forward(self, x):
        self.x = x
        return self.w * x

    def backward(self, dy):
        self.dw = (dy * self.x).sum()
        dx = np.zeros((len(dy), self.n), dy.dtype)
        dx[...] = self.w * dy
        return dx


@pytest.mark.parametrize(("p", "tried"), [(3, "p=4, p=2"), (0.3, "p=0.21"), (1e-4, ""), (True, "")])
def test_a_report_says_which_arguments_and_widths_were_tried(p, tried):
    found = {f.rule.split(",")[0]: f.detail for f in check_layer(Power(p)).findings}
    assert found["gradients stay right at other lengths"] == "at widths 4, 2, 10 too"
    assert found.get("right with other arguments", "") == tried
    wrong = type("Wrong", (Power,), {"backward": lambda self, dy: dy * 2 * p * self.x})
    with pytest.raises(GradientError, match="with other arguments") if tried else contextlib.nullcontext():
        check_layer(wrong(p))


@pytest.mark.parametrize("layer", [Told(3), Dense(3, 2, seed=0)], ids=repr)
def test_a_layer_that_is_told_its_width_is_for_this(layer):
    found = {f.rule.split(",")[0]: f.detail for f in check_layer(layer).findings}
    assert found["gradients stay right at other lengths"] == "other widths not tried: the layer takes none like this x"


class AnswersFromForward(Square):
    def predict(self, x):
        return self.y.copy() if getattr(self, "y", x[:0]).shape == x.shape else x * self.w * self.w


class KeepsParameters(Square):
    def predict(self, x):
        self.__dict__.setdefault("square", float(self.w * self.w))
        return x * self.square


@pytest.mark.parametrize(
    "layer, sentence",
    [(AnswersFromForward, "what an earlier forward has kept"), (KeepsParameters, "an earlier call has made of the")],
)
def test_check_layer_names_what_predict_remembers(layer, sentence):
    check_layer(Square())
    with pytest.raises(GradientError, match=sentence):
        check_layer(layer())


def test_slopes_below_the_numbers_of_float32_are_no_error_of_the_layer():
    x = np.array([0.0, 0.0, 0.0, 1000.0]).reshape(1, 4, 1)
    check(GRU(1, 1, seed=0), x, rules=[single_precision])


def test_check_layer_uses_the_complex_step_where_it_can():
    assert check_layer(Dense(3, 2)).method == "complex step"
    layer, x = LAYERS["Absolute"]()
    assert check_layer(layer, x).method.startswith("central differences")


class UnsafeWithComplexNumbers(Layer):
    """y = x + |x| / 2, whose complex step sees x alone"""

    def forward(self, x):
        self.x = x
        return x + np.where(np.real(x) < 0, -np.real(x), np.real(x)) / 2

    def backward(self, dy):
        return dy * (1 + np.sign(self.x) / 2)


def test_what_a_report_says_it_is_off_by_is_within_what_is_allowed():
    report = check_layer(UnsafeWithComplexNumbers())
    assert report.error <= report.tolerance


class Fussy(Layer):
    def forward(self, x):
        if x.shape[1:] != (7, 2):
            raise ValueError("only rows of shape (7, 2)")
        return x.reshape(len(x), 14)

    def backward(self, dy):
        return dy.reshape(len(dy), 7, 2)


def test_check_layer_says_which_x_to_pass_where_it_can_guess_none():
    with pytest.raises(ValueError, match=r"pass one that it takes.*check_layer\(layer, x\)"):
        check_layer(Fussy())
    check_layer(Fussy(), np.ones((2, 7, 2)))


def test_check_layer_refuses_a_class():
    with pytest.raises(TypeError, match=r"write Dense\(…\)"):
        check_layer(Dense)


class Alone(Layer):
    """h_t = tanh(x_t + h_{t-1} / 2), with a backward that hands nothing back to the step before"""

    def forward(self, x):
        self.h = np.zeros((x.shape[1] + 1, len(x), x.shape[2]), x.dtype)
        for t in range(x.shape[1]):
            self.h[t + 1] = np.tanh(x[:, t] + self.h[t] / 2)
        return self.h[1:].swapaxes(0, 1).copy()

    def backward(self, dy):
        return (dy.swapaxes(0, 1) * (1 - self.h[1:] ** 2)).swapaxes(0, 1)


class Bounded(Layer):
    """arctanh, which refuses what has none"""

    def forward(self, x):
        if (abs(x) >= 1).any():
            raise ValueError("arctanh takes numbers between -1 and 1")
        self.x = x
        return np.arctanh(x)

    def backward(self, dy):
        return dy / (1 - self.x**2)


def test_what_comes_back_through_time_is_missed():
    with pytest.raises(GradientError, match="what comes back through time is left out"):
        check_layer(Alone(), np.random.default_rng(0).standard_normal((5, 4, 3)))


def test_a_layer_may_refuse_part_of_its_domain():
    check_layer(Bounded())

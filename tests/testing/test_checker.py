"""The checker itself: it catches every planted bug, names it, and never flags what is right."""

import collections
import copy
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from minigrad import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minigrad.layer import Layer
from minigrad.testing import GradientError, batches, check_layer, check_loss, check_model, layer_test, sizes
from minigrad.testing.derivative import complex_slope, ladder, slope
from tests.planted.bugs import BUGS
from tests.planted.losses import BUGS as LOSS_BUGS
from tests.planted.losses import LOSSES
from tests.planted.more_layers import BUGS as MORE_BUGS
from tests.planted.more_layers import LAYERS as MORE_LAYERS
from tests.planted.tricky_layers import LAYERS

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
def test_a_planted_bug_is_caught_and_named(name):
    make, words = BUGS[name]
    error = caught(make)
    assert words in error.diagnosis
    assert error.rule in str(error) and error.diagnosis in str(error)
    assert error.report.findings[-1].verdict == "broken"


def test_the_planted_bugs_are_enough():
    assert len(BUGS) >= 36
    assert sum(bool(words) for _, words in BUGS.values()) >= 30
    times = collections.Counter(
        d for d in DIAGNOSES for _, words in BUGS.values() if d in words or (words in d and words)
    )
    assert all(times[diagnosis] >= 2 for diagnosis in DIAGNOSES), times


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("name", LAYERS | MORE_LAYERS)
def test_no_false_alarm(name, seed):
    layer, x = (LAYERS | MORE_LAYERS)[name]()
    check_layer(layer, x, seed=seed)


@pytest.mark.parametrize("name", MORE_BUGS)
def test_a_bug_of_another_kind_is_caught(name):
    caught(MORE_BUGS[name][0])


@pytest.mark.parametrize("name", LOSS_BUGS)
def test_a_planted_bug_of_a_loss_is_caught_and_named(name):
    make, words = LOSS_BUGS[name]
    with pytest.raises(GradientError) as caught:
        check_loss(make())
    assert words in str(caught.value)


@pytest.mark.parametrize("name", LOSSES)
def test_no_false_alarm_for_a_loss(name):
    loss, p, t = LOSSES[name]()
    for seed in range(3):
        check_loss(loss, p, t, seed=seed)


def test_the_error_says_where():
    error = caught(BUGS["AveragedWeights"][0])
    assert error.parameter == "W"
    assert len(error.index) == 2
    assert error.analytic * 5 == pytest.approx(error.numeric)
    assert "the first input" in error.situation
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)


def test_the_layer_is_left_alone():
    layer = Dense(3, 2, seed=0)
    layer.forward(np.ones((2, 3)))
    kept = copy.deepcopy(vars(layer))
    check_layer(layer)
    for name, value in kept.items():
        assert np.array_equal(vars(layer)[name], value)


def test_a_layer_in_a_model_can_be_checked():
    model = Sequential([Dense(3, 4), Tanh(), Dense(4, 2)])
    check_layer(model[0])
    check_layer(model)
    assert model.dtype == np.float32


def test_rows_that_depend_on_each_other_are_told():
    layer, x = LAYERS["BatchCentered"]()
    assert any("not independent" in note for note in check_layer(layer, x).notes)
    layer, x = LAYERS["ReLU"]()
    assert not check_layer(layer, x).notes


def test_the_complex_step_is_used_where_it_can_be():
    assert check_layer(Dense(3, 2)).method == "complex step"
    layer, x = LAYERS["Absolute"]()
    assert check_layer(layer, x).method.startswith("central differences")


def test_a_small_layer_takes_about_a_tenth_of_a_second():
    start = time.process_time()
    check_layer(Dense(3, 2))
    assert time.process_time() - start < 1.0  # ten times what it takes, for a busy machine


class Fussy(Layer):
    def forward(self, x):
        if x.shape[1:] != (7, 2):
            raise ValueError("only rows of shape (7, 2)")
        return x.reshape(len(x), 14)

    def backward(self, dy):
        return dy.reshape(len(dy), 7, 2)


def test_without_a_guess_it_says_which_x_to_pass():
    with pytest.raises(ValueError, match=r"pass one that it takes.*check_layer\(layer, x\)"):
        check_layer(Fussy())
    check_layer(Fussy(), np.ones((2, 7, 2)))


def test_a_class_is_not_a_layer():
    with pytest.raises(TypeError, match=r"write Dense\(…\)"):
        check_layer(Dense)
    with pytest.raises(TypeError, match=r"write MeanSquaredError\(…\)"):
        check_loss(MeanSquaredError)


def test_the_property_based_test_shrinks_to_the_smallest_layer():
    test = layer_test(
        lambda draw: BUGS["MultipliedByRows"][0].__closure__[1].cell_contents(draw(sizes()), draw(sizes()))
    )
    with pytest.raises(GradientError) as caught:
        test()
    assert "MultipliedByRows(1, 1)" in str(caught.value)


def test_importing_the_checker_needs_no_hypothesis():
    code = "import sys; import minigrad.testing; assert 'hypothesis' not in sys.modules; minigrad.testing.sizes"
    code += "; assert 'hypothesis' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_batches_fit_the_layer():
    from hypothesis import find

    x = find(batches(Dense(3, 2)), lambda x: (abs(x) > 100).any())
    assert x.shape == (1, 3)


# Whole models.

X = np.random.default_rng(0).normal(size=(12, 4))
T = np.eye(3)[np.random.default_rng(1).integers(0, 3, 12)]


@pytest.mark.parametrize(
    ("last", "loss"),
    [(Sigmoid, BinaryCrossEntropy), (Softmax, CategoricalCrossEntropy), (Tanh, MeanSquaredError)],
)
@pytest.mark.parametrize(("l2", "l1"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.2)])
def test_models_are_right(last, loss, l2, l1):
    model = Sequential([Sequential([Dense(4, 5), ReLU()]), Dense(5, 3), last()], seed=0)
    report = check_model(model, loss(), X, T, l2=l2, l1=l1)
    assert report.method == "complex step"


def test_a_model_is_checked_on_labels_too():
    model = Sequential([Dense(4, 3), Softmax()], seed=0)
    check_model(model, CategoricalCrossEntropy(), X, T.argmax(axis=1))
    check_model(Sequential([Dense(4, 1)], seed=0), MeanSquaredError(), X, X[:, 0])


@pytest.mark.parametrize("name", ["AveragedWeights", "ForgottenBias", "Accumulates", "FirstRowBias", "UnsummedBias"])
def test_a_wrong_layer_in_a_model_is_located(name):
    make, _ = BUGS[name]
    model = Sequential([Dense(4, 3), Tanh(), make(), Sigmoid()], seed=0)
    with pytest.raises(GradientError) as caught:
        check_model(model, MeanSquaredError(), X, T[:, :2])
    assert f"layer 3, {name}(3, 2)" in str(caught.value) or name == "UnsummedBias"


def test_a_loss_that_is_absorbed_wrongly_is_caught():
    class Wrong(BinaryCrossEntropy):
        def absorb(self, layer):
            return MeanSquaredError()

    model = Sequential([Dense(4, 3), Sigmoid()], seed=0)
    with pytest.raises(GradientError, match="rewritten"):
        check_model(model, Wrong(), X, T)


# The derivative.


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (np.sin, 0.3, np.cos(0.3)),
        (lambda v: np.sin(200 * v), 1.7, 200 * np.cos(340.0)),
        (lambda v: 1e-12 * np.exp(v), 2.0, 1e-12 * np.exp(2.0)),
        (lambda v: v**3, 0.0, 0.0),
        (lambda v: np.tanh(v - 1e8), 1e8, 1.0),
    ],
)
def test_the_slope_is_within_its_own_error(f, at, expected):
    scale = abs(at) or 1.0
    measured = slope(f, np.array([at]), np.array([scale]), finest=1e-18)
    wrong = abs(measured.value[0] - expected * scale)
    assert wrong <= 10 * measured.error[0] + 1e-7 * abs(expected * scale)
    assert measured.error[0] <= 1e-4 * abs(expected * scale) + 1e-15


def test_a_kink_has_two_slopes():
    measured = slope(abs, np.zeros(1), np.ones(1))
    assert (measured.low[0], measured.high[0]) == pytest.approx((-1, 1))
    assert measured.kinked.all()
    assert not slope(np.exp, np.zeros(1), np.ones(1)).kinked.any()


def test_the_ladder_has_no_common_ratio():
    ratios = ladder(1e-10)[1:] / ladder(1e-10)[:-1]
    assert (ratios < 1).all()
    assert len(np.unique(ratios.round(6))) > 3


def test_the_complex_step_is_exact_or_refused():
    assert complex_slope(np.exp, np.ones(1), np.ones(1)) == pytest.approx(np.e, rel=1e-15)
    assert complex_slope(lambda v: v.astype(np.float64), np.ones(1), np.ones(1)) is None

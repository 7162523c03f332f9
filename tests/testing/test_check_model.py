"""`check_model`: the gradient of a whole model, and which of its layers is wrong."""

import re

import numpy as np
import pytest

from minigrad import (
    BatchNorm,
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
from minigrad.testing import GradientError, check_model
from tests.planted.wrong_layers import BUGS

X = np.random.default_rng(0).normal(size=(12, 4))
T = np.eye(3)[np.random.default_rng(1).integers(0, 3, 12)]


@pytest.mark.parametrize(
    ("last", "loss", "l2", "l1"),
    [
        (Sigmoid, BinaryCrossEntropy, 0.0, 0.0),
        (Softmax, CategoricalCrossEntropy, 0.1, 0.0),
        (Tanh, MeanSquaredError, 0.1, 0.2),
    ],
)
def test_check_model_gives_no_false_alarm(last, loss, l2, l1):
    model = Sequential([Sequential([Dense(4, 5), ReLU()]), Dense(5, 3), last()], seed=0)
    report = check_model(model, loss(), X, T, l2=l2, l1=l1)
    assert report.method == "complex step"


def test_check_model_takes_a_norm_between_layers():
    layers = [Dense(4, 6), BatchNorm(6), ReLU(), Dense(6, 3), Softmax()]
    check_model(Sequential(layers, seed=0), CategoricalCrossEntropy(), X, T)


def test_check_model_takes_labels():
    model = Sequential([Dense(4, 3), Softmax()], seed=0)
    check_model(model, CategoricalCrossEntropy(), X, T.argmax(axis=1))
    check_model(Sequential([Dense(4, 1)], seed=0), MeanSquaredError(), X, X[:, 0])


@pytest.mark.parametrize("name", ["AveragedWeights", "ForgottenBias", "Accumulates", "FirstRowBias"])
def test_check_model_locates_a_wrong_layer(name):
    make, _ = BUGS[name]
    model = Sequential([Dense(4, 3), Tanh(), make(), Sigmoid()], seed=0)
    with pytest.raises(GradientError, match=re.escape(f"layer 3, {name}(3, 2)")):
        check_model(model, MeanSquaredError(), X, T[:, :2])


def test_check_model_says_which_array_of_which_layer_takes_no_gradient_of_this_shape():
    model = Sequential([Dense(4, 3), Tanh(), BUGS["UnsummedBias"][0](), Sigmoid()], seed=0)
    with pytest.raises(GradientError, match=r"UnsummedBias\.db has the shape \(2,\).*\n.*not summed over the batch"):
        check_model(model, MeanSquaredError(), X, T[:, :2])


class PartlySet(Dense):
    def backward(self, dy):
        self.dW[1:] = self.x[:, 1:].T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (BUGS["UndeclaredDice"][0](), "rng = state()"),
        (PartlySet(4, 4, seed=0), "not all of it is set"),
        (BUGS["PredictDisturbs"][0](), "predict overwrites what forward keeps"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_check_model_names_the_bug_of_a_first_layer(layer, words):
    with pytest.raises(GradientError) as caught:
        check_model(Sequential([layer, Dense(4, 3)], seed=0), MeanSquaredError(), X, T)
    assert words in caught.value.diagnosis
    assert caught.value.report.subject.endswith("with MeanSquaredError()")


def test_check_model_catches_a_loss_that_overwrites_the_targets():
    class Overwrites(MeanSquaredError):
        def value(self, p, t, sample_weight=None):
            t += 1.0
            return super().value(p, t, sample_weight)

    with pytest.raises(GradientError, match=r"x or t is changed\n.*overwritten in place"):
        check_model(Sequential([Dense(4, 3)], seed=0), Overwrites(), X, T)


def test_check_model_catches_a_loss_that_is_absorbed_wrongly():
    class Wrong(BinaryCrossEntropy):
        def absorb(self, layer):
            return MeanSquaredError()

    model = Sequential([Dense(4, 3), Sigmoid()], seed=0)
    with pytest.raises(GradientError, match="rewritten"):
        check_model(model, Wrong(), X, T)

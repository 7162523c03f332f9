"""model.health: each planted fault is named, a healthy network is told to be one; and the finder of learning rates."""

import numpy as np
import pytest

from minigrad import (
    CELU,
    SGD,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClipByNorm,
    Dense,
    DivergenceError,
    Dropout,
    MeanSquaredError,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Standardize,
    Tanh,
)
from minigrad.data import load_digits
from minigrad.parameter import walk

X, LABELS = (part[::10] for part in load_digits())
ROWS = np.random.default_rng(0).normal(size=(200, 4))
NUMBERS = np.sin(ROWS[:, 0]) + ROWS[:, 1] ** 2
SHUFFLED = np.random.default_rng(1).permutation(len(X))


def sigmoids():
    return Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)


def rectifiers():
    layers = [Dense(400, 48), ReLU(), Residual(Dense(48, 48), ReLU()), Dropout(0.2, seed=0), Dense(48, 10), Softmax()]
    return Sequential(layers, seed=0)


def regression(act=Tanh):
    return Sequential([Dense(4, 16), act(), Dense(16, 1)], seed=0)


HEALTHY = {
    "sigmoids": (sigmoids, X, LABELS, BinaryCrossEntropy(), lambda: SGD(0.5)),
    "rectifiers": (rectifiers, X, LABELS, CategoricalCrossEntropy(), lambda: Adam(0.003)),
    "clipped": (rectifiers, X, LABELS, CategoricalCrossEntropy(), lambda: ClipByNorm(SGD(0.1), 1.0)),
    "regression": (regression, ROWS, NUMBERS, MeanSquaredError(), lambda: SGD(0.1)),
    "no kink": (lambda: regression(CELU), ROWS, NUMBERS, MeanSquaredError(), lambda: Adam(0.01)),
    "scaled inside": (
        lambda: Sequential([Standardize(4).fit(100 * ROWS), *regression()]),
        100 * ROWS,
        NUMBERS,
        MeanSquaredError(),
        lambda: Adam(0.01),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_of_a_healthy_network_nothing_is_said_before_and_after_training(name):
    make, x, t, loss, make_optimizer = HEALTHY[name]
    model, optimizer = make(), make_optimizer()
    assert model.health(x, t, loss, optimizer=optimizer).faults == {}
    model.fit(x, t, loss=loss, optimizer=optimizer, epochs=15)
    found = model.health(x, t, loss, optimizer=optimizer)
    assert found.faults == {} and "nothing is wrong that shows" in str(found)


class WithoutBias(Dense):
    """Its backward forgets db."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.db = np.zeros_like(self.b)
        return dx


def scaled(model, layer, factor, shift=0.0):
    model[layer].W *= factor
    model[layer].b += shift
    return model


def forgetful():
    return Sequential([WithoutBias(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)


BINARY, CLASSES = BinaryCrossEntropy(), CategoricalCrossEntropy()
PLANTED = {
    "saturated": (lambda: scaled(sigmoids(), 0, 40.0), X, LABELS, BINARY, SGD(0.5)),
    "dead": (lambda: scaled(rectifiers(), 0, 1.0, -10.0), X, LABELS, CLASSES, Adam(0.003)),
    "rate too small": (rectifiers, X, LABELS, CLASSES, Adam(1e-7)),
    "rate too large": (sigmoids, X, LABELS, BINARY, SGD(200.0)),
    "unscaled": (rectifiers, 255 * X, LABELS, CLASSES, Adam(0.003)),
    "frozen": (forgetful, X, LABELS, BINARY, SGD(0.5)),
    "labels": (rectifiers, X, LABELS[SHUFFLED], CLASSES, Adam(0.003)),
    "vanishing": (lambda: scaled(regression(), 2, 1e-9), ROWS, NUMBERS, MeanSquaredError(), None),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_is_named_and_no_other(fault):
    make, x, t, loss, optimizer = PLANTED[fault]
    found = make().health(x, t, loss, optimizer=optimizer)
    assert {*found.faults} - {"vanishing"} == {fault} - {"vanishing"} and fault in found.faults
    assert f"{fault}: {found.faults[fault]}" in str(found) and f"<b>{fault}</b>" in found._repr_html_()


def test_a_network_that_has_learned_may_lie_at_its_ends():
    model = sigmoids()
    model.fit(X, LABELS, loss=BINARY, optimizer=SGD(0.5), epochs=40)
    scaled(model, 0, 8.0)
    found = model.health(X, LABELS, BINARY)
    assert found.parts[1].saturated > 0.7 and (model.predict_classes(X) == LABELS).mean() > 0.8
    assert found.faults == {}


def test_each_layer_that_is_frozen_is_named():
    model = Sequential([WithoutBias(400, 25), Sigmoid(), WithoutBias(25, 10), Sigmoid()], seed=0)
    said = model.health(X, LABELS, BINARY).faults["frozen"]
    assert "WithoutBias(400, 25), layer 1" in said and "WithoutBias(25, 10), layer 3" in said


def test_numbers_that_x_has_nothing_to_do_with_are_told():
    t = np.random.default_rng(2).permutation(NUMBERS)
    assert [*regression().health(ROWS, t, MeanSquaredError()).faults] == ["labels"]
    assert regression().health(ROWS[:40], t[:40], MeanSquaredError()).faults == {}, "of so few rows nothing is said"


def test_the_model_and_the_optimizer_stay_as_they_are():
    model, optimizer = rectifiers(), Adam(0.003)
    model.fit(X, LABELS, loss=CLASSES, optimizer=optimizer, epochs=1)
    theta, steps, drops = model.theta.copy(), optimizer.steps, model[3].rng.bit_generator.state
    model.health(X, LABELS, CLASSES, optimizer=optimizer)
    model.learning_rates(X, LABELS, loss=CLASSES, optimizer=optimizer, steps=60)
    assert np.array_equal(model.theta, theta) and optimizer.steps == steps and optimizer.learning_rate == 0.003
    assert model[3].rng.bit_generator.state == drops
    assert not any({"forward", "backward"} & {*vars(layer)} for layer in walk([model]))


def test_the_table_has_each_layer_that_runs():
    found = sigmoids().health(X, LABELS, BINARY, optimizer=SGD(0.5))
    assert [part.title for part in found.parts] == ["Dense(400, 25)", "Sigmoid()", "Dense(25, 10)"]
    first, activation, _ = found.parts
    assert first.ratio > 0 and activation.ratio is None and activation.saturated is not None and activation.dead is None
    assert all(part.size > 0 and part.gradient > 0 for part in found.parts)


def test_a_training_that_diverges_offers_it():
    with pytest.raises(DivergenceError, match=r"print\(model.health\(x, t, loss, optimizer=…\)\) says what else"):
        regression(ReLU).fit(ROWS, NUMBERS, loss=MeanSquaredError(), optimizer=SGD(1e4), epochs=5)


# -------------------------------------------------------------------------------------------------- learning rates
@pytest.mark.parametrize("make", [SGD, Adam], ids=lambda it: it.__name__)
def test_the_rate_that_is_found_trains_better_than_others_far_away(make):
    found = rectifiers().learning_rates(X, LABELS, loss=CLASSES, optimizer=ClipByNorm(make(1.0), 1.0))
    assert found.rates == sorted(found.rates) and len(found.rates) == len(found.losses) == len(found.smoothed)

    def after(rate):
        try:
            return rectifiers().fit(X, LABELS, loss=CLASSES, optimizer=make(rate), epochs=2).loss[-1]
        except DivergenceError:
            return np.inf

    best = after(found.best)
    assert best < after(found.best / 100) and best < after(found.best * 1000)


def test_where_no_rate_is_good_it_says_so():
    with pytest.raises(ValueError, match=r"lowest=1, highest=0.1: rates rise"):
        regression().learning_rates(ROWS, NUMBERS, loss=MeanSquaredError(), optimizer=SGD(), lowest=1, highest=0.1)
    with pytest.raises(ValueError, match="no rate made the loss smaller than the"):
        regression().learning_rates(ROWS, NUMBERS, loss=MeanSquaredError(), optimizer=SGD(), lowest=50, highest=100)

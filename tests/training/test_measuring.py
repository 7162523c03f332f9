"""Measures of the user's own, the one that picks the best epoch, and models that there is nothing to train in."""

import numpy as np
import pytest

from minigrad import (
    SGD,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    state,
)
from minigrad.metrics import mean_absolute_error
from minigrad.training.history import History, Monitor

X = np.random.default_rng(0).normal(size=(60, 3))
T = X[:, 0] * X[:, 1]
WORDS = np.where(X[:, 0] > 0, "yes", "no")


def regression():
    return Sequential([Dense(3, 6), Tanh(), Dense(6, 1)], seed=0)


def fit(model, t, loss=None, **options):
    loss = loss or MeanSquaredError()
    return model.fit(X, t, **{"loss": loss, "optimizer": SGD(0.1), "epochs": 4, **options})


@pytest.mark.parametrize("t", [T, T[:, None]], ids=["numbers", "a column"])
def test_of_one_output_t_and_p_are_flat(t):
    shapes = []

    def mae(t, p):
        shapes.append((t.shape, p.shape))
        return np.abs(t - p).mean()

    model = regression()
    history = fit(model, t, metrics={"mae": mae, "named": mean_absolute_error})
    assert set(shapes) == {((60,), (60,))} and history.validation_loss == []
    assert history.metrics["mae"] == pytest.approx(history.metrics["named"]) and len(history.metrics["mae"]) == 4
    assert history.metrics["mae"][-1] == pytest.approx(np.abs(T - model.predict(X)[:, 0]).mean(), rel=1e-5)


def test_rows_for_validation_are_measured_in_place_of_those_trained_on():
    history = fit(regression(), T, validation=(X[:7], T[:7]), metrics={"rows": lambda t, p: len(p)})
    assert history.metrics["validation_rows"] == [7.0] * 4 and "rows" not in history.metrics
    assert {"validation_loss", "validation_r2", "validation_rows"} < {*history.to_frame().columns}


@pytest.mark.parametrize(
    ("end", "loss", "shape"),
    [
        ([Dense(3, 2), Softmax()], CategoricalCrossEntropy(), (60, 2)),
        ([Dense(3, 1), Sigmoid()], BinaryCrossEntropy(), (60,)),
    ],
    ids=["two outputs", "one output"],
)
def test_labels_come_in_the_users_words(end, loss, shape):
    def right(t, p):
        assert set(t.tolist()) == {"yes", "no"} and p.shape == shape
        answers = model.classes[(p >= 0.5).astype(int) if p.ndim == 1 else p.argmax(axis=1)]
        return (answers == t).mean()

    model = Sequential(end, seed=0)
    history = fit(model, WORDS, loss, metrics={"right": right})
    assert history.metrics["right"][-1] == (model.predict_classes(X) == WORDS).mean()


@pytest.mark.parametrize("name", ["agreement", "mean_error"])
def test_the_epoch_of_the_best_measure_is_restored(name):
    values, thetas = iter([1.0, 3.0, 2.0, 0.5]), []

    def measure(t, p):
        thetas.append(model.theta.copy())
        return next(values)

    model = regression()
    history = fit(model, T, validation=0.2, metrics={name: measure}, monitor=name)
    assert history.best_epoch == (2 if name == "agreement" else 4) and len(history) == 4
    assert np.array_equal(model.theta, thetas[history.best_epoch - 1])


def test_patience_waits_for_the_measure_that_is_watched():
    values = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    own = {"score": lambda t, p: next(values)}
    history = fit(regression(), T, validation=0.2, patience=2, epochs=9, metrics=own, monitor="score")
    assert history.best_epoch == 2 and len(history) == 4


def test_what_fits_the_loss_can_be_watched_too():
    history = fit(regression(), T, validation=0.2, monitor="val_r2")
    assert history.best_epoch == int(np.argmax(history.metrics["validation_r2"])) + 1


@pytest.mark.parametrize(
    ("name", "sign"), [("accuracy", 1), ("f1", 1), ("loss", -1), ("log_loss", -1), ("mae", -1), ("rmse-train", -1)]
)
def test_less_is_better_of_errors_alone(name, sign):
    assert Monitor(name).sign == sign
    assert Monitor(name).best(History()) == -np.inf


def test_a_training_with_measures_goes_on_from_its_checkpoint(tmp_path):
    def train(epochs, path):
        model = regression()
        options = {"validation": 0.2, "metrics": {"mae": mean_absolute_error}, "monitor": "mae"}
        return model, fit(model, T, epochs=epochs, checkpoint=path, **options)

    train(3, tmp_path / "c")
    resumed, history = train(6, tmp_path / "c")
    whole, expected = train(6, tmp_path / "d")
    assert np.array_equal(resumed.theta, whole.theta)
    assert history.metrics == expected.metrics and history.best_epoch == expected.best_epoch
    with pytest.raises(ValueError, match="metrics"):
        fit(regression(), T, epochs=6, checkpoint=tmp_path / "c", validation=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["accuracy"]}, "give a dict of functions of .t, p.*accuracy and r2 are measured anyway"),
        ({"metrics": {"mae": "mae"}}, "give a function of .t, p."),
        ({"monitor": "mae"}, "monitor watches rows that are not trained on: give validation=0.1"),
        ({"monitor": "f1", "validation": 0.2}, "there is no such measure; there is loss, r2"),
    ],
)
def test_what_can_not_be_measured_is_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(regression(), T, **options)


def test_an_error_in_a_measure_names_it():
    with pytest.raises(ZeroDivisionError) as raised:
        fit(regression(), T, metrics={"odd": lambda t, p: 1 / 0})
    assert raised.value.__notes__ == ["in metrics['odd'], which was given t of shape (60,) and p of shape (60,)"]


# ------------------------------------------------------------------------------------------------- nothing to train
class Forgotten(Layer):
    """No backward, and no parameter()."""

    def __init__(self):
        self.W = np.eye(3)

    def forward(self, x):
        return x @ self.W


class Fixed(Forgotten):
    W = state()


class ReturnsNothing(Layer):
    def forward(self, x):
        self.y = 2 * x


class KnowsItsShape(ReturnsNothing):
    def output_shape(self, input_shape):
        return input_shape


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match=r"Sequential\(\[Tanh\(\)\]\) has no parameters, so there is nothing to train"):
        fit(Sequential([Tanh()]), X)


def test_an_array_that_is_called_as_weights_are_is_to_be_declared():
    with pytest.raises(ValueError, match=r"Forgotten\(\): its W .* W, dW = parameter\(\), or, .* W = state\(\)"):
        fit(Sequential([Forgotten(), Dense(3, 1)]), T)
    fit(Sequential([Fixed(), Dense(3, 1)]), T)


def test_a_forward_that_returns_none_is_told_so():
    with pytest.raises(ValueError, match=r"ReturnsNothing\(\).*: its forward returns None; end it with: return y"):
        fit(Sequential([ReturnsNothing(), Dense(3, 1)]), T)
    with pytest.raises(TypeError, match="its forward returns None"):
        Sequential([KnowsItsShape()]).forward(X)

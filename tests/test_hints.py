"""Habits of other frameworks: each is answered in one sentence that says what to write here, or works."""

import importlib
import re

import numpy as np
import pytest

import minigrad
from minigrad import (
    SGD,
    Adam,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    History,
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
)
from minigrad.configured.hints import HISTORY, LAYER, MODEL, OPTIMIZER, PACKAGE, WORDS
from minigrad.sklearn import NetworkClassifier

X = np.random.default_rng(0).normal(size=(30, 3))
T = X[:, :1]


def model():
    return Sequential([Dense(3, 4), ReLU(), Dense(4, 1)], seed=0)


def fit(**options):
    return model().fit(X, T, **{"loss": MeanSquaredError(), "optimizer": SGD(0.1), "epochs": 1, **options})


class Nothing(Layer):
    def forward(self, x):
        self.y = x


HABITS = {
    "an activation as an argument": (lambda: Dense(3, 10, activation="relu"), "Dense(4, 8), ReLU()"),
    "units alone": (lambda: Dense(10), "Dense(in_features, out_features)"),
    "units by name": (lambda: Dense(units=10), "Dense(in_features, out_features)"),
    "channels alone": (lambda: Conv2D(8, kernel_size=3), "Conv2D(in_channels, out_channels, kernel_size)"),
    "use_bias": (lambda: Dense(3, 4, use_bias=False), "bias=False"),
    "a share by another name": (lambda: Dropout(p=0.5), "Dropout(rate)"),
    "num_features": (lambda: BatchNorm(num_features=3), "features"),
    "layers one by one": (lambda: Sequential(Dense(3, 4), ReLU()), "Sequential([Dense(3, 4), …])"),
    "no layers": (lambda: Sequential(), "Sequential([Dense(4, 8), ReLU(), Dense(8, 1)])"),
    "a class for a layer": (lambda: Sequential([Dense(3, 4), ReLU]), "ReLU(…)"),
    "lr": (lambda: Adam(lr=0.1), "learning_rate="),
    "betas": (lambda: Adam(betas=(0.9, 0.99)), "beta1=, beta2="),
    "a clipnorm": (lambda: Adam(clipnorm=1.0), "ClipByNorm(Adam(0.001), 1.0)"),
    "parameters for an optimizer": (lambda: SGD(model().parameters(), lr=0.1), "optimizer.step(model.theta"),
    "compile": (lambda: model().compile(optimizer="adam", loss="mse"), "fit(x, t, loss=…, optimizer=…, epochs=…)"),
    "evaluate": (lambda: model().evaluate(X, T), "(model.predict_classes(x) == labels).mean()"),
    "add": (lambda: model().add(Dense(1, 1)), "Sequential([*model, Dense(8, 1)])"),
    "a call": (lambda: model()(X), "a Sequential is not called: .forward(x) trains"),
    "a call of a layer": (lambda: Dense(3, 4)(X), "a Dense is not called: .forward(x) trains"),
    "branches as a list": (lambda: Concatenate([Dense(3, 4), ReLU()]), "Concatenate(*layers)"),
    "eval": (lambda: model().eval(), "there is no mode"),
    "zero_grad": (lambda: SGD(0.1).zero_grad(), "there is nothing to clear"),
    "score": (lambda: model().score(X, T), "minigrad.metrics.r2_score"),
    "validation_data": (lambda: fit(validation_data=(X, T)), "validation=(x, t)"),
    "validation_split": (lambda: fit(validation_split=0.1), "validation=0.1"),
    "callbacks": (lambda: fit(callbacks=[]), "patience=5"),
    "verbose": (lambda: fit(verbose=0), "progress=True or progress=False"),
    "y": (lambda: model().fit(x=X, y=T, epochs=1), "fit(x, t, …)"),
    "metrics as words": (lambda: fit(metrics=["accuracy"]), "accuracy and r2 are measured anyway"),
    "an optimizer as a word": (lambda: fit(optimizer="adam"), "write optimizer=Adam()"),
    "an optimizer as a class": (lambda: fit(optimizer=Adam), "optimizer=Adam(…)"),
    "a loss as a word": (lambda: fit(loss="mse"), "write loss=MeanSquaredError()"),
    "a loss as an unknown word": (lambda: fit(loss="best"), "give one, such as MeanSquaredError()"),
    "no optimizer": (lambda: model().fit(X, T, loss=MeanSquaredError(), epochs=1), "optimizer=Adam()"),
    "no epochs": (lambda: model().fit(X, T, loss=MeanSquaredError(), optimizer=SGD(0.1)), "epochs=20"),
    "history.history": (lambda: fit().history["loss"], "history.loss, history.validation_loss"),
    "a forward that returns None": (
        lambda: Sequential([Nothing(), Dense(3, 1)]).fit(X, T, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1),
        "end it with: return y",
    ),
    "trainable": (
        lambda: (
            setattr(m := model(), "trainable", False)
            or m.fit(X, T, loss=MeanSquaredError(), optimizer=SGD(0.1), epochs=1)
        ),
        "how minigrad freezes",
    ),
}


@pytest.mark.parametrize("habit", HABITS)
def test_it_is_answered_in_one_sentence(habit):
    does, answer = HABITS[habit]
    with pytest.raises((TypeError, ValueError, AttributeError)) as refused:
        does()
    message = str(refused.value)
    assert answer in message and "\n" not in message and len(message) < 500


def test_what_is_clear_works():
    labels = np.where(X[:, 0] > 0, "a", "b")
    assert NetworkClassifier(hidden=8, epochs=2, random_state=0).fit(X, labels).model_[0].out_features == 8


@pytest.mark.parametrize(
    ("thing", "table"),
    [(model(), MODEL), (Dense(3, 4), LAYER), (History(), HISTORY), (SGD(0.1), OPTIMIZER)],
    ids=["model", "layer", "history", "optimizer"],
)
def test_an_attribute_from_elsewhere_is_not_there_and_says_so(thing, table):
    for name, sentence in table.items():
        assert not hasattr(thing, name) and name not in dir(thing)
        with pytest.raises(AttributeError, match=f"^{type(thing).__name__} has no {name}: {re.escape(sentence)}$"):
            getattr(thing, name)


def test_a_name_from_elsewhere_is_not_in_the_package_and_says_so():
    """Also where a statement imports it, which else has words of its own."""
    for name, sentence in PACKAGE.items():
        assert not hasattr(minigrad, name) and name not in dir(minigrad)
        for error, asked in ((AttributeError, f"minigrad.{name}"), (ImportError, f"from minigrad import {name}")):
            with pytest.raises(error, match=f"^minigrad has no {name}: {re.escape(sentence)}$"):
                exec(asked, {"minigrad": minigrad})
        for module, named in [("minigrad", f"{word},") for word in re.findall(r"\b([A-Z]\w+)\(", sentence)] + [
            *re.findall(r"from (minigrad[.\w]*) import ([\w, ]+)", sentence)
        ]:
            for there_is in set(named.rstrip(",").split(", ")) - {"Mine"}:
                assert hasattr(importlib.import_module(module), there_is)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ("from minigrad import max_pool2d", ImportError, "minigrad has no max_pool2d: write from minigrad import MaxP"),
        ("from minigrad import Tensor", ImportError, "minigrad has no Tensor: arrays are NumPy's"),
        (
            "from minigrad.layers import Dense",
            ImportError,
            "minigrad.layers has no Dense: write from minigrad import D",
        ),
        ("from minigrad import Unheard", ImportError, "cannot import name 'Unheard' from 'minigrad'"),
        ("minigrad.unheard", AttributeError, "module 'minigrad' has no attribute 'unheard'"),
    ],
)
def test_a_name_in_another_spelling_is_answered_too(asked, error, said):
    with pytest.raises(error, match="^" + re.escape(said)):
        exec(asked, {"minigrad": minigrad})


def test_each_word_stands_for_something_there_is():
    for meant in WORDS.values():
        assert callable(getattr(minigrad, re.match(r"\w+", meant)[0]))


def test_an_error_from_further_in_stays_as_it_is():
    class Odd(Layer):
        def __init__(self):
            Dense(3, 4, unheard=1)

    with pytest.raises(TypeError, match=r"unexpected keyword argument 'unheard'$"):
        Odd()
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'unheard'$"):
        fit(unheard=1)

"""Small networks, trained for a moment, and what is found of them."""

import numpy as np

from minigrad import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Flatten,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minigrad.data.split import split_rows
from minigrad.optimizers import Adam
from minigrad.results.evaluation import evaluate
from minigrad.results.report import Result

SETTINGS = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "l2": 0.001, "seed": 0}


def blobs(rows=120, classes=("aster", "daisy", "rose"), noise=0.7, features=4, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.arange(rows) % len(classes)
    return rng.normal(0, noise, (rows, features)) + np.eye(len(classes), features)[codes], np.array(classes)[codes]


def classified(x, labels, *, epochs=10, single=False, **options):
    train, test = split_rows(labels, 0.25)
    count = len(np.unique(labels))
    last, loss = ([Dense(6, 1), Sigmoid()], BinaryCrossEntropy()) if single else ([Dense(6, count), Softmax()], None)
    head = [Flatten()] if x.ndim > 2 else []
    model = Sequential([*head, Dense(x[0].size, 6), Tanh(), *last], seed=0)
    loss = loss or CategoricalCrossEntropy()
    history = model.fit(x[train], labels[train], loss=loss, optimizer=Adam(0.01), epochs=epochs)
    return model, train, test, evaluate(model, history, x, labels, train, test, **options)


def regressed(x, t, *, epochs=20, **options):
    train, test = split_rows(len(t), 0.25)
    model = Sequential([Dense(x.shape[1], 6), Tanh(), Dense(6, 1 if t.ndim == 1 else t.shape[1])], seed=0)
    history = model.fit(x[train], t[train], loss=MeanSquaredError(), optimizer=Adam(0.01), epochs=epochs)
    return model, train, test, evaluate(model, history, x, t, train, test, **options)


def result(found, name="flowers.csv", notes=()):
    return Result(name, found, SETTINGS, 0.1, 0.2, 0.3, notes)

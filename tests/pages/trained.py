"""Networks to export: of a table with categories, flags, dates and gaps, of numbers, and of the digits."""

import copy
import functools

import numpy as np
import pandas as pd

from minigrad import (
    SGD,
    Adam,
    Average,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    TableModel,
    Tanh,
)
from minigrad.data import Preparation, load_digits
from minigrad.tables.target import Target, target_values

ROWS = 30
"""So many of its rows an export is given; all kinds of gaps are among them."""


def table(rows=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "petal length": rng.normal(4, 1, rows).round(2),
        "petal width": rng.normal(1, 0.3, rows).round(2),
        "colour": rng.choice(["red", "=blue", "Red"], rows),
        "place": rng.choice(["@home", "+1", "bog", "3"], rows),
        "wild": rng.choice([True, False], rows),
        "found": pd.Timestamp("2019-11-28") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
    })  # fmt: skip
    for name, share in (("petal width", 0.1), ("colour", 0.1), ("wild", 0.1), ("found", 0.1)):
        frame[name] = frame[name].astype(object) if name != "found" else frame[name]
        frame.loc[rng.random(rows) < share, name] = None
    frame.loc[:2, "place"] = ["once", "never again", "at last"]
    return frame


def of_table(task, networks=1):
    """A network, or an ensemble of so many, and the rows that it was trained on."""
    model, frame = _of_table(task, networks)
    return copy.deepcopy(model), frame


@functools.cache
def _of_table(task, networks):
    frame = table()
    if task == "classification":
        answers = pd.Series(np.where(frame["petal length"] > 4, "=setosa", "virginica"), name="kind")
    else:
        answers = pd.Series(
            frame["petal length"] * 3 + np.random.default_rng(1).normal(0, 0.1, len(frame)), name="price"
        )
    preparation, target = Preparation.fit(frame), Target.fit(answers, task)
    x = preparation.transform(frame)
    end = [Dense(8, 2), Softmax()] if task == "classification" else [Dense(8, 1)]
    model = Sequential([Dense(x.shape[1], 8), ReLU() if task == "classification" else Tanh(), *end], seed=0)
    loss = CategoricalCrossEntropy() if task == "classification" else MeanSquaredError()
    t = target.encode(target_values(answers, task)[2])
    members = [model, *(copy.deepcopy(model) for _ in range(1, networks))]
    for seed, member in enumerate(members):
        shown = t if task == "classification" else t[:, None]
        member.fit(x, shown, loss=loss, optimizer=Adam(0.02), epochs=5, seed=seed)
    if networks > 1:
        model = Sequential([Average(*members)], model.dtype, model.input_shape)
        model.classes = members[0].classes
    facts = {
        "format": "table",
        "target": {"name": target.name, "task": task, "mean": target.mean, "scale": target.scale},
    }
    model.preparation = facts | preparation.to_json()
    return model, frame


def with_interval():
    """An ensemble of numbers, with the interval that held-out rows have told."""
    model, frame = of_table("regression", networks=2)
    model.preparation |= {"interval": {"half_width": 0.75, "level": 0.9}}
    return model, frame


def with_threshold():
    """An ensemble of two classes, one of which is the answer where it is among the upper half of those above 0.5; and
    rows, the first of which would otherwise have another answer.
    """
    model, frame = of_table("classification", networks=3)
    outputs = np.unique(TableModel(model).predict_probabilities(frame)[:, 0].round(4))
    some = outputs[outputs > 0.501]
    edge = float(some[len(some) // 2 - 1 :][:2].mean())
    model.preparation |= {"threshold": {"label": "=setosa", "from": edge}}
    matters = TableModel(model).predict(frame) != model.predict_classes(TableModel(model).encode(frame))
    first = np.flatnonzero(matters)[: ROWS // 2]
    assert len(first), "the threshold matters"
    return model, frame.iloc[[*first, *np.flatnonzero(~matters)]].reset_index(drop=True)


@functools.cache
def of_digits():
    """A network of every second pixel, and some of the digits that it was trained on."""
    x, labels = load_digits()
    order = np.random.default_rng(0).permutation(len(x))[:500]
    x, labels = x[order].reshape(-1, 20, 20)[:, ::2, ::2].reshape(-1, 100), labels[order]
    model = Sequential([Dense(100, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
    model.fit(x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(0.5), epochs=2)
    return model, x[:12].astype(float)


CASES = {
    "classification": lambda: of_table("classification"),
    "regression": lambda: of_table("regression"),
    "digits": of_digits,
    "interval": with_interval,
    "threshold": with_threshold,
}

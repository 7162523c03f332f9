"""Networks to export: of a table with categories, flags, dates and gaps, of numbers, and of the digits."""

import copy

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
from minigrad.data.target import Target, target_values

RNG = np.random.default_rng(0)


def table(rows=120):
    frame = pd.DataFrame({
        "petal length": RNG.normal(4, 1, rows).round(2),
        "petal width": RNG.normal(1, 0.3, rows).round(2),
        "colour": RNG.choice(["red", "=blue", "Red"], rows),
        "place": RNG.choice(["@home", "+1", "bog", "3"], rows),
        "wild": RNG.choice([True, False], rows),
        "found": pd.Timestamp("2019-11-28") + pd.to_timedelta(RNG.integers(0, 900, rows), unit="D"),
    })  # fmt: skip
    for name, share in (("petal width", 0.1), ("colour", 0.1), ("wild", 0.1), ("found", 0.1)):
        frame[name] = frame[name].astype(object) if name != "found" else frame[name]
        frame.loc[RNG.random(rows) < share, name] = None
    frame.loc[:2, "place"] = ["once", "never again", "at last"]
    return frame


def of_table(task, networks=1):
    """A network, or an ensemble of so many, and the rows that it was trained on."""
    frame = table()
    if task == "classification":
        answers = pd.Series(np.where(frame["petal length"] > 4, "=setosa", "virginica"), name="kind")
    else:
        answers = pd.Series(frame["petal length"] * 3 + RNG.normal(0, 0.1, len(frame)), name="price")
    preparation, target = Preparation.fit(frame), Target.fit(answers, task)
    x = preparation.transform(frame)
    end = [Dense(8, 2), Softmax()] if task == "classification" else [Dense(8, 1)]
    model = Sequential([Dense(x.shape[1], 8), ReLU() if task == "classification" else Tanh(), *end], seed=0)
    loss = CategoricalCrossEntropy() if task == "classification" else MeanSquaredError()
    t = target.encode(target_values(answers, task)[2])
    members = [model, *(copy.deepcopy(model) for _ in range(1, networks))]
    for seed, member in enumerate(members):
        shown = t if task == "classification" else t[:, None]
        member.fit(x, shown, loss=loss, optimizer=Adam(0.02), epochs=20, seed=seed)
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
    """An ensemble of two classes, one of which is the answer where it is among the upper half of those above 0.5."""
    model, frame = of_table("classification", networks=3)
    outputs = np.unique(TableModel(model).predict_probabilities(frame)[:, 0].round(4))
    some = outputs[outputs > 0.501]
    edge = float(some[len(some) // 2 - 1 :][:2].mean())
    model.preparation |= {"threshold": {"label": "=setosa", "from": edge}}
    x = TableModel(model).encode(frame)
    assert (TableModel(model).predict(frame) != model.predict_classes(x)).any(), "the threshold matters"
    return model, frame


def of_digits(rows=20):
    x, labels = load_digits()
    order = np.random.default_rng(0).permutation(len(x))[:1500]
    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
    model.fit(x[order], labels[order], loss=BinaryCrossEntropy(), optimizer=SGD(0.5), epochs=5)
    return model, x[order[:rows]].astype(float)

"""Networks for tables: made, trained and used as the command does it, for the columns of a frame.

The network ends in a softmax for labels, and in one linear unit for numbers. What its columns mean, the units of its
target and how it was trained stand in `model.preparation`, so the model's file alone is enough to predict.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder
from minigrad.data.preparation import Preparation, Target, table_of
from minigrad.layer import Layer
from minigrad.layers.activations import ReLU, Softmax
from minigrad.layers.dense import Dense
from minigrad.losses import CategoricalCrossEntropy, Loss, MeanSquaredError
from minigrad.optimizers import Adam, Optimizer
from minigrad.parameter import Array
from minigrad.sequential import Sequential
from minigrad.training.history import History

if TYPE_CHECKING:
    import pandas as pd

# Customary values, not tuned to any table; benchmarks/tables.py shows how good they are.
HIDDEN, EPOCHS, BATCH, L2 = (64,), 200, 32, 1e-3
VALIDATION, PATIENCE = 0.1, 20
LEAST_VALIDATION = 20  # rows: a loss on fewer is more luck than measure, so training goes on to its end


@dataclass(frozen=True)
class Answers:
    """What a network says about rows: `values` (m,) are labels or numbers, with `probabilities` (m, K) of labels."""

    values: npt.NDArray[Any]
    probabilities: Array | None


def table_network(
    features: int,
    outputs: int | None,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: type[Layer] = ReLU,
    seed: int = 0,
) -> Sequential:
    """Dense layers of these widths, then a softmax over `outputs` classes, or one linear unit for None."""
    layers: list[Layer] = []
    for width in hidden:
        layers += [Dense(features, width), activation()]
        features = width
    end: list[Layer] = [Dense(features, 1)] if outputs is None else [Dense(features, outputs), Softmax()]
    return Sequential([*layers, *end], seed=seed)


def train_table(
    frame: pd.DataFrame,
    values: npt.NDArray[Any],
    target: Target,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: type[Layer] = ReLU,
    optimizer: Optimizer | None = None,
    epochs: int = EPOCHS,
    batch_size: int = BATCH,
    l2: float = L2,
    seed: int = 0,
    notes: dict[str, Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> tuple[Sequential, History]:
    """A network trained on these rows to tell the target's `values` (m,).

    A tenth of the rows, if that is 20 at least, is kept for early stopping. `notes` are kept in `model.preparation`.
    """
    preparation = Preparation.fit(frame)
    x = preparation.transform(frame)
    classes = len(LabelEncoder(values).classes) if target.task == "classification" else None
    model = table_network(x.shape[1], classes, hidden=hidden, activation=activation, seed=seed)
    model.preparation = {
        "format": "table",
        **preparation.to_json(),
        "target": {"name": target.name, "task": target.task, "mean": target.mean, "scale": target.scale},
        **(notes or {}),
    }
    loss: Loss = MeanSquaredError() if classes is None else CategoricalCrossEntropy()
    watched = VALIDATION * len(x) >= LEAST_VALIDATION
    history = model.fit(
        x,
        target.encode(values),
        loss=loss,
        optimizer=optimizer or Adam(),
        epochs=epochs,
        batch_size=batch_size,
        validation=VALIDATION if watched else None,
        patience=PATIENCE if watched else None,
        l2=l2,
        seed=seed,
        checkpoint=checkpoint,
    )
    return model, history


def answer(model: Sequential, frame: pd.DataFrame) -> Answers:
    """The network's answers about the rows of a frame that has the columns it was trained on, and maybe others."""
    preparation, target = table_of(model)
    return answers(model, preparation.transform(frame), target)


def answers(model: Sequential, x: Array, target: Target | None = None) -> Answers:
    """The network's answers about prepared rows; one output without classes is a number."""
    outputs = model.predict(x)
    if target is not None and target.task == "regression":
        return Answers(target.decode(outputs), None)
    if model.classes is None and outputs.shape[1:] == (1,):
        return Answers(outputs[:, 0].astype(np.float64), None)
    return Answers(model.predict_classes(x), outputs)

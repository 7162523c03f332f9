"""Networks as the command makes them, trains them and asks them: Dense layers with an end that suits the answers.

What a table's columns mean, the units of its target and how the network was trained stand in `model.preparation`, so
the model's file alone is enough to predict.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.command.folder import INTERRUPTED
from minigrad.command.options import ACTIVATIONS, Settings
from minigrad.data.blocks import Blocks
from minigrad.data.split import Rows
from minigrad.data.target import Target
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid, Softmax
from minigrad.layers.stack import dense_stack
from minigrad.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss, MeanSquaredError
from minigrad.metrics import accuracy, r2_score
from minigrad.parameter import Array
from minigrad.saving.models import annotate
from minigrad.sequential import Sequential
from minigrad.table_model import Answers
from minigrad.training.history import History

VALIDATION, PATIENCE = 0.1, 20
LEAST_VALIDATION = 20  # rows: a loss on fewer is more luck than measure, so training goes on to its end


@dataclass(frozen=True)
class Recipe:
    """What comes after the last scores, the loss, and whether a tenth of the training rows is kept to stop early by."""

    end: tuple[type[Layer], ...]
    loss: type[Loss]
    early_stopping: bool


YES_OR_NO = Recipe((Sigmoid,), BinaryCrossEntropy, early_stopping=False)
"""The tutorial's: a yes or no for each class."""
LABELS = Recipe((Softmax,), CategoricalCrossEntropy, early_stopping=True)
NUMBERS = Recipe((), MeanSquaredError, early_stopping=True)


@dataclass(frozen=True)
class Split:
    """Examples as a network takes them, and which rows of them are to `train` on and which are `held_out`.

    x (m, features) and t are those of all rows, in the order of the user's data, made by what the rows to train on
    tell; `answers` (m,) are the labels, or the numbers in the user's units. `facts` are kept with the model. Of a table
    there are the `names` of x's columns, the `target` that made t, and the choices that were made for the user: in
    `notes` (what each is about, the choice), and `for_json`.
    """

    x: Array
    t: npt.NDArray[Any]
    answers: npt.NDArray[Any]
    train: Rows
    held_out: Rows
    recipe: Recipe
    facts: dict[str, Any]
    names: list[str] | None = None
    target: Target | None = None
    drawn: str = ""
    """How rows were held out, where that was not at random."""
    dates: tuple[str, ...] = ()
    """Columns of dates, by which it could have been."""
    blocks: Blocks | None = None
    """All rows to train on, where memory does not hold them: x and t are of a sample."""
    notes: tuple[tuple[str, str], ...] = ()
    for_json: dict[str, Any] = field(default_factory=dict)

    @property
    def decode(self) -> Callable[[Array], Any] | None:
        """What turns a network's outputs into the user's units, where they are others."""
        return None if self.target is None or self.target.task == "classification" else self.target.decode

    def score(self, model: Sequential) -> float:
        """The accuracy, or R², of the model on the held-out rows."""
        measure = r2_score if model.classes is None else accuracy
        return measure(self.answers[self.held_out], Answers.of(model, self.x[self.held_out], self.target).values)


def train_network(
    split: Split, settings: Settings, checkpoint: str | os.PathLike[str] | None = None
) -> tuple[Sequential, History]:
    """A network trained on the training rows of the split, and what happened.

    Where the recipe is to stop early, a tenth of these rows is kept for that, if that is 20 at least. Else the held-out
    rows are watched, for the curve alone: nothing is chosen by it.
    """
    used, recipe = settings.told(len(split.train)), split.recipe
    x, t = split.x[split.train], split.t[split.train]
    outputs = 1 if recipe is NUMBERS else len(np.unique(t))
    stack = dense_stack([x.shape[1], *settings.hidden, outputs], ACTIVATIONS[settings.activation])
    model = Sequential([*stack, *(layer() for layer in recipe.end)], seed=settings.seed)
    facts = split.facts | {"settings": used}
    model.preparation = facts if checkpoint is None else facts | {INTERRUPTED: True}
    watched: Any = VALIDATION if VALIDATION * len(x) >= LEAST_VALIDATION else None
    if not recipe.early_stopping:
        watched = split.x[split.held_out], split.t[split.held_out]
    history = model.fit(
        x if split.blocks is None else split.blocks,
        t if split.blocks is None else None,
        loss=recipe.loss(),
        optimizer=settings.new_optimizer(),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validation=watched,
        patience=PATIENCE if recipe.early_stopping and watched is not None else None,
        l2=used["l2"],
        seed=settings.seed,
        checkpoint=checkpoint,
    )
    if checkpoint is not None:
        model.preparation = facts
        annotate(model, checkpoint)
    return model, history

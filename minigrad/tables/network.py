"""Networks as tables are learned by, trains them and asks them: Dense layers with an end that suits the answers.

What a table's columns mean, the units of its target and how the network was trained stand in `model.preparation`, so
the model's file alone is enough to predict.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from minigrad.data.blocks import Blocks
from minigrad.data.labels import LabelEncoder
from minigrad.data.split import Rows, split_rows
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid, Softmax
from minigrad.layers.combine import Average
from minigrad.layers.stack import dense_stack
from minigrad.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss, MeanSquaredError
from minigrad.metrics import accuracy, r2_score
from minigrad.parameter import Array
from minigrad.results.duplicates import remembered, row_hashes
from minigrad.saving.models import annotate
from minigrad.sequential import Sequential
from minigrad.tables.answers import Answers, Predictor
from minigrad.tables.settings import ACTIVATIONS, Settings
from minigrad.tables.target import Target, threshold_of
from minigrad.training.history import History
from minigrad.training.newton import solve_linear

INTERRUPTED = "interrupted"
"""What stands in the preparation of a model until its training has come to its end."""
VALIDATION, PATIENCE = 0.1, 20  # epochs, or a tenth of them where they are many
MEMBERS_APART = 1_000_003  # the seeds of an ensemble's networks, so that no other run has them
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
    there are the `names` of x's columns, the `groups` of them that each column of the table became, the `target` that
    made t, and the choices that were made for the user: in `notes` (what each is about, the choice), and `for_json`.
    """

    x: Array
    t: npt.NDArray[Any]
    answers: npt.NDArray[Any]
    train: Rows
    held_out: Rows
    recipe: Recipe
    facts: dict[str, Any]
    names: list[str] | None = None
    groups: dict[str, list[int]] | None = None
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
        found = Answers.of(model, self.x[self.held_out], self.target, threshold_of(model.preparation))
        return measure(self.answers[self.held_out], found.values)


def _kept(split: Split, settings: Settings) -> dict[str, Any]:
    """What of its training rows a model of a table keeps: a digest, and the means; and its threshold.

    Raises ValueError for a threshold where there are not two classes.
    """
    answers = split.answers[split.train]
    found: dict[str, Any] = {}
    if split.target is not None:
        x = split.x[split.train]
        found["trained_on"] = remembered(row_hashes(x, answers))
        found["means"] = x.mean(axis=0, dtype=np.float64).tolist()
    if settings.threshold is not None:
        classes, counts = np.unique(answers, return_counts=True)
        if split.target is None or split.recipe is NUMBERS or len(classes) != 2:
            raise ValueError("--threshold is about a table's column with two classes")
        rarer = classes[int(counts[1] <= counts[0])]
        found["threshold"] = {"label": rarer.item() if hasattr(rarer, "item") else rarer, "from": settings.threshold}
    return found


def train_network(
    split: Split,
    settings: Settings,
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    progress: bool | None = None,
) -> tuple[Sequential, History]:
    """A network trained on the training rows of the split, and what happened; of an ensemble, to its first network.

    Where the recipe is to stop early, a tenth of these rows is kept for that, if that is 20 at least, and if there are
    hidden layers: without them nothing is learned by heart, and L2 is enough. Else the held-out rows are watched, for
    the curve alone: nothing is chosen by it. The networks of an ensemble keep different tenths.
    """
    facts = split.facts | {"settings": settings.told(len(split.train))} | _kept(split, settings)
    if settings.ensemble == 1:
        return _train_one(split, settings, facts, checkpoint, progress)
    seeds = [settings.seed + MEMBERS_APART * member for member in range(settings.ensemble)]
    members = [_train_one(split, replace(settings, seed=seed), None, None, progress) for seed in seeds]
    first, history = members[0]
    model = Sequential([Average(*(member for member, _ in members))], first.dtype, first.input_shape)
    model.classes, model.boundary, model.preparation = first.classes, first.boundary, facts
    if checkpoint is not None:
        model.save(checkpoint)
    return model, history


def _train_one(
    split: Split,
    settings: Settings,
    facts: dict[str, Any] | None,
    checkpoint: str | os.PathLike[str] | None,
    progress: bool | None,
) -> tuple[Sequential, History]:
    used, recipe = settings.told(len(split.train)), split.recipe
    outputs = 1 if recipe is NUMBERS else len(np.unique(split.t[split.train]))
    stack = dense_stack([split.x.shape[1], *settings.widths, outputs], ACTIVATIONS[settings.activation])
    model = Sequential([*stack, *(layer() for layer in recipe.end)], seed=settings.seed)
    if settings.solved:
        x, t = split.x[split.train], split.t[split.train]
        history = _solve(model, x, t, used["l2"], balanced=settings.class_weight is not None)
        model.preparation = facts
        if checkpoint is not None:
            model.save(checkpoint)
        return model, history
    model.preparation = facts if facts is None or checkpoint is None else facts | {INTERRUPTED: True}
    stops = recipe.early_stopping and bool(settings.widths) and VALIDATION * len(split.train) >= LEAST_VALIDATION
    x, t, watched, rows = _examples(split, settings, stops)
    epochs = math.ceil(settings.passes(rows) / settings.repeats(rows))
    history = model.fit(
        x,
        t,
        loss=recipe.loss(),
        optimizer=settings.new_optimizer(rows),
        epochs=epochs,
        batch_size=settings.batch_size,
        validation=watched,
        patience=max(PATIENCE, epochs // 10) if stops else None,
        l2=used["l2"],
        class_weight=cast(Any, settings.class_weight),
        seed=settings.seed,
        checkpoint=checkpoint,
        progress=progress,
    )
    if checkpoint is not None:
        model.preparation = facts
        annotate(model, checkpoint)
    return model, history


def _examples(split: Split, settings: Settings, stops: bool) -> tuple[Any, Any, Any, int]:
    """(x, t, what is watched, how many different rows x has) for a training that stops by what it watches, or not.

    Few rows stand in x several times, so that an epoch is worth its own time.
    """
    if split.blocks is not None:
        count = split.blocks.rows()
        return split.blocks, None, VALIDATION if stops else None, count - round(VALIDATION * count) * stops
    train, watched = split.train, None if split.recipe.early_stopping else split.held_out
    if stops:
        labels = len(train) if split.recipe is NUMBERS else split.t[train]
        own, kept = split_rows(labels, VALIDATION, seed=settings.seed)
        train, watched = train[own], train[kept]
    rows = np.tile(train, settings.repeats(len(train)))
    return split.x[rows], split.t[rows], None if watched is None else (split.x[watched], split.t[watched]), len(train)


def _solve(model: Sequential, x: Array, t: npt.NDArray[Any], l2: float, *, balanced: bool) -> History:
    """Give a network without hidden layers the weights that are best for these rows."""
    weights, logistic = None, len(model.layers) > 1
    if logistic:
        encoder = LabelEncoder(t)
        model.classes, codes = encoder.classes, encoder.encode(t)
        t = encoder.one_hot(t)
        if balanced:
            weights = 1 / np.bincount(codes)[codes]
    W, b, history = solve_linear(x, t.reshape(len(t), -1), logistic=logistic, l2=l2, weights=weights)
    for name, values in (("W", W), ("b", b)):
        model.layers[0].params[name][...] = values
    return history


def interrupted(model: Sequential | Predictor) -> str | None:
    """What is to be said of a model whose training has not come to its end."""
    facts: dict[str, Any] = (model.network if isinstance(model, Predictor) else model).preparation or {}
    told = "the training was interrupted, so this is the network as it was then; train with --resume goes on"
    return told if facts.get(INTERRUPTED) else None

"""`minigrad open`: the training step that a saved model would make with some rows, laid open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.models import load_model
from minigrad.layers.activations import Softmax
from minigrad.layers.combine import Average
from minigrad.optimizers import SGD, Optimizer
from minigrad.sequential import Sequential
from minigrad.tables.model import TableModel, network_of
from minigrad.tables.network import LABELS, NUMBERS, YES_OR_NO, Recipe
from minigrad.tables.read import read_rows
from minigrad.tables.settings import OPTIMIZERS
from minigrad.tables.sources import with_source
from minigrad.tables.writing.outputs import refuse_output


def lay_open(options: argparse.Namespace) -> int:
    """`minigrad open MODEL DATA --out FILE`: the step of the first rows of DATA, as a page or a workbook."""
    out = Path(options.out)
    if out.suffix.lower() not in (".html", ".htm", ".xlsx"):
        raise ValueError(f"{out}: --out takes a name that ends in .html, for a page, or in .xlsx, for a workbook")
    refuse_output(out, options.force)
    model = load_model(options.model)
    rows = read_rows(model, options, answered=True)
    rows.tell()
    rows.refuse_unseen(model)
    names: list[str] | None = None
    x, t = rows.x, rows.known
    if isinstance(model, TableModel):
        with with_source(rows.where):
            x, t = model.encode(x), model.target.encode(t)
        names = model.preparation.features
    network: Sequential = network_of(model)
    chosen = _spread(t, options.rows) if network.classes is not None else np.arange(min(options.rows, len(x)))
    recipe, outputs = _recipe(network), None if network.classes is None else [str(c) for c in network.classes.tolist()]
    x, t = x[chosen], t[chosen]
    if recipe is NUMBERS:
        t = np.reshape(t, (len(t), -1))
    optimizer, l2 = _optimizer(network)
    network.lay_open(x, t, recipe.loss(), optimizer, l2=l2, inputs=names, outputs=outputs).save(out)
    places = ", ".join(str(row + 1) for row in chosen.tolist())
    print(f"{out}: a step of {len(chosen)} rows ({places}) of {rows.where}, with {recipe.loss()!r} and {optimizer!r}")
    return 0


def _spread(labels: Any, count: int) -> Any:
    """The first rows of DATA, of as many different labels as there are: all of one would show little."""
    first = np.unique(labels, return_index=True)[1]
    every = [*sorted(first.tolist()), *(row for row in range(len(labels)) if row not in set(first.tolist()))]
    return np.array(sorted(every[:count]))


def _recipe(model: Sequential) -> Recipe:
    """How the command trains a network with such an end."""
    last = type(model.chain()[-1])
    if model.classes is None:
        return NUMBERS
    return next(
        (recipe for recipe in (LABELS, YES_OR_NO) if recipe.end == (last,)),
        LABELS if last in (Softmax, Average) else NUMBERS,
    )


def _optimizer(model: Sequential) -> tuple[Optimizer, float]:
    """The optimizer and the penalty that the model was trained with by the command; else SGD."""
    settings = (model.preparation or {}).get("settings")
    if not isinstance(settings, dict):
        return SGD(0.1), 0.0
    rate = float(settings.get("learning_rate", 0.1))
    kind: Any = OPTIMIZERS.get(str(settings.get("optimizer")), SGD)
    return kind(rate), float(settings.get("l2") or 0.0)

"""Weights that nobody has declared are refused before the first step, instead of staying as they are without a word."""

from __future__ import annotations

import copy

import numpy as np

from minigrad.data.examples import Examples
from minigrad.losses import Loss
from minigrad.model import Model, run_backward, run_forward
from minigrad.parameter import walk
from minigrad.trained import (
    DECLARE,
    NEVER_TRAINED,
    UNCHANGED,
    UNDECLARED,
    may_lack_declarations,
    undeclared_parameter,
    undeclared_weight,
)
from minigrad.training.objective import Objective

ROWS = 8


def check_declared(model: Model, loss: Loss, examples: Examples) -> None:
    """Raise ValueError for a layer whose backward fills a gradient that no optimizer sees, since it is not declared.

    Where the model's code gives cause to look, a copy of it runs a few rows. Where a backward is derived, no code
    fills a gradient, and the names must tell.
    """
    for layer in walk([model]):
        if (name := undeclared_weight(layer)) is not None:
            what, why = (words.format(parameter=name) for words in (UNCHANGED, DECLARE))
            raise ValueError(f"{layer!r}: {what}: {why}")
    if model.theta.size == 0:
        raise ValueError(
            f"{model!r} has no parameters, so there is nothing to train; a layer that learns declares them in its "
            f"class, as in W, dW = parameter(), or is one of the package's, such as Dense"
        )
    if not may_lack_declarations(model):
        return
    rows = np.arange(len(examples))[:ROWS]
    try:
        trial = Objective(copy.deepcopy(model), loss)
        z = run_forward(trial.layers, trial.model.admit(examples.x[rows]))
        before = [dict(vars(layer)) for layer in walk([trial.model])]
        run_backward(trial.layers, trial.loss.backward(z, examples.targets(rows)))
    except Exception:  # then the first step raises it, in its place
        return
    for layer, copied, held in zip(walk([model]), walk([trial.model]), before, strict=True):
        name = undeclared_parameter(copied, layer.__getstate__(), held)
        if name is not None:
            what, why = (words.format(parameter=name) for words in (UNDECLARED, NEVER_TRAINED))
            raise ValueError(f"{layer!r}: {what}; {why}")

"""What the rooms above the textbook do for every model; `minigrad/__init__.py` makes this module `Model.tools`.

Each room is imported by the first call that needs it, so that `import minigrad` is quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from minigrad.data.examples import Batches, WeightedMean
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.training.objective import Objective

if TYPE_CHECKING:
    from minigrad.pages import Opened
    from minigrad.programs.runtime.executables import StepProgram
    from minigrad.saving.checkpoint import Checkpoint


@cache
def _execution() -> Any:
    from minigrad.programs.runtime import execution

    return execution


def execute(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None = None
) -> WeightedMean:
    """The steps of an epoch, made by a recorded program where there is one; see minigrad.programs."""
    mean: WeightedMean = _execution().execute(objective, optimizer, runs, epochs)
    return mean


def predict(model: Model, x: Array) -> Array:
    """Inference, by a recorded program where there is one."""
    y: Array = _execution().predict(model, x)
    return y


def program(model: Model, loss: Any, optimizer: Any, **settings: Any) -> StepProgram:
    """The training step as a program to read; see minigrad.programs."""
    made: StepProgram = _execution().program(model, loss, optimizer, **settings)
    return made


def lay_open(model: Model, x: Any, t: Any, loss: Any, optimizer: Any, **settings: Any) -> Opened:
    """The next training step, laid open; see minigrad.pages."""
    from minigrad import pages

    return pages.lay_open(model, x, t, loss, optimizer, **settings)


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as one safetensors file; see minigrad.saving.models."""
    from minigrad.saving import models

    models.save(model, path)


def checkpoint(
    path: str | os.PathLike[str], model: Model, optimizer: Optimizer, settings: dict[str, Any]
) -> Checkpoint:
    """The file that keeps a training, to go on after a stop; see minigrad.saving.checkpoint."""
    from minigrad.saving.checkpoint import Checkpoint

    return Checkpoint(path, model, optimizer, settings)

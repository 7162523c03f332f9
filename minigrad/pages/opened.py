"""What `model.lay_open` returns: a step that shows itself, as a page or as a workbook."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from minigrad.atomic import replacing, target_of
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.pages.page import page
from minigrad.pages.step import LaidStep, OpenedError
from minigrad.pages.workbook import workbook


class Opened:
    """A training step laid open. A notebook shows it; `save` writes it as a page (.html) or as a workbook (.xlsx)."""

    def __init__(self, step: LaidStep, names: list[str] | None, outputs: list[str] | None) -> None:
        self._step, self._names, self._outputs = step, names, outputs or step.classes

    def save(self, path: str | os.PathLike[str], steps: int | None = None) -> None:
        """Write the step at `path`, by the ending of its name: .html or .xlsx.

        A workbook has a sheet for each of `steps` training steps: 20, or as many as stay below 100,000 cells. Raises
        OpenedError, a ValueError, where the step has more numbers than a sheet should hold.
        """
        ending = Path(path).suffix.lower()
        if ending not in (".html", ".htm", ".xlsx"):
            raise OpenedError(f"{path}: give it a name that ends in .html, for a page, or in .xlsx, for a workbook")
        target_of(path)
        if ending == ".xlsx":
            data = workbook(self._step, self._names, self._outputs, steps)
        else:
            data = page(self._step, self._names, self._outputs).encode()
        with replacing(path) as file:
            file.write(data)

    def _repr_html_(self) -> str:
        """The page in a frame of its own."""
        inside = escape(page(self._step, self._names, self._outputs))
        return f'<iframe srcdoc="{inside}" style="width:100%;height:46rem;border:0" title="a training step"></iframe>'

    def __repr__(self) -> str:
        return f"<a step of {self._step.title} laid open: save it as step.html or step.xlsx>"


def lay_open(
    model: Model,
    x: Any,
    t: Any,
    loss: Loss,
    optimizer: Optimizer,
    *,
    l2: float = 0.0,
    inputs: list[str] | None = None,
    outputs: list[str] | None = None,
) -> Opened:
    """The step that training would make next with these rows, laid open; the model and the optimizer stay as they are.

    It is computed in float64. `inputs` and `outputs` are names to show at the columns of x and of t. Raises
    OpenedError, a ValueError, that names the layer, loss or optimizer which can't be shown, and why.
    """
    return Opened(LaidStep(model, x, t, loss, optimizer, l2), inputs, outputs)

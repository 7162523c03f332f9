"""The rows of a training, however they come: in memory as Examples, or by windows of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from minigrad.data.examples import Examples, InBlocks
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.training.targets import ClassWeight, as_examples

if TYPE_CHECKING:
    from minigrad.training.windows import Windows

Rows: TypeAlias = "Examples | Windows"


def as_rows(
    model: Model,
    x: Any,
    t: Any,
    loss: Loss,
    sample_weight: Any,
    class_weight: ClassWeight | None,
    shuffle: Any = True,
) -> Rows:
    """x and t (and weights) checked against each other and against the model; labels make `model.classes`."""
    if not isinstance(shuffle, bool) and shuffle != "windows":
        raise ValueError(f'shuffle={shuffle!r}: it is True, False, or "windows", for rows that memory does not hold')
    if isinstance(x, InBlocks) or shuffle == "windows":
        from minigrad.training.windows import as_windows  # `import minigrad` is to be quick: few trainings have blocks

        return as_windows(model, x, t, loss, sample_weight, class_weight)
    return as_examples(model, x, t, loss, sample_weight, class_weight)

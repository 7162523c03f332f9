"""The rows of a training, however they come: in memory as Examples, or by windows of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from minigrad.data.examples import Batch, Batches, InBlocks
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.parameter import Array
from minigrad.training.targets import ClassWeight, as_examples


class Rows(Protocol):
    """Rows with their targets and weights, checked against a model and a loss, handed out in batches."""

    def epoch(
        self, seed: Any, epoch: int, shuffle: bool, batch_size: int, change: Callable[[Array], Array] | None = None
    ) -> Iterator[Batches]:
        """The batches of an epoch, in runs; `change` is given the x of each."""

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows as they stand, batch by batch."""

    def hold_out(self, share: float, seed: int) -> tuple[Rows, Rows]:
        """The rows without a share of them, and that share."""

    def check_weights(self, purpose: str) -> None:
        """Raise ValueError where the rows weigh nothing, or more than can be added up."""


def prepare_rows(
    model: Model,
    x: Any,
    t: Any,
    loss: Loss,
    sample_weight: Any,
    class_weight: ClassWeight | None,
    shuffle: Any,
    validation: Any = None,
    seed: int | None = 0,
) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those that `validation` keeps from that, if any. Labels make `model.classes`."""
    if not isinstance(shuffle, bool) and shuffle != "windows":
        raise ValueError(f'shuffle={shuffle!r}: it is True, False, or "windows", for rows that memory does not hold')
    rows = _rows_of(model, x, t, loss, sample_weight, class_weight, in_windows=shuffle == "windows")
    held_out: Rows | None = None
    if isinstance(validation, InBlocks):
        validation = validation, None
    if isinstance(validation, tuple) and len(validation) == 2:
        try:
            held_out = _rows_of(model, *validation, loss, None, class_weight)
        except ValueError as error:
            raise ValueError(f"validation: {error}") from error
    elif isinstance(validation, int | float | np.number):
        rows, held_out = rows.hold_out(validation, seed or 0)  # type: ignore[arg-type]
    elif validation is not None:
        raise TypeError(f"validation={validation!r:.40}: give a fraction of the rows, such as 0.1, or a pair (x, t)")
    rows.check_weights("training")
    if held_out is not None:
        held_out.check_weights("validation")
    return rows, held_out


def _rows_of(
    model: Model,
    x: Any,
    t: Any,
    loss: Loss,
    sample_weight: Any,
    class_weight: ClassWeight | None,
    in_windows: bool = False,
) -> Rows:
    if in_windows or isinstance(x, InBlocks):
        from minigrad.training.windows import as_windows  # `import minigrad` is to be quick: few trainings have blocks

        return as_windows(model, x, t, loss, sample_weight, class_weight)
    return as_examples(model, x, t, loss, sample_weight, class_weight)

"""What is known of a training: its epochs, the history that they make, and why it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minigrad.display import html_table, text_table
from minigrad.habits import HISTORY, answering

if TYPE_CHECKING:
    import pandas as pd

EPOCHS_SHOWN = 10  # in the table of a history


@dataclass(frozen=True)
class Epoch:
    """One pass over the rows: its `number` from 1, the training `loss` (penalty included), and its `seconds`."""

    number: int
    loss: float
    seconds: float


@answering(HISTORY)
@dataclass
class History:
    """What happened in each epoch: lists as long as there were epochs.

    `loss` is the mean over the training rows of the loss *before* each batch's update, penalty included.
    `validation_loss` (without the penalty) and the lists in `metrics` are of the parameters at the end of the epoch, on
    rows that were not trained on; they are empty when there are no such rows, but for the `metrics` that `fit` is
    given: these are then of the training rows. `best_epoch` counts from 1; it is the one whose parameters were
    restored, or None without `patience` and `monitor`.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def to_frame(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity, as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self._columns(), index=pd.RangeIndex(1, len(self) + 1, name="epoch"))

    def summary(self) -> str:
        """A table of some of the epochs: the first, the last, the best, and some between."""
        head, *rows = self._rows()
        return text_table(head, rows)

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table as `summary`."""
        head, *rows = self._rows()
        return html_table(head, rows)

    def _columns(self) -> dict[str, list[float]]:
        """The quantities of which there are values."""
        columns = {"loss": self.loss, "validation_loss": self.validation_loss, **self.metrics, "seconds": self.seconds}
        return {name: values for name, values in columns.items() if values}

    def _rows(self) -> list[list[str]]:
        columns = self._columns()
        shown = {round(place) for place in np.linspace(0, len(self) - 1, min(len(self), EPOCHS_SHOWN))}
        if self.best_epoch is not None:
            shown.add(self.best_epoch - 1)
        rows = [["epoch", *(name.replace("_", " ") for name in columns)]]
        for place in sorted(shown):
            mark = " (best)" if place + 1 == self.best_epoch else ""
            rows.append([f"{place + 1}{mark}", *(f"{values[place]:.4g}" for values in columns.values())])
        return rows


class DivergenceError(FloatingPointError):
    """Training stopped since a loss, gradient or parameter was not finite. `history` holds the epochs before."""

    def __init__(self, message: str, history: History | None = None) -> None:
        super().__init__(message)  # pickle makes an exception again from these arguments alone
        self.history: History = History() if history is None else history


class NotFinite(FloatingPointError):
    """A loss, a gradient or a parameter is not finite, in the batch of this `number` of an epoch, counted from 1."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number

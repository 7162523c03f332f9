"""What is known of a training: its epochs, the history that they make, which was the best, and why it stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minigrad.configured.hints import HISTORY, answering
from minigrad.display import html_table, text_table

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


SMALLER = ("loss", "error", "mae", "mse", "rmse", "brier", "deviance", "perplexity")
"""Words in the name of a measure of which less is better."""


@dataclass(frozen=True)
class Monitor:
    """Which of the measures says what epoch is the best: the validation loss, or the one of this name."""

    name: str = "loss"

    @property
    def key(self) -> str:
        """Its name in `History.metrics`."""
        return f"validation_{self.name}"

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        words = self.name.lower().replace("-", "_").split("_")
        return -1 if any(word in words for word in SMALLER) else 1

    def values(self, history: History) -> list[float]:
        """Its value after each epoch."""
        if self.name == "loss":
            return history.validation_loss
        if self.key not in history.metrics:
            there = ", ".join(name.removeprefix("validation_") for name in history.metrics)
            raise ValueError(f"monitor={self.name!r}: there is no such measure; there is loss, {there}")
        return history.metrics[self.key]

    def best(self, history: History) -> float:
        """The value of the best epoch, times the sign; -inf before there is one."""
        return -math.inf if history.best_epoch is None else self.sign * self.values(history)[history.best_epoch - 1]

    def is_best(self, history: History) -> bool:
        """Whether the latest epoch is better than the best one before."""
        return self.sign * self.values(history)[-1] > self.best(history)


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

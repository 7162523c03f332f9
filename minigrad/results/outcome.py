"""What an evaluation finds, as data: outcomes with their intervals, baselines, mistakes and cautions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.metrics import ClassificationReport, wilson_interval
from minigrad.parameter import Array
from minigrad.training.history import History

Z = 1.959964  # the normal quantile of a 95 % interval
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Measure:
    """A figure of the held-out rows and its 95 % interval, by the bootstrap.

    `chance` is what an answer that knows nothing of a row gets, and `gain` the paired interval of how much better the
    network is than that.
    """

    key: str
    name: str
    value: float
    interval: Interval
    chance: float
    gain: Interval

    @property
    def shown(self) -> bool:
        """Whether these rows show that the network does better than knowing nothing."""
        return self.gain[0] > 0


@dataclass(frozen=True)
class TradeOff:
    """What comes of answering a class from a `threshold` on: `called` rows, of them `right`, of `true` in `rows`."""

    threshold: float
    called: int
    right: int
    true: int
    rows: int

    @property
    def precision(self) -> float:
        """The share of rows called so that are so; NaN where none is."""
        return self.right / self.called if self.called else math.nan

    @property
    def recall(self) -> float:
        """The share of rows that are so that are called so; NaN where none is."""
        return self.right / self.true if self.true else math.nan

    @property
    def accuracy(self) -> float:
        """The share of rows that are answered rightly."""
        return (self.rows - self.called - self.true + 2 * self.right) / self.rows


@dataclass(frozen=True)
class Coverage:
    """An interval of prediction ± `half_width`, meant to hold for a share `level` of new rows.

    Measured on held-out rows that did not set the width: it `held` for so many of `rows`; `interval` is that of the
    share.
    """

    level: float
    half_width: float
    held: int
    rows: int
    interval: Interval


@dataclass(frozen=True)
class Classification:
    """Answers that are classes. The matrices have true classes down, predicted ones across, both as in `classes`."""

    train_matrix: npt.NDArray[np.int64]
    held_out_matrix: npt.NDArray[np.int64]
    report: ClassificationReport
    confidence: Array
    """The output behind the answer for each held-out row: the largest one."""
    right: Array
    """Whether the answer was right."""
    codes: Array
    """The place of each held-out row's true class in `classes`."""
    outputs: Array
    """(m, K): the outputs for the held-out rows, a column for each class."""
    measures: tuple[Measure, ...] = ()
    positive: int | None = None
    """Of two classes, the place of the one that is looked for: the rarer one among the training rows."""
    unbalanced: float | None = None
    """The share of the commonest class, where it is so large that accuracy says little and AUC decides."""
    threshold: float | None = None
    """From which output on the positive class is the answer; None where the largest output is."""
    trade_offs: tuple[TradeOff, ...] = ()

    measure = "accuracy"

    @property
    def classes(self) -> list[Any]:
        """The labels in the user's own words, sorted."""
        return list(self.report.classes.tolist())

    @property
    def score(self) -> float:
        """The share of held-out rows whose largest output is the true class."""
        return _share(self.held_out_matrix)

    @property
    def train_score(self) -> float:
        """The same of the rows that were trained on."""
        return _share(self.train_matrix)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `score`."""
        return wilson_interval(int(np.trace(self.held_out_matrix)), int(self.held_out_matrix.sum()))

    def class_intervals(self) -> list[tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]:
        """95 % intervals of each class's precision, recall and F1; (0, 1) where there are no rows to tell by.

        Precision and recall are shares, and have Wilson's. F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a share
        of the rows that are of the class or are called so; its interval is that of J, carried over.
        """
        matrix, found = self.held_out_matrix, []
        for k in range(len(matrix)):
            right, called, rows = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
            low, high = _wilson(right, called + rows - right)
            found.append((_wilson(right, called), _wilson(right, rows), (2 * low / (1 + low), 2 * high / (1 + high))))
        return found


@dataclass(frozen=True)
class Regression:
    """Answers that are numbers: `truth` and `answers` of the held-out rows, (m, outputs).

    `score` is R², `error` the mean |t - p|; their intervals and those of the `measures` are the bootstrap's.
    """

    truth: Array
    answers: Array
    score: float
    interval: tuple[float, float]
    train_score: float
    error: float
    """Mean |t - p| over the held-out rows."""
    error_interval: tuple[float, float]
    train_error: float
    measures: tuple[Measure, ...] = ()
    coverage: Coverage | None = None
    """The interval around a prediction; None where the held-out rows are too few, or outputs are several."""

    measure = "R²"


@dataclass(frozen=True)
class Baseline:
    """A simpler answer to the same rows: its score, and `gain`, the 95 % interval of how much better the network is.

    The interval is paired: it comes from the differences row by row, so it is much narrower than that of either score.
    `auc_gain` is the same of the AUC, and decides on unbalanced classes, where `by_auc` says so. `advice` is what to do
    where it wins.
    """

    name: str
    score: float
    gain: Interval
    error: float | None = None
    auc: float | None = None
    auc_gain: Interval | None = None
    by_auc: bool = False
    advice: str = ""

    @property
    def verdict(self) -> str:
        """What the network is against this baseline: "better", "worse" or "not clearly better"."""
        low, high = self.auc_gain if self.by_auc and self.auc_gain is not None else self.gain
        return "better" if low > 0 else "worse" if high < 0 else "not clearly better"


@dataclass(frozen=True)
class Mistake:
    """A held-out row that was answered wrongly. `row` counts from 1 in the user's data.

    For classes, `size` is the output behind the answer and `truth_output` that of the true class; for numbers, `size`
    is |truth - answer|.
    """

    row: int
    truth: Any
    answer: Any
    size: float
    truth_output: float
    x: Array


@dataclass(frozen=True)
class Caution:
    """Something that makes the numbers worth less than they look, in one line and in a few."""

    title: str
    text: str


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found."""

    outcome: Classification | Regression
    train_rows: int
    held_out_rows: int
    features: int
    history: History
    baselines: list[Baseline]
    mistakes: list[Mistake]
    cautions: list[Caution]
    pictures: bool
    """Whether the rows of x are square pictures."""
    first_weights: Array | None
    """(units, …) of the first layer, where they are square pictures; else None."""
    layers: list[str]
    parameters: int
    summary: str
    """The table of the layers."""
    spread: list[float] = field(default_factory=list)
    """The scores of other runs, with other splits, first weights and orders; this run's is the first."""
    drawn: str = ""
    """How rows were held out, where that was not at random."""


def mean_interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of the mean of independent values, by the normal approximation."""
    middle = float(values.mean())
    half = Z * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return middle - half, middle + half


def _wilson(successes: int, total: int) -> tuple[float, float]:
    return wilson_interval(successes, total) if total else (0.0, 1.0)


def _share(matrix: npt.NDArray[np.int64]) -> float:
    """The share of rows on the diagonal of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())

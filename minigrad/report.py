"""The result of a training run, and how it is told: as text for people, as one JSON object for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.metrics import ClassificationReport, mean_absolute_error, r2_score, wilson_interval

MATRIX_LIMIT = 20  # classes whose confusion matrix still fits on a page
SHOWN = 10  # classes named in a line
CONFUSIONS = 3  # of the most frequent mistakes are named


@dataclass(frozen=True)
class Result:
    """What a run of `minigrad train` found.

    The matrices count rows by true class (rows) and predicted class (columns), in the order of `held_out.classes`.
    `majority` is the most frequent class in training; `baseline` is the accuracy on the held-out rows of always
    answering it. `losses` has one value per epoch. `settings` are the command's options as they were used.
    """

    data: str
    features: int
    layers: list[str]
    parameters: int
    settings: dict[str, Any]
    losses: list[float]
    train_matrix: npt.NDArray[np.int64]
    held_out_matrix: npt.NDArray[np.int64]
    held_out: ClassificationReport
    majority: Any
    baseline: float
    reading_seconds: float
    training_seconds: float
    seconds: float

    @property
    def classes(self) -> list[Any]:
        """The labels in the user's own words, sorted."""
        return list(self.held_out.classes.tolist())


def as_json(result: Result) -> dict[str, Any]:
    """The result as an object that JSON can hold."""
    train, held_out = _score(result.train_matrix), _score(result.held_out_matrix)
    report = result.held_out
    return {
        "data": result.data,
        "train_rows": train.total,
        "held_out_rows": held_out.total,
        "features": result.features,
        "layers": result.layers,
        "parameters": result.parameters,
        "epochs": len(result.losses),
        "settings": result.settings,
        "losses": result.losses,
        "held_out_accuracy": held_out.share,
        "held_out_interval": held_out.interval,
        "train_accuracy": train.share,
        "train_interval": train.interval,
        "baseline": result.baseline,
        "classes": result.classes,
        "confusion_matrix": result.held_out_matrix.tolist(),
        "precision": report.precision.tolist(),
        "recall": report.recall.tolist(),
        "f1": report.f1.tolist(),
        "seconds_reading": result.reading_seconds,
        "seconds_training": result.training_seconds,
        "seconds": result.seconds,
    }


def summary(result: Result) -> str:
    """The result as a page of text."""
    parts = [_heading(result), _accuracies(result), _matrix(result), str(result.held_out), _times(result)]
    return "\n\n".join(parts)


@dataclass(frozen=True)
class _Score:
    right: int
    total: int

    @property
    def share(self) -> float:
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.right, self.total)


def _score(matrix: npt.NDArray[np.int64]) -> _Score:
    return _Score(int(np.trace(matrix)), int(matrix.sum()))


def _heading(result: Result) -> str:
    train, held_out = int(result.train_matrix.sum()), int(result.held_out_matrix.sum())
    names = [str(name) for name in result.classes]
    named = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    used, losses = result.settings, result.losses
    steps = f"{used['optimizer']} at rate {used['learning_rate']:g}"
    lines = [
        ("data", f"{result.data}: {train + held_out:,} rows of {result.features:,} numbers"),
        ("classes", f"{len(names)}: {named}"),
        ("split", f"{train:,} rows to train on, {held_out:,} held out; drawn at random within each class"),
        ("", "(stratified), so that both parts have the classes in the same proportions"),
        ("network", f"{', '.join(result.layers)}: {result.parameters:,} parameters"),
        ("training", f"{len(losses)} epochs in batches of {used['batch_size']}; {steps}, L2 {used['l2']:.3g}"),
        ("", f"loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last; seed {used['seed']}"),
    ]
    return "\n".join(f"{name:<10}{text}" for name, text in lines)


def _accuracies(result: Result) -> str:
    lines = ["accuracy            95 % interval    rows right (the largest output is the answer)"]
    for name, score in (("held out", _score(result.held_out_matrix)), ("training", _score(result.train_matrix))):
        low, high = score.interval
        lines.append(f"{name:<10}{score.share:.3f}    {low:.3f} to {high:.3f}   {score.right:,} of {score.total:,}")
    lines.append(f"{'baseline':<10}{result.baseline:.3f}    on the held-out rows, always answering {result.majority}")
    return "\n".join(lines)


def _matrix(result: Result) -> str:
    names, matrix = [str(name) for name in result.classes], result.held_out_matrix
    return "\n".join(matrix_lines("held-out rows", names, matrix))


def matrix_lines(rows: str, names: list[str], matrix: npt.NDArray[np.int64]) -> list[str]:
    """The confusion matrix of these rows, and the most frequent mistakes."""
    lines = []
    if len(names) <= MATRIX_LIMIT:
        width = max(6, 2 + max(len(cell) for cell in [*names, str(matrix.max())]))
        lines.append(f"{rows} by true class (down) and predicted class (across)")
        lines.append(" " * width + "".join(f"{name:>{width}}" for name in names))
        for name, row in zip(names, matrix.tolist(), strict=True):
            lines.append(f"{name:>{width}}" + "".join(f"{count or '.':>{width}}" for count in row))
    else:
        lines.append(f"the confusion matrix of {len(names)} classes is too wide for a page; --json prints it")
    wrong = matrix - np.diag(matrix.diagonal())
    often = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), len(names)) for place in often]
    mistakes = [f"{names[i]} taken for {names[j]} ({wrong[i, j]})" for i, j in pairs if wrong[i, j]]
    lines.append(f"most often: {', '.join(mistakes)}" if mistakes else "no mistakes")
    return lines


def _times(result: Result | NumbersResult) -> str:
    return f"time      {result.reading_seconds:.2f} s reading, {result.training_seconds:.2f} s training"


@dataclass(frozen=True)
class NumbersResult:
    """What a run found whose target is a number: the true values and the network's, in the user's units.

    The other fields are those of `Result`.
    """

    train: npt.NDArray[np.float64]
    train_told: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.float64]
    held_out_told: npt.NDArray[np.float64]
    data: str
    features: int
    layers: list[str]
    parameters: int
    settings: dict[str, Any]
    losses: list[float]
    reading_seconds: float
    training_seconds: float
    seconds: float

    @property
    def baseline(self) -> npt.NDArray[np.float64]:
        """The answers of one who always says the mean of the training rows."""
        return np.full(len(self.held_out), self.train.mean())


def numbers_json(result: NumbersResult) -> dict[str, Any]:
    """The result as an object that JSON can hold; r2 and mae are of the held-out rows."""
    return {
        "data": result.data,
        "train_rows": len(result.train),
        "held_out_rows": len(result.held_out),
        "features": result.features,
        "layers": result.layers,
        "parameters": result.parameters,
        "epochs": len(result.losses),
        "settings": result.settings,
        "losses": result.losses,
        "held_out_accuracy": None,
        "train_accuracy": None,
        "r2": r2_score(result.held_out, result.held_out_told),
        "mae": mean_absolute_error(result.held_out, result.held_out_told),
        "train_r2": r2_score(result.train, result.train_told),
        "train_mae": mean_absolute_error(result.train, result.train_told),
        "baseline_mae": mean_absolute_error(result.held_out, result.baseline),
        "seconds_reading": result.reading_seconds,
        "seconds_training": result.training_seconds,
        "seconds": result.seconds,
    }


def numbers_summary(result: NumbersResult) -> str:
    """The result as a page of text."""
    used, losses = result.settings, result.losses
    steps = f"{used['optimizer']} at rate {used['learning_rate']:g}"
    rows = len(result.train) + len(result.held_out)
    lines = [
        ("data", f"{result.data}: {rows:,} rows of {result.features:,} numbers"),
        ("split", f"{len(result.train):,} rows to train on, {len(result.held_out):,} held out; drawn at random"),
        ("network", f"{', '.join(result.layers)}: {result.parameters:,} parameters"),
        ("training", f"{len(losses)} epochs in batches of {used['batch_size']}; {steps}, L2 {used['l2']:.3g}"),
        ("", f"loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last; seed {used['seed']}"),
    ]
    table = [f"{'':<10}{'R²':>8}{'mean absolute error':>22}"]
    for name, t, p in (
        ("held out", result.held_out, result.held_out_told),
        ("training", result.train, result.train_told),
        ("baseline", result.held_out, result.baseline),
    ):
        table.append(f"{name:<10}{r2_score(t, p):>8.3f}{mean_absolute_error(t, p):>22.4g}")
    table[-1] += "   on the held-out rows, always answering the mean of the training rows"
    heading = "\n".join(f"{name:<10}{text}" for name, text in lines)
    return "\n\n".join([heading, "\n".join(table), _times(result)])

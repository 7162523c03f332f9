"""The result of a training run, and how it is told: as text and HTML for people, as one JSON object for programs."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.atomic import replacing
from minigrad.display import text_table
from minigrad.metrics import wilson_interval
from minigrad.results.columns import WIDTH, Explanation, columns_section, importance_lines
from minigrad.results.messages import amount, coverage_text, measure_text, spread_text, training_text, verdict, winner
from minigrad.results.outcome import Baseline, Classification, Evaluation, Measure, Regression, TradeOff
from minigrad.results.page import render, whole

MATRIX_LIMIT = 20  # classes whose confusion matrix still fits on a page
SHOWN = 10  # classes named in a line
CONFUSIONS = 3  # of the most frequent mistakes are named


@dataclass(frozen=True)
class Result:
    """What a run of `minigrad train` found: the evaluation of its network, and how it came about.

    `data` is the user's name for the data. `settings` are the command's options as they were used; `optimizer`,
    `learning_rate`, `batch_size`, `l2` and `seed` are told. `notes` are choices that were made for the user, such as
    how a column was read: what they are about, and the choice. `explanation` says which columns matter, of a table.
    """

    data: str
    evaluation: Evaluation
    settings: dict[str, Any]
    reading_seconds: float
    training_seconds: float
    seconds: float
    notes: tuple[tuple[str, str], ...] = ()
    explanation: Explanation | None = None


def as_json(result: Result) -> dict[str, Any]:
    """The result as an object that JSON can hold."""
    found, outcome = result.evaluation, result.evaluation.outcome
    simplest = found.baselines[0]
    baseline = {"baseline": simplest.score} if isinstance(outcome, Classification) else {"baseline_mae": simplest.error}
    return {
        "data": result.data,
        "train_rows": found.train_rows,
        "held_out_rows": found.held_out_rows,
        "features": found.features,
        "layers": found.layers,
        "parameters": found.parameters,
        "epochs": len(found.history),
        "settings": result.settings,
        "losses": found.history.loss,
        "validation_losses": found.history.validation_loss,
        **_outcome_as_json(outcome),
        **baseline,
        "baselines": [
            {
                "name": other.name,
                "score": other.score,
                "error": other.error,
                "gain_interval": other.gain,
                "auc": other.auc,
                "auc_gain_interval": other.auc_gain,
                "verdict": other.verdict,
            }
            for other in found.baselines
        ],
        "winner": winner(found),
        "spread": found.spread,
        **({} if result.explanation is None else result.explanation.to_json()),
        "warnings": [f"{caution.title}. {caution.text}" for caution in found.cautions],
        "notes": [f"{name}: {text}".removeprefix(": ") for name, text in result.notes],
        "seconds_reading": result.reading_seconds,
        "seconds_training": result.training_seconds,
        "seconds": result.seconds,
    }


def summary(result: Result) -> str:
    """The result as a page of text."""
    found, parts = result.evaluation, [_heading(result)]
    if isinstance(found.outcome, Classification):
        outcome = found.outcome
        matrix = "\n".join(matrix_lines("held-out rows", outcome.classes, outcome.held_out_matrix))
        looked_for = None if outcome.positive is None else str(outcome.classes[outcome.positive])
        measures = measure_lines(outcome.measures, looked_for, "held out")
        parts += [_accuracies(found, outcome), measures, matrix, str(outcome.report)]
        if looked_for is not None:
            parts += [threshold_lines(outcome.trade_offs, looked_for, outcome.threshold, "the held-out rows")]
    else:
        parts += [_errors(found, found.outcome), measure_lines(found.outcome.measures, None, "held out")]
        parts += [f"intervals {coverage_text(found.outcome.coverage)}"] if found.outcome.coverage else []
    if result.explanation is not None:
        parts.append(importance_lines(result.explanation))
    said = [f"in short: {verdict(found)}", *([f"{spread_text(found)}."] if found.spread else [])]
    said += [f"warning: {caution.title}. {caution.text}" for caution in found.cautions]
    return "\n\n".join([*parts, *(textwrap.fill(text, WIDTH) for text in said), _times(result)])


def write_explanation(title: str, found: Explanation, path: str | os.PathLike[str]) -> None:
    """Which columns matter, as a page of its own."""
    with replacing(path) as file:
        file.write(whole(title, [columns_section(found)]).encode())


def html(result: Result) -> str:
    """The result as one HTML page that needs nothing else: no network, no other file, no script."""
    columns = "" if result.explanation is None else columns_section(result.explanation)
    return render(result.data, result.evaluation, result.settings, result.notes, result.training_seconds, columns)


def write_html(result: Result, path: str | os.PathLike[str]) -> None:
    """Write the page to a file."""
    with replacing(path) as file:
        file.write(html(result).encode())


def measures_as_json(measures: Sequence[Measure]) -> dict[str, Any]:
    """`held_out_auc` and so on, each with its interval, what knowing nothing gets, and whether a gain is shown."""
    found: dict[str, Any] = {}
    for each in measures:
        found[f"held_out_{each.key}"] = _finite(each.value)
        found[f"held_out_{each.key}_interval"] = [_finite(end) for end in each.interval]
    found["knowing_nothing"] = {each.key: _finite(each.chance) for each in measures}
    found["shown"] = {each.key: each.shown for each in measures}
    return found


def _finite(value: float) -> float | None:
    """The number, or None where it has no value, which JSON can't say."""
    return value if math.isfinite(value) else None


def _outcome_as_json(outcome: Classification | Regression) -> dict[str, Any]:
    if isinstance(outcome, Regression):
        return {
            **measures_as_json(outcome.measures),
            "prediction_interval": None if outcome.coverage is None else asdict(outcome.coverage),
            "held_out_accuracy": None,
            "train_accuracy": None,
            "r2": outcome.score,
            "r2_interval": outcome.interval,
            "mae": outcome.error,
            "mae_interval": outcome.error_interval,
            "train_r2": outcome.train_score,
            "train_mae": outcome.train_error,
        }
    report, intervals = outcome.report, outcome.class_intervals()
    looked_for = None if outcome.positive is None else outcome.classes[outcome.positive]
    return {
        **measures_as_json(outcome.measures),
        "positive": looked_for,
        "threshold": outcome.threshold,
        "trade_offs": [
            {**asdict(each), "precision": _finite(each.precision), "recall": _finite(each.recall)}
            for each in outcome.trade_offs
        ],
        "held_out_accuracy": outcome.score,
        "held_out_interval": outcome.interval,
        "train_accuracy": outcome.train_score,
        "balanced_accuracy": report.balanced_accuracy,
        "classes": outcome.classes,
        "confusion_matrix": outcome.held_out_matrix.tolist(),
        "precision": report.precision.tolist(),
        "precision_interval": [precision for precision, _, _ in intervals],
        "recall": report.recall.tolist(),
        "recall_interval": [recall for _, recall, _ in intervals],
        "f1": report.f1.tolist(),
        "f1_interval": [f1 for _, _, f1 in intervals],
    }


def _heading(result: Result) -> str:
    found, used, losses = result.evaluation, result.settings, result.evaluation.history.loss
    train, held_out = found.train_rows, found.held_out_rows
    lines = [("data", f"{result.data}: {train + held_out:,} rows of {found.features:,} numbers")]
    split = f"{train:,} rows to train on, {held_out:,} held out; {found.drawn or 'drawn at random'}"
    if isinstance(found.outcome, Classification):
        names = [str(name) for name in found.outcome.classes]
        named = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        lines += [
            ("classes", f"{len(names)}: {named}"),
            ("split", split if found.drawn else f"{split} within each class"),
        ]
        if not found.drawn:
            lines += [("", "(stratified), so that both parts have the classes in the same proportions")]
    else:
        lines += [("split", split)]
    unit = "epoch" if "learning_rate" in used else "step"
    lines += [
        ("network", f"{', '.join(found.layers)}: {found.parameters:,} parameters"),
        ("training", training_text(used, found.history)),
        ("", f"loss {losses[0]:.3f} in the first {unit}, {losses[-1]:.3f} in the last; seed {used['seed']}"),
        *result.notes,
    ]
    return "\n".join(f"{name:<10}{text}" for name, text in lines)


def _accuracies(found: Evaluation, outcome: Classification) -> str:
    rule = "the largest output is the answer"
    if outcome.threshold is not None and outcome.positive is not None:
        rule = f"{outcome.classes[outcome.positive]} is the answer from {outcome.threshold:g} on"
    lines = [f"accuracy            95 % interval    rows right ({rule})"]
    for name, matrix in (("held out", outcome.held_out_matrix), ("training", outcome.train_matrix)):
        right, rows = int(np.trace(matrix)), int(matrix.sum())
        low, high = wilson_interval(right, rows)
        lines.append(f"{name:<10}{right / rows:.3f}    {low:.3f} to {high:.3f}   {right:,} of {rows:,}")
    common, *others = found.baselines
    lines.append(f"{'baseline':<10}{common.score:.3f}    on the held-out rows, {common.name}")
    for other in others:
        told = f"on the held-out rows, {other.name} of the same rows{_standing(other)}"
        lines.append(f"{'':<10}{other.score:.3f}    {told}")
    return "\n".join(lines)


def _standing(other: Baseline) -> str:
    auc = "" if other.auc is None else f" (AUC {other.auc:.3f})"
    return f"{auc}: the network is {other.verdict}"


def measure_lines(measures: Sequence[Measure], positive: str | None, rows: str) -> str:
    """The figures of these rows with their intervals, beside what knowing nothing gets."""
    about = ""
    if any(measure.key == "auc" for measure in measures):
        about = f" (of {positive!r})" if positive is not None else " (mean of each class against the others)"
    cells = [[measure.name, *measure_text(measure)] for measure in measures]
    return text_table([f"{rows}{about}", "", "95 % interval", "knowing nothing"], cells, align="<>><")


def threshold_lines(trades: Sequence[TradeOff], name: str, chosen: float | None, rows: str) -> str:
    """What answering a class from each threshold on trades for what."""
    cells = [
        [
            f"{'* ' if each.threshold == chosen else ''}{each.threshold:g}",
            f"{each.called:,}",
            f"{each.right:,} of {each.true:,}",
            "-" if math.isnan(each.precision) else f"{each.precision:.3f}",
            "-" if math.isnan(each.recall) else f"{each.recall:.3f}",
            f"{each.accuracy:.3f}",
        ]
        for each in trades
    ]
    head = ["--threshold", "called so", "found", "precision", "recall", "accuracy"]
    return f"answering {name!r} from a threshold on, on {rows}\n{text_table(head, cells)}"


def _errors(found: Evaluation, outcome: Regression) -> str:
    others = "{:.3f} to {:.3f}".format(*outcome.interval)
    lines = [
        f"{'':<10}{'R²':>8}{'95 % interval':>20}{'mean absolute error':>22}",
        f"{'held out':<10}{outcome.score:>8.3f}{others:>20}{amount(outcome.error):>22}",
        f"{'training':<10}{outcome.train_score:>8.3f}{'':>20}{amount(outcome.train_error):>22}",
    ]
    for place, other in enumerate(found.baselines):
        assert other.error is not None  # it is, of numbers
        name = "" if place else "baseline"
        told = f"   {other.name}: the network is {other.verdict}" if place else f"   {other.name} of the training rows"
        lines.append(f"{name:<10}{round(other.score, 3) + 0.0:>8.3f}{'':>20}{amount(other.error):>22}{told}")
    return "\n".join(lines)


def matrix_lines(rows: str, classes: Sequence[Any], matrix: npt.NDArray[np.int64]) -> list[str]:
    """The confusion matrix of these rows, and the most frequent mistakes."""
    names, lines = [str(name) for name in classes], []
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


def _times(result: Result) -> str:
    return f"time      {result.reading_seconds:.2f} s reading, {result.training_seconds:.2f} s training"

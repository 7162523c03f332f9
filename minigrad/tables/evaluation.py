"""How good a trained model is on rows with known answers, in memory or in pieces, and by which of their columns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.data.messages import shown
from minigrad.metrics import ClassificationReport, classification_report, confusion_matrix, wilson_interval
from minigrad.parameter import Array
from minigrad.results.columns import WIDTH, Explanation, importance_lines
from minigrad.results.duplicates import as_cells, by_chance, met, row_hashes
from minigrad.results.evaluation import UNBALANCED
from minigrad.results.intervals import measured, number_figures, rarer, trade_offs
from minigrad.results.messages import amount
from minigrad.results.outcome import Measure
from minigrad.results.report import matrix_lines, measure_lines, measures_as_json, threshold_lines
from minigrad.sequential import Sequential
from minigrad.tables.answers import Answers, Predictor
from minigrad.tables.explain import explain
from minigrad.tables.jobs import busy
from minigrad.tables.out_of_core import Pieces
from minigrad.tables.read import Rows
from minigrad.tables.sources import with_source
from minigrad.tables.target import spelled_as, threshold_of

COPIES = 3  # times as many known rows as chance would make: so many are taken for those of the training
Found: TypeAlias = tuple[dict[str, Any], list[str]]
"""What is found, for JSON, and as paragraphs of text."""


@dataclass(frozen=True)
class Judged:
    """What was found of a model on the rows `where`: `figures` for programs, and `str()` for people."""

    where: str
    figures: dict[str, Any]
    paragraphs: list[str]
    explanation: Explanation | None = None
    warnings: list[str] | None = None
    """None of rows that were read in pieces, among which those of the training are not looked for."""

    def __str__(self) -> str:
        first, *others = self.paragraphs
        parts = [f"data      {self.where}\n{first}", *others]
        parts += [] if self.explanation is None else [importance_lines(self.explanation)]
        return "\n\n".join(parts + [textwrap.fill(f"warning: {words}", WIDTH) for words in self.warnings or []])

    def to_json(self) -> dict[str, Any]:
        """All of it as an object that JSON can hold."""
        columns = {} if self.explanation is None else self.explanation.to_json()
        warnings = {} if self.warnings is None else {"warnings": self.warnings}
        return {"data": self.where} | self.figures | columns | warnings


def evaluate(model: Sequential | Predictor, rows: Rows) -> Judged:
    """How good the model's answers are about rows with known ones."""
    found = rows.answered_by(model)
    rows.refuse_unseen(model)
    warnings = trained_on(model, rows)
    if isinstance(model, Predictor) and found.probabilities is None:
        told, paragraphs = _of_numbers(rows.where, rows.known, found)
    else:
        report = classification_report(rows.known, found.values, model.classes)
        matrix = confusion_matrix(rows.known, found.values, model.classes)
        codes = LabelEncoder(report.classes).encode(rows.known)
        told, paragraphs = _of_classes(model, report, codes, found.probabilities, matrix)
    explanation = explained(model, rows) if isinstance(model, Predictor) and len(found.values) > 1 else None
    return Judged(rows.where, {"rows": len(found.values)} | told, paragraphs, explanation, warnings)


def evaluate_pieces(model: Predictor, data: str) -> Judged:
    """The same of a folder that memory does not hold: it is read piece by piece, and the answers are kept."""
    pieces = Pieces(data, model.target.name)
    with busy(f"reading {data}"), with_source(pieces.where):
        known, found, matrix = _answered(model, pieces)
    if model.classes is None:
        told, paragraphs = _of_numbers(pieces.where, known, found)
    else:
        report = ClassificationReport.of(model.classes, matrix)
        told, paragraphs = _of_classes(model, report, known, found.probabilities, matrix)
    return Judged(pieces.where, {"rows": len(known)} | told, paragraphs)


def _answered(model: Predictor, pieces: Pieces) -> tuple[Array, Answers, Array]:
    """The known answers of all pieces (of labels, their codes), the model's, and of labels the confusion matrix."""
    classes, parts, matrix = model.classes, list[tuple[Array, Array]](), np.zeros((1, 1), np.int64)
    found = Answers(np.zeros(0), None)
    for frame, known in pieces.answered("regression" if classes is None else "classification"):
        if classes is None:
            found = model.answer(frame)
            parts.append((known, found.values))
            continue
        known = spelled_as(known, classes.tolist())
        if (new := ~np.isin(known, classes)).any():
            row = int(new.argmax())
            raise ValueError(
                f"column {pieces.target!r}, row {frame.index[row]} holds the label {known[row].item()!r}; the network "
                f"was trained on {shown(classes)}"
            )
        found = model.answer(frame)
        assert found.probabilities is not None
        matrix = matrix + confusion_matrix(known, found.values, classes)
        parts.append((LabelEncoder(classes).encode(known), found.probabilities))
    if not parts:
        raise ValueError(f"column {pieces.target!r} has no values to compare with")
    truth, answers = (np.concatenate(some) for some in zip(*parts, strict=True))
    joined = replace(found, values=answers) if classes is None else replace(found, probabilities=answers)
    return truth, joined, matrix


def explained(model: Predictor, rows: Rows) -> Explanation:
    """Which columns matter; of unbalanced classes by AUC. Raises ValueError for a single row."""
    if len(rows.known) < 2:
        raise ValueError(f"{rows.where}: has one row; columns are shuffled among rows, so two are the least")
    most = np.unique(rows.known, return_counts=True)[1].max()
    by_auc = model.classes is not None and most >= UNBALANCED * len(rows.known)
    with with_source(rows.where):
        return explain(model, rows.x, rows.known, by_auc=bool(by_auc))


def trained_on(model: Sequential | Predictor, rows: Rows) -> list[str]:
    """A sentence where many of these rows are rows that the model was trained on."""
    if not isinstance(model, Predictor) or (kept := model.facts.get("trained_on")) is None:
        return []
    x = model.encode(rows.x)
    known, told = met(kept, row_hashes(x, rows.known))
    if not known or known / told <= COPIES * by_chance(as_cells(x), kept["rows"]):
        return []
    share = "all" if known == told else f"{known:,}"
    some = "" if kept["all"] else " that can be told by the digest of a large training"
    return [
        f"{share} of the {told:,} rows{some} are rows that the model was trained on. It has seen their answers, so "
        "these figures say little about new rows; evaluate on others."
    ]


def _of_classes(
    model: Sequential | Predictor, report: ClassificationReport, codes: Array, p: Array | None, matrix: Array
) -> Found:
    """What is found of labels, whose `codes` are places in the report's classes, for JSON and as text."""
    assert p is not None
    classes = report.classes
    p = np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p
    threshold = threshold_of(model.facts) if isinstance(model, Predictor) else None
    positive, edge = rarer(codes, len(classes)), None
    if threshold is not None:
        positive, edge = classes.tolist().index(threshold[0]), threshold[1]
    measures: tuple[Measure, ...] = ()
    if len(np.unique(codes)) > 1:
        shares = np.bincount(codes, minlength=len(classes)) / len(codes)
        measures, _ = measured(codes, p, [np.broadcast_to(shares, (len(codes), len(shares)))], positive, seed=0)
    names = [str(name) for name in classes.tolist()]
    right, total = int(np.trace(matrix)), int(matrix.sum())
    low, high = wilson_interval(right, total)
    told = {
        "accuracy": right / total,
        "interval": (low, high),
        "balanced_accuracy": report.balanced_accuracy,
        "classes": classes.tolist(),
        "confusion_matrix": matrix.tolist(),
        **measures_as_json(measures),
    }
    parts = [f"accuracy  {right / total:.3f}, 95 % interval {low:.3f} to {high:.3f}: {right:,} of {total:,} rows right"]
    if measures:
        parts.append(measure_lines(measures, None if positive is None else names[positive], "these rows"))
    parts += ["\n".join(matrix_lines("rows", names, matrix)), str(report)]
    if positive is not None:
        trades = trade_offs(codes == positive, p[:, positive], edge)
        parts.append(threshold_lines(trades, names[positive], edge, "these rows"))
    return told, parts


def _of_numbers(where: str, known: Array, found: Answers) -> Found:
    """What is found of numbers, for JSON and as text."""
    truth, answers = (np.asarray(values, np.float64)[:, None] for values in (known, found.values))
    with with_source(where):
        if len(truth) < 2:
            raise ValueError("R² compares with the mean of the targets: it needs at least two rows")
        figures = number_figures(truth, answers, [np.full_like(truth, truth.mean())], 0)
    error = next(measure for measure in figures.measures if measure.key == "mae")
    told = {"r2": figures.score, "mae": error.value, **measures_as_json(figures.measures)}
    lines = [
        f"R²        {figures.score:.3f} of {len(truth):,} rows (1 is perfect; 0 is what their own mean gets)",
        f"error     {amount(error.value)} on average (mean absolute error)",
    ]
    if found.half_width is not None:
        held = int(np.sum(abs(truth - answers) <= found.half_width))
        told["interval_coverage"] = held / len(truth)
        lines.append(
            f"intervals prediction ± {amount(found.half_width)}, meant to hold for {100 * found.level:g} %, held for "
            f"{held:,} of {len(truth):,} rows ({100 * held / len(truth):.1f} %)"
        )
    return told, ["\n".join(lines), measure_lines(figures.measures, None, "these rows")]

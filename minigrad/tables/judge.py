"""How good a trained model is on rows with known answers, in memory or in pieces, and by which of their columns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.data.messages import shown
from minigrad.metrics import ClassificationReport, classification_report, confusion_matrix, wilson_interval
from minigrad.metrics.streaming import ClassSums, NumberSums
from minigrad.parameter import Array
from minigrad.results.columns import WIDTH, Explanation, importance_lines
from minigrad.results.duplicates import as_cells, by_chance, met, row_hashes
from minigrad.results.errors import number_figures
from minigrad.results.evaluation import UNBALANCED
from minigrad.results.messages import amount
from minigrad.results.outcome import Measure
from minigrad.results.probabilities import edges_of, measured, rarer, trade_counts, trade_offs, trades_of
from minigrad.results.report import matrix_lines, measure_lines, measures_as_json, threshold_lines
from minigrad.results.streaming import class_measures, number_measures
from minigrad.sequential import Sequential
from minigrad.tables.answers import Answers, Predictor
from minigrad.tables.explain import explain
from minigrad.tables.jobs import busy
from minigrad.tables.larger import Pieces
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


def judge(model: Sequential | Predictor, rows: Rows) -> Judged:
    """How good the model's answers are about rows with known ones."""
    found = rows.answered_by(model)
    rows.refuse_unseen(model)
    warnings = trained_on(model, rows)
    numbers = isinstance(model, Predictor) and found.probabilities is None
    told, paragraphs = _numbers(rows, found) if numbers else _classes(model, rows, found)
    explanation = explained(model, rows) if isinstance(model, Predictor) and len(found.values) > 1 else None
    return Judged(rows.where, {"rows": len(found.values)} | told, paragraphs, explanation, warnings)


def judge_in_pieces(model: Predictor, data: str) -> Judged:
    """The same of a folder that memory does not hold, added up piece by piece."""
    pieces = Pieces(data, model.target.name)
    with busy(f"reading {data}"), with_source(pieces.where):
        if model.classes is None:
            told, paragraphs = _numbers_in_pieces(model, pieces)
        else:
            told, paragraphs = _classes_in_pieces(model, model.classes, pieces)
    return Judged(pieces.where, told, paragraphs)


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


# ----------------------------------------------------------------------------------------------- rows in memory
def _classes(model: Sequential | Predictor, rows: Rows, found: Answers) -> Found:
    """What is found of labels, for JSON and as text."""
    matrix = confusion_matrix(rows.known, found.values, model.classes)
    report = classification_report(rows.known, found.values, model.classes)
    codes = LabelEncoder(report.classes).encode(rows.known)
    p = found.probabilities
    assert p is not None
    p = np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p
    threshold = threshold_of(model.facts) if isinstance(model, Predictor) else None
    positive = rarer(codes, len(report.classes))
    if threshold is not None:
        positive = report.classes.tolist().index(threshold[0])
    measures: tuple[Measure, ...] = ()
    if len(np.unique(codes)) > 1:
        shares = np.bincount(codes, minlength=len(report.classes)) / len(codes)
        measures, _ = measured(codes, p, [np.tile(shares, (len(codes), 1))], positive, seed=0)
    told, parts = _verdict(report, matrix, measures, positive)
    if positive is not None:
        edge = None if threshold is None else threshold[1]
        trades = trade_offs(codes == positive, p[:, positive], edge)
        parts.append(threshold_lines(trades, str(report.classes.tolist()[positive]), edge, "these rows"))
    return told, parts


def _verdict(report: ClassificationReport, matrix: Array, measures: tuple[Measure, ...], positive: int | None) -> Found:
    """What the matrix and the measures say, for JSON and as paragraphs: accuracy, measures if any, matrix, report."""
    right, total = int(np.trace(matrix)), int(matrix.sum())
    low, high = wilson_interval(right, total)
    told = {
        "accuracy": right / total,
        "interval": (low, high),
        "balanced_accuracy": report.balanced_accuracy,
        "classes": report.classes.tolist(),
        "confusion_matrix": matrix.tolist(),
        **measures_as_json(measures),
    }
    names = [str(name) for name in report.classes.tolist()]
    parts = [f"accuracy  {right / total:.3f}, 95 % interval {low:.3f} to {high:.3f}: {right:,} of {total:,} rows right"]
    if measures:
        parts.append(measure_lines(measures, None if positive is None else names[positive], "these rows"))
    return told, [*parts, "\n".join(matrix_lines("rows", names, matrix)), str(report)]


def _coverage(width: float, level: float, held: int, rows: int) -> str:
    """For how many rows the interval around predictions held."""
    return (
        f"intervals prediction ± {amount(width)}, meant to hold for {100 * level:g} %, held for {held:,} of {rows:,} "
        f"rows ({100 * held / rows:.1f} %)"
    )


def _numbers(rows: Rows, found: Answers) -> Found:
    """What is found of numbers, for JSON and as text."""
    truth, answers = (np.asarray(values, np.float64)[:, None] for values in (rows.known, found.values))
    with with_source(rows.where):
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
        lines.append(_coverage(found.half_width, found.level, held, len(truth)))
    return told, ["\n".join(lines), measure_lines(figures.measures, None, "these rows")]


# ----------------------------------------------------------------------------------------------- rows in pieces
def _numbers_in_pieces(model: Predictor, pieces: Pieces) -> Found:
    """What is found of numbers; a first pass over them tells their mean, which is what knowing nothing answers."""
    rows, total, held, width, level = 0, 0.0, 0, None, 0.0
    for _, known in pieces.answered("regression", alone=True):
        rows, total = rows + len(known), total + float((known - model.target.mean).sum())  # near 0: no digits lost
    sums = NumberSums(model.target.mean + total / max(rows, 1))
    for frame, known in pieces.answered("regression"):
        found = model.answer(frame)
        sums.add(known, found.values)
        if found.half_width is not None:
            width, level = found.half_width, found.level
            held += int(np.sum(abs(known - found.values) <= width))
    measures = number_measures(sums)
    r2, mae = (next(each.value for each in measures if each.key == key) for key in ("r2", "mae"))
    told = {"rows": rows, "r2": r2, "mae": mae, **measures_as_json(measures)}
    lines = [
        f"R²        {r2:.3f} of {rows:,} rows (1 is perfect; 0 is what their own mean gets)",
        f"error     {amount(mae)} on average (mean absolute error)",
    ]
    if width is not None:
        told["interval_coverage"] = held / rows
        lines.append(_coverage(width, level, held, rows))
    return told, ["\n".join(lines), measure_lines(measures, None, "these rows")]


def _classes_in_pieces(model: Predictor, classes: Array, pieces: Pieces) -> Found:
    """What is found of labels; a first pass over them tells which of two is the rarer one."""
    labels, threshold = classes.tolist(), threshold_of(model.facts)
    sizes = np.zeros(len(labels), np.int64)
    for frame, known in pieces.answered("classification", alone=True):
        known = spelled_as(known, labels)
        if (new := ~np.isin(known, classes)).any():
            row = int(new.argmax())
            raise ValueError(
                f"column {pieces.target!r}, row {frame.index[row]} holds the label {known[row].item()!r}; the network "
                f"was trained on {shown(labels)}"
            )
        sizes += [int((known == label).sum()) for label in labels]
    if not sizes.any():
        raise ValueError(f"column {pieces.target!r} has no values to compare with")
    positive = int(sizes[1] <= sizes[0]) if len(labels) == 2 else None
    edge = None
    if threshold is not None:
        positive, edge = labels.index(threshold[0]), threshold[1]
    edges, sums = edges_of(edge), ClassSums(classes)
    counts = np.zeros((len(edges), 2), np.int64)
    for frame, known in pieces.answered("classification"):
        known, found = spelled_as(known, labels), model.answer(frame)
        p = found.probabilities
        assert p is not None
        sums.add(known, p, found.values)
        if positive is not None:
            counts += trade_counts(known == classes[positive], p[:, positive], edges)
    measures = class_measures(sums, positive) if (sizes > 0).sum() > 1 else ()
    told, parts = _verdict(ClassificationReport.of(classes, sums.matrix), sums.matrix, measures, positive)
    if measures:
        told["auc_bound"] = bound = sums.figures(None if positive is None else labels[positive])["auc_bound"]
        parts[1] += f"\nAUC is exact to {bound:.1g}: scores are counted in {sums.bins.shape[2]:,} narrow bins"
    if positive is not None:
        trades = trades_of(edges, counts, int(sizes[positive]), int(sizes.sum()), edge)
        parts.append(threshold_lines(trades, str(labels[positive]), edge, "these rows"))
    return {"rows": int(sizes.sum())} | told, parts

"""`minigrad evaluate` and `explain`: how good a trained model is on rows with known answers, and by which columns."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.folder import load_model
from minigrad.command.outputs import refuse_output
from minigrad.command.rows import Rows, read_rows
from minigrad.command.sources import with_source
from minigrad.data.labels import LabelEncoder
from minigrad.data.target import threshold_of
from minigrad.metrics import ClassificationReport, classification_report, confusion_matrix, wilson_interval
from minigrad.parameter import Array
from minigrad.results.columns import curve_lines
from minigrad.results.errors import number_figures
from minigrad.results.evaluation import UNBALANCED
from minigrad.results.importance import Explanation, explain as explain_columns
from minigrad.results.outcome import Measure
from minigrad.results.probabilities import measured, rarer, trade_offs
from minigrad.results.report import (
    WIDTH,
    explanation_as_json,
    importance_lines,
    matrix_lines,
    measure_lines,
    measures_as_json,
    threshold_lines,
    write_explanation,
)
from minigrad.results.seen import as_cells, by_chance, met, row_hashes
from minigrad.results.words import amount
from minigrad.sequential import Sequential
from minigrad.table_model import Answers, TableModel

COPIES = 3  # times as many known rows as chance would make: so many are taken for those of the training


def evaluate(options: argparse.Namespace) -> int:
    """`minigrad evaluate MODEL DATA`: how good the network's answers are about rows with known ones."""
    model = load_model(options.model)
    rows = read_rows(model, options, answered=True)
    rows.tell()
    found = rows.answered_by(model)
    rows.refuse_unseen(model)
    warnings = _trained_on(model, rows)
    if rows.table is not None and found.probabilities is None:
        told, text = _numbers(rows, found)
    else:
        told, text = _classes(model, rows, found)
    explanation = _explained(model, rows) if isinstance(model, TableModel) and len(found.values) > 1 else None
    if options.json:
        columns = {} if explanation is None else explanation_as_json(explanation)
        print(json.dumps({"data": rows.where, "rows": len(found.values)} | told | columns | {"warnings": warnings}))
        return 0
    parts = [f"data      {rows.where}\n{text}"]
    parts += [] if explanation is None else [importance_lines(explanation)]
    parts += [textwrap.fill(f"warning: {words}", WIDTH) for words in warnings]
    print("\n\n".join(parts))
    return 0


def explain(options: argparse.Namespace) -> int:
    """`minigrad explain MODEL DATA`: which columns matter, by rows with known answers."""
    out = None if options.out is None else Path(options.out)
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: --out writes a page, so its name ends in .html")
    if out is not None:
        refuse_output(out, options.force)
    model = load_model(options.model)
    if not isinstance(model, TableModel):
        raise ValueError(f"{options.model} is a model of sheets without a header, whose columns have no names to tell")
    rows = read_rows(model, options, answered=True)
    rows.tell()
    rows.refuse_unseen(model)
    if len(rows.known) < 2:
        raise ValueError(f"{rows.where}: has one row; columns are shuffled among rows, so two are the least")
    found, warnings = _explained(model, rows), _trained_on(model, rows)
    if options.json:
        print(json.dumps({"data": rows.where} | explanation_as_json(found) | {"warnings": warnings}))
    else:
        print("\n\n".join([f"data      {rows.where}", importance_lines(found), *curve_lines(found)]))
        for words in warnings:
            print("\n" + textwrap.fill(f"warning: {words}", WIDTH))
    if out is not None:
        write_explanation(rows.where, found, out)
        if not options.json:
            print(f"\npage      {out}")
    return 0


def _explained(model: TableModel, rows: Rows) -> Explanation:
    """Which columns matter; of unbalanced classes by AUC."""
    most = np.unique(rows.known, return_counts=True)[1].max()
    by_auc = model.classes is not None and most >= UNBALANCED * len(rows.known)
    with with_source(rows.where):
        return explain_columns(model, rows.x, rows.known, by_auc=bool(by_auc))


def _classes(model: Sequential | TableModel, rows: Rows, found: Answers) -> tuple[dict[str, Any], str]:
    """What is found of labels, for JSON and as text."""
    matrix = confusion_matrix(rows.known, found.values, model.classes)
    report = classification_report(rows.known, found.values, model.classes)
    codes = LabelEncoder(report.classes).encode(rows.known)
    p = found.probabilities
    assert p is not None
    p = np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p
    threshold = threshold_of(model.facts) if isinstance(model, TableModel) else None
    positive = rarer(codes, len(report.classes))
    if threshold is not None:
        positive = report.classes.tolist().index(threshold[0])
    measures: tuple[Measure, ...] = ()
    if len(np.unique(codes)) > 1:
        shares = np.bincount(codes, minlength=len(report.classes)) / len(codes)
        measures, _ = measured(codes, p, [np.tile(shares, (len(codes), 1))], positive, seed=0)
    told, parts = verdict_lines(report, matrix, measures, positive)
    if positive is not None:
        edge = None if threshold is None else threshold[1]
        trades = trade_offs(codes == positive, p[:, positive], edge)
        parts.append(threshold_lines(trades, str(report.classes.tolist()[positive]), edge, "these rows"))
    return told, "\n\n".join(parts)


def verdict_lines(
    report: ClassificationReport, matrix: Array, measures: tuple[Measure, ...], positive: int | None
) -> tuple[dict[str, Any], list[str]]:
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


def coverage_line(width: float, level: float, held: int, rows: int) -> str:
    """For how many rows the interval around predictions held."""
    return (
        f"intervals prediction ± {amount(width)}, meant to hold for {100 * level:g} %, held for {held:,} of {rows:,} "
        f"rows ({100 * held / rows:.1f} %)"
    )


def _numbers(rows: Rows, found: Answers) -> tuple[dict[str, Any], str]:
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
        lines.append(coverage_line(found.half_width, found.level, held, len(truth)))
    return told, "\n".join(lines) + "\n\n" + measure_lines(figures.measures, None, "these rows")


def _trained_on(model: Sequential | TableModel, rows: Rows) -> list[str]:
    """A sentence where many of these rows are rows that the model was trained on."""
    if not isinstance(model, TableModel) or (kept := model.facts.get("trained_on")) is None:
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

"""`minigrad evaluate` on tables that memory does not hold: how good the answers are, added up piece by piece."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from minigrad.command.judge import coverage_line, verdict_lines
from minigrad.command.larger import Pieces, table_model
from minigrad.command.progress import busy
from minigrad.command.sources import with_source
from minigrad.data.target import spelled_as, threshold_of
from minigrad.data.words import shown
from minigrad.metrics import ClassificationReport
from minigrad.metrics.streaming import ClassSums, NumberSums
from minigrad.parameter import Array
from minigrad.results.probabilities import edges_of, trade_counts, trades_of
from minigrad.results.report import measure_lines, measures_as_json, threshold_lines
from minigrad.results.streamed import class_measures, number_measures
from minigrad.results.words import amount
from minigrad.table_model import TableModel

Found = tuple[dict[str, Any], list[str]]  # for JSON, and as text


def evaluate_large(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    model = table_model(options)
    pieces = Pieces(options.data, model.target.name)
    with busy(f"reading {options.data}"), with_source(pieces.where):
        told, parts = _numbers(model, pieces) if model.classes is None else _classes(model, model.classes, pieces)
    if options.json:
        print(json.dumps({"data": pieces.where} | told))
    else:
        print("\n\n".join([f"data      {pieces.where}\n{parts[0]}", *parts[1:]]))
    return 0


def _numbers(model: TableModel, pieces: Pieces) -> Found:
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
        lines.append(coverage_line(width, level, held, rows))
    return told, ["\n".join(lines), measure_lines(measures, None, "these rows")]


def _classes(model: TableModel, classes: Array, pieces: Pieces) -> Found:
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
    told, parts = verdict_lines(ClassificationReport.of(classes, sums.matrix), sums.matrix, measures, positive)
    if measures:
        told["auc_bound"] = bound = sums.figures(None if positive is None else labels[positive])["auc_bound"]
        parts[1] += f"\nAUC is exact to {bound:.1g}: scores are counted in {sums.bins.shape[2]:,} narrow bins"
    if positive is not None:
        trades = trades_of(edges, counts, int(sizes[positive]), int(sizes.sum()), edge)
        parts.append(threshold_lines(trades, str(labels[positive]), edge, "these rows"))
    return {"rows": int(sizes.sum())} | told, parts

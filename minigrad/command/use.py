"""`minigrad predict`, `evaluate` and `show`: what one does with a model that has been trained."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.answers import check_output, write_beside, write_sheet
from minigrad.command.folder import interrupted, load_model, model_file
from minigrad.command.progress import busy
from minigrad.command.rows import Rows, read_rows
from minigrad.command.sources import with_source
from minigrad.data.words import shown
from minigrad.metrics import classification_report, confusion_matrix, mean_absolute_error, r2_score, wilson_interval
from minigrad.results.report import matrix_lines
from minigrad.results.words import amount
from minigrad.sequential import Sequential
from minigrad.table_model import Answers, TableModel, load


def predict(options: argparse.Namespace) -> int:
    """`minigrad predict MODEL DATA --out FILE`: a copy of the data with the network's answers beside the rows."""
    source, out = Path(options.data), Path(options.out)
    if not source.exists():
        raise ValueError(f"{source}: there is no such file")
    check_output(source, out, options.force)
    model = load_model(options.model)
    rows = read_rows(model, options)
    found = rows.answered_by(model)
    for surprise in (*rows.said, *rows.surprises(model)):
        print(f"minigrad: note: {rows.where}: {surprise}", file=sys.stderr)
    columns = columns_of(model, found)
    with busy(f"writing {out}"):
        if isinstance(model, TableModel) and rows.table is not None:
            lost = write_beside(rows.table, model.reading, columns, out)
        else:
            lost = write_sheet(source, columns, out)
    print(f"{out}: {len(found.values):,} rows of {source} with {shown(columns)}")
    for what in lost:
        print(f"minigrad: note: {out} does not keep: {what}", file=sys.stderr)
    return 0


def columns_of(model: Sequential | TableModel, found: Answers) -> dict[str, list[Any]]:
    """The columns to write: the prediction, then the probability of each class."""
    columns: dict[str, list[Any]] = {"prediction": found.values.tolist()}
    probabilities = found.probabilities
    if probabilities is None:
        return columns
    kind = "probability of" if np.all((probabilities >= 0) & (probabilities <= 1)) else "output for"
    names = list(range(probabilities.shape[1])) if model.classes is None else model.classes.tolist()
    if probabilities.shape[1] == 1:
        names = names[-1:]  # a single output stands for the second of two classes
    for name, column in zip(names, probabilities.T, strict=True):
        columns[f"{kind} {name}"] = [float(str(p)) for p in column]  # as few digits as float32 has
    return columns


def evaluate(options: argparse.Namespace) -> int:
    """`minigrad evaluate MODEL DATA`: how good the network's answers are about rows with known ones."""
    model = load_model(options.model)
    rows = read_rows(model, options, answered=True)
    found = rows.answered_by(model)
    rows.refuse_unseen(model)
    if rows.table is not None and found.probabilities is None:
        return _evaluate_numbers(rows, found, options)
    matrix = confusion_matrix(rows.known, found.values, model.classes)
    report = classification_report(rows.known, found.values, model.classes)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    low, high = wilson_interval(right, total)
    if options.json:
        measured = {"data": rows.where, "rows": total, "accuracy": right / total, "interval": (low, high)}
        table_json = {"classes": report.classes.tolist(), "confusion_matrix": matrix.tolist()}
        print(json.dumps(measured | {"balanced_accuracy": report.balanced_accuracy} | table_json))
        return 0
    print(f"data      {rows.where}")
    print(f"accuracy  {right / total:.3f}, 95 % interval {low:.3f} to {high:.3f}: {right:,} of {total:,} rows right\n")
    print("\n".join(matrix_lines("rows", [str(name) for name in report.classes.tolist()], matrix)))
    print(f"\n{report}")
    return 0


def _evaluate_numbers(rows: Rows, found: Answers, options: argparse.Namespace) -> int:
    with with_source(rows.where):
        r2, mae = r2_score(rows.known, found.values), mean_absolute_error(rows.known, found.values)
    if options.json:
        print(json.dumps({"data": rows.where, "rows": len(found.values), "r2": r2, "mae": mae}))
        return 0
    print(f"data      {rows.where}")
    print(f"R²        {r2:.3f} of {len(found.values):,} rows (1 is perfect; 0 is what their own mean gets)")
    print(f"error     {amount(mae)} on average (mean absolute error)")
    return 0


def show(options: argparse.Namespace) -> int:
    """`minigrad show MODEL`: the layers, what the columns become, the classes, how it was trained."""
    path = model_file(options.model)
    model = load(path)
    table = model if isinstance(model, TableModel) else None
    network: Sequential = model if table is None else table.network
    print(f"{path}\n\n{network.summary()}")
    if model.classes is not None:
        print(f"\nclasses   {shown(model.classes.tolist())}")
    if table is not None:
        target = table.target
        scale = f", standardised ({amount(target.mean)} ± {amount(target.scale)})"
        units = "" if target.task == "classification" else scale
        print(f"\ntarget    {target.name}: {target.task}{units}\n")
        for name, text in table.preparation.notes():
            print(f"{name}: {text}")
    if said := interrupted(model):
        print(f"\n{said}")
    settings = (network.preparation or {}).get("settings")
    if isinstance(settings, dict):
        print("\ntraining  " + ", ".join(f"{name} {value}" for name, value in settings.items()))
    return 0

"""`minigrad predict` and `show`: what one does with a model that has been trained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.answers import check_output, write_beside, write_sheet
from minigrad.command.folder import interrupted, load_model, model_file
from minigrad.command.progress import busy
from minigrad.command.rows import Rows, read_rows
from minigrad.command.sources import with_source
from minigrad.data.target import interval_names
from minigrad.data.words import no_such_file, shown
from minigrad.results.importance import effects
from minigrad.results.words import amount
from minigrad.sequential import Sequential
from minigrad.table_model import Answers, TableModel, load

LEADING = 3  # columns that an explanation names


def predict(options: argparse.Namespace) -> int:
    """`minigrad predict MODEL DATA --out FILE`: a copy of the data with the network's answers beside the rows."""
    source, out = Path(options.data), Path(options.out)
    if not source.exists():
        raise ValueError(no_such_file(source))
    check_output(source, out, options.force)
    model = load_model(options.model)
    rows = read_rows(model, options)
    found = rows.answered_by(model)
    rows.tell(rows.surprises(model))
    columns = columns_of(model, found)
    if options.explain:
        columns |= _explanations(model, rows)
    with busy(f"writing {out}"):
        if isinstance(model, TableModel) and rows.table is not None:
            lost = write_beside(rows.table, rows.reading, columns, out)
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
    if found.half_width is not None:
        for name, width in zip(interval_names(found.level), (-found.half_width, found.half_width), strict=True):
            columns[name] = (found.values + width).tolist()
    if probabilities is None:
        return columns
    kind = "probability of" if np.all((probabilities >= 0) & (probabilities <= 1)) else "output for"
    names = list(range(probabilities.shape[1])) if model.classes is None else model.classes.tolist()
    if probabilities.shape[1] == 1:
        names = names[-1:]  # a single output stands for the second of two classes
    for name, column in zip(names, probabilities.T, strict=True):
        columns[f"{kind} {name}"] = [float(str(p)) for p in column]  # as few digits as float32 has
    return columns


def _explanations(model: Sequential | TableModel, rows: Rows) -> dict[str, list[Any]]:
    """What each column of the table does to each row's answer: in words the largest, then all as numbers."""
    if not isinstance(model, TableModel):
        raise ValueError("--explain tells by the columns of a table with a header; this is a model of sheets")
    with with_source(rows.where):
        names, moved = effects(model, rows.x)
    order = np.argsort(-abs(moved), axis=1, kind="stable")[:, :LEADING]
    words = [
        "; ".join(f"{names[k]}{_cell(rows.x[names[k]].iloc[row])} {line[k]:+.3g}" for k in places if line[k])
        for row, (places, line) in enumerate(zip(order.tolist(), moved.tolist(), strict=True))
    ]
    columns: dict[str, list[Any]] = {"explanation": words}
    return columns | {f"effect of {name}": column.tolist() for name, column in zip(names, moved.T, strict=True)}


def _cell(value: Any) -> str:
    """A cell in an explanation."""
    if value is None or value != value:
        return " (missing)"
    return f" = {amount(value) if isinstance(value, float) else value}"


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

"""Writes the page: the recorded prediction as JavaScript, the form's fields, and three rows to prove it by."""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.model import Model
from minigrad.pages.inference import Answering
from minigrad.pages.step import OpenedError
from minigrad.parameter import Array
from minigrad.programs.backends import javascript
from minigrad.programs.graph.notation import pretty
from minigrad.tables.columns import CYCLES, Column, NumberColumn, TextColumn, day_text
from minigrad.tables.model import TableModel, network_of
from minigrad.tables.reading.numbers import MARKERS, PATTERNS, NumberFormat
from minigrad.tables.reading.text_files import MISSING

FIELDS, SMALLEST_PICTURE, PROOFS, WEIGHTS = 200, 8, 3, 1_000_000


def export(model: Model | TableModel, path: str | os.PathLike[str], rows: Any = None) -> None:
    """Write the model as a page. Three of `rows` (a DataFrame for a model of a table) prove it when it is opened.

    Without rows, some are made up. Raises ValueError, in one line, for a network that can't be written as JavaScript.
    """
    target_of(path)
    network = network_of(model)
    data = _page(Answering(network), rows).encode()
    with replacing(path) as file:
        file.write(data)


def _page(answering: Answering, rows: Any) -> str:
    side, inputs = _side(answering), len(answering.names)
    if not side and inputs > FIELDS:
        raise OpenedError(f"{inputs:,} inputs are more than a page's form should have ({FIELDS}); export ONNX")
    if sum(node.size for node in answering.graph.nodes if node.is_given) > WEIGHTS:
        raise OpenedError("the network has more than a million weights, which a page should not carry; export ONNX")
    data = javascript.dumped(_data(answering, rows, side))
    operations = javascript.operations(answering.graph)
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    what = "the answer" if answering.target is None else escape(answering.target.name)
    ask = f"Draw into the {side} × {side} field" if side else "What is known?"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{what}: a trained network</title><style>{style}</style></head>\n<body>"
        f'<header><h1>A trained network</h1><p class="soft">{escape(answering.title[:300])}</p></header>'
        '<p id="fault" role="alert" hidden></p><main>'
        f'<section class="asked"><h2>{ask}</h2><div id="form"></div></section>'
        f'<section class="answered"><h2>{what}</h2><div id="answer" role="status" aria-live="polite"></div></section>'
        '<section class="more"><div id="more"></div></section></main>'
        "<footer>Nothing leaves this page: it computes here, offline, in float64. Written by minigrad.</footer>"
        f"<script>{javascript.runtime()}\n{operations}\nconst DATA = {data};\n{script}</script></body></html>\n"
    )


def _side(answering: Answering) -> int:
    """How wide and high the picture is that the inputs are; 0 where they are none."""
    inputs, shape = len(answering.names), answering.row_shape
    side = int(np.sqrt(inputs))
    square = side * side == inputs and shape in ((inputs,), (side, side), (side, side, 1))
    return side if answering.preparation is None and square and side >= SMALLEST_PICTURE else 0


def _data(answering: Answering, rows: Any, side: int) -> dict[str, Any]:
    """All that the script needs."""
    known = rows is not None and len(rows) > 0
    cells = _cells(answering, rows if known else None)
    y = answering.model.predict(_encoded(answering, cells).reshape(-1, *answering.row_shape))
    preparation, target = answering.preparation, answering.target
    return {
        "form": javascript.form(answering.graph),
        "given": {name: np.ravel(numbers).tolist() for name, numbers in answering.given.items() if name != "x"},
        "result": np.ravel(answering.graph.result).tolist(),
        "names": answering.names,
        "columns": None if preparation is None else [_column(answering, c) for c in preparation.columns],
        "missing": sorted(MISSING),
        "markers": sorted(MARKERS),
        "answer": answering.columns(),
        "classes": answering.classes,
        "boundary": answering.boundary,
        "threshold": answering.threshold,
        "units": [target.scale, target.mean] if answering.regression and target is not None else None,
        "interval": answering.interval,
        "side": side,
        "hidden": _hidden(answering, side),
        "proofs": [[_written(row), np.ravel(one).tolist()] for row, one in zip(cells, y, strict=True)],
        "begin": _written(cells[0] if known else answering.typical()),
        "examples": known,
    }


def _cells(answering: Answering, rows: Any) -> list[list[Any]]:
    """The rows that prove the page, as they stand in a table: the first of those given, or made up where none are."""
    if rows is not None:
        return answering.cells(rows.iloc[:PROOFS] if hasattr(rows, "iloc") else rows[:PROOFS])
    if answering.preparation is not None:
        return [answering.typical()] * PROOFS
    made: list[list[Any]] = np.random.default_rng(0).normal(size=(PROOFS, len(answering.names))).round(3).tolist()
    return made


def _encoded(answering: Answering, cells: list[list[Any]]) -> Array:
    """What the network takes for these cells, a row each."""
    if answering.preparation is None:
        return np.array(cells, float)
    import pandas as pd

    columns = zip(answering.names, zip(*cells, strict=True), strict=True)
    return answering.encoded(pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in columns}))


def _written(row: Any) -> list[Any]:
    """A row as JSON has it: moments as text."""
    return [value.isoformat() if isinstance(value, datetime.datetime) else value for value in row]


def _column(answering: Answering, column: Column) -> dict[str, Any]:
    """What the script needs of a column."""
    found = asdict(column)
    if isinstance(column, TextColumn):
        found.pop("also")  # they are values but for capitals and spaces
    elif isinstance(column, NumberColumn):
        found["ends"] = None if column.low is None or column.low == column.high else [column.low, column.high]
        format = answering.formats.get(column.name, NumberFormat())
        found["decimal"], found["units"] = format.decimal, format.units
        found["bodies"] = [[PATTERNS[marks].pattern, marks[1]] for marks in format.marks]
    else:
        found |= {"ends": [day_text(column.low), day_text(column.high)], "cycles": CYCLES}
    return found


def _hidden(answering: Answering, side: int) -> list[Any] | None:
    """[weights, activation, label, units] of the first layer, where its weights are pictures."""
    if not side or len(answering.row_shape) != 1:
        return None
    weights = next(
        (n for n in answering.graph.nodes if n.is_given and n.shape[:1] == (side * side,) and len(n.shape) == 2), None
    )
    if weights is None:
        return None
    number = (re.search(r"\d+$", weights.name) or [""])[0]
    found = {node.name: node for node in answering.graph.nodes}
    made = found.get(f"a{number}") or found.get(f"z{number}")
    return None if made is None else [weights.name, made.name, pretty(made.name), weights.shape[1]]

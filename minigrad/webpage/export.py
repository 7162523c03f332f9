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
from minigrad.data.columns import CYCLES, Column, NumberColumn, TextColumn, day_text
from minigrad.data.text_file import MISSING
from minigrad.data.written_numbers import MARKERS, PATTERNS, NumberFormat
from minigrad.model import Model
from minigrad.opened.inference import Answering
from minigrad.opened.step import OpenedError
from minigrad.programs.notation import pretty
from minigrad.programs.writers import javascript
from minigrad.table_model import TableModel, network_of

FIELDS, SMALLEST_PICTURE, PROOFS, WEIGHTS = 200, 8, 3, 1_000_000


def export(model: Model | TableModel, path: str | os.PathLike[str], rows: Any = None) -> None:
    """Write the model as a page. Three of `rows` (a DataFrame for a model of a table) prove it when it is opened.

    Without rows, some are made up. Raises ValueError, in one line, for a network that can't be written as JavaScript.
    """
    target_of(path)
    network = network_of(model)
    data = _page(Answering(network), rows, repr(network)).encode()
    with replacing(path) as file:
        file.write(data)


def _page(a: Answering, rows: Any, title: str) -> str:
    side = int(np.sqrt(len(a.names)))
    image = a.row_shape in ((len(a.names),), (side, side), (side, side, 1))
    picture = a.preparation is None and image and side >= SMALLEST_PICTURE and side * side == len(a.names)
    if not picture and len(a.names) > FIELDS:
        raise OpenedError(f"{len(a.names):,} inputs are more than a page's form should have ({FIELDS}); export ONNX")
    if sum(node.size for node in a.graph.nodes if node.is_given) > WEIGHTS:
        raise OpenedError("the network has more than a million weights, which a page should not carry; export ONNX")
    data = javascript.dumped(_data(a, rows, side if picture else 0))
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    what = "the answer" if a.target is None else escape(a.target.name)
    ask = f"Draw into the {side} × {side} field" if picture else "What is known?"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{what}: a trained network</title><style>{style}</style></head>\n<body>"
        f'<header><h1>A trained network</h1><p class="soft">{escape(title[:300])}</p></header>'
        '<p id="fault" role="alert" hidden></p><main>'
        f'<section class="asked"><h2>{ask}</h2><div id="form"></div></section>'
        f'<section class="answered"><h2>{what}</h2><div id="answer" role="status" aria-live="polite"></div></section>'
        '<section class="more"><div id="more"></div></section></main>'
        "<footer>Nothing leaves this page: it computes here, offline, in float64. Written by minigrad.</footer>"
        f"<script>{javascript.runtime()}\nconst DATA = {data};\n{script}</script></body></html>\n"
    )


def _data(a: Answering, rows: Any, side: int) -> dict[str, Any]:
    """All that the script needs."""
    known = rows is not None and len(rows) > 0
    if not known:
        cells = [a.typical()] * PROOFS
        if a.preparation is None:
            cells = np.random.default_rng(0).normal(size=(PROOFS, len(a.names))).round(3).tolist()
    else:
        some = rows.iloc[:PROOFS] if hasattr(rows, "iloc") else rows[:PROOFS]
        cells = a.cells(some)
    if a.preparation is None:
        x = np.array(cells, float)
    else:
        import pandas as pd

        columns = zip(a.names, zip(*cells, strict=True), strict=True)
        x = a.encoded(pd.DataFrame({name: pd.Series(list(values), dtype=object) for name, values in columns}))
    y = a.model.predict(x.reshape(-1, *a.row_shape))
    target = a.target
    return {
        "form": javascript.form(a.graph),
        "given": {name: np.ravel(numbers).tolist() for name, numbers in a.given.items() if name != "x"},
        "result": np.ravel(a.graph.result).tolist(),
        "names": a.names,
        "columns": None if a.preparation is None else [_column(a, c) for c in a.preparation.columns],
        "missing": sorted(MISSING),
        "markers": sorted(MARKERS),
        "answer": a.columns(),
        "classes": a.classes,
        "boundary": a.boundary,
        "threshold": a.threshold,
        "units": [target.scale, target.mean] if a.regression and target is not None else None,
        "interval": a.interval,
        "side": side,
        "hidden": _hidden(a, side),
        "proofs": [[_written(row), np.ravel(one).tolist()] for row, one in zip(cells, y, strict=True)],
        "begin": _written(cells[0] if known else a.typical()),
        "examples": known,
    }


def _written(row: Any) -> list[Any]:
    """A row as JSON has it: moments as text."""
    return [value.isoformat() if isinstance(value, datetime.datetime) else value for value in row]


def _column(a: Answering, column: Column) -> dict[str, Any]:
    """What the script needs of a column."""
    found = asdict(column)
    if isinstance(column, TextColumn):
        found.pop("also")  # they are values but for capitals and spaces
    elif isinstance(column, NumberColumn):
        found["ends"] = None if column.low is None or column.low == column.high else [column.low, column.high]
        format = a.formats.get(column.name, NumberFormat())
        found["decimal"], found["units"] = format.decimal, format.units
        found["bodies"] = [[PATTERNS[marks].pattern, marks[1]] for marks in format.marks]
    else:
        found |= {"ends": [day_text(column.low), day_text(column.high)], "cycles": CYCLES}
    return found


def _hidden(a: Answering, side: int) -> list[Any] | None:
    """[weights, activation, label, units] of the first layer, where its weights are pictures."""
    if not side or len(a.row_shape) != 1:
        return None
    weights = next(
        (n for n in a.graph.nodes if n.is_given and n.shape[:1] == (side * side,) and len(n.shape) == 2), None
    )
    if weights is None:
        return None
    number = (re.search(r"\d+$", weights.name) or [""])[0]
    found = {node.name: node for node in a.graph.nodes}
    made = found.get(f"a{number}") or found.get(f"z{number}")
    return None if made is None else [weights.name, made.name, pretty(made.name), weights.shape[1]]

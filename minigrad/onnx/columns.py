"""A table in the graph: its columns as inputs, prepared as in training, and answers in the target's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from minigrad.onnx.graph import ExportError, Graph, kind_of
from minigrad.parameter import Array
from minigrad.tables.columns import NumberColumn, TextColumn
from minigrad.tables.preparation import Preparation
from minigrad.tables.target import Target

if TYPE_CHECKING:
    import pandas as pd

ROWS = 64  # random rows to compare on where no real ones are given


def prepared(g: Graph, preparation: Preparation) -> str:
    """The rows of x, made as `preparation.transform` makes them of the columns, each of which is an input."""
    for column in preparation.undated:
        text = isinstance(column, TextColumn)
        g.input(column.name, onnx.TensorProto.STRING if text else onnx.TensorProto.DOUBLE, (1,))
    x = g("Concat", *(part for column in preparation.undated for part in _encoded(g, column)), axis=1)
    x = g("Cast", g("Cast", x, to=onnx.TensorProto.FLOAT), to=kind_of(g.dtype))  # as `transform` rounds
    g.shapes[x] = (len(preparation.features),)
    return x


def _encoded(g: Graph, column: NumberColumn | TextColumn) -> list[str]:
    """The columns of x, in float64, that a column of the table becomes: as its `encode` makes them."""
    if isinstance(column, NumberColumn):
        fill, mean, scale = (g.constant(value, dtype=np.float64) for value in (column.fill, column.mean, column.scale))
        missing = g("IsNaN", column.name)
        z = g("Div", g("Sub", g("Where", missing, fill, column.name), mean), scale)
        return [z, g("Cast", missing, to=onnx.TensorProto.DOUBLE)] if column.flagged else [z]
    if "" in column.values:
        raise ExportError(f"column {column.name!r}: the empty text is a value there, but in ONNX files a missing one")
    width = len(column.features)
    other = len(column.values) if column.other else width
    places = {value: place for place, value in enumerate(column.values)}
    places |= {spelling: places[value] for spelling, value in column.also}
    places[""] = width - 1 if column.missing else other
    code = g(
        "LabelEncoder",
        column.name,
        domain="ai.onnx.ml",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=other,
    )
    units = np.vstack([np.eye(width), np.zeros(width)])  # the last row is for what training never met
    return [g("Gather", g.constant(units, "units", np.float64), g("Squeeze", code, [1]), axis=0)]


def decoded(g: Graph, target: Target, y: str) -> str:
    """Numbers in the target's units, in float64."""
    scale, mean = (g.constant(value, dtype=np.float64) for value in (target.scale, target.mean))
    return g("Add", g("Mul", g("Cast", y, to=onnx.TensorProto.DOUBLE), scale), mean)


def fed(preparation: Preparation, frame: pd.DataFrame) -> dict[str, Array]:
    """What the inputs are given for the rows of a table."""
    cells = preparation.cells(frame)
    for values in cells.values():
        if values.dtype == object:
            values[[text is None for text in values]] = ""
    return {name: values[:, None] for name, values in cells.items()}


def made_up(preparation: Preparation) -> pd.DataFrame:
    """Rows that a table like the training's may have: each value of each column stands in one, so does a new text, and
    so does a missing one.
    """
    import pandas as pd

    rng = np.random.default_rng(0)
    possible: dict[str, list[Any]] = {}
    for column in preparation.undated:
        if isinstance(column, TextColumn):
            possible[column.name] = [None, "".join(column.values) + "?", *column.values]
        elif column.kind == "flag":
            possible[column.name] = [None, True, False]
        else:
            possible[column.name] = [None, *rng.normal(column.mean, 2 * column.scale, ROWS - 1).tolist()]
    rows = max(ROWS, *map(len, possible.values()))
    return pd.DataFrame(
        {
            name: pd.Series([values[place % len(values)] for place in rng.permutation(rows)], dtype=object)
            for name, values in possible.items()
        }
    )

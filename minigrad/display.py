"""Tables, as text to print and as HTML for notebooks and pages; among them the table of a model's layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

from minigrad.layer import Layer
from minigrad.parameter import Array, decaying, walk

Shape: TypeAlias = "tuple[int, ...] | None"


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", align: str = "") -> str:
    """A table in lines: columns as wide as their widest cell, two spaces between them, the caption below.

    `align` has one character for each column, "<" (to the left) or ">"; without it all are aligned to the right.
    """
    table = [head, *rows]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = list(zip(align or ">" * len(wide), wide, strict=True))
    lines = ["  ".join(f"{cell:{a}{w}}" for cell, (a, w) in zip(row, aligned, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, caption] if caption else lines)


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table of texts and numbers, which are escaped, and of `Markup`; the first cell of a row is its name."""
    top = "".join(f'<th scope="col">{marked(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{marked(name)}</th>{"".join(f"<td>{marked(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


class Markup(str):
    """Text that is HTML already."""


def marked(value: object) -> str:
    """A value as HTML: escaped, unless it is Markup."""
    return value if isinstance(value, Markup) else escape(str(value))


# ------------------------------------------------------------------------------------------------ a model's layers
def layer_table(
    layers: Sequence[Layer], shapes: Sequence[Shape], theta: Array
) -> tuple[list[str], list[list[str]], str]:
    """Head, rows and caption of the table of a model's layers: what each makes of a row, its parameters, its compute.

    `shapes` are those of one row before the first layer and after each, as far as they are known.
    """
    products = [_products(*around) for around in zip(layers, shapes[:-1], shapes[1:], strict=True)]
    total = None if None in products else sum(count for count in products if count)
    rows = []
    for position, (layer, shape, count) in enumerate(zip(layers, shapes[1:], products, strict=True), 1):
        size = sum(array.size for inner in walk([layer]) for array in inner.params.values())
        part = "" if count == 0 else "?" if count is None or total is None else f"{count / total:.0%}"
        rows.append([str(position), repr(layer), "?" if shape is None else str(shape), f"{size:,}", part])
    head = ["", "layer", "output of a row", "parameters", "compute"]
    return head, rows, f"{theta.size:,} parameters, {theta.dtype}, {theta.nbytes:,} bytes"


def _products(layer: Layer, given: Shape, shape: Shape) -> int | None:
    """How many multiplications by weights a row costs; None where the shapes are not known."""
    weights = [w for inner in walk([layer]) for name in decaying(inner) if (w := inner.params[name]).ndim > 1]
    if not weights:
        return 0
    if given is None or shape is None:
        return None
    if len(shape) == len(given) + 1:  # a table of vectors, which are looked up
        return 0
    # A layer that returns only its last step, as a recurrent one may, has gone through all that it was given.
    positions = math.prod(shape[:-1] if len(shape) == len(given) else given[:-1])
    return positions * sum(w.size for w in weights)

"""A step as one HTML page: offline, without a framework, for keyboard, phone, dark rooms and screen readers."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.pages.layout import BANDS, FORWARD, WEIGHTS, Layout, columns_of, rows_of, shown
from minigrad.pages.step import LaidStep
from minigrad.programs.backends import javascript
from minigrad.programs.graph.notation import pretty
from minigrad.programs.graph.numbers import Node

ROWS_SHOWN, COLUMNS_SHOWN = 12, 12
SMALLEST_PICTURE = 8
ARROWS = ("", " →", " ←", "", " ↓")


def page(step: LaidStep, inputs: list[str] | None, outputs: list[str] | None) -> str:
    """The whole page. `inputs` and `outputs` are names of the columns of x and of t."""
    layout = Layout(step)
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    data = javascript.dumped(_data(step, layout, inputs, outputs))
    operations = javascript.operations(step.graph)
    title = "A training step laid open"
    controls = (
        '<div class="controls">'
        f'<label>learning rate {pretty("eta")} <input id="rate" inputmode="decimal" autocomplete="off"></label>'
        '<button type="button" data-steps="1">make this step</button>'
        '<button type="button" data-steps="20">20 steps</button>'
        '<button type="button" id="nudge">nudge</button>'
        '<button type="button" id="again">start again</button>'
        '<span class="progress"><svg id="curve" viewBox="0 0 200 44" role="img" aria-label="the loss, step by step">'
        '</svg><span id="done" role="status"></span></span></div>'
        '<div id="say" role="status" aria-live="polite">Point at a number, or go to it with Tab and the arrow keys: '
        "here stands what it is made of.</div>"
    )
    bands = "".join(_band(layout, band) for band in range(len(BANDS)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head>\n<body>"
        f'<header><h1>{title}</h1><p class="about">{_about(step)}</p></header>{controls}'
        f'<main style="--columns:{len(layout.columns)}">{bands}</main>{_footer(step, layout)}'
        f"<script>{javascript.runtime()}\n{operations}\nconst DATA = {data};\n{script}</script></body></html>\n"
    )


def _about(step: LaidStep) -> str:
    words = f"{escape(step.title)} with {escape(step.loss)} and {escape(step.optimizer)}"
    return f"{words}, in float64. <b>Numbers on yellow are yours to change</b>; everything follows."


def _band(layout: Layout, band: int) -> str:
    """A band: its heading, then each column's arrays."""
    cells = []
    for place, column in enumerate(layout.columns):
        if not column.bands[band]:
            continue
        blocks = "".join(_block(layout, node) for node in column.bands[band])
        cells.append(f'<div class="cell" style="--at:{place + 1}">{blocks}</div>')
    if not cells:
        return ""
    return (
        f'<section class="band b{band}"><h2><span>{band + 1}</span> {BANDS[band]}{ARROWS[band]}</h2>'
        f"{''.join(cells)}</section>"
    )


def _block(layout: Layout, node: Node) -> str:
    """An array: its name and its equation; the script fills in its numbers."""
    equation = "" if node.is_given else layout.notation.equation(node).partition(" = ")[2]
    below = f'<p class="equation">= {escape(equation)}</p>' if equation else ""
    return (
        f'<div class="block" data-block="{escape(node.name)}"><h3>{escape(pretty(node.name))}</h3>{below}'
        f"<div></div></div>"
    )


def _footer(step: LaidStep, layout: Layout) -> str:
    parts = [
        "<p>⊙ multiplies number by number, ᵀ turns rows into columns, Σ_rows adds up over the rows of the batch, "
        "[…] is 1 where it is true and 0 elsewhere, ′ marks what is new. Colours: above 0, below 0, the stronger the "
        "larger; white is 0.</p>"
    ]
    if step.drawn:
        parts.append("<p>Numbers that a layer draws at random are those of one step, and stay.</p>")
    fixed = ", ".join(
        f"{pretty(name)} = {values[0]:g}"
        for name, values in step.coefficients.items()
        if name not in step.scaled and len(values) == 1
    )
    if fixed:
        parts.append(f"<p>{escape(fixed)}.</p>")
    cut = [pretty(n.name) for n in layout.band_of if rows_of(n) > ROWS_SHOWN or columns_of(n) > COLUMNS_SHOWN]
    if cut:
        parts.append(f"<p>Of {escape(', '.join(cut))} some rows and columns are shown; all of them are computed.</p>")
    return f"<footer>{''.join(parts)}<p>Written by minigrad from the recorded step.</p></footer>"


def _data(step: LaidStep, layout: Layout, inputs: list[str] | None, outputs: list[str] | None) -> dict[str, Any]:
    blocks = []
    row = step.graph.evaluate(step.given | step.at(0))
    x = next((node for node in layout.band_of if node.name == "x"), None)
    features = np.zeros(0) if x is None else row[x.places].reshape(rows_of(x), -1).std(axis=0)
    for node, band in layout.band_of.items():
        rows, columns = rows_of(node), columns_of(node)
        numbers = row[node.places].reshape(rows, columns)
        block = {
            "name": node.name,
            "label": pretty(node.name),
            "equation": "" if node.is_given else layout.notation.equation(node),
            "rows": shown(rows, ROWS_SHOWN, features),
            "columns": shown(columns, COLUMNS_SHOWN, features),
            "size": [rows, columns],
            "band": band,
            "given": node.is_given,
        }
        if node.name == "x" and inputs and len(inputs) == columns:
            block["heads"] = inputs
        if node.name in ("t", "p") and outputs and len(outputs) == columns:
            block["heads"] = outputs
        side = int(np.sqrt(features.size)) if x is not None and len(x.shape) == 2 else 0
        if side >= SMALLEST_PICTURE and side * side == features.size:
            if node is x:
                block["picture"] = ["rows", side]
            elif rows == features.size and band in (WEIGHTS, 3):
                block["picture"] = ["columns", side]
        if band == FORWARD and node.is_given:
            block["plain"] = bool(np.all(np.equal(np.mod(numbers, 1), 0)))
        blocks.append(block)
    return {
        "form": javascript.form(step.graph),
        "given": {name: np.ravel(numbers).tolist() for name, numbers in step.given.items()},
        "coefficients": step.coefficients,
        "scaled": step.scaled,
        "rate": step.rate,
        "result": int(step.graph.result),
        "blocks": blocks,
        "parameters": [node.name for node in layout.parameters],
    }

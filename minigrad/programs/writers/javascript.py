"""A program as JavaScript: its graph as data, and the few lines of `runtime.js` that compute with it, in float64.

A page shows of what each number is made, so it needs the graph itself, and one loop over it is all the code there is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.programs.form import Program
from minigrad.programs.graph import Graph, Node, Operand, Places
from minigrad.programs.graphing import graph_of

PROMISE = "to rounding"


def write(program: Program) -> str:
    """JavaScript that defines `program`: `program.set(name, numbers)`, `program.compute()`, `program.numbers(name)`.

    Names are those of given arrays and, after `compute`, of what the program leaves, "the result" too. Raises
    Unwritable for a line that is no function of float64 numbers.
    """
    graph = graph_of(program)
    left = graph.lasting | {"the result": graph.result}
    found = form(graph) | {"left": {name: places.ravel().tolist() for name, places in left.items()}}
    return f"{runtime()}\nconst program = new Program({dumped(found)});\n"


def runtime() -> str:
    """The source of the class Program."""
    return (Path(__file__).parent / "runtime.js").read_text(encoding="utf-8")


def form(graph: Graph) -> dict[str, Any]:
    """The graph as JSON for `new Program(…)`; of what is given only the constants have numbers."""
    return {
        "size": graph.size,
        "nodes": [_node(node) for node in graph.nodes],
        "updates": [[node.start, places.ravel().tolist()] for node, places in graph.updates.items()],
    }


def dumped(data: Any) -> str:
    """JSON that may stand inside a script of a page: 17 digits for each number, and nothing that ends the script."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _node(node: Node) -> dict[str, Any]:
    written: dict[str, Any] = {"name": node.name, "start": node.start, "shape": list(node.shape)}
    if node.constant is not None:
        return written | {"constant": [_number(number) for number in np.ravel(node.constant).tolist()]}
    if node.is_given:
        return written
    terms = (*node.shape, *node.over)
    written |= {"function": node.function, "inputs": [_operand(operand, terms) for operand in node.inputs]}
    if node.fold:
        written |= {"fold": node.fold, "over": list(node.over)}
    return written


def _operand(operand: Operand, terms: tuple[int, ...]) -> Any:
    """A number, or [first place or all places, strides]."""
    return list(_taken(operand, terms)) if isinstance(operand, np.ndarray) else _number(operand)


def _number(number: float) -> float | str:
    """What JSON has no number for, as text."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _taken(places: Places, shape: Sequence[int]) -> tuple[int | list[int], list[int]]:
    """(first place, strides), or (all places, strides among them), by which an operand is read as of a larger shape."""
    padded = places.reshape((1,) * (len(shape) - places.ndim) + places.shape)
    wide = [n if n == m else 0 for n, m in zip(padded.shape, shape, strict=True)]
    origin = int(padded.flat[0])
    strides = [int(np.take(padded, 1, axis).flat[0]) - origin if n > 1 else 0 for axis, n in enumerate(padded.shape)]
    regular = np.full(padded.shape, origin, np.intp)
    for axis, stride in enumerate(strides):
        regular += (np.arange(padded.shape[axis]) * stride).reshape(-1, *[1] * (padded.ndim - axis - 1))
    if np.array_equal(regular, padded):
        return origin, [stride if n else 0 for stride, n in zip(strides, wide, strict=True)]
    steps = [int(np.prod(padded.shape[axis + 1 :])) if n else 0 for axis, n in enumerate(wide)]
    return padded.ravel().tolist(), steps

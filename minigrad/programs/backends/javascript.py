"""A program as JavaScript: a loop over a `Float64Array` for each node of its graph, and what runs them, in float64.

All numbers of a program stand in one row, each array at a place of its own. So what is written of `a1 = tanh(z1)` is

    (row, listed) => { // a1
      for (let i0 = 0; i0 < 500; i0++) {
        for (let i1 = 0; i1 < 16; i1++) {
          row[9565 + 16 * i0 + i1] = Math.tanh(row[1565 + 16 * i0 + i1]);
        }
      }
    },

where `listed` has the places of operands that no strides lead to.

A page shows of what each number is made, so it has the graph as data, too (`form`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.programs.graph.building import graph_of
from minigrad.programs.graph.numbers import Graph, Node, Operand, Places
from minigrad.programs.ir.ops import Program, in_c_order

PROMISE = "to rounding"
MATH = {"absolute": "abs", "arctan": "atan", "minimum": "min", "maximum": "max", "power": "pow"}
SAME_IN_MATH = "sign floor ceil sqrt exp expm1 log log1p log2 log10 tanh sinh cosh sin cos"
MATH |= {name: name for name in SAME_IN_MATH.split()}
FORMULAS = {
    "same": "{}",
    "positive": "{}",
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negative": "-{}",
    "reciprocal": "1 / {}",
    "square": "{0} * {0}",
    "copysign": "copysign({}, {})",
    "where": "{} !== 0 ? {} : {}",
    "invert": "1 - {}",
    "greater": "{} > {} ? 1 : 0",
    "less": "{} < {} ? 1 : 0",
    "greater_equal": "{} >= {} ? 1 : 0",
    "less_equal": "{} <= {} ? 1 : 0",
    "equal": "{} === {} ? 1 : 0",
    "not_equal": "{} !== {} ? 1 : 0",
    "logical_and": "{} !== 0 && {} !== 0 ? 1 : 0",
    "logical_or": "{} !== 0 || {} !== 0 ? 1 : 0",
    "bitwise_and": "{} !== 0 && {} !== 0 ? 1 : 0",
    "bitwise_or": "{} !== 0 || {} !== 0 ? 1 : 0",
    **{name: f"Math.{word}({{}}{', {}' * (word in ('min', 'max', 'pow'))})" for name, word in MATH.items()},
}
"""Each function of `graph.FUNCTIONS` in JavaScript."""
FOLDS = {
    "add": ("0", "made += {};"),
    "multiply": ("1", "made *= {};"),
    "maximum": ("-Infinity", "made = Math.max(made, {});"),
    "minimum": ("Infinity", "made = Math.min(made, {});"),
}
"""What each fold begins with, and what it does with a term."""


def write(program: Program) -> str:
    """JavaScript that defines `program`: `program.set(name, numbers)`, `program.compute()`, `program.numbers(name)`.

    Names are those of given arrays and, after `compute`, of what the program leaves, "the result" too. Raises
    Unwritable for an op that is no function of float64 numbers.
    """
    graph = graph_of(program)
    left = graph.lasting | {"the result": graph.result}
    found = form(graph) | {"left": {name: places.ravel().tolist() for name, places in left.items()}}
    return f"{runtime()}\n{operations(graph)}\nconst program = new Program({dumped(found)}, OPERATIONS);\n"


def runtime() -> str:
    """The source of the class Program, which `new Program(form, OPERATIONS)` makes an object of."""
    return (Path(__file__).parent / "runtime.js").read_text(encoding="utf-8")


def operations(graph: Graph) -> str:
    """JavaScript that defines `OPERATIONS`, a function for each node that is made, in order.

    Functions of a few lines, since a browser leaves a long one to its interpreter. They allocate nothing.
    """
    written = [_operation(node) for node in graph.nodes if not node.is_given]
    return "\n".join(["const OPERATIONS = [", *written, "];"])


def _operation(node: Node) -> str:
    """Loops over the axes of a node, and in them over those that it folds."""
    terms, kept = (*node.shape, *node.over), range(len(node.shape))
    inputs = [_element(operand, number, terms) for number, operand in enumerate(node.inputs)]
    term = FORMULAS[node.function].format(*inputs)
    made = f"row[{_index(node.start, in_c_order(node.shape), node.shape)}]"
    if node.fold:
        begin, step = FOLDS[node.fold]
        folded = _loops(
            terms, range(len(node.shape), len(terms)), [step.format(term if node.function == "same" else f"({term})")]
        )
        body = [f"let made = {begin};", *folded, f"{made} = made;"]
    else:
        body = [f"{made} = {term};"]
    lines = [f"(row, listed) => {{ // {node.name or node.function}", *_further_in(_loops(terms, kept, body)), "},"]
    return "\n".join(lines)


def _loops(lengths: Sequence[int], axes: range, body: list[str]) -> list[str]:
    """The lines of loops over some axes around a body; there is nothing to repeat along an axis of length 1."""
    for axis in reversed(axes):
        if lengths[axis] != 1:
            body = [f"for (let i{axis} = 0; i{axis} < {lengths[axis]}; i{axis}++) {{", *_further_in(body), "}"]
    return body


def _further_in(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _element(operand: Operand, number: int, terms: tuple[int, ...]) -> str:
    """What stands for an operand in the innermost loop: a number of the row, or a plain one."""
    if not isinstance(operand, np.ndarray):
        return f"({_number(operand)})"
    first, strides = _taken(operand, terms)
    if isinstance(first, list):
        return f"row[listed[{number}][{_index(0, strides, terms)}]]"
    return f"row[{_index(first, strides, terms)}]"


def _index(first: int, strides: Sequence[int], lengths: Sequence[int]) -> str:
    """The place of an element as a sum over the axes' indices."""
    steps = [(f"i{axis}", stride) for axis, stride in enumerate(strides) if stride and lengths[axis] != 1]
    terms = [index if stride == 1 else f"{stride} * {index}" for index, stride in steps]
    return " + ".join([str(first)] * (first != 0 or not terms) + terms)


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

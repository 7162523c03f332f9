"""What Python does with one number where a layer has an array: max, min, `and`, `or`, math's functions, `if`."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.first_input import SINGLE
from minigrad.testing.naming import rewrites
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.rewrites import Written
from minigrad.testing.naming.templates.edits import Edit, Slot, slots
from minigrad.testing.naming.templates.nodes import code, expression

PAIRS = {"max": "np.maximum", "min": "np.minimum"}
BOTH: dict[type[ast.boolop], str] = {ast.And: "np.logical_and", ast.Or: "np.logical_or"}
IF = "`if` decides once, for the whole array: np.where(…, …, …) decides for each of its numbers"


def correction(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """All such places at once, where one of them raises."""
    if not any(words in str(error) for words in SINGLE):
        return None
    rewritten = list[Written]()
    for each in rewrites.written_in(layer, "forward", "backward"):
        functions = each.method.function.__globals__
        each.edits.extend(edit for slot in slots(each.method.tree, {}) for edit in _edits(slot, functions))
        rewritten += [each] if each.edits else []
    says = list(dict.fromkeys(edit.says for each in rewritten for edit in each.edits))
    return rewrites.correction(layer, x, rewritten, "; ".join(says), surely=True) if rewritten else None


def decides(error: BaseException | None) -> str:
    """Words for an `if` of an array, where one has raised."""
    return IF if SINGLE[0] in str(error) else ""


def _edits(slot: Slot, functions: Any) -> Iterator[Edit]:
    node: Any = slot.node
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        of_math = isinstance(node.func, ast.Name) and getattr(functions.get(name), "__module__", "") == "math"
        if name in PAIRS and len(node.args) == 2:
            new = _call(PAIRS[name], *node.args)
            yield slot.to(new, f"`{name}` compares whole arrays, and not number with number: {code(new)} belongs there")
        elif (of_math or name.startswith("math.")) and hasattr(math, name.removeprefix("math.")):
            new = _call(f"np.{name.removeprefix('math.')}", *node.args)
            yield slot.to(new, f"`{name}` takes a single number: for an array {code(new)} belongs there")
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        word = "and" if isinstance(node.op, ast.And) else "or"
        new = _call(BOTH[type(node.op)], *node.values)
        yield slot.to(new, f"`{word}` takes an array as a whole: {code(new)} belongs there")
    elif isinstance(node, ast.IfExp):
        new = _call("np.where", node.test, node.body, node.orelse)
        yield slot.to(new, f"{IF}: {code(new)} belongs there")


def _call(function: str, *arguments: Any) -> ast.Call:
    return ast.Call(expression(function), list(arguments), [])

"""Which expression is float64 whatever x is, and how the line reads without: tried on a copy in float32."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.testing.bench.code import methods
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.naming.corrections import Correction, correction_of
from minigrad.testing.naming.methods import Method
from minigrad.testing.naming.remaining import corrected
from minigrad.testing.naming.templates.edits import Edit, Slot, all_made, slots, value_of
from minigrad.testing.naming.templates.nodes import code, expression

MADE = ("array", "zeros", "ones", "full", "arange", "linspace", "eye", "where")
OF_NUMBERS = "; or let one of the two be an array of x's kind, np.where(x > 0, dy, a * dy) say"


def correction(bench: LayerBench, name: str) -> Correction | None:
    """The change of one line of a method, or one each of some, with which all is float32 where x and parameters are."""
    cls = type(bench.layer)
    method = Method.of(getattr(cls, name)) if name in methods(cls, (name,)) else None
    if method is None:
        return None
    small = Subject(bench.layer, np.float32)
    known = method.known(small.layer, lambda: _run(bench, small, name))
    edits = list(_edits(slots(method.tree, known.scope), known.scope, method.tree.args.args[1].arg))
    for some in [*([edit] for edit in edits), *([edits] if len(edits) > 1 else [])]:
        try:
            with all_made(some):
                changed = {(cls, name): method.compiled()}
            with corrected(changed):
                narrow = _run(bench, Subject(bench.layer, np.float32), name).dtype == np.float32
        except Exception:  # of a change that makes no sense
            continue
        if narrow:
            return replace(correction_of(name, method, some, True), changed=changed)
    return None


def _run(bench: LayerBench, small: Subject, name: str) -> Any:
    """What a method returns in float32."""
    x = bench.x.astype(np.float32) if bench.x.dtype.kind == "f" else bench.x
    if name == "predict":
        return small.predict(x)
    y = small.forward(x)
    return y if name == "forward" else small.layer.backward(bench.upstream(y).astype(np.float32))


def _edits(places: list[Slot], scope: Mapping[str, Any], argument: str) -> Iterator[Edit]:
    """The innermost expressions that are float64, as the method's argument is, or as Python's numbers."""
    for slot in places:
        node: Any = slot.node
        called = ast.unparse(node.func).removeprefix("np.") if isinstance(node, ast.Call) else ""
        inner = [each for each in ast.walk(node) if each is not node and isinstance(each, ast.expr)]
        if not (called in MADE or _is_wide(node, scope)) or any(_is_wide(each, scope) for each in inner):
            continue
        if isinstance(value_of(node, scope), np.floating):
            new = ast.Call(ast.Name("float", ast.Load()), [node], [])
            yield slot.to(new, f"{code(node)} has NumPy's dtype float64, and is no number of Python's: {code(new)}")
        elif not isinstance(node, ast.Attribute | ast.Subscript):  # an array of self's is to be declared
            new = ast.Call(ast.Attribute(node, "astype", ast.Load()), [expression(f"{argument}.dtype")], [])
            more = OF_NUMBERS if called == "where" else ""
            yield slot.to(new, f"{code(node)} is float64 whatever {argument} is: {code(new)}{more}")


def _is_wide(node: ast.expr, scope: Mapping[str, Any]) -> bool:
    return getattr(value_of(node, scope), "dtype", None) == np.float64

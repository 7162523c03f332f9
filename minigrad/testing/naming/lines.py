"""Where a wrong gradient is made: the lines that have a part in it, and in no gradient that is right."""

from __future__ import annotations

import ast
from collections.abc import Collection

from minigrad.testing.bench.code import inherited
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Part
from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.repair import result_of
from minigrad.testing.naming.templates.edits import results_of
from minigrad.testing.plain import Plain

MOST = 5  # lines that are told: of more, the last


def suspected(bench: LayerBench, wrong: Part, right: Collection[str] = ()) -> str:
    """The lines of backward that make this part of the gradient alone, and where they stand; "" where none is seen."""
    cls = type(wrong.layer)
    method = None if inherited(cls, "backward") else Method.of(cls.backward)
    if method is None:
        return ""
    blamed = result_of(wrong)
    excused = {result_of(part) for part in bench.parts() if part.name in right} - {blamed, "return"}
    excused |= _value(method) if isinstance(wrong.layer, Plain) and wrong.layer.is_loss else set()
    lines = [
        statement
        for statement, results in results_of(method.tree).items()
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.Return) and blamed in results
        if not results & excused and not _only_renames(statement)
    ]
    lines = sorted(lines, key=lambda statement: statement.lineno)
    lines = lines if len(lines) <= MOST else [each for each in lines if blamed in _targets(each)][-1:] or lines[-1:]
    places = "; ".join(map(method.place, lines))
    return f"{';  '.join(map(first_line, lines))}   ({places})" if lines else ""


def _value(method: Method) -> set[str]:
    """The variable that a function returns before its gradients."""
    last = method.tree.body[-1]
    value = last.value.elts[0] if isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple) else None
    return {value.id} if isinstance(value, ast.Name) else set()


def _targets(statement: ast.stmt) -> set[str]:
    """What a statement sets, "return" for what it returns."""
    if isinstance(statement, ast.Return):
        return {"return"}
    found = (each for each in ast.walk(statement) if isinstance(getattr(each, "ctx", None), ast.Store))
    return {ast.unparse(node.value if isinstance(node, ast.Subscript) else node) for node in found}


def _only_renames(statement: ast.stmt) -> bool:
    """Whether it computes nothing: `x, w = cache`, `return dx`."""
    kinds = ast.Name | ast.Attribute | ast.Tuple | ast.Constant
    value = getattr(statement, "value", None)
    nodes = () if value is None else (node for node in ast.walk(value) if isinstance(node, ast.expr))
    return isinstance(statement, ast.Assign | ast.Return) and all(isinstance(node, kinds) for node in nodes)

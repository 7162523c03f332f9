"""Which line overwrites an argument in place, and how it reads without: tried on a copy."""

from __future__ import annotations

import ast
from types import MethodType
from typing import Any

from minigrad.testing.bench.code import methods
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Case, Subject
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.templates.edits import Edit
from minigrad.testing.oracle.rounding import same

SAYS = "a name given to an array is no copy of it: `a += …` changes the array itself, `a = a + …` makes a new one"


def correction(bench: LayerBench, name: str) -> Correction | None:
    """The change of one line of a method, forward or backward, with which it leaves x and dy as they were."""
    cls = type(bench.subject.layer)
    method = Method.of(getattr(cls, name)) if name in methods(cls, (name,)) else None
    for edit in _edits(method.tree) if method else ():
        assert method is not None
        subject = Subject(bench.layer)
        subject.theta[...] = bench.theta
        try:
            with edit.made() as statement:
                function = method.compiled()
                vars(subject.layer)[name] = MethodType(function, subject.layer)
                right = first_line(statement)
            x = bench.x.copy()
            y = subject.forward(x)
            dy = bench.upstream(y)
            given, kept = dy.copy(), same(subject.theta, bench.theta)
            gradient = subject.collect(x, subject.layer.backward(dy)).copy()
            point = bench.point(Case("the first input", bench.x, bench.theta, given, gradient), subject)
            wholly = bench.prover.right_parts(point) >= {part.name for part in point.parts}
        except Exception:  # of a change that makes no sense
            continue
        if kept and same(x, bench.x) and same(dy, given):
            place, changed = method.place(edit.statement), {(cls, name): function}
            return Correction(SAYS, place, first_line(edit.statement), right, wholly, changed)
    return None


def _edits(function: ast.FunctionDef) -> list[Edit]:
    """Each `a += …` as `a = a + …`."""
    bodies: list[list[Any]] = [
        each for node in ast.walk(function) for each in (getattr(node, "body", []), getattr(node, "orelse", []))
    ]
    found = []
    for body in bodies:
        for place, statement in enumerate(body if isinstance(body, list) else []):
            if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
                there = ast.Name(statement.target.id, ast.Load())
                new = ast.Assign([statement.target], ast.BinOp(there, statement.op, statement.value))
                found.append(Edit(SAYS, statement, ((body, place, new),)))
    return found

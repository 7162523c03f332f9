"""The lines that give a gradient, derived from the forward: what should stand in backward."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.derivation.running import gradients
from minigrad.derivation.source import write
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Case, Subject
from minigrad.testing.naming import signatures
from minigrad.testing.naming.templates.nodes import assigned, names_read
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.oracle.rounding import matches
from minigrad.testing.plain import Plain

LINES = 4
WIDTH = 100
LARGEST = 80  # beyond which an exponential overflows in float32


def of(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """The lines for the part that is wrong, as the derivative of forward has them, or what prints them if they are
    many; empty where it can't be derived.
    """
    name = mismatch.part.name
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    subject.theta[...] = case.theta
    try:
        found = gradients(subject.layer, case.x, case.dy)
        whole = np.concatenate([np.ravel(g) for g in found if g is not None])
        if not matches(whole[np.array(mismatch.positions)], mismatch.wanted, 1e-5) and mismatch.wanted.any():
            return ""
        written = write(subject.layer, case.x)
    except Exception:  # a forward that has no derivative, or none that can be written down
        return ""
    source, line = written.backward, written.lines.get(name, "dx = dx")
    if signatures.is_first(case):
        source, line = _without_guards(source), _without_guards(line)
    built = re.fullmatch(r"[\w.]+ = \w+", line)  # by lines before it
    lines = [] if built else _with_what_it_needs(source, line)
    short = 0 < len(lines) <= LINES and all(len(line) <= WIDTH and line == _without_guards(line) for line in lines)
    if not short and isinstance(bench.layer, Plain):
        return ""  # which has no derived backward to print
    if not short:
        return "print(minigrad.derive(layer)) writes it, derived from forward"
    return ";  ".join(lines) + "   (derived from forward)"


class _Unguarded(ast.NodeTransformer):
    """Takes out factors such as (z <= 709.7), by which an overflow is kept off: for numbers of any usual size, 1."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """A product without such a factor."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult):
            for kept, factor in ((node.left, node.right), (node.right, node.left)):
                limit = factor.comparators[0] if isinstance(factor, ast.Compare) else None
                limit = limit.operand if isinstance(limit, ast.UnaryOp) else limit
                if isinstance(limit, ast.Constant) and isinstance(limit.value, float) and limit.value > LARGEST:
                    return kept
        return node


def _without_guards(source: str) -> str:
    """Source without what but keeps off an overflow."""
    tree = ast.parse(source.lstrip())
    before = ast.unparse(tree)
    after = ast.unparse(_Unguarded().visit(tree))
    return source if after == before else after


def _expressions(statement: ast.Assign) -> Iterator[ast.expr]:
    """The expression of what is assigned, and those in it."""
    return (node for node in ast.walk(statement.value) if isinstance(node, ast.expr))


def _with_what_it_needs(source: str, line: str) -> list[str]:
    """A line after those that set what it reads, apart from what self has under the same name; none if a loop does."""
    method = ast.parse(source.lstrip()).body[0]
    assert isinstance(method, ast.FunctionDef)
    needed, lines = {*names_read(ast.parse(line))}, [line]
    for statement in reversed(method.body):
        if isinstance(statement, ast.Assign):
            text = ast.unparse(statement)
            renames = all(isinstance(node, ast.Tuple | ast.Name | ast.Attribute) for node in _expressions(statement))
            if assigned(statement).keys() & needed and text != line and not renames:
                lines.insert(0, text)
                needed |= names_read(statement).keys()
        elif not isinstance(statement, ast.Return | ast.Expr):
            return []
    return lines

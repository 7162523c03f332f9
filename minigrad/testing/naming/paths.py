"""Which way from x, or a parameter, to y a wrong gradient leaves out.

The forward is traced, and its derivative taken with one way blocked: what an expression gives, or what one of its
operands does through it, counts as a constant. Where that is the layer's own gradient, this way is missing in backward.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.derivation.reverse import Reverse
from minigrad.derivation.rule import rule_name
from minigrad.derivation.running import traced
from minigrad.derivation.trace import ENGINE, Node, Trace
from minigrad.layer import Layer
from minigrad.parameter import Array, walk
from minigrad.programs.ir.memory import arrays_in
from minigrad.programs.tracing.arrays import TracingArray
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Case, Subject
from minigrad.testing.budget import WAYS, Deadline
from minigrad.testing.naming.methods import file_of
from minigrad.testing.naming.templates.nodes import code, expression, quoted
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.oracle.rounding import matches

REDUCTIONS = {
    "add.reduce",
    "sum",
    "mean",
    "var",
    "std",
    "max",
    "min",
    "maximum.reduce",
    "minimum.reduce",
    "prod",
    "norm",
}

THROUGH_TIME = "comes back through time, from the later steps to the earlier ones"

Place = tuple[str, int, int, int, int]  # a file, and where an expression begins and ends in it


class Placed(Trace):
    """A trace that knows by which expression each node was made."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, Place] = {}

    def _add(self, node: Node) -> None:
        super()._add(node)
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(ENGINE):
            frame = frame.f_back
        if frame is not None:
            line, end, column, last = list(frame.f_code.co_positions())[frame.f_lasti // 2]
            if None not in (line, end, column, last):
                self.places[id(node)] = (frame.f_code.co_filename, line, end, column, last)


class Blocked(Reverse):
    """The walk back with ways blocked: nodes, by their numbers of `id`, or one input of a node."""

    def __init__(self, trace: Trace, nodes: set[int], edges: set[tuple[int, int]]) -> None:
        super().__init__(trace, recording=False)
        self._nodes, self._edges = nodes, edges
        self._now: Node | None = None

    def _back(self, node: Node) -> None:
        self._now = node
        if id(node) in self._nodes:
            self._gradients.pop(id(node.out.array), None)
        else:
            super()._back(node)

    def _hand(self, array: Array, share: Any, g: Any, y: Any, elementwise: bool = False) -> None:
        if (id(self._now), id(array)) not in self._edges:
            super()._hand(array, share, g, y, elementwise)


@dataclass
class Way:
    """A way that can be blocked, and words for it, which end with how it comes back `through` a loop, if it does."""

    says: str
    nodes: set[int] = field(default_factory=set)
    edges: set[tuple[int, int]] = field(default_factory=set)
    through: Place | None = None


def left_out(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """The way that the gradient leaves out, in words; empty if it is none, or the forward can't be traced."""
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    subject.theta[...] = case.theta
    return _left_out(subject.layer, case.x.copy(), case.dy, mismatch)


class _AsLayer(Layer):
    """The terms of a loss, of which it gives the mean over rows, as a function of p."""

    def __init__(self, loss: Any, t: Array) -> None:
        self.loss = loss
        self.t = t

    def forward(self, x: Array) -> Array:
        """L"""
        terms = self.loss.terms(x, self.t)
        return terms.sum() / len(x) if terms.ndim else terms


def left_out_of_loss(loss: Any, p: Array, t: Array, mismatch: Mismatch) -> str:
    """The same for the terms of a loss."""
    return _left_out(_AsLayer(loss, t), p.copy(), np.ones(()), mismatch) if hasattr(loss, "terms") else ""


def _left_out(layer: Layer, x: Array, dy: Array, mismatch: Mismatch) -> str:
    trace, positions, deadline = Placed(), np.array(mismatch.positions), Deadline(WAYS)
    try:
        y = traced(layer, type(layer).forward, x, trace)
    except Exception:  # a forward that has no derivative, or none that is known here
        return ""
    trace.inner.clear()
    if not isinstance(y, TracingArray):
        return ""
    arrays = [x, *(array for inner in walk([layer]) for array in inner.params.values())]

    def gradient(way: Way) -> Array:
        reverse = Blocked(trace, way.nodes, way.edges)
        reverse.run(y.array, dy)
        found = [reverse.of(array) for array in arrays if array is not x or x.dtype.kind == "f"]
        held = [array for array in arrays if array is not x or x.dtype.kind == "f"]
        whole = [np.zeros(a.size) if g is None else np.ravel(g) for a, g in zip(held, found, strict=True)]
        return np.concatenate(whole)[positions]

    if not matches(gradient(Way("")), mismatch.wanted, 1e-5):
        return ""
    for way in _ways(trace):
        if deadline.is_over():
            return ""
        found = gradient(way)
        if matches(found, mismatch.given) or not (found.any() or mismatch.point.gradient[mismatch.part.span].any()):
            return way.says + (_back(way.through) if way.through else "")
    return ""


def _ways(trace: Placed) -> Iterator[Way]:
    """Statistics first, then every expression, then every operand of one."""
    active = [node for node in trace.nodes if node.is_active and id(node) in trace.places]
    by_place: dict[Place, list[Node]] = {}
    for node in active:
        by_place.setdefault(trace.places[id(node)], []).append(node)
    places = sorted(by_place, key=lambda place: rule_name(by_place[place][0].function) not in REDUCTIONS)
    reductions = {id(node) for node in active if rule_name(node.function) in REDUCTIONS}
    for place in places:
        nodes = by_place[place]
        if len(reductions) > len(nodes) and rule_name(nodes[0].function) not in REDUCTIONS:
            says = "the sums and means, or what else is taken over many entries, count as constants"
            yield Way(f"{says}, but x acts through them too", reductions)
            reductions = set()
        says = f"what is done through {_text(place)} (line {place[1]}) is left out, as if that were a constant"
        operands = [number for number in range(_most(nodes)) if _comes_back(trace, nodes, number, place)]
        if operands:
            says += f"; {_operand(place, operands[0])} "
        yield Way(says, {id(node) for node in nodes}, through=place if operands else None)
    for place, nodes in by_place.items():
        for number in range(_most(nodes)):
            edges = {(id(node), id(inputs[number])) for node in nodes if number < len(inputs := _inputs(node))}
            operand = _operand(place, number)
            says = f"what {operand} does through {_text(place)} (line {place[1]}) is left out"
            if len(nodes) == 1 and isinstance(getattr(_parsed(place), "op", None), ast.Add):
                says += ": a sum hands dy on to each of its terms"
            loops = _comes_back(trace, nodes, number, place)
            yield Way(says + (": it " if loops else ""), set(), edges, through=place if loops else None)


def _most(nodes: list[Node]) -> int:
    return max(len(_inputs(node)) for node in nodes)


def _inputs(node: Node) -> list[Array]:
    return list(arrays_in(node.inputs))


def _comes_back(trace: Trace, nodes: list[Node], number: int, place: Place) -> bool:
    """Whether what one pass of a loop uses here was made by the pass before, and is more than a sum."""
    if len(nodes) < 2 or _source(place).startswith("sum("):
        return False
    order = {id(node.out.array): place for place, node in enumerate(trace.nodes)}
    first = order[id(nodes[0].out.array)]
    used = [inputs[number] for node in nodes[1:] if number < len(inputs := _inputs(node))]
    return any(order.get(id(array), -1) > first for array in used)


def _back(place: Place) -> str:
    """How what a loop hands on comes back: through time, if each pass takes one step of an array, the input say."""
    file, line = place[:2]
    tree = file_of(file)
    around = [n for n in ast.walk(tree) if isinstance(n, ast.For) and n.lineno <= line <= (n.end_lineno or 0)]
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.lineno <= line <= (n.end_lineno or 0)]
    given = {argument.arg for method in methods for argument in method.args.args}
    for loop in around:
        counted = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
        steps = [n for n in ast.walk(loop) if isinstance(n, ast.Subscript) and given & _names(n.value) - {"self"}]
        if given & _names(loop.iter) - {"self"} and not ast.unparse(loop.iter).startswith("range("):
            return THROUGH_TIME
        for each in steps:
            index = each.slice.elts if isinstance(each.slice, ast.Tuple) else [each.slice]
            if any(isinstance(part, ast.Name) and part.id in counted for part in index):
                return THROUGH_TIME
    return "comes back through the loop, from the later passes to the earlier ones"


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _text(place: Place) -> str:
    return quoted(_source(place))


def _source(place: Place) -> str:
    file, line, end, column, last = place
    lines = [linecache.getline(file, number) for number in range(line, end + 1)]
    if line == end:
        text = lines[0].encode()[column:last].decode(errors="replace")
    else:
        text = " ".join([lines[0][column:], *lines[1:-1], lines[-1][:last]])
    return " ".join(text.split())


def _parsed(place: Place) -> Any:
    try:
        return expression(_source(place))
    except SyntaxError:
        return None


def _operand(place: Place, number: int) -> str:
    """The operand of this number, as it is written."""
    node, parts = _parsed(place), list[Any]()
    if node is None:
        return "an operand"
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Call):
        parts = [arg for each in node.args for arg in (each.elts if isinstance(each, ast.Tuple | ast.List) else [each])]
    else:
        parts = list(ast.iter_child_nodes(node))
    parts = [part for part in parts if not isinstance(part, ast.Constant)]
    return code(parts[number]) if number < len(parts) else "an operand"

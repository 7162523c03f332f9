"""A graph in plain words: the textbook's fewer steps in the place of those that only keep digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.graph.numbers import Graph, Node, Operand, Places


def plain(graph: Graph) -> Graph:
    """The same numbers, to rounding, in the textbook's fewer steps; what nobody reads is left out.

    Floors that only matter where no digit is left to show go, halves that cancel do too, and σ' and tanh' are written
    with what they are derivatives of.
    """
    return _Plainer(graph).made


class _Plainer:
    """Walks the nodes once, and puts a plainer form in the place of each that has one."""

    def __init__(self, graph: Graph) -> None:
        self.made = Graph()
        self._known: dict[Any, Node] = {}
        wanted = graph.reached([graph.result, *graph.lasting.values(), *(n.places for n in graph.nodes if n.is_given)])
        where = np.full(graph.size, -1, np.intp)
        for node in graph.nodes:
            if node not in wanted:
                continue
            inputs = tuple(np.asarray(where[p]) if isinstance(p, np.ndarray) else p for p in node.inputs)
            new = replace(node, inputs=inputs)
            places = None if node.is_given else self._rules(new)
            if places is not None and node.name:  # the plainer form takes the name, if it has none
                made = self.made.whole(places)
                if made is None or made.name or made.is_given:
                    places = None
                else:
                    made.name, made.op = node.name, node.op
            if places is None:
                places = self._add(new).places
            where[node.start : node.start + node.size] = np.broadcast_to(places, node.shape).ravel()
        self.made.result = np.asarray(where[graph.result])
        self.made.updates = {
            self.made.node_at(int(where[node.start])): np.asarray(where[places])
            for node, places in graph.updates.items()
        }
        self.made.given = graph.given
        self.made.lasting = {name: np.asarray(where[places]) for name, places in graph.lasting.items()}
        self._drop()

    def _add(self, node: Node) -> Node:
        """Add a node, or find the equal one that there is: it takes the name."""
        if node.is_given:
            return self.made.add(node)
        marks = [(p.shape, p.tobytes()) if isinstance(p, np.ndarray) else repr(p) for p in node.inputs]
        key = node.function, node.fold, node.shape, node.over, tuple(marks)
        known = self._known.get(key)
        if known is None or (node.name and known.name):
            self._known[key] = known = self.made.add(node)
        elif node.name:
            known.name, known.op = node.name, node.op
        return known

    def _node(self, like: Node, function: str, *inputs: Operand, **more: Any) -> Node:
        return self._add(replace(like, function=function, inputs=inputs, name="", **more))

    def _is(self, operand: Operand, function: str, fold: str = "") -> Node | None:
        node = self.made.whole(operand)
        return node if node is not None and node.function == function and node.fold == fold else None

    def _rules(self, node: Node) -> Places | None:
        """The places of the same numbers in a plainer form; None where there is none."""
        f, inputs = node.function, node.inputs
        if node.fold or not node.inputs:
            return None
        first, second = inputs[0], inputs[-1]
        if isinstance(first, np.ndarray) and not node.name:
            floor = f == "maximum" and isinstance(second, float) and second <= -500
            if floor or f in ("same", "positive") or (f == "multiply" and isinstance(second, float) and second == 1.0):
                return first
        if f == "log1p":
            return self._log_of_sum(node)
        if f == "multiply" and isinstance(first, float) and first == 2.0:
            return self._twice(node)
        if f == "multiply" and isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
            return self._derivative(node)
        return None

    def _twice(self, node: Node) -> Places | None:
        """2 (z/2 - max z/2) is z - max z."""
        below = self._is(node.inputs[1], "subtract")
        if below is None:
            return None
        half, top = below.inputs
        halved, largest = self._is(half, "multiply"), self._is(top, "same", "maximum")
        if halved is None or largest is None or halved.inputs[1] != 0.5:
            return None
        z = halved.inputs[0]
        assert isinstance(z, np.ndarray)
        moved = z.reshape(largest.inputs[0].shape) if isinstance(largest.inputs[0], np.ndarray) else z
        if not np.array_equal(moved, z.reshape(moved.shape)):
            return None
        maximum = self._add(replace(largest, inputs=(moved,), name=""))
        return self._node(node, "subtract", z, maximum.places).places

    def _log_of_sum(self, node: Node) -> Places | None:
        """log1p(Σ (e - ones) + (Σ ones - 1)) is log Σ e."""
        total = self._is(node.inputs[0], "add")
        if total is None:
            return None
        others, least = self._is(total.inputs[0], "same", "add"), self._is(total.inputs[1], "subtract")
        if others is None or least is None or least.inputs[1] != 1.0:
            return None
        inner = self.made.whole(others.inputs[0])
        if inner is None or inner.function != "subtract" or not isinstance(inner.inputs[0], np.ndarray):
            return None
        e = inner.inputs[0]
        summed = self._add(replace(others, inputs=(e.reshape(np.shape(others.inputs[0])),), name=""))
        return self._node(node, "log", summed.places.reshape(node.shape)).places

    def _derivative(self, node: Node) -> Places | None:
        """(e a) a with a = 1 / (1 + e) is a (1 - a); with e = exp(-2|z|), (e y) y of y = 2 / (1 + e) is 1 - tanh² z."""
        first, second = node.inputs
        product = self._is(first, "multiply")
        if product is None or not np.array_equal(product.inputs[1], second):
            return None
        quotient = self._is(second, "divide")
        below = None if quotient is None else self._is(quotient.inputs[1], "add")
        if quotient is None or below is None or below.inputs[0] != 1.0:
            return None
        if not np.array_equal(below.inputs[1], product.inputs[0]):
            return None
        if quotient.inputs[0] == 1.0:
            rest = self._node(node, "subtract", 1.0, second)
            return self._node(node, "multiply", second, rest.places).places
        squared = self._is(product.inputs[0], "multiply")
        power = None if squared is None else self._is(squared.inputs[0], "exp")
        least = None if power is None else self._is(power.inputs[0], "minimum")
        minus = None if least is None else self._is(least.inputs[0], "negative")
        size = None if minus is None else self._is(minus.inputs[0], "absolute")
        if quotient.inputs[0] != 2.0 or size is None:
            return None
        for other in self.made.nodes:
            if other.function == "tanh" and np.array_equal(other.inputs[0], size.inputs[0]):
                square = self._node(node, "square", other.places)
                return self._node(node, "subtract", 1.0, square.places).places
        return None

    def _drop(self) -> None:
        """Leave out what nobody reads any more."""
        made, old = Graph(), self.made
        wanted = old.reached([old.result, *old.lasting.values(), *(node.places for node in old.updates)])
        where = np.full(old.size, -1, np.intp)
        places_of = {}
        for node in old.nodes:
            if node not in wanted:
                continue
            begin = node.start
            new = replace(
                node, inputs=tuple(np.asarray(where[p]) if isinstance(p, np.ndarray) else p for p in node.inputs)
            )
            made.add(new)
            places_of[node] = new
            where[begin : begin + node.size] = new.places.ravel()
        made.result = np.asarray(where[old.result])
        made.updates = {places_of[node]: np.asarray(where[places]) for node, places in old.updates.items()}
        made.lasting = {name: np.asarray(where[places]) for name, places in old.lasting.items()}
        made.given = {name: view for name, view in old.given.items() if any(n.name == name for n in made.nodes)}
        self.made = made

"""A program as a graph of numbers: of which numbers each one is made, wherever in memory they lay.

    graph = graph_of(program)           # `graphing`; `simplifying.plain(graph)` has fewer nodes, to be read
    for node in graph.nodes:
        …                               # node.function of node.inputs, folded over node.over, makes node.shape numbers

Every number of a program has a place of its own in one long row: those of a node stand there from `start` on, in C
order. An operand is an array of such places. So what a view does (a slice, a transpose, rows written one after the
other, a reshape) is said once, in `graphing`, and a writer meets three things only: numbers that are given, a function
of some numbers, and such functions added up (or multiplied, or the largest of them) over further axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.parameter import Array
from minigrad.programs.ir.ops import Op, Value, View

Places: TypeAlias = npt.NDArray[np.intp]
Operand: TypeAlias = Places | float


@dataclass(eq=False)
class Node:
    """Numbers of one kind: `function` of the `inputs`, which broadcast to `shape` + `over`; `fold` runs over `over`.

    Without a function they are given, or constant where `constant` has them. `name` is the textbook's, if there is one;
    `op` the op that makes it; `role` says what a given one is, as in `Value`.
    """

    function: str
    inputs: tuple[Operand, ...]
    shape: tuple[int, ...]
    over: tuple[int, ...] = ()
    fold: str = ""
    op: Op | None = None
    name: str = ""
    role: str = "made"
    start: int = 0
    constant: Array | None = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def places(self) -> Places:
        """The places of its numbers."""
        return np.arange(self.start, self.start + self.size, dtype=np.intp).reshape(self.shape)

    @property
    def is_given(self) -> bool:
        """Whether no function makes it."""
        return not self.function

    @property
    def verb(self) -> str:
        """Whose part of the step it is: forward, value, backward, penalty or update; "" where it is given."""
        return "" if self.op is None else self.op.scope.verb

    def __repr__(self) -> str:
        return f"<{self.name or self.function or 'constant'} {self.shape} at {self.start}>"


@dataclass(eq=False)
class Graph:
    """Nodes in an order in which they can be computed, the places of the result, and of what each given node becomes.

    `given` says of which view each given node has the numbers, by its name; `lasting` has the places of all that
    outlives the program, by its names there, in the order of the array.
    """

    nodes: list[Node] = field(default_factory=list)
    result: Places = field(default_factory=lambda: np.zeros((), np.intp))
    updates: dict[Node, Places] = field(default_factory=dict)
    given: dict[str, View] = field(default_factory=dict)
    lasting: dict[str, Places] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.nodes[-1].start + self.nodes[-1].size if self.nodes else 0

    def add(self, node: Node) -> Node:
        """Give a node its places."""
        node.start = self.size
        self.nodes.append(node)
        return node

    def node_at(self, place: int) -> Node:
        """The node that a place belongs to."""
        low, high = 0, len(self.nodes) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.nodes[middle].start <= place else (low, middle - 1)
        return self.nodes[low]

    def numbers(self, values: Mapping[Value, Array]) -> dict[str, Array]:
        """The given numbers by name, out of what `interpret` says each value is."""
        return {name: view.array(values[view.value]) for name, view in self.given.items()}

    def named(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def whole(self, places: Operand) -> Node | None:
        """The node of which these are all places, in order; None for some of them, or for a plain number."""
        if not isinstance(places, np.ndarray) or places.size == 0:
            return None
        flat = places.ravel()
        node = self.node_at(int(flat[0]))
        same = node.start == flat[0] and node.size == flat.size and bool((np.diff(flat) == 1).all())
        return node if same else None

    def reached(self, places: Iterable[Operand]) -> set[Node]:
        """All nodes that these numbers depend on, their own ones too."""
        needed = np.zeros(len(self.nodes), bool)
        starts = np.array([node.start for node in self.nodes])

        def mark(operand: Operand) -> None:
            if isinstance(operand, np.ndarray) and operand.size:
                needed[np.unique(np.searchsorted(starts, operand.ravel(), "right") - 1)] = True

        for operand in places:
            mark(operand)
        for number in range(len(self.nodes) - 1, -1, -1):
            if needed[number]:
                for operand in self.nodes[number].inputs:
                    mark(operand)
        return {node for node, is_needed in zip(self.nodes, needed, strict=True) if is_needed}

    def evaluate(self, given: Mapping[str, Any]) -> Array:
        """All numbers, in a row, of the given ones by their names."""
        row = np.zeros(self.size)
        with np.errstate(all="ignore"):
            for node in self.nodes:
                row[node.start : node.start + node.size] = self._numbers(node, row, given).ravel()
        return row

    def _numbers(self, node: Node, row: Array, given: Mapping[str, Any]) -> Array:
        if node.is_given:
            return np.asarray(given[node.name] if node.constant is None else node.constant, np.float64)
        terms = node.shape + node.over
        operands = [row[operand] if isinstance(operand, np.ndarray) else operand for operand in node.inputs]
        if node.fold == "add" and node.function == "multiply":
            one, other = (np.broadcast_to(operand, terms) for operand in operands)
            axes = list(range(len(terms)))
            return np.asarray(np.einsum(one, axes, other, axes, axes[: len(node.shape)]))
        made = np.broadcast_to(FUNCTIONS[node.function](*operands), terms)
        if node.fold:
            made = getattr(np, node.fold).reduce(made, axis=tuple(range(len(node.shape), len(terms))))
        return np.asarray(made, np.float64)


def _same(x: Any) -> Any:
    return x


UFUNCS = (
    "add subtract multiply divide negative reciprocal square power sqrt absolute sign copysign minimum maximum floor "
    "ceil exp expm1 log log1p log2 log10 tanh sinh cosh sin cos arctan greater less greater_equal less_equal equal "
    "not_equal logical_and logical_or"
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "same": _same,
    "positive": _same,
    "where": np.where,
    "invert": lambda x: 1 - x,
    **{name: getattr(np, name) for name in UFUNCS.split()},
    "bitwise_and": np.logical_and,
    "bitwise_or": np.logical_or,
}
"""What a function of a node is called, and what it computes of float64 numbers: comparisons give 0 and 1."""

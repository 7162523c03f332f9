"""Where each array of a step stands: a column for each value of the forward pass, in five bands."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minigrad.pages.step import LaidStep
from minigrad.programs.graph.notation import Notation
from minigrad.programs.graph.numbers import Node

BANDS = (
    "The weights before the step",
    "Forward: from x to the loss",
    "Backward: the derivative of the loss by each number above",
    "The gradients of the weights",
    "The update: the weights after the step",
)
COLOURS = ("#7358A3", "#2467A8", "#B4500F", "#8F4A00", "#3F7A2C")
"""One for each of these parts of a sheet."""
WEIGHTS, FORWARD, BACKWARD, GRADIENTS, UPDATE = range(5)


@dataclass
class Column:
    """One value of the forward pass, and in each band what belongs to it."""

    head: Node
    bands: tuple[list[Node], ...] = field(default_factory=lambda: tuple([] for _ in BANDS))


def rows_of(node: Node) -> int:
    """How many rows an array has where it is written down: higher axes stand side by side."""
    return node.shape[0] if len(node.shape) > 1 else 1


def columns_of(node: Node) -> int:
    """How many columns an array has where it is written down."""
    rows = rows_of(node)
    return node.size // rows if rows else 0


class Layout:
    """The columns of a step. `band_of` says in which band a node stands; those of the optimizer alone in none."""

    def __init__(self, step: LaidStep) -> None:
        self.step = step
        self.notation: Notation = step.notation
        blocks = [node for node in self.notation.blocks if node.role != "coefficient" and node.size]
        self.parameters: list[Node] = [node for node in blocks if node.is_given and node.role == "parameter"]
        gradients = {f"d{node.name}" for node in self.parameters}
        self.band_of: dict[Node, int] = {node: _band(node, gradients) for node in blocks if node.role != "gradient"}
        self.columns: list[Column] = [Column(node) for node in self._forward()]
        by = {column.head.name: column for column in self.columns}
        self._placed: dict[Node, Column] = {}
        for node, band in self.band_of.items():
            column = by.get(node.name) if band == FORWARD else None
            column = column or self._owner(node, band, by)
            column.bands[band].append(node)
            self._placed[node] = column
        for column in self.columns:  # weights stand next to what they make, the optimizer's memory above them
            column.bands[WEIGHTS].sort(key=lambda node: node.role != "memory")

    def _forward(self) -> list[Node]:
        """x, then layer by layer; p and t; the loss."""
        found = [node for node, band in self.band_of.items() if band == FORWARD]
        x = [node for node in found if node.name == "x"]
        t = [node for node in found if node.role == "batch" and node.name != "x"]
        p = self.step.prediction()
        layers = [node for node in found if node.verb == "forward"]
        rest = [node for node in found if node not in (*x, *t, *layers, p)]
        before = [node for node in rest if p is not None and self._needs(p, node)]
        last = [node for node in rest if node not in before]
        return [*x, *layers, *before, *([] if p is None else [p]), *t, *last]

    def _needs(self, node: Node, other: Node) -> bool:
        return other in self.step.graph.reached([node.places])

    def _owner(self, node: Node, band: int, by: dict[str, Column]) -> Column:
        """The column that a node without one of its own belongs to."""
        if band == WEIGHTS and node.role != "memory":
            return next((c for c in self.columns if self._uses(c.head, node)), self.columns[-1])
        of = node.name.removesuffix("_new")
        inner = of.partition("(")[2].rstrip(")") or of
        for parameter, column in self._placed.items():
            if parameter.is_given and parameter.name in (inner, inner.removeprefix("d")):
                return column
        if band == BACKWARD and node.name.removeprefix("d") in by:
            return by[node.name.removeprefix("d")]
        position = None if node.op is None else node.op.scope.position
        same = [c for c in self.columns if c.head.op is not None and c.head.op.scope.position == position]
        return same[0] if same else self.columns[-1]

    def _uses(self, node: Node, wanted: Node) -> bool:
        """Whether the equation of a node has a given one in it."""
        if node is wanted:
            return True
        return any(
            each is wanted or (each not in self.notation.blocks and self._uses(each, wanted))
            for operand in node.inputs
            for each in self.notation.nodes_of(operand)
        )


def _band(node: Node, gradients: set[str]) -> int:
    if node.is_given:
        return FORWARD if node.role == "batch" else WEIGHTS
    if node.name in gradients:
        return GRADIENTS
    if node.verb == "update" or (node.name.endswith("_new") and node.verb != "forward"):
        return UPDATE
    if node.name.endswith("_new"):
        return UPDATE
    if node.name == "p" or node.verb in ("forward", "value", "penalty"):
        return FORWARD
    return BACKWARD


def shown(length: int, most: int, spread: np.ndarray | None = None) -> list[int]:
    """Which of so many rows or columns are shown: all, the first ones, or those that vary the most."""
    if length <= most:
        return list(range(length))
    some = max(1, most * 2 // 3)
    if spread is not None and len(spread) == length:
        return sorted(np.argsort(-spread, kind="stable")[:some].tolist())
    return list(range(some))

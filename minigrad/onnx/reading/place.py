"""Where a value of an ONNX file stands on its way through the nodes: what layers have been made, and how it lies.

ONNX has channels first, minigrad last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import numpy as np
from onnx import helper

from minigrad.layer import Layer
from minigrad.layers.embedding import Embedding
from minigrad.layers.pooling import GlobalAvgPool2D
from minigrad.layers.shape import Flatten
from minigrad.parameter import Array


class Unknown(ValueError):
    """What is no layer here, in words that follow the file's name."""


def named(node: Any) -> str:
    """A node in words."""
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


def options(node: Any, **known: Any) -> dict[str, Any]:
    """The attributes of a node, or what they are if they are missing."""
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return known | {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def number(value: Any) -> float:
    """A number of the file as Python's: with as few digits as tell a float32, which an attribute is, from others."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0]
    return float(value) if isinstance(value, np.float64) else float(str(np.float32(value)))


class Place:
    """A value on its way: `layers` are what has been made of the nodes up to here.

    `row` is the shape of a row in the file, before any layer, None where it is not told; `shape` the one of a row here,
    None as long as it is not known; `axes` their number. `known` gives constants, `used` says what nodes take.

    `first` says whether the file has the channels first; as long as no node has settled that, it is None, and `turns`
    counts the transposes. `order` is that of a laid-out image; `pooled` says that the file still has two axes of length
    1 behind the channels, `steps_first` that it has the steps before the rows, `directions` that it has an axis of one
    direction behind the steps. `pad` is what a Pad has added, `centred` that the mean of rows has just been subtracted,
    `low` the bound below which a Max has just held x.
    """

    def __init__(
        self, row: tuple[int | None, ...], constants: Callable[[str], Array | None], used: Collection[str]
    ) -> None:
        self.row: tuple[int | None, ...] = row
        self.known: Callable[[str], Array | None] = constants
        self.used: Collection[str] = used
        self.axes: int = len(row)
        self.layers: list[Layer] = []
        self.shape: tuple[int, ...] | None = None
        self.first: bool | None = None
        self.input_first: bool | None = None
        self.turns = 0
        self.order: Array | None = None
        self.pooled = self.steps_first = self.directions = self.centred = False
        self.pad: tuple[str, list[int], float] | None = None
        self.low: float | None = None
        if self.axes < 2:
            self._begin(False)

    def _begin(self, first: bool) -> None:
        """Settle how the input lies; up to here, layers have kept its shape."""
        self.input_first = first
        self.first = first ^ (self.turns % 2 == 1)
        whole = tuple(n for n in self.row if n is not None)
        if len(whole) == len(self.row):
            self.shape = (*whole[1:], whole[0]) if first else whole

    def settle(self, node: Any, first: bool) -> None:
        """Say that the node takes channels first, or last. Raises Unknown where the file has it otherwise."""
        if self.first is None:
            self._begin(first ^ (self.turns % 2 == 1))
        if self.first != first or self.steps_first or self.directions or self.pooled:
            raise Unknown(
                f"{named(node)} takes channels {'first' if first else 'last'}, where the file has another axis"
            )

    def put(self, node: Any, layer: Layer) -> None:
        """Add a layer. Raises Unknown where rows of this shape do not fit it."""
        if self.unfinished:
            raise Unknown(f"{named(node)} follows {self.unfinished}, which is no layer by itself")
        try:
            self.shape = None if self.shape is None else layer.output_shape(self.shape)
        except ValueError as error:
            raise Unknown(f"{named(node)}: {error}") from error
        if self.shape is not None:
            self.axes = len(self.shape)
        elif isinstance(layer, Flatten | GlobalAvgPool2D):
            self.axes = 1
        elif isinstance(layer, Embedding):
            self.axes += 1
        self.layers.append(layer)

    def alone(self, node: Any) -> bool:
        """Whether only the first of a node's outputs is used."""
        return not any(name in self.used for name in node.output[1:])

    @property
    def unfinished(self) -> str:
        """What stands for a layer only together with nodes to come."""
        found = {"a Pad": self.pad is not None, "a Max": self.low is not None, "a difference to the mean": self.centred}
        return next((what for what, is_so in found.items() if is_so), "")

    @property
    def last(self) -> Layer | None:
        """The latest layer."""
        return self.layers[-1] if self.layers else None

    def constant(self, node: Any, position: int) -> Array:
        """The input of that number. Raises Unknown where it is computed."""
        found = self.known(node.input[position])
        if found is None:
            raise Unknown(f"{named(node)} has weights that are computed, not constant")
        return found

    def optional(self, node: Any, position: int) -> Array | None:
        """The same, or None where there is no such input."""
        return self.constant(node, position) if len(node.input) > position and node.input[position] else None

    def beside(self, node: Any) -> Array:
        """The constant of an elementwise operation. Raises Unknown where that is the first input and must not be."""
        second = self.known(node.input[1])
        if second is None and node.op_type in ("Sub", "Div"):
            raise Unknown(f"{named(node)} begins with its constant, which is no layer here")
        return self.constant(node, 0) if second is None else second

    def by_feature(self, node: Any, value: Array) -> Array:
        """A number for each feature, in our order. Raises Unknown for numbers along another axis."""
        flat = np.ravel(value)
        if self.axes > 1 and flat.size > 1:
            self.settle(node, value.ndim > 1 and value.shape[-1] != flat.size)
        if self.order is None:
            return flat
        if flat.shape != self.order.shape:
            raise Unknown(f"{named(node)} follows a laid-out image of {len(self.order)} numbers, and has {flat.size}")
        return flat[self.order]


Reader: TypeAlias = Callable[[Place, Any], Any]
"""What makes a layer of a node."""

"""The model: layers that share one vector of parameters, run one after the other, copied and put back as one."""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, owner_of, states_of, walk


class Model(Layer):
    """A layer that owns the vectors of all parameters and gradients in it: all that training knows of a model."""

    theta: Array
    dtheta: Array
    classes: Array | None = None
    """The class labels in the user's own words, in the order of the outputs, once trained on labels."""
    boundary: float = 0.5
    """From which value on a single output stands for the second of two classes."""
    steps_by_hand: int = 24
    """So many steps are made layer by layer, and where few are to come, all: compiling a step takes its time."""
    preparation: dict[str, Any] | None = None
    """How a table's columns become the rows of x, as JSON, for a model that was trained on a table."""

    _lasting: ClassVar[tuple[str, ...]] = (
        *Layer._lasting,
        "theta",
        "dtheta",
        "classes",
        "boundary",
        "steps_by_hand",
        "preparation",
    )

    tools: ClassVar[Tools]
    """What rooms above the textbook do for a model; `minigrad/__init__.py` puts it here."""

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of x, as far as it is known."""
        return self.input_shape

    def admit(self, x: Any) -> Any:
        """x as the layers take it; a Sequential checks the shape and casts to its dtype here."""
        return np.asarray(x)

    def chain(self) -> tuple[Layer, ...]:
        """The layers whose forwards, one after the other, are the model's."""
        return (self,)


def chain_of(layer: Layer) -> tuple[Layer, ...]:
    """The layers whose forwards, one after the other, are this layer's: itself alone, unless it is a model."""
    return layer.chain() if isinstance(layer, Model) else (layer,)


class Program(Protocol):
    """A training step as a program to read: `str()` is its source."""

    @property
    def lines(self) -> Sequence[Any]:
        """Its operations, in order."""

    @property
    def buffers(self) -> Any:
        """The arrays that it computes in."""

    def interpret(self, batch: Any = None) -> dict[str, Array]:
        """The arrays of one step by their names, for a batch (x, t)."""

    def save(self, path: Any) -> None:
        """Write it as a file of Python that needs NumPy alone."""


class Opened(Protocol):
    """A training step laid open, to look at; it shows itself in a notebook."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a page (.html), or a workbook of live formulas (.xlsx)."""


class Tools(Protocol):
    """The seam between a model and the rooms above the textbook, which it does not import.

    `execute` makes the steps of an epoch as `training.loop.make_steps` does, and faster; `predict` runs rows through
    the layers. The others are methods of Sequential by the same names, or what `fit(checkpoint=…)` writes.
    """

    def execute(self, objective: Any, optimizer: Any, runs: Iterable[Any], epochs: int | None) -> Any: ...  # noqa: D102
    def predict(self, model: Model, x: Array) -> Array: ...  # noqa: D102
    def program(self, model: Model, loss: Any, optimizer: Any, **settings: Any) -> Program: ...  # noqa: D102
    def lay_open(self, model: Model, x: Any, t: Any, loss: Any, optimizer: Any, **settings: Any) -> Opened: ...  # noqa: D102
    def save(self, model: Model, path: str | os.PathLike[str]) -> None: ...  # noqa: D102
    def checkpoint(self, path: Any, model: Model, optimizer: Any, settings: dict[str, Any]) -> Any: ...  # noqa: D102


def claim(owner: Layer, layers: Iterable[Layer]) -> None:
    """Make `owner` the owner of all these layers, or raise ValueError and leave every one as it was.

    A layer stands at one place in one model. What an inner model owns stays its own.
    """
    found, seen = list(walk(layers)), set[int]()
    for layer in found:
        if any(sum(other is inner for other in found) > 1 for inner in layer._shared()):
            layer._stand_beside()
    found = list(walk(layers))
    together = {id(layer) for layer in found}
    for layer in found:
        if id(layer) in seen:
            raise ValueError(
                f"{layer!r} stands twice in this model; a second one with weights of its own is copy.deepcopy(layer)"
            )
        seen.add(id(layer))
        held_by = owner_of(layer)
        if held_by is not None and held_by is not owner and id(held_by) not in together:
            raise ValueError(f"{layer!r} already stands in another model; put copy.deepcopy(layer) into this one")
    for layer in found:
        if owner_of(layer) is None:
            vars(layer)["_owner"] = weakref.ref(owner)


class Snapshot:
    """A copy of every parameter and every state of some layers, to be put back by `restore()`.

    `saved` lists them: the layer, the name, and the copy.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.saved: list[tuple[Layer, str, Any]] = [
            (layer, name, value.copy() if _is_plain(value) else copy.deepcopy(value))
            for layer in walk(layers)
            for name, value in (layer.params | states_of(layer)).items()
        ]

    def restore(self) -> None:
        """Write the copies back: into the same arrays and the same generators."""
        for layer, name, saved in self.saved:
            put(layer, name, saved)


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def put(layer: Layer, name: str, value: Any) -> None:
    """Write `value` into the parameter, array or generator that the layer holds under `name`; nothing is re-bound."""
    held = vars(layer)[name]
    if isinstance(held, np.random.Generator):
        held.bit_generator.state = value.bit_generator.state
    else:
        held[...] = value

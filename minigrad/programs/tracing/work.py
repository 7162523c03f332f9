"""What can be recorded: some work that a model does over and over, and the same work on copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.model import Model
from minigrad.parameter import Array, gradient_name, states_of, walk
from minigrad.programs.ir.memory import owner
from minigrad.programs.ir.ops import Position, View
from minigrad.programs.tracing.arrays import Tape


def declared_by(layer: Layer) -> list[str]:
    """The attributes that parameters, their gradients and states are declared to be."""
    gradients = [marker.gradient for marker in layer._parameters]
    return [marker.name for marker in (*layer._parameters, *gradients, *layer._states)]


def gradients_of(layer: Layer) -> dict[str, Array]:
    """The layer's gradients by the names of their attributes: "dW" and the like."""
    return {gradient_name(layer, name): array for name, array in layer.grads.items()}


def title_of(target: Any) -> str:
    """The repr of a layer or a loss; of one that has a fault there, its class."""
    try:
        return repr(target)
    except Exception:
        return type(target).__name__


class Work:
    """Something that a model does over and over, with places of its own (`inputs`) for what it is given.

    `parts` are the layers that it runs, one after the other; `plain()` does it with them, `record` on recording arrays.
    Neither is done with the model itself: `double()` gives the same work on copies.
    """

    def __init__(self, model: Model, parts: Sequence[Layer], inputs: list[Array]) -> None:
        self.model = model
        self.parts = parts
        self.inputs = inputs

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return f"{len(self.inputs[0])} rows, {self.model.theta.dtype}"

    def double(self, opaque: Collection[Position]) -> Copies:
        """The same work on copies of all that it reads or changes; the `opaque` parts play back what was seen."""
        raise NotImplementedError

    def undeclared(self) -> dict[Position, str]:
        """The parts that are not to be traced, and why. Raises TraceError where nothing can be traced then."""
        raise NotImplementedError

    def plain(self) -> Any:
        """Do it with the layers themselves: what a program must equal, bit for bit."""
        raise NotImplementedError

    def replay(self, function: Callable[[], Any]) -> Any:
        """Do it with a program's function."""
        return function()

    def begin(self) -> None:
        """What is to be done before each time."""

    def record(self, tape: Tape, opaque: Mapping[Position, str]) -> Array:
        """Do it on recording arrays, and return its value; the parts in `opaque` run as they are, for that reason."""
        raise NotImplementedError

    def end(self) -> None:
        """What is to be done after each time."""

    def lasting(self) -> list[Array]:
        """The arrays that it changes and that outlive it."""
        return []

    def left(self) -> Iterator[tuple[Any, Any]]:
        """What it leaves behind, as it is now: arrays and states of generators, with what they belong to."""
        for layer in walk([self.model]):
            for value in (layer.params | gradients_of(layer) | states_of(layer)).values():
                yield layer, value if isinstance(value, np.ndarray) else repr(value.bit_generator.state)

    def names(self, tape: Tape, value: Array) -> list[tuple[View, str]]:
        """Names for views; the first one for a place counts. To be asked for while the layers hold the recording."""
        return []

    def on_tape(self) -> list[tuple[Any, str]]:
        """All that is put on the tape, as (object, name)."""
        return [(layer, n) for layer in walk([self.model]) for n in declared_by(layer) if n in vars(layer)]

    def titles(self) -> dict[Position, str]:
        """How the parts are called."""
        found: dict[Position, str] = {n: title_of(part) for n, part in enumerate(self.parts)}
        found["all"] = "all of it"
        return found

    def turn(self) -> None:
        """Another batch of the same shapes: the same rows, each one place further."""
        for array in self.inputs:
            array[...] = np.roll(array, 1, axis=0)

    def at_random(self) -> None:
        """Other numbers in the rows x, if they are no integers: about as large as those of a standardised table."""
        x = self.inputs[0]
        if x.dtype.kind == "f":
            x[...] = np.random.default_rng(0).normal(size=x.shape)


class Copies:
    """Some work on copies, and which thing each copy stands for."""

    def __init__(self, work: Any, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.work: Any = work
        self._pairs = list(pairs)  # keeps them alive: a number of `id` must not come twice
        self._originals = {id(double): original for original, double in self._pairs}
        self._doubles = {id(original): double for original, double in self._pairs}
        for original, double in self._pairs:
            # A tape knows the array that owns the memory; an inner model's theta is a part of a longer vector.
            if isinstance(double, np.ndarray) and (whole := owner(double)).shape == original.shape:
                self._originals.setdefault(id(whole), original)

    def original(self, thing: Any) -> Any:
        """What a copy stands for; anything else is itself."""
        return self._originals.get(id(thing), thing)

    def double(self, thing: Any) -> Any:
        """The copy of a thing; what was not copied is itself."""
        return self._doubles.get(id(thing), thing)

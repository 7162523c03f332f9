"""Recording: some work is done once on recording arrays, and then once more, since first replays lie.

A counter, a schedule, a drawn mask are equal once and wrong the second time. So the work is recorded twice, from
consecutive states; a part whose lines differ between the two, or that can't be recorded, becomes one opaque line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.model import Model
from minigrad.parameter import Array, walk
from minigrad.programs.arrays import Recorded, RecordedGenerator, Tape, Unrecordable, raw
from minigrad.programs.contents import RestorePoint, content, held_by
from minigrad.programs.form import Part, Position, View


class Recordable:
    """Something that a model does over and over, with places of its own (`inputs`) for what it is given.

    `parts` are the layers that it runs, one after the other; `plain()` does it with them, `record` on recording arrays.
    """

    def __init__(self, model: Model, parts: Sequence[Layer], inputs: list[Array]) -> None:
        self.model, self.parts, self.inputs = model, parts, inputs

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return f"{len(self.inputs[0])} rows, {self.model.theta.dtype}"

    def plain(self) -> Any:
        """Do it with the layers themselves: what a program must equal, bit for bit."""
        raise NotImplementedError

    def replay(self, function: Callable[[], Any]) -> Any:
        """Do it with a program's function."""
        return function()

    def record(self, tape: Tape, opaque: Collection[Position]) -> Array:
        """Do it on recording arrays, and return its value; the parts in `opaque` run as they are."""
        raise NotImplementedError

    def objects(self) -> list[Any]:
        """The objects whose attributes it may change."""
        return list(walk([self.model]))

    def lasting(self) -> list[Array]:
        """The arrays that it changes and that outlive it."""
        return []

    def names(self, tape: Tape, value: Array) -> list[tuple[Array, str]]:
        """Names for arrays; the first one for a place counts. To be asked for while the layers hold the recording."""
        return []

    def title_of(self, position: Position) -> str:
        """How a part is called in messages."""
        return repr(self.parts[position]) if isinstance(position, int) else f"{position} of it"

    def turn(self) -> None:
        """Another batch of the same shapes: the same rows, each one place further."""
        for array in self.inputs:
            array[...] = np.roll(array, 1, axis=0)


@dataclass
class Recording:
    """The tape of some work, its value, names for arrays, and what the layers ended up with in their attributes."""

    tape: Tape
    value: Array
    names: list[tuple[Array, str]]
    attributes: dict[tuple[int, int, str], Any]
    objects: dict[tuple[int, int, str], Any]


class PartError(Exception):
    """A part of the work can't be recorded: its position, and why."""

    def __init__(self, position: Position, reason: str) -> None:
        super().__init__(reason)
        self.position, self.reason = position, reason

    def of(self, work: Recordable) -> PartError:
        """The same error, with the part's name in its message."""
        self.args = (f"{work.title_of(self.position)}: {self.reason}",)
        return self


class Tap:
    """Stands before a layer or a loss while it is recorded: tells the tape whose lines follow."""

    def __init__(self, target: Any, tape: Tape, position: Position, opaque: bool) -> None:
        self._target, self._tape, self._position, self._opaque = target, tape, position, opaque

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        function, tape = getattr(self._target, verb), self._tape

        def call(*arguments: Any) -> Any:
            tape.part = Part(verb, self._position, _title(self._target))
            if self._opaque:
                plain = raw(arguments)
                held = isinstance(self._target, Layer)
                result = function(*plain)
                noted = tape.note_opaque(function, plain, result, arrays_of(self._target) if held else [])
                result = None if result is None else noted
            else:
                result = function(*arguments)
            if result is None:
                return None
            if not isinstance(result, Recorded):
                raise Unrecordable(f"its {verb} returns an array that does not come from the one it was given")
            tape.results[verb, self._position] = result.array
            return result

        return call


def _title(target: Any) -> str:
    """The repr of a layer or a loss; of one that has a fault there, its class."""
    try:
        return repr(target)
    except Exception:
        return type(target).__name__


def tapped(parts: Sequence[Layer], tape: Tape, opaque: Collection[Position]) -> tuple[Layer, ...]:
    """The parts, each behind a tap."""
    taps: Any = tuple(Tap(part, tape, n, n in opaque) for n, part in enumerate(parts))
    return taps


def gradients_of(layer: Layer) -> dict[str, Array]:
    """The layer's gradients by the names of their attributes: "dW" and the like."""
    return {layer.gradient_name(name): array for name, array in layer.grads.items()}


def arrays_of(layer: Layer) -> list[Array]:
    """The parameters, gradients and arrays of state of a layer and the layers in it."""
    return [
        array
        for inner in walk([layer])
        for array in (inner.params | gradients_of(inner) | inner.states).values()
        if isinstance(array, np.ndarray)
    ]


@contextmanager
def recording_arrays(objects: Sequence[tuple[Any, Mapping[str, Any]]], tape: Tape) -> Iterator[None]:
    """Put recording arrays and generators in place of those that each object holds under the given names."""
    saved = [(vars(o), dict(vars(o))) for o, _ in objects]
    try:
        for o, values in objects:
            for name, value in values.items():
                arrays = isinstance(value, np.ndarray)
                vars(o)[name] = Recorded(value, tape) if arrays else RecordedGenerator(value, tape)
        yield
    finally:
        for held, before in saved:
            for name in [name for name, v in held.items() if isinstance(v, Recorded | RecordedGenerator)]:
                held[name] = before.get(name)


def record(work: Recordable, opaque: Collection[Position]) -> Recording:
    """Do the work once on recording arrays. Raises PartError."""
    tape = Tape()
    for array in work.inputs:
        tape.introduce(array, "batch")
    tape.introduce(work.model.theta, "parameter")
    tape.introduce(work.model.dtheta, "gradient")
    for layer in walk([work.model]):
        for value in layer.states.values():
            if isinstance(value, np.ndarray):
                tape.introduce(value, "state")
    open_parts = [(n, part) for n, part in enumerate(work.parts) if n not in opaque]
    layers = [layer for _, part in open_parts for layer in walk([part])]
    try:
        with recording_arrays([(layer, layer.params | gradients_of(layer) | layer.states) for layer in layers], tape):
            value = work.record(tape, opaque)
            held = held_by(open_parts)
            return Recording(tape, value, work.names(tape, value), {at: content(v) for at, v in held.items()}, held)
    except Exception as error:
        raise PartError(tape.part.position, str(error)) from error


def record_twice(work: Recordable, opaque: dict[Position, str], before: RestorePoint) -> Recording:
    """A recording that a second one confirms; parts that stand in the way are added to `opaque`, with the reason.

    Leaves everything as it was `before`. Raises PartError where there is no such recording.
    """
    while True:
        found: tuple[Position, str] | None
        try:
            first = record(work, opaque)
            work.turn()
            second = record(work, opaque)
            found = difference(first, second)
        except PartError as error:
            found = error.position, error.reason
        before.restore()
        if found is None:
            return second
        position, reason = found
        if position in ("optimizer", "all") or position in opaque:
            raise PartError(position, reason)
        opaque[position] = reason


def difference(first: Recording, second: Recording) -> tuple[Position, str] | None:
    """The first part that did not do the same in both recordings, and in what; None when there is none."""
    one, two = _comparable(first.tape), _comparable(second.tape)
    for (position, a), (_, b) in zip(one, two, strict=False):
        if a != b:
            return position, "its operations are not the same in every step"
    if len(one) != len(two):
        longer = max(one, two, key=len)
        return longer[min(len(one), len(two))][0], "it does not make the same number of operations in every step"
    for where, held in first.attributes.items():
        if second.attributes.get(where) != held:
            return where[0], f"its {where[2]} is another in every step, and is not declared as state()"
    return None


def _comparable(tape: Tape) -> list[tuple[Position, Any]]:
    """The lines in a form to compare: made values by their numbers, given arrays by identity."""

    def seen(value: Any) -> Any:
        if isinstance(value, View):
            return value.value.number, tape.origin(value.value), value.offset, value.shape, value.strides
        if isinstance(value, tuple | list):
            return type(value), tuple(map(seen, value))
        if isinstance(value, dict):
            return tuple((name, seen(item)) for name, item in value.items())
        return type(value), repr(value)

    return [
        (
            line.part.position,
            (type(line), line.function, *map(seen, (line.inputs, line.options, line.out)), line.part.verb),
        )
        for line in tape.lines
    ]

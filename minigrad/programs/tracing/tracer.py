"""Recording: some work is done once on recording arrays.

A part that does not say that it is traceable, or that can't be recorded, becomes one opaque op for each of its
methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, states_of, walk
from minigrad.programs.ir.ops import Place, Position, Program, Scope
from minigrad.programs.tracing.arrays import Tape, TracingArray, TracingGenerator, Untraceable, raw
from minigrad.programs.tracing.opaque import Playback
from minigrad.programs.tracing.traceable import UNDECLARED
from minigrad.programs.tracing.work import Copies, Work, gradients_of


class TraceError(Exception):
    """A part of the work can't be recorded: its position, and why."""

    def __init__(self, position: Position, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason

    def of(self, work: Work) -> TraceError:
        """The same error, with the part's name in its message."""
        self.args: tuple[Any, ...] = (f"{work.titles().get(self.position, 'all of it')}: {self.reason}",)
        return self


class Scoped:
    """Stands before a layer or a loss while it is recorded: tells the tape whose ops follow.

    `why` is the reason for which it runs as it is; None where it is recorded.
    """

    def __init__(self, target: Any, tape: Tape, position: Position, why: str | None) -> None:
        self._target, self._tape, self._position, self._why = target, tape, position, why

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        tape = self._tape
        tape.scope = Scope(verb, self._position, tape.titles[self._position])
        function = getattr(self._target, verb)

        def call(*arguments: Any) -> Any:
            return self._noted(verb, function, arguments)

        return call

    def _noted(self, verb: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        tape = self._tape
        if self._why is not None:
            if self._why == UNDECLARED and not isinstance(function, Playback):
                raise TraceError(self._position, f"{self._why}, and nothing is known of what its {verb} returns")
            plain = raw(arguments)
            result = function(*plain)
            arrays = arrays_of(self._target) if isinstance(self._target, Layer) else []
            noted = tape.note_opaque(function, plain, result, arrays, self._why)
            result = None if result is None else noted
        else:
            raised = Untraceable.raised()
            result = function(*arguments)
            if Untraceable.raised() > raised:
                raise Untraceable(f"its {verb} catches an error that it meets only here, and does something else then")
        if result is None:
            return None
        if not isinstance(result, TracingArray):
            raise Untraceable(f"its {verb} returns an array that does not come from the one it was given")
        tape.results[verb, self._position] = tape.view(result.array)
        return result


def tapped(parts: Sequence[Layer], tape: Tape, opaque: Mapping[Position, str]) -> tuple[Layer, ...]:
    """The parts, each behind a tap."""
    taps: Any = tuple(Scoped(part, tape, n, opaque.get(n)) for n, part in enumerate(parts))
    return taps


def arrays_of(layer: Layer) -> list[Array]:
    """The parameters, gradients and arrays of state of a layer and the layers in it."""
    return [
        array
        for inner in walk([layer])
        for array in (inner.params | gradients_of(inner) | states_of(inner)).values()
        if isinstance(array, np.ndarray)
    ]


@contextmanager
def recording_arrays(objects: Sequence[tuple[Any, Mapping[str, Any]]], tape: Tape) -> Iterator[None]:
    """Put recording arrays and generators in place of those that each object holds under the given names."""
    saved = [(vars(o), dict(vars(o))) for o, _ in objects]
    try:
        for o, values in objects:
            for name, value in values.items():
                if isinstance(value, np.ndarray) and not isinstance(value, TracingArray):  # which it may be already
                    vars(o)[name] = TracingArray(value, tape)
                elif isinstance(value, np.random.Generator):
                    vars(o)[name] = TracingGenerator(value, tape)
        yield
    finally:
        for held, before in saved:
            for name in [name for name, v in held.items() if isinstance(v, TracingArray | TracingGenerator)]:
                held[name] = before.get(name)


def record(work: Work, opaque: Mapping[Position, str]) -> Program:
    """Do the work once on recording arrays. Raises TraceError."""
    tape = Tape()
    tape.titles = work.titles()
    for array in work.inputs:
        tape.introduce(array, "batch")
    tape.introduce(work.model.theta, "parameter")
    tape.introduce(work.model.dtheta, "gradient")
    for layer in walk([work.model]):
        for value in states_of(layer).values():
            if isinstance(value, np.ndarray):
                tape.introduce(value, "state")
    layers = [layer for n, part in enumerate(work.parts) if n not in opaque for layer in walk([part])]
    try:
        work.begin()
        arrays = [(layer, layer.params | gradients_of(layer) | states_of(layer)) for layer in layers]
        with recording_arrays(arrays, tape):
            value = work.record(tape, opaque)
            names = work.names(tape, value)
        returned, lasting = tape.view(value), [tape.view(array).value for array in work.lasting()]
    except TraceError:
        raise
    except Exception as error:
        raise TraceError(tape.scope.position, str(error)) from error
    places: dict[Place, str] = {}
    for view, name in names:
        places.setdefault(view.place, name)
    return Program(tape.ops, tape.given, returned, lasting, places, work.title, tape.known)


def record_on_copies(work: Work, opaque: dict[Position, str], *, any_code: bool) -> tuple[Copies, Program]:
    """A recording of the work on copies. A part that can't be recorded is added to `opaque`, with the reason.

    Raises TraceError where there is no such recording; with `any_code` also where a part can't be recorded.
    """
    while True:
        double = work.double(opaque)
        try:
            return double, record(double.work, opaque)
        except TraceError as error:
            if any_code or (isinstance(error.position, str) and error.position != "loss") or error.position in opaque:
                raise
            opaque[error.position] = error.reason

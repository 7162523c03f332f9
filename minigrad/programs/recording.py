"""Recording: some work is done once on recording arrays, and then once more, since first replays lie.

A counter, a schedule, a drawn mask are equal once and wrong the second time. So the work is recorded twice, from
consecutive states; a part whose lines differ between the two, or that can't be recorded, becomes one opaque line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, states_of, walk
from minigrad.programs.arrays import Recorded, RecordedGenerator, Tape, Unrecordable, raw
from minigrad.programs.contents import GlobalGenerators, SharedState, Unsure, carried_by_function, is_ours, snapshot
from minigrad.programs.form import Part, Position, View
from minigrad.programs.recordable import Double, Recordable, gradients_of, title_of
from minigrad.programs.watching import Watch, watchable, watching


@dataclass
class Recording:
    """The tape of some work, its value, names for views, and what was read and set on the way.

    `lasting` are the views of what outlives it, `parts` says which part each object of the watch belongs to, and
    `troubles` which parts must run as they are, and why.
    """

    tape: Tape
    value: View
    lasting: list[View]
    names: list[tuple[View, str]]
    watch: Watch
    parts: dict[int, Position]
    troubles: dict[Position, str]


class PartError(Exception):
    """A part of the work can't be recorded: its position, and why."""

    def __init__(self, position: Position, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason

    def of(self, work: Recordable) -> PartError:
        """The same error, with the part's name in its message."""
        self.args: tuple[Any, ...] = (f"{work.titles().get(self.position, 'all of it')}: {self.reason}",)
        return self


class Tap:
    """Stands before a layer or a loss while it is recorded: tells the tape whose lines follow.

    `why` is the reason for which it runs as it is; None where it is recorded.
    """

    def __init__(self, target: Any, tape: Tape, position: Position, why: str | None) -> None:
        self._target, self._tape, self._position, self._why = target, tape, position, why
        # The package's own layers draw from their own generators; another thread may draw from the global ones.
        self._may_draw = not all(map(is_ours, map(type, walk([target]) if isinstance(target, Layer) else [target])))

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        tape = self._tape
        tape.part = Part(verb, self._position, tape.titles[self._position])
        function = getattr(self._target, verb)

        def call(*arguments: Any) -> Any:
            if not self._may_draw:
                return self._noted(verb, function, arguments)
            generators = GlobalGenerators()
            try:
                return self._noted(verb, function, arguments)
            finally:
                if generators.have_moved():
                    tape.draws_globally.add(self._position)

        return call

    def _noted(self, verb: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        tape = self._tape
        if self._why is not None:
            plain = raw(arguments)
            result = function(*plain)
            arrays = arrays_of(self._target) if isinstance(self._target, Layer) else []
            noted = tape.note_opaque(function, plain, result, arrays, self._why)
            result = None if result is None else noted
        else:
            raised = Unrecordable.raised()
            result = function(*arguments)
            if Unrecordable.raised() > raised:
                raise Unrecordable(f"its {verb} catches an error that it meets only here, and does something else then")
        if result is None:
            return None
        if not isinstance(result, Recorded):
            raise Unrecordable(f"its {verb} returns an array that does not come from the one it was given")
        tape.results[verb, self._position] = tape.view(result.array)
        return result


def tapped(parts: Sequence[Layer], tape: Tape, opaque: Mapping[Position, str]) -> tuple[Layer, ...]:
    """The parts, each behind a tap."""
    taps: Any = tuple(Tap(part, tape, n, opaque.get(n)) for n, part in enumerate(parts))
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
                if isinstance(value, np.ndarray) and not isinstance(value, Recorded):  # which it may be already
                    vars(o)[name] = Recorded(value, tape)
                elif isinstance(value, np.random.Generator):
                    vars(o)[name] = RecordedGenerator(value, tape)
        yield
    finally:
        for held, before in saved:
            for name in [name for name, v in held.items() if isinstance(v, Recorded | RecordedGenerator)]:
                held[name] = before.get(name)


def record(work: Recordable, opaque: Mapping[Position, str]) -> Recording:
    """Do the work once on recording arrays. Raises PartError."""
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
    watch = Watch(lambda: tape.part.position)
    before = snapshot(walk([work.model]), work.is_on_tape)
    had = {id(thing): set(vars(thing)) for thing in (*walk([work.model]), *work.others())}
    try:
        work.begin()
        with (
            recording_arrays(
                [(layer, layer.params | gradients_of(layer) | states_of(layer)) for layer in layers], tape
            ),
            watching(watch),
        ):
            work.model.chain()  # asks whether inner models are their layers: that may change, too
            value = work.record(tape, opaque)
            names = work.names(tape, value)
        returned, lasting = tape.view(value), [tape.view(array) for array in work.lasting()]
        work.end()
    except Exception as error:
        raise PartError(tape.part.position, str(error)) from error
    for key, thing in watch.objects.items():
        looked_at = {"steps", "epochs", "learning_rate"} & set(watch.read[key])
        if isinstance(thing, Optimizer) and looked_at:
            raise PartError("optimizer", f"its update looks at {', '.join(sorted(looked_at))}; coefficients(step) may")
    parts = watch.first | work.positions()
    found = _troubles(work, watch, parts, before, had)
    troubles = {position: why for position, why in found.items() if position not in opaque}
    return Recording(tape, returned, lasting, names, watch, parts, troubles)


def _troubles(
    work: Recordable,
    watch: Watch,
    parts: Mapping[int, Position],
    before: Mapping[tuple[int, str], Any],
    had: Mapping[int, Collection[str]],
) -> dict[Position, str]:
    """The parts that carry something from one time to the next that is not declared, or may do so.

    `before` is the content of their attributes, and `had` the names of those, before the recording.
    """
    things = {id(layer): layer for layer in walk([work.model])} | watch.objects
    lasting = {id(thing) for thing in (*walk([work.model]), *work.others())}
    after = snapshot(things.values(), work.is_on_tape)
    found: dict[Position, str] = {}
    for key, thing in things.items():
        position = parts.get(key, "all")
        read, written = watch.read.get(key, {}), watch.set.get(key, {})
        for name in vars(thing):
            if work.is_on_tape(thing, name):
                continue
            was, now = before.get((key, name)), after.get((key, name))
            if name in read and name in written:
                found[position] = f"its {name} is carried from step to step, and is not declared as state()"
            elif name in watch.unread.get(key, {}) and key in lasting and work.is_over(read):
                found[position] = (
                    f"its {name} is set in every step and read in none; don't keep it, or declare what lasts as state()"
                )
            elif name in read and isinstance(was, Unsure):
                found[position] = f"its {name} holds {was}, of which nobody can say whether it changes"
            elif name not in written and name not in had.get(key, {name}):
                found[position] = f"its {name} is made by the first step that asks for it"  # by a cached_property
            elif name not in written and was is not None and not isinstance(was, Unsure) and now != was:
                found[position] = f"its {name} is another in every step, and is not declared as state()"
    return found


def record_twice(work: Recordable, opaque: dict[Position, str]) -> tuple[Double, Recording]:
    """A recording that a second one confirms; parts that stand in the way are added to `opaque`, with the reason.

    Raises PartError where there is no such recording.
    """
    things = [*walk([work.model]), *work.others()]
    for thing in things:
        if hasattr(type(thing), "__getattr__"):
            raise PartError("all", f"{title_of(thing)} makes up attributes, in __getattr__")
        for name, value in list(vars(thing).items()):  # another thread may predict meanwhile
            if carries := carried_by_function(value):
                raise PartError("all", f"{title_of(thing)} holds {carries} as {name}, which can't be copied with it")
    shared = SharedState(things)
    while True:
        found: dict[Position, str]
        try:
            double = work.double()
            with watchable():
                first = record(double.work, opaque)
                double.work.turn()
                second = record(double.work, opaque)
                differs = difference(first, second)
                found = first.troubles | _carried_to_predict(double.work, first, opaque)
            drawing = first.tape.draws_globally & second.tape.draws_globally  # other threads may draw as well
            found |= dict.fromkeys(drawing - set(opaque), "it draws from a global generator")
            if differs is not None:
                found[differs[0]] = differs[1]
        except PartError as error:
            found = {error.position: error.reason}
        if (name := shared.changed()) is not None:
            raise PartError("all", f"{name} is changed in every step, and all objects of that class share it")
        if not found:
            first.tape.draws_globally = drawing
            return double, first
        for position, reason in found.items():
            if position in ("optimizer", "all") or position in opaque:
                raise PartError(position, reason)
        opaque |= found


def _carried_to_predict(work: Recordable, recording: Recording, opaque: Collection[Position]) -> dict[Position, str]:
    """The parts of which `predict` reads what training has left in them. The work is not to be used after that."""
    predicting = Watch(lambda: "all")
    with watching(predicting), suppress(Exception), np.errstate(all="ignore"):
        work.predict()
    found: dict[Position, str] = {}
    for layer in walk([work.model]):
        names, position = predicting.read.get(id(layer), {}), recording.parts.get(id(layer), "all")
        for name in recording.watch.set.get(id(layer), {}):
            if name in names and name not in work.declared(layer) and position not in opaque:
                found[position] = f"its {name} is left by training for predict, and is not declared as state()"
    return found


def difference(first: Recording, second: Recording) -> tuple[Position, str] | None:
    """The first part that did not do the same in both recordings, and in what; None when there is none."""
    one, two = first.tape.lines, second.tape.lines
    for a, b in zip(one, two, strict=False):
        one_does, two_does = ((type(line), line.function, line.part.verb, line.part.position) for line in (a, b))
        one_takes, two_takes = ((line.inputs, line.options, line.out) for line in (a, b))
        if one_does != two_does or not _alike(one_takes, two_takes, first.tape, second.tape):
            return a.part.position, "its operations are not the same in every step"
    if len(one) != len(two):
        longer = max(one, two, key=len)
        position = longer[min(len(one), len(two))].part.position
        return position, "it does not make the same number of operations in every step"
    return None


def _alike(a: Any, b: Any, one: Tape, two: Tape) -> bool:
    """Whether arguments of lines of two tapes are the same: made values by their numbers, given ones by identity."""
    if type(a) is not type(b):
        return False
    if isinstance(a, View):
        if (a.value.number, a.offset, a.shape, a.strides) != (b.value.number, b.offset, b.shape, b.strides):
            return False
        return one.origin(a.value) == two.origin(b.value)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_alike(x, y, one, two) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_alike(a[name], b[name], one, two) for name in a)
    return a is b or repr(a) == repr(b)

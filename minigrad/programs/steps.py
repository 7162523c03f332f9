"""What can be recorded: a training step or a prediction, done with the plain layers or once on recording arrays.

First replays lie: a counter, a schedule, a drawn mask are equal once and wrong the second time. So the work is recorded
twice, from consecutive states; a part whose operations differ between the two, or that can't be recorded, becomes one
opaque call. Then two replays are compared with the plain path, and a difference means that there is no program.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.layer import Layer, stand_in
from minigrad.model import Model, run_predict
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk
from minigrad.programs.arrays import Recorded, RecordedGenerator, Tape, Unrecordable, raw
from minigrad.programs.blocks import Blocks, Undivided
from minigrad.programs.contents import UNTOUCHED, Moment, content, recorded
from minigrad.programs.lines import Place, exchange
from minigrad.programs.planning import Code, Memories, Plan, compile_plan, plan
from minigrad.programs.threads import one_blas_thread

log = logging.getLogger("minigrad")

LOSS, UPDATE, WHOLE = -1, -2, -3
"""The parts of a step that are not layers, where layers have their position from 0; and all of it."""


class Work:
    """Something that a model does over and over, with places of its own (`inputs`) for what it is given.

    `parts` are the layers that it runs, one after the other; `plain()` does it with them, `record` on recording arrays.
    """

    def __init__(self, model: Model, parts: Sequence[Layer], inputs: list[Array]) -> None:
        self.model, self.parts, self.inputs = model, parts, inputs

    def plain(self) -> Any:
        """Do it with the layers themselves: what a program must equal, bit for bit."""
        raise NotImplementedError

    def replay(self, function: Callable[[], Any]) -> Any:
        """Do it with a program's function."""
        return function()

    def record(self, tape: Tape, opaque: Collection[int]) -> Recording:
        """Do it on recording arrays; the parts in `opaque` run as they are."""
        raise NotImplementedError

    def objects(self) -> list[Any]:
        """The objects whose attributes it may change."""
        return list(walk([self.model]))

    def lasting(self) -> list[Array]:
        """The arrays that it changes and that outlive it."""
        return []

    def blocks(self, planned: Plan) -> Blocks | None:
        """The planned work in blocks of rows, where that is worth it."""
        return None

    def named(self, position: int) -> str:
        """How a part is called in messages."""
        return "all of it" if position == WHOLE else repr(self.parts[position])

    def turn(self) -> None:
        """Another batch of the same shapes: the same rows, each one place further."""
        for array in self.inputs:
            array[...] = np.roll(array, 1, axis=0)


class Step(Work):
    """One training step: of a batch x, t, weights (or None), with places for the optimizer's coefficients."""

    def __init__(
        self, objective: Objective, optimizer: Optimizer, x: Array, t: Array, weights: Array | None = None
    ) -> None:
        given = [np.array(array) for array in (x, t, weights) if array is not None]
        super().__init__(objective.model, objective.layers, given)
        self.objective, self.optimizer = objective, optimizer
        self.x, self.t, self.weights = given[0], given[1], given[2] if len(given) == 3 else None
        optimizer.prepare(self.model.theta)
        dtype = self.model.theta.dtype
        self.coefficients = {name: np.zeros((), dtype) for name in optimizer.coefficients(optimizer.steps)}

    def plain(self) -> float:
        """Make the step with the layers themselves."""
        value = float(self.objective.differentiate(self.x, self.t, self.weights))
        self.optimizer.step(self.model.theta, self.model.dtheta)
        return value

    def replay(self, function: Callable[[], float]) -> float:
        """Make the step with a program's function."""
        set_coefficients(self.optimizer, self.coefficients)
        value = function()
        self.optimizer.steps += 1
        return value

    def objects(self) -> list[Any]:
        """Layers, optimizer and loss."""
        return [*super().objects(), *self.optimizer.parts(), self.objective.loss]

    def lasting(self) -> list[Array]:
        """θ, dθ, the optimizer's memory and the layers' state."""
        states = [value for layer in walk([self.model]) for value in layer.states.values()]
        memory = [vars(part)[name] for part, name in self.optimizer.slots()]
        return [self.model.theta, self.model.dtheta, *memory, *(s for s in states if isinstance(s, np.ndarray))]

    def blocks(self, planned: Plan) -> Blocks | None:
        """Only steps are big: predictions come in blocks anyway."""
        try:
            return Blocks(planned, self.inputs)
        except Undivided:
            return None

    def named(self, position: int) -> str:
        """A layer, the loss or the optimizer."""
        others = {LOSS: self.objective.loss, UPDATE: self.optimizer}
        return repr(others[position]) if position in others else super().named(position)

    def record(self, tape: Tape, opaque: Collection[int]) -> Recording:
        """The step of `Objective.differentiate` and the optimizer's update."""
        objective, optimizer = self.objective, self.optimizer
        traced = copy.copy(objective)
        traced.layers = tapped(self.parts, tape, opaque)
        traced.loss = Tap(objective.loss, tape, LOSS, LOSS in opaque)  # type: ignore[assignment]
        given: list[Any] = [Recorded(array, tape) for array in self.inputs]
        value = traced.differentiate(*given)
        recording = Recording(tape, raw(value), _names(self, tape, raw(value)), *_attributes(self, opaque))
        tape.section = ("update", UPDATE)
        set_coefficients(optimizer, self.coefficients)
        memory = [(part, {name: vars(part)[name] for name in part.memory}) for part in optimizer.parts()]
        with recording_arrays(memory, tape):
            numbers: dict[str, Any] = {name: Recorded(array, tape) for name, array in self.coefficients.items()}
            vectors: list[Any] = [Recorded(array, tape) for array in (self.model.theta, self.model.dtheta)]
            optimizer.update(*vectors, **numbers)
        optimizer.steps += 1
        return recording


class Inference(Work):
    """The model's prediction for so many rows.

    It runs stand-ins of the layers: another thread may predict with the layers themselves in the meantime.
    """

    def __init__(self, model: Model, x: Array) -> None:
        double: Any = stand_in(model)
        super().__init__(double, double.chain(), [np.array(x)])

    def plain(self) -> Array:
        """Predict with the layers themselves."""
        return run_predict(self.parts, self.inputs[0])

    def record(self, tape: Tape, opaque: Collection[int]) -> Recording:
        """The layers' predictions, one after the other."""
        x: Any = Recorded(self.inputs[0], tape)
        value = raw(run_predict(tapped(self.parts, tape, opaque), x))
        return Recording(tape, value, _names(self, tape, value), *_attributes(self, opaque))


def set_coefficients(optimizer: Optimizer, places: dict[str, Array]) -> None:
    """Put the coefficients of the optimizer's next step in place."""
    for name, value in optimizer.coefficients(optimizer.steps).items():
        places[name].fill(value)


# ---------------------------------------------------------------------------------------------------------- recording
@dataclass
class Recording:
    """The tape of one step, its value, names for arrays, and what the layers ended up with in their attributes."""

    tape: Tape
    value: Array
    names: list[tuple[Array, str]]
    attributes: dict[tuple[int, int, str], Any]
    objects: dict[tuple[int, int, str], Any]


class PartError(Exception):
    """A part of the step can't be recorded: its position, and why."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position, self.reason = position, reason

    def of(self, work: Work) -> PartError:
        """The same error, with the part's name in its message."""
        self.args = (f"{work.named(self.position)}: {self.reason}",)
        return self


class Tap:
    """Stands before a layer or a loss while a step is recorded: tells the tape whose operations follow."""

    def __init__(self, target: Any, tape: Tape, position: int, opaque: bool) -> None:
        self._target, self._tape, self._position, self._opaque = target, tape, position, opaque

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        function, tape = getattr(self._target, verb), self._tape

        def call(*arguments: Any) -> Any:
            tape.section = (verb, self._position)
            result = function(*(raw(arguments) if self._opaque else arguments))
            if self._opaque and result is None:
                tape.note("effect", function, raw(arguments), {}, np.empty(0), fresh=False, pure=False)
            elif self._opaque:
                result = tape.note("call", function, raw(arguments), {}, np.array(result), pure=False)
            if result is None:
                return None
            if not isinstance(result, Recorded):
                raise Unrecordable(f"its {verb} returns an array that does not come from the one it was given")
            tape.results[tape.section] = result.array
            return result

        return call


def tapped(parts: Sequence[Layer], tape: Tape, opaque: Collection[int]) -> tuple[Layer, ...]:
    """The parts, each behind a tap."""
    taps: Any = tuple(Tap(part, tape, n, n in opaque) for n, part in enumerate(parts))
    return taps


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


def record(work: Work, opaque: Collection[int]) -> Recording:
    """Do the work once on recording arrays. Raises PartError."""
    tape = Tape()
    layers = [layer for n, part in enumerate(work.parts) if n not in opaque for layer in walk([part])]
    try:
        with recording_arrays([(layer, layer.params | gradients_of(layer) | layer.states) for layer in layers], tape):
            return work.record(tape, opaque)
    except Exception as error:
        raise PartError(tape.section[1], str(error)) from error


def _attributes(work: Work, opaque: Collection[int]) -> tuple[dict[tuple[int, int, str], Any], ...]:
    """What the layers that are being recorded hold beside recording arrays: to compare, and the objects themselves."""
    held = {
        (n, m, name): value
        for n, part in enumerate(work.parts)
        if n not in opaque
        for m, layer in enumerate(walk([part]))
        for name, value in vars(layer).items()
        if name not in (*UNTOUCHED, "theta", "dtheta") and not recorded(value)
    }
    return {where: content(value) for where, value in held.items()}, held


def settings(parts: Sequence[Layer], recording: Recording) -> list[tuple[dict[str, Any], str, Any, Any]]:
    """(attributes, name, object, content) of what the recorded layers hold and did not set anew themselves.

    Numbers and words are left out: they are in the key of a program.
    """
    found = []
    for (n, m, name), value in recording.objects.items():
        attributes = vars(list(walk([parts[n]]))[m])
        if attributes.get(name) is value and type(value) not in (bool, int, float, str):
            found.append((attributes, name, value, recording.attributes[n, m, name]))
    return found


def gradients_of(layer: Layer) -> dict[str, Array]:
    """The layer's gradients by the names of their attributes: "dW" and the like."""
    return {layer.gradient_name(name): array for name, array in layer.grads.items()}


def _names(work: Work, tape: Tape, value: Array) -> list[tuple[Array, str]]:
    """The textbook's names: z = x W + b and a = σ(z), numbered by the layers with parameters; d before a gradient."""
    names = list(zip(work.inputs, ("x", "t", "w"), strict=False))
    if isinstance(work, Step):
        memory = {name: vars(part)[name] for part, name in work.optimizer.slots()}
        vectors = {"theta": work.model.theta, "dtheta": work.model.dtheta, "loss": value}
        names += [(array, name) for name, array in (vectors | work.coefficients | memory).items()]
    number, before = 0, "x"
    inner: list[tuple[Array, str]] = []
    for position, part in enumerate(work.parts):
        trained = False
        for layer in walk([part]):
            trained |= bool(layer.params)
            number += bool(layer.params)
            for name, array in (layer.params | gradients_of(layer) | layer.states).items():
                if isinstance(raw(array), np.ndarray):
                    names.append((raw(array), f"{name}{number}"))
            kept = [(name, held) for name, held in vars(layer).items() if isinstance(held, Recorded)]
            inner += [(held.array, f"{name}{number}") for name, held in kept]
        after = f"{'z' if trained else 'a'}{number}"
        for verb, name in (("forward", after), ("predict", after), ("backward", f"d{before}")):
            if (verb, position) in tape.results:
                names.append((tape.results[verb, position], name))
        before = after
    if ("backward", LOSS) in tape.results:
        names.append((tape.results["backward", LOSS], f"d{before}"))
    return names + inner


def difference(first: Recording, second: Recording) -> tuple[int, str] | None:
    """The first part that did not do the same in both recordings, and in what; None when there is none."""
    one, two = _normal(first), _normal(second)
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


def _normal(recording: Recording) -> list[tuple[int, Any]]:
    """The operations in a form to compare: fresh arrays by the operation that made them, others by identity."""
    memories, made, normal = Memories(), dict[int, int](), []

    def change(value: Any) -> Any:
        if isinstance(value, Place):
            if value.memory in made:
                return "made", made[value.memory], value[1:]
            array = memories.owners[value.memory]
            return "given", id(array), value[1:]
        return type(value), repr(value)

    for number, (line, op) in enumerate(
        zip(memories.lines(recording.tape.operations), recording.tape.operations, strict=True)
    ):
        if line.fresh:
            made[line.out.memory] = number
        given = exchange((line.inputs, line.options, line.out), change)
        normal.append((op.section[1], (line.kind, line.function, given, line.section)))
    return normal


# ---------------------------------------------------------------------------------------- recorded, compiled, tried
@dataclass(frozen=True)
class Written:
    """Work as a function: its code, with the recording and the plan that it comes from.

    `opaque` says which parts run as they are, and why; `blocks` do the same for a step of many rows.
    """

    code: Code
    recording: Recording
    plan: Plan
    opaque: dict[str, str]
    blocks: Blocks | None


def write(work: Work) -> Written:
    """Record the work, compile it and try it.

    Leaves everything as it was. Raises PartError where only the plain path is right.
    """
    moment = Moment(work.objects())
    opaque: dict[int, str] = {}
    try:
        recording = _settled(work, opaque, moment)
        planned = plan(recording.tape.operations, work.lasting(), recording.value, recording.names)
        code = compile_plan(planned, f"{len(work.inputs[0])} rows, {work.model.theta.dtype}")
        blocks = _try(work, code, planned, moment)
    except PartError as error:
        raise error.of(work) from error.__cause__
    finally:
        moment.restore()
    reasons = {work.named(position): reason for position, reason in opaque.items()}
    return Written(code, recording, planned, reasons, blocks)


def _settled(work: Work, opaque: dict[int, str], moment: Moment) -> Recording:
    """A recording that a second one confirms; parts that stand in the way are added to `opaque`."""
    while True:
        try:
            first = record(work, opaque)
            work.turn()
            second = record(work, opaque)
            found = difference(first, second)
        except PartError as error:
            found = error.position, error.reason
        moment.restore()
        if found is None:
            return second
        position, reason = found
        if position <= UPDATE or position in opaque:
            raise PartError(position, reason)
        opaque[position] = reason


def _try(work: Work, code: Code, planned: Plan, moment: Moment) -> Blocks | None:
    """Compare two replays with the plain path. Warns, and raises PartError, where they differ.

    Also returns the blocks that do the same, where there are any.
    """
    batch = [array.copy() for array in work.inputs]

    def outcome(run: Callable[[], Any]) -> list[tuple[str, Array]]:
        moment.restore()
        for array, given in zip(work.inputs, batch, strict=True):
            array[...] = given
        found = []
        for _ in range(2):
            value = run()
            found += [*_left(work), ("its value", np.array(value))]
            work.turn()
        return found

    def differing(run: Callable[[], Any]) -> str | None:
        for (name, plain), (_, replayed) in zip(expected, outcome(run), strict=True):
            if not np.array_equal(plain, replayed, equal_nan=plain.dtype.kind in "fc"):
                return name
        return None

    expected = outcome(work.plain)
    name = differing(partial(work.replay, code.function))
    if name is not None:
        warnings.warn(
            f"a recorded program differs from the layers themselves in {name}; it is not used",
            RuntimeWarning,
            stacklevel=2,
        )
        raise PartError(WHOLE, f"the program differs in {name}")
    try:
        blocks = work.blocks(planned)
        if blocks is None:
            return None
        with one_blas_thread():
            in_blocks = partial(blocks, work.inputs[0], np.arange(len(work.inputs[0])))
            return blocks if differing(partial(work.replay, in_blocks)) is None else None
    except Exception as error:  # a fault here costs time, no more
        log.warning(f"no blocks of rows are used: {type(error).__name__}: {error}")
        return None


def _left(work: Work) -> list[tuple[str, Array]]:
    """Copies of all that the work leaves behind, by the name of what they belong to."""
    found = [("an array that outlives it", array.copy()) for array in work.lasting()]
    for layer in walk([work.model]):
        for value in (layer.params | gradients_of(layer) | layer.states).values():
            kept = value if isinstance(value, np.ndarray) else np.array(repr(value.bit_generator.state))
            found.insert(0, (repr(layer), kept.copy()))
    return found

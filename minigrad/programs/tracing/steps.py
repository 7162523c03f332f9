"""What is recorded: a training step, or the prediction for some rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.layer import run_predict
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, states_of, walk
from minigrad.programs.ir.ops import Change, Position, Scope, View
from minigrad.programs.tracing.arrays import Tape, TracingArray, lies_as_its_copy, raw
from minigrad.programs.tracing.opaque import Seen, parts_of, play_back, undeclared
from minigrad.programs.tracing.traceable import UNDECLARED, copied, is_traceable
from minigrad.programs.tracing.tracer import Scoped, TraceError, recording_arrays, tapped
from minigrad.programs.tracing.work import Copies, Work, declared_by, gradients_of, title_of
from minigrad.training.objective import Objective


class Step(Work):
    """One training step: of a batch x, t, weights (or None), with places for the optimizer's coefficients.

    `then` is another batch of the same shapes, for a second time; without it the rows change their places. `seen` is
    what methods of users' parts returned for such a batch.
    """

    x: Array
    t: Array

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        x: Array,
        t: Array,
        weights: Array | None = None,
        then: Sequence[Array] | None = None,
        seen: Seen | None = None,
    ) -> None:
        given = [np.array(array) for array in (x, t, weights) if array is not None]
        super().__init__(objective.model, objective.layers, given)
        self.objective = objective
        self.optimizer = optimizer
        self.then: Sequence[Array] | None = then
        self.seen: Seen = {} if seen is None else seen
        self.x, self.t = given[:2]
        self.weights: Array | None = given[2] if len(given) == 3 else None
        optimizer.bind(self.model)
        optimizer.prepare(self.model.theta)
        dtype = self.model.theta.dtype
        names = optimizer.coefficients(optimizer.steps)
        self.coefficients: dict[str, Array] = {name: np.zeros((), dtype) for name in names}

    def undeclared(self) -> dict[Position, str]:
        """Layers and the loss; without the update nothing is worth a program."""
        for part in self.optimizer.parts():
            if not is_traceable(part):
                raise TraceError("optimizer", UNDECLARED)
        for (position, verb), result in self.seen.items():
            if isinstance(result, np.ndarray) and not lies_as_its_copy(result):
                raise TraceError(position, f"{UNDECLARED}, and what its {verb} returns lies in memory with gaps")
        return undeclared(parts_of(self.objective))

    def double(self, opaque: Collection[Position]) -> Copies:
        """The same step of copies of the model, the loss and the optimizer."""
        (objective, optimizer), pairs = copied((self.objective, self.optimizer))
        work = Step(objective, optimizer, self.x, self.t, self.weights, self.then, self.seen)
        play_back(parts_of(objective), opaque, self.seen)
        model = objective.model
        pairs += [(self.model.theta, model.theta), (self.model.dtheta, model.dtheta)]
        pairs += zip(self.inputs, work.inputs, strict=True)
        pairs += [(self.coefficients[name], place) for name, place in work.coefficients.items()]
        for (part, name), (own, _) in zip(self.optimizer.slots(), optimizer.slots(), strict=True):
            pairs.append((vars(part)[name], vars(own)[name]))
        return Copies(work, [*pairs, *declared_pairs(self.model, model)])

    def plain(self) -> float:
        """Make the step with the layers themselves."""
        objective = self.objective
        value = float(objective.penalize(objective.differentiate(self.x, self.t, self.weights)))
        self.optimizer.step(self.model.theta, self.model.dtheta)
        return value

    def replay(self, function: Callable[[], float]) -> float:
        """Make the step with a program's function."""
        self.begin()
        value = function()
        self.end()
        return value

    def turn(self) -> None:
        """The other batch, and the first one again after that."""
        if self.then is None:
            super().turn()
            return
        before = [array.copy() for array in self.inputs]
        for array, other in zip(self.inputs, self.then, strict=True):
            array[...] = other
        self.then = before

    def lasting(self) -> list[Array]:
        """θ, dθ, the optimizer's memory and the layers' state."""
        states = [value for layer in walk([self.model]) for value in states_of(layer).values()]
        memory = [vars(part)[name] for part, name in self.optimizer.slots()]
        return [self.model.theta, self.model.dtheta, *memory, *(s for s in states if isinstance(s, np.ndarray))]

    def left(self) -> Iterator[tuple[Any, Any]]:
        """Also the optimizer's memory."""
        yield from super().left()
        yield from ((part, vars(part)[name]) for part, name in self.optimizer.slots())

    def titles(self) -> dict[Position, str]:
        """Layers, the loss and the optimizer."""
        return super().titles() | {"loss": title_of(self.objective.loss), "optimizer": title_of(self.optimizer)}

    def begin(self) -> None:
        """The coefficients of the step."""
        set_coefficients(self.optimizer, self.coefficients)

    def end(self) -> None:
        """The step counts."""
        self.optimizer.steps += 1

    def record(self, tape: Tape, opaque: Mapping[Position, str]) -> Array:
        """The step of `Objective.gradient` and the optimizer's update."""
        objective, optimizer = self.objective, self.optimizer
        traced = copy.copy(objective)
        traced.layers = tapped(self.parts, tape, opaque)
        traced.loss = Scoped(objective.loss, tape, "loss", opaque.get("loss"))  # type: ignore[assignment]
        given: list[Any] = [TracingArray(array, tape) for array in self.inputs]
        value = traced.differentiate(*given)
        tape.scope = Scope("penalty", "all", "")
        decaying = list(dict.fromkeys(layer for layer, _ in objective.decaying))
        with recording_arrays([(layer, layer.params | gradients_of(layer)) for layer in decaying], tape):
            value = raw(objective.penalize(value))
        if objective.communicator.size > 1:
            tape.scope = Scope("exchange", "all", "the ranks")
            sent = self.model.dtheta, value, len(self.x) if self.weights is None else self.weights
            tape.note(Change, objective.communicator.average, sent, {}, self.model.dtheta, fresh=False)
        tape.scope = Scope("update", "optimizer", tape.titles["optimizer"])
        for array in self.coefficients.values():
            tape.introduce(array, "coefficient")
        for part, name in optimizer.slots():
            tape.introduce(vars(part)[name], "memory")
        memory = [(part, {name: vars(part)[name] for name in part.memory}) for part in optimizer.parts()]
        with recording_arrays(memory, tape):
            numbers: dict[str, Any] = {name: TracingArray(array, tape) for name, array in self.coefficients.items()}
            vectors: list[Any] = [TracingArray(array, tape) for array in (self.model.theta, self.model.dtheta)]
            optimizer.update(*vectors, **numbers)
        result: Array = value
        return result

    def names(self, tape: Tape, value: Array) -> list[tuple[View, str]]:
        """Those of the layers, of the optimizer's coefficients and memory, and the loss."""
        memory = {name: vars(part)[name] for part, name in self.optimizer.slots()}
        vectors = {"theta": self.model.theta, "dtheta": self.model.dtheta, "loss": value}
        others = [(array, name) for name, array in (vectors | self.coefficients | memory).items()]
        return textbook_names(self, tape, others)


class Inference(Work):
    """The model's prediction for so many rows."""

    def __init__(self, model: Any, x: Array) -> None:
        super().__init__(model, model.chain(), [np.array(x)])

    def undeclared(self) -> dict[Position, str]:
        """None: a prediction without Python in it is the only one that is worth a program."""
        for layer in walk([self.model]):
            if not is_traceable(layer):
                raise TraceError("all", f"{title_of(layer)}: {UNDECLARED}")
        return {}

    def double(self, opaque: Collection[Position]) -> Copies:
        """The same prediction of a copy of the model."""
        model, pairs = copied(self.model)
        work = Inference(model, self.inputs[0])
        pairs += [(self.model.theta, model.theta), (self.model.dtheta, model.dtheta), (self.inputs[0], work.inputs[0])]
        return Copies(work, [*pairs, *declared_pairs(self.model, model)])

    def plain(self) -> Array:
        """Predict with the layers themselves."""
        return run_predict(self.parts, self.inputs[0])

    def record(self, tape: Tape, opaque: Mapping[Position, str]) -> Array:
        """The layers' predictions, one after the other."""
        x: Any = TracingArray(self.inputs[0], tape)
        y: Array = raw(run_predict(tapped(self.parts, tape, opaque), x))
        return y

    def names(self, tape: Tape, value: Array) -> list[tuple[View, str]]:
        """Those of the layers."""
        return textbook_names(self, tape, [])


def set_coefficients(optimizer: Optimizer, places: dict[str, Array]) -> None:
    """Put the coefficients of the optimizer's next step in place."""
    for name, value in optimizer.coefficients(optimizer.steps).items():
        places[name].fill(value)


def declared_pairs(model: Model, double: Model) -> list[tuple[Any, Any]]:
    """What the layers of a model declare (arrays and generators), each with that of its double."""
    return [
        (vars(layer)[name], vars(other)[name])
        for layer, other in zip(walk([model]), walk([double]), strict=True)
        for name in declared_by(layer)
        if name in vars(layer)
    ]


def textbook_names(work: Work, tape: Tape, others: list[tuple[Array, str]]) -> list[tuple[View, str]]:
    """z = x W + b and a = σ(z), numbered by the layers with parameters; d before a gradient."""
    number, before = 0, "x"
    names: list[tuple[View, str]] = []
    inner: list[tuple[Array, str]] = []

    def name(arrays: Iterable[tuple[Array, str]]) -> None:
        names.extend((view, name) for array, name in arrays if (view := tape.met(array)) is not None)

    name([*zip(work.inputs, ("x", "t", "w"), strict=False), *others])
    for position, part in enumerate(work.parts):
        trained = False
        for layer in walk([part]):
            trained |= bool(layer.params)
            number += bool(layer.params)
            held = {n: raw(a) for n, a in (layer.params | gradients_of(layer) | states_of(layer)).items()}
            name((array, f"{n}{number}") for n, array in held.items() if isinstance(array, np.ndarray))
            inner += [(kept.array, f"{n}{number}") for n, kept in vars(layer).items() if isinstance(kept, TracingArray)]
        after = f"{'z' if trained else 'a'}{number}"
        for verb, result in (("forward", after), ("predict", after), ("backward", f"d{before}")):
            if (verb, position) in tape.results:
                names.append((tape.results[verb, position], result))
        before = after
    if ("backward", "loss") in tape.results:
        names.append((tape.results["backward", "loss"], f"d{before}"))
    name(inner)
    return names

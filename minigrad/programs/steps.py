"""What is recorded: a training step, or the prediction for some rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from minigrad.layer import Layer, replaced
from minigrad.model import Model, run_predict
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk
from minigrad.programs.arrays import Recorded, Tape, raw
from minigrad.programs.form import Part, Position
from minigrad.programs.recording import Recordable, Tap, gradients_of, recording_arrays, tapped


class Step(Recordable):
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

    def title_of(self, position: Position) -> str:
        """A layer, the loss or the optimizer."""
        others = {"loss": self.objective.loss, "optimizer": self.optimizer}
        return repr(others[position]) if position in others else super().title_of(position)

    def record(self, tape: Tape, opaque: Collection[Position]) -> Array:
        """The step of `Objective.differentiate` and the optimizer's update."""
        objective, optimizer = self.objective, self.optimizer
        traced = copy.copy(objective)
        traced.layers = tapped(self.parts, tape, opaque)
        traced.loss = Tap(objective.loss, tape, "loss", "loss" in opaque)  # type: ignore[assignment]
        given: list[Any] = [Recorded(array, tape) for array in self.inputs]
        value: Array = raw(traced.differentiate(*given))
        tape.part = Part("update", "optimizer", repr(optimizer))
        set_coefficients(optimizer, self.coefficients)
        for array in self.coefficients.values():
            tape.introduce(array, "coefficient")
        for part, name in optimizer.slots():
            tape.introduce(vars(part)[name], "memory")
        memory = [(part, {name: vars(part)[name] for name in part.memory}) for part in optimizer.parts()]
        with recording_arrays(memory, tape):
            numbers: dict[str, Any] = {name: Recorded(array, tape) for name, array in self.coefficients.items()}
            vectors: list[Any] = [Recorded(array, tape) for array in (self.model.theta, self.model.dtheta)]
            optimizer.update(*vectors, **numbers)
        optimizer.steps += 1
        return value

    def names(self, tape: Tape, value: Array) -> list[tuple[Array, str]]:
        """Those of the layers, of the optimizer's coefficients and memory, and the loss."""
        memory = {name: vars(part)[name] for part, name in self.optimizer.slots()}
        vectors = {"theta": self.model.theta, "dtheta": self.model.dtheta, "loss": value}
        others = [(array, name) for name, array in (vectors | self.coefficients | memory).items()]
        return textbook_names(self, tape, others)


class Inference(Recordable):
    """The model's prediction for so many rows.

    It runs stand-ins of the layers: another thread may predict with the layers themselves in the meantime.
    """

    def __init__(self, model: Model, x: Array) -> None:
        double: Any = stand_in(model)
        super().__init__(double, double.chain(), [np.array(x)])

    def plain(self) -> Array:
        """Predict with the layers themselves."""
        return run_predict(self.parts, self.inputs[0])

    def record(self, tape: Tape, opaque: Collection[Position]) -> Array:
        """The layers' predictions, one after the other."""
        x: Any = Recorded(self.inputs[0], tape)
        y: Array = raw(run_predict(tapped(self.parts, tape, opaque), x))
        return y

    def names(self, tape: Tape, value: Array) -> list[tuple[Array, str]]:
        """Those of the layers."""
        return textbook_names(self, tape, [])


def set_coefficients(optimizer: Optimizer, places: dict[str, Array]) -> None:
    """Put the coefficients of the optimizer's next step in place."""
    for name, value in optimizer.coefficients(optimizer.steps).items():
        places[name].fill(value)


def stand_in(layer: Layer) -> Layer:
    """A shallow copy, also of the layers in it, that shares all arrays: what is set on it, the layer never sees."""
    double = object.__new__(type(layer))
    inner = {id(part): stand_in(part) for part in layer.layers}
    vars(double).update(vars(layer))
    if inner:
        vars(double).update((name, replaced(value, inner)) for name, value in vars(layer).items())
        vars(double)["layers"] = [inner[id(part)] for part in layer.layers]
    return double


def textbook_names(work: Recordable, tape: Tape, others: list[tuple[Array, str]]) -> list[tuple[Array, str]]:
    """z = x W + b and a = σ(z), numbered by the layers with parameters; d before a gradient."""
    names = [*zip(work.inputs, ("x", "t", "w"), strict=False), *others]
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
    if ("backward", "loss") in tape.results:
        names.append((tape.results["backward", "loss"], f"d{before}"))
    return names + inner

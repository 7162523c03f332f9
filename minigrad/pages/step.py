"""One training step as numbers that can be looked at: recorded in float64, proved, and made plain."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigrad.layer import whole_copy
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, pack
from minigrad.programs.graph.building import graph_of
from minigrad.programs.graph.notation import Notation
from minigrad.programs.graph.numbers import Graph, Node
from minigrad.programs.graph.simplification import plain
from minigrad.programs.ir.interpreter import interpret
from minigrad.programs.ir.ops import Unwritable
from minigrad.programs.runtime.compiling import compiled
from minigrad.programs.tracing.steps import Step, set_coefficients
from minigrad.programs.tracing.tracer import TraceError
from minigrad.training.dataset import Dataset, as_examples
from minigrad.training.objective import Objective

STEPS_PREPARED = 500
"""The optimizer's coefficients are written down for so many steps."""
STEPS_PROVED = 3
LARGEST = 500_000
"""Products in a step: of more, nothing can be seen, and a page would take seconds for each number that is changed."""
EXACT = 1e-12


class OpenedError(ValueError):
    """A step that can't be shown, and which part of it is the reason."""


class LaidStep:
    """A step's graph with its numbers: `given` at the beginning, and `coefficients` of every step that follows.

    `scaled` names the coefficients that are the learning rate times something; `rate` is that rate, in the first step.
    """

    def __init__(self, model: Model, x: Any, t: Any, loss: Loss, optimizer: Optimizer, l2: float) -> None:
        if len(np.shape(x)) == 0 or len(x) == 0:
            raise OpenedError("there are no rows to show: give x and t of some rows, four or so")
        self.title: str = repr(model)
        self.loss: str = repr(loss)
        self.optimizer: str = repr(optimizer)
        work = whole_copy(model)
        pack([work], np.float64)
        examples = as_examples(work, loss, Dataset(x, t))
        self.classes: list[str] | None = None if work.classes is None else [str(name) for name in work.classes.tolist()]
        batch = next(examples.in_order(len(examples)))
        rows, targets = work.admit(batch.x), np.asarray(batch.t, np.float64)
        work.forward(rows)  # layers that learn the shape of their rows have learned it, and refuse others by name
        unchecked = copy.copy(loss)
        vars(unchecked).update(check=_accept, check_slopes=_accept)
        own = copy.deepcopy(optimizer)
        for part, name in own.slots():
            if name in vars(part):
                vars(part)[name] = vars(part)[name].astype(np.float64)
        step = Step(Objective(work, unchecked, l2), own, rows, targets)
        self.layers: list[str] = [repr(layer) for layer in work.chain()]
        self.absorbed: str | None = None if step.objective._absorbed is None else repr(step.objective._absorbed)
        real = whole_copy((work, own))
        self._record(step, rows, targets)
        self._prove(real, unchecked, l2, rows, targets)
        self.notation: Notation = Notation(self._with_p(step.objective))
        self._prepare(own)

    def _record(self, step: Step, x: Array, t: Array) -> None:
        try:
            with np.errstate(all="ignore"):  # it is tried on numbers at random, too
                program = compiled(step, any_code=True).program
            self.graph: Graph = graph_of(program, drawn=True)
        except (TraceError, Unwritable) as error:
            raise OpenedError(f"this step can't be shown: {error}") from error
        terms = sum(node.size * max(1, int(np.prod(node.over))) for node in self.graph.nodes)
        if terms > LARGEST:
            raise OpenedError(
                f"a step of {terms:,} products is too large to show; give fewer rows, or a smaller network"
            )
        set_coefficients(step.optimizer, step.coefficients)
        with np.errstate(all="ignore"):
            values = interpret(program, (x, t))
        self.given: dict[str, Array] = self.graph.numbers(values)
        self.drawn: bool = any(node.role == "drawn" for node in self.graph.nodes)
        row = self.graph.evaluate(self.given)
        self._compare(float(row[self.graph.result]), float(program.result.array(values[program.result.value])), "loss")
        for name, places in self.graph.lasting.items():
            value = next(v for v in program.lasting if program.names.get(v.whole.place, v.name) == name)
            self._compare(row[places], values[value], name)
        self.graph = plain(self.graph)
        self.given = {name: self.given[name] for name in self.graph.given}

    def _compare(self, found: Any, expected: Any, name: str) -> None:
        difference = float(np.max(np.abs(np.subtract(found, expected)), initial=0.0))
        scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
        if not difference <= EXACT * scale:
            raise OpenedError(f"this step can't be shown: its {name} differs from the layers' own by {difference:.2g}")

    def _prove(self, real: tuple[Model, Optimizer], loss: Loss, l2: float, x: Array, t: Array) -> None:
        """Make some steps with the layers themselves: the graph's have to equal them."""
        if self.drawn:
            return  # the layers draw anew for every step
        model, optimizer = real
        objective = Objective(model, loss, l2)
        optimizer.prepare(model.theta)
        given: dict[str, Any] = dict(self.given)
        start = optimizer.steps
        for number in range(STEPS_PROVED):
            given |= self._coefficients(optimizer, start + number)
            row = self.graph.evaluate(given)
            with np.errstate(all="ignore"):
                value = objective.gradient(x, t)
            optimizer.step(model.theta, model.dtheta)
            self._compare(float(row[self.graph.result]), value, "loss")
            parameters = [p for node, p in self.graph.updates.items() if node.role == "parameter"]
            if len(parameters) and sum(p.size for p in parameters) == model.theta.size:
                self._compare(np.concatenate([row[p].ravel() for p in parameters]), model.theta, "parameters")
            given = self.following(row, given)

    def _coefficients(self, optimizer: Optimizer, step: int) -> dict[str, Any]:
        known = {node.name for node in self.graph.nodes if node.role == "coefficient"}
        return {name: c for name, c in optimizer.coefficients(step).items() if name in known}

    def following(self, row: Array, given: dict[str, Any]) -> dict[str, Any]:
        """What is given to the step after one with these numbers."""
        return given | {node.name: row[places] for node, places in self.graph.updates.items()}

    def at(self, step: int) -> dict[str, float]:
        """The coefficients of a step, the first of which is 0."""
        return {name: values[min(step, len(values) - 1)] for name, values in self.coefficients.items()}

    def numbers(self, steps: int) -> list[Array]:
        """All numbers of so many steps, one after the other."""
        given: dict[str, Any] = dict(self.given)
        rows: list[Array] = []
        for step in range(steps):
            given |= self.at(step)
            rows.append(self.graph.evaluate(given))
            given = self.following(rows[-1], given)
        return rows

    def _with_p(self, objective: Objective) -> Graph:
        """Name the prediction, which vanishes where the loss absorbs the layer that makes it."""
        layer = objective._absorbed
        if layer is None:
            return self.graph
        row = self.graph.evaluate(self.given)
        z = next((n for n in reversed(self.graph.nodes) if n.verb == "forward" and n.name[:1] == "z"), None)
        if z is None:
            return self.graph
        p = layer.predict(row[z.places])
        for node in self.graph.nodes:
            alike = node.shape == p.shape and not node.name and node.function in ("divide", "reciprocal")
            if alike and np.allclose(row[node.places], p, rtol=1e-12, atol=1e-300):
                node.name = "p"
                break
        return self.graph

    def _prepare(self, optimizer: Optimizer) -> None:
        """The coefficients of the steps to come; doubling the learning rate tells which of them go with it."""
        first = optimizer.steps
        every = [self._coefficients(optimizer, first + step) for step in range(STEPS_PREPARED)]
        self.coefficients: dict[str, list[float]] = {
            name: [float(c[name]) for c in every] for name in (every[0] if every else {})
        }
        for name, values in self.coefficients.items():
            if len(set(values)) == 1:
                self.coefficients[name] = values[:1]
        self.rate: float = float(optimizer.rate(first))
        twice = copy.deepcopy(optimizer)
        for part in twice.parts():
            if "learning_rate" in vars(part):
                part.learning_rate = 2 * self.rate
        doubled = self._coefficients(twice, first)
        self.scaled: list[str] = [
            name
            for name, values in self.coefficients.items()
            if self.rate and values[0] and abs(doubled[name] / values[0] - 2) < 1e-9 * 2
        ]

    def prediction(self) -> Node | None:
        """The node of the prediction, if it has a name of its own."""
        return next((node for node in self.graph.nodes if node.name == "p"), None)


def _accept(p: Array, t: Array) -> None:
    """A loss that checks its arguments decides by values, which can't be recorded; they have been checked."""

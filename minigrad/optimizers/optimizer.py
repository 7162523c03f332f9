"""Optimizers: functions of one vector. They know no model and no layer: θ, dθ (its gradient) and their own memory.

`learning_rate` is a number, or a function of the number of steps made so far (a schedule).
Where PyTorch has the same rule, the trajectories are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from minigrad.configured import Configured
from minigrad.configured.hints import OPTIMIZER, answering
from minigrad.parameter import Array

Rate: TypeAlias = float | Callable[[int], float]


@answering(OPTIMIZER)
class Optimizer(Configured):
    """A rule that moves θ against its gradient, `step(theta, dtheta)`, in place.

    A rule of one's own names in `memory` the vectors that it carries from step to step (attributes that start as zeros
    of θ's shape), gives in `coefficients(step)` the numbers of that step, and writes `update`, which takes them as
    arguments: branch-free array operations, so that a recorded program can run them again with other numbers.

    Raises ValueError for a learning rate or a weight decay that is negative or not finite.
    """

    learning_rate: Rate
    weight_decay: float
    steps: int
    epochs: int
    memory: tuple[str, ...] = ()

    changing: bool = True
    """Whether the coefficients change from step to step even at a constant learning rate."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if {"coefficients", "rate"} & set(vars(cls)) and "changing" not in vars(cls):
            cls.changing = True  # what a base class said of its own coefficients does not hold for these

    def __init__(self, learning_rate: Rate, weight_decay: float = 0.0) -> None:
        if not callable(learning_rate):
            not_negative(self, learning_rate=learning_rate)
        not_negative(self, weight_decay=weight_decay)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.steps = self.epochs = 0

    def coefficients(self, step: int) -> dict[str, float]:
        """The numbers that `update` takes in the step that follows `step` earlier ones."""
        raise NotImplementedError(f"{type(self).__name__} has no coefficients(step)")

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """Change theta in place, and the memory. The coefficients come as 0-d arrays of theta's dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no update(theta, dtheta, …)")

    def step(self, theta: Array, dtheta: Array) -> None:
        """Make one step: theta (N,) is changed in place, dtheta (N,) is only read.

        Raises ValueError when this optimizer's memory belongs to a vector of another size or dtype.
        """
        self.prepare(theta)
        numbers = {name: np.asarray(c, theta.dtype) for name, c in self.coefficients(self.steps).items()}
        self.update(theta, dtheta, **numbers)
        self.steps += 1

    def prepare(self, theta: Array) -> None:
        """Make the memory for a vector like theta, where there is none yet.

        Raises ValueError when it belongs to a vector of another size or dtype.
        """
        for name in self.memory:
            if name not in vars(self):
                vars(self)[name] = np.zeros_like(theta)
            held = vars(self)[name]
            if held.shape != theta.shape or held.dtype != theta.dtype:
                raise ValueError(
                    f"{self!r} has been used for {held.size} parameters of {held.dtype}, not for {theta.size} of "
                    f"{theta.dtype}; every model needs an optimizer of its own"
                )

    def bind(self, model: Any) -> None:
        """Told which model it is to train, before the first step: what goes by the model's parts looks them up."""
        for part in self.parts()[1:]:
            part.bind(model)

    def parts(self) -> tuple[Optimizer, ...]:
        """Itself, and the optimizers that it wraps."""
        return (self,)

    def slots(self) -> list[tuple[Optimizer, str]]:
        """Where the memory is: the part and the attribute that holds each vector."""
        return [(part, name) for _, part, name in self.kept()]

    def kept(self) -> list[tuple[str, Optimizer, str]]:
        """What the state calls each vector of the memory, and where it is."""
        return [(name, self, name) for name in self.memory]

    def rate(self, step: int) -> float:
        """The learning rate after `step` steps."""
        return float(self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate)

    def state(self) -> dict[str, Any]:
        """The counts of steps and epochs and copies of the memory, as a flat dict of numbers and arrays."""
        held = {key: vars(part)[name].copy() for key, part, name in self.kept() if name in vars(part)}
        return {"steps": self.steps, "epochs": self.epochs, **held}

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of `state()`: the memory is written into where it has the right size already.

        Raises ValueError for the state of another kind of optimizer.
        """
        names = [key for key, _, _ in self.kept()]
        if set(state) - set(names) != {"steps", "epochs"} or len(state) not in (2, 2 + len(names)):
            raise ValueError(
                f"{self!r} can't take a state of {', '.join(sorted(state))}; it consists of "
                f"{', '.join(('steps', 'epochs', *names))}"
            )
        self.steps, self.epochs = int(state["steps"]), int(state["epochs"])
        for key, part, name in self.kept():
            held, saved = vars(part).pop(name, None), state.get(key)
            if saved is None:
                continue
            if held is None or held.shape != saved.shape or held.dtype != saved.dtype:
                held = np.empty_like(saved)
            held[...] = saved
            vars(part)[name] = held


def fraction(optimizer: Optimizer, **numbers: float) -> None:
    """Raise ValueError unless every number lies in [0, 1)."""
    for name, value in numbers.items():
        if not 0 <= value < 1:
            raise ValueError(f"{type(optimizer).__name__}: {name}={value} must lie in [0, 1)")


def not_negative(optimizer: Optimizer, **numbers: float) -> None:
    """Raise ValueError unless every number is finite and at least 0."""
    for name, value in numbers.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{type(optimizer).__name__}: {name}={value} must be finite and not negative")

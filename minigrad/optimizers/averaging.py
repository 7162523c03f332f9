"""The average of the parameters over the steps, around any optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.optimizers.optimizer import Optimizer
from minigrad.optimizers.wrapper import Wrapper
from minigrad.parameter import Array


class ParameterAverage(Wrapper):
    """The step of `optimizer`, then a ← d a + (1-d) θ: with d = `decay`, θ's average over about 1 / (1-d) last steps.

        optimizer = ParameterAverage(Adam(0.001), decay=0.99)
        model.fit(x, t, loss=loss, optimizer=optimizer, epochs=20)
        with optimizer.applied(model.theta):
            p = model.predict(x_test)

    Training goes on from θ and never reads a; what `fit` says of validation rows is of θ. After the first step a is θ.
    Sources: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; with weights that fade,
    Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017. PyTorch's get_ema_multi_avg_fn.

    Raises ValueError for a `decay` outside [0, 1), and for an optimizer with a step of its own or that keeps an average
    already; TypeError for what is no optimizer.
    """

    memory: tuple[str, ...] = ("average",)
    average: Array

    def __init__(self, optimizer: Optimizer, decay: float = 0.999) -> None:
        super().__init__(optimizer)
        if not 0 <= decay < 1:
            raise ValueError(f"ParameterAverage: decay={decay} must lie in [0, 1)")
        if any(isinstance(part, ParameterAverage) for part in optimizer.parts()):
            raise ValueError(f"{optimizer!r} keeps an average of θ already; an optimizer keeps one, so take one decay")
        self.decay = decay

    def prepare(self, theta: Array) -> None:
        """Make the memory; the average starts as θ."""
        if "average" not in vars(self):
            self.average = theta.copy()
        super().prepare(theta)

    def coefficients(self, step: int) -> dict[str, float]:
        """d and 1-d, in the first step 0 and 1, and those of the wrapped optimizer"""
        kept = self.decay if step else 0.0
        return super().coefficients(step) | {"kept": kept, "added": 1 - kept}

    def update(  # type: ignore[override]
        self, theta: Array, dtheta: Array, *, kept: Array, added: Array, **coefficients: Any
    ) -> None:
        """The step, then a ← d a + (1-d) θ"""
        self.optimizer.update(theta, dtheta, **coefficients)
        self.average *= kept
        self.average += added * theta

    @contextmanager
    def applied(self, theta: Array) -> Iterator[None]:
        """Write the average into theta for the length of a `with` block, then what stood there before."""
        self.prepare(theta)
        before = theta.copy()
        theta[...] = self.average
        try:
            yield
        finally:
            theta[...] = before

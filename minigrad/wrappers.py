"""Optimizers made of an optimizer: ClipByNorm(Adam(0.001), 1.0). They nest, and train in `fit` as any other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.configured import require
from minigrad.optimizers import Optimizer, Rate
from minigrad.parameter import Array


class Wrapper(Optimizer):
    """An optimizer whose steps are those of `optimizer`, changed in `update`. Steps, epochs and rate are its.

    Raises ValueError for an optimizer with a step of its own; TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
        if type(optimizer).step is not Optimizer.step:
            raise ValueError(
                f"{optimizer!r} has a step of its own; {type(self).__name__} changes what an optimizer does in update"
            )
        self.optimizer = optimizer

    @property
    def learning_rate(self) -> Rate:
        """The wrapped optimizer's."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Rate) -> None:
        self.optimizer.learning_rate = rate

    @property
    def steps(self) -> int:
        """The wrapped optimizer's."""
        return self.optimizer.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self.optimizer.steps = steps

    @property
    def epochs(self) -> int:
        """The wrapped optimizer's."""
        return self.optimizer.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.optimizer.epochs = epochs

    @property
    def changing(self) -> bool:  # type: ignore[override]
        """As of the wrapped optimizer."""
        return self.optimizer.changing

    def parts(self) -> tuple[Optimizer, ...]:
        """Itself, and what it wraps."""
        return (self, *self.optimizer.parts())

    def kept(self) -> list[tuple[str, Optimizer, str]]:
        """Its own memory, and that of what it wraps."""
        return [*super().kept(), *self.optimizer.kept()]

    def prepare(self, theta: Array) -> None:
        """Make the memory, and that of what it wraps."""
        super().prepare(theta)
        self.optimizer.prepare(theta)

    def coefficients(self, step: int) -> dict[str, float]:
        """Those of the wrapped optimizer"""
        return self.optimizer.coefficients(step)


def _check_limit(wrapper: Wrapper, limit: float) -> None:
    if not 0 < limit < math.inf:
        raise ValueError(f"{type(wrapper).__name__}: limit={limit} must be finite and above 0")


class ClipByNorm(Wrapper):
    """g ← g c / max(‖g‖ + 1e-6, c), then the step of `optimizer`: where ‖g‖ reaches c = `limit`, g is made that short.

    g is the whole gradient dθ, with the penalties of the objective and before any weight decay; its direction stays.
    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm
    1. The 1e-6 is that of PyTorch's clip_grad_norm_. The squares are summed in float64: in float32 they are infinite
    from 2e19 on.

    Raises ValueError for a `limit` that is not finite and above 0, and for an optimizer with a step of its own;
    TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        _check_limit(self, limit)
        self.limit = limit

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """g ← g c / max(‖g‖ + 1e-6, c)"""
        norm = np.sqrt(np.square(dtheta, dtype=np.float64).sum())
        scale = self.limit / np.maximum(norm + 1e-6, self.limit)
        g = np.multiply(dtheta, scale, dtype=dtheta.dtype.type, casting="same_kind")
        self.optimizer.update(theta, g, **coefficients)


class ClipByValue(Wrapper):
    """g ← min(max(g, -c), c), then the step of `optimizer`: every number of g is brought to [-c, c], c = `limit`.

    The direction of g changes. Source: Mikolov, "Statistical language models based on neural networks", 2012, section
    3.2.2. PyTorch's clip_grad_value_.

    Raises ValueError for a `limit` that is not finite and above 0, and for an optimizer with a step of its own;
    TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        _check_limit(self, limit)
        self.limit = limit

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """g ← min(max(g, -c), c)"""
        g = np.minimum(np.maximum(dtheta, -self.limit), self.limit)
        self.optimizer.update(theta, g, **coefficients)


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

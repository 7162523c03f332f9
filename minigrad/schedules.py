"""Schedules: the learning rate as a function of k, the number of steps made so far: SGD(cosine(0.5, 2500)).

A schedule is called like a function, `cosine(0.5, 2500)(100)`, and shows how it was made, so that two trainings can be
told apart. Any function of k will do as a learning rate; these are the usual ones. Where PyTorch has the same schedule,
the rates are the same. Batches of B rows make ceil(m / B) steps an epoch.

A plateau of the loss is no function of the step: ReduceOnPlateau stands in a loop over epochs.
"""

from __future__ import annotations

import math

from minigrad.configured import Configured, require
from minigrad.optimizers import Optimizer, Rate


class Schedule(Configured):
    """A function of the step k = 0, 1, 2, … whose arguments are its attributes. η is the rate to begin with."""

    def __call__(self, k: int) -> float:
        """The learning rate of the step that follows k earlier ones."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(k)")


def _positive(owner: Configured, /, **numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{type(owner).__name__}: {name}={value} must be finite and above 0")


def _not_negative(owner: Configured, /, **numbers: float) -> None:
    for name, value in numbers.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{type(owner).__name__}: {name}={value} must be finite and not negative")


def _cosine(start: float, end: float, share: float) -> float:
    """From start at share 0 to end at share 1, along half a wave."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class step(Schedule):
    """η γ^⌊k/n⌋: every n = `step_size` steps the rate is multiplied by γ. PyTorch's StepLR.

    Raises ValueError for numbers that are not finite and above 0.
    """

    def __init__(self, learning_rate: float, step_size: float, gamma: float = 0.1) -> None:
        _positive(self, learning_rate=learning_rate, step_size=step_size, gamma=gamma)
        self.learning_rate = learning_rate
        self.step_size = step_size
        self.gamma = gamma

    def __call__(self, k: int) -> float:
        """η γ^⌊k/n⌋"""
        return self.learning_rate * self.gamma ** (k // self.step_size)


class exponential(Schedule):
    """η γᵏ. PyTorch's ExponentialLR.

    Raises ValueError for numbers that are not finite and above 0.
    """

    def __init__(self, learning_rate: float, gamma: float) -> None:
        _positive(self, learning_rate=learning_rate, gamma=gamma)
        self.learning_rate = learning_rate
        self.gamma = gamma

    def __call__(self, k: int) -> float:
        """η γᵏ"""
        return self.learning_rate * self.gamma**k


class inverse_time(Schedule):
    """η / (1 + c k): half of η after 1 / c steps. Source: Robbins and Monro, "A stochastic approximation method", 1951.

    Σ η is infinite and Σ η² finite, as their proof of convergence needs.

    Raises ValueError for a rate that is not finite and above 0, and for a decay that is negative or not finite.
    """

    def __init__(self, learning_rate: float, decay: float) -> None:
        _positive(self, learning_rate=learning_rate)
        _not_negative(self, decay=decay)
        self.learning_rate = learning_rate
        self.decay = decay

    def __call__(self, k: int) -> float:
        """η / (1 + c k)"""
        return self.learning_rate / (1 + self.decay * k)


class cosine(Schedule):
    """ε + (η - ε) (1 + cos(π k / n)) / 2 for k <= n, then ε: half a wave from η to ε = `minimum` in n = `steps` steps.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5.
    PyTorch's CosineAnnealingLR, but that rises again after n steps.

    Raises ValueError for a rate or steps that are not finite and above 0, and for a `minimum` that is negative or not
    finite.
    """

    def __init__(self, learning_rate: float, steps: float, minimum: float = 0.0) -> None:
        _positive(self, learning_rate=learning_rate, steps=steps)
        _not_negative(self, minimum=minimum)
        self.learning_rate = learning_rate
        self.steps = steps
        self.minimum = minimum

    def __call__(self, k: int) -> float:
        """ε + (η - ε) (1 + cos(π k / n)) / 2"""
        return _cosine(self.learning_rate, self.minimum, min(k / self.steps, 1))


class warm_restarts(Schedule):
    """`cosine` over n steps, then again from η over f n steps, then over f² n, …: n = `steps`, f = `factor`.

    Each cycle ends one step before it would reach ε = `minimum`. Source: Loshchilov and Hutter, "SGDR: stochastic
    gradient descent with warm restarts", ICLR 2017. PyTorch's CosineAnnealingWarmRestarts.

    Raises ValueError for a rate or steps that are not finite and above 0, for a `minimum` that is negative or not
    finite, and for a `factor` below 1.
    """

    def __init__(self, learning_rate: float, steps: float, factor: float = 1, minimum: float = 0.0) -> None:
        _positive(self, learning_rate=learning_rate, steps=steps)
        _not_negative(self, minimum=minimum)
        if factor < 1:
            raise ValueError(f"warm_restarts: factor={factor} would make the cycles shorter; it is at least 1")
        self.learning_rate = learning_rate
        self.minimum = minimum
        self.steps = steps
        self.factor = factor

    def __call__(self, k: int) -> float:
        """ε + (η - ε) (1 + cos(π j / n)) / 2, in the j-th step of a cycle of n"""
        steps = self.steps
        j: float = k if self.factor > 1 else k % steps
        while j >= steps:
            j, steps = j - steps, steps * self.factor
        return _cosine(self.learning_rate, self.minimum, j / steps)


class one_cycle(Schedule):
    """Half a wave up from η / 25 to η = `learning_rate`, then half a wave down to η / 250,000, in n = `steps` steps.

    The top is at step `rise` n - 1, the end at n - 1. Source: Smith and Topin, "Super-convergence: very fast training
    of neural networks using large learning rates", 2018; waves instead of lines are fast.ai's. The rates of PyTorch's
    OneCycleLR, which by default moves the momentum the other way, too.

    Raises ValueError for a rate or steps that are not finite and above 0, and for a `rise` that does not lie between
    the first and the last of the steps.
    """

    def __init__(self, learning_rate: float, steps: float, rise: float = 0.3) -> None:
        _positive(self, learning_rate=learning_rate, steps=steps)
        if not 0 < rise < 1 or rise * steps <= 1:
            raise ValueError(f"one_cycle: rise={rise} of {steps} steps must lie between the first and the last of them")
        self.learning_rate = learning_rate
        self.steps = steps
        self.rise = rise

    def __call__(self, k: int) -> float:
        """Up to step rise n - 1, then down"""
        top, last = self.rise * self.steps - 1, self.steps - 1
        if k <= top:
            return _cosine(self.learning_rate / 25, self.learning_rate, k / top)
        return _cosine(self.learning_rate, self.learning_rate / 25e4, min((k - top) / (last - top), 1))


class warmup(Schedule):
    """(k + 1) / (n + 1) of the rate in the first n = `steps` steps, then `schedule(k - n)`.

        SGD(warmup(200, cosine(0.5, 2300)))

    `schedule` is a number or a function of the step; what rises is its rate at 0. The first rate is above 0, since a
    step of length 0 is wasted. Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    2017, section 2.2. PyTorch's LinearLR(start_factor=1 / (n + 1), total_iters=n), followed by another schedule in a
    SequentialLR.

    Raises ValueError for steps or a rate that are not finite and above 0.
    """

    def __init__(self, steps: float, schedule: Rate) -> None:
        _positive(self, steps=steps)
        if not callable(schedule):
            _positive(self, schedule=schedule)
        self.steps = steps
        self.schedule = schedule

    def __call__(self, k: int) -> float:
        """η₀ (k + 1) / (n + 1), then the schedule"""
        if k < self.steps:
            return self._after(0) * (k + 1) / (self.steps + 1)
        return self._after(int(k - self.steps))

    def _after(self, k: int) -> float:
        return self.schedule(k) if callable(self.schedule) else self.schedule


class ReduceOnPlateau(Configured):
    """The rate is multiplied by `factor` when a loss has not fallen for more than `patience` epochs in a row.

        plateau = ReduceOnPlateau(optimizer, factor=0.5, patience=3)
        for epoch in model.epochs(x, t, loss=loss, optimizer=optimizer):
            plateau.update(loss.forward(model.predict(x_valid), t_valid))

    A loss has fallen when it is below (1 - `threshold`) times the best one so far. The rate does not go below
    `minimum`. PyTorch's ReduceLROnPlateau.

    Raises ValueError for an optimizer that has a schedule already, for a `factor` that is not between 0 and 1, and for
    other numbers that are negative or not finite; TypeError for what is no optimizer.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        minimum: float = 0.0,
    ) -> None:
        require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
        if callable(optimizer.learning_rate):
            raise ValueError(f"{optimizer!r} has a schedule already; a plateau reduces a rate that is a number")
        _positive(self, factor=factor)
        if factor >= 1:
            raise ValueError(f"ReduceOnPlateau: factor={factor} does not reduce the rate; it is below 1")
        _not_negative(self, patience=patience, threshold=threshold, minimum=minimum)
        self.optimizer = optimizer
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.minimum = minimum
        self.best: float = math.inf
        self.waited: int = 0

    def update(self, loss: float) -> None:
        """Take the loss of one more epoch, and reduce the optimizer's rate where it is time."""
        if loss < self.best * (1 - self.threshold):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            assert not callable(self.optimizer.learning_rate)
            self.optimizer.learning_rate = max(self.optimizer.learning_rate * self.factor, self.minimum)
            self.waited = 0

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
from minigrad.habits import OPTIMIZER, answering
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


class SGD(Optimizer):
    """θ ← θ - η g      with momentum μ:   v ← μ v + g,   θ ← θ - η v;   Nesterov's:   θ ← θ - η (g + μ v)

    g is dθ + λ θ with weight decay λ. The velocity v is the sum of all gradients so far, each one μ times as heavy as
    the next: what points one way adds up, to 1 / (1 - μ) times g, and what swings to and fro cancels. Nesterov's looks
    at where v is going to lead. Sources: Robbins and Monro, "A stochastic approximation method", 1951; Polyak, "Some
    methods of speeding up the convergence of iteration methods", 1964; Nesterov's in the form of Sutskever et al., "On
    the importance of initialization and momentum in deep learning", ICML 2013. PyTorch's rule.

    Raises ValueError for a momentum outside [0, 1), for `nesterov` without one, and for other numbers that are negative
    or not finite.
    """

    def __init__(
        self, learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, momentum=momentum)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True needs a momentum above 0")
        self.momentum = momentum
        self.nesterov = nesterov

    changing = False

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """The velocity v, when there is momentum."""
        return ("velocity",) if self.momentum else ()

    velocity: Array

    def coefficients(self, step: int) -> dict[str, float]:
        """η, μ, λ"""
        return {"eta": self.rate(step), "mu": self.momentum, "decay": self.weight_decay}

    def update(  # type: ignore[override]
        self, theta: Array, dtheta: Array, *, eta: Array, mu: Array, decay: Array
    ) -> None:
        """v ← μ v + g,   θ ← θ - η v"""
        g = dtheta + decay * theta if self.weight_decay else dtheta
        if self.momentum:
            self.velocity *= mu
            self.velocity += g
            g = g + mu * self.velocity if self.nesterov else self.velocity
        theta -= eta * g


class Adam(Optimizer):
    """m ← β₁ m + (1-β₁) g,   v ← β₂ v + (1-β₂) g²,   θ ← θ - η m̂ / (√v̂ + ε)

    with m̂ = m / (1-β₁ᵗ) and v̂ = v / (1-β₂ᵗ) at the t-th step, and g = dθ + λ θ with weight decay λ.

    m and v are means of g and of g² in which older ones fade. They start as 0, so that the weights of t gradients add
    up to 1-βᵗ only: m̂ and v̂ are divided by that. √v̂ is the size of a parameter's gradients, so every one moves by
    about η where its gradients agree in sign, and by less where they do not, whatever their unit. Source: Kingma and
    Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with its constants. PyTorch's rule.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("m", "v")
    m: Array
    v: Array

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, beta1=beta1, beta2=beta2)
        not_negative(self, eps=eps)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    def coefficients(self, step: int) -> dict[str, float]:
        """η / (1-β₁ᵗ), √(1-β₂ᵗ) and the constants; 1-β is taken here, since in float32 1 - 0.999 is 5e-5 off."""
        t = step + 1
        return {
            "eta": self.rate(step) / (1 - self.beta1**t),
            "root": math.sqrt(1 - self.beta2**t),
            "beta1": self.beta1,
            "rest1": 1 - self.beta1,
            "beta2": self.beta2,
            "rest2": 1 - self.beta2,
            "eps": self.eps,
            "decay": self.weight_decay,
        }

    def update(self, theta: Array, dtheta: Array, *, decay: Array, **moments: Array) -> None:  # type: ignore[override]
        """g = dθ + λ θ, and Adam's step"""
        self.move(theta, dtheta + decay * theta if self.weight_decay else dtheta, **moments)

    def move(
        self,
        theta: Array,
        g: Array,
        *,
        eta: Array,
        root: Array,
        beta1: Array,
        rest1: Array,
        beta2: Array,
        rest2: Array,
        eps: Array,
    ) -> None:
        """m ← β₁ m + (1-β₁) g,   v ← β₂ v + (1-β₂) g²,   θ ← θ - η m̂ / (√v̂ + ε)"""
        self.m *= beta1
        self.m += rest1 * g
        self.v *= beta2
        self.v += rest2 * np.square(g)
        theta -= eta * self.m / (np.sqrt(self.v) / root + eps)


class AdamW(Adam):
    """θ ← θ - η λ θ, then Adam's step with g = dθ: the decay does not pass through the moments.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, in which λ is scaled
    by the schedule only, not by the rate η as well. As here it is PyTorch's rule, and λ = 0.01 its default.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, eps, weight_decay)

    def coefficients(self, step: int) -> dict[str, float]:
        """Adam's, with η λ as the decay: taken from 1, in float32 it would be gone or far off"""
        return super().coefficients(step) | {"decay": self.rate(step) * self.weight_decay}

    def update(self, theta: Array, dtheta: Array, *, decay: Array, **moments: Array) -> None:  # type: ignore[override]
        """θ ← θ - η λ θ, and Adam's step"""
        theta -= decay * theta
        self.move(theta, dtheta, **moments)


class RMSprop(Optimizer):
    """v ← α v + (1-α) g²,   θ ← θ - η g / (√v + ε);   with momentum μ:   u ← μ u + g / (√v + ε),   θ ← θ - η u

    g is dθ + λ θ with weight decay λ. v is a mean of g² in which older ones fade, √v the size of a parameter's
    gradients of late: each is divided by its own, so that all move by about η. Source: Tieleman and Hinton, "Lecture
    6.5: rmsprop", Neural Networks for Machine Learning, Coursera 2012 (η = 0.001 and α = 0.9 there). The rule, α = 0.99
    and ε outside of the root are PyTorch's, whose default η is 0.01.

    Raises ValueError for an `alpha` or a momentum outside [0, 1), and for other numbers that are negative or not
    finite.
    """

    changing = False
    v: Array
    velocity: Array

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, alpha=alpha, momentum=momentum)
        not_negative(self, eps=eps)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """v, and the velocity u when there is momentum."""
        return ("v", "velocity") if self.momentum else ("v",)

    def coefficients(self, step: int) -> dict[str, float]:
        """η and the constants"""
        return {
            "eta": self.rate(step),
            "alpha": self.alpha,
            "rest": 1 - self.alpha,
            "eps": self.eps,
            "mu": self.momentum,
            "decay": self.weight_decay,
        }

    def update(  # type: ignore[override]
        self,
        theta: Array,
        dtheta: Array,
        *,
        eta: Array,
        alpha: Array,
        rest: Array,
        eps: Array,
        mu: Array,
        decay: Array,
    ) -> None:
        """v ← α v + (1-α) g²,   θ ← θ - η g / (√v + ε)"""
        g = dtheta + decay * theta if self.weight_decay else dtheta
        self.v *= alpha
        self.v += rest * np.square(g)
        scaled = g / (np.sqrt(self.v) + eps)
        if self.momentum:
            self.velocity *= mu
            self.velocity += scaled
            scaled = self.velocity
        theta -= eta * scaled


class Adagrad(Optimizer):
    """s ← s + g²,   θ ← θ - η g / (√s + ε)

    g is dθ + λ θ with weight decay λ. s only grows, so the steps of a parameter shrink, the more the larger its
    gradients have been: those of rare features stay large. Source: Duchi, Hazan and Singer, "Adaptive subgradient
    methods for online learning and stochastic optimization", JMLR 12, 2011. PyTorch's rule and constants.

    Raises ValueError for numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("s",)
    changing = False
    s: Array

    def __init__(self, learning_rate: Rate = 0.01, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(learning_rate, weight_decay)
        not_negative(self, eps=eps)
        self.eps = eps

    def coefficients(self, step: int) -> dict[str, float]:
        """η, ε, λ"""
        return {"eta": self.rate(step), "eps": self.eps, "decay": self.weight_decay}

    def update(  # type: ignore[override]
        self, theta: Array, dtheta: Array, *, eta: Array, eps: Array, decay: Array
    ) -> None:
        """s ← s + g²,   θ ← θ - η g / (√s + ε)"""
        g = dtheta + decay * theta if self.weight_decay else dtheta
        self.s += np.square(g)
        theta -= eta * g / (np.sqrt(self.s) + eps)

"""Rules that divide each gradient by the size of its own past: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

import numpy as np

from minigrad.optimizers.optimizer import Optimizer, Rate, fraction, not_negative
from minigrad.parameter import Array


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


class Adadelta(Optimizer):
    """s ← ρ s + (1-ρ) g²,   d = g √(u + ε) / √(s + ε),   u ← ρ u + (1-ρ) d²,   θ ← θ - η d

    g is dθ + λ θ with weight decay λ. The step has the unit of θ, whatever that of g is. Source: Zeiler, "Adadelta: an
    adaptive learning rate method", arXiv:1212.5701, 2012, where η is 1. PyTorch's rule and constants.

    Raises ValueError for a `rho` outside [0, 1), and for other numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("s", "u")
    changing = False
    s: Array
    u: Array

    def __init__(
        self, learning_rate: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, rho=rho)
        not_negative(self, eps=eps)
        self.rho = rho
        self.eps = eps

    def coefficients(self, step: int) -> dict[str, float]:
        """η and the constants"""
        constants = {"rho": self.rho, "rest": 1 - self.rho, "eps": self.eps, "decay": self.weight_decay}
        return {"eta": self.rate(step), **constants}

    def update(  # type: ignore[override]
        self, theta: Array, dtheta: Array, *, eta: Array, rho: Array, rest: Array, eps: Array, decay: Array
    ) -> None:
        """d = g √(u + ε) / √(s + ε),   θ ← θ - η d"""
        g = dtheta + decay * theta if self.weight_decay else dtheta
        self.s *= rho
        self.s += rest * np.square(g)
        d = np.sqrt(self.u + eps) / np.sqrt(self.s + eps) * g
        self.u *= rho
        self.u += rest * np.square(d)
        theta -= eta * d

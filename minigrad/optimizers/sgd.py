"""Stochastic gradient descent, with momentum and Nesterov's form of it."""

from __future__ import annotations

from minigrad.optimizers.optimizer import Optimizer, Rate, fraction
from minigrad.parameter import Array


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

"""Adam and its relatives: a step of about the same size for every parameter, from running means of g and of g²."""

from __future__ import annotations

import math

import numpy as np

from minigrad.optimizers.optimizer import Optimizer, Rate, fraction, not_negative
from minigrad.parameter import Array


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

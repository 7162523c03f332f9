"""Adam and its relatives: a step of about the same size for every parameter, from running means of g and of g²."""

from __future__ import annotations

import math
from functools import cache

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


class Adamax(Adam):
    """m ← β₁ m + (1-β₁) g,   u ← max(β₂ u, |g| + ε),   θ ← θ - η m / ((1-β₁ᵗ) u)

    Adam with the largest gradient of late in the place of their mean square; g is dθ + λ θ with weight decay λ. Source:
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2. PyTorch's rule and constants.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("m", "u")
    m: Array
    u: Array

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, eps, weight_decay)

    def move(self, theta: Array, g: Array, **moments: Array) -> None:
        """m ← β₁ m + (1-β₁) g,   u ← max(β₂ u, |g| + ε),   θ ← θ - η m / u, with η / (1-β₁ᵗ) as η"""
        self.m *= moments["beta1"]
        self.m += moments["rest1"] * g
        self.u[...] = np.maximum(moments["beta2"] * self.u, np.abs(g) + moments["eps"])
        theta -= moments["eta"] * self.m / self.u


class NAdam(Adam):
    """Adam's m and v,   θ ← θ - η ((1-μₜ) g / (1-Πₜ) + μₜ₊₁ m / (1-Πₜ₊₁)) / (√v̂ + ε)

    with μₜ = β₁ (1 - 0.96^(tψ) / 2) and Πₜ their product so far: Nesterov's look ahead in Adam. g is dθ + λ θ with
    weight decay λ. Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016. PyTorch's rule and
    constants; ψ is `momentum_decay`.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    m: Array
    v: Array

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, eps, weight_decay)
        not_negative(self, momentum_decay=momentum_decay)
        self.momentum_decay = momentum_decay

    def coefficients(self, step: int) -> dict[str, float]:
        """The shares of g and of m, √(1-β₂ᵗ), and the constants"""
        t, eta = step + 1, self.rate(step)
        mu, after = (self.beta1 * (1 - 0.5 * 0.96 ** (k * self.momentum_decay)) for k in (t, t + 1))
        product = _product(self.beta1, self.momentum_decay, t)
        shares = {"now": eta * (1 - mu) / (1 - product), "eta": eta * after / (1 - product * after)}
        return super().coefficients(step) | shares

    def move(self, theta: Array, g: Array, *, now: Array, **moments: Array) -> None:  # type: ignore[override]
        """θ ← θ - (share of g + share of m) / (√v̂ + ε)"""
        eta, root, eps = moments["eta"], moments["root"], moments["eps"]
        self.m *= moments["beta1"]
        self.m += moments["rest1"] * g
        self.v *= moments["beta2"]
        self.v += moments["rest2"] * np.square(g)
        theta -= (now * g + eta * self.m) / (np.sqrt(self.v) / root + eps)


class RAdam(Adam):
    """Adam's m and v,   θ ← θ - η r m̂ / (√v + ε) √(1-β₂ᵗ) where ρₜ > 5, else θ ← θ - η m̂

    ρ = 2 / (1-β₂) - 1 is how many gradients v is a mean of in the long run, ρₜ = ρ - 2 t β₂ᵗ / (1-β₂ᵗ) so far, and
    r² = (ρₜ-4)(ρₜ-2) ρ / ((ρ-4)(ρ-2) ρₜ): as long as v is a mean of few, Adam's steps are too large. g is dθ + λ θ with
    weight decay λ. Source: Liu and others, "On the variance of the adaptive learning rate and beyond", ICLR 2020.
    PyTorch's rule.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    m: Array
    v: Array

    def coefficients(self, step: int) -> dict[str, float]:
        """The rates of the adaptive step and of the plain one, of which one is 0, and the constants"""
        t, given = step + 1, super().coefficients(step)
        most = 2 / (1 - self.beta2) - 1
        length = most - 2 * t * self.beta2**t / (1 - self.beta2**t)
        plain = length <= 5
        r = 0.0 if plain else ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
        return given | {"eta": given["eta"] * r * given["root"], "plain": given["eta"] * plain}

    def move(self, theta: Array, g: Array, *, plain: Array, **moments: Array) -> None:  # type: ignore[override]
        """θ ← θ - (η r √(1-β₂ᵗ) / (√v + ε) + η) m̂, one of the two rates being 0"""
        self.m *= moments["beta1"]
        self.m += moments["rest1"] * g
        self.v *= moments["beta2"]
        self.v += moments["rest2"] * np.square(g)
        theta -= (moments["eta"] / (np.sqrt(self.v) + moments["eps"]) + plain) * self.m


@cache
def _products(beta1: float, decay: float) -> list[float]:
    """The table of `_product` for these constants, which grows."""
    return [1.0]


def _product(beta1: float, decay: float, t: int) -> float:
    """Π of μ up to the step t, from 1; soon it is 0."""
    known = _products(beta1, decay)
    while (n := len(known)) <= t and known[n - 1] > 1e-300:
        # At its place, not at the end: a training in another thread may have put the same number there meanwhile.
        known[n : n + 1] = [known[n - 1] * beta1 * (1 - 0.5 * 0.96 ** (n * decay))]
    return known[t] if t < len(known) else 0.0

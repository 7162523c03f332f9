"""Relatives of Adam: other means of the gradients, or other corrections of the first steps."""

from __future__ import annotations

from functools import cache

import numpy as np

from minigrad.optimizers.adam import Adam
from minigrad.optimizers.optimizer import Rate, not_negative
from minigrad.parameter import Array


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

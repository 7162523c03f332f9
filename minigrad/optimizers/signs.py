"""Rules that look at the sign of a gradient only: Lion and Rprop."""

from __future__ import annotations

import numpy as np

from minigrad.optimizers.optimizer import Optimizer, Rate, fraction, not_negative
from minigrad.parameter import Array


class Lion(Optimizer):
    """θ ← θ - η (sign(β₁ m + (1-β₁) g) + λ θ),   m ← β₂ m + (1-β₂) g,   g = dθ, λ the weight decay

    Every parameter moves by η, so rates are 3 to 10 times smaller than Adam's. Source: Chen and others, "Symbolic
    discovery of optimization algorithms", NeurIPS 2023, program 1, with its constants.

    Raises ValueError for a beta outside [0, 1), and for other numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("m",)
    changing = False
    m: Array

    def __init__(
        self, learning_rate: Rate = 1e-4, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, beta1=beta1, beta2=beta2)
        self.beta1 = beta1
        self.beta2 = beta2

    def coefficients(self, step: int) -> dict[str, float]:
        """η, η λ and the constants"""
        eta, betas = self.rate(step), {"beta1": self.beta1, "beta2": self.beta2}
        return {"eta": eta, "decay": eta * self.weight_decay, "rest1": 1 - self.beta1, "rest2": 1 - self.beta2, **betas}

    def update(  # type: ignore[override]
        self,
        theta: Array,
        dtheta: Array,
        *,
        eta: Array,
        decay: Array,
        beta1: Array,
        rest1: Array,
        beta2: Array,
        rest2: Array,
    ) -> None:
        """θ ← θ - η (sign(β₁ m + (1-β₁) g) + λ θ),   m ← β₂ m + (1-β₂) g"""
        direction = np.sign(beta1 * self.m + rest1 * dtheta)
        theta -= eta * direction + decay * theta if self.weight_decay else eta * direction
        self.m *= beta2
        self.m += rest2 * dtheta


class Rprop(Optimizer):
    """θ ← θ - Δ sign g,   Δ ← Δ η⁺ where g keeps its sign, Δ η⁻ (and g = 0 once) where it turns, within [least, most]

    g is dθ + λ θ with weight decay λ. Sizes of gradients do not matter, only their signs: for batches of all rows,
    since the signs of small ones turn by chance. Δ starts as the learning rate. Source: Riedmiller and Braun, "A direct
    adaptive method for faster backpropagation learning: the RPROP algorithm", ICNN 1993. PyTorch's rule and constants.

    Raises ValueError for an `eta_minus` outside [0, 1), an `eta_plus` below 1, a `least` above `most`, and for other
    numbers that are negative or not finite.
    """

    memory: tuple[str, ...] = ("before", "size")
    changing = False
    before: Array
    size: Array

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        eta_minus: float = 0.5,
        eta_plus: float = 1.2,
        least: float = 1e-6,
        most: float = 50.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, weight_decay)
        fraction(self, eta_minus=eta_minus)
        not_negative(self, eta_plus=eta_plus, least=least, most=most)
        if eta_plus < 1 or least > most:
            raise ValueError(f"Rprop: eta_plus={eta_plus} must be at least 1, and least={least} at most {most}")
        self.eta_minus = eta_minus
        self.eta_plus = eta_plus
        self.least = least
        self.most = most

    def prepare(self, theta: Array) -> None:
        """Make the memory; every size starts as the learning rate."""
        if "size" not in vars(self):
            self.size = np.full_like(theta, self.rate(0))
        super().prepare(theta)

    def coefficients(self, step: int) -> dict[str, float]:
        """What is added to a factor of 1 where signs agree and where they do not, and the limits"""
        more, less = self.eta_plus - 1, self.eta_minus - 1
        return {"more": more, "less": less, "least": self.least, "most": self.most, "decay": self.weight_decay}

    def update(  # type: ignore[override]
        self, theta: Array, dtheta: Array, *, more: Array, less: Array, least: Array, most: Array, decay: Array
    ) -> None:
        """Δ ← Δ η⁺ or Δ η⁻,   θ ← θ - Δ sign g"""
        g = dtheta + decay * theta if self.weight_decay else dtheta
        agreed = g * self.before
        factor = 1 + more * (agreed > 0) + less * (agreed < 0)
        self.size[...] = np.minimum(np.maximum(self.size * factor, least), most)
        g = g * (agreed >= 0)
        theta -= np.sign(g) * self.size
        self.before[...] = g

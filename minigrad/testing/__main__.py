"""A gallery: wrong layers, classes, functions and optimizers, and what the checker says of each.

python -m minigrad.testing
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.activations import Softmax, Tanh
from minigrad.layers.dense import Dense
from minigrad.parameter import Array
from minigrad.testing import GradientError, check_gradient, check_layer, check_optimizer


class Averaged(Dense):
    """Its gradients are means over the rows."""

    def backward(self, dy: Any) -> Any:
        """DW / B"""
        dx = super().backward(dy)
        self.dW: Array = self.dW / max(len(dy), 1)
        return dx


class Diagonal(Softmax):
    """Softmax, as if y_i depended on x_i alone."""

    def forward(self, x: Any) -> Any:
        """Y"""
        self.p: Array = super().forward(x)
        return self.p

    def backward(self, dy: Any) -> Any:
        """Dy y (1 - y)"""
        return dy * self.p * (1 - self.p)


class Naive(Layer):
    """Softmax without the maximum."""

    def forward(self, x: Any) -> Any:
        """Y"""
        e = np.exp(x)
        self.y: Any = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dy: Any) -> Any:
        """Dx"""
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))


class FirstRows(Tanh):
    """Rows beyond the eighth are left out."""

    def backward(self, dy: Any) -> Any:
        """Dx"""
        return super().backward(dy) * (np.arange(len(dy)) < 8)[:, None]


class Linear:
    """A plain class, as a course has it: the gradient of its bias is a mean over the rows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.W = np.random.default_rng(0).normal(size=(inputs, outputs))
        self.b = np.zeros(outputs)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, x: Any) -> Any:
        """Y"""
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Any) -> Any:
        """Dx"""
        self.dW = self.x.T @ dy
        self.db = dy.mean(axis=0)
        return dy @ self.W.T


def scaled_forward(x: Any, gamma: Any) -> Any:
    """A pair of functions: the mask is taken of dy."""
    return gamma * np.maximum(x, 0), (x, gamma)


def scaled_backward(dy: Any, cache: Any) -> Any:
    """Dx, dgamma"""
    x, gamma = cache
    dx = gamma * dy * (dy > 0)
    dgamma = np.sum(dy * np.maximum(x, 0), axis=0)
    return dx, dgamma


class AdamByHand:
    """Adam, by hand: the second moment is used as it is."""

    def __init__(self, lr: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m: Any = 0.0
        self.v: Any = 0.0
        self.t = 0

    def step(self, theta: Any, dtheta: Any) -> None:
        """Change theta in place."""
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * dtheta
        self.v = self.beta2 * self.v + (1 - self.beta2) * dtheta**2
        theta -= self.lr * self.m / (1 - self.beta1**self.t) / (np.sqrt(self.v) + self.eps)


def main() -> None:
    """Print what the checker says of every one."""
    x = np.random.default_rng(1).normal(size=(5, 3))
    checks: list[tuple[Any, Callable[[], Any]]] = [
        *((each, partial(check_layer, each)) for each in (Averaged(3, 2, seed=0), Diagonal(), Naive(), FirstRows())),
        (Linear, lambda: check_layer(Linear(3, 2), x)),
        (scaled_forward, lambda: check_gradient(scaled_forward, scaled_backward, x, np.ones(3))),
        (AdamByHand, lambda: check_optimizer(AdamByHand())),
    ]
    for thing, check in checks:
        try:
            check()
        except GradientError as error:
            print(f"{thing.__doc__}\n{error}\n")


if __name__ == "__main__":
    main()

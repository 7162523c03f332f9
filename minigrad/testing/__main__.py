"""A gallery: wrong layers, and what the checker says of each.

python -m minigrad.testing
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.activations import Softmax, Tanh
from minigrad.layers.dense import Dense
from minigrad.parameter import Array
from minigrad.testing import GradientError, check_layer


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


def main() -> None:
    """Print what the checker says of every one."""
    for layer in (Averaged(3, 2, seed=0), Diagonal(), Naive(), FirstRows()):
        try:
            check_layer(layer)
        except GradientError as error:
            print(f"{type(layer).__doc__}\n{error}\n")


if __name__ == "__main__":
    main()

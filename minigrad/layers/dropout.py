"""Dropout: noise in training that keeps units from relying on each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.functions import floating
from minigrad.layer import SameShape
from minigrad.parameter import Array, state


class Dropout(SameShape):
    """y = x m / (1 - rate)      dx = dy m / (1 - rate),   every m is 1 with probability 1 - rate, else 0

    Shapes: x, m and y are alike. Every number of every row has an m of its own, drawn anew in each forward.

    Once m is drawn, y is x times a number, and dx is dy times the same one: what was dropped gets nothing back.
    backward must use the m of its forward; drawing anew would be the derivative of another function.

    Dividing by 1 - rate in training ("inverted" dropout) keeps the expectation: E[y] = x. So inference, where nothing
    is dropped, is y = x. Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15, 2014; section 10 has the division.

    The generator starts from `seed`, and is state: it is saved, restored and copied with the layer.

    Raises ValueError for a rate that is not at least 0 and less than 1.
    """

    rng: np.random.Generator = state()

    _freezable = True

    def __init__(self, rate: float, *, seed: int | None = None) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout({rate}): the rate is the share that is dropped, at least 0 and less than 1")
        self.rate = rate
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        if self._fixed:
            self.m: Any = 1 - self.rate
            return x
        x = floating(x)
        self.m = self.rng.random(x.shape, np.finfo(x.dtype).dtype) >= self.rate
        y: Array = x * self.m / (1 - self.rate)
        return y

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy * self.m / (1 - self.rate)
        return dx

    def predict(self, x: Array) -> Array:
        """x -> x: nothing is dropped."""
        return x

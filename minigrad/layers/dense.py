"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from minigrad.functions import as_rows
from minigrad.initializers import Initializer, initializer
from minigrad.layer import Layer
from minigrad.parameter import Array, parameter


class Dense(Layer):
    """y = x W + b      dW = xᵀ dy,   db = Σ_B dy,   dx = dy Wᵀ

    Shapes: x (B, I), W (I, O), b (O,), y (B, O). The last axis is features: x (B, T, I) are B T rows, to each of which
    the same W is applied, so Σ_B runs over all axes but the last.

    dy is ∂L/∂y, how much the loss L changes with each y, and dx, dW, db are ∂L/∂x, ∂L/∂W, ∂L/∂b. Each output is a
    weighted sum of its row, y_ro = Σ_i x_ri W_io + b_o. By the chain rule, a number's derivative is the sum over all
    y that it takes part in, of dy times the factor that it has there:

    * W_io takes part in y_ro for every row r, with the factor x_ri: dW_io = Σ_r x_ri dy_ro, which is xᵀ dy.
    * b_o takes part in y_ro for every row r, with the factor 1: db_o = Σ_r dy_ro.
    * x_ri takes part in y_ro for every output o, with the factor W_io: dx_ri = Σ_o dy_ro W_io, which is dy Wᵀ.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 1986.

    W is drawn by the initializer named `init` from `seed`; b starts at 0, and is left out with `bias=False`.

    Raises ValueError for a width below 1, and for an `init` that there is not.
    """

    dW: Array
    b: Array
    db: Array
    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        init: str | Initializer = "glorot_uniform",
        bias: bool = True,
        seed: int | None = None,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Dense({in_features}, {out_features}): both widths must be at least 1")
        self.in_features = in_features
        self.out_features = out_features
        self.init = init
        self.bias = bias
        self.seed = seed
        self.W = initializer(init)(np.random.default_rng(seed), (in_features, out_features))
        if bias:
            self.b = np.zeros(out_features)

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y (B, …, O)."""
        self.x: Array = as_rows(x)
        y = self.x @ self.W
        y = y + self.b if self.bias else y
        return y.reshape(*x.shape[:-1], self.out_features)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, O) -> dx (B, …, I); sets dW (I, O) and db (O,)."""
        shape, dy = (*dy.shape[:-1], self.in_features), as_rows(dy)
        self.dW = self.x.T @ dy
        if self.bias:
            self.db = dy.sum(axis=0)
        return (dy @ self.W.T).reshape(shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(I,)"""
        return (self.in_features,)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, I) -> (…, O). Raises ValueError for rows of another width."""
        if input_shape[-1:] != (self.in_features,):
            raise ValueError(f"{self!r} takes rows of shape ({self.in_features},), not {input_shape}")
        return (*input_shape[:-1], self.out_features)

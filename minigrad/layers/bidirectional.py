"""Both directions of a sequence: a recurrent layer, and its twin that reads from the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.steps import Recurrent
from minigrad.parameter import Array


class Bidirectional(Layer):
    """y = [f(x), g(x_T … x_1)] along the last axis      dx = f'(x) dy_f + the steps of g'(x_T … x_1) dy_g, turned back

    Shapes: x (B, T, I), y (B, 2 H), or (B, T, 2 H) where f returns sequences; then the steps of g(…) are turned back,
    so that both halves of y_t have seen step t.

    f is the layer given, g one like it with weights of its own: what comes later can matter as well as what came
    before. Padding is passed by in either direction. Source: Schuster and Paliwal, "Bidirectional recurrent neural
    networks", IEEE Transactions on Signal Processing 45, 1997. PyTorch's bidirectional=True.

    Raises TypeError for what is no SimpleRNN, LSTM or GRU.
    """

    row_axes = 2  # (T, I)

    def __init__(self, layer: Recurrent) -> None:
        if not isinstance(layer, Recurrent):
            raise TypeError(f"Bidirectional takes a SimpleRNN, LSTM or GRU, not {layer!r}")
        self.layer = layer
        self.in_features: int = layer.in_features
        seed = None if layer.seed is None else layer.seed + 1
        self.backwards: Recurrent = type(layer)(**layer.config() | {"seed": seed})
        self.layers: tuple[Recurrent, Recurrent] = (self.layer, self.backwards)

    def forward(self, x: Array) -> Array:
        """x (B, T, I) -> y (B, 2 H), or (B, T, 2 H)."""
        return np.concatenate([self.layer.forward(x), self._turned(self.backwards.forward(x[:, ::-1]))], axis=-1)

    def backward(self, dy: Array) -> Array:
        """dy, as y -> dx (B, T, I); the layers set their gradients."""
        H = self.layer.hidden_features
        dx: Array = self.layer.backward(dy[..., :H]) + self.backwards.backward(self._turned(dy[..., H:]))[:, ::-1]
        return dx

    def _turned(self, y: Any) -> Any:
        return y[:, ::-1] if self.layer.return_sequences else y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(T, I) -> (2 H,), or (T, 2 H). Raises ValueError for rows that the layer does not take."""
        *steps, H = self.layer.output_shape(input_shape)
        return (*steps, 2 * H)

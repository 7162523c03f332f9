"""Gates: one half of the features says how much of the other one goes through."""

from __future__ import annotations

import numpy as np

from minigrad.functions import sigmoids
from minigrad.layer import Layer
from minigrad.parameter import Array


class Gate(Layer):
    """What GLU and SwiGLU share: x (…, 2 I) is a, its first half, and b, its second; y (…, I)."""

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, 2 I) -> (…, I). Raises ValueError where the last axis has no two halves."""
        if not input_shape or input_shape[-1] % 2 or not input_shape[-1]:
            raise ValueError(f"{self!r} halves the last axis, which is odd or empty in rows of shape {input_shape}")
        return (*input_shape[:-1], input_shape[-1] // 2)

    def _halves(self, x: Array) -> tuple[Array, Array]:
        (half,) = self.output_shape(x.shape[-1:])
        return x[..., :half], x[..., half:]


class GLU(Gate):
    """y = a s(b), (a, b) = x      da = dy s(b),   db = dy a s(b) s(-b),   s(x) = 1 / (1 + exp(-x))

    Shapes: x (…, 2 I), a, b and y (…, I).

    In a product each factor gets dy times the other one: da = dy s(b), and s(b) gets dy a. The slope of s is
    s (1 - s), and 1 - s(b) = s(-b), which keeps its digits: db = dy a s(b) s(-b).

    The gate s(b) learns what is to go through, while a keeps a straight path for the gradient. Source: Dauphin, Fan,
    Auli and Grangier, "Language modeling with gated convolutional networks", ICML 2017. PyTorch's GLU.
    """

    a: Array
    b: Array
    s: Array
    rest: Array

    def forward(self, x: Array) -> Array:
        """x (…, 2 I) -> y (…, I)."""
        self.a, b = self._halves(x)
        self.s, self.rest = sigmoids(b)
        return self.a * self.s

    def backward(self, dy: Array) -> Array:
        """dy (…, I) -> dx (…, 2 I)."""
        return np.concatenate([dy * self.s, dy * self.a * self.s * self.rest], axis=-1)


class SwiGLU(Gate):
    """y = a s(a) b, (a, b) = x      da = dy b s(a) (1 + a s(-a)),   db = dy a s(a),   s(x) = 1 / (1 + exp(-x))

    Shapes: x (…, 2 I), a, b and y (…, I).

    It is Swish of one half, times the other. In a product each factor gets dy times the other one: db = dy a s(a), and
    a s(a) gets dy b, to be multiplied by Swish's slope, s(a) (1 + a s(-a)), which is derived there. In a transformer
    Dense(64, 256), SwiGLU(), Dense(128, 64). Source: Shazeer, "GLU variants improve transformer", arXiv:2002.05202,
    2020.
    """

    a: Array
    b: Array
    s: Array
    rest: Array

    def forward(self, x: Array) -> Array:
        """x (…, 2 I) -> y (…, I)."""
        self.a, self.b = self._halves(x)
        self.s, self.rest = sigmoids(self.a)
        return self.a * self.s * self.b

    def backward(self, dy: Array) -> Array:
        """dy (…, I) -> dx (…, 2 I)."""
        da = dy * self.b * self.s * (1 + self.a * self.rest)
        return np.concatenate([da, dy * self.a * self.s], axis=-1)

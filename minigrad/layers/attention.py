"""Attention: every step looks at every other one, and positions, without which it could not tell their order.

A transformer block is a composition, here with the norms in front (Xiong and others, "On layer normalization in the
transformer architecture", ICML 2020):

    Residual(LayerNorm(64), MultiHeadAttention(64, 4, causal=True)),
    Residual(LayerNorm(64), Dense(64, 256), GELU(), Dense(256, 64)),

Padding: a step all of whose features equal `padding` is none, as in the recurrent layers. What lies in between must
leave such a step what it is: with padding=0.0, RMSNorm, norms with affine=False and Dense without a bias do.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from minigrad.functions import as_rows, softmax
from minigrad.initializers import glorot_uniform
from minigrad.layer import Layer
from minigrad.layers.embedding import Embedding
from minigrad.layers.steps import check_padding, real_steps
from minigrad.parameter import Array, parameter

NOWHERE = -1e30
"""Added to a score, it makes a weight of 0."""


class MultiHeadAttention(Layer):
    """y = u W_o + b_o,   u = a v,   a = softmax(s) over the last axis,   s = q kᵀ / √D,   (q, k, v) = x W + b

    dW_o = Σ_B uᵀ dy,   db_o = Σ_B dy,   du = dy W_oᵀ,   da = du vᵀ,   ds = a (da - Σ da a)
    dq = ds k / √D,   dk = dsᵀ q / √D,   dv = aᵀ du,   dW = Σ_B xᵀ (dq, dk, dv),   db = Σ_B (dq, dk, dv),
    dx = (dq, dk, dv) Wᵀ

    Shapes: x (B, T, F), W (F, 3 F), b (3 F,), W_o (F, F), b_o (F,), y (B, T, F); q, k, v and u (B, heads, T, D) with
    D = F / heads; s and a (B, heads, T, T). The sums Σ_B go over all steps of all rows.

    Each step asks with its q all steps for what their k offers, and takes the mean of their v, weighed by a. Each of
    the heads does so for its share of the features. With `causal=True`, step t sees itself and those before: s is -∞
    for later ones. With `padding=value`, no step sees one whose features all equal it, and the y of such a step is 0.

    The derivation, for one row and one head, from the last line to the first. In a product C = A B, as in Dense, A gets
    dC Bᵀ and B gets Aᵀ dC:

    * y = u W_o + b_o is Dense, and gives du.
    * u = a v: da = du vᵀ, dv = aᵀ du.
    * a = softmax(s), row by row as in Softmax: ds = a (da - Σ da a). Where s is -∞, a is 0, and so is ds.
    * s = q kᵀ / √D: dq = ds k / √D; kᵀ gets qᵀ ds / √D, and k the transpose of that.
    * (q, k, v) = x W + b is Dense, its three parts side by side: x is used by all three, and dx adds them up.

    W and W_o are drawn as Glorot and Bengio have it, each of the three parts by itself, from `seed`. Source: Vaswani
    and others, "Attention is all you need", NeurIPS 2017. PyTorch's MultiheadAttention of x with itself.

    Raises ValueError for heads that do not divide the features among them, and for a `padding` that is not finite.
    """

    row_axes = 2  # (T, F)

    dW: Array
    b: Array
    db: Array
    Wo: Array
    dWo: Array
    bo: Array
    dbo: Array
    q: Any
    k: Any
    v: Any
    W, dW = parameter()
    b, db = parameter(decay=False)
    Wo, dWo = parameter()
    bo, dbo = parameter(decay=False)

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        causal: bool = False,
        padding: float | None = None,
        seed: int | None = None,
    ) -> None:
        if features < 1 or heads < 1 or features % heads:
            raise ValueError(f"MultiHeadAttention({features}, {heads}): the heads must divide the features among them")
        check_padding(f"MultiHeadAttention({features}, {heads})", padding)
        self.features = features
        self.heads = heads
        self.causal = causal
        self.padding = padding
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.W = np.hstack([glorot_uniform(rng, (features, features)) for _ in range(3)])
        self.Wo = glorot_uniform(rng, (features, features))
        self.b, self.bo = np.zeros(3 * features), np.zeros(features)

    def forward(self, x: Array) -> Array:
        """x (B, T, F) -> y of the same shape."""
        self.output_shape(x.shape[1:])
        self.shape: tuple[int, ...] = x.shape
        self.x: Array = as_rows(x)
        self.q, self.k, self.v = self._in_heads(self.x @ self.W + self.b, 3)
        s = self.q @ self.k.transpose(0, 1, 3, 2) / math.sqrt(self.features / self.heads)
        if self.causal:
            s = s + later(x.shape[1], s.dtype)
        self.real: Any = real_steps(x, self.padding)
        if self.real is not None:
            s = s + ~self.real.transpose(0, 2, 1)[:, None] * s.dtype.type(NOWHERE)
        self.a: Array = softmax(s)
        self.u: Array = self._side_by_side(self.a @ self.v)
        y = (self.u @ self.Wo + self.bo).reshape(self.shape)
        return y if self.real is None else y * self.real

    def backward(self, dy: Array) -> Array:
        """dy (B, T, F) -> dx of the same shape; sets dW (F, 3 F), db (3 F,), dWo (F, F) and dbo (F,)."""
        dy = as_rows(dy if self.real is None else dy * self.real)
        self.dWo, self.dbo = self.u.T @ dy, dy.sum(axis=0)
        (du,) = self._in_heads(dy @ self.Wo.T, 1)
        da = du @ self.v.transpose(0, 1, 3, 2)
        ds = self.a * (da - (da * self.a).sum(axis=-1, keepdims=True)) / math.sqrt(self.features / self.heads)
        dq, dk, dv = ds @ self.k, ds.transpose(0, 1, 3, 2) @ self.q, self.a.transpose(0, 1, 3, 2) @ du
        dz = np.concatenate([self._side_by_side(d) for d in (dq, dk, dv)], axis=-1)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return (dz @ self.W.T).reshape(self.shape)

    def _in_heads(self, z: Array, parts: int) -> Any:
        """Rows of steps (B T, parts F), each part in heads: (parts, B, heads, T, D)."""
        B, T, F = self.shape
        return z.reshape(B, T, parts, self.heads, F // self.heads).transpose(2, 0, 3, 1, 4)

    def _side_by_side(self, heads: Array) -> Array:
        """The opposite, for one part: (B, heads, T, D) as (B T, F)."""
        return heads.transpose(0, 2, 1, 3).reshape(-1, self.features)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(T, F) -> the same. Raises ValueError for other rows."""
        return rows_of_steps(self, input_shape, self.features)


class PositionalEncoding(Layer):
    """y_t = x_t + p_t,   p_t = (sin(t r_0), cos(t r_0), sin(t r_1), …),   r_i = 10000^(-2i / F)      dx = dy

    Shapes: x (B, T, F), y alike. p_t does not depend on x, so each number of y changes as that of x does.

    Waves from fast to slow, the features of p_t, tell positions apart; a shift of t is the same rotation everywhere.
    With `learned=Embedding(steps, F)`, p_t is the vector of t in there, for up to as many steps, and the gradient of
    that is Σ_B dy_t. With `padding=value`, a step whose features all equal it stays as it is. Source: Vaswani and
    others, "Attention is all you need", NeurIPS 2017, section 3.5.

    Raises ValueError for a width below 1, or other than that of `learned`, and for a `padding` that is not finite;
    TypeError for a `learned` that is no Embedding.
    """

    row_axes = 2  # (T, F)

    def __init__(self, features: int, *, learned: Embedding | None = None, padding: float | None = None) -> None:
        if learned is not None and not isinstance(learned, Embedding):
            raise TypeError(f"PositionalEncoding({features}): learned is an Embedding, not {learned!r}")
        if features < 1 or (learned is not None and learned.features != features):
            raise ValueError(
                f"PositionalEncoding({features}, learned={learned!r}): widths must be alike, and at least 1"
            )
        check_padding(f"PositionalEncoding({features})", padding)
        self.features = features
        self.padding = padding
        self.learned = learned
        self.layers: tuple[()] | tuple[Embedding] = () if learned is None else (learned,)

    def forward(self, x: Array) -> Array:
        """x (B, T, F) -> y of the same shape. Raises ValueError for more steps than have been learned."""
        _, T, F = x.shape[0], *self.output_shape(x.shape[1:])
        p = waves(T, F, x.dtype) if self.learned is None else self.learned.W[:T]
        self.real: Any = real_steps(x, self.padding)
        return x + p if self.real is None else x + p * self.real

    def backward(self, dy: Array) -> Array:
        """dy (B, T, F) -> dx of the same shape; the learned positions set their gradient."""
        if self.learned is not None and not self.learned._fixed:
            self.learned.dW[...] = 0
            self.learned.dW[: dy.shape[1]] = (dy if self.real is None else dy * self.real).sum(axis=0)
        return dy

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(T, F) -> the same. Raises ValueError for other rows."""
        if self.learned is not None and len(input_shape) == 2 and input_shape[0] > self.learned.vocabulary:
            raise ValueError(f"{self!r} has positions for {self.learned.vocabulary} steps, not for {input_shape[0]}")
        return rows_of_steps(self, input_shape, self.features)


def rows_of_steps(layer: Layer, shape: tuple[int, ...], width: int) -> tuple[int, ...]:
    """The shape itself; raises ValueError where it is not (T, width)."""
    if len(shape) != 2 or shape[-1] != width:
        raise ValueError(f"{layer!r} takes rows of steps (T, {width}), not rows of shape {shape}")
    return shape


@cache
def later(steps: int, dtype: Any) -> Array:
    """What makes every step blind for those after it, (T, T)."""
    return np.triu(np.full((steps, steps), NOWHERE), 1).astype(dtype)


@cache
def waves(steps: int, features: int, dtype: Any = np.float64) -> Array:
    """p_t for every step, (T, F)."""
    rates = 10000.0 ** -(np.arange(0, features, 2) / features)
    angles = np.arange(steps)[:, None] * rates
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(steps, -1)[:, :features].astype(dtype)

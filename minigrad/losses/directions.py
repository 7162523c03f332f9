"""The cosine similarity: only the directions of p and t count."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.losses.loss import Loss
from minigrad.parameter import Array


class CosineSimilarity(Loss):
    """l = 1 - c,   c = p t / (|p| |t|)      ∂l/∂p = -(t / |t| - c p / |p|) / |p|

    p, t (B, O): only their directions count; 0 where they are the same, 2 where they are opposite.

    With p, the slope of p t is t, and that of |p| is p / |p|. By the rule for quotients, c = p t / (|p| |t|) has the
    slope t / (|p| |t|) - p t p / (|p|³ |t|) = (t / |t| - c p / |p|) / |p|: t's direction without its part along p.

    Lengths below 1e-8 count as 1e-8, as in PyTorch, where this is CosineEmbeddingLoss of pairs that belong together.
    (Keras's is l - 1.)
    """

    def terms(self, p: Array, t: Array) -> Array:
        """1 - c, (B, 1)"""
        return 1 - (p * t).sum(axis=-1, keepdims=True) / (_length(p) * _length(t))

    def slopes(self, p: Array, t: Array) -> Array:
        """-(t / |t| - c p / |p|) / |p|"""
        n, direction = _length(p), t / _length(t)
        along = (p * direction).sum(axis=-1, keepdims=True) / n * (n > SHORTEST)
        return (along * p / n - direction) / n


SHORTEST = 1e-8


def _length(p: Array) -> Any:
    return np.maximum(np.sqrt((p * p).sum(axis=-1, keepdims=True)), SHORTEST)

"""The hinge loss of margin classifiers."""

from __future__ import annotations

import numpy as np

from minigrad.losses.loss import Loss
from minigrad.parameter import Array


class Hinge(Loss):
    """l = max(0, 1 - s p)      ∂l/∂p = -s [s p < 1],   s = 1 where t is 1, s = -1 where t is 0 or -1

    p (B, O) scores, the sign of which is the answer; t (B, O) yes or no, written as 1 and 0, as labels are elsewhere
    here, or as 1 and -1. Right answers cost nothing once they keep a margin of 1: the loss of support vector machines.
    Up to there it is the straight line 1 - s p, with the slope -s.
    Source: Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Raises ValueError for other t.
    """

    labels = True
    binary = True
    boundary: float = 0.0

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for t that is neither 1 nor 0 nor -1."""
        other = (t != 1) & (t != 0) & (t != -1)
        if other.any():
            raise ValueError(f"Hinge takes targets 1 and 0, or 1 and -1, but one is {t[other][0]:g}")

    def terms(self, p: Array, t: Array) -> Array:
        """max(0, 1 - s p)"""
        return np.maximum(1 - np.sign(t - 0.5) * p, 0)

    def slopes(self, p: Array, t: Array) -> Array:
        """-s [s p < 1]"""
        s = np.sign(t - 0.5)
        return -s * (s * p < 1)

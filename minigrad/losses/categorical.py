"""Losses of one class among K: categorical cross-entropy, the negative log-likelihood, the KL divergence."""

from __future__ import annotations

import math

import numpy as np

from minigrad.functions import log_softmax, softmax
from minigrad.layer import Layer
from minigrad.layers.activations import Softmax
from minigrad.losses.loss import LabelSmoothing, Loss
from minigrad.losses.probabilities import check_probabilities, check_range, log
from minigrad.parameter import Array


class CategoricalCrossEntropy(LabelSmoothing, Loss):
    """l = -t log p      ∂l/∂p = -t / p

    p (B, K) the probabilities of K classes, t (B, K) one-hot or any distribution. The negative log-likelihood of a
    categorical variable (Bishop 2006, equation 4.108). The slope of log p is 1 / p; a class with t = 0 has none.

    Logs are clamped at -100 and denominators at the smallest normal number. Absorbs Softmax.

    Raises ValueError for p or t outside [0, 1], for the slopes of p and t that are plainly exchanged, and for a
    `label_smoothing` that is not at least 0 and less than 1.
    """

    labels = at_steps = True

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for p or t outside [0, 1]."""
        check_probabilities(self, p, t, "Softmax")

    def terms(self, p: Array, t: Array) -> Array:
        """-t log p"""
        return -self.smooth_classes(t) * log(p)

    def slopes(self, p: Array, t: Array) -> Array:
        """-t / p"""
        self.check_slopes(p, t)
        return -self.smooth_classes(t) / np.maximum(p, np.finfo(p.dtype).tiny)

    def absorb(self, layer: Layer) -> Loss | None:
        """CategoricalCrossEntropyOnLogits for a Softmax."""
        return CategoricalCrossEntropyOnLogits(self.label_smoothing) if type(layer) is Softmax else None


class CategoricalCrossEntropyOnLogits(LabelSmoothing, Loss):
    """l = -t log softmax(z)      ∂l/∂z_k = softmax(z)_k Σ_j t_j - t_k

    z (B, K) any real numbers, t (B, K) one-hot or any distribution, for which Σ_j t_j = 1. It is
    CategoricalCrossEntropy of p = softmax(z); log softmax(z) = z - log Σ exp z needs no p (Bishop 2006, equation
    4.109).

    z_k takes part in every log softmax(z)_j of its row, with the slope [j = k] - softmax(z)_k (as LogSoftmax says). So
    the row's sum has -Σ_j t_j ([j = k] - softmax(z)_k) = softmax(z)_k Σ_j t_j - t_k.

    Raises ValueError for a `label_smoothing` that is not at least 0 and less than 1.
    """

    labels = at_steps = True
    boundary: float = 0.0

    def terms(self, z: Array, t: Array) -> Array:
        """-t log softmax(z)"""
        return -self.smooth_classes(t) * log_softmax(z)

    def slopes(self, z: Array, t: Array) -> Array:
        """softmax(z) Σ t - t"""
        t = self.smooth_classes(t)
        return softmax(z) * t.sum(axis=-1, keepdims=True) - t


class NegativeLogLikelihood(LabelSmoothing, Loss):
    """l = -t p      ∂l/∂p = -t

    p (B, K) the *logarithms* of the probabilities of K classes, as of LogSoftmax; t (B, K) one-hot or any distribution.
    It is CategoricalCrossEntropy of exp(p) (Bishop 2006, equation 4.108).

    Raises ValueError for p over 0 by more than rounding, for t outside [0, 1], and for a `label_smoothing` that is not
    at least 0 and less than 1.
    """

    labels = at_steps = True
    boundary: float = math.log(0.5)

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for p over 0 or t outside [0, 1]."""
        over = p.real > 1e-5
        if over.any():
            raise ValueError(
                f"NegativeLogLikelihood takes logarithms of probabilities, but a prediction is {p.real[over][0]:g}, "
                f"over 0; does the model lack a final LogSoftmax?"
            )
        check_range(self, "target", t, 0, 1, "; class labels must be one-hot here")

    def terms(self, p: Array, t: Array) -> Array:
        """-t p"""
        return -self.smooth_classes(t) * p

    def slopes(self, p: Array, t: Array) -> Array:
        """-t"""
        return -self.smooth_classes(t)


class KLDivergence(Loss):
    """l = t log(t / p)      ∂l/∂p = -t / p

    p (B, K) the probabilities of K classes (PyTorch takes their logarithms), t (B, K) the distribution they are to be
    like; where t is 0, l is 0. It is CategoricalCrossEntropy less the entropy of t, so it is 0 at p = t; the gradient
    is the same. To train with a Softmax, take that loss, which absorbs it. Source: Kullback and Leibler, "On
    information and sufficiency", Annals of Mathematical Statistics 22, 1951.

    Logs are clamped at -100 and denominators at the smallest normal number. Raises ValueError for p or t outside
    [0, 1], and for the slopes of p and t that are plainly exchanged.
    """

    labels = True

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for p or t outside [0, 1]."""
        check_probabilities(self, p, t, "Softmax")

    def terms(self, p: Array, t: Array) -> Array:
        """t (log t - log p)"""
        return t * (log(t) - log(p))

    def slopes(self, p: Array, t: Array) -> Array:
        """-t / p"""
        self.check_slopes(p, t)
        return -t / np.maximum(p, np.finfo(p.dtype).tiny)

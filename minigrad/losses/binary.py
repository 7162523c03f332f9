"""Binary cross-entropy: each output is a yes or no of its own."""

from __future__ import annotations

import numpy as np

from minigrad.functions import sigmoid
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid
from minigrad.losses.loss import LabelSmoothing, Loss
from minigrad.losses.probabilities import check_probabilities, log, log1m
from minigrad.parameter import Array


class BinaryCrossEntropy(LabelSmoothing, Loss):
    """l = -t log p - (1 - t) log(1 - p)      ∂l/∂p = (1 - t) / (1 - p) - t / p

    p, t (B, O) in [0, 1]: each output is a yes or no of its own. The negative log-likelihood of Bernoulli variables
    (Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.90). With p, log p has the slope 1 / p, and
    log(1 - p) by the chain rule -1 / (1 - p).

    Logs are clamped at -100 and denominators at the smallest normal number. Absorbs Sigmoid.

    Raises ValueError for p or t outside [0, 1], for the slopes of p and t that are plainly exchanged, and for a
    `label_smoothing` that is not at least 0 and less than 1.
    """

    labels = True
    binary = True

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for p or t outside [0, 1]."""
        check_probabilities(self, p, t, "Sigmoid")

    def terms(self, p: Array, t: Array) -> Array:
        """-t log p - (1 - t) log(1 - p)"""
        t = self.smooth(t, 2)
        return -t * log(p) - (1 - t) * log1m(p)

    def slopes(self, p: Array, t: Array) -> Array:
        """(1 - t) / (1 - p) - t / p"""
        self.check_slopes(p, t)
        t = self.smooth(t, 2)
        tiny = np.finfo(p.dtype).tiny
        return (1 - t) / np.maximum(1 - p, tiny) - t / np.maximum(p, tiny)

    def absorb(self, layer: Layer) -> Loss | None:
        """BinaryCrossEntropyOnLogits for a Sigmoid."""
        return BinaryCrossEntropyOnLogits(self.label_smoothing) if type(layer) is Sigmoid else None


class BinaryCrossEntropyOnLogits(LabelSmoothing, Loss):
    """l = softplus(z) - t z      ∂l/∂z = σ(z) - t

    z (B, O) any real numbers, t (B, O) in [0, 1]. It is BinaryCrossEntropy of p = σ(z): put log p = -softplus(-z) and
    log(1 - p) = -softplus(z) into its formula, and softplus(-z) = softplus(z) - z. The slope of softplus is σ, that of
    t z is t.

    softplus(z) is max(z, 0) + log(1 + exp(-|z|)), and max(z, 0) - t z = z ([z > 0] - t) is never negative: nothing
    cancels.

    Raises ValueError for a `label_smoothing` that is not at least 0 and less than 1.
    """

    labels = True
    binary = True
    boundary: float = 0.0

    def terms(self, z: Array, t: Array) -> Array:
        """z ([z > 0] - t) + log(1 + exp(-|z|))"""
        return z * ((z > 0) - self.smooth(t, 2)) + np.log1p(np.exp(np.minimum(z, -z)))

    def slopes(self, z: Array, t: Array) -> Array:
        """σ(z) - t"""
        return sigmoid(z) - self.smooth(t, 2)

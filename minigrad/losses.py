"""Losses: how wrong the predictions p are about the targets t, as one number, and its derivative.

One convention for all of them: with rows b and outputs o, the loss is the *mean over rows of the sum over outputs*,

    L = Σ_b l_b / B,   l_b = Σ_o l(p_bo, t_bo);   with weights   L = Σ_b w_b l_b / Σ_b w_b.

p and t have the same shape; nothing is broadcast, since (B,) against (B, 1) would quietly become (B, B).

Outputs at every step, p (B, T, K), are no more rows: L is the mean over the B of the sum over T and K. (PyTorch's mean
is over all B T steps.) There a loss of one of K classes also takes labels t (B, T), whole numbers from 0 to K - 1; a
step whose label is PADDING adds nothing to L and has no slope.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.configured import Configured
from minigrad.functions import log_softmax, one_hot, sigmoid, softmax
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid, Softmax
from minigrad.parameter import Array

PADDING = -1
"""The label of a step that is no step: it fills a short row up to the length of a long one."""


class Loss(Configured):
    """A stateless pair of functions, `forward(p, t) -> float` and `backward(p, t) -> dp`.

    A loss of one's own writes `terms(p, t)`, the array of l, and `slopes(p, t)`, the array of ∂l/∂p, and inherits the
    mean and the weights; or it writes `forward` and `backward` themselves.

    All methods raise ValueError where p and t differ in shape or have no rows.
    """

    labels = False
    """Whether one-dimensional targets are class labels, to be encoded, rather than one column of numbers."""

    binary = False
    """Whether each output is a yes or no of its own, so that one output can tell two classes apart."""

    at_steps = False
    """Whether it also takes one label for each step, t (B, T) for p (B, T, K)."""

    boundary: float = 0.5
    """The value of a single output from which on it stands for the second of two classes."""

    def target_shape(self, outputs: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a row of t for rows of p of this shape: the same, but for losses that say otherwise."""
        return outputs

    def terms(self, p: Array, t: Array) -> Array:
        """l(p, t), elementwise."""
        raise NotImplementedError(f"{type(self).__name__} has neither terms(p, t) nor forward(p, t)")

    def slopes(self, p: Array, t: Array) -> Array:
        """∂l/∂p, elementwise."""
        raise NotImplementedError(f"{type(self).__name__} has neither slopes(p, t) nor backward(p, t)")

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for predictions or targets outside the loss's domain."""

    def check_slopes(self, p: Array, t: Array) -> None:
        """Raise ValueError where predictions and targets are plainly exchanged; `slopes` of probabilities ask."""
        _check_order(self, p, t)

    def forward(self, p: Array, t: Array, sample_weight: Array | None = None) -> float:
        """L for predictions p (B, …) and targets t of the same shape; `sample_weight` (B,) weighs the rows.

        Raises ValueError for a weight that is negative or not finite, and for weights that are all zero.
        """
        if sample_weight is not None:
            check_weights(sample_weight)
        if self._labels_steps(p, t):
            check_step_labels("t", t, np.shape(p)[-1])
        return float(self.value(p, t, sample_weight))

    def value(self, p: Array, t: Array, sample_weight: Array | None = None) -> Any:
        """The same L as an array scalar of p's dtype: what can be recorded, and differentiated by a complex step."""
        if type(self).terms is Loss.terms:
            return self.forward(p, t) if sample_weight is None else self.forward(p, t, sample_weight)
        p, t = self._admit(p, t)
        if sample_weight is None:
            return self.terms(p, t).sum() / len(p)
        w = _column(sample_weight, p)
        return (self.terms(p, t) * w).sum() / w.sum()

    def backward(self, p: Array, t: Array, sample_weight: Array | None = None) -> Array:
        """dp = ∂L/∂p, of p's shape."""
        p, t = self._admit(p, t)
        if sample_weight is None:
            return self.slopes(p, t) / len(p)
        w = _column(sample_weight, p)
        return self.slopes(p, t) * w / w.sum()

    def absorb(self, layer: Layer) -> Loss | None:
        """A loss on the *input* of `layer` that equals this loss on its output, in a form that never overflows.

        None where there is no such form; `Objective` is the one place that asks.
        """
        return None

    def _labels_steps(self, p: Any, t: Any) -> bool:
        """Whether t are labels, one for each step of p: (B, T) for (B, T, K)."""
        return self.at_steps and np.ndim(t) >= 2 and np.shape(t) == np.shape(p)[:-1]

    def _admit(self, p: Any, t: Any) -> tuple[Array, Array]:
        if not hasattr(p, "dtype") or p.dtype.kind not in "fc":
            p = np.asarray(p, np.float64)
        if self._labels_steps(p, t):
            t = one_hot(t if hasattr(t, "dtype") else np.asarray(t), p.shape[-1], np.finfo(p.dtype).dtype)
        if not hasattr(t, "dtype") or (t.dtype != p.dtype and p.dtype.kind == "f"):
            t = np.asarray(t, p.dtype)
        if t.shape != (*p.shape[:1], *self.target_shape(p.shape[1:])):
            hint = "; make a column of it with t[:, None]" if p.shape == (*t.shape, 1) else ""
            raise ValueError(f"predictions of shape {p.shape} do not match targets of shape {t.shape}{hint}")
        if len(p) == 0:
            raise ValueError("the mean over no rows is not defined: p and t have zero rows")
        self.check(p, t)
        return p, t


def check_step_labels(name: str, labels: Any, classes: int) -> None:
    """Raise ValueError that names the first label (row, step) which is none of 0 to K-1, nor PADDING."""
    labels = np.asarray(labels)
    wrong = ~((labels == np.rint(labels)) & (labels < classes) & ((labels >= 0) | (labels == PADDING)))
    if wrong.any():
        first = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(
            f"{name} is {labels[first]} in row {first[0]}, step {', '.join(map(str, first[1:]))}: the labels of "
            f"{classes} outputs are whole numbers from 0 to {classes - 1}, and {PADDING} for a step to be left out"
        )


def check_weights(sample_weight: Array) -> None:
    """Raise ValueError unless all weights are finite, none is negative, and one at least is positive."""
    w = np.asarray(sample_weight)
    wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if wrong.size:
        raise ValueError(f"sample_weight of row {wrong[0]} is {w[wrong[0]]}; weights must be finite and not negative")
    if not w.any():
        raise ValueError("the sample weights are all zero")


def _column(weight: Any, p: Array) -> Array:
    """The weights as an array that multiplies the rows of p."""
    if not hasattr(weight, "dtype") or (weight.dtype != p.dtype and p.dtype.kind == "f"):
        weight = np.asarray(weight, p.dtype)
    if weight.shape != p.shape[:1]:
        raise ValueError(f"sample_weight has the shape {weight.shape}; {len(p)} rows need the shape ({len(p)},)")
    return weight.reshape(-1, *[1] * (p.ndim - 1))


def _check_probabilities(loss: Loss, p: Array, t: Array, last: str) -> None:
    _check_range(loss, "prediction", p, 0, 1, f"; does the model lack a final {last}?")
    _check_range(loss, "target", t, 0, 1, "; class labels must be one-hot here")


def _check_order(loss: Loss, p: Array, t: Array) -> None:
    """Raise ValueError where predictions are yes or no and targets neither: p and t are exchanged.

    Where they are not, such p have slopes of 1e37 and more, with which no training could go on.
    """
    p, t = p.real, t.real
    if p.min() == 0 and p.max() == 1 and ((p == 0) | (p == 1)).all() and ((t > 0) & (t < 1)).all():
        raise ValueError(
            f"every prediction is exactly 0 or 1, and no target is: {type(loss).__name__} takes (p, t), the "
            f"predictions first; are they exchanged?"
        )


def _check_range(loss: Loss, name: str, values: Array, low: float, high: float, hint: str = "") -> None:
    outside = (values.real < low) | (values.real > high)
    if outside.any():
        what = "probabilities" if high == 1 else "numbers that are not negative"
        raise ValueError(
            f"{type(loss).__name__} takes {what}, but a {name} is {values.real[outside][0]:g}, "
            f"outside [{low:g}, {high:g}]{hint}"
        )


def _log(p: Array) -> Array:
    """log p, not below -100, so that one row that is certain and wrong leaves the loss finite (as PyTorch does)."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), -100)


def _log1m(p: Array) -> Array:
    """log(1 - p), not below -100, to full accuracy at small p."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(-p), -100)


class LabelSmoothing(Configured):
    """What the cross-entropies share: with `label_smoothing` s, t is moved a share s of the way to no opinion.

    That is 1/2 for a yes or no, and 1/K for one of K classes: t' = (1 - s) t + s / K. Then no score grows forever for
    being more certain. Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture for
    computer vision", CVPR 2016, section 7.

    Raises ValueError for a `label_smoothing` that is not at least 0 and less than 1.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"{type(self).__name__}(label_smoothing={label_smoothing}): it must be at least 0 and less than 1"
            )
        self.label_smoothing = label_smoothing

    def smooth(self, t: Array, classes: int) -> Array:
        """(1 - s) t + s / classes"""
        if not self.label_smoothing:
            return t
        return (1 - self.label_smoothing) * t + self.label_smoothing / classes

    def smooth_classes(self, t: Array) -> Array:
        """(1 - s) t + s / K Σ t: a row of zeros, which is padding, stays one."""
        if not self.label_smoothing:
            return t
        total = t.sum(axis=-1, keepdims=True)
        return (1 - self.label_smoothing) * t + self.label_smoothing / t.shape[-1] * total


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
        _check_probabilities(self, p, t, "Sigmoid")

    def terms(self, p: Array, t: Array) -> Array:
        """-t log p - (1 - t) log(1 - p)"""
        t = self.smooth(t, 2)
        return -t * _log(p) - (1 - t) * _log1m(p)

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
        _check_probabilities(self, p, t, "Softmax")

    def terms(self, p: Array, t: Array) -> Array:
        """-t log p"""
        return -self.smooth_classes(t) * _log(p)

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
        _check_range(self, "target", t, 0, 1, "; class labels must be one-hot here")

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
        _check_probabilities(self, p, t, "Softmax")

    def terms(self, p: Array, t: Array) -> Array:
        """t (log t - log p)"""
        return t * (_log(t) - _log(p))

    def slopes(self, p: Array, t: Array) -> Array:
        """-t / p"""
        self.check_slopes(p, t)
        return -t / np.maximum(p, np.finfo(p.dtype).tiny)


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


class Poisson(Loss):
    """l = p - t log p      ∂l/∂p = 1 - t / p

    p (B, O) the mean numbers of events, as of Softplus; t (B, O) the counts. The negative log-likelihood of Poisson
    variables without log t!, which no p changes (McCullagh and Nelder, "Generalized linear models", 1989, chapter 6).
    (PyTorch's default takes log p instead.) The slope of log p is 1 / p.

    Logs are clamped at -100 and denominators at the smallest normal number (times t, so that the quotient is finite).
    Raises ValueError for negative p or t.
    """

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for negative p or t."""
        _check_range(self, "prediction", p, 0, math.inf)
        _check_range(self, "target", t, 0, math.inf)

    def terms(self, p: Array, t: Array) -> Array:
        """p - t log p"""
        return p - t * _log(p)

    def slopes(self, p: Array, t: Array) -> Array:
        """1 - t / p"""
        return 1 - t / np.maximum(p, np.maximum(t, 1) * np.finfo(p.dtype).tiny)


class MeanSquaredError(Loss):
    """l = (p - t)²      ∂l/∂p = 2 (p - t)

    p, t (B, O). The sum over outputs is not divided by O: see this module's convention. Least squares: Legendre 1805.
    """

    def terms(self, p: Array, t: Array) -> Array:
        """(p - t)²"""
        return np.square(p - t)

    def slopes(self, p: Array, t: Array) -> Array:
        """2 (p - t)"""
        return 2 * (p - t)


class MeanAbsoluteError(Loss):
    """l = |p - t|      ∂l/∂p = sign(p - t), and 0 at p = t

    p, t (B, O). Its minimum is the median of t, which outliers do not move (Laplace 1774).
    """

    def terms(self, p: Array, t: Array) -> Array:
        """|p - t|"""
        return np.abs(p - t)

    def slopes(self, p: Array, t: Array) -> Array:
        """sign(p - t)"""
        return np.sign(p - t)


class Huber(Loss):
    """l = d² / 2 where |d| <= δ, else δ (|d| - δ / 2), with d = p - t      ∂l/∂p = c, d clipped to [-δ, δ]

    p, t (B, O), δ > 0 in the units of t. With the clipped difference c both branches are c (d - c / 2): a parabola with
    the slope d = c, and beyond δ straight lines with the slope ±δ, which is c there. Source: Huber, "Robust estimation
    of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Raises ValueError for a `delta` that is not positive.
    """

    def __init__(self, delta: float = 1.0) -> None:
        if not delta > 0:
            raise ValueError(f"Huber(delta={delta}): delta must be positive")
        self.delta = delta

    def _clip(self, d: Array) -> Array:
        return np.minimum(np.maximum(d, -self.delta), self.delta)

    def terms(self, p: Array, t: Array) -> Array:
        """c (d - c / 2)"""
        d = p - t
        c = self._clip(d)
        return c * (d - c / 2)

    def slopes(self, p: Array, t: Array) -> Array:
        """c"""
        return self._clip(p - t)

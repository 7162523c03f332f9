"""Losses: how wrong the predictions p are about the targets t, as one number, and its derivative.

One convention for all of them: with rows b and outputs o, the loss is the *mean over rows of the sum over outputs*,

    L = Σ_b l_b / B,   l_b = Σ_o l(p_bo, t_bo);   with weights   L = Σ_b w_b l_b / Σ_b w_b.

p and t have the same shape; nothing is broadcast, since (B,) against (B, 1) would quietly become (B, B).

Outputs at every step, p (B, T, K), are no more rows: L is the mean over the B of the sum over T and K. (PyTorch's mean
is over all B T steps.) There a loss of one of K classes also takes labels t (B, T), whole numbers from 0 to K - 1; a
step whose label is PADDING adds nothing to L and has no slope.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.configured import Configured
from minigrad.functions import one_hot
from minigrad.layer import Layer
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
        check_order(self, p, t)

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


def check_order(loss: Loss, p: Array, t: Array) -> None:
    """Raise ValueError where predictions are yes or no and targets neither: p and t are exchanged.

    Where they are not, such p have slopes of 1e37 and more, with which no training could go on.
    """
    p, t = p.real, t.real
    if p.min() == 0 and p.max() == 1 and ((p == 0) | (p == 1)).all() and ((t > 0) & (t < 1)).all():
        raise ValueError(
            f"every prediction is exactly 0 or 1, and no target is: {type(loss).__name__} takes (p, t), the "
            f"predictions first; are they exchanged?"
        )


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

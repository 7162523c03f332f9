"""What losses of probabilities have in common: label smoothing, the range of p and t, logarithms of numbers near 0."""

from __future__ import annotations

import numpy as np

from minigrad.configured import Configured
from minigrad.losses.loss import Loss
from minigrad.parameter import Array


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


def check_probabilities(loss: Loss, p: Array, t: Array, last: str) -> None:
    """Raise ValueError for a prediction or a target outside [0, 1]; `last` is the layer that a model may lack."""
    check_range(loss, "prediction", p, 0, 1, f"; does the model lack a final {last}?")
    check_range(loss, "target", t, 0, 1, "; class labels must be one-hot here")


def check_range(loss: Loss, name: str, values: Array, low: float, high: float, hint: str = "") -> None:
    """Raise ValueError that names the first value outside [low, high]."""
    outside = (values.real < low) | (values.real > high)
    if outside.any():
        what = "probabilities" if high == 1 else "numbers that are not negative"
        raise ValueError(
            f"{type(loss).__name__} takes {what}, but a {name} is {values.real[outside][0]:g}, "
            f"outside [{low:g}, {high:g}]{hint}"
        )


def log(p: Array) -> Array:
    """log p, not below -100, so that one row that is certain and wrong leaves the loss finite (as PyTorch does)."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), -100)


def log1m(p: Array) -> Array:
    """log(1 - p), not below -100, to full accuracy at small p."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(-p), -100)

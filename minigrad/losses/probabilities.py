"""What losses of probabilities have in common: the range of p and t, and logarithms of numbers near 0."""

from __future__ import annotations

import numpy as np

from minigrad.losses.loss import Loss
from minigrad.parameter import Array


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

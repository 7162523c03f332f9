"""Input scaling as a layer, so that it is fitted once and saved with the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.layer import SameShape
from minigrad.parameter import Array, state


class Standardize(SameShape):
    """y = (x - mean) / scale      dx = dy / scale

    Shapes: x (B, …, I), y alike; mean, scale (I,). The batch has no part in them: a column's slope is 1 / scale.

    mean and scale are the mean and the standard deviation of each column of the training data; a column that is
    constant has scale 1. They are not trained but fitted, once and before training:

        model = Sequential([Standardize(4).fit(x_train), Dense(4, 8), …])

    Fit it on the rows to train on, and not on those held out: their mean is not known beforehand.
    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.3.

    `fitted` says that mean and scale have been found; `fit` sets it. Until then, forward and predict are errors.

    Raises ValueError for a width below 1.
    """

    mean: Array = state()
    scale: Array = state()

    def __init__(self, features: int, *, fitted: bool = False) -> None:
        if features < 1:
            raise ValueError(f"Standardize({features}): the width must be at least 1")
        self.features: int = features
        self.fitted: bool = fitted
        self.mean, self.scale = np.zeros(features), np.ones(features)

    def fit(self, x: Any) -> Standardize:
        """Set mean and scale to those of the columns of x (B, …, I), and return the layer itself.

        Raises ValueError for columns of another number, for no rows, and for values that are not finite.
        """
        x = np.asarray(x, np.float64)
        if x.ndim < 2 or x.shape[-1] != self.features or x.size == 0:
            raise ValueError(f"{self!r} is fitted on rows of {self.features} columns, not on x of shape {x.shape}")
        x = x.reshape(-1, self.features)
        finite = np.isfinite(x).all(axis=0)
        if not finite.all():
            raise ValueError(f"column {finite.argmin()} of x holds values that are not finite; fill or drop them first")
        self.mean = x.mean(axis=0)
        self.scale = np.where(x.min(axis=0) == x.max(axis=0), 1.0, x.std(axis=0))
        self.fitted = True
        return self

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape. Raises ValueError before `fit`."""
        if not self.fitted:
            raise ValueError(f"{self!r} has not been fitted; call its fit(x) with the training data")
        return (x - self.mean) / self.scale

    def backward(self, dy: Array) -> Array:
        """dy (B, …, I) -> dx of the same shape."""
        return dy / self.scale

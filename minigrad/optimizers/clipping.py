"""Gradient clipping, by norm and by value, around any optimizer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.optimizers.optimizer import Optimizer
from minigrad.optimizers.wrapper import Wrapper
from minigrad.parameter import Array


class ClipByNorm(Wrapper):
    """g ← g c / max(‖g‖ + 1e-6, c), then the step of `optimizer`: where ‖g‖ reaches c = `limit`, g is made that short.

    g is the whole gradient dθ, with the penalties of the objective and before any weight decay; its direction stays.
    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm
    1. The 1e-6 is that of PyTorch's clip_grad_norm_. The squares are summed in float64: in float32 they are infinite
    from 2e19 on.

    Raises ValueError for a `limit` that is not finite and above 0, and for an optimizer with a step of its own;
    TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        _check_limit(self, limit)
        self.limit = limit

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """g ← g c / max(‖g‖ + 1e-6, c)"""
        norm = np.sqrt(np.square(dtheta, dtype=np.float64).sum())
        scale = self.limit / np.maximum(norm + 1e-6, self.limit)
        g = np.multiply(dtheta, scale, dtype=dtheta.dtype.type, casting="same_kind")
        self.optimizer.update(theta, g, **coefficients)


class ClipByValue(Wrapper):
    """g ← min(max(g, -c), c), then the step of `optimizer`: every number of g is brought to [-c, c], c = `limit`.

    The direction of g changes. Source: Mikolov, "Statistical language models based on neural networks", 2012, section
    3.2.2. PyTorch's clip_grad_value_.

    Raises ValueError for a `limit` that is not finite and above 0, and for an optimizer with a step of its own;
    TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer, limit: float) -> None:
        super().__init__(optimizer)
        _check_limit(self, limit)
        self.limit = limit

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """g ← min(max(g, -c), c)"""
        g = np.minimum(np.maximum(dtheta, -self.limit), self.limit)
        self.optimizer.update(theta, g, **coefficients)


def _check_limit(wrapper: Wrapper, limit: float) -> None:
    if not 0 < limit < math.inf:
        raise ValueError(f"{type(wrapper).__name__}: limit={limit} must be finite and above 0")

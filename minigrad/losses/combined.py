"""A sum of losses over groups of columns, for one network with several answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.losses.loss import Loss
from minigrad.parameter import Array


class SumOfLosses(Loss):
    """l = Σ_i w_i l_i of the i-th group of columns      ∂l/∂p = w_i ∂l_i/∂p there

    p and t are groups of columns, side by side, each with a loss of its own: for one network with several answers.
    `parts` lists pairs of a loss and its number of columns of p, or with a weight behind them:

        SumOfLosses([(CategoricalCrossEntropyOnLogits(), 3), (MeanSquaredError(), 1, 0.1)])

    Raises ValueError for no parts, and for one that is no pair of a loss and its number of columns, or has a weight
    that is no number.
    """

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        given = tuple(parts) if isinstance(parts, Iterable) else (parts,)
        self.parts: tuple[tuple[Any, ...], ...] = tuple(
            tuple(part) if isinstance(part, Iterable) else (part,) for part in given
        )
        if not self.parts:
            raise ValueError("SumOfLosses needs at least one loss")
        for part in self.parts:
            if len(part) not in (2, 3) or not isinstance(part[0], Loss) or not isinstance(part[1], int) or part[1] < 1:
                raise ValueError(f"SumOfLosses: {part!r} is no pair of a loss and its number of columns")
            if not all(isinstance(weight, int | float | np.floating) for weight in part[2:]):
                raise ValueError(f"SumOfLosses: {part!r}: the weight of a loss is a number")

    def target_shape(self, outputs: tuple[int, ...]) -> tuple[int, ...]:
        """(…, n) -> (…, m), n and m being the columns of all p and of all t. Raises ValueError for another n."""
        if outputs[-1:] != (sum(part[1] for part in self.parts),):
            raise ValueError(f"{self!r} takes {sum(part[1] for part in self.parts)} columns, not outputs of {outputs}")
        return (*outputs[:-1], sum(part[0].target_shape((part[1],))[0] for part in self.parts))

    def check(self, p: Array, t: Array) -> None:
        """As the losses."""
        for loss, q, u, _ in self._groups(p, t):
            loss.check(q, u)

    def check_slopes(self, p: Array, t: Array) -> None:
        """As the losses."""
        for loss, q, u, _ in self._groups(p, t):
            loss.check_slopes(q, u)

    def terms(self, p: Array, t: Array) -> Array:
        """w_i l_i, side by side"""
        return np.concatenate([weight * loss.terms(q, u) for loss, q, u, weight in self._groups(p, t)], axis=-1)

    def slopes(self, p: Array, t: Array) -> Array:
        """w_i ∂l_i/∂p, side by side"""
        return np.concatenate([weight * loss.slopes(q, u) for loss, q, u, weight in self._groups(p, t)], axis=-1)

    def _groups(self, p: Array, t: Array) -> list[tuple[Loss, Array, Array, float]]:
        found, start, begin = [], 0, 0
        for loss, columns, *weight in self.parts:
            wide = loss.target_shape((columns,))[0]
            here = p[..., start : start + columns], t[..., begin : begin + wide]
            found.append((loss, *here, float(weight[0]) if weight else 1.0))
            start, begin = start + columns, begin + wide
        return found

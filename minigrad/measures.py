"""Losses for angles, quantiles and uncertainty, and sums of losses over groups of columns; as those of losses.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.losses import Loss
from minigrad.parameter import Array


class CosineSimilarity(Loss):
    """l = 1 - c,   c = p t / (|p| |t|)      ∂l/∂p = -(t / |t| - c p / |p|) / |p|

    p, t (B, O): only their directions count; 0 where they are the same, 2 where they are opposite.

    With p, the slope of p t is t, and that of |p| is p / |p|. By the rule for quotients, c = p t / (|p| |t|) has the
    slope t / (|p| |t|) - p t p / (|p|³ |t|) = (t / |t| - c p / |p|) / |p|: t's direction without its part along p.

    Lengths below 1e-8 count as 1e-8, as in PyTorch, where this is CosineEmbeddingLoss of pairs that belong together.
    (Keras's is l - 1.)
    """

    def terms(self, p: Array, t: Array) -> Array:
        """1 - c, (B, 1)"""
        return 1 - (p * t).sum(axis=-1, keepdims=True) / (_length(p) * _length(t))

    def slopes(self, p: Array, t: Array) -> Array:
        """-(t / |t| - c p / |p|) / |p|"""
        n, direction = _length(p), t / _length(t)
        along = (p * direction).sum(axis=-1, keepdims=True) / n * (n > SHORTEST)
        return (along * p / n - direction) / n


SHORTEST = 1e-8


def _length(p: Array) -> Any:
    return np.maximum(np.sqrt((p * p).sum(axis=-1, keepdims=True)), SHORTEST)


class Quantile(Loss):
    """l = q (t - p) where t > p, else (1 - q) (p - t)      ∂l/∂p = -q where t > p, 1 - q where t < p, 0 at p = t

    p, t (B, O). Its minimum is the q-quantile of t: with q = 0.9, nine of ten t lie below p; two networks, for 0.05 and
    0.95, give an interval. q = 0.5 is half of MeanAbsoluteError. Source: Koenker and Bassett, "Regression quantiles",
    Econometrica 46, 1978; also "pinball loss".

    Raises ValueError for a `q` that does not lie between 0 and 1.
    """

    def __init__(self, q: float = 0.5) -> None:
        if not 0 < q < 1:
            raise ValueError(f"Quantile(q={q}): q must lie between 0 and 1")
        self.q = q

    def terms(self, p: Array, t: Array) -> Array:
        """max(q d, (q - 1) d), d = t - p"""
        d = t - p
        return np.maximum(self.q * d, (self.q - 1) * d)

    def slopes(self, p: Array, t: Array) -> Array:
        """s / 2 + (1/2 - q) s², s = sign(p - t): 1 - q, -q, and 0 at p = t"""
        s = np.sign(p - t)
        return s / 2 + (0.5 - self.q) * s * s


class GaussianNLL(Loss):
    """l = (log v + (t - μ)² / v) / 2,   (μ, v) = p      ∂l/∂μ = (μ - t) / v,   ∂l/∂v = (1 - (t - μ)² / v) / (2 v)

    p (B, 2 O): the means μ, then the variances v, as of Softplus; t (B, O). The network says how sure it is of each
    answer. With μ, (t - μ)² / v has the slope -2 (t - μ) / v; with v, log v has 1 / v, and 1 / v has -1 / v². It is the
    negative log-likelihood of normal variables without log 2π / 2, which no p changes:

        Concatenate(Dense(8, 1), Sequential([Dense(8, 1), Softplus()]))

    A v below `eps` counts as `eps`, and has no slope. Source: Nix and Weigend, "Estimating the mean and
    variance of the target probability distribution", ICNN 1994. PyTorch's GaussianNLLLoss, but for the slope below eps.

    Raises ValueError for a negative v, and for an `eps` that is not positive.
    """

    def __init__(self, eps: float = 1e-6) -> None:
        if not eps > 0:
            raise ValueError(f"GaussianNLL(eps={eps}): eps must be positive")
        self.eps = eps

    def target_shape(self, outputs: tuple[int, ...]) -> tuple[int, ...]:
        """(…, 2 O) -> (…, O). Raises ValueError for an odd number of outputs."""
        if not outputs or outputs[-1] % 2:
            raise ValueError(f"GaussianNLL takes a mean and a variance for each target, not outputs of shape {outputs}")
        return (*outputs[:-1], outputs[-1] // 2)

    def check(self, p: Array, t: Array) -> None:
        """Raise ValueError for a negative variance."""
        v = p[..., t.shape[-1] :].real
        if (v < 0).any():
            raise ValueError(
                f"GaussianNLL takes variances in the second half of its predictions, but one is {v[v < 0][0]:g}; does "
                f"that half lack a final Softplus?"
            )

    def terms(self, p: Array, t: Array) -> Array:
        """(log v + (t - μ)² / v) / 2"""
        v = np.maximum(p[..., t.shape[-1] :], self.eps)
        return (np.log(v) + np.square(t - p[..., : t.shape[-1]]) / v) / 2

    def slopes(self, p: Array, t: Array) -> Array:
        """(μ - t) / v, and (1 - (t - μ)² / v) / (2 v)"""
        d, given = p[..., : t.shape[-1]] - t, p[..., t.shape[-1] :]
        v = np.maximum(given, self.eps)
        return np.concatenate([d / v, (1 - np.square(d) / v) / (2 * v) * (given > self.eps)], axis=-1)


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

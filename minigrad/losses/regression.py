"""Losses of numbers: squared and absolute errors, counts, quantiles, and a mean with its variance."""

from __future__ import annotations

import math

import numpy as np

from minigrad.losses.loss import Loss
from minigrad.losses.probabilities import check_range, log
from minigrad.parameter import Array


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
        check_range(self, "prediction", p, 0, math.inf)
        check_range(self, "target", t, 0, math.inf)

    def terms(self, p: Array, t: Array) -> Array:
        """p - t log p"""
        return p - t * log(p)

    def slopes(self, p: Array, t: Array) -> Array:
        """1 - t / p"""
        return 1 - t / np.maximum(p, np.maximum(t, 1) * np.finfo(p.dtype).tiny)


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

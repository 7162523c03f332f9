"""Normalizations: layers that bring what flows through them to mean 0 and size 1.

All but the last axis are rows here, so the same layer serves tables (B, I) and images with their channels last
(B, H, W, C).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minigrad.functions import sum_of_rows
from minigrad.layer import SameShape
from minigrad.parameter import Array, parameter, state


class Normalization(SameShape):
    """What all of them share: u, of mean 0 or size 1, and what is learned of it, y = gamma u + beta."""

    gamma: Array
    dgamma: Array
    beta: Array
    dbeta: Array
    gamma, dgamma = parameter(decay=False)
    beta, dbeta = parameter(decay=False)
    shifts: ClassVar[bool] = True
    """Whether there is a beta."""

    def __init__(self, features: int, eps: float = 1e-5, *, affine: bool = True) -> None:
        if features < 1:
            raise ValueError(f"{type(self).__name__}(features={features}): the width must be at least 1")
        if not eps >= 0:
            raise ValueError(f"{type(self).__name__}(features={features}): eps={eps} must be at least 0")
        self.features: int = features
        self.eps = eps
        self.affine = affine
        if affine:
            self.gamma = np.ones(features)
        if affine and self.shifts:
            self.beta = np.zeros(features)

    def _scaled(self, u: Array) -> Array:
        """gamma u + beta, or u itself with affine=False."""
        if not self.affine:
            return u
        return self.gamma * u + self.beta if self.shifts else self.gamma * u

    def _unscaled(self, dy: Array, u: Array) -> Array:
        """du = dy gamma; sets dgamma and dbeta."""
        if not self.affine:
            return dy
        if self.shifts:
            self.dbeta = sum_of_rows(dy)
        self.dgamma = sum_of_rows(dy * u)
        return dy * self.gamma


class BatchNorm(Normalization):
    """y = gamma u + beta,   u = (x - μ) / √(σ² + eps),   μ and σ²: mean and variance over the n rows of the batch

    dbeta = Σ_n dy,   dgamma = Σ_n dy u,   dx = gamma / √(σ² + eps) (dy - dbeta / n - u dgamma / n)

    Shapes: x (B, …, I), u and y alike; gamma, beta, μ, σ² (I,); n counts all axes but the last.

    For one column, with d = x - μ, r = 1 / √(σ² + eps), u = d r and du = dy gamma. x reaches y by three ways: through
    its own d, through μ, which is in every row's d, and through σ², which is in every row's r. From the last to the
    first:

    * u_i = d_i r: dr = Σ_j du_j d_j, and d_i has du_i r from here.
    * r = (σ² + eps)^(-1/2): its slope is -½ (σ² + eps)^(-3/2) = -½ r³, so dσ² = -½ r³ Σ_j du_j d_j.
    * σ² = Σ d_j² / n: its slope is 2 d_i / n. With the first, dd_i = du_i r - r³ d_i Σ_j du_j d_j / n, and since d = u
      / r, dd_i = r (du_i - u_i Σ_j du_j u_j / n).
    * d_i = x_i - μ: dμ = -Σ_j dd_j = -r Σ_j du_j. The other part adds nothing, for Σ_j u_j = 0.
    * μ = Σ x_j / n: its slope is 1/n. So dx_i = dd_i + dμ / n = r (du_i - Σ_j du_j / n - u_i Σ_j du_j u_j / n), and
      with gamma taken out of du, the sums are dbeta and dgamma.

    So dx has no mean, since y does not change when x is shifted. Stretching x does not change y either, so dx has no
    part along u; this second one holds up to eps, which is not stretched.

    Inference puts running_mean and running_var in the place of μ and σ². Each forward moves them a share `momentum` of
    the way to the batch's. (It is PyTorch's momentum; Keras's and ONNX's is 1 - momentum.) The running variance is the
    mean of the biased ones, Σ (x - μ)² / n, that training divides by, as Keras and ONNX have it; PyTorch's is unbiased,
    n / (n - 1) times that.

    Forward refuses a batch with fewer than two rows, of which there is no variance. Source: Ioffe and Szegedy, "Batch
    normalization: accelerating deep network training by reducing internal covariate shift", ICML 2015.

    Raises ValueError for a width below 1, for a negative `eps`, and for a `momentum` that is not from 0 to 1.
    """

    running_mean: Array = state()
    running_var: Array = state()

    _freezable = True

    def __init__(self, features: int, *, momentum: float = 0.1, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(features, eps, affine=affine)
        self.momentum = momentum
        if not 0 <= momentum <= 1:
            raise ValueError(f"{self!r}: momentum is the weight of the latest batch, from 0 to 1")
        self.running_mean, self.running_var = np.zeros(features), np.ones(features)

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape; moves the running statistics. Raises ValueError for n < 2."""
        if self._fixed:
            self.r: Array = 1 / np.sqrt(self.running_var + self.eps)
            return self.predict(x)
        self.n: int = x.size // x.shape[-1]
        if self.n < 2:
            raise ValueError(
                f"{self!r} can't train on {self.n} row{'s' * (self.n != 1)}, of which there is no variance; "
                f"choose a batch_size that leaves no last batch of one row, or use predict"
            )
        mean = sum_of_rows(x) / self.n
        d = x - mean
        var = sum_of_rows(d * d) / self.n
        self.r = 1 / np.sqrt(var + self.eps)
        self.u: Array = d * self.r
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return self._scaled(self.u)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, I) -> dx of the same shape; sets dgamma and dbeta (I,)."""
        scale = self.gamma * self.r if self.affine else self.r
        if self._fixed:
            return scale * dy
        dbeta, dgamma = sum_of_rows(dy), sum_of_rows(dy * self.u)
        if self.affine:
            self.dbeta: Array = dbeta
            self.dgamma: Array = dgamma
        return scale * (dy - dbeta / self.n - self.u * (dgamma / self.n))

    def predict(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape, by the running statistics: each row on its own."""
        r = 1 / np.sqrt(self.running_var + self.eps)
        return self._scaled((x - self.running_mean) * r)


class LayerNorm(Normalization):
    """y = gamma u + beta,   u = (x - μ) / √(σ² + eps),   μ and σ²: mean and variance over the last axis

    dbeta = Σ_B dy,   dgamma = Σ_B dy u,   dx = (du - mean du - u mean(du u)) / √(σ² + eps),   du = dy gamma

    Shapes: x (B, …, I), u and y alike; μ, σ² (B, …, 1); gamma, beta (I,). The means in dx are over the last axis.

    It is BatchNorm with the two axes exchanged, and so is its derivation: along a row instead of down a column. One
    thing differs: gamma varies along the row, so it stays in du, inside the means. Each row is normalized by itself, so
    training and inference are the same. Source: Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450, 2016.

    Raises ValueError for a width below 1, and for a negative `eps`.
    """

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape."""
        d = x - _mean(x)
        d = d - _mean(d)  # the rounding of the first mean, of which a row of equal numbers would be made
        self.r: Array = 1 / np.sqrt(_mean(d * d) + self.eps)
        self.u: Array = d * self.r
        return self._scaled(self.u)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, I) -> dx of the same shape; sets dgamma and dbeta (I,)."""
        du = self._unscaled(dy, self.u)
        return self.r * (du - _mean(du) - self.u * _mean(du * self.u))


class GroupNorm(Normalization):
    """y = gamma u + beta,   u = (x - μ) / √(σ² + eps),   μ and σ²: mean and variance over a group of channels of a row

    dbeta = Σ_B dy,   dgamma = Σ_B dy u,   dx = (du - mean du - u mean(du u)) / √(σ² + eps),   du = dy gamma

    Shapes: x (B, …, C), u and y alike; μ, σ² (B, G) for G groups of C / G neighbouring channels, each over all places
    of a row; gamma, beta (C,). The means in dx are over the same numbers as μ.

    It is LayerNorm of each group, and over all places; unlike BatchNorm, no row depends on another one. Source: Wu and
    He, "Group normalization", ECCV 2018.

    Raises ValueError for a width below 1, for a negative `eps`, and for groups that do not divide the features among
    them.
    """

    def __init__(self, groups: int, features: int, eps: float = 1e-5, *, affine: bool = True) -> None:
        super().__init__(features, eps, affine=affine)
        if groups < 1 or features % groups:
            raise ValueError(f"GroupNorm({groups}, {features}): the groups must divide the features among them")
        self.groups = groups

    def forward(self, x: Array) -> Array:
        """x (B, …, C) -> y of the same shape."""
        self.output_shape(x.shape[1:])
        grouped = self._grouped(x)
        d = grouped - self._mean(grouped)
        self.r: Array = 1 / np.sqrt(self._mean(d * d) + self.eps)
        self.u: Array = d * self.r
        self.rows: Array = self.u.reshape(x.shape)
        return self._scaled(self.rows)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, C) -> dx of the same shape; sets dgamma and dbeta (C,)."""
        du = self._grouped(self._unscaled(dy, self.rows))
        dx = self.r * (du - self._mean(du) - self.u * self._mean(du * self.u))
        return dx.reshape(dy.shape)

    def _grouped(self, x: Array) -> Array:
        """(B, …, C) as (B, n, G, C / G)."""
        return x.reshape(len(x), math.prod(x.shape[1:-1]), self.groups, self.features // self.groups)

    def _mean(self, x: Array) -> Any:
        return x.sum(axis=3, keepdims=True).sum(axis=1, keepdims=True) / (x.shape[1] * x.shape[3])


class InstanceNorm(GroupNorm):
    """y = gamma u + beta,   u = (x - μ) / √(σ² + eps),   μ and σ²: mean and variance over the places of a row

    dbeta = Σ_B dy,   dgamma = Σ_B dy u,   dx = (du - mean du - u mean(du u)) / √(σ² + eps),   du = dy gamma

    Shapes: x (B, …, C), u and y alike; μ, σ² (B, C); gamma, beta (C,). It is GroupNorm with a group for each channel,
    and has no statistics that run. (PyTorch's has affine=False by default.) Source: Ulyanov, Vedaldi and Lempitsky,
    "Instance normalization: the missing ingredient for fast stylization", arXiv:1607.08022, 2016.

    Raises ValueError for a width below 1, and for a negative `eps`.
    """

    row_axes = 2  # Places, and channels

    def __init__(self, features: int, eps: float = 1e-5, *, affine: bool = True) -> None:
        super().__init__(features, features, eps, affine=affine)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, C) -> the same. Raises ValueError for rows of another width, or with a single place."""
        if math.prod(input_shape[:-1]) < 2:
            raise ValueError(f"{self!r} takes lines or images of {self.features} channels, not rows of {input_shape}")
        return super().output_shape(input_shape)


class RMSNorm(Normalization):
    """y = gamma u,   u = x / √(mean x² + eps),   the mean over the last axis

    dgamma = Σ_B dy u,   dx = (du - u mean(du u)) / √(mean x² + eps),   du = dy gamma

    Shapes: x (B, …, I), u and y alike; gamma (I,).

    With r = 1 / √(mean x² + eps), u_i = x_i r: x_i has du_i r directly, and through r, whose slope with mean x² is -½
    r³ and that with x_i is -r³ x_i / I. So dx_i = du_i r - r³ x_i Σ_j du_j x_j / I = r (du_i - u_i mean(du u)).

    LayerNorm without the shift: rows keep their mean, and their size is measured from 0. Source: Zhang and Sennrich,
    "Root mean square layer normalization", NeurIPS 2019.

    Raises ValueError for a width below 1, and for a negative `eps`.
    """

    shifts = False

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape."""
        self.r: Array = 1 / np.sqrt(_mean(x * x) + self.eps)
        self.u: Array = x * self.r
        return self._scaled(self.u)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, I) -> dx of the same shape; sets dgamma (I,)."""
        du = self._unscaled(dy, self.u)
        return self.r * (du - self.u * _mean(du * self.u))


def _mean(x: Array) -> Any:
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]

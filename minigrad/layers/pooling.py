"""Pooling: an image made smaller, by the largest or the mean number of each window, channel by channel.

Images are channels last: (B, H, W, C). Pooling is a loop over the cells of a window, with all windows at once in each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.functions import floating
from minigrad.layer import Layer
from minigrad.layers.windows import PerAxis, Windowed
from minigrad.parameter import Array


class Pooling2D(Windowed):
    """What MaxPool2D and AvgPool2D share. A window steps by its own size unless `stride` says otherwise."""

    sliding = 2

    def __init__(
        self,
        size: PerAxis,
        stride: PerAxis | None = None,
        padding: str | PerAxis = 0,
        *,
        dilation: PerAxis = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.slide(size, size if stride is None else stride, padding, dilation)
        self.size = size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode
        if self.margin is not None and any(p >= k for p, k in zip(self.margin, self.window, strict=True)):
            raise ValueError(f"{self!r}: padding must be less than the window, or some would show nothing else")

    def counts(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many windows there are. Raises ValueError where one does not fit, or shows nothing but padding."""
        counts = super().counts(input_shape)
        if not self.within(input_shape[:-1], counts, False, np.float64).all():
            raise ValueError(f"{self!r}: in rows of shape {input_shape} some windows show nothing but padding")
        return counts

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(H, W, C) -> (h, w, C). Raises ValueError where the windows do not fit."""
        return (*self.counts(input_shape), input_shape[-1])


class MaxPool2D(Pooling2D):
    """y_rc = max_ij x_{r s + i d, c s + j d}

    dx_{r s + i d, c s + j d} += dy_rc where x is that maximum, for each channel

    y changes with the largest number of its window alone, with the slope 1, so dy goes there whole. Where windows
    overlap, a number may be the largest of several, and adds up what each gives it.

    Shapes: x (B, H, W, C), y (B, h, w, C); stride s, dilation d; ceil_mode as in Windowed. Of equal maxima in a window
    the first one, row by row, has the derivative, as in PyTorch. Padding is never a maximum: it counts as -∞. Source:
    Ranzato, Huang, Boureau and LeCun, "Unsupervised learning of invariant feature hierarchies", CVPR 2007.

    Raises ValueError for windows, strides or dilations that are no whole numbers of at least 1, and for a padding that
    there is not, or that is not less than the window.
    """

    def forward(self, x: Array) -> Array:
        """x (B, H, W, C) -> y (B, h, w, C)."""
        self.x_shape: tuple[int, ...] = x.shape
        counts = self.counts(x.shape[1:])
        self.x: Array = self.pad(floating(x), -math.inf)
        (_, y), *others = self.cells(self.x, counts)
        for _, seen in others:
            y = np.maximum(y, seen)
        self.y = y
        return y

    def backward(self, dy: Array) -> Array:
        """dy (B, h, w, C) -> dx (B, H, W, C)."""
        dx, free = np.zeros_like(dy, shape=self.x.shape), np.ones_like(dy, dtype="bool")
        counts = self.y.shape[1:-1]
        for (_, seen), (_, dseen) in zip(self.cells(self.x, counts), self.cells(dx, counts), strict=True):
            first = free & (seen == self.y)
            dseen += dy * first
            free = free ^ first
        return self.unpad(dx, self.x_shape)


class AvgPool2D(Pooling2D):
    """y_rc = Σ_ij x_{r s + i, c s + j} / n      dx_{r s + i, c s + j} += dy_rc / n,   n the number of cells of a window

    Each number takes part in the mean of every window that shows it, with the factor 1 / n, and adds up what all give.

    Shapes: x (B, H, W, C), y (B, h, w, C); stride s; ceil_mode as in Windowed. Padding counts as cells with 0, as in
    PyTorch; with count_include_pad=False, and in Keras, and in ONNX unless told otherwise, it is left out of the mean:
    n_rc is the number of cells that show x. What ceil_mode adds is left out anyway. Source: LeCun and others,
    "Handwritten digit recognition with a back-propagation network", NIPS 1989.

    Raises ValueError for windows or strides that are no whole numbers of at least 1, and for a padding that there is
    not, or that is not less than the window.
    """

    def __init__(
        self,
        size: PerAxis,
        stride: PerAxis | None = None,
        padding: str | PerAxis = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.count_include_pad = count_include_pad
        super().__init__(size, stride, padding, ceil_mode=ceil_mode)

    def forward(self, x: Array) -> Array:
        """x (B, H, W, C) -> y (B, h, w, C)."""
        self.x_shape: tuple[int, ...] = x.shape
        self.n: Any = self.shared_by(x.shape, floating(x).dtype)
        x = floating(x)
        (_, y), *others = self.cells(self.pad(x), self.counts(self.x_shape[1:]))
        for _, seen in others:
            y = y + seen
        return y / self.n

    def backward(self, dy: Array) -> Array:
        """dy (B, h, w, C) -> dx (B, H, W, C)."""
        dx, share = np.zeros_like(dy, shape=self.padded(self.x_shape)), dy / self.n
        for _, seen in self.cells(dx, dy.shape[1:-1]):
            seen += share
        return self.unpad(dx, self.x_shape)

    def shared_by(self, x_shape: tuple[int, ...], dtype: Any) -> Any:
        """n: one number where it is the same for all windows, else (h, w, 1)."""
        if self.count_include_pad and not self.ceil_mode:
            return math.prod(self.window)
        return self.within(x_shape[1:-1], self.counts(x_shape[1:]), self.count_include_pad, dtype)


class UpSampling2D(Layer):
    """y_{r k + i, c k + j} = x_rc      dx_rc = Σ_ij dy_{r k + i, c k + j}

    A pixel is copied to all its places with the slope 1, so what comes back from them is added up.

    Shapes: x (B, H, W, C), y (B, k H, k W, C): every pixel becomes k x l equal ones, for size=k or (k, l). It is how a
    picture becomes larger again, as behind the narrow place of an autoencoder. Source: Zeiler and Fergus, "Visualizing
    and understanding convolutional networks", ECCV 2014. PyTorch's Upsample in its mode "nearest".

    Raises ValueError for a size that is no whole number of at least 1, nor two of them.
    """

    row_axes = 3  # (H, W, C)

    def __init__(self, size: PerAxis = 2) -> None:
        self.size = size
        self.factors: tuple[int, ...] = tuple(size) if isinstance(size, Iterable) else (size, size)
        if len(self.factors) != 2 or not all(isinstance(n, int | np.integer) and n >= 1 for n in self.factors):
            raise ValueError(f"UpSampling2D({size!r}): the size is a whole number of at least 1, or two of them")

    def forward(self, x: Array) -> Array:
        """x (B, H, W, C) -> y (B, k H, l W, C)."""
        B, H, W, C = len(x), *self.output_shape(x.shape[1:])
        self.x_shape: tuple[int, ...] = x.shape
        k, n = self.factors
        y = np.zeros_like(x, shape=(B, H // k, k, W // n, n, C)) + x[:, :, None, :, None]
        return y.reshape(B, H, W, C)

    def backward(self, dy: Array) -> Array:
        """dy (B, k H, l W, C) -> dx (B, H, W, C)."""
        B, H, W, C = self.x_shape
        k, n = self.factors
        return dy.reshape(B, H, k, W, n, C).sum(axis=4).sum(axis=2)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(H, W, C) -> (k H, l W, C). Raises ValueError for rows that are no images."""
        if len(input_shape) != 3:
            raise ValueError(f"{self!r} takes images (H, W, C), not rows of shape {input_shape}")
        H, W, C = input_shape
        return (H * self.factors[0], W * self.factors[1], C)


class GlobalAvgPool2D(Layer):
    """y = Σ_rc x_rc / n      dx_rc = dy / n,   n = H W

    Every pixel takes part in its channel's mean with the factor 1 / n.

    Shapes: x (B, H, W, C), y (B, C): one number for each channel, whatever the size of the image. Source: Lin, Chen and
    Yan, "Network in network", ICLR 2014.
    """

    row_axes = 3  # (H, W, C)

    def forward(self, x: Array) -> Array:
        """x (B, H, W, C) -> y (B, C)."""
        self.output_shape(x.shape[1:])
        self.x = x
        return x.sum(axis=1).sum(axis=1) / (x.shape[1] * x.shape[2])  # as over both, in a fifth of the time

    def backward(self, dy: Array) -> Array:
        """dy (B, C) -> dx (B, H, W, C)."""
        _, H, W, _ = self.x.shape
        return np.zeros_like(dy, shape=self.x.shape) + (dy / (H * W))[:, None, None]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(H, W, C) -> (C,). Raises ValueError for rows that are no images, or have no pixels."""
        if len(input_shape) != 3 or 0 in input_shape[:2]:
            raise ValueError(f"{self!r} takes images (H, W, C), not rows of shape {input_shape}")
        return (input_shape[2],)

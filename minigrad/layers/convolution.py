"""Convolutions: one small Dense for all places of a line or an image, each with its neighbourhood for input.

What the windows show is gathered once, by one copy of a view, so that forward and dW are one matrix product each. dx is
a loop over the strips of a window (its rows of cells) and over sets of windows whose strips do not overlap: each adds
one matrix product to places side by side. One large product, spread over overlapping windows ("col2im"), takes twice
as long.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minigrad.functions import sum_of_rows
from minigrad.initializers import Initializer, initializer
from minigrad.layers.windows import MODES, PerAxis, Windowed
from minigrad.parameter import Array, parameter


class Convolution(Windowed):
    """What all convolutions share: W between what windows show and the places where they stand, one way or the other.

    In the shapes, n, h and k stand for one number an axis, or their product: n places of what is seen, of S channels,
    h windows, with P channels at the place of each.
    """

    dW: Array
    b: Array
    db: Array
    W, dW = parameter()
    b, db = parameter(decay=False)

    transposed: ClassVar[bool] = False
    """Whether x stands at the places, and y is what is seen."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: str | PerAxis = "valid",
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        init: str | Initializer = "glorot_uniform",
        seed: int | None = None,
    ) -> None:
        name = f"{type(self).__name__}({in_channels}, {out_channels}, {kernel_size})"
        if in_channels < 1 or out_channels < 1 or groups < 1:
            raise ValueError(f"{name}: channels and groups must be at least 1")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide both numbers of channels")
        if padding_mode not in MODES:
            raise ValueError(f"{name}: padding_mode is one of {', '.join(MODES)}, not {padding_mode!r}")
        self.slide(kernel_size, stride, padding, dilation)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.bias = bias
        self.padding_mode = padding_mode
        self.init = init
        self.seed = seed
        self.channels: int = in_channels
        seen, places = (out_channels, in_channels) if self.transposed else (in_channels, out_channels)
        rng, shape = np.random.default_rng(seed), (*self.window, seen // groups, places // groups)
        # Each group is drawn as a convolution of its own.
        self.W = np.concatenate([initializer(init)(rng, shape) for _ in range(groups)], axis=-1)
        if bias:
            self.b = np.zeros(out_channels)

    def _gathered(self, seen: Array, shape: tuple[int, ...]) -> Array:
        """What each window shows of each group of channels, as a row: (G, B h, k S/G). The places are of `shape`."""
        u = self.through(self.pad(seen))[_first(shape)]  # (B, h, k, S)
        u = u.reshape(*u.shape[:-1], self.groups, u.shape[-1] // self.groups)
        u = u.transpose(u.ndim - 2, *range(u.ndim - 2), u.ndim - 1)  # (G, B, h, k, S/G)
        return u.reshape(self.groups, math.prod(shape[:-1]), math.prod(self.W.shape[:-1]))

    def _painted(self, places: Array, shape: tuple[int, ...]) -> Array:
        """The transpose of that and of the product with W: what the places (B, h, P) add to what is seen, (B, n, S)."""
        painted = np.zeros_like(places, shape=self.padded(shape))
        seen = self.through(painted)[_first(places.shape)]
        for windows in self.apart(places.shape[-2]):
            part = self._grouped(places[windows])
            for cells in self.strips():
                strip = seen[(*windows, *cells)]
                strip += self._joined(part @ self._grouped(self.W[cells]).transpose(0, 2, 1), strip.shape)
        return self.unpad(painted, shape)

    def _grouped(self, a: Any) -> Any:
        """An array (…, P) as (G, …, P/G), with one axis in the middle."""
        return a.reshape(math.prod(a.shape[:-1]), self.groups, a.shape[-1] // self.groups).transpose(1, 0, 2)

    def _joined(self, a: Any, shape: tuple[int, ...]) -> Any:
        """The opposite: an array of groups as one (…, P) of this shape."""
        a = a.reshape(self.groups, *shape[:-1], shape[-1] // self.groups)
        return a.transpose(*range(1, len(shape)), 0, len(shape)).reshape(shape)


def _first(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """So many of the windows: there may be more, where a transposed convolution adds pixels after."""
    return (slice(None), *map(slice, shape[1:-1]))


class _Conv(Convolution):
    """What Conv1D and Conv2D share."""

    def forward(self, x: Array) -> Array:
        """x (B, n, I) -> y (B, h, O)."""
        self.x_shape: tuple[int, ...] = x.shape
        self.y_shape: tuple[int, ...] = (len(x), *self.output_shape(x.shape[1:]))
        self.u: Array = self._gathered(x, self.y_shape)
        y = self._joined(self.u @ self._grouped(self.W), self.y_shape)
        return y + self.b if self.bias else y

    def backward(self, dy: Array) -> Array:
        """dy (B, h, O) -> dx (B, n, I); sets dW (k, I/G, O) and db (O,)."""
        self.dW: Array = self._joined(self.u.transpose(0, 2, 1) @ self._grouped(dy), self.W.shape)
        if self.bias:
            self.db: Array = sum_of_rows(dy)
        return self._painted(dy, self.x_shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(n, I) -> (h, O). Raises ValueError for other channels, and where the windows do not fit."""
        return (*self.counts(input_shape), self.out_channels)


class Conv1D(_Conv):
    """y_t = b + Σ_i x_{t s + i d} W_i

    dW_i = Σ_B,t x_{t s + i d}ᵀ dy_t,   db = Σ_B,t dy_t,   dx_{t s + i d} += dy_t W_iᵀ

    Shapes: x (B, T, I), W (k, I/G, O), b (O,), y (B, h, O); stride s, dilation d. It is Conv2D along one axis, with the
    same derivation and arguments. Source: Waibel, Hanazawa, Hinton, Shikano and Lang, "Phoneme recognition using
    time-delay neural networks", IEEE Transactions on Acoustics, Speech, and Signal Processing 37, 1989.

    Raises ValueError for channels or groups below 1, for groups that do not divide both numbers of channels, for
    windows, strides or dilations that are no whole numbers of at least 1, and for a padding, `padding_mode` or `init`
    that there is not.
    """

    sliding = 1


class Conv2D(_Conv):
    """y_rc = b + Σ_ij x_{r s + i d, c s + j d} W_ij

    dW_ij = Σ_B,rc x_{r s + i d, c s + j d}ᵀ dy_rc,   db = Σ_B,rc dy_rc,   dx_{r s + i d, c s + j d} += dy_rc W_ijᵀ

    Shapes: x (B, H, W, I), W (kh, kw, I/G, O), b (O,), y (B, h, w, O); stride s, dilation d, channels last (PyTorch has
    them first). The cell (i, j) of the window at (r, c) shows one pixel of the padded x, a row of I numbers, and W_ij
    is a matrix (I, O): each y_rc is a Dense of all pixels in its window, with the same weights everywhere. So the
    derivatives are those of Dense, summed over the windows. A pixel adds up dx from every window that has shown it.

    With G groups, W_ij maps the first I/G channels of x to the first O/G of y, the second to the second, and so on;
    groups=in_channels is "depthwise". Padding, its modes and sizes are as in Windowed. It is the correlation,
    without the mathematician's reversal of W, as everywhere in this field. Source: LeCun, Bottou, Bengio and Haffner,
    "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86, 1998; "same", dilation and
    groups as in Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

    W is drawn by the initializer named `init` from `seed`, each group as a convolution of its own; b starts at 0, and
    is left out with `bias=False`. Between forward and backward it keeps x's windows: kh kw times the memory of x.

    Raises ValueError for channels or groups below 1, for groups that do not divide both numbers of channels, for
    windows, strides or dilations that are no whole numbers of at least 1, and for a padding, `padding_mode` or `init`
    that there is not.
    """

    sliding = 2

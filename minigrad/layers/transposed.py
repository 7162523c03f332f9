"""The transposed convolution: it makes an image larger, by what a convolution does backward."""

from __future__ import annotations

from minigrad.functions import sum_of_rows
from minigrad.initializers import Initializer
from minigrad.layers.convolution import Convolution
from minigrad.layers.windows import PerAxis
from minigrad.parameter import Array


class ConvTranspose2D(Convolution):
    """y_{r s + i d, c s + j d} += x_rc W_ijᵀ, and + b

    dW_ij = Σ_B,rc dy_{r s + i d, c s + j d}ᵀ x_rc,   db = Σ_B,RC dy_RC,   dx_rc = Σ_ij dy_{r s + i d, c s + j d} W_ij

    Shapes: x (B, h, w, I), W (kh, kw, O/G, I), b (O,), y (B, H, W, O); stride s, dilation d. Every pixel of x paints a
    window of y, as large as W and in proportion to it; where windows overlap, they add up. It is what Conv2D(O, I) with
    the same W does backward, dx of dy, so its forward is that and its backward is Conv2D's forward: no inverse, but the
    transpose of the same matrix. x_rc takes part in each number of its window, with the factor W_ij, and so dx_rc is
    the sum of what the window gets; W_ij does so for every pixel x_rc, and adds up over all of them.

    An axis of n pixels becomes (n - 1) s - 2 p + d (k - 1) + 1 + output_padding: what is padded there is cut off here.
    output_padding adds pixels after, which only some windows or none reach: a convolution of stride s makes the same n
    of s sizes, and this says of which one. padding="valid" cuts nothing off; "same" makes it n s, whatever k is, as
    Keras does. All else is as in Conv2D, and PyTorch's. Source: Dumoulin and Visin, "A guide to convolution arithmetic
    for deep learning", arXiv:1603.07285, chapter 4; first in Zeiler, Krishnan, Taylor and Fergus, "Deconvolutional
    networks", CVPR 2010.

    Raises ValueError for channels or groups below 1, for groups that do not divide both numbers of channels, for
    windows, strides or dilations that are no whole numbers of at least 1, and for a padding or `init` that there is
    not; also for an `output_padding` that is less than neither the stride nor the dilation, and for one with "same".
    """

    sliding = 2
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: str | PerAxis = "valid",
        output_padding: PerAxis = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        init: str | Initializer = "glorot_uniform",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            init=init,
            seed=seed,
        )
        self.output_padding = output_padding
        self.added: tuple[int, ...] = self._per_axis("output_padding", output_padding, 0)
        if any(o >= max(s, d) for o, s, d in zip(self.added, self._stride, self._dilation, strict=True)):
            raise ValueError(f"{self!r}: output_padding must be less than the stride, or than the dilation")
        if padding == "same" and any(self.added):
            raise ValueError(f'{self!r}: padding="same" settles the size; leave output_padding out')

    def forward(self, x: Array) -> Array:
        """x (B, h, w, I) -> y (B, H, W, O)."""
        self.x = x
        self.y_shape: tuple[int, ...] = (len(x), *self.output_shape(x.shape[1:]))
        y = self._painted(x, self.y_shape)
        return y + self.b if self.bias else y

    def backward(self, dy: Array) -> Array:
        """dy (B, H, W, O) -> dx (B, h, w, I); sets dW (kh, kw, O/G, I) and db (O,)."""
        u = self._gathered(dy, self.x.shape)
        self.dW: Array = self._joined(u.transpose(0, 2, 1) @ self._grouped(self.x), self.W.shape)
        if self.bias:
            self.db: Array = sum_of_rows(dy)
        return self._joined(u @ self._grouped(self.W), self.x.shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(h, w, I) -> (H, W, O). Raises ValueError for other channels, and where nothing would be left."""
        self.refuse(input_shape)
        axes = zip(input_shape, self._stride, self._spans, self.added, self.margin or (None, None), strict=False)
        places = [n * s if p is None else (n - 1) * s + span + o - 2 * p for n, s, span, o, p in axes]
        if min(places) < 1:
            raise ValueError(f"{self!r} leaves nothing of rows of shape {input_shape}: its padding cuts off all")
        return (*places, self.out_channels)

"""Layers made of layers: sums and rows of them, so that a residual block or a wide-and-deep net is a composition.

They list what they hold in `self.layers`; so the model finds the parameters in them, and in inference they predict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.layer import Layer, run_backward, run_forward
from minigrad.parameter import Array


class Combination(Layer):
    """What layers of layers share: `layers=[…]` is another way to give what they are made of."""

    def __init__(self, *given: Layer, layers: Sequence[Layer] = ()) -> None:
        self.layers: tuple[Layer, ...] = (*given, *layers)
        if not self.layers:
            raise ValueError(f"{type(self).__name__}() needs at least one layer")
        if any(isinstance(each, list | tuple) for each in given):
            raise TypeError(f"{type(self).__name__} takes layers, no list of them: {type(self).__name__}(*layers)")
        for each in self.layers:
            if not isinstance(each, Layer):
                raise TypeError(f"{type(self).__name__} takes layers, not {each!r}")

    @property
    def row_axes(self) -> int:
        """As many as one of the layers needs."""
        return max(layer.row_axes for layer in self.layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


class Residual(Combination):
    """y = x + f(x)      dx = dy + f'(x) dy,   f the chain of the given layers: Residual(Dense(8, 8), ReLU())

    Shapes: x (B, …), y and f(x) alike.

    x is used twice, and what comes back by both ways is added: dy itself from the sum's "x +", and f's own dx for dy.

    The path around f lets gradients through undiminished, however many such layers there are. Source: He, Zhang, Ren
    and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Raises ValueError for no layers at all, TypeError for what is no layer, a list of them too.
    """

    def forward(self, x: Array) -> Array:
        """x (B, …) -> y of the same shape. Raises ValueError where f changes the shape."""
        y = run_forward(self.layers, x)
        if y.shape != x.shape:
            raise ValueError(f"{self!r}: its layers turn {x.shape} into {y.shape}; x + f(x) needs the same shape")
        return x + y

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape; the layers set their gradients."""
        dx: Array = dy + run_backward(self.layers, dy)
        return dx

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """As of the first layer."""
        return self.layers[0].input_shape

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> the same. Raises ValueError where a layer does not take such rows, or f changes the shape."""
        shape = input_shape
        for layer in self.layers:
            shape = layer.output_shape(shape)
        if shape != input_shape:
            raise ValueError(f"{self!r}: its layers turn {input_shape} into {shape}; x + f(x) needs the same shape")
        return shape


class Branches(Combination):
    """What Concatenate and Average share: each branch f_i is given all of x, so dx = Σ_i f_i'(x) dy_i."""

    def through(self, dys: Iterable[Array]) -> Any:
        """The dy_i of each branch -> dx (B, …), None if no branch gives one."""
        dx = None
        for layer, dy in zip(self.layers, dys, strict=True):
            share = layer.backward(dy)
            dx = share if dx is None else dx if share is None else dx + share
        return dx

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """As of the first branch that knows it."""
        return next((layer.input_shape for layer in self.layers if layer.input_shape is not None), None)


class Concatenate(Branches):
    """y = [f_1(x), f_2(x), …] along the last axis      dx = Σ_i f_i'(x) dy_i

    Shapes: x (B, …), f_i(x) (B, …, O_i), y (B, …, O_1 + O_2 + …); dy_i is the part of dy at the place of f_i(x).

    Each branch f_i is given all of x and is one layer, or a Sequential of several; Columns picks a share of x. This is
    a wide-and-deep net on a table whose column 0 holds one of 7 categories:

        Concatenate(
            Sequential([Columns(0, 1, integers=True), Embedding(7, 3), Flatten(), Dense(3, 8), ReLU()]),
            Columns(1, 5),
        )

    A branch whose backward returns None, as there, has no derivative by x and adds nothing to dx. Source: Cheng and
    others, "Wide & deep learning for recommender systems", DLRS 2016.

    Raises ValueError for no layers at all, TypeError for what is no layer, a list of them too.
    """

    def forward(self, x: Array) -> Array:
        """x (B, …) -> y (B, …, O_1 + O_2 + …)."""
        parts = [layer.forward(x) for layer in self.layers]
        ends = np.cumsum([part.shape[-1] for part in parts]).tolist()
        self.places: list[slice] = [slice(end - part.shape[-1], end) for part, end in zip(parts, ends, strict=True)]
        return np.concatenate(parts, axis=-1)

    def backward(self, dy: Array) -> Any:
        """dy (B, …, O_1 + O_2 + …) -> dx (B, …), None if no branch gives one; the layers set their gradients."""
        return self.through(dy[..., place] for place in self.places)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> (…, O_1 + O_2 + …). Raises ValueError where a branch does not take such rows, or they don't fit."""
        shapes = [layer.output_shape(input_shape) for layer in self.layers]
        if any(shape[:-1] != shapes[0][:-1] for shape in shapes):
            raise ValueError(f"{self!r}: its branches give rows of shapes {shapes}, alike in the last axis only")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


class Average(Branches):
    """y = (f_1(x) + … + f_N(x)) / N      dx = Σ_i f_i'(x) dy / N

    Shapes: x (B, …), f_i(x) and y (B, …, O), the same of every branch.

    An ensemble in one model: Average(*networks) of networks that were trained apart answers with the mean of their
    answers, whose error is at most the mean of their errors, and less where they miss differently. Source: Hansen and
    Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis and Machine Intelligence 12, 1990.

    Raises ValueError for no layers at all, TypeError for what is no layer, a list of them too.
    """

    def forward(self, x: Array) -> Array:
        """x (B, …) -> y (B, …, O). Raises ValueError where the branches give rows of different shapes."""
        parts = [layer.forward(x) for layer in self.layers]
        self._check([part.shape for part in parts])
        y = parts[0]
        for part in parts[1:]:
            y = y + part
        return y / len(parts)

    def backward(self, dy: Array) -> Any:
        """dy (B, …, O) -> dx (B, …), None if no branch gives one; the layers set their gradients."""
        return self.through(dy / len(self.layers) for _ in self.layers)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> (…, O). Raises ValueError where a branch does not take such rows, or they give different ones."""
        shapes = [layer.output_shape(input_shape) for layer in self.layers]
        self._check(shapes)
        return shapes[0]

    def _check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"{self!r}: its branches give rows of shapes {shapes}; a mean needs the same of each")

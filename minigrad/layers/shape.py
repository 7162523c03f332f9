"""Layers that compute nothing: they lay out the numbers of a row in another way, or pick some of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array


class _Reordered(Layer):
    """What Flatten and Reshape share: a row of y has the numbers of a row of x, in order, in another shape."""

    def forward(self, x: Array) -> Array:
        """x (B, …) -> y (B, *output_shape)."""
        self.x_shape: tuple[int, ...] = x.shape
        return x.reshape(len(x), *self.output_shape(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        """dy (B, *output_shape) -> dx (B, …)."""
        return dy.reshape(self.x_shape)


class Flatten(_Reordered):
    """y: the numbers of each row of x, in order      dx: dy in the shape of x

    Shapes: x (B, …), y (B, I) with I the number of them.
    """

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> (I,)"""
        return (math.prod(input_shape),)


class Reshape(_Reordered):
    """y: the numbers of each row of x, in order, in the given shape      dx: dy in the shape of x

    Shapes: x (B, …), y (B, *shape), with as many numbers in a row.

    Raises TypeError for a shape that is no tuple; ValueError for one of other numbers than whole ones from 0 on.
    """

    def __init__(self, shape: Iterable[int]) -> None:
        if not isinstance(shape, Iterable):
            raise TypeError(f"Reshape({shape!r}): the shape of a row is a tuple, here ({shape!r},)")
        self.shape: tuple[int, ...] = tuple(shape)
        if not all(isinstance(n, int | np.integer) and n >= 0 for n in self.shape):
            raise ValueError(f"{self!r}: a shape consists of whole numbers that are not negative")

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> shape. Raises ValueError for rows with another number of numbers."""
        if math.prod(input_shape) != math.prod(self.shape):
            raise ValueError(
                f"{self!r} takes rows of {math.prod(self.shape)} numbers; those of shape {input_shape} "
                f"have {math.prod(input_shape)}"
            )
        return self.shape


class Columns(Layer):
    """y = x[…, start:stop]      dx[…, start:stop] = dy, and 0 elsewhere

    Shapes: x (B, …, I), y (B, …, stop - start).

    It is how a branch of Concatenate takes its share of a table. With integers=True the columns hold whole numbers that
    stand for something, such as categories, and come out as integers for an Embedding; there is no derivative by these,
    and backward returns None. A number more than a thousandth off a whole one comes out as -1, which an Embedding
    refuses.

    Raises ValueError for a `start` below 0, and for a `stop` that does not come after it.
    """

    def __init__(self, start: int, stop: int, *, integers: bool = False) -> None:
        if not 0 <= start < stop:
            raise ValueError(f"Columns({start}, {stop}): they are counted from 0, and stop comes after the last one")
        self.start = start
        self.stop = stop
        self.integers = integers

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y (B, …, stop - start)."""
        self.x = x
        y = x[..., self.start : self.stop]
        return whole(y) if self.integers else y

    def backward(self, dy: Array) -> Any:
        """dy (B, …, stop - start) -> dx (B, …, I), or None for integers."""
        if self.integers:
            return None
        dx = np.zeros_like(self.x)
        dx[..., self.start : self.stop] = dy
        return dx

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, I) -> (…, stop - start). Raises ValueError for fewer than `stop` columns."""
        if not input_shape or input_shape[-1] < self.stop:
            raise ValueError(f"{self!r} needs at least {self.stop} columns, not rows of shape {input_shape}")
        return (*input_shape[:-1], self.stop - self.start)


def whole(x: Array) -> Array:
    """x as integers, and -1 where it is none."""
    nearest = np.rint(np.real(x))
    return np.where(np.abs(x - nearest) < 1e-3, nearest, -1).astype(np.intp)

"""The embedding: a table of vectors, one for each word, category or code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, parameter


class Embedding(Layer):
    """y = W[x]      dW[v] = Σ dy over all places where x is v

    Shapes: x (B, …) integers from 0 to V - 1, W (V, O), y (B, …, O).

    A vector W[v] is copied to every place where x is v, with the slope 1, so all that comes back from these places is
    added up; a word that the batch does not have gets 0.

    It is Dense without a bias on one-hot rows, without the multiplication by their zeros. x has no derivative: backward
    returns None. Source: Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3, 2003.

    With `padding=code`, that code stands for nothing: its vector is 0, and has no gradient. Layers that look across
    steps leave such steps out, if told so: LSTM(…, padding=0.0).

    W is drawn from `seed`, normal with variance 1 / O, so that a vector has the length 1 on average.

    Raises ValueError for a number below 1, and for a `padding` that is none of its codes.
    """

    dW: Array
    W, dW = parameter()
    tied = False
    """Whether a Tied uses W as well, elsewhere in the model."""

    _lasting = (*Layer._lasting, "tied")

    def __init__(self, vocabulary: int, features: int, *, padding: int | None = None, seed: int | None = None) -> None:
        if vocabulary < 1 or features < 1:
            raise ValueError(f"Embedding({vocabulary}, {features}): both numbers must be at least 1")
        if padding is not None and not 0 <= padding < vocabulary:
            raise ValueError(f"Embedding({vocabulary}, {features}): padding={padding} is none of its codes")
        self.vocabulary = vocabulary
        self.features = features
        self.padding = padding
        self.seed = seed
        self.W = np.random.default_rng(seed).normal(0.0, math.sqrt(1 / features), (vocabulary, features))

    def forward(self, x: Array) -> Array:
        """x (B, …) -> y (B, …, O). Raises IndexError for what is no integer from 0 to V - 1."""
        if x.dtype.kind not in "iu":
            raise IndexError(
                f"{self!r} looks integers up, not {x.dtype}; for whole numbers in a table of floats, put "
                f"Columns(start, stop, integers=True) before it"
            )
        x = x.astype(np.intp)
        self.x: Array = np.where(x < 0, self.vocabulary, x)  # else NumPy would count them from the end
        try:
            y = self.W[self.x]
        except IndexError:
            self.check(x)
            raise
        return y if self.padding is None else y * self._real()

    def backward(self, dy: Array) -> None:
        """dy (B, …, O) -> None; sets dW (V, O)."""
        if self._fixed:
            return
        if not self.tied:  # else Tied has set dW: its own share of the gradient
            self.dW[...] = 0
        np.add.at(self.dW, self.x, dy if self.padding is None else dy * self._real())

    def _real(self) -> Any:
        return (self.x != self.padding)[..., None]

    def check(self, x: Array, start: int = 0) -> None:
        """Raise IndexError that names the first row of x, counted from `start`, with no integer from 0 to V - 1."""
        wrong = np.argwhere((x < 0) | (x >= self.vocabulary))
        if len(wrong):
            first = tuple(wrong[0])
            last = self.vocabulary - 1
            message = f"row {start + first[0]} of x: {self!r} has no vector {x[first]}; it has 0 to {last}"
            raise IndexError(message) from None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…) -> (…, O)"""
        return (*input_shape, self.features)

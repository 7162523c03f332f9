"""Channels first or last: in which order PyTorch and ONNX have the numbers of an image that is laid out as a row."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.convolution import Convolution
from minigrad.layers.dense import Dense
from minigrad.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from minigrad.layers.rectifiers import PReLU
from minigrad.layers.shape import Flatten, Reshape
from minigrad.parameter import Array, walk

BY_FEATURE = (BatchNorm, LayerNorm, RMSNorm, PReLU)


class OrderError(ValueError):
    """Where the order of a row can't be told."""


def last_of_first(shape: tuple[int, ...]) -> Array:
    """For each number of a row (…, C) laid out in our order, its place in one of (C, …)."""
    *places, channels = shape
    numbers = np.arange(math.prod(shape)).reshape(channels, *places)
    return np.moveaxis(numbers, 0, -1).ravel()


def in_our_order(name: str, value: Array, order: Array | None, dense: bool) -> Array:
    """A parameter whose inputs are counted channels first, counted channels last: rows of W, or one number for each."""
    if order is None or value.shape[:1] != order.shape or (dense and name != "W"):
        return value
    reordered: Array = value[order]
    return reordered


def orders(layers: Iterable[Layer], shape: tuple[int, ...] | None) -> dict[int, Array]:
    """For each layer whose input a Flatten has laid out, by its `id`, the order of that; where there is a difference.

    Raises OrderError where that matters and can't be told.
    """
    order: Array | None = None
    found: dict[int, Array] = {}
    lines = trained = False
    for layer in layers:
        lines, trained = lines or isinstance(layer, Convolution), trained or bool(layer.params)
        inner = list(walk(layer.layers))
        if any(isinstance(each, Flatten) for each in inner) and any(isinstance(each, Convolution) for each in inner):
            raise OrderError(f"{layer!r} lays images out inside; give its parts their weights one by one")
        if isinstance(layer, Flatten) or (isinstance(layer, Reshape) and len(layer.shape) == 1):
            if shape is None:
                raise OrderError("it lays images out, of a size that is not known: make it with input_shape=")
            if len(shape) == 3 or (len(shape) == 2 and lines):
                order = last_of_first(shape)
                order = None if np.array_equal(order, np.arange(len(order))) else order
        elif isinstance(layer, Reshape):
            if order is not None or (trained and layer.shape[-1] > 1):
                raise OrderError(f"{layer!r} stands between layers that have channels first there, and last here")
        elif order is not None:
            found[id(layer)] = order
            if isinstance(layer, Dense):
                order = None
            elif not isinstance(layer, BY_FEATURE) and (layer.params or inner):
                raise OrderError(f"{layer!r} follows images that are laid out in another order there than here")
        shape = None if shape is None else layer.output_shape(shape)
    return found

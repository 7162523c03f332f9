"""Slots: the parameters and states of a model, with the names and axes that a file has for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minigrad.layer import Layer
from minigrad.layers.attention import MultiHeadAttention
from minigrad.layers.convolution import Conv1D, Conv2D, Convolution
from minigrad.layers.dense import Dense
from minigrad.layers.embedding import Embedding
from minigrad.layers.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from minigrad.layers.rectifiers import PReLU
from minigrad.layers.standardize import Standardize
from minigrad.layers.steps import Recurrent
from minigrad.layers.transposed import ConvTranspose2D
from minigrad.model import Model, put
from minigrad.parameter import states_of

GENERATORS = ("PCG64", "PCG64DXSM")  # their states are plain numbers, which can't point outside of an array

# (class, parameter or state): the name in PyTorch, and PyTorch's axes in terms of ours. What is not listed keeps both.
TORCH: dict[tuple[type[Layer], str], tuple[str, tuple[int, ...] | None]] = {
    (Dense, "W"): ("weight", (1, 0)),
    (Dense, "b"): ("bias", None),
    (Conv1D, "W"): ("weight", (2, 1, 0)),
    (Conv2D, "W"): ("weight", (3, 2, 0, 1)),
    (ConvTranspose2D, "W"): ("weight", (3, 2, 0, 1)),
    (Convolution, "b"): ("bias", None),
    (BatchNorm, "gamma"): ("weight", None),
    (BatchNorm, "beta"): ("bias", None),
    (GroupNorm, "gamma"): ("weight", None),
    (GroupNorm, "beta"): ("bias", None),
    (LayerNorm, "gamma"): ("weight", None),
    (LayerNorm, "beta"): ("bias", None),
    (RMSNorm, "gamma"): ("weight", None),
    (Embedding, "W"): ("weight", None),
    (PReLU, "a"): ("weight", None),
    (Recurrent, "W"): ("weight_ih_l0", (1, 0)),
    (Recurrent, "U"): ("weight_hh_l0", (1, 0)),
    (Recurrent, "b"): ("bias", None),
    (MultiHeadAttention, "W"): ("in_proj_weight", (1, 0)),
    (MultiHeadAttention, "b"): ("in_proj_bias", None),
    (MultiHeadAttention, "Wo"): ("out_proj.weight", (1, 0)),
    (MultiHeadAttention, "bo"): ("out_proj.bias", None),
}
NOT_NEGATIVE: set[tuple[type[Layer], str]] = {(BatchNorm, "running_var"), (Standardize, "scale")}


def class_name(cls: type[Layer]) -> str:
    """A layer's name in a file: Dense for minigrad's own, module:Class for all others."""
    return cls.__qualname__ if cls.__module__.startswith("minigrad.") else f"{cls.__module__}:{cls.__qualname__}"


def slots(layer: Layer, prefix: str = "") -> Iterator[tuple[Layer, str, str, tuple[int, ...] | None]]:
    """Every parameter and state in the order of a Snapshot: the layer, the name, the tensor's name, its axes."""
    for name in layer.params | states_of(layer):
        listed = (TORCH[cls, name] for cls in type(layer).__mro__ if (cls, name) in TORCH)
        torch, axes = next(listed, (name, None))
        yield layer, name, prefix + torch, axes
    for position, inner in enumerate(layer.layers):
        yield from slots(inner, f"{prefix}{position}.")


def fill(model: Model, values: Sequence[Any]) -> None:
    """Write the values, in the order of a Snapshot, into the model's parameters and states."""
    for (layer, name, *_), value in zip(slots(model), values, strict=True):
        put(layer, name, value)

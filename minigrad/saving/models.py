"""A model as tensors and a description of its layers, and back.

A description is no proof that its file is harmless: layers are made by the classes that the registry knows, within a
budget of what the file can fill, and then every tensor is checked against its place.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import initializers
from minigrad.atomic import replacing, target_of
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
from minigrad.model import Model, Snapshot, put
from minigrad.parameter import Array, walk
from minigrad.saving import ModelFileError
from minigrad.saving.format import NUMBERS, as_json, decode, encode, making, naming, read, short
from minigrad.version import __version__

ROW = 1 << 24  # numbers in one row that a description may ask for beyond what fills the file
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


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model to `path`, as one safetensors file from which `minigrad.load` makes it again.

    Parameters, state, layers, dtype, input_shape, classes, boundary and preparation are kept; the gradients and what a
    pending backward needs are not. The new file replaces an old one when it is complete: a crash or a full disk leaves
    the old one. It is loaded once before that, so that a model that could not be loaded is refused while it is there.

    Raises ValueError that names the layer for what a file can't hold, such as an initializer of one's own, and OSError
    for a path that can't be written to.
    """
    target_of(path)
    written = loadable(model, path)
    with replacing(path) as file:
        file.write(written)


def annotate(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the model's preparation, as it is now, into the file that holds it; a training to go on with stays there.

    The new file replaces the old one when it is complete.
    """
    with naming(path):
        metadata, tensors = read(path)
    kept = {name: metadata[name] for name in ("model", "generators", "classes", "boundary", "checkpoint")}
    written = encode(kept | {"preparation": _preparation(model)}, tensors)
    with replacing(path) as file:
        file.write(written)


def load(path: str | os.PathLike[str]) -> Model:
    """The model in a file that `save` or a Checkpoint wrote; `minigrad.load` says what is raised."""
    with naming(path):
        return build(*read(path))


def loadable(model: Model, path: str | os.PathLike[str]) -> bytes:
    """The bytes of the model's file, after loading them once. Raises ValueError for a model that can't be loaded."""
    written = encode_model(model, Snapshot([model]), {}, None)
    try:
        build(*decode(written))
    except ModelFileError as error:
        raise ValueError(f"{path} can't be written, since this model could not be loaded: it {error}") from error
    return written


def encode_model(
    model: Model, snapshot: Snapshot, tensors: dict[str, Array], checkpoint: dict[str, Any] | None
) -> bytes:
    """The bytes of a file with what the snapshot holds; `tensors` stand beside the model's own."""
    arrays, generators = tensors_of(model, snapshot)
    description = {
        "model": describe(model),
        "generators": generators,
        "classes": describe_classes(model),
        "boundary": float(model.boundary),
        "preparation": _preparation(model),
        "checkpoint": checkpoint,
    }
    return encode(description, arrays | tensors)


def describe(layer: Layer, beside: Mapping[int, int] | None = None) -> dict[str, Any]:
    """A layer as {"class": …, "config": …}, with the arguments of a constructor's `*layers` as "arguments".

    A layer that stands elsewhere in the model, too, has a "number" where it stands and is {"same": number} there.
    """
    if beside is None:
        beside = {id(inner): n for n, inner in enumerate(i for each in walk([layer]) for i in each.shared)}
    config = {name: _argument(layer, name, value, beside) for name, value in layer.config().items()}
    node: dict[str, Any] = {"class": class_name(type(layer)), "config": config}
    if id(layer) in beside:
        node["number"] = beside[id(layer)]
    for name, argument in inspect.signature(type(layer)).parameters.items():
        if argument.kind is argument.VAR_POSITIONAL and "layers" not in config:
            node["arguments"] = _argument(layer, name, getattr(layer, name, layer.layers), beside)
    return node


def _argument(layer: Layer, name: str, value: Any, beside: Mapping[int, int]) -> Any:
    if isinstance(value, Layer):
        elsewhere = value in layer.shared and value not in layer.layers
        return {"same": beside[id(value)]} if elsewhere else describe(value, beside)
    if isinstance(value, list | tuple):
        return [_argument(layer, name, item, beside) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    for known, function in initializers.BY_NAME.items():
        if value is function:
            return known
    raise ValueError(
        f"{type(layer).__name__} can't be saved: its argument {name} is {value!r}, and a model file holds finite "
        f"numbers, text, layers and the names of minigrad's initializers, but no functions or other objects"
    )


def class_name(cls: type[Layer]) -> str:
    """A layer's name in a file: Dense for minigrad's own, module:Class for all others."""
    return cls.__qualname__ if cls.__module__.startswith("minigrad.") else f"{cls.__module__}:{cls.__qualname__}"


def describe_classes(model: Model) -> dict[str, Any] | None:
    """The class labels as JSON. Raises ValueError for one that is neither number, text nor bool."""
    if model.classes is None:
        return None
    labels = [label.item() if isinstance(label, np.generic) else label for label in model.classes.tolist()]
    for label in labels:
        if not isinstance(label, bool | int | float | str):
            raise ValueError(f"the model can't be saved: its class {label!r} is no number, text or bool")
    kind = model.classes.dtype.kind
    return {"dtype": {"O": "object", "T": "text"}.get(kind, model.classes.dtype.str), "labels": labels}


def _preparation(model: Model) -> dict[str, Any] | None:
    try:
        same = json.loads(as_json(model.preparation)) == model.preparation
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ValueError(f"the model can't be saved: its preparation is no JSON: {model.preparation!r}")
    return model.preparation


def tensors_of(model: Model, snapshot: Snapshot) -> tuple[dict[str, Array], dict[str, Any]]:
    """What a snapshot of the model holds: the arrays as the file's tensors, and the states of the generators."""
    arrays, generators = {}, {}
    for (layer, name, tensor, axes), (_, _, value) in zip(slots(model), snapshot.saved, strict=True):
        if isinstance(value, np.random.Generator):
            generators[tensor] = value.bit_generator.state
            if generators[tensor]["bit_generator"] not in GENERATORS:
                raise ValueError(f"{layer!r} can't be saved: its {name} is {value!r}; use np.random.default_rng(…)")
        elif value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
            raise ValueError(f"{layer!r} can't be saved: its {name} is of {value.dtype}, and a file holds numbers")
        else:
            arrays[tensor] = np.array(value if axes is None else value.transpose(axes), order="C")
    return arrays, generators


def slots(layer: Layer, prefix: str = "") -> Iterator[tuple[Layer, str, str, tuple[int, ...] | None]]:
    """Every parameter and state in the order of a Snapshot: the layer, the name, the tensor's name, its axes."""
    for name in layer.params | layer.states:
        listed = (TORCH[cls, name] for cls in type(layer).__mro__ if (cls, name) in TORCH)
        torch, axes = next(listed, (name, None))
        yield layer, name, prefix + torch, axes
    for position, inner in enumerate(layer.layers):
        yield from slots(inner, f"{prefix}{position}.")


def build(metadata: dict[str, Any], tensors: dict[str, Array]) -> Model:
    """The model itself, made by the classes that the registry knows, with the tensors in it."""
    model = _Maker(tensors, metadata["minigrad"]).layer(metadata["model"])
    if not isinstance(model, Model):
        raise ModelFileError(f"holds {model!r} by itself, which is a layer and not a model")
    if metadata["checkpoint"] is not None:
        tensors = {name: array for name, array in tensors.items() if not name.startswith("checkpoint.")}
    fill(model, checked_values(model, tensors, metadata["generators"]))
    if not math.isfinite(metadata["boundary"]):
        raise ModelFileError("is not consistent: its boundary between two classes is not finite")
    model.boundary, model.preparation = metadata["boundary"], metadata["preparation"]
    if metadata["classes"] is not None:
        with making("classes"):
            model.classes = _labels(metadata["classes"])
    return model


class _Maker:
    """Makes the layers of a file, and stops when their arguments ask for more numbers than the file can fill.

    Before a constructor runs, its integers are counted, and where it draws no weights by an `init`, the product of the
    two largest of them. An initializer is not run: it asks here for the shape.
    """

    def __init__(self, tensors: dict[str, Array], version: str) -> None:
        self.version = version
        held = sum(array.size for array in tensors.values())
        self.numbers = self.widths = held + NUMBERS
        self.row = held + ROW
        self.numbered: dict[int, Layer] = {}

    def layer(self, node: dict[str, Any]) -> Layer:
        """The layer that {"class": …, "config": …} describes."""
        if node.keys() == {"same"}:
            if node["same"] not in self.numbered:
                raise ModelFileError(f"is not consistent: {short(node)} is none of the layers before it")
            return self.numbered[node["same"]]
        name, config, known = node.get("class"), node.get("config"), {"class", "config", "arguments", "number"}
        if not node.keys() <= known or type(name) is not str or type(config) is not dict:
            raise ModelFileError(f"is not consistent: {short(node)} describes no layer")
        cls = self.named(name)
        with making(f"a {name}"):
            arguments = self.argument("", node.get("arguments", []))
            options = {key: self.argument(key, value) for key, value in config.items()}
            if cls._parameters and "init" not in options:
                sizes = sorted(abs(value) for key, value in options.items() if type(value) is int and key != "seed")
                self.take(math.prod(sizes[-2:]), name)
            init, drawn = options.get("init"), self.drawn
            if init in initializers.BY_NAME:
                options["init"] = drawn
            made = cls(*arguments, **options)
        if type(node.get("number")) is int:
            self.numbered[node["number"]] = made
        for inner in walk([made]):
            if vars(inner).get("init") is drawn:
                vars(inner)["init"] = init
        return made

    def named(self, name: str) -> type[Layer]:
        for cls in Layer.registry.values():
            if class_name(cls) == name:
                return cls
        module, _, own = name.rpartition(":")
        if not module:
            raise ModelFileError(
                f"holds the layer {short(name)}, which minigrad {__version__} does not have; "
                f"the file was written by minigrad {short(self.version)}"
            )
        way = f"define {own}" if module == "__main__" or "<locals>" in own else f"import {module}, which defines it,"
        raise ModelFileError(f"holds the layer {short(own)}, which is not known yet: {short(way)} before loading")

    def argument(self, name: str, value: Any) -> Any:
        """An argument of a constructor: lists become tuples, pairs of class and config become layers."""
        if isinstance(value, dict):
            return self.layer(value)
        if isinstance(value, list):
            items = tuple(self.argument(name, item) for item in value)
            size = 1
            for item in items:
                size *= item if type(item) is int else 1
                if abs(size) > self.row:
                    raise ModelFileError(f"asks for arrays of shape {short(items)}, for which it is much too small")
            return items
        if type(value) is int and name != "seed":
            self.widths -= abs(value)
            if self.widths < 0:
                raise ModelFileError(f"asks for {short(name)}={short(value)}, for which it is much too small")
        return value

    def drawn(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Stand in for an initializer: zeros, which the tensors replace, as long as the file holds so many numbers."""
        self.take(math.prod(shape), f"weights of shape {shape}")
        return np.broadcast_to(0.0, shape)

    def take(self, numbers: int, what: str) -> None:
        self.numbers -= numbers
        if self.numbers < 0:
            raise ModelFileError(f"asks for {short(what)}, for which it is much too small")


def checked_values(model: Model, tensors: dict[str, Array], generators: dict[str, Any]) -> list[Any]:
    """The value of each slot of the model, checked against what it is to replace."""
    held_by = [(*slot, vars(slot[0])[slot[1]]) for slot in slots(model)]
    wanted: dict[bool, set[str]] = {True: set(), False: set()}
    for _, _, tensor, _, held in held_by:
        wanted[isinstance(held, np.random.Generator)].add(tensor)
    for expected, found in ((wanted[False], tensors), (wanted[True], generators)):
        if expected != found.keys():
            missing, extra = sorted(expected - found.keys()), sorted(found.keys() - expected)
            raise ModelFileError(
                f"lacks {short(missing[0])}, which its layers need"
                if missing
                else f"holds {short(extra[0])}, for which none of its layers has a place"
            )
    values: list[Any] = []
    for layer, name, tensor, axes, held in held_by:
        if isinstance(held, np.random.Generator):
            values.append(_generator(tensor, held, generators[tensor]))
            continue
        array = tensors[tensor]
        shape = held.shape if axes is None else tuple(held.shape[axis] for axis in axes)
        if array.shape != shape or array.dtype != held.dtype:
            raise ModelFileError(
                f"holds {tensor} of shape {short(array.shape)} and {array.dtype}, where {short(repr(layer))} "
                f"takes {shape} and {held.dtype}"
            )
        check_numbers(layer, name, tensor, array, held)
        values.append(array if axes is None else array.transpose(np.argsort(axes)))
    return values


def check_numbers(layer: Layer, name: str, tensor: str, array: Array, held: Array) -> None:
    """Raise for numbers that no training leaves; a state may have those with which its layer begins, as inf is."""
    weights = name in layer.params
    finite = np.isfinite(array)
    if not finite.all() and (weights or np.isfinite(held).all()):
        what = "weights" if weights else "numbers"
        raise ModelFileError(f"holds {tensor} with {array[~finite][0]} among its {what}")
    if any((cls, name) in NOT_NEGATIVE for cls in type(layer).__mro__) and (array < 0).any():
        raise ModelFileError(f"holds {tensor} with {array.min()}, which must not be negative")


def _generator(name: str, held: np.random.Generator, state: Any) -> np.random.Generator:
    kind = type(held.bit_generator).__name__
    if kind not in GENERATORS or not isinstance(state, dict) or state.get("bit_generator") != kind:
        raise ModelFileError(f"holds another kind of random generator for {name} than its layer, which has {kind}")
    with making(f"a random generator for {name}"):
        made = np.random.Generator(getattr(np.random, kind)(0))
        made.bit_generator.state = state
        if made.bit_generator.state != state:
            raise ValueError("its state is none")
    return made


def _labels(written: dict[str, Any]) -> Array:
    """The classes, of the kind and dtype that they had."""
    match written:
        case {"dtype": str(dtype), "labels": [*labels], **rest} if not rest:
            pass
        case _:
            raise ValueError("they need dtype and labels")
    if any(type(label) not in (bool, int, float, str) for label in labels):
        raise ValueError("a label is a number, text or a bool")
    if dtype == "object":
        classes: Array = np.empty(len(labels), object)
        classes[:] = labels
    elif dtype == "text":
        classes = np.array(labels, np.dtypes.StringDType())
    elif re.fullmatch("[<>|][biufU][0-9]{1,9}", dtype) and len(labels) * np.dtype(dtype).itemsize <= ROW:
        classes = np.array(labels, dtype)
    else:
        raise ValueError(f"no labels are of {short(dtype)}")
    if list(map(repr, classes.tolist())) != list(map(repr, labels)):
        raise ValueError(f"the labels are not of {dtype}")
    return classes


def fill(model: Model, values: Sequence[Any]) -> None:
    """Write the values, in the order of a Snapshot, into the model's parameters and states."""
    for (layer, name, *_), value in zip(slots(model), values, strict=True):
        put(layer, name, value)

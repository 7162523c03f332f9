"""A model made of tensors and of a description of its layers.

A description is no proof that its file is harmless: layers are made by the classes that the registry knows, within a
budget of what the file can fill, and then every tensor is checked against its place.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from minigrad import initializers
from minigrad.layer import REGISTRY, Layer
from minigrad.model import Model
from minigrad.parameter import Array, walk
from minigrad.saving import ModelFileError
from minigrad.saving.format import NUMBERS, making, short
from minigrad.saving.slots import GENERATORS, NOT_NEGATIVE, class_name, fill, slots
from minigrad.version import __version__

ROW = 1 << 24  # numbers in one row that a description may ask for beyond what fills the file


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
        for cls in REGISTRY.values():
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

"""A model as a description of its layers, and as tensors. What a file can't hold is refused by name."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad import initializers
from minigrad.layer import Layer
from minigrad.model import Model, Snapshot
from minigrad.parameter import Array, walk
from minigrad.saving.format import as_json
from minigrad.saving.slots import GENERATORS, class_name, slots


def describe(layer: Layer, beside: Mapping[int, int] | None = None) -> dict[str, Any]:
    """A layer as {"class": …, "config": …}, with the arguments of a constructor's `*layers` as "arguments".

    A layer that stands elsewhere in the model, too, has a "number" where it stands and is {"same": number} there.
    """
    if beside is None:
        beside = {id(inner): n for n, inner in enumerate(i for each in walk([layer]) for i in each._shared())}
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
        elsewhere = value in layer._shared() and value not in layer.layers
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
        f"numbers, text, layers, lists of these and the names of minigrad's initializers, but no other objects; "
        f"{_way_out(value)}"
    )


def _way_out(value: Any) -> str:
    """What an argument may be in the place of one that no file holds."""
    match value:
        case float():
            return "None, or a text such as 'inf', may stand for it"
        case np.ndarray():
            return "give it as a list, array.tolist(), keep that, and let __init__ make the array under another name"
        case np.random.Generator():
            return "give a seed, keep that, and keep the generator that __init__ makes of it as state()"
        case np.dtype() | type():
            return "give its name as text, such as 'float32', and look it up in forward"
        case dict():
            return "give each of its entries as an argument, or a list of pairs"
    return "give a name as text, and look it up in a dict of your file in forward, or write it as a method"


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


def describe_preparation(model: Model) -> dict[str, Any] | None:
    """The model's preparation, which is to be JSON. Raises ValueError for one that does not come back the same."""
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

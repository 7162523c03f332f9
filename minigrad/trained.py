"""What a training trains: every parameter that a layer declares, and nothing else. Who thinks otherwise is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.attributes import mentions
from minigrad.layer import Layer
from minigrad.model import Model
from minigrad.parameter import Declared, walk

FREEZING = {"trainable": False, "requires_grad": False, "frozen": True}
"""What freezes a layer elsewhere: attributes, and the values with which they do."""

WEIGHTS = ("W", "w", "weight", "weights", "kernel", "b", "bias", "U", "V", "gamma", "beta")
"""What weights are called, here and elsewhere."""

UNDECLARED = "{parameter} and d{parameter} look like a parameter and its gradient, but are not declared"
NEVER_TRAINED = "{parameter} is never trained; write {parameter}, d{parameter} = parameter() in the class"

UNCHANGED = "its {parameter} is an array that no training changes"
DECLARE = (
    "declare it in the class, as a parameter, {parameter}, d{parameter} = parameter(), or, if it is to stay as it is, "
    "{parameter} = state()"
)


def check_nothing_frozen(model: Model) -> None:
    """Raise ValueError where a layer, or an array of it, is marked as one that is not to be trained.

    A mark that is an argument of a layer's class, or that its code asks for, is the layer's own business.
    """
    for layer in walk([model]):
        held = vars(layer)
        for name, value in FREEZING.items():
            marked = type(held.get(name)) in (bool, int, np.bool_) and bool(held[name]) is value
            if marked and not _knows(type(layer), name) and any(inner.params for inner in walk([layer])):
                raise ValueError(_not_frozen(layer, name, held[name]))
        for name in (*layer.params, "theta"):
            if name in held and not held[name].flags.writeable:
                raise ValueError(_not_frozen(layer, f"{name}.flags.writeable", False))


def _knows(cls: type, mark: str) -> bool:
    return mark in inspect.signature(cls).parameters or mentions(cls, Layer, mark)


def _not_frozen(layer: Layer, name: str, value: Any) -> str:
    return (
        f"{name} = {value} is not how minigrad freezes {layer!r}: to keep its parameters, make the model with "
        f"Frozen(layer) in its place; or train the rest on what it gives, fit(layer.predict(x), …)"
    )


def may_lack_declarations(model: Model) -> bool:
    """Whether a layer holds an array that it has not declared, such as W, while its code knows of a dW."""
    return any(
        isinstance(value, np.ndarray) and mentions(type(layer), Layer, f"d{name}") and _undeclared(layer, name, value)
        for layer in walk([model])
        for name, value in list(vars(layer).items())  # another thread may predict, and a layer keep what it has not yet
    )


def _undeclared(layer: Layer, name: str, value: Any) -> bool:
    known = any(isinstance(getattr(type(layer), each, None), Declared) for each in (name, f"d{name}"))
    own = known or name == "theta"  # a model's, of which the parameters are views
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and not own


def undeclared_weight(layer: Layer) -> str | None:
    """The name of an array that is called as weights are, in a layer whose backward is derived; else None.

    An array whose class says W = parameter(), and forgets dW, is meant as one, whatever it is called.
    """
    if type(layer).backward is not Layer.backward:
        return None
    held = vars(layer)
    meant = [name for name in held if name in WEIGHTS or _half_declared(layer, name)]
    return next((name for name in meant if _undeclared(layer, name, held[name])), None)


def _half_declared(layer: Layer, name: str) -> bool:
    pair = getattr(type(layer), name, None)
    return isinstance(pair, tuple) and any(isinstance(each, Declared) for each in pair)


def undeclared_parameter(layer: Layer, first: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """The name of a W that backward has filled a dW for, though neither is declared; None if there is none.

    `layer` has run backward; `before` are its attributes before that, and `first` those before forward, or of the layer
    that it is a copy of.
    """
    after = vars(layer)
    for name, value in first.items():
        partner = after.get(f"d{name}")
        kept = _undeclared(layer, name, value) and name in after and before.get(name) is after[name]
        if kept and isinstance(partner, np.ndarray) and partner.shape == value.shape:
            was = first.get(f"d{name}")
            if was is None or not np.array_equal(partner, was, equal_nan=partner.dtype.kind in "fc"):
                return name
    return None

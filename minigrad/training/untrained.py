"""What looks trained, or frozen, and is not: who thinks otherwise is told before the first step.

A training trains every parameter that a layer declares, and nothing else.
"""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

import numpy as np

from minigrad.configured import arguments_of
from minigrad.layer import Layer
from minigrad.model import Model
from minigrad.parameter import Array, Declared, walk

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

    A mark that is an argument of the layer's class is the layer's own business.
    """
    for layer in walk([model]):
        held = vars(layer)
        for name, value in FREEZING.items():
            marked = type(held.get(name)) in (bool, int, np.bool_) and bool(held[name]) is value
            if marked and name not in arguments_of(layer) and any(inner.params for inner in walk([layer])):
                raise ValueError(_not_frozen(layer, name, held[name]))
        for name in (*layer.params, "theta"):
            if name in held and not held[name].flags.writeable:
                raise ValueError(_not_frozen(layer, f"{name}.flags.writeable", False))


def _not_frozen(layer: Layer, name: str, value: Any) -> str:
    return (
        f"{name} = {value} is not how minigrad freezes {layer!r}: to keep its parameters, make the model with "
        f"Frozen(layer) in its place; or train the rest on what it gives, fit(layer.predict(x), …)"
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


def check_declared(model: Model) -> None:
    """Raise ValueError where there is nothing to train, or where a layer without a backward has not declared a weight.

    Where a backward is derived, no code fills a gradient, and the names must tell.
    """
    for layer in walk([model]):
        if (name := undeclared_weight(layer)) is not None:
            what, why = (words.format(parameter=name) for words in (UNCHANGED, DECLARE))
            raise ValueError(f"{layer!r}: {what}: {why}")
    if model.theta.size == 0:
        raise ValueError(
            f"{model!r} has no parameters, so there is nothing to train; a layer that learns declares them in its "
            f"class, as in W, dW = parameter(), or is one of the package's, such as Dense"
        )


Undeclared: TypeAlias = tuple[Layer, dict[str, tuple[Array, Any]]]


def undeclared_arrays(layer: Layer) -> Undeclared:
    """The arrays W of a layer that it has not declared, each with a copy of what it holds as dW, if anything."""
    held = dict(vars(layer))
    arrays = {name: value for name, value in held.items() if _undeclared(layer, name, value)}
    return layer, {name: (value, copy.copy(held.get(f"d{name}"))) for name, value in arrays.items()}


def filled_gradient(undeclared: Undeclared) -> str | None:
    """The name of a W for which backward has filled a dW since, though neither is declared; None if there is none."""
    layer, arrays = undeclared
    for name, (value, before) in arrays.items():
        gradient: Any = vars(layer).get(f"d{name}")
        if vars(layer).get(name) is not value or np.shape(gradient) != value.shape:
            continue
        if before is None or not np.array_equal(gradient, before):
            return name
    return None


def check_gradients(undeclared: list[Undeclared]) -> None:
    """Raise ValueError for a layer whose backward fills a gradient that no optimizer sees, since it is not declared."""
    for each in undeclared:
        if (name := filled_gradient(each)) is not None:
            what, why = (words.format(parameter=name) for words in (UNDECLARED, NEVER_TRAINED))
            raise ValueError(f"{each[0]!r}: {what}; {why}")

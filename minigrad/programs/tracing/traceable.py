"""What programs rely on is declared: who may be traced, and what a program takes for granted of whom it has traced.

The package's own layers, losses and optimizers are traceable, and so is a class of a user's that says so in its own
body:

    class Scale(Layer):
        traceable = True

It promises that forward and backward (terms and slopes of a loss, update of an optimizer) depend on nothing but their
arguments, the constructor's arguments, the parameters and what is declared with `state()`. The promise is not
inherited: a subclass may break it. `promises.broken_promise` looks for what breaks it.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.configured import Configured, constructor_arguments, is_ours as is_ours, is_traceable as is_traceable
from minigrad.layer import Layer
from minigrad.parameter import Declared

UNDECLARED = "its class does not say traceable = True"
VERBS = frozenset(("forward", "backward", "predict"))
PLAIN = (bool, int, float, complex, str, bytes, slice, range, np.dtype, np.generic, type(None), type(Ellipsis))
MISSING = object()


def replaced_method(thing: Any) -> str | None:
    """The name of a method that the object itself holds in place of its class's; None where there is none."""
    return next((name for name in vars(thing) if callable(getattr(type(thing), name, None))), None)


class ByIdentity:
    """A thing that equals itself alone, and is kept alive so that no other is taken for it."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Unsure(TypeError):
    """A setting of which nobody can say whether it changes."""


def content(value: Any) -> Any:
    """A setting in a form that can be compared later: arrays by their bytes, layers and functions by identity.

    Raises Unsure for an object of any other kind.
    """
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return np.ndarray, value.dtype, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return type(value), tuple(map(content, value))
    if isinstance(value, dict):
        return dict, tuple((content(name), content(item)) for name, item in value.items())
    if isinstance(value, Configured | Declared | np.random.Generator) or callable(value):
        return ByIdentity(value)
    raise Unsure(f"a {type(value).__name__}")


class Guards:
    """What a program takes for granted: it holds as long as all of it is as it was when this was made.

    Of each layer these are its constructor's arguments, the layers in it and its methods. Of `declared`,
    the (object, name) of parameters, gradients and state, the content may change, but not the array. Raises Unsure
    where an argument can't be looked into.
    """

    def __init__(self, layers: Iterable[Layer], declared: Iterable[tuple[Any, str]]) -> None:
        self._same = [(vars(thing), name, vars(thing)[name]) for thing, name in declared]
        self._settings: list[tuple[dict[str, Any], str, Any, Any]] = []
        self._layers: list[dict[str, Any]] = []
        self._classes: dict[type, Any] = {}
        methods = operator.attrgetter(*VERBS)
        for layer in layers:
            held: dict[str, Any] = vars(layer)
            cls: type = type(layer)
            self._layers.append(held)
            self._classes[cls] = methods(cls)
            for name in (*constructor_arguments(cls), "layers"):
                value = held.get(name, MISSING)
                fixed = value is MISSING or isinstance(value, PLAIN)
                self._settings.append((held, name, value, None if fixed else content(value)))

    def hold(self) -> bool:
        """Whether nothing has changed."""
        return (
            all(held.get(name) is value for held, name, value in self._same)
            and all(map(VERBS.isdisjoint, self._layers))
            and all(operator.attrgetter(*VERBS)(cls) == before for cls, before in self._classes.items())
            and all(self._is_as_it_was(*setting) for setting in self._settings)
        )

    @staticmethod
    def _is_as_it_was(held: dict[str, Any], name: str, value: Any, before: Any) -> bool:
        now = held.get(name, MISSING)
        if before is None and now is value:
            return True
        try:
            return now is not MISSING and content(now) == (content(value) if before is None else before)
        except Unsure:
            return False


def copied(things: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """A deep copy, and the pairs of each thing in it that was copied and its copy."""
    memo: dict[Any, Any] = {}
    double = copy.deepcopy(things, memo)
    originals = memo.pop(id(memo), [])
    return double, [(original, memo[id(original)]) for original in originals if id(original) in memo]

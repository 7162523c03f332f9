"""NumPy for a method that is tried: with np.empty giving arrays of a number, and not what the memory held."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.parameter import Array, walk
from minigrad.programs.tracing.traceable import is_ours
from minigrad.testing.bench.code import methods
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.oracle.rounding import same

ONE, OTHER = 1.5, -2.5
EMPTY = ("empty", "empty_like")


class Filled:
    """Stands for NumPy where the arrays of np.empty are to hold a number."""

    def __init__(self, number: float) -> None:
        self._number = number

    def __getattr__(self, name: str) -> Any:
        made = getattr(np, name)
        return self._filling(made) if name in EMPTY else made

    def _filling(self, made: Any) -> Any:
        def filled(*arguments: Any, **options: Any) -> Any:
            array = made(*arguments, **options)
            if array.dtype.kind in "fc":
                array.fill(self._number)
            return array

        return filled


def calls_empty(function: FunctionType) -> bool:
    """Whether a function calls np.empty, by that name."""
    return not {*function.__code__.co_names}.isdisjoint(EMPTY)


def globals_of(function: FunctionType, number: float) -> dict[str, Any]:
    """The globals of a function, if it calls np.empty, with this in the place of NumPy."""
    if not calls_empty(function):
        return function.__globals__
    held = function.__globals__.items()
    return {name: Filled(number) if value is np or isinstance(value, Filled) else value for name, value in held}


def left_to_chance(bench: LayerBench) -> str | None:
    """What depends on the memory that np.empty has found: "y", or the name of a part of the gradient."""
    places = list(places_of(bench))
    if not places:
        return None
    dy = bench.upstream(bench.subject.forward(bench.x))
    try:
        (y, one), (again, other) = (_results(bench, places, dy, number) for number in (ONE, OTHER))
    except Exception:  # of the layer, at such numbers
        return None
    if not same(y, again):
        return "y"
    return next((part.name for part in bench.parts() if not same(one[part.span], other[part.span])), None)


def places_of(bench: LayerBench) -> Iterator[tuple[int, str]]:
    """The methods that call np.empty: of which layer in the walk, and their names."""
    for number, layer in enumerate(walk([bench.layer])):
        cls = type(layer)
        for name in () if is_ours(cls) else methods(cls, ("forward", "backward")):
            function = getattr(cls, name)
            if isinstance(function, FunctionType) and calls_empty(function):
                yield number, name


def _results(bench: LayerBench, places: list[tuple[int, str]], dy: Array, number: float) -> tuple[Array, Array]:
    """y and the gradient, where what np.empty gives holds this number."""
    subject = Subject(bench.layer)
    subject.theta[...] = bench.theta
    layers = list(walk([subject.layer]))
    for place, name in places:
        held: Any = getattr(type(layers[place]), name)
        function = FunctionType(held.__code__, globals_of(held, number), name, held.__defaults__, held.__closure__)
        function.__kwdefaults__ = held.__kwdefaults__
        vars(layers[place])[name] = MethodType(function, layers[place])
    y = subject.forward(bench.x.copy()).copy()
    return y, subject.collect(bench.x, subject.layer.backward(dy.copy()))

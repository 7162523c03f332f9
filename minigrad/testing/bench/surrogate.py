"""Layers, within a layer or a model, whose backward is on purpose the derivative of another function than forward.

Such a layer declares `surrogate(x)`, the identity of a straight-through rounding say. What is differentiated is then
the whole with y₀ + s(x) - s(x₀) in the place of that layer's forward, where x₀ and y₀ are what it has in the middle:
there it has forward's value, and the surrogate's slope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from minigrad.layer import Layer
from minigrad.parameter import Array, walk
from minigrad.programs.tracing.arrays import raw

Result = TypeVar("Result")


class Surrogates:
    """The layers in `layer`, apart from itself, that declare a surrogate, and what they had in the middle."""

    def __init__(self, layer: Layer) -> None:
        self.layers: list[Any] = [
            inner for inner in walk([layer]) if inner is not layer and hasattr(inner, "surrogate")
        ]
        self._middle: list[Array] = []  # y₀ - s(x₀) of every call

    def around(self, middle: Callable[[], object], run: Callable[[], Result]) -> Result:
        """What `run` gives with surrogates in place, which meet forward where `middle` runs."""
        self._middle = []
        with self._tapped(lambda inner, forward, number: lambda x: self._noted(inner, forward, x)):
            middle()
        with self._tapped(lambda inner, forward, number: lambda x: self._moved(inner, number, x)):
            return run()

    def _noted(self, inner: Any, forward: Callable[[Array], Array], x: Array) -> Array:
        y = forward(x)
        self._middle.append(raw(y - inner.surrogate(x)))  # for other forwards, of a layer that is derived too
        return y

    def _moved(self, inner: Any, number: Iterator[int], x: Array) -> Array:
        return self._middle[next(number)] + inner.surrogate(x)

    @contextmanager
    def _tapped(self, tap: Callable[..., Any]) -> Iterator[None]:
        """Every such layer's forward is another; `number` counts their calls."""
        number = iter(range(10**9))
        try:
            for inner in self.layers:
                vars(inner)["forward"] = tap(inner, inner.forward, number)
            yield
        finally:
            for inner in self.layers:
                vars(inner).pop("forward", None)


STEPS = {"round", "rint", "sign", "floor", "ceil", "trunc", "heaviside"}
MEANT = "; if it is another function's derivative on purpose, straight through a rounding, surrogate(x) returns that"


def may_be_meant(layer: Layer, given: Array, wanted: Array) -> bool:
    """Whether a wrong gradient may be one on purpose: forward has steps, or a slope of 0 where backward gives one."""
    code = getattr(type(layer).forward, "__wrapped__", type(layer).forward).__code__
    return not hasattr(layer, "surrogate") and bool(STEPS & {*code.co_names} or (given.any() and not wanted.any()))

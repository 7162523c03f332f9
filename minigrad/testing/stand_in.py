"""NumPy for a method that is tried: with np.empty giving arrays of a number, and not what the memory held."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

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

"""Which methods of a class a change of its code may be tried in, told without their source."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from minigrad.programs.tracing.traceable import is_ours

KEPT = ("forward", "predict", "config", "output_shape")  # methods that no gradient is computed in
UNSAFE = ("as_strided", "frombuffer", "ctypes")  # changed arguments of these may read or write anywhere


def methods(cls: type, starts: tuple[str, ...]) -> Iterator[str]:
    """Names of methods: these, and those of the class that they call of self; none where a change may be unsafe."""
    found, left = dict[str, None](), [] if is_unsafe(cls) else list(starts)
    while left:
        name = left.pop(0)
        function = getattr(cls, name, None)
        if name in found or not callable(function):
            continue
        found[name] = None
        left += [called for called in _names(function) if _is_helper(cls, called)]
    return iter(found)


def inherited(cls: type, name: str) -> str:
    """The class of the package from which a class of one's own has this method; "" where it does not."""
    owner = next((each for each in cls.__mro__ if name in vars(each)), cls)
    return "" if is_ours(cls) or not is_ours(owner) else owner.__name__


def _names(function: Any) -> tuple[str, ...]:
    """The names that a function's code reads, but for its own variables."""
    return getattr(getattr(inspect.unwrap(function), "__code__", None), "co_names", ())


def is_unsafe(cls: type) -> bool:
    """Whether a method, or a function of its file that it calls, might write beyond an array if it were changed."""
    own = [value for each in cls.__mro__ for value in vars(each).values() if isinstance(value, FunctionType)]
    called = [function.__globals__.get(name) for function in own for name in _names(function)]
    return any(name in UNSAFE for each in (*own, *called) if callable(each) for name in _names(each))


def _is_helper(cls: type, name: str) -> bool:
    return name not in KEPT and isinstance(inspect.getattr_static(cls, name, None), FunctionType)

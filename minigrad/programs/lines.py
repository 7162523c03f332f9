"""The lines of a program: operations whose operands are places in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Place(NamedTuple):
    """Where an array lies: `memory` numbers the array that owns the bytes, the rest is the view of it."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Line:
    """An operation whose operands are places; see arrays.Operation."""

    kind: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    out: Place
    section: tuple[str, int]
    fresh: bool
    pure: bool

    def reads(self) -> list[Place]:
        """The places that this line reads."""
        return list(places((self.inputs, self.options)))

    def divides_by_one(self) -> bool:
        """Whether the result is the first operand itself, as in the mean over a single row."""
        if self.function is not np.divide or self.options or not self.fresh:
            return False
        dividend, divisor = self.inputs
        return (
            isinstance(dividend, Place) and isinstance(divisor, int) and divisor == 1 and self.out[1:] == dividend[1:]
        )

    def elementwise(self) -> bool:
        """Whether every element of the result depends on the operands' elements at the same position alone."""
        return self.kind == "ufunc" and self.function.signature is None  # type: ignore[attr-defined]


def places(value: Any) -> Iterator[Place]:
    """All places in nested tuples, lists and dicts."""
    if isinstance(value, Place):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from places(item)
    elif isinstance(value, dict):
        yield from places(list(value.values()))


def exchange(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same nested tuples, lists and dicts with every other value changed."""
    if isinstance(value, tuple | list) and not isinstance(value, Place):
        return type(value)(exchange(item, change) for item in value)
    if isinstance(value, dict):
        return {name: exchange(item, change) for name, item in value.items()}
    return change(value)


def extent(place: Place) -> int:
    """The bytes from the first element to the end of the last."""
    if 0 in place.shape:
        return 0
    return place.dtype.itemsize + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))

"""A rule: the derivative of a function of NumPy, and of which calls of that function it is the derivative.

A slope is written with NumPy's own arguments, in NumPy's order: it takes those that it honours, and those that change
no derivative. A call that has any other argument is refused by its name, and so is one in which an argument depends on
x that the slope does not differentiate by.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

Value: TypeAlias = Any
Slope: TypeAlias = Callable[..., Value]


@dataclass(frozen=True)
class Rule:
    """`slope(position of an input, g, y, *inputs, **options)` is what reaches that input of the gradient g of y.

    The inputs that may depend on x are those at the positions `moving` (None: all), and at the `flat` ones, which only
    decide: there the derivative is 0. `objects` says of a call's arguments what of them has no derivative here. `named`
    are positions of inputs that may be given by these names, too. The inputs of an `elementwise` function are broadcast
    to the shape of y.
    """

    slope: Slope
    moving: tuple[int, ...] | None = (0,)
    flat: tuple[int, ...] = ()
    objects: Callable[..., str] | None = None
    named: Mapping[str, int] = field(default_factory=dict)
    elementwise: bool = False

    def takes(self, position: int) -> bool:
        """Whether the input at a position may depend on x."""
        return position in self.flat or self.moves(position)

    def moves(self, position: int) -> bool:
        """Whether y has a derivative by the input at a position."""
        return (self.moving is None or position in self.moving) and position not in self.flat

    def placed(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A call's inputs and options with those that are `named` at their positions."""
        most = max((position + 1 for name, position in self.named.items() if name in options), default=0)
        placed = [*inputs, *[None] * (most - len(inputs))]
        for name, position in self.named.items():
            if name in options:
                placed[position] = options[name]
        return tuple(placed), {name: value for name, value in options.items() if name not in self.named}

    def objection(self, name: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> str:
        """What of a call the slope does not know, such as "var with mean="; "" where it knows all of it."""
        unknown = _unknown(self.slope, len(inputs), tuple(options))
        if not unknown and self.objects is not None:
            unknown = self.objects(*inputs, **options)
        return unknown and f"{name} {unknown}"


@lru_cache(maxsize=1000)
def _unknown(slope: Slope, count: int, names: tuple[str, ...]) -> str:
    signature = inspect.signature(slope)
    strange = [f"{name}=" for name in names if name not in signature.parameters]
    if strange:
        return f"with {' and '.join(strange)}"
    try:
        signature.bind(None, None, None, *[None] * count, **dict.fromkeys(names))
    except TypeError:
        return f"of {count} arguments without their names"
    return ""


def rule_name(function: Callable[..., Any]) -> str:
    """The name under which a function's rule stands: "exp", "add.reduce"."""
    name, home = getattr(function, "__name__", type(function).__name__), getattr(function, "__self__", None)
    return f"{home.__name__}.{name}" if isinstance(home, np.ufunc) else name


def is_of_numpy(function: Callable[..., Any]) -> bool:
    """Whether a function is the one of NumPy, of arrays or of SciPy that its name says."""
    home = getattr(function, "__self__", None)
    ufunc = home if isinstance(home, np.ufunc) else function
    if isinstance(ufunc, np.ufunc):
        homes = (np, sys.modules.get("scipy.special"))
        return any(getattr(each, ufunc.__name__, None) is ufunc for each in homes)
    if getattr(function, "__objclass__", None) is np.ndarray:
        return True
    return (getattr(function, "__module__", None) or "").split(".")[0] in ("numpy", "_operator", __name__.split(".")[0])

"""Operations of NumPy as the text that does them: operators with their brackets, methods, functions, indices."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

COMPARED, EITHER, BOTH, SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 9)
OPERATORS = {
    "add": ("+", SUM),
    "subtract": ("-", SUM),
    "multiply": ("*", PRODUCT),
    "divide": ("/", PRODUCT),
    "matmul": ("@", PRODUCT),
    "power": ("**", POWER),
    "greater": (">", COMPARED),
    "less": ("<", COMPARED),
    "greater_equal": (">=", COMPARED),
    "less_equal": ("<=", COMPARED),
    "equal": ("==", COMPARED),
    "not_equal": ("!=", COMPARED),
    "bitwise_and": ("&", BOTH),
    "bitwise_or": ("|", EITHER),
}
REDUCED = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod", "logical_or": "any"}
ONE_BY_ONE = {"add.reduce", "sum", "mean", "reshape", "transpose", "getitem", "swapaxes", "astype", "broadcast_to"}
"""Functions of an array's numbers that a sign passes through."""


@dataclass(frozen=True)
class Expression:
    """A text, how firmly it `binds`, and where it is the negative of something, that (`negated`)."""

    text: str
    binds: int = ATOM
    negated: Expression | None = None

    def within(self, least: int) -> str:
        """The text, in brackets where it binds less than `least`."""
        return self.text if self.binds >= least else f"({self.text})"


def negative(a: Expression) -> Expression:
    """-a, and a for -(-a)."""
    return a.negated or Expression(f"-{a.within(SIGN)}", SIGN, a)


def operation(name: str, a: Expression, b: Expression) -> Expression:
    """Two operands with Python's operator; signs go to the front."""
    sign, binds = OPERATORS[name]
    if binds == PRODUCT:
        one, other = a.negated, b.negated
        if one or other:
            product = operation(name, one or a, other or b)
            return product if one and other else negative(product)
    if name == "add" and b.negated:
        return operation("subtract", a, b.negated)
    if name == "add" and a.negated:
        return operation("subtract", b, a.negated)
    if name == "subtract" and b.negated:
        return operation("add", a, b.negated)
    if binds == POWER:
        return Expression(f"{a.within(ATOM)} ** {b.within(POWER)}", POWER)
    return Expression(f"{a.within(binds + (binds == COMPARED))} {sign} {b.within(binds + 1)}", binds)


def index_text(index: Any, argument: Callable[[Any], str]) -> str:
    """What stands in the brackets of an indexing."""
    parts = list(index) if isinstance(index, tuple) else [index]
    alone = not any(part is Ellipsis for part in parts[:-1])
    while len(parts) > 1 and alone and (parts[-1] is Ellipsis or _is_all(parts[-1])):
        parts.pop()
    return ", ".join(_part(part, argument) for part in parts)


def _is_all(part: Any) -> bool:
    return isinstance(part, slice) and (part.start, part.stop, part.step) == (None, None, None)


def _part(part: Any, argument: Callable[[Any], str]) -> str:
    if isinstance(part, slice):
        start, stop, step = ("" if each is None else argument(each) for each in (part.start, part.stop, part.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return "..." if part is Ellipsis else argument(part)


def call(
    function: Any,
    operands: Sequence[Any],
    options: dict[str, Any],
    write: Callable[[Any], Expression],
    place: Callable[[Any], str],
) -> Expression:
    """A function of NumPy of some operands: as an operator, as a method, or by its name.

    `write` gives an operand's text, `place` that of a number in an index.
    """
    name, home = getattr(function, "__name__", ""), getattr(function, "__self__", None)

    def argument(value: Any) -> str:
        is_length = name in ("reshape", "broadcast_to") or isinstance(function, np.ufunc)
        return write(value).text if is_length or isinstance(value, np.ndarray) else place(value)

    if operands and isinstance(operands[0], np.ndarray) and function_of(function) in ONE_BY_ONE:
        inner = write(operands[0]).negated
        if inner is not None:

            def without_sign(value: Any) -> Expression:
                return inner if value is operands[0] else write(value)

            return negative(call(function, operands, options, without_sign, place))
    said = {key: value for key, value in options.items() if value is not None and not (key == "keepdims" and not value)}
    if function is operator.getitem:
        return Expression(f"{write(operands[0]).within(ATOM)}[{index_text(operands[1], place)}]")
    if isinstance(home, np.ufunc) and name == "reduce" and home.__name__ in REDUCED:
        given = [f"{key}={argument(value)}" for key, value in said.items()]
        return Expression(f"{write(operands[0]).within(ATOM)}.{REDUCED[home.__name__]}({', '.join(given)})")
    if isinstance(function, np.ufunc) and not said:
        if name in OPERATORS and len(operands) == 2:
            return operation(name, *map(write, operands))
        if name == "negative":
            return negative(write(operands[0]))
        if name == "invert":
            return Expression(f"~{write(operands[0]).within(SIGN)}", SIGN)
        if name == "absolute":
            return Expression(f"np.abs({argument(operands[0])})")
    if name in ("transpose", "real") and len(operands) == 1 and not said:
        return Expression(f"{write(operands[0]).within(ATOM)}.{'T' if name == 'transpose' else name}")
    given = [f"{key}={argument(value)}" for key, value in said.items()]
    if getattr(np.ndarray, name, None) is function:
        arguments = ", ".join([*map(argument, operands[1:]), *given])
        return Expression(f"{write(operands[0]).within(ATOM)}.{name}({arguments})")
    arguments = ", ".join([*map(argument, operands), *given])
    return Expression(f"{_full_name(function, home, name)}({arguments})")


def function_of(function: Any) -> str:
    """The name of a function, with that of its ufunc where it is a method of one."""
    name, home = getattr(function, "__name__", ""), getattr(function, "__self__", None)
    return f"{home.__name__}.{name}" if isinstance(home, np.ufunc) else name


def _full_name(function: Any, home: Any, name: str) -> str:
    if isinstance(home, np.ufunc):
        return f"np.{home.__name__}.{name}"
    if getattr(np, name, None) is function:
        return f"np.{name}"
    if isinstance(function, np.ufunc):
        return f"scipy.special.{name}"
    return f"{function.__module__}.{name}".replace("numpy.", "np.", 1)

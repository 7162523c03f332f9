"""Names and formulas for the ops of a program, the same for whoever writes or shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.ir.ops import (
    Call,
    Change,
    Copy,
    Op,
    Opaque,
    Place,
    Program,
    Reduce,
    Value,
    View,
    function_name,
)

OPERATORS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "matmul": "@",
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
    "equal": "==",
}
VERBS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}


class Names:
    """A name for every view: the textbook's where it has one, W1T for a transpose, else v1, v2 and so on.

    The name is that of the view's place, whatever version of it: what Python calls an array that is changed in place.
    """

    def __init__(self, hints: Mapping[Place, str]) -> None:
        self._hints = hints
        self._beginning: dict[tuple[int, int], list[tuple[Place, str]]] = {}
        for place, name in hints.items():
            self._beginning.setdefault(place[:2], []).append((place, name))
        self._names: dict[Place, str] = dict(hints)
        self._taken = set(hints.values())
        self._temporaries = 0

    def __call__(self, view: View) -> str:
        """The name of a view; the same for the same place."""
        place = view.place
        if place not in self._names:
            name = self._derived(view)
            while name is None or name in self._taken:
                self._temporaries += 1
                name = f"v{self._temporaries}"
            self._names[place] = self.free(name)
        return self._names[place]

    def free(self, name: str) -> str:
        """The name, with a number behind it where it is taken; it is taken from now on."""
        unique, count = name, 1
        while unique in self._taken:
            count += 1
            unique = f"{name}_{count}"
        self._taken.add(unique)
        return unique

    def _derived(self, view: View) -> str | None:
        """W1T for the transpose of W1, W1_flat and b1_row for the same elements in one axis or two."""
        memory, offset, shape, strides = view.place
        if len(shape) == 2 and (turned := self._hints.get((memory, offset, shape[::-1], strides[::-1]))):
            return f"{turned}T"
        for place, name in self._beginning.get((memory, offset), ()):
            whole = View(view.value, *place[1:])
            if whole.span == view.span and len(shape) == 1 < len(whole.shape):
                return f"{name}_flat"
            if whole.span == view.span and len(shape) == 2 and shape[0] == 1 == len(whole.shape):
                return f"{name}_row"
        return None


def named(program: Program) -> Program:
    """The program with a name for every place that its ops make, and for the whole of what they read; and its values'.

    What has a name already keeps it, with a number behind it where two would have the same.
    """
    free, found = Names({}), dict[Place, str]()
    for place, name in program.names.items():
        found[place] = free.free(name)
    names = Names(found)
    for op in program.ops:
        for view in (*(view.value.whole for view in op.reads), *op.writes):
            found[view.place] = names(view)
    program = replace(program, names=found)
    _name_values(program)
    return program


def equation(op: Op, name: Callable[[View], str]) -> str:
    """What an op does, as a formula in the names of its views."""
    if isinstance(op, Change) or (isinstance(op, Opaque) and op.out.extent == 0):
        return _call(op, name)
    if isinstance(op, Call):
        return f"{name(op.out)} = {_call(op, name)}"
    if isinstance(op, Copy):
        return f"{name(op.out)} = {argument(op.inputs[0], name)}"
    if isinstance(op, Reduce):
        shown = ", ".join(f"{option}={value}" for option, value in op.options.items() if value is not None)
        verb = VERBS.get(op.ufunc.__name__, op.ufunc.__name__)
        return f"{name(op.out)} = {name(op.inputs[0])}.{verb}({shown})"
    operands = [name(value) if isinstance(value, View) else f"{value:g}" for value in op.inputs]
    return f"{name(op.out)} = {formula(op.function.__name__, operands)}"


def formula(ufunc: str, operands: list[str]) -> str:
    """A ufunc of some operands, with Python's operator where there is one."""
    if ufunc in OPERATORS and len(operands) == 2:
        return f"{operands[0]} {OPERATORS[ufunc]} {operands[1]}"
    return f"-{operands[0]}" if ufunc == "negative" else f"{ufunc}({', '.join(operands)})"


def argument(value: Any, name: Callable[[View], str]) -> str:
    """A view, number, slice or tuple of them as an argument in a formula."""
    if isinstance(value, View):
        return name(value)
    if isinstance(value, tuple):
        return f"({', '.join(argument(item, name) for item in value)}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(argument(item, name) for item in value)}]"
    if isinstance(value, np.generic):
        return repr(value.item())
    return "..." if value is Ellipsis else getattr(value, "__name__", repr(value))


def _call(op: Op, name: Callable[[View], str]) -> str:
    options = [f"{option}={argument(value, name)}" for option, value in op.options.items()]
    return f"{function_name(op.function)}({', '.join([*(argument(v, name) for v in op.inputs), *options])})"


def _name_values(program: Program) -> None:
    """Give every value its own name: that of its place, with what tells the versions of one memory apart.

    What is given keeps its name, and its last version has `_new` behind it. Of a gradient only the last version means
    anything: it has the name. So has the last version of what ops make.
    """
    names = Names(program.names)
    versions: dict[int, list[Value]] = {}
    for value in program.values:
        versions.setdefault(value.memory, []).append(value)
    for first, *others in versions.values():
        name, last = names(first.whole), others[-1:] or [first]
        for number, value in enumerate([first, *others]):
            value.name = f"{name}_{number}"
        if first.role in ("made", "gradient"):
            last[0].name = name
        else:
            last[0].name, first.name = f"{name}_new", name


def version_name(program: Program) -> Callable[[View], str]:
    """A function that gives every view a name of its own: that of its place, in the version that it is a view of.

    So `equation(op, version_name(program))` says `theta_new = theta - v22`, where a name is assigned once.
    """
    names, whole = Names(program.names), Names(program.names)
    written = {view.place: view.value.number for op in program.ops for view in op.writes}

    def name(view: View) -> str:
        if view.value.role == "gradient" and view.value.number >= written.get(view.place, math.inf):
            return names(view)  # later versions change other parts of dtheta
        of_memory, of_value = whole(view.value.whole), view.value.name
        suffix = of_value[len(of_memory) :] if of_value.startswith(of_memory) else ""
        return names(view) + suffix

    return name


def named_values(program: Program) -> dict[str, View]:
    """Every array of a program that means something, by its name: whole values, and parts of them such as W1 of theta.

    Of what is given there are two, as it is and, where it is changed, as it becomes (`W1`, `W1_new`).
    """
    first: dict[int, Value] = {}
    last: dict[int, Value] = {}
    for value in program.values:
        first.setdefault(value.memory, value)
        last[value.memory] = value
    named: dict[str, View] = {}
    for place, name in program.names.items():
        memory, *where = place
        old, new = first[memory], last[memory]
        view = View(old, *where)  # type: ignore[arg-type]
        if view.extent == 0:
            continue
        if old.role in ("made", "gradient"):
            named[name] = view.of(new)
            continue
        named[name] = view
        if new is not old:
            named[f"{name}_new"] = view.of(new)
    return named

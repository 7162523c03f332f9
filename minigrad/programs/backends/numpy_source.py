"""A program as the source of one Python function that calls NumPy with as little ado as possible.

The `matmul` of two matrices is a `dot`, which takes less time, where the bits are the same: that may depend on the
machine, so it is tried on numbers at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import isfinite, prod
from types import FunctionType
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.equations import Names, equation
from minigrad.programs.ir.ops import (
    Call,
    Change,
    Copy,
    Op,
    Opaque,
    Program,
    Reduce,
    View,
    function_name,
    is_matrix_product,
)
from minigrad.programs.ir.verification import agree_on_random_numbers
from minigrad.programs.passes.buffers import Layout, lay_out

PROMISE = "same bits"

EXTREMA = (np.maximum, np.minimum)
"""NumPy deprecates their out as a third argument. Against a single number they take up to four times as long (2.4)."""
FILLED = 256  # numbers, at least, that stand for a single one: so many to a call of NumPy's loop are enough
HEADINGS = {"value": "loss"}


@dataclass(frozen=True)
class Code:
    """A program's `source`, the `function` that it defines, what the names in it mean, and where its results lie.

    `statements` are its lines without the equations, in the order of the program's.
    """

    source: str
    statements: list[str]
    function: Any
    namespace: dict[str, Any]
    views: dict[str, View]
    layout: Layout

    def on(self, program: Program, thing: Callable[[Any], Any]) -> Code:
        """The same function for the same program on other things, without writing it anew; see `Program.on`."""
        names = dict(self.namespace)
        for name, view in self.views.items():
            if view.memory not in self.layout.starts:
                names[name] = program.array(view)
        for name, function in self.namespace.items():
            home = getattr(function, "__self__", None)
            if name not in self.views and not isinstance(home, np.ufunc | None) and thing(home) is not home:
                names[name] = getattr(thing(home), function.__name__)
        step: Any = FunctionType(self.function.__code__, names)
        return replace(self, function=step, namespace=names)


def write(program: Program, layout: Layout | None = None) -> Code:
    """The straight-line function, without arguments, that runs the program on its given arrays, in place."""
    layout = layout or lay_out(program)

    def array_of(view: View) -> Array:
        return layout.array(view) if view.memory in layout.starts else program.array(view)

    source = Source(array_of, Names(program.names))
    text, statements = source.function(program.ops, program.result, program.title), source.statements
    return Code(text, statements, source.defined(text), source.namespace, source.views, layout)


class Source:
    """Writes lines down, and collects in `namespace` what the names in them mean.

    `views` are the views among them, `statements` those of the latest function.
    """

    def __init__(self, array_of: Callable[[View], Array], names: Names) -> None:
        self._array_of, self._names = array_of, names
        self._bound: dict[Any, str] = {}
        self._constants = 0
        self.statements: list[str] = []
        self.namespace: dict[str, Any] = {}
        self.views: dict[str, View] = {}

    def function(self, ops: Iterable[Op], result: View | None, title: str) -> str:
        """The source of `step()`, which runs the lines and returns the number, or the array, at `result`, if any."""
        returned = None if result is None else self.name(result)
        ops = list(ops)
        self.statements = [self.statement(op) for op in ops]
        wide = min(max(map(len, self.statements), default=0), 64)
        text, heading = [f"def step():  # {title}"], ""
        for op, statement in zip(ops, self.statements, strict=True):
            part = HEADINGS.get(op.scope.verb, op.scope.verb)
            if part != heading:
                text.append(f"    # {part}")
                heading = part
            text.append(f"    {statement:<{wide}}  # {equation(op, self._names)}   {op.out.shape}")
        value = returned if result is None or result.shape else f"float({returned})"
        return "\n".join([*text, f"    return {value}"]) + "\n"

    def defined(self, text: str) -> Any:
        """The function that a source defines. It is not a name of its own: so its memory goes as soon as it does."""
        exec(compile(text, "<minigrad program>", "exec"), self.namespace)
        return self.namespace.pop("step")

    # -------------------------------------------------------------------------------------------------------- names
    def name(self, view: View) -> str:
        """The name of a view, which means its array from now on."""
        name = self._names(view)
        if name not in self.views:
            self.views[name] = view
            self.namespace[name] = self._array_of(view)
        return name

    def bind(self, name: str, value: Any, key: Any) -> str:
        """A name for a function or a constant; the same for the same `key`."""
        if key not in self._bound:
            self._bound[key] = unique = self._names.free(name)
            self.namespace[unique] = value
        return self._bound[key]

    def _function(self, function: Callable[..., Any]) -> str:
        return self.bind(function_name(function).replace(".", "_").lower(), function, _identity(function))

    def _number(self, name: str, number: Any) -> str:
        return self.bind(name, number, (type(number), number.dtype, number.shape, number.tobytes()))  # 0 and -0 are two

    # ---------------------------------------------------------------------------------------------------- arguments
    def _text(self, value: Any) -> str:
        """A Python expression for an argument."""
        if isinstance(value, View):
            return self.name(value)
        if isinstance(value, tuple):
            return f"({', '.join(map(self._text, value))}{',' * (len(value) == 1)})"
        if isinstance(value, list):
            return f"[{', '.join(map(self._text, value))}]"
        if value is Ellipsis:
            return "..."
        if type(value) is float and not isfinite(value):
            return f'float("{value}")'
        if value is None or isinstance(value, bool | int | str | slice) or type(value) is float:
            return repr(value)
        self._constants += 1
        return self.bind(f"c{self._constants}", value, _identity(value))

    def _call(self, op: Op) -> str:
        inputs = [self._text(value) for value in op.inputs]
        if isinstance(op, Opaque):  # it may keep what it is given: not a place that will be used again
            inputs = [
                f'{text}.copy("K")' if isinstance(v, View) else text for v, text in zip(op.inputs, inputs, strict=True)
            ]
        options = [f"{name}={self._text(value)}" for name, value in op.options.items()]
        return f"{self._function(op.function)}({', '.join([*inputs, *options])})"

    def _operands(self, op: Op) -> list[str]:
        """The operands of a ufunc: Python's numbers as NumPy's, which it takes in less time."""
        if op.options:
            return [self._text(value) for value in op.inputs]
        dtypes = op.function.resolve_dtypes((*map(promoted, op.inputs), None))  # type: ignore[attr-defined]
        texts = []
        for value, dtype in zip(op.inputs, dtypes, strict=False):
            if isinstance(value, View):
                texts.append(self.name(value))
            elif op.function in EXTREMA:
                number = np.array(value, dtype)
                texts.append(self._number(f"_{_label(number)}s", np.full(_innermost(op.out.shape), number)))
            else:
                number = np.asarray(value)[()] if _typed(value) else np.array(value, dtype)[()]
                texts.append(self._number(f"_{_label(value)}", np.asarray(number)))
        return texts

    # --------------------------------------------------------------------------------------------------- statements
    def statement(self, op: Op) -> str:
        """The statement that runs an op."""
        if isinstance(op, Change) or (isinstance(op, Opaque) and op.out.extent == 0):
            return self._call(op)
        if isinstance(op, Copy):
            return f"{self.name(op.out)}[...] = {self._text(op.inputs[0])}"
        if isinstance(op, Call):
            return f"{self.name(op.out)}[...] = {self._call(op)}"
        return self._reduction(op) if isinstance(op, Reduce) else self._ufunc(op)

    def _ufunc(self, op: Op) -> str:
        operands, out = self._operands(op), self.name(op.out)
        options = "".join(f", {name}={self._text(value)}" for name, value in op.options.items())
        function: Callable[..., Any] = op.function
        if not options and is_matrix_product(op) and agree_on_random_numbers(np.dot, op):
            function = np.dot
        place = f"out={out}" if options or function in EXTREMA else out
        return f"{self._function(function)}({', '.join(operands)}{options}, {place})"

    def _reduction(self, op: Reduce) -> str:
        operand, out = op.inputs[0], self.name(op.out)
        options = dict(op.options)
        axis, keepdims = options.pop("axis", 0), options.pop("keepdims", False)
        if options:
            return f"{out}[...] = {self._call(op)}"
        kept = ", True" if keepdims else ""
        return f"{self._function(op.function)}({self.name(operand)}, {axis!r}, None, {out}{kept})"


def _identity(value: Any) -> Any:
    """What tells functions and constants apart: their value where that can be asked for."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value


def _innermost(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes of a shape, as few as have `FILLED` numbers."""
    axis = next((n for n in reversed(range(len(shape))) if prod(shape[n:]) >= FILLED), 0)
    return shape[axis:]


def _label(number: Any) -> str:
    """A number as a part of a name."""
    return f"{number:g}".replace(".", "_").replace("-", "m").replace("+", "")


def _typed(value: Any) -> bool:
    return isinstance(value, np.generic | bool)


def promoted(value: Any) -> Any:
    """What decides about the dtype of a result: a dtype, or the type of a Python number, which gives way."""
    if isinstance(value, View):
        return value.dtype
    return np.asarray(value).dtype if _typed(value) else type(value)

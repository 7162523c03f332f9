"""The lines of a program as Python: a statement that NumPy runs with as little ado as possible, and its equation.

Some operations have a quicker form with the same bits, such as `dot` for the `matmul` of two matrices. Whether the bits
are the same may depend on the machine, so each is tried on numbers at random before it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, isfinite, prod
from typing import Any, TypeAlias

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.lines import Line, Place, extent

Example: TypeAlias = tuple[list[Array], Array]

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
EXTREMA = (np.maximum, np.minimum)
"""NumPy deprecates their out as a third argument. Against a single number they take up to four times as long (2.4)."""
ROWS_FOR_EINSUM = 100
NUMBERS_COMPARED = 100  # two ways to add up give one and the same number every other time, by chance


class Writer:
    """Writes lines down, and collects in `namespace` what the names in them mean.

    `places` are the places of the arrays among them. `scalars` are the memories that hold one number, a local name.
    """

    def __init__(self, array_of: Callable[[Place], Array], hints: dict[Place, str], scalars: set[int]) -> None:
        self._array_of, self._hints, self._scalars = array_of, hints, scalars
        self._names: dict[Place, str] = {}
        self._constant_arrays: dict[tuple[Any, ...], str] = {}
        self._temporaries = self._constants = 0
        self.namespace: dict[str, Any] = {}
        self.places: dict[str, Place] = {}

    def function(self, lines: list[Line], result: Place | None, title: str) -> str:
        """The source of `step()`, which runs the lines and returns the number, or the array, at `result`, if any."""
        returned = None if result is None else self._name(result)
        written = [(line, *self._write(line)) for line in lines]
        wide = min(max((len(statement) for _, statement, _ in written), default=0), 64)
        text, heading = [f"def step():  # {title}"], ""
        for line, statement, equation in written:
            part = {"value": "loss"}.get(line.section[0], line.section[0])
            if part != heading:
                text.append(f"    # {part}")
                heading = part
            text.append(f"    {statement:<{wide}}  # {equation}   {line.out.shape}")
        value = returned if result is None or result.shape else f"float({returned})"
        return "\n".join([*text, f"    return {value}"]) + "\n"

    # -------------------------------------------------------------------------------------------------------- names
    def _name(self, place: Place) -> str:
        """The name of what is at a place; the textbook's where a layer has one for it."""
        if place not in self._names:
            name = self._hints.get(place) or self._view_name(place)
            if name is None:
                self._temporaries += 1
                name = f"v{self._temporaries}"
            if place.memory in self._scalars:
                self._names[place] = self._bind(name, place)
                del self.namespace[self._names[place]]
            else:
                self._names[place] = self._bind(name, self._array_of(place))
                self.places[self._names[place]] = place
        return self._names[place]

    def _view_name(self, place: Place) -> str | None:
        """W1T for the transpose, W1_flat and b1_row for the same elements in one axis or two."""
        turned = place._replace(shape=place.shape[::-1], strides=place.strides[::-1])
        if len(place.shape) == 2 and turned in self._hints:
            return self._hints[turned] + "T"
        for whole, name in self._hints.items():
            same = (whole.memory, whole.offset, extent(whole)) == (place.memory, place.offset, extent(place))
            if same and len(place.shape) == 1 < len(whole.shape):
                return f"{name}_flat"
            if same and len(place.shape) == 2 and place.shape[0] == 1 == len(whole.shape):
                return f"{name}_row"
        return None

    def _bind(self, name: str, value: Any) -> str:
        taken = set(self._names.values())
        unique, count = name, 1
        while (unique in self.namespace and not _same(self.namespace[unique], value)) or (
            unique in taken and unique not in self.namespace
        ):
            count += 1
            unique = f"{name}_{count}"
        self.namespace[unique] = value
        return unique

    def _function(self, function: Callable[..., Any]) -> str:
        name, home = getattr(function, "__name__", "function"), getattr(function, "__self__", None)
        if isinstance(home, np.ufunc):
            name = f"{home.__name__}_{name}"
        elif home is not None and not isinstance(function, type(len)):
            name = f"{type(home).__name__.lower()}_{name}"
        return self._bind(name, function)

    # ---------------------------------------------------------------------------------------------------- arguments
    def _text(self, value: Any) -> str:
        """A Python expression for an argument."""
        if isinstance(value, Place):
            return self._name(value)
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
        return self._bind(f"c{self._constants}", value)

    def _call(self, line: Line) -> str:
        options = [f"{name}={self._text(value)}" for name, value in line.options.items()]
        return f"{self._function(line.function)}({', '.join([*map(self._text, line.inputs), *options])})"

    def _operands(self, line: Line) -> list[str]:
        """The operands of a ufunc: Python's numbers as NumPy's, which it takes in less time.

        An operand that only lacks axes of length 1 gets them: NumPy is quicker where nothing is broadcast.
        """
        if line.options:
            return [self._text(value) for value in line.inputs]
        dtypes = line.function.resolve_dtypes((*map(_promoted, line.inputs), None))  # type: ignore[attr-defined]
        texts = []
        for value, dtype in zip(line.inputs, dtypes, strict=False):
            if line.function in EXTREMA and not isinstance(value, Place) and line.out.memory not in self._scalars:
                texts.append(self._filled(np.array(value, dtype), line.out.shape))
            elif isinstance(value, Place):
                widened = line.elementwise() and value.memory not in self._scalars  # a scalar has no other shape
                texts.append(self._name(_widened(value, line.out) if widened else value))
            else:
                number = np.asarray(value)[()] if _typed(value) else np.array(value, dtype)[()]
                scalar = line.out.memory in self._scalars
                name = f"{'n' if scalar else '_'}{_label(value)}"
                texts.append(self._bind(name, number if scalar else np.asarray(number)))
        return texts

    def _filled(self, number: Array, shape: tuple[int, ...]) -> str:
        """The name of an array of one number over and over."""
        key = number.tobytes(), number.dtype, shape  # 0 and -0 are two
        if key not in self._constant_arrays:
            self._constant_arrays[key] = self._bind(f"_{_label(number)}s", np.full(shape, number))
        return self._constant_arrays[key]

    # --------------------------------------------------------------------------------------------------- statements
    def _write(self, line: Line) -> tuple[str, str]:
        """The statement that runs a line, and the equation that says what it does."""
        if line.kind == "effect":
            return self._call(line), self._call(line)
        if line.kind == "copy":
            statement = f"{self._name(line.out)}[...] = {self._text(line.inputs[0])}"
            return statement, f"{self._name(line.out)} = {self._text(line.inputs[0])}"
        if line.kind == "call":
            call, out = self._call(line), self._name(line.out)
            return f"{out}[...] = {call}", f"{out} = {call}"
        return self._reduction(line) if line.kind == "reduce" else self._ufunc(line)

    def _ufunc(self, line: Line) -> tuple[str, str]:
        operands = self._operands(line)
        out = self._name(line.out)
        shown = [o if isinstance(v, Place) else f"{v:g}" for v, o in zip(line.inputs, operands, strict=True)]
        options = "".join(f", {name}={self._text(value)}" for name, value in line.options.items())
        equation = f"{out} = {_formula(line.function.__name__, shown)}"
        if line.out.memory in self._scalars:
            if line.function.__name__ in OPERATORS and not options:
                return f"{out} = {_formula(line.function.__name__, operands)}", equation
            return f"{out} = {self._function(line.function)}({', '.join(operands)}{options})", equation
        function: Callable[..., Any] = line.function
        if not options and is_product(line) and _agree(np.dot, line):
            function = np.dot
        elif not options and line.function is np.divide and _is_one(line.inputs[0]) and _agree(np.reciprocal, line):
            function, operands = np.reciprocal, operands[1:]
        place = f"out={out}" if options or function in EXTREMA else out
        return f"{self._function(function)}({', '.join(operands)}{options}, {place})", equation

    def _reduction(self, line: Line) -> tuple[str, str]:
        operand, out = line.inputs[0], self._name(line.out)
        options = dict(line.options)
        shown = ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
        ufunc = line.function.__self__  # type: ignore[attr-defined]
        verb = VERBS.get(ufunc.__name__, self._function(line.function))
        equation = f"{out} = {self._name(operand)}.{verb}({shown})"
        axis, keepdims = options.pop("axis", 0), options.pop("keepdims", False)
        if options:
            return f"{out}[...] = {self._call(line)}", equation
        if line.out.memory in self._scalars:
            return f"{out} = {self._function(line.function)}({self._name(operand)}, {axis})", equation
        if isinstance(axis, int) and operand.shape[axis] == 1 and operand.dtype == line.out.dtype:
            single = operand if keepdims else _without(operand, axis % len(operand.shape))
            return f"{out}[...] = {self._name(single)}", equation
        if _is_column_sum(line, axis, keepdims) and _agree(_column_sum, line):
            return f'{self._function(np.einsum)}("ij->j", {self._name(operand)}, out={out})', equation
        kept = ", True" if keepdims else ""
        return f"{self._function(line.function)}({self._name(operand)}, {axis!r}, None, {out}{kept})", equation


def _label(number: Any) -> str:
    """A number as a part of a name."""
    return f"{number:g}".replace(".", "_").replace("-", "m").replace("+", "")


def _same(held: Any, value: Any) -> bool:
    """Whether two things may have one name: functions and constants by value, arrays by identity."""
    if isinstance(held, np.ndarray | np.generic) and isinstance(value, np.ndarray | np.generic):
        constants = held.shape == value.shape == () and held.base is value.base is None and type(held) is type(value)
        return held is value or (constants and held.dtype == value.dtype and bool(held == value))
    return held is value or (callable(held) and callable(value) and bool(held == value))


def _typed(value: Any) -> bool:
    return isinstance(value, np.generic | bool)


def _promoted(value: Any) -> Any:
    """What decides about the dtype of a result: a dtype, or the type of a Python number, which gives way."""
    if isinstance(value, Place):
        return value.dtype
    return np.asarray(value).dtype if _typed(value) else type(value)


def _is_one(value: Any) -> bool:
    return isinstance(value, int | float) and value == 1


def _widened(place: Place, out: Place) -> Place:
    missing = len(out.shape) - len(place.shape)
    shape = (1,) * missing + place.shape
    if missing == 0 or shape != out.shape:
        return place
    return place._replace(shape=shape, strides=(extent(place),) * missing + place.strides)


def _without(place: Place, axis: int) -> Place:
    shape, strides = place.shape, place.strides
    return place._replace(shape=shape[:axis] + shape[axis + 1 :], strides=strides[:axis] + strides[axis + 1 :])


def _formula(name: str, operands: list[str]) -> str:
    if name in OPERATORS and len(operands) == 2:
        return f"{operands[0]} {OPERATORS[name]} {operands[1]}"
    return f"-{operands[0]}" if name == "negative" else f"{name}({', '.join(operands)})"


# ------------------------------------------------------------------------------------------- quicker forms, same bits
def is_product(line: Line) -> bool:
    """Whether a line multiplies two matrices of floats."""
    return line.function is np.matmul and all(
        isinstance(v, Place) and len(v.shape) == 2 and v.dtype == line.out.dtype and v.dtype.kind == "f"
        for v in (*line.inputs, line.out)
    )


def _is_column_sum(line: Line, axis: Any, keepdims: bool) -> bool:
    """Whether a line adds up many rows of several columns of floats."""
    operand = line.inputs[0]
    return (
        line.function == np.add.reduce
        and axis == 0
        and not keepdims
        and len(operand.shape) == 2
        and operand.shape[0] >= ROWS_FOR_EINSUM
        and operand.shape[1] > 1
        and operand.dtype.kind == "f"
    )


def _column_sum(a: Array, out: Array) -> Any:
    return np.einsum("ij->j", a, out=out)


def _agree(quicker: Callable[..., Any], line: Line) -> bool:
    """Whether a quicker function gives the line's very bits."""
    try:
        for operands, expected in examples(line):
            result = random_array(line.out, np.random.default_rng(1))
            quicker(*operands, result)
            if not np.array_equal(expected, result):
                return False
    except ValueError:
        return False
    return True


def examples(line: Line, part: float = 1.0) -> Iterator[Example]:
    """Operands of numbers at random, lying in memory as the line's do, and its result.

    There are enough of them to tell chance apart in the smallest `part` of the result that is compared.
    """
    rng = np.random.default_rng(0)
    for _ in range(ceil(NUMBERS_COMPARED / max(1.0, part * prod(line.out.shape)))):
        operands = [random_array(value, rng) for value in line.inputs if isinstance(value, Place)]
        arguments = iter(operands)
        given = [next(arguments) if isinstance(value, Place) else value for value in line.inputs]
        expected = random_array(line.out, rng)
        line.function(*given, out=expected, **line.options)
        yield operands, expected


def random_array(place: Place, rng: np.random.Generator) -> Array:
    """An array of a place's shape and strides, of numbers around 0 that repeat themselves after a while."""
    size = -(-extent(place) // place.dtype.itemsize)
    numbers = np.resize(rng.normal(size=1021), max(size, 1)).astype(place.dtype)
    return np.lib.stride_tricks.as_strided(numbers, place.shape, place.strides)

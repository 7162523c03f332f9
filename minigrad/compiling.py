"""From the operations of a recording to the source of one straight-line function.

Operands are places in memory. Operations whose result nobody reads are dropped, equal ones merged, a result that is
only copied elsewhere is computed there, and the rest get memory that is used again once nobody reads it any more.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from minigrad.parameter import Array
from minigrad.recording import Operation, owner

ALIGNMENT = 64  # bytes: a cache line


class Place(NamedTuple):
    """Where an array lies: `memory` numbers the array that owns the bytes, the rest is the view of it."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Line:
    """An operation whose operands are places; see recording.Operation."""

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


class Memories:
    """The arrays that own memory, numbered, and one real array for each place that was met."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self.owners: list[Array] = []
        self.arrays: dict[Place, Array] = {}

    def place(self, array: Array) -> Place:
        """Where the array lies."""
        base = owner(array)
        if id(base) not in self._numbers:
            self._numbers[id(base)] = len(self.owners)
            self.owners.append(base)
        place = Place(self._numbers[id(base)], address(array) - address(base), array.shape, array.strides, array.dtype)
        self.arrays.setdefault(place, array)
        return place

    def lines(self, operations: Iterable[Operation]) -> list[Line]:
        """The operations with places for arrays."""

        def change(value: Any) -> Any:
            return self.place(value) if isinstance(value, np.ndarray) else value

        return [
            Line(
                op.kind,
                op.function,
                exchange(op.inputs, change),
                exchange(op.options, change),
                self.place(op.out),
                op.section,
                op.fresh,
                op.pure,
            )
            for op in operations
        ]


def address(array: Array) -> int:
    """The address of the first element."""
    return int(array.__array_interface__["data"][0])


def merge(lines: list[Line]) -> tuple[list[Line], dict[int, int]]:
    """Drop each pure line that computes what an earlier one has; also returns which memory stands for which."""
    overwritten = {line.out.memory for line in lines if not line.fresh}
    writes: dict[int, int] = {}
    stands_for: dict[int, int] = {}
    seen: dict[Any, int] = {}
    kept = []

    def current(value: Any) -> Any:
        if isinstance(value, Place):
            return value._replace(memory=stands_for.get(value.memory, value.memory))
        return value

    def key(value: Any) -> Any:
        if isinstance(value, Place):
            return value, writes.get(value.memory, 0)
        if isinstance(value, tuple | list):
            return tuple(key(item) for item in value)
        if isinstance(value, dict):
            return tuple((name, key(item)) for name, item in value.items())
        return type(value), repr(value)

    for line in lines:
        line = replace(line, inputs=exchange(line.inputs, current), options=exchange(line.options, current))
        if line.fresh and line.pure and line.out.memory not in overwritten:
            what = (line.kind, line.function, key(line.inputs), key(line.options), line.out.shape, line.out.dtype)
            if what in seen:
                stands_for[line.out.memory] = seen[what]
                continue
            seen[what] = line.out.memory
        writes[line.out.memory] = writes.get(line.out.memory, 0) + 1
        kept.append(line)
    return kept, stands_for


def redirect(lines: list[Line], wanted: set[int]) -> list[Line]:
    """Where a fresh result is only copied to another place (`dW[...] = x.T @ dy`), compute it there at once."""
    lines = list(lines)
    touching: dict[int, list[int]] = {}
    for number, line in enumerate(lines):
        for memory in {place.memory for place in (*line.reads(), line.out)}:
            touching.setdefault(memory, []).append(number)
    dropped = set()
    for number, line in enumerate(lines):
        if line.kind != "copy" or not isinstance(line.inputs[0], Place):
            continue
        source, target = line.inputs[0], line.out
        if source == target:
            dropped.add(number)
            continue
        uses = touching[source.memory]
        if len(uses) != 2 or source.memory in wanted:
            continue
        maker = lines[uses[0]]
        between = [n for n in touching[target.memory] if uses[0] <= n < number and n not in dropped]
        if (
            maker.fresh
            and maker.kind in ("ufunc", "reduce")
            and maker.out == source
            and (source.shape, source.dtype) == (target.shape, target.dtype)
            and all(n == uses[0] and _in_place(maker, target) for n in between)
        ):
            lines[uses[0]] = replace(maker, out=target, fresh=False)
            touching[target.memory].append(uses[0])
            dropped.add(number)
    return [line for number, line in enumerate(lines) if number not in dropped]


def _in_place(line: Line, target: Place) -> bool:
    """Whether the line may write its result over the operands of its that lie in the target's memory."""
    return line.elementwise() and all(p == target for p in line.reads() if p.memory == target.memory)


def prune(lines: list[Line], wanted: set[int]) -> list[Line]:
    """Only what the wanted memories depend on, and what has effects that can't be seen."""
    needed, kept = set(wanted), []
    for line in reversed(lines):
        if not line.pure or line.out.memory in needed:
            kept.append(line)
            needed.update(place.memory for place in line.reads())
    return kept[::-1]


def allocate(lines: list[Line], wanted: set[int]) -> tuple[dict[int, int], int]:
    """Where in one block of bytes each fresh memory goes, and how many bytes that takes.

    Memory is used again when its last reader is past; an elementwise operation may overwrite an operand that it is the
    last to read. What an opaque call has seen may be kept by it, so it is never used again.
    """
    last: dict[int, int] = {}
    lasting = set(wanted)
    for number, line in enumerate(lines):
        for place in (*line.reads(), line.out):
            last[place.memory] = number
            if not line.pure:
                lasting.add(place.memory)
    slots: list[tuple[int, int]] = []  # (bytes, the memory that holds it)
    slot_of: dict[int, int] = {}
    whole = {line.out.memory: line.out for line in lines if line.fresh}
    for number, line in enumerate(lines):
        if not line.fresh:
            continue
        memory, size = line.out.memory, _extent(line.out)
        slot = None
        if memory not in lasting:
            slot = _operand_slot(line, number, last, lasting, whole, slot_of)
            if slot is None:
                free = [s for s, (_, held) in enumerate(slots) if held not in lasting and last[held] < number]
                fitting = [s for s in free if slots[s][0] >= size]
                slot = min(fitting, key=lambda s: slots[s][0]) if fitting else (free[-1] if free else None)
        if slot is None:
            slot = len(slots)
            slots.append((0, memory))
        slots[slot] = (max(slots[slot][0], size), memory)
        slot_of[memory] = slot
    starts, total = [], 0
    for size, _ in slots:
        starts.append(total)
        total += -(-size // ALIGNMENT) * ALIGNMENT
    return {memory: starts[slot] for memory, slot in slot_of.items()}, total


def _operand_slot(
    line: Line,
    number: int,
    last: dict[int, int],
    lasting: set[int],
    whole: dict[int, Place],
    slot_of: dict[int, int],
) -> int | None:
    if not line.elementwise():
        return None
    for place in line.reads():
        mine = place.memory in slot_of and place.memory not in lasting and last[place.memory] == number
        if (
            mine
            and place == whole[place.memory]
            and (place.shape, place.strides) == (line.out.shape, line.out.strides)
            and place.dtype.itemsize == line.out.dtype.itemsize
            and _in_place(line, place)
        ):
            return slot_of[place.memory]
    return None


def _extent(place: Place) -> int:
    """The bytes from the first element to the end of the last."""
    if 0 in place.shape:
        return 0
    return place.dtype.itemsize + sum((n - 1) * s for n, s in zip(place.shape, place.strides, strict=True))


@dataclass(frozen=True)
class Code:
    """A compiled recording: its `source`, the `function` that it defines, and the bytes of its intermediate results."""

    source: str
    function: Callable[[], float]
    namespace: dict[str, Any]
    buffers: int
    places: dict[str, Place]
    block: Array
    starts: dict[int, int]
    """Where in the block each fresh memory begins."""


def compile_operations(
    operations: Iterable[Operation], lasting: Iterable[Array], value: Array, hints: list[tuple[Array, str]], title: str
) -> Code:
    """The straight-line function, without arguments, that makes these operations and returns `value`.

    `lasting` are the arrays that outlive the step: what it must leave right. `hints` names arrays; a first name counts.
    """
    memories = Memories()
    lines = memories.lines(operations)
    result = memories.place(value)
    wanted = {memories.place(array).memory for array in lasting}
    named: dict[Place, str] = {}
    for array, name in hints:
        named.setdefault(memories.place(array), name)

    lines, stands_for = merge(lines)
    result = result._replace(memory=stands_for.get(result.memory, result.memory))
    named = {place._replace(memory=stands_for.get(place.memory, place.memory)): name for place, name in named.items()}
    wanted.add(result.memory)
    lines = prune(redirect(lines, wanted), wanted)
    starts, size = allocate(lines, {result.memory})
    block = _aligned(size)

    def array_of(place: Place) -> Array:
        if place.memory not in starts:
            return memories.arrays[place]
        offset = starts[place.memory] + place.offset
        return np.ndarray(place.shape, place.dtype, block.data, offset, place.strides)

    writer = Source(array_of, named)
    return_name = writer.name(result)
    written = [(line, *writer.write(line)) for line in lines]
    wide = min(max((len(statement) for _, statement, _ in written), default=0), 64)
    text, verb = [f"def step():  # {title}"], ""
    for line, statement, equation in written:
        heading = {"value": "loss", "update": "update"}.get(line.section[0], line.section[0])
        if heading != verb:
            text.append(f"    # {heading}")
            verb = heading
        text.append(f"    {statement:<{wide}}  # {equation}   {line.out.shape}")
    text.append(f"    return {return_name}.item()")
    source = "\n".join(text) + "\n"
    exec(compile(source, "<minigrad program>", "exec"), writer.namespace)
    step = writer.namespace["step"]
    return Code(source, step, writer.namespace, size, writer.places, block, starts)


def _aligned(size: int) -> Array:
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address(block) % ALIGNMENT
    return block[start : start + size]


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


class Source:
    """Writes lines down, and collects what the names in them mean."""

    def __init__(self, array_of: Callable[[Place], Array], hints: dict[Place, str]) -> None:
        self._array_of, self._hints = array_of, hints
        self._names: dict[Place, str] = {}
        self.places: dict[str, Place] = {}
        self.namespace: dict[str, Any] = {}
        self._temporaries = self._constants = 0

    def name(self, place: Place) -> str:
        """The name of the array at a place; the textbook's where a layer has one for it."""
        if place not in self._names:
            hint = self._hints.get(place) or self._as_view(place)
            if hint is None:
                self._temporaries += 1
                hint = f"v{self._temporaries}"
            self._names[place] = self._bind(hint, self._array_of(place))
            self.places[self._names[place]] = place
        return self._names[place]

    def _as_view(self, place: Place) -> str | None:
        """W1T for the transpose, W1_flat for all its elements in one axis."""
        if len(place.shape) == 2:
            turned = self._hints.get(place._replace(shape=place.shape[::-1], strides=place.strides[::-1]))
            return None if turned is None else turned + "T"
        if len(place.shape) == 1:
            for whole, name in self._hints.items():
                if (whole.memory, whole.offset, _extent(whole)) == (place.memory, place.offset, _extent(place)):
                    return f"{name}_flat"
        return None

    def _bind(self, name: str, value: Any) -> str:
        unique, count = name, 1
        while unique in self.namespace and not _same(self.namespace[unique], value):
            count += 1
            unique = f"{name}_{count}"
        self.namespace[unique] = value
        return unique

    def _text(self, value: Any) -> str:
        """A Python expression for an argument."""
        if isinstance(value, Place):
            return self.name(value)
        if isinstance(value, tuple):
            return f"({', '.join(map(self._text, value))}{',' * (len(value) == 1)})"
        if isinstance(value, list):
            return f"[{', '.join(map(self._text, value))}]"
        if value is Ellipsis:
            return "..."
        if value is None or isinstance(value, bool | int | str | slice) or type(value) is float:
            return repr(value)
        self._constants += 1
        return self._bind(f"c{self._constants}", value)

    def _operands(self, line: Line) -> list[str]:
        """The operands of a ufunc: Python's numbers as arrays without axes, which NumPy takes in less time."""
        if line.options:
            return [self._text(value) for value in line.inputs]
        given = [
            v.dtype if isinstance(v, Place) else np.asarray(v).dtype if _typed(v) else type(v) for v in line.inputs
        ]
        dtypes = line.function.resolve_dtypes((*given, None))  # type: ignore[attr-defined]
        texts = []
        for value, dtype in zip(line.inputs, dtypes, strict=False):
            if isinstance(value, Place):
                texts.append(self.name(value))
            else:
                constant = np.asarray(value) if _typed(value) else np.array(value, dtype)
                label = f"{value:g}".replace(".", "_").replace("-", "m").replace("+", "")
                texts.append(self._bind(f"_{label}", constant))
        return texts

    def write(self, line: Line) -> tuple[str, str]:
        """The statement that runs a line, and the equation that says what it does."""
        if line.kind == "copy":
            source, out = self._text(line.inputs[0]), self.name(line.out)
            return f"{self._function(np.copyto)}({out}, {source})", f"{out} = {source}"
        options = "".join(f", {name}={self._text(value)}" for name, value in line.options.items())
        if line.kind == "ufunc":
            operands, out = self._operands(line), self.name(line.out)
            function = np.dot if _blas(line) else line.function
            statement = f"{self._function(function)}({', '.join(operands)}{options}, out={out})"
            return (
                statement,
                f"{out} = {_infix(line, [_plain(v, o) for v, o in zip(line.inputs, operands, strict=True)])}",
            )
        arguments = ", ".join(map(self._text, line.inputs))
        function_name = self._function(line.function)
        call = (
            f"{function_name}({(arguments + options).removeprefix(', ')})"  # a draw may have no arguments but options
        )
        if line.kind == "effect":
            return call, call
        out = self.name(line.out)
        if line.kind == "reduce":
            return f"{function_name}({arguments}{options}, out={out})", f"{out} = {_reduction(line, arguments)}"
        return f"{self._function(np.copyto)}({out}, {call})", f"{out} = {call}"

    def _function(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__name__", "function")
        home = getattr(function, "__self__", None)
        if isinstance(home, np.ufunc):
            name = f"{home.__name__}_{name}"
        elif home is not None and not isinstance(home, type(operator)):
            name = f"{type(home).__name__.lower()}_{name}"
        return self._bind(name, function)


def _same(held: Any, value: Any) -> bool:
    """Whether two things may have one name: functions and constants by value, arrays by identity."""
    if isinstance(held, np.ndarray) and isinstance(value, np.ndarray):
        constants = held.shape == value.shape == () and held.base is value.base is None
        return held is value or (constants and held.dtype == value.dtype and held == value)
    return held is value or (callable(held) and bool(held == value))


def _typed(value: Any) -> bool:
    return isinstance(value, np.generic | bool)


def _blas(line: Line) -> bool:
    """A product of two matrices of floats: np.dot makes the same call of BLAS as matmul, with less ado about it."""
    return (
        line.function is np.matmul
        and all(
            isinstance(v, Place) and len(v.shape) == 2 and v.dtype == line.out.dtype and v.dtype.kind == "f"
            for v in line.inputs
        )
        and line.out == line.out._replace(strides=_c_strides(line.out))
    )


def _c_strides(place: Place) -> tuple[int, ...]:
    strides, step = [], place.dtype.itemsize
    for n in reversed(place.shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def _plain(value: Any, operand: str) -> str:
    return operand if isinstance(value, Place) else f"{value:g}"


def _reduction(line: Line, operand: str) -> str:
    ufunc = line.function.__self__.__name__  # type: ignore[attr-defined]
    verb = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}.get(ufunc, f"{ufunc}_reduce")
    options = ", ".join(f"{name}={value}" for name, value in line.options.items() if value is not None)
    return f"{operand}.{verb}({options})"


def _infix(line: Line, operands: list[str]) -> str:
    name = line.function.__name__
    if name in OPERATORS and len(operands) == 2:
        return f"{operands[0]} {OPERATORS[name]} {operands[1]}"
    if name == "negative":
        return f"-{operands[0]}"
    return f"{name}({', '.join(operands)})"

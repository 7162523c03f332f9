"""From the operations of a recording to the source of one straight-line function.

Operands are places in memory. Operations whose result nobody reads are dropped, equal ones merged, a result that is
only copied elsewhere is computed there, and the rest get memory that is used again once nobody reads it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.arrays import Operation, owner
from minigrad.programs.lines import Line, Place, exchange, extent
from minigrad.programs.writing import Writer

ALIGNMENT = 64  # bytes: a cache line


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

    def view(self, place: Place) -> Array:
        """The array at a place where one was met, or one that begins there."""
        if place not in self.arrays:
            array = next(a for p, a in self.arrays.items() if (p.memory, p.offset) == (place.memory, place.offset))
            self.arrays[place] = np.lib.stride_tricks.as_strided(array, place.shape, place.strides)
        return self.arrays[place]

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
        if line.divides_by_one() and not overwritten & {line.out.memory, line.inputs[0].memory}:
            stands_for[line.out.memory] = line.inputs[0].memory
            continue
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


def allocate(lines: list[Line], wanted: set[int], scalars: set[int]) -> tuple[dict[int, int], int]:
    """Where in one block of bytes each fresh memory goes but the scalars, and how many bytes that takes.

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
        if not line.fresh or line.out.memory in scalars:
            continue
        memory, size = line.out.memory, extent(line.out)
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


@dataclass(frozen=True)
class Plan:
    """What a function is to do: its lines, where its result lies, the memories, and names for places in them."""

    lines: list[Line]
    result: Place
    memories: Memories
    names: dict[Place, str]


def plan(
    operations: Iterable[Operation], lasting: Iterable[Array], value: Array, hints: list[tuple[Array, str]]
) -> Plan:
    """The fewest lines that make these operations, with `value` as their result.

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
    return Plan(prune(redirect(lines, wanted), wanted), result, memories, named)


def compile_plan(plan: Plan, title: str) -> Code:
    """The straight-line function, without arguments, that does what is planned and returns the result."""
    scalars = numbers(plan.lines)
    starts, size = allocate(plan.lines, {plan.result.memory}, scalars)
    block = aligned(size)

    made: dict[Any, Array] = {}

    def array_of(place: Place) -> Array:
        if place.memory not in starts:
            return plan.memories.view(place)
        offset = starts[place.memory] + place.offset
        where = (offset, *place[2:])
        if where not in made:  # NumPy is quicker where an operand and the result are one object, not two of one memory
            made[where] = np.ndarray(place.shape, place.dtype, block.data, offset, place.strides)
        return made[where]

    writer = Writer(array_of, plan.names, scalars)
    source = writer.function(plan.lines, plan.result, title)
    exec(compile(source, "<minigrad program>", "exec"), writer.namespace)
    return Code(source, writer.namespace["step"], writer.namespace, size, writer.places, block, starts)


def numbers(lines: list[Line]) -> set[int]:
    """The fresh memories that hold a single number which is computed once: they can be NumPy's scalars, not arrays."""
    found = {
        line.out.memory: line.out
        for line in lines
        if line.fresh and line.pure and line.out.shape == () and line.kind in ("ufunc", "reduce")
    }
    for line in lines:
        plain = line.pure and line.kind in ("ufunc", "reduce", "copy")
        for place in line.reads():
            if not plain or place != found.get(place.memory):
                found.pop(place.memory, None)
        if not line.fresh:
            found.pop(line.out.memory, None)
    return set(found)


def aligned(size: int) -> Array:
    """So many bytes that begin with a cache line."""
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address(block) % ALIGNMENT
    return block[start : start + size]

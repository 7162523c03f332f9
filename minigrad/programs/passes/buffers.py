"""Where values lie: what a program that works in place may overwrite, and what memory it uses again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address
from minigrad.programs.ir.ops import Elementwise, Op, Program, View, in_place

ALIGNMENT = 64  # bytes: a cache line


def bytes_of(view: View) -> int:
    """The bytes from the first element to the end of the last."""
    return view.extent * view.dtype.itemsize


def allocate(ops: Sequence[Op], kept: set[int], elsewhere: Collection[int] = ()) -> tuple[dict[int, int], int]:
    """Where in one block of bytes each memory that the ops make goes, and how many bytes that takes.

    Memory is used again when its last reader is past, unless it is `kept`; an elementwise op may overwrite an operand
    that it is the last to read. What code of its own has seen may be kept by it, so it is never used again. Memories
    that are `elsewhere` have no place in the block.
    """
    last: dict[int, int] = {}
    lasting = set(kept)
    for number, op in enumerate(ops):
        for view in (*op.reads, *op.writes):
            last[view.memory] = number
            if not op.pure:
                lasting.add(view.memory)
    slots: list[tuple[int, int]] = []  # (bytes, the memory that holds it)
    slot_of: dict[int, int] = {}
    whole = {op.out.memory: op.out for op in ops if op.fresh}
    for number, op in enumerate(ops):
        if not op.fresh or op.out.memory in elsewhere:
            continue
        memory, size = op.out.memory, bytes_of(op.out)
        slot = None
        if memory not in lasting:
            slot = _operand_slot(op, number, last, lasting, whole, slot_of)
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
    op: Op,
    number: int,
    last: Mapping[int, int],
    lasting: set[int],
    whole: Mapping[int, View],
    slot_of: Mapping[int, int],
) -> int | None:
    if not isinstance(op, Elementwise):
        return None
    for view in op.reads:
        mine = view.memory in slot_of and view.memory not in lasting and last[view.memory] == number
        if (
            mine
            and view.place == whole[view.memory].place
            and (view.shape, view.strides) == (op.out.shape, op.out.strides)
            and view.dtype.itemsize == op.out.dtype.itemsize
            and in_place(op, view)
        ):
            return slot_of[view.memory]
    return None


def aligned(size: int) -> Array:
    """So many bytes that begin with a cache line."""
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address(block) % ALIGNMENT
    return block[start : start + size]


@dataclass(frozen=True)
class Layout:
    """Where the results of a program lie: from which byte of its `block` on each memory that is made."""

    starts: Mapping[int, int]
    block: Array
    _made: dict[Any, Array] = field(default_factory=dict)

    def array(self, view: View) -> Array:
        """The array of a view of a memory that is made."""
        offset = self.starts[view.memory] + view.offset * view.dtype.itemsize
        where = (offset, view.shape, view.strides, view.dtype)
        if where not in self._made:  # NumPy is quicker where operand and result are one object, not two of one memory
            strides = [stride * view.dtype.itemsize for stride in view.strides]
            self._made[where] = np.ndarray(view.shape, view.dtype, self.block.data, offset, strides)
        return self._made[where]


def lay_out(program: Program) -> Layout:
    """A layout for all that the ops of a program make."""
    starts, size = allocate(program.ops, {program.result.memory})
    return Layout(starts, aligned(size))

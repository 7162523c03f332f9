"""A program as tables of rows that an extension runs by NumPy's own inner loops: the same bits without Python's calls.

Every op that can be is *lowered* to rows of a table (`lowering`): a loop, where its operands lie, and the sizes and
strides of its calls. A program of nothing else is one *stretch* of rows; between stretches stand the ops that only
Python can run, such as random draws. The rows of a whole program may be divided among threads (`dividing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.parameter import Array
from minigrad.programs.backends.numpy_source import Source
from minigrad.programs.ir.equations import Names
from minigrad.programs.ir.memory import address
from minigrad.programs.ir.ops import Op, Program, Unwritable, View
from minigrad.programs.ir.verification import random_numbers, same_bits
from minigrad.programs.native import extension
from minigrad.programs.native.constants import Constants
from minigrad.programs.native.extension import Feeding, NotNative, feed, own_loop, part_of
from minigrad.programs.native.fusion import without_unread
from minigrad.programs.native.lowering import Lowering
from minigrad.programs.native.strides import Operand, spot_of
from minigrad.programs.native.table import Row, table_of
from minigrad.programs.native.work_sharing import divide, is_worth_dividing, parts_of
from minigrad.programs.passes.buffers import Layout, lay_out
from minigrad.programs.passes.panels import Panels, ways_to_panel

PROMISE = "same bits"

WORTH_DIVIDING = 1 << 20
"""Multiplications of a step from which on several threads may repay their meetings."""
WORTH_IT = 2
"""Lines of a stretch between Python's from which on it is quicker than Python (measured: a call takes 0.3 µs)."""


@dataclass(frozen=True)
class Stretch:
    """Ops one after the other that run natively, or by Python for a `reason`.

    `made` says which rows make which ops; nothing where Python does.
    """

    ops: list[Op]
    made: list[tuple[list[Op], list[Row]]]
    reason: str

    @property
    def rows(self) -> list[Row]:
        """The rows of all ops."""
        return [row for _, rows in self.made for row in rows]


def stretches_of(ops: Sequence[Op], lowering: Lowering) -> list[Stretch]:
    """The ops of a program in stretches that run natively and stretches that do not, by turns."""
    lowered: list[tuple[Op, list[Row], str]] = []
    for op in ops:
        try:
            lowered.append((op, lowering.rows(op), ""))
        except NotNative as refusal:
            lowered.append((op, [], str(refusal)))
    found: list[Stretch] = []
    for native, group in groupby(lowered, key=lambda each: bool(each[1])):
        some = list(group)
        short = native and len(some) < min(WORTH_IT, len(ops))
        mine = [op for op, _, _ in some]
        if native and not short:
            found.append(Stretch(mine, _fused([([op], rows) for op, rows, _ in some], ops), ""))
        elif found and not found[-1].made:
            found[-1].ops.extend(mine)
        else:
            found.append(Stretch(mine, [], some[0][2] or "it is too short"))
    return found


def _fused(lowered: list[tuple[list[Op], list[Row]]], program: Sequence[Op]) -> list[tuple[list[Op], list[Row]]]:
    """The same with fewer rows: v = eta g and theta = theta - v are one row where nobody else reads v."""
    found: list[tuple[list[Op], list[Row]]] = []
    for ops, rows in lowered:
        before, scaled = found[-1] if found else ([], [])
        if len(before) == len(scaled) == len(rows) == 1:
            step = _descent(before[0], scaled[0], ops[0], rows[0], program)
            if step is not None:
                found[-1] = [*before, *ops], [step]
                continue
        found.append((ops, rows))
    return found


def _descent(scaling: Op, scaled: Row, op: Op, row: Row, program: Sequence[Op]) -> Row | None:
    """Both ops as one row; None where they are no such pair."""
    size = op.out.dtype.itemsize
    if (scaling.function, op.function) != (np.multiply, np.subtract) or op.out.dtype.kind != "f" or row.shape:
        return None
    if op.inputs[1:] != (scaling.out,) or not scaling.fresh or (scaled.shape, scaled.sizes) != ((), row.sizes):
        return None
    users = [each for each in program for view in (*each.reads, *each.writes) if view.memory == scaling.out.memory]
    number = 0 if scaled.strides[0] == 0 else 1
    if len(users) != 2 or (scaled.strides[number], scaled.strides[1 - number]) != (0, size) or row.sizes[0] == 1:
        return None
    if row.strides != (size,) * 3 or size < 4:
        return None
    spots = (scaled.spots[number], scaled.spots[1 - number], row.spots[0], row.spots[2])
    return Row(own_loop(f"descend {op.out.dtype}"), spots, (size,) * 4, row.sizes, (0, size, size, size))


class Native:
    """A program that runs natively, as far as it can: `function` is what runs it, `whole` whether without Python's ops.

    `reasons` says what Python runs in between, and why. Of a whole program, `table` has all rows, and `result` is what
    it returns.
    """

    def __init__(self, program: Program, layout: Layout) -> None:
        self._lowering = Lowering(tiles=blas_threads() == 1)
        self.stretches: list[Stretch] = stretches_of(program.ops, self._lowering)
        if not any(stretch.made for stretch in self.stretches):
            raise Unwritable(program.ops[0], "no op of it runs natively")
        self._program, self._layout = program, layout
        self.whole: bool = all(stretch.made for stretch in self.stretches)
        self.reasons: dict[str, str] = {
            str(stretch.ops[0]): stretch.reason for stretch in self.stretches if not stretch.made
        }
        self.members: int = 1
        self._parts: dict[Row, list[list[Row]] | None] = {}
        self._written()

    @property
    def constants(self) -> int:
        """The bytes of its constants, and of rooms beside the layout."""
        return self._lowering.constants.nbytes

    def divide(self, members: int) -> bool:
        """Divide the rows among so many threads from now on; whether it is worth it. To be tried: bits may change."""
        rows = self.stretches[0].rows
        products = [row for row in rows if row.kind == "product" and is_worth_dividing(row, members)]
        if not self.whole or members < 2 or sum(row.work for row in products) < WORTH_DIVIDING:
            return False
        self.members = members
        self._written()
        return any(row is not None and row not in rows for row in self._divided[0])

    def divided(self) -> Any:
        """Run the program once by several threads. To be called in `one_blas_thread`."""
        if errors := extension.run_together(self.tables, 1, [None] * self.members, None):
            extension.complain(errors)
        return self.result if self.result.shape else float(self.result)

    def run(self, batches: int, gathered: Sequence[Feeding], alone: list[Any], losses: Array, shared: bool) -> int:
        """Run a whole program for many batches, and keep what it returns; returns the floating-point errors.

        `gathered` are (place, table, rows) of which each batch takes some rows, `alone` are feeds of the other places.
        Where it is `shared` by threads, each gathers its part of the rows: to be called in `one_blas_thread`.
        """
        keeps = extension.records([feed(self.result, losses, None, 1)])
        whole = [feed(*each, len(each[0])) for each in gathered]
        if not shared:
            return extension.run(self.table, batches, extension.records(whole + alone), keeps, None, self.before)
        feeds = [[part_of(each, *part) for each in whole] for part in self.shares(len(gathered[0][0]))]
        feeds[0] += alone
        return extension.run_together(self.tables, batches, [extension.records(some) for some in feeds], keeps)

    def on(self, program: Program) -> Native:
        """The same for the same program on other arrays, in the same memory for results."""
        other = Native.__new__(Native)
        vars(other).update(vars(self), _program=program)
        other._written()
        return other

    def _written(self) -> None:
        """Make the tables, and the function that runs them with Python's ops in between."""
        program = self._program
        if self.members > 1:
            for row in self.stretches[0].rows:
                parts_of(row, self.members, self._product)  # which may take room
        bases = self._bases()
        tables = [extension.raw_bytes(table_of(s.rows, bases)) for s in self.stretches if s.made]
        source = Source(self._array, Names(program.names))
        left, text = iter(tables), ["def step():"]
        begin = 0
        for stretch in self.stretches:
            end = begin + len(stretch.ops)
            if stretch.made:
                text.append(f"    {source.bind('native', _running(next(left)), ('native', begin))}()")
            else:  # the ops of this very program: they may draw from generators of its own
                text += [f"    {source.statement(op)}" for op in program.ops[begin:end]]
            begin = end
        result = source.name(program.result)
        text.append(f"    return {result if program.result.shape else f'float({result})'}")
        self.function: Callable[[], Any] = source.defined("\n".join(text))
        self.table: Any = tables[0]
        self.result: Array = self._array(program.result) if self.whole else np.zeros(())
        self._before: Any = ...  # not known yet
        if self.members > 1:
            self._divided = divide(self.stretches[0].rows, self.members, bases, self._fed(), self._product)
            self.tables: list[Any] = [extension.raw_bytes(table_of(rows, bases)) for rows in self._divided]

    @property
    def before(self) -> Any:
        """The table for the batches before the last one of a run, if they can do with less."""
        if self._before is ...:
            bases = self._bases()
            shorter = without_unread(self.stretches[0].rows, bases) if self.whole else None
            self._before = None if shorter is None else extension.raw_bytes(table_of(shorter, bases))
        return self._before

    def _bases(self) -> dict[int, int]:
        """The address of each memory."""
        layout = self._layout
        bases = {memory: address(array) for memory, array in self._program.homes.items()}
        bases |= self._lowering.constants.bases()
        return bases | {memory: address(layout.block) + start for memory, start in layout.starts.items()}

    def line_by_line(self) -> list[tuple[list[Op], Callable[[], None]]]:
        """Of a whole program the ops, one or two at a time, with the functions that run them, in turn."""
        bases = self._bases()
        return [(ops, _running(extension.raw_bytes(table_of(rows, bases)))) for ops, rows in self.stretches[0].made]

    def shares(self, count: int) -> list[tuple[int, int]]:
        """Which rows of a batch each thread gathers."""
        return [(count * k // self.members, count * (k + 1) // self.members) for k in range(self.members)]

    def _fed(self) -> list[list[tuple[int, int]]]:
        """For each thread the addresses that are filled by it before a step."""
        program, fed = self._program, list[list[tuple[int, int]]]()
        for number in range(self.members):
            mine = []
            for value, array in program.given.items():
                if value.role == "batch" and len(array.shape):
                    start, stop = self.shares(len(array))[number]
                    mine.append((address(array) + start * array.strides[0], address(array) + stop * array.strides[0]))
                elif value.role == "coefficient" and number == 0:
                    mine.append((address(array), address(array) + array.itemsize))
            fed.append(mine)
        return fed

    def _product(self, row: Row, bounds: list[int]) -> list[list[Row]] | None:
        """For each thread its part of a product, so that in one BLAS thread each the bits are those of the layers."""
        if row not in self._parts:
            known = len(self._lowering.constants.arrays)
            ways = (way for way in self._ways(row, bounds) if _same_in_parts(row, way, self._lowering.constants))
            self._parts[row] = found = next(ways, None)
            if not any(memory < -known for part in found or () for each in part for memory, _ in each.spots):
                self._lowering.constants.forget(known)
        return self._parts[row]

    def _ways(self, row: Row, bounds: list[int]) -> Iterator[list[list[Row]]]:
        """Ways to make a product in parts: some rows each, at once or panel by panel."""
        if row.spots[0][0] == row.spots[1][0]:
            return  # NumPy multiplies a matrix by its own transpose in another way, with other bits
        parts = row.cuts(bounds) or []
        yield [[part] for part in parts]
        if row.shape or row.sizes[0] > 1 or row.strides[8] != row.items[2]:
            return
        several = [panels for panels in ways_to_panel(row.sizes[2]) if len(panels) > 1]
        if not several:
            return
        room = self._lowering.constants.room
        rooms = [room((part.sizes[1], part.sizes[3]), np.dtype(f"f{part.items[2]}")) for part in parts]
        for panels in several:
            yield [_in_panels(part, panels, room) for part, room in zip(parts, rooms, strict=True)]

    def _array(self, view: View) -> Array:
        return self._layout.array(view) if view.memory in self._layout.starts else self._program.array(view)

    def __str__(self) -> str:
        if self.whole:
            threads = f", by one thread or by {self.members}" if self.members > 1 else ""
            return f"natively: NumPy's own loops without Python between them{threads}"
        kept = "; ".join(f"{op}: {reason}" for op, reason in self.reasons.items())
        return f"natively but for {kept}"


def _in_panels(part: Row, panels: Panels, room: Operand) -> list[Row]:
    """A product as the sum of its panels' products; each but the first is made in a room of its own."""
    s, (_, rows, _, columns), item = part.strides, part.sizes, part.items[2]
    found = []
    for start, stop in panels:
        (a, a_offset), (b, b_offset), out = part.spots
        spots = (a, a_offset + start * s[4]), (b, b_offset + start * s[5]), out if start == 0 else room.spot
        strides = s if start == 0 else (*s[:7], *room.strides)
        found.append(replace(part, spots=spots, sizes=(1, rows, stop - start, columns), strides=strides))
        if start:
            adding = (s[7], room.strides[0], s[7], item, item, item)
            loop = own_loop(f"rows add float{8 * item}")
            found.append(Row(loop, (out, room.spot, out), (item,) * 3, (rows, columns), adding, kind="rows"))
    return found


def _same_in_parts(row: Row, parts: list[list[Row]], constants: Constants) -> bool:
    """Whether parts of a product have its bits, in one BLAS thread, on numbers at random."""
    origin = dict.fromkeys((memory for memory, _ in row.spots), 0)
    rng, bases, operands = np.random.default_rng(0), dict[int, int](), list[Array]()
    for number, ((low, high), item) in enumerate(zip(row.touched(origin), row.items, strict=True)):
        operands.append(random_numbers((high - low) // item, np.dtype(f"f{item}"), rng))
        bases[number] = address(operands[-1]) - low
    rooms = constants.bases()
    memories, apart = [memory for memory, _ in row.spots], []
    for each in (row, *(each for part in parts for each in part)):
        # A product may have one memory for two operands: here each has its own.
        own = range(3) if each.kind == "product" else (2, 2, 2)
        spots = ((n if m in memories else m, offset) for n, (m, offset) in zip(own, each.spots, strict=True))
        apart.append(replace(each, spots=tuple(spots)))
    result = operands[-1]
    result[:] = 0
    extension.run(extension.raw_bytes(table_of(apart[:1], rooms | bases)))
    whole = result.copy()
    result[:] = 0
    with one_blas_thread() as able:
        if able:
            extension.run(extension.raw_bytes(table_of(apart[1:], rooms | bases)))
    return able and same_bits(whole, result)


def function_of(ops: Iterable[Op], array_of: Callable[[View], Array]) -> Callable[[], None] | None:
    """A function that runs some ops on these arrays natively; None where one of them is Python's."""
    if extension.refusal() is not None:
        return None
    lowering, rows, homes = Lowering(tiles=True), list[Row](), dict[int, tuple[View, Array]]()
    try:
        for op in ops:
            rows += lowering.rows(op)
            for view in (*(v for v in op.inputs if isinstance(v, View)), op.out):
                homes[view.memory] = view, array_of(view)
    except NotNative:
        return None
    bases = {memory: address(array) - spot_of(view)[1] for memory, (view, array) in homes.items()}
    bases |= lowering.constants.bases()
    return _running(extension.raw_bytes(table_of(rows, bases)), (homes, lowering.constants.arrays))


def _running(table: memoryview, kept: Any = None) -> Callable[[], None]:
    """A function that runs a table. It keeps what the addresses in there belong to."""
    run, complain = extension.run, extension.complain

    def native(table: memoryview = table, kept: Any = kept) -> None:
        if errors := run(table):
            complain(errors)

    return native


def write(program: Program, layout: Layout | None = None) -> Native:
    """The program as tables. Raises Unwritable where nothing of it can run natively."""
    refusal = extension.refusal()
    if refusal is not None:
        raise Unwritable(program.ops[0], refusal)
    return Native(program, layout or lay_out(program))

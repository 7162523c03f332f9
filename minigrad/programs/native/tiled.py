"""A tiled step as tables: one for each thread, which makes its own tiles, and then its part of what comes after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address
from minigrad.programs.ir.ops import Copy, Op, Program, Scope, Value, in_c_order
from minigrad.programs.native import extension
from minigrad.programs.native.extension import Feeding, feed, own_loop, part_of, records
from minigrad.programs.native.lowering import Lowering
from minigrad.programs.native.table import Row, table_of
from minigrad.programs.native.work_sharing import divide
from minigrad.programs.passes.buffers import aligned, allocate
from minigrad.programs.passes.row_tiling import Tile, Tiling

ORDER, SOURCE, GATHERED = -1_000_001, -1_000_002, -1_000_003
"""The memories of the numbers of a batch's rows, of all rows of x, and of a tile's rows that are yet to be cast."""


class TiledStep:
    """A tiling of a program on its arrays. Raises NotNative where an op is Python's."""

    def __init__(self, program: Program, tiling: Tiling) -> None:
        self._program, self._tiling, self._lowering = program, tiling, Lowering(tiles=True)
        self._x = program.inputs[0]
        self._order = np.arange(tiling.count)
        before, after = (self._rows(ops) for ops in (tiling.before, tiling.after))
        self._tiles = {tile: self._rows(tiling.cut(tile)) for tile in tiling.tiles}
        values = {view.memory: view.value for op in self._ops() for view in (*op.reads, *op.writes)}
        kept = {program.result.memory, *(v.memory for op in (*tiling.before, *tiling.after) for v in op.reads)}
        longest = max(tiling.tiles, key=lambda tile: tile.stop - tile.start)
        gathering = self._gathering(longest)
        self._starts, size = allocate([gathering, *tiling.cut(longest)], set(), kept | set(tiling.partial))
        self._homes: dict[int, Array] = dict(program.homes)
        for memory, value in values.items():
            if memory not in self._homes and memory not in self._starts:
                self._homes[memory] = value.empty()
        self._blocks = [aligned(size) for _ in tiling.shares]
        bases = {memory: address(array) for memory, array in self._homes.items()} | self._lowering.constants.bases()
        members = len(tiling.shares)
        self._bases, self.result = bases, self._homes[program.result.memory]
        self._before = [[*before, None] if before and n == 0 else [None] * bool(before) for n in range(members)]
        self._after = divide(after, members, bases, [[]] * members, lambda row, bounds: None)
        self._tables: list[Any] = []
        self._scratch: dict[int, Array] = {}  # for each thread its rows that are yet to be cast
        self._made_for: Any = None

    def __call__(self) -> float:
        """Make the step for the batch that stands in the program's places. To be called in `one_blas_thread`."""
        x, self._order[:] = self._homes[self._x.memory].copy(), np.arange(len(self._order))
        if errors := extension.run_together(self._tables_for(x), 1, [None] * len(self._blocks), None):
            extension.complain(errors)
        return float(self.result)

    def __str__(self) -> str:
        return f"{len(self._tiling.tiles)} tiles of rows by {len(self._blocks)} threads"

    def run(self, batches: int, gathered: Sequence[Feeding], alone: list[Any], losses: Array) -> int:
        """Make the step for many batches as `Native.run` does, of rows x that may be floats of another type."""
        (_, x, rows), *others = gathered
        count = self._tiling.count
        whole = [feed(self._order, rows.reshape(-1), None, count), *(feed(*each, count) for each in others)]
        feeds = [[part_of(each, mine[0].start, mine[-1].stop) for each in whole] for mine in self._tiling.shares]
        feeds[0] += alone
        keeps = records([feed(self.result, losses, None, 1)])
        return extension.run_together(self._tables_for(x), batches, [records(each) for each in feeds], keeps)

    def _ops(self) -> list[Op]:
        return [*self._tiling.before, *self._tiling.rows, *self._tiling.after]

    def _rows(self, ops: Any) -> list[Row]:
        return [row for op in ops for row in self._lowering.rows(op)]

    def _gathering(self, tile: Tile) -> Op:
        """x[...] = rows, for a tile."""
        x = self._tiling.cut_view(self._x.whole, tile)
        return Copy(np.copyto, (), {}, x, Scope("gather", "all", "rows of x"))

    def _tables_for(self, x: Array) -> list[Any]:
        """The tables that gather from these rows."""
        made_for = address(x), x.dtype, x.strides[0]
        if made_for != self._made_for:
            self._made_for, self._tables = made_for, []
            for n, mine in enumerate(self._tiling.shares):
                beside = {ORDER: address(self._order), SOURCE: address(x)}
                if x.dtype != self._x.dtype:
                    most = max(tile.stop - tile.start for tile in mine)
                    self._scratch[n] = np.empty((most, *x.shape[1:]), x.dtype)
                    beside[GATHERED] = address(self._scratch[n])
                parts = [table_of(self._before[n], self._bases)]
                for tile in mine:
                    rows = [*self._gathered(x, tile), *self._tiles[tile]]
                    parts.append(table_of(rows, self._bases_of(tile, self._blocks[n]) | beside))
                parts += [table_of([None], {}), table_of(self._after[n], self._bases)]
                self._tables.append(extension.raw_bytes(np.concatenate(parts)))
        return self._tables

    def _gathered(self, x: Array, tile: Tile) -> list[Row]:
        """Rows that gather a tile's rows of x, and cast them if need be."""
        place, size = self._tiling.cut_view(self._x.whole, tile), x[0].nbytes
        target = (place.memory, 0) if x.dtype == place.dtype else (GATHERED, 0)
        spots = (ORDER, tile.start * self._order.itemsize), (SOURCE, 0), target
        items = (self._order.itemsize, x.itemsize, x.itemsize)
        rows = [Row(own_loop("gather"), spots, items, (tile.stop - tile.start,), (x.strides[0], size))]
        if x.dtype != place.dtype:
            value = Value(-1, GATHERED, place.shape, in_c_order(place.shape), x.dtype, "made")
            rows += self._lowering.rows(Copy(np.copyto, (value.whole,), {}, place, Scope("gather", "all", "")))
        return rows

    def _bases_of(self, tile: Tile, block: Array) -> dict[int, int]:
        """Where each memory begins for a tile: in its thread's block, or in that of all rows where its own begin."""
        bases = self._bases | {memory: address(block) + start for memory, start in self._starts.items()}
        touched = {view.memory for op in self._tiling.rows for view in (*op.reads, *op.writes)} | {self._x.memory}
        for memory in touched - set(self._starts):
            item = self._homes[memory].itemsize
            if memory in self._tiling.partial:
                bases[memory] += tile.panels.start * self._tiling.partial[memory].strides[0] * item
            elif memory in self._tiling.widths:
                bases[memory] += tile.start * self._tiling.widths[memory] * item
        return bases

"""Row tiling: a step of thousands of rows as the same ops on tiles of rows, for several threads, with the same bits.

A tile's rows stay in a processor's cache from the op that makes them to the last that reads them, and no tile waits for
another. What needs all rows, such as the loss, follows when they are done. So the ops are in three phases: those that
need no row, those of each tile, and those that come after.

A product over the rows, dW = xᵀ dz, is the sum of such products over tiles: in every bit, where tiles are made of the
panels in which BLAS adds up (`panels.py`). Where nothing gives the same bits, there are no tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np

from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.parameter import Array
from minigrad.programs.ir.ops import (
    Call,
    Change,
    Copy,
    Elementwise,
    Op,
    Product,
    Program,
    Reduce,
    Value,
    View,
    is_matrix_product,
)
from minigrad.programs.ir.verification import Example, examples
from minigrad.programs.passes.panels import Panels, ways_to_panel

WORTH_IT = 1 << 24
"""Multiplications of a step from which on tiles repay what starting threads costs, some 60 µs (measured)."""
MOSTLY = 0.75
PANELS_IN_A_TILE = 2
"""In longer tiles rows fall out of the cache; in shorter ones the calls of products cost more (measured)."""
BEFORE, ROWS, AFTER = range(3)


class Untiled(Exception):
    """A step that tiles can't make bit for bit, or not in less time."""


@dataclass(frozen=True)
class Tile:
    """Rows from `start` to `stop`, which are the `panels` of these numbers."""

    start: int
    stop: int
    panels: range


@dataclass
class Tiling:
    """The ops `before` the tiles, those of all `rows`, and those `after`; `shares` are the tiles of each thread.

    `widths` are the elements of a row in each memory that has a row for each of the batch. `partial` are the memories
    of partial products, of which there is one for each of the `panels`.
    """

    count: int
    panels: Panels
    shares: list[list[Tile]]
    before: list[Op] = field(default_factory=list)
    rows: list[Op] = field(default_factory=list)
    after: list[Op] = field(default_factory=list)
    widths: dict[int, int] = field(default_factory=dict)
    partial: dict[int, View] = field(default_factory=dict)

    @property
    def tiles(self) -> list[Tile]:
        """Those of all threads."""
        return [tile for mine in self.shares for tile in mine]

    def axis(self, view: View) -> int | None:
        """Which axis counts the rows of the batch; None in memory without rows, and in a view of some of them."""
        width = self.widths.get(view.memory)
        found = (n for n, each in enumerate(zip(view.shape, view.strides, strict=True)) if each == (self.count, width))
        return next(found, None)

    def cut(self, tile: Tile) -> Iterator[Op]:
        """The ops of a tile; a product over the rows becomes an op for each of its panels."""
        for op in self.rows:
            if op.out.memory not in self.partial:
                yield op.with_views(partial(self.cut_view, tile=tile))
                continue
            _, *shape = op.out.shape
            first, *strides = op.out.strides
            for number, panel in enumerate(tile.panels):
                out = replace(op.out, offset=number * first, shape=tuple(shape), strides=tuple(strides))
                rows = range(*self.panels[panel])
                yield replace(op.with_views(partial(self.cut_view, tile=tile, rows=rows)), out=out)

    def cut_view(self, view: View, tile: Tile, rows: range | None = None) -> View:
        """Only these rows of a view (all of the tile's without them), seen from where the tile begins."""
        axis = self.axis(view)
        if axis is None:
            return view
        rows = range(tile.start, tile.stop) if rows is None else rows
        offset = view.offset + (rows.start - tile.start) * view.strides[axis]
        shape = (*view.shape[:axis], len(rows), *view.shape[axis + 1 :])
        return replace(view, offset=offset, shape=shape)


def tile_rows(program: Program) -> Tiling:
    """The tiling of a program. Raises Untiled."""
    count = program.inputs[0].shape[0]
    panels = _panels(program.ops, count)
    for shares in _shares(panels, blas_threads()):
        tiling = _Phases(program, Tiling(count, panels, shares)).tiling
        if len(tiling.tiles) > 1 and work_of(tiling.rows) >= MOSTLY * work_of(program.ops):
            break
    else:
        raise Untiled("too little of the work is done row by row")
    if not same_in_one_thread([op for op in (*tiling.before, *tiling.after) if isinstance(op, Product)]):
        raise Untiled("what comes before or after the tiles takes other bits in one thread")
    return tiling


class _Phases:
    """Puts each op into the earliest of the three phases that it can be in, in their order there."""

    def __init__(self, program: Program, tiling: Tiling) -> None:
        self.tiling = tiling
        tiling.widths = {value.memory: value.whole.strides[0] for value in program.inputs}
        self._next = 1 + max(value.memory for value in program.values)
        phases = (tiling.before, tiling.rows, tiling.after)
        written, read = {program.inputs[0].memory: ROWS}, dict[int, int]()
        for op in program.ops:
            if not op.pure or isinstance(op, Change | Call):
                raise Untiled(f"{op} is Python's")
            phase = given = max((written.get(view.memory, BEFORE) for view in op.reads), default=BEFORE)
            if not op.fresh:
                phase = max(phase, *(touched.get(op.out.memory, BEFORE) for touched in (written, read)))
            if given <= ROWS and self._adds_up(op):
                products = self._place_for_products(op)
                tiling.rows.append(replace(op, out=products))
                op = Reduce(np.add.reduce, (products,), {"axis": 0}, op.out, op.scope)
                phase = AFTER
            elif phase <= ROWS and self._splits(op):
                phase = ROWS
            elif phase == ROWS:
                phase = AFTER
            phases[phase].append(op)
            written[op.out.memory] = max(phase, written.get(op.out.memory, BEFORE))
            for view in op.reads:
                read[view.memory] = max(phase, read.get(view.memory, BEFORE))
            if op.fresh and op.out.shape[:1] == (tiling.count,) and _contiguous(op.out):
                tiling.widths[op.out.memory] = op.out.strides[0]

    def _splits(self, op: Op) -> bool:
        """Whether a row of the result depends on the same row of some operands, and on all of the others."""
        axis_of, widths, shape = self.tiling.axis, self.tiling.widths, op.out.shape
        if shape[:1] != (self.tiling.count,) or not (_contiguous(op.out) if op.fresh else axis_of(op.out) == 0):
            return False
        of_rows = [axis_of(view) for view in op.reads if view.memory in widths]
        if any(axis != 0 for axis in of_rows):
            return False  # a transpose, or some of the rows: all tiles would need them
        if isinstance(op, Reduce):
            operand, axis = op.inputs[0], op.options.get("axis", 0)
            axes = axis if isinstance(axis, tuple) else (axis,)
            return len(of_rows) == 1 and all(n is not None and n % len(operand.shape) for n in axes)
        if isinstance(op, Elementwise | Copy):
            return all(
                len(view.shape) == len(shape)
                if view.memory in widths
                else len(view.shape) < len(shape) or view.shape[0] == 1
                for view in op.reads
            )
        if is_matrix_product(op):
            a, b = op.inputs
            if a.memory in widths and b.memory not in widths:
                return _agree_in_tiles(op, self.tiling.tiles)
        return False

    def _adds_up(self, op: Op) -> bool:
        """Whether an op is a sum of products over the rows that panels give in every bit."""
        over_rows = is_matrix_product(op) and [self.tiling.axis(view) for view in op.inputs] == [1, 0]
        return over_rows and _agree_in_panels(examples(op), self.tiling.panels)

    def _place_for_products(self, op: Op) -> View:
        shape = (len(self.tiling.panels), *op.out.shape)
        strides = tuple(stride // op.out.dtype.itemsize for stride in np.empty(shape, op.out.dtype).strides)
        value = Value(-1, self._next, shape, strides, op.out.dtype, "made")
        self._next += 1
        products = self.tiling.partial[value.memory] = replace(value, follows=value).whole
        return products


def _contiguous(view: View) -> bool:
    """Whether a view begins its memory and lies there row by row."""
    size = view.dtype.itemsize
    return view.offset == 0 and [n * size for n in view.strides] == list(np.empty(view.shape, view.dtype).strides)


def work_of(ops: Sequence[Op]) -> int:
    """The multiplications in products of matrices."""
    pairs = [op.inputs for op in ops if op.function is np.matmul and len(op.inputs[0].shape) == 2]
    return sum(a.shape[0] * a.shape[1] * b.shape[-1] for a, b in pairs)


def _panels(ops: Sequence[Op], rows: int) -> Panels:
    """Where the panels begin and end in which BLAS adds up the step's largest product over the rows.

    Raises Untiled.
    """
    sums = [op for op in ops if is_matrix_product(op) and op.inputs[1].shape[0] == rows]
    if not sums or work_of(ops) < WORTH_IT:
        raise Untiled("too little work")
    largest = list(examples(max(sums, key=lambda op: work_of([op]))))
    for panels in ways_to_panel(rows):
        if _agree_in_panels(largest, panels):
            return panels
    raise Untiled("the panels of this machine's BLAS are not known")


def _even(count: int, shares: int) -> list[range]:
    """The numbers below `count` in at most so many ranges, of lengths that differ by 1 at most."""
    shares = min(shares, count)
    bounds = [count * share // shares for share in range(shares + 1)]
    return [range(start, stop) for start, stop in pairwise(bounds)]


def _shares(panels: Panels, threads: int) -> Iterator[list[list[Tile]]]:
    """For each thread the tiles of its own: even shares, or full tiles, where kernels need them."""

    def tile(numbers: range) -> Tile:
        return Tile(panels[numbers[0]][0], panels[numbers[-1]][1], numbers)

    even = []
    for mine in _even(len(panels), threads):
        parts = _even(len(mine), -(-len(mine) // PANELS_IN_A_TILE))
        even.append([tile(mine[part.start : part.stop]) for part in parts])
    yield even
    firsts = range(0, len(panels), PANELS_IN_A_TILE)
    full = [tile(range(first, min(first + PANELS_IN_A_TILE, len(panels)))) for first in firsts]
    yield [full[mine.start : mine.stop] for mine in _even(len(full), threads)]


def same_in_one_thread(ops: Sequence[Op]) -> bool:
    """Whether the ops leave the same bits whatever number of threads BLAS uses."""
    for op in ops:
        if isinstance(op, Call | Change) or (isinstance(op, Product) and not is_matrix_product(op)):
            return False  # there may be products in it
        if is_matrix_product(op) and not _agree_in_one_thread(examples(op), np.matmul):
            return False
    return True


def _agree_in_one_thread(cases: Iterable[Example], product: Callable[[Array, Array], Array]) -> bool:
    """Whether another way to multiply gives the very bits with one thread that BLAS's number of threads gives."""
    for operands, whole in cases:
        with one_blas_thread() as able:
            if not able or not np.array_equal(whole, product(*operands)):
                return False
    return True


def _agree_in_panels(cases: Iterable[Example], panels: Panels) -> bool:
    """Whether xᵀ dz is, in every bit, the sum of the panels' products."""

    def product(xT: Array, dz: Array) -> Array:
        total: Array = np.add.reduce(np.array([np.matmul(xT[:, i:j], dz[i:j]) for i, j in panels]), 0)
        return total

    return _agree_in_one_thread(cases, product)


def _agree_in_tiles(op: Op, tiles: list[Tile]) -> bool:
    """Whether x W is the same in every bit when some rows of x are multiplied after others."""
    smallest = min(tile.stop - tile.start for tile in tiles)

    def product(x: Array, W: Array) -> Array:
        return np.concatenate([np.matmul(x[tile.start : tile.stop], W) for tile in tiles])

    return _agree_in_one_thread(examples(op, smallest / tiles[-1].stop), product)

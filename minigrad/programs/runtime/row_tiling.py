"""A step of thousands of rows in blocks of rows, by several threads: the same lines, the same bits, in less time.

A block's rows stay in a processor's cache from the line that makes them to the last that reads them, and no block waits
for another. What needs all rows, such as the loss, follows when they are done. So there are three functions: what
needs no row, what each block does, and what comes after.

A product over the rows, dW = xᵀ dz, is the sum of such products over blocks: in every bit, where blocks are made of
the panels in which BLAS adds up (`panels.py`). Where nothing gives the same bits, there are no blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.data.blocks import gather
from minigrad.parameter import Array
from minigrad.programs.backends.numpy_source import Source
from minigrad.programs.ir.equations import Names
from minigrad.programs.ir.ops import (
    Call,
    Change,
    Copy,
    Draw,
    Elementwise,
    Op,
    Place,
    Product,
    Program,
    Reduce,
    Scope,
    Value,
    View,
    is_matrix_product,
)
from minigrad.programs.ir.verification import Example, examples
from minigrad.programs.native.executable import function_of
from minigrad.programs.native.panels import Panels, ways_to_panel
from minigrad.programs.native.threads import share
from minigrad.programs.passes.buffers import aligned, allocate

Task: TypeAlias = list[tuple[slice, Array, Callable[[], None]]]

WORTH_IT = 1 << 24
"""Multiplications of a step from which on threads repay what waking them costs, some 60 µs (measured)."""
MOSTLY = 0.75
PANELS_IN_A_BLOCK = 3
"""In longer blocks rows fall out of the cache; in shorter ones the threads wait for Python's lock (measured)."""
BEFORE, ROWS, AFTER = range(3)
MULTIPLYING = ("dot", "einsum", "inner", "kron", "outer", "tensordot", "vdot")  # functions that may ask BLAS


class Undivided(Exception):
    """A step that blocks can't make bit for bit, or not in less time."""


@dataclass(frozen=True)
class Block:
    """Rows from `start` to `stop`, which are the `panels` of these numbers."""

    start: int
    stop: int
    panels: range


class StepInBlocks:
    """A program of a step as three functions. Called with x and the numbers of its rows, it makes the step.

    The places of its batch other than x are to be filled before. Raises Undivided.
    """

    def __init__(self, program: Program) -> None:
        self._program, self._names = program, dict(program.names)
        self._inputs = [value.whole for value in program.inputs]
        self._x, self._rows = self._inputs[0], self._inputs[0].shape[0]
        self._values = {value.memory: value for value in program.values}
        self._homes: dict[int, Array] = {}
        ops = program.ops
        self._panels = _panels(ops, self._rows)
        for shares in _shares(self._panels, blas_threads()):
            self._shares, self._blocks = shares, [block for mine in shares for block in mine]
            before, rows, after = self._phases(ops)
            if len(self._blocks) > 1 and work_of(rows) >= MOSTLY * work_of(ops):
                break
        else:
            raise Undivided("too little of the work is done row by row")

        if not same_in_one_thread([op for op in (*before, *after) if _multiplies(op)]):
            raise Undivided("what comes before or after the blocks takes other bits in one thread")
        kept = {program.result.memory} | {view.memory for op in (*before, *after) for view in op.reads}
        self._before = self._whole(before, None)
        self._tasks = list(self._for_threads(rows, kept))
        self._after = self._whole(after, program.result)
        del self._program, self._values  # and with them what only the writing needed

    def __call__(self, x: Array, order: Array) -> float:
        """Make the step for these rows of x, and return its value. To be called in `one_blas_thread`."""
        self._before()
        share([partial(_run, task, x, order) for task in self._tasks])
        value: float = self._after()
        return value

    def __str__(self) -> str:
        return f"{len(self._blocks)} blocks of rows by {len(self._tasks)} threads"

    # ------------------------------------------------------------------------------------------------------- in phases
    def _phases(self, ops: Sequence[Op]) -> tuple[list[Op], list[Op], list[Op]]:
        """The lines, each in the earliest of the three phases that it can be in, in their order there."""
        phases: tuple[list[Op], list[Op], list[Op]] = ([], [], [])
        self._width = {view.memory: view.strides[0] for view in self._inputs}  # elements of a row
        self._products: dict[int, View] = {}
        written, read = {self._x.memory: ROWS}, dict[int, int]()
        drawn = BEFORE
        for op in ops:
            if not op.pure and not isinstance(op, Draw):
                raise Undivided(f"what {op.function} does can't be told")
            phase = given = max((written.get(view.memory, BEFORE) for view in op.reads), default=BEFORE)
            if not op.pure:
                phase = max(phase, drawn)  # random numbers are drawn in their order
            if not op.fresh:
                phase = max(phase, *(touched.get(op.out.memory, BEFORE) for touched in (written, read)))
            if given <= ROWS and self._adds_up(op):
                products = self._place_for_products(op)
                phases[ROWS].append(replace(op, out=products))
                op = Reduce(np.add.reduce, (products,), {"axis": 0}, op.out, op.scope)
                phase = AFTER
            elif phase <= ROWS and self._splits(op):
                phase = ROWS
            elif phase == ROWS:
                phase = AFTER
            phases[phase].append(op)
            if not op.pure:
                drawn = phase
            written[op.out.memory] = max(phase, written.get(op.out.memory, BEFORE))
            for view in op.reads:
                read[view.memory] = max(phase, read.get(view.memory, BEFORE))
            if op.fresh and op.out.shape[:1] == (self._rows,) and _contiguous(op.out):
                self._width[op.out.memory] = op.out.strides[0]
        return phases

    def _axis(self, view: View) -> int | None:
        """Which axis counts the rows of the batch; None in memory without rows, and in a view of some of them."""
        width = self._width.get(view.memory)
        found = (n for n, each in enumerate(zip(view.shape, view.strides, strict=True)) if each == (self._rows, width))
        return next(found, None)

    def _splits(self, op: Op) -> bool:
        """Whether a row of the result depends on the same row of some operands, and on all of the others."""
        shape = op.out.shape
        if shape[:1] != (self._rows,) or not (_contiguous(op.out) if op.fresh else self._axis(op.out) == 0):
            return False
        of_rows = [self._axis(view) for view in op.reads if view.memory in self._width]
        if any(axis != 0 for axis in of_rows):
            return False  # a transpose, or some of the rows: all blocks would need them
        if isinstance(op, Reduce):
            operand, axis = op.inputs[0], op.options.get("axis", 0)
            axes = axis if isinstance(axis, tuple) else (axis,)
            return len(of_rows) == 1 and all(n is not None and n % len(operand.shape) for n in axes)
        if isinstance(op, Elementwise | Copy):
            return all(
                len(view.shape) == len(shape)
                if view.memory in self._width
                else len(view.shape) < len(shape) or view.shape[0] == 1
                for view in op.reads
            )
        if is_matrix_product(op):
            a, b = op.inputs
            if a.memory in self._width and b.memory not in self._width:
                return _agree_in_blocks(op, self._blocks)
        return False

    def _adds_up(self, op: Op) -> bool:
        """Whether a line is a sum of products over the rows that panels give in every bit."""
        over_rows = is_matrix_product(op) and [self._axis(view) for view in op.inputs] == [1, 0]
        return over_rows and _agree_in_panels(examples(op), self._panels)

    def _place_for_products(self, op: Op) -> View:
        home = np.empty((len(self._panels), *op.out.shape), op.out.dtype)
        strides = tuple(stride // home.itemsize for stride in home.strides)
        memory = 1 + max(self._values)
        value = Value(-1, memory, home.shape, strides, home.dtype, "made")
        self._values[memory], self._homes[memory] = value, home
        self._products[memory] = products = replace(value, follows=value).whole
        self._names[products.place] = f"{self._names.get(op.out.place, 'v')}_parts"
        return products

    # ------------------------------------------------------------------------------------------------------- functions
    def _whole(self, ops: list[Op], result: View | None) -> Callable[[], Any]:
        """The function of lines for all rows."""
        native = function_of(ops, self._array)
        if native is not None:
            place = np.zeros(()) if result is None else self._array(result)

            def run() -> float:
                native()
                return float(place)

            return run
        source = Source(self._array, Names(self._names))
        function: Callable[[], Any] = source.defined(source.function(ops, result, "a part of it"))
        return function

    def _home(self, memory: int) -> Array:
        """The array of a memory for all rows."""
        given = self._program.homes.get(memory)
        if given is not None:
            return given
        if memory not in self._homes:
            self._homes[memory] = self._values[memory].empty()
        return self._homes[memory]

    def _array(self, view: View) -> Array:
        return self._program.array(view) if view.memory in self._program.homes else view.array(self._home(view.memory))

    def _for_threads(self, ops: list[Op], kept: set[int]) -> Iterator[Task]:
        """For each thread the blocks that are its own: which rows, where they are gathered, and the function."""
        gathering = Copy(np.copyto, (), {}, self._x, Scope("gather", "all", "rows of x"))
        longest = max(self._blocks, key=lambda block: block.stop - block.start)
        starts, size = allocate(list(self._cut([gathering, *ops], longest)), set(), kept)
        written: dict[tuple[int, ...], tuple[Source, Any]] = {}
        for mine in self._shares:
            task: Task = []
            memory = aligned(size)
            for block in mine:
                array_of = partial(self._array_of, block, memory, starts, {})
                x = array_of(self._cut_view(self._x, block))
                native = function_of(self._cut(ops, block), array_of)
                if native is not None:
                    task.append((slice(block.start, block.stop), x, native))
                    continue
                sizes = tuple(stop - start for start, stop in (self._panels[number] for number in block.panels))
                if sizes not in written:
                    views = ((View(self._values[place[0]], *place[1:]), name) for place, name in self._names.items())
                    source = Source(array_of, Names({self._cut_view(v, block).place: n for v, n in views}))
                    text = source.function(list(self._cut(ops, block)), None, "a part of it")
                    written[sizes] = source, source.defined(text)
                source, function = written[sizes]
                here = {name: array_of(view) for name, view in source.views.items()}
                function = FunctionType(function.__code__, source.namespace | here)
                task.append((slice(block.start, block.stop), x, function))
            yield task

    def _cut(self, ops: list[Op], block: Block) -> Iterator[Op]:
        """The lines for a block; a product of panels becomes a line for each of them."""
        for op in ops:
            if op.out.memory not in self._products:
                yield op.with_views(partial(self._cut_view, block=block))
                continue
            _, *shape = op.out.shape
            first, *strides = op.out.strides
            for number, panel in enumerate(block.panels):
                out = replace(op.out, offset=number * first, shape=tuple(shape), strides=tuple(strides))
                rows = range(*self._panels[panel])
                yield replace(op.with_views(partial(self._cut_view, block=block, rows=rows)), out=out)

    def _cut_view(self, view: View, block: Block, rows: range | None = None) -> View:
        """Only these rows of a view (all of the block's without them), seen from where the block begins."""
        axis = self._axis(view)
        if axis is None:
            return view
        rows = range(block.start, block.stop) if rows is None else rows
        offset = view.offset + (rows.start - block.start) * view.strides[axis]
        shape = (*view.shape[:axis], len(rows), *view.shape[axis + 1 :])
        return replace(view, offset=offset, shape=shape)

    def _array_of(
        self, block: Block, memory: Array, starts: dict[int, int], made: dict[Place, Array], view: View
    ) -> Array:
        """The array at a block's view: in the thread's memory, in that of all rows, or one that all blocks read."""
        if view.place not in made:
            owner, begin, size = memory, starts.get(view.memory), view.dtype.itemsize
            if begin is None:
                if view.memory in self._products:
                    begin = block.panels.start * self._products[view.memory].strides[0] * size
                elif view.memory in self._width:
                    begin = block.start * self._width[view.memory] * size
                else:
                    return self._array(view)
                owner = self._home(view.memory)
            strides = [stride * size for stride in view.strides]
            made[view.place] = np.ndarray(view.shape, view.dtype, owner.data, begin + view.offset * size, strides)
        return made[view.place]


def _run(task: Task, x: Array, order: Array) -> None:
    for rows, place, function in task:
        gather(x, order[rows], place)
        function()


def _contiguous(view: View) -> bool:
    """Whether a view begins its memory and lies there row by row."""
    size = view.dtype.itemsize
    return view.offset == 0 and [n * size for n in view.strides] == list(np.empty(view.shape, view.dtype).strides)


def work_of(ops: Sequence[Op]) -> int:
    """The multiplications in products of matrices."""
    pairs = [op.inputs for op in ops if op.function is np.matmul and len(op.inputs[0].shape) == 2]
    return sum(a.shape[0] * a.shape[1] * b.shape[-1] for a, b in pairs)


# ----------------------------------------------------------------------------------------------------------- the panels
def _panels(ops: Sequence[Op], rows: int) -> Panels:
    """Where the panels begin and end in which BLAS adds up the step's largest product over the rows.

    Raises Undivided.
    """
    sums = [op for op in ops if is_matrix_product(op) and op.inputs[1].shape[0] == rows]
    if not sums or work_of(ops) < WORTH_IT:
        raise Undivided("too little work")
    largest = list(examples(max(sums, key=lambda op: work_of([op]))))
    for panels in ways_to_panel(rows):
        if _agree_in_panels(largest, panels):
            return panels
    raise Undivided("the panels of this machine's BLAS are not known")


def _even(count: int, shares: int) -> list[range]:
    """The numbers below `count` in at most so many ranges, of lengths that differ by 1 at most."""
    shares = min(shares, count)
    bounds = [count * share // shares for share in range(shares + 1)]
    return [range(start, stop) for start, stop in pairwise(bounds)]


def _shares(panels: Panels, threads: int) -> Iterator[list[list[Block]]]:
    """For each thread the blocks of its own: even shares, or full blocks, where kernels need them."""

    def block(numbers: range) -> Block:
        return Block(panels[numbers[0]][0], panels[numbers[-1]][1], numbers)

    even = []
    for mine in _even(len(panels), threads):
        parts = _even(len(mine), -(-len(mine) // PANELS_IN_A_BLOCK))
        even.append([block(mine[part.start : part.stop]) for part in parts])
    yield even
    firsts = range(0, len(panels), PANELS_IN_A_BLOCK)
    full = [block(range(first, min(first + PANELS_IN_A_BLOCK, len(panels)))) for first in firsts]
    yield [full[mine.start : mine.stop] for mine in _even(len(full), threads)]


def same_in_one_thread(ops: Sequence[Op]) -> bool:
    """Whether the lines leave the same bits whatever number of threads BLAS uses."""
    for op in ops:
        if isinstance(op, Call | Change) or (isinstance(op, Product) and not is_matrix_product(op)):
            return False  # there may be products in it
        if is_matrix_product(op) and not _agree_in_one_thread(examples(op), np.matmul):
            return False
    return True


def _multiplies(op: Op) -> bool:
    return isinstance(op, Product) or getattr(op.function, "__name__", "") in MULTIPLYING


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


def _agree_in_blocks(op: Op, blocks: list[Block]) -> bool:
    """Whether x W is the same in every bit when some rows of x are multiplied after others."""
    smallest = min(block.stop - block.start for block in blocks)

    def product(x: Array, W: Array) -> Array:
        return np.concatenate([np.matmul(x[block.start : block.stop], W) for block in blocks])

    return _agree_in_one_thread(examples(op, smallest / blocks[-1].stop), product)

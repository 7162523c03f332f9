"""A step of thousands of rows in blocks of rows, by several threads: the same lines, the same bits, in less time.

A block's rows stay in a processor's cache from the line that makes them to the last that reads them, and no block waits
for another. What needs all rows, such as the loss, follows when they are done. So there are three functions: what
needs no row, what each block does, and what comes after.

A product over the rows, dW = xᵀ dz, is the sum of such products over blocks, but a sum in floating point depends on its
order. A BLAS library works through long sums in panels itself (Goto and van de Geijn, "Anatomy of high-performance
matrix multiplication", ACM TOMS 34, 2008), and blocks made of its panels give the very same sums. How many rows its
panels have is found by trying, on numbers at random; where nothing gives the same bits, there are no blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from minigrad.data.examples import gather
from minigrad.parameter import Array
from minigrad.programs.lines import Line, Place, exchange
from minigrad.programs.planning import Plan, aligned, allocate, numbers
from minigrad.programs.threads import blas_threads, one_blas_thread, share
from minigrad.programs.writing import Example, Writer, examples, is_product

Panels: TypeAlias = list[tuple[int, int]]
Task: TypeAlias = list[tuple[slice, Array, Callable[[], None]]]

WORTH_IT = 1 << 24
"""Multiplications of a step from which on threads repay what waking them costs, some 60 µs (measured)."""
MOSTLY = 0.75
PANELS_IN_A_BLOCK = 3
"""In longer blocks rows fall out of the cache; in shorter ones the threads wait for Python's lock (measured)."""
PANELS = (448, 384, 320, 256, 352, 512, 640, 768, 240, 192, 128)
"""Rows of a panel in OpenBLAS's kernels for the processors of the day (GEMM_Q in its param.h)."""
ROUNDED = (16, 8, 4, 1)
"""What the last two panels are rounded to by one thread (GEMM_UNROLL_M); several threads do not round them."""
BEFORE, ROWS, AFTER = range(3)


class Undivided(Exception):
    """A step that blocks can't make bit for bit, or not in less time."""


@dataclass(frozen=True)
class Block:
    """Rows from `start` to `stop`, which are the `panels` of these numbers."""

    start: int
    stop: int
    panels: range


class Blocks:
    """A planned step as three functions. Called with x and the numbers of its rows, it makes the step.

    `inputs` are the places of a batch, x first; the others are to be filled before. Raises Undivided.
    """

    def __init__(self, plan: Plan, inputs: Sequence[Array]) -> None:
        self._memories, self._names = plan.memories, dict(plan.names)
        self._places = [plan.memories.place(array) for array in inputs]
        self._x, self._rows = self._places[0], len(inputs[0])
        self._panels = _panels(plan.lines, self._rows)
        for shares in _shares(self._panels, blas_threads()):
            self._shares, self._blocks = shares, [block for mine in shares for block in mine]
            before, rows, after = self._phases(plan.lines)
            if len(self._blocks) > 1 and _work(rows) >= MOSTLY * _work(plan.lines):
                break
        else:
            raise Undivided("too little of the work is done row by row")

        kept = {plan.result.memory} | {place.memory for line in (*before, *after) for place in line.reads()}
        rows = [replace(line, fresh=line.fresh and line.out.memory not in kept) for line in rows]
        self._before = self._whole(before, None)
        self._tasks = list(self._for_threads(rows, kept))
        self._after = self._whole(after, plan.result)
        del self._memories  # and with it what only the recording needed

    def __call__(self, x: Array, order: Array) -> float:
        """Make the step for these rows of x, and return its value. To be called in `one_blas_thread`."""
        self._before()
        share([partial(_run, task, x, order) for task in self._tasks])
        value: float = self._after()
        return value

    def __str__(self) -> str:
        return f"{len(self._blocks)} blocks of rows by {len(self._tasks)} threads"

    # ------------------------------------------------------------------------------------------------------- in phases
    def _phases(self, lines: list[Line]) -> tuple[list[Line], list[Line], list[Line]]:
        """The lines, each in the earliest of the three phases that it can be in, in their order there."""
        phases: tuple[list[Line], list[Line], list[Line]] = ([], [], [])
        self._width = {place.memory: place.strides[0] for place in self._places}  # bytes of a row
        self._products: dict[int, Place] = {}
        written, read = {self._x.memory: ROWS}, dict[int, int]()
        drawn = BEFORE
        for line in lines:
            if not line.pure and not isinstance(getattr(line.function, "__self__", None), np.random.Generator):
                raise Undivided(f"what {line.function} does can't be told")
            phase = given = max((written.get(place.memory, BEFORE) for place in line.reads()), default=BEFORE)
            if not line.pure:
                phase = max(phase, drawn)  # random numbers are drawn in their order
            if not line.fresh:
                phase = max(phase, *(touched.get(line.out.memory, BEFORE) for touched in (written, read)))
            if given <= ROWS and self._adds_up(line):
                products = self._place_for_products(line)
                phases[ROWS].append(replace(line, out=products, fresh=False))
                line = replace(line, kind="reduce", function=np.add.reduce, inputs=(products,), options={"axis": 0})
                phase = AFTER
            elif phase <= ROWS and self._splits(line):
                phase = ROWS
            elif phase == ROWS:
                phase = AFTER
            phases[phase].append(line)
            if not line.pure:
                drawn = phase
            written[line.out.memory] = max(phase, written.get(line.out.memory, BEFORE))
            for place in line.reads():
                read[place.memory] = max(phase, read.get(place.memory, BEFORE))
            if line.fresh and line.out.shape[:1] == (self._rows,) and _contiguous(line.out):
                self._width[line.out.memory] = line.out.strides[0]
        return phases

    def _axis(self, place: Place) -> int | None:
        """Which axis counts the rows of the batch; None in memory without rows, and in a view of some of them."""
        width = self._width.get(place.memory)
        found = (
            n for n, each in enumerate(zip(place.shape, place.strides, strict=True)) if each == (self._rows, width)
        )
        return next(found, None)

    def _splits(self, line: Line) -> bool:
        """Whether a row of the result depends on the same row of some operands, and on all of the others."""
        shape = line.out.shape
        if shape[:1] != (self._rows,) or not (_contiguous(line.out) if line.fresh else self._axis(line.out) == 0):
            return False
        of_rows = [self._axis(place) for place in line.reads() if place.memory in self._width]
        if any(axis != 0 for axis in of_rows):
            return False  # a transpose, or some of the rows: all blocks would need them
        if line.kind == "reduce":
            operand, axis = line.inputs[0], line.options.get("axis", 0)
            axes = axis if isinstance(axis, tuple) else (axis,)
            return len(of_rows) == 1 and all(n is not None and n % len(operand.shape) for n in axes)
        if line.elementwise() or line.kind == "copy":
            return all(
                len(place.shape) == len(shape)
                if place.memory in self._width
                else len(place.shape) < len(shape) or place.shape[0] == 1
                for place in line.reads()
            )
        if is_product(line) and line.inputs[0].memory in self._width and line.inputs[1].memory not in self._width:
            return _agree_in_blocks(line, self._blocks)
        return False

    def _adds_up(self, line: Line) -> bool:
        """Whether a line is a sum of products over the rows that panels give in every bit."""
        over_rows = is_product(line) and [self._axis(place) for place in line.inputs] == [1, 0]
        return over_rows and _agree_in_panels(examples(line), self._panels)

    def _place_for_products(self, line: Line) -> Place:
        products = self._memories.place(np.empty((len(self._panels), *line.out.shape), line.out.dtype))
        self._products[products.memory] = products
        self._names[products] = f"{self._names.get(line.out, 'v')}_parts"
        return products

    # ------------------------------------------------------------------------------------------------------- functions
    def _whole(self, lines: list[Line], result: Place | None) -> Callable[[], Any]:
        """The function of lines for all rows."""
        writer = Writer(self._memories.view, self._names, set() if result is None else numbers(lines))
        return _function(writer, lines, result)

    def _for_threads(self, lines: list[Line], kept: set[int]) -> Iterator[Task]:
        """For each thread the blocks that are its own: which rows, where they are gathered, and the function."""
        gathering = Line("copy", np.copyto, (), {}, self._x, ("gather", 0), self._x.memory not in kept, pure=True)
        longest = max(self._blocks, key=lambda block: block.stop - block.start)
        starts, size = allocate(list(self._cut([gathering, *lines], longest)), set(), set())
        written: dict[tuple[int, ...], tuple[Writer, Any]] = {}
        for mine in self._shares:
            task: Task = []
            memory = aligned(size)
            for block in mine:
                array_of = partial(self._array, block, memory, starts, {})
                sizes = tuple(stop - start for start, stop in (self._panels[number] for number in block.panels))
                if sizes not in written:
                    names = {self._cut_place(place, block): name for place, name in self._names.items()}
                    writer = Writer(array_of, names, set())
                    written[sizes] = writer, _function(writer, list(self._cut(lines, block)), None)
                writer, function = written[sizes]
                here = {name: array_of(place) for name, place in writer.places.items()}
                function = FunctionType(function.__code__, writer.namespace | here)
                x = array_of(self._cut_place(self._x, block))
                task.append((slice(block.start, block.stop), x, function))
            yield task

    def _cut(self, lines: list[Line], block: Block) -> Iterator[Line]:
        """The lines for a block; a product of panels becomes a line for each of them."""
        for line in lines:
            if line.out.memory not in self._products:
                yield self._cut_line(line, block, range(block.start, block.stop))
                continue
            _, *shape = line.out.shape
            first, *strides = line.out.strides
            for number, panel in enumerate(block.panels):
                out = line.out._replace(offset=number * first, shape=tuple(shape), strides=tuple(strides))
                yield replace(self._cut_line(line, block, range(*self._panels[panel])), out=out)

    def _cut_line(self, line: Line, block: Block, rows: range) -> Line:
        def change(value: Any) -> Any:
            return self._cut_place(value, block, rows) if isinstance(value, Place) else value

        inputs, options = exchange(line.inputs, change), exchange(line.options, change)
        return replace(line, inputs=inputs, options=options, out=change(line.out))

    def _cut_place(self, place: Place, block: Block, rows: range | None = None) -> Place:
        """Only these rows of a place (all of the block's without them), seen from where the block begins."""
        axis = self._axis(place)
        if axis is None:
            return place
        rows = range(block.start, block.stop) if rows is None else rows
        offset = place.offset + (rows.start - block.start) * place.strides[axis]
        return place._replace(offset=offset, shape=(*place.shape[:axis], len(rows), *place.shape[axis + 1 :]))

    def _array(
        self, block: Block, memory: Array, starts: dict[int, int], made: dict[Place, Array], place: Place
    ) -> Array:
        """The array at a block's place: in the thread's memory, in that of all rows, or one that all blocks read."""
        if place not in made:
            owner, begin = memory, starts.get(place.memory)
            if begin is None:
                owner = self._memories.owners[place.memory]
                if place.memory in self._products:
                    begin = block.panels.start * self._products[place.memory].strides[0]
                elif place.memory in self._width:
                    begin = block.start * self._width[place.memory]
                else:
                    return self._memories.view(place)
            made[place] = np.ndarray(place.shape, place.dtype, owner.data, begin + place.offset, place.strides)
        return made[place]


def _run(task: Task, x: Array, order: Array) -> None:
    for rows, place, function in task:
        gather(x, order[rows], place)
        function()


def _function(writer: Writer, lines: list[Line], result: Place | None) -> Any:
    exec(writer.function(lines, result, "a part of it"), writer.namespace)
    return writer.namespace["step"]


def _contiguous(place: Place) -> bool:
    """Whether a place begins its memory and lies there row by row."""
    return place.offset == 0 and place.strides == np.empty(place.shape, place.dtype).strides


def _work(lines: list[Line]) -> int:
    """The multiplications in products of matrices."""
    pairs = [line.inputs for line in lines if line.function is np.matmul and len(line.inputs[0].shape) == 2]
    return sum(a.shape[0] * a.shape[1] * b.shape[-1] for a, b in pairs)


# ----------------------------------------------------------------------------------------------------------- the panels
def _panels(lines: list[Line], rows: int) -> Panels:
    """Where the panels begin and end in which BLAS adds up the step's largest product over the rows.

    Raises Undivided.
    """
    sums = [line for line in lines if is_product(line) and line.inputs[1].shape[0] == rows]
    if not sums or _work(lines) < WORTH_IT:
        raise Undivided("too little work")
    largest = list(examples(max(sums, key=lambda line: _work([line]))))
    tried: list[Panels] = []
    for panels in (_in_panels(rows, size, multiple) for size in PANELS for multiple in ROUNDED):
        if len(panels) > 1 and panels not in tried:
            if _agree_in_panels(largest, panels):
                return panels
            tried.append(panels)
    raise Undivided("the panels of this machine's BLAS are not known")


def _in_panels(rows: int, size: int, multiple: int) -> Panels:
    """Full panels while there are rows for two; of fewer, one half, rounded up (OpenBLAS's level3.c)."""
    bounds = [0]
    while (left := rows - bounds[-1]) > 0:
        half = -(-left // 2) if multiple == 1 else -(-(left // 2) // multiple) * multiple
        bounds.append(bounds[-1] + (size if left >= 2 * size else half if left > size else left))
    return list(pairwise(bounds))


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


def same_in_one_thread(lines: list[Line]) -> bool:
    """Whether the lines leave the same bits whatever number of threads BLAS uses."""
    for line in lines:
        if line.kind in ("call", "effect") or (line.function is np.matmul and not is_product(line)):
            return False  # there may be products in it
        if is_product(line) and not _agree_in_one_thread(examples(line), np.matmul):
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


def _agree_in_blocks(line: Line, blocks: list[Block]) -> bool:
    """Whether x W is the same in every bit when some rows of x are multiplied after others."""
    smallest = min(block.stop - block.start for block in blocks)

    def product(x: Array, W: Array) -> Array:
        return np.concatenate([np.matmul(x[block.start : block.stop], W) for block in blocks])

    return _agree_in_one_thread(examples(line, smallest / blocks[-1].stop), product)

"""Lowering: from a program's line to rows of a native table, by NumPy's own loops or by those of native.c.

Where NumPy's order of summation had to be worked out again, or a loop is our own, the rows are tried on numbers at
random before they are taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import count, islice
from math import prod
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs import executor
from minigrad.programs.arrays import address
from minigrad.programs.executor import EXACT, OPERANDS, Loop, NotNative, loop_of, own_loop
from minigrad.programs.form import (
    Call,
    Copy,
    Draw,
    Elementwise,
    Line,
    Opaque,
    Product,
    Reduce,
    Value,
    View,
    is_matrix_product,
)
from minigrad.programs.moving import copies_of
from minigrad.programs.rows import Row, Spot, table_of
from minigrad.programs.spreading import Operand, broadcast, bytes_apart, contiguous, spot_of, spread
from minigrad.programs.threads import one_blas_thread
from minigrad.programs.trials import examples, given, random_array, same_bits
from minigrad.programs.writers.numpy_source import EXTREMA, promoted

ROW_BY_ROW = (np.add, np.subtract, np.multiply, np.divide)
EXAMPLES = 16
"""Trials of a line's rows; another order of summation gives the same number by chance every other time."""
SHORT = 128
"""Elements of a row up to which a call for each costs more than the row. NumPy adds up longer ones in two halves."""

LONG_DOUBLES = "gG"
"""Their floating-point errors are not looked for; on Windows they are another name of doubles."""
LONG = 64
"""Elements of a row from which on a call for each costs little beside the row."""
SMALL, FEW, QUICKER = 1 << 14, 8, 0.9
"""A transpose of so many elements at most is turned before more rows than these are multiplied by it, where that takes
less than this part of the time: small products read it again and again (measured)."""
SMALL_PRODUCT, TILE, TILES_TRIED = 10**6, 16, 4
"""Multiplications up to which OpenBLAS multiplies without packing the matrices before; the rows of a tile are a
multiple of this, and so many sizes of tiles are tried."""


class Lowering:
    """Lowers lines to rows. `constants` are the arrays that it makes on the way, by the numbers of their memories.

    With `tiles`, for one BLAS thread, products over many rows are made in tiles where that takes less time.
    """

    def __init__(self, *, tiles: bool = False) -> None:
        self._tiles = tiles
        self.constants: dict[int, Array] = {}
        self._known: dict[Any, int] = {}
        self._shaped: dict[Any, tuple[Row, list[int | None]]] = {}

    def rows(self, line: Line) -> list[Row]:
        """The rows of a line. Raises NotNative."""
        if 0 in line.out.shape or any(0 in view.shape for view in line.reads):
            raise NotNative("it has no elements")
        for view in line.reads:
            same = isinstance(line, Elementwise) and view.place == line.out.place
            if view.memory == line.out.memory and not same and _overlap(view, line.out):
                raise NotNative("it overwrites what it reads")
        dtypes = [view.dtype for view in (*line.reads, line.out)]
        if any(dtype.hasobject or not dtype.isnative or dtype.char in LONG_DOUBLES for dtype in dtypes):
            raise NotNative("its numbers are of an odd type")
        if isinstance(line, Copy):
            return self._copy(line.inputs[0], line.out)
        if isinstance(line, Reduce):
            return self._tried(self._reduction, line)
        if isinstance(line, Elementwise):
            rows = self._elementwise(line)
            return rows if line.function in EXACT or _in_one_go(rows) else self._tried(self._elementwise, line)
        if isinstance(line, Product) and not line.options:
            return self._product(line)
        copies = copies_of(line) if isinstance(line, Call) and not isinstance(line, Draw | Opaque) else []
        if not copies:
            raise NotNative("it is Python's")
        return [row for source, place in copies for row in self._copy(source, place)]

    # -------------------------------------------------------------------------------------------------------- constants
    def constant(self, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Operand:
        """A number as an operand of this shape; of one number in memory, or as many as there are elements."""
        number = np.array(value, dtype)
        key = dtype, number.tobytes(), shape
        if key not in self._known:
            self._known[key] = self._new(np.full(shape, number))
        return Operand((self._known[key], 0), dtype.itemsize, self.constants[self._known[key]].strides)

    def _constants(self, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Operand:
        """A number as often as there are elements, or as there are in a row where rows are long and many."""
        if prod(shape) < SMALL or shape[-1] < LONG:
            return self.constant(value, dtype, shape)
        row = self.constant(value, dtype, shape[-1:])
        return replace(row, strides=(*(0,) * (len(shape) - 1), *row.strides))

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Operand:
        """Memory for numbers on the way."""
        number = self._new(np.zeros(shape, dtype))
        return Operand((number, 0), dtype.itemsize, self.constants[number].strides)

    def forget(self, number: int) -> None:
        """Forget all but the first so many constants, of which nobody has made use."""
        self.constants = dict(islice(self.constants.items(), number))

    @property
    def nbytes(self) -> int:
        """The bytes of the constants."""
        return sum(array.nbytes for array in self.constants.values())

    def _new(self, array: Array) -> int:
        number = -1 - len(self.constants)
        self.constants[number] = array
        return number

    # ------------------------------------------------------------------------------------------------------------ lines
    def _copy(self, source: Any, out: View) -> list[Row]:
        if not isinstance(source, View):
            constant = self.constant(source, out.dtype, ())
            source = replace(constant, strides=(0,) * len(out.shape))
            return [spread(_copying(out.dtype, out.dtype), out.shape, [source, broadcast(out, out.shape)])]
        row = spread(_copying(source.dtype, out.dtype), out.shape, [broadcast(v, out.shape) for v in (source, out)])
        return [_turned(row, out.dtype) or row]

    def _elementwise(self, line: Line) -> list[Row]:
        """Lines of one function and the same shapes have the same row, but for where it begins; most come again."""
        views = [*line.inputs, line.out]
        looks = ((v.shape, v.strides, v.dtype) if isinstance(v, View) else (type(v), repr(v)) for v in views)
        key = line.function, repr(line.options), *looks
        if key not in self._shaped:
            *before, row = self._elementwise_alone(line)
            if before:
                return [*before, row]
            starts = [spot_of(v)[1] if isinstance(v, View) else None for v in views]
            turned = zip(row.spots, starts, strict=True)
            self._shaped[key] = row, [None if start is None else offset - start for (_, offset), start in turned]
        row, offsets = self._shaped[key]
        spots = list(row.spots)
        for number, (view, offset) in enumerate(zip(views, offsets, strict=True)):
            if offset is not None:
                memory, start = spot_of(view)
                spots[number] = memory, start + offset
        return [row.at(tuple(spots))]

    def _elementwise_alone(self, line: Line) -> list[Row]:
        ufunc: Any = line.function
        if not isinstance(ufunc, np.ufunc) or ufunc.nout != 1 or ufunc.nin >= OPERANDS:
            raise NotNative("it is no plain ufunc")
        if set(line.options) - {"dtype", "casting"}:
            raise NotNative(f"it has options: {', '.join(line.options)}")
        asked: dict[str, Any] = {"casting": line.options.get("casting")} if "casting" in line.options else {}
        if "dtype" in line.options:
            asked["signature"] = (*(None,) * ufunc.nin, np.dtype(line.options["dtype"]))
        dtypes = ufunc.resolve_dtypes((*map(promoted, line.inputs), None), **asked)
        if dtypes[-1] != line.out.dtype:
            raise NotNative("its result is of another type")
        rows, operands = list[Row](), list[Operand]()
        for value, dtype in zip(line.inputs, dtypes, strict=False):
            if isinstance(value, View) and value.dtype != dtype:
                rows.append(self._cast(value, dtype))
                operands.append(_as_far(rows[-1].spots[1], value, dtype, line.out.shape))
            elif isinstance(value, View):
                operands.append(broadcast(value, line.out.shape))
            elif ufunc in EXTREMA:
                operands.append(self._constants(value, dtype, line.out.shape))
            else:
                operands.append(replace(self.constant(value, dtype, ()), strides=(0,) * len(line.out.shape)))
        operands.append(broadcast(line.out, line.out.shape))
        row = spread(loop_of(ufunc, dtypes), line.out.shape, operands)
        return [*rows, _by_rows(row, ufunc, dtypes) or row]

    def _cast(self, view: View, dtype: np.dtype[Any]) -> Row:
        """A row that puts a view's numbers, of another type, into memory of their own."""
        room = Operand(
            (self._new(np.zeros(view.shape, dtype)), 0), dtype.itemsize, contiguous(view.shape, dtype.itemsize)
        )
        return spread(_copying(view.dtype, dtype), view.shape, [broadcast(view, view.shape), room])

    def _product(self, line: Line) -> list[Row]:
        a, b = line.inputs
        views = (a, b, line.out)
        if line.function is not np.matmul or not all(isinstance(view, View) and view.shape for view in (a, b)):
            raise NotNative("it is no product of matrices")
        if len(a.shape) == 1 or len(b.shape) == 1:
            return self._tried(self._with_vectors, line)
        if {view.dtype for view in views} != {line.out.dtype}:
            raise NotNative("its numbers are of several types")
        if a.shape[-1] == 1 == len(a.shape) - 1 and (b.strides[-1], line.out.strides[-1]) == (1, 1):
            try:
                return self._tried(self._outer, line)
            except NotNative:
                pass
        key = tuple((view.shape, view.strides, view.dtype) for view in views)
        if _could_be_turned(line):
            if key not in _turned_is_quicker:
                _turned_is_quicker[key] = self._quicker(line, self._turned_product)
            if _turned_is_quicker[key]:
                return self._turned_product(line)
        if self._tiles and _could_be_tiled(line):
            if key not in _tiled:
                _tiled[key] = next((n for n in _tiles(line) if self._quicker(line, partial(self._in_tiles, n))), 0)
            if _tiled[key]:
                return self._in_tiles(_tiled[key], line)
        return [self._plain_product(line)]

    def _plain_product(self, line: Line) -> Row:
        """A product by NumPy's own loop."""
        a, b = line.inputs
        views, size = (a, b, line.out), line.out.dtype.itemsize
        loop = loop_of(np.matmul, (line.out.dtype,) * 3)
        stacked = [broadcast(_without_matrix(view), line.out.shape[:-2]) for view in views]
        around = spread(loop, line.out.shape[:-2], stacked)
        core = tuple(stride * size for view in views for stride in view.strides[-2:])
        sizes = (*around.sizes, *a.shape[-2:], b.shape[-1])
        return replace(around, sizes=sizes, strides=(*around.strides, *core), kind="product")

    def _turned_product(self, line: Line) -> list[Row]:
        """dz Wᵀ, with Wᵀ laid out row by row before."""
        turned, row = line.inputs[1], self._plain_product(line)
        size, (k, n) = turned.dtype.itemsize, turned.shape
        room, loop = self.room((k, n), turned.dtype), own_loop(f"turn {turned.dtype}")
        turn = Row(
            loop, (spot_of(turned), room.spot), (size,) * 2, (k, n), (turned.strides[1] * size, size), kind="turn"
        )
        spots = (row.spots[0], room.spot, row.spots[2])
        return [turn, replace(row, spots=spots, strides=(*row.strides[:5], *room.strides, *row.strides[7:]))]

    def _in_tiles(self, rows: int, line: Line) -> list[Row]:
        """A product made so many rows at a time."""
        length = line.out.shape[0]
        return self._plain_product(line).cuts([*range(0, length, rows), length]) or []

    def _quicker(self, line: Line, way: Callable[[Line], list[Row]]) -> bool:
        """Whether another way to make a product takes less time than the plain one, and leaves the same bits."""
        apart = line.with_views(_alone)
        plain, other = [self._plain_product(apart)], way(apart)
        with one_blas_thread() if self._tiles else nullcontext(True) as able:
            if not able or not self._agrees(other, apart):
                return False
            operands, result = next(examples(apart))
            bases = {number: address(array) for number, array in self.constants.items()}
            for view, array in zip((*apart.inputs, apart.out), (*operands, result), strict=True):
                bases[view.memory] = address(array) - spot_of(view)[1]
            tables = [executor.raw_bytes(table_of(rows, bases)) for rows in (plain, other)]
            seconds: tuple[list[float], list[float]] = [], []
            for _ in range(10):
                for table, taken in zip(tables, seconds, strict=True):
                    begun = time.perf_counter()
                    executor.run(table, 10)
                    taken.append(time.perf_counter() - begun)
        return min(seconds[1]) < QUICKER * min(seconds[0])

    def _with_vectors(self, line: Line) -> list[Row]:
        """A product with a vector as one with a matrix of one row, or of one column."""
        a, b, out = *line.inputs, line.out
        if len(a.shape) == 1:
            a = _with_axis(a, 0)
            out = _with_axis(out, len(out.shape) - (len(b.shape) > 1))
        if len(b.shape) == 1:
            b, out = _with_axis(b, 1), _with_axis(out, len(out.shape))
        return self._product(replace(line, inputs=(a, b), out=out))

    def _outer(self, line: Line) -> list[Row]:
        a, b, out = *line.inputs, line.out
        core = tuple(stride for view in (a, b, out) for stride in bytes_apart(view))
        spots = tuple(map(spot_of, (a, b, out)))
        sizes, loop = (1, out.shape[0], 1, out.shape[1]), own_loop(f"outer {out.dtype}")
        return [Row(loop, spots, (out.dtype.itemsize,) * 3, sizes, (0, 0, 0, *core), kind="product")]

    def _reduction(self, line: Line) -> list[Row]:
        operand, out, options = line.inputs[0], line.out, dict(line.options)
        axis, keepdims = options.pop("axis", 0), options.pop("keepdims", False)
        ufunc = line.function.__self__  # type: ignore[attr-defined]
        if options or len(line.inputs) != 1 or operand.dtype != out.dtype:
            raise NotNative("it has options, or its result is of another type")
        dimensions = len(operand.shape)
        axes = (
            range(dimensions)
            if axis is None
            else [n % dimensions for n in (axis if isinstance(axis, tuple) else (axis,))]
        )
        left = iter(bytes_apart(out))
        along = [next(left) if keepdims or n not in axes else 0 for n in range(dimensions)]
        result = Operand(
            spot_of(out), out.dtype.itemsize, tuple(0 if n in axes else along[n] for n in range(dimensions))
        )
        source = broadcast(operand, operand.shape)
        loop = loop_of(ufunc, (out.dtype,) * 3)
        if ufunc.identity is not None:
            start = [self._fill(ufunc.identity, out)]
            row = spread(loop, operand.shape, [result, source, result], turning=False)
            return [*start, _in_sums(row, ufunc, out.dtype) or row]
        if len(axes) != 1:
            raise NotNative("it has no number to start from")
        (axis,) = axes
        once = [1 if n == axis else length for n, length in enumerate(operand.shape)]
        rows = [spread(_copying(out.dtype, out.dtype), once, [source, result])]
        if operand.shape[axis] > 1:
            rest = [length - (n == axis) for n, length in enumerate(operand.shape)]
            memory, offset = source.spot
            others = replace(source, spot=(memory, offset + source.strides[axis]))
            rows.append(spread(loop, rest, [result, others, result], turning=False))
        return rows

    def _fill(self, number: Any, out: View) -> Row:
        return self._copy(number, out)[0]

    # ----------------------------------------------------------------------------------------------------------- trials
    def _tried(self, lower: Callable[[Line], list[Row]], line: Line) -> list[Row]:
        """The rows of a line, where they leave the line's own bits. Raises NotNative."""
        views = [view for view in line.inputs if isinstance(view, View)]
        where = [(view.shape, view.strides, view.dtype) for view in (*views, line.out)]
        key = lower.__name__, line.function, *where, repr(line.options)
        if key not in _agreed:
            apart = line.with_views(_alone)
            _agreed[key] = self._agrees(lower(apart), apart)
        if not _agreed[key]:
            raise NotNative("its bits are other ones")
        return lower(line)

    def _agrees(self, rows: list[Row], line: Line) -> bool:
        """Whether rows leave the bits of a line whose views lie in memories of their own, of zeros as of numbers."""
        views = [view for view in line.inputs if isinstance(view, View)]
        constants = {number: address(array) for number, array in self.constants.items()}
        zeros, nothing = next(examples(line))
        for array in zeros:
            array.fill(-0.0)
        with np.errstate(all="ignore"):
            line.run(given(line, zeros), line.options, nothing)
        for operands, expected in [(zeros, nothing), *islice(examples(line), EXAMPLES)]:
            result = random_array(line.out, np.random.default_rng(1))
            bases = {line.out.memory: address(result) - spot_of(line.out)[1]}
            for view, array in zip(views, operands, strict=True):
                bases[view.memory] = address(array) - spot_of(view)[1]
            executor.run(executor.raw_bytes(table_of(rows, constants | bases)))
            if not same_bits(expected, result):
                return False
        return True


_agreed: dict[Any, bool] = {}
"""Which rows leave the bits of their lines: by how they were lowered, and what lies where."""


_turned_is_quicker: dict[Any, bool] = {}
"""Which products are made in less time when a matrix is turned before, by what lies where."""


def _could_be_turned(line: Line) -> bool:
    """Whether a product is with a transpose, small enough that turning it may pay."""
    if not is_matrix_product(line) or line.out.dtype.name not in ("float32", "float64"):
        return False
    if line.inputs[0].memory == line.inputs[1].memory:
        return False  # NumPy multiplies a matrix by its own transpose in another way, with other bits
    (k, n), strides = line.inputs[1].shape, line.inputs[1].strides
    return strides[0] == 1 and strides[1] >= k > 1 and n > 1 and k * n <= SMALL and line.out.shape[0] > FEW


_tiled: dict[Any, int] = {}
"""The rows of the tiles in which products are made in less time, 0 for none, by what lies where."""


def _could_be_tiled(line: Line) -> bool:
    """Whether it is a product over rows, xᵀ dz, too large for the kernels of small products but narrow."""
    if not is_matrix_product(line) or line.inputs[0].memory == line.inputs[1].memory:
        return False
    a, b = line.inputs
    return a.strides[0] == 1 < a.shape[0] and a.shape[1] * b.shape[1] * TILE * TILES_TRIED < SMALL_PRODUCT


def _tiles(line: Line) -> Iterator[int]:
    """Sizes of tiles for such a product, none where it is small as it is."""
    (m, k), n = line.inputs[0].shape, line.out.shape[1]
    most = SMALL_PRODUCT // (k * n) // TILE * TILE
    yield from range(most, 0, -TILE)[: TILES_TRIED if most < m else 0]


_numbers = count()


def _alone(view: View) -> View:
    """The same view of a memory of its own."""
    number = next(_numbers)
    value = Value(number, number, view.value.shape, view.value.strides, view.dtype, view.value.role)
    return view.of(value)


def _overlap(one: View, two: View) -> bool:
    (low, high), (least, most) = one.span, two.span
    return low < most and least < high


def _as_far(spot: Spot, view: View, dtype: np.dtype[Any], shape: Sequence[int]) -> Operand:
    """What was cast to memory of its own, broadcast."""
    strides = contiguous(view.shape, dtype.itemsize)
    missing = len(shape) - len(view.shape)
    broadcasting = (0 if n == 1 else stride for n, stride in zip(view.shape, strides, strict=True))
    return Operand(spot, dtype.itemsize, (*(0,) * missing, *broadcasting))


def _in_one_go(rows: Sequence[Row]) -> bool:
    """Whether the last row is one call for elements that lie one behind the other."""
    row = rows[-1]
    return not row.shape and min(row.strides) > 0 and len(set(row.strides)) == 1


def _copying(source: np.dtype[Any], target: np.dtype[Any]) -> Loop:
    if source == target:
        return own_loop(f"copy {source.itemsize}")
    return own_loop(f"cast {source} {target}")


def _with_axis(view: View, axis: int) -> View:
    """The view with an axis of length 1."""
    shape, strides = view.shape, view.strides
    return replace(view, shape=(*shape[:axis], 1, *shape[axis:]), strides=(*strides[:axis], 0, *strides[axis:]))


def _without_matrix(view: View) -> View:
    return replace(view, shape=view.shape[:-2], strides=view.strides[:-2])


def _turned(row: Row, dtype: np.dtype[Any]) -> Row | None:
    """A copy of a matrix that lies the other way round, by a loop made for that."""
    size = dtype.itemsize
    if dtype.kind != "f" or size < 4 or len(row.shape) != 1 or "copy" not in _name_of(row.loop):
        return None
    (rows,), (columns,) = row.shape, row.sizes
    (step,), (stride, along) = row.steps, row.strides
    if step != (size, columns * size) or along != size or stride % size or stride < size:
        return None
    return Row(own_loop(f"turn {dtype}"), row.spots, row.items, (rows, columns), (stride, along), kind="turn")


def _by_rows(row: Row, ufunc: np.ufunc, dtypes: Sequence[np.dtype[Any]]) -> Row | None:
    """A row of several short calls as one call of a loop made for that."""
    size, kinds = dtypes[0].itemsize, {dtype.name for dtype in dtypes}
    if ufunc not in ROW_BY_ROW or not kinds <= {"float32", "float64"} or len(kinds) > 1 or not row.shape:
        return None
    a, b, out = row.strides
    if row.sizes[0] > SHORT or out != size or not {a, b} <= {0, size} or a == b == 0:
        return None
    return _with_inner_axis(row, own_loop(f"rows {ufunc.__name__} {dtypes[0]}"))


def _in_sums(row: Row, ufunc: np.ufunc, dtype: np.dtype[Any]) -> Row | None:
    """The same for a sum over the rows, or along each of them."""
    if ufunc is not np.add or dtype.name not in ("float32", "float64") or not row.shape or row.sizes[0] > SHORT:
        return None
    size, (out, source, _) = dtype.itemsize, row.strides
    if (out, source) == (size, size) and row.steps[-1][0] == 0:
        return _with_inner_axis(row, own_loop(f"column sums {dtype}"))
    if (out, source) == (0, size) and row.steps[-1][0] != 0:
        return _with_inner_axis(row, own_loop(f"row sums {dtype}"))
    return None


def _with_inner_axis(row: Row, loop: Loop) -> Row:
    """The row with the innermost of the axes around it as the first of a loop of two."""
    sizes, strides = (row.shape[-1], row.sizes[0]), (*row.steps[-1], *row.strides)
    return replace(
        row, loop=loop, sizes=sizes, strides=strides, shape=row.shape[:-1], steps=row.steps[:-1], kind="rows"
    )


def _name_of(loop: Loop) -> str:
    return next((name for name, place in executor.own_loops().items() if place == loop.address), "")

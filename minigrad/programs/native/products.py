"""Products: from a product of matrices to rows of a native table, in the way that takes the least time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from minigrad.blas_threads import one_blas_thread
from minigrad.programs.ir.ops import Op, View, is_matrix_product
from minigrad.programs.ir.verification import examples
from minigrad.programs.native import extension as executor
from minigrad.programs.native.constants import Constants
from minigrad.programs.native.extension import NotNative, loop_of, own_loop
from minigrad.programs.native.probing import agrees, alone, bases_of, tried
from minigrad.programs.native.strides import broadcast, bytes_apart, spot_of, spread
from minigrad.programs.native.table import Row, table_of

SMALL, FEW, QUICKER = 1 << 14, 8, 0.9
"""A transpose of so many elements at most is turned before more rows than these are multiplied by it, where that takes
less than this part of the time: small products read it again and again (measured)."""

SMALL_PRODUCT, TILE, TILES_TRIED = 10**6, 16, 4
"""Multiplications up to which OpenBLAS multiplies without packing the matrices before; the rows of a tile are a
multiple of this, and so many sizes of tiles are tried."""

_turned_is_quicker: dict[Any, bool] = {}
"""Which products are made in less time when a matrix is turned before, by what lies where."""

_tiled: dict[Any, int] = {}
"""The rows of the tiles in which products are made in less time, 0 for none, by what lies where."""


class Products:
    """Lowers products; with `tiles`, for one BLAS thread, those over many rows in tiles where that takes less time."""

    def __init__(self, constants: Constants, *, tiles: bool) -> None:
        self._constants, self._tiles = constants, tiles

    def rows(self, op: Op) -> list[Row]:
        """The rows of a product. Raises NotNative."""
        a, b = op.inputs
        views = (a, b, op.out)
        if op.function is not np.matmul or not all(isinstance(view, View) and view.shape for view in (a, b)):
            raise NotNative("it is no product of matrices")
        if len(a.shape) == 1 or len(b.shape) == 1:
            return tried(self._with_vectors, op, self._constants)
        if {view.dtype for view in views} != {op.out.dtype}:
            raise NotNative("its numbers are of several types")
        if a.shape[-1] == 1 == len(a.shape) - 1 and (b.strides[-1], op.out.strides[-1]) == (1, 1):
            try:
                return tried(self._outer, op, self._constants)
            except NotNative:
                pass
        key = tuple((view.shape, view.strides, view.dtype) for view in views)
        if _could_be_turned(op):
            if key not in _turned_is_quicker:
                _turned_is_quicker[key] = self._quicker(op, self._turned_product)
            if _turned_is_quicker[key]:
                return self._turned_product(op)
        if self._tiles and _could_be_tiled(op):
            if key not in _tiled:
                _tiled[key] = next((n for n in _tiles(op) if self._quicker(op, partial(self._in_tiles, n))), 0)
            if _tiled[key]:
                return self._in_tiles(_tiled[key], op)
        return [self._plain_product(op)]

    def _plain_product(self, op: Op) -> Row:
        """A product by NumPy's own loop."""
        a, b = op.inputs
        views, size = (a, b, op.out), op.out.dtype.itemsize
        loop = loop_of(np.matmul, (op.out.dtype,) * 3)
        stacked = [broadcast(_without_matrix(view), op.out.shape[:-2]) for view in views]
        around = spread(loop, op.out.shape[:-2], stacked)
        core = tuple(stride * size for view in views for stride in view.strides[-2:])
        sizes = (*around.sizes, *a.shape[-2:], b.shape[-1])
        return replace(around, sizes=sizes, strides=(*around.strides, *core), kind="product")

    def _turned_product(self, op: Op) -> list[Row]:
        """dz Wᵀ, with Wᵀ laid out row by row before."""
        turned, row = op.inputs[1], self._plain_product(op)
        size, (k, n) = turned.dtype.itemsize, turned.shape
        room, loop = self._constants.room((k, n), turned.dtype), own_loop(f"turn {turned.dtype}")
        turn = Row(
            loop, (spot_of(turned), room.spot), (size,) * 2, (k, n), (turned.strides[1] * size, size), kind="turn"
        )
        spots = (row.spots[0], room.spot, row.spots[2])
        return [turn, replace(row, spots=spots, strides=(*row.strides[:5], *room.strides, *row.strides[7:]))]

    def _in_tiles(self, rows: int, op: Op) -> list[Row]:
        """A product made so many rows at a time."""
        length = op.out.shape[0]
        return self._plain_product(op).cuts([*range(0, length, rows), length]) or []

    def _quicker(self, op: Op, way: Callable[[Op], list[Row]]) -> bool:
        """Whether another way to make a product takes less time than the plain one, and leaves the same bits."""
        apart = op.with_views(alone)
        plain, other = [self._plain_product(apart)], way(apart)
        with one_blas_thread() if self._tiles else nullcontext(True) as able:
            if not able or not agrees(other, apart, self._constants):
                return False
            operands, result = next(examples(apart))
            bases = self._constants.bases() | bases_of(apart, operands, result)
            tables = [executor.raw_bytes(table_of(rows, bases)) for rows in (plain, other)]
            seconds: tuple[list[float], list[float]] = [], []
            for _ in range(10):
                for table, taken in zip(tables, seconds, strict=True):
                    begun = time.perf_counter()
                    executor.run(table, 10)
                    taken.append(time.perf_counter() - begun)
        return min(seconds[1]) < QUICKER * min(seconds[0])

    def _with_vectors(self, op: Op) -> list[Row]:
        """A product with a vector as one with a matrix of one row, or of one column."""
        a, b, out = *op.inputs, op.out
        if len(a.shape) == 1:
            a = _with_axis(a, 0)
            out = _with_axis(out, len(out.shape) - (len(b.shape) > 1))
        if len(b.shape) == 1:
            b, out = _with_axis(b, 1), _with_axis(out, len(out.shape))
        return self.rows(replace(op, inputs=(a, b), out=out))

    def _outer(self, op: Op) -> list[Row]:
        a, b, out = *op.inputs, op.out
        core = tuple(stride for view in (a, b, out) for stride in bytes_apart(view))
        spots = tuple(map(spot_of, (a, b, out)))
        sizes, loop = (1, out.shape[0], 1, out.shape[1]), own_loop(f"outer {out.dtype}")
        return [Row(loop, spots, (out.dtype.itemsize,) * 3, sizes, (0, 0, 0, *core), kind="product")]


def _could_be_turned(op: Op) -> bool:
    """Whether a product is with a transpose, small enough that turning it may pay."""
    if not is_matrix_product(op) or op.out.dtype.name not in ("float32", "float64"):
        return False
    if op.inputs[0].memory == op.inputs[1].memory:
        return False  # NumPy multiplies a matrix by its own transpose in another way, with other bits
    (k, n), strides = op.inputs[1].shape, op.inputs[1].strides
    return strides[0] == 1 and strides[1] >= k > 1 and n > 1 and k * n <= SMALL and op.out.shape[0] > FEW


def _could_be_tiled(op: Op) -> bool:
    """Whether it is a product over rows, xᵀ dz, too large for the kernels of small products but narrow."""
    if not is_matrix_product(op) or op.inputs[0].memory == op.inputs[1].memory:
        return False
    a, b = op.inputs
    return a.strides[0] == 1 < a.shape[0] and a.shape[1] * b.shape[1] * TILE * TILES_TRIED < SMALL_PRODUCT


def _tiles(op: Op) -> Iterator[int]:
    """Sizes of tiles for such a product, none where it is small as it is."""
    (m, k), n = op.inputs[0].shape, op.out.shape[1]
    most = SMALL_PRODUCT // (k * n) // TILE * TILE
    yield from range(most, 0, -TILE)[: TILES_TRIED if most < m else 0]


def _with_axis(view: View, axis: int) -> View:
    """The view with an axis of length 1."""
    shape, strides = view.shape, view.strides
    return replace(view, shape=(*shape[:axis], 1, *shape[axis:]), strides=(*strides[:axis], 0, *strides[axis:]))


def _without_matrix(view: View) -> View:
    return replace(view, shape=view.shape[:-2], strides=view.strides[:-2])

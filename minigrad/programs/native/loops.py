"""Loops of native.c: copies, and in place of NumPy's those for many short calls and for a matrix turned round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.native import extension as executor
from minigrad.programs.native.extension import Loop, own_loop
from minigrad.programs.native.table import Row

ROW_BY_ROW = (np.add, np.subtract, np.multiply, np.divide)
SHORT = 128
"""Elements of a row up to which a call for each costs more than the row. NumPy adds up longer ones in two halves."""


def copying(source: np.dtype[Any], target: np.dtype[Any]) -> Loop:
    """The loop that puts numbers elsewhere, as numbers of another type if need be."""
    if source == target:
        return own_loop(f"copy {source.itemsize}")
    return own_loop(f"cast {source} {target}")


def turned(row: Row, dtype: np.dtype[Any]) -> Row | None:
    """A copy of a matrix that lies the other way round, by a loop made for that."""
    size = dtype.itemsize
    if dtype.kind != "f" or size < 4 or len(row.shape) != 1 or "copy" not in _name_of(row.loop):
        return None
    (rows,), (columns,) = row.shape, row.sizes
    (step,), (stride, along) = row.steps, row.strides
    if step != (size, columns * size) or along != size or stride % size or stride < size:
        return None
    return Row(own_loop(f"turn {dtype}"), row.spots, row.items, (rows, columns), (stride, along), kind="turn")


def by_rows(row: Row, ufunc: np.ufunc, dtypes: Sequence[np.dtype[Any]]) -> Row | None:
    """A row of several short calls as one call of a loop made for that."""
    size, kinds = dtypes[0].itemsize, {dtype.name for dtype in dtypes}
    if ufunc not in ROW_BY_ROW or not kinds <= {"float32", "float64"} or len(kinds) > 1 or not row.shape:
        return None
    a, b, out = row.strides
    if row.sizes[0] > SHORT or out != size or not {a, b} <= {0, size} or a == b == 0:
        return None
    return _with_inner_axis(row, own_loop(f"rows {ufunc.__name__} {dtypes[0]}"))


def in_sums(row: Row, ufunc: np.ufunc, dtype: np.dtype[Any]) -> Row | None:
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

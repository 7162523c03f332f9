"""Lowering: from a program's op to rows of a native table, by NumPy's own loops or by those of native.c.

Where NumPy's order of summation had to be worked out again, or a loop is our own, the rows are tried on numbers at
random before they are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.programs.backends.numpy_source import EXTREMA, promoted
from minigrad.programs.ir.ops import Call, Copy, Draw, Elementwise, Op, Opaque, Product, Reduce, View
from minigrad.programs.native.constants import Constants
from minigrad.programs.native.extension import EXACT, OPERANDS, NotNative, loop_of
from minigrad.programs.native.loops import by_rows, copying, in_sums, turned
from minigrad.programs.native.moves import copies_of
from minigrad.programs.native.probing import tried
from minigrad.programs.native.products import Products
from minigrad.programs.native.strides import Operand, broadcast, bytes_apart, contiguous, spot_of, spread
from minigrad.programs.native.table import Row, Spot

LONG_DOUBLES = "gG"
"""Their floating-point errors are not looked for; on Windows they are another name of doubles."""


class Lowering:
    """Lowers ops to rows, which need the program's arrays and the `constants`.

    With `tiles`, for one BLAS thread, products over many rows are made in tiles where that takes less time.
    """

    def __init__(self, *, tiles: bool = False) -> None:
        self.constants: Constants = Constants()
        self._products = Products(self.constants, tiles=tiles)
        self._shaped: dict[Any, tuple[Row, list[int | None]]] = {}

    def rows(self, op: Op) -> list[Row]:
        """The rows of an op. Raises NotNative."""
        if 0 in op.out.shape or any(0 in view.shape for view in op.reads):
            raise NotNative("it has no elements")
        for view in op.reads:
            same = isinstance(op, Elementwise) and view.place == op.out.place
            if view.memory == op.out.memory and not same and _overlap(view, op.out):
                raise NotNative("it overwrites what it reads")
        dtypes = [view.dtype for view in (*op.reads, op.out)]
        if any(dtype.hasobject or not dtype.isnative or dtype.char in LONG_DOUBLES for dtype in dtypes):
            raise NotNative("its numbers are of an odd type")
        if isinstance(op, Copy):
            return self._copy(op.inputs[0], op.out)
        if isinstance(op, Reduce):
            return tried(self._reduction, op, self.constants)
        if isinstance(op, Elementwise):
            rows = self._elementwise(op)
            known = op.function in EXACT or _in_one_go(rows)
            return rows if known else tried(self._elementwise, op, self.constants)
        if isinstance(op, Product) and not op.options:
            return self._products.rows(op)
        copies = copies_of(op) if isinstance(op, Call) and not isinstance(op, Draw | Opaque) else []
        if not copies:
            raise NotNative("it is Python's")
        return [row for source, place in copies for row in self._copy(source, place)]

    def _copy(self, source: Any, out: View) -> list[Row]:
        if not isinstance(source, View):
            constant = self.constants.full(source, out.dtype, ())
            source = replace(constant, strides=(0,) * len(out.shape))
            return [spread(copying(out.dtype, out.dtype), out.shape, [source, broadcast(out, out.shape)])]
        row = spread(copying(source.dtype, out.dtype), out.shape, [broadcast(v, out.shape) for v in (source, out)])
        return [turned(row, out.dtype) or row]

    def _elementwise(self, op: Op) -> list[Row]:
        """Lines of one function and the same shapes have the same row, but for where it begins; most come again."""
        views = [*op.inputs, op.out]
        looks = ((v.shape, v.strides, v.dtype) if isinstance(v, View) else (type(v), repr(v)) for v in views)
        key = op.function, repr(op.options), *looks
        if key not in self._shaped:
            *before, row = self._elementwise_alone(op)
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

    def _elementwise_alone(self, op: Op) -> list[Row]:
        ufunc: Any = op.function
        if not isinstance(ufunc, np.ufunc) or ufunc.nout != 1 or ufunc.nin >= OPERANDS:
            raise NotNative("it is no plain ufunc")
        if set(op.options) - {"dtype", "casting"}:
            raise NotNative(f"it has options: {', '.join(op.options)}")
        asked: dict[str, Any] = {"casting": op.options.get("casting")} if "casting" in op.options else {}
        if "dtype" in op.options:
            asked["signature"] = (*(None,) * ufunc.nin, np.dtype(op.options["dtype"]))
        dtypes = ufunc.resolve_dtypes((*map(promoted, op.inputs), None), **asked)
        if dtypes[-1] != op.out.dtype:
            raise NotNative("its result is of another type")
        rows, operands = list[Row](), list[Operand]()
        for value, dtype in zip(op.inputs, dtypes, strict=False):
            if isinstance(value, View) and value.dtype != dtype:
                rows.append(self._cast(value, dtype))
                operands.append(_as_far(rows[-1].spots[1], value, dtype, op.out.shape))
            elif isinstance(value, View):
                operands.append(broadcast(value, op.out.shape))
            elif ufunc in EXTREMA:
                operands.append(self.constants.full_rows(value, dtype, op.out.shape))
            else:
                operands.append(replace(self.constants.full(value, dtype, ()), strides=(0,) * len(op.out.shape)))
        operands.append(broadcast(op.out, op.out.shape))
        row = spread(loop_of(ufunc, dtypes), op.out.shape, operands)
        return [*rows, by_rows(row, ufunc, dtypes) or row]

    def _cast(self, view: View, dtype: np.dtype[Any]) -> Row:
        """A row that puts a view's numbers, of another type, into memory of their own."""
        room = self.constants.room(view.shape, dtype)
        return spread(copying(view.dtype, dtype), view.shape, [broadcast(view, view.shape), room])

    def _reduction(self, op: Op) -> list[Row]:
        operand, out, options = op.inputs[0], op.out, dict(op.options)
        axis, keepdims = options.pop("axis", 0), options.pop("keepdims", False)
        ufunc = op.function.__self__  # type: ignore[attr-defined]
        if options or len(op.inputs) != 1 or operand.dtype != out.dtype:
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
            start = self._copy(ufunc.identity, out)
            row = spread(loop, operand.shape, [result, source, result], turning=False)
            return [*start, in_sums(row, ufunc, out.dtype) or row]
        if len(axes) != 1:
            raise NotNative("it has no number to start from")
        (axis,) = axes
        once = [1 if n == axis else length for n, length in enumerate(operand.shape)]
        rows = [spread(copying(out.dtype, out.dtype), once, [source, result])]
        if operand.shape[axis] > 1:
            rest = [length - (n == axis) for n, length in enumerate(operand.shape)]
            memory, offset = source.spot
            others = replace(source, spot=(memory, offset + source.strides[axis]))
            rows.append(spread(loop, rest, [result, others, result], turning=False))
        return rows


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

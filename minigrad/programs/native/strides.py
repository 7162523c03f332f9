"""Spreading: from an operation on views to one row that calls a loop of elements for all of them, as NumPy's iterator
would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minigrad.programs.ir.ops import View, in_c_order
from minigrad.programs.native.extension import AXES, Loop, NotNative
from minigrad.programs.native.table import Row, Spot


@dataclass(frozen=True, slots=True)
class Operand:
    """Where an operand begins, the bytes of an element, and how many lead on along each axis of the operation."""

    spot: Spot
    item: int
    strides: tuple[int, ...]


def spread(loop: Loop, shape: Sequence[int], operands: Sequence[Operand], *, turning: bool = True) -> Row:
    """The row that calls a loop of elements for all of a shape, in the order of NumPy's own iterator.

    That order decides about the bits of a sum, and whether a loop finds its operands contiguous, which can change the
    last bit of a logarithm. An axis along which everything lies backwards is turned, but in reductions.
    """
    offsets = [operand.spot[1] for operand in operands]
    axes: list[tuple[int, tuple[int, ...]]] = []  # the innermost first
    for axis in reversed(range(len(shape))):
        strides = tuple(0 if shape[axis] == 1 else operand.strides[axis] for operand in operands)
        if turning and min(strides) < 0 == max(0, *strides):
            offsets = [offset + (shape[axis] - 1) * stride for offset, stride in zip(offsets, strides, strict=True)]
            strides = tuple(-stride for stride in strides)
        axes.insert(_place_of(strides, axes), (shape[axis], strides))
    merged: list[tuple[int, tuple[int, ...]]] = []
    for n, strides in axes:
        if n == 1:
            continue
        if merged and all(outer == merged[-1][0] * inner for outer, inner in zip(strides, merged[-1][1], strict=True)):
            merged[-1] = merged[-1][0] * n, merged[-1][1]
        else:
            merged.append((n, strides))
    inner, *around = merged or [(1, (0,) * len(operands))]
    if len(around) > AXES:
        raise NotNative("it has too many axes")
    spots = tuple((operand.spot[0], offset) for operand, offset in zip(operands, offsets, strict=True))
    around.reverse()
    items = tuple(operand.item for operand in operands)
    return Row(loop, spots, items, inner[:1], inner[1], tuple(n for n, _ in around), tuple(step for _, step in around))


def _place_of(strides: Sequence[int], axes: Sequence[tuple[int, tuple[int, ...]]]) -> int:
    """Where an axis goes among those that are sorted: further in than axes of larger strides (NumPy's nditer_constr.c).

    Operands that are broadcast along one of two axes say nothing about their order; where the others contradict each
    other, it stays as it is.
    """
    place = len(axes)
    for number in reversed(range(len(axes))):
        pairs = [(abs(mine), abs(its)) for mine, its in zip(strides, axes[number][1], strict=True) if mine and its]
        if any(its <= mine for mine, its in pairs):
            break
        if pairs:
            place = number
    return place


def bytes_apart(view: View) -> tuple[int, ...]:
    """How many bytes lead on along each axis."""
    return tuple(stride * view.dtype.itemsize for stride in view.strides)


def spot_of(view: View) -> Spot:
    """Where a view begins."""
    return view.memory, view.offset * view.dtype.itemsize


def broadcast(view: View, shape: Sequence[int]) -> Operand:
    """A view as an operand of an operation of this shape."""
    missing = len(shape) - len(view.shape)
    strides = [0 if n == 1 else stride for n, stride in zip(view.shape, bytes_apart(view), strict=True)]
    return Operand(spot_of(view), view.dtype.itemsize, (*(0,) * missing, *strides))


def contiguous(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """How many bytes lead on along each axis of what lies row by row."""
    return tuple(size * elements for elements in in_c_order(tuple(shape)))

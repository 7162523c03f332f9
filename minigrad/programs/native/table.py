"""Rows of a native table: which loop, where its operands lie, how it goes over them; and how a row is cut in parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.native.extension import AXES, LINE, OPERANDS, SIZES, STRIDES, Loop

Spot: TypeAlias = tuple[int, int]
"""Where an operand begins: the number of its memory, and bytes in there. Constants have numbers below 0."""

Kind: TypeAlias = Literal["elements", "rows", "turn", "product"]
"""What the sizes and strides of a loop are: those of elements, of rows and columns, or of matmul."""

ZEROS = (0,) * max(OPERANDS, AXES, SIZES, STRIDES)
NO_STEPS = [ZEROS[:OPERANDS]] * AXES

MANY = 1 << 14
"""Elements of a row that leave the cache before the next row asks for them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `shape` and `steps` are the axes around the loop: how long, and how far apart for each.

    `items` are the bytes of an operand's element. The last operand is the result.
    """

    loop: Loop
    spots: tuple[Spot, ...]
    items: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    shape: tuple[int, ...] = ()
    steps: tuple[tuple[int, ...], ...] = ()
    kind: Kind = "elements"

    def at(self, spots: tuple[Spot, ...]) -> Row:
        """The same elsewhere; `replace` takes longer."""
        return Row(self.loop, spots, self.items, self.sizes, self.strides, self.shape, self.steps, self.kind)

    def record(self, bases: Mapping[int, int], run: int) -> tuple[Any, ...]:
        """The row as LINE, where memories begin at these addresses; `run` rows from it on go piece by piece."""
        loop = self.loop
        return (
            loop.address,
            loop.context,
            loop.auxdata,
            len(self.spots),
            loop.quiet,
            _padded([bases[memory] + offset for memory, offset in self.spots], OPERANDS),
            _padded(self.sizes, SIZES),
            _padded(self.strides, STRIDES),
            len(self.shape),
            _padded(self.shape, AXES),
            ([_padded(step, OPERANDS) for step in self.steps] + NO_STEPS)[:AXES],
            run,
        )

    def inner_axes(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """The axes of one call: which of `sizes`, its length, and how many bytes each operand moves on along it."""
        s, n = self.strides, self.sizes
        if self.kind == "rows":
            return [(0, n[0], s[:3]), (1, n[1], s[3:])]
        if self.kind == "turn":
            item = self.items[0]
            return [(0, n[0], (item, n[1] * item)), (1, n[1], (s[0], item))]
        if self.kind == "product":
            return [
                (0, n[0], s[:3]),
                (1, n[1], (s[3], 0, s[7])),
                (2, n[2], (s[4], s[5], 0)),
                (3, n[3], (0, s[6], s[8])),
            ]
        return [(0, n[0], s)]

    def touched(self, bases: Mapping[int, int]) -> list[tuple[int, int]]:
        """For each operand the addresses from its first byte to the one after its last."""
        axes = [(n, move) for _, n, move in self.inner_axes()] + list(zip(self.shape, self.steps, strict=True))
        found = []
        for number, (memory, offset) in enumerate(self.spots):
            reaches = [(n - 1) * move[number] for n, move in axes]
            first = bases[memory] + offset
            low, high = sum(r for r in reaches if r < 0), sum(r for r in reaches if r > 0)
            found.append((first + low, first + high + self.items[number]))
        return found

    def cuts(self, bounds: Sequence[int]) -> list[Row] | None:
        """The row in parts of its first axis along which the result moves on; None where there is no such axis.

        `bounds` are where parts begin and end, of `length`.
        """
        if self.shape and self.steps[0][-1] != 0:
            moves = self.steps[0]
            return [
                replace(self, spots=self._moved(moves, a), shape=(b - a, *self.shape[1:])) for a, b in pairwise(bounds)
            ]
        axis = self._cut_axis()
        if axis is None:
            return None
        number, _, moves = axis
        return [
            replace(self, spots=self._moved(moves, a), sizes=(*self.sizes[:number], b - a, *self.sizes[number + 1 :]))
            for a, b in pairwise(bounds)
        ]

    @property
    def length(self) -> int:
        """How many equal pieces it can be cut into at most; 1 where it can't be cut."""
        if self.shape and self.steps[0][-1] != 0:
            return self.shape[0]
        axis = self._cut_axis()
        return 1 if axis is None else axis[1]

    @property
    def goes_in_pieces(self) -> bool:
        """Whether it makes many elements in one call, by a loop to which it is all one how many it is given."""
        alone = self.kind == "elements" and not self.shape and self.strides[-1] != 0
        return alone and self.loop.exact and self.sizes[0] >= MANY

    def spans(self, bases: Mapping[int, int]) -> list[Span]:
        """Where its operands lie."""
        ends = zip(self.touched(bases), self.strides, strict=True)
        return [Span(*end, stride, number == len(self.spots) - 1) for number, (end, stride) in enumerate(ends)]

    def _cut_axis(self) -> tuple[int, int, tuple[int, ...]] | None:
        return next(
            (axis for axis in self.inner_axes() if axis[1] > 1 and axis[2][-1] != 0 and self._separable(axis[0])), None
        )

    def _separable(self, number: int) -> bool:
        """Whether a loop may be given less of an axis: the columns of a turn say how far its rows lie apart."""
        return self.kind != "turn" or number == 0

    def _moved(self, moves: Sequence[int], by: int) -> tuple[Spot, ...]:
        return tuple((memory, offset + by * move) for (memory, offset), move in zip(self.spots, moves, strict=True))

    @property
    def work(self) -> int:
        """Elements, or multiplications of a product."""
        return prod(self.sizes) * prod(self.shape)


def _padded(values: Sequence[int], length: int) -> tuple[int, ...]:
    return (*values, *ZEROS[len(values) : length])


def table_of(rows: Iterable[Row | None], bases: Mapping[int, int]) -> Array:
    """The table of some rows, where memories begin at these addresses; threads meet where there is None."""
    rows = list(rows)
    runs = runs_in(rows, bases)
    return np.array(
        [MEETING if row is None else row.record(bases, run) for row, run in zip(rows, runs, strict=True)], LINE
    )


def runs_in(rows: Sequence[Row | None], bases: Mapping[int, int]) -> list[int]:
    """For each row how many from it on go over their elements together, piece by piece; 1 alone, 0 within a run.

    They leave the same numbers as one after the other, since each element is made of those at its own place alone; and
    what one row leaves, the next one finds in the cache.
    """
    runs = [1] * len(rows)
    first, sizes, before = 0, tuple[int, ...](), list[Span]()
    for number, row in enumerate(rows):
        if row is None or not row.goes_in_pieces:
            before = []
            continue
        own = row.spans(bases)
        if before and row.sizes == sizes and all(one.agrees(two) for one in own for two in before):
            runs[first] += 1
            runs[number] = 0
            before += own
        else:
            first, sizes, before = number, row.sizes, own
    return runs


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses of an operand, how many bytes lead from one element to the next, and whether they are written."""

    start: int
    stop: int
    stride: int
    written: bool

    def agrees(self, other: Span) -> bool:
        """Whether it is all one if both are gone over at once: each element has its own place, or none is in both."""
        if self.start >= other.stop or other.start >= self.stop or not (self.written or other.written):
            return True
        return (self.start, self.stop, self.stride) == (other.start, other.stop, other.stride) and self.stride != 0


MEETING = np.zeros((), LINE).item()

"""Memory of a native table beside the program's own: numbers that its loops read, and room for numbers on the way."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address
from minigrad.programs.native.strides import Operand

MANY, LONG = 1 << 14, 64
"""Elements, and those of a row, from which on a call for each row costs little beside the rows."""


class Constants:
    """The arrays that rows need beside the program's own, by the numbers of their memories, which are below zero."""

    def __init__(self) -> None:
        self.arrays: dict[int, Array] = {}
        self._known: dict[Any, int] = {}

    def full(self, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Operand:
        """A number as an operand of this shape, in memory as often as there are elements."""
        number = np.array(value, dtype)
        key = dtype, number.tobytes(), shape
        if key not in self._known:
            self._known[key] = self._new(np.full(shape, number))
        return Operand((self._known[key], 0), dtype.itemsize, self.arrays[self._known[key]].strides)

    def full_rows(self, value: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Operand:
        """The same, but in memory as often as a row has elements where rows are long and many."""
        if prod(shape) < MANY or shape[-1] < LONG:
            return self.full(value, dtype, shape)
        row = self.full(value, dtype, shape[-1:])
        return replace(row, strides=(*(0,) * (len(shape) - 1), *row.strides))

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Operand:
        """Memory for numbers on the way."""
        number = self._new(np.zeros(shape, dtype))
        return Operand((number, 0), dtype.itemsize, self.arrays[number].strides)

    def forget(self, number: int) -> None:
        """Forget all but the first so many constants, of which nobody has made use."""
        self.arrays = dict(islice(self.arrays.items(), number))

    @property
    def nbytes(self) -> int:
        """The bytes of the constants."""
        return sum(array.nbytes for array in self.arrays.values())

    def bases(self) -> dict[int, int]:
        """The address of each."""
        return {number: address(array) for number, array in self.arrays.items()}

    def _new(self, array: Array) -> int:
        number = -1 - len(self.arrays)
        self.arrays[number] = array
        return number

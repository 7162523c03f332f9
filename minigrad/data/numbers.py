"""Tables of numbers as users have them, checked: a wrong number is told with its row and its column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.parameter import Array

NUMBERS_AT_ONCE = 1 << 20


def as_numbers(name: str, values: Any, dtype: npt.DTypeLike) -> Array:
    """`values` (an array, list or DataFrame of numbers) as an array of at least one row that `dtype` can hold.

    Raises ValueError that says in which row and column, counted from 0, there is a NaN, an infinity, or text (other
    than a number written as text).
    """
    columns = getattr(values, "columns", None)
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is no table: its rows differ in length") from None
    if array.ndim == 0:
        raise ValueError(f"{name} is {values!r:.40}, where rows of numbers belong")
    if len(array) == 0:
        raise ValueError(f"{name} has no rows")
    if array.dtype.kind not in "fiub":
        array = _parsed(name, array, columns)
    if array.dtype.kind != "f":
        return array
    step = max(1, NUMBERS_AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(dtype, copy=False))
        if not finite.all():
            first = tuple(np.argwhere(~finite)[0])
            value = block[first]
            why = f"too large for {np.dtype(dtype)}" if np.isfinite(value) else "not a finite number"
            raise ValueError(f"{name} is {value} in {_place(first, start, columns)}: {why}")
    return array


def check_fractions(name: str, array: Array, hint: str) -> None:
    """Raise ValueError that names the first number outside [0, 1], its row and its column."""
    step = max(1, NUMBERS_AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        outside = (block < 0) | (block > 1)
        if outside.any():
            first = tuple(np.argwhere(outside)[0])
            raise ValueError(f"{name} is {block[first]} in {_place(first, start, None)}, outside [0, 1]; {hint}")


def _parsed(name: str, array: Array, columns: Any) -> Array:
    for index, value in np.ndenumerate(array.astype(object, copy=False)):
        try:
            float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {value!r} in {_place(index, 0, columns)}: not a number") from None
    return array.astype(np.float64)


def _place(index: tuple[int, ...], start: int, columns: Any) -> str:
    words = [f"row {start + index[0]}"]
    if len(index) == 2:
        words.append(f"column {index[1] if columns is None else repr(columns[index[1]])}")
    elif len(index) > 2:
        words.append(f"position {tuple(int(i) for i in index[1:])}")
    return ", ".join(words)

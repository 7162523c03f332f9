"""Where NumPy's arrays lie: the array that owns the memory of a view, and addresses."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.parameter import Array


def owner(array: Any) -> Any:
    """The array whose memory this one is a view of."""
    base = array
    while (base := getattr(base, "base", None)) is not None:
        if isinstance(base, np.ndarray):
            array = base
    return array


def address(array: Array) -> int:
    """The address of the first element."""
    return int(array.__array_interface__["data"][0])


def arrays_in(value: Any) -> list[Array]:
    """The arrays in a value, in tuples, lists and dicts too."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for item in value for array in arrays_in(item)] if isinstance(value, tuple | list) else []

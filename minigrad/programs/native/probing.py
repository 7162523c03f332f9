"""Trials of rows before they are taken: whether they leave the bits of their op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address
from minigrad.programs.ir.ops import Op, Value, View
from minigrad.programs.ir.verification import examples, given, random_array, same_bits
from minigrad.programs.native import extension as executor
from minigrad.programs.native.constants import Constants
from minigrad.programs.native.extension import NotNative
from minigrad.programs.native.strides import spot_of
from minigrad.programs.native.table import Row, table_of

EXAMPLES = 16
"""Trials of an op's rows; another order of summation gives the same number by chance every other time."""

_agreed: dict[Any, bool] = {}
"""Which rows leave the bits of their ops: by how they were lowered, and what lies where."""

_numbers = count()


def tried(lower: Callable[[Op], list[Row]], op: Op, constants: Constants) -> list[Row]:
    """The rows of an op, where they leave the op's own bits. Raises NotNative."""
    views = [view for view in op.inputs if isinstance(view, View)]
    where = [(view.shape, view.strides, view.dtype) for view in (*views, op.out)]
    key = lower.__name__, op.function, *where, repr(op.options)
    if key not in _agreed:
        apart = op.with_views(alone)
        _agreed[key] = agrees(lower(apart), apart, constants)
    if not _agreed[key]:
        raise NotNative("its bits are other ones")
    return lower(op)


def agrees(rows: list[Row], op: Op, constants: Constants) -> bool:
    """Whether rows leave the bits of an op whose views lie in memories of their own, of zeros as of numbers."""
    zeros, nothing = next(examples(op))
    for array in zeros:
        array.fill(-0.0)
    with np.errstate(all="ignore"):
        op.run(given(op, zeros), op.options, nothing)
    fixed = constants.bases()
    for operands, expected in [(zeros, nothing), *islice(examples(op), EXAMPLES)]:
        result = random_array(op.out, np.random.default_rng(1))
        executor.run(executor.raw_bytes(table_of(rows, fixed | bases_of(op, operands, result))))
        if not same_bits(expected, result):
            return False
    return True


def bases_of(op: Op, operands: Sequence[Array], result: Array) -> dict[int, int]:
    """The address of each of an op's memories, where these arrays are its views."""
    views = [*(view for view in op.inputs if isinstance(view, View)), op.out]
    return {v.memory: address(a) - spot_of(v)[1] for v, a in zip(views, (*operands, result), strict=True)}


def alone(view: View) -> View:
    """The same view of a memory of its own."""
    number = next(_numbers)
    value = Value(number, number, view.value.shape, view.value.strides, view.dtype, view.value.role)
    return view.of(value)

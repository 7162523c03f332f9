"""What the value that an array did not take says of the bug."""

from __future__ import annotations

import re

import numpy as np

from minigrad.parameter import Array, Declared
from minigrad.testing.sentences import UNSUMMED

ONE_NUMBER = "one number stands where one for every entry belongs: a bias's is the sum over the rows, axis=0"
NO_ROWS = "of no rows a loop, or Python's sum, makes a number and no array: use array.sum(axis=0)"
KEPT_AXIS = "there is an axis too much: a sum over the batch has kept its axis, or one more axis is to be summed over"


def of_value(error: Exception, rows: int) -> str:
    """What the value that an array did not take says of the bug, if that is the error."""
    refused = _refused(error)
    if refused is not None:
        shape, value = refused
        if value.shape == (rows, *shape):
            return UNSUMMED
        if value.shape == (rows,) != shape and len(shape) == 1:
            return "summed over the outputs, one number for every row: sum over the rows, with axis=0"
        if value.shape == () and shape:
            return ONE_NUMBER if rows else NO_ROWS
        if len(shape) == 2 and value.shape == shape[::-1]:
            return "transposed: the gradient has the two axes of its parameter exchanged"
        if value.ndim == len(shape) + 1 and value.shape[1:] == shape:
            return KEPT_AXIS
    shapes = re.findall(r"\(([\d,]*)\)", str(error)) if "input array from shape" in str(error) else []
    if len(shapes) == 2 and shapes[0].split(",") == [str(rows), *filter(None, shapes[1].split(","))]:
        return UNSUMMED
    if "read-only" in str(error):
        return "an argument is overwritten in place; work on a copy"
    return ""


def _refused(error: Exception) -> tuple[tuple[int, ...], Array] | None:
    """The shape of a declared array and the value of another shape that it did not take, if that is the error."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is Declared.__set__.__code__:
            held, value = trace.tb_frame.f_locals.get("held"), trace.tb_frame.f_locals.get("value")
            if held is not None and value is not None:
                return held.shape, np.asarray(value)
        trace = trace.tb_next
    return None

"""Functions that only put numbers elsewhere, as copies: which go where. So they need no Python between native rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from minigrad.programs.ir.ops import Call, View, function_name, in_c_order

Copies = Iterator[tuple[Any, View]]
"""What is copied (a view or a number), and the part of the result that it becomes."""


def copies_of(call: Call) -> list[tuple[Any, View]]:
    """The copies that make the result of a call together; none where it does more, or has odd arguments."""
    known = MOVES.get(function_name(call.function).rpartition(".")[2])
    plain = not any(isinstance(value, str | View) for value in (*call.inputs[1:], *call.options.values()))
    return list(known(call)) if known and plain and call.fresh else []


def _zeros_like(call: Call) -> Copies:
    yield 0, call.out


def _reshape(call: Call) -> Copies:
    first, out = call.inputs[0], call.out
    if out.strides == in_c_order(out.shape) and not call.options:
        yield first, replace(out, shape=first.shape, strides=in_c_order(first.shape))


def _concatenate(call: Call) -> Copies:
    begin = 0
    for part, axis in _parts(call):
        yield part, _stretch(call.out, axis, begin, part.shape[axis])
        begin += part.shape[axis]


def _stack(call: Call) -> Copies:
    for number, (part, axis) in enumerate(_parts(call)):
        place = _stretch(call.out, axis, number, 1)
        shape, strides = ((*each[:axis], *each[axis + 1 :]) for each in (place.shape, place.strides))
        yield part, replace(place, shape=shape, strides=strides)


MOVES: dict[str, Callable[[Call], Copies]] = {
    "zeros_like": _zeros_like,
    "reshape": _reshape,
    "concatenate": _concatenate,
    "stack": _stack,
}


def _parts(call: Call) -> Iterator[tuple[View, int]]:
    """Each of the arrays that are put side by side, with the axis along which they are."""
    parts, *axes = call.inputs
    axis = (*axes, call.options.get("axis", 0))[0]
    plain = len(axes) < 2 and set(call.options) <= {"axis"} and all(isinstance(part, View) for part in parts)
    if plain and axis is not None:
        yield from ((part, axis % len(call.out.shape)) for part in parts)


def _stretch(view: View, axis: int, begin: int, length: int) -> View:
    """So many of a view's places along an axis."""
    shape = (*view.shape[:axis], length, *view.shape[axis + 1 :])
    return replace(view, offset=view.offset + begin * view.strides[axis], shape=shape)

"""The derivatives of what puts numbers elsewhere: picks, joins, pads, turns and views.

The arguments are NumPy's. `g` may be shorter than y along axes that it does not vary along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.derivation.reductions import spread, transposed
from minigrad.derivation.rule import Slope, Value, rule_name


class Picked:
    """What reaches an array of which some elements were picked: g at these, 0 elsewhere."""

    def __init__(self, index: Any) -> None:
        self.index = index


def is_slicing(index: Any) -> bool:
    """Whether an index gives a view: it has no arrays in it."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, int | slice | np.integer) for part in parts)


def picked(position: int, g: Value, y: Value, a: Value, index: Any) -> Picked:
    """y = a[index]      da[index] = g"""
    return Picked(index)


def taken(
    position: int, g: Value, y: Value, a: Value, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise"
) -> Picked:
    """The same, along one axis."""
    return Picked((*[slice(None)] * (axis % a.ndim), indices))


def other_take(a: Value, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> str:
    """Indices that are counted in another way."""
    if axis is None:
        return "without an axis"
    if np.asarray(indices).dtype == bool:
        return "with indices that are True or False"
    return "" if mode == "raise" else f"with mode={mode!r}"


def choice(position: int, g: Value, y: Value, condition: Value, a: Value, b: Value) -> Value:
    """y = a where the condition holds, else b      da = g there, db = g elsewhere"""
    return np.where(condition, g, 0) if position == 1 else np.where(condition, 0, g)


def filled(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    fill_value: Value,
    dtype: Any = None,
    order: Any = None,
    subok: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
) -> Value:
    """y = b everywhere, in the shape of a      db = g"""
    return spread(g, y)


def joined(
    position: int,
    g: Value,
    y: Value,
    parts: Sequence[Value],
    axis: Any = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = None,
) -> list[Value]:
    """y = [a, b, …]      da = the part of g at the place of a"""
    g, shares, start = spread(g, y), [], 0
    if axis is None:
        for part in parts:
            shares.append(g[start : start + part.size].reshape(part.shape))
            start += part.size
        return shares
    axis = axis % y.ndim
    before = (Ellipsis,) if axis == y.ndim - 1 else (slice(None),) * axis
    for part in parts:
        length = part.shape[axis]
        shares.append(g[(*before, slice(start, start + length))])
        start += length
    return shares


def stacked(
    position: int,
    g: Value,
    y: Value,
    parts: Sequence[Value],
    axis: Any = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: Any = None,
) -> list[Value]:
    """The same, along an axis that the parts have not."""
    g, axis = spread(g, y), axis % y.ndim
    before = (Ellipsis,) if axis == y.ndim - 1 else (slice(None),) * axis
    return [g[(*before, k)] for k in range(len(parts))]


def other_join(parts: Any, *_: Any, **__: Any) -> str:
    """Parts that are the rows of an array."""
    return "" if isinstance(parts, list | tuple) else "of an array; give it a list of arrays"


def padded(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    pad_width: Any,
    mode: Any = "constant",
    *,
    constant_values: Any = 0,
    reflect_type: Any = "even",
) -> Value:
    """y = a with a margin      da = g without it, and where the margin repeats a, with what stands there"""
    margins, g = np.broadcast_to(pad_width, (a.ndim, 2)).tolist(), spread(g, y)
    if mode == "constant":
        return g[tuple(slice(p, p + n) for (p, _), n in zip(margins, a.shape, strict=True))]
    for axis, ((p, q), n) in enumerate(zip(margins, a.shape, strict=True)):
        before = (slice(None),) * axis
        inner = g[(*before, slice(p, p + n))] if p + q else g
        places: Any = np.pad(np.arange(n), (p, q), mode)
        for place in (*range(p), *range(p + n, p + n + q)):
            around = [(0, 0)] * a.ndim
            around[axis] = (int(places[place]), n - 1 - int(places[place]))
            inner = inner + np.pad(g[(*before, slice(place, place + 1))], around)
        g = inner
    return g


def other_pad(
    a: Value, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0, reflect_type: Any = "even"
) -> str:
    """Margins that neither are constant nor repeat numbers as they are."""
    if isinstance(pad_width, dict):
        return "with widths by axis in a dict"
    if reflect_type != "even":
        return f"with reflect_type={reflect_type!r}"
    return "" if mode in ("constant", "edge", "reflect", "symmetric", "wrap") else f"with mode={mode!r}"


def held(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    a_min: Value = None,
    a_max: Value = None,
    out: Any = None,
    *,
    min: Value = None,
    max: Value = None,
) -> Value:
    """y = a held between two bounds      da = g where it is between, and that of a bound = g where a is beyond it"""
    if position == 0:
        return g * (y == a)
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if position == 2:
        return g * (a > high) if low is None else g * ((np.maximum(a, low) > high) & (a != high))
    return g * (a < low) if high is None else g * ((a < low) & (low <= high))


def repeated(position: int, g: Value, y: Value, a: Value, repeats: Any, axis: Any = None) -> Value:
    """y = each of a n times      da = the sum of its g"""
    axis = axis % a.ndim
    return spread(g, y).reshape(*a.shape[: axis + 1], repeats, *a.shape[axis + 1 :]).sum(axis=axis + 1)


def other_repeat(a: Value, repeats: Any, axis: Any = None) -> str:
    """Not each along an axis as often as the others."""
    once = axis is None or not isinstance(repeats, int | np.integer)
    return "with several numbers or without an axis" if once else ""


def rolled(position: int, g: Value, y: Value, a: Value, shift: Any, axis: Any = None) -> Value:
    """y_k = a_{k - shift}      da_k = g_{k + shift}"""
    back = tuple(-each for each in shift) if isinstance(shift, tuple | list) else -shift
    return np.roll(spread(g, y), back, axis)


def triangle(function: Callable[..., Any]) -> Slope:
    """y = a below (or above) a diagonal, 0 elsewhere      da = the same of g"""
    return lambda position, g, y, m, k=0: function(spread(g, y), k)


def unchanged(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    dtype: Any = None,
    order: Any = None,
    casting: Any = None,
    subok: Any = None,
    copy: Any = None,
    *,
    device: Any = None,
) -> Value:
    """y = a, perhaps elsewhere in memory or as another dtype      da = g"""
    return g


def finite(
    position: int,
    g: Value,
    y: Value,
    x: Value,
    copy: Any = True,
    nan: Any = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Value:
    """y = x where it is finite, else a number      dx = g there"""
    return g * np.isfinite(x)


def reshaped(
    position: int, g: Value, y: Value, a: Value, *new: Any, order: Any = "C", shape: Any = None, copy: Any = None
) -> Value:
    """y = a in another shape      da = g in the shape of a"""
    return spread(g, y).reshape(a.shape, **_order(new, order))


def flattened(position: int, g: Value, y: Value, a: Value, order: Any = "C") -> Value:
    """The same, in a row."""
    return reshaped(position, g, y, a, order=order)


def other_reshape(a: Value, *new: Any, order: Any = "C", **_: Any) -> str:
    """An order that depends on how the array lies in memory."""
    order = _order(new, order).get("order", "C")
    return "" if order in ("C", "F") else f"with order={order!r}"


def _order(new: tuple[Any, ...], order: Any) -> dict[str, Any]:
    """The order of a reshape as an option, which np.reshape takes after the shape, too; none for that of C."""
    order = new[-1] if new and isinstance(new[-1], str) else order
    return {} if order in ("C", None) else {"order": order}


def view_slope(
    function: Callable[..., Any], g: Value, y: Value, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value:
    """What reaches the array that y is a view of; None where only the places of its elements tell that."""
    a, *arguments = inputs
    name = rule_name(function)
    if name == "getitem":
        return Picked(arguments[0])
    if name == "broadcast_to":
        return g
    in_order = not options and not any(isinstance(each, str) for each in arguments)
    if name in ("squeeze", "expand_dims", "atleast_1d", "atleast_2d") or (name in ("reshape", "ravel") and in_order):
        return spread(g, y).reshape(a.shape)
    if name in ("real", "astype"):
        return g
    if name == "swapaxes" and not options:
        return np.swapaxes(spread(g, y), *arguments)
    if name == "matrix_transpose":
        return transposed(spread(g, y))
    if name == "transpose":
        given = options.get("axes", arguments[0] if len(arguments) == 1 else tuple(arguments))
        if given is None or given == ():
            return spread(g, y).T
        return spread(g, y).transpose(*np.argsort([axis % a.ndim for axis in given]).tolist())
    if name == "moveaxis" and not options:
        source, destination = arguments
        return np.moveaxis(spread(g, y), destination, source)
    if name == "flip":
        return np.flip(spread(g, y), *arguments, **options)
    return None

"""The derivatives of sums and products of an array's numbers: what reaches each input of the gradient g of y.

The arguments are NumPy's. `g` may be shorter than y along axes that it does not vary along.
"""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from minigrad.derivation.rule import Value


def spread(g: Value, y: Value) -> Value:
    """g along all axes of y."""
    return g if g.shape == y.shape else np.broadcast_to(g, y.shape)


def transposed(a: Value) -> Value:
    """The matrices in a, each transposed."""
    return a.T if a.ndim == 2 else np.swapaxes(a, -1, -2)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,))))


def _apart(g: Value, a: Value, axis: Any, keepdims: bool) -> Value:
    """g with the axes of a that were summed away, each of length 1, where broadcasting does not add them itself."""
    axes = _axes(axis, a.ndim)
    if keepdims or axes == tuple(range(len(axes))):
        return g
    index: list[Any] = [None if each in axes else slice(None) for each in range(a.ndim)]
    if all(each >= a.ndim - len(axes) for each in axes):
        return g[(Ellipsis, *[None] * len(axes))]
    while index and index[-1] == slice(None):
        index.pop()
    return g[tuple(index)]


def _count(a: Value, axis: Any, where: Value) -> Value:
    """How many numbers go into each of y; an array, with the axes of a, where `where` chooses among them."""
    if where is True:
        return math.prod(a.shape[each] for each in _axes(axis, a.ndim))
    return np.broadcast_to(where, a.shape).sum(axis=axis, keepdims=True, dtype=a.dtype)


def _chosen(share: Value, where: Value) -> Value:
    return share if where is True else share * where


def total(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Value = True,
) -> Value:
    """y = Σ a      da = g"""
    return _chosen(_apart(g, a, axis, keepdims), where)


def total_of_all(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Value = True,
) -> Value:
    """The same; without an axis, over all of them."""
    return total(position, g, y, a, axis, keepdims=keepdims, where=where)


def mean(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    *,
    where: Value = True,
) -> Value:
    """y = Σ a / n      da = g / n"""
    n = _count(a, axis, where)
    return _apart(g / n, a, axis, keepdims) if where is True else _apart(g, a, axis, keepdims) / n * where


def largest(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Value = True,
) -> Value:
    """y = max a      da = g where a is the maximum, shared by equal ones"""
    at = a == _apart(y, a, axis, keepdims)
    if where is not True:
        at = at & where
    count = at.sum(axis=axis if axis is None or isinstance(axis, int) else tuple(axis), keepdims=True, dtype=a.dtype)
    if initial is not None:
        count = np.maximum(count, 1)  # none, where the initial number is larger than all
    return _apart(g, a, axis, keepdims) * at / count


def largest_of_all(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Value = True,
) -> Value:
    """The same; without an axis, over all of them."""
    return largest(position, g, y, a, axis, keepdims=keepdims, initial=initial, where=where)


def variance(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Value = True,
    correction: Any = None,
) -> Value:
    """y = Σ (a - mean a)² / n      da = g 2 (a - mean a) / n"""
    d = a - (a.mean(axis=axis, keepdims=True) if where is True else a.mean(axis=axis, keepdims=True, where=where))
    n = _count(a, axis, where) - (ddof if correction is None else correction)
    return _chosen(_apart(g, a, axis, keepdims) * (2 * d / n), where)


def deviation(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Value = True,
    correction: Any = None,
) -> Value:
    """y = √(Σ (a - mean a)² / n)      da = g (a - mean a) / (n y), the variance's with g / 2y"""
    y = np.where(y == 0, 1, y)  # where all are equal there is no derivative; 0 is in its place
    ddof = ddof if correction is None else correction
    return variance(position, g / (2 * y), y, a, axis, ddof=ddof, keepdims=keepdims, where=where)


def length(
    position: int, g: Value, y: Value, x: Value, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Value:
    """y = √(Σ x²)      dx = g x / y"""
    return _apart(g / np.where(y == 0, 1, y), x, axis, keepdims) * x  # 0 where all are, which has no derivative


def other_length(x: Value, ord: Any = None, axis: Any = None, keepdims: bool = False) -> str:
    """The norms that are not the root of the sum of squares."""
    axes = len(_axes(axis, x.ndim))
    squares = ord is None or (ord == 2 and axes == 1) or (ord == "fro" and axes == 2)
    return "" if squares else f"of order {ord}"


def cumulated(
    position: int, g: Value, y: Value, a: Value, axis: Any = None, dtype: Any = None, out: Any = None
) -> Value:
    """y_k = a_1 + … + a_k      da_k = g_k + … + g_n"""
    g = spread(g, y)
    if axis is None:
        return np.flip(np.cumsum(np.flip(g, 0), 0), 0).reshape(a.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def accumulated(
    position: int, g: Value, y: Value, a: Value, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Value:
    """The same; without an axis, along the first."""
    return cumulated(position, g, y, a, axis[0] if isinstance(axis, tuple) else axis)


def matmul(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    b: Value,
    *,
    dtype: Any = None,
    casting: Any = None,
    order: Any = None,
    subok: Any = None,
) -> Value:
    """y = a @ b      da = g @ bᵀ,   db = aᵀ @ g"""
    g = spread(g, y)
    if b.ndim == 1:
        return g[..., None] * (b if position == 0 else a)
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0] if position == 0 else a[:, None] * g[..., None, :]
    if position == 0:
        return g @ transposed(b)
    if a.ndim > 2 and b.ndim == 2:
        return a.reshape(-1, a.shape[-1]).T @ g.reshape(-1, g.shape[-1])
    return transposed(a) @ g


def dot(position: int, g: Value, y: Value, a: Value, b: Value, out: Any = None) -> Value:
    """As `a @ b`, of up to two axes of b; a number times an array too."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return g * (b if position == 0 else a)
    return matmul(position, g, y, a, b)


def large_dot(a: Value, b: Value, out: Any = None) -> str:
    """The products that `a @ b` is not."""
    return "of more than two axes; write a @ b or einsum" if np.ndim(b) > 2 and np.ndim(a) else ""


def einsum(
    position: int,
    g: Value,
    y: Value,
    subscripts: str,
    *arrays: Value,
    out: Any = None,
    dtype: Any = None,
    order: Any = None,
    casting: Any = None,
    optimize: Any = None,
) -> Value:
    """y = Σ a b …      da = Σ g b …, over the indices that a has not"""
    terms, result = _spelled(subscripts, arrays)
    own, others = terms[position - 1], [term for k, term in enumerate(terms) if k != position - 1]
    alone = [index for index in own if index not in result and not any(index in other for other in others)]
    kept = "".join(index for index in own if index not in alone)
    rest = [array for k, array in enumerate(arrays) if k != position - 1]
    d = np.einsum(",".join([result, *others]) + "->" + kept, spread(g, y), *rest)
    for index in alone:  # summed over by itself: each of its places gets the same
        d = np.expand_dims(d, own.index(index))
    return d


def _spelled(subscripts: str, arrays: tuple[Value, ...]) -> tuple[list[str], str]:
    """The indices of each array and of the result, with letters for "..." and for a result that is not written."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    free = "".join(letter for letter in string.ascii_letters if letter not in subscripts)
    more = [np.ndim(array) - len(term.replace("...", "")) for term, array in zip(terms, arrays, strict=True)]
    most = max((n for n, term in zip(more, terms, strict=True) if "..." in term), default=0)
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        result = "..." * ("..." in left) + "".join(sorted(i for i in {*letters} if letters.count(i) == 1))
    spelled = [term.replace("...", free[most - n : most]) for term, n in zip(terms, more, strict=True)]
    return spelled, result.replace("...", free[:most])


def other_einsum(subscripts: Any, *arrays: Value, **_: Any) -> str:
    """The sums whose subscripts are no text, or which take a diagonal."""
    if not isinstance(subscripts, str):
        return "without subscripts as text"
    terms = subscripts.replace("...", "").replace(" ", "").partition("->")[0].split(",")
    repeated = [term for term in terms if len({*term}) < len(term)]
    return f"with the repeated index of {repeated[0]!r}" if repeated else ""

"""The derivatives: for every function that a forward may use, what reaches each of its inputs of the gradient g of y.

    "exp": y = exp(a)      da = g y

A kink takes the derivative from its left, as in the layers. `g` may be shorter than y along axes that it does not vary
along; a rule that needs all of it calls `spread`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

Value: TypeAlias = Any
Rule: TypeAlias = Callable[..., Value]


def rule_name(function: Callable[..., Any]) -> str:
    """The name under which a function's rule stands: "exp", "add.reduce"."""
    name, home = getattr(function, "__name__", type(function).__name__), getattr(function, "__self__", None)
    return f"{home.__name__}.{name}" if isinstance(home, np.ufunc) else name


WITHOUT_SLOPE = (
    "sign floor ceil rint trunc round floor_divide heaviside argmax argmin argsort isfinite isnan isinf signbit "
    "logical_and logical_or logical_not logical_xor greater less greater_equal less_equal equal not_equal "
    "zeros_like ones_like full_like empty_like"
)
CONSTANT = frozenset(WITHOUT_SLOPE.split())
"""Functions whose derivative is 0 wherever it exists."""


def by_input(*rules: Rule) -> Rule:
    """The rule of a function of a few arrays: one function of (g, y, *inputs) for each."""

    def rule(position: int, g: Value, y: Value, *inputs: Value, **_: Any) -> Value:
        return rules[position](g, y, *inputs)

    return rule


def spread(g: Value, y: Value) -> Value:
    """g along all axes of y."""
    return g if g.shape == y.shape else np.broadcast_to(g, y.shape)


def transposed(a: Value) -> Value:
    """The matrices in a, each transposed."""
    return a.T if a.ndim == 2 else np.swapaxes(a, -1, -2)


# --------------------------------------------------------------------------------------------------- sums and products
def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
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


def _count(a: Value, axis: Any) -> int:
    return math.prod(a.shape[each] for each in _axes(axis, a.ndim))


def total(
    position: int, g: Value, y: Value, a: Value, axis: Any = 0, *_: Any, keepdims: bool = False, **__: Any
) -> Value:
    """y = Σ a      da = g"""
    return _apart(g, a, axis, keepdims)


def total_of_all(position: int, g: Value, y: Value, a: Value, axis: Any = None, *_: Any, **options: Any) -> Value:
    """The same; without an axis, over all of them."""
    return total(position, g, y, a, axis, **options)


def mean(
    position: int, g: Value, y: Value, a: Value, axis: Any = None, *_: Any, keepdims: bool = False, **__: Any
) -> Value:
    """y = Σ a / n      da = g / n"""
    return _apart(g / _count(a, axis), a, axis, keepdims)


def largest(
    position: int, g: Value, y: Value, a: Value, axis: Any = 0, *_: Any, keepdims: bool = False, **__: Any
) -> Value:
    """y = max a      da = g where a is the maximum, shared by equal ones"""
    at = a == _apart(y, a, axis, keepdims)
    count = at.sum(axis=axis if axis is None or isinstance(axis, int) else tuple(axis), keepdims=True, dtype=a.dtype)
    return _apart(g, a, axis, keepdims) * at / count


def largest_of_all(position: int, g: Value, y: Value, a: Value, axis: Any = None, *_: Any, **options: Any) -> Value:
    """The same; without an axis, over all of them."""
    return largest(position, g, y, a, axis, **options)


def variance(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    axis: Any = None,
    *_: Any,
    ddof: int = 0,
    keepdims: bool = False,
    **__: Any,
) -> Value:
    """y = Σ (a - mean a)² / n      da = g 2 (a - mean a) / n"""
    d = a - a.mean(axis=axis, keepdims=True)
    return _apart(g, a, axis, keepdims) * (2 * d / (_count(a, axis) - ddof))


def deviation(position: int, g: Value, y: Value, a: Value, axis: Any = None, *_: Any, **options: Any) -> Value:
    """y = √(Σ (a - mean a)² / n)      da = g (a - mean a) / (n y), the variance's with g / 2y"""
    y = np.where(y == 0, 1, y)  # where all are equal there is no derivative; 0 is in its place
    return variance(position, g / (2 * y), y, a, axis, **options)


def length(
    position: int,
    g: Value,
    y: Value,
    a: Value,
    order: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    **given: Any,
) -> Value:
    """y = √(Σ a²)      da = g a / y"""
    order = given.get("ord", order)
    if order is not None and not (order == 2 and len(_axes(axis, a.ndim)) == 1):
        raise NotImplementedError(f"norm of order {order}")
    return _apart(g / np.where(y == 0, 1, y), a, axis, keepdims) * a  # 0 where all are, which has no derivative


def cumulated(position: int, g: Value, y: Value, a: Value, axis: Any = None, *_: Any, **__: Any) -> Value:
    """y_k = a_1 + … + a_k      da_k = g_k + … + g_n"""
    g = spread(g, y)
    if axis is None:
        return np.flip(np.cumsum(np.flip(g, 0), 0), 0).reshape(a.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def matmul(position: int, g: Value, y: Value, a: Value, b: Value, **_: Any) -> Value:
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


def dot(position: int, g: Value, y: Value, a: Value, b: Value, *_: Any, **__: Any) -> Value:
    """As `a @ b`, of up to two axes each; a number times an array too."""
    if a.ndim == 0 or b.ndim == 0:
        return g * (b if position == 0 else a)
    if b.ndim > 2:
        raise NotImplementedError("dot of more than two axes; write a @ b or einsum")
    return matmul(position, g, y, a, b)


def einsum(position: int, g: Value, y: Value, subscripts: str, *arrays: Value, **_: Any) -> Value:
    """y = Σ a b …      da = Σ g b …, over the indices that a has not"""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    own, others = terms[position - 1], [term for k, term in enumerate(terms) if k != position - 1]
    alone = [index for index in own if index not in result and not any(index in other for other in others)]
    if not arrow or len({*own}) < len(own) or (alone and "." in subscripts):
        raise NotImplementedError(f"einsum({subscripts!r}); write it with -> and without repeated indices")
    kept = "".join(index for index in own if index not in alone)
    rest = [array for k, array in enumerate(arrays) if k != position - 1]
    d = np.einsum(",".join([result, *others]) + "->" + kept, spread(g, y), *rest)
    for index in alone:  # summed over by itself: each of its places gets the same
        d = np.expand_dims(d, own.index(index))
    return d


# ------------------------------------------------------------------------------------------------- numbers elsewhere
def choice(position: int, g: Value, y: Value, condition: Value, a: Value, b: Value) -> Value:
    """y = a where the condition holds, else b      da = g there, db = g elsewhere"""
    return np.where(condition, g, 0) if position == 1 else np.where(condition, 0, g)


def joined(position: int, g: Value, y: Value, parts: Sequence[Value], axis: Any = 0, *_: Any, **__: Any) -> list[Value]:
    """y = [a, b, …]      da = the part of g at the place of a"""
    g, shares, start = spread(g, y), [], 0
    axis = axis % y.ndim
    before = (Ellipsis,) if axis == y.ndim - 1 else (slice(None),) * axis
    for part in parts:
        length = part.shape[axis]
        shares.append(g[(*before, slice(start, start + length))])
        start += length
    return shares


def stacked(
    position: int, g: Value, y: Value, parts: Sequence[Value], axis: Any = 0, *_: Any, **__: Any
) -> list[Value]:
    """The same, along an axis that the parts have not."""
    g, axis = spread(g, y), axis % y.ndim
    before = (Ellipsis,) if axis == y.ndim - 1 else (slice(None),) * axis
    return [g[(*before, k)] for k in range(len(parts))]


def padded(position: int, g: Value, y: Value, a: Value, width: Any, mode: Any = "constant", **_: Any) -> Value:
    """y = a with a margin      da = g without it, and where the margin repeats a, with what stands there"""
    margins, g = np.broadcast_to(width, (a.ndim, 2)).tolist(), spread(g, y)
    if mode == "constant":
        return g[tuple(slice(p, p + n) for (p, _), n in zip(margins, a.shape, strict=True))]
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise NotImplementedError(f"pad with mode={mode!r}")
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


def held(position: int, g: Value, y: Value, a: Value, low: Any = None, high: Any = None, **options: Any) -> Value:
    """y = a held between two numbers      da = g where it is between"""
    return g * (y == a)


def repeated(position: int, g: Value, y: Value, a: Value, repeats: Any, axis: Any = None) -> Value:
    """y = each of a n times      da = the sum of its g"""
    if axis is None or not isinstance(repeats, int):
        raise NotImplementedError("repeat with several numbers or without an axis")
    axis = axis % a.ndim
    return spread(g, y).reshape(*a.shape[: axis + 1], repeats, *a.shape[axis + 1 :]).sum(axis=axis + 1)


def rolled(position: int, g: Value, y: Value, a: Value, shift: Any, axis: Any = None) -> Value:
    """y_k = a_{k - shift}      da_k = g_{k + shift}"""
    back = tuple(-each for each in shift) if isinstance(shift, tuple | list) else -shift
    return np.roll(spread(g, y), back, axis)


def power(g: Value, y: Value, a: Value, b: Value) -> Value:
    """y = a^b      da = g b a^(b - 1)"""
    return g * (2 * a) if np.ndim(b) == 0 and isinstance(b, int | float) and b == 2 else g * (b * a ** (b - 1))


def unchanged(position: int, g: Value, y: Value, *inputs: Value, **_: Any) -> Value:
    """y = a, perhaps elsewhere in memory or as another dtype      da = g"""
    return g


def reshaped(position: int, g: Value, y: Value, a: Value, *_: Any, **__: Any) -> Value:
    """y = a in another shape      da = g in the shape of a"""
    return spread(g, y).reshape(a.shape)


def triangle(function: Callable[..., Any]) -> Rule:
    """y = a below (or above) a diagonal, 0 elsewhere      da = the same of g"""
    return lambda position, g, y, a, k=0: function(spread(g, y), k)


RULES: dict[str, Rule] = {
    "add": by_input(lambda g, y, a, b: g, lambda g, y, a, b: g),
    "subtract": by_input(lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "multiply": by_input(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "divide": by_input(lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)),
    "negative": by_input(lambda g, y, a: -g),
    "positive": by_input(lambda g, y, a: g),
    "reciprocal": by_input(lambda g, y, a: -(g * y * y)),
    "square": by_input(lambda g, y, a: g * (2 * a)),
    "sqrt": by_input(lambda g, y, a: g / (2 * y)),
    "cbrt": by_input(lambda g, y, a: g / (3 * y * y)),
    "power": by_input(power, lambda g, y, a, b: g * y * np.log(np.where(a > 0, a, 1))),
    "scalar_power": by_input(power),
    "exp": by_input(lambda g, y, a: g * y),
    "exp2": by_input(lambda g, y, a: g * y * math.log(2)),
    "expm1": by_input(lambda g, y, a: g * np.exp(a)),
    "log": by_input(lambda g, y, a: g / a),
    "log2": by_input(lambda g, y, a: g / (a * math.log(2))),
    "log10": by_input(lambda g, y, a: g / (a * math.log(10))),
    "log1p": by_input(lambda g, y, a: g / (1 + a)),
    "logaddexp": by_input(lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y)),
    "sin": by_input(lambda g, y, a: g * np.cos(a)),
    "cos": by_input(lambda g, y, a: -(g * np.sin(a))),
    "tan": by_input(lambda g, y, a: g * (1 + y * y)),
    "sinh": by_input(lambda g, y, a: g * np.cosh(a)),
    "cosh": by_input(lambda g, y, a: g * np.sinh(a)),
    "tanh": by_input(lambda g, y, a: g * (1 - y * y)),
    "arcsin": by_input(lambda g, y, a: g / np.sqrt(1 - a * a)),
    "arccos": by_input(lambda g, y, a: -(g / np.sqrt(1 - a * a))),
    "arctan": by_input(lambda g, y, a: g / (1 + a * a)),
    "arcsinh": by_input(lambda g, y, a: g / np.sqrt(a * a + 1)),
    "arctanh": by_input(lambda g, y, a: g / (1 - a * a)),
    "arctan2": by_input(lambda g, y, a, b: g * b / (a * a + b * b), lambda g, y, a, b: -(g * a / (a * a + b * b))),
    "hypot": by_input(lambda g, y, a, b: g * a / y, lambda g, y, a, b: g * b / y),
    "absolute": by_input(lambda g, y, a: g * np.sign(a)),
    "fabs": by_input(lambda g, y, a: g * np.sign(a)),
    "copysign": by_input(lambda g, y, a, b: g * (np.copysign(1.0, a) * np.copysign(1.0, b)), lambda g, y, a, b: g * 0),
    "maximum": by_input(lambda g, y, a, b: g * (a > b), lambda g, y, a, b: g * (a <= b)),
    "minimum": by_input(lambda g, y, a, b: g * (a <= b), lambda g, y, a, b: g * (a > b)),
    "fmax": by_input(lambda g, y, a, b: g * (a > b), lambda g, y, a, b: g * (a <= b)),
    "fmin": by_input(lambda g, y, a, b: g * (a <= b), lambda g, y, a, b: g * (a > b)),
    "erf": by_input(lambda g, y, a: g * (2 / math.sqrt(math.pi) * np.exp(-a * a))),
    "expit": by_input(lambda g, y, a: g * (y * (1 - y))),
    "matmul": matmul,
    "dot": dot,
    "vecdot": by_input(lambda g, y, a, b: g[..., None] * b, lambda g, y, a, b: g[..., None] * a),
    "einsum": einsum,
    "add.reduce": total,
    "sum": total_of_all,
    "mean": mean,
    "var": variance,
    "std": deviation,
    "norm": length,
    "maximum.reduce": largest,
    "minimum.reduce": largest,
    **dict.fromkeys(("max", "min", "amax", "amin"), largest_of_all),
    "add.accumulate": lambda position, g, y, a, axis=0, **_: cumulated(position, g, y, a, axis),
    "cumsum": cumulated,
    "where": choice,
    "concatenate": joined,
    "stack": stacked,
    "pad": padded,
    "clip": held,
    "repeat": repeated,
    "roll": rolled,
    "tril": triangle(np.tril),
    "triu": triangle(np.triu),
    **dict.fromkeys(("copy", "copyto", "astype", "nan_to_num"), unchanged),
    **dict.fromkeys(("reshape", "ravel", "flatten"), reshaped),
    "getitem": lambda position, g, y, a, index: Picked(index),
    "take": lambda position, g, y, a, indices, axis=None, **_: _taken(a, indices, axis),
}
"""The rules by name: functions of `(position of an input, g, y, *inputs, **options)`."""


class Picked:
    """What reaches an array of which some elements were picked: g at these, 0 elsewhere."""

    def __init__(self, index: Any) -> None:
        self.index = index


def _taken(a: Value, indices: Value, axis: Any) -> Picked:
    if axis is None:
        raise NotImplementedError("take without an axis")
    return Picked((*[slice(None)] * (axis % a.ndim), indices))


def is_slicing(index: Any) -> bool:
    """Whether an index gives a view: it has no arrays in it."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, int | slice | np.integer) for part in parts)


def view_rule(
    function: Callable[..., Any], g: Value, y: Value, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Value:
    """What reaches the array that y is a view of; None where only the places of its elements tell that."""
    a, *arguments = inputs
    name = rule_name(function)
    if name == "getitem":
        return Picked(arguments[0])
    if name == "broadcast_to":
        return g
    if name in ("reshape", "ravel", "squeeze", "expand_dims", "atleast_1d", "atleast_2d"):
        return spread(g, y).reshape(a.shape)
    if name in ("real", "asarray", "array", "astype"):
        return g
    if name == "swapaxes":
        return np.swapaxes(spread(g, y), *arguments)
    if name in ("transpose", "matrix_transpose", "permute_dims"):
        given = options.get("axes", arguments[0] if len(arguments) == 1 else tuple(arguments))
        if name == "matrix_transpose":
            return transposed(spread(g, y))
        if given is None or given == ():
            return spread(g, y).T
        return spread(g, y).transpose(*np.argsort([axis % a.ndim for axis in given]).tolist())
    if name == "moveaxis":
        source, destination = arguments
        return np.moveaxis(spread(g, y), destination, source)
    if name == "flip":
        return np.flip(spread(g, y), *arguments, **options)
    return None

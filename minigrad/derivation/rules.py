"""The rules: for every function that a forward may use, what reaches each of its inputs of the gradient g of y.

    "exp": y = exp(a)      da = g y

A kink takes the derivative from its left, as in the layers. `g` may be shorter than y along axes that it does not vary
along; a rule that needs all of it calls `spread`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.derivation import places, reductions
from minigrad.derivation.rule import Rule, Value, is_of_numpy, rule_name

WITHOUT_SLOPE = (
    "sign floor ceil rint trunc round floor_divide argmax argmin argsort isfinite isnan isinf signbit "
    "logical_and logical_or logical_not logical_xor greater less greater_equal less_equal equal not_equal "
    "zeros_like ones_like empty_like"
)
CONSTANT = frozenset(WITHOUT_SLOPE.split())
"""Functions whose derivative is 0 wherever it exists."""


def rule_of(function: Callable[..., Any]) -> Rule | None:
    """The rule of a function, if there is one."""
    return RULES.get(rule_name(function)) if is_of_numpy(function) else None


def is_constant(function: Callable[..., Any]) -> bool:
    """Whether a function's derivative is 0 wherever it exists."""
    return rule_name(function) in CONSTANT and is_of_numpy(function)


def _each(*slopes: Callable[..., Value] | None) -> Rule:
    """The rule of a ufunc: a function of (g, y, *inputs) for each input, None where the derivative is 0."""

    def slope(
        position: int,
        g: Value,
        y: Value,
        *inputs: Value,
        dtype: Any = None,
        casting: Any = None,
        order: Any = None,
        subok: Any = None,
    ) -> Value:
        function: Any = slopes[position]
        return function(g, y, *inputs)

    moving = tuple(k for k, each in enumerate(slopes) if each is not None)
    return Rule(slope, moving, tuple({*range(len(slopes))} - {*moving}), elementwise=True)


def power(g: Value, y: Value, a: Value, b: Value) -> Value:
    """y = a^b      da = g b a^(b - 1)"""
    if isinstance(b, int | float):
        return g * (2 * a) if b == 2 else g * (b * a ** (b - 1)) if b else g * 0
    return g * (b * a ** np.where(b == 0, 1, b - 1))  # 0 times infinity, at a = 0


RULES: dict[str, Rule] = {
    "add": _each(lambda g, y, a, b: g, lambda g, y, a, b: g),
    "subtract": _each(lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "multiply": _each(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "divide": _each(lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)),
    "negative": _each(lambda g, y, a: -g),
    "positive": _each(lambda g, y, a: g),
    "reciprocal": _each(lambda g, y, a: -(g * y * y)),
    "square": _each(lambda g, y, a: g * (2 * a)),
    "sqrt": _each(lambda g, y, a: g / (2 * y)),
    "cbrt": _each(lambda g, y, a: g / (3 * y * y)),
    "power": _each(power, lambda g, y, a, b: g * y * np.log(np.where(a > 0, a, 1))),
    "scalar_power": _each(power),
    "exp": _each(lambda g, y, a: g * y),
    "exp2": _each(lambda g, y, a: g * y * math.log(2)),
    "expm1": _each(lambda g, y, a: g * np.exp(a)),
    "log": _each(lambda g, y, a: g / a),
    "log2": _each(lambda g, y, a: g / (a * math.log(2))),
    "log10": _each(lambda g, y, a: g / (a * math.log(10))),
    "log1p": _each(lambda g, y, a: g / (1 + a)),
    "logaddexp": _each(lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y)),
    "sin": _each(lambda g, y, a: g * np.cos(a)),
    "cos": _each(lambda g, y, a: -(g * np.sin(a))),
    "tan": _each(lambda g, y, a: g * (1 + y * y)),
    "sinh": _each(lambda g, y, a: g * np.cosh(a)),
    "cosh": _each(lambda g, y, a: g * np.sinh(a)),
    "tanh": _each(lambda g, y, a: g * (1 - y * y)),
    "arcsin": _each(lambda g, y, a: g / np.sqrt(1 - a * a)),
    "arccos": _each(lambda g, y, a: -(g / np.sqrt(1 - a * a))),
    "arctan": _each(lambda g, y, a: g / (1 + a * a)),
    "arcsinh": _each(lambda g, y, a: g / np.sqrt(a * a + 1)),
    "arctanh": _each(lambda g, y, a: g / (1 - a * a)),
    "arctan2": _each(lambda g, y, a, b: g * b / (a * a + b * b), lambda g, y, a, b: -(g * a / (a * a + b * b))),
    "hypot": _each(lambda g, y, a, b: g * a / y, lambda g, y, a, b: g * b / y),
    "absolute": _each(lambda g, y, a: g * np.sign(a)),
    "fabs": _each(lambda g, y, a: g * np.sign(a)),
    "copysign": _each(lambda g, y, a, b: g * (np.copysign(1.0, a) * np.copysign(1.0, b)), None),
    "heaviside": _each(None, lambda g, y, a, b: g * (a == 0)),
    "maximum": _each(lambda g, y, a, b: g * (a > b), lambda g, y, a, b: g * (a <= b)),
    "minimum": _each(lambda g, y, a, b: g * (a <= b), lambda g, y, a, b: g * (a > b)),
    "fmax": _each(lambda g, y, a, b: g * (a > b), lambda g, y, a, b: g * (a <= b)),
    "fmin": _each(lambda g, y, a, b: g * (a <= b), lambda g, y, a, b: g * (a > b)),
    "erf": _each(lambda g, y, a: g * (2 / math.sqrt(math.pi) * np.exp(-a * a))),
    "expit": _each(lambda g, y, a: g * (y * (1 - y))),
    "matmul": Rule(reductions.matmul, (0, 1)),
    "dot": Rule(reductions.dot, (0, 1), objects=reductions.large_dot),
    "vecdot": replace(
        _each(lambda g, y, a, b: g[..., None] * b, lambda g, y, a, b: g[..., None] * a), elementwise=False
    ),
    "einsum": Rule(reductions.einsum, None, (0,), objects=reductions.other_einsum),
    "add.reduce": Rule(reductions.total),
    "sum": Rule(reductions.total_of_all),
    "mean": Rule(reductions.mean),
    "var": Rule(reductions.variance),
    "std": Rule(reductions.deviation),
    "norm": Rule(reductions.length, objects=reductions.other_length),
    **dict.fromkeys(("maximum.reduce", "minimum.reduce"), Rule(reductions.largest)),
    **dict.fromkeys(("max", "min", "amax", "amin"), Rule(reductions.largest_of_all)),
    "add.accumulate": Rule(reductions.accumulated),
    "cumsum": Rule(reductions.cumulated),
    "where": Rule(places.choice, (1, 2), (0,), elementwise=True),
    "full_like": Rule(places.filled, (1,), (0,), elementwise=True),
    "concatenate": Rule(places.joined, objects=places.other_join),
    "stack": Rule(places.stacked, objects=places.other_join),
    "pad": Rule(places.padded, objects=places.other_pad),
    "clip": Rule(places.held, (0, 1, 2), named={"a_min": 1, "min": 1, "a_max": 2, "max": 2}, elementwise=True),
    "repeat": Rule(places.repeated, objects=places.other_repeat),
    "roll": Rule(places.rolled),
    "tril": Rule(places.triangle(np.tril)),
    "triu": Rule(places.triangle(np.triu)),
    **dict.fromkeys(("copy", "copyto", "astype"), Rule(places.unchanged)),
    "nan_to_num": Rule(places.finite),
    "reshape": Rule(places.reshaped, objects=places.other_reshape),
    **dict.fromkeys(("ravel", "flatten"), Rule(places.flattened, objects=places.other_reshape)),
    "getitem": Rule(places.picked),
    "take": Rule(places.taken, objects=places.other_take),
}
"""The rules by the names of functions, as `rule_name` has them."""

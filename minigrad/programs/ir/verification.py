"""Trials: whether two ways to compute something give the same, on numbers at random or on a batch.

Whether a quicker form of an op gives the same bits may depend on the machine, so each is tried before it is taken.
`differences` is the one comparison that every writer has to pass, against the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, prod
from typing import Any, TypeAlias

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.equations import Names
from minigrad.programs.ir.interpreter import interpret
from minigrad.programs.ir.ops import Op, Program, View

Example: TypeAlias = tuple[list[Array], Array]

NUMBERS_COMPARED = 100  # two ways to add up give one and the same number every other time, by chance


def same_bits(one: Any, two: Any) -> bool:
    """Whether two arrays are equal, dtypes and the signs of zeros too; NaN equals NaN."""
    one, two = np.asarray(one), np.asarray(two)
    if one.dtype != two.dtype:
        return False
    if one.dtype.kind not in "fc":
        return np.array_equal(one, two)
    if one.shape == two.shape and np.array_equal(_as_integers(one), _as_integers(two)):
        return True
    signs = np.signbit(one.real) == np.signbit(two.real) if one.shape == two.shape else np.zeros(1)
    return np.array_equal(one, two, equal_nan=True) and bool(np.all(signs | np.isnan(one.real)))


def _as_integers(array: Array) -> Array:
    """The bits of an array of floats, without a copy where they lie one behind the other."""
    return np.ascontiguousarray(array).reshape(-1).view(f"u{min(array.itemsize, 8)}")


def same_to_rounding(one: Any, two: Any) -> bool:
    """Whether two arrays differ by no more than the rounding of a few operations, relative to their largest number."""
    one, two = np.asarray(one), np.asarray(two)
    if one.dtype.kind not in "fc":
        return same_bits(one, two)
    scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    precision = 1e3 * float(np.finfo(one.dtype).eps)
    return np.allclose(one, two, rtol=precision, atol=precision * scale, equal_nan=True)


PROMISES: dict[str, Callable[[Any, Any], bool]] = {"same bits": same_bits, "to rounding": same_to_rounding}


def outcome(program: Program, batch: Sequence[Any]) -> dict[str, Array]:
    """What a program is to leave for a batch: its result, and what outlives it, by the names of their places."""
    values = interpret(program, batch)
    names = Names(program.names)
    left = {names(value.whole): values[value] for value in program.lasting}
    result = program.result.array(values[program.result.value])
    return left | {"the result": result if result.shape else np.array(float(result))}


def differences(promise: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The names of what a writer's program leaves otherwise than expected, by what its writer promises."""
    agree = PROMISES[promise]
    return [name for name, array in expected.items() if name not in found or not agree(array, found[name])]


def agree_on_random_numbers(quicker: Callable[..., Any], op: Op) -> bool:
    """Whether a quicker function, called with the operands and the place of the result, gives the op's very bits."""
    try:
        for operands, expected in examples(op):
            result = random_array(op.out, np.random.default_rng(1))
            with np.errstate(all="ignore"):
                quicker(*operands, result)
            if not same_bits(expected, result):
                return False
    except ValueError:
        return False
    return True


def examples(op: Op, part: float = 1.0) -> Iterator[Example]:
    """Operands of numbers at random, lying in memory as the op's do, and its result.

    There are enough of them to tell chance apart in the smallest `part` of the result that is compared.
    """
    rng = np.random.default_rng(0)
    for _ in range(ceil(NUMBERS_COMPARED / max(1.0, part * prod(op.out.shape)))):
        operands = [random_array(value, rng) for value in op.inputs if isinstance(value, View)]
        expected = random_array(op.out, rng)
        with np.errstate(all="ignore"):
            op.run(given(op, operands), op.options, expected)
        yield operands, expected


def given(op: Op, operands: Sequence[Array]) -> list[Any]:
    """What an op's function is given: these arrays in place of its views, and its plain numbers."""
    arrays = iter(operands)
    return [next(arrays) if isinstance(value, View) else value for value in op.inputs]


def random_array(view: View, rng: np.random.Generator) -> Array:
    """An array of a view's shape and strides: numbers at random, over and over."""
    low, high = view.span
    numbers = random_numbers(max(high - low, 1), view.dtype, rng)
    strides = [stride * view.dtype.itemsize for stride in view.strides]
    return np.lib.stride_tricks.as_strided(numbers[view.offset - low :], view.shape, strides)


def random_numbers(count: int, dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    """Numbers around 0 and both zeros, over and over."""
    numbers = rng.normal(size=min(count, 1021))
    numbers[rng.random(len(numbers)) < 0.2] *= 0.0
    return np.resize(numbers.astype(dtype), count)

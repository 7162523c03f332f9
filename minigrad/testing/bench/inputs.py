"""What a layer is fed with beside its first input: the situations in which layers go wrong, and memory layouts."""

from __future__ import annotations

import dis
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.parameter import Array


def input_like(x: Array, rng: np.random.Generator) -> Array:
    """An input like x: of its shape, sizes and signs, with other numbers.

    In a table with columns of whole numbers beside others, those are taken for codes, and only change rows.
    """
    if x.dtype.kind != "f":
        return np.array(x[::-1])
    typical = float(np.sqrt((x**2).mean())) or 1.0
    spread = x.std() / typical or 1.0  # one number, or equal ones, say nothing of it
    shuffled = rng.permutation(x)
    other = shuffled * np.exp(0.3 * min(spread, 1.0) * rng.standard_normal(x.shape))
    whole = (x == np.rint(x)).all(axis=tuple(range(x.ndim - 1)))
    return np.array(other if whole.all() else np.where(whole, shuffled, other))


def with_rows(x: Array, rows: int, rng: np.random.Generator) -> Array:
    """X with that many rows: more than it has are made like those that it has."""
    while len(x) < rows:
        x = np.concatenate([x, input_like(x, rng)])
    return x[:rows].copy()


def situations(x: Array, rng: np.random.Generator, given: bool = False) -> Iterator[tuple[str, Array]]:
    """The inputs at which a layer is to be right, beside x itself: each with words for it.

    Of an x that was given the signs are taken to be on purpose: where it has no negative numbers, or no zeros, these
    inputs have none either.
    """
    yield "another x after the first", input_like(x, rng)
    yield "a batch of one", x[:1].copy()
    if x.dtype.kind != "f":
        yield "more rows", with_rows(x, _many(x), rng)
        return
    signed, zeros = not given or bool((x < 0).any()), not given or bool((x == 0).any())
    yield "small inputs (x * 0.01)", x * 0.01
    yield "large inputs (x * 8)", x * 8
    if signed:
        yield "negative inputs (-|x|)", -abs(input_like(x, rng))
    yield "positive inputs (|x|)", abs(input_like(x, rng))
    if signed:
        yield "large negative inputs (-8 |x|)", -8 * abs(x)
    yield "more rows", spread_out(x, _many(x), rng, signed)
    yield "inputs far apart", spread_out(x, _many(x), rng, signed, 30)
    yield "an even number of rows", with_rows(x, 6 if len(x) % 2 else len(x) + 2, rng)
    if signed or zeros:
        yield "ties and zeros in x", _tied(x, rng)
    yield "ties between neighbours in x", _neighbours(x)
    if signed:
        yield "whole numbers", np.rint(3 * input_like(x, rng))
    if zeros or signed:
        yield "a row of zeros", x * (np.arange(len(x)) != 1).reshape(-1, *[1] * (x.ndim - 1))
        yield "zeros at the end of rows", _padded(x, rng)
    yield "huge inputs (x * 1000)", x * 1000


def situations_within(x: Array, drawn: list[Array], rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Other inputs of a layer that says what it takes: what was drawn, and rows of x alone or in another order."""
    yield "another x after the first", rng.permutation(x)
    yield "a batch of one", x[:1].copy()
    yield "more rows", x[rng.integers(0, len(x), _many(x))]
    yield from ((f"drawn x {number}", other) for number, other in enumerate(drawn[1:], 2))


def drawn_from(domain: Any, count: int = 8) -> list[Array]:
    """Inputs of a domain: the x that it is, or some that Hypothesis draws from the strategy that it is."""
    if not hasattr(domain, "map") or isinstance(domain, np.ndarray):
        return [np.asarray(domain)]
    from hypothesis import HealthCheck, Phase, given, settings

    found: list[Array] = []

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(domain)
    def draw(x: Any) -> None:
        found.append(np.asarray(x))

    draw()
    return sorted((x for x in found if len(x)), key=lambda x: -len(np.unique(x)))


def _many(x: Array) -> int:
    """67 rows, beyond 64 and no multiple of 8 or 32, unless those are too many numbers."""
    return max(min(67, 20_000 // max(x[:1].size, 1)), 9)


def spread_out(x: Array, rows: int, rng: np.random.Generator, signed: bool = True, times: float = 6) -> Array:
    """Rows whose numbers stand evenly over some times the size of x, so that no interval goes without one."""
    typical = float(np.sqrt((x**2).mean())) or 1.0
    count = rows * x[:1].size
    even = (rng.permutation(count) + rng.random(count)) / max(count, 1)
    values = times * typical * ((2 * even - 1) if signed else even)
    return np.array(values.reshape(rows, *x.shape[1:]))


def widened(x: Array, rng: np.random.Generator) -> Array:
    """X with its last axis some times as long, beyond 16, for layers that take rows of any width."""
    times = 17 // max(x.shape[-1], 1) + 1
    return np.concatenate([input_like(x, rng) for _ in range(times)], axis=-1)


def resized(x: Array, rng: np.random.Generator) -> Array:
    """X with rows two longer along their first axis, and one along the next, unless that is the last."""
    shape = list(x.shape)
    shape[1] += 2
    if x.ndim > 3:
        shape[2] += 1
    return input_like(np.resize(rng.permutation(x.ravel()), shape), rng)


def longer(x: Array, axis: int, rng: np.random.Generator, times: int = 1) -> Array:
    """X so many times as long along this axis, and one more."""
    parts = [input_like(x, rng) for _ in range(times)]
    return np.concatenate([*parts, input_like(x, rng).take([0], axis=axis)], axis=axis)


def _neighbours(x: Array) -> Array:
    """X with entries that equal the one before them, along every axis of a row: windows of any form have ties."""
    tied = x.copy()
    for axis in range(1, x.ndim):
        order = np.arange(x.shape[axis])
        tied = tied.take(order - order % 2, axis=axis)
    return tied


def _padded(x: Array, rng: np.random.Generator) -> Array:
    """X with zeros at the end of most rows: of the first axis of a row, as sequences are padded."""
    padded = x.copy()
    length = x.shape[1] if x.ndim > 1 else 0
    for row in padded[: max(len(x) - 1, 0)] if length > 1 else ():
        row[int(rng.integers(1, length)) :] = 0
    return padded


def _tied(x: Array, rng: np.random.Generator) -> Array:
    """X with two equal entries in each row, and a zero in every other one: never three equal, never a row of zeros."""
    tied = x.reshape(len(x), -1).copy()
    for row in tied:
        if len(row) > 1:
            one, other = rng.choice(len(row), 2, replace=False)
            row[one] = row[other]
    for row in tied[1::2]:
        if len(row) > 2:
            row[rng.integers(len(row))] = 0.0
    if tied.shape[1] == 1:
        tied[0] = 0.0
    return tied.reshape(x.shape)


def refused(error: BaseException) -> bool:
    """Whether code has raised this ValueError on purpose, by a `raise` of its own: then it is no bug, but a domain."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not isinstance(error, ValueError):
        return False
    code = trace.tb_frame.f_code
    numpys = f"{os.sep}numpy{os.sep}" in code.co_filename
    return not numpys and dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def own_and_random(theta: Array, sizes: list[int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Two points near the parameters' own values: of their signs, and of any sign. A zero may become anything."""
    varied, free, start = theta.copy(), theta.copy(), 0
    for size in sizes:
        held = theta[start : start + size]
        typical = (float(np.sqrt((held**2).mean())) if size else 0.0) or 0.5
        noise = rng.standard_normal(size)
        varied[start : start + size] = np.where(held == 0, 0.3 * typical * noise, held * np.exp(0.3 * noise))
        free[start : start + size] = typical * rng.standard_normal(size)
        start += size
    return varied, free


def strided(a: Array) -> Array:
    """The same numbers, with a gap after each."""
    return np.repeat(a, 2, axis=-1)[..., ::2]


def read_only(a: Array) -> Array:
    """The same numbers, which nobody can write to."""
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran-ordered": lambda a: np.asfortranarray(a),
    "strided": strided,
    "read-only": read_only,
}

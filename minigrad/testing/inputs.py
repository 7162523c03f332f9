"""What a layer is fed with: an input that it takes, the situations in which layers go wrong, and memory layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.subject import Subject


def find_input(subject: Subject, rng: np.random.Generator) -> Array:
    """Rows that the layer takes, with a number of rows that is none of its widths.

    Raises ValueError, which says to pass x, where no guess is taken.
    """
    refused: Exception | None = None
    for shape in _shapes(subject.layer):
        for x in _draws(subject.layer, shape, rng):
            try:
                with np.errstate(all="ignore"):
                    y = np.asarray(subject.forward(x.copy()))
            except Exception as error:
                refused = refused or error
                continue
            if np.isfinite(y).all():
                return x
    raise ValueError(
        f"{subject.layer!r} takes none of the inputs that were tried"
        + (f" ({type(refused).__name__}: {refused})" if refused else "")
        + "; pass one that it takes, say check_layer(layer, x) with x of shape (5, 4)"
    ) from refused


def rows_for(layer: Layer, x: Array, y: Array) -> int:
    """At least five, and none of the layer's widths, so that no two axes can be confused."""
    taken = {*x.shape[1:], *y.shape[1:], *(n for array in layer.params.values() for n in array.shape)}
    return next(rows for rows in range(5, 5 + len(taken) + 1) if rows not in taken)


def _shapes(layer: Layer) -> Iterator[tuple[int, ...]]:
    if layer.input_shape is not None:
        yield layer.input_shape
    for name in ("in_features", "features", "in_channels", "channels"):
        width = getattr(layer, name, None)
        if isinstance(width, int):
            yield from ((width,), (4, width), (9, width), (6, 5, width), (9, 8, width))
    yield from ((3,), (4,), (5,), (4, 3), (6, 5, 2), (9, 8, 2))


def _draws(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Array]:
    vocabulary = getattr(layer, "vocabulary", None)
    if not isinstance(vocabulary, int):
        yield rng.standard_normal((5, *shape))
        yield rng.uniform(0.1, 0.9, (5, *shape))
    yield rng.integers(0, vocabulary or 2, (5, *shape))


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


def situations(x: Array, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """The inputs at which a layer is to be right, beside x itself: each with words for it."""
    yield "another x after the first", input_like(x, rng)
    yield "a batch of one", x[:1].copy()
    if x.dtype.kind == "f":
        yield "small inputs (x * 0.01)", x * 0.01
        yield "large inputs (x * 8)", x * 8
        yield "negative inputs (-|x|)", -abs(input_like(x, rng))
        yield "positive inputs (|x|)", abs(input_like(x, rng))
        yield "large negative inputs (-8 |x|)", -8 * abs(x)
        yield "ties and zeros in x", _tied(x, rng)
        yield "huge inputs (x * 1000)", x * 1000


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

"""The first x of a check: one that the layer takes, guessed from what it says and holds, or the one that is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, walk
from minigrad.testing.bench.subject import Subject
from minigrad.testing.rule import Evidence

INPUT_WIDTHS = ("in_features", "features", "in_channels", "channels")  # what says how wide a row is
SMALLEST, LARGEST = 1e-100, 1e15  # numbers whose squares float64 can tell from 0, and float32 can hold
OF_THE_CODE = (NotImplementedError, NameError, AttributeError, RecursionError)  # which no x is to blame for
SINGLE = ("truth value of an array", "only length-1 arrays", "only 0-dimensional arrays", "only size-1 arrays")
"""What is raised where a single number belongs, and an array is given."""


def find_input(subject: Subject, rng: np.random.Generator) -> Array:
    """Rows that the layer takes, with a number of rows that is none of its widths.

    Rows that it refuses too, where the fault is forward's. Raises ValueError, which says to pass x, where no guess is
    taken.
    """
    refused: dict[Exception, Array] = {}
    for shape in dict.fromkeys(_shapes(subject.layer)):
        for x in _draws(subject.layer, shape, rng):
            try:
                with np.errstate(all="ignore"):
                    y = subject.forward(x.copy())
            except Exception as error:
                if isinstance(error, OF_THE_CODE) or any(words in str(error) for words in SINGLE):
                    return x
                refused[error] = x
                continue
            if not isinstance(y, np.ndarray) or y.dtype.kind not in "iufcb" or np.isfinite(y).all():
                return x
    if refused and all(isinstance(error, TypeError) for error in refused):
        return next(iter(refused.values()))
    first = next(iter(refused), None)
    raise ValueError(
        f"{subject.layer!r} takes none of the inputs that were tried"
        + (f" ({type(first).__name__}: {first})" if first else "")
        + "; pass one that it takes, say check_layer(layer, x) with x of shape (5, 4)"
    ) from first


def rows_for(layer: Layer, x: Array, y: Any) -> int:
    """At least five, and none of the layer's widths, so that no two axes can be confused."""
    taken = {*x.shape[1:], *getattr(y, "shape", ())[1:], *(n for array in layer.params.values() for n in array.shape)}
    return next(rows for rows in range(5, 5 + len(taken) + 1) if rows not in taken)


def _shapes(layer: Layer) -> Iterator[tuple[int, ...]]:
    """Shapes of a row: what the layer says, rows of as many axes as it says first, and some that are usual."""
    if layer.input_shape is not None:
        yield layer.input_shape
    says = [width for name in INPUT_WIDTHS if isinstance(width := getattr(layer, name, None), int)]
    says += [] if layer.input_shape or says else list(_widths_held(layer))
    usual: list[tuple[int, ...]] = []
    for width in says:
        usual += [(width,), (4, width), (9, width), (6, 5, width), (9, 8, width)]
    usual += [(3,), (4,), (5,), (4, 3), (6, 5, 2), (9, 8, 2)]
    yield from sorted(usual, key=lambda shape: len(shape) < layer.row_axes)


def _widths_held(layer: Layer) -> Iterator[int]:
    """The lengths of its parameters' axes, those that x may meet first: W is (in, out), a bias (out,).

    One is none of them: a single number is held for rows of any width, and a softmax of one column says nothing.
    """
    shapes = sorted((array.shape for array in layer.params.values() if array.ndim), key=len, reverse=True)
    found = dict.fromkeys([shape[-2] for shape in shapes if len(shape) > 1] + [n for s in shapes for n in s])
    yield from (width for width in found if width > 1)


def _draws(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Array]:
    vocabulary = getattr(layer, "vocabulary", None)
    if not isinstance(vocabulary, int):
        yield rng.standard_normal((5, *shape))
        yield rng.uniform(0.1, 0.9, (5, *shape))
    yield rng.integers(0, vocabulary or 2, (5, *shape))


def given_input(subject: Subject, x: Any) -> Array:
    """The user's x in float64; integers stay integers where the layer looks them up.

    Raises ValueError for what are no rows of numbers, or numbers of a size that gradients can't be measured at.
    """
    x = np.asarray(x)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x needs at least one row, not the shape {x.shape}")
    if x.dtype.kind not in "fiub":
        try:
            x = x.astype(np.float64, casting="unsafe" if x.dtype.kind == "O" else "safe")
        except (TypeError, ValueError):
            raise ValueError(f"x is to hold numbers; it is an array of {x.dtype}") from None
    if not np.isfinite(x).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
        raise ValueError(f"x{list(place)} is {x[place]}; x is to hold finite numbers")
    if not usual(x):
        largest = float(abs(x).max())
        raise ValueError(
            f"x holds numbers of about {largest:.0e}, whose squares {'float32' if largest > 1 else 'float64'} can't "
            f"hold; pass it in another unit, say check_layer(layer, x / {largest:.0e})"
        )
    if x.dtype.kind == "f":
        return x.astype(np.float64)
    with np.errstate(all="ignore"):
        try:
            y = subject.forward(x.astype(np.float64))
            looked_up = subject.layer.backward(np.ones_like(y)) is None
        except Exception:
            looked_up = True
    return x.copy() if looked_up else x.astype(np.float64)


def usual(x: Array) -> bool:
    """Whether the largest number of x is of a size that gradients can be measured at."""
    largest = float(abs(x).max(initial=0)) if x.dtype.kind == "f" else 0.0
    return not largest or SMALLEST <= largest <= LARGEST


def made_late(subject: Subject, layer: Layer) -> None:
    """Raise Evidence if forward has made a parameter that `__init__` has not."""
    for inner, before in zip(walk([subject.layer]), walk([layer]), strict=False):
        for name in inner.params.keys() - before.params.keys():
            what = f"{type(inner).__name__}.{name} is set for the first time in forward"
            raise Evidence(what, "parameter made late", parameter=name, promise="parameters are declared")

"""Examples: rows of x with their targets and weights, checked once, handed out in batches as a model takes them.

Nothing here copies a whole array: checks, label coding and casts go block by block, so that a memory-mapped file of
millions of rows can be trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder
from minigrad.data.split import split_rows
from minigrad.parameter import Array

NUMBERS_AT_ONCE = 1 << 20
CODES_KEPT = 1 << 20  # labels whose codes are kept, at a byte or two each; of more rows they are found anew


class InBlocks:
    """What `Blocks` are to those who only ask for it: their module is imported by those who have some."""


@dataclass(frozen=True)
class Batch:
    """Some rows x (B, …), their targets t and their weights w (B,), or None where they all weigh the same."""

    x: Array
    t: Array
    w: Array | None

    @property
    def weight(self) -> float:
        """What the batch weighs in a mean over rows: their number, or the sum of their weights."""
        return len(self.x) if self.w is None else float(self.w.sum())

    def alone(self) -> Batches:
        """A run of this batch alone."""
        rows = np.arange(len(self.x))
        return Batches(self.x, rows, self.t, rows, self.w, len(rows))


@dataclass(frozen=True)
class Batches:
    """A run of batches of one `size`, gathered one at a time: `batches[n]` is a Batch.

    `rows` (n size,) are rows of x; `table` holds targets, and `numbers` (n size,) says which of them is each row's, so
    that labels are one-hot without a matrix of all of them. `weights` (n size,) or None. `change` is given the x of a
    batch that weighs something, and returns what is to take its place.
    """

    x: Array
    rows: Array
    table: Array
    numbers: Array
    weights: Array | None
    size: int
    change: Callable[[Array], Array] | None = None

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __getitem__(self, number: int) -> Batch:
        here = slice(number * self.size, (number + 1) * self.size)
        w = None if self.weights is None else self.weights[here]
        x = self.x[self.rows[here]]
        if self.change is not None and (w is None or w.any()):
            x = self.change(x)
        return Batch(x, self.table[self.numbers[here]], w)

    def __iter__(self) -> Iterator[Batch]:
        return (self[number] for number in range(len(self)))

    def rest(self, number: int, until: int | None = None) -> Batches:
        """The batches from this one on, or `until` one that is not of them."""
        here = slice(number * self.size, None if until is None else until * self.size)
        weights = None if self.weights is None else self.weights[here]
        return replace(self, rows=self.rows[here], numbers=self.numbers[here], weights=weights)


@dataclass
class WeightedMean:
    """Σ value · weight / Σ weight, as the values come in."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float, weight: float) -> None:
        """One more value, such as a batch's loss, and what it weighs."""
        self.total += value * weight
        self.weight += weight

    def __float__(self) -> float:
        return self.total / self.weight


class Examples:
    """m rows of x (m, …) and of targets t, with weights or without.

    With an `encoder`, t (m,) are labels: they become one-hot rows (m, outputs) or, for a single output, a column that
    is 1 for the second of two classes. Else t (m, …) are numbers; `by_class` says that the largest number of a row, or
    its only one, is its class. `rows` chooses some of the rows, in that order.
    """

    def __init__(
        self,
        x: Array,
        t: Array,
        sample_weight: Array | None,
        dtype: npt.DTypeLike,
        *,
        encoder: LabelEncoder | None = None,
        outputs: int = 0,
        class_weight: Array | None = None,
        by_class: bool = False,
        rows: Array | None = None,
    ) -> None:
        self.x = x
        self.t = t
        self.sample_weight = sample_weight
        self.class_weight = class_weight
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.encoder = encoder
        self.by_class = by_class
        self._rows = rows
        self._codes: Array | None = None
        if encoder is not None:
            self._target_rows = encoder.target_rows(outputs, dtype)
        if encoder is not None and len(t) <= CODES_KEPT:
            self._codes = encoder.encode(t).astype(np.min_scalar_type(len(encoder.classes)))

    def __len__(self) -> int:
        return len(self.x) if self._rows is None else len(self._rows)

    def select(self, rows: Array) -> Examples:
        """Only these of the rows; nothing is copied."""
        chosen = Examples.__new__(Examples)
        vars(chosen).update(vars(self), _rows=rows)
        return chosen

    def hold_out(self, share: float, seed: int) -> tuple[Examples, Examples]:
        """The rows without a share of them, and that share, drawn at random and in proportion to the classes."""
        strata: Any = len(self)
        if self.encoder is not None:
            strata = self.t
        elif self.by_class and self.t.ndim == 2:
            strata = self.t[:, 0] if self.t.shape[1] == 1 else self.t.argmax(axis=1)
        try:
            kept, held = split_rows(strata, share, seed=seed)
        except ValueError as error:
            raise ValueError(f"validation={share}, the test_size of a split: {error}") from error
        return self.select(kept), self.select(held)

    def order(self, seed: int, epoch: int, shuffle: bool) -> Array:
        """The order of the rows in an epoch: it depends on seed and epoch alone, so resuming needs no shuffle state."""
        m = len(self)
        order = np.random.default_rng((seed, epoch)).permutation(m) if shuffle else np.arange(m)
        return order if self._rows is None else self._rows[order]

    def runs(self, order: Array, batch_size: int, change: Callable[[Array], Array] | None = None) -> Iterator[Batches]:
        """The rows in this order as runs of batches, many at once; the last batch, which may be smaller, is a run.

        A run is long since coding labels costs most per call, and bounded since codes and weights take memory.
        """
        together = batch_size * max(1, NUMBERS_AT_ONCE // (64 * batch_size))
        for start in range(0, len(order), together):
            rows = order[start : start + together]
            table, numbers = self.lookup(rows)
            w = self.weights(rows)
            whole = len(rows) // batch_size * batch_size
            for here, size in ((slice(whole), batch_size), (slice(whole, None), len(rows) - whole)):
                if len(rows[here]):
                    weights = None if w is None else w[here]
                    yield Batches(self.x, rows[here], table, numbers[here], weights, size, change)

    def epoch(
        self, seed: int, epoch: int, shuffle: bool, batch_size: int, change: Callable[[Array], Array] | None = None
    ) -> Iterator[Batches]:
        """The runs of batches of an epoch."""
        return self.runs(self.order(seed, epoch, shuffle), batch_size, change)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows as they stand, batch by batch. The last one may be smaller."""
        return (batch for batches in self.runs(self.order(0, 0, shuffle=False), batch_size) for batch in batches)

    def targets(self, rows: Array) -> Array:
        """The targets of these rows, (len(rows), outputs), in the model's dtype."""
        table, numbers = self.lookup(rows)
        return table[numbers]

    def lookup(self, rows: Array) -> tuple[Array, Array]:
        """A table of targets in the model's dtype, and where in it those of these rows are."""
        if self.encoder is not None:
            return self._target_rows, self.codes(rows)
        if self.t.dtype == self.dtype:
            return self.t, rows
        return np.asarray(self.t[rows], self.dtype), np.arange(len(rows))

    def codes(self, rows: Array) -> Array:
        """The number of the class of each of these rows: kept where the rows are not too many, else found anew."""
        if self._codes is not None:
            return self._codes[rows]
        assert self.encoder is not None
        return self.encoder.encode(self.t[rows])

    def weights(self, rows: Array) -> Array | None:
        """The weights of these rows, (len(rows),), in the model's dtype: sample weight times class weight."""
        if self.sample_weight is None and self.class_weight is None:
            return None
        w = np.ones(len(rows)) if self.sample_weight is None else np.asarray(self.sample_weight)[rows]
        if self.class_weight is not None:
            w = w * self.class_weight[self.codes(rows)]
        return w.astype(self.dtype)

    def check_weights(self, purpose: str) -> None:
        """Raise ValueError when the rows weigh nothing, so that they have no mean, or more than the dtype can hold."""
        order, total = self.order(0, 0, shuffle=False), 0.0
        for start in range(0, len(order), NUMBERS_AT_ONCE):
            with np.errstate(over="ignore"):
                w = self.weights(order[start : start + NUMBERS_AT_ONCE])
            if w is None:
                return
            total += float(w.sum(dtype=np.float64))
        if not total:
            raise ValueError(f"the {len(self)} rows for {purpose} all have weight 0 in {self.dtype}")
        if total > float(np.finfo(self.dtype).max):
            raise ValueError(
                f"the weights of the {len(self)} rows for {purpose} add up to more than {self.dtype} can hold; only "
                f"their ratios count: divide them by their mean"
            )


def as_numbers(name: str, values: Any, dtype: npt.DTypeLike) -> Array:
    """`values` (an array, list or DataFrame of numbers) as an array of at least one row that `dtype` can hold.

    Raises ValueError that says in which row and column, counted from 0, there is a NaN, an infinity, or text (other
    than a number written as text).
    """
    columns = getattr(values, "columns", None)
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is no table: its rows differ in length") from None
    if array.ndim == 0:
        raise ValueError(f"{name} is {values!r:.40}, where rows of numbers belong")
    if len(array) == 0:
        raise ValueError(f"{name} has no rows")
    if array.dtype.kind not in "fiub":
        array = _parsed(name, array, columns)
    if array.dtype.kind != "f":
        return array
    step = max(1, NUMBERS_AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(dtype, copy=False))
        if not finite.all():
            first = tuple(np.argwhere(~finite)[0])
            value = block[first]
            why = f"too large for {np.dtype(dtype)}" if np.isfinite(value) else "not a finite number"
            raise ValueError(f"{name} is {value} in {_place(first, start, columns)}: {why}")
    return array


def check_fractions(name: str, array: Array, hint: str) -> None:
    """Raise ValueError that names the first number outside [0, 1], its row and its column."""
    step = max(1, NUMBERS_AT_ONCE // max(1, array[:1].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        outside = (block < 0) | (block > 1)
        if outside.any():
            first = tuple(np.argwhere(outside)[0])
            raise ValueError(f"{name} is {block[first]} in {_place(first, start, None)}, outside [0, 1]; {hint}")


def _parsed(name: str, array: Array, columns: Any) -> Array:
    for index, value in np.ndenumerate(array.astype(object, copy=False)):
        try:
            float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {value!r} in {_place(index, 0, columns)}: not a number") from None
    return array.astype(np.float64)


def _place(index: tuple[int, ...], start: int, columns: Any) -> str:
    words = [f"row {start + index[0]}"]
    if len(index) == 2:
        words.append(f"column {index[1] if columns is None else repr(columns[index[1]])}")
    elif len(index) > 2:
        words.append(f"position {tuple(int(i) for i in index[1:])}")
    return ", ".join(words)

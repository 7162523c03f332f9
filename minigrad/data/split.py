"""The hold-out: rows that training never sees, drawn at random and in proportion to the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder

Rows = npt.NDArray[np.intp]


def train_test_split(
    x: Any, labels: Any, *, test_size: float | int = 0.2, stratify: bool = True, seed: int = 0
) -> tuple[Any, Any, Any, Any]:
    """Shuffle the rows and part them: `x_train, x_test, labels_train, labels_test`, scikit-learn's order.

    Arrays, lists, DataFrames and Series are taken; each keeps its kind (a list becomes an array). How the rows are
    drawn is `split_rows`' matter.

    Raises ValueError for another number of labels than rows, for a `test_size` that is neither a fraction between 0 and
    1 nor a number of rows, and for one that leaves no row, or none of a class, to test or to train.
    """
    if len(x) != len(labels):
        raise ValueError(f"x has {len(x)} rows and the labels have {len(labels)}; each row of x needs its label")
    train, test = split_rows(labels, test_size, stratify=stratify, seed=seed)
    return take_rows(x, train), take_rows(x, test), take_rows(labels, train), take_rows(labels, test)


def split_rows(labels: Any, test_size: float | int, *, stratify: bool = True, seed: int = 0) -> tuple[Rows, Rows]:
    """The row numbers for training and for testing, each in shuffled order; `labels` may be just the number of rows.

    A `test_size` below 1 is a fraction, of which round(test_size * rows) rows are made; an integer is that many rows.

    One-dimensional labels are stratified: a class with n of the M rows gets its share T n / M of the T test rows,
    rounded down or up (Hamilton's method of the largest remainders; equal ones are settled at random), except that the
    last row of a class stays in training. So a class of one row is never tested, and the shares are those among the
    other classes. Targets without classes (two-dimensional ones, numbers that are not whole) are only shuffled.
    """
    count = labels if isinstance(labels, int) else len(labels)
    total = _test_rows(test_size, count)
    # The third number keeps these draws apart from those of epoch k, whose order comes from (seed, k).
    rng = np.random.default_rng((seed, 0, 1))
    order = rng.permutation(count)
    if not stratify or isinstance(labels, int) or not _has_classes(labels):
        return order[total:], order[:total]
    codes = LabelEncoder(labels).encode(labels)[order]
    sizes = np.bincount(codes)
    shares = _shares(sizes, total, rng)
    rank = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    tested = np.empty(count, bool)
    tested[np.argsort(codes, kind="stable")] = rank < np.repeat(shares, sizes)
    return order[~tested], order[tested]


def split_latest(order: Any, test_size: float | int) -> tuple[Rows, Rows]:
    """The row numbers for training and for testing: the rows with the largest values are tested, as the latest dates.

    Rows of one value stay together, so there may be some more or fewer; rows without a value are trained on. Raises
    ValueError where that leaves no rows on one side.
    """
    values = np.asarray(order)
    if values.dtype.kind == "M":
        values = np.where(np.isnat(values), np.nan, values.astype("datetime64[us]").astype(np.float64))
    values = values.astype(np.float64)
    present = np.sort(values[~np.isnan(values)])
    total = _test_rows(test_size, len(values))
    if len(present) <= total or present[0] == present[-1]:
        raise ValueError("there are too few different values to hold the latest rows out by")
    first = present[-total]
    tested = values >= first if first > present[0] else values > first
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def split_groups(groups: Any, test_size: float | int, *, seed: int = 0) -> tuple[Rows, Rows]:
    """The row numbers for training and for testing, such that no group has rows on both sides.

    Groups are drawn in a random order, as long as they bring the number of rows nearer to what is asked for. Raises
    ValueError for a single group.
    """
    names, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError("all rows are of one group")
    total, count = _test_rows(test_size, len(codes)), 0
    chosen: list[int] = []
    for group in np.random.default_rng((seed, 0, 1)).permutation(len(names)).tolist():
        nearer = abs(count + sizes[group] - total) < abs(count - total)
        if nearer and len(chosen) < len(names) - 1:
            chosen.append(group)
            count += int(sizes[group])
    if not chosen:
        chosen = [int(sizes.argmin())]
    tested = np.isin(codes, chosen)
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def take_rows(table: Any, rows: Rows) -> Any:
    """The given rows of an array, a list, a DataFrame or a Series."""
    return table.iloc[rows] if hasattr(table, "iloc") else np.asarray(table)[rows]


def _test_rows(test_size: float | int, count: int) -> int:
    whole = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
    if not whole and not (isinstance(test_size, float | np.floating) and 0 < test_size < 1):
        raise ValueError(f"test_size is a fraction between 0 and 1 or a number of rows, not {test_size!r}")
    total = int(test_size) if whole else round(float(test_size) * count)
    if not 0 < total < count:
        raise ValueError(
            f"test_size={test_size!r} of {count} rows is {total} rows to test and {count - total} to train; "
            f"both need at least one"
        )
    return total


def _has_classes(labels: Any) -> bool:
    array = np.asarray(labels)
    if array.ndim != 1:
        return False
    if array.dtype.kind != "f":
        return True
    finite = array[np.isfinite(array)]
    return bool(np.all(finite == np.floor(finite)))


def _shares(sizes: Rows, total: int, rng: np.random.Generator) -> Rows:
    """How many test rows each class gives, by the method of the largest remainders."""
    limits = sizes - 1
    if total > limits.sum():
        raise ValueError(
            f"{total} of {sizes.sum()} rows to test are too many: one row of each of the {len(sizes)} classes stays "
            f"in training (stratify=False splits without regard to classes)"
        )
    weights = np.where(limits > 0, sizes, 0)
    shares, remainders = np.divmod(total * weights, weights.sum())
    ranked = rng.permutation(len(sizes))
    ranked = ranked[np.argsort(-remainders[ranked], kind="stable")]
    while (missing := total - int(shares.sum())) > 0:
        shares[ranked[shares[ranked] < limits[ranked]][:missing]] += 1
    return shares

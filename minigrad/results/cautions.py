"""Cautions: what makes the numbers of an evaluation worth less than they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.parameter import Array
from minigrad.results.duplicates import Hashes, as_cells, by_chance, row_hashes
from minigrad.results.leaks import find_leaks
from minigrad.results.messages import percent
from minigrad.results.outcome import Caution, Classification, Regression

FEW_ROWS = 10  # a class of fewer rows is hardly learned, and not measured at all
GAP, R2_GAP = 0.05, 0.1  # training scores so far above the held-out one are named
CHANCE = 3  # times as many equal rows as chance would make: so many are no copies yet
NAMED = 8  # columns or classes named in a caution


def find_cautions(
    outcome: Classification | Regression,
    x: Array,
    t: Array,
    train: Array,
    test: Array,
    names: Sequence[str] | None,
    groups: Mapping[str, Array],
    cells: Hashes | None = None,
    dates: Sequence[str] = (),
) -> list[Caution]:
    """All that there is to be said of these rows, of x (rows, columns) and t in the order of the user's data.

    `groups` has the places in x of what each of the user's columns became; `cells` are digests of all cells of the
    user's rows, by which copies are found, where x has not all of them.
    """
    found = [
        _given_away(outcome, x, t, train, test, groups),
        _repeated(outcome, as_cells(x) if cells is None else cells, train, test),
        _far_above(outcome),
        _rare(t) if isinstance(outcome, Classification) else None,
        _sorted(t, isinstance(outcome, Classification)),
        _constant(x[train], names),
        _in_time(dates),
    ]
    return [caution for caution in found if caution is not None]


def _given_away(
    outcome: Classification | Regression, x: Array, t: Array, train: Array, test: Array, groups: Mapping[str, Array]
) -> Caution | None:
    if t.ndim != 1:
        return None
    codes = LabelEncoder(outcome.classes).encode(t) if isinstance(outcome, Classification) else None
    leaks = find_leaks(x, groups, t, train, test, codes)
    if not leaks:
        return None
    measure = (
        "of the held-out rows are right by it alone"
        if codes is not None
        else "is the R² of the target's ranks by it alone"
    )
    each = [f"{leak.column!r} ({percent(leak.score) if codes is not None else f'{leak.score:.3f}'})" for leak in leaks]
    one = len(leaks) == 1
    return Caution(
        f"{'One column' if one else f'{len(leaks)} columns'} alone almost {'gives' if one else 'give'} the target",
        f"{_listed(each)}: so much {measure}. If it is another way to write the target, or is known only once the "
        f"target is, the result is worth nothing: leave it out with --drop. If it is known before, a network is not "
        "needed.",
    )


def _repeated(outcome: Classification | Regression, cells: Hashes, train: Array, test: Array) -> Caution | None:
    hashes = row_hashes(cells)
    again = np.isin(hashes[test], hashes[train])
    # Few columns of few values make equal rows that are no copies.
    if not again.any() or again.mean() <= CHANCE * by_chance(cells, len(train)):
        return None
    count, rows = int(again.sum()), len(test)
    new = ""
    if isinstance(outcome, Classification) and not again.all():
        new = f" On the {rows - count:,} other rows the accuracy is {percent(outcome.right[~again].mean())}."
    return Caution(
        f"{count:,} of the {rows:,} held-out rows also stand among the training rows",
        "They are equal in every column, so the network has seen them, and they say little about new rows; "
        f"remove the copies from the data, or keep them on one side of the split.{new}",
    )


def _far_above(outcome: Classification | Regression) -> Caution | None:
    gap = outcome.train_score - outcome.score
    if isinstance(outcome, Classification):
        if not (gap > GAP and outcome.train_score > outcome.interval[1]):
            return None
        scores = f"{percent(outcome.train_score)} on the training rows, {percent(outcome.score)} on the held-out ones"
        rule = f"more than {100 * GAP:.0f} points above, and above the held-out accuracy's 95 % interval"
    else:
        if not gap > R2_GAP:
            return None
        scores = f"R² {outcome.train_score:.3f} on the training rows, {outcome.score:.3f} on the held-out ones"
        rule = f"more than {R2_GAP} above"
    return Caution(
        "The network knows its training rows much better than new ones",
        f"{scores} (the rule: {rule}). It has probably learned rows by heart. More rows, fewer hidden units, "
        "a larger L2 or fewer epochs help; only the held-out number says what to expect of new rows.",
    )


def _rare(labels: Array) -> Caution | None:
    classes, counts = np.unique(labels, return_counts=True)
    few = [
        f"{name} ({count})" for name, count in zip(classes.tolist(), counts.tolist(), strict=True) if count < FEW_ROWS
    ]
    if not few:
        return None
    one = len(few) == 1
    return Caution(
        f"{'One class has' if one else f'{len(few)} classes have'} fewer than {FEW_ROWS} rows",
        f"{_listed(few)}. So few rows are hardly enough to learn a class, and next to none are left to measure it by; "
        f"what is said of {'it' if one else 'them'} here is little more than a guess.",
    )


def _sorted(t: Array, classes: bool) -> Caution | None:
    if t.ndim != 1 or len(t) < 3:
        return None
    if classes:
        codes = LabelEncoder(t).encode(t)
        blocks, kinds = int(np.count_nonzero(np.diff(codes))) + 1, len(np.unique(codes))
        # In a random order the class changes from row to row with the probability that two rows differ.
        expected = (len(t) - 1) * (1 - np.sum((np.bincount(codes) / len(t)) ** 2)) + 1
        if not (blocks == kinds > 1 and blocks < expected / 2):
            return None
        what = "each class is one block of rows"
    else:
        steps = np.diff(t)
        if not ((steps >= 0).all() or (steps <= 0).all()) or not steps.any():
            return None
        what = "the target only rises, or only falls, from row to row"
    return Caution(
        "The data are sorted",
        f"In the file, {what}. It has been shuffled here, so nothing is wrong with this result; but whoever holds out "
        "the last rows of such a file tests on rows unlike those trained on, and batches in file order teach one thing "
        "at a time. If the order is time, a random hold-out is too kind: hold out the latest rows instead.",
    )


def _in_time(dates: Sequence[str]) -> Caution | None:
    if not dates:
        return None
    return Caution(
        f"The table has dates ({_listed(list(map(repr, dates)))}), and rows were held out at random",
        f"So the network has learned from rows of the same days as those that it is measured on. If it is to tell what "
        f"comes later, --split-by {dates[0]!r} holds out the latest rows, which is the honest test of that.",
    )


def _constant(x: Array, names: Sequence[str] | None) -> Caution | None:
    columns = np.flatnonzero(x.min(axis=0) == x.max(axis=0))
    if not len(columns):
        return None
    one = len(columns) == 1
    shown = [str(i + 1) if names is None else repr(names[i]) for i in columns.tolist()]
    return Caution(
        f"{len(columns):,} of {x.shape[1]:,} columns {'is' if one else 'are'} constant",
        f"Column{'' if one else 's'} {_listed(shown)} {'has' if one else 'have'} the same value in every training row: "
        "nothing can be learned from that, and another value in a new row would be answered at random.",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")

"""Columns that alone almost give the target: a copy, its opposite, its logarithm, what is known too late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minigrad.metrics import r2_score
from minigrad.parameter import Array
from minigrad.results.duplicates import row_hashes

GIVEN = 0.97  # the share of what the commonest class misses, or of the variance, that gives a target away
VALUES = 50  # different ones, up to which each stands for itself; more are put into as many equal groups
NEIGHBOURS = 5  # values whose rows a number is told by, where there is noise


@dataclass(frozen=True)
class Leak:
    """A column, and how good its answers alone are on the held-out rows: accuracy, or R² of their ranks."""

    column: str
    score: float


def find_leaks(
    x: Array, groups: Mapping[str, Array], t: Array, train: Array, test: Array, codes: Array | None
) -> list[Leak]:
    """The columns that alone give the held-out rows' targets: t (m,) or, of classes, their `codes`.

    Each is tried as a table of what the training rows with its value hold, or with near values where it has many; it
    is to give those of the training rows, too. `groups` has the places in x of what each of the user's columns became.
    """
    if len(test) < 2:
        return []
    if codes is None:  # ranks, or the few largest numbers would decide alone
        ordered = np.sort(t)
        t = (np.searchsorted(ordered, t) + np.searchsorted(ordered, t, side="right")) / 2
    found = []
    for name, places in groups.items():
        part = x[:, places]
        scores = [_alone(part[:, k], t, train, test, codes) for k in range(part.shape[1])]
        if part.shape[1] > 1:  # a value of text, or a number and that it is missing
            kinds = np.unique(row_hashes(part), return_inverse=True)[1]
            if kinds.max() < VALUES:
                scores.append(_alone(kinds.astype(np.float64), t, train, test, codes))
        best = max(scores, key=lambda pair: pair[0])
        if best[0] >= GIVEN:
            found.append(Leak(name, best[1]))
    return found


def _alone(v: Array, t: Array, train: Array, test: Array, codes: Array | None) -> tuple[float, float]:
    """(the share of what is to be explained that is, the accuracy or R²) of one column of numbers."""
    values, kinds = np.unique(v[train], return_inverse=True)
    if len(values) < 2:
        return 0.0, 0.0
    if codes is None:
        return max(_numbers(values, kinds, v, t, train, test), key=lambda pair: pair[0])
    return max(_classes(values, kinds, v, codes, train, test), key=lambda pair: pair[0])


def _numbers(values: Array, kinds: Array, v: Array, t: Array, train: Array, test: Array) -> list[tuple[float, float]]:
    """By the line through the means of the values, and, of many values, by that through the means around each."""
    counts = np.bincount(kinds)
    means = np.bincount(kinds, t[train]) / counts
    known, found = means[kinds], []
    if len(values) > VALUES:  # each told by those beside it, or a row would be told by itself
        left, right = np.arange(len(values)) - 1, np.arange(len(values)) + 1
        left[0], right[-1] = 1, len(values) - 2
        ones = np.ones(NEIGHBOURS)
        around = np.convolve(means * counts, ones, "same") / np.convolve(counts, ones, "same")
        found.append((r2_score(t[test], np.interp(v[test], values, around)), around[kinds]))
        known = ((means[left] + means[right]) / 2)[kinds]
    found.append((r2_score(t[test], np.interp(v[test], values, means)), known))
    return [(min(score, r2_score(t[train], told)), score) for score, told in found]


def _classes(
    values: Array, kinds: Array, v: Array, codes: Array, train: Array, test: Array
) -> list[tuple[float, float]]:
    """By the commonest class of each value; of many values, of each group, and by the value next to it."""
    if len(values) <= VALUES:
        answers = _commonest(kinds, codes[train])
        return [_explained(answers[kinds], answers[_nearest(values, v[test])], codes, train, test)]
    edges = np.unique(np.quantile(v[train], np.linspace(0, 1, VALUES + 1)[:-1]))
    groups = [np.clip(np.searchsorted(edges, v[rows], side="right") - 1, 0, None) for rows in (train, test)]
    by_group, by_value = _commonest(groups[0], codes[train]), _commonest(kinds, codes[train])
    beside = np.roll(by_value, 1)
    beside[0] = by_value[1]
    return [
        _explained(by_group[groups[0]], by_group[groups[1]], codes, train, test),
        _explained(beside[kinds], by_value[_nearest(values, v[test])], codes, train, test),
    ]


def _explained(told: Array, tested: Array, codes: Array, train: Array, test: Array) -> tuple[float, float]:
    """(the least share of what the commonest class misses that is answered rightly, the accuracy on the held-out)."""
    commonest, shares, accuracy = np.bincount(codes[train]).argmax(), [], 0.0
    for answers, rows in ((told, train), (tested, test)):
        accuracy, common = float(np.mean(answers == codes[rows])), float(np.mean(commonest == codes[rows]))
        shares.append((accuracy - common) / (1 - common) if common < 1 else 0.0)
    return min(shares), accuracy


def _commonest(kinds: Array, codes: Array) -> Array:
    """The commonest class of each kind of row."""
    classes, count = int(codes.max()) + 1, int(kinds.max()) + 1
    return np.bincount(kinds * classes + codes, minlength=count * classes).reshape(count, classes).argmax(axis=1)


def _nearest(values: Array, v: Array) -> Array:
    """The place of the nearest of these values, which rise."""
    return np.searchsorted((values[1:] + values[:-1]) / 2, v)

"""Where the branches of a layer meet: inputs between the thresholds of its comparisons.

Forward and backward are run on arrays that note what is compared with what. Where a comparison turns as x grows is
found by halving. Two comparisons that turn close to each other, `x > 0` in forward and `x > 0.001` in backward say,
leave an interval between them that no drawn x falls into: so one is made that does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.subject import Subject
from minigrad.testing.budget import BETWEEN_THRESHOLDS, Deadline

COMPARING = (np.greater, np.greater_equal, np.less, np.less_equal, np.maximum, np.minimum, np.equal, np.not_equal)
HALVINGS = 40


class Noting(np.ndarray[Any, Any]):
    """An array that notes the differences of what is compared."""

    notes: list[Array] | None

    def __array_finalize__(self, made_of: Any) -> None:
        """A part, or a copy, notes in the same list."""
        self.notes = getattr(made_of, "notes", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Do it on plain arrays."""
        notes = next(each.notes for each in (*inputs, *options.get("out", ())) if isinstance(each, Noting))
        plain = [each.view(np.ndarray) if isinstance(each, Noting) else each for each in inputs]
        if "out" in options:
            options["out"] = tuple(np.asarray(each) for each in options["out"])
        if method == "__call__" and notes is not None and len(plain) > 1:
            if ufunc in COMPARING:
                notes.append(np.subtract(plain[0], plain[1], dtype=np.float64))
            elif ufunc.__name__ == "clip":
                notes += [np.subtract(plain[0], bound, dtype=np.float64) for bound in plain[1:]]
        result = getattr(ufunc, method)(*plain, **options)
        return noting(result, notes) if isinstance(result, np.ndarray) else result


def noting(array: Array, notes: list[Array] | None) -> Noting:
    """The same numbers, which note."""
    made = array.view(Noting)
    made.notes = notes
    return made


def between_branches(subject: Subject, x: Array, theta: Array) -> Array | None:
    """Rows like x whose entries lie between two thresholds each, or None where there are no two."""
    deadline = Deadline(BETWEEN_THRESHOLDS)
    typical = float(np.sqrt((x**2).mean())) or 1.0
    low, high = -10 * typical, 10 * typical
    turning: list[Array] = []
    first, last = _signs(subject, x, theta, low), _signs(subject, x, theta, high)
    middle = _signs(subject, x, theta, 0.0)
    if not len(first) == len(last) == len(middle):
        return None
    for number in range(len(first)):
        for start, end, a, b in ((low, 0.0, first, middle), (0.0, high, middle, last)):
            if (a[number] != b[number]).any():
                found = _halved(subject, x, theta, number, start, end, deadline)
                if found is not None:
                    turning.append(np.where(a[number] != b[number], found, np.nan))
    if len(turning) < 2:
        return None
    points = np.sort(np.array(turning), axis=0)  # NaN last
    gaps = np.diff(points, axis=0)
    centers = np.where(gaps > 1e-6 * typical, points[:-1] + gaps / 2, np.nan)
    if not np.isfinite(centers).any():
        return None
    made = np.concatenate([np.where(np.isfinite(center), center, x) for center in centers])
    return made[np.any(made != np.concatenate([x] * len(centers)), axis=tuple(range(1, made.ndim)))]


def _signs(subject: Subject, x: Array, theta: Array, value: float | Array) -> list[Array]:
    """Which comparisons of x's shape hold where every entry of x is `value`."""
    notes: list[Array] = []
    subject.theta[...] = theta
    try:
        y = subject.forward(noting(np.full_like(x, value), notes))
        subject.layer.backward(np.ones_like(np.asarray(y)))
    except Exception:
        return []
    return [note >= 0 for note in notes if note.shape == x.shape]


def _halved(
    subject: Subject, x: Array, theta: Array, number: int, start: float, end: float, deadline: Deadline
) -> Array | None:
    """Where the comparison of this number turns, for every entry of x."""
    low, high = np.full_like(x, start), np.full_like(x, end)
    before = _signs(subject, x, theta, start)[number]
    for _ in range(HALVINGS):
        center = low + (high - low) / 2
        signs = _signs(subject, x, theta, center)
        if len(signs) <= number or deadline.is_over():
            return None
        same = signs[number] == before
        low, high = np.where(same, center, low), np.where(same, high, center)
    return high

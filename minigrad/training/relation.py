"""Whether x has anything to do with t: by neighbours, and by sums of columns, on rows that they were not fitted to."""

from __future__ import annotations

import numpy as np

from minigrad.parameter import Array

LEAST = 60
"""Of fewer rows nothing is said."""
SURE = 2.5
"""Standard errors away from chance."""
FOLDS = 5


def tell_nothing(x: Array, t: Array) -> bool:
    """Whether no relation shows between the rows of x and of t, which a network could learn from so many."""
    x, t = x.reshape(len(x), -1).astype(np.float64), t.reshape(len(t), -1).astype(np.float64)
    spread, varies = x.std(axis=0), t.std(axis=0) > 0
    if len(x) < LEAST or not spread.any() or not varies.any() or not np.isfinite(x).all():
        return False
    x = ((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
    t = ((t - t.mean(axis=0)) / np.where(varies, t.std(axis=0), 1))[:, varies]
    return bool(_neighbours(x, t) < SURE and _sums(x, t) < SURE)


def _neighbours(x: Array, t: Array) -> float:
    """How far t of a row goes along with t of its nearest row, in standard errors."""
    squares = (x * x).sum(axis=1)
    apart = squares[:, None] + squares - 2 * x @ x.T
    np.fill_diagonal(apart, np.inf)
    return _strength(t[apart.argmin(axis=1)], t)


def _sums(x: Array, t: Array) -> float:
    """How far t goes along with a sum of columns that was fitted on other rows (ridge), in standard errors."""
    rows = np.arange(len(x)) % FOLDS
    guess = np.zeros_like(t)
    for fold in range(FOLDS):
        a, b = x[rows != fold], t[rows != fold]
        if a.shape[1] <= len(a):
            w = np.linalg.solve(a.T @ a + len(a) * np.eye(a.shape[1]), a.T @ b)
        else:
            w = a.T @ np.linalg.solve(a @ a.T + len(a) * np.eye(len(a)), b)
        guess[rows == fold] = x[rows == fold] @ w
    return _strength(guess / np.maximum(guess.std(axis=0), 1e-300), t)


def _strength(guess: Array, t: Array) -> float:
    """The mean product of two standardised tables, over what it varies by where they have nothing in common."""
    products = (guess * t).mean(axis=1)
    return float(products.mean() / max(products.std() / np.sqrt(len(t)), 1e-300))

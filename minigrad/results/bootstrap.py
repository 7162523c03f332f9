"""Intervals of any figure of the held-out rows, by drawing these rows again and again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigrad.parameter import Array
from minigrad.results.outcome import Interval

LEAST, MOST = 200, 1000  # draws: their 2.5 % are 5 and 25 of them
NUMBERS = 4e6  # weights times their width that are worth their time: with them the draws end between the two
AT_ONCE = 1_000_000  # weights in memory


def bootstrap(
    figures: Callable[[Array], dict[str, Array]], rows: int, *, width: int = 1, seed: int = 0
) -> dict[str, Interval]:
    """The 95 % intervals of figures, by the percentiles of their values on rows drawn with replacement.

    `figures` takes weights (D, rows), how often each row stands in each of D draws, and returns (D,) by name. All are
    of the same draws, so the interval of a difference is paired. Draws in which a figure has no value (NaN), as where
    they miss a class, do not count for it. `width` says how many columns a figure goes through, for the time it takes.
    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    """
    rng = np.random.default_rng((seed, 0, 2))  # apart from the draws of the split and of the epochs

    def weights(draws: int) -> Array:
        drawn = rng.integers(rows, size=(draws, rows)) + rows * np.arange(draws)[:, None]
        return np.bincount(drawn.ravel(), minlength=draws * rows).reshape(draws, rows)

    return _intervals(figures, weights, rows, width)


def bootstrap_counts(
    figures: Callable[[Array], dict[str, Array]], counts: Array, *, seed: int = 0
) -> dict[str, Interval]:
    """The same where equal rows were counted: in each draw, a Poisson number with its count as mean has each of them.

    Source: Hanley and MacGibbon, "Creating non-parametric bootstrap samples using Poisson frequencies", Computer
    Methods and Programs in Biomedicine 83, 2006.
    """
    rng = np.random.default_rng((seed, 0, 2))
    return _intervals(figures, lambda draws: rng.poisson(counts, (draws, len(counts))), len(counts), 1)


def _intervals(
    figures: Callable[[Array], dict[str, Array]], weights: Callable[[int], Array], rows: int, width: int
) -> dict[str, Interval]:
    """The percentiles of figures over as many draws as are worth their time; `weights(D)` makes D of them."""
    draws = int(np.clip(NUMBERS / (rows * width), LEAST, MOST))
    found: dict[str, list[Array]] = {}
    for start in range(0, draws, step := max(1, AT_ONCE // rows)):
        for name, values in figures(weights(min(step, draws - start))).items():
            found.setdefault(name, []).append(values)
    return {name: _between(np.concatenate(values)) for name, values in found.items()}


def _between(values: Array) -> Interval:
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return float(low), float(high)

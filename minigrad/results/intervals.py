"""Intervals around predictions that hold for new rows: split conformal prediction, on rows that were not trained on."""

from __future__ import annotations

import math

import numpy as np

from minigrad.metrics import wilson_interval
from minigrad.parameter import Array
from minigrad.results.outcome import Coverage

LEVEL = 0.9
FOLDS = 10


def half_width(missed: Array, level: float = LEVEL) -> float:
    """The ⌈(n + 1) level⌉-th smallest of n absolute errors; infinite where n is too small to tell.

    For a new row like these, prediction ± this holds the truth with a probability of at least `level`, whatever the
    model and the distribution, if the errors are of rows that were not trained on. Source: Lei, G'Sell, Rinaldo,
    Tibshirani and Wasserman, "Distribution-free predictive inference for regression", JASA 113, 2018.
    """
    place = math.ceil((len(missed) + 1) * level)
    return float(np.sort(missed)[place - 1]) if place <= len(missed) else math.inf


def conformal(missed: Array, seed: int = 0, level: float = LEVEL) -> Coverage | None:
    """The interval from the held-out rows' absolute errors, and how often it held; None where they are too few.

    The width is that of all held-out rows. To measure it, each tenth of them is asked about a width of the others.
    """
    parts = np.array_split(np.random.default_rng((seed, 0, 3)).permutation(len(missed)), FOLDS)
    widths = [half_width(np.delete(missed, part), level) for part in parts]
    if not len(parts[-1]) or not all(map(math.isfinite, widths)):
        return None
    held = sum(int(np.sum(missed[part] <= width)) for part, width in zip(parts, widths, strict=True))
    return Coverage(level, half_width(missed, level), held, len(missed), wilson_interval(held, len(missed)))

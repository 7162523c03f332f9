"""The measures of rows that were added up piece by piece, each with its interval, beside what knowing nothing gets."""

from __future__ import annotations

import numpy as np

from minigrad.metrics.streaming import BAGS, ClassSums, NumberSums
from minigrad.parameter import Array
from minigrad.results.bootstrap import bootstrap, bootstrap_counts
from minigrad.results.errors import NAMES as NUMBER_NAMES
from minigrad.results.outcome import Interval, Measure
from minigrad.results.probabilities import NAMES

RANKINGS = ("auc", "average_precision", "lift")


def number_measures(sums: NumberSums) -> tuple[Measure, ...]:
    """Root mean squared error, mean absolute error and R². Their intervals draw bags of rows in the place of rows."""

    def figures(weights: Array) -> dict[str, Array]:
        found = sums.weighted(weights)
        found["chance_r2"] = np.zeros(len(weights))
        gains = {f"{key} gain": found[f"chance_{key}"] - found[key] for key in ("rmse", "mae")}
        return found | gains | {"r2 gain": found["r2"]}

    values, intervals = figures(np.ones((1, BAGS))), bootstrap(figures, BAGS)
    return tuple(_measure(key, name, values, intervals) for key, name in NUMBER_NAMES.items())


def class_measures(sums: ClassSums, positive: int | None) -> tuple[Measure, ...]:
    """Rankings, of the class in the place `positive` or of more classes their means; log loss and Brier score.

    The interval of a mean is the mean of the intervals' ends: never narrower than it, however classes go together.
    """
    own, intervals = _means(sums)
    sizes = sums.bags[:, :-2].sum(axis=0)
    classes = [k for k, size in enumerate(sizes) if 0 < size < sizes.sum()] if positive is None else [positive]
    each = [_ranking(sums, k) for k in classes]
    for name in each[0][0]:
        own[name] = np.mean([values[name] for values, _ in each], axis=0)
    for name in each[0][1]:
        low, high = (float(np.mean([found[name][end] for _, found in each])) for end in (0, 1))
        intervals[name] = low, high
    told = NAMES if positive is not None else {key: name for key, name in NAMES.items() if key != "lift"}
    return tuple(_measure(key, name, own, intervals) for key, name in told.items() if key in own)


def _means(sums: ClassSums) -> tuple[dict[str, Array], dict[str, Interval]]:
    """Log loss and Brier score with what the classes' shares get, whose terms are the same for all rows of a class."""
    if not sums.shares:
        return {}, {}
    sizes = sums.bags[:, :-2].sum(axis=0)
    shares = sizes / sizes.sum()
    halved = 2 if len(shares) == 2 else 1
    terms = {
        "log_loss": -np.log(np.where(shares > 0, shares, 1)),
        "brier": ((shares - np.eye(len(shares))) ** 2).sum(axis=1) / halved,
    }

    def figures(weights: Array) -> dict[str, Array]:
        found, counts = sums.weighted(weights), weights @ sums.bags[:, :-2]
        chance = {f"chance_{key}": counts @ each / counts.sum(axis=1) for key, each in terms.items()}
        return found | chance | {f"{key} gain": chance[f"chance_{key}"] - found[key] for key in terms}

    return figures(np.ones((1, BAGS))), bootstrap(figures, BAGS)


def _ranking(sums: ClassSums, k: int) -> tuple[dict[str, Array], dict[str, Interval]]:
    """How well the scores of a class rank, with what scores at random get."""
    truth, _, counts = sums.counts(k)

    def figures(weights: Array) -> dict[str, Array]:
        found = sums.ranking(k, weights)
        share = weights @ truth / weights.sum(axis=-1)
        chance = {"auc": np.full_like(share, 0.5), "average_precision": share, "lift": np.ones_like(share)}
        gains = {f"{key} gain": found[key] - chance[key] for key in RANKINGS}
        return found | {f"chance_{key}": value for key, value in chance.items()} | gains

    return figures(counts[None].astype(np.float64)), bootstrap_counts(figures, counts)


def _measure(key: str, name: str, values: dict[str, Array], intervals: dict[str, Interval]) -> Measure:
    chance = float(values[f"chance_{key}"][0])
    return Measure(key, name, float(values[key][0]), intervals[key], chance, intervals[f"{key} gain"])

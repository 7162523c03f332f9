"""How far answers that are numbers are off: R², mean and root mean squared error, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigrad.parameter import Array
from minigrad.results.bootstrap import bootstrap
from minigrad.results.outcome import Interval, Measure

NAMES = {"rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R²"}


@dataclass(frozen=True)
class Figures:
    """What is found of answers: R² and the mean error with their intervals, and how much R² is above each rival's."""

    score: float
    interval: Interval
    error_interval: Interval
    measures: tuple[Measure, ...]
    gains: list[Interval]


def number_figures(truth: Array, answers: Array, rivals: Sequence[Array], seed: int) -> Figures:
    """The figures of answers (m, outputs); of the `rivals`, the first knows nothing of a row.

    `seed` is that of the draws by which intervals are found.
    """
    ones = np.ones((1, len(truth)))
    values = _figures(truth, answers, rivals, ones)
    chance = _figures(truth, rivals[0], (), ones)

    def figures(weights: Array) -> dict[str, Array]:
        return _figures(truth, answers, rivals, weights)

    found = bootstrap(figures, len(truth), width=truth.shape[1], seed=seed)
    measures = tuple(
        Measure(key, name, float(values[key][0]), found[key], float(chance[key][0]), found[f"{key} gain"])
        for key, name in NAMES.items()
    )
    gains = [found[f"against {place}"] for place in range(len(rivals))]
    score = float(values["r2"][0]) if len(truth) > 1 else math.nan
    return Figures(score, found["r2"], found["mae"], measures, gains)


def r_squared(truth: Array, answers: Array, weights: Array) -> Array:
    """R² of each of D weightings (D, m) of the rows, (D,): answers and truth are (m, outputs)."""
    return _figures(truth, answers, (), weights)["r2"]


def _figures(truth: Array, answers: Array, rivals: Sequence[Array], weights: Array) -> dict[str, Array]:
    """Each figure of D weightings of the rows, (D,)."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    # The spread around the weighted mean; constant targets have none, and R² is 0 or 1 by definition.
    middle = truth.mean(axis=0)
    spread = np.maximum(shares @ (truth - middle) ** 2 - (shares @ (truth - middle)) ** 2, 0)
    spread = np.where((truth != truth[0]).any(axis=0) & (spread > 0), spread, math.inf)

    def of(answers: Array) -> tuple[Array, Array, Array]:
        squares = shares @ (truth - answers) ** 2
        exact = np.isinf(spread) & (squares > 0)
        return (1 - squares / spread - exact).mean(axis=1), np.sqrt(squares.mean(axis=1)), _mean(answers)

    def _mean(answers: Array) -> Array:
        return (shares @ abs(truth - answers)).mean(axis=1)

    r2, rmse, mae = of(answers)
    found = {"r2": r2, "rmse": rmse, "mae": mae}
    for place, rival in enumerate(rivals):
        other, root, mean = of(rival)
        found[f"against {place}"] = r2 - other
        if place == 0:
            found |= {"r2 gain": r2 - other, "rmse gain": root - rmse, "mae gain": mean - mae}
    return found

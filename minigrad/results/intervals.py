"""The figures of answers, each with its 95 % interval, beside what knowing nothing of a row gets.

Of numbers: R², mean and root mean squared error, and the interval around a prediction. Of probabilities: how well they
rank, how true they are, and what a threshold on them trades for what.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.metrics import average_precision_score, brier_score, lift, log_loss, roc_auc_score, wilson_interval
from minigrad.metrics.streaming import ROUNDING
from minigrad.parameter import Array
from minigrad.results.outcome import Coverage, Interval, Measure, TradeOff

LEAST, MOST = 200, 1000  # draws: their 2.5 % are 5 and 25 of them
NUMBERS = 4e6  # weights times their width that are worth their time: with them the draws end between the two
AT_ONCE = 1_000_000  # weights in memory
MOST_ROWS = 500_000  # that are drawn from
OF_NUMBERS = {"rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R²"}
OF_CLASSES = {
    "auc": "AUC (ROC)",
    "average_precision": "AUC (precision-recall)",
    "lift": "lift of the riskiest tenth",
    "log_loss": "log loss",
    "brier": "Brier score",
}
FALLING = ("log_loss", "brier")  # of which less is better
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LEVEL, FOLDS = 0.9, 10  # of the interval around a prediction, and parts of the rows by which it is measured


def bootstrap(
    figures: Callable[..., dict[str, Array]], *arrays: Array, width: int = 1, seed: int = 0
) -> dict[str, Interval]:
    """The 95 % intervals of figures, by the percentiles of their values on rows drawn with replacement.

    `figures` takes weights (D, rows), how often each row stands in each of D draws, and the `arrays` of rows; it
    returns (D,) by name. All are of the same draws, so the interval of a difference is paired. Draws in which a figure
    has no value (NaN), as where they miss a class, do not count for it. `width` says how many columns a figure goes
    through, for the time it takes. Of many rows a part is drawn from, and the intervals narrowed as if it were all.
    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13; of the part, Politis, Romano and
    Wolf, "Subsampling", 1999.
    """
    part = [each[:: math.ceil(len(arrays[0]) / MOST_ROWS)] for each in arrays]
    rows, rng = len(part[0]), np.random.default_rng((seed, 0, 2))  # apart from the draws of the split and of the epochs
    draws = int(np.clip(NUMBERS / (rows * width), LEAST, MOST))
    found: dict[str, list[Array]] = {}
    for start in range(0, draws, step := max(1, AT_ONCE // rows)):
        count = min(step, draws - start)
        drawn = rng.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        for name, values in figures(weights, *part).items():
            found.setdefault(name, []).append(values)
    intervals = {name: _between(np.concatenate(values)) for name, values in found.items()}
    if rows == len(arrays[0]):
        return intervals
    share = math.sqrt(rows / len(arrays[0]))
    whole, of_part = (figures(np.ones((1, len(some[0]))), *some) for some in (arrays, part))
    for name, ends in intervals.items():
        low, high = (float(whole[name][0] + share * (end - of_part[name][0])) for end in ends)
        intervals[name] = low, high
    return intervals


def _between(values: Array) -> Interval:
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


# ------------------------------------------------------------------------------------------------------------ numbers
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
    values = _number_figures(ones, truth, answers, *rivals)
    chance = _number_figures(ones, truth, rivals[0])
    found = bootstrap(_number_figures, truth, answers, *rivals, width=truth.shape[1], seed=seed)
    measures = tuple(
        Measure(key, name, float(values[key][0]), found[key], float(chance[key][0]), found[f"{key} gain"])
        for key, name in OF_NUMBERS.items()
    )
    gains = [found[f"against {place}"] for place in range(len(rivals))]
    score = float(values["r2"][0]) if len(truth) > 1 else math.nan
    return Figures(score, found["r2"], found["mae"], measures, gains)


def r_squared(truth: Array, answers: Array, weights: Array) -> Array:
    """R² of each of D weightings (D, m) of the rows, (D,): answers and truth are (m, outputs)."""
    return _number_figures(weights, truth, answers)["r2"]


def _number_figures(weights: Array, truth: Array, answers: Array, *rivals: Array) -> dict[str, Array]:
    """Each figure of D weightings of the rows, (D,)."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    # The spread around the weighted mean; constant targets have none, and R² is 0 or 1 by definition.
    middle = truth.mean(axis=0)
    spread = np.maximum(shares @ (truth - middle) ** 2 - (shares @ (truth - middle)) ** 2, 0)
    spread = np.where((truth != truth[0]).any(axis=0) & (spread > 0), spread, math.inf)

    def of(answers: Array) -> tuple[Array, Array, Array]:
        squares = shares @ (truth - answers) ** 2
        exact = np.isinf(spread) & (squares > 0)
        mean = (shares @ abs(truth - answers)).mean(axis=1)
        return (1 - squares / spread - exact).mean(axis=1), np.sqrt(squares.mean(axis=1)), mean

    r2, rmse, mae = of(answers)
    found = {"r2": r2, "rmse": rmse, "mae": mae}
    for place, rival in enumerate(rivals):
        other, root, mean = of(rival)
        found[f"against {place}"] = r2 - other
        if place == 0:
            found |= {"r2 gain": r2 - other, "rmse gain": root - rmse, "mae gain": mean - mae}
    return found


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


# ------------------------------------------------------------------------------------------------------ probabilities
def rarer(codes: Array, count: int) -> int | None:
    """Of two classes, the place of the one with fewer rows (of equals, the second); None of more classes."""
    sizes = np.bincount(codes, minlength=count)
    return None if count != 2 else int(sizes[1] <= sizes[0])


def ranking(codes: Array, p: Array, positive: int | None) -> float:
    """AUC: of the `positive` class or, of more classes, the mean of each against the others."""
    return float(_mean_of_classes(roc_auc_score, codes, p, positive, None))


def measured(
    codes: Array, p: Array, rivals: Sequence[Array], positive: int | None, seed: int
) -> tuple[tuple[Measure, ...], list[Interval]]:
    """The measures of p, and by how much its AUC is above that of each rival, from the held-out rows.

    `codes` (m,) are the true classes' places in the columns of p (m, K); `rivals` are such probabilities too, of which
    the first knows nothing of a row. Log loss and Brier score are left out of outputs that are no probabilities.
    """
    shares = _are_probabilities(p)

    def figures(weights: Array | None, codes: Array, p: Array, ignorant: Array, *others: Array) -> dict[str, Array]:
        own, chance = (_class_figures(codes, one, positive, weights, shares) for one in (p, ignorant))
        gains = {f"{name} gain": (chance[name] - own[name]) * (1 if name in FALLING else -1) for name in own}
        theirs = (_mean_of_classes(roc_auc_score, codes, rival, positive, weights) for rival in others)
        return (
            own | gains | {f"against {place}": own["auc"] - auc for place, auc in enumerate([chance["auc"], *theirs])}
        )

    values, chance = figures(None, codes, p, *rivals), _class_figures(codes, rivals[0], positive, None, shares)
    width = p.shape[1] if positive is None else 1
    intervals = bootstrap(figures, codes, p, *rivals, width=width, seed=seed)
    measures = tuple(
        Measure(key, name, float(values[key]), intervals[key], float(chance[key]), intervals[f"{key} gain"])
        for key, name in OF_CLASSES.items()
        if key in values
    )
    return measures, [intervals[f"against {place}"] for place in range(len(rivals))]


def trade_offs(truth: Array, scores: Array, chosen: float | None = None) -> tuple[TradeOff, ...]:
    """What answering the class from each threshold on gives, on rows of which `truth` are of it.

    Those above all scores are left out, unless it is the `chosen` one.
    """
    edges = sorted({*THRESHOLDS, *([] if chosen is None else [chosen])})
    found = []
    for edge in edges:
        called = scores >= np.asarray(edge, scores.dtype)  # as an answer compares them
        if called.any() or edge == chosen:
            found.append(TradeOff(edge, int(called.sum()), int((called & truth).sum()), int(truth.sum()), len(truth)))
    return tuple(found)


def _are_probabilities(p: Array) -> bool:
    """Whether each row of p (m, K) holds shares of 1, as Softmax gives them; K sigmoids are yes or no each."""
    return bool((p >= 0).all() and (abs(p.sum(axis=1) - 1) < ROUNDING).all())


def _class_figures(
    codes: Array, p: Array, positive: int | None, weights: Array | None, shares: bool
) -> dict[str, Array]:
    """The measures of p by their keys, as far as they apply."""
    found = {
        "auc": _mean_of_classes(roc_auc_score, codes, p, positive, weights),
        "average_precision": _mean_of_classes(average_precision_score, codes, p, positive, weights),
    }
    if positive is not None:
        found["lift"] = np.asarray(lift(codes == positive, p[:, positive], sample_weight=weights))
    if shares:
        found["log_loss"] = np.asarray(log_loss(codes, p, weights))
        found["brier"] = np.asarray(brier_score(codes, p, weights))
    return found


def _mean_of_classes(
    measure: Callable[..., Any], codes: Array, p: Array, positive: int | None, weights: Array | None
) -> Array:
    """The measure of the positive class or, of more classes, its mean over those that have a value."""
    if positive is not None:
        return np.asarray(measure(codes == positive, p[:, positive], sample_weight=weights))
    each = np.stack([measure(codes == k, p[:, k], sample_weight=weights) for k in range(p.shape[1])])
    known = ~np.isnan(each)
    total = np.where(known, each, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), math.nan)

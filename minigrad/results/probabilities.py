"""How good probabilities are: how well they rank, how true they are, and what a threshold on them trades for what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.metrics import average_precision_score, brier_score, lift, log_loss, roc_auc_score
from minigrad.metrics.streaming import ROUNDING
from minigrad.parameter import Array
from minigrad.results.bootstrap import bootstrap
from minigrad.results.outcome import Interval, Measure, TradeOff

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
NAMES = {
    "auc": "AUC (ROC)",
    "average_precision": "AUC (precision-recall)",
    "lift": "lift of the riskiest tenth",
    "log_loss": "log loss",
    "brier": "Brier score",
}
FALLING = ("log_loss", "brier")  # of which less is better


def rarer(codes: Array, count: int) -> int | None:
    """Of two classes, the place of the one with fewer rows (of equals, the second); None of more classes."""
    sizes = np.bincount(codes, minlength=count)
    return None if count != 2 else int(sizes[1] <= sizes[0])


def ranking(codes: Array, p: Array, positive: int | None) -> float:
    """AUC: of the `positive` class or, of more classes, the mean of each against the others."""
    return float(_mean_of_classes(roc_auc_score, codes, p, positive, None))


def are_probabilities(p: Array) -> bool:
    """Whether each row of p (m, K) holds shares of 1, as Softmax gives them; K sigmoids are yes or no each."""
    return bool((p >= 0).all() and (abs(p.sum(axis=1) - 1) < ROUNDING).all())


def measured(
    codes: Array, p: Array, rivals: Sequence[Array], positive: int | None, seed: int
) -> tuple[tuple[Measure, ...], list[Interval]]:
    """The measures of p, and by how much its AUC is above that of each rival, from the held-out rows.

    `codes` (m,) are the true classes' places in the columns of p (m, K); `rivals` are such probabilities too, of which
    the first knows nothing of a row. Log loss and Brier score are left out of outputs that are no probabilities.
    """
    ignorant, width = rivals[0], p.shape[1] if positive is None else 1

    def figures(weights: Array | None) -> dict[str, Array]:
        own, chance = (_figures(codes, one, positive, weights) for one in (p, ignorant))
        found = own | {
            f"{name} gain": (chance[name] - own[name]) * (1 if name in FALLING else -1)
            for name in own
            if name in chance
        }
        theirs = (_mean_of_classes(roc_auc_score, codes, rival, positive, weights) for rival in rivals[1:])
        return found | {f"against {place}": own["auc"] - auc for place, auc in enumerate([chance["auc"], *theirs])}

    values, chance = figures(None), _figures(codes, ignorant, positive, None)
    intervals = bootstrap(figures, len(codes), width=width, seed=seed)
    measures = tuple(
        Measure(key, name, float(values[key]), intervals[key], float(chance[key]), intervals[f"{key} gain"])
        for key, name in NAMES.items()
        if key in values
    )
    return measures, [intervals[f"against {place}"] for place in range(len(rivals))]


def trade_offs(truth: Array, scores: Array, chosen: float | None = None) -> tuple[TradeOff, ...]:
    """What answering the class from each threshold on gives, on rows of which `truth` are of it.

    Those above all scores are left out, unless it is the `chosen` one.
    """
    edges = edges_of(chosen)
    return trades_of(edges, trade_counts(truth, scores, edges), int(truth.sum()), len(truth), chosen)


def edges_of(chosen: float | None) -> list[float]:
    """The thresholds to tell of."""
    return sorted({*THRESHOLDS, *([] if chosen is None else [chosen])})


def trade_counts(truth: Array, scores: Array, edges: Sequence[float]) -> Array:
    """How many rows each threshold has called so, and how many of them rightly, (thresholds, 2)."""
    called = scores >= np.asarray(edges, scores.dtype)[:, None]  # as an answer compares them
    return np.stack([called.sum(axis=1), (called & truth).sum(axis=1)], axis=1)


def trades_of(
    edges: Sequence[float], counts: Array, true: int, rows: int, chosen: float | None
) -> tuple[TradeOff, ...]:
    """What these counts mean; thresholds above all scores are left out, unless it is the `chosen` one."""
    found = zip(edges, counts.tolist(), strict=True)
    return tuple(TradeOff(e, called, right, true, rows) for e, (called, right) in found if called or e == chosen)


def _figures(codes: Array, p: Array, positive: int | None, weights: Array | None) -> dict[str, Array]:
    """The measures of p by their keys, as far as they apply."""
    found = {
        "auc": _mean_of_classes(roc_auc_score, codes, p, positive, weights),
        "average_precision": _mean_of_classes(average_precision_score, codes, p, positive, weights),
    }
    if positive is not None:
        found["lift"] = np.asarray(lift(codes == positive, p[:, positive], sample_weight=weights))
    if are_probabilities(p):
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

"""Measures of more rows than memory holds: sums to which the answers are added piece by piece.

    sums = ClassSums(model.classes)                  # NumberSums() of a model that tells numbers
    for number in range(len(blocks)):
        x, labels, _ = blocks[number]
        sums.add(labels, model.predict(x))
    print(sums.figures())

Means, sums of squares and counts are exact. Rankings need all scores in order, and come from counts of the scores in
narrow bins: AUC then misses its exact value by at most `auc_bound`, which is itself exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder, label_array
from minigrad.metrics import (
    average_precision_score,
    brier_terms,
    confusion_matrix,
    lift,
    log_loss_terms,
    roc_auc_score,
)
from minigrad.parameter import Array

BAGS = 256
"""Each row falls into one of so many at random: drawing these again, in place of rows, tells how sums spread."""
BINS = 65_536
CELLS = 1 << 21  # bins of all classes together: 32 MB for those that are of the class and those that are not
LOWEST, HIGHEST = -40.0, 17.0  # log-odds with bins of their own: 1 - p of float32 ends at 6e-8, p far lower
ROUNDING = 1e-3  # by which outputs that are probabilities may miss a sum of 1


class NumberSums:
    """How far answers p are from numbers t: R², root mean squared and mean absolute error.

    `centre` is a number near the targets' mean, which keeps digits of R², and what knowing nothing answers.
    """

    COLUMNS = ("rows", "t", "t²", "|t|", "e²", "|e|")
    """What `bags` (BAGS, 6) has the sums of: t less the centre, and e = t - p."""

    bags: Array

    def __init__(self, centre: float = 0.0, seed: int = 0) -> None:
        self.centre: float = float(centre)
        self.bags = np.zeros((BAGS, len(self.COLUMNS)))
        self._rng = np.random.default_rng((seed, 0, 5))

    def add(self, t: npt.ArrayLike, p: npt.ArrayLike) -> None:
        """Add rows: targets and predictions, (m,) or (m, 1) each. Raises ValueError where they are not as many."""
        truth, answers = (np.asarray(values, np.float64) for values in (t, p))
        if truth.size != answers.size or truth.size != len(truth):
            raise ValueError(f"targets of shape {truth.shape} and predictions of {answers.shape}: each row has one")
        off, error = truth.ravel() - self.centre, truth.ravel() - answers.ravel()
        terms = np.stack([np.ones_like(off), off, off**2, abs(off), error**2, abs(error)], axis=1)
        _add_to(self.bags, self._rng, terms)

    def figures(self) -> dict[str, float]:
        """`rows`, `r2`, `rmse`, `mae`. Raises ValueError for fewer than two rows, of which R² can't be told."""
        found = self.weighted(np.ones((1, BAGS)))
        return {"rows": int(self.bags[:, 0].sum())} | {name: float(found[name][0]) for name in ("r2", "rmse", "mae")}

    def weighted(self, weights: Array) -> dict[str, Array]:
        """The figures, and by how much knowing nothing misses, of D weightings (D, BAGS) of the bags, (D,) each.

        Raises ValueError for fewer than two rows.
        """
        if self.bags[:, 0].sum() < 2:
            raise ValueError("R² compares with the mean of the targets: it needs at least two rows")
        rows, t, squares, absolute, wrong, missed = (weights @ self.bags).T
        spread = squares - t**2 / rows
        # As r2_score has it, constant targets are explained where they are met exactly; and what is left of a
        # difference that cancels is no spread.
        varies = spread > 1e-12 * squares
        r2 = 1 - np.where(varies, wrong / np.where(varies, spread, 1), wrong > 0)
        chance = {"chance_rmse": np.sqrt(spread.clip(0) / rows), "chance_mae": absolute / rows}
        return {"r2": r2, "rmse": np.sqrt(wrong / rows), "mae": missed / rows} | chance


class ClassSums:
    """How good probabilities (m, K) of classes are: accuracy, log loss, Brier score, AUC, average precision, lift.

    `classes` are the labels in the order of the columns. One output for two classes is the probability of the second.
    """

    bags: Array
    """(BAGS, K + 2): rows of each class, and the sums of the terms of log loss and Brier score."""
    bins: Array
    """(2, K, bins): how many rows that are of the class, and that are not, have a score in the bin."""

    def __init__(self, classes: Any, seed: int = 0) -> None:
        self.classes: Array = label_array(classes)
        count = len(self.classes)
        self._encoder = LabelEncoder(self.classes)
        self._place = np.argsort(self._encoder.encode(self.classes))
        self.matrix: npt.NDArray[np.int64] = np.zeros((count, count), np.int64)
        self.bags = np.zeros((BAGS, count + 2))
        self.bins = np.zeros((2, count, min(BINS, CELLS // count)), np.int64)
        self.shares: bool = True
        """Whether the outputs of each row are shares of 1, as Softmax gives them: else log loss means nothing."""
        self._rng = np.random.default_rng((seed, 0, 5))

    def add(self, labels: Any, p: npt.ArrayLike, answers: Any = None) -> None:
        """Add rows: their labels (m,), and the outputs (m, K) for them.

        `answers` are the labels that are answered, where that is not the one of the largest output. Raises ValueError
        for a label that is none of the classes, and for outputs that are not between 0 and 1.
        """
        p = np.asarray(p)
        if p.ndim == 2 and p.shape[1] == 1 and len(self.classes) == 2:
            p = np.column_stack([1 - p[:, 0], p[:, 0]])
        codes = self._place[self._encoder.encode(labels)]
        if p.shape != (len(codes), len(self.classes)):
            raise ValueError(f"outputs of shape {p.shape} for {len(codes)} rows and {len(self.classes)} classes")
        if not len(codes):
            return
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError("outputs are probabilities, from 0 to 1")
        if answers is None:
            answers = self.classes[p.argmax(axis=1)]
        self.matrix += confusion_matrix(labels, answers, self.classes)
        self.shares = self.shares and bool((abs(p.sum(axis=1) - 1) < ROUNDING).all())
        is_one = np.eye(len(self.classes))[codes]
        _add_to(self.bags, self._rng, np.column_stack([is_one, log_loss_terms(codes, p), brier_terms(codes, p)]))
        size = self.bins.shape[2]
        with np.errstate(divide="ignore"):
            odds = np.log(p, dtype=np.float64) - np.log1p(-p.astype(np.float64))
        places = ((odds - LOWEST) * (size / (HIGHEST - LOWEST))).clip(0, size - 1).astype(np.intp)
        for k in range(len(self.classes)):
            for side, rows in enumerate((codes == k, codes != k)):
                self.bins[side, k] += np.bincount(places[rows, k], minlength=size)

    def figures(self, positive: Any = None) -> dict[str, float]:
        """`rows`, `accuracy`, `auc`, `auc_bound`, `average_precision`; of shares of 1 `log_loss` and `brier`.

        Of two classes, rankings (and the `lift` of the highest tenth) are of the label `positive`, by default the
        second; of more, they are means of each class against the others that has rows on both sides.

        Raises ValueError for no rows.
        """
        rows = int(self.matrix.sum())
        if not rows:
            raise ValueError("there are no rows to measure")
        found = {"rows": rows, "accuracy": float(np.trace(self.matrix) / rows)}
        places = list(range(len(self.classes)))
        if len(places) == 2:
            places = [1 if positive is None else self.classes.tolist().index(positive)]
        each = [self.ranking(k) | {"auc_bound": self.auc_bound(k)} for k in places]
        for name in [name for name in each[0] if name != "lift" or len(places) == 1]:
            known = [float(figures[name]) for figures in each if not np.isnan(figures[name])]
            found[name] = float(np.mean(known)) if known else float("nan")
        return found | {name: float(value[0]) for name, value in self.weighted(np.ones((1, BAGS))).items()}

    def weighted(self, weights: Array) -> dict[str, Array]:
        """Log loss and Brier score, of D weightings (D, BAGS) of the bags, (D,) each; of shares of 1 alone."""
        if not self.shares:
            return {}
        sums = weights @ self.bags
        rows = sums[:, :-2].sum(axis=1)
        return {"log_loss": sums[:, -2] / rows, "brier": sums[:, -1] / rows}

    def counts(self, k: int) -> tuple[Array, Array, Array]:
        """The bins that hold rows of class k's scores: whether they are of the class, the bin, and how many."""
        side, place = np.nonzero(self.bins[:, k])
        return 1 - side, place, self.bins[side, k, place]

    def ranking(self, k: int, weights: Array | None = None) -> dict[str, Any]:
        """AUC, average precision and lift of class k; of D other counts of its bins (D, …), (D,) each."""
        truth, scores, counts = self.counts(k)
        counts = counts if weights is None else weights
        return {
            "auc": roc_auc_score(truth, scores, counts),
            "average_precision": average_precision_score(truth, scores, counts),
            "lift": lift(truth, scores, sample_weight=counts),
        }

    def auc_bound(self, k: int) -> float:
        """How far AUC may be from that of the scores: pairs that share a bin count half, where it is one or none."""
        true, other = self.bins[:, k].astype(np.float64)
        pairs = true.sum() * other.sum()
        return float((true * other).sum() / pairs / 2) if pairs else float("nan")


def _add_to(bags: Array, rng: np.random.Generator, terms: Array) -> None:
    """Add rows of terms, each to the sums of a bag."""
    bag = rng.integers(BAGS, size=len(terms))
    for place, column in enumerate(terms.T):
        bags[:, place] += np.bincount(bag, weights=column, minlength=BAGS)

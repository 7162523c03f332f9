"""How good a network's answers are: for classes, accuracy, ranking and probabilities; for numbers, errors and R².

Where a function takes `sample_weight`, that is (m,), or (D, m) for D values at once: a bootstrap counts in it how often
each row was drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder, label_array
from minigrad.parameter import Array


def accuracy(labels: Any, predicted: Any) -> float:
    """The share of rows whose predicted label is the true one.

    From a network's outputs that is the label of the *largest* output: `accuracy(labels, model.predict_classes(x))`.

    Raises ValueError for no labels, for another number of predictions or predictions of another kind, and for what is
    no label.
    """
    matrix = confusion_matrix(labels, predicted)
    return float(np.trace(matrix) / matrix.sum())


def confusion_matrix(labels: Any, predicted: Any, classes: Any = None) -> npt.NDArray[np.int64]:
    """C[i, j]: how many rows of class i were given class j. Shape (K, K); rows are true, columns predicted.

    The classes are those that occur on either side, sorted, or the given ones in their order.

    Raises ValueError for no labels, for another number of predictions or predictions of another kind, for what is no
    label, and for `classes` that hold one of them twice or miss one.
    """
    _, matrix = _counted(labels, predicted, classes)
    return matrix


@dataclass(frozen=True)
class ClassificationReport:
    """Per class and on average, from the confusion matrix C; TP_k = C[k, k]. A fraction of 0/0 counts as 0.

    precision_k = TP_k / Σ_i C[i, k]: of the rows called k, how many are k.
    recall_k    = TP_k / Σ_j C[k, j]: of the rows that are k, how many were called k.
    f1_k        = 2 TP_k / (Σ_i C[i, k] + Σ_j C[k, j]), the harmonic mean of both.

    The macro averages are plain means over all classes; the balanced accuracy is the mean recall of the classes that
    have rows, so that a network that always answers the largest of K classes gets 1/K.
    """

    classes: Array
    precision: Array
    recall: Array
    f1: Array
    support: Array
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    balanced_accuracy: float

    @classmethod
    def of(cls, classes: Array, matrix: npt.NDArray[np.int64]) -> ClassificationReport:
        """The report of a confusion matrix, such as a sum of those of parts of the rows."""
        return _reported(classes, matrix)

    def __str__(self) -> str:
        names = [str(name) for name in self.classes.tolist()]
        width = max(len(name) for name in [*names, "balanced accuracy"])

        def line(name: str, numbers: list[float], rows: int) -> str:
            cells = "".join(f"{number:>11.3f}" for number in numbers)
            return f"{name:>{width}}{cells:>33}{rows:>9}"

        rows = int(self.support.sum())
        columns = zip(names, self.precision, self.recall, self.f1, self.support, strict=True)
        return "\n".join(
            [
                f"{'':>{width}}{'precision':>11}{'recall':>11}{'F1':>11}{'rows':>9}",
                *(line(name, [precision, recall, f1], count) for name, precision, recall, f1, count in columns),
                "",
                line("macro average", [self.macro_precision, self.macro_recall, self.macro_f1], rows),
                line("balanced accuracy", [self.balanced_accuracy], rows),
                line("accuracy", [self.accuracy], rows),
            ]
        )


def classification_report(labels: Any, predicted: Any, classes: Any = None) -> ClassificationReport:
    """Precision, recall and F1 of every class, and their averages; `print` shows them as a table.

    Raises ValueError for no labels, for another number of predictions or predictions of another kind, for what is no
    label, and for `classes` that hold one of them twice or miss one.
    """
    return ClassificationReport.of(*_counted(labels, predicted, classes))


def _reported(names: Array, matrix: npt.NDArray[np.int64]) -> ClassificationReport:
    right, support, called = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = _ratio(right, called), _ratio(right, support), _ratio(2 * right, called + support)
    return ClassificationReport(
        classes=names,
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        accuracy=float(right.sum() / matrix.sum()),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        balanced_accuracy=float(recall[support > 0].mean()),
    )


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """(p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n), where p = successes / n and z is the normal quantile.

    The interval of probabilities that would not find `successes` out of n surprising. It stays inside [0, 1] and holds
    what it promises for shares near 0 and 1 too, where p ± z √(p (1 - p)/n) does not. Source: E. B. Wilson, "Probable
    inference, the law of succession, and statistical inference", JASA 22, 1927.

    Raises ValueError for less than one trial, for successes that are not 0 to `total` of them, and for a `confidence`
    that is not between 0 and 1.
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(
            f"{successes} successes out of {total}: there must be 0..total of them, and at least one trial"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence}")
    from statistics import NormalDist  # `import minigrad` is to be quick

    z, p = NormalDist().inv_cdf((1 + confidence) / 2), successes / total
    middle = p + z * z / (2 * total)
    half = z * (p * (1 - p) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == total else (middle + half) / scale
    return low, high


def majority_baseline(train_labels: Any, test_labels: Any) -> float:
    """The accuracy on the test labels of always answering the most frequent training label (of equals, the first)."""
    encoder = LabelEncoder(train_labels)
    answer = encoder.classes[np.bincount(encoder.encode(train_labels)).argmax()]
    test = label_array(test_labels)
    return accuracy(test, np.full(len(test), answer, encoder.classes.dtype))


# --------------------------------------------------------------------------------------- rankings and probabilities
def roc_auc_score(truth: npt.ArrayLike, scores: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Any:
    """AUC = Σ_ij w_i w_j ([s_i > s_j] + ½ [s_i = s_j]) / (Σ_i w_i Σ_j w_j), i over the true rows, j over the others.

    The probability that a row that is true (1) gets a higher score than one that is not (0): 1 is perfect, 0.5 is
    chance; NaN where there is only one kind. It is the area under the ROC curve. Source: Hanley and McNeil, "The
    meaning and use of the area under a receiver operating characteristic (ROC) curve", Radiology 143, 1982.

    Raises ValueError unless each row has one finite score, and 1 or 0 for the truth.
    """
    true, other = _by_score(truth, scores, sample_weight)
    above = np.cumsum(true, axis=-1) - true
    pairs = true.sum(axis=-1) * other.sum(axis=-1)
    return _plain(_ratio(((above + true / 2) * other).sum(axis=-1), pairs, math.nan))


def average_precision_score(
    truth: npt.ArrayLike, scores: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> Any:
    """AP = Σ_k (R_k - R_{k-1}) P_k over the different scores, downwards; P_k, R_k: precision and recall from there up.

    The area under the precision-recall curve as steps. Chance has the share of true rows, and 1 is perfect; NaN where
    no row is true. Source: Davis and Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.

    Raises ValueError unless each row has one finite score, and 1 or 0 for the truth.
    """
    true, other = _by_score(truth, scores, sample_weight)
    precision = _ratio(np.cumsum(true, axis=-1), np.cumsum(true + other, axis=-1), 0.0)
    return _plain(_ratio((true * precision).sum(axis=-1), true.sum(axis=-1), math.nan))


def lift(
    truth: npt.ArrayLike, scores: npt.ArrayLike, share: float = 0.1, sample_weight: npt.ArrayLike | None = None
) -> Any:
    """How many times as many true rows stand in the `share` of rows with the highest scores as in as many at random.

    Equal scores at the edge count by their mean. Chance has 1, and at most it is 1 / max(share, share of true rows).

    Raises ValueError unless each row has one finite score, and 1 or 0 for the truth, and for a `share` that is not
    above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: it is above 0 and at most 1")
    true, other = _by_score(truth, scores, sample_weight)
    found, called = np.cumsum(true, axis=-1), np.cumsum(true + other, axis=-1)
    places = share * called[..., -1]
    lines = zip(np.atleast_1d(places), np.atleast_2d(called), np.atleast_2d(found), strict=True)
    # The curve of found against called begins at no rows at all.
    caught = np.array([np.interp(place, np.append(0, c), np.append(0, f)) for place, c, f in lines])
    return _plain(_ratio(caught.reshape(places.shape), share * found[..., -1], math.nan))


def log_loss(codes: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Any:
    """mean -ln p[i, codes_i]: `codes` (m,) are the places of the true classes in the columns of p (m, K).

    0 is perfect; answering the classes' shares h gets -Σ h ln h. A probability of 0 counts as the dtype's rounding.

    Raises ValueError where p is not (m, K), and for a code that is none of 0..K-1.
    """
    return _mean(log_loss_terms(codes, p), sample_weight)


def brier_score(codes: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Any:
    """mean Σ_k (p_k - t_k)² over the classes k, t one-hot; halved for two classes, where both terms are the same.

    0 is perfect; answering the classes' shares gets 1 - Σ h² (halved likewise). Source: Brier, "Verification of
    forecasts expressed in terms of probability", Monthly Weather Review 78, 1950.

    Raises ValueError where p is not (m, K), and for a code that is none of 0..K-1.
    """
    return _mean(brier_terms(codes, p), sample_weight)


def log_loss_terms(codes: npt.ArrayLike, p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """-ln p[i, codes_i] of each row, (m,). Raises ValueError as `log_loss` does."""
    codes, p = _coded(codes, p)
    own = np.clip(p[np.arange(len(codes)), codes], np.finfo(p.dtype).eps, 1).astype(np.float64)
    return np.asarray(-np.log(own))


def brier_terms(codes: npt.ArrayLike, p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Σ_k (p_k - t_k)² of each row, or half of it, (m,). Raises ValueError as `brier_score` does."""
    codes, p = _coded(codes, p)
    p = p.astype(np.float64)
    return np.asarray(((p - np.eye(p.shape[1])[codes]) ** 2).sum(axis=1) / (2 if p.shape[1] == 2 else 1))


# ---------------------------------------------------------------------------------------------------------- numbers
def mean_squared_error(t: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """mean (t - p)² over all rows and columns. Raises ValueError for unequal shapes, and for no rows."""
    t, p = _targets(t, p)
    return float(np.mean((t - p) ** 2))


def mean_absolute_error(t: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """mean |t - p| over all rows and columns. Raises ValueError for unequal shapes, and for no rows."""
    t, p = _targets(t, p)
    return float(np.mean(np.abs(t - p)))


def r2_score(t: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """R² = 1 - Σ (t - p)² / Σ (t - mean t)² for each column, averaged: the share of the variance that is explained.

    1 is perfect, 0 is what always answering the mean gets. A column whose targets are all equal has no variance to
    explain: it counts as 1 when it is met exactly and as 0 otherwise.

    Raises ValueError for unequal shapes, and for less than two rows.
    """
    t, p = _targets(t, p)
    if len(t) < 2:
        raise ValueError("R² compares with the mean of the targets: it needs at least two rows")
    error = np.sum((t - p) ** 2, axis=0)
    spread = np.sum((t - t.mean(axis=0)) ** 2, axis=0)
    # Equal targets may differ from their own rounded mean, so the spread alone does not tell.
    varies = (t != t[0]).any(axis=0) & (spread > 0)
    explained = 1 - np.where(varies, error / np.where(varies, spread, 1), error > 0)
    return float(np.mean(explained))


def _counted(labels: Any, predicted: Any, classes: Any) -> tuple[Array, npt.NDArray[np.int64]]:
    """The classes and the confusion matrix."""
    labels, predicted = label_array(labels), label_array(predicted)
    if len(labels) != len(predicted):
        raise ValueError(f"there are {len(labels)} labels and {len(predicted)} predictions")
    if len(labels) == 0:
        raise ValueError("there are no labels to compare")
    if classes is None:
        true, answers = LabelEncoder(labels), LabelEncoder(predicted)
        if true.kind != answers.kind:
            raise ValueError(f"the labels are {true.kind} and the predictions {answers.kind}; decode the predictions")
        encoder = LabelEncoder([*true.classes.tolist(), *answers.classes.tolist()])
        order = encoder.classes
    else:
        order = label_array(classes)
        encoder = LabelEncoder(order)
        if len(encoder.classes) != len(order):
            raise ValueError(f"the {len(order)} classes hold one of them twice")
    place = np.empty(len(order), np.intp)
    place[encoder.encode(order)] = np.arange(len(order))
    rows, columns = place[encoder.encode(labels)], place[encoder.encode(predicted)]
    pairs = np.bincount(rows * len(order) + columns, minlength=len(order) ** 2)
    return order, pairs.reshape(len(order), len(order)).astype(np.int64)


def _ratio(part: Array, whole: Array, otherwise: float = 0.0) -> Array:
    return np.divide(part, whole, out=np.full(np.shape(part), otherwise), where=whole > 0)


def _by_score(
    truth: npt.ArrayLike, scores: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The weights of the true rows and of the others at each different score, from the highest down: (…, scores)."""
    truth, scores = np.asarray(truth, np.float64), np.asarray(scores, np.float64)
    if truth.shape != scores.shape or truth.ndim != 1 or not len(truth):
        raise ValueError(f"truth of shape {truth.shape} and scores of {scores.shape}: each row has one of both")
    if not np.isfinite(scores).all() or not np.isin(truth, (0, 1)).all():
        raise ValueError("scores are finite numbers, and the truth is 1 or 0 for each row")
    order = np.argsort(-scores, kind="stable")
    falls = np.flatnonzero(np.diff(scores[order])) + 1
    weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    weights = weights.take(order, axis=-1)
    true = weights * truth[order]
    other = weights - true
    if len(falls) < len(truth) - 1:  # else no scores are equal
        true, other = (np.add.reduceat(side, np.append(0, falls), axis=-1) for side in (true, other))
    return true, other


def _coded(codes: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Array, Array]:
    """Codes (m,) and outputs (m, K), floats."""
    codes, p = np.asarray(codes), np.asarray(p)
    if codes.ndim != 1 or p.ndim != 2 or len(p) != len(codes):
        raise ValueError(f"codes of shape {codes.shape} and p of {p.shape}: they are (m,) and (m, K)")
    if codes.dtype.kind not in "iu" or not ((codes >= 0) & (codes < p.shape[1])).all():
        raise ValueError(f"the codes of {p.shape[1]} classes are whole numbers from 0 to {p.shape[1] - 1}")
    return codes, p if p.dtype.kind == "f" else p.astype(np.float64)


def _mean(values: Array, sample_weight: npt.ArrayLike | None) -> Any:
    weights = np.ones(len(values)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return _plain(weights @ values / weights.sum(axis=-1))


def _plain(value: Array) -> Any:
    """A float where it is one number."""
    return float(value) if np.ndim(value) == 0 else value


def _targets(t: npt.ArrayLike, p: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    t, p = np.asarray(t, np.float64), np.asarray(p, np.float64)
    if t.shape != p.shape:
        raise ValueError(f"targets of shape {t.shape} and predictions of shape {p.shape}: the shapes must be equal")
    if t.size == 0:
        raise ValueError("there are no rows to compare")
    return t, p

"""What can be said of a trained network, honestly: scores with intervals, baselines, the worst rows, and warnings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder
from minigrad.layers.activations import Softmax
from minigrad.layers.dense import Dense
from minigrad.losses import CategoricalCrossEntropy, MeanSquaredError
from minigrad.metrics import (
    ClassificationReport,
    classification_report,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
    wilson_interval,
)
from minigrad.optimizers import Adam
from minigrad.parameter import Array
from minigrad.plots import first_weights, image_side
from minigrad.sequential import Sequential
from minigrad.training.history import History

Z = 1.959964  # the normal quantile of a 95 % interval
FEW_ROWS = 10  # a class of fewer rows is hardly learned, and not measured at all
GAP, R2_GAP = 0.05, 0.1  # training scores so far above the held-out one are named
WORST = 16  # rows shown
NAMED = 8  # columns or classes named in a warning
BASELINE_STEPS, BASELINE_BATCH, BASELINE_RATE = 2000, 32, 0.03  # reach scikit-learn's LogisticRegression (tried)


@dataclass(frozen=True)
class Classification:
    """Answers that are classes. The matrices have true classes down, predicted ones across, both as in `classes`."""

    train_matrix: npt.NDArray[np.int64]
    held_out_matrix: npt.NDArray[np.int64]
    report: ClassificationReport
    confidence: Array
    """The output behind the answer for each held-out row: the largest one."""
    right: Array
    """Whether that answer was right."""

    measure = "accuracy"

    @property
    def classes(self) -> list[Any]:
        """The labels in the user's own words, sorted."""
        return list(self.report.classes.tolist())

    @property
    def score(self) -> float:
        """The share of held-out rows whose largest output is the true class."""
        return share(self.held_out_matrix)

    @property
    def train_score(self) -> float:
        """The same of the rows that were trained on."""
        return share(self.train_matrix)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `score`."""
        return wilson_interval(int(np.trace(self.held_out_matrix)), int(self.held_out_matrix.sum()))

    def class_intervals(self) -> list[tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]:
        """95 % intervals of each class's precision, recall and F1; (0, 1) where there are no rows to tell by.

        Precision and recall are shares, and have Wilson's. F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a share
        of the rows that are of the class or are called so; its interval is that of J, carried over.
        """
        matrix, found = self.held_out_matrix, []
        for k in range(len(matrix)):
            right, called, rows = int(matrix[k, k]), int(matrix[:, k].sum()), int(matrix[k].sum())
            low, high = _wilson(right, called + rows - right)
            found.append((_wilson(right, called), _wilson(right, rows), (2 * low / (1 + low), 2 * high / (1 + high))))
        return found


@dataclass(frozen=True)
class Regression:
    """Answers that are numbers: `truth` and `answers` of the held-out rows, (m, outputs)."""

    truth: Array
    answers: Array
    score: float
    interval: tuple[float, float]
    train_score: float
    error: float
    """Mean |t - p| over the held-out rows."""
    error_interval: tuple[float, float]
    train_error: float

    measure = "R²"


@dataclass(frozen=True)
class Baseline:
    """A simpler answer to the same rows: its score, and `gain`, the 95 % interval of how much better the network is.

    The interval is paired: it comes from the differences row by row, so it is much narrower than that of either score.
    """

    name: str
    score: float
    gain: tuple[float, float]
    error: float | None = None

    @property
    def verdict(self) -> str:
        """What the network is against this baseline: "better", "worse" or "not clearly better"."""
        return "better" if self.gain[0] > 0 else "worse" if self.gain[1] < 0 else "not clearly better"


@dataclass(frozen=True)
class Mistake:
    """A held-out row that was answered wrongly. `row` counts from 1 in the user's data.

    For classes, `size` is the output behind the answer and `truth_output` that of the true class; for numbers, `size`
    is |truth - answer|.
    """

    row: int
    truth: Any
    answer: Any
    size: float
    truth_output: float
    x: Array


@dataclass(frozen=True)
class Warning:
    """Something that makes the numbers worth less than they look, in one line and in a few."""

    title: str
    text: str


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found."""

    outcome: Classification | Regression
    train_rows: int
    held_out_rows: int
    features: int
    history: History
    baselines: list[Baseline]
    mistakes: list[Mistake]
    warnings: list[Warning]
    pictures: bool
    """Whether the rows of x are square pictures."""
    first_weights: Array | None
    """(units, …) of the first layer, where they are square pictures; else None."""
    layers: list[str]
    parameters: int
    summary: str
    """The table of the layers."""
    spread: list[float] = field(default_factory=list)
    """The scores of other runs, with other splits, first weights and orders; this run's is the first."""


def evaluate(
    model: Sequential,
    history: History,
    x: Any,
    t: Any,
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    l2: float | None = None,
    names: Sequence[str] | None = None,
    first_row: int = 1,
    others: Sequence[float] = (),
    decode: Callable[[Array], Any] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure a model that was trained on the rows `train` of x and t on the rows `test`, which it has not seen.

        train, test = split_rows(labels, 0.2)
        history = model.fit(x[train], labels[train], …)
        print(evaluate(model, history, x, labels, train, test).outcome.score)

    x (rows, …) and t in the order of the user's data, since sorted data are worth a warning; t are the labels of a
    model that was trained on labels, else numbers. `names` are those of x's columns, `first_row` is the number that the
    user's program gives the first row. `decode` turns the model's outputs into t's units, where they are others. The
    baselines are trained here, on the same rows, with the penalty `l2`
    (by default 1 / rows). `others` are the scores of runs with other seeds, if there were any.
    """
    x, t, train, test = np.asarray(x), np.asarray(t), np.asarray(train), np.asarray(test)
    flat = x.reshape(len(x), -1)
    pictures = image_side(x.shape[1:]) is not None and names is None
    l2 = 1 / len(train) if l2 is None else l2
    linear = _Linear(flat[train], common_scale=pictures, l2=l2, seed=seed)
    outcome: Classification | Regression
    if model.classes is not None:
        outcome, baselines, mistakes = _classes(model, x, t, train, test, linear, first_row)
    else:
        outcome, baselines, mistakes = _numbers(model, x, t, train, test, linear, first_row, decode)
    weights = first_weights(model)
    shown = pictures and weights is not None and len(weights) == flat.shape[1]
    return Evaluation(
        outcome=outcome,
        train_rows=len(train),
        held_out_rows=len(test),
        features=flat.shape[1],
        history=history,
        baselines=baselines,
        mistakes=mistakes,
        warnings=_warnings(outcome, flat, t, train, test, names),
        pictures=pictures,
        first_weights=weights.T.copy() if shown and weights is not None else None,
        layers=[repr(layer) for layer in model],
        parameters=model.theta.size,
        summary=model.summary(),
        spread=[outcome.score, *others] if others else [],
    )


def percent(number: float) -> str:
    """0.918 -> 91.8 %, without a line break in it."""
    return f"{100 * number:.1f}\N{NO-BREAK SPACE}%"


def share(matrix: npt.NDArray[np.int64]) -> float:
    """The share of rows on the diagonal of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


# ---------------------------------------------------------------------------------------------------- the two kinds
def _classes(
    model: Sequential, x: Array, labels: Array, train: Array, test: Array, linear: _Linear, first_row: int
) -> tuple[Classification, list[Baseline], list[Mistake]]:
    assert model.classes is not None
    classes, p = model.classes, model.predict(x[test])
    if p.shape[1] == 1:
        p = np.column_stack([1 - p[:, 0], p[:, 0]]) if model.boundary == 0.5 else np.column_stack([-p, p])
    answers, codes = p.argmax(axis=1), LabelEncoder(classes).encode(labels)
    truth, rows = codes[test], np.arange(len(test))
    right, confidence = answers == truth, p.max(axis=1)
    outcome = Classification(
        train_matrix=confusion_matrix(labels[train], model.predict_classes(x[train]), classes),
        held_out_matrix=confusion_matrix(labels[test], classes[answers], classes),
        report=classification_report(labels[test], classes[answers], classes),
        confidence=confidence,
        right=right,
    )
    common = np.bincount(codes[train]).argmax()
    flat = x[test].reshape(len(test), -1)
    baselines = []
    for name, other in (
        (f"always answering {classes[common]}", np.full(len(test), common)),
        ("logistic model", linear.classes(codes[train], len(classes), flat)),
    ):
        right_too = other == truth
        # One row more for either side: an adjusted interval, honest for few rows too. Source: Bonett and Price,
        # "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", 2012.
        differences = np.concatenate([right * 1.0 - right_too, [1, -1]])
        baselines.append(Baseline(name, float(right_too.mean()), _mean_interval(differences)))
    wrong = np.flatnonzero(~right)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    own = p[rows, truth]
    mistakes = [
        Mistake(
            int(test[i]) + first_row,
            classes[truth[i]],
            classes[answers[i]],
            float(confidence[i]),
            float(own[i]),
            x[test[i]],
        )
        for i in wrong
    ]
    return outcome, baselines, mistakes


def _numbers(
    model: Sequential,
    x: Array,
    t: Array,
    train: Array,
    test: Array,
    linear: _Linear,
    first_row: int,
    decode: Callable[[Array], Any] | None,
) -> tuple[Regression, list[Baseline], list[Mistake]]:
    t = t.reshape(len(t), -1).astype(np.float64)
    told = [model.predict(x[rows]) for rows in (test, train)]
    answers, fitted = (np.asarray(p if decode is None else decode(p), np.float64).reshape(len(p), -1) for p in told)
    truth = t[test]
    # The scatter that R² is measured by. Targets that are all equal have none; then R² is 0 or 1 by definition.
    scatter = np.mean((truth - truth.mean(axis=0)) ** 2, axis=0)
    scatter = np.where(scatter > 0, scatter, math.inf)
    score = r2_score(truth, answers) if len(test) > 1 else math.nan
    # R² = 1 - A/B, both means over rows; its standard error by the delta method.
    ratio = np.mean((truth - answers) ** 2, axis=0) / scatter
    influence = ((truth - answers) ** 2 - ratio * (truth - truth.mean(axis=0)) ** 2) / scatter
    low, high = _mean_interval(influence.mean(axis=1))
    middle, missed = (low + high) / 2, abs(truth - answers).mean(axis=1)
    outcome = Regression(
        truth=truth,
        answers=answers,
        score=score,
        interval=(score - (high - middle), min(score + (high - middle), 1.0)),
        train_score=r2_score(t[train], fitted) if len(train) > 1 else math.nan,
        error=mean_absolute_error(truth, answers),
        error_interval=_mean_interval(missed),
        train_error=mean_absolute_error(t[train], fitted),
    )
    flat = x[test].reshape(len(test), -1)
    baselines = []
    for name, other in (
        ("always answering the mean", np.tile(t[train].mean(axis=0), (len(test), 1))),
        ("linear model", linear.numbers(t[train], flat)),
    ):
        gains = (((truth - other) ** 2 - (truth - answers) ** 2) / scatter).mean(axis=1)
        other_score = r2_score(truth, other) if len(test) > 1 else math.nan
        baselines.append(Baseline(name, other_score, _mean_interval(gains), mean_absolute_error(truth, other)))
    worst = np.argsort(-missed, kind="stable")[:WORST]
    mistakes = [
        Mistake(int(test[i]) + first_row, _one(truth[i]), _one(answers[i]), float(missed[i]), math.nan, x[test[i]])
        for i in worst
        if missed[i] > 0
    ]
    return outcome, baselines, mistakes


class _Linear:
    """The model without hidden layers, trained on the same rows: what the network has to beat.

    x is standardised by column, or, since the pixels of a picture share one scale, by one number for all of them.
    The rate of learning falls to 0 in a straight line, so that the last steps settle it.
    """

    def __init__(self, x: Array, *, common_scale: bool, l2: float, seed: int) -> None:
        self.mean = x.mean(axis=0, dtype=np.float64)
        scale = x.std(axis=0, dtype=np.float64)
        if common_scale:
            scale = np.full_like(scale, math.sqrt(float(np.mean(scale**2))))
        self.scale = np.where((x.min(axis=0) < x.max(axis=0)) & (scale > 0), scale, 1.0)
        self.x, self.l2, self.seed = self._scaled(x), l2, seed

    def _scaled(self, x: Array) -> Array:
        return np.asarray((x - self.mean) / self.scale, np.float32)

    def classes(self, codes: Array, count: int, x: Array) -> Array:
        """The code of the most probable class of each row of x, by multinomial logistic regression."""
        model = Sequential([Dense(self.x.shape[1], count), Softmax()], seed=self.seed)
        self._fit(model, np.eye(count)[codes], CategoricalCrossEntropy())
        return model.predict(self._scaled(x)).argmax(axis=1)

    def numbers(self, t: Array, x: Array) -> Array:
        """What linear least squares answers for each row of x."""
        mean, scale = t.mean(axis=0), t.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        model = Sequential([Dense(self.x.shape[1], t.shape[1])], seed=self.seed)
        self._fit(model, (t - mean) / scale, MeanSquaredError())
        return model.predict(self._scaled(x)).astype(np.float64) * scale + mean

    def _fit(self, model: Sequential, t: Array, loss: Any) -> None:
        per_epoch = math.ceil(len(self.x) / BASELINE_BATCH)
        epochs = math.ceil(BASELINE_STEPS / per_epoch)
        steps = epochs * per_epoch
        model.fit(
            self.x,
            t,
            loss=loss,
            optimizer=Adam(lambda step: BASELINE_RATE * (1 - step / steps)),
            epochs=epochs,
            batch_size=BASELINE_BATCH,
            l2=self.l2,
            progress=False,
            seed=self.seed,
        )


def _mean_interval(values: Array) -> tuple[float, float]:
    """The 95 % interval of the mean of independent values, by the normal approximation."""
    middle = float(values.mean())
    half = Z * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return middle - half, middle + half


def _wilson(successes: int, total: int) -> tuple[float, float]:
    return wilson_interval(successes, total) if total else (0.0, 1.0)


def _one(values: Array) -> Any:
    return float(values[0]) if len(values) == 1 else [float(value) for value in values]


# --------------------------------------------------------------------------------------------------------- warnings
def _warnings(
    outcome: Classification | Regression, x: Array, t: Array, train: Array, test: Array, names: Sequence[str] | None
) -> list[Warning]:
    found = [
        _repeated(outcome, x, train, test),
        _far_above(outcome),
        _rare(t) if isinstance(outcome, Classification) else None,
        _sorted(t, isinstance(outcome, Classification)),
        _constant(x[train], names),
    ]
    return [warning for warning in found if warning is not None]


def _repeated(outcome: Classification | Regression, x: Array, train: Array, test: Array) -> Warning | None:
    zero = np.zeros((), x.dtype)
    keys = [hash((row + zero).tobytes()) for row in x]  # -0.0 + 0 is 0.0; hashes, since x may be large
    known = {keys[i] for i in train}
    again = np.array([keys[i] in known for i in test])
    if not again.any():
        return None
    count, rows = int(again.sum()), len(test)
    new = ""
    if isinstance(outcome, Classification) and not again.all():
        new = f" On the {rows - count:,} other rows the accuracy is {percent(outcome.right[~again].mean())}."
    return Warning(
        f"{count:,} of the {rows:,} held-out rows also stand among the training rows",
        "They are equal in every column of x, so the network has seen them, and they say little about new rows; "
        f"remove the copies from the data, or keep them on one side of the split.{new}",
    )


def _far_above(outcome: Classification | Regression) -> Warning | None:
    gap = outcome.train_score - outcome.score
    if isinstance(outcome, Classification):
        if not (gap > GAP and outcome.train_score > outcome.interval[1]):
            return None
        scores = f"{percent(outcome.train_score)} on the training rows, {percent(outcome.score)} on the held-out ones"
        rule = f"more than {100 * GAP:.0f} points above, and above the held-out accuracy's 95 % interval"
    else:
        if not gap > R2_GAP:
            return None
        scores = f"R² {outcome.train_score:.3f} on the training rows, {outcome.score:.3f} on the held-out ones"
        rule = f"more than {R2_GAP} above"
    return Warning(
        "The network knows its training rows much better than new ones",
        f"{scores} (the rule: {rule}). It has probably learned rows by heart. More rows, fewer hidden units, "
        "a larger L2 or fewer epochs help; only the held-out number says what to expect of new rows.",
    )


def _rare(labels: Array) -> Warning | None:
    classes, counts = np.unique(labels, return_counts=True)
    few = [
        f"{name} ({count})" for name, count in zip(classes.tolist(), counts.tolist(), strict=True) if count < FEW_ROWS
    ]
    if not few:
        return None
    one = len(few) == 1
    return Warning(
        f"{'One class has' if one else f'{len(few)} classes have'} fewer than {FEW_ROWS} rows",
        f"{_listed(few)}. So few rows are hardly enough to learn a class, and next to none are left to measure it by; "
        f"what is said of {'it' if one else 'them'} here is little more than a guess.",
    )


def _sorted(t: Array, classes: bool) -> Warning | None:
    if t.ndim != 1 or len(t) < 3:
        return None
    if classes:
        codes = LabelEncoder(t).encode(t)
        blocks, kinds = int(np.count_nonzero(np.diff(codes))) + 1, len(np.unique(codes))
        # In a random order the class changes from row to row with the probability that two rows differ.
        expected = (len(t) - 1) * (1 - np.sum((np.bincount(codes) / len(t)) ** 2)) + 1
        if not (blocks == kinds > 1 and blocks < expected / 2):
            return None
        what = "each class is one block of rows"
    else:
        steps = np.diff(t)
        if not ((steps >= 0).all() or (steps <= 0).all()) or not steps.any():
            return None
        what = "the target only rises, or only falls, from row to row"
    return Warning(
        "The data are sorted",
        f"In the file, {what}. It has been shuffled here, so nothing is wrong with this result; but whoever holds out "
        "the last rows of such a file tests on rows unlike those trained on, and batches in file order teach one thing "
        "at a time. If the order is time, a random hold-out is too kind: hold out the latest rows instead.",
    )


def _constant(x: Array, names: Sequence[str] | None) -> Warning | None:
    columns = np.flatnonzero(x.min(axis=0) == x.max(axis=0))
    if not len(columns):
        return None
    one = len(columns) == 1
    shown = [str(i + 1) if names is None else repr(names[i]) for i in columns.tolist()]
    return Warning(
        f"{len(columns):,} of {x.shape[1]:,} columns {'is' if one else 'are'} constant",
        f"Column{'' if one else 's'} {_listed(shown)} {'has' if one else 'have'} the same value in every training row: "
        "nothing can be learned from that, and another value in a new row would be answered at random.",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")

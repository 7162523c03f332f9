"""A trained network measured on rows that it has not seen: scores, baselines, the worst rows, and cautions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder
from minigrad.metrics import classification_report, confusion_matrix, mean_absolute_error, r2_score
from minigrad.parameter import Array
from minigrad.plots import first_weights, image_side
from minigrad.results.baselines import Linear, class_baselines, number_baselines
from minigrad.results.cautions import find_cautions
from minigrad.results.outcome import Baseline, Classification, Evaluation, Mistake, Regression, mean_interval
from minigrad.sequential import Sequential
from minigrad.training.history import History

WORST = 16  # rows shown


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

    x (rows, …) and t come in the order of the user's data, since sorted data are worth a caution; t are the labels of a
    model that was trained on labels, else numbers. `names` are those of x's columns, `first_row` is the number that the
    user's program gives the first row. `decode` turns the model's outputs into t's units, where they are others. The
    baselines are trained here, on the same rows, with the penalty `l2` (by default 1 / rows). `others` are the scores
    of runs with other seeds, if there were any.
    """
    x, t, train, test = np.asarray(x), np.asarray(t), np.asarray(train), np.asarray(test)
    flat = x.reshape(len(x), -1)
    pictures = image_side(x.shape[1:]) is not None and names is None
    l2 = 1 / len(train) if l2 is None else l2
    linear = Linear(flat[train], common_scale=pictures, l2=l2, seed=seed)
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
        cautions=find_cautions(outcome, flat, t, train, test, names),
        pictures=pictures,
        first_weights=weights.T.copy() if shown and weights is not None else None,
        layers=[repr(layer) for layer in model],
        parameters=model.theta.size,
        summary=model.summary(),
        spread=[outcome.score, *others] if others else [],
    )


def _classes(
    model: Sequential, x: Array, labels: Array, train: Array, test: Array, linear: Linear, first_row: int
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
    baselines = class_baselines(linear, codes[train], classes, x[test].reshape(len(test), -1), truth, right)
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
    linear: Linear,
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
    low, high = mean_interval(influence.mean(axis=1))
    middle, missed = (low + high) / 2, abs(truth - answers).mean(axis=1)
    outcome = Regression(
        truth=truth,
        answers=answers,
        score=score,
        interval=(score - (high - middle), min(score + (high - middle), 1.0)),
        train_score=r2_score(t[train], fitted) if len(train) > 1 else math.nan,
        error=mean_absolute_error(truth, answers),
        error_interval=mean_interval(missed),
        train_error=mean_absolute_error(t[train], fitted),
    )
    baselines = number_baselines(linear, t[train], x[test].reshape(len(test), -1), truth, answers, scatter)
    worst = np.argsort(-missed, kind="stable")[:WORST]
    mistakes = [
        Mistake(int(test[i]) + first_row, _one(truth[i]), _one(answers[i]), float(missed[i]), math.nan, x[test[i]])
        for i in worst
        if missed[i] > 0
    ]
    return outcome, baselines, mistakes


def _one(values: Array) -> Any:
    return float(values[0]) if len(values) == 1 else [float(value) for value in values]

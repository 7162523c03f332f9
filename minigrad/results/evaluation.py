"""A trained network measured on rows that it has not seen: scores, baselines, the worst rows, and cautions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.data.labels import LabelEncoder
from minigrad.metrics import classification_report, confusion_matrix, mean_absolute_error, r2_score
from minigrad.parameter import Array
from minigrad.plots import first_weights, image_side
from minigrad.results.baselines import Rival, Simple, class_rivals, is_linear, number_rivals
from minigrad.results.cautions import find_cautions
from minigrad.results.duplicates import Hashes
from minigrad.results.intervals import conformal, measured, number_figures, ranking, rarer, trade_offs
from minigrad.results.outcome import Baseline, Classification, Evaluation, Interval, Mistake, Regression, mean_interval
from minigrad.sequential import Sequential
from minigrad.training.history import History

WORST = 16  # rows shown
UNBALANCED = 0.8  # the share of a class from which on accuracy says little


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
    groups: Mapping[str, Sequence[int]] | None = None,
    cells: Hashes | None = None,
    first_row: int | npt.NDArray[np.intp] = 1,
    others: Sequence[float] = (),
    decode: Callable[[Array], Any] | None = None,
    threshold: tuple[Any, float] | None = None,
    drawn: str = "",
    dates: Sequence[str] = (),
    trees: bool = True,
    seed: int = 0,
) -> Evaluation:
    """Measure a model that was trained on the rows `train` of x and t on the rows `test`, which it has not seen.

        train, test = split_rows(labels, 0.2)
        history = model.fit(x[train], labels[train], …)
        print(evaluate(model, history, x, labels, train, test).outcome.score)

    x (rows, …) and t come in the order of the user's data, since sorted data are worth a caution; t are the labels of a
    model that was trained on labels, else numbers. `names` are those of x's columns, `first_row` is the number that the
    user's program gives the first row, or those of all rows where some are left out. `groups` has the places in x of
    what each of the user's columns became (by default each is one), `cells` the digests of all cells that the user's
    rows have, where x has fewer. `decode` turns the model's outputs into t's units, where they are others. `threshold`
    is one of two classes, and the output from which on it is the answer. The baselines are trained here, on the same
    rows, with the penalty `l2` (by default 1 / rows); with `names` and `trees`, boosted trees are among them where
    scikit-learn is installed. `others` are the scores of runs with other seeds, if there were any. `drawn` says how
    rows were held out, where that was not at random; `dates` are columns by which it could have been.
    """
    x, t, train, test = np.asarray(x), np.asarray(t), np.asarray(train), np.asarray(test)
    flat = x.reshape(len(x), -1)
    pictures = image_side(x.shape[1:]) is not None and names is None
    l2 = 1 / len(train) if l2 is None else l2
    table = names is not None
    linear = not (table and is_linear(model))
    simple = Simple(flat[train], common_scale=pictures, l2=l2, seed=seed, linear=linear, trees=table and trees)
    outcome: Classification | Regression
    if model.classes is not None:
        outcome, baselines, mistakes = _classes(model, x, t, train, test, simple, first_row, threshold)
    else:
        outcome, baselines, mistakes = _numbers(model, x, t, train, test, simple, first_row, decode)
    if groups is None:
        each = [] if pictures else names or [f"column {k + 1}" for k in range(flat.shape[1])]
        groups = {name: [k] for k, name in enumerate(each)}
    columns = {name: np.array(places) for name, places in groups.items()}
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
        cautions=find_cautions(outcome, flat, t, train, test, names, columns, cells, () if drawn else dates),
        pictures=pictures,
        first_weights=weights.T.copy() if shown and weights is not None else None,
        layers=[repr(layer) for layer in model],
        parameters=model.theta.size,
        summary=model.summary(),
        spread=[outcome.score, *others] if others else [],
        drawn=drawn,
    )


def _classes(
    model: Sequential,
    x: Array,
    labels: Array,
    train: Array,
    test: Array,
    simple: Simple,
    first_row: int | npt.NDArray[np.intp],
    threshold: tuple[Any, float] | None,
) -> tuple[Classification, list[Baseline], list[Mistake]]:
    """What is found of answers that are labels, what simpler answers get, and the mistakes of the largest outputs."""
    assert model.classes is not None
    classes, codes = model.classes, LabelEncoder(model.classes).encode(labels)
    p, fitted = (class_outputs(model, x[rows]) for rows in (test, train))
    positive = rarer(codes[train], len(classes))
    edge = None
    if threshold is not None:
        positive, edge = classes.tolist().index(threshold[0]), threshold[1]
    truth, answers = codes[test], chosen(p, positive, edge)
    right = answers == truth
    rivals = class_rivals(simple, codes[train], classes, x[test].reshape(len(test), -1))
    measures, above = measured(truth, p, [rival.answers for rival in rivals], positive, simple.seed)
    largest = float(np.bincount(codes[train]).max() / len(train))
    unbalanced = largest if largest >= UNBALANCED else None
    confidence, own = p[np.arange(len(test)), answers], p[np.arange(len(test)), truth]
    outcome = Classification(
        train_matrix=confusion_matrix(labels[train], classes[chosen(fitted, positive, edge)], classes),
        held_out_matrix=confusion_matrix(labels[test], classes[answers], classes),
        report=classification_report(labels[test], classes[answers], classes),
        confidence=confidence,
        right=right,
        codes=truth,
        outputs=p,
        measures=measures,
        positive=positive,
        unbalanced=unbalanced,
        threshold=edge,
        trade_offs=() if positive is None else trade_offs(truth == positive, p[:, positive], edge),
    )
    baselines = [
        _class_baseline(rival, auc_gain, right, truth, positive, unbalanced is not None)
        for rival, auc_gain in zip(rivals, above, strict=True)
    ]
    wrong = np.flatnonzero(~right)
    mistakes = [
        Mistake(
            _number(first_row, int(test[i])),
            classes[truth[i]],
            classes[answers[i]],
            float(confidence[i]),
            float(own[i]),
            x[test[i]],
        )
        for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    ]
    return outcome, baselines, mistakes


def _class_baseline(
    rival: Rival, auc_gain: Interval, right: Array, truth: Array, positive: int | None, by_auc: bool
) -> Baseline:
    """How good a rival is, and by how much the network, whose answers are `right` or not, is better."""
    right_too = rival.answers.argmax(axis=1) == truth
    # One row more for either side: an adjusted interval, honest for few rows too. Source: Bonett and Price,
    # "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", 2012.
    gain = mean_interval(np.concatenate([right * 1.0 - right_too, [1, -1]]))
    auc, score = ranking(truth, rival.answers, positive), float(right_too.mean())
    return Baseline(rival.name, score, gain, auc=auc, auc_gain=auc_gain, by_auc=by_auc, advice=rival.advice)


def class_outputs(model: Sequential, x: Array) -> Array:
    """The model's outputs for these rows, a column for each class: one output for two classes becomes two."""
    p = model.predict(x)
    if p.shape[1] > 1:
        return p
    return np.column_stack([1 - p[:, 0], p[:, 0]]) if model.boundary == 0.5 else np.column_stack([-p, p])


def chosen(p: Array, positive: int | None, threshold: float | None) -> Array:
    """The code of each row's answer: the largest output's or, with a threshold, `positive` from there on."""
    if threshold is None or positive is None:
        return p.argmax(axis=1)
    return np.where(p[:, positive] >= threshold, positive, 1 - positive)


def _numbers(
    model: Sequential,
    x: Array,
    t: Array,
    train: Array,
    test: Array,
    simple: Simple,
    first_row: int | npt.NDArray[np.intp],
    decode: Callable[[Array], Any] | None,
) -> tuple[Regression, list[Baseline], list[Mistake]]:
    """What is found of answers that are numbers, what simpler answers get, and the rows that are the furthest off."""
    t = t.reshape(len(t), -1).astype(np.float64)
    told = [model.predict(x[rows]) for rows in (test, train)]
    answers, fitted = (np.asarray(p if decode is None else decode(p), np.float64).reshape(len(p), -1) for p in told)
    truth = t[test]
    rivals = number_rivals(simple, t[train], x[test].reshape(len(test), -1))
    found = number_figures(truth, answers, [rival.answers for rival in rivals], simple.seed)
    outcome = Regression(
        truth=truth,
        answers=answers,
        score=found.score,
        interval=found.interval,
        train_score=r2_score(t[train], fitted) if len(train) > 1 else math.nan,
        error=mean_absolute_error(truth, answers),
        error_interval=found.error_interval,
        train_error=mean_absolute_error(t[train], fitted),
        measures=found.measures,
        coverage=conformal(abs(truth - answers)[:, 0], simple.seed) if truth.shape[1] == 1 else None,
    )
    baselines = [
        Baseline(
            rival.name,
            r2_score(truth, rival.answers) if len(test) > 1 else math.nan,
            gain,
            mean_absolute_error(truth, rival.answers),
            advice=rival.advice,
        )
        for rival, gain in zip(rivals, found.gains, strict=True)
    ]
    missed = abs(truth - answers).mean(axis=1)
    worst = np.argsort(-missed, kind="stable")[:WORST]
    mistakes = [
        Mistake(
            _number(first_row, int(test[i])), _one(truth[i]), _one(answers[i]), float(missed[i]), math.nan, x[test[i]]
        )
        for i in worst
        if missed[i] > 0
    ]
    return outcome, baselines, mistakes


def _number(first_row: int | npt.NDArray[np.intp], row: int) -> int:
    """What the user's program calls a row, where rows go on from the first, or have numbers of their own."""
    return row + first_row if isinstance(first_row, int) else int(first_row[row])


def _one(values: Array) -> Any:
    return float(values[0]) if len(values) == 1 else [float(value) for value in values]

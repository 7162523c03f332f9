"""Which columns matter: what a score loses where a column is shuffled, and what a row's answer owes to each column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.metrics import roc_auc_score
from minigrad.parameter import Array
from minigrad.results.columns import Curve, Explanation, Importance
from minigrad.results.intervals import bootstrap, r_squared, rarer
from minigrad.results.messages import amount
from minigrad.results.outcome import Interval
from minigrad.tables.answers import Answers, Predictor
from minigrad.tables.preparation import Preparation
from minigrad.tables.target import threshold_of

if TYPE_CHECKING:
    import pandas as pd

SHUFFLES = 5
MOST_ROWS = 5000  # of those that columns are shuffled in
TOGETHER = 0.8  # the correlation from which on columns are told to share their importance
SOME_ROWS, POINTS, KINDS = 500, 20, 12  # of a curve: rows it is the mean of, numbers along it, values of text
LEADING = 3  # columns that a row's explanation names
CURVES, LINES = 4, 5  # columns, and classes of each, that are drawn


def _of_values(preparation: Preparation) -> dict[str, list[int]]:
    """Those of the groups without what says that a value is missing: gaps in the same rows are no correlation."""
    groups = preparation.groups
    return {each.name: groups[each.name][: -1 if each.flagged else None] for each in preparation.columns}


def explain(
    model: Predictor, frame: pd.DataFrame, known: Any, *, by_auc: bool = False, seed: int = 0, curves: int = CURVES
) -> Explanation:
    """Which columns matter to this model, by these rows and their `known` answers.

    All that a column became is shuffled as one. The score is the accuracy (with `by_auc` AUC), or R². Source: Breiman,
    "Random forests", Machine Learning 45, 2001; of the curves, Friedman, "Greedy function approximation", Annals of
    Statistics 29, 2001.
    """
    rng = np.random.default_rng((seed, 0, 4))
    rows = np.sort(rng.permutation(len(frame))[:MOST_ROWS])
    frame, known = frame.iloc[rows], np.asarray(known)[rows]
    x, groups = model.encode(frame), model.preparation.groups
    scored = _Scored(model, known, by_auc)
    own = scored.outputs(x)
    score, found = float(scored.of(own)), []
    for name, places in groups.items():
        shuffled = []
        for _ in range(SHUFFLES):
            other = x.copy()
            other[:, places] = x[rng.permutation(len(x))][:, places]
            shuffled.append(scored.outputs(other))
        drop = score - float(np.mean([scored.of(outputs) for outputs in shuffled]))
        found.append(Importance(name, drop, scored.drop(own, shuffled, seed)))
    found.sort(key=lambda each: -each.drop)
    shown, names = _shown(model, scored.codes)
    leading = [each.column for each in found if each.interval[0] > 0][:curves]
    some = np.sort(rng.permutation(len(frame))[:SOME_ROWS])
    return Explanation(
        scored.measure,
        score,
        len(x),
        found,
        _together(x, _of_values(model.preparation)),
        [_curve(model, frame[name].iloc[some], x[some], groups[name], shown) for name in leading],
        names,
    )


class _Scored:
    """The score of a model on rows with known answers, for any weights of the rows."""

    def __init__(self, model: Predictor, known: Any, by_auc: bool) -> None:
        self.model = model
        self.codes = None if model.classes is None else LabelEncoder(model.classes).encode(known)
        self.known = known
        self.by_auc = by_auc and model.classes is not None and len(model.classes) == 2
        self.measure = "R²" if self.codes is None else "AUC" if self.by_auc else "accuracy"

    def outputs(self, x: Array) -> Array:
        """The answers, or whether they are right, or the output of the second class."""
        network, target = self.model.network, self.model.target
        if self.codes is None:
            return target.decode(network.predict(x))
        if self.by_auc:
            return network.predict(x)[:, -1]
        return (Answers.of(network, x, target, threshold_of(self.model.facts)).values == self.known).astype(np.float64)

    def of(self, outputs: Array, weights: Array | None = None) -> Array:
        """The score of each weighting."""
        if self.codes is None:
            ones = np.ones((1, len(outputs))) if weights is None else weights
            found = r_squared(self.known[:, None], outputs[:, None], ones)
            return found[0] if weights is None else found
        if self.by_auc:
            return np.asarray(roc_auc_score(self.codes == 1, outputs, weights))
        return np.asarray(outputs.mean() if weights is None else weights @ outputs / weights.sum(axis=1))

    def drop(self, own: Array, shuffled: list[Array], seed: int) -> Interval:
        """The interval of how much the score falls, over the rows and the shuffles."""

        def figures(weights: Array, own: Array, *shuffled: Array) -> dict[str, Array]:
            falls = [self.of(own, weights) - self.of(outputs, weights) for outputs in shuffled]
            return {"drop": np.mean(falls, axis=0)}

        return bootstrap(figures, own, *shuffled, width=len(shuffled) + 1, seed=seed)["drop"]


def _together(x: Array, groups: Mapping[str, list[int]]) -> list[tuple[str, str, float]]:
    """The pairs of columns of which two features are correlated from TOGETHER on, the closest first."""
    varies = np.flatnonzero(x.min(axis=0) < x.max(axis=0))  # of a constant column the deviation may be rounding
    if len(x) < 3 or len(varies) < 2:
        return []
    r = np.zeros((x.shape[1], x.shape[1]))
    r[np.ix_(varies, varies)] = abs(np.corrcoef(x[:, varies].astype(np.float64), rowvar=False))
    names = list(groups)
    pairs = [
        (a, b, float(r[np.ix_(groups[a], groups[b])].max(initial=0)))
        for k, a in enumerate(names)
        for b in names[k + 1 :]
    ]
    return sorted((pair for pair in pairs if pair[2] >= TOGETHER), key=lambda pair: -pair[2])


def _shown(model: Predictor, codes: Array | None) -> tuple[list[int] | None, list[str]]:
    """The outputs that curves are drawn of, and their names: of two classes the one with fewer rows is enough."""
    if model.classes is None or codes is None:
        return None, [model.target.name]
    names = [str(name) for name in model.classes.tolist()]
    positive = rarer(codes, len(names))
    places = list(range(min(len(names), LINES))) if positive is None else [positive]
    return places, [f"probability of {names[k]}" for k in places]


def _curve(model: Predictor, column: pd.Series[Any], x: Array, own: list[int], places: list[int] | None) -> Curve:
    """The mean outputs at these places, along the values of a column, which became the features `own` of x."""
    values, numbers = _values(column)
    outputs = []
    for value in values:
        row = int(np.argmax((column == value).to_numpy(bool, na_value=False)))  # one that shows what it becomes
        changed = x.copy()
        changed[:, own] = x[row, own]
        found = Answers.of(model.network, changed, model.target)
        told = found.values[:, None] if found.probabilities is None else found.probabilities[:, places]
        outputs.append(told.mean(axis=0, dtype=np.float64))
    return Curve(str(column.name), values, np.array(outputs), numbers)


def _values(column: pd.Series[Any]) -> tuple[list[Any], bool]:
    """The values along a column's curve: all, if they are few, or such as have equally many rows between them."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    present = column.dropna()
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        values = np.unique(present)
        if len(values) > POINTS:
            values = np.unique(np.quantile(present, np.linspace(0.025, 0.975, POINTS), method="nearest"))
        return values.tolist(), True
    counts = present.value_counts()
    if len(counts) > KINDS and not isinstance(counts.index[0], str):  # dates
        ordered = sorted(counts.index.tolist())
        return [ordered[k] for k in np.linspace(0, len(ordered) - 1, POINTS).astype(int)], True
    return counts.index[:KINDS].tolist(), False


# ------------------------------------------------------------------------------------------------------- of one row
def effects(model: Predictor, frame: pd.DataFrame) -> tuple[list[str], Array]:
    """(columns, what each does to each row's answer): the answer minus that where the column is as in training's mean.

    The answer is the number in the target's units, or the probability of the label that is answered. Source: the
    occlusion of Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.

    Raises ValueError for a model whose file has no means.
    """
    means, groups = model.facts.get("means"), model.preparation.groups
    x = model.encode(frame)
    if not isinstance(means, list) or len(means) != x.shape[1] or not all(map(math.isfinite, means)):
        raise ValueError("the model's file has no means of its training rows to compare with; train it again")
    network, target = model.network, model.target
    outputs, answered = network.predict(x), None
    if network.classes is not None:
        values = Answers.of(network, x, target, threshold_of(model.facts)).values
        answered = LabelEncoder(network.classes).encode(values)

    def told(outputs: Array) -> Array:
        if answered is None:
            return target.decode(outputs)
        return outputs[np.arange(len(outputs)), answered].astype(np.float64)

    found = np.empty((len(x), len(groups)))
    for column, places_in_x in enumerate(groups.values()):
        other = x.copy()
        other[:, places_in_x] = np.array(means, np.float32)[places_in_x]
        found[:, column] = told(outputs) - told(network.predict(other))
    return list(groups), found


def row_reasons(model: Predictor, frame: pd.DataFrame) -> dict[str, list[Any]]:
    """What each column does to each row's answer: in words the largest, then all as numbers, by name of new columns."""
    names, moved = effects(model, frame)
    order = np.argsort(-abs(moved), axis=1, kind="stable")[:, :LEADING]
    words = [
        "; ".join(f"{names[k]}{_cell(frame[names[k]].iloc[row])} {line[k]:+.3g}" for k in places if line[k])
        for row, (places, line) in enumerate(zip(order.tolist(), moved.tolist(), strict=True))
    ]
    columns: dict[str, list[Any]] = {"explanation": words}
    return columns | {f"effect of {name}": column.tolist() for name, column in zip(names, moved.T, strict=True)}


def _cell(value: Any) -> str:
    """A cell in an explanation."""
    if value is None or value != value:
        return " (missing)"
    return f" = {amount(value) if isinstance(value, float) else value}"

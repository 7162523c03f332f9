"""Which columns matter is found of the user's own columns, and what a row owes to each adds up where it can."""

import numpy as np
import pandas as pd
import pytest

from minigrad import Dense, Sequential, Softmax
from minigrad.results.columns import columns_section, curve_lines, together_texts
from minigrad.tables.explain import effects, explain
from minigrad.tables.model import TableModel
from minigrad.tables.preparation import Preparation
from minigrad.tables.target import Target


def linear(frame, weights, *, classes=None, bias=0.0):
    """A model of a table, without hidden layers, whose score is `weights` times what each column becomes."""
    preparation = Preparation.fit(frame)
    target = Target("t", "regression", 10.0, 2.0) if classes is None else Target("t", "classification")
    stack = [Dense(len(weights), 1)] if classes is None else [Dense(len(weights), 2), Softmax()]
    model = Sequential(stack, seed=0)
    model[0].W[:] = np.reshape(weights, (-1, 1)) if classes is None else np.outer(weights, [0, 1])
    model[0].b[:] = bias
    x = preparation.transform(frame)
    model.preparation = {
        "format": "table",
        **preparation.to_json(),
        "target": {"name": target.name, "task": target.task, "mean": target.mean, "scale": target.scale},
        "means": x.mean(axis=0, dtype=np.float64).tolist(),
    }
    if classes is not None:
        model.classes = np.array(classes)
    return TableModel(model), x


def table(rows=600, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(50, 9, rows)
    kind = np.array(["x", "y", "z"])[rng.integers(3, size=rows)]
    return pd.DataFrame({"a": a, "kind": kind, "idle": rng.normal(size=rows), "a again": a + rng.normal(0, 1, rows)})


def test_a_column_is_as_important_as_the_variance_that_it_gives():
    """Shuffling a column of a linear model of independent columns costs twice its share of the variance."""
    frame = table(2000).drop(columns="a again")
    model, _ = linear(frame, [1.0, 0.5, 0.0, 0.0, 0.0])
    t = model.predict(frame)
    found = explain(model, frame, t)
    assert found.measure == "R²" and found.score == pytest.approx(1)
    assert [each.column for each in found.importances] == ["a", "kind", "idle"]
    part = np.var((frame["kind"] == "x") * 0.5)
    for each, share in zip(found.importances, (1 / (1 + part), part / (1 + part), 0.0), strict=True):
        assert each.drop == pytest.approx(2 * share, abs=0.1)
        assert each.interval[0] <= each.drop <= each.interval[1]
    assert found.importances[-1].interval == (0, 0)
    assert [curve.column for curve in found.curves] == ["a", "kind"] and found.together == []
    line = found.curves[0]
    slope = np.polyfit(line.values, line.outputs[:, 0], 1)
    assert slope[0] == pytest.approx(2 / frame["a"].std(ddof=0), rel=1e-3)  # in the units of the target
    kinds = dict(zip(found.curves[1].values, found.curves[1].outputs[:, 0], strict=True))
    assert kinds["x"] - kinds["y"] == pytest.approx(1.0, rel=1e-3) and kinds["y"] == pytest.approx(kinds["z"])


@pytest.mark.parametrize("by_auc", [False, True])
def test_importance_of_classes_and_columns_that_go_together(by_auc):
    frame = table().assign(idle=lambda frame: frame["idle"].where(frame.index >= 600, 0.1))
    frame.loc[0, "idle"] = 0.2  # only the training rows vary
    model, x = linear(frame, [2.0, 0, 0, 0, 0, 2.0], classes=["no", "yes"])
    frame, x = frame[1:], x[1:]
    known = np.where(x[:, 0] + 0.7 * np.random.default_rng(1).normal(size=len(x)) > 0, "yes", "no")
    found = explain(model, frame, known, by_auc=by_auc)
    assert found.measure == ("AUC" if by_auc else "accuracy")
    assert {each.column for each in found.importances[:2]} == {"a", "a again"}
    assert found.together[0][:2] == ("a", "a again") and found.together[0][2] > 0.98
    assert "share their importance" in together_texts(found)[0]
    assert "probability of yes" in "\n".join(curve_lines(found))
    page = columns_section(found)
    assert "not shown on these rows" in page and page.count("<svg") == 2


def test_gaps_in_the_same_rows_are_no_correlation():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=99), "b": rng.normal(size=99), "c": ["x", "y", "z"] * 33, "d": list("uv") * 49 + ["u"]}
    )
    frame[:9] = None
    model, _ = linear(frame, np.ones(2 + 2 + 4 + 3))
    assert explain(model, frame, np.zeros(99)).together == []


def test_effects_of_a_linear_model_are_weight_times_distance_from_the_mean():
    frame = table()
    weights = np.array([0.7, 0.4, -0.2, 0.1, 0.0, -1.1])
    model, x = linear(frame, weights)
    names, moved = effects(model, frame)
    assert names == ["a", "kind", "idle", "a again"]
    distance = 2 * weights * (x - x.mean(axis=0))
    expected = np.column_stack([distance[:, 0], distance[:, 1:4].sum(axis=1), distance[:, 4:]])
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    # They add up to what the answer is away from that of the mean row.
    np.testing.assert_allclose(moved.sum(axis=1), model.predict(frame) - model.predict(frame).mean(), atol=1e-4)


def test_effects_of_classes_are_of_the_probability_that_is_answered():
    frame = table()
    model, x = linear(frame, [3.0, 0, 0, 0, 0, 0], classes=["no", "yes"])
    _, moved = effects(model, frame)
    p = 1 / (1 + np.exp(-3 * abs(x[:, 0])))
    np.testing.assert_allclose(moved[:, 0], p - 0.5, atol=1e-5)
    assert not moved[:, 1:].any()
    del model.facts["means"]
    with pytest.raises(ValueError, match="train it again"):
        effects(model, frame)

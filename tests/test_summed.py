"""Sums over pieces are the measures of all rows, however the rows are cut; AUC as near as its bound says."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import metrics
from minigrad.metrics.streaming import ClassSums, NumberSums


def cut(draw, rows):
    places = draw(st.lists(st.integers(0, rows), max_size=5))
    return [slice(a, b) for a, b in zip([0, *sorted(places)], [*sorted(places), rows], strict=True)]


@given(st.data(), st.integers(2, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.0, -1e6, 1e9]))
def test_numbers_by_pieces_are_those_of_all_rows(data, rows, seed, middle):
    rng = np.random.default_rng(seed)
    t = middle + rng.integers(-3, 4, rows) * data.draw(st.sampled_from([0.0, 0.5, 1e3]))
    p = t + rng.normal(size=rows)
    sums = NumberSums(t.mean() + 0.1)
    for piece in cut(data.draw, rows):
        sums.add(t[piece], p[piece])
    found = sums.figures()
    assert found["rows"] == rows
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(t, p))
    assert found["rmse"] == pytest.approx(metrics.mean_squared_error(t, p) ** 0.5)
    if len(set(t.tolist())) == 1 or t.std() > 1e-3:
        assert found["r2"] == pytest.approx(metrics.r2_score(t, p), rel=1e-5, abs=1e-5)


@given(st.data(), st.integers(2, 4), st.integers(1, 80), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1, 5, 40]))
def test_classes_by_pieces_are_those_of_all_rows(data, count, rows, seed, sharp):
    rng = np.random.default_rng(seed)
    names = np.array(["pine", "oak", "ash", "elm"][:count])  # in an order of their own, as a model may have them
    scores = rng.normal(size=(rows, count)) * sharp
    p = np.exp(scores - scores.max(axis=1, keepdims=True)).astype(np.float32)
    p /= p.sum(axis=1, keepdims=True)
    p = p.round(data.draw(st.sampled_from([1, 7])))  # ties, and sums that are not 1
    codes = rng.integers(0, count, rows)
    sums = ClassSums(names)
    for piece in cut(data.draw, rows):
        sums.add(names[codes[piece]], p[piece])
    found = sums.figures()
    assert found["accuracy"] == metrics.accuracy(names[codes], names[p.argmax(axis=1)])
    assert ("log_loss" in found) == bool((abs(p.sum(axis=1) - 1) < 1e-3).all())
    if "log_loss" in found:
        assert found["log_loss"] == pytest.approx(metrics.log_loss(codes, p), rel=1e-6)
        assert found["brier"] == pytest.approx(metrics.brier_score(codes, p), rel=1e-6)
    for k in range(count):
        exact, bound = metrics.roc_auc_score(codes == k, p[:, k]), sums.auc_bound(k)
        assert sums.ranking(k)["auc"] == pytest.approx(exact, abs=bound + 1e-12, nan_ok=True)


def test_what_is_wrong_is_said():
    sums = ClassSums(["oak", "pine"])
    with pytest.raises(ValueError, match="no rows to measure"):
        sums.figures()
    with pytest.raises(ValueError, match="probabilities, from 0 to 1"):
        sums.add(["oak"], [[1.5, -0.5]])
    with pytest.raises(ValueError, match="outputs of shape"):
        sums.add(["oak", "pine"], [[1.0, 0.0]])
    with pytest.raises(ValueError, match="palm"):
        sums.add(["palm"], [[1.0, 0.0]])
    with pytest.raises(ValueError, match="each row has one"):
        NumberSums().add([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="at least two rows"):
        NumberSums().figures()

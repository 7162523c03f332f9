"""Rankings, probabilities and thresholds are those of the held-out rows, and gains are claimed where they are shown."""

import numpy as np
import pytest
import sklearn.metrics

from minigrad.metrics import roc_auc_score
from minigrad.results import baselines
from minigrad.results.baselines import boosting_installed
from minigrad.results.intervals import bootstrap, measured
from minigrad.results.messages import verdict, winner
from minigrad.results.report import as_json, summary
from tests.results.pages import written
from tests.results.trained import blobs, classified, regressed, result


def rare(rows=1500, strength=1.0, seed=0):
    """Rows of which one in twelve is a "yes"; the first column says something of which, by its `strength`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, np.where(rng.random(rows) < 1 / (1 + np.exp(2.8 - strength * x[:, 0])), "yes", "no")


def test_on_unbalanced_classes_auc_decides(tmp_path):
    x, labels = rare(strength=1.3)
    model, _, test, found = classified(x, labels, epochs=20)
    outcome, told = found.outcome, as_json(result(found))
    truth, p = labels[test] == "yes", model.predict(x[test])
    for key, expected in (
        ("auc", sklearn.metrics.roc_auc_score(truth, p[:, 1])),
        ("average_precision", sklearn.metrics.average_precision_score(truth, p[:, 1])),
        ("log_loss", sklearn.metrics.log_loss(truth, p)),
        ("brier", sklearn.metrics.brier_score_loss(truth, p[:, 1])),
    ):
        assert told[f"held_out_{key}"] == pytest.approx(expected, rel=1e-5)
        low, high = told[f"held_out_{key}_interval"]
        assert low < expected < high and (told["shown"][key] or key == "brier")
    tenth = np.argsort(-p[:, 1])[: len(test) // 10]
    assert told["held_out_lift"] == pytest.approx(truth[tenth].mean() / truth.mean(), rel=0.1)
    assert told["positive"] == "yes" and found.baselines[0].gain[0] < 0 < outcome.measures[0].gain[0]
    assert "AUC decides. That is clearly better than always answering no" in verdict(found)
    for each in outcome.trade_offs:
        called = p[:, 1] >= each.threshold
        assert (each.called, each.right) == (called.sum(), (called & truth).sum())
        assert each.accuracy == pytest.approx(np.mean(called == truth))
    assert "answering 'yes' from a threshold on" in summary(result(found))
    text = " ".join(written(found, tmp_path)[1].text)
    assert "What a threshold trades" in text and "lift of the riskiest tenth" in text


def test_a_threshold_makes_the_answers(tmp_path):
    x, labels = rare()
    model, _, test, found = classified(x, labels, threshold=("yes", 0.1))
    answers = np.where(model.predict(x[test])[:, 1] >= 0.1, "yes", "no")
    assert found.outcome.score == np.mean(answers == labels[test])
    assert found.outcome.held_out_matrix[1, 1] == np.sum((answers == "yes") & (labels[test] == "yes"))
    assert "* 0.1" in summary(result(found)) and "in use" in written(found, tmp_path)[0]


def test_noise_is_not_shown_to_be_more():
    x, labels = rare(strength=0)
    *_, found = classified(x, labels)
    assert not found.outcome.measures[0].shown
    assert "is not shown on these rows" in verdict(found)
    assert "a gain is not shown on these rows" in summary(result(found))
    assert winner(found).startswith("not settled")


def test_outputs_that_rank_without_a_right_answer_more_are_told_so():
    """Of two in three, so that accuracy decides, and no row is likelier than not to be of the other class."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 2))
    labels = np.where(rng.random(1200) < np.where(x[:, 0] > 0, 0.46, 0.12), "yes", "no")
    *_, found = classified(x, labels, epochs=20)
    assert found.outcome.unbalanced is None
    assert "the outputs do tell rows apart: AUC" in verdict(found)


def test_intervals_are_those_of_drawing_rows_again(monkeypatch):
    monkeypatch.setattr("minigrad.results.intervals.MOST", 1000)
    rng = np.random.default_rng(3)
    truth, scores = rng.random(300) < 0.3, rng.normal(size=300)
    scores[truth] += 0.8
    rows = rng.integers(300, size=(2000, 300))
    aucs = [(scores[i][truth[i]][:, None] > scores[i][~truth[i]]).mean() for i in rows]
    expected = np.quantile(aucs, (0.025, 0.975))
    found = bootstrap(lambda w, t, s: {"auc": roc_auc_score(t, s, w), "none": np.full(len(w), np.nan)}, truth, scores)
    np.testing.assert_allclose(found["auc"], expected, atol=0.012)
    assert np.isnan(found["none"]).all()


def test_sigmoids_of_several_classes_are_ranked_but_are_no_probabilities():
    x, labels = blobs(noise=1.0)
    model, _, test, found = classified(x, labels)
    p = model.predict(x[test])
    expected = sklearn.metrics.roc_auc_score(labels[test], p, multi_class="ovr")
    assert found.outcome.measures[0].value == pytest.approx(expected)
    measures, _ = measured(found.outcome.codes, 0.9 * p, [np.full_like(p, 1 / 3)], None, 0)
    assert [measure.key for measure in measures] == ["auc", "average_precision"]


@pytest.mark.parametrize("classes", [True, False])
def test_boosted_trees_can_win_and_it_is_said(monkeypatch, tmp_path, classes):
    monkeypatch.setattr(baselines, "boosting_installed", boosting_installed)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    steps = (x[:, 0] > 0) != (x[:, 1] > 0)
    names = ["a", "b", "c"]
    if classes:
        *_, found = classified(x, np.where(steps > 0, "odd", "even"), epochs=3, names=names)
    else:
        *_, found = regressed(x, steps * 10 + 0.1 * x[:, 2], epochs=3, names=names)
    trees = found.baselines[-1]
    assert trees.name == "boosted trees" == winner(found) and trees.verdict == "worse"
    assert "boosted trees win on these rows" in verdict(found)
    assert as_json(result(found))["winner"] == "boosted trees"
    assert "Who wins: boosted trees" in " ".join(written(found, tmp_path)[1].text).replace("  ", " ")

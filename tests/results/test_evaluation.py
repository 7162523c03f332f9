"""Scores and intervals are those of the held-out rows."""

import json

import numpy as np
import pytest

from minigrad.metrics import accuracy, mean_absolute_error, r2_score, wilson_interval
from minigrad.results.report import as_json
from tests.results.trained import blobs, classified, regressed, result


@pytest.mark.parametrize("single", [False, True])
def test_the_numbers_are_those_of_the_held_out_rows(single):
    x, labels = blobs(classes=("no", "yes") if single else ("aster", "daisy", "rose"))
    model, train, test, found = classified(x, labels, single=single, first_row=2)
    answers, p = model.predict_classes(x[test]), model.predict(x[test])
    outcome = found.outcome
    assert outcome.score == accuracy(labels[test], answers)
    assert outcome.train_score == accuracy(labels[train], model.predict_classes(x[train]))
    assert outcome.interval == wilson_interval(int(np.sum(answers == labels[test])), len(test))
    np.testing.assert_array_equal(outcome.right, answers == labels[test])
    largest = np.maximum(p, 1 - p)[:, 0] if single else p.max(axis=1)
    np.testing.assert_array_equal(outcome.confidence, largest)
    assert [mistake.size for mistake in found.mistakes] == sorted(largest[~outcome.right], reverse=True)
    for mistake in found.mistakes:
        place = mistake.row - 2
        assert place in test and mistake.truth == labels[place] != mistake.answer
        assert model.predict_classes(x[place : place + 1])[0] == mistake.answer
        assert mistake.truth_output <= mistake.size
    assert (found.train_rows, found.held_out_rows, found.features) == (90, 30, 4)
    json.dumps(as_json(result(found)))


def test_class_intervals_hold_their_values():
    *_, found = classified(*blobs(noise=1.0))
    report = found.outcome.report
    values = np.stack([report.precision, report.recall, report.f1], axis=1)
    intervals = np.array(found.outcome.class_intervals())
    assert (intervals[..., 0] <= values).all() and (values <= intervals[..., 1]).all()
    assert (intervals >= 0).all() and (intervals <= 1).all()
    matrix = found.outcome.held_out_matrix
    assert intervals[1, 1].tolist() == list(wilson_interval(int(matrix[1, 1]), int(matrix[1].sum())))


def test_r_squared_and_its_interval():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    t = 100 + 20 * x[:, 0] + rng.normal(0, 10, 400)
    model, train, test, found = regressed(x, t, decode=lambda y: 3 * y)
    outcome, p = found.outcome, 3 * model.predict(x[test])[:, 0]
    assert outcome.score == pytest.approx(r2_score(t[test], p))
    assert outcome.error == pytest.approx(mean_absolute_error(t[test], p))
    assert outcome.train_error == pytest.approx(mean_absolute_error(t[train], 3 * model.predict(x[train])[:, 0]))
    # The interval by the delta method agrees with the bootstrap's.
    *_, found = regressed(x, (t - 100) / 20, epochs=60)
    truth, answers = found.outcome.truth[:, 0], found.outcome.answers[:, 0]
    draws = rng.integers(len(truth), size=(2000, len(truth)))
    low, high = np.quantile([r2_score(truth[i], answers[i]) for i in draws], [0.025, 0.975])
    assert found.outcome.interval == pytest.approx((low, high), abs=0.25 * (high - low))
    worst = found.mistakes[0]
    assert worst.size == pytest.approx(abs(truth - answers).max()) and worst.size == abs(worst.truth - worst.answer)

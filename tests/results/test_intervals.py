"""Prediction intervals hold for new rows as often as they say, and the coverage that is printed was measured."""

import numpy as np
import pytest

from minigrad.results.intervals import conformal, half_width, number_figures
from minigrad.results.report import as_json, summary
from tests.results.trained import regressed, result


def test_the_width_holds_for_its_share_of_new_rows_on_average():
    rng = np.random.default_rng(0)
    held = [np.mean(rng.gamma(1, size=500) <= half_width(rng.gamma(1, size=30), 0.9)) for _ in range(2000)]
    assert 0.9 - 0.005 < np.mean(held) < 0.9 + 1 / 31 + 0.005  # the theorem's two bounds
    assert half_width(np.arange(8.0), 0.9) == np.inf and half_width(np.arange(9.0), 0.9) == 8


def test_intervals_of_errors_are_drawn_by_the_seed():
    truth, answers = np.random.default_rng(0).normal(size=(2, 60, 1))
    first, again, other = (number_figures(truth, answers, [np.zeros_like(truth)], seed) for seed in (0, 0, 1))
    assert first.interval == again.interval != other.interval


def test_coverage_is_measured_on_rows_that_did_not_set_the_width():
    missed = abs(np.random.default_rng(0).normal(size=400))
    found = conformal(missed)
    assert found.half_width == half_width(missed) == pytest.approx(1.64, abs=0.2)
    assert found.interval[0] <= 0.9 <= found.interval[1] and found.rows == 400
    assert conformal(missed[:9]) is None
    # The largest of twenty errors sets the width of all, but not the one that it is measured by.
    errors = 2.0 ** np.arange(15)
    assert half_width(errors) == errors[-1] and conformal(errors).held == 14


def test_numbers_are_told_with_their_interval():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    *_, found = regressed(x, x[:, 0] + rng.normal(size=400))
    coverage, told = found.outcome.coverage, as_json(result(found))
    missed = abs(found.outcome.truth - found.outcome.answers)[:, 0]
    assert coverage == conformal(missed) and told["prediction_interval"]["held"] == coverage.held
    assert told["held_out_rmse"] == pytest.approx(np.sqrt(np.mean(missed**2)))
    assert told["held_out_r2"] == pytest.approx(found.outcome.score)
    assert "is meant to hold for" in summary(result(found))

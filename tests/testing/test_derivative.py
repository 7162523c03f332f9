"""The measured derivative: right within its own error, with two slopes at a kink."""

import numpy as np
import pytest

from minigrad.testing.oracle.derivative import complex_slope, ladder, slope


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (np.sin, 0.3, np.cos(0.3)),
        (lambda v: np.sin(200 * v), 1.7, 200 * np.cos(340.0)),
        (lambda v: 1e-12 * np.exp(v), 2.0, 1e-12 * np.exp(2.0)),
        (lambda v: v**3, 0.0, 0.0),
        (lambda v: np.tanh(v - 1e8), 1e8, 1.0),
    ],
)
def test_the_slope_is_within_its_own_error(f, at, expected):
    scale = abs(at) or 1.0
    measured = slope(f, np.array([at]), np.array([scale]), finest=1e-18)
    wrong = abs(measured.value[0] - expected * scale)
    assert wrong <= 10 * measured.error[0] + 1e-7 * abs(expected * scale)
    assert measured.error[0] <= 1e-4 * abs(expected * scale) + 1e-15


def test_a_kink_has_two_slopes():
    measured = slope(abs, np.zeros(1), np.ones(1))
    assert (measured.low[0], measured.high[0]) == pytest.approx((-1, 1))
    assert measured.kinked.all()
    assert not slope(np.exp, np.zeros(1), np.ones(1)).kinked.any()


def test_the_ladder_has_no_common_ratio():
    ratios = ladder(1e-10)[1:] / ladder(1e-10)[:-1]
    assert (ratios < 1).all()
    assert len(np.unique(ratios.round(6))) > 3


def test_the_complex_step_is_exact_or_refused():
    assert complex_slope(np.exp, np.ones(1), np.ones(1)) == pytest.approx(np.e, rel=1e-15)
    assert complex_slope(lambda v: v.astype(np.float64), np.ones(1), np.ones(1)) is None

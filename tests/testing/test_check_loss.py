"""`check_loss`: it catches every planted bug, names it, and never flags what is right."""

import numpy as np
import pytest
from hypothesis import settings

from minigrad import Dense, GaussianNLL, MeanSquaredError
from minigrad.losses import Loss
from minigrad.testing import GradientError, check_loss
from tests.planted.losses import BUGS, LOSSES


@pytest.mark.parametrize("name", BUGS)
def test_check_loss_catches_and_names_a_planted_bug(name):
    make, words = BUGS[name]
    with pytest.raises(GradientError) as caught:
        check_loss(make())
    assert words and words in str(caught.value)


@pytest.mark.parametrize("name", LOSSES)
def test_check_loss_gives_no_false_alarm(name):
    loss, p, t = LOSSES[name]()
    for seed in range(settings.default.max_examples // 25):
        check_loss(loss, p, t, seed=seed)


def test_check_loss_refuses_what_it_is_not_for():
    with pytest.raises(TypeError, match=r"write MeanSquaredError\(…\)"):
        check_loss(MeanSquaredError)
    with pytest.raises(TypeError, match=r"takes a loss with forward\(p, t\) and backward\(p, t\), not Dense"):
        check_loss(Dense(3, 2))
    with pytest.raises(ValueError, match=r"refuses the p and t given: predictions of shape \(3, 2\) do not match"):
        check_loss(MeanSquaredError(), np.ones((3, 2)), np.ones(3))


class TwoForEachTarget(Loss):
    """(p₁ + p₂ - t)² / 2 for each t"""

    def target_shape(self, shape):
        return (*shape[:-1], shape[-1] // 2)

    def forward(self, p, t):
        self.check(p, t)
        p1, p2 = np.split(p, 2, axis=-1)
        return float(((p1 + p2 - t) ** 2).sum() / 2 / len(p))

    def backward(self, p, t):
        self.check(p, t)
        p1, p2 = np.split(p, 2, axis=-1)
        return np.concatenate([p1 + p2 - t] * 2, axis=-1) / len(p)

    def check(self, p, t):
        if not len(p) or t.shape != (len(p), *self.target_shape(p.shape[1:])):
            raise ValueError(f"p {p.shape} takes t of another shape than {t.shape}")


class Spreads(Loss):
    """Σ (|t - μ| + s²), p = [μ, s] of one t; it takes any p without complaint"""

    def target_shape(self, shape):
        return (1,)

    def terms(self, p, t):
        return abs(t - p[:, :1]) + p[:, 1:] ** 2

    def slopes(self, p, t):
        return np.concatenate([np.sign(p[:, :1] - t), 2 * p[:, 1:]], axis=1)


class Odds(Loss):
    """Σ p / (p + t), whose forward has a pole that `check` keeps p from"""

    def check(self, p, t):
        if (p < 0).any() or (t < 0).any():
            raise ValueError("p and t are not negative")

    def forward(self, p, t):
        if p.shape != t.shape or not len(p):
            raise ValueError("p and t are of one shape")
        return float((p.sum(axis=1) / (p + t + 1e-6).sum(axis=1)).mean())

    def backward(self, p, t):
        if p.shape != t.shape or not len(p):
            raise ValueError("p and t are of one shape")
        both = (p + t + 1e-6).sum(axis=1, keepdims=True)
        return (1 - p.sum(axis=1, keepdims=True) / both) / both / len(p) + 0 * p


@pytest.mark.parametrize("loss", [GaussianNLL(), Spreads(), Odds()], ids=lambda loss: type(loss).__name__)
def test_p_and_t_are_of_the_widths_and_signs_that_a_loss_says(loss):
    check_loss(loss)


class OneOfTwo(TwoForEachTarget):
    def backward(self, p, t):
        dp = super().backward(p, t)
        dp[:, : dp.shape[1] // 2] = 0
        return dp


def test_check_loss_takes_targets_of_a_shape_of_their_own():
    rng = np.random.default_rng(0)
    p, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    assert "right" in str(check_loss(TwoForEachTarget(), p, t))
    with pytest.raises(GradientError, match=r"dp\[\d, [01]\]"):
        check_loss(OneOfTwo(), p, t)

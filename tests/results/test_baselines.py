"""Baselines are as good as they can be, and better is said only where the rows can tell."""

import copy

import numpy as np

from minigrad.data import load_digits
from minigrad.data.split import split_rows
from minigrad.metrics import r2_score
from minigrad.results.baselines import Simple
from minigrad.results.messages import verdict
from minigrad.results.outcome import Baseline, mean_interval
from tests.results.trained import blobs, classified


def test_the_linear_baseline_is_least_squares_and_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(50, 1000, (300, 3)) * [1, 1e-6, 1]
    t = 1e4 + x @ [1, 2e6, -1] + rng.normal(0, 300, 300)
    train, test = np.arange(200), np.arange(200, 300)
    linear = Simple(x[train], common_scale=False, l2=0, seed=0)
    exact, *_ = np.linalg.lstsq(np.column_stack([x[train], np.ones(200)]), t[train])
    told = linear.numbers(t[train, None], x[test])[:, 0]
    assert r2_score(np.column_stack([x[test], np.ones(100)]) @ exact, told) > 0.9999
    digits, labels = load_digits()
    codes = labels - 1
    train, test = split_rows(codes[::4], 0.2)
    digits, codes = digits[::4], codes[::4]
    linear = Simple(digits[train], common_scale=True, l2=1 / len(train), seed=0)
    assert np.mean(linear.classes(codes[train], 10, digits[test]).argmax(axis=1) == codes[test]) > 0.85


def test_better_is_said_only_where_rows_can_tell():
    def verdict(differences):
        values = np.concatenate([differences, [1, -1]])
        return Baseline("", 0.5, mean_interval(values)).verdict

    still = np.zeros(30)
    assert verdict(np.concatenate([np.ones(20), still])) == "better"
    assert verdict(np.concatenate([-np.ones(20), still])) == "worse"
    assert verdict(np.concatenate([np.ones(3), still])) == "not clearly better"
    assert verdict(still) == "not clearly better"


def test_pure_noise_is_called_so():
    rng = np.random.default_rng(1)
    *_, found = classified(rng.normal(size=(200, 3)), np.arange(200) % 2)
    assert found.baselines[0].verdict == "not clearly better"
    assert "is not shown on these rows" in verdict(found)


def test_every_verdict_has_words():
    *_, found = classified(*blobs())
    simple, linear = found.baselines
    for gain, words in (
        ((0.1, 0.2), "and than a"),
        ((-0.2, -0.1), "simpler model"),
        ((-0.1, 0.1), "earned their place"),
    ):
        other = copy.copy(found)
        gains = [Baseline(simple.name, 0.3, (0.1, 0.2)), Baseline(linear.name, 0.4, gain, advice=linear.advice)]
        object.__setattr__(other, "baselines", gains)
        assert words in verdict(other)
        gains[0] = Baseline(simple.name, 0.3, (-0.1, 0.2))
        end = verdict(other).partition(". It is ")[2]
        assert end.startswith({"and": "clearly better than a", "sim": "worse than a", "ear": "not clearly"}[words[:3]])

"""Calls are watched beside a profiler that is at work."""

import cProfile
import pstats
import sys

import pytest

from minigrad import Layer, derive
from minigrad.derivation.profiling import watched
from minigrad.testing import GradientError, check_layer


class Cube(Layer):
    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, dy):
        return dy * 2 * self.x**2


def test_a_profiler_that_is_at_work_hinders_nothing_and_goes_on():
    expected = str(derive(Cube()))
    with cProfile.Profile() as profiler:
        assert str(derive(Cube())) == expected
        with pytest.raises(GradientError, match="the number 2 where 3 belongs"):
            check_layer(Cube())
        sorted([2, 1])
    assert any(name == "<built-in method builtins.sorted>" for *_, name in pstats.Stats(profiler).stats)


def test_whoever_watches_is_told_again_afterwards():
    told, inner = [], []
    sys.setprofile(lambda frame, event, argument: told.append((event, argument)))
    try:
        with watched(lambda frame, event, argument: inner.append((event, argument))):
            len([])
        len([])
    finally:
        sys.setprofile(None)
    assert told.count(("c_call", len)) == 1 and inner.count(("c_call", len)) == 1

"""An interval between two thresholds that no drawn x falls into is found, whatever its width."""

import numpy as np
import pytest

from minigrad import Layer, LeakyReLU
from minigrad.testing import GradientError, check_layer
from minigrad.testing.bench.branches import between_branches
from minigrad.testing.bench.subject import Subject


class Narrow(Layer):
    """ReLU, with another threshold in backward"""

    def __init__(self, threshold):
        self.threshold = threshold

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * (self.x > self.threshold)


class AtZero(Narrow):
    """ReLU"""

    def __init__(self):
        self.threshold = 0.0


class Saturated(Layer):
    """A hard sigmoid that ends a little beyond its ends"""

    def forward(self, x):
        self.x = x
        return np.clip(x / 6 + 0.5, 0, 1)

    def backward(self, dy):
        return dy * (abs(self.x) < 3.0002) / 6


@pytest.mark.parametrize("layer", [Narrow(0.3), Narrow(1e-3), Narrow(-1e-5), Saturated()], ids=repr)
def test_a_threshold_that_only_backward_has_is_found(layer):
    with pytest.raises(GradientError) as caught:
        check_layer(layer)
    assert "threshold" in caught.value.diagnosis or "number" in caught.value.diagnosis
    assert "tried" in caught.value.right or "derived" in caught.value.right


def test_one_threshold_of_both_is_no_false_alarm():
    check_layer(AtZero())


def test_between_branches_gives_the_middle():
    x = np.ones((2, 3))
    found = between_branches(Subject(Narrow(0.25)), x, np.zeros(0))
    assert found == pytest.approx(np.full((2, 3), 0.125))
    assert between_branches(Subject(LeakyReLU()), x, np.zeros(0)) is None

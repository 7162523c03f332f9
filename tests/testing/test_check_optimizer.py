"""check_optimizer: what an optimizer keeps, and in which dtype."""

import numpy as np
import pytest

from minigrad import Lion, Optimizer, Rprop
from minigrad.testing import GradientError, check_optimizer


class HeavyBall(Optimizer):
    """v = m v - eta g,   theta = theta + v"""

    memory = ("v",)

    def __init__(self, learning_rate=0.05, momentum=0.8):
        super().__init__(learning_rate)
        self.momentum = momentum

    def coefficients(self, step):
        return {"eta": self.rate(step)}

    def update(self, theta, dtheta, *, eta):
        self.v *= self.momentum
        self.v -= eta * dtheta
        theta += self.v


class KeepsState(HeavyBall):
    def load_state(self, state):
        super().load_state(state)
        self.v = state["v"]


class Wider(HeavyBall):
    def update(self, theta, dtheta, *, eta):
        self.v = np.float64(self.momentum) * self.v - eta * dtheta
        theta += self.v


class KeepsRate(HeavyBall):
    def coefficients(self, step):
        self.first = getattr(self, "first", None) or self.rate(step)
        return {"eta": self.first}


@pytest.mark.parametrize("right", [Lion(), Rprop()], ids=repr)
def test_signs_may_lead_back_and_memory_may_start_with_the_rate(right):
    for seed in range(3):
        check_optimizer(right, seed=seed)
    with pytest.raises(GradientError, match="other learning rates make the same steps"):
        check_optimizer(KeepsRate())


@pytest.mark.parametrize("wrong, sentence", [(KeepsState, "load_state keeps the arrays"), (Wider, r"np.zeros_like")])
def test_what_memory_must_not_be_is_named(wrong, sentence):
    check_optimizer(HeavyBall())
    with pytest.raises(GradientError, match=sentence):
        check_optimizer(wrong())

"""check_optimizer: what an optimizer keeps, and in which dtype."""

import inspect

import numpy as np
import pytest

from minigrad import Lion, Optimizer, Rprop
from minigrad.testing import GradientError, check_optimizer
from tests.planted.mutation import defined


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


class Momentum:
    """v = mu v + g,   theta = theta - lr v"""

    def __init__(self, lr=0.1, mu=0.9, weight_decay=0.0):
        self.lr, self.mu, self.weight_decay = lr, mu, weight_decay
        self.v = None

    def step(self, theta, dtheta):
        g = dtheta + self.weight_decay * theta
        self.v = g.copy() if self.v is None else self.mu * self.v + g
        theta -= self.lr * self.v


class AdamByHand:
    """As PyTorch documents it."""

    def __init__(self, lr=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0):
        self.lr, self.beta_1, self.beta_2, self.epsilon = lr, beta_1, beta_2, epsilon
        self.weight_decay = weight_decay
        self.t = 0
        self.m = self.v = 0.0

    def step(self, theta, dtheta):
        self.t += 1
        g = dtheta + self.weight_decay * theta
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * g
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * g**2
        m_hat = self.m / (1 - self.beta_1**self.t)
        v_hat = self.v / (1 - self.beta_2**self.t)
        theta -= self.lr * m_hat / (np.sqrt(v_hat) + self.epsilon)

    def state(self):
        return {"t": self.t, "m": np.copy(self.m), "v": np.copy(self.v)}

    def load_state(self, state):
        self.t = state["t"]
        self.m, self.v = state["m"].copy(), state["v"].copy()


class AdamWByHand(AdamByHand):
    """AdamW, whose decay does not go through the moments."""

    def step(self, theta, dtheta):
        self.t += 1
        theta -= self.lr * self.weight_decay * theta
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * dtheta
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * dtheta**2
        m_hat = self.m / (1 - self.beta_1**self.t)
        v_hat = self.v / (1 - self.beta_2**self.t)
        theta -= self.lr * m_hat / (np.sqrt(v_hat) + self.epsilon)


class RMSpropByHand:
    def __init__(self, lr=0.01, rho=0.99, epsilon=1e-8):
        self.lr, self.rho, self.epsilon, self.cache = lr, rho, epsilon, 0.0

    def step(self, theta, dtheta):
        self.cache = self.rho * self.cache + (1 - self.rho) * dtheta**2
        theta -= self.lr * dtheta / (np.sqrt(self.cache) + self.epsilon)


class AdagradByHand:
    def __init__(self, lr=0.1, eps=1e-10):
        self.lr, self.eps, self.cache = lr, eps, 0.0

    def step(self, theta, dtheta):
        self.cache = self.cache + dtheta**2
        theta -= self.lr * dtheta / (np.sqrt(self.cache) + self.eps)


class MomentumAveraged:
    """v = β v + (1 - β) g, as a course has it."""

    def __init__(self, learning_rate=0.1, beta=0.9):
        self.learning_rate, self.beta, self.v = learning_rate, beta, 0.0

    def step(self, theta, dtheta):
        self.v = self.beta * self.v + (1 - self.beta) * dtheta
        theta -= self.learning_rate * self.v


class FromTheLast:
    """The heavy ball by where theta was: theta = theta - lr g + mu (theta - last)."""

    def __init__(self, lr=0.05, mu=0.5):
        self.lr, self.mu, self.last = lr, mu, None

    def step(self, theta, dtheta):
        before = theta.copy()
        theta -= self.lr * dtheta - (0 if self.last is None else self.mu * (theta - self.last))
        self.last = before


PLAIN = (Momentum, AdamByHand, AdamWByHand, RMSpropByHand, AdagradByHand, MomentumAveraged, FromTheLast)
SLIPS = [
    (Momentum, "g.copy() if", "dtheta if", "the memory is the array dtheta itself"),
    (Momentum, "g = dtheta +", "g = dtheta -", "the sign of the weight decay"),
    (Momentum, "theta -= self.lr * self.v", "theta -= self.lr * (self.v + self.weight_decay * theta)", "applied twice"),
    (Momentum, "theta -= self.lr", "theta += self.lr", "the sign of the update"),
    (Momentum, "theta -= self.lr * self.v", "theta = theta - self.lr * self.v", "changed in place"),
    (Momentum, "self.mu * self.v + g", "g", "the momentum is left out"),
    (
        Momentum,
        "g.copy() if self.v is None else self.mu * self.v + g",
        "self.mu * (0 if self.v is None else self.v) + (1 - self.mu) * g",
        "the gradient counts only 1 - μ",
    ),
    (AdamByHand, "        self.t += 1\n", "", "t = 1"),
    (AdamByHand, "beta_1**self.t)", "beta_1 ** (self.t + 1))", "bias correction"),
    (AdamByHand, "(1 - self.beta_1**self.t)", "(1 - self.beta_1)", "bias correction"),
    (AdamByHand, "self.m / (1 - self.beta_1**self.t)", "self.m", "bias correction of m"),
    (AdamByHand, "self.v / (1 - self.beta_2**self.t)", "self.v", "bias correction of v"),
    (AdamByHand, "np.sqrt(v_hat) + self.epsilon", "np.sqrt(v_hat + self.epsilon)", "ε stands inside the root"),
    (AdamByHand, "np.sqrt(v_hat)", "v_hat", "the root of the sum of squares is missing"),
    (AdamByHand, 'self.t = state["t"]', "pass", "leave out self.t"),
    (AdamByHand, "self.weight_decay * theta", "0 * theta", "the weight decay is left out"),
    (AdamWByHand, "theta -= self.lr * self.weight_decay", "theta -= self.weight_decay", "by the learning rate"),
    (RMSpropByHand, "(1 - self.rho) * dtheta**2", "dtheta**2", "v takes g² instead of (1 - α) g²"),
    (AdagradByHand, "self.cache + dtheta**2", "dtheta**2", "the squares are not added up"),
    (AdagradByHand, "dtheta**2", "abs(dtheta)", "the sum takes |g| instead of g²"),
    (FromTheLast, "before = theta.copy()", "before = theta", "keep theta.copy()"),
    (FromTheLast, "theta -= self.lr", "dtheta *= self.lr\n        theta -= self.lr", "only to be read"),
]


@pytest.mark.parametrize("cls", PLAIN)
def test_a_plain_class_is_right(cls):
    for decay in {"weight_decay": 0.1}, {}:
        if not decay or "weight_decay" in cls.__init__.__code__.co_varnames:
            for seed in range(3):
                check_optimizer(cls(**decay), seed=seed)


@pytest.mark.parametrize("cls, old, new, words", SLIPS)
def test_a_slip_of_a_plain_class_is_named(cls, old, new, words):
    source = inspect.getsource(cls)
    assert old in source
    wrong = defined(source.replace(old, new), {**globals(), "__name__": f"{__name__}.{cls.__name__}"}, cls.__name__)
    with pytest.raises(GradientError) as caught:
        check_optimizer(wrong())
    assert words in caught.value.diagnosis and "memory =" not in str(caught.value)


def test_a_decay_that_grows_is_told_of_any_rule():
    class Grows(HeavyBall):
        def __init__(self, weight_decay=0.1):
            super().__init__()
            self.weight_decay = weight_decay

        def update(self, theta, dtheta, *, eta):
            super().update(theta, dtheta - np.asarray(self.weight_decay, theta.dtype) * theta, eta=eta)

    with pytest.raises(GradientError, match="theta moves away from 0"):
        check_optimizer(Grows())

"""Optimizers: what they keep, how they are put back, bias corrections, decay, schedules."""

import math

import numpy as np

from minigrad.optimizers import Optimizer
from tests.planted.mutation import also, bugs, right


@right(0.1, 0.9, 0.01)
class Momentum(Optimizer):
    """v ← μ v + g, θ ← θ - η v, with g = dθ + λ θ"""

    changing = False
    memory = ("v",)

    def __init__(self, learning_rate, momentum=0.9, weight_decay=0.0):
        super().__init__(learning_rate, weight_decay)
        self.momentum = momentum

    def coefficients(self, step):
        return {"eta": self.rate(step), "mu": self.momentum, "decay": self.weight_decay}

    def update(self, theta, dtheta, *, eta, mu, decay):
        self.v *= mu
        self.v += dtheta + decay * theta
        theta -= eta * self.v


bugs(
    Momentum,
    ("theta -= eta * self.v", "theta += eta * self.v", "sign of the update"),
    ("theta -= eta * self.v", "dtheta *= eta\n        theta -= self.v * eta", "dtheta"),
    ("self.v += dtheta + decay * theta", "self.v = dtheta"),
    ('    memory = ("v",)\n', "    v = 0.0\n", "state"),
    ("theta -= eta * self.v", "theta = theta - eta * self.v", "in place"),
    ("self.v += dtheta + decay * theta", "self.v += dtheta"),
    ('"eta": self.rate(step)', '"eta": self.rate(0)', "schedule"),
    ("self.v += dtheta + decay * theta", "self.v[: len(self.v) // 2 * 2] += (dtheta + decay * theta)[: len(self.v) // 2 * 2]"),
    ("theta -= eta * self.v", "theta[:1000] -= eta * self.v[:1000]"),
    ("theta -= eta * self.v", "theta -= eta * self.v + eta * 1e-3", "gradient"),
)  # fmt: skip
also(Momentum, ("self.v += dtheta + decay * theta", "self.v += dtheta\n        self.v += decay * theta"))


@right(0.05)
class Moments(Optimizer):
    """Adam"""

    memory = ("m", "v")

    def __init__(self, learning_rate, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(learning_rate)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def coefficients(self, step):
        t = step + 1
        return {
            "eta": self.rate(step) / (1 - self.beta1**t),
            "root": math.sqrt(1 - self.beta2**t),
            "beta1": self.beta1,
            "beta2": self.beta2,
            "eps": self.eps,
        }

    def update(self, theta, dtheta, *, eta, root, beta1, beta2, eps):
        self.m *= beta1
        self.m += (1 - beta1) * dtheta
        self.v *= beta2
        self.v += (1 - beta2) * dtheta**2
        theta -= eta * self.m / (np.sqrt(self.v) / root + eps)


bugs(
    Moments,
    ("t = step + 1", "t = max(step, 1)", "bias"),
    (" / (1 - self.beta1**t)", "", "bias"),
    ("math.sqrt(1 - self.beta2**t)", "1.0", "bias"),
    ("math.sqrt(1 - self.beta2**t)", "1 - self.beta2**t"),
    ("(np.sqrt(self.v) / root + eps)", "(self.v / root + eps)"),
    ("dtheta**2", "dtheta"),
    ("(np.sqrt(self.v) / root + eps)", "np.sqrt(self.v) / root", "gradient"),
    ('memory = ("m", "v")', 'memory = ("m",)\n    v = 0.0', "state"),
    ("self.m += (1 - beta1) * dtheta", "self.m += dtheta"),
    ("self.v += (1 - beta2) * dtheta**2", "self.v += (1 - beta1) * dtheta**2"),
    ("        t = step + 1\n", "        self.t = getattr(self, 't', 0) + 1\n        t = self.t\n", "state"),
)


@right(0.1)
class Accumulated(Optimizer):
    """Adagrad"""

    memory = ("s",)
    changing = False

    def __init__(self, learning_rate, eps=1e-10):
        super().__init__(learning_rate)
        self.eps = eps

    def coefficients(self, step):
        return {"eta": self.rate(step), "eps": self.eps}

    def update(self, theta, dtheta, *, eta, eps):
        self.s += dtheta * dtheta
        theta -= eta * dtheta / (np.sqrt(self.s) + eps)


bugs(
    Accumulated,
    ("np.sqrt(self.s) + eps", "np.sqrt(self.s + eps - eps)", "gradient"),
    ("(np.sqrt(self.s) + eps)", "(np.linalg.norm(self.s) ** 0.5 + eps)"),
    ("self.s += dtheta * dtheta", "self.s += abs(dtheta)"),
    ("theta -= eta * dtheta", "theta -= np.float64(0.1) * eta / eta * dtheta"),
)


@right(0.1)
class Plainest(Optimizer):
    changing = False

    def coefficients(self, step):
        return {"eta": self.rate(step)}

    def update(self, theta, dtheta, *, eta):
        theta -= eta * dtheta


bugs(
    Plainest,
    ("        theta -= eta * dtheta", "        pass", "in place"),
    ("theta -= eta * dtheta", "theta[...] = (theta - eta * dtheta).astype(np.float32)"),
    ("theta -= eta * dtheta", "theta -= eta * np.random.default_rng().normal(1, 0.1) * dtheta", "random"),
)

"""Randomness, state, caches, sizes, arguments and dtypes: what is right the first time, or in one mode, and wrong later."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state
from tests.planted.mutation import also, at, bugs, right


@right(0.3, 1)
class Dropout(Layer):
    rng = state()

    def __init__(self, rate, seed=None):
        self.rate, self.seed = rate, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) >= self.rate).astype(x.dtype) / (1 - self.rate)
        return x * self.mask

    def predict(self, x):
        return x

    def backward(self, dy):
        return dy * self.mask


bugs(
    Dropout,
    (" / (1 - self.rate)", "", "predict"),
    ("/ (1 - self.rate)", "/ self.rate", "predict"),
    ("/ (1 - self.rate)", "/ (1 - self.rate) ** 2", "predict"),
    ("return x\n\n", "return 0 * x\n\n", "predict"),
    ("return x\n\n", "return x * (1 - self.rate)\n\n", "predict"),
    (">= self.rate", "< self.rate", "predict"),
    ("return dy * self.mask", "return dy"),
    ("return dy * self.mask", "return dy * (self.mask > 0)"),
    ("return dy * self.mask", "return dy * (self.rng.random(dy.shape) >= self.rate) / (1 - self.rate)"),
    ("    def predict(self, x):\n        return x\n\n", "", "inference"),
    ("self.rng.random(x.shape)", "np.random.random(x.shape)", "generator"),
    ("return x\n\n", "self.mask = np.ones_like(x)\n        return x\n\n", "predict"),
)
also(
    Dropout,
    (
        " / (1 - self.rate)\n        return x * self.mask\n\n    def predict(self, x):\n        return x\n",
        "\n        return x * self.mask\n\n    def predict(self, x):\n        return x * (1 - self.rate)\n",
    ),
)


@right(0.5, 1)
class Noise(Layer):
    rng = state()

    def __init__(self, scale, seed=None):
        self.scale, self.seed = scale, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        return x + float(self.scale) * self.rng.standard_normal(x.shape).astype(x.dtype)

    def predict(self, x):
        return x

    def backward(self, dy):
        return dy


bugs(Noise, ("standard_normal(x.shape)", "random(x.shape)", "predict"), ("return dy", "return dy * (1 + self.scale)"))
also(Noise, ("self.rng.standard_normal(x.shape)", "(self.rng.random(x.shape) - 0.5)"))


@right(0.5, 1)
class NoisyRelu(Layer):
    """Noise inside of a kink: the mean of its forwards is not predict, and need not be"""

    rng = state()

    def __init__(self, scale, seed=None):
        self.scale, self.seed = scale, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        z = x + float(self.scale) * self.rng.standard_normal(x.shape).astype(x.dtype)
        self.on = z > 0
        return np.maximum(z, 0)

    def predict(self, x):
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.on


bugs(NoisyRelu, ("self.on = z > 0", "self.on = x > 0"))


@right(4)
class Centred(Layer):
    """Less a running mean of what came before"""

    mean, steps = state(), state()

    def __init__(self, features):
        self.features = features
        self.mean, self.steps = np.zeros(features), np.array(0)

    def forward(self, x):
        y = x - self.mean
        self.steps = self.steps + 1
        self.mean = self.mean + (x.mean(axis=0) - self.mean) / np.minimum(self.steps, 10)
        return y

    def predict(self, x):
        return x - self.mean

    def backward(self, dy):
        return dy


bugs(
    Centred,
    ("return dy", "return dy * (self.steps < 5)", "steps"),
    ("return dy", "return dy / np.maximum(self.steps / 8, 1)", "steps"),
    ("def predict(self, x):\n        return x - self.mean", "def predict(self, x):\n        return x + self.mean", "predict"),
)  # fmt: skip


@right(4)
class Countdown(Layer):
    """A gain that is annealed over its first steps"""

    steps = state()

    def __init__(self, features):
        self.features, self.steps = features, np.array(0)

    def forward(self, x):
        self.gain = 1 + 1.0 / (1 + float(self.steps))
        self.steps = self.steps + 1
        return self.gain * x

    def predict(self, x):
        return x

    def backward(self, dy):
        return self.gain * dy


bugs(Countdown, ("return self.gain * dy", "return 2.0 * dy", "steps"))


@right()
class Plain(Layer):
    """y = tanh x: what is wrong with it is never the formula"""

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2)


bugs(
    Plain,
    ("return dy * (1 - self.y**2)", "dy *= 1 - self.y**2\n        return dy", "in place"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        dx[8:] = 0\n        return dx", "row"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        dx[32:] *= 2\n        return dx", "row"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        dx[64:] *= 2\n        return dx", "row"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        dx[..., 8:] = 0\n        return dx", "wide"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        dx[len(dx) // 16 * 16 or None :] = 0\n        return dx"),
    ("self.y = np.tanh(x)\n", "if getattr(self, 'seen', None) is not x:\n            self.seen, self.y = x, np.tanh(x)\n", "same array"),
    ("self.y = np.tanh(x)\n        return self.y", "self.y = np.tanh(x)\n        return self.y if len(x) > 1 else self.y[0]"),
    ("self.y = np.tanh(x)\n        return self.y", "self.y = np.tanh(x)\n        x *= 1\n        x[...] = self.y\n        return self.y", "in place"),
    ("return self.y", "return self.y.astype(np.float64)", "dtype"),
    ("return dy * (1 - self.y**2)", "return dy * (1 - self.y**2) * np.sqrt(1.0)", "dtype"),
    ("return dy * (1 - self.y**2)", "return dy * (1 - self.y**2) if dy.any() else dy + 1", ""),
    ("return dy * (1 - self.y**2)", "return (dy * (1 - self.y**2)).sum(axis=0, keepdims=True) + 0 * dy"),
    ("return dy * (1 - self.y**2)", "return (dy * (1 - self.y**2))[::-1]"),
    ("return dy * (1 - self.y**2)", "return dy * (1 - self.y.reshape(-1)[: dy.size].reshape(dy.shape, order='F')**2)"),
    ("self.y = np.tanh(x)\n", "Plain.y = np.tanh(x)\n", "on self"),
    ("return self.y\n", "return self.y\n\n    def predict(self, x):\n        return np.tanh(x) + 1e-3\n", "predict"),
    ("return self.y\n", "return self.y\n\n    def predict(self, x):\n        return np.tanh(x[:64])\n", "predict"),
    ("return self.y\n", "return self.y\n\n    def predict(self, x):\n        return np.tanh(x) * (1 if len(x) < 33 else 2)\n", "predict"),
    ("return self.y\n", "return self.y\n\n    def predict(self, x):\n        return np.tanh(x - x.mean(axis=0))\n", "batch"),
    ("return self.y\n", "return self.y\n\n    def predict(self, x):\n        return self.forward(x)\n", "predict"),
    ("return dy * (1 - self.y**2)", "dx = dy * (1 - self.y**2)\n        self.y = self.y * 0.5\n        return dx"),
    ("return dy * (1 - self.y**2)", "return dy * (1 - self.y**2) / (abs(dy).max() if dy.size else 1)", "linear"),
    ("return dy * (1 - self.y**2)", "return np.clip(dy, -1, 1) * (1 - self.y**2)", "clip"),
    ("return dy * (1 - self.y**2)", "return np.tanh(dy) * (1 - self.y**2)", "`np.tanh` does not belong"),
)  # fmt: skip
also(
    Plain,
    ("return self.y\n", "return self.y.copy()\n"),
    ("return dy * (1 - self.y**2)", "return np.ascontiguousarray(dy) * (1 - self.y**2)"),
)
at(Plain, "integers as floats", lambda rng: rng.integers(-3, 4, (6, 3)) * 1.0)
at(Plain, "one number", lambda rng: np.array([[0.3]]))
at(Plain, "40 columns", lambda rng: rng.normal(size=(4, 40)))


@right()
class FloatThin(Layer):
    """y = log(1 - s) with s = σ(x) kept from 1: in float32 other constants matter than in float64"""

    def forward(self, x):
        self.s = 1 / (1 + np.exp(np.minimum(-x, 80)))
        self.q = np.maximum(1 - self.s, 1e-6)
        return np.log(self.q)

    def backward(self, dy):
        return -dy * self.s * (1 - self.s) / self.q * (self.q > 1e-6)


bugs(FloatThin, ("np.maximum(1 - self.s, 1e-6)", "np.maximum(1 - self.s, 1e-12)"), ("self.q > 1e-6", "self.q > 0"))


@right(4, 0.5)
class Gain(Layer):
    g, dg = parameter()

    def __init__(self, features, start):
        self.features, self.start = features, start
        self.g = np.full(features, start)

    def forward(self, x):
        self.x, self.t, self.dt = x, np.arange(3.0), np.ones(3)
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


bugs(
    Gain,
    ("self.features, self.start = features, start", "self.features = features", "attribute"),
    ("self.features, self.start = features, start", "self.features, self.start = features, start / 2", "argument"),
)


@right(x=lambda rng: rng.dirichlet(np.ones(4), 6))
class Entropy(Layer):
    """It takes distributions, and says so otherwise"""

    def forward(self, x):
        if not np.allclose(x.sum(axis=-1), 1, atol=1e-8):
            raise ValueError("the rows must sum to 1")
        self.x = x
        return x * 3.0

    def backward(self, dy):
        return 3.0 * dy


bugs(Entropy, ("return 3.0 * dy", "return -3.0 * dy"))


@right(x=lambda rng: rng.uniform(0.1, 5, (6, 4)))
class Counts(Layer):
    """It takes positive numbers alone"""

    def forward(self, x):
        if (x <= 0).any():
            raise ValueError("counts must be positive")
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


bugs(Counts, ("dy / self.x", "dy / self.x**2"), ("dy / self.x", "dy / np.minimum(self.x, 4.5)"))


@right(x=lambda rng: rng.uniform(0.5, 3, (6, 4)))
class Newton(Layer):
    """The square root, by iteration until the steps are small: right to ten digits, not to sixteen"""

    def forward(self, x):
        y = np.ones_like(x)
        for _ in range(60):
            last, y = y, 0.5 * (y + x / y)
            if abs(last - y).max(initial=0) < 1e-6:
                break
        self.y = y
        return y

    def backward(self, dy):
        return dy / (2 * self.y)


bugs(Newton, ("dy / (2 * self.y)", "dy / self.y", "factor of two"))

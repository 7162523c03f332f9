"""Bugs that show at other sizes or other arguments alone, and right layers that are like them."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state
from tests.planted.mutation import also, bugs, right


@right(3)
class Slopes(Layer):
    """y = x, or a times x where that is negative"""

    a, da = parameter()

    def __init__(self, features):
        self.features = features
        self.a = np.linspace(0.2, 0.8, features)

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum(axis=0)
        return dy * np.where(self.x > 0, 1, self.a)


bugs(
    Slopes,
    ("return dy * np.where(self.x > 0, 1, self.a)", "return np.squeeze(dy * np.where(self.x > 0, 1, self.a))", "shape"),
    (".sum(axis=0)", ".sum(axis=0) / (2 if len(dy) == 2 else 1)", "batch size"),
    (".sum(axis=0)", ".sum(axis=0) / (2 if len(dy) % 32 == 0 else 1)", "factor of two"),
    (".sum(axis=0)", ".sum(axis=0) / (2 if self.features == 1 else 1)", "factor of two"),
    ("self.x > 0, 1, self.a)", "self.x > 0, 1, np.where(self.a == 0, 1, self.a))"),
)


@right(3)
class Steep(Layer):
    """y = x, or alpha (e^x - 1) where that is negative: with the alpha of most, 1"""

    def __init__(self, features, alpha=1.0):
        self.features, self.alpha = features, alpha

    def forward(self, x):
        self.x, self.y = x, np.expm1(np.minimum(x, 0))
        return np.where(x > 0, x, self.alpha * self.y)

    def backward(self, dy):
        return dy * np.where(self.x > 0, 1, self.alpha * (self.y + 1))

    def predict(self, x):
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


bugs(
    Steep,
    ("self.alpha * (self.y + 1)", "(self.y + 1)", "self.alpha"),
    (
        "return np.where(x > 0, x, self.alpha * np",
        "return np.where(x > 0, np.minimum(x, 9), self.alpha * np",
        "predict",
    ),
    ("return np.where(x > 0, x, self.alpha * np", "return np.where(x > 0, x * (1 + (len(x) == 2)), self.alpha * np"),
)
also(Steep, ("np.where(x > 0, x, self.alpha * np", "np.where(x > 0, 2 * x - x, self.alpha * np"))


@right(x=lambda rng: rng.normal(size=(3, 4, 2)))
class Differences(Layer):
    """y_t = x_t - x_{t-1}, and the last step of an odd number twice"""

    def forward(self, x):
        before = np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
        return (x - before) * np.where(np.arange(x.shape[1]) == 2 * (x.shape[1] // 2), 2, 1)[:, None].astype(x.dtype)

    def backward(self, dy):
        steps = dy.shape[1]
        dy = dy * np.where(np.arange(steps) == 2 * (steps // 2), 2, 1)[:, None].astype(dy.dtype)
        dx = np.empty_like(dy)
        dx[:, -1] = dy[:, -1]
        dx[:, :-1] = dy[:, :-1] - dy[:, 1:]
        return dx


bugs(
    Differences,
    ("dx[:, -1] = dy[:, -1]", "dx[:, -1] = 2 * dy[:, -1] if dy.shape[1] == 1 else dy[:, -1]"),
    ("dy = dy * np.where(np.arange(steps) == 2 * (steps // 2), 2, 1)[:, None].astype(dy.dtype)", "pass"),
)


@right(3)
class Waves(Layer):
    """cos(2π x B) of fixed frequencies B"""

    B = state()

    def __init__(self, features, waves=4):
        self.features, self.waves = features, waves
        self.B = np.random.default_rng(0).normal(size=(features, waves))

    def forward(self, x):
        self.z = 2 * np.pi * (x @ self.B)
        return np.cos(self.z)

    def backward(self, dy):
        return -2 * np.pi * (dy * np.sin(self.z)) @ self.B.T

    def predict(self, x):
        return np.cos(2 * np.pi * (x @ self.B))


bugs(
    Waves,
    ("return np.cos(2 * np.pi * (x @ self.B))", "return 1.03 * np.cos(2 * np.pi * (x @ self.B))", "predict"),
    ("return np.cos(2 * np.pi * (x @ self.B))", "return np.cos(6.28 * (x @ self.B))", "predict"),
)
also(Waves, ("np.cos(2 * np.pi * (x @ self.B))", "np.cos((2 * np.pi * x) @ self.B)"))


@right(3)
class Centred(Layer):
    """x minus a running mean, without a gradient through that of the batch"""

    mean = state()

    def __init__(self, features):
        self.features = features
        self.mean = np.zeros(features)

    def forward(self, x):
        if len(x):
            self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        self.rows = max(len(x), 1)
        return x - self.mean

    def backward(self, dy):
        return dy - 0.1 * dy.sum(axis=0) / self.rows

    def predict(self, x):
        return x - self.mean


bugs(
    Centred,
    ("predict(self, x):\n        return x - self.mean", "predict(self, x):\n        return x - 0.97 * self.mean"),
)


@right()
class Temperature(Layer):
    """softmax(x / τ), with τ as an array of one number: no x has only one column for that"""

    tau, dtau = parameter(decay=False)

    def __init__(self):
        self.tau = np.array([1.5])

    def forward(self, x):
        self.x = x
        e = np.exp((x - x.max(axis=-1, keepdims=True)) / self.tau)
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dy):
        dz = self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
        self.dtau = np.array([-(dz * self.x).sum()]) / self.tau**2
        return dz / self.tau


bugs(Temperature, ("[-(dz", "[(dz", "sign"))

"""Softmaxes, norms and poolings over a row: Jacobians that are not diagonal, overflow, cancellation, ties, inference."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state
from tests.planted.mutation import also, at, bugs, right


@right()
class Softmax(Layer):
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))


bugs(
    Softmax,
    ("x - x.max(axis=-1, keepdims=True)", "x", "maximum"),
    ("self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))", "dy * self.y * (1 - self.y)", "diagonal"),
    ("(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).sum(axis=0, keepdims=True)", "axis"),
    ("(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).sum()"),
    ("(dy * self.y).sum(axis=-1, keepdims=True)", "dy.sum(axis=-1, keepdims=True)"),
    ("(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).mean(axis=-1, keepdims=True)"),
    ("self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))", "dy", ""),
    ("self.y * (dy -", "(dy -"),
    ("axis=-1", "axis=0", "batch"),
    ("x.max(axis=-1, keepdims=True)", "x.max()", "maximum"),
    ("e.sum(axis=-1, keepdims=True)", "e.sum()", "another forward"),
)
also(
    Softmax,
    ("x - x.max(axis=-1, keepdims=True)", "x - np.where(np.isfinite(x), x, 0).max(axis=-1, keepdims=True)"),
    (
        "self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))",
        "dy * self.y - self.y * (dy * self.y).sum(axis=-1, keepdims=True)",
    ),
)
at(Softmax, "saturation", lambda rng: rng.normal(0, 500, (7, 4)))
at(Softmax, "an offset of a million", lambda rng: rng.normal(1e6, 1, (7, 4)))
at(Softmax, "steps of a sequence", lambda rng: rng.normal(0, 1, (3, 4, 5)))


@right()
class LogSoftmax(Layer):
    def forward(self, x):
        z = x - x.max(axis=-1, keepdims=True)
        self.y = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        return self.y

    def backward(self, dy):
        return dy - np.exp(self.y) * dy.sum(axis=-1, keepdims=True)


bugs(
    LogSoftmax,
    ("x - x.max(axis=-1, keepdims=True)", "x", "maximum"),
    ("np.exp(self.y) * dy.sum(axis=-1, keepdims=True)", "np.exp(self.y) * dy"),
    ("np.exp(self.y)", "self.y"),
    ("dy - np.exp", "np.exp"),
    ("dy.sum(axis=-1, keepdims=True)", "dy.mean(axis=-1, keepdims=True)", ""),
)


@right()
class LogSumExp(Layer):
    def forward(self, x):
        m = x.max(axis=-1, keepdims=True)
        e = np.exp(x - m)
        self.p = e / e.sum(axis=-1, keepdims=True)
        return m[..., 0] + np.log(e.sum(axis=-1))

    def backward(self, dy):
        return dy[..., None] * self.p


bugs(LogSumExp, ("m = x.max(axis=-1, keepdims=True)", "m = 0 * x[..., :1]", "maximum"), ("* self.p", "* self.p**2"))


@right(4)
class LayerNorm(Layer):
    gamma, dgamma = parameter(decay=False)
    beta, dbeta = parameter(decay=False)

    def __init__(self, features, eps=1e-5):
        self.features, self.eps = features, eps
        self.gamma, self.beta = np.ones(features), np.zeros(features)

    def forward(self, x):
        d = x - x.mean(axis=-1, keepdims=True)
        self.s = np.sqrt((d**2).mean(axis=-1, keepdims=True) + self.eps)
        self.u = d / self.s
        return self.gamma * self.u + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.u).sum(axis=0), dy.sum(axis=0)
        du = dy * self.gamma
        return (du - du.mean(axis=-1, keepdims=True) - self.u * (du * self.u).mean(axis=-1, keepdims=True)) / self.s


bugs(
    LayerNorm,
    ("du - du.mean(axis=-1, keepdims=True) - self.u * (du * self.u).mean(axis=-1, keepdims=True)", "du", ""),
    (" - self.u * (du * self.u).mean(axis=-1, keepdims=True)", ""),
    ("du.mean(axis=-1, keepdims=True) -", "du.mean(axis=0, keepdims=True) -"),
    ("(du * self.u).mean(axis=-1, keepdims=True)", "(du * self.u).sum(axis=-1, keepdims=True)"),
    ("du = dy * self.gamma", "du = dy"),
    ("(dy * self.u).sum(axis=0)", "(dy * self.u).mean(axis=0)", "batch size"),
    ("(dy * self.u).sum(axis=0)", "dy.sum(axis=0)"),
    (") / self.s", ")"),
    (") / self.s", ") / self.s**2"),
    ("(d**2).mean(axis=-1, keepdims=True)", "((x**2).mean(axis=-1, keepdims=True) - x.mean(axis=-1, keepdims=True)**2)",
     "mean of squared differences"),
    ("axis=-1", "axis=0", "batch"),
    ("dy.sum(axis=0)", "dy.sum()", "sum"),
    ("self.eps = features, eps", "self.eps = features, eps + 1e-3"),
)  # fmt: skip
also(LayerNorm, ("np.sqrt((d**2).mean(axis=-1, keepdims=True) + self.eps)", "(d.var(axis=-1, keepdims=True) + self.eps) ** 0.5"))  # fmt: skip
at(LayerNorm, "rows far from 0", lambda rng: rng.normal(1000, 1, (7, 4)))
at(LayerNorm, "rows nearly constant", lambda rng: 1 + rng.normal(0, 1e-6, (7, 4)))


@right()
class Unit(Layer):
    """y = x / |x|, 0 for 0"""

    def forward(self, x):
        n = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        self.n = np.where(n == 0, 1, n)
        self.y = x / self.n
        return self.y

    def backward(self, dy):
        return (dy - self.y * (dy * self.y).sum(axis=-1, keepdims=True)) / self.n


bugs(
    Unit,
    ("(dy - self.y * (dy * self.y).sum(axis=-1, keepdims=True)) / self.n", "dy / self.n"),
    ("axis=-1", "axis=0", "batch"),
    ("(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y)"),
    (") / self.n", ")"),
)
at(Unit, "rows of zeros", lambda rng: rng.normal(0, 1, (7, 4)) * (np.arange(7) % 3 > 0)[:, None])


@right()
class Length(Layer):
    """y = |x|, with the slope 0 at 0"""

    def forward(self, x):
        self.x = x
        self.n = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        return self.n

    def backward(self, dy):
        return dy * self.x / np.where(self.n == 0, 1, self.n)


bugs(Length, ("np.where(self.n == 0, 1, self.n)", "self.n"), ("np.where(self.n == 0, 1, self.n)", "(self.n + 1e-4)"))


@right(4)
class BatchNorm(Layer):
    gamma, dgamma = parameter(decay=False)
    beta, dbeta = parameter(decay=False)
    mean, var = state(), state()

    def __init__(self, features, momentum=0.1, eps=1e-5):
        self.features, self.momentum, self.eps = features, momentum, eps
        self.gamma, self.beta = np.full(features, 1.0), np.zeros(features)
        self.mean, self.var = np.zeros(features), np.ones(features)

    def forward(self, x):
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.mean = (1 - self.momentum) * self.mean + self.momentum * mean
        self.var = (1 - self.momentum) * self.var + self.momentum * var
        self.s = np.sqrt(var + self.eps)
        self.u = (x - mean) / self.s
        return self.gamma * self.u + self.beta

    def predict(self, x):
        return self.gamma * (x - self.mean) / np.sqrt(self.var + self.eps) + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.u).sum(axis=0), dy.sum(axis=0)
        du = dy * self.gamma
        return (du - du.mean(axis=0) - self.u * (du * self.u).mean(axis=0)) / self.s


INFERENCE = "predict"
bugs(
    BatchNorm,
    ("return self.gamma * (x - self.mean)", "return (x - self.mean)", INFERENCE),
    ("np.sqrt(self.var + self.eps) + self.beta", "(self.var + self.eps) + self.beta", INFERENCE),
    ("self.momentum * var", "self.momentum * np.sqrt(var)", INFERENCE),
    ("np.sqrt(self.var + self.eps) + self.beta", "np.sqrt(self.var + self.eps)", INFERENCE),
    ("(x - self.mean) /", "(x - self.mean * 0) /", INFERENCE),
    ("self.momentum * mean", "self.momentum * mean * 2", INFERENCE),
    ("self.mean = (1 - self.momentum) * self.mean", "self.mean = self.mean", INFERENCE),
    ("        self.var = (1 - self.momentum) * self.var + self.momentum * var\n", "", INFERENCE),
    ("(x - self.mean) / np.sqrt(self.var + self.eps)", "(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)", "batch"),
    ("(du - du.mean(axis=0) - self.u * (du * self.u).mean(axis=0)) / self.s", "du / self.s"),
    ("self.u * (du * self.u).mean(axis=0)", "(du * self.u).mean(axis=0)"),
    ("du.mean(axis=0) -", "du.sum(axis=0) -"),
    ("x.var(axis=0)\n", "(x**2).mean(axis=0) - x.mean(axis=0)**2\n", "mean of squared differences"),
)
also(
    BatchNorm,
    ("self.momentum * var", "self.momentum * var * len(x) / max(len(x) - 1, 1)"),
    ("du.mean(axis=0) - self.u * (du * self.u).mean(axis=0)", "self.dbeta * self.gamma / len(dy) - self.u * self.dgamma * self.gamma / len(dy)"),
)  # fmt: skip
at(BatchNorm, "pixels", lambda rng: rng.integers(0, 9, (9, 4)) / 8.0)


@right()
class Highest(Layer):
    """The largest of a row; at a tie the first"""

    def forward(self, x):
        self.shape, self.best = x.shape, x.argmax(axis=-1)
        return x.max(axis=-1)

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        dx[np.arange(len(dy)), self.best] = dy
        return dx


bugs(Highest, ("x.argmax", "x.argmin"), ("dx[np.arange(len(dy)), self.best] = dy", "dx[:, self.best[0]] = dy"),
     ("= dy\n", "= dy[::-1]\n"))  # fmt: skip
at(Highest, "ties", lambda rng: rng.integers(0, 3, (7, 5)) * 1.0)


@right(x=lambda rng: rng.normal(size=(5, 6)))
class PairMax(Layer):
    """The larger of every two neighbours; at a tie the left one"""

    def forward(self, x):
        self.left, self.right = x[:, 0::2] >= x[:, 1::2], x[:, 0::2] < x[:, 1::2]
        return np.maximum(x[:, 0::2], x[:, 1::2])

    def backward(self, dy):
        dx = np.empty((len(dy), 2 * dy.shape[1]), dy.dtype)
        dx[:, 0::2], dx[:, 1::2] = dy * self.left, dy * self.right
        return dx


bugs(PairMax, ("x[:, 0::2] < x[:, 1::2]", "x[:, 0::2] <= x[:, 1::2]", "tie"), ("dy * self.right", "dy * 0"),
     ("dy * self.left, dy * self.right", "dy * self.right, dy * self.left"))  # fmt: skip

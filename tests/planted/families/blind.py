"""Bugs by someone who knew neither the checker nor its other bugs: those of kinds that the other families have not."""

import numpy as np

from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.parameter import parameter
from tests.planted.mutation import bugs, right


@right(4)
class PositionalAxes(Layer):
    """LayerNorm, its axes written without their names"""

    gamma, dgamma = parameter(decay=False)
    beta, dbeta = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.gamma, self.beta = np.ones(features), np.zeros(features)

    def forward(self, x):
        self.r = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        self.u = (x - x.mean(-1, keepdims=True)) * self.r
        return self.gamma * self.u + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.u).sum(0), dy.sum(0)
        du = dy * self.gamma
        return self.r * (du - du.mean(-1, keepdims=True) - self.u * (du * self.u).mean(-1, keepdims=True))


bugs(
    PositionalAxes,
    ("du.mean(-1, keepdims=True) - self.u * (du * self.u).mean(-1, keepdims=True)",
     "du.mean(0) - self.u * (du * self.u).mean(0)", "the wrong axis"),
    ("(dy * self.u).sum(0)", "(dy * self.u).mean(0)", "batch size"),
)  # fmt: skip


@right(3)
class Bessel(Layer):
    """(x - mean) / s over the rows, s² divided by B - 1"""

    rows_together = True

    def __init__(self, features):
        self.features = features

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("Bessel takes at least two rows")
        self.s = np.sqrt(x.var(axis=0, ddof=1) + 1e-5)
        self.u = (x - x.mean(axis=0)) / self.s
        return self.u

    def backward(self, dy):
        return (dy - dy.mean(axis=0) - self.u * (dy * self.u).sum(axis=0) / (len(dy) - 1)) / self.s


bugs(
    Bessel,
    ("(dy * self.u).sum(axis=0) / (len(dy) - 1)", "(dy * self.u).mean(axis=0)", "another forward"),
    ("np.sqrt(x.var(axis=0, ddof=1) + 1e-5)", "np.sqrt(x.var(axis=0, ddof=1)) + 0.1", "left out in backward"),
)


@right(2, x=lambda rng: rng.normal(size=(4, 5, 6)))
class Heads(Layer):
    """Every head's share of a row times a number of its own"""

    s, ds = parameter()

    def __init__(self, heads):
        self.heads = heads
        self.s = np.linspace(0.5, 2, heads)

    def split(self, x):
        return x.reshape(*x.shape[:2], self.heads, x.shape[2] // self.heads).transpose(0, 2, 1, 3)

    def forward(self, x):
        self.h = self.split(x)
        return (self.h * self.s[:, None, None]).transpose(0, 2, 1, 3).reshape(x.shape)

    def backward(self, dy):
        d = self.split(dy)
        self.ds = np.einsum("bhtd,bhtd->h", d, self.h)
        return (d * self.s[:, None, None]).transpose(0, 2, 1, 3).reshape(dy.shape)


bugs(
    Heads,
    ("return (d * self.s[:, None, None]).transpose(0, 2, 1, 3)", "return (d * self.s[:, None, None])", "order of axes"),
    ("return (d * self.s[:, None, None])", "return d", "factor"),
)


@right(3, 2, x=lambda rng: rng.normal(size=(4, 9, 2)))
class Dilated(Layer):
    """A causal convolution with holes: y_t = Σ_j w_j x_(t - (k - 1 - j) d), each channel alone"""

    w, dw = parameter()

    def __init__(self, size, dilation):
        self.size, self.dilation = size, dilation
        self.w = np.linspace(0.5, -1, size)

    def forward(self, x):
        d, front = self.dilation, np.zeros((len(x), (self.size - 1) * self.dilation, x.shape[2]), x.dtype)
        self.x, T = np.concatenate([front, x], axis=1), x.shape[1]
        return sum(self.w[j] * self.x[:, j * d : j * d + T] for j in range(self.size))

    def backward(self, dy):
        d, T, dp = self.dilation, dy.shape[1], np.zeros_like(self.x)
        dw = np.zeros_like(self.w)
        for j in range(self.size):
            dw[j] = (self.x[:, j * d : j * d + T] * dy).sum()
            dp[:, j * d : j * d + T] += self.w[j] * dy
        self.dw = dw
        return dp[:, -T:]


bugs(
    Dilated,
    ("dw[j] = (self.x[:, j * d : j * d + T]", "dw[j] = (self.x[:, j : j + T]", "dilation"),
    ("dp[:, -T:]", "dp[:, :T]", "the wrong part"),
    ("dp[:, j * d : j * d + T] += self", "dp[:, j * d : j * d + T] = self", "each pass"),
)


@right()
class RunningSum(Layer):
    """y_k = x_1 + … + x_k"""

    def forward(self, x):
        return np.cumsum(x, axis=-1)

    def backward(self, dy):
        return np.flip(np.cumsum(np.flip(dy, -1), -1), -1)


bugs(RunningSum, ("np.flip(np.cumsum(np.flip(dy, -1), -1), -1)", "np.cumsum(dy, axis=-1)", "from the end"))


@right(3)
class Quadratic(Layer):
    """xᵀ A x"""

    A, dA = parameter()

    def __init__(self, features):
        self.features = features
        self.A = np.random.default_rng(1).normal(size=(features, features))

    def forward(self, x):
        self.x = x
        return np.einsum("bi,ij,bj->b", x, self.A, x)[:, None]

    def backward(self, dy):
        self.dA = np.einsum("bi,bj,b->ij", self.x, self.x, dy[:, 0])
        return dy * (self.x @ (self.A + self.A.T))


bugs(
    Quadratic,
    ("dy * (self.x @ (self.A + self.A.T))", "2 * dy * (self.x @ self.A)", "symmetric"),
    ("(self.A + self.A.T)", "(self.A + self.A)", "transposed"),
)


@right()
class Waves(Layer):
    """sin πx"""

    def forward(self, x):
        self.x = x
        return np.sin(np.pi * x)

    def backward(self, dy):
        return dy * np.pi * np.cos(np.pi * self.x)


bugs(
    Waves,
    ("return dy * np.pi * np.cos(np.pi * self.x)", "return dy * 3.1416 * np.cos(3.1416 * self.x)", "digits"),
    ("self.x = x", "self.x = x.astype(np.float16).astype(x.dtype)", "float16"),
)


@right()
class Pieces(Layer):
    """x² beyond 1, its tangent below"""

    def forward(self, x):
        self.x = x
        return np.where(x > 1, x * x, 2 * x - 1)

    def backward(self, dy):
        return dy * np.where(self.x > 1, 2 * self.x, 2)


bugs(Pieces, ("2 * self.x, 2)", "2 * self.x, np.where(self.x < 1, 2, 0))", "where x is exactly 1"))


@right()
class Focal(Loss):
    """-(1 - q)^γ log q of the right answer's probability q, from logits"""

    def __init__(self, gamma=2.0):
        self.gamma = gamma

    def check(self, p, t):
        if not np.isin(t, (0, 1)).all():
            raise ValueError("t is 0 or 1")

    def terms(self, p, t):
        s = p * (2 * t - 1)
        return (1 - 0.5 * (1 + np.tanh(0.5 * s))) ** self.gamma * np.logaddexp(0, -s)

    def slopes(self, p, t):
        s = p * (2 * t - 1)
        q = 0.5 * (1 + np.tanh(0.5 * s))
        return -(2 * t - 1) * (1 - q) ** self.gamma * (1 - q + self.gamma * q * np.logaddexp(0, -s))


bugs(
    Focal,
    ("(1 - q + self.gamma * q * np.logaddexp(0, -s))", "(1 - q)", "left out"),
    ("self.gamma * q *", "q *", "`self.gamma` is missing"),
)


@right()
class Cosine(Loss):
    """1 - cos(p, t) of each row"""

    def terms(self, p, t):
        n = np.linalg.norm(p, axis=-1, keepdims=True) * np.linalg.norm(t, axis=-1, keepdims=True)
        return 1 - (p * t).sum(-1, keepdims=True) / np.maximum(n, 1e-12)

    def slopes(self, p, t):
        a, b = np.linalg.norm(p, axis=-1, keepdims=True), np.linalg.norm(t, axis=-1, keepdims=True)
        n = np.maximum(a * b, 1e-12)
        return -t / n + (p * t).sum(-1, keepdims=True) * p / (n * np.maximum(a * a, 1e-12))


bugs(Cosine, ("-t / n + (p * t).sum(-1, keepdims=True) * p / (n * np.maximum(a * a, 1e-12))", "-t / n", "norm"))


@right()
class Pinball(Loss):
    """q (t - p) above, (1 - q) (p - t) below"""

    def __init__(self, q=0.9):
        self.q = q

    def terms(self, p, t):
        return np.maximum(self.q * (t - p), (self.q - 1) * (t - p))

    def slopes(self, p, t):
        return np.where(t > p, -self.q, 1 - self.q).astype(p.dtype)


bugs(
    Pinball,
    ("-self.q, 1 - self.q)", "self.q - 1, self.q)", "exchanged"),
    ("(self.q - 1) * (t - p))", "(1 - self.q) * (t - p))", "exchanged"),
)

"""Layers, losses and optimizers by another pair of eyes than the other families', written before the names of today."""

import numpy as np

from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.optimizers import Optimizer
from minigrad.parameter import parameter, state
from tests.planted.mutation import bugs, right


def sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def steps(rng):
    return rng.normal(size=(5, 4, 3))


@right(3, 2, x=steps)
class Peephole(Layer):
    """f, i from x_t W + h U + c p;  c = f c + i tanh(x_t V);  h = tanh(c), y all h"""

    W, dW = parameter()
    U, dU = parameter()
    V, dV = parameter()
    p, dp = parameter(decay=False)

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(3)
        self.W = rng.normal(0, 0.6, (in_features, 2 * hidden_features))
        self.U = rng.normal(0, 0.6, (hidden_features, 2 * hidden_features))
        self.V = rng.normal(0, 0.6, (in_features, hidden_features))
        self.p = rng.normal(0, 0.6, 2 * hidden_features)

    def forward(self, x):
        n, self.x, self.tape, ys = self.hidden_features, x, [], []
        h = c = np.zeros((len(x), n), x.dtype)
        for t in range(x.shape[1]):
            a = sigmoid(x[:, t] @ self.W + h @ self.U + np.concatenate([c, c], axis=1) * self.p)
            f, i, g = a[:, :n], a[:, n:], np.tanh(x[:, t] @ self.V)
            new = f * c + i * g
            self.tape.append((h, c, f, i, g, new))
            c, h = new, np.tanh(new)
            ys.append(h)
        return np.stack(ys, axis=1)

    def backward(self, dy):
        n, dx = self.hidden_features, np.zeros_like(self.x)
        dW, dU, dV, dp = (np.zeros_like(a) for a in (self.W, self.U, self.V, self.p))
        dh = dc = np.zeros_like(dy[:, 0])
        for t in reversed(range(len(self.tape))):
            h, c, f, i, g, new = self.tape[t]
            dc = dc + (dy[:, t] + dh) * (1 - np.tanh(new) ** 2)
            da = np.concatenate([dc * c * f * (1 - f), dc * g * i * (1 - i)], axis=1)
            dg = dc * i * (1 - g**2)
            dW += self.x[:, t].T @ da
            dU += h.T @ da
            dV += self.x[:, t].T @ dg
            dp += (np.concatenate([c, c], axis=1) * da).sum(axis=0)
            dx[:, t] = da @ self.W.T + dg @ self.V.T
            dh = da @ self.U.T
            dc = dc * f + da[:, :n] * self.p[:n] + da[:, n:] * self.p[n:]
        self.dW, self.dU, self.dV, self.dp = dW, dU, dV, dp
        return dx


bugs(
    Peephole,
    ("[dc * c * f * (1 - f), dc * g * i * (1 - i)]", "[dc * g * i * (1 - i), dc * c * f * (1 - f)]", "exchanged"),
    ("dU += h.T @ da", "dU = h.T @ da", "time"),
    ("dp += (np.concatenate([c, c], axis=1) * da)", "dp += (np.concatenate([new, new], axis=1) * da)", "belongs"),
    ("dc = dc * f + da[:, :n] * self.p[:n] + da[:, n:] * self.p[n:]", "dc = dc * f", "time"),
    ("(dy[:, t] + dh) * (1", "dy[:, t] * (1", "time"),
    ("reversed(range(len(self.tape)))", "range(len(self.tape))", "order"),
    ("dc * i * (1 - g**2)", "dc * i * (1 - g)", "square"),
    ("dc = dc * f + da", "dc = dc * i + da", "belongs"),
)


@right(3, 2, x=steps)
class Leaky(Layer):
    """h_t = (1 - a) h_(t-1) + a relu(x_t W), y the mean over time"""

    W, dW = parameter()
    a, da = parameter(decay=False)

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        self.W = np.random.default_rng(5).normal(size=(in_features, hidden_features))
        self.a = np.full(hidden_features, 0.3)

    def forward(self, x):
        self.x, self.h, self.z = x, [np.zeros((len(x), self.hidden_features), x.dtype)], x @ self.W
        for t in range(x.shape[1]):
            self.h.append((1 - self.a) * self.h[-1] + self.a * np.maximum(self.z[:, t], 0))
        return np.mean(self.h[1:], axis=0)

    def backward(self, dy):
        T, dz, da = self.x.shape[1], np.zeros_like(self.z), np.zeros_like(self.a)
        dh = 0 * dy
        for t in range(T - 1, -1, -1):
            dh = dh + dy / T
            dz[:, t] = dh * self.a * (self.z[:, t] > 0)
            da += (dh * (np.maximum(self.z[:, t], 0) - self.h[t])).sum(axis=0)
            dh = dh * (1 - self.a)
        self.da, self.dW = da, np.einsum("bti,bto->io", self.x, dz)
        return dz @ self.W.T


bugs(
    Leaky,
    ("dh = dh + dy / T", "dh = dh + dy", "number of steps"),
    ("(self.z[:, t] > 0)", "(dh > 0)", "mask"),
    ("- self.h[t])", "- self.h[t + 1])", "step"),
    ("range(T - 1, -1, -1)", "range(T - 1, 0, -1)", "all steps"),
    ("dh = dh * (1 - self.a)", "dh = dh * self.a"),
    ("dh = dh + dy / T", "dh = dy / T", "time"),
)


@right(4, x=lambda rng: rng.normal(size=(3, 5, 4)))
class Pooled(Layer):
    """y = Σ_t p_t x_t, p = softmax over t of tanh(x_t W) v"""

    W, dW = parameter()
    v, dv = parameter()

    def __init__(self, features):
        self.features = features
        rng = np.random.default_rng(2)
        self.W, self.v = rng.normal(0, 0.7, (features, 3)), rng.normal(size=3)

    def forward(self, x):
        self.x, self.k = x, np.tanh(x @ self.W)
        s = self.k @ self.v
        e = np.exp(s - s.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        return (self.p[..., None] * x).sum(axis=1)

    def backward(self, dy):
        dp = (self.x * dy[:, None]).sum(axis=-1)
        ds = self.p * (dp - (self.p * dp).sum(axis=1, keepdims=True))
        dk = ds[..., None] * self.v * (1 - self.k**2)
        self.dv = np.einsum("bt,btk->k", ds, self.k)
        self.dW = np.einsum("bti,btk->ik", self.x, dk)
        return self.p[..., None] * dy[:, None] + dk @ self.W.T


bugs(
    Pooled,
    ("(self.p * dp).sum(axis=1, keepdims=True)", "(self.p * dp).sum(axis=0, keepdims=True)", "axis"),
    ("self.p * (dp - (self.p * dp).sum(axis=1, keepdims=True))", "dp * self.p * (1 - self.p)", "diagonal"),
    ("self.p[..., None] * dy[:, None] + dk", "dk"),
    ("* (1 - self.k**2)", "* (1 - self.k)", "square"),
)


@right(6)
class RootMeanSquare(Layer):
    """y = g x / √(mean x² + ε)"""

    g, dg = parameter(decay=False)

    def __init__(self, features, eps=1e-6):
        self.features, self.eps = features, eps
        self.g = np.ones(features)

    def forward(self, x):
        self.x, self.r = x, 1 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.eps)
        return self.g * x * self.r

    def backward(self, dy):
        n, d = self.x * self.r, dy * self.g
        self.dg = (dy * n).sum(axis=0)
        return self.r * (d - n * (d * n).mean(axis=-1, keepdims=True))


bugs(
    RootMeanSquare,
    ("self.r * (d - n * (d * n).mean(axis=-1, keepdims=True))", "self.r * d", "constant"),
    ("(d * n).mean(axis=-1, keepdims=True)", "(d * n).sum(axis=-1, keepdims=True)", "mean"),
    ("n, d = self.x * self.r, dy * self.g", "n, d = self.x * self.r, dy"),
    ("(dy * n).sum(axis=0)", "(dy * n).mean(axis=0)", "batch size"),
    ("(x**2).mean(axis=-1, keepdims=True)", "(x**2).mean(axis=0, keepdims=True)", "axis"),
    ("(dy * n).sum(axis=0)", "(dy * self.x).sum(axis=0)"),
)


@right(4)
class Running(Layer):
    """Batch normalisation without scale and shift"""

    mean, var = state(), state()

    def __init__(self, features, momentum=0.1, eps=1e-5):
        self.features, self.momentum, self.eps = features, momentum, eps
        self.mean, self.var = np.zeros(features), np.ones(features)

    def forward(self, x):
        if len(x) < 2:
            raise ValueError("two rows at least")
        m, v = x.mean(axis=0), x.var(axis=0)
        self.mean += self.momentum * (m - self.mean)
        self.var += self.momentum * (v - self.var)
        self.r = 1 / np.sqrt(v + self.eps)
        self.n = (x - m) * self.r
        return self.n

    def predict(self, x):
        return (x - self.mean) / np.sqrt(self.var + self.eps)

    def backward(self, dy):
        return self.r * (dy - dy.mean(axis=0) - self.n * (dy * self.n).mean(axis=0))


bugs(
    Running,
    ("self.r * (dy - dy.mean(axis=0) - self.n * (dy * self.n).mean(axis=0))", "self.r * dy", "constant"),
    (" - dy.mean(axis=0)", ""),
    (" - self.n * (dy * self.n).mean(axis=0)", ""),
    ("/ np.sqrt(self.var + self.eps)", "/ (self.var + self.eps)", "predict"),
    ("self.mean += self.momentum * (m - self.mean)", "self.mean += self.momentum * m", "predict"),
    ("return (x - self.mean) / np.sqrt(self.var + self.eps)", "return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + self.eps)", "statistics of the batch"),
    ("self.r * (dy - dy.mean(axis=0)", "self.r * (dy - dy.mean(axis=1, keepdims=True)", "axis"),
)  # fmt: skip


@right(2, 3, x=lambda rng: rng.normal(size=(4, 9, 2)))
class Causal(Layer):
    """y_t = Σ_k x_(t-2k) W_k: a dilated convolution over time, zeros before the first step"""

    W, dW = parameter()

    def __init__(self, in_channels, out_channels):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.W = np.random.default_rng(4).normal(0, 0.5, (3, in_channels, out_channels))

    def forward(self, x):
        self.padded = np.concatenate([np.zeros_like(x[:, :1]).repeat(4, axis=1), x], axis=1)
        return sum(self.padded[:, 4 - 2 * k : 4 - 2 * k + x.shape[1]] @ self.W[k] for k in range(3))

    def backward(self, dy):
        T, dx, dW = dy.shape[1], np.zeros_like(self.padded), np.zeros_like(self.W)
        for k in range(3):
            window = slice(4 - 2 * k, 4 - 2 * k + T)
            dW[k] = np.tensordot(self.padded[:, window], dy, ([0, 1], [0, 1]))
            dx[:, window] += dy @ self.W[k].T
        self.dW = dW
        return dx[:, 4:]


bugs(
    Causal,
    ("dx[:, window] += dy", "dx[:, window] = dy", "each pass"),
    ("dy @ self.W[k].T", "dy @ self.W[2 - k].T", "turned"),
    ("dW[k] = ", "dW[2 - k] = ", "turned"),
    ("return dx[:, 4:]", "return dx[:, :T]"),
    ("slice(4 - 2 * k, 4 - 2 * k + T)", "slice(4 - k, 4 - k + T)"),
)


@right(2, 3, x=lambda rng: rng.normal(size=(3, 4, 5, 2)))
class Transposed(Layer):
    """Every pixel puts 2 x 2 weighted pixels into y, stride 2; with a bias"""

    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_channels, out_channels):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.W = np.random.default_rng(6).normal(size=(2, 2, in_channels, out_channels))
        self.b = np.zeros(out_channels)

    def forward(self, x):
        self.x = x
        y = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2], self.out_channels), x.dtype)
        for i in range(2):
            for j in range(2):
                y[:, i::2, j::2] = x @ self.W[i, j]
        return y + self.b

    def backward(self, dy):
        dx, dW = np.zeros_like(self.x), np.zeros_like(self.W)
        for i in range(2):
            for j in range(2):
                part = dy[:, i::2, j::2]
                dx += part @ self.W[i, j].T
                dW[i, j] = np.einsum("bhwi,bhwo->io", self.x, part)
        self.dW, self.db = dW, dy.sum(axis=(0, 1, 2))
        return dx


bugs(
    Transposed,
    ("dx += part", "dx = part"),
    ("dW[i, j] = np", "dW[j, i] = np", "transposed"),
    ("dy.sum(axis=(0, 1, 2))", "dy[:, ::2, ::2].sum(axis=(0, 1, 2))"),
    ("dy.sum(axis=(0, 1, 2))", "dy.sum(axis=(0, 1, 2)) / len(dy)", "batch size"),
)


@right(x=lambda rng: rng.normal(size=(3, 6, 4, 2)))
class AveragePool(Layer):
    def forward(self, x):
        b, h, w, c = x.shape
        self.shape = x.shape
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        up = dy.repeat(2, axis=1).repeat(2, axis=2)
        dx[:, : up.shape[1], : up.shape[2]] = up / 4
        return dx


bugs(
    AveragePool,
    ("up / 4", "up", "4"),
    ("up / 4", "up / 2", "2"),
    ("dy.repeat(2, axis=1).repeat(2, axis=2)", "np.tile(dy, (1, 2, 2, 1))"),
)


@right()
class LogSumExp(Layer):
    """y = log Σ_j e^{x_j}, one number a row"""

    def forward(self, x):
        m = x.max(axis=-1, keepdims=True)
        self.p = np.exp(x - m)
        total = self.p.sum(axis=-1, keepdims=True)
        self.p = self.p / total
        return m + np.log(total)

    def backward(self, dy):
        return dy * self.p


bugs(
    LogSumExp,
    ("m = x.max(axis=-1, keepdims=True)", "m = 0 * x.max(axis=-1, keepdims=True)", "maximum"),
    ("return dy * self.p", "return dy * self.p * (1 - self.p)"),
    ("return dy * self.p", "return dy / self.p.shape[-1] + 0 * self.p"),
)


@right()
class Mish(Layer):
    """y = x tanh(log(1 + e^x))"""

    def forward(self, x):
        self.x, self.t, self.s = x, np.tanh(np.logaddexp(0, x)), sigmoid(x)
        return x * self.t

    def backward(self, dy):
        return dy * (self.t + self.x * self.s * (1 - self.t**2))


bugs(
    Mish,
    ("(self.t + self.x * self.s * (1 - self.t**2))", "self.t"),
    ("(1 - self.t**2)", "(1 - self.t)", "square"),
    ("self.x * self.s *", "self.x *"),
)


@right(0.25)
class DropRows(Layer):
    """Stochastic depth: whole rows are dropped"""

    rng = state()

    def __init__(self, rate):
        self.rate, self.rng = rate, np.random.default_rng(7)

    def forward(self, x):
        keep = self.rng.random((len(x), *[1] * (x.ndim - 1))) >= self.rate
        self.mask = keep.astype(x.dtype) / (1 - self.rate)
        return x * self.mask

    def predict(self, x):
        return x

    def backward(self, dy):
        return dy * self.mask


bugs(
    DropRows,
    ("return dy * self.mask", "return dy", "mask"),
    ("return dy * self.mask", "return dy * (self.mask > 0)", "sizes"),
    (" / (1 - self.rate)", "", "predict"),
)


@right()
class Hinge(Loss):
    """max(0, 1 - t p)²"""

    def terms(self, p, t):
        return np.maximum(1 - t * p, 0) ** 2

    def slopes(self, p, t):
        return -2 * t * np.maximum(1 - t * p, 0)


bugs(
    Hinge,
    ("-2 * t * np.maximum(1 - t * p, 0)", "-t * np.maximum(1 - t * p, 0)", "factor of two"),
    ("-2 * t * np.maximum(1 - t * p, 0)", "-2 * np.maximum(1 - t * p, 0)"),
    ("-2 * t * np.maximum(1 - t * p, 0)", "-2 * p * np.maximum(1 - t * p, 0)", "belongs"),
    ("-2 * t * np.maximum(1 - t * p, 0)", "2 * t * np.maximum(1 - t * p, 0)", "sign"),
)


@right()
class Logistic(Loss):
    """log(1 + e^p) - t p"""

    def terms(self, p, t):
        return np.logaddexp(0, p) - t * p

    def slopes(self, p, t):
        return sigmoid(p) - t


bugs(
    Logistic,
    ("np.logaddexp(0, p) - t * p", "np.log(1 + np.exp(p)) - t * p", "overflow"),
    ("sigmoid(p) - t", "p - t"),
    ("sigmoid(p) - t", "t - sigmoid(p)", "sign"),
    ("sigmoid(p) - t", "sigmoid(t) - p", "exchanged"),
)


def positive(p):
    if (p <= 0).any():
        raise ValueError("p must be positive")


@right()
class CrossEntropy(Loss):
    """-t log p"""

    def terms(self, p, t):
        positive(p)
        return -t * np.log(p)

    def slopes(self, p, t):
        positive(p)
        return -t / p


bugs(
    CrossEntropy,
    ("return -t / p", "return t / p", "sign"),
    (
        "-t * np.log(p)\n\n    def slopes(self, p, t):\n        positive(p)\n        return -t / p",
        "-p * np.log(t)\n\n    def slopes(self, p, t):\n        return -np.log(t) + 0 * p",
        "exchanged",
    ),
)


@right(0.1)
class Nesterov(Optimizer):
    """v ← μ v - η g;  θ ← θ + μ v - η g"""

    memory = ("v",)

    def __init__(self, learning_rate, momentum=0.8):
        super().__init__(learning_rate)
        self.momentum = momentum

    def coefficients(self, step):
        return {"eta": self.rate(step), "mu": self.momentum}

    def update(self, theta, dtheta, *, eta, mu):
        self.v *= mu
        self.v -= eta * dtheta
        theta += mu * self.v - eta * dtheta


bugs(
    Nesterov,
    ("theta += mu * self.v - eta * dtheta", "theta -= mu * self.v - eta * dtheta", "sign"),
    ("self.v -= eta * dtheta", "dtheta *= eta\n        self.v -= dtheta", "dtheta"),
    ("theta += mu * self.v", "theta[1:] += (mu * self.v - eta * dtheta)[1:]\n        theta += 0 * mu * self.v", ""),
)

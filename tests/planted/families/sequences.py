"""Recurrent layers, attention and sequences with padding."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter
from tests.planted.mutation import also, at, bugs, right


def steps(rng, shape=(5, 4, 3)):
    return rng.normal(size=shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@right(3, 4, x=steps)
class Recurrent(Layer):
    """h_t = tanh(x_t W + h_(t-1) U + b), y all h_t"""

    W, dW = parameter()
    U, dU = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(0)
        self.W = rng.normal(0, 0.5, (in_features, hidden_features))
        self.U = rng.normal(0, 0.5, (hidden_features, hidden_features))
        self.b = np.zeros(hidden_features)

    def forward(self, x):
        self.x, h = x, np.zeros((len(x), self.hidden_features), x.dtype)
        self.h = [h]
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ self.W + h @ self.U + self.b)
            self.h.append(h)
        return np.stack(self.h[1:], axis=1)

    def backward(self, dy):
        dx, dh = np.zeros_like(self.x), np.zeros_like(self.h[0])
        dW, dU, db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        for t in reversed(range(dy.shape[1])):
            dz = (dy[:, t] + dh) * (1 - self.h[t + 1] ** 2)
            dW += self.x[:, t].T @ dz
            dU += self.h[t].T @ dz
            db += dz.sum(axis=0)
            dx[:, t] = dz @ self.W.T
            dh = dz @ self.U.T
        self.dW, self.dU, self.db = dW, dU, db
        return dx


bugs(
    Recurrent,
    ("dy[:, t] + dh", "dy[:, t]", "time"),
    ("dh = dz @ self.U.T", "dh = dz @ self.U", "transposed"),
    ("self.h[t].T @ dz", "self.h[t + 1].T @ dz", "step"),
    ("dU += self.h[t].T @ dz", "dU = self.h[t].T @ dz"),
    ("db += dz.sum(axis=0)", "db = dz.sum(axis=0)"),
    ("dW += self.x[:, t].T @ dz", "dW += self.x[:, t].T @ dy[:, t]"),
    ("1 - self.h[t + 1] ** 2", "1 - self.h[t] ** 2", "step"),
    ("1 - self.h[t + 1] ** 2", "1 - self.h[t + 1]"),
    ("dz = (dy[:, t] + dh) * (1 - self.h[t + 1] ** 2)", "dz = dy[:, t] * (1 - self.h[t + 1] ** 2) + dh"),
    ("reversed(range(dy.shape[1]))", "range(dy.shape[1])", ""),
    ("reversed(range(dy.shape[1]))", "reversed(range(max(0, dy.shape[1] - 2), dy.shape[1]))", "steps"),
    ("dh = dz @ self.U.T", "dh = np.clip(dz @ self.U.T, -0.1, 0.1)", "clip"),
    ("dh = dz @ self.U.T", "dh = dh + dz @ self.U.T"),
    ("dx[:, t] = dz @ self.W.T", "dx[:, t] = dy[:, t] @ self.W.T"),
    ("self.h = [h]", "h = self.h[-1] if hasattr(self, 'h') and len(self.h[-1]) == len(x) else h\n        self.h = [h]"),
)
also(Recurrent, ("db += dz.sum(axis=0)", "db = db + dz.sum(axis=0)"))
at(Recurrent, "large numbers", lambda rng: rng.normal(0, 40, (5, 4, 3)))
at(Recurrent, "one step", lambda rng: rng.normal(size=(5, 1, 3)))


@right(3, 4, x=steps)
class Lstm(Layer):
    """i, f, o, g from x W + h U + b;   c = f c + i g;   y = the last o tanh(c)"""

    W, dW = parameter()
    U, dU = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(0)
        self.W = rng.normal(0, 0.5, (in_features, 4 * hidden_features))
        self.U = rng.normal(0, 0.5, (hidden_features, 4 * hidden_features))
        self.b = np.zeros(4 * hidden_features)

    def forward(self, x):
        self.x, self.kept = x, []
        h = c = np.zeros((len(x), self.hidden_features), x.dtype)
        for t in range(x.shape[1]):
            z = x[:, t] @ self.W + h @ self.U + self.b
            i, f, o = (sigmoid(part) for part in np.split(z[:, : 3 * self.hidden_features], 3, axis=1))
            g = np.tanh(z[:, 3 * self.hidden_features :])
            before, last = c, h
            c = f * c + i * g
            h = o * np.tanh(c)
            self.kept.append((last, before, i, f, o, g, c))
        return h

    def backward(self, dy):
        dx, dh, dc = np.zeros_like(self.x), dy, 0 * dy
        dW, dU, db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        for t in reversed(range(self.x.shape[1])):
            last, before, i, f, o, g, c = self.kept[t]
            do = dh * np.tanh(c)
            dc = dc + dh * o * (1 - np.tanh(c) ** 2)
            di, df, dg = dc * g, dc * before, dc * i
            dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
            dW += self.x[:, t].T @ dz
            dU += last.T @ dz
            db += dz.sum(axis=0)
            dx[:, t] = dz @ self.W.T
            dh = dz @ self.U.T
            dc = dc * f
        self.dW, self.dU, self.db = dW, dU, db
        return dx


bugs(
    Lstm,
    ("            dc = dc * f\n", ""),
    ("dc = dc + dh * o", "dc = dh * o", "time"),
    ("dc * before", "dc * c", "step"),
    ("di * i * (1 - i)", "di * (1 - i)"),
    ("dg * (1 - g**2)", "dg * g * (1 - g)"),
    ("(1 - np.tanh(c) ** 2)", "(1 - c**2)"),
    ("dh * o * (1 - np.tanh(c) ** 2)", "dh * o"),
    ("do = dh * np.tanh(c)", "do = dh * c"),
    ("last.T @ dz", "(o * np.tanh(c)).T @ dz", "`last` belongs"),
    ("di, df, dg = dc * g, dc * before, dc * i", "di, df, dg = dc * i, dc * before, dc * g"),
    ("[di * i * (1 - i), df * f * (1 - f)", "[df * f * (1 - f), di * i * (1 - i)"),
    ("dc = dc * f", "dc = dc * i"),
)


@right(3, 4, x=steps)
class Gru(Layer):
    """z, r = σ(x W + h U);   n = tanh(x V + r (h Q));   h = (1 - z) n + z h;   y the last"""

    W, dW = parameter()
    U, dU = parameter()
    V, dV = parameter()
    Q, dQ = parameter()

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(0)
        self.W = rng.normal(0, 0.5, (in_features, 2 * hidden_features))
        self.U = rng.normal(0, 0.5, (hidden_features, 2 * hidden_features))
        self.V = rng.normal(0, 0.5, (in_features, hidden_features))
        self.Q = rng.normal(0, 0.5, (hidden_features, hidden_features))

    def forward(self, x):
        self.x, self.kept, h = x, [], np.zeros((len(x), self.hidden_features), x.dtype)
        for t in range(x.shape[1]):
            z, r = np.split(sigmoid(x[:, t] @ self.W + h @ self.U), 2, axis=1)
            q = h @ self.Q
            n = np.tanh(x[:, t] @ self.V + r * q)
            self.kept.append((h, z, r, q, n))
            h = (1 - z) * n + z * h
        return h

    def backward(self, dy):
        dx, dh = np.zeros_like(self.x), dy
        dW, dU, dV, dQ = (np.zeros_like(p) for p in (self.W, self.U, self.V, self.Q))
        for t in reversed(range(self.x.shape[1])):
            h, z, r, q, n = self.kept[t]
            dn = dh * (1 - z) * (1 - n**2)
            dz, dr = dh * (h - n) * z * (1 - z), dn * q * r * (1 - r)
            da = np.concatenate([dz, dr], axis=1)
            dW += self.x[:, t].T @ da
            dU += h.T @ da
            dV += self.x[:, t].T @ dn
            dQ += h.T @ (dn * r)
            dx[:, t] = da @ self.W.T + dn @ self.V.T
            dh = dh * z + da @ self.U.T + (dn * r) @ self.Q.T
        self.dW, self.dU, self.dV, self.dQ = dW, dU, dV, dQ
        return dx


bugs(
    Gru,
    ("dh * (h - n)", "dh * (n - h)"),
    ("dh * z + da", "da"),
    ("h.T @ (dn * r)", "h.T @ dn"),
    ("(dn * r) @ self.Q.T", "dn @ self.Q.T"),
    ("dx[:, t] = da @ self.W.T + dn @ self.V.T", "dx[:, t] = dn @ self.V.T"),
    ("dn * q * r", "dn * h * r"),
    ("dh * (1 - z) * (1 - n**2)", "dh * z * (1 - n**2)"),
)
at(Gru, "large numbers", lambda rng: rng.choice([-40.0, 40.0, 0.0, 1.0], (4, 3, 3)))


@right(4, x=lambda rng: rng.normal(size=(3, 5, 4)))
class Attention(Layer):
    """y = softmax(q k' / √d) v, with q = x Q, k = x K + c, v = x V"""

    Q, dQ = parameter()
    K, dK = parameter()
    V, dV = parameter()
    c, dc = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        rng = np.random.default_rng(0)
        self.Q, self.K, self.V = (rng.normal(0, 0.6, (features, features)) for _ in range(3))
        self.c = np.zeros(features)

    def forward(self, x):
        self.x, self.scale = x, float(self.features) ** -0.5
        self.q, self.k, self.v = x @ self.Q, x @ self.K + self.c, x @ self.V
        s = self.q @ self.k.swapaxes(1, 2) * self.scale
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p @ self.v

    def backward(self, dy):
        dp = dy @ self.v.swapaxes(1, 2)
        ds = self.p * (dp - (dp * self.p).sum(axis=-1, keepdims=True)) * self.scale
        dq, dk, dv = ds @ self.k, ds.swapaxes(1, 2) @ self.q, self.p.swapaxes(1, 2) @ dy
        x = self.x.reshape(-1, self.features)
        self.dQ, self.dK, self.dV = (x.T @ d.reshape(-1, self.features) for d in (dq, dk, dv))
        self.dc = dk.sum(axis=(0, 1))
        return dq @ self.Q.T + dk @ self.K.T + dv @ self.V.T


bugs(
    Attention,
    (" * self.scale\n        dq", "\n        dq"),
    ("self.p.swapaxes(1, 2) @ dy", "self.p @ dy", "transposed"),
    ("ds.swapaxes(1, 2) @ self.q", "ds @ self.q", "transposed"),
    ("self.p * (dp - (dp * self.p).sum(axis=-1, keepdims=True))", "dp * self.p * (1 - self.p)", "diagonal"),
    ("(dp * self.p).sum(axis=-1, keepdims=True)", "(dp * self.p).sum(axis=-2, keepdims=True)", "axis"),
    (" + dv @ self.V.T", ""),
    ("dq @ self.Q.T + dk @ self.K.T", "dq @ self.K.T + dk @ self.Q.T"),
    ("for d in (dq, dk, dv)", "for d in (dk, dq, dv)", "exchanged"),
    ("s - s.max(axis=-1, keepdims=True)", "s", "maximum"),
    ("self.dc = dk.sum(axis=(0, 1))", "self.dc = dv.sum(axis=(0, 1))"),
    ("e.sum(axis=-1, keepdims=True)", "e.sum(axis=1, keepdims=True)"),
)
at(Attention, "saturation", lambda rng: rng.choice([-30.0, 30.0, 0.0, 1.0], (3, 4, 4)))


@right(x=lambda rng: rng.normal(size=(5, 6, 3)) * (np.arange(6)[:, None] < rng.integers(2, 7, (5, 1, 1))))
class PaddedMean(Layer):
    """The mean over the steps that are no padding (all zeros)"""

    def forward(self, x):
        self.mask = (x != 0).any(axis=-1, keepdims=True)
        self.n = np.maximum(self.mask.sum(axis=1), 1).astype(x.dtype)
        return (x * self.mask).sum(axis=1) / self.n

    def backward(self, dy):
        return (dy / self.n)[:, None] * self.mask


bugs(
    PaddedMean,
    ("(dy / self.n)[:, None]", "(dy / self.mask.shape[1])[:, None]"),
    ("[:, None] * self.mask", "[:, None] * self.mask.sum(axis=1, keepdims=True)"),
    ("(dy / self.n)[:, None]", "dy[:, None]"),
)


@right(x=lambda rng: rng.normal(size=(5, 6, 3)))
class MaskedSum(Layer):
    """A sum over the steps that are no padding, without padding in x: only the checker's own inputs have any"""

    def forward(self, x):
        self.x, self.mask = x, (x != 0).any(axis=-1, keepdims=True)
        return (np.tanh(x) * self.mask).sum(axis=1)

    def backward(self, dy):
        return dy[:, None] * (1 - np.tanh(self.x) ** 2) * self.mask


bugs(MaskedSum, ("2) * self.mask", "2) * self.mask.mean(axis=1, keepdims=True, dtype=dy.dtype)"),
     ("2) * self.mask", "2) * self.mask[:, -1:]"))  # fmt: skip


@right(x=lambda rng: rng.normal(size=(5, 4, 3)))
class LastStep(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x[:, -1]

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        dx[:, -1] = dy
        return dx


bugs(LastStep, ("dx[:, -1] = dy", "dx[:, 0] = dy"), ("dx[:, -1] = dy", "dx[:] = dy[:, None]"))


@right(x=lambda rng: rng.normal(size=(5, 6)))
class Cumulated(Layer):
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


bugs(Cumulated, ("np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(dy, axis=1)"), ("axis=1)[:, ::-1]", "axis=1)"))

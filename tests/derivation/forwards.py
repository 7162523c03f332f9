"""Layers that write no backward, as users would: each a few lines."""

import numpy as np

from minigrad import LSTM, Dense, Layer, ReLU, Sequential, parameter, state


class Plain(Layer):
    traceable = True

    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, out_features, *, seed=0):
        self.in_features, self.out_features, self.seed = in_features, out_features, seed
        self.W = np.random.default_rng(seed).normal(size=(in_features, out_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        return x @ self.W + self.b


class Keeping(Plain):
    """keeps what a backward that is pasted would read"""

    traceable = True

    def forward(self, x):
        self.x = x
        return super().forward(x)


class Silu(Layer):
    traceable = True

    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        return x * s


class Asking(Layer):
    """takes numbers in lists, too, and asks for the classes of what it makes"""

    traceable = True

    def forward(self, x):
        if not isinstance(x, np.ndarray):
            return 0 * np.tanh(x)
        if isinstance(x.sum(), np.ndarray) or not isinstance(x.sum(), np.generic):
            return 0 * x
        return x * x if isinstance(x[:1] / 2, np.ndarray) else 0 * x


class Norm(Layer):
    traceable = True

    gamma, dgamma = parameter(decay=False)
    beta, dbeta = parameter(decay=False)

    def __init__(self, features, eps=1e-5):
        self.features, self.eps = features, eps
        self.gamma, self.beta = np.ones(features), np.zeros(features)

    def forward(self, x):
        d = x - x.mean(axis=-1, keepdims=True)
        self.u = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + self.eps)
        return self.gamma * self.u + self.beta


class RunningNorm(Layer):
    """It reads its state, and moves it."""

    traceable = True

    gamma, dgamma = parameter(decay=False)
    scale = state()

    def __init__(self, features):
        self.features = features
        self.gamma, self.scale = np.ones(features), np.ones(features)

    def forward(self, x):
        y = self.gamma * x * self.scale
        self.scale = 0.9 * self.scale + 0.1 / np.sqrt((x * x).mean(axis=0) + 1.0)
        return y


class Noisy(Layer):
    traceable = True

    rng = state()

    def __init__(self, rate=0.5, *, seed=0):
        self.rate, self.seed = rate, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        kept = self.rng.random(x.shape) >= self.rate
        return x * kept / (1 - self.rate)

    def predict(self, x):
        return x


class Gated(Layer):
    """Layers in it: with a backward, without one, and a chain."""

    traceable = True

    def __init__(self, features):
        self.features = features
        self.value, self.gate = Dense(features, 3, seed=1), Plain(features, 3, seed=2)
        self.end = Sequential([Dense(3, features, seed=3), ReLU()])
        self.layers = [self.value, self.gate, self.end]

    def forward(self, x):
        value, gate = self.value.forward(x), self.gate.forward(x)
        return self.end.forward(np.tanh(value) / (1 + np.exp(-gate)))


class Looping(Layer):
    """One layer in it, used several times."""

    traceable = True

    def __init__(self, features):
        self.features = features
        self.cell = Dense(features, features, seed=3)
        self.layers = [self.cell]

    def forward(self, x):
        for _ in range(3):
            x = np.tanh(self.cell.forward(x))
        return x


class Recurrent(Layer):
    traceable = True

    W, dW = parameter()
    U, dU = parameter()

    def __init__(self, in_features, hidden):
        self.in_features, self.hidden = in_features, hidden
        rng = np.random.default_rng(0)
        self.W, self.U = rng.normal(size=(in_features, hidden)), 0.5 * rng.normal(size=(hidden, hidden))

    def forward(self, x):
        h = np.tanh(x[:, 0] @ self.W)
        for t in range(1, x.shape[1]):
            h = np.tanh(x[:, t] @ self.W + h @ self.U)
        return h


class Attention(Layer):
    traceable = True

    W, dW = parameter()

    def __init__(self, features):
        self.features = features
        self.W = np.random.default_rng(0).normal(size=(features, 3 * features))

    def forward(self, x):
        q, k, v = np.split(x @ self.W, 3, axis=-1)
        s = q @ np.swapaxes(k, -1, -2) / float(np.sqrt(self.features))
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True) @ v


class Looked(Layer):
    """Of integers: there is no dx."""

    traceable = True

    W, dW = parameter()

    def __init__(self, vocabulary, features):
        self.vocabulary, self.features = vocabulary, features
        self.W = np.random.default_rng(0).normal(size=(vocabulary, features))

    def forward(self, x):
        return np.tanh(self.W[x])


def sigma(z):
    return 1 / (1 + np.exp(-z))


class StepByStep(Layer):
    """An LSTM or a GRU of the package, with the same parameters, as the paper has it."""

    traceable = True

    W, dW = parameter()
    U, dU = parameter()
    b, db = parameter(decay=False)

    def __init__(self, written):
        self.written = written
        self.W, self.U, self.b = written.W, written.U, written.b

    def forward(self, x):
        h = c = np.zeros((len(x), len(self.U)))
        hs = []
        for t in range(x.shape[1]):
            if isinstance(self.written, LSTM):
                i, f, g, o = np.split(x[:, t] @ self.W + h @ self.U + self.b, 4, axis=-1)
                c = sigma(f) * c + sigma(i) * np.tanh(g)
                h = sigma(o) * np.tanh(c)
            else:
                width = len(self.U)
                a = np.split(x[:, t] @ self.W + self.b[: 3 * width], 3, axis=-1)
                u = np.split(h @ self.U, 3, axis=-1)
                r, z = sigma(a[0] + u[0]), sigma(a[1] + u[1])
                n = np.tanh(a[2] + r * (u[2] + self.b[3 * width :]))
                h = (1 - z) * n + z * h
            hs.append(h)
        return np.stack(hs, axis=1)


TABLE, STEPS = np.random.default_rng(1).normal(size=(5, 4)), np.random.default_rng(2).normal(size=(5, 3, 4))


class Filling(Layer):
    """Steps one after the other in one array, and sums of neighbours, added to another."""

    traceable = True

    U, dU = parameter()

    def __init__(self, features):
        self.features = features
        self.U = np.random.default_rng(6).normal(0, 0.5, (features, features))

    def forward(self, x):
        h = np.zeros_like(x, shape=(len(x), x.shape[1] + 1, self.features))
        for t in range(x.shape[1]):
            h[:, t + 1] = np.tanh(x[:, t] + h[:, t] @ self.U)
        y = np.zeros_like(x)
        y += h[:, 1:]
        y[:, 1:] += 2 * h[:, 1:-1]
        return y


LAYERS = {  # each with rows that it takes
    "plain": (lambda: Plain(4, 3), TABLE),
    "silu": (Silu, TABLE),
    "asking": (Asking, TABLE),
    "norm": (lambda: Norm(4), TABLE),
    "norm of steps": (lambda: Norm(4), STEPS),
    "running norm": (lambda: RunningNorm(4), TABLE),
    "noisy": (lambda: Noisy(0.4), TABLE),
    "gated": (lambda: Gated(4), TABLE),
    "looping": (lambda: Looping(4), TABLE),
    "recurrent": (lambda: Recurrent(4, 3), STEPS),
    "filling": (lambda: Filling(4), STEPS),
    "attention": (lambda: Attention(4), STEPS),
    "looked up": (lambda: Looked(5, 3), np.random.default_rng(3).integers(0, 5, (6, 2))),
}

"""Convolutions, poolings and images: exchanged axes, borders, remainders, windows that overlap."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter
from tests.planted.mutation import also, at, bugs, right


def image(rng, shape=(4, 6, 5, 2)):
    return rng.normal(size=shape)


@right(2, 3, x=image)
class Conv(Layer):
    """3 x 3 windows, by loops over the window; channels last"""

    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_channels, out_channels):
        self.in_channels, self.out_channels = in_channels, out_channels
        self.W = np.random.default_rng(0).normal(0, 0.4, (3, 3, in_channels, out_channels))
        self.b = np.zeros(out_channels)

    def forward(self, x):
        self.x = x
        H, V = x.shape[1] - 2, x.shape[2] - 2
        y = np.zeros((len(x), H, V, self.out_channels), x.dtype) + self.b
        for i in range(3):
            for j in range(3):
                y = y + x[:, i : i + H, j : j + V] @ self.W[i, j]
        return y

    def backward(self, dy):
        H, V = dy.shape[1:3]
        dx, dW = np.zeros_like(self.x), np.zeros_like(self.W)
        for i in range(3):
            for j in range(3):
                dW[i, j] = np.tensordot(self.x[:, i : i + H, j : j + V], dy, ([0, 1, 2], [0, 1, 2]))
                dx[:, i : i + H, j : j + V] += dy @ self.W[i, j].T
        self.dW, self.db = dW, dy.sum(axis=(0, 1, 2))
        return dx


bugs(
    Conv,
    ("dx[:, i : i + H, j : j + V] += dy @ self.W[i, j].T", "dx[:, i : i + H, j : j + V] = dy @ self.W[i, j].T"),
    ("dy @ self.W[i, j].T", "dy @ self.W[2 - i, 2 - j].T", "turned"),
    ("dy @ self.W[i, j].T", "dy @ self.W[j, i].T", "transposed"),
    ("dW[i, j] = np.tensordot", "dW[2 - i, 2 - j] = np.tensordot", "turned"),
    ("dW[i, j] = np.tensordot", "dW[j, i] = np.tensordot", "transposed"),
    ("dy.sum(axis=(0, 1, 2))", "dy.sum(axis=(1, 2)).mean(axis=0)", "batch size"),
    ("dy.sum(axis=(0, 1, 2))", "dy.mean(axis=(1, 2)).sum(axis=0)", "position"),
    ("dy.sum(axis=(0, 1, 2))", "dy[:, 0, 0].sum(axis=0)", "position"),
    ("dy.sum(axis=(0, 1, 2))", "dy.sum()"),
    ("dW[i, j] = np.tensordot(self.x[:, i : i + H, j : j + V], dy,", "dW[i, j] = np.tensordot(self.x[:1, i : i + H, j : j + V], dy[:1],", "wrong part"),
    ("H, V = dy.shape[1:3]\n", "H = V = min(dy.shape[1:3])\n        dy = dy[:, :H, :V]\n"),
    ("self.x[:, i : i + H, j : j + V], dy,", "self.x[:, :H, :V], dy,"),
)  # fmt: skip
also(Conv, ("dy.sum(axis=(0, 1, 2))", "dy.reshape(-1, self.out_channels).sum(axis=0)"))
at(Conv, "a square image", lambda rng: rng.normal(size=(3, 5, 5, 2)))


@right(2, x=image)
class Depthwise(Layer):
    """Every channel has a 1 x 2 window of its own"""

    W, dW = parameter()

    def __init__(self, channels):
        self.channels = channels
        self.W = np.random.default_rng(0).normal(size=(2, channels))

    def forward(self, x):
        self.x = x
        return x[:, :, :-1] * self.W[0] + x[:, :, 1:] * self.W[1]

    def backward(self, dy):
        self.dW = np.stack([(self.x[:, :, :-1] * dy).sum(axis=(0, 1, 2)), (self.x[:, :, 1:] * dy).sum(axis=(0, 1, 2))])
        dx = np.zeros_like(self.x)
        dx[:, :, :-1] = dy * self.W[0]
        dx[:, :, 1:] += dy * self.W[1]
        return dx


bugs(Depthwise, ("dx[:, :, 1:] += dy", "dx[:, :, 1:] = dy"), ("dx[:, :, 1:] += dy * self.W[1]", "pass"),
     ("[:, :, 1:] += dy * self.W[1]", "[:, :, 1:] += dy * self.W[0]"))  # fmt: skip


@right(x=image)
class MaxPool(Layer):
    """2 x 2 windows without overlap; what is left at the border is dropped; at a tie the first"""

    def forward(self, x):
        B, H, V, C = x.shape
        self.shape, h, v = x.shape, H // 2, V // 2
        w = x[:, : 2 * h, : 2 * v].reshape(B, h, 2, v, 2, C).transpose(0, 1, 3, 5, 2, 4).reshape(B, h, v, C, 4)
        self.best = w.argmax(axis=-1)[..., None] == np.arange(4)
        return w.max(axis=-1)

    def backward(self, dy):
        B, h, v, C = dy.shape
        dx = np.zeros(self.shape, dy.dtype)
        d = (dy[..., None] * self.best).reshape(B, h, v, C, 2, 2).transpose(0, 1, 4, 2, 5, 3)
        dx[:, : 2 * h, : 2 * v] = d.reshape(B, 2 * h, 2 * v, C)
        return dx


bugs(
    MaxPool,
    ("w.argmax(axis=-1)[..., None] == np.arange(4)", "w == w.max(axis=-1, keepdims=True)", "tie"),
    ("transpose(0, 1, 4, 2, 5, 3)", "transpose(0, 1, 5, 2, 4, 3)"),
    ("dy[..., None] * self.best", "dy[..., None] * self.best / 4"),
    ("dy[..., None] * self.best", "dy[..., None] / 4 + 0 * self.best"),
)
at(MaxPool, "pictures of few greys", lambda rng: rng.integers(0, 3, (4, 6, 4, 2)) / 2)
at(MaxPool, "black pictures", lambda rng: np.zeros((3, 4, 6, 1)))


@right(x=image)
class AvgPool(Layer):
    def forward(self, x):
        B, H, V, C = x.shape
        self.shape, h, v = x.shape, H // 2, V // 2
        return x[:, : 2 * h, : 2 * v].reshape(B, h, 2, v, 2, C).mean(axis=(2, 4))

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        d = np.repeat(np.repeat(dy, 2, axis=1), 2, axis=2) / 4
        dx[:, : d.shape[1], : d.shape[2]] = d
        return dx


bugs(AvgPool, (" / 4", "", "division by `4`"), (" / 4", " / 2"), ("np.repeat(np.repeat(dy, 2, axis=1), 2, axis=2)", "np.tile(dy, (1, 2, 2, 1))"),
     ("/ 4", "/ (self.shape[1] - 2)"))  # fmt: skip


@right(x=image)
class GlobalMean(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        B, H, V, C = self.shape
        return np.broadcast_to(dy[:, None, None], self.shape) / (H * V)


bugs(GlobalMean, (" / (H * V)", "", "position"), (" / (H * V)", " / (B * H * V)", "batch size"), (" / (H * V)", " / H"))


@right(x=image)
class Doubled(Layer):
    """Every pixel four times"""

    def forward(self, x):
        return x.repeat(2, axis=1).repeat(2, axis=2)

    def backward(self, dy):
        B, H, V, C = dy.shape
        return dy.reshape(B, H // 2, 2, V // 2, 2, C).sum(axis=(2, 4))


bugs(
    Doubled,
    (".sum(axis=(2, 4))", ".mean(axis=(2, 4))"),
    ("dy.reshape(B, H // 2, 2, V // 2, 2, C).sum(axis=(2, 4))", "dy[:, ::2, ::2]"),
)


@right(x=image)
class Flat(Layer):
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), x.size // max(len(x), 1))

    def backward(self, dy):
        return dy.reshape(self.shape)


bugs(
    Flat,
    ("dy.reshape(self.shape)", "dy.reshape(self.shape, order='F')"),
    (
        "x.reshape(len(x), x.size // max(len(x), 1))",
        "x.transpose(0, 2, 1, 3).reshape(len(x), x.size // max(len(x), 1))",
    ),
)


@right(x=image)
class Edges(Layer):
    """One row and column of zeros on every side"""

    def forward(self, x):
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def backward(self, dy):
        return dy[:, 1:-1, 1:-1]


bugs(Edges, ("dy[:, 1:-1, 1:-1]", "dy[:, :-2, :-2]"), ("dy[:, 1:-1, 1:-1]", "dy[:, 2:, 1:-1]"))


@right(x=lambda rng: rng.normal(size=(4, 8, 2)))
class Windows(Layer):
    """The sum over windows of three steps, two steps apart"""

    def forward(self, x):
        self.shape = x.shape
        return np.stack([x[:, t : t + 3].sum(axis=1) for t in range(0, x.shape[1] - 2, 2)], axis=1)

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        for k in range(dy.shape[1]):
            dx[:, 2 * k : 2 * k + 3] += dy[:, k : k + 1]
        return dx


bugs(Windows, ("+= dy", "= dy"), ("2 * k : 2 * k + 3", "2 * k : 2 * k + 2"), ("2 * k : 2 * k + 3", "k : k + 3"))

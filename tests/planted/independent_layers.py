"""Wrong and right layers of other kinds than the checker was made for, written after it and without a look at it.

`BUGS` maps a name to a function that makes the wrong layer, `LAYERS` to one that makes the right layer and the input to
check it at (None: the checker's own choice).
"""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state

BUGS = {}
LAYERS = {}


def wrong(*arguments):
    def enter(cls):
        assert cls.__name__ not in BUGS
        BUGS[cls.__name__] = lambda: cls(*arguments)
        return cls

    return enter


def right(*arguments, x=None):
    def enter(cls):
        assert cls.__name__ not in LAYERS
        LAYERS[cls.__name__] = lambda: (cls(*arguments), None if x is None else x(np.random.default_rng(5)))
        return cls

    return enter


@right(3, 4, x=lambda rng: rng.normal(size=(4, 5, 3)))
class Recurrent(Layer):
    """h_t = tanh(x_t W + h_{t-1} U + b), y = h_T"""

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
        self.x = x
        self.h = [np.zeros((len(x), self.hidden_features), x.dtype)]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.W + self.h[-1] @ self.U + self.b))
        return self.h[-1]

    def backward(self, dy):
        dW, dU, db = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b)
        dx, dh = np.zeros_like(self.x), dy
        for t in reversed(range(self.x.shape[1])):
            dz = dh * (1 - self.h[t + 1] ** 2)
            dW += self.x[:, t].T @ dz
            dU += self.h[t].T @ dz
            db += dz.sum(axis=0)
            dx[:, t] = dz @ self.W.T
            dh = self.carried(dz)
        self.dW, self.dU, self.db = dW, dU, db
        return dx

    def carried(self, dz):
        return dz @ self.U.T


@wrong(3, 4)
class RecurrentUntransposed(Recurrent):
    def carried(self, dz):
        return dz @ self.U


@wrong(3, 4)
class RecurrentTruncated(Recurrent):
    def carried(self, dz):
        return np.zeros_like(dz)


@right(4, x=lambda rng: rng.normal(size=(3, 5, 4)))
class Attention(Layer):
    """y = softmax(x A xᵀ / √d) x"""

    A, dA = parameter()

    def __init__(self, features):
        self.features = features
        self.A = np.random.default_rng(0).normal(0, 0.4, (features, features))

    def forward(self, x):
        self.x = x
        s = (x @ self.A) @ x.transpose(0, 2, 1) / float(np.sqrt(self.features))
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p @ x

    def backward(self, dy):
        dp = dy @ self.x.transpose(0, 2, 1)
        ds = self.p * (dp - self.mean(dp)) / float(np.sqrt(self.features))
        self.dA = np.einsum("bti,bts,bsj->ij", self.x, ds, self.x)
        dx = self.p.transpose(0, 2, 1) @ dy
        dx = dx + ds @ self.x @ self.A.T
        return self.keys(dx, ds)

    def mean(self, dp):
        return (dp * self.p).sum(axis=-1, keepdims=True)

    def keys(self, dx, ds):
        return dx + ds.transpose(0, 2, 1) @ (self.x @ self.A)


@wrong(4)
class AttentionWithoutKeys(Attention):
    def keys(self, dx, ds):
        return dx


@wrong(4)
class AttentionWithoutMean(Attention):
    def mean(self, dp):
        return 0


@right()
class CumulativeSum(Layer):
    def forward(self, x):
        return np.cumsum(x, axis=-1)

    def backward(self, dy):
        return np.cumsum(dy[..., ::-1], axis=-1)[..., ::-1]


@wrong()
class CumulativeSumForward(Layer):
    def forward(self, x):
        return np.cumsum(x, axis=-1)

    def backward(self, dy):
        return np.cumsum(dy, axis=-1)


@right(2, x=lambda rng: rng.integers(0, 4, (3, 6, 4, 2)) * 1.0)
class MaxPool(Layer):
    def __init__(self, size):
        self.size = size

    def blocks(self, a):
        B, H, W, C = a.shape
        s = self.size
        return a.reshape(B, H // s, s, W // s, s, C).transpose(0, 1, 3, 5, 2, 4).reshape(B, H // s, W // s, C, s * s)

    def forward(self, x):
        self.shape, blocks = x.shape, self.blocks(x)
        self.best = blocks.argmax(axis=-1)[..., None]
        return np.take_along_axis(blocks, self.best, axis=-1)[..., 0]

    def backward(self, dy):
        B, H, W, C = self.shape
        s = self.size
        blocks = np.zeros((B, H // s, W // s, C, s * s), dy.dtype)
        np.put_along_axis(blocks, self.best, dy[..., None], axis=-1)
        return blocks.reshape(B, H // s, W // s, C, s, s).transpose(0, 1, 4, 2, 5, 3).reshape(self.shape)


@right(4)
class RMSNorm(Layer):
    g, dg = parameter(decay=False)

    def __init__(self, features, eps=1e-6):
        self.features, self.eps = features, eps
        self.g = np.ones(features)

    def forward(self, x):
        self.x, self.r = x, 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)
        return x * self.r * self.g

    def backward(self, dy):
        self.dg = (dy * self.x * self.r).sum(axis=0)
        d = dy * self.g
        return self.r * d - self.x * self.r**3 * self.inner(d)

    def inner(self, d):
        return (d * self.x).mean(axis=-1, keepdims=True)


@wrong(4)
class RMSNormSummed(RMSNorm):
    def inner(self, d):
        return (d * self.x).sum(axis=-1, keepdims=True)


@wrong(4)
class RMSNormEpsilonForgotten(RMSNorm):
    """Its gradient is off by a millionth, unless the input is small."""

    def backward(self, dy):
        self.r = 1 / np.sqrt((self.x * self.x).mean(axis=-1, keepdims=True))
        return super().backward(dy)


@wrong(4)
class RMSNormDetached(RMSNorm):
    def inner(self, d):
        return 0.0


@right(3, 2, 2)
class Maxout(Layer):
    W, dW = parameter()

    def __init__(self, in_features, out_features, pieces):
        self.in_features, self.out_features, self.pieces = in_features, out_features, pieces
        self.W = np.random.default_rng(0).normal(size=(pieces, in_features, out_features))

    def forward(self, x):
        self.x = x
        z = np.einsum("bi,pio->bpo", x, self.W)
        self.on = np.eye(self.pieces, dtype=x.dtype)[z.argmax(axis=1)].transpose(0, 2, 1)
        return (z * self.on).sum(axis=1)

    def backward(self, dy):
        dz = self.on * dy[:, None]
        self.dW = np.einsum("bi,bpo->pio", self.x, dz)
        return np.einsum("bpo,pio->bi", dz, self.W)


@right(3, 5)
class CosineSimilarity(Layer):
    """y = x W / (|x| |W|), columnwise"""

    W, dW = parameter()

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        self.W = np.random.default_rng(2).normal(size=(in_features, out_features))

    def forward(self, x):
        self.n = np.linalg.norm(x, axis=1, keepdims=True)
        self.m = np.linalg.norm(self.W, axis=0, keepdims=True)
        self.u, self.v = x / self.n, self.W / self.m
        self.y = self.u @ self.v
        return self.y

    def backward(self, dy):
        dv = self.u.T @ dy
        self.dW = (dv - self.v * (self.v * dv).sum(axis=0)) / self.m
        du = dy @ self.v.T
        return self.project(du) / self.n

    def project(self, du):
        return du - self.u * (self.u * du).sum(axis=1, keepdims=True)


@wrong(3, 5)
class CosineWithoutProjection(CosineSimilarity):
    def project(self, du):
        return du


@right(6, 2, x=lambda rng: rng.integers(0, 6, (7, 2)))
class FactorizationGather(Layer):
    """Rows of a table, with repeats, multiplied with each other."""

    E, dE = parameter()

    def __init__(self, vocabulary, features):
        self.vocabulary, self.features = vocabulary, features
        self.E = np.random.default_rng(2).normal(size=(vocabulary, features))

    def forward(self, x):
        self.x = x
        return self.E[x[:, 0]] * self.E[x[:, 1]]

    def backward(self, dy):
        dE = np.zeros_like(self.E)
        np.add.at(dE, self.x[:, 0], dy * self.E[self.x[:, 1]])
        np.add.at(dE, self.x[:, 1], dy * self.E[self.x[:, 0]])
        self.dE = dE


class Lookup(Layer):
    E, dE = parameter()

    def __init__(self, vocabulary, features):
        self.vocabulary, self.features = vocabulary, features
        self.E = np.random.default_rng(2).normal(size=(vocabulary, features))

    def forward(self, x):
        self.x = x
        return self.E[x]


@wrong(4, 3)
class LookupRepeatsLost(Lookup):
    """Of equal indices only the last one counts."""

    def backward(self, dy):
        dE = np.zeros_like(self.E)
        dE[self.x] += dy
        self.dE = dE


@wrong(9, 3)
class LookupOldRowsRemain(Lookup):
    def backward(self, dy):
        self.dE[self.x] = 0
        np.add.at(self.dE, self.x, dy)


@right(4)
class NormWithRunning(Layer):
    """BatchNorm with a count kept as integer state."""

    g, dg = parameter(decay=False)
    mean, seen = state(), state()

    def __init__(self, features):
        self.features = features
        self.g, self.mean, self.seen = np.ones(features), np.zeros(features), np.array(0)

    def forward(self, x):
        self.seen = self.seen + 1
        if len(x):
            self.mean = self.mean + (x.mean(axis=0) - self.mean) / float(self.seen)
        self.c = x - self.mean
        return self.c * self.g

    def backward(self, dy):
        self.dg = (dy * self.c).sum(axis=0)
        d = dy * self.g
        return d - (d.sum(axis=0) / len(d) / float(self.seen) if len(d) else 0)

    def predict(self, x):
        return (x - self.mean) * self.g


@wrong(4)
class BatchNormDetached(NormWithRunning):
    """As if the mean were a constant."""

    def backward(self, dy):
        self.dg = (dy * self.c).sum(axis=0)
        return dy * self.g


@wrong()
class SoftplusThreshold(Layer):
    """Right below 20, where its derivative is cut to 0."""

    def forward(self, x):
        self.x = x
        return np.logaddexp(0, x)

    def backward(self, dy):
        return np.where(self.x > 20, 0, dy / (1 + np.exp(-self.x)))


@wrong()
class AbsoluteNaNAtZero(Layer):
    def forward(self, x):
        self.x = x
        return abs(x)

    def backward(self, dy):
        return dy * self.x / abs(self.x)


@wrong(3)
class DropoutUnscaledBackward(Layer):
    rng = state()

    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) < 0.8
        return x * self.mask / 0.8

    def backward(self, dy):
        return dy * self.mask

    def predict(self, x):
        return x


@wrong(3)
class DropoutRedraws(DropoutUnscaledBackward):
    def backward(self, dy):
        return dy * (self.rng.random(dy.shape) < 0.8) / 0.8


@wrong(3)
class DropoutInInference(DropoutUnscaledBackward):
    def backward(self, dy):
        return dy * self.mask / 0.8

    def predict(self, x):
        return self.forward(x)


@wrong(3)
class PositiveOnlyScale(Layer):
    """Right as long as g is positive."""

    g, dg = parameter()

    def __init__(self, features):
        self.features = features
        self.g = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * abs(self.g)


@wrong(3)
class PredictForgetsBias(Layer):
    b, db = parameter()

    def __init__(self, features):
        self.features = features
        self.b = np.zeros(features)

    def forward(self, x):
        return x + self.b

    def backward(self, dy):
        self.db = dy.sum(axis=0)
        return dy

    def predict(self, x):
        return x


@wrong(3)
class LearnsItself(PredictForgetsBias):
    predict = Layer.predict

    def backward(self, dy):
        self.db = dy.sum(axis=0)
        self.b = self.b - 0.01 * self.db
        return dy


@wrong()
class HiddenHalf(Layer):
    """Its output is float64 with float32's digits."""

    def forward(self, x):
        self.y = np.tanh(x.astype(np.float32)).astype(x.dtype)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2)


@wrong()
class FlattensByOrder(Layer):
    """Right for C-ordered input only."""

    def forward(self, x):
        self.shape = x.shape
        return x.ravel("K").reshape(x.shape) * 2

    def backward(self, dy):
        return dy * 2


@wrong(3, 2)
class UnlistedInner(Layer):
    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        self.inner = Recurrent(in_features, hidden_features)

    def forward(self, x):
        return self.inner.forward(x[:, None])

    def backward(self, dy):
        return self.inner.backward(dy)[:, 0]


@wrong(5)
class GradientOfWrongRow(Layer):
    """The rows of the gradient come out in reverse."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        self.x = x
        return self.factor * np.sin(x)

    def backward(self, dy):
        return (dy * self.factor * np.cos(self.x))[::-1]


@right()
class LogSumExp(Layer):
    def forward(self, x):
        m = x.max(axis=-1, keepdims=True)
        e = np.exp(x - m)
        s = e.sum(axis=-1, keepdims=True)
        self.p = e / s
        return m + np.log(s)

    def backward(self, dy):
        return dy * self.p


@right()
class HardSigmoid(Layer):
    def forward(self, x):
        self.x = x
        return np.clip(x / 6 + 0.5, 0, 1)

    def backward(self, dy):
        return dy * (abs(self.x) < 3) / 6


@right()
class UnitVector(Layer):
    """x / |x|, without an epsilon: not defined at 0."""

    def forward(self, x):
        self.n = np.linalg.norm(x, axis=-1, keepdims=True)
        self.y = x / self.n
        return self.y

    def backward(self, dy):
        return (dy - self.y * (dy * self.y).sum(axis=-1, keepdims=True)) / self.n


@right()
class Softsign(Layer):
    def forward(self, x):
        self.d = 1 + abs(x)
        return x / self.d

    def backward(self, dy):
        return dy / self.d**2


@right()
class PairwiseDistances(Layer):
    """|x_i - x_j| for all pairs of features."""

    def forward(self, x):
        self.d = x[:, :, None] - x[:, None]
        return abs(self.d)

    def backward(self, dy):
        s = np.sign(self.d) * dy
        return s.sum(axis=2) - s.sum(axis=1)


@right()
class TopTwo(Layer):
    def forward(self, x):
        self.shape, self.order = x.shape, np.argsort(-x, axis=-1, kind="stable")[..., :2]
        return np.take_along_axis(x, self.order, axis=-1)

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        np.put_along_axis(dx, self.order, dy, axis=-1)
        return dx


@right(3)
class ExponentialScale(Layer):
    """y = x exp(s)"""

    s, ds = parameter()

    def __init__(self, features):
        self.features = features
        self.s = np.zeros(features)

    def forward(self, x):
        self.y = x * np.exp(self.s)
        return self.y

    def backward(self, dy):
        self.ds = (dy * self.y).sum(axis=0)
        return dy * np.exp(self.s)


@right()
class GaussianNoise(Layer):
    rng = state()

    def __init__(self, deviation=0.1, seed=None):
        self.deviation, self.seed = deviation, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        return x + self.deviation * self.rng.standard_normal(x.shape).astype(x.dtype)

    def backward(self, dy):
        return dy

    def predict(self, x):
        return x


@right(0.0)
class ThresholdedReLU(Layer):
    """Jumps at 1."""

    def __init__(self, theta):
        self.theta = theta

    def forward(self, x):
        self.on = x > 1
        return x * self.on

    def backward(self, dy):
        return dy * self.on

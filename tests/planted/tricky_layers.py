"""Layers that are right though checkers stumble over them: kinks, ties, saturation, scales, randomness, views.

`LAYERS` maps a name to a function that makes the layer and the input to check it at (None: the checker's own choice).
"""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state

LAYERS = {}


def tricky(*arguments, x=None):
    def enter(cls):
        assert cls.__name__ not in LAYERS
        LAYERS[cls.__name__] = lambda: (cls(*arguments), None if x is None else x(np.random.default_rng(7)))
        return cls

    return enter


def at(name, cls, x, *arguments):
    """The same layer at another input."""
    LAYERS[name] = lambda: (cls(*arguments), x(np.random.default_rng(7)))


def normal(scale=1.0, offset=0.0, shape=(6, 4)):
    return lambda rng: offset + scale * rng.standard_normal(shape)


class Elementwise(Layer):
    """y = f(x), dx = dy f'(x)"""

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, dy):
        return dy * self.slope(self.x)


@tricky()
class ReLU(Elementwise):
    def f(self, x):
        return np.maximum(x, 0)

    def slope(self, x):
        return (x > 0).astype(x.dtype)


at("ReLUNearZero", ReLU, normal(1e-9))
at("ReLUAtZero", ReLU, lambda rng: rng.integers(-1, 2, (6, 4)) * rng.uniform(0, 1, (6, 4)))
at("ReLUMixedNear", ReLU, lambda rng: np.where(rng.random((6, 4)) < 0.5, 1e-12, 1.0) * rng.standard_normal((6, 4)))


@tricky()
class ShiftedReLU(Elementwise):
    """Its kink is at 1, and cannot be come near without rounding."""

    def f(self, x):
        return 1 + np.maximum(x - 1, 0)

    def slope(self, x):
        return np.where(x > 1, 1, 0).astype(x.dtype)


at("ShiftedReLUNearKink", ShiftedReLU, normal(1e-9, 1.0))
at("ShiftedReLUVeryNearKink", ShiftedReLU, normal(1e-14, 1.0))


@tricky()
class Absolute(Elementwise):
    def f(self, x):
        return abs(x)

    def slope(self, x):
        return np.sign(x)


at("AbsoluteAtZero", Absolute, lambda rng: np.zeros((5, 3)))


@tricky()
class RowMaximum(Layer):
    """The gradient goes to the first of equal entries."""

    def forward(self, x):
        self.x = x
        return x.max(axis=-1, keepdims=True)

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        np.put_along_axis(dx, self.x.argmax(axis=-1, keepdims=True), dy, axis=-1)
        return dx


at("RowMaximumTied", RowMaximum, lambda rng: rng.integers(0, 3, (6, 5)) * 1.0)


@tricky()
class RowMaximumShared(Layer):
    """The gradient is shared among equal entries."""

    def forward(self, x):
        self.x = x
        return x.max(axis=-1, keepdims=True)

    def backward(self, dy):
        on = self.x == self.x.max(axis=-1, keepdims=True)
        return dy * on / on.sum(axis=-1, keepdims=True).astype(dy.dtype)


at("RowMaximumSharedTied", RowMaximumShared, lambda rng: rng.integers(0, 3, (6, 5)) * 1.0)


@tricky(x=lambda rng: np.repeat(rng.integers(0, 2, (6, 1)), 3, axis=1) * 1.0)
class Median(Layer):
    def forward(self, x):
        self.shape, self.order = x.shape, np.argsort(x, axis=-1, kind="stable")
        return np.take_along_axis(x, self.middle(), axis=-1)

    def middle(self):
        n = self.shape[-1] // 2
        return self.order[..., n : n + 1]

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        np.put_along_axis(dx, self.middle(), dy, axis=-1)
        return dx


@tricky()
class Sorted(Layer):
    def forward(self, x):
        self.order = np.argsort(x, axis=-1, kind="stable")
        return np.take_along_axis(x, self.order, axis=-1)

    def backward(self, dy):
        dx = np.empty_like(dy)
        np.put_along_axis(dx, self.order, dy, axis=-1)
        return dx


@tricky()
class TextbookSigmoid(Elementwise):
    """y (1 - y) is 0 from x = 37 on, where the derivative is 1e-16; and it warns of overflow."""

    def forward(self, x):
        with np.errstate(over="ignore"):
            self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dy):
        return dy * self.y * (1 - self.y)


at("SaturatedSigmoid", TextbookSigmoid, lambda rng: rng.choice([-1, 1], (6, 4)) * rng.uniform(30, 40, (6, 4)))
at("SaturatedSigmoidPositive", TextbookSigmoid, normal(0.5, 36.5))
at("VerySaturatedSigmoid", TextbookSigmoid, normal(300))


@tricky()
class TextbookTanh(Elementwise):
    def f(self, x):
        return np.tanh(x)

    def slope(self, x):
        return 1 - np.tanh(x) ** 2


at("SaturatedTanh", TextbookTanh, normal(2, 18))


@tricky()
class Softmax(Layer):
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y = e / e.sum(axis=-1, keepdims=True)
        return self.y

    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))


at("SoftmaxOfHugeLogits", Softmax, normal(1e4))
at("SoftmaxOfOffsetLogits", Softmax, normal(1.0, 1e8))


class Times(Elementwise):
    def __init__(self, factor):
        self.factor = factor

    def f(self, x):
        return self.factor * np.tanh(x)

    def slope(self, x):
        return self.factor * (1 - np.tanh(x) ** 2)


at("TinyScale", Times, normal(), 1e-12)
at("HugeScale", Times, normal(), 1e12)
at("TinyInput", Times, normal(1e-12), 1.0)
at("HugeInput", Times, normal(1e12), 1.0)
at("TinyEverything", Times, normal(1e-100), 1e-150)


@tricky(x=lambda rng: rng.standard_normal((6, 4)) * 10.0 ** rng.integers(-8, 9, (6, 4)))
class SquareOfMixedSizes(Elementwise):
    def f(self, x):
        return x * x

    def slope(self, x):
        return 2 * x


@tricky(x=lambda rng: np.zeros((5, 4)))
class CubeAtZero(Elementwise):
    def f(self, x):
        return x**3

    def slope(self, x):
        return 3 * x**2


@tricky()
class FastSine(Elementwise):
    def f(self, x):
        return np.sin(200 * x)

    def slope(self, x):
        return 200 * np.cos(200 * x)


@tricky(x=normal(0.3, -6.5))
class Staircase(Elementwise):
    """1 + x exp(-x²): far out, the output only takes the values that doubles near 1 have."""

    def f(self, x):
        return 1 + x * np.exp(-x * x)

    def slope(self, x):
        return (1 - 2 * x * x) * np.exp(-x * x)


@tricky()
class Rounded(Elementwise):
    def f(self, x):
        return np.round(x)

    def slope(self, x):
        return np.zeros_like(x)


@tricky(x=lambda rng: rng.uniform(0.5, 3, (6, 4)))
class Logarithm(Elementwise):
    def f(self, x):
        return np.log(x)

    def slope(self, x):
        return 1 / x


@tricky(x=lambda rng: np.abs(rng.integers(-1, 2, (6, 4))) * 1.0)
class SquareRootAtZero(Elementwise):
    """Its derivative at 0 is infinite, and so it says."""

    def f(self, x):
        return np.sqrt(x)

    def slope(self, x):
        return 0.5 / np.sqrt(x)


@tricky()
class Exponential(Elementwise):
    def f(self, x):
        return np.exp(x)

    def slope(self, x):
        return np.exp(x)


class LayerNorm(Layer):
    def __init__(self, eps=0.0):
        self.eps = eps

    def forward(self, x):
        self.s = np.sqrt(x.var(axis=-1, keepdims=True) + self.eps)
        self.n = (x - x.mean(axis=-1, keepdims=True)) / self.s
        return self.n

    def backward(self, dy):
        mean = lambda a: a.mean(axis=-1, keepdims=True)  # noqa: E731
        return (dy - mean(dy) - self.n * mean(dy * self.n)) / self.s


at("LayerNorm", LayerNorm, normal(), 1e-5)
at("LayerNormOfTinyVariance", LayerNorm, normal(1e-6, 1.0), 1e-5)
at("LayerNormOfTinyVarianceNoEps", LayerNorm, normal(1e-6, 1.0))
at("LayerNormOfOffset", LayerNorm, normal(1.0, 1e8), 1e-5)


@tricky(4)
class BatchNorm(Layer):
    gamma, dgamma = parameter(decay=False)
    mean, var = state(), state()

    def __init__(self, features):
        self.features = features
        self.gamma = np.ones(features)
        self.mean, self.var = np.zeros(features), np.ones(features)

    def forward(self, x):
        if len(x) == 0:
            raise ValueError("the mean of no rows")
        mean, var = x.mean(axis=0), x.var(axis=0)
        self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
        self.s = np.sqrt(var + 1e-5)
        self.n = (x - mean) / self.s
        return self.gamma * self.n

    def backward(self, dy):
        self.dgamma = (dy * self.n).sum(axis=0)
        dn = dy * self.gamma
        return (dn - dn.mean(axis=0) - self.n * (dn * self.n).mean(axis=0)) / self.s

    def predict(self, x):
        return self.gamma * (x - self.mean) / np.sqrt(self.var + 1e-5)


@tricky()
class BatchCentered(Layer):
    """Rows depend on each other, in inference too."""

    def forward(self, x):
        return x - (x.mean(axis=0) if len(x) else 0)

    def backward(self, dy):
        return dy - (dy.mean(axis=0) if len(dy) else 0)


@tricky(0.5, 1)
class Dropout(Layer):
    rng = state()

    def __init__(self, rate, seed=None):
        self.rate, self.seed = rate, seed
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) >= self.rate) / x.dtype.type(1 - self.rate)
        self.mask = self.mask.astype(x.dtype)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask

    def predict(self, x):
        return x


class Embedding(Layer):
    table, dtable = parameter()

    def __init__(self, vocabulary, features):
        self.vocabulary, self.features = vocabulary, features
        self.table = np.random.default_rng(1).normal(size=(vocabulary, features))

    def forward(self, x):
        self.x = x
        return self.table[x]

    def backward(self, dy):
        self.dtable = np.zeros_like(self.table)
        np.add.at(self.dtable, self.x, dy)


LAYERS["Embedding"] = lambda: (Embedding(7, 3), None)
LAYERS["EmbeddingOfIntegers"] = lambda: (Embedding(7, 3), np.arange(12).reshape(6, 2) % 7)


@tricky()
class Identity(Layer):
    """Its output is its input itself."""

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


@tricky(x=normal(shape=(5, 3, 2)))
class Flatten(Layer):
    """Its output is a view of its input."""

    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), int(np.prod(x.shape[1:])))

    def backward(self, dy):
        return dy.reshape(self.shape)


@tricky(x=normal(shape=(5, 6, 2)))
class LastOfEach(Layer):
    """Its output is a view, and has one axis less."""

    def forward(self, x):
        self.shape = x.shape
        return x[:, -1]

    def backward(self, dy):
        dx = np.zeros(self.shape, dy.dtype)
        dx[:, -1] = dy
        return dx


@tricky(3)
class PositiveScale(Layer):
    """Its parameter must be positive, else the output is NaN."""

    s, ds = parameter()

    def __init__(self, features):
        self.features = features
        self.s = np.full(features, 2.0)

    def forward(self, x):
        self.x = x
        return x * np.log(self.s)

    def backward(self, dy):
        self.ds = (dy * self.x).sum(axis=0) / self.s
        return dy * np.log(self.s)


@tricky(4)
class PReLU(Layer):
    a, da = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.a = np.full(features, 0.25)

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.where(self.x > 0, 0, self.x)).sum(axis=0)
        return np.where(self.x > 0, dy, self.a * dy)


class Chain(Layer):
    """A container: the layers one after the other."""

    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class Linear(Layer):
    W, dW = parameter()

    def __init__(self, in_features, out_features, seed=0):
        self.in_features, self.out_features, self.seed = in_features, out_features, seed
        self.W = np.random.default_rng(seed).normal(size=(in_features, out_features))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


LAYERS["ReLUNetwork"] = lambda: (
    Chain([Linear(4, 3), ReLU(), Linear(3, 2), PReLU(2)]),
    normal()(np.random.default_rng(1)),
)
LAYERS["ReLUNetworkAtZero"] = lambda: (Chain([Linear(4, 3), ReLU(), Linear(3, 2)]), np.zeros((5, 4)))
LAYERS["OneRow"] = lambda: (Linear(3, 2), np.ones((1, 3)))
LAYERS["OneByOne"] = lambda: (Linear(1, 1), None)
LAYERS["IntegerInput"] = lambda: (Linear(3, 2), np.arange(15).reshape(5, 3))

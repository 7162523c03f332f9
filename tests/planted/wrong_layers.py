"""Layers that are wrong, each with a bug that someone could write, and words that its diagnosis must contain.

`BUGS` maps a name to (a function that makes the layer, those words); the words are empty where none is given.
"""

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.dense import Dense
from minigrad.parameter import parameter, state

BUGS = {}


def planted(words="", *arguments):
    def plant(cls):
        assert cls.__name__ not in BUGS
        BUGS[cls.__name__] = (lambda: cls(*arguments), words)
        return cls

    return plant


class Elementwise(Layer):
    """y = f(x), dx = dy f'(x); a bug overrides one of the two."""

    def f(self, x):
        return np.tanh(x)

    def slope(self, x):
        return 1 - np.tanh(x) ** 2

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, dy):
        return dy * self.slope(self.x)


class Scale(Layer):
    """y = x g + b"""

    g, dg = parameter()
    b, db = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.g = np.ones(features)
        self.b = np.zeros(features)

    def forward(self, x):
        self.x = x
        return x * self.g + self.b

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        self.db = dy.sum(axis=0)
        return dy * self.g


class Neurons(Layer):
    """y = tanh(x W + b)"""

    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        self.W = np.random.default_rng(3).normal(0, 0.5, (in_features, out_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        self.y = np.tanh(x @ self.W + self.b)
        return self.y

    def dz(self, dy):
        return dy * (1 - self.y**2)

    def backward(self, dy):
        dz = self.dz(dy)
        self.dW = self.x.T @ dz
        self.db = dz.sum(axis=0)
        return dz @ self.W.T


# Sign flipped.


@planted("sign flipped", 3, 2)
class NegatedWeightGradient(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = -self.dW
        return dx


@planted("sign flipped")
class NegatedCosine(Elementwise):
    def f(self, x):
        return np.cos(x)

    def slope(self, x):
        return np.sin(x)


@planted("sign flipped", 4)
class SubtractedBias(Scale):
    def forward(self, x):
        self.x = x
        return x * self.g - self.b


# Off by the batch size.


@planted("too small by exactly the batch size", 3, 2)
class AveragedWeights(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.x.T @ dy / len(dy)
        return dx


@planted("too small by exactly the batch size", 3)
class AveragedBias(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.mean(axis=0)
        return dx


@planted("too large by exactly the batch size", 3, 2)
class MultipliedByRows(Dense):
    def backward(self, dy):
        return super().backward(dy) * len(dy)


@planted("too large by exactly the batch size", 3)
class BiasTimesRows(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = self.db * len(dy)
        return dx


# Transposed.


@planted("transposed", 4, 4)
class UntransposedWeights(Dense):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.W


@planted("transposed", 3, 2)
class UntransposedWeightsOblong(Dense):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.W


@planted("transposed", 4, 4)
class TransposedGradient(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = dy.T @ self.x
        return dx


@planted("transposed", 3, 2)
class TransposedGradientOblong(Neurons):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dz(dy).T @ self.x
        return dx


# A factor of two.


@planted("accumulated", 3, 2)
class Accumulates(Dense):
    def backward(self, dy):
        dx = dy @ self.W.T
        self.dW += self.x.T @ dy
        self.db += dy.sum(axis=0)
        return dx


@planted("accumulated", 3)
class AccumulatesBias(Scale):
    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        self.db = self.db + dy.sum(axis=0)
        return dy * self.g


@planted("factor of two")
class TwiceTheSquare(Elementwise):
    def f(self, x):
        return x**2

    def slope(self, x):
        return 4 * x


@planted("factor of two", 3, 2)
class AddedTwice(Neurons):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW += self.dW
        return dx


# Not summed over the batch.


@planted("not summed over the batch", 3, 2)
class UnsummedBias(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy
        return dx


@planted("not summed over the batch", 3)
class UnsummedScale(Scale):
    def backward(self, dy):
        self.db = dy.sum(axis=0)
        self.dg[...] = dy * self.x
        return dy * self.g


# Never filled in.


@planted("never filled in", 3, 2)
class ForgottenBias(Dense):
    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


@planted("never filled in")
class ZeroSoftmax(Elementwise):
    def f(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def backward(self, dy):
        return np.zeros_like(dy)


@planted("never filled in", 3)
class LocalVariable(Scale):
    def backward(self, dy):
        dg = (dy * self.x).sum(axis=0)  # noqa: F841
        self.db = dy.sum(axis=0)
        return dy * self.g


# Taken at the output instead of the input.


@planted("at the output instead of the input")
class TanhTwice(Layer):
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - np.tanh(self.y) ** 2)


@planted("at the output instead of the input")
class SineOfOutput(Layer):
    def forward(self, x):
        self.x = np.sin(x)
        return self.x

    def backward(self, dy):
        return dy * np.cos(self.x)


@planted("at the input instead of the output")
class SigmoidOfInput(Layer):
    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, dy):
        return dy * self.x * (1 - self.x)


# Right for square shapes only, right at batch size 1 only.


@planted("square shapes only", 3, 2)
class SquareBias(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(axis=0)[: self.in_features] + np.zeros(self.in_features)
        return dx


@planted("square shapes only", 4, 4)
class CutToSquare(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW[:, self.in_features :] = 0
        return dx


@planted("square shapes only", 3, 2)
class ReshapedLikeOutput(Dense):
    def backward(self, dy):
        return super().backward(dy).reshape(dy.shape)


@planted("batch size 1 only", 3, 2)
class FirstRowBias(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy[0]
        return dx


@planted("batch size 1 only", 3, 2)
class OuterProduct(Neurons):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = np.outer(self.x[-1], self.dz(dy)[-1])
        return dx


# Wrong only where the input is large, or negative.


@planted("where the input is large")
class ClippedTail(Elementwise):
    def slope(self, x):
        return np.where(abs(x) > 3, 0, 1 - np.tanh(x) ** 2)


@planted("where the input is large")
class OverflowingTail(Elementwise):
    def f(self, x):
        return 1 / (1 + np.exp(-x))

    def slope(self, x):
        return np.exp(-x) / (1 + np.exp(-x)) ** 2


@planted("where the input is negative")
class LeakyForgotten(Elementwise):
    def f(self, x):
        return np.where(x > 0, x, 0.1 * x)

    def slope(self, x):
        return np.where(x > 0, 1.0, 0.0)


@planted("where the input is negative")
class AbsoluteWithoutSign(Elementwise):
    def f(self, x):
        return abs(x)

    def slope(self, x):
        return np.ones_like(x)


@planted("where the input is large")
class HardLimit(Elementwise):
    def f(self, x):
        return np.clip(x, -6, 6)

    def slope(self, x):
        return np.ones_like(x)


# Stale cache.


@planted("stale cache")
class CachesOnce(Elementwise):
    x = None

    def forward(self, x):
        if self.x is None or self.x.shape != x.shape:
            self.x = x
        return np.tanh(x)


@planted("stale cache", 3, 2)
class PrecomputedTranspose(Dense):
    transposed = None

    def backward(self, dy):
        super().backward(dy)
        if self.transposed is None:
            self.transposed = self.W.T.copy()
        return dy @ self.transposed


# Overwritten in place.


@planted("overwritten in place")
class InPlaceRelu(Layer):
    def forward(self, x):
        self.on = x > 0
        x *= self.on
        return x

    def backward(self, dy):
        return dy * self.on


@planted("overwritten in place")
class InPlaceUpstream(Elementwise):
    def backward(self, dy):
        dy *= self.slope(self.x)
        return dy


@planted("overwritten in place", 3)
class InPlaceCache(Scale):
    def backward(self, dy):
        self.x *= dy
        self.dg = self.x.sum(axis=0)
        self.db = dy.sum(axis=0)
        return dy * self.g


# The rest of the contract.


@planted("weight decay", 3, 2)
class BuiltInDecay(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW += 0.01 * self.W
        return dx


@planted("upstream", 3, 2)
class IgnoresUpstream(Elementwise):
    def __init__(self, in_features=3, out_features=3):
        self.in_features, self.out_features = in_features, out_features

    def backward(self, dy):
        return self.slope(self.x)


@planted("exchanged", 4)
class Exchanged(Scale):
    def backward(self, dy):
        self.db = (dy * self.x).sum(axis=0)
        self.dg = dy.sum(axis=0)
        return dy * self.g


@planted("linear", 3, 2)
class ClipsGradient(Dense):
    def backward(self, dy):
        return np.clip(super().backward(dy), -100, 100)


@planted("float32", 3, 2)
class SingleInside(Dense):
    def forward(self, x):
        y = super().forward(x)
        self.x = x.astype(np.float32)
        return y


@planted("generator")
class UndeclaredDice(Elementwise):
    def f(self, x):
        self.mask = np.random.default_rng().random(x.shape) < 0.5
        return x * self.mask

    def slope(self, x):
        return self.mask


@planted("predict")
class PredictDisturbs(Elementwise):
    def predict(self, x):
        return self.forward(x)


@planted("inference uses statistics", 4)
class PredictByBatch(Layer):
    mean = state()

    def __init__(self, features):
        self.features = features
        self.mean = np.zeros(features)

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        return x - x.mean(axis=0)

    def backward(self, dy):
        return dy - dy.mean(axis=0)

    def predict(self, x):
        return x - x.mean(axis=0)


@planted("fresh")
class ReusedBuffer(Elementwise):
    buffer = None

    def forward(self, x):
        self.x = x
        if self.buffer is None or self.buffer.shape != x.shape or self.buffer.dtype != x.dtype:
            self.buffer = np.empty_like(x)
        return np.tanh(x, out=self.buffer)


@planted("on self")
class ClassWideCache(Elementwise):
    def forward(self, x):
        type(self).x = x
        return self.f(x)


@planted("every one of the equal entries")
class MaxToAllTies(Layer):
    def forward(self, x):
        self.x = x
        return x.max(axis=-1, keepdims=True)

    def backward(self, dy):
        return dy * (self.x == self.x.max(axis=-1, keepdims=True))


@planted("attribute of the same name", 0.3)
class ForgetsArgument(Elementwise):
    def __init__(self, slope_at_zero):
        self._slope = slope_at_zero

    def f(self, x):
        return self._slope * x

    def slope(self, x):
        return self._slope


@planted("config() loses something", 0.3)
class ChangesArgument(Elementwise):
    def __init__(self, rate=0.5):
        self.rate, self.factor = 0.5, rate

    def f(self, x):
        return self.factor * x

    def slope(self, x):
        return self.factor


@planted("np.sqrt(2)")
class Upcasts(Elementwise):
    def f(self, x):
        return x * np.sqrt(2.0)

    def slope(self, x):
        return np.sqrt(2.0)


@planted("of no numbers -1 can't be told")
class RefusesZeroRows(Elementwise):
    def forward(self, x):
        self.x = x
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.x.shape)


@planted("")
class LiesAboutShape(Elementwise):
    def output_shape(self, input_shape):
        return (1, *input_shape)


@planted("never trained", 3)
class Undeclared(Layer):
    def __init__(self, features):
        self.features = features
        self.g = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


@planted("the array is replaced", 3)
class ReplacesGradient(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        vars(self)["dg"] = self.dg.copy()
        return dx


@planted("in a dtype of its own")
class ForwardInFloat32(Elementwise):
    def forward(self, x):
        return super().forward(x).astype(np.float32)


@planted("let it follow dy")
class BackwardInFloat32(Elementwise):
    def backward(self, dy):
        return super().backward(dy).astype(np.float32)


@planted("does not return dx")
class ReturnsNothing(Elementwise):
    def backward(self, dy):
        super().backward(dy)


@planted("overwritten in place")
class OverwritesInputInPredict(Elementwise):
    def predict(self, x):
        x += 0.5
        return np.tanh(x - 0.5)


@planted("overwritten in place by backward")
class OverwritesOutput(Elementwise):
    def forward(self, x):
        self.y = super().forward(x)
        return self.y

    def backward(self, dy):
        self.y *= dy
        return super().backward(dy)


@planted("noise = state()")
class RememberedNoise(Elementwise):
    def __init__(self):
        self.noise = np.random.default_rng(0)

    def forward(self, x):
        return super().forward(x) + self.noise.standard_normal(x.shape)

    def predict(self, x):
        return self.f(x)


@planted("does not come from dy", 3)
class ConstantGradient(Scale):
    def backward(self, dy):
        return super().backward(dy) + 1e-13


@planted("inference is random")
class RandomPredict(Elementwise):
    calls = 0

    def predict(self, x):
        RandomPredict.calls += 1
        return self.f(x) + 1e-13 * (RandomPredict.calls % 2)


@planted("divides by the number of rows, or keeps an older gradient", 3)
class KeepsGradientOfNoRows(Scale):
    def backward(self, dy):
        return super().backward(dy) if len(dy) else dy


@planted("does not hold the argument", 0.3)
class DoublesArgument(Elementwise):
    def __init__(self, factor):
        self.factor = 2 * factor

    def f(self, x):
        return self.factor * x

    def slope(self, x):
        return self.factor


@planted("memory order")
class ReliesOnMemoryOrder(Elementwise):
    def f(self, x):
        return np.tanh(x.ravel(order="K").reshape(x.shape))


@planted("list it in self.layers", 3)
class HidesInnerLayer(Layer):
    def __init__(self, features):
        self.features = features
        self.inner = Dense(features, features, seed=0)

    def forward(self, x):
        return self.inner.forward(x)

    def backward(self, dy):
        return self.inner.backward(dy)


@planted("a program of its steps would differ from them", 3)
class CountsSilently(Layer):
    """It promises to depend on nothing undeclared, and counts."""

    traceable = True

    def __init__(self, features):
        self.features = features
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return 2.0 * x

    def backward(self, dy):
        return 2.0 * dy

"""What the checker once refused, or stumbled over with an error of its own.

`LAYERS` are right: a name, and what makes the layer and its x (None: the checker's own choice). `WRONG` maps a name to
what makes a layer and words that its error has.
"""

from typing import ClassVar

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter, state


class Unrolled(Layer):
    """h ← tanh(x_t W + h U); of its width it says nothing but the shape of W, and that rows have steps."""

    W, dW = parameter()
    U, dU = parameter()

    def __init__(self, inputs, units):
        self.inputs, self.units = inputs, units
        rng = np.random.default_rng(0)
        self.W, self.U = 0.3 * rng.normal(size=(inputs, units)), 0.3 * rng.normal(size=(units, units))

    @property
    def row_axes(self):
        return 2

    def forward(self, x):
        self.x, self.h = x, [np.zeros((len(x), self.units), x.dtype)]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.W + self.h[-1] @ self.U))
        return self.h[-1]

    def backward(self, dy):
        dW, dU, dx = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.x)
        for t in reversed(range(self.x.shape[1])):
            dz = dy * (1 - self.h[t + 1] ** 2)
            dW += self.x[:, t].T @ dz
            dU += self.h[t].T @ dz
            dx[:, t] = dz @ self.W.T
            dy = dz @ self.U.T
        self.dW, self.dU = dW, dU
        return dx


class Gate(Layer):
    """a tanh b, x = [a, b] of three columns each; more columns are no error."""

    def forward(self, x):
        self.a, self.t = x[:, :3], np.tanh(x[:, 3:6])
        return self.a * self.t

    def backward(self, dy):
        return np.concatenate([dy * self.t, dy * self.a * (1 - self.t**2)], axis=1)


class GateOfSix(Gate):
    def __init__(self, features=6):
        self.features = features


class Sorted(Layer):
    def forward(self, x):
        self.i = np.argsort(x, axis=-1, kind="stable")
        return np.take_along_axis(x, self.i, axis=-1)

    def backward(self, dy):
        dx = np.empty_like(dy)
        np.put_along_axis(dx, self.i, dy, axis=-1)
        return dx


class Quantized(Layer):
    """s round(x / s), whose rounding error counts as constant: y = s (q + r), r = round(q) - q."""

    s, ds = parameter(decay=False)

    def __init__(self, step=0.5):
        self.step = step
        self.s = np.array(step)

    def forward(self, x):
        self.q = x / self.s
        self.r = np.round(self.q) - self.q
        return (self.q + self.r) * self.s

    def surrogate(self, x):
        return (x / self.s + self.r) * self.s

    def backward(self, dy):
        self.ds = (dy * self.r).sum()
        return dy.copy()


LAYERS = {
    "Unrolled": lambda: (Unrolled(5, 3), None),
    "Gate": lambda: (Gate(), np.random.default_rng(0).normal(size=(5, 6))),
    "GateOfSix": lambda: (GateOfSix(), None),
    "SortedTies": lambda: (Sorted(), np.zeros((3, 3))),
    "Quantized": lambda: (Quantized(), None),
}


class Scale(Layer):
    """y = g x, which the wrong ones return otherwise now and then."""

    g, dg = parameter()

    def __init__(self, features=3):
        self.features = features
        self.g = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class NoReturn(Scale):
    def forward(self, x):
        self.x = x


class ReturnsTwo(Scale):
    def forward(self, x):
        return super().forward(x), x


class TextPredict(Scale):
    def predict(self, x):
        return None


class NoDxOfOne(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        return dx if len(dy) > 1 else None


class FlatDxOfOne(Scale):
    def backward(self, dy):
        return np.squeeze(super().backward(dy))


class ShortDx(Scale):
    def backward(self, dy):
        return super().backward(dy)[:60]


class NoDxInFloat32(Scale):
    def backward(self, dy):
        dx = super().backward(dy)
        return dx if dy.dtype == np.float64 else None


class Signature(Scale):
    def forward(self):
        return self.g


class NoForward(Layer):
    pass


class Lazy(Layer):
    W, dW = parameter()

    def __init__(self, units):
        self.units = units

    def forward(self, x):
        if "W" not in vars(self):
            self.W = np.ones((x.shape[-1], self.units))
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


class Counts(Scale):
    calls: ClassVar = []

    def forward(self, x):
        self.calls.append(0)
        self.k = 1.0 if len(self.calls) < 60 else 0.5
        return super().forward(x) * self.k

    def backward(self, dy):
        return super().backward(dy * self.k)


class Halves(Scale):
    def forward(self, x):
        return super().forward(x).reshape(len(x), -1, self.features)

    def backward(self, dy):
        return super().backward(dy.reshape(len(dy), self.features))


class ShortSurrogate(Scale):
    def surrogate(self, x):
        return x[:1]


class Rounds(Layer):
    def forward(self, x):
        return np.round(x)

    def backward(self, dy):
        return dy.copy()


class DerivedRounds(Layer):
    def forward(self, x):
        return np.round(x)

    def surrogate(self, x):
        return 1.0 * x


class Powers(Layer):
    """y = x ** g, for x over 0"""

    g, dg = parameter()

    def __init__(self, features=3):
        self.features = features
        self.g = np.full(features, 1.5)

    def forward(self, x):
        self.x, self.y = x, x**self.g
        return self.y

    def backward(self, dy):
        self.dg = (dy * self.y * np.log(self.x)).sum(axis=0)
        return dy * self.g * self.y / self.x


class Memory(Scale):
    kept = state()

    def forward(self, x):
        raise NameError("name 'W' is not defined")


WRONG = {
    "NoReturn": (NoReturn, "forward returns None\n  likely bug: `return y` is missing"),
    "ReturnsTwo": (ReturnsTwo, "forward returns 'tuple'\n  likely bug: return y alone"),
    "TextPredict": (TextPredict, "predict returns None"),
    "NoDxOfOne": (NoDxOfOne, "backward returns None instead of the gradient of x"),
    "FlatDxOfOne": (FlatDxOfOne, "dx has the shape (3,); x has (1, 3)"),
    "ShortDx": (ShortDx, "dx has the shape (60, 3); x has (67, 3)"),
    "NoDxInFloat32": (NoDxInFloat32, "one of them returns None"),
    "Signature": (Signature, "forward raises TypeError: Signature.forward() takes 1 positional argument"),
    "NoForward": (NoForward, "NoForward has no forward(x)"),
    "Lazy": (lambda: Lazy(4), "Lazy.W is set for the first time in forward"),
    "Counts": (Counts, "y depends on how often the layer has run"),
    "Halves": (Halves, "of no numbers -1 can't be told"),
    "ShortSurrogate": (ShortSurrogate, "surrogate(x) returns an array of shape (1, 3)"),
    "Rounds": (Rounds, "surrogate(x) returns that"),
    "DerivedRounds": (DerivedRounds, "the one derived is forward's, not surrogate's"),
    "Powers": (Powers, "if the layer is for other x, `domain` in its class says so"),
    "Memory": (Memory, "forward raises NameError"),
}

"""Layers with parameters: transposes, sums over the wrong axis, sharing, and parameters that nothing trains."""

import inspect

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.dense import Dense
from minigrad.parameter import parameter
from tests.planted.mutation import also, at, bugs, right


@right(4, 3)
class Linear(Layer):
    W, dW = parameter()
    b, db = parameter(decay=False)

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        self.W = np.random.default_rng(0).normal(0, 0.5, (in_features, out_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


bugs(
    Linear,
    ("self.db = dy.sum(axis=0)", "self.db = dy.sum()", "goes over all of"),
    ("self.db = dy.sum(axis=0)", "self.db = dy.mean(axis=0)", "batch size"),
    ("self.db = dy.sum(axis=0)", "self.db = dy[0]", "row"),
    ("self.db = dy.sum(axis=0)", "self.db = dy[-1]", "row"),
    ("self.db = dy.sum(axis=0)", "self.db = dy.sum(axis=0) + self.b"),
    ("self.db = dy.sum(axis=0)", "self.db += dy.sum(axis=0)", "accumulated"),
    ("self.db = dy.sum(axis=0)", "self.db = dy.sum(axis=1)[:3]"),
    ("self.db = dy.sum(axis=0)", "pass", "never filled in"),
    ("self.dW = self.x.T @ dy", "self.dW = (dy.T @ self.x).reshape(self.W.shape)", ""),
    ("self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy / len(dy)", "batch size"),
    ("self.dW = self.x.T @ dy", "self.dW = self.x[:64].T @ dy[:64]", "row"),
    ("self.dW = self.x.T @ dy", "self.dW = self.x[: len(dy) // 8 * 8 or None].T @ dy[: len(dy) // 8 * 8 or None]"),
    ("self.dW = self.x.T @ dy", "self.dW = np.outer(self.x[0], dy[0])", "row"),
    ("self.dW = self.x.T @ dy", "self.dW = np.outer(self.x.sum(axis=0), dy.sum(axis=0))", ""),
    ("self.dW = self.x.T @ dy", "self.dW = self.x.T @ (dy + self.b)"),
    ("self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy + 0.01 * self.W", "weight decay"),
    ("self.dW = self.x.T @ dy", "self.dW = np.clip(self.x.T @ dy, -1, 1)", "clip"),
    ("self.dW = self.x.T @ dy", "self.dW = -self.x.T @ dy", "sign"),
    ("self.dW = self.x.T @ dy", "g = self.x.T @ dy\n        self.dW = g / max(1, np.linalg.norm(g))", "clip"),
    ("dy @ self.W.T", "(dy @ self.W.T) * 0.5", "factor of two"),
    ("dy @ self.W.T", "dy @ np.linalg.pinv(self.W)"),
    ("dy @ self.W.T", "(dy * (dy > 0)) @ self.W.T"),
    ("dy @ self.W.T", "np.concatenate([dy[:64] @ self.W.T, 0 * self.x[64:]])"),
    ("dy @ self.W.T", "np.concatenate([dy[:8] @ self.W.T, 2 * dy[8:] @ self.W.T])"),
    ("self.x = x\n", "self.x = x if not hasattr(self, 'x') or len(x) != len(self.x) else self.x\n", "stale"),
    ("self.x = x\n", "self.x = x.astype(np.float32)\n", ""),
    ("x @ self.W + self.b", "x @ self.W + self.b * (1 + 0.01 * (len(x) > 40))"),
    ("return dy @ self.W.T", "return (dy @ self.W.T) * (np.arange(self.in_features) < 8)"),
    ("self.dW = self.x.T @ dy", "self.dW[:8] = (self.x.T @ dy)[:8]"),
    ("self.db = dy.sum(axis=0)", "self.db[:8] = dy.sum(axis=0)[:8]"),
)
also(
    Linear,
    ("self.x.T @ dy", "np.einsum('bi,bo->io', self.x, dy)"),
    ("self.x.T @ dy", "sum(np.outer(a, b) for a, b in zip(self.x, dy)) + 0 * self.W"),
    ("dy.sum(axis=0)", "np.ones(len(dy)) @ dy"),
    ("dy @ self.W.T", "(self.W @ dy.T).T"),
    ("self.x = x\n", "self.x = x.copy()\n"),
)
at(Linear, "one row", lambda rng: rng.normal(size=(1, 4)))
at(Linear, "70 rows", lambda rng: rng.normal(size=(70, 4)))
at(Linear, "a million times as large", lambda rng: rng.normal(0, 1e6, (7, 4)))
at(Linear, "columns of other sizes", lambda rng: rng.normal(0, 1, (7, 4)) * [1e-6, 1, 1e3, 1e6])
at(Linear, "zeros", lambda rng: np.zeros((5, 4)))
bugs(Linear, ("dy @ self.W.T", "dy @ self.W.T + 1e-6 * self.x", ""))


@right(4)
class Scaled(Layer):
    g, dg = parameter()

    def __init__(self, features):
        self.features = features
        self.g = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.g

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


bugs(
    Scaled,
    ("(dy * self.x).sum(axis=0)", "(dy * self.x).mean()"),
    ("(dy * self.x).sum(axis=0)", "dy.sum(axis=0) * self.x.mean(axis=0)"),
    ("(dy * self.x).sum(axis=0)", "(dy * self.x * self.g).sum(axis=0)"),
    ("return dy * self.g", "return dy"),
    ("return dy * self.g", "return dy * self.g / len(dy)", "batch size"),
    ("    g, dg = parameter()\n", "", "parameter()"),
)


@right(3, 2)
class Weighted(Layer):
    """The names that others use"""

    kernel, dkernel = parameter()

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        self.kernel = np.random.default_rng(1).normal(size=(in_features, out_features))

    def forward(self, x):
        self.x = x
        return x @ self.kernel

    def backward(self, dy):
        self.dkernel = self.x.T @ dy
        return dy @ self.kernel.T


def renamed(weights, gradients):
    """The same with undeclared parameters: replacements of the declaration and of both names."""
    source = inspect.getsource(Weighted)
    source = source[source.index("class ") :].replace("    kernel, dkernel = parameter()\n", "")
    Renamed = type("Weighted", (Weighted,), {"__module__": __name__})
    Renamed.source = source.replace("self.dkernel", f"self.{gradients}").replace("self.kernel", f"self.{weights}")
    return Renamed


for names in (("weight", "grad_weight"), ("W", "gW"), ("params['W']", "grads_['W']"), ("w", "dw")):
    old = "self.in_features, self.out_features = in_features, out_features"
    new = f"{old}\n        self.params_, self.grads_ = {{}}, {{}}" if "[" in names[0] else f"{old} "
    changed = renamed(names[0].replace("params[", "params_["), names[1])
    changed.source = changed.source.replace(old, new)
    bugs(changed, ("class Weighted(Layer):", f"class Weighted(Layer):  # {names[0]}", "parameter()"))


@right(3)
class Prelu(Layer):
    a, da = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.a = np.full(features, 0.25)

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum(axis=0)
        return dy * np.where(self.x > 0, 1, self.a)


bugs(
    Prelu,
    ("np.minimum(self.x, 0)", "self.x"),
    ("np.minimum(self.x, 0)", "abs(np.minimum(self.x, 0))"),
    ("np.where(self.x > 0, 1, self.a)", "np.where(self.x > 0, 1, 0.25)"),
    ("(dy * np.minimum(self.x, 0)).sum(axis=0)", "(np.minimum(self.x, 0)).sum(axis=0)"),
)


@right(3, 4, 2)
class Bilinear(Layer):
    """y_o = x' A_o x"""

    A, dA = parameter()

    def __init__(self, in_features, hidden, out_features):
        self.in_features, self.hidden, self.out_features = in_features, hidden, out_features
        self.A = np.random.default_rng(2).normal(size=(out_features, in_features, in_features))

    def forward(self, x):
        self.x = x
        return np.einsum("bi,oij,bj->bo", x, self.A, x)

    def backward(self, dy):
        self.dA = np.einsum("bo,bi,bj->oij", dy, self.x, self.x)
        return np.einsum("bo,oij,bj->bi", dy, self.A + self.A.swapaxes(1, 2), self.x)


bugs(Bilinear, ("self.A + self.A.swapaxes(1, 2)", "2 * self.A"), ("self.A + self.A.swapaxes(1, 2)", "self.A"))


@right(7, 3, x=lambda rng: rng.integers(0, 7, (5, 4)))
class Lookup(Layer):
    E, dE = parameter()

    def __init__(self, vocabulary, features):
        self.vocabulary, self.features = vocabulary, features
        self.E = np.random.default_rng(3).normal(size=(vocabulary, features))

    def forward(self, x):
        self.x = x
        return self.E[x]

    def backward(self, dy):
        self.dE = np.zeros_like(self.E)
        np.add.at(self.dE, self.x, dy)
        return None


bugs(
    Lookup,
    ("np.add.at(self.dE, self.x, dy)", "self.dE[self.x] = dy", "index"),
    ("np.add.at(self.dE, self.x, dy)", "self.dE[self.x] += dy", "index"),
    ("self.dE = np.zeros_like(self.E)\n", "pass\n", "accumulated"),
)


@right(4, 3)
class TwoLayers(Layer):
    """y = tanh(x V) W, in one class"""

    V, dV = parameter()
    W, dW = parameter()

    def __init__(self, in_features, out_features):
        self.in_features, self.out_features = in_features, out_features
        rng = np.random.default_rng(0)
        self.V, self.W = rng.normal(size=(in_features, 5)), rng.normal(size=(5, out_features))

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.V)
        return self.h @ self.W

    def backward(self, dy):
        self.dW = self.h.T @ dy
        dz = (dy @ self.W.T) * (1 - self.h**2)
        self.dV = self.x.T @ dz
        return dz @ self.V.T


bugs(
    TwoLayers,
    ("* (1 - self.h**2)", ""),
    ("* (1 - self.h**2)", "* (1 - self.h)"),
    ("self.x.T @ dz", "self.x.T @ (dy @ self.W.T)"),
    ("return dz @ self.V.T", "self.W = self.W - 0.1 * self.dW\n        return dz @ self.V.T", "optimizer"),
    ("self.dW = self.h.T @ dy", "self.dW = np.tanh(self.h).T @ dy"),
)


@right(4)
class WithHelper(Layer):
    """It holds a layer of its own, and lists it"""

    def __init__(self, features):
        self.features = features
        self.inner = Dense(features, features, seed=0)
        self.layers = [self.inner]

    def forward(self, x):
        self.x = x
        return x + 0.5 * self.inner.forward(x)

    def backward(self, dy):
        return dy + self.inner.backward(0.5 * dy)


bugs(
    WithHelper,
    ("        self.layers = [self.inner]\n", "", "self.layers"),
    ("dy + self.inner.backward(0.5 * dy)", "dy + 0.5 * self.inner.backward(dy)", "factor of two"),
    ("dy + self.inner.backward(0.5 * dy)", "dy + self.inner.backward(0.5 * dy) @ self.inner.W"),
    ("dy + self.inner.backward(0.5 * dy)", "dy + self.inner.backward(dy)"),
    ("dy + self.inner.backward(0.5 * dy)", "self.inner.backward(0.5 * dy)"),
    ("dy + self.inner.backward(0.5 * dy)", "dy"),
)

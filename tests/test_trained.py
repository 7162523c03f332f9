"""What is trained is what is declared: marks of freezing and undeclared weights are refused, and nothing else is."""

import copy
import re

import numpy as np
import pytest

from minigrad import (
    SGD,
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    Layer,
    MeanSquaredError,
    Objective,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    parameter,
    state,
)
from minigrad.testing import GradientError, check_layer

X = np.random.default_rng(0).normal(size=(12, 3))
T = np.random.default_rng(1).normal(size=(12, 3))


def fit(model, x=X, t=T, loss=None):
    return model.fit(x, t, loss=loss or MeanSquaredError(), optimizer=SGD(0.1), epochs=2, batch_size=4)


def around(layer):
    return Sequential([Dense(3, 3, seed=0), layer, Tanh(), Residual(Dense(3, 3, seed=1))])


MARKS = {
    "trainable": ("trainable = False", lambda layer: setattr(layer, "trainable", False)),
    "requires_grad": ("requires_grad = False", lambda layer: setattr(layer, "requires_grad", False)),
    "frozen": ("frozen = True", lambda layer: setattr(layer, "frozen", True)),
    "a number": ("trainable = 0", lambda layer: setattr(layer, "trainable", 0)),
    "writeable": ("W.flags.writeable = False", lambda layer: layer.W.setflags(write=False)),
}


@pytest.mark.parametrize(("told", "mark"), MARKS.values(), ids=MARKS)
@pytest.mark.parametrize("place", ["layer", "inner layer"])
def test_a_mark_that_freezes_elsewhere_is_refused(told, mark, place):
    model = around(Dense(3, 3, seed=2))
    mark(model[0] if place == "layer" else model[3].layers[0])
    theta = model.theta.copy()
    message = (
        rf"^{re.escape(told)} is not how minigrad freezes Dense\(3, 3, seed=\d\): .* fit\(layer\.predict\(x\), …\)"
    )
    for train in (
        lambda: fit(model),
        lambda: next(model.epochs(X, T, loss=MeanSquaredError(), optimizer=SGD(0.1))),
        lambda: Objective(model, MeanSquaredError()),
    ):
        with pytest.raises(ValueError, match=message):
            train()
    assert np.array_equal(model.theta, theta)


def test_a_marked_model_is_refused():
    model = Sequential([Dense(3, 3)])
    model.trainable = False
    with pytest.raises(ValueError, match=r"trainable = False .* freezes Sequential\("):
        fit(model)
    model = Sequential([Dense(3, 3)])
    model.theta.flags.writeable = False
    with pytest.raises(ValueError, match=r"theta\.flags\.writeable = False .* freezes Sequential\("):
        fit(model)


class Freezable(Dense):
    """It freezes itself, as its argument says."""

    def __init__(self, in_features, out_features, *, trainable=True, seed=None):
        super().__init__(in_features, out_features, seed=seed)
        self.trainable = trainable

    def backward(self, dy):
        dx = super().backward(dy)
        if not self.trainable:
            self.dW = np.zeros_like(self.W)
            self.db = np.zeros_like(self.b)
        return dx


class OnlySaying(Dense):
    """As in Keras, where it would be enough to say it."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)
        self.trainable = False


def test_a_layer_that_freezes_itself_may_be_marked():
    by_argument, later = Freezable(3, 3, trainable=False, seed=2), Freezable(3, 3)
    later.trainable = False
    for layer in (by_argument, later):
        W, model = layer.W.copy(), around(layer)
        fit(model)
        np.testing.assert_allclose(layer.W, W, rtol=1e-6)
    with pytest.raises(ValueError, match="trainable = False is not how minigrad freezes OnlySaying"):
        fit(around(OnlySaying(3, 3)))
    for layer in (Dense(3, 3), Tanh()):  # marked as trained, which it is; and without anything to train
        layer.trainable = isinstance(layer, Dense)
        fit(around(layer))


# -------------------------------------------------------------------------------------------------------- undeclared
class Undeclared(Layer):
    def __init__(self):
        self.W = np.eye(3) + 0.1

    def forward(self, x):
        self.x = x
        return (x @ self.W).astype(x.dtype)

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return (dy @ self.W.T).astype(dy.dtype)


class InPlace(Undeclared):
    def __init__(self):
        super().__init__()
        self.dW = np.zeros((3, 3))

    def backward(self, dy):
        np.matmul(self.x.T, dy, out=self.dW)
        return (dy @ self.W.T).astype(dy.dtype)


class ByItem(InPlace):
    def backward(self, dy):
        self.dW[:] = self.x.T @ dy
        return (dy @ self.W.T).astype(dy.dtype)


@pytest.mark.parametrize("cls", [Undeclared, InPlace, ByItem])
@pytest.mark.parametrize("inside", [lambda layer: layer, Residual], ids=["alone", "inside"])
def test_undeclared_weights_are_refused_in_the_words_of_check_layer(cls, inside):
    pair = r"W and dW look like a parameter and its gradient, but are not declared"
    advice = r"W is never trained; write W, dW = parameter\(\) in the class"
    with pytest.raises(GradientError, match=rf"{pair}(.|\n)*{advice}"):
        check_layer(cls(), X)
    model = Sequential([BatchNorm(3), inside(cls()), Sigmoid()], seed=0)
    labels = np.eye(3)[np.arange(12) % 3]
    theta = model.theta.copy()
    for _ in range(2):
        for train in (lambda: fit(model, t=labels, loss=BinaryCrossEntropy()), lambda: fit(model)):
            with pytest.raises(ValueError, match=rf"^{cls.__name__}\(\): {pair}; {advice}$"):
                train()
        assert np.array_equal(model.theta, theta)
        model.backward(model.forward(X.astype(np.float32)))  # it has run by hand: there is a dW
    with pytest.raises(ValueError, match="not declared"):
        next(model.epochs(X, T, loss=MeanSquaredError(), optimizer=SGD(0.1)))


class Half(Layer):
    scale = parameter()  # scale, dscale = parameter() is meant

    def __init__(self):
        self.scale = np.ones(3)

    def forward(self, x):
        return x * self.scale.astype(x.dtype)


def test_half_a_declaration_is_refused_where_the_backward_is_derived():
    said = r"its scale is an array that no training changes"
    advice = r"declare it in the class, as a parameter, scale, dscale = parameter\(\), or, .*, scale = state\(\)"
    with pytest.raises(GradientError, match=rf"{said}(.|\n)*{advice}"):
        check_layer(Half(), X)
    with pytest.raises(ValueError, match=rf"^Half\(\): {said}: {advice}$"):
        fit(Sequential([Half(), Dense(3, 3)], seed=0))


class Declared(Undeclared):
    W, dW = parameter()


class Kernel(Layer):
    """Distances from fixed points x, and a dx that it keeps: of other shapes."""

    def __init__(self):
        self.x = np.arange(5.0)

    def forward(self, x):
        self.d = x[..., None] - self.x
        return (self.d**2).mean(axis=-1).astype(x.dtype)

    def backward(self, dy):
        self.dx = dy * 2 * self.d.mean(axis=-1).astype(dy.dtype)
        return self.dx


class Caches(Layer):
    """x and dx of one shape, kept from an earlier batch."""

    def __init__(self):
        self.x = self.dx = np.zeros((4, 3))

    def forward(self, x):
        self.x = x
        return x * 2

    def backward(self, dy):
        self.dx = dy * 2
        return self.dx


class Constants(Layer):
    """An Euler step: t and dt never change."""

    def __init__(self):
        self.t, self.dt = np.linspace(0, 1, 3), np.full(3, 0.1)

    def forward(self, x):
        return (x * (1 + self.dt * self.t)).astype(x.dtype)

    def backward(self, dy):
        return (dy * (1 + self.dt * self.t)).astype(dy.dtype)


class Stateful(Layer):
    """The state is declared, and what is kept of its changes is not."""

    mean = state()

    def __init__(self):
        self.mean = np.zeros(3)

    def forward(self, x):
        return x - self.mean

    def backward(self, dy):
        self.dmean = -dy.sum(axis=0)
        self.mean = self.mean + 0.01 * self.dmean
        return dy


class TrainsItself(Undeclared):
    def backward(self, dy):
        dx = super().backward(dy)
        self.W = self.W - 0.01 * self.dW
        return dx


@pytest.mark.parametrize("cls", [Declared, Kernel, Caches, Constants, Stateful, TrainsItself], ids=lambda c: c.__name__)
def test_what_only_resembles_undeclared_weights_is_trained_with(cls):
    model = around(cls())
    for _ in range(2):
        fit(model)
    fit(copy.deepcopy(model))

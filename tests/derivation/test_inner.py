"""A layer without a backward around layers that have one: each of those is asked, wherever it stands."""

import numpy as np
import pytest

import minigrad
from minigrad import Adam, Dense, Layer, MeanSquaredError, Residual, Sequential, parameter, state
from minigrad.derivation import DerivationError
from minigrad.parameter import walk
from minigrad.testing import GradientError, check_layer
from tests.derivation.forwards import STEPS, TABLE, Silu


class Rounds(Layer):
    """straight through"""

    traceable = True

    def forward(self, x):
        return np.round(x)

    def backward(self, dy):
        return dy * 1.0

    def surrogate(self, x):
        return x


class Signs(Layer):
    """the slope of a clip, and a scale of which the gradient is declared to be another one too"""

    traceable = True

    g, dg = parameter(decay=False)

    def __init__(self):
        self.g = 0.5

    def forward(self, x):
        self.x = x
        return np.sign(x) * self.g

    def backward(self, dy):
        self.dg = (dy * np.round(self.x)).sum()
        return dy * (np.abs(self.x) <= 3) * self.g


class Reverses(Layer):
    """the gradient turned round, of x itself"""

    traceable = True

    def forward(self, x):
        return x

    def backward(self, dy):
        return -dy


class Detaches(Layer):
    traceable = True

    def forward(self, x):
        return x * 1.0

    def backward(self, dy):
        return 0 * dy


class Sorts(Layer):
    """what has no derivative here"""

    traceable = True

    def forward(self, x):
        self.order = np.argsort(x, axis=-1)
        return np.take_along_axis(x, self.order, axis=-1)

    def backward(self, dy):
        dx = np.zeros_like(dy)
        np.put_along_axis(dx, self.order, dy, axis=-1)
        return dx


class Box(Layer):
    traceable = True

    def __init__(self, inner):
        self.inner = inner
        self.layers = [inner]

    def forward(self, x):
        return 3.0 * self.inner.forward(2.0 * x)


class Written(Box):
    traceable = True

    def backward(self, dy):
        return 2.0 * self.inner.backward(3.0 * dy)


INNER = {
    "rounds": Rounds,
    "signs": Signs,
    "reverses": Reverses,
    "detaches": Detaches,
    "sorts": Sorts,
    "dense": lambda: Dense(4, 4, seed=0),
    "in a chain": lambda: Sequential([Dense(4, 4, seed=0), Signs(), Silu()], dtype=np.float64),
    "around one that has none": lambda: Residual(Silu()),
    "around one that is around one": lambda: Residual(Written(Box(Signs()))),
}


def gradients(layer, x):
    dy = np.random.default_rng(0).normal(size=layer.forward(x).shape)
    dx = layer.backward(dy)
    return [dx, *(np.array(d) for inner in walk([layer]) for d in inner.grads.values())]


@pytest.mark.parametrize("name", INNER)
def test_its_backward_is_asked(name):
    for made in (lambda: (Box(INNER[name]()), Written(INNER[name]())), lambda: nested(INNER[name])):
        derived, written = made()
        derived.forward(-TABLE)  # nothing of an earlier forward counts
        for one, other in zip(gradients(derived, TABLE), gradients(written, TABLE), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def nested(make):
    return Box(Box(make())), Written(Written(make()))


@pytest.mark.parametrize("name", INNER)
def test_the_source_asks_it_too(name):
    assert "self.inner.backward(" in str(minigrad.derive(Box(INNER[name]()), TABLE))


class Twice(Box):
    """The same layer on two inputs."""

    traceable = True

    def forward(self, x):
        return self.inner.forward(x) * self.inner.forward(2.0 * x)


class TwoOfThem(Layer):
    """The same with a layer for each, and a backward."""

    traceable = True

    def __init__(self, one, other):
        self.one, self.other = one, other
        self.layers = [one, other]

    def forward(self, x):
        self.a, self.b = self.one.forward(x), self.other.forward(2.0 * x)
        return self.a * self.b

    def backward(self, dy):
        return self.one.backward(dy * self.b) + 2.0 * self.other.backward(dy * self.a)


@pytest.mark.parametrize("name", INNER)
def test_it_is_asked_for_each_time_that_it_runs(name):
    dx, *derived = gradients(Twice(INNER[name]()), TABLE)
    expected, *parts = gradients(TwoOfThem(INNER[name](), INNER[name]()), TABLE)
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-14)
    for one, first, second in zip(derived, parts[: len(derived)], parts[len(derived) :], strict=True):
        np.testing.assert_allclose(one, first + second, rtol=1e-12, atol=1e-14)


class Noisy(Rounds):
    traceable = True

    rng = state()

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return np.round(x + self.rng.random(x.shape))


class Keeps(Rounds):
    traceable = True

    def forward(self, x):
        self.q = np.round(x)
        return 2.0 * self.q


class Reads(Box):
    """It reads what the layer in it keeps."""

    traceable = True

    def forward(self, x):
        return self.inner.forward(x) * self.inner.q


@pytest.mark.parametrize("layer", [Twice(Noisy()), Reads(Keeps()), Box(Twice(Noisy()))], ids=repr)
def test_where_it_can_not_be_asked_that_is_refused(layer):
    y = layer.forward(TABLE)
    with pytest.raises(DerivationError, match=r"line \d+ of test_inner.py, `.*self.inner.* has a backward of its own"):
        layer.backward(np.ones_like(y))


def test_a_derived_source_for_one_that_runs_twice_is_refused():
    with pytest.raises(DerivationError, match="runs several times"):
        minigrad.derive(Twice(Signs()), TABLE)


@pytest.mark.parametrize("cls", [Box, Twice])
def test_a_recorded_fit_asks_it_bit_for_bit(cls):
    x, t = np.float32(STEPS[:, 0]), np.float32(STEPS[:, 1, :1])
    thetas = []
    for steps in (0, 10**9):
        inner = Sequential([Dense(4, 4, seed=1), Signs(), Residual(Silu())])
        model = Sequential([Dense(4, 4, seed=0), cls(inner), cls(Rounds()), Dense(4, 1)], input_shape=(4,), seed=0)
        model.steps_by_hand = steps
        assert model.program(MeanSquaredError(), Adam(0.01), batch_size=5).opaque == {}
        before = model[0].W.copy()
        model.fit(x, t, loss=MeanSquaredError(), optimizer=Adam(0.01), epochs=3, batch_size=5)
        assert not np.array_equal(model[0].W, before)
        thetas.append(model.theta)
    assert np.array_equal(*thetas)


def test_the_checker_takes_a_surrogate_in_it():
    assert check_layer(Box(Rounds()), TABLE) and check_layer(Box(Sequential([Dense(4, 4), Rounds()])), TABLE)


def test_the_checker_names_the_layer_in_it_of_which_the_backward_is_another():
    with pytest.raises(GradientError, match=r"asks that of Detaches\(\): .*surrogate\(x\)"):
        check_layer(Box(Detaches()), TABLE)


def test_the_gradients_are_those_of_the_latest_call_each_time():
    class Scales(Layer):
        w, dw = parameter()

        def __init__(self):
            self.w = 2.0

        def forward(self, x):
            self.x = x
            return x * self.w

        def backward(self, dy):
            self.dw = (dy * self.x).sum()
            return dy * self.w

    layer = Twice(Scales())
    y = layer.forward(TABLE)
    one, other = gradients(layer, TABLE), (layer.backward(np.ones_like(y)), float(layer.inner.dw))
    again = layer.backward(np.ones_like(y)), float(layer.inner.dw)
    assert np.array_equal(other[0], again[0]) and other[1] == again[1] == pytest.approx((4 * 4 * TABLE**2).sum() / 2)
    assert not np.array_equal(one[0], other[0])

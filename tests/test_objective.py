"""Objective: its gradient is its value's derivative, whatever is nested, absorbed, penalised or weighted."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    SGD,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Huber,
    Layer,
    Loss,
    MeanSquaredError,
    Objective,
    Sequential,
    Sigmoid,
    Softmax,
    Swish,
    Tanh,
    parameter,
)
from minigrad.parameter import walk

seeds = st.integers(0, 2**32 - 1)


class Skip(Sequential):
    """y = x + f(x), a Sequential that may not be taken apart."""

    def forward(self, x: Any) -> Any:
        x = self.admit(x)
        return x + super().forward(x)

    def backward(self, dy: Any) -> Any:
        return dy + super().backward(dy)


class Gain(Layer):
    """y = g x, without decay."""

    g, dg = parameter(decay=False)

    def __init__(self) -> None:
        self.g = np.array(1.5)

    def forward(self, x: Any) -> Any:
        self.x = x
        return self.g * x

    def backward(self, dy: Any) -> Any:
        self.dg = (dy * self.x).sum()
        return dy * self.g


class Plain(Loss):
    """Σ (p - t)⁴ / B by a forward and a backward of its own, which know no weights."""

    def forward(self, p: Any, t: Any) -> float:  # type: ignore[override]
        return float(((p - t) ** 4).sum() / len(p))

    def backward(self, p: Any, t: Any) -> Any:  # type: ignore[override]
        return 4 * (p - t) ** 3 / len(p)


ENDS: dict[str, tuple[Callable[[], list[Layer]], Loss]] = {
    "sigmoid": (lambda: [Sigmoid()], BinaryCrossEntropy()),
    "softmax": (lambda: [Softmax()], CategoricalCrossEntropy()),
    "softmax-binary": (lambda: [Softmax()], BinaryCrossEntropy()),
    "inner-sigmoid": (lambda: [Sequential([Tanh(), Sequential([Sigmoid()])])], BinaryCrossEntropy()),
    "skip": (lambda: [Skip([Dense(2, 2, seed=7), Sigmoid()])], MeanSquaredError()),
    "linear": (lambda: [], MeanSquaredError()),
    "huber": (lambda: [Swish()], Huber(5.0)),
    "own-loss": (lambda: [], Plain()),
}


def network(end: str, dtype: Any = np.float64) -> tuple[Sequential, Loss]:
    last, loss = ENDS[end]
    return Sequential([Dense(3, 4, seed=1), Tanh(), Gain(), Sequential([Dense(4, 2, seed=2)]), *last()], dtype), loss


def rows(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
    return rng.normal(size=(count, 3)), np.eye(2)[rng.integers(0, 2, count)]


def slope(f: Callable[[float], float], h: float = 1e-2) -> tuple[float, float]:
    """f'(0) by central differences with four steps and Richardson's extrapolation, and the size of its error."""
    table = [(f(h / 2**k) - f(-h / 2**k)) / (2 * h / 2**k) for k in range(4)]
    for order in range(1, 4):
        last = table[-1]
        table = [b + (b - a) / (4**order - 1) for a, b in itertools.pairwise(table)]
    return table[0], abs(table[0] - last) + 1e-13 / h * (1 + abs(f(0)))


@pytest.mark.parametrize("end", ENDS)
@given(
    count=st.integers(1, 5),
    l2=st.sampled_from([0.0, 0.3, 2]),
    l1=st.sampled_from([0.0, 0.2]),
    weighted=st.booleans(),
    seed=seeds,
)
def test_the_gradient_of_an_objective_is_the_derivative_of_its_value(
    end: str, count: int, l2: float, l1: float, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model, loss = network(end)
    x, t = rows(rng, count)
    w = rng.uniform(0.1, 3, count) if weighted and end != "own-loss" else None
    objective = Objective(model, loss, l2, l1)
    size = model.theta.size
    model.theta[...] = rng.choice([-1, 1], size) * rng.uniform(0.1, 1, size)  # |W| has a kink at 0
    theta, direction = model.theta.copy(), rng.normal(size=model.theta.size)

    def value(step: float) -> float:
        model.theta[...] = theta + step * direction
        return objective.value(x, t, w)

    numeric, error = slope(value)
    model.theta[...] = theta
    model.dtheta[...] = np.nan  # a gradient is set, never added to
    assert objective.gradient(x, t, w) == objective.value(x, t, w)
    projected = float(model.dtheta @ direction)
    assert abs(projected - numeric) <= 10 * error + 1e-9 * (abs(projected) + abs(numeric))
    gradient = model.dtheta.copy()
    objective.value(x, t, w)
    np.testing.assert_array_equal(model.dtheta, gradient)  # value leaves it alone
    objective.gradient(x, t, w)
    np.testing.assert_array_equal(model.dtheta, gradient)
    np.testing.assert_array_equal(model.theta, theta)


@pytest.mark.parametrize("end", ["sigmoid", "softmax", "inner-sigmoid"])
@given(count=st.integers(1, 5), weighted=st.booleans(), seed=seeds)
def test_the_absorbed_pair_equals_the_composed_one(end: str, count: int, weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, loss = network(end)
    x, t = rows(rng, count)
    w = rng.uniform(0.1, 3, count) if weighted else None
    given_w = () if w is None else (w,)
    objective = Objective(model, loss)
    fused, gradient = objective.gradient(x, t, w), model.dtheta.copy()
    p = model.forward(x)
    composed = loss.forward(p, t, *given_w)
    model.backward(loss.backward(p, t, *given_w))
    np.testing.assert_allclose(fused, composed, rtol=1e-12)
    np.testing.assert_allclose(gradient, model.dtheta, rtol=1e-9, atol=1e-14)
    z, q = objective.predict(x)
    np.testing.assert_allclose(q, p, rtol=1e-13)
    np.testing.assert_allclose(objective.loss_of(z, t, w), composed, rtol=1e-12)


def test_which_last_layers_a_loss_absorbs() -> None:
    for end, layers in (("sigmoid", 4), ("softmax", 4), ("inner-sigmoid", 5)):
        model, loss = network(end)
        objective = Objective(model, loss)
        assert len(objective.layers) == layers and objective.loss is not loss
        assert type(list(walk([model]))[-1]) in (Sigmoid, Softmax)  # it stays in the model
    for end in ("softmax-binary", "skip", "linear"):
        model, loss = network(end)
        assert Objective(model, loss).loss is loss
    skip = Skip([Dense(2, 2), Sigmoid()])
    assert Objective(skip, BinaryCrossEntropy()).layers == (skip,)


def test_the_absorbed_pair_is_right_where_the_composed_one_is_not() -> None:
    model = Sequential([Dense(1, 1, bias=False), Sequential([Sigmoid()])])
    model.theta[...] = 40
    assert Objective(model, BinaryCrossEntropy()).gradient(np.ones((1, 1)), np.zeros((1, 1))) == 40
    assert model.dtheta[0] == 1


@given(l2=st.floats(0, 10), l1=st.floats(0, 10), seed=seeds)
def test_l2_and_l1_are_over_the_parameters_that_decay(l2: float, l1: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, loss = network("sigmoid")
    model.theta[...] = rng.normal(size=model.theta.size)
    model.theta[:2] = 0.0
    x, t = rows(rng, 3)
    bare = Objective(model, loss).gradient(x, t)
    gradient = model.dtheta.copy()
    penalised = Objective(model, loss, l2, l1).gradient(x, t)
    weights = [layer.W for layer in walk([model]) if isinstance(layer, Dense)]
    penalty = sum((l2 / 2 * W**2 + l1 * np.abs(W)).sum() for W in weights)
    np.testing.assert_allclose(penalised, bare + penalty, rtol=1e-12)
    expected = np.zeros_like(gradient)
    expected[:12], expected[17:25] = model.theta[:12], model.theta[17:25]  # W (3, 4), b (4,), g (), W (4, 2), b (2,)
    expected = l2 * expected + l1 * np.sign(expected)
    np.testing.assert_allclose(model.dtheta, gradient + expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["l2", "l1"])
@pytest.mark.parametrize("penalty", [-1e-9, -1.0, float("nan")])
def test_a_negative_penalty_is_refused(name: str, penalty: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={penalty}: the penalty can't be negative"):
        Objective(Sequential([Dense(1, 1)]), MeanSquaredError(), **{name: penalty})


@pytest.mark.parametrize("end", ["sigmoid", "softmax", "inner-sigmoid", "skip", "linear", "own-loss"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loop_by_hand_is_what_fit_does(end: str, dtype: Any) -> None:
    x, t = rows(np.random.default_rng(0), 10)
    fitted, loss = network(end, dtype)
    history = fitted.fit(x, t, loss=loss, optimizer=SGD(0.01), epochs=3, batch_size=4, seed=5)
    model, loss = network(end, dtype)
    optimizer, values = SGD(0.01), []
    for k in range(3):
        order, total = np.random.default_rng((5, k)).permutation(10), 0.0
        for i in range(0, 10, 4):
            batch = order[i : i + 4]
            p = model.forward(x[batch])
            target = t[batch].astype(dtype)
            total += loss.forward(p, target) * len(batch)
            model.backward(loss.backward(p, target))
            optimizer.step(model.theta, model.dtheta)
        values.append(total / 10)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(fitted.theta, model.theta, rtol=200 * eps, atol=20 * eps)
    np.testing.assert_allclose(history.loss, values, rtol=100 * eps)
    if Objective(model, loss).loss is loss:  # nothing is rewritten, so it is the same to the last bit
        np.testing.assert_array_equal(fitted.theta, model.theta)

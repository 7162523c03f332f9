"""L-BFGS: it ends where the gradient is 0, trains on labels as fit does, and leaves a model alone where it can't."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st

from minigrad import (
    BatchNorm,
    BinaryCrossEntropy,
    Dense,
    DivergenceError,
    Dropout,
    MeanSquaredError,
    Objective,
    Sequential,
    Sigmoid,
    Tanh,
    minimize_lbfgs,
)
from minigrad.data import load_digits, train_test_split
from minigrad.version import installing

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.sampled_from([0.0, 0.1]), st.booleans())
def test_a_linear_model_comes_to_the_least_squares(seed, l2, weighted):
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    w = rng.uniform(0.5, 2, 30) if weighted else np.ones(30)
    model = Sequential([Dense(3, 2)], dtype=np.float64, seed=0)
    objective = Objective(model, MeanSquaredError(), l2)
    history = minimize_lbfgs(objective, x, t, sample_weight=w if weighted else None)
    A = np.column_stack([x, np.ones(30)]) * np.sqrt(2 * w / w.sum())[:, None]
    ridge = np.diag([l2, l2, l2, 0])
    expected = np.linalg.solve(A.T @ A + ridge, A.T @ (t * np.sqrt(2 * w / w.sum())[:, None]))
    np.testing.assert_allclose(np.vstack([model[0].W, model[0].b]), expected, atol=2e-4)
    assert history.loss == sorted(history.loss, reverse=True) and len(history.seconds) == len(history)
    assert history.loss[-1] == pytest.approx(objective.value(x, t, w if weighted else None), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_digits_the_way_the_course_does(dtype):
    x, x_test, labels, labels_test = train_test_split(*load_digits(), seed=0)
    x, labels = x[::4], labels[::4]
    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], dtype=dtype, seed=0)
    objective = Objective(model, BinaryCrossEntropy(), l2=1 / len(x))
    history = minimize_lbfgs(objective, x, labels, iterations=50)
    assert len(history) == 50 and history.loss[-1] < 0.6 < 3 < history.loss[0]
    assert np.mean(model.predict_classes(x_test) == labels_test) > 0.87
    assert model.dtype == dtype and model.boundary == 0.5
    assert objective.value(x, np.eye(10)[labels - 1]) == pytest.approx(history.loss[-1], rel=1e-5)


def test_the_same_twice_and_state_is_kept():
    x, t = np.random.default_rng(0).normal(size=(20, 3)), np.random.default_rng(1).normal(size=20)
    thetas = []
    for _ in range(2):
        model = Sequential([Dense(3, 4), BatchNorm(4), Tanh(), Dense(4, 1)], seed=0)
        minimize_lbfgs(Objective(model, MeanSquaredError()), x, t, iterations=7)
        thetas.append(model.theta)
    assert np.array_equal(*thetas) and np.isfinite(thetas[0]).all()


def test_a_model_that_draws_is_refused():
    model = Sequential([Dense(3, 4), Dropout(0.5), Dense(4, 1)], seed=0)
    before = model.theta.copy()
    with pytest.raises(ValueError, match=r"Dropout\(0.5\) draws random numbers"):
        minimize_lbfgs(Objective(model, MeanSquaredError()), np.ones((2, 3)), np.ones(2))
    assert np.array_equal(model.theta, before)


def test_a_divergence_is_told_and_undone():
    model = Sequential([Dense(2, 1)], seed=0)
    before = model.theta.copy()
    with pytest.raises(DivergenceError, match="L-BFGS, after 0 iterations: the loss or its gradient is not finite"):
        minimize_lbfgs(Objective(model, MeanSquaredError()), np.full((2, 2), 1e30), np.ones(2))
    assert np.array_equal(model.theta, before)


def test_wrong_arguments_and_a_missing_scipy_are_told(monkeypatch):
    objective = Objective(Sequential([Dense(2, 1)]), MeanSquaredError())
    with pytest.raises(TypeError, match=r"minimize_lbfgs takes an Objective\(model, loss\), not Sequential"):
        minimize_lbfgs(Sequential([Dense(3, 1)]), np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="iterations=0"):
        minimize_lbfgs(objective, np.ones((2, 2)), np.ones(2), iterations=0)
    with pytest.raises(ValueError, match="x has 2 rows, t has 3"):
        minimize_lbfgs(objective, np.ones((2, 2)), np.ones(3))
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ModuleNotFoundError, match=re.escape(f"needs SciPy: {installing('lbfgs')}")):
        minimize_lbfgs(objective, np.ones((2, 2)), np.ones(2))

"""The benchmarks' hand-written training and minigrad's `fit` agree in every bit: the one is an oracle for the other.

The networks are narrow: from some size on BLAS uses threads, whose number changes bits, and both must use the same.
"""

import numpy as np
import pytest

from benchmarks import handwritten
from minigrad import (
    SGD,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    MeanSquaredError,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)

ROWS = 133  # the last batch has 5 rows for batches of 8 and 32, 33 for 100; one of 200 is cut to the rows there are


def sigmoid_case(rng, dtype):
    widths = 20, 7, 3
    layers = [Dense(20, 7), Sigmoid(), Dense(7, 3), Sigmoid()]
    t = rng.random((ROWS, 3)).astype(dtype)  # at 0 and 1 other formulas for the loss would round alike
    return widths, Sequential(layers, dtype, seed=1), BinaryCrossEntropy(), t


def softmax_case(rng, dtype):
    widths = 20, 16, 9, 4
    layers = [Dense(20, 16), ReLU(), Dense(16, 9), ReLU(), Dense(9, 4), Softmax()]
    t = rng.dirichlet(np.ones(4), size=ROWS).astype(dtype)
    return widths, Sequential(layers, dtype, seed=1), CategoricalCrossEntropy(), t


def regression_case(rng, dtype):
    widths = 20, 16, 16, 1
    layers = [Dense(20, 16), ReLU(), Dense(16, 16), ReLU(), Dense(16, 1)]
    t = rng.normal(size=(ROWS, 1)).astype(dtype)
    return widths, Sequential(layers, dtype, seed=1), MeanSquaredError(), t


CASES = {"sigmoid": sigmoid_case, "softmax": softmax_case, "regression": regression_case}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [1, 8, 32, 100, ROWS, 200])
@pytest.mark.parametrize("name", CASES)
def test_hand_written_training_equals_fit_in_every_bit(name, batch_size, dtype):
    rng = np.random.default_rng(0)
    x = (3 * rng.normal(size=(ROWS, 20))).astype(dtype)
    widths, model, loss, t = CASES[name](rng, dtype)
    begun = model.theta.copy()
    history = model.fit(x, t, loss=loss, optimizer=SGD(0.005), epochs=3, batch_size=batch_size, seed=5)
    for way in ("allocating", "preallocated"):
        train, theta = getattr(handwritten, f"{name}_{way}"), begun.copy()
        losses = train(theta, widths, x, t, eta=0.005, batch_size=batch_size, epochs=3, seed=5)
        assert losses == history.loss, way
        np.testing.assert_array_equal(theta, model.theta, way)  # either zero is equal


@pytest.mark.parametrize("rows", [1, 8, 100])
def test_hand_written_inference_equals_predict_in_every_bit(rows):
    rng = np.random.default_rng(0)
    widths, model, _, _ = sigmoid_case(rng, np.float32)
    x = rng.normal(size=(rows, 20)).astype(np.float32)
    p = model.predict(x)
    assert handwritten.predict_allocating(model.theta, widths)(x).tobytes() == p.tobytes()
    assert handwritten.predict_preallocated(model.theta, widths, rows)(x).tobytes() == p.tobytes()

"""Hypothesis's part of the checker: `layer_test` and the strategies `sizes` and `batches`."""

import subprocess
import sys

import hypothesis.extra.numpy
import numpy as np
import pytest
from hypothesis import find, strategies as st

from minigrad import Dense, Layer, MeanSquaredError, Residual, Sequential, Tanh
from minigrad.testing import GradientError, batches, check_layer, check_model, layer_test, sizes
from tests.planted.wrong_layers import MultipliedByRows


def test_layer_test_shrinks_to_the_smallest_layer():
    test = layer_test(lambda draw: MultipliedByRows(draw(sizes()), draw(sizes())))
    with pytest.raises(GradientError) as caught:
        test()
    assert "MultipliedByRows(1, 1)" in str(caught.value)


def test_a_layer_in_the_place_of_what_makes_one_is_refused():
    for given in (Tanh, Tanh()):
        with pytest.raises(TypeError, match=r"write layer_test\(lambda draw: Tanh\(…\)\)"):
            layer_test(given)
    with pytest.raises(TypeError, match=r"check_model takes a model, such as a Sequential, not MeanSquaredError\(\)"):
        check_model(MeanSquaredError(), Sequential([Dense(3, 1)]), np.ones((3, 3)), np.ones((3, 1)))


def test_importing_minigrad_testing_needs_no_hypothesis():
    code = "import sys; import minigrad.testing; assert 'hypothesis' not in sys.modules; minigrad.testing.sizes"
    code += "; assert 'hypothesis' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_batches_fit_the_layer():
    x = find(batches(Dense(3, 2)), lambda x: (abs(x) > 100).any())
    assert x.shape == (1, 3)


class Logarithm(Layer):
    domain = hypothesis.extra.numpy.arrays(np.float64, (4, 2), elements=st.floats(0.1, 9))

    def forward(self, x):
        if (x <= 0).any():
            raise ValueError("x must be positive")
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x


test_a_domain_is_drawn_from = layer_test(lambda draw: Logarithm(), max_examples=5)
test_x_is_made = layer_test(lambda draw: Logarithm(), x=lambda draw, layer: np.ones((3, 2)) * 2, max_examples=2)


def test_check_layer_keeps_to_a_domain():
    assert not any("not checked" in note for note in check_layer(Logarithm()).notes)
    Logarithm.domain = np.array([[1.0, 2.0], [3.0, 0.5]])
    check_layer(Logarithm())


class Rounded(Layer):
    """A straight-through estimator, which says so"""

    def forward(self, x):
        return np.rint(x)

    def surrogate(self, x):
        return x

    def backward(self, dy):
        return dy


def test_check_layer_takes_a_declared_surrogate_and_checks_it():
    check_layer(Rounded())
    with pytest.raises(GradientError):
        check_layer(type("Wrong", (Rounded,), {"backward": lambda self, dy: 2 * dy})())


@pytest.mark.parametrize("right", [True, False])
def test_check_model_takes_a_layer_with_a_surrogate_and_checks_the_rest(right):
    layer = Rounded() if right else type("Wrong", (Rounded,), {"backward": lambda self, dy: 2 * dy})()
    model = Sequential([Dense(3, 4), layer, Residual(Dense(4, 4), Rounded(), Tanh()), Dense(4, 1)], seed=0)
    x = 3 * np.random.default_rng(0).normal(size=(8, 3))
    if right:
        check_model(model, MeanSquaredError(), x, x[:, 0])
        return
    with pytest.raises(GradientError, match=r"gradient of [Wb] of layer 1, Dense"):
        check_model(model, MeanSquaredError(), x, x[:, 0])

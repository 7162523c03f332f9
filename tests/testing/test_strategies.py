"""Hypothesis's part of the checker: `layer_test` and the strategies `sizes` and `batches`."""

import subprocess
import sys

import pytest
from hypothesis import find

from minigrad import Dense
from minigrad.testing import GradientError, batches, layer_test, sizes
from tests.planted.wrong_layers import MultipliedByRows


def test_layer_test_shrinks_to_the_smallest_layer():
    test = layer_test(lambda draw: MultipliedByRows(draw(sizes()), draw(sizes())))
    with pytest.raises(GradientError) as caught:
        test()
    assert "MultipliedByRows(1, 1)" in str(caught.value)


def test_importing_minigrad_testing_needs_no_hypothesis():
    code = "import sys; import minigrad.testing; assert 'hypothesis' not in sys.modules; minigrad.testing.sizes"
    code += "; assert 'hypothesis' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_batches_fit_the_layer():
    x = find(batches(Dense(3, 2)), lambda x: (abs(x) > 100).any())
    assert x.shape == (1, 3)

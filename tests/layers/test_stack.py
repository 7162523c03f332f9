"""The stack of Dense layers from its widths."""

import numpy as np
import pytest

from minigrad import Dense, Dropout, Sequential, Sigmoid
from minigrad.layers.stack import dense_stack


@pytest.mark.parametrize(
    ("widths", "layers"),
    [
        ([4, 3], "[Dense(4, 3)]"),
        ([4, 5, 3], "[Dense(4, 5), Sigmoid(), Dense(5, 3)]"),
        ((4, 6, 5, 1), "[Dense(4, 6), Sigmoid(), Dense(6, 5), Sigmoid(), Dense(5, 1)]"),
    ],
)
def test_dense_stack_has_an_activation_between_any_two_layers(widths, layers):
    assert repr(dense_stack(widths, Sigmoid)) == layers


def test_dense_stack_draws_the_weights_of_layers_written_one_by_one():
    stack = Sequential(dense_stack([4, 5, 6, 3], lambda: Dropout(0.5)), seed=7)
    written = Sequential([Dense(4, 5), Dropout(0.5), Dense(5, 6), Dropout(0.5), Dense(6, 3)], seed=7)
    np.testing.assert_array_equal(stack.theta, written.theta)
    assert stack[1] is not stack[3]

"""The planted families: of a sample, bugs are caught and nothing right is flagged. The rest is a benchmark's."""

import pytest

from minigrad.layer import Layer
from minigrad.optimizers import Optimizer
from minigrad.testing import GradientError, check_layer, check_loss, check_optimizer
from tests.planted.mutation import everything

SET = everything()
SAMPLE = [planted for planted in SET if planted.wrong][::12]
RIGHT = [planted for planted in SET if not planted.wrong]


def check(planted):
    subject, x = planted.make()
    if isinstance(subject, Layer):
        check_layer(subject, x)
    elif isinstance(subject, Optimizer):
        check_optimizer(subject)
    else:
        check_loss(subject, *(x or (None, None)))


@pytest.mark.parametrize("planted", SAMPLE, ids=lambda planted: planted.name)
def test_a_bug_of_the_set_is_caught(planted):
    with pytest.raises(GradientError) as caught:
        check(planted)
    assert planted.words in str(caught.value)


@pytest.mark.parametrize("planted", RIGHT[::5], ids=lambda planted: planted.name)
def test_nothing_right_in_the_set_is_flagged(planted):
    check(planted)


def test_the_set_is_large_and_of_many_kinds():
    assert sum(planted.wrong for planted in SET) >= 200 and len(RIGHT) >= 120
    assert len({planted.family for planted in SET}) >= 8

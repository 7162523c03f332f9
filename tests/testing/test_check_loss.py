"""`check_loss`: it catches every planted bug, names it, and never flags what is right."""

import pytest

from minigrad import MeanSquaredError
from minigrad.testing import GradientError, check_loss
from tests.planted.losses import BUGS, LOSSES


@pytest.mark.parametrize("name", BUGS)
def test_check_loss_catches_and_names_a_planted_bug(name):
    make, words = BUGS[name]
    with pytest.raises(GradientError) as caught:
        check_loss(make())
    assert words and words in str(caught.value)


@pytest.mark.parametrize("name", LOSSES)
def test_check_loss_gives_no_false_alarm(name):
    loss, p, t = LOSSES[name]()
    for seed in range(3):
        check_loss(loss, p, t, seed=seed)


def test_check_loss_refuses_a_class():
    with pytest.raises(TypeError, match=r"write MeanSquaredError\(…\)"):
        check_loss(MeanSquaredError)

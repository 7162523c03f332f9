"""What a program takes for granted of the layers that it has traced."""

import re
import time

import numpy as np
import pytest

from minigrad import Dense, Layer, LeakyReLU, Sequential
from minigrad.parameter import walk
from minigrad.programs.promises import broken_promise
from minigrad.programs.tracing.traceable import Guards, is_traceable


def another_argument(model):
    model[1].slope = 0.7


def another_function(model):
    type(model[2]).forward = lambda self, x: x * 2


def one_of_its_own(model):
    model[0].forward = print


def another_array(model):
    vars(model[0])["W"] = model[0].W.copy()


@pytest.mark.parametrize("change", [another_argument, another_function, one_of_its_own, another_array])
def test_guards_notice_what_changes_of_what_is_declared(change):
    class Same(Layer):
        traceable = True

        def forward(self, x):
            return x

    model = Sequential([Dense(3, 2), LeakyReLU(0.1), Same()])
    guards = Guards(walk([model]), [(model[0], "W")])
    model[0].W = model[0].W * 2  # the same array
    model[2].kept = np.ones(3)  # of a batch
    assert guards.hold()
    change(model)
    assert not guards.hold()


def test_a_subclass_says_itself_that_it_is_traceable():
    class Own(Dense):
        traceable = True

    class Further(Own):
        pass

    assert [is_traceable(cls(2, 2)) for cls in (Dense, Own, Further)] == [True, True, False]


class Scale(Layer):
    """What breaks its promise below is one of these with a forward of its own."""

    def __init__(self, factor=2.0):
        self.factor = factor
        self.n, self.rng, self.list = 0, np.random.default_rng(1), []

    def forward(self, x):
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


def count(self, x):
    self.n += 1
    return x * self.factor


def collect(self, x):
    self.list.append(1)
    return x * self.factor


def draw(self, x):
    return x * self.factor * self.rng.random()


def draw_globally(self, x):
    return x * self.factor * np.random.random()  # noqa: NPY002


def look_at_the_clock(self, x):
    return x * self.factor * (time.time() > 0)


def closing(held):
    def forward(self, x):
        return x * held[0]

    return forward


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (Scale.forward, None),
        (count, "its n is another after every step"),
        (collect, "its list is another"),
        (draw, "its rng is another"),
        (draw_globally, "other results|global generator"),
        (look_at_the_clock, "the clock"),
        (closing([2.0]), "closes over held"),
        (closing((2.0,)), None),
    ],
)
def test_a_promise_that_is_broken_is_found(forward, told):
    class Promising(Scale):
        traceable = True

    Promising.forward = forward
    found = broken_promise(Promising(), np.ones((3, 2)))
    assert (found is None) if told is None else re.search(told, found)

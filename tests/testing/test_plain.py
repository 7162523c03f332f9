"""Plain classes, pairs of functions, losses and torch Functions, as public courses write them."""

import numpy as np
import pytest

from minigrad.testing import GradientError, check_gradient, check_layer
from tests.planted import plain

SET = plain.everything()


def check(case):
    if case.kind == "class":
        return check_layer(case.things[0](*case.arguments), case.inputs[0])
    return check_gradient(*case.things, *case.inputs, given=case.given)


@pytest.mark.parametrize(
    "case", [case for _, case, wrong in SET if not wrong], ids=lambda case: case.things[0].__name__
)
def test_what_is_right_is_not_flagged(case):
    assert "right" in str(check(case))


@pytest.mark.parametrize(("case", "wrong"), [(case, wrong) for _, case, wrong in SET if wrong])
def test_a_bug_is_caught(case, wrong):
    with pytest.raises(GradientError):
        check(case)


NAMED = {  # a bug in each style, and what is said of it
    "affine_forward: np.sum(dout, axis=0) -> np.mean(dout, axis=0)": "averaged where it is to be summed",
    "relu_forward: dx = dout * (x > 0) -> dx = dout * (dout > 0)": "taken of `dout`",
    "conv_forward_naive: dw[f] += dout -> dw[f] = dout": "each pass of the loop",
    "propagate: dw = np.dot(X, dZ.T) / m -> dw = np.dot(X, dZ.T)": "the division by `m` is missing",
    'FullyConnected: self.grads["W"] = np -> self.grads["W"] += np': "accumulated",
    "ScaleShift: (dy * self.x).sum(axis=0) -> dy.sum(axis=0)": "it is the gradient of beta",
    "VanillaRNN: dh = dhs[:, t] + dh_next -> dh = dhs[:, t]": "comes back through time",
}


@pytest.mark.parametrize("name", NAMED)
def test_a_bug_is_named_with_its_line(name):
    (case,) = (case for each, case, _ in SET if each == name)
    with pytest.raises(GradientError) as caught:
        check(case)
    assert NAMED[name] in caught.value.diagnosis and caught.value.right
    for ours in ("parameter()", "self.layers", "state()", "surrogate", "minigrad.derive"):
        assert ours not in str(caught.value)


def test_no_usual_slip_is_still_told_with_the_lines_that_make_the_gradient():
    ((case, _),) = ((case, wrong) for name, case, wrong in SET if name.startswith("conv_forward_naive: dx = dxp"))
    with pytest.raises(GradientError) as caught:
        check(case)
    assert caught.value.written.startswith("dx = dxp[:, :, :H, :W]")


def test_the_report_says_which_parameters_were_found():
    linear = plain.CASES["Linear"]
    assert "W with its gradient dW, b with its gradient db" in str(check(linear))
    assert "params['W'] with its gradient grads['W']" in str(check(plain.CASES["FullyConnected"]))
    report = check_layer(plain.Linear(3, 4), linear.inputs[0], parameters={"W": "dW"})
    assert "parameters: W with its gradient dW\n" in str(report)


def test_what_can_not_be_checked_is_refused_by_name():
    class Lists:
        def __init__(self):
            self.w = [0.5, 1.0]

        def forward(self, x):
            return [a * b for a, b in zip(x, self.w, strict=True)]

        def backward(self, dy):
            return [a * b for a, b in zip(dy, self.w, strict=True)]

    with pytest.raises(TypeError, match="Lists works with Python's lists and numbers"):
        check_layer(Lists(), np.ones(2))
    with pytest.raises(ValueError, match=r"pass an x that Linear takes"):
        check_layer(plain.Linear(3, 4))
    with pytest.raises(ValueError, match="Linear has no V"):
        check_layer(plain.Linear(3, 4), np.ones((5, 3)), parameters={"V": "dV"})
    with pytest.raises(TypeError, match="takes forward, backward and inputs"):
        check_gradient(np.tanh)


def test_the_thing_itself_is_left_alone():
    layer = plain.Linear(3, 4)
    W = layer.W
    check_layer(layer, np.ones((5, 3)) + np.arange(3))
    assert layer.W is W and layer.dW is None and not hasattr(layer, "X")


def test_names_and_seed_are_taken():
    report = check_gradient(*plain.CASES["tanh_forward"].things, plain.normal(3, 2), names=("voltage",), seed=3)
    assert "differentiated: voltage" in str(report)

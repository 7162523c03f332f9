"""The planted families: of a sample, bugs are caught and nothing right is flagged. The rest is a benchmark's."""

import pytest

from minigrad.layer import Layer
from minigrad.optimizers import Optimizer
from minigrad.testing import GradientError, check_layer, check_loss, check_optimizer
from tests.planted.mutation import everything

SET = everything()
RIGHT = [planted for planted in SET if not planted.wrong]
SAYS = {  # what no other test shows the checker to say, and a bug of which it does
    "Binary: np.maximum(np.log(p), -100) -> np.log(p)": "0 log 0, or 0 / 0: take the logarithm of at least",
    "Categorical: e.sum(axis=-1, keepdims=True) * -> e.sum(axis=0, keepdims=True) *": "the row's maximum first, or use",
    "Causal: dW[k] = -> dW[2 - k] =": "turned: the places of the window are counted from the other end, `2 - k` where",
    "Conv: dW[i, j] = np.tensordot -> dW[j, i] = np.tensordot": "transposed: the indices `j` and `i` are exchanged",
    "Dropout: return x -> return x * (1 - self.rate)": "predict and training differ by a factor: a unit that is kept",
    "Heads: return (d * self.s[:, None, None]) -> return d": "the factor `self.s[:, None, None]` is missing",
    "LayerNorm: (dy * self.u).sum(axis=0) -> dy.sum(axis=0)": "it is the gradient of beta",
    "LogSoftmax: np.exp(self.y) * dy.sum(axis=-1, keepdims=True) -> np.exp(self.y) * dy": "the entries of each row is",
    "Moments: t = step + 1 -> self.t = getattr(self, 't', 0) + 1 t = self.t": "a step depends on is not in state()",
    "Momentum: theta -= eta * self.v -> theta[:1000] -= eta * self.v[:1000]": "some of the parameters are left out",
    "Plain: return dy * (1 - self.y**2) -> dx = dy * (1 - self.y**2) self.y = self.y * 0.5 return dx": "earlier call",
    "Scaled: (dy * self.x).sum(axis=0) -> dy.sum(axis=0) * self.x.mean(axis=0)": "right at batch size 1 only: the rows",
    "Sigmoid: return dy * y * (1 - y) -> return dy * (1 - y**2)": "the slope of tanh is 1 - y², that of a sigmoid y (1",
    "SmoothL1: np.clip(e / self.beta -> np.clip(e": "the division by `self.beta` is missing",
    "Softmax: x - x.max(axis=-1, keepdims=True) -> x": "an exponential overflows: subtract the row's maximum before",
    "Softplus: np.logaddexp(0, x) -> np.log(1 + np.exp(x))": "of negative numbers only, as np.logaddexp does",
    "Squares: return (p - t) ** 2 -> return np.abs(p - t) ** 2.001": "of one with `return np.abs(p - t) ** 2` in its",
    "Waves: return np.cos(2 * np.pi * (x @ self.B)) -> return 1.03 * np.cos(2 * np.pi * (x @ self.B))": "different",
}


def check(planted):
    subject, x = planted.make()
    if isinstance(subject, Layer):
        check_layer(subject, x)
    elif isinstance(subject, Optimizer):
        check_optimizer(subject)
    else:
        check_loss(subject, *(x or (None, None)))


@pytest.mark.parametrize("name", SAYS)
def test_a_bug_of_the_set_is_caught_and_named(name):
    (planted,) = (each for each in SET if each.name == name and each.wrong)
    with pytest.raises(GradientError) as caught:
        check(planted)
    assert planted.words in str(caught.value) and SAYS[name] in caught.value.diagnosis


FLAT = [planted for planted in RIGHT if planted.name == "Recurrent at one step"]


@pytest.mark.parametrize("planted", RIGHT[11::12] + FLAT, ids=lambda planted: planted.name)
def test_nothing_right_in_the_set_is_flagged(planted):
    check(planted)


def test_the_set_is_large_and_of_many_kinds():
    assert sum(planted.wrong for planted in SET) >= 200 and len(RIGHT) >= 120
    assert len({planted.family for planted in SET}) >= 8

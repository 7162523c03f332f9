"""The bugs that everyone writes once, and what the checker says of each:

    python docs/bugs.py

Each is a layer whose docstring has the bug's name, what one sees in training, and what one then suspects instead. What
this prints, and the site's page "Bugs and their sentences" has, is that, the wrong lines, and what `check_layer` really
says of them; `tests/test_bugs.py` holds it to the words here.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Dense, Layer, parameter, state
from minigrad.functions import sigmoid, softmax
from minigrad.testing import GradientError, check_layer


@dataclass(frozen=True)
class Bug:
    """A wrong layer, and words that the sentence about it must contain."""

    cls: type[Layer]
    arguments: tuple[Any, ...]
    words: str

    @property
    def title(self) -> str:
        """Its name."""
        return (self.cls.__doc__ or "").partition("\n")[0]

    @property
    def story(self) -> str:
        """What one sees, and what one suspects."""
        return inspect.cleandoc((self.cls.__doc__ or "").partition("\n")[2])

    @property
    def code(self) -> str:
        """The layer without its docstring."""
        source = inspect.getsource(self.cls)
        return re.sub(r'    """.*?"""\n\n?', "", source[source.index("class ") :], count=1, flags=re.S)

    def sentence(self) -> str:
        """What check_layer says of it."""
        try:
            return str(check_layer(self.cls(*self.arguments), EXAMPLES.get(self.cls.__name__)))
        except GradientError as error:
            return str(error)

    def section(self) -> str:
        """All of it, as Markdown."""
        story = self.story.replace("\n", "  \n")
        return f"## {self.title}\n\n{story}\n\n```python\n{self.code.strip()}\n```\n\n```text\n{self.sentence()}\n```\n"


HEADING = """# Bugs and their sentences

The mistakes that everyone makes once: what one sees, what one suspects, and what `check_layer` says of it.
"""
BUGS: list[Bug] = []
EXAMPLES: dict[str, Any] = {"LastStepOnly": np.random.default_rng(0).normal(size=(4, 5, 2))}


def bug(words: str, *arguments: Any) -> Any:
    """Enter a layer that is made with these arguments, and the words that are due to it."""

    def enter(cls: type[Layer]) -> type[Layer]:
        BUGS.append(Bug(cls, arguments, words))
        return cls

    return enter


@bug("too small by exactly the batch size", 3, 2)
class MeanOverRows(Dense):
    """The mean over the rows instead of their sum

    You see: it learns, but slowly, and the more slowly the larger the batch.
    You suspect: the learning rate, which you raise until it seems to work.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy / len(dy)
        self.db = dy.mean(axis=0)
        return dy @ self.W.T


@bug("not summed over the batch", 3, 2)
class UnsummedBias(Dense):
    """A bias gradient that is not summed at all

    You see: an error about shapes, or none at batch size 1.
    You suspect: the shape of b, and reshape it until the error is gone.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy
        return dy @ self.W.T


@bug("it is the sum of all of dy in every entry", 3, 2)
class OneSumForAllBiases(Dense):
    """`db = dy.sum()`: one number for all biases

    You see: nothing. NumPy spreads the number over b; the loss falls a little worse than it could.
    You suspect: the architecture.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = np.full_like(self.b, dy.sum())
        return dy @ self.W.T


@bug("summed over the outputs", 3, 2)
class BiasOverTheWrongAxis(Dense):
    """db summed over the outputs instead of the rows

    You see: nothing, as long as there are as many rows in a batch as outputs; otherwise an error about shapes.
    You suspect: the last, smaller batch.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=1)[: len(self.b)]
        return dy @ self.W.T


@bug("never filled in", 3, 2)
class ForgottenBias(Dense):
    """A bias that never learns

    You see: nothing; the network is a little worse.
    You suspect: nothing.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T


@bug("transposed", 4, 4)
class WithoutTranspose(Dense):
    """W where Wᵀ belongs

    You see: with as many inputs as outputs, nothing; the lower layers learn nonsense.
    You suspect: that deep networks are hard to train.
    """

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W


@bug("accumulated", 3, 2)
class AddedUp(Dense):
    """Gradients that are added up from batch to batch

    You see: it learns, then the loss explodes.
    You suspect: the learning rate, which you lower.
    """

    def backward(self, dy):
        self.dW += self.x.T @ dy
        self.db += dy.sum(axis=0)
        return dy @ self.W.T


@bug("only the diagonal of the Jacobian", 3)
class DiagonalAlone(Layer):
    """Softmax: the Jacobian's diagonal alone, the commonest of all

    You see: it learns, and stops too early: y (1 - y) is right for the true class's own score.
    You suspect: softmax, and change to sigmoids, with which it works.
    """

    def __init__(self, features):
        self.features = features

    def forward(self, x):
        self.y = softmax(x)
        return self.y

    def backward(self, dy):
        return dy * self.y * (1 - self.y)


@bug("so that a row depends on its neighbours", 3)
class SoftmaxOverRows(Layer):
    """Softmax normalised over the rows

    You see: good numbers in training; for one row alone, the answer is 1 for every class.
    You suspect: overfitting.
    """

    def __init__(self, features):
        self.features = features

    def forward(self, x):
        e = np.exp(x - x.max(axis=0))
        self.y = e / e.sum(axis=0)
        return self.y

    def backward(self, dy):
        return self.y * (dy - (dy * self.y).sum(axis=0))


@bug("the square is missing")
class OneMinusY(Layer):
    """Tanh: 1 - y instead of 1 - y²

    You see: it learns as long as y is near 0 or 1; negative units run away.
    You suspect: the initialisation.
    """

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y)


@bug("at the output instead of the input")
class SigmoidTwice(Layer):
    """Sigmoid: squashed once more in its derivative

    You see: it learns, slowly; no slope is ever below 0.19, so nothing looks saturated.
    You suspect: the learning rate.
    """

    def forward(self, x):
        self.y = sigmoid(x)
        return self.y

    def backward(self, dy):
        s = sigmoid(self.y)
        return dy * s * (1 - s)


@bug("the condition, or mask, is taken of `dy`")
class MaskOnDy(Layer):
    """ReLU: the mask taken from dy instead of x

    You see: it learns something, since half of the mask is right by chance.
    You suspect: dead units.
    """

    def forward(self, x):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * (dy > 0)


@bug("only forward may change state", 0.5)
class MaskDrawnAnew(Layer):
    """Dropout: another mask in backward than in forward

    You see: with dropout it hardly learns.
    You suspect: a rate that is too high.
    """

    rng = state()

    def __init__(self, rate):
        self.rate = rate
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return x * (self.rng.random(x.shape) >= self.rate) / (1 - self.rate)

    def backward(self, dy):
        return dy * (self.rng.random(dy.shape) >= self.rate) / (1 - self.rate)

    def predict(self, x):
        return x


@bug("the sums and means, or what else is taken over many entries, count as constants", 3)
class StatisticsAsConstants(Layer):
    """Normalisation: mean and variance taken for constants

    You see: it learns, but the scale of the weights drifts.
    You suspect: that normalisation is overrated.
    """

    def __init__(self, features):
        self.features = features

    def forward(self, x):
        d = x - x.mean(axis=-1, keepdims=True)
        self.r = 1 / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)
        return d * self.r

    def backward(self, dy):
        return dy * self.r


@bug("the two are exchanged", 3)
class GatesSwapped(Layer):
    """A gated layer (LSTM, GRU, GLU) with two gates exchanged in backward

    You see: it learns short sequences, and no long ones.
    You suspect: vanishing gradients.
    """

    A, dA = parameter()
    B, dB = parameter()

    def __init__(self, features):
        self.features = features
        self.A, self.B = np.random.default_rng(0).normal(size=(2, features, features))

    def forward(self, x):
        self.x, self.gate, self.value = x, sigmoid(x @ self.A), np.tanh(x @ self.B)
        return self.gate * self.value

    def backward(self, dy):
        da = dy * self.gate * (1 - self.value**2)
        db = dy * self.value * self.gate * (1 - self.gate)
        self.dA, self.dB = self.x.T @ da, self.x.T @ db
        return da @ self.A.T + db @ self.B.T


@bug("set it to 0 before the loop", 2, 3)
class LastStepOnly(Layer):
    """A recurrent layer whose weights get the gradient of one step alone

    You see: it learns what the last steps say.
    You suspect: that recurrent networks forget.
    """

    U, dU = parameter()
    V, dV = parameter()

    def __init__(self, in_features, hidden_features):
        self.in_features, self.hidden_features = in_features, hidden_features
        rng = np.random.default_rng(0)
        self.U, self.V = rng.normal(size=(in_features, hidden_features)), np.eye(hidden_features) / 2

    def forward(self, x):
        self.x, self.h = x, [np.zeros_like(x, shape=(len(x), self.hidden_features))]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.U + self.h[t] @ self.V))
        return self.h[-1]

    def backward(self, dy):
        dx, dU = np.zeros_like(self.x), np.zeros_like(self.U)
        for t in reversed(range(self.x.shape[1])):
            dz = dy * (1 - self.h[t + 1] ** 2)
            dU += self.x[:, t].T @ dz
            self.dV = self.h[t].T @ dz
            dx[:, t], dy = dz @ self.U.T, dz @ self.V.T
        self.dU = dU
        return dx


@bug("the input is overwritten in place")
class OverwritesItsInput(Layer):
    """`x *= …` in forward

    You see: the second epoch is worse than the first, and the data have changed.
    You suspect: the shuffling.
    """

    def forward(self, x):
        x *= 0.5
        return x

    def backward(self, dy):
        return 0.5 * dy


@bug("sign flipped", 3)
class SignFlipped(Layer):
    """A sign

    You see: the loss rises, from the first step on.
    You suspect: the sign of the update, and exchange that: now the layers below it climb.
    """

    b, db = parameter(decay=False)

    def __init__(self, features):
        self.features = features
        self.b = np.zeros(features)

    def forward(self, x):
        return x - self.b

    def backward(self, dy):
        self.db = dy.sum(axis=0)
        return dy


if __name__ == "__main__":
    print(HEADING)
    for each in BUGS:
        print(each.section())

"""The objective: where a model meets a loss, and where the pair may be rewritten into a stabler one."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.configured import require
from minigrad.layer import Layer, run_backward, run_forward, run_predict
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.parameter import Array, decaying, walk
from minigrad.training.communicator import ALONE, Communicator
from minigrad.training.untrained import check_nothing_frozen


class Objective:
    """J(θ) = L(model(x), t) + l1 Σ |W| + l2/2 Σ W²      ∂J/∂W = ∂L/∂W + l1 sign W + l2 W

    It is what training makes small; its gradient goes into `model.dtheta`. The sums run over the parameters that decay:
    weights, not biases. The derivative of |W| is taken for 0 at 0.

    Here alone is a final layer absorbed: where `loss.absorb(last)` gives a loss on that layer's input, as
    BinaryCrossEntropy does for a Sigmoid, it takes the place of the two. They stay as they are, each right on its own.
    In float32 the pair composed has an infinite or a zero gradient at z = 40, t = 0; the absorbed one has 1.

    Raises TypeError for what is no model, no loss or no number; ValueError for a negative penalty, and for a layer that
    is marked as frozen in a way of other frameworks: all of θ is trained.

    The `communicator` makes one gradient of those of several processes, where there are several.

    `layers` are the layers that run, `loss` the loss on their output; `given` is the loss on the model's.
    `decaying` are the parameters that the penalties are on: (layer, name).
    """

    model: Model
    l2: float
    l1: float
    given: Loss
    classifies: bool
    layers: tuple[Layer, ...]
    loss: Loss
    decaying: list[tuple[Layer, str]]

    def __init__(self, model: Model, loss: Loss, l2: float = 0.0, l1: float = 0.0) -> None:
        require("model", model, Model, "Sequential([Dense(4, 1)])")
        require("loss", loss, Loss, "MeanSquaredError()")
        for name, penalty in (("l2", l2), ("l1", l1)):
            if not hasattr(type(penalty), "__float__"):
                raise TypeError(f"{name}={penalty!r} is no number")
            if not penalty >= 0:
                raise ValueError(f"{name}={penalty}: the penalty can't be negative")
        check_nothing_frozen(model)
        self.model, self.l2, self.l1 = model, l2, l1
        self.communicator: Communicator = ALONE
        self.given, self.classifies = loss, loss.labels
        *head, last = model.chain()
        stable = loss.absorb(last)
        self._absorbed: Layer | None = None if stable is None else last
        self.layers, self.loss = ((*head, last), loss) if stable is None else (tuple(head), stable)
        self.decaying = [(layer, name) for layer in walk([model]) for name in decaying(layer)]

    def value(self, x: Array, t: Array, sample_weight: Array | None = None) -> float:
        """J at the present parameters, in training mode (a Dropout drops). Leaves the gradients alone."""
        z = run_forward(self.layers, self.model.admit(x))
        return float(self._penalized(self.loss.value(z, t, *_given(sample_weight))))

    def gradient(self, x: Array, t: Array, sample_weight: Array | None = None) -> float:
        """Fill `model.dtheta` with ∂J/∂θ and return J."""
        value = self.penalize(self.differentiate(self.model.admit(x), t, sample_weight))
        self.communicator.average(self.model.dtheta, value, len(x) if sample_weight is None else sample_weight)
        return float(value)

    def differentiate(self, x: Array, t: Array, sample_weight: Array | None = None) -> Any:
        """Forward, loss, backward: fill `model.dtheta` with ∂L/∂θ, and return L as an array scalar.

        x is of the model's own dtype.
        """
        weights = _given(sample_weight)
        z = run_forward(self.layers, x)
        value = self.loss.value(z, t, *weights)
        run_backward(self.layers, self.loss.backward(z, t, *weights))
        return value

    def penalize(self, value: Any) -> Any:
        """Add the penalties' derivatives to the gradients, and the penalties to the value: L becomes J."""
        if not (self.l2 or self.l1):
            return value
        for layer, name in self.decaying:
            if self.l2:
                layer.grads[name] += self.l2 * layer.params[name]
            if self.l1:
                layer.grads[name] += self.l1 * np.sign(layer.params[name])
        return self._penalized(value)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Inference: (z, p), what `loss` takes, and what the model predicts; the same where nothing is absorbed."""
        z = run_predict(self.layers, self.model.admit(x))
        return z, z if self._absorbed is None else self._absorbed.predict(z)

    def loss_of(self, z: Array, t: Array, sample_weight: Array | None = None) -> float:
        """L of predictions z, without the penalty."""
        return float(self.loss.value(z, t, *_given(sample_weight)))

    def _penalized(self, value: Any) -> Any:
        for layer, name in self.decaying:
            w = layer.params[name].reshape(-1)
            if self.l2:
                value = value + self.l2 / 2 * (w @ w)
            if self.l1:
                value = value + self.l1 * np.maximum(w, -w).sum()
        return value


def _given(sample_weight: Array | None) -> tuple[Array, ...]:
    """The weights as arguments, if there are any: a loss of one's own need not know of them."""
    return () if sample_weight is None else (sample_weight,)

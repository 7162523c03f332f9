"""The activations: functions without parameters, applied to every number of x (softmax: to every row).

Each class opens with y(x) and dx = dy y'(x): dy is ∂L/∂y, how much the loss changes with each y, and since a number of
x takes part in one number of y alone, the chain rule has one term, dy times the slope. Where the code is written in
another way than the formula, it is for its digits: a difference of nearly equal numbers, or an exponential that
overflows, is written as what it equals without. A kink takes the derivative from its left, unless its class says
otherwise.
"""

from __future__ import annotations

import numpy as np

from minigrad.functions import exp_minus, floating, softmax, tanh_slope
from minigrad.layer import SameShape
from minigrad.parameter import Array


class Activation(SameShape):
    """A function of every number of x or, in Softmax and LogSoftmax, of every row."""


class Identity(Activation):
    """y = x      dx = dy"""

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        return x

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy


class Sigmoid(Activation):
    """y = 1 / (1 + e), e = exp(-x)      dx = dy y (1 - y) = dy (e y) y

    * y = (1 + e)⁻¹, so dy/de = -(1 + e)⁻² = -y². And e = exp(-x), so de/dx = -e.
    * By the chain rule, dy/dx = e y². That is what the code has.
    * The books have y (1 - y). It is the same, since 1 - y = e / (1 + e) = e y. But where y is close to 1, in floats
      1 - y has few digits, and from x = 37 on none (17 in float32), while e y has them all.

    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 1986.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.e: Array = exp_minus(x)
        self.y: Array = 1 / (1 + self.e)
        return self.y

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * (self.e * self.y * self.y)


class Tanh(Activation):
    """y = tanh x      dx = dy (1 - y²) = dy 4 e / (1 + e)², e = exp(-2|x|)

    * tanh x = sinh x / cosh x; by the rule for quotients its slope is (cosh² x - sinh² x) / cosh² x = 1 - y² = 1 /
      cosh² x.
    * cosh x = (exp(|x|) + exp(-|x|)) / 2 = exp(|x|) (1 + e) / 2, so 1 / cosh² x = 4 e / (1 + e)²: no difference of
      nearly equal numbers where y is close to ±1, and nothing that overflows.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", Neural Networks: Tricks of the Trade, 1998.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        return np.tanh(self.x)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * tanh_slope(self.x)


class ReLU(Activation):
    """y = max(x, 0)      dx = dy [x > 0]

    Where x > 0, y is x itself, with the slope 1; elsewhere it is constant, with the slope 0. At the kink, 0 is taken.

    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * (self.x > 0)


class Softmax(Activation):
    """y_k = exp(x_k) / Σ_j exp(x_j) over the last axis      dx_k = y_k (dy_k - Σ_j dy_j y_j)

    Every output depends on every input of its row, so a row's derivative is a table, the Jacobian ∂y_k/∂x_j. With
    S = Σ_j exp(x_j), by the rule for quotients:

    * j ≠ k: only S has x_j, and ∂y_k/∂x_j = -exp(x_k) exp(x_j) / S² = -y_k y_j.
    * j = k: the numerator has it, too, which adds exp(x_k) / S = y_k.
    * Both in one: ∂y_k/∂x_j = y_k ([k = j] - y_j). Its diagonal alone, y (1 - y), is the usual mistake.
    * x_j takes part in every y_k: dx_j = Σ_k dy_k y_k ([k = j] - y_j) = dy_j y_j - y_j Σ_k dy_k y_k.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", Neurocomputing, 1990.
    """

    def forward(self, x: Array) -> Array:
        """x (…, I) -> y (…, I), of which every row sums to 1."""
        self.y: Array = softmax(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        """dy (…, I) -> dx (…, I)."""
        dx: Array = self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))
        return dx

"""The activations: functions without parameters, applied to every number of x (softmax: to every row).

Each class opens with y(x) and dx = dy y'(x): dy is ∂L/∂y, how much the loss changes with each y, and since a number of
x takes part in one number of y alone, the chain rule has one term, dy times the slope. Where the code is written in
another way than the formula, it is for its digits: a difference of nearly equal numbers, or an exponential that
overflows, is written as what it equals without. A kink takes the derivative from its left, unless its class says
otherwise.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from minigrad.functions import (
    exp_minus,
    floating,
    log_softmax,
    normal_cdf,
    normal_density,
    sigmoid,
    sigmoids,
    softmax,
    softplus,
    tanh_slope,
)
from minigrad.layers.shape import SameShape
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


class LeakyReLU(Activation):
    """y = max(x, 0) + slope min(x, 0)      dx = dy [x > 0] + slope dy [x <= 0]

    One of the two terms is 0 everywhere: to the right y = x with the slope 1, to the left y = slope x.

    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.
    """

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x = x
        return np.maximum(x, 0) + self.slope * np.minimum(x, 0)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * (self.x > 0) + self.slope * dy * (self.x <= 0)


class ELU(Activation):
    """y = max(x, 0) + alpha (exp(min(x, 0)) - 1)      dx = dy [x > 0] + alpha dy exp(x) [x <= 0]

    To the right y = x with the slope 1; to the left y = alpha (exp(x) - 1), and the exponential is its own derivative.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    ICLR 2016.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        return np.maximum(self.x, 0) + self.alpha * np.expm1(np.minimum(self.x, 0))

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        slope = np.exp(np.minimum(self.x, 0)) * (self.x <= 0)
        dx: Array = dy * (self.x > 0) + self.alpha * dy * slope
        return dx


class Softplus(Activation):
    """y = log(1 + exp(x))      dx = dy s(x), s(x) = 1 / (1 + exp(-x))

    The slope of log u is 1/u, that of u = 1 + exp(x) is exp(x): dy/dx = exp(x) / (1 + exp(x)), and dividing both by
    exp(x) leaves 1 / (exp(-x) + 1) = s(x).

    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional knowledge for better
    option pricing", NIPS 2000.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x = x
        return softplus(x)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * sigmoid(self.x)


class Swish(Activation):
    """y = x s(x), s(x) = 1 / (1 + exp(-x))      dx = dy s(x) (1 + x s(-x))

    By the product rule dy/dx = s(x) + x s'(x), and s'(x) = s(x) (1 - s(x)) = s(x) s(-x); s(x) is taken out of both.

    Source: Ramachandran, Zoph and Le, "Searching for activation functions", arXiv:1710.05941, 2017; also SiLU.

    Near its root at x = -1.28 the derivative is a difference of nearly equal terms: its error is a few ulp of these.
    """

    s: Array
    one_minus_s: Array

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x = x
        self.s, self.one_minus_s = sigmoids(x)
        return x * self.s

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy * (self.s * (1 + self.x * self.one_minus_s))
        return dx


class Mish(Activation):
    """y = x τ(x), τ(x) = tanh(log(1 + exp(x)))      dx = dy (τ(x) + x τ'(x))

    * By the product rule dy/dx = τ + x τ'. Now tanh v = (E² - 1) / (E² + 1) with E = exp(v), which is 1 + e for
      v = log(1 + e), e = exp(x). So τ = w / (w + 2) with w = (1 + e)² - 1 = e² + 2e.
    * By the rule for quotients dτ/dw = 2 / (w + 2)², and dw/dx = 2e² + 2e: τ' = 4 e (1 + e) / (w + 2)².
    * For x >= 0 both are reduced by e², so that only u = exp(-|x|) appears: τ = n / d with n = 1 + 2u, d = n + 2u², and
      τ' = 4u² (1 + u) / d². For x < 0, u is e itself.

    Source: Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.

    Near its root at x = -1.19 the derivative is a difference of nearly equal terms: its error is a few ulp of these.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        self.u: Array = np.exp(np.minimum(self.x, -self.x))
        n = np.maximum(self.u * self.u, self.x >= 0) + 2 * self.u
        self.d: Array = n + 2 * np.maximum(self.u * self.u, self.x < 0)
        self.tau: Array = n / self.d
        return self.x * self.tau

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        slope = 4 * self.u * (1 + self.u) * np.maximum(self.u, self.x < 0) / (self.d * self.d)
        dx: Array = dy * (self.tau + self.x * slope)
        return dx


class GELU(Activation):
    """y = x Φ(x)      dx = dy (Φ(x) + x φ(x)),   Φ, φ: distribution and density of the standard normal

    By the product rule dy/dx = Φ(x) + x Φ'(x), and the slope of a distribution is its density: Φ' = φ.

    With approximate="tanh", y = x s(w) = x (1 + tanh(w/2)) / 2 for w = 2 √(2/π) (x + 0.044715 x³), and
    dx = dy s(w) (1 + x s(-w) w'). It is cheaper; in the left tail the rounding of w costs up to 2 |w| ulp.

    Source: Hendrycks and Gimpel, "Gaussian error linear units", arXiv:1606.08415, 2016.

    Near its root at x = -0.75 the derivative is a difference of nearly equal terms: its error is a few ulp of these.

    Raises ValueError for an `approximate` that is neither "none" nor "tanh".
    """

    one_minus_cdf: Array

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU(approximate={approximate!r}): it must be "none" or "tanh"')
        self.approximate = approximate

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        if self.approximate == "none":
            self.x = x
            self.cdf: Array = normal_cdf(x)
        else:
            # From |x| = 25 on, s(w) is 0 or 1 in float64 too, while x³ might overflow.
            self.near: Array = np.minimum(np.maximum(x, -25.0), 25.0)
            self.cdf, self.one_minus_cdf = sigmoids(self.near * (A + B * self.near * self.near))
        return x * self.cdf

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        if self.approximate == "none":
            slope = self.cdf + self.x * normal_density(self.x)
        else:
            dw = A + 3 * B * self.near * self.near
            slope = self.cdf * (1 + self.near * self.one_minus_cdf * dw)
        dx: Array = dy * slope
        return dx


A = 2 * math.sqrt(2 / math.pi)  # w = A x + B x³
B = 0.044715 * A


class HardSigmoid(Activation):
    """y = min(max(x + 3, 0), 6) / 6      dx = dy / 6 [-3 < x < 3]

    Between -3 and 3 the slope is 1/6; outside, y is constant. A straight line in the place of Sigmoid's curve. It is
    PyTorch's, also at the two kinks, where the derivative is 0; ONNX's HardSigmoid has it with alpha = 1/6. Source:
    Howard and others, "Searching for MobileNetV3", ICCV 2019, section 5.2.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        y: Array = np.minimum(np.maximum(self.x + 3, 0), 6) / 6
        return y

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy * (self.x > -3) * (self.x < 3) / 6
        return dx


class Softsign(Activation):
    """y = x / (1 + |x|)      dx = dy / (1 + |x|)²

    For x > 0, by the rule for quotients, dy/dx = (1 + x - x) / (1 + x)² = 1 / (1 + x)²; y is odd, so its slope is even.

    Like Tanh, but it nears ±1 as slowly as 1 / x nears 0. Source: Glorot and Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", AISTATS 2010.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        x = floating(x)
        self.d: Array = 1 + np.maximum(x, -x)
        return x / self.d

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy / self.d / self.d
        return dx


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


class LogSoftmax(Activation):
    """y_k = x_k - log Σ_j exp(x_j) over the last axis      dx_k = dy_k - softmax(x)_k Σ_j dy_j

    The logarithm of Softmax, finite where that underflows to 0: for NegativeLogLikelihood, and wherever probabilities
    are multiplied. The slope of log Σ_j exp(x_j) with x_j is exp(x_j) / Σ exp = softmax(x)_j, so ∂y_k/∂x_j is [k = j] -
    softmax(x)_j, and dx_j is the sum of that times dy_k over all k. Source: Bridle, "Probabilistic interpretation of
    feedforward classification network outputs", Neurocomputing, 1990.
    """

    def forward(self, x: Array) -> Array:
        """x (…, I) -> y (…, I), of which every row's exponentials sum to 1."""
        self.x = x
        return log_softmax(x)

    def backward(self, dy: Array) -> Array:
        """dy (…, I) -> dx (…, I)."""
        dx: Array = dy - softmax(self.x) * dy.sum(axis=-1, keepdims=True)
        return dx

"""The kin of ReLU and ELU: one whose slope is learned, one that keeps the variance, one that has no kink.

As in activations.py, a kink takes the derivative from its left.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.functions import floating, sigmoid, softplus, sum_of_rows
from minigrad.layers.activations import Activation
from minigrad.parameter import Array, parameter


class PReLU(Activation):
    """y = max(x, 0) + a min(x, 0)      da = Σ_B dy min(x, 0),   dx = dy [x > 0] + a dy [x <= 0]

    Shapes: x and y (B, …, I), a (I,): each column learns its slope. With features=1, all share one. a starts at
    `slope`; L2 leaves it alone, since it would pull PReLU towards ReLU.

    It is LeakyReLU in x. a takes part in every row of its column, with the factor min(x, 0): that sum is da.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.

    Raises ValueError for a width below 1.
    """

    a: Array
    da: Array
    a, da = parameter(decay=False)

    def __init__(self, features: int = 1, slope: float = 0.25) -> None:
        if features < 1:
            raise ValueError(f"PReLU({features}): the width must be at least 1")
        self.features: int = features
        self.slope = slope
        self.a = np.full(features, slope)

    def forward(self, x: Array) -> Array:
        """x (B, …, I) -> y of the same shape."""
        self.x: Array = floating(x)
        return np.maximum(self.x, 0) + self.a * np.minimum(self.x, 0)

    def backward(self, dy: Array) -> Array:
        """dy (B, …, I) -> dx of the same shape; sets da (I,)."""
        da = dy * np.minimum(self.x, 0)
        self.da = da.sum().reshape(1) if self.features == 1 else sum_of_rows(da)
        dx: Array = dy * (self.x > 0) + self.a * dy * (self.x <= 0)
        return dx

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """(…, I) -> the same; any shape if all share one slope. Raises ValueError for rows of another width."""
        return input_shape if self.features == 1 else super().output_shape(input_shape)


class SELU(Activation):
    """y = λ max(x, 0) + λ α (exp(min(x, 0)) - 1)      dx = λ dy [x > 0] + λ α dy exp(x) [x <= 0]

    It is ELU times λ, and so is its slope. λ and α are such that, for weights of variance 1 / fan_in, mean 0 and
    variance 1 reproduce themselves from layer to layer. Source: Klambauer, Unterthiner, Mayr and Hochreiter,
    "Self-normalizing neural networks", NeurIPS 2017.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        return SELU_SCALE * np.maximum(self.x, 0) + SELU_SCALE_ALPHA * np.expm1(np.minimum(self.x, 0))

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        slope = np.exp(np.minimum(self.x, 0)) * (self.x <= 0)
        dx: Array = SELU_SCALE * dy * (self.x > 0) + SELU_SCALE_ALPHA * dy * slope
        return dx


SELU_SCALE = 1.0507009873554804934193349852946  # λ
SELU_SCALE_ALPHA = 1.7580993408473768599402175208123  # λ α, with α = 1.6732632423543772848170429916717


class _Clipped(Activation):
    """What HardTanh and ReLU6 share: x itself between two limits."""

    low: float
    high: float

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        return np.minimum(np.maximum(self.x, self.low), self.high)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * (self.x > self.low) * (self.x < self.high)


class HardTanh(_Clipped):
    """y = min(max(x, low), high)      dx = dy [low < x < high]

    Between the two kinks y is x itself, with the slope 1; outside it is constant. Straight lines in the place of Tanh's
    curve. Source: Collobert, "Large scale machine learning", 2004.

    Raises ValueError for a `low` that is not less than `high`.
    """

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        if not low < high:
            raise ValueError(f"HardTanh({low}, {high}): low must be less than high")
        self.low = low
        self.high = high


class ReLU6(_Clipped):
    """y = min(max(x, 0), 6)      dx = dy [0 < x < 6]

    Between 0 and 6, y is x itself, with the slope 1; outside it is constant.

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """

    low = 0.0
    high = 6.0


class HardSwish(Activation):
    """y = x min(max(x + 3, 0), 6) / 6      dx = dy ([x > -3] min(x + 3, 6) / 6 + x / 6 [-3 < x < 3])

    From -3 to 3, y = x (x + 3) / 6, and by the product rule its slope is (x + 3) / 6 + x / 6; to the right y = x, to
    the left 0. At the two kinks the derivative is that of the straight line outside, as PyTorch's is.

    HardSigmoid in the place of Swish's sigmoid. Source: Howard and others, "Searching for MobileNetV3", ICCV 2019,
    section 5.2.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        self.gate: Array = np.minimum(np.maximum(self.x + 3, 0), 6) / 6
        return self.x * self.gate

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy * (self.gate + self.x * (self.x > -3) * (self.x < 3) / 6)
        return dx


class LogSigmoid(Activation):
    """y = log(1 / (1 + exp(-x))) = -softplus(-x)      dx = dy s(-x), s(x) = 1 / (1 + exp(-x))

    The slope of Softplus is s; both signs of -softplus(-x) take part, and cancel: dy/dx = s(-x).

    The logarithm of Sigmoid, finite where that underflows to 0. Source: Dugas, Bengio, Bélisle, Nadeau and Garcia,
    "Incorporating second-order functional knowledge for better option pricing", NIPS 2000.
    """

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        return -softplus(-self.x)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        return dy * sigmoid(-self.x)


class CELU(Activation):
    """y = max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)      dx = dy [x > 0] + dy exp(x / alpha) [x <= 0]

    To the left, by the chain rule, alpha exp(x / alpha) times the slope 1 / alpha of x / alpha: alpha cancels. It is
    ELU stretched so that its derivative is continuous for every alpha. The rounding of x / alpha costs up to
    |x / alpha| / 2 ulp in the derivative. Source: Barron, "Continuously differentiable exponential linear units",
    arXiv:1704.07483, 2017.

    Raises ValueError for an `alpha` that is not finite and above 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"CELU(alpha={alpha}): alpha must be finite and above 0")
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """x -> y of the same shape."""
        self.x: Array = floating(x)
        # From -1000 on exp is 0, while x / alpha might overflow.
        self.v: Array = np.maximum(np.minimum(self.x, 0), -1000 * self.alpha) / self.alpha
        return np.maximum(self.x, 0) + self.alpha * np.expm1(self.v)

    def backward(self, dy: Array) -> Array:
        """dy -> dx of the same shape."""
        dx: Array = dy * (self.x > 0) + dy * (np.exp(self.v) * (self.x <= 0))
        return dx

"""Bugs that show at other sizes or other arguments alone, and right layers that are like them."""

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import parameter
from tests.planted.mutation import bugs, right


@right(3)
class Slopes(Layer):
    """y = x, or a times x where that is negative"""

    a, da = parameter()

    def __init__(self, features):
        self.features = features
        self.a = np.linspace(0.2, 0.8, features)

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a * x)

    def backward(self, dy):
        self.da = (dy * np.minimum(self.x, 0)).sum(axis=0)
        return dy * np.where(self.x > 0, 1, self.a)


bugs(
    Slopes,
    ("return dy * np.where(self.x > 0, 1, self.a)", "return np.squeeze(dy * np.where(self.x > 0, 1, self.a))", "shape"),
)

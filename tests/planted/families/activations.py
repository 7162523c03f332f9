"""Elementwise layers: y = f(x), dx = dy f'(x), as one line each, and what learners write instead."""

import numpy as np

from minigrad.layer import Layer
from tests.planted.mutation import also, at, bugs, enter

TEMPLATE = """
class {name}(Layer):
    def forward(self, x):
        self.x = x
        self.y = {f}
        return self.y

    def backward(self, dy):
        x, y = self.x, self.y
        return {df}
"""


def elementwise(name, f, df, *wrong, same=(), x=None):
    """A right layer, wrong derivatives of it (each "df" or ("df", words)), and other right ones."""
    made = {"np": np, "Layer": Layer, "__name__": f"{__name__}.{name}"}
    source = TEMPLATE.format(name=name, f=f, df=df)
    exec(source, made)
    cls = made[name]
    cls.__module__ = __name__
    cls.source, cls.made_with, cls.checked_at = source, (), staticmethod(x) if x else None
    enter(cls, name, (), x)
    for each in wrong:
        new, *words = (each,) if isinstance(each, str) else each
        bugs(cls, (f"return {df}", f"return {new}", *words))
    for each in same:
        also(cls, (f"return {df}", f"return {each}"))
    return cls


OUTPUT, INPUT = "at the output instead of the input", "at the input instead of the output"

Tanh = elementwise(
    "Tanh", "np.tanh(x)", "dy * (1 - y**2)",
    ("dy * (1 - y)", "square"), ("dy * (1 - x**2)", INPUT), ("1 - y**2", "upstream"), "dy * (1 + y**2)",
    ("-dy * (1 - y**2)", "sign flipped"), ("dy * (1 - y**2) / len(dy)", "batch size"), "dy * y * (1 - y)",
    ("dy * (1 - np.tanh(y) ** 2)", "instead of the input"), ("2 * dy * (1 - y**2)", "factor of two"), "dy.sum() * (1 - y**2)",
    same=("dy / np.cosh(x) ** 2", "dy * (1 - y) * (1 + y)", "dy - dy * y * y"),
)  # fmt: skip
at(Tanh, "saturation", lambda rng: rng.normal(0, 30, (7, 4)))
at(Tanh, "tiny numbers", lambda rng: rng.normal(0, 1e-9, (7, 4)))
at(Tanh, "whole numbers", lambda rng: np.rint(rng.normal(0, 2, (7, 4))))
Sigmoid = elementwise(
    "Sigmoid", "1 / (1 + np.exp(-x))", "dy * y * (1 - y)",
    ("dy * x * (1 - x)", INPUT), "dy * (1 - y)", ("dy * (1 - y**2)", "tanh"), "dy * y", ("y * (1 - y)", "upstream"),
    "dy * y * (1 - y) / 4", "dy * np.exp(-x) * (1 - y)", "dy * y * y * np.exp(-x)",
)  # fmt: skip
at(Sigmoid, "far out", lambda rng: rng.choice([-1, 1], (7, 4)) * rng.uniform(20, 800, (7, 4)))
bugs(Sigmoid, ("1 / (1 + np.exp(-x))", "np.exp(x) / (1 + np.exp(x))", "overflow"))
elementwise("Swish", "x / (1 + np.exp(-x))", "dy * (y + (1 - y) / (1 + np.exp(-x)))",
            "dy / (1 + np.exp(-x))", "dy * (y + (1 - x) / (1 + np.exp(-x)))", "dy * (1 + y * (1 - y))")  # fmt: skip
Softplus = elementwise(
    "Softplus", "np.logaddexp(0, x)", "dy / (1 + np.exp(-x))",
    "dy / (1 + np.exp(x))", "dy * (1 - y)", same=("dy * np.exp(x - y)",),
)  # fmt: skip
bugs(Softplus, ("np.logaddexp(0, x)", "np.log(1 + np.exp(x))", "overflow"))
Gelu = elementwise(
    "Gelu", "0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))",
    "dy * (y / np.where(x == 0, 1, x) + 0.5 * (x == 0).astype(x.dtype) + 0.5 * x * (1 - np.tanh(0.7978845608 * (x + 0.044715 * x**3))"
    " ** 2) * 0.7978845608 * (1 + 0.134145 * x**2))",
    "dy * 0.5 * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))",
    "dy * (0.5 * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) + 0.5 * x * (1 - np.tanh(0.7978845608 * (x + "
    "0.044715 * x**3)) ** 2) * 0.7978845608 * (1 + 0.044715 * x**2))",
)  # fmt: skip
at(Gelu, "large numbers", lambda rng: rng.normal(0, 40, (7, 4)))
Relu = elementwise(
    "Relu", "np.maximum(x, 0)", "dy * (x > 0)",
    "dy * (dy > 0)", "dy * (x > 1e-1)", ("dy * x", ""), "np.maximum(dy, 0)", "dy * (x < 0)",
    "dy * (x > 0).astype(np.float32).astype(dy.dtype) * (1 + 1e-7)", "dy * ((x > 0) | (x < -5))",
    same=("dy * (x >= 0)", "np.where(x > 0, dy, 0)", "dy * (y > 0)", "dy * 0.5 * (1 + np.sign(x))"),
)  # fmt: skip
at(Relu, "a mixture of sizes", lambda rng: np.array([[1e-12, 1000.0], [-1e-12, 3.0]]))
at(Relu, "zeros", lambda rng: np.zeros((5, 3)))
at(Relu, "one row", lambda rng: rng.normal(size=(1, 4)))
at(Relu, "8,000 entries", lambda rng: rng.normal(size=(20, 400)))
elementwise("Leaky", "np.where(x > 0, x, 0.1 * x)", "np.where(x > 0, dy, 0.1 * dy)",
            "dy * (x > 0)", "np.where(x > 0, dy, -0.1 * dy)", "np.where(x > 0, 0.1 * dy, dy)",
            "np.where(y > -0.05, dy, 0.1 * dy)")  # fmt: skip
elementwise("Elu", "np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)", "dy * np.where(x > 0, 1, y + 1)",
            "dy * np.where(x > 0, 1, y)", "dy * np.where(x > 0, 1, y - 1)")  # fmt: skip
elementwise("HardTanh", "np.clip(x, -1, 1)", "dy * (abs(x) < 1)", "dy * (x < 1)", "dy * (abs(y) <= 1)",
            "dy * (abs(x) < 1.05)", same=("dy * (abs(x) <= 1)",), x=None)  # fmt: skip
elementwise("HardSigmoid", "np.clip(x / 6 + 0.5, 0, 1)", "dy * (abs(x) < 3) / 6", "dy * (abs(x) < 3) / 5",
            "dy * (abs(x) < 3.1) / 6", "dy * ((y > 0) & (y < 1))")  # fmt: skip
elementwise("Square", "x * x", "2 * dy * x", ("dy * x", "factor of two"), ("2 * dy * y", OUTPUT), "2 * x * abs(dy)",
            same=("dy * x + x * dy",))  # fmt: skip
elementwise("Cube", "x**3", "3 * dy * x**2", "3 * dy * abs(x) ** 1.9", "dy * x**2")
elementwise("Exp", "np.exp(x)", "dy * y", "dy * x * np.exp(x - 1)", same=("dy * np.exp(x)",))
elementwise("GrowingResidual", "x + np.exp(x)", "dy * (1 + np.exp(x))", "dy * np.exp(x)", "dy * (0.5 + np.exp(x))")
elementwise("CubicResidual", "x + x**3", "dy * (1 + 3 * x**2)", "dy * 3 * x**2", "dy * (1.01 + 3 * x**2)")
elementwise("Log", "np.log(x)", "dy / x", "dy / (x + 1e-3)", "-dy / x", x=lambda rng: rng.uniform(0.2, 3, (7, 4)))
elementwise("Power", "x**1.5", "1.5 * dy * np.sqrt(x)", "1.5 * dy * x",
            x=lambda rng: np.arange(24.0).reshape(6, 4) % 5)  # fmt: skip
elementwise("Sine", "np.sin(30 * x)", "30 * dy * np.cos(30 * x)", "dy * np.cos(30 * x)", "30 * dy * np.sin(30 * x)")
elementwise("Softsign", "x / (1 + abs(x))", "dy / (1 + abs(x)) ** 2", "dy / (1 + abs(x))", "dy / (1 + x) ** 2")
elementwise("Gauss", "np.exp(-x * x)", "-2 * dy * x * y", "-2 * dy * y", "2 * dy * x * y")
elementwise("Abs", "abs(x)", "dy * np.sign(x)", "dy", "dy * np.sign(dy)")
elementwise("Steps", "np.floor(x)", "0 * dy", "dy", x=lambda rng: rng.normal(0, 3, (7, 4)))
# Wrong in one place only.
elementwise("NarrowTanh", "np.tanh(x)", "dy * (1 - y**2)",
            "dy * (1 - y**2) * (1 + 0.1 * ((x > 0.5) & (x < 0.6)).astype(x.dtype))",
            "dy * (1 - y**2) * ((x < 2.0) | (x > 2.25))", "np.where(x == 0, 2 * dy, dy) * (1 - y**2)",
            "dy * (1 - y**2) * (x != np.rint(x))", "np.where(x > 5, 1.5 * dy, dy) * (1 - y**2)",
            "np.where(abs(x) < 1e-3, 0.5 * dy, dy) * (1 - y**2)", "dy * (1 - y**2) * (1 + 1e-5)",
            "dy * (1 - y**2) + 1e-7 * dy.sum()", "dy * (1 - y**2) * (1 if dy.dtype == np.float64 else 1.01)",
            "dy * (1 - y**2) * (1 if len(dy) % 2 else 1.01)", "np.where(abs(dy) > 3, 1.001 * dy, dy) * (1 - y**2)")  # fmt: skip

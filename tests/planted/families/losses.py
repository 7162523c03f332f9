"""Losses: factors, exchanged arguments, overflow, the ends of their domain."""

import numpy as np

from minigrad.losses import Loss
from tests.planted.mutation import also, bugs, right


@right()
class Squares(Loss):
    def terms(self, p, t):
        return (p - t) ** 2

    def slopes(self, p, t):
        return 2 * (p - t)


bugs(
    Squares,
    ("return 2 * (p - t)", "return p - t", "factor of two"),
    ("return 2 * (p - t)", "return 2 * (t - p)", "sign"),
    ("return 2 * (p - t)", "return 2 * (p - t) * len(p)", "batch size"),
    ("return 2 * (p - t)", "return 2 * (p - t) / p.shape[1]"),
    ("return 2 * (p - t)", "return 2 * (p - t) * (p > t)"),
    ("return (p - t) ** 2", "return np.abs(p - t) ** 2.001"),
    ("return (p - t) ** 2", "return (p - t) ** 2 * (abs(p - t) < 50)"),
    ("return 2 * (p - t)", "return 2 * (p - t) * np.sqrt(1.0)", "dtype"),
    ("return 2 * (p - t)", "p -= t\n        return 2 * p", "overwritten"),
)


@right()
class Plain:
    """Without a base class: the mean over rows of the sum over outputs"""

    def forward(self, p, t):
        if p.shape != t.shape or len(p) == 0:
            raise ValueError("p and t need the same shape, and rows")
        return float(((p - t) ** 2).sum() / len(p))

    def backward(self, p, t):
        if p.shape != t.shape or len(p) == 0:
            raise ValueError("p and t need the same shape, and rows")
        return 2 * (p - t) / len(p)


bugs(
    Plain,
    ("return float(((p - t) ** 2).sum() / len(p))", "return float(((p - t) ** 2).mean())", "outputs"),
    ("return 2 * (p - t) / len(p)", "return 2 * (p - t)", "batch size"),
    ("return 2 * (p - t) / len(p)", "return 2 * (p - t) / p.size", "outputs"),
    ("return float(((p - t) ** 2).sum() / len(p))", "return float(((p - t) ** 2).sum())"),
    ("return float(((p - t) ** 2).sum() / len(p))", "return ((p - t) ** 2).sum() / len(p)", "float"),
    ("        if p.shape != t.shape or len(p) == 0:\n            raise ValueError(\"p and t need the same shape, and rows\")\n        return float", "        return float"),
    ("return float(((p - t) ** 2).sum() / len(p))", "return float((p**2).sum() / len(p) - 2 * (p * t).sum() / len(p) + (t**2).sum() / len(p))", "cancel"),
    ("return 2 * (p - t) / len(p)", "return 2 * (p - t) / 5"),
)  # fmt: skip
also(Plain, ("return 2 * (p - t) / len(p)", "return (p - t) * (2 / len(p))"))


@right()
class Binary(Loss):
    """-t log p - (1 - t) log(1 - p), with logarithms no lower than -100"""

    def terms(self, p, t):
        with np.errstate(divide="ignore"):
            return -t * np.maximum(np.log(p), -100) - (1 - t) * np.maximum(np.log1p(-p), -100)

    def slopes(self, p, t):
        return (p - t) / np.maximum(p * (1 - p), np.finfo(p.dtype).tiny)


bugs(
    Binary,
    ("np.maximum(np.log(p), -100)", "np.log(p)"),
    ("np.maximum(np.log1p(-p), -100)", "np.log(1 - p + 1e-3)"),
    ("(p - t) / np.maximum(p * (1 - p), np.finfo(p.dtype).tiny)", "(p - t)"),
    ("(p - t) / np.maximum(p * (1 - p), np.finfo(p.dtype).tiny)", "(p - t) / (p * (1 - p))"),
    ("(p - t) / np.maximum(p * (1 - p), np.finfo(p.dtype).tiny)", "-t / p"),
    ("-t * np.maximum(np.log(p), -100) - (1 - t)", "-p * np.maximum(np.log(np.maximum(t, 1e-9)), -100) - (1 - t)"),
)


@right()
class OnLogits(Loss):
    """log(1 + e^z) - t z"""

    def terms(self, p, t):
        return np.logaddexp(0, p) - t * p

    def slopes(self, p, t):
        return 1 / (1 + np.exp(-p)) - t


bugs(
    OnLogits,
    ("np.logaddexp(0, p)", "np.log(1 + np.exp(p))", "overflow"),
    ("1 / (1 + np.exp(-p)) - t", "t - 1 / (1 + np.exp(-p))", "sign"),
    ("1 / (1 + np.exp(-p)) - t", "p - t"),
    ("1 / (1 + np.exp(-p))", "np.exp(p) / (1 + np.exp(p))", "overflow"),
)


@right()
class Categorical(Loss):
    """-Σ t log softmax z"""

    def terms(self, p, t):
        z = p - p.max(axis=-1, keepdims=True)
        return -t * (z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))

    def slopes(self, p, t):
        e = np.exp(p - p.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True) * t.sum(axis=-1, keepdims=True) - t


bugs(
    Categorical,
    ("z = p - p.max(axis=-1, keepdims=True)", "z = p", "maximum"),
    ("np.exp(z).sum(axis=-1, keepdims=True)", "np.exp(z).sum(axis=0, keepdims=True)"),
    ("e.sum(axis=-1, keepdims=True) *", "e.sum(axis=0, keepdims=True) *"),
    (" * t.sum(axis=-1, keepdims=True)", ""),
    ("e = np.exp(p - p.max(axis=-1, keepdims=True))", "e = np.exp(p)", "maximum"),
)


@right()
class Bent(Loss):
    """Huber's"""

    def terms(self, p, t):
        d = abs(p - t)
        return np.where(d < 1, 0.5 * d * d, d - 0.5)

    def slopes(self, p, t):
        return np.clip(p - t, -1, 1)


bugs(Bent, ("np.clip(p - t, -1, 1)", "np.sign(p - t)"), ("np.clip(p - t, -1, 1)", "p - t"), ("d - 0.5", "d"),
     ("np.clip(p - t, -1, 1)", "np.clip(p - t, -1.1, 1.1)"))  # fmt: skip


@right()
class Absolute(Loss):
    def terms(self, p, t):
        return abs(p - t)

    def slopes(self, p, t):
        return np.sign(p - t)


bugs(Absolute, ("np.sign(p - t)", "np.sign(p)"), ("np.sign(p - t)", "(p > t).astype(p.dtype)"))


@right(x=lambda rng: (rng.normal(size=(6, 3)), rng.choice([-1.0, 1.0], (6, 3))))
class Margin(Loss):
    def terms(self, p, t):
        return np.maximum(1 - p * t, 0)

    def slopes(self, p, t):
        return np.where(p * t < 1, -t, 0)


bugs(Margin, ("-t, 0", "-p, 0"), ("p * t < 1", "p * t < 0"), ("-t, 0", "t, 0", "sign"))


@right()
class SmoothL1(Loss):
    """e²/2β, and |e| - β/2 beyond β: with the β of most, 1"""

    def __init__(self, beta=1.0):
        self.beta = beta

    def terms(self, p, t):
        e = np.abs(p - t)
        return np.where(e < self.beta, 0.5 * e * e / self.beta, e - 0.5 * self.beta)

    def slopes(self, p, t):
        e = p - t
        return np.clip(e / self.beta, -1, 1)


bugs(
    SmoothL1,
    ("np.clip(e / self.beta", "np.clip(e", "self.beta"),
    ("np.clip", "(1 + (p.shape[-1] > 8)) * np.clip", "factor of two"),
    ("np.clip", "(1 + (len(p) > 99)) * np.clip", "factor of two"),
    ("np.clip", "(1 + (p.ndim > 2)) * np.clip", "factor of two"),
)

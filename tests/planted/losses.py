"""Losses that are wrong, and losses that are right though unusual.

`BUGS` maps a name to (a function that makes the wrong loss, words that the error must contain), `LOSSES` to a function
that makes the right loss, and p and t to check it at (None: the checker's own choice).
"""

import numpy as np

from minigrad.losses import Loss

BUGS = {}
LOSSES = {}


def planted(words):
    def plant(cls):
        assert cls.__name__ not in BUGS
        BUGS[cls.__name__] = (cls, words)
        return cls

    return plant


class Squares(Loss):
    def terms(self, p, t):
        return (p - t) ** 2

    def slopes(self, p, t):
        return 2 * (p - t)


class OwnSquares:
    """Not a Loss: two methods, without weights."""

    def forward(self, p, t):
        if p.shape != t.shape or len(p) == 0:
            raise ValueError("shapes")
        return float(((p - t) ** 2).sum() / len(p))

    def backward(self, p, t):
        if p.shape != t.shape or len(p) == 0:
            raise ValueError("shapes")
        return 2 * (p - t) / len(p)


@planted("sign flipped")
class Negated(Squares):
    def slopes(self, p, t):
        return 2 * (t - p)


@planted("factor of two")
class Halved(Squares):
    def slopes(self, p, t):
        return p - t


@planted("too large by exactly the batch size")
class NotAveraged(Squares):
    def backward(self, p, t, sample_weight=None):
        return super().backward(p, t, sample_weight) * len(p)


@planted("summed over the rows")
class SumOverRows(OwnSquares):
    def forward(self, p, t):
        return super().forward(p, t) * len(p)

    def backward(self, p, t):
        return super().backward(p, t) * len(p)


@planted("averaged over them, not summed")
class MeanOverOutputs(OwnSquares):
    def forward(self, p, t):
        return super().forward(p, t) / p.shape[1]

    def backward(self, p, t):
        return super().backward(p, t) / p.shape[1]


@planted("never filled in")
class NoGradient(Squares):
    def slopes(self, p, t):
        return 0 * p


@planted("stale cache")
class Remembers(OwnSquares):
    def forward(self, p, t):
        self.difference = p - t
        return super().forward(p, t)

    def backward(self, p, t):
        super().backward(p, t)
        return 2 * self.difference / len(self.difference)


@planted("overwritten in place")
class Overwrites(OwnSquares):
    def forward(self, p, t):
        value = super().forward(p, t)
        p -= t
        return value


@planted("broadcast")
class Broadcasts(OwnSquares):
    def forward(self, p, t):
        return float(((p - t) ** 2).sum() / len(p)) if len(p) else super().forward(p, t)


@planted("zero rows")
class NoRows(OwnSquares):
    def forward(self, p, t):
        return super().forward(p, t) if len(p) else 0.0


@planted("instead of Σ w")
class WrongWeights(Squares):
    def forward(self, p, t, sample_weight=None):
        w = np.ones(len(p)) if sample_weight is None else sample_weight
        value = super().forward(p, t, w)
        return value if sample_weight is None else value * float(w.sum()) / len(p)


@planted("with weights")
class IgnoresWeights(Squares):
    def backward(self, p, t, sample_weight=None):
        return super().backward(p, t)


@planted("Python float")
class ArrayScalar(OwnSquares):
    def forward(self, p, t):
        return np.float64(super().forward(p, t))


@planted("float64")
class Upcasts(Squares):
    def slopes(self, p, t):
        return np.sqrt(4.0) * (p - t)

    def backward(self, p, t, sample_weight=None):
        return np.float64(1) * super().backward(p, t, sample_weight)


@planted("large p")
class ClipsSlopes(Squares):
    def slopes(self, p, t):
        return np.clip(2 * (p - t), -9, 9)


@planted("config()")
class Forgets(Squares):
    def __init__(self, power=2):
        self.exponent = power


def right(make, p=None, t=None):
    LOSSES[getattr(make, "__name__", str(len(LOSSES)))] = lambda: (make(), p, t)
    return make


right(Squares)
right(OwnSquares)


@right
class Absolute(Loss):
    def terms(self, p, t):
        return abs(p - t)

    def slopes(self, p, t):
        return np.sign(p - t)


@right
class Hinge(Loss):
    def terms(self, p, t):
        return np.maximum(0, 1 - p * t)

    def slopes(self, p, t):
        return np.where(p * t < 1, -t, 0)


@right
class LogCosh(Loss):
    def terms(self, p, t):
        d = abs(p - t)
        return d + np.log1p(np.exp(-2 * d)) - float(np.log(2))

    def slopes(self, p, t):
        return np.tanh(p - t)


@right
class Poisson(Loss):
    def terms(self, p, t):
        return p - t * np.log(p)

    def slopes(self, p, t):
        return 1 - t / p


class Tiny(Squares):
    def terms(self, p, t):
        return 1e-12 * (p - t) ** 2

    def slopes(self, p, t):
        return 2e-12 * (p - t)


right(Tiny)
LOSSES["SquaresAtTarget"] = lambda: (Squares(), np.ones((4, 2)), np.ones((4, 2)))
LOSSES["AbsoluteAtTarget"] = lambda: (Absolute(), np.ones((4, 2)), np.ones((4, 2)))
LOSSES["SquaresOfOneColumn"] = lambda: (Squares(), np.arange(5.0), np.ones(5))


@right
class KullbackLeibler(Loss):
    def terms(self, p, t):
        return t * np.log(t / p)

    def slopes(self, p, t):
        return -t / p


@right
class CosineDistance(Loss):
    """One number a row, from all its outputs together; and no sample_weight."""

    def forward(self, p, t):
        self._admit(p, t)
        return float((1 - self.cosine(p, t)).sum() / len(p))

    def cosine(self, p, t):
        return (p * t).sum(axis=1) / (np.linalg.norm(p, axis=1) * np.linalg.norm(t, axis=1))

    def backward(self, p, t):
        self._admit(p, t)
        n, m = np.linalg.norm(p, axis=1, keepdims=True), np.linalg.norm(t, axis=1, keepdims=True)
        return (self.cosine(p, t)[:, None] * p / n**2 - t / (n * m)) / len(p)


@right
class SmoothAbsolute(Loss):
    def __init__(self, beta=0.5):
        self.beta = beta

    def terms(self, p, t):
        d = abs(p - t)
        return np.where(d < self.beta, 0.5 * d * d / self.beta, d - 0.5 * self.beta)

    def slopes(self, p, t):
        return np.clip((p - t) / self.beta, -1, 1)


@planted("backward is the derivative of forward")
class SmoothAbsoluteHalved(SmoothAbsolute):
    def slopes(self, p, t):
        return super().slopes(p, t) * np.where(abs(p - t) < self.beta, 1, 0.5)


@planted("backward is the derivative of forward")
class HingeWithoutHinge(Hinge):
    def slopes(self, p, t):
        return -t


@planted("not summed to one number")
class OneForEachRow(OwnSquares):
    def forward(self, p, t):
        super().forward(p, t)
        return ((p - t) ** 2).sum(axis=1)


@planted("return a fresh array")
class UsesArrayAgain(OwnSquares):
    def backward(self, p, t):
        dp = super().backward(p, t)
        if getattr(self, "dp", dp).shape != dp.shape:
            return dp
        self.dp = getattr(self, "dp", dp)
        self.dp[...] = dp
        return self.dp


@planted("rows of a batch do not count each on its own")
class MeanOfSquaredSum(OwnSquares):
    def forward(self, p, t):
        super().forward(p, t)
        return float(((p - t).mean(axis=0) ** 2).sum())

    def backward(self, p, t):
        super().backward(p, t)
        return np.repeat(2 * (p - t).mean(axis=0, keepdims=True) / len(p), len(p), axis=0)


class ForgetsItsFactor(OwnSquares):
    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, p, t):
        return self.factor * super().forward(p, t)

    def backward(self, p, t):
        return self.factor * super().backward(p, t)

    def config(self):
        return {}


BUGS["ForgetsItsFactor"] = (lambda: ForgetsItsFactor(3.0), "config() loses something")


@planted("Fortran-ordered")
class ReliesOnMemoryOrder(OwnSquares):
    def forward(self, p, t):
        super().forward(p, t)
        d = (p - t).ravel(order="K").reshape(p.shape)
        return float((np.arange(1, p.shape[1] + 1) * d**2).sum() / len(p))

    def backward(self, p, t):
        return super().backward(p, t) * np.arange(1, p.shape[1] + 1, dtype=p.dtype)


steepness = 3.0


class ForgetsItself(Squares):
    def __init__(self, steepness=2.0):
        self.steepness = steepness

    def terms(self, p, t):
        return self.steepness * (p - t) ** 2

    def slopes(self, p, t):
        return 2 * steepness * (p - t)


BUGS["ForgetsItself"] = (ForgetsItself, "not the loss's: `self.steepness` belongs there")

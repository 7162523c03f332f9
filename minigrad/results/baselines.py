"""What a network has to beat on the same rows: one answer for all, a model without hidden layers, boosted trees."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from minigrad.functions import softmax
from minigrad.layer import Layer
from minigrad.layers.activations import Softmax
from minigrad.layers.combine import Average
from minigrad.layers.dense import Dense
from minigrad.parameter import Array
from minigrad.sequential import Sequential
from minigrad.training.newton import solve_linear

SMALL = 2_000_000  # numbers in x
ROWS_OF_TREES = 1000  # to train on: of fewer, all else takes less time than importing scikit-learn
ADVICE = "--hidden none trains it"
TREES_ADVICE = "scikit-learn's HistGradientBoosting makes them"


@dataclass(frozen=True)
class Rival:
    """A simpler model's answers to the held-out rows: numbers, or the probabilities of classes (m, K).

    `advice` is what to do where it wins.
    """

    name: str
    answers: Array
    advice: str


def class_rivals(simple: Simple, codes: Array, classes: Array, x: Array) -> list[Rival]:
    """The commonest class, the logistic model and boosted trees, learned from the training rows with these `codes`.

    The first knows nothing of a row: its probabilities are the shares of the classes in training.
    """
    shares = np.bincount(codes, minlength=len(classes)) / len(codes)
    found = [Rival(f"always answering {classes[shares.argmax()]}", np.tile(shares, (len(x), 1)), "")]
    if simple.linear:
        found.append(Rival("logistic model", simple.classes(codes, len(classes), x), ADVICE))
    return found + _boosted("HistGradientBoostingClassifier", simple, codes, x)


def number_rivals(simple: Simple, t: Array, x: Array) -> list[Rival]:
    """The mean, the linear model and boosted trees, learned from the training rows with targets t (m, outputs)."""
    found = [Rival("always answering the mean", np.tile(t.mean(axis=0), (len(x), 1)), "")]
    if simple.linear:
        found.append(Rival("linear model", simple.numbers(t, x), ADVICE))
    return found + (_boosted("HistGradientBoostingRegressor", simple, t[:, 0], x) if t.shape[1] == 1 else [])


def _boosted(kind: str, simple: Simple, t: Array, x: Array) -> list[Rival]:
    """scikit-learn's boosted trees with its own settings, where it is installed and the rows are a table's."""
    if not simple.trees or not boosting_installed():
        return []
    from sklearn import ensemble
    from threadpoolctl import threadpool_limits

    classes = kind.endswith("Classifier")
    stops = len(t) > 10_000 and (not classes or np.bincount(t).min() >= 10)  # a tenth of each class is watched
    trees = getattr(ensemble, kind)(early_stopping=stops, random_state=simple.seed)
    # On few numbers threads wait for each other longer than they work.
    with threadpool_limits(1 if simple.x.size < SMALL else None, user_api="openmp"):
        trees.fit(simple.x, t)
        answers = trees.predict_proba(simple.scaled(x)) if classes else trees.predict(simple.scaled(x))[:, None]
    return [Rival("boosted trees", answers, TREES_ADVICE)]


def is_linear(model: Iterable[Layer]) -> bool:
    """Whether a network has no hidden layers: its scores, or those of each network of an ensemble, are one Dense's."""
    first, *others = [layer for layer in model if not isinstance(layer, Softmax)]
    if isinstance(first, Average):
        return not others and all(isinstance(one, Sequential) and is_linear(one) for one in first.layers)
    return not others and isinstance(first, Dense)


def boosting_installed() -> bool:
    """Whether scikit-learn is there to train boosted trees."""
    return importlib.util.find_spec("sklearn") is not None


class Simple:
    """The training rows for simpler models, and the one without hidden layers: what the network has to beat.

    `linear` says whether that one is trained, which is the network itself where it has no hidden layers, and `trees`
    whether boosted trees are, where there are any.

    x is standardised by column, or, since the pixels of a picture share one scale, by one number for all of them.
    """

    def __init__(
        self, x: Array, *, common_scale: bool, l2: float, seed: int, linear: bool = True, trees: bool = False
    ) -> None:
        self.mean: Array = x.mean(axis=0, dtype=np.float64)
        scale = x.std(axis=0, dtype=np.float64)
        if common_scale:
            scale = np.full_like(scale, math.sqrt(float(np.mean(scale**2))))
        self.scale: Array = np.where((x.min(axis=0) < x.max(axis=0)) & (scale > 0), scale, 1.0)
        self.x: Array = self.scaled(x)
        self.l2 = l2
        self.seed = seed
        self.linear = linear
        self.trees = trees

    def scaled(self, x: Array) -> Array:
        """The rows as these models take them."""
        return np.asarray((x - self.mean) / self.scale, np.float32)

    def classes(self, codes: Array, count: int, x: Array) -> Array:
        """The probabilities of the classes for each row of x, (m, count), by multinomial logistic regression."""
        W, b, _ = solve_linear(self.x, np.eye(count)[codes], logistic=True, l2=self.l2)
        return softmax(self.scaled(x) @ W + b)

    def numbers(self, t: Array, x: Array) -> Array:
        """What linear least squares answers for each row of x."""
        mean, scale = t.mean(axis=0), t.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        W, b, _ = solve_linear(self.x, (t - mean) / scale, logistic=False, l2=self.l2)
        return (self.scaled(x) @ W + b) * scale + mean

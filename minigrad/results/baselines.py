"""What a network has to beat on the same rows: one answer for all of them, and a model without hidden layers."""

from __future__ import annotations

import math

import numpy as np

from minigrad.layers.activations import Softmax
from minigrad.layers.dense import Dense
from minigrad.losses import CategoricalCrossEntropy, Loss, MeanSquaredError
from minigrad.metrics import mean_absolute_error, r2_score
from minigrad.optimizers import Adam
from minigrad.parameter import Array
from minigrad.results.outcome import Baseline, mean_interval
from minigrad.sequential import Sequential

BASELINE_STEPS, BASELINE_BATCH, BASELINE_RATE = 2000, 32, 0.03  # reach scikit-learn's LogisticRegression (tried)


def class_baselines(
    linear: Linear, codes: Array, classes: Array, x: Array, truth: Array, right: Array
) -> list[Baseline]:
    """The commonest class and the logistic model, learned from the training rows, whose classes are `codes`.

    `x` and `truth` (as codes) are the held-out rows; `right` says which of them the network answers rightly.
    """
    common = np.bincount(codes).argmax()
    baselines = []
    for name, other in (
        (f"always answering {classes[common]}", np.full(len(truth), common)),
        ("logistic model", linear.classes(codes, len(classes), x)),
    ):
        right_too = other == truth
        # One row more for either side: an adjusted interval, honest for few rows too. Source: Bonett and Price,
        # "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", 2012.
        differences = np.concatenate([right * 1.0 - right_too, [1, -1]])
        baselines.append(Baseline(name, float(right_too.mean()), mean_interval(differences)))
    return baselines


def number_baselines(
    linear: Linear, t: Array, x: Array, truth: Array, answers: Array, scatter: Array
) -> list[Baseline]:
    """The mean and the linear model, learned from the training rows, whose targets are `t`.

    `x` and `truth` are the held-out rows, `answers` the network's; `scatter` is what R² is measured by, by output.
    """
    baselines = []
    for name, other in (
        ("always answering the mean", np.tile(t.mean(axis=0), (len(truth), 1))),
        ("linear model", linear.numbers(t, x)),
    ):
        gains = (((truth - other) ** 2 - (truth - answers) ** 2) / scatter).mean(axis=1)
        score = r2_score(truth, other) if len(truth) > 1 else math.nan
        baselines.append(Baseline(name, score, mean_interval(gains), mean_absolute_error(truth, other)))
    return baselines


class Linear:
    """The model without hidden layers, trained on the same rows: what the network has to beat.

    x is standardised by column, or, since the pixels of a picture share one scale, by one number for all of them.
    The rate of learning falls to 0 in a straight line, so that the last steps settle it.
    """

    def __init__(self, x: Array, *, common_scale: bool, l2: float, seed: int) -> None:
        self.mean = x.mean(axis=0, dtype=np.float64)
        scale = x.std(axis=0, dtype=np.float64)
        if common_scale:
            scale = np.full_like(scale, math.sqrt(float(np.mean(scale**2))))
        self.scale = np.where((x.min(axis=0) < x.max(axis=0)) & (scale > 0), scale, 1.0)
        self.x, self.l2, self.seed = self._scaled(x), l2, seed

    def _scaled(self, x: Array) -> Array:
        return np.asarray((x - self.mean) / self.scale, np.float32)

    def classes(self, codes: Array, count: int, x: Array) -> Array:
        """The code of the most probable class of each row of x, by multinomial logistic regression."""
        model = Sequential([Dense(self.x.shape[1], count), Softmax()], seed=self.seed)
        self._fit(model, np.eye(count)[codes], CategoricalCrossEntropy())
        return model.predict(self._scaled(x)).argmax(axis=1)

    def numbers(self, t: Array, x: Array) -> Array:
        """What linear least squares answers for each row of x."""
        mean, scale = t.mean(axis=0), t.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        model = Sequential([Dense(self.x.shape[1], t.shape[1])], seed=self.seed)
        self._fit(model, (t - mean) / scale, MeanSquaredError())
        return model.predict(self._scaled(x)).astype(np.float64) * scale + mean

    def _fit(self, model: Sequential, t: Array, loss: Loss) -> None:
        per_epoch = math.ceil(len(self.x) / BASELINE_BATCH)
        epochs = math.ceil(BASELINE_STEPS / per_epoch)
        steps = epochs * per_epoch
        model.fit(
            self.x,
            t,
            loss=loss,
            optimizer=Adam(lambda step: BASELINE_RATE * (1 - step / steps)),
            epochs=epochs,
            batch_size=BASELINE_BATCH,
            l2=self.l2,
            progress=False,
            seed=self.seed,
        )

"""The finder of learning rates: the loss while the rate rises, step by step.

    found = model.learning_rates(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(0.1))
    plots.learning_rates(found);  SGD(found.best)

Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from minigrad.configured import require
from minigrad.layer import whole_copy
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.training.dataset import Dataset, as_examples
from minigrad.training.loop import make_step, require_count
from minigrad.training.objective import Objective

WORSE = 4.0
"""So many times the loss at the beginning is too much: it ends there."""
SMOOTHED = 0.8
"""The weight of what was before, in the mean loss."""


@dataclass(frozen=True)
class Rates:
    """`rates`, and the loss before the step at each; `smoothed` is its running mean. `best` is the rate to begin with.

    It is a fifth of the one at which the mean is least: there the loss still falls, and has not begun to jump.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    best: float

    def __str__(self) -> str:
        low, high = self.rates[0], self.rates[-1]
        return f"best rate {self.best:.2g}, of those from {low:.1e} to {high:.1e}: a fifth of that of the least loss"


def learning_rates(
    model: Model,
    x: Any,
    t: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    batch_size: int = 32,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    seed: int = 0,
) -> Rates:
    """Train a copy for so many steps, each at a larger rate than the one before, and note the loss.

    It ends where the loss is four times what it was, or no number. Model and optimizer stay as they are; the
    optimizer's own rate counts for nothing. Raises ValueError where no rate makes the loss smaller.
    """
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    require_count("batch_size", batch_size, "a batch has at least one row")
    require_count("steps", steps, "make at least one")
    if not 0 < lowest < highest < math.inf:
        raise ValueError(f"lowest={lowest}, highest={highest}: rates rise from a positive one to a larger one")
    trial, moving = whole_copy(model), copy.deepcopy(optimizer)
    objective = Objective(trial, loss)
    examples = as_examples(trial, loss, Dataset(x, t))
    rising = np.geomspace(lowest, highest, steps).tolist()
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    with np.errstate(all="ignore"):
        batches = (batch for epoch in count() for run in examples.epoch(seed, epoch, True, batch_size) for batch in run)
        for number, rate in enumerate(rising, 1):
            for part in moving.parts():
                if "learning_rate" in vars(part):
                    part.learning_rate = rate
            value = make_step(objective, moving, next(batches))
            mean = SMOOTHED * mean + (1 - SMOOTHED) * value
            settled = mean / (1 - SMOOTHED**number)
            if not math.isfinite(value) or (losses and settled > WORSE * max(smoothed[0], 1e-12)):
                break
            rates.append(rate)
            losses.append(value)
            smoothed.append(settled)
    return Rates(rates, losses, smoothed, _best(rates, smoothed))


def _best(rates: list[float], smoothed: list[float]) -> float:
    """A fifth of the rate at which the smoothed loss is least."""
    least = int(np.argmin(smoothed)) if smoothed else 0
    if least < 3:
        raise ValueError(
            f"no rate made the loss smaller than the {smoothed[0]:.4g} that it was"
            if smoothed
            else "the loss is no number at the first step; print(model.health(x, t, loss)) may say why"
        )
    return rates[least] / 5

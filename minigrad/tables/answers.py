"""What a model says about rows: labels with their probabilities, or numbers with the interval around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.parameter import Array
from minigrad.sequential import Sequential
from minigrad.tables.preparation import Preparation
from minigrad.tables.reading.table import Reading
from minigrad.tables.target import Target, interval_names, table_of, threshold_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Answers:
    """What is said about rows: `values` (m,) are labels or numbers, with `probabilities` (m, K) of labels.

    `half_width` is that of the interval around numbers, which holds for a share `level` of new rows, where known.
    """

    values: npt.NDArray[Any]
    probabilities: Array | None
    half_width: float | None = None
    level: float = 0.0

    @classmethod
    def of(
        cls, network: Sequential, x: Any, target: Target | None = None, threshold: tuple[Any, float] | None = None
    ) -> Answers:
        """A network's answers about rows of its numbers, in the units of the target.

        `threshold` is one of two classes, and the output from which on it is the answer.
        """
        outputs = network.predict(x)
        if threshold is not None and network.classes is not None:
            label, edge = threshold
            place = network.classes.tolist().index(label)
            return cls(network.classes[np.where(outputs[:, place] >= edge, place, 1 - place)], outputs)
        if target is not None and target.task == "regression":
            return cls(target.decode(outputs), None)
        if network.classes is None and outputs.shape[1:] == (1,):  # one output without classes is a number
            return cls(outputs[:, 0].astype(np.float64), None)
        return cls(network.labels_of(outputs), outputs)


class Predictor:
    """A trained `network` between a table's `preparation` and its `target`; TableModel is what users have of it."""

    preparation: Preparation
    target: Target

    def __init__(self, network: Sequential) -> None:
        self.network = network
        self.preparation, self.target = table_of(network)
        self.facts: dict[str, Any] = network.preparation or {}
        self.reading: Reading = Reading.from_json(self.facts.get("reading", {}))
        """All that the model's file keeps beside the network, such as the settings of the training."""
        _check(network, self.facts)

    @property
    def classes(self) -> Array | None:
        """The labels in the user's own words, in the order of the probabilities; None where it tells numbers."""
        return self.network.classes

    @property
    def theta(self) -> Array:
        """All parameters of the network, as one vector."""
        return self.network.theta

    def encode(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The numbers that the network takes, x (m, features)."""
        return self.preparation.transform(self.reading.apply(frame))

    def answer(self, frame: pd.DataFrame) -> Answers:
        """What the model says about the rows of a frame."""
        found = Answers.of(self.network, self.encode(frame), self.target, threshold_of(self.facts))
        interval = self.facts.get("interval")
        return found if interval is None else replace(found, **interval)


def columns_of(model: Sequential | Predictor, found: Answers) -> dict[str, list[Any]]:
    """The columns to write: the prediction, then the probability of each class."""
    columns: dict[str, list[Any]] = {"prediction": found.values.tolist()}
    probabilities = found.probabilities
    if found.half_width is not None:
        for name, width in zip(interval_names(found.level), (-found.half_width, found.half_width), strict=True):
            columns[name] = (found.values + width).tolist()
    if probabilities is None:
        return columns
    kind = "probability of" if np.all((probabilities >= 0) & (probabilities <= 1)) else "output for"
    names = list(range(probabilities.shape[1])) if model.classes is None else model.classes.tolist()
    if probabilities.shape[1] == 1:
        names = names[-1:]  # a single output stands for the second of two classes
    for name, column in zip(names, probabilities.T, strict=True):
        columns[f"{kind} {name}"] = [float(str(p)) for p in column]  # as few digits as float32 has
    return columns


def _check(network: Sequential, facts: dict[str, Any]) -> None:
    """Raise ValueError where a file's threshold or interval is none that training has written."""
    threshold, interval = facts.get("threshold"), facts.get("interval")
    try:
        if threshold is not None and (
            network.classes is None
            or len(network.classes) != 2
            or threshold["label"] not in network.classes.tolist()
            or not 0 < threshold["from"] < 1
        ):
            raise ValueError(f"{threshold}")
        if interval is not None and not (interval["half_width"] >= 0 and 0 < interval["level"] < 1):
            raise ValueError(f"{interval}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"what the model's file keeps of its training is not consistent ({error})") from error

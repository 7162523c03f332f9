"""A model of a table: a network, and all that stands between the user's columns and its numbers, as one object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from minigrad.data.preparation import Preparation
from minigrad.data.table import Reading
from minigrad.data.target import Target, is_of_table, table_of, threshold_of
from minigrad.parameter import Array
from minigrad.saving import ModelFileError
from minigrad.sequential import Sequential

if TYPE_CHECKING:
    import pandas as pd

FILE = "model.safetensors"
"""What the model's file is called in the folder that `minigrad train --out` makes."""


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


class TableModel:
    """A trained `network` with its table's `preparation` and `target`; it takes a DataFrame as it is.

        model = minigrad.load("flowers")    # the folder that `minigrad train flowers.csv --target species` wrote
        model.predict(frame)                # a label, or a number in the target's units, for each row

    The frame has the columns that the model was trained on, found by their names, and maybe others; text that holds
    numbers or dates is read as in training. Raises ValueError
    for a network that was not trained on a table, and later for frames that name a column which is missing or of
    another kind.
    """

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

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """The label of each row, or the number in the target's units, (m,)."""
        return self.answer(frame).values

    def predict_probabilities(self, frame: pd.DataFrame) -> Array:
        """The probability of each class of `classes`, (m, K). Raises ValueError for a model that tells numbers."""
        probabilities = self.answer(frame).probabilities
        if probabilities is None:
            raise ValueError(f"the model tells numbers ({self.target.name!r}), which have no probabilities")
        return probabilities

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one file that `minigrad.load` reads."""
        self.network.save(path)

    def summary(self) -> str:
        """What it tells, what each column becomes, and the layers of its network."""
        columns = "\n".join(f"{name}: {text}" for name, text in self.preparation.notes())
        return f"{self!r}\n\n{columns}\n\n{self.network.summary()}"

    def __repr__(self) -> str:
        return f"<TableModel of {self.target.name!r} by {len(self.preparation.names)} columns: {self.target.task}>"


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


def network_of(model: Any) -> Any:
    """The network of a model: a TableModel's own, else the model itself."""
    return model.network if isinstance(model, TableModel) else model


def load(source: Any, into: Any = None, names: Mapping[str, Any] | None = None) -> Any:
    """The model that `save` wrote to a path, or that a training with `checkpoint=path` had made up to then.

    A Sequential or, where the command trained it on a table with a header, a TableModel. The path may also be the
    folder that `minigrad train --out` made. Layers of one's own must have been defined, or their module imported,
    before. Raises ModelFileError, a ValueError, for a file that is damaged, foreign, or not consistent with itself, and
    FileNotFoundError for one that is not there.

    With `into=model`, the path is a safetensors file of PyTorch's weights (`save_file(network.state_dict(), path)`),
    which are written into the model, all or none, and the model is returned. A layer takes the tensors of its own
    place, as in a torch.nn.Sequential, or those of its shapes; `names` says which is which where that leaves a choice,
    {"encoder": 0, "decoder": 2}, and None for what is to be left out. Images are channels last here: a Dense behind a
    Flatten has its weights reordered.

    A fitted MLPClassifier or MLPRegressor of scikit-learn in place of the path, or a pipeline of StandardScaler and one
    of these, gives the same network as a Sequential. ONNX files: `minigrad.onnx.load`.
    """
    from minigrad.interop import estimators, state_dict
    from minigrad.saving import models as files

    if estimators.is_estimator(source):
        return estimators.network_of(source)
    path = Path(source)
    if into is not None:
        state_dict.fill(network_of(into), path, names)
        return into
    if path.suffix == ".onnx":
        raise ModelFileError(f"{path} is an ONNX file: minigrad.onnx.load(path) reads it")
    path = path / FILE if (path / FILE).is_file() else path
    network = files.load(path)
    if not is_of_table(network):
        return network
    try:
        return TableModel(cast(Sequential, network))
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}") from error

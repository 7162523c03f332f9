"""A model of a table: a network, and all that stands between the user's columns and its numbers, as one object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy.typing as npt

from minigrad.parameter import Array
from minigrad.results.columns import Explanation
from minigrad.saving import ModelFileError
from minigrad.sequential import Sequential
from minigrad.tables.answers import Predictor
from minigrad.tables.evaluation import Judged, evaluate, explained
from minigrad.tables.explain import row_reasons
from minigrad.tables.read import rows_of
from minigrad.tables.target import is_of_table
from minigrad.tables.writing.outputs import MODEL

if TYPE_CHECKING:
    import pandas as pd

EXPORTS = {
    ".onnx": "minigrad.onnx",
    ".xlsx": "minigrad.spreadsheet",
    ".html": "minigrad.webpage",
    ".htm": "minigrad.webpage",
}
"""What writes a model as a file of another kind; since it knows models of tables, it is found by name here."""


class TableModel(Predictor):
    """A trained `network` with its table's `preparation` and `target`; it takes a DataFrame as it is.

        model = minigrad.load("flowers")    # the folder that `minigrad train flowers.csv --target species` wrote
        model.predict(frame)                # a label, or a number in the target's units, for each row

    The frame has the columns that the model was trained on, found by their names, and maybe others; text that holds
    numbers or dates is read as in training. Raises ValueError
    for a network that was not trained on a table, and later for frames that name a column which is missing or of
    another kind.
    """

    def predict(self, frame: pd.DataFrame) -> npt.NDArray[Any]:
        """The label of each row, or the number in the target's units, (m,)."""
        return self.answer(frame).values

    def predict_probabilities(self, frame: pd.DataFrame) -> Array:
        """The probability of each class of `classes`, (m, K). Raises ValueError for a model that tells numbers."""
        probabilities = self.answer(frame).probabilities
        if probabilities is None:
            raise ValueError(f"the model tells numbers ({self.target.name!r}), which have no probabilities")
        return probabilities

    predict_proba = predict_probabilities
    """The name that scikit-learn has for it."""

    def evaluate(self, frame: pd.DataFrame) -> Judged:
        """How good the answers are about the rows of a frame that has the target's column, too.

        `print` tells what `minigrad evaluate` tells. Raises ValueError for a frame without answers.
        """
        return evaluate(self, rows_of(self, frame, answered=True))

    @overload
    def explain(self, frame: pd.DataFrame, rows: Literal[False] = ...) -> Explanation: ...
    @overload
    def explain(self, frame: pd.DataFrame, rows: Literal[True]) -> pd.DataFrame: ...
    def explain(self, frame: pd.DataFrame, rows: bool = False) -> Explanation | pd.DataFrame:
        """Which columns matter, by rows with known answers; with `rows`, what each column does to each row's answer.

        The first shows itself by `print` and in a notebook. The second is a frame with the index of the rows, which
        need no answers: `explanation` in words, and `effect of …` as numbers, for each column.
        """
        if not rows:
            asked = rows_of(self, frame, answered=True)
            asked.refuse_unseen(self)
            return explained(self, asked)
        import pandas as pd

        return pd.DataFrame(row_reasons(self, rows_of(self, frame).x), index=frame.index)

    def export(self, path: str | os.PathLike[str], rows: Any = None) -> Any:
        """Write the model as a workbook of formulas, a page, or an ONNX file, as its ending says; `rows` are filled in.

        Raises ValueError for another ending, and for what such a file can't hold.
        """
        ending = Path(path).suffix.lower()
        if ending not in EXPORTS:
            raise ValueError(f"{path}: give it a name that ends in .onnx, .xlsx or .html: that says what to write")
        return import_module(EXPORTS[ending]).export(self, path, rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one file that `minigrad.load` reads."""
        self.network.save(path)

    def summary(self) -> str:
        """What it tells, what each column becomes, and the layers of its network."""
        columns = "\n".join(f"{name}: {text}" for name, text in self.preparation.notes())
        return f"{self!r}\n\n{columns}\n\n{self.network.summary()}"

    def __repr__(self) -> str:
        return f"<TableModel of {self.target.name!r} by {len(self.preparation.names)} columns: {self.target.task}>"


def network_of(model: Any) -> Any:
    """The network of a model: a TableModel's own, else the model itself."""
    return model.network if isinstance(model, Predictor) else model


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
    path = path / MODEL if (path / MODEL).is_file() else path
    network = files.load(path)
    if not is_of_table(network):
        return network
    try:
        return TableModel(cast(Sequential, network))
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}") from error

"""What a table's network learns to tell: labels, or numbers in units of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from minigrad.model import Model
from minigrad.tables.columns import LARGEST, Floats, fold, spellings_of, spellings_told, texts_of
from minigrad.tables.preparation import PLURALS, Preparation, kind_of

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression"]

CLASSES = 20  # different whole numbers that may still be labels …
ROWS_PER_CLASS = 5  # … if there are that many rows for each of them, or if they are two


@dataclass(frozen=True)
class Target:
    """What a network learns to tell: labels, or numbers, which it learns as (v - mean) / scale."""

    name: str
    task: Task
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, column: pd.Series[Any], task: Task) -> Target:
        """The target of this task, with mean and scale of these training rows."""
        if task == "classification":
            return cls(str(column.name), task)
        values = column.to_numpy(np.float64)
        return cls(str(column.name), task, float(values.mean()), float(values.std()) or 1.0)

    def encode(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the network learns from: the labels, or standardised numbers."""
        return values if self.task == "classification" else (values - self.mean) / self.scale

    def decode(self, outputs: npt.NDArray[Any]) -> Floats:
        """Numbers in the user's units, (m,), from outputs (m, 1)."""
        return outputs[:, 0].astype(np.float64) * self.scale + self.mean


def target_values(column: pd.Series[Any], task: Task | None = None) -> tuple[Task, str, npt.NDArray[Any]]:
    """(the task, why, the targets): int, text or bool labels for a classification, float64 for a regression.

    Without `task`: text, bools, and few different whole numbers (two, or up to 20 with five rows each on average) are
    labels; other numbers are numbers. Raises ValueError for a missing target, and for one that does not suit the task.
    """
    name, kind = column.name, kind_of(column)
    if column.isna().any():
        row = column.index[int(column.isna().to_numpy().argmax())]
        raise ValueError(f"column {name!r}, row {row}: the target is missing; fill it in, or delete the row")
    if kind == "date":
        raise ValueError(f"column {name!r} holds dates, which can't be predicted; use numbers, such as days since one")
    if kind in ("number", "empty"):
        return _of_numbers(column, task)
    if task == "regression":
        raise ValueError(f"column {name!r} holds {PLURALS[kind]}, not numbers; it can only be classified")
    if kind == "flag":
        return "classification", "TRUE or FALSE", column.to_numpy(bool)
    texts = texts_of(column)
    one = {spelling: value for value, times in spellings_of(texts).items() for spelling in times}
    also = [(spelling, value) for spelling, value in one.items() if spelling != value]
    why = f"text ({spellings_told(also)})" if also else "text"
    return "classification", why, np.array([one[text] for text in texts if text is not None])


def _of_numbers(column: pd.Series[Any], task: Task | None) -> tuple[Task, str, npt.NDArray[Any]]:
    """The same for a column of numbers."""
    name, found, different = column.name, column.to_numpy(np.float64), column.nunique()
    if (large := np.abs(found) > LARGEST).any():
        raise ValueError(f"column {name!r}, row {column.index[int(large.argmax())]}: the number is too large")
    whole = bool(np.all((found == np.floor(found)) & (np.abs(found) < 2.0**53)))
    few = different == 2 or (different <= CLASSES and ROWS_PER_CLASS * different <= len(found))
    why = f"{different} different {'whole ' if whole else ''}numbers in {len(found)} rows"
    if task is None:
        task = "classification" if whole and few else "regression"
    if task == "regression":
        return task, why, found
    if not whole:
        row = column.index[int(np.argmax(found != np.floor(found)))]
        raise ValueError(f"column {name!r}, row {row}: {column[row]:g} is no label; labels are whole numbers")
    return task, why, found.astype(np.int64)


def spelled_as(labels: npt.NDArray[Any], classes: Iterable[Any]) -> npt.NDArray[Any]:
    """Labels of text in the spelling of those classes which they are but for capitals and spaces."""
    if labels.dtype.kind not in "UO":
        return labels
    known = [str(each) for each in classes]
    own, folded = set(known), {fold(each): each for each in reversed(known)}
    return np.array([label if label in own else folded.get(fold(label), label) for label in labels.tolist()])


def is_of_table(model: Model) -> bool:
    """Whether the model was trained on a table with a header."""
    return model.preparation is not None and model.preparation.get("format") == "table"


def table_of(model: Model) -> tuple[Preparation, Target]:
    """How a model's table is prepared, and what it tells. Raises ValueError for a model of other data."""
    written = model.preparation
    if written is None or not is_of_table(model):
        raise ValueError("the model was not trained on a table with a header")
    preparation = Preparation.from_json(written)
    try:
        target = Target(**written["target"])
        tasks: tuple[Task, ...] = ("classification", "regression")
        if target.task not in tasks or not np.isfinite([target.mean, target.scale]).all():
            raise ValueError(f"{target}")
        model.output_shape((len(preparation.features),))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the preparation in the model's file is not consistent ({error})") from error
    return preparation, target


def interval_of(facts: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """The half width of the interval around numbers, and the share of new rows that it holds for, where known."""
    kept = (facts or {}).get("interval")
    return None if kept is None else (kept["half_width"], kept["level"])


def interval_names(level: float) -> tuple[str, str]:
    """What the columns of an interval's ends are called."""
    return f"low ({100 * level:g} %)", f"high ({100 * level:g} %)"


def threshold_of(facts: Mapping[str, Any] | None) -> tuple[Any, float] | None:
    """One of two classes, and the output from which on it is the answer; None where the largest output is."""
    kept = (facts or {}).get("threshold")
    return None if kept is None else (kept["label"], kept["from"])

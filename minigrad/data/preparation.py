"""From the columns of a table to what a network learns from: fitted on the training rows, kept with the model.

    preparation = Preparation.fit(frame)            # the training rows only
    x = preparation.transform(another_frame)        # float32 (m, features), by the names of the columns

Numbers (and bools as 0 and 1) are standardised, z = (v - mean) / scale; a missing one takes the median (of bools, the
more frequent), and a second column then says that it was missing. Text becomes one column for each value that stands in
at least two rows (the 50 most frequent), one for all "other" values and one for missing ones, where training has such.
What was never met in training is 0 in all of them. Columns without information are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from minigrad.data.table import number_text, shown
from minigrad.model import Model

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Task = Literal["classification", "regression"]

VALUES = 50  # of a column of text that get a column of their own
CLASSES = 20  # different whole numbers that may still be labels …
ROWS_PER_CLASS = 5  # … if there are that many rows for each of them, or if they are two
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class NumberColumn:
    """z = (v - mean) / scale, with `fill` in place of a missing v; `flagged` adds 1 where it is missing, else 0."""

    name: str
    kind: Literal["number", "flag"]
    mean: float
    scale: float
    fill: float
    flagged: bool

    @property
    def features(self) -> list[str]:
        """The names of the columns of x that it becomes."""
        return [self.name, f"{self.name} missing"] if self.flagged else [self.name]

    def encode(self, column: pd.Series[Any]) -> Floats:
        """(m,) -> (m, 1 or 2)"""
        values = _numbers(column, self.kind)
        missing = np.isnan(values)
        z = (np.where(missing, self.fill, values) - self.mean) / self.scale
        if (large := np.abs(z) > LARGEST).any():
            raise ValueError(f"column {self.name!r}, row {column.index[int(large.argmax())]}: the number is too large")
        return np.column_stack([z, missing]) if self.flagged else z[:, None]

    def describe(self) -> str:
        """What is done, in words."""
        done = f"numbers, standardised (mean {self.mean:.4g}, deviation {self.scale:.4g})"
        if self.kind == "flag":
            done = "TRUE is 1 and FALSE 0, standardised"
        fill = ("TRUE" if self.fill else "FALSE") if self.kind == "flag" else f"the median {self.fill:.4g}"
        return done + (f"; missing: {fill} and a flag" if self.flagged else "")


@dataclass(frozen=True)
class TextColumn:
    """1 in the column of its value, of "other" values or of missing ones, as far as there are such, and 0 elsewhere."""

    name: str
    values: tuple[str, ...]
    other: bool
    missing: bool
    kind: Literal["text"] = "text"

    @property
    def features(self) -> list[str]:
        """The names of the columns of x that it becomes."""
        extra = [word for word, present in (("(other)", self.other), ("(missing)", self.missing)) if present]
        return [f"{self.name} = {value}" for value in (*self.values, *extra)]

    def encode(self, column: pd.Series[Any]) -> Floats:
        """(m,) -> (m, values and extra columns)"""
        places = {value: place for place, value in enumerate(self.values)}
        other = len(self.values) if self.other else -1
        missing = len(self.values) + self.other if self.missing else other
        codes = np.array([missing if v is None else places.get(v, other) for v in _texts(column)], np.intp)
        rows = np.zeros((len(column), len(self.features)))
        known = codes >= 0
        rows[np.flatnonzero(known), codes[known]] = 1
        return rows

    def unseen(self, column: pd.Series[Any]) -> list[str]:
        """The values that have no column of their own."""
        return sorted({v for v in _texts(column) if v is not None} - set(self.values))

    def describe(self) -> str:
        """What is done, in words."""
        extra = [word for word, present in (("other", self.other), ("missing", self.missing)) if present]
        also = f", and for {' and for '.join(extra)}" if extra else ""
        return f"text, one column for each of {len(self.values)} values ({shown(self.values)}){also}"


Column = NumberColumn | TextColumn


@dataclass(frozen=True)
class Preparation:
    """What `fit` has learned: how each column is encoded, in order, and why others are `left_out`."""

    columns: tuple[Column, ...]
    left_out: dict[str, str]

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> Preparation:
        """Learn from these rows, which are those to train on. Raises ValueError if no column can be used."""
        frame = _by_text(frame)
        made: list[Column] = []
        left_out: dict[str, str] = {}
        counters = [name for name in frame.columns if _counts_rows(frame[name])]
        for name in frame.columns:
            column = frame[name]
            kind = _kind(column)
            present = column.notna()
            if column[present].nunique() < 2 and (present.all() or not present.any()):
                left_out[name] = "constant: it tells nothing" if present.any() else "without any value"
            elif kind == "date":
                left_out[name] = "dates; to use them, add columns of numbers such as the month or the age in days"
            elif name in counters and len(frame.columns) > 1:
                left_out[name] = "counts the rows: an identifier"
            elif kind == "text":
                counts = Counter(value for value in _texts(column) if value is not None)
                values = tuple(sorted(value for value, times in counts.most_common(VALUES) if times > 1))
                if not values:
                    left_out[name] = "text of which no two rows have the same: identifiers"
                else:
                    made.append(TextColumn(name, values, len(values) < len(counts), not present.all()))
            else:
                made.append(_number_column(name, kind, column))
        if not made:
            reasons = "; ".join(f"{name!r} is {reason}" for name, reason in left_out.items())
            raise ValueError(f"there is no column to learn from{': ' if reasons else ''}{reasons}")
        return cls(tuple(made), left_out)

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """x (m, features) of a frame with these columns, in any order, and others, which are not looked at.

        Raises ValueError that names a column that is missing, or is of another kind than in training.
        """
        frame = _by_text(frame)
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(
                f"there is no column {missing[0]!r}{more}, which the network was trained on; it needs "
                f"{shown(self.names)}"
            )
        parts = []
        for column in self.columns:
            kind = _kind(frame[column.name])
            if kind not in (column.kind, "empty") and (kind, column.kind) != ("number", "text"):
                row = frame[column.name].first_valid_index()
                raise ValueError(
                    f"column {column.name!r}, row {row!r}: holds {PLURALS[kind]}, where the network was "
                    f"trained on {PLURALS[column.kind]}"
                )
            parts.append(column.encode(frame[column.name]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def cells(self, frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
        """What it makes x of, by column: float64 with NaN for missing numbers, or text with None for missing ones."""
        frame = _by_text(frame)
        return {
            column.name: np.array(_texts(frame[column.name]), object)
            if isinstance(column, TextColumn)
            else _numbers(frame[column.name], column.kind)
            for column in self.columns
        }

    @property
    def features(self) -> list[str]:
        """The names of the columns of x."""
        return [name for column in self.columns for name in column.features]

    @property
    def names(self) -> list[str]:
        """The names of the columns of the table that it needs."""
        return [column.name for column in self.columns]

    def notes(self) -> list[tuple[str, str]]:
        """(column, what is done with it), for each."""
        return [(column.name, column.describe()) for column in self.columns] + [
            (name, f"left out: {reason}") for name, reason in self.left_out.items()
        ]

    def surprises(self, frame: pd.DataFrame) -> list[str]:
        """What is new in these rows, in sentences: values that were never met, missing ones where none had been."""
        frame, found = _by_text(frame), []
        for column in self.columns:
            values = frame[column.name]
            if isinstance(column, TextColumn) and (unseen := column.unseen(values)):
                found.append(f"column {column.name!r}: taken as 'other': {shown(unseen)}")
            known = column.missing if isinstance(column, TextColumn) else column.flagged
            if not known and (count := int(values.isna().sum())):
                found.append(f"column {column.name!r}: {count} missing, of which training had none")
        return found

    def to_json(self) -> dict[str, Any]:
        """{"columns": [{"kind": "number", "name": …, …}, …], "left_out": {name: reason}}"""
        columns = [asdict(column) for column in self.columns]
        for column in columns:
            if "values" in column:
                column["values"] = list(column["values"])
        return {"columns": columns, "left_out": dict(self.left_out)}

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Preparation:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        columns: list[Column] = []
        try:
            for fields in written["columns"]:
                if fields["kind"] == "text":
                    columns.append(TextColumn(**fields | {"values": tuple(fields["values"])}))
                else:
                    columns.append(NumberColumn(**fields))
            made = cls(tuple(columns), dict(written["left_out"]))
            made.transform(_blank(made))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"the preparation is not consistent ({error})") from error
        return made


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
    name, kind = column.name, _kind(column)
    if column.isna().any():
        row = column.index[int(column.isna().to_numpy().argmax())]
        raise ValueError(f"column {name!r}, row {row}: the target is missing; fill it in, or delete the row")
    if kind == "date":
        raise ValueError(f"column {name!r} holds dates, which can't be predicted; use numbers, such as days since one")
    different = column.nunique()
    if kind == "text":
        why, found = "text", np.array(list(column))
    elif kind == "flag":
        why, found = "TRUE or FALSE", column.to_numpy(bool)
    else:
        found = column.to_numpy(np.float64)
        if (large := np.abs(found) > LARGEST).any():
            raise ValueError(f"column {name!r}, row {column.index[int(large.argmax())]}: the number is too large")
        whole = bool(np.all((found == np.floor(found)) & (np.abs(found) < 2.0**53)))
        few = different == 2 or (different <= CLASSES and ROWS_PER_CLASS * different <= len(found))
        why = f"{different} different {'whole ' if whole else ''}numbers in {len(found)} rows"
        if task is None:
            task = "classification" if whole and few else "regression"
        if task == "classification":
            if not whole:
                row = column.index[int(np.argmax(found != np.floor(found)))]
                raise ValueError(f"column {name!r}, row {row}: {column[row]:g} is no label; labels are whole numbers")
            return task, why, found.astype(np.int64)
        return task, why, found
    if task == "regression":
        raise ValueError(f"column {name!r} holds {PLURALS[kind]}, not numbers; it can only be classified")
    return "classification", why, found


PLURALS = {"number": "numbers", "flag": "TRUE and FALSE", "text": "text", "date": "dates", "empty": "nothing"}
INFERRED = {
    "number": ("integer", "floating", "mixed-integer-float", "decimal"),
    "flag": ("boolean",),
    "text": ("string",),
    "date": ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period"),
    "empty": ("empty",),
}


def _kind(column: pd.Series[Any]) -> str:
    """number, flag, text, date or empty (no value at all). Raises ValueError for values of several kinds."""
    from pandas.api.types import infer_dtype

    if not column.notna().any():
        return "empty"
    found = infer_dtype(column, skipna=True)
    if found == "categorical":
        found = infer_dtype(column.astype(object), skipna=True)
    for kind, names in INFERRED.items():
        if found in names:
            return kind
    raise ValueError(f"column {column.name!r} holds values of several kinds ({found}); make them all numbers or text")


def _numbers(column: pd.Series[Any], kind: str) -> Floats:
    """float64 with NaN for missing values. Raises ValueError for numbers that are too large."""
    if kind == "flag":
        column = column.astype(object)
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isnan(numbers) & ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {column.name!r}, row {column.index[row]}: {numbers[row]:g} is too large to compute with; divide "
            f"the values of the column"
        )
    return numbers


def _texts(column: pd.Series[Any]) -> list[str | None]:
    """Texts with None for missing values; numbers as text."""
    return [
        None if missing else number_text(value) if isinstance(value, int | float) else str(value)
        for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True)
    ]


def _number_column(name: str, kind: Any, column: pd.Series[Any]) -> NumberColumn:
    values = _numbers(column, kind)
    missing = np.isnan(values)
    fill = float(np.median(values[~missing]))
    if kind == "flag":
        fill = float(np.round(values[~missing].mean()))
    filled = np.where(missing, fill, values)
    scale = float(filled.std()) if filled.min() < filled.max() else 1.0
    return NumberColumn(name, kind, float(filled.mean()), scale or 1.0, fill, bool(missing.any()))


def _by_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with names that are text, as they are in a file. Raises ValueError for one that stands twice."""
    names = [str(name) for name in frame.columns]
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"there are {times} columns with the name {name!r}; give each a name of its own")
    return frame.set_axis(names, axis=1)


def _counts_rows(column: pd.Series[Any]) -> bool:
    """Whether it holds whole numbers that go on by one from row to row of the file."""
    if column.dtype.kind not in "iuf" or column.index.dtype.kind not in "iu" or len(column) < 3 or column.isna().any():
        return False
    distances = column.to_numpy(np.float64) - column.index.to_numpy(np.float64)
    return bool(np.all(distances == distances[0]))


def _blank(preparation: Preparation) -> pd.DataFrame:
    """One row without any value."""
    import pandas as pd

    return pd.DataFrame({column.name: [None] for column in preparation.columns}, dtype=object)


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

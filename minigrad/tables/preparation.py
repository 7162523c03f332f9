"""From the columns of a table to what a network learns from: fitted on the training rows, kept with the model.

    preparation = Preparation.fit(frame)            # the training rows only
    x = preparation.transform(another_frame)        # float32 (m, features), by the names of the columns

`columns.py` says what becomes of numbers, text and dates. What was never met in training is 0 in all columns of a text.
Columns without information are left out, and so are those that identify a row: whole numbers that count the rows, and
text of more than ten values that are more than half as many as its rows, unless they are to be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.data.messages import did_you_mean, shown
from minigrad.tables.columns import (
    Column,
    DateColumn,
    NumberColumn,
    TextColumn,
    fold,
    moments_of,
    number_column,
    numbers_of,
    text_column,
    texts_of,
)

if TYPE_CHECKING:
    import pandas as pd

FREE_VALUES, FREE_SHARE = 10, 0.5  # text of more values than that, and more than that share of its rows, is free text


@dataclass(frozen=True)
class Preparation:
    """What `fit` has learned: how each column is encoded, in order, and why others are `left_out`."""

    columns: tuple[Column, ...]
    left_out: dict[str, str]

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, *, keep: Collection[str] = (), leave_out: Mapping[str, str] | None = None
    ) -> Preparation:
        """Learn from these rows, which are those to train on. Raises ValueError if no column can be used.

        The columns `keep` are used though they look like identifiers; those of `leave_out` are not, for its reasons.
        """
        frame = _by_text(frame)
        made: list[Column] = []
        left_out: dict[str, str] = {}
        counters = [name for name in frame.columns if _counts_rows(frame[name])]
        for name in frame.columns:
            column = frame[name]
            kind = kind_of(column)
            present = column.notna()
            found: Column | str | None
            if leave_out and name in leave_out:
                found = leave_out[name]
            elif column[present].nunique() < 2 and (present.all() or not present.any()):
                found = "constant: it tells nothing" if present.any() else "without any value"
            elif kind == "date":
                found = DateColumn.fit(name, column) or "constant: it tells nothing"
            elif name in counters and len(frame.columns) > 1 and name not in keep:
                found = "counts the rows: an identifier"
            elif kind == "text":
                found = _text(name, column, name in keep)
            else:
                found = number_column(name, kind, column)
            if isinstance(found, str):
                left_out[name] = found
            else:
                made.append(found)
        if not made:
            reasons = "; ".join(f"{name!r} is {reason}" for name, reason in left_out.items())
            raise ValueError(f"there is no column to learn from{': ' if reasons else ''}{reasons}")
        return cls(tuple(made), left_out)

    def without(self, missing: Sequence[str], there: Iterable[str]) -> str:
        """What is wrong with a table that has not these columns, but those that are `there`."""
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return (
            f"there is no column {missing[0]!r}{more}, which the network was trained on"
            f"{did_you_mean(missing[0], there)}; it needs {shown(self.names)}"
        )

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """x (m, features) of a frame with these columns, in any order, and others, which are not looked at.

        Raises ValueError that names a column that is missing, or is of another kind than in training.
        """
        frame = _by_text(frame)
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise ValueError(self.without(missing, frame.columns))
        parts = []
        for column in self.columns:
            kind = kind_of(frame[column.name])
            if kind not in (column.kind, "empty") and (kind, column.kind) != ("number", "text"):
                row = frame[column.name].first_valid_index()
                raise ValueError(
                    f"column {column.name!r}, row {row!r}: holds {PLURALS[kind]}, where the network was "
                    f"trained on {PLURALS[column.kind]}"
                )
            parts.append(column.encode(frame[column.name]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def cells(self, frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
        """What it makes x of, by column: float64 with NaN for what is missing, text with None, moments with NaT.

        Raises ValueError for two columns of one name.
        """
        frame = _by_text(frame)
        found: dict[str, npt.NDArray[Any]] = {}
        for column in self.columns:
            if isinstance(column, TextColumn):
                found[column.name] = np.array(column.spelled(frame[column.name]), object)
            elif isinstance(column, DateColumn):
                found[column.name] = moments_of(frame[column.name])
            else:
                found[column.name] = numbers_of(frame[column.name], column.kind)
        return found

    @property
    def features(self) -> list[str]:
        """The names of the columns of x."""
        return [name for column in self.columns for name in column.features]

    @property
    def undated(self) -> tuple[NumberColumn | TextColumn, ...]:
        """The columns, for writers of files that can't prepare dates. Raises ValueError where there are some."""
        for column in self.columns:
            if isinstance(column, DateColumn):
                raise ValueError(
                    f"column {column.name!r} holds dates, which ONNX can't prepare: export a page or a workbook, train "
                    f"without it (--drop {column.name!r}), or on numbers made of it, such as a year"
                )
        return tuple(column for column in self.columns if not isinstance(column, DateColumn))

    @property
    def places(self) -> dict[str, slice]:
        """Where in x each column of the table stands."""
        found, start = {}, 0
        for column in self.columns:
            found[column.name] = slice(start, start + len(column.features))
            start += len(column.features)
        return found

    @property
    def groups(self) -> dict[str, list[int]]:
        """The places in x of what each column of the table became."""
        return {name: list(range(place.start, place.stop)) for name, place in self.places.items()}

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
        """What is new in these rows, in sentences: values that were never met, numbers far outside, new gaps.

        Raises ValueError for two columns of one name.
        """
        frame = _by_text(frame)
        told = [(column.name, text) for column in self.columns for text in column.surprises(frame[column.name])]
        return [f"column {name!r}: {text}" for name, text in told]

    def to_json(self) -> dict[str, Any]:
        """{"columns": [{"kind": "number", "name": …, …}, …], "left_out": {name: reason}}"""
        columns = [{name: _listed(value) for name, value in asdict(column).items()} for column in self.columns]
        return {"columns": columns, "left_out": dict(self.left_out)}

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Preparation:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        kinds: dict[str, Any] = {"text": TextColumn, "date": DateColumn, "number": NumberColumn, "flag": NumberColumn}
        try:
            columns = [
                kinds[fields["kind"]](**{name: _tupled(value) for name, value in fields.items()})
                for fields in written["columns"]
            ]
            made = cls(tuple(columns), dict(written["left_out"]))
            made.transform(_blank(made))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"the preparation is not consistent ({error})") from error
        return made


def _text(name: str, column: pd.Series[Any], keep: bool) -> TextColumn | str:
    """The column of text, or why it is left out."""
    found = text_column(name, column)
    if found is None:
        return "text of which no two rows have the same: identifiers"
    values, rows = len({fold(text) for text in texts_of(column) if text is not None}), int(column.notna().sum())
    if values > FREE_VALUES and values > FREE_SHARE * rows and not keep:
        return (
            f"free text or names: {values:,} different values in {rows:,} rows, which are more than half as many "
            f"(--keep {name!r} uses it)"
        )
    return found


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


PLURALS = {"number": "numbers", "flag": "TRUE and FALSE", "text": "text", "date": "dates", "empty": "nothing"}
INFERRED: dict[str, tuple[str, ...]] = {
    "number": ("integer", "floating", "mixed-integer-float", "decimal"),
    "flag": ("boolean",),
    "text": ("string",),
    "date": ("datetime64", "datetime", "date", "time", "timedelta64", "timedelta", "period"),
    "empty": ("empty",),
}


def kind_of(column: pd.Series[Any]) -> str:
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

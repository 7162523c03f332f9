"""Tables: how the cells of each column are read, decided for whole columns, and kept to read other files alike.

    frame, target = read_table("flowers.xlsx", target="species")

A column is of one kind: numbers, text, TRUE and FALSE, or dates; a cell may be missing. The index of the frame is the
row in the file as a spreadsheet program counts it, so that every later message can name it.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minigrad.tables.reading.cells import Cells, read_cells
from minigrad.tables.reading.column import ColumnReading
from minigrad.tables.reading.inference import Asked, certain_decimal, decided, thousands_after_all
from minigrad.tables.reading.numbers import Ambiguous, NumberFormat, is_marker
from minigrad.tables.reading.text_files import TableError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reading:
    """How each column of a table is read, by name: decided once by `decide`, then the same for other files."""

    columns: dict[str, ColumnReading] = field(default_factory=dict)

    @classmethod
    def decide(cls, cells: Cells, asked: Asked | None = None, only: Collection[str] | None = None) -> Reading:
        """Decide by all cells of each column. Raises TableError that names the cell or says what to choose."""
        asked = asked or Asked()
        asked.check(cells)
        made: dict[str, ColumnReading] = {}
        open_questions: dict[str, Ambiguous] = {}
        for place, name in enumerate(cells.names):
            if not name or (only is not None and name not in only):
                continue
            found = decided(cells, place, name, asked)
            if isinstance(found, Ambiguous):
                open_questions[name] = found
            else:
                made[name] = found
        decimals = {mark for name, reading in made.items() if (mark := certain_decimal(cells, name, reading))}
        for name, question in open_questions.items():
            fitting = [format for format in question.formats if format.decimal in decimals]
            if len(decimals) != 1 or not fitting:
                few, many = sorted((format.parse(question.example) or 0.0 for format in question.formats), key=abs)
                raise TableError(
                    f"{cells.where}: column {name!r} holds {question.example!r} and the like, which may be "
                    f"{few:g} or {many:g}; say what the decimal mark is: --decimal . or --decimal ,"
                )
            made[name] = ColumnReading("number", fitting[0], lenient=name in asked.numbers)
        if decimals == {","}:
            made |= thousands_after_all(cells, made)
        return cls({name: made[name] for name in cells.names if name in made})

    def adapted(self, cells: Cells, only: Collection[str]) -> tuple[Reading, list[str]]:
        """The reading for another file, which may write the numbers of a column in another way; and a word on each.

        So it is where their decimal mark is certain, by themselves or by those of other columns, and their unit is the
        same, or none. (A workbook that was trained on has numbers, and a text file to predict writes them.)
        """
        words: dict[str, set[str]] = {}
        for name, column in zip(cells.names, cells.columns, strict=True):
            reading = self.columns.get(name)
            if name in only and reading is not None and reading.kind == "number" and isinstance(column, list):
                words[name] = {cell for cell in column if isinstance(cell, str) and not is_marker(cell)}
        made: dict[str, NumberFormat] = {}
        for name, texts in words.items():
            kept = self.columns[name].number
            if any(kept.parse(text) is None for text in texts) and (own := kept.written_otherwise(texts)) is not None:
                made[name] = own
        decimals = {own.decimal for own in made.values()}
        if len(decimals) == 1:
            (decimal,) = decimals
            for name, texts in words.items():
                kept, marked = self.columns[name].number, any("." in text or "," in text for text in texts)
                other = marked and name not in made and kept.decimal != decimal
                if other and (own := kept.written_otherwise(texts, decimal)) is not None:
                    made[name] = own
        told = [f"column {name!r}: numbers {own.describe()}, other than in training" for name, own in made.items()]
        changed = {name: replace(self.columns[name], number=own) for name, own in made.items()}
        return Reading(self.columns | changed), told

    def frame(
        self, cells: Cells, target: str | None = None, only: Collection[str] | None = None, *, hints: bool = False
    ) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        """(columns, target) of a table's cells, without its empty rows; with `only`, other columns are not looked at.

        With `hints`, what is said of a wrong cell names the options of the command that help.
        """
        import pandas as pd

        if target is not None:
            cells.position(target, "to predict")
        found: dict[str, Any] = {}
        for place, name in enumerate(cells.names):
            if not name or not (only is None or name == target or name in only):
                continue
            reading = self.columns.get(name) or _settled(cells, place, name)
            found[name] = _read(reading, cells, place, name, hints)
        columns = {name: pd.Series(values, cells.index, values.dtype) for name, values in found.items()}
        frame = pd.DataFrame(columns, index=cells.index)
        if cells.blank:
            frame = frame.drop(index=cells.index[[*cells.blank]])
        return (frame, None) if target is None else (frame.drop(columns=target), frame[target])

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A frame of which the columns of text that hold numbers, dates or flags are read as those of a file are."""
        import pandas as pd

        changed = {}
        for name in frame.columns:
            reading, column = self.columns.get(str(name)), frame[name]
            if reading is None or reading.kind == "text" or column.dtype.kind in "biufMm":
                continue
            cells = [None if gap else cell for cell, gap in zip(column.tolist(), column.isna().tolist(), strict=True)]
            if not any(isinstance(cell, str) for cell in cells):
                continue
            cells = [
                cell.strip() or None if isinstance(cell, str) else float(cell) if type(cell) is int else cell
                for cell in cells
            ]

            def refuse(row: int, cell: Any, wanted: str, name: Any = name, column: Any = column) -> NoReturn:
                raise ValueError(
                    f"column {str(name)!r}, row {column.index[row]!r}: holds {_found(cell)}, where {wanted} belongs"
                )

            changed[name] = pd.Series(reading.read(cells, refuse), index=frame.index)
        return frame.assign(**{str(name): values for name, values in changed.items()}) if changed else frame

    def values(self, cells: Cells, name: str) -> list[Any]:
        """The cells of a column as Python has them: read where that can be, else as they are written."""
        place = cells.names.index(name)
        try:
            found = _read(self.columns.get(name) or _settled(cells, place, name), cells, place, name)
        except TableError:
            found = cells.columns[place]
        if isinstance(found, np.ndarray) and found.dtype.kind == "M":
            return [None if np.isnat(moment) else moment.item() for moment in found]
        return found.tolist() if isinstance(found, np.ndarray) else list(found)

    def decimal_in(self, cells: Cells) -> str:
        """The decimal mark that a text file uses in the columns that are read here."""
        texts = (name for name in self.columns if name in cells.names)
        written = (name for name in texts if isinstance(cells.columns[cells.names.index(name)], list))
        commas = any(
            self.columns[name].kind == "number" and self.columns[name].number.decimal == "," for name in written
        )
        return "," if commas else "."

    def notes(self) -> list[tuple[str, str]]:
        """(column, what is worth telling of how it is read)."""
        return [(name, text) for name, reading in self.columns.items() if (text := reading.describe())]

    def to_json(self) -> dict[str, Any]:
        """{name: how it is read}"""
        return {name: reading.to_json() for name, reading in self.columns.items()}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Reading:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        try:
            return cls({str(name): ColumnReading.from_json(each) for name, each in written.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"how columns are read is not consistent ({error})") from error


def read_table(
    path: str | os.PathLike[str], target: str | None = None, sheet: str | None = None
) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Read `(columns, target)` from a sheet of an .xlsx or .ods, or from a CSV, TSV, Parquet or Feather file.

    A row holds the names of the columns, the first that is no title; a first column without a name that counts the
    rows, as pandas writes it, is left out. Text files are UTF-8 or UTF-16, or of an encoding that is found; the
    delimiter is one of `, ; tab |`. Numbers may be written as `1.234,5`, `€ 12.30`, `45 %`, `12 kg`, `(120)` or
    `120-`, one way in a column. Empty cells and the words NA, N/A, NaN, null and ? are missing values, and in columns
    of numbers and dates -, ., none, unknown and the like. In a column of text the numbers are text too, as long as they
    are not more than half of it. Without `target` the second item is None.

    Raises TableError, a ValueError, for what is no such table, and FileNotFoundError for a file that is not there.
    """
    cells = read_cells(path, sheet, wanted=[] if target is None else [target])
    return Reading.decide(cells).frame(cells, target)


# --------------------------------------------------------------------------------------------------------- reading
def _read(reading: ColumnReading, cells: Cells, place: int, name: str, hints: bool = False) -> Any:
    def refuse(row: int, cell: Any, wanted: str) -> NoReturn:
        hint = ""
        if hints and reading.kind == "number":
            hint = f"; --as-number {name!r} has all such cells missing, --as-category {name!r} makes categories of them"
        raise TableError(
            f"{cells.path}: {cells.place(row, name)} holds {_found(cell)}, where {wanted} belongs; correct it, or "
            f"clear the cell if its value is missing{hint}"
        )

    column: Any = cells.columns[place]
    if isinstance(column, np.ndarray) and (reading.kind == "text" or not reading.number.plain):
        # What looks like plain numbers may be 007, or 1.234 where that is a thousand and some.
        texts = cells.texts(name)
        unread = reading.kind == "number" and any(
            isinstance(text, str) and not is_marker(text) and reading.number.parse(text) is None for text in texts
        )
        column = column if unread else texts
    return reading.read(column, refuse)


def _settled(cells: Cells, place: int, name: str) -> ColumnReading:
    """How a column is read that nothing was decided about."""
    found = decided(cells, place, name, Asked())
    return ColumnReading("number", found.formats[0]) if isinstance(found, Ambiguous) else found


def _found(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:g}"
    return f"the text {reprlib.repr(cell)}" if isinstance(cell, str) else f"the date or time {cell}"

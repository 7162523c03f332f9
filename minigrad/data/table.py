"""Tables: how the cells of each column are read, decided for whole columns, and kept to read other files alike.

    frame, target = read_table("flowers.xlsx", target="species")

A column is of one kind: numbers, text, TRUE and FALSE, or dates; a cell may be missing. The index of the frame is the
row in the file as a spreadsheet program counts it, so that every later message can name it.
"""

from __future__ import annotations

import datetime
import os
import reprlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minigrad.data import written_dates, written_numbers
from minigrad.data.cells import Cells, read_cells
from minigrad.data.column_reading import FLAGS, ColumnReading
from minigrad.data.text_file import TableError
from minigrad.data.written_dates import DateForm
from minigrad.data.written_numbers import Ambiguous, NumberFormat, is_marker, parts_of

if TYPE_CHECKING:
    import pandas as pd

MOST = 0.5  # of the cells are numbers, and the others are mistakes rather than the column text


@dataclass(frozen=True)
class Asked:
    """What the user says of columns: which are `numbers` or `categories`, and what is meant where that is open."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    decimal: str | None = None
    date_order: str | None = None

    def check(self, cells: Cells) -> None:
        """Raise TableError for a column that the table does not have."""
        for option, names in (("--as-number", self.numbers), ("--as-category", self.categories)):
            for name in names:
                cells.position(name, f"for {option}")
                if name in self.numbers and name in self.categories:
                    raise TableError(f"column {name!r} can't be --as-number and --as-category at once")


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
            found = _decided(cells, place, name, asked)
            if isinstance(found, Ambiguous):
                open_questions[name] = found
            else:
                made[name] = found
        decimals = {mark for name, reading in made.items() if (mark := _certain_decimal(cells, name, reading))}
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
            made |= _thousands_after_all(cells, made, asked)
        return cls({name: made[name] for name in cells.names if name in made})

    def frame(
        self, cells: Cells, target: str | None = None, only: Collection[str] | None = None, *, hints: bool = False
    ) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        """(columns, target) of a table's cells; with `only`, other columns are not looked at.

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


# -------------------------------------------------------------------------------------------------------- deciding
def _decided(cells: Cells, place: int, name: str, asked: Asked) -> ColumnReading | Ambiguous:
    column: Any = cells.columns[place]
    if name in asked.categories:
        return ColumnReading("text", asked=True)
    if isinstance(column, np.ndarray):
        return ColumnReading("number", asked=name in asked.numbers)
    counts = Counter(map(type, column))
    texts = Counter(cell for cell in column if type(cell) is str)
    words = [text for text in texts if not is_marker(text)]
    markers = tuple(sorted(text for text in texts if is_marker(text)))
    if name in asked.numbers:
        return _as_number(words, texts, markers, asked)
    kinds = {kind for kind in counts if kind not in (str, type(None))}
    dated = bool(kinds) and all(issubclass(kind, _MOMENTS) for kind in kinds)
    if not kinds and not words:
        return ColumnReading("text" if texts else "number")
    if kinds <= {bool} and all(word.casefold() in FLAGS for word in words):
        return ColumnReading("flag", markers=markers)
    if kinds <= {float}:
        format = written_numbers.decide(words, asked.decimal) if words else NumberFormat()
        if isinstance(format, NumberFormat):
            return ColumnReading("number", format, markers=markers)
        if format is not None:
            return format
    if dated or not kinds:
        form = written_dates.decide(words, asked.date_order) if words else (DateForm("ymd"), False)
        if form is not None:
            return ColumnReading("date", date=form[0], guessed=form[1], markers=markers)
    return _of_several(cells, name, column, texts, counts)


_MOMENTS = (datetime.date, datetime.time, datetime.timedelta)


def _as_number(
    words: list[str], texts: Counter[str], markers: tuple[str, ...], asked: Asked
) -> ColumnReading | Ambiguous:
    """As --as-number has it: the format of most of the texts, with the others missing."""
    units = Counter(parts.unit for word in words if (parts := parts_of(word)) is not None)
    most = max(units, key=lambda unit: units[unit], default=("", ""))
    numbers = [word for word in words if (parts := parts_of(word)) is not None and parts.unit in (most, ("", ""))]
    format = written_numbers.decide(numbers, asked.decimal) if numbers else NumberFormat()
    if isinstance(format, Ambiguous):
        return format
    format = format or NumberFormat(before=most[0], after=most[1])
    missing = tuple(sorted({*markers, *(word for word in words if format.parse(word) is None)}))
    return ColumnReading("number", format, lenient=True, asked=True, markers=missing)


def _of_several(
    cells: Cells, name: str, column: list[Any], texts: Counter[str], counts: Counter[type]
) -> ColumnReading:
    """The kind of a column whose cells do not agree: text, or what most of them are, with an error for the others."""
    places = {kind: counts[kind] for kind in counts if kind is not type(None)}
    total = sum(places.values())
    parsed = {text: parts_of(text) for text in texts}
    by_unit: Counter[tuple[str, str]] = Counter()
    for text, parts in parsed.items():
        if parts is not None:
            by_unit[parts.unit] += texts[text]
    if sum(written_numbers.units_of(texts).values()) and len(written_numbers.units_of(texts)) > 1:
        named = written_numbers.units_of(texts.elements())
        if sum(named.values()) + counts[float] > 0.9 * total:
            told = ", ".join(f"{unit!r} ({times})" for unit, times in named.most_common(5))
            raise TableError(
                f"{cells.where}: column {name!r} holds numbers in several units: {told}; write them in one unit, or "
                f"take them as categories with --as-category {name!r}"
            )
    unit = max(by_unit, key=lambda unit: by_unit[unit], default=("", ""))
    numbers = counts[float] + by_unit[unit] + sum(times for text, times in texts.items() if is_marker(text))
    plain = unit == ("", "") or written_numbers.KNOWN_UNIT.fullmatch("".join(unit)) is not None
    moments = sum(times for kind, times in places.items() if issubclass(kind, _MOMENTS))
    if moments > MOST * total:
        return ColumnReading("date")
    if counts[bool] > MOST * total:
        return ColumnReading("flag")
    if numbers > MOST * total and plain:
        kept = [text for text, parts in parsed.items() if parts is not None and parts.unit in (unit, ("", ""))]
        format = written_numbers.decide(kept) if kept else NumberFormat()
        return ColumnReading("number", format if isinstance(format, NumberFormat) else NumberFormat(".", "", *unit))
    return ColumnReading("text")


def _certain_decimal(cells: Cells, name: str, reading: ColumnReading) -> str | None:
    """The decimal mark that a column shows for certain: what stands before three digits may be another mark."""
    column: Any = cells.columns[cells.names.index(name)]
    if reading.kind != "number" or reading.asked:
        return None
    if isinstance(column, np.ndarray):
        parts = column[np.isfinite(column) & (column != np.floor(column))]
        few, many = np.round(parts, 2) == parts, np.round(parts, 3) != parts
        return "." if bool(few.any() or many.any()) else None
    words = {cell for cell in column if isinstance(cell, str) and not is_marker(cell)}
    other = "." if reading.number.decimal == "," else ","
    marked = any("." in word or "," in word for word in words)
    return reading.number.decimal if marked and written_numbers.decide(words, other) is None else None


def _thousands_after_all(cells: Cells, made: Mapping[str, ColumnReading], asked: Asked) -> dict[str, ColumnReading]:
    """Columns such as `1.234` in a file with decimal commas: they were taken for plain numbers."""
    found = {}
    for name, reading in made.items():
        column: Any = cells.columns[cells.names.index(name)]
        plain = isinstance(column, np.ndarray) and reading.kind == "number"
        if plain and cells.dialect is not None and bool(np.any(column != np.floor(column))):
            words = {text for text in cells.texts(name) if text is not None}
            format = written_numbers.decide(words, ",")
            if isinstance(format, NumberFormat) and format.thousands:
                found[name] = ColumnReading("number", format, asked=reading.asked)
    return found


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
    found = _decided(cells, place, name, Asked())
    return ColumnReading("number", found.formats[0]) if isinstance(found, Ambiguous) else found


def _found(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return f"{cell:g}"
    return f"the text {reprlib.repr(cell)}" if isinstance(cell, str) else f"the date or time {cell}"

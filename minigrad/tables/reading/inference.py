"""How each column of a table is to be read, decided by all of its cells: numbers, flags, dates or text.

A column whose cells do not agree is text, or an error that says what stands there and what to do.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.tables.reading import dates as written_dates, numbers as written_numbers
from minigrad.tables.reading.cells import Cells
from minigrad.tables.reading.column import FLAGS, ColumnReading
from minigrad.tables.reading.dates import DateForm
from minigrad.tables.reading.numbers import Ambiguous, NumberFormat, is_marker, parts_of
from minigrad.tables.reading.text_files import TableError, are_codes

MOST = 0.5  # of the cells are numbers, and the others are mistakes rather than the column text
NEARLY_ALL = 0.9  # of the cells are of one sort, if in several forms


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


def decided(cells: Cells, place: int, name: str, asked: Asked) -> ColumnReading | Ambiguous:
    """How a column is read, or the numbers in it that can be read in two ways. Raises TableError for several units."""
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
        return _as_number(words, markers, asked)
    kinds = {kind for kind in counts if kind not in (str, type(None))}
    dated = bool(kinds) and all(issubclass(kind, _MOMENTS) for kind in kinds)
    if not kinds and not words:
        return ColumnReading("text" if texts else "number")
    if kinds <= {bool} and all(word.casefold() in FLAGS for word in words):
        return ColumnReading("flag", markers=markers)
    if not kinds and are_codes(words):
        return ColumnReading("text", codes=True)
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
    return _of_several(cells, name, texts, counts)


_MOMENTS = (datetime.date, datetime.time, datetime.timedelta)


def _as_number(words: list[str], markers: tuple[str, ...], asked: Asked) -> ColumnReading | Ambiguous:
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


def _of_several(cells: Cells, name: str, texts: Counter[str], counts: Counter[type]) -> ColumnReading:
    """The kind of a column whose cells do not agree: text, or what most of them are, with an error for the others."""
    places = {kind: counts[kind] for kind in counts if kind is not type(None)}
    total = sum(places.values())
    parsed = {text: parts_of(text) for text in texts}
    by_unit: Counter[tuple[str, str]] = Counter()
    for text, parts in parsed.items():
        if parts is not None:
            by_unit[parts.unit] += texts[text]
    _refuse_units(cells, name, texts, counts[float], total)
    unit = max(by_unit, key=lambda unit: by_unit[unit], default=("", ""))
    numbers = counts[float] + by_unit[unit] + sum(times for text, times in texts.items() if is_marker(text))
    plain = unit == ("", "") or written_numbers.is_unit("".join(unit))
    moments = sum(times for kind, times in places.items() if issubclass(kind, _MOMENTS))
    if moments > MOST * total:
        return ColumnReading("date")
    if counts[bool] > MOST * total:
        return ColumnReading("flag")
    form = _most_dates(cells, name, texts, moments, total)
    if form is not None:
        return ColumnReading("date", date=form)
    if numbers > MOST * total and plain:
        kept = [text for text, parts in parsed.items() if parts is not None and parts.unit in (unit, ("", ""))]
        format = written_numbers.decide(kept) if kept else NumberFormat()
        return ColumnReading("number", format if isinstance(format, NumberFormat) else NumberFormat(".", "", *unit))
    return ColumnReading("text")


def _refuse_units(cells: Cells, name: str, texts: Counter[str], plain: int, total: int) -> None:
    """Raise TableError where nearly all cells are numbers, in several units; `plain` are those without text."""
    units = written_numbers.units_of(texts)
    if not sum(units.values()) or len(units) == 1:
        return
    named = written_numbers.units_of(texts.elements())
    if sum(named.values()) + plain > NEARLY_ALL * total:
        told = ", ".join(f"{unit!r} ({times})" for unit, times in named.most_common(5))
        raise TableError(
            f"{cells.where}: column {name!r} holds numbers in several units: {told}; write them in one unit, or "
            f"take them as categories with --as-category {name!r}"
        )


def _most_dates(cells: Cells, name: str, texts: Counter[str], moments: int, total: int) -> DateForm | None:
    """The form of dates that most cells are in. Raises TableError where nearly all are dates, in several forms."""
    forms = [DateForm(order) for order in written_dates.ORDERS]
    parsed = {form: {text for text in texts if form.parse(text) is not None} for form in forms}
    often = {form: sum(texts[text] for text in parsed[form]) + moments for form in forms}
    best = max(forms, key=lambda form: often[form])
    known = set().union(*parsed.values())
    if often[best] <= NEARLY_ALL * total < sum(texts[text] for text in known) + moments:
        one = next(text for text in texts if text in parsed[best])
        other = next(text for text in texts if text in known - parsed[best])
        raise TableError(
            f"{cells.where}: column {name!r} holds dates in several forms, such as {one!r} and {other!r}; write them "
            f"in one, leave the column out with --drop {name!r}, or take them as categories with --as-category {name!r}"
        )
    return best if often[best] > MOST * total else None


def certain_decimal(cells: Cells, name: str, reading: ColumnReading) -> str | None:
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


def thousands_after_all(cells: Cells, made: Mapping[str, ColumnReading]) -> dict[str, ColumnReading]:
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

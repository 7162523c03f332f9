"""How the cells of one column are read: its kind, how numbers and dates are written in it, what stands for no value."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from minigrad.data.messages import number_text, shown
from minigrad.tables.reading.dates import DateForm, as_datetime
from minigrad.tables.reading.numbers import NumberFormat, is_marker

Kind = Literal["number", "flag", "text", "date"]
Refuse = Callable[[int, Any, str], NoReturn]

FLAGS = {"true": True, "false": False}
KINDS: dict[type, str] = {float: "a number", bool: "TRUE or FALSE", str: "text", datetime.datetime: "a date"}
NAMES: dict[str, Any] = {"number": float, "flag": bool, "text": str, "date": datetime.datetime}
PLAIN, ISO = NumberFormat(), DateForm("ymd")


@dataclass(frozen=True)
class ColumnReading:
    """How the cells of one column are read.

    `number` and `date` are how those that are text are written. `lenient`: what is no number is missing, as
    --as-number says. `codes`: digits that are no numbers, such as 01067. `markers` are the texts that were found to
    stand for no value.
    """

    kind: Kind
    number: NumberFormat = PLAIN
    date: DateForm = ISO
    lenient: bool = False
    asked: bool = False
    guessed: bool = False
    codes: bool = False
    markers: tuple[str, ...] = ()

    def read(self, cells: Any, refuse: Refuse) -> Any:
        """The cells as values of this kind, in an array: float64, datetime64, bool, or objects with None."""
        if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
            if self.kind != "number":
                return self._other(cells.tolist(), refuse)
            if not np.isfinite(cells).all() and np.isinf(cells).any():
                row = int(np.isinf(cells).argmax())
                refuse(row, float(cells[row]), "a finite number")
            return cells
        return self._numbers(cells, refuse) if self.kind == "number" else self._other(cells, refuse)

    def _numbers(self, cells: Sequence[Any], refuse: Refuse) -> Any:
        known: dict[str, float | None] = {}
        found = np.empty(len(cells))
        for row, cell in enumerate(cells):
            value: float | None
            if isinstance(cell, str):
                if cell not in known:
                    known[cell] = math.nan if is_marker(cell) else self.number.parse(cell)
                    if known[cell] is None and self.lenient:
                        known[cell] = math.nan
                value = known[cell]
            else:
                value = math.nan if cell is None else cell if type(cell) is float else None
            if value is None:
                if self.lenient:
                    value = math.nan
                else:
                    wanted = "a number" if self.number.plain else f"a number {self.number.describe()}"
                    refuse(row, cell, wanted)
            elif math.isinf(value):
                refuse(row, value, "a finite number")
            found[row] = value
        return found

    def _other(self, cells: Sequence[Any], refuse: Refuse) -> Any:
        if self.kind == "date":
            return self._dates(cells, refuse)
        found = np.empty(len(cells), object)
        for row, cell in enumerate(cells):
            if cell is None or (isinstance(cell, float) and math.isnan(cell)):
                found[row] = None
            elif self.kind == "text":
                if not (isinstance(cell, str | float) or self.asked):
                    refuse(row, cell, "text")
                found[row] = cell if isinstance(cell, str) else _as_text(cell)
            else:
                flag = cell if isinstance(cell, bool) else FLAGS.get(cell.casefold()) if isinstance(cell, str) else None
                if flag is None and not (isinstance(cell, str) and is_marker(cell)):
                    refuse(row, cell, KINDS[bool])
                found[row] = flag
        return found.astype(bool) if self.kind == "flag" and None not in found.tolist() else found

    def _dates(self, cells: Sequence[Any], refuse: Refuse) -> Any:
        known: dict[Any, Any] = {None: np.datetime64("NaT", "us")}
        found = np.empty(len(cells), "datetime64[us]")
        for row, cell in enumerate(cells):
            if cell not in known and not (isinstance(cell, float) and math.isnan(cell)):
                moment: Any = None
                if isinstance(cell, str):
                    moment = np.datetime64("NaT", "us") if is_marker(cell) else self.date.parse(cell)
                elif isinstance(cell, datetime.date | datetime.time | datetime.timedelta):
                    moment = as_datetime(cell)
                if moment is None:
                    refuse(row, cell, f"a date ({self.date.describe()})")
                known[cell] = np.datetime64(moment)
            found[row] = known.get(cell, known[None])
        return found

    def describe(self) -> str:
        """What is worth telling of it; nothing where cells are read as any program does."""
        said = []
        if self.kind == "number" and not self.number.plain:
            said.append(f"numbers {self.number.describe()}")
        if self.kind == "date":
            guess = " (a guess, since days and months can't be told apart here; --date-order overrides it)"
            said.append(f"dates, read as {self.date.describe()}{guess if self.guessed else ''}")
        if self.codes:
            said.append("digits with a 0 before them, or too many for a number: codes (--as-number overrides this)")
        if self.asked:
            said.append(f"taken as {'numbers' if self.kind == 'number' else 'categories'}, as you asked for")
        if self.markers:
            said.append(f"missing where it holds {shown(self.markers)}")
        return "; ".join(said)

    def to_json(self) -> dict[str, Any]:
        """{"kind": …, and what differs from the customary}"""
        written: dict[str, Any] = {"kind": self.kind}
        if self.kind == "number":
            written["number"] = self.number.to_json()
        if self.kind == "date":
            written["date"] = self.date.to_json()
        return written | {"lenient": self.lenient, "asked": self.asked, "markers": list(self.markers)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> ColumnReading:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        if written["kind"] not in NAMES:
            raise ValueError(f"there is no kind {written['kind']!r} of columns")
        return cls(
            written["kind"],
            NumberFormat.from_json(written.get("number", {})),
            DateForm.from_json(written.get("date", {"order": "ymd"})),
            bool(written.get("lenient", False)),
            bool(written.get("asked", False)),
            markers=tuple(map(str, written.get("markers", ()))),
        )


def _as_text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return number_text(cell)
    return str(cell)

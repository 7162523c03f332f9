"""The sheet Preparation: what each column of the table becomes, and the formulas that make it so."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.pages.book import HEAD, NOTE, TITLE, Book
from minigrad.pages.step import OpenedError
from minigrad.programs.backends.spreadsheet import address, area
from minigrad.tables.columns import CYCLES, Column, DateColumn, NumberColumn, TextColumn, fold
from minigrad.tables.preparation import Preparation
from minigrad.tables.reading.numbers import MARKERS, NumberFormat
from minigrad.tables.reading.text_files import MISSING
from minigrad.tables.target import Target

HERE = 987_654
"""Stands in a formula for the row that it is written into."""
EPOCH, SERIAL_OF_1970, FIRST_DAY = datetime.datetime(1970, 1, 1), 25569, -25508
"""How sheets count days; of 1900 they believe that it had a 29th of February."""


class PreparationSheet:
    """Writes the sheet. Formulas refer to its cells, by the names of columns: `texts` are those of a text's values.

    `units` are the mean and the scale of a target of numbers and, where known, the half `width` of the interval around
    a prediction.
    """

    def __init__(
        self,
        book: Book,
        preparation: Preparation,
        target: Target | None,
        width: float | None,
        formats: Mapping[str, NumberFormat],
    ) -> None:
        self.columns: tuple[Column, ...] = preparation.columns
        self.formats = formats
        self._book = book
        self._sheet = sheet = book.sheet("Preparation", "#5B9F6D")
        sheet.set_column(0, 30, 16)
        book.put(sheet, 0, 0, "Preparation: what each column becomes", **TITLE)
        book.put(
            sheet,
            1,
            0,
            "Numbers: (value − mean) / scale, or the fill-in. Text: 1 in the column of its value, else 0. Dates: days "
            "since 1970 and the year like numbers, and the sine and cosine of what comes again, such as the month.",
            **NOTE,
        )
        self.numbers: dict[str, list[str]] = {}
        top = self._put_numbers(3) + 1
        self.missing: str = self._put_list(top, 0, "no value", sorted(filter(None, MISSING)))
        self.markers: str = self._put_list(top, 1, "no number, no date", sorted(filter(None, MARKERS)))
        column = 2
        self.texts: dict[str, list[str]] = {}
        for c in self.columns:
            if isinstance(c, TextColumn):
                self._put_list(top, column, c.name, c.values)
                self.texts[c.name] = self._below(top, column, len(c.values))
                column += 1
        if target is not None and target.task == "regression":
            known = [target.mean, target.scale, *([] if width is None else [width])]
            what = "mean, scale" if width is None else "mean, scale, interval ±"
            self._put_list(top, column, f"{target.name}: {what}", list(map(float, known)))
            self.units: list[str] = self._below(top, column, len(known))

    def _put_numbers(self, row: int) -> int:
        """The numbers by which columns of numbers and of dates are scaled, from this row on; returns the next one."""
        for place, text in enumerate(("column", "mean", "scale", "fill-in")):
            self._book.put(self._sheet, row, place, text, **HEAD)
        for c in self.columns:
            if isinstance(c, TextColumn):
                continue
            rows = {c.name: (c.mean, c.scale, c.fill)} if isinstance(c, NumberColumn) else {
                f"{c.name}: days": (c.mean, c.scale), f"{c.name}: year": (c.year_mean, c.year_scale)
            }  # fmt: skip
            self.numbers[c.name] = []
            for name, numbers in rows.items():
                row += 1
                self._book.put(self._sheet, row, 0, name)
                for place, number in enumerate(numbers, 1):
                    self._book.put(self._sheet, row, place, float(number))
                    self.numbers[c.name].append(address(("Preparation", row, place), True))
        return row + 1

    def _put_list(self, row: int, column: int, head: str, values: Sequence[Any]) -> str:
        """Write the values below their head, and return where they stand."""
        self._book.put(self._sheet, row, column, head, **HEAD)
        for place, value in enumerate(values, row + 1):
            self._book.put(self._sheet, place, column, value)
        return area(("Preparation", row + 1, column), ("Preparation", row + len(values), column), True)

    def _below(self, row: int, column: int, count: int) -> list[str]:
        """The so many cells below this one."""
        return [address(("Preparation", row + place, column), True) for place in range(1, count + 1)]

    def _absent(self, column: Column, v: str) -> str:
        known = f"SUMPRODUCT(EXACT(TRIM({v}),{self.missing})*1)"
        if not isinstance(column, TextColumn):
            known = f"{known}+SUMPRODUCT(EXACT(LOWER(TRIM({v})),{self.markers})*1)"
        return f"IF(LEN(TRIM({v}))=0,1,IF({known}>0,1,0))"

    def _as_number(self, column: Column, v: str) -> str:
        """The number that a cell's text is, such as 120- for -120, an error where it is none."""
        format = self.formats.get(column.name, NumberFormat())
        parts = ",." if format.decimal == "," else ".,"
        v = f"TRIM({v})"
        refused = "+".join(f'ISNUMBER(FIND("{mark}",{v}))' for mark in f" %{parts[1]}")
        last = f'AND(RIGHT({v})="-",ISNUMBER(-MID({v},LEN({v})-1,1)),ISERROR(FIND(LEFT({v}),"+-")))'
        number = f'_xlfn.NUMBERVALUE({{}},"{parts[0]}","{parts[1]}")'
        behind = number.format(f"LEFT({v},LEN({v})-1)")
        return f"IF({refused},NA(),IF({last},-{behind},{number.format(v)}))"

    def _wrong(self, column: Any, v: str) -> str | None:
        """A formula that is 1 where a cell holds what the column can't be."""
        if isinstance(column, TextColumn):
            return None
        fits = f"ISLOGICAL({v})" if column.kind == "flag" else f"AND(ISNUMBER({v}),NOT(ISLOGICAL({v})))"
        known = self._absent(column, v)
        if column.kind == "number":
            known = f"IF(AND(ISTEXT({v}),ISNUMBER({self._as_number(column, v)})),1,{known})"
        return f"IF({fits},0,1-{known})"

    def formulas(self, cells: list[str]) -> list[str]:
        """The formulas of x, of the cells of a row of the table."""
        found: list[str] = []
        for c, v in zip(self.columns, cells, strict=True):
            if isinstance(c, DateColumn):
                found += self._date(c, v)
                continue
            if isinstance(c, NumberColumn):
                mean, scale, fill = self.numbers[c.name]
                number = f"IF(ISLOGICAL({v}),IF({v},1,0)," if c.kind == "flag" else f"IF(ISNUMBER({v}),{v},"
                text = f"IF(ISTEXT({v}),{self._as_number(c, v)},NA())" if c.kind == "number" else "NA()"
                found.append(f"({number}IF({self._absent(c, v)}=1,{fill},{text}))-{mean})/{scale}")
                found += [self._absent(c, v)] if c.flagged else []
                continue
            own = "{}" if len({*map(fold, c.values)}) < len(c.values) else "LOWER(TRIM({}))"
            known = [f"IF(EXACT({own.format(f'TRIM({v})')},{own.format(value)}),1,0)" for value in self.texts[c.name]]
            start = len(found)
            found += known
            if c.other:
                one, last = (address(("", HERE, 1 + place)) for place in (start, start + len(known) - 1))
                gone = f"-{self._absent(c, v)}" if c.missing else ""
                found.append(f"1-SUM({one}:{last}){gone}")
            if c.missing:
                found.append(self._absent(c, v))
        return found

    def _date(self, column: DateColumn, v: str) -> list[str]:
        """The formulas of what a date becomes; 0 in all of them where there is none."""
        mean, scale, year_mean, year_scale = self.numbers[column.name]
        parts = {
            "month": f"MONTH({v})-1",
            "day of the month": f"DAY({v})-1",
            "day of the week": f"WEEKDAY({v},2)-1",
            "time of the day": f"{v}-INT({v})",
        }
        found = []
        for part in column.parts:
            if part == "days":
                found.append(f"({v}-{SERIAL_OF_1970}-{mean})/{scale}")
            elif part == "year":
                found.append(f"(YEAR({v})-{year_mean})/{year_scale}")
            else:
                found += [f"{wave}(2*PI()*({parts[part]})/{CYCLES[part]})" for wave in ("SIN", "COS")]
        whole = [f"IF(ISNUMBER({v}),{text},IF({self._absent(column, v)}=1,0,NA()))" for text in found]
        return [*whole, self._absent(column, v)] if column.flagged else whole

    def note(self, cells: list[str], heads: list[str]) -> str:
        """A formula that names the columns whose cells can't be read; no user's text stands in it."""
        parts = []
        for c, v, head in zip(self.columns, cells, heads, strict=True):
            wrong = self._wrong(c, v)
            if wrong is not None:
                what = "date" if isinstance(c, DateColumn) else "number"
                parts.append(f'IF({wrong}=1,"not a {what}: "&{head}&". ","")')
        text = "&".join(parts) or '""'
        return text if len(text) < 8000 else '""'


def refuse_old_dates(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
    """Raise ValueError where training or some rows have dates that sheets don't have."""
    for place, column in enumerate(columns):
        if isinstance(column, DateColumn):
            days = [(row[place] - EPOCH).days for row in rows if row[place] is not None]
            if min([column.low, *days]) < FIRST_DAY:
                raise OpenedError(
                    f"column {column.name!r} has dates before March 1900, which sheets count in other ways; "
                    f"export a page (.html)"
                )


def number_format(column: Column | None) -> dict[str, str]:
    """How a column's values are shown."""
    if not isinstance(column, DateColumn):
        return {}
    return {"num_format": "yyyy-mm-dd hh:mm" if "time of the day" in column.parts else "yyyy-mm-dd"}

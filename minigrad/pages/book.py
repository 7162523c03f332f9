"""Workbooks that XlsxWriter writes: numbers with all their digits, text that stays text, formulas with their values."""

from __future__ import annotations

import datetime
import io
import math
from typing import Any

INPUT: dict[str, Any] = {"bg_color": "#FFF9DB", "border": 1, "border_color": "#E0C95A", "locked": False}
HEAD: dict[str, Any] = {
    "bold": True,
    "bg_color": "#1F3864",
    "font_color": "#FFFFFF",
    "text_wrap": True,
    "valign": "vcenter",
}
TITLE: dict[str, Any] = {"bold": True, "font_size": 18, "font_color": "#1F3864"}
NOTE: dict[str, Any] = {"italic": True, "font_color": "#666666"}
NUMBER = "0.0000;−0.0000;0"
ABOVE, BELOW = "#D9604C", "#4A7EBB"


class Exact(float):
    """A number that is written with 17 digits; XlsxWriter's own 16 lose the last bit."""

    def __format__(self, form: str) -> str:
        return repr(float(self))

    def __str__(self) -> str:
        return repr(float(self))


class Book:
    """A workbook in memory. Sheets are protected without a password, so that only inputs change by accident."""

    def __init__(self) -> None:
        try:
            import xlsxwriter
        except ImportError as error:  # pragma: no cover
            raise ValueError(f"a workbook of formulas needs XlsxWriter ({error}): pip install xlsxwriter") from error
        self._file = io.BytesIO()
        plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        self.book: Any = xlsxwriter.Workbook(self._file, {"in_memory": True, **plain})
        self._formats: dict[Any, Any] = {}

    def sheet(self, name: str, colour: str, protected: bool = True) -> Any:
        """A new sheet."""
        made = self.book.add_worksheet(name)
        # XlsxWriter searches every formula for thirty functions newer than ours: a third of the time, or two thirds.
        made._prepare_formula = _without_sign
        made.hide_gridlines(2)
        made.set_tab_color(colour)
        if protected:
            free = ("format_cells", "format_columns", "format_rows", "sort", "autofilter", "select_locked_cells")
            made.protect("", {**dict.fromkeys(free, True), "select_unlocked_cells": True})
        whole = "A1:XFD1048576"
        kinds = (
            "formula_differs",
            "formula_range",
            "formula_unlocked",
            "empty_cell_reference",
            "number_stored_as_text",
        )
        made.ignore_errors(dict.fromkeys(kinds, whole))
        return made

    def format(self, **form: Any) -> Any:
        """A format, made once."""
        key = tuple(sorted(form.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format(form)
        return self._formats[key]

    def put(self, sheet: Any, row: int, column: int, value: Any, **form: Any) -> None:
        """A constant. Text stays text, whatever it begins with, also after it has been edited."""
        if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "'"):
            form = form | {"quote_prefix": True}
        made = self.format(**form)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            sheet.write_blank(row, column, None, made)
        elif isinstance(value, bool):
            sheet.write_boolean(row, column, value, made)
        elif isinstance(value, datetime.datetime):
            sheet.write_datetime(row, column, value, made)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, Exact(value) if isinstance(value, float) else value, made)
        else:
            sheet.write_string(row, column, str(value), made)

    def formula(self, sheet: Any, row: int, column: int, text: str, value: Any, **form: Any) -> None:
        """A formula, without its `=`, and the value that it has: readers that do not calculate show that."""
        if isinstance(value, float):
            value = Exact(value) if math.isfinite(value) else "#NUM!"
        sheet.write_formula(row, column, "=" + text, self.format(**form), value)

    def scale(self, sheet: Any, first: tuple[int, int], last: tuple[int, int], above: str = ABOVE) -> None:
        """White at 0, one colour above and another below, as strong as the numbers among these are large."""
        from xlsxwriter.utility import xl_range_abs

        area = xl_range_abs(*first, *last)
        most = f"MAX(MAX({area}),-MIN({area}),0.000000001)"
        ends = {"min_type": "formula", "min_value": f"=-{most}", "max_type": "formula", "max_value": f"={most}"}
        colours = {"min_color": BELOW, "mid_color": "#FFFFFF", "max_color": above}
        middle = {"mid_type": "num", "mid_value": 0}
        sheet.conditional_format(*first, *last, {"type": "3_color_scale", **ends, **middle, **colours})

    def written(self) -> bytes:
        """The file."""
        self.book.close()
        return self._file.getvalue()


def _without_sign(formula: str, *_: Any) -> str:
    """A formula as it stands in the file."""
    return formula.removeprefix("=")

"""Reads workbooks, above all in the tutorial's format: a sheet of numbers, a sheet of labels, no headers.

python-calamine reads (seven times faster than openpyxl). What calamine does not tell (it gives ''
for an error, and nothing at all for a formula without a stored value) is found by a second look with openpyxl.
"""

from __future__ import annotations

import datetime
import os
import re
import reprlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from minigrad.data.messages import did_you_mean, no_such_file

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

ROW_LIMIT, COLUMN_LIMIT = 1_048_576, 16_384
WITHOUT_VALUE = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>|</c>)|<f\b[^>]*/>\s*(?:<v\s*/>|<v>\s*</v>|</c>)")
NOT_AVAILABLE = "#N/A"  # the error by which spreadsheets say that a value is missing
SAVE_AS = "open it in a spreadsheet program and save it as .xlsx"


class WorkbookError(ValueError):
    """What is wrong with a workbook, in one line: the file, the sheet and the cell, and what to do."""


class MissingSheetError(WorkbookError):
    """There is no sheet of that name."""


def read_workbook(
    path: str | os.PathLike[str], x: str = "X", y: str = "y"
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Read `(x, labels)` from the sheets named `x` and `y`, which have no header and begin in A1.

    Sheet `x` holds numbers, one row for each example: float64 of shape (m, n). Sheet `y` holds one column of m labels:
    all numbers (int64 when they are whole, else float64), all text, or all bools. Raises WorkbookError, which is a
    ValueError, for everything else, and FileNotFoundError for a file that is not there.
    """
    features, labels = read_sheets(path, x, y)
    values, targets = features.numbers(), labels.labels()
    if len(values) != len(targets):
        raise WorkbookError(
            f"{path}: sheet {x!r} has {len(values)} rows and sheet {y!r} has {len(targets)}; "
            f"each row of {x!r} needs its label in the same row of {y!r}"
        )
    return values, targets


def read_sheets(path: str | os.PathLike[str], *names: str | None) -> list[Sheet]:
    """The cells of these sheets; None stands for the first one that has cells.

    Raises WorkbookError for a file that is no whole workbook, a sheet that is not there, and a formula without a value.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    path = Path(path)
    _refuse_other_files(path)
    try:
        _refuse_other_archives(path)
        with CalamineWorkbook.from_path(path) as book:
            sheets = [Sheet(path, book, name) for name in names]
        if not _is_ods(path):
            _refuse_unsaved_formulas(path, tuple(sheet.name for sheet in sheets))
    except (CalamineError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise _damaged(path, error) from error
    return sheets


def sheet_heads(path: str | os.PathLike[str], rows: int) -> dict[str, list[list[Any]]]:
    """The first rows of each sheet with cells, by its name; nothing of a file that `read_sheets` will refuse."""
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

    try:
        with CalamineWorkbook.from_path(path) as book:
            names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
            if len(names) < 2:
                return {name: [] for name in names}
            return {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=rows) for name in names}
    except (CalamineError, zipfile.BadZipFile, OSError):
        return {}


def hidden_sheets(path: str | os.PathLike[str]) -> set[str]:
    """The names of the sheets that a spreadsheet program does not show."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    with CalamineWorkbook.from_path(path) as book:
        return {sheet.name for sheet in book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible}


def cell_name(sheet: str, row: int, column: int) -> str:
    """The name of a cell as a formula writes it, `X!B17`; row and column count from 0."""
    from openpyxl.utils import get_column_letter, quote_sheetname

    return f"{sheet if sheet.isidentifier() else quote_sheetname(sheet)}!{get_column_letter(column + 1)}{row + 1}"


class Sheet:
    """The cells of one sheet, from A1 on."""

    def __init__(self, path: Path, book: CalamineWorkbook, name: str | None) -> None:
        from python_calamine import SheetTypeEnum

        types = {sheet.name: sheet.typ for sheet in book.sheets_metadata}
        if name is None:
            name = next((known for known, kind in types.items() if kind == SheetTypeEnum.WorkSheet), "")
        self.path = path
        self.name: str = name
        if name not in types:
            names = ", ".join(map(repr, types)) or "none"
            raise MissingSheetError(
                f"{path} has no sheet {name!r}{did_you_mean(name, types)}; its sheets: {names} (give the name of the "
                f"right one)"
            )
        if types[name] != SheetTypeEnum.WorkSheet:
            raise WorkbookError(f"{path}: sheet {name!r} is a chart or macro sheet without cells; name another sheet")
        sheet: CalamineSheet = book.get_sheet_by_name(name)
        self.rows: list[list[Any]] = sheet.to_python(skip_empty_area=False)
        self.start: tuple[int, int] = sheet.start or (0, 0)
        self.merged: list[tuple[tuple[int, int], tuple[int, int]]] = sheet.merged_cell_ranges or []

    def numbers(self) -> npt.NDArray[np.float64]:
        """All cells as numbers."""
        self.refuse_nothing()
        if not set().union(*(map(type, row) for row in self.rows)) <= {float, int}:
            self.refuse_header(self.rows[0])
            for row, values in enumerate(self.rows):
                for column, value in enumerate(values):
                    if type(value) not in (float, int):
                        self.refuse(row, column, "a number")
        numbers = np.array(self.rows, np.float64)
        if not np.isfinite(numbers).all():
            row, column = map(int, np.argwhere(~np.isfinite(numbers))[0])
            self.refuse(row, column, "a finite number")
        return numbers

    def labels(self) -> npt.NDArray[Any]:
        """The only column as labels of one kind."""
        self.refuse_nothing()
        if len(self.rows[0]) != 1 and self.start[1] == 0:
            raise WorkbookError(
                f"{self.path}: sheet {self.name!r} has {len(self.rows)} rows and {len(self.rows[0])} columns; "
                f"labels stand in one column, A: clear the others"
            )
        values = [row[0] for row in self.rows]
        kinds = [kind_of_cell(value) for value in values]
        if None in kinds:
            self.refuse(kinds.index(None), 0, "a label (a number, text, TRUE or FALSE)")
        if len(set(kinds)) > 1:
            self.refuse_header(self.rows[0])
            odd = next(row for row, kind in enumerate(kinds) if kind != kinds[0])
            self.refuse(odd, 0, f"{kinds[0]}, as in the cells above it,")
        if kinds[0] != "a number":
            return np.array(values)
        numbers = np.array(values, np.float64)
        if not np.isfinite(numbers).all():
            self.refuse(int(np.argmin(np.isfinite(numbers))), 0, "a finite number")
        whole = np.all((numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**53))
        return numbers.astype(np.int64) if whole else numbers

    def table(self, header: int = 0, end: int | None = None) -> list[list[Any]]:
        """All rows, with "" for an empty cell and for #N/A.

        Raises WorkbookError for merged cells from the row `header` to the one before `end`, and for other error values.
        """
        self.refuse_nothing()
        for (top, left), (bottom, right) in self.merged:
            if bottom >= header and top < (len(self.rows) if end is None else end) and left < len(self.rows[0]):
                first, last = cell_name(self.name, top, left), cell_name(self.name, bottom, right)
                raise WorkbookError(
                    f"{self.path}: cells {first} to {last.rpartition('!')[2]} are merged; unmerge them and fill each"
                )
        if not _is_ods(self.path) and (found := _first_error(self.path, self.name)):
            row, column, error = found
            raise WorkbookError(
                f"{self.path}: {cell_name(self.name, row, column)} holds the error {error}; repair its formula, or "
                f"clear the cell if its value is missing"
            )
        return self.rows

    def refuse_nothing(self) -> None:
        """Raise WorkbookError if there are no cells."""
        if not self.rows:
            raise WorkbookError(f"{self.path}: sheet {self.name!r} is empty; put the values there, from A1 on")

    def refuse_header(self, first: list[Any]) -> None:
        """Raise if the first row is text and the second is not: column names, of which this format has none."""
        if len(self.rows) > 1 and all(kind_of_cell(value) == "text" for value in first):
            below = self.rows[1]
            if not any(kind_of_cell(value) == "text" for value in below):
                raise WorkbookError(
                    f"{self.path}: {cell_name(self.name, 0, 0)} holds {reprlib.repr(first[0])}, so row 1 looks like a "
                    f"header; this format has none: delete row 1 of sheet {self.name!r}"
                )

    def refuse(self, row: int, column: int, wanted: str) -> NoReturn:
        """Raise WorkbookError for a cell that does not hold what belongs there."""
        found, advice = self.describe(row, column, self.rows[row][column])
        place = cell_name(self.name, row, column)
        raise WorkbookError(f"{self.path}: {place} {found}, where {wanted} belongs; {advice}")

    def describe(self, row: int, column: int, value: Any) -> tuple[str, str]:
        """What a cell holds, and what to do about it."""
        if isinstance(value, bool):
            return f"holds {str(value).upper()}", "write 1 for TRUE and 0 for FALSE, or the same kind everywhere"
        if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
            return f"holds the date or time {value}", "give the cell a number format, or write a number or text"
        if isinstance(value, float | int):
            return f"holds {value:g}", "correct it"
        if value:
            return f"holds the text {reprlib.repr(value)}", "correct it, or convert the text to a number"
        error = _error_in(self.path, self.name, row, column)
        if error:
            return f"holds the error {error}", "repair its formula, or put a value in its place"
        for (top, left), (bottom, right) in self.merged:
            if top <= row <= bottom and left <= column <= right:
                return f"is merged with {cell_name(self.name, top, left)}", "unmerge the cells and fill each"
        if row < self.start[0] or column < self.start[1]:
            return "is empty", f"the first value is in {cell_name(self.name, *self.start)}: move the values to A1"
        return "is empty", "fill it, or delete its row on both sheets"


def kind_of_cell(value: Any) -> str | None:
    """TRUE or FALSE, a number or text; None for a cell that holds nothing of these."""
    if isinstance(value, bool):
        return "TRUE or FALSE"
    if isinstance(value, float | int):
        return "a number"
    return "text" if isinstance(value, str) and value.strip() else None


def _refuse_other_files(path: Path) -> None:
    """Raise for a file that its first bytes show to be no .xlsx workbook."""
    if path.is_dir():
        raise WorkbookError(f"{path} is a directory; give the name of an .xlsx file")
    if not path.exists():
        raise FileNotFoundError(no_such_file(path))
    content = path.read_bytes()
    if not content:
        raise WorkbookError(f"{path} is an empty file of 0 bytes; save or download the workbook again")
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise WorkbookError(f"{path} is protected by a password; save a copy without one")
        raise WorkbookError(f"{path} is in the old .xls format; {SAVE_AS}")
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise WorkbookError(f"{path} is a web page or XML text under a workbook's name; {SAVE_AS}")
    if not content.startswith(b"PK"):
        kind = "is not a workbook" if b"\0" in content else "is a text file (CSV?), not a workbook"
        raise WorkbookError(f"{path} {kind}; {SAVE_AS}")


def _refuse_other_archives(path: Path) -> None:
    """Raise for a zip file whose directory shows that it is no .xlsx workbook."""
    if _is_ods(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "[Content_Types].xml" not in names or "xl/workbook.bin" in names:
        raise WorkbookError(f"{path} is a zip archive of another kind (.xlsb?), not an .xlsx workbook; {SAVE_AS}")


def _is_ods(path: Path) -> bool:
    """Whether a zip file is a spreadsheet of the OpenDocument format."""
    with zipfile.ZipFile(path) as archive:
        kind = "mimetype" in archive.namelist() and archive.read("mimetype")
    return kind == b"application/vnd.oasis.opendocument.spreadsheet"


def _refuse_unsaved_formulas(path: Path, sheets: tuple[str, ...]) -> None:
    """Raise for a formula whose value was never stored, as in files that a program wrote and no one has opened.

    Calamine leaves such cells out, so a whole last column of them would be lost without a word.
    """
    with zipfile.ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        texts = (archive.read(part) for part in parts)
        if not any(b"<f" in text and WITHOUT_VALUE.search(text) for text in texts):
            return
    with _openpyxl(path, data_only=False) as formulas, _openpyxl(path, data_only=True) as values:
        for name in sheets:
            for written, stored in zip(formulas[name].iter_rows(), values[name].iter_rows(), strict=True):
                for formula, cell in zip(written, stored, strict=True):
                    if formula.data_type == "f" and cell.value is None:
                        raise WorkbookError(
                            f"{path}: {cell_name(name, cell.row - 1, cell.column - 1)} holds the formula "
                            f"{reprlib.repr(str(formula.value))}, whose value is empty or was never stored; open the "
                            f"file in a spreadsheet program and save it, or put the value in its place"
                        )


def _first_error(path: Path, sheet: str) -> tuple[int, int, str] | None:
    """Row, column and value of the first cell with an error but #N/A; calamine reads them all as empty ones."""
    with zipfile.ZipFile(path) as archive:
        parts = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        if not any(b't="e"' in archive.read(part) for part in parts):
            return None
    with _openpyxl(path, data_only=True) as book:
        for cells in book[sheet].iter_rows():
            for cell in cells:
                if cell.data_type == "e" and cell.value != NOT_AVAILABLE:
                    return cell.row - 1, cell.column - 1, str(cell.value)
    return None


def _error_in(path: Path, sheet: str, row: int, column: int) -> str | None:
    """The error value of a cell, such as #DIV/0!, or None."""
    with _openpyxl(path, data_only=True) as book:
        for cells in book[sheet].iter_rows(row + 1, row + 1, column + 1, column + 1):
            return str(cells[0].value) if cells[0].data_type == "e" else None
    return None


@contextmanager
def _openpyxl(path: Path, data_only: bool) -> Iterator[Any]:
    import openpyxl

    # openpyxl leaves a file open that it fails to load, so it gets one that is closed here.
    with path.open("rb") as file, warnings.catch_warnings():
        # It warns of what it would not write back (validation, extensions), and here nothing is written.
        warnings.simplefilter("ignore", UserWarning)
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=data_only)
            try:
                yield book
            finally:
                book.close()
        except WorkbookError:
            raise
        except Exception as error:  # XML that it does not expect raises TypeError, KeyError and what not
            raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WorkbookError:
    reason = " ".join(str(error).split())
    return WorkbookError(f"{path} is a damaged or incomplete workbook ({reason}); copy, download or save it again")

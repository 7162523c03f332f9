"""Tables with a header: one sheet of a workbook, or a CSV or TSV file. Each column is of one kind, or an error.

    frame, target = read_table("flowers.xlsx", target="species")

The kinds are numbers, text, bools and dates; a cell may be missing. The index of the frame is the row in the file as a
spreadsheet program counts it (the header is row 1), so that every later message can name it.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import os
import re
import reprlib
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from minigrad.data.workbook import WorkbookError, cell_name, read_sheets

if TYPE_CHECKING:
    import pandas as pd

TEXT_FILES = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = (",", ";", "\t", "|")
MISSING = {"", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "?"}  # what stands for no value, as text
FLAGS = {"true": True, "false": False}
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?")
KINDS = {float: "a number", bool: "TRUE or FALSE", str: "text", datetime.date: "a date"}
SHOWN = 12  # names of columns in an error message


class TableError(WorkbookError):
    """What is wrong with a table, in one line: the file, the sheet, the cell or the column, and what to do."""


def read_table(
    path: str | os.PathLike[str], target: str | None = None, sheet: str | None = None
) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Read `(columns, target)` from a sheet (the first one, without a name) of an .xlsx, or from a CSV or TSV file.

    Row 1 holds the names of the columns; a first column without a name that counts the rows, as pandas writes it, is
    left out. Text files are UTF-8 or UTF-16; the delimiter is the one of `, ; tab |` that parts the header. Empty cells
    and the words NA, N/A, NaN, null and ? are missing values. In a column of text the numbers are text too, as long as
    they are not more than half of it. Without `target` the second item is None.

    Raises TableError, a ValueError, for what is no such table, and FileNotFoundError for a file that is not there.
    """
    table = read_cells(path, sheet)
    return table.frame(target)


def shown(names: Any) -> str:
    """The first names, for a message."""
    names = list(names)
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def is_text_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a CSV or TSV file."""
    return Path(path).suffix.lower() in TEXT_FILES


@dataclass(frozen=True)
class Cells:
    """The cells of a table: names of columns ("" for a counter without a name), then rows of equal length.

    `sheet` is None, and `delimiter` set, for a text file, whose cells are all text.
    """

    path: Path
    sheet: str | None
    names: list[str]
    rows: list[list[Any]]
    delimiter: str | None = None

    @property
    def where(self) -> str:
        """The file and the sheet."""
        return str(self.path) if self.sheet is None else f"{self.path}: sheet {self.sheet!r}"

    def frame(
        self, target: str | None = None, only: Collection[str] | None = None
    ) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        """(columns, target), as `read_table` gives them; with `only`, other columns are not looked at."""
        import pandas as pd

        wanted = {name for name in self.names if name and (only is None or name == target or name in only)}
        frame = pd.DataFrame(
            {name: self.column(position) for position, name in enumerate(self.names) if name in wanted},
            index=pd.RangeIndex(2, 2 + len(self.rows), name="row"),
        )
        if target is None:
            return frame, None
        if target not in frame:
            raise TableError(f"{self.where} has no column {target!r} to predict; its columns: {shown(self.names)}")
        return frame.drop(columns=target), frame[target]

    def column(self, position: int) -> pd.Series[Any]:
        """The values of one column, all of one kind: float64, bool, or objects: text or dates.

        Missing ones are NaN or None. Raises TableError that names the first cell of another kind.
        """
        import pandas as pd

        cells = self.values(position)
        counts = Counter(_kind(cell) for cell in cells if cell is not None)
        kind = max(counts, key=lambda kind: counts[kind], default=float)
        if kind is str and counts.keys() <= {float, str}:
            texts = [_value(row[position]) for row in self.rows]
            cells = [number_text(text) if isinstance(text, float) else text for text in texts]
        for row, cell in enumerate(cells):
            if cell is not None and _kind(cell) is not kind:
                self.refuse(row, position, cell, KINDS[kind])
            if kind is float and cell is not None and not math.isfinite(cell):
                self.refuse(row, position, cell, "a finite number")
        dtype = "float64" if kind is float else "bool" if kind is bool and None not in cells else "object"
        return pd.Series(cells, dtype=dtype, index=range(2, 2 + len(cells)))

    def values(self, position: int) -> list[Any]:
        """The values of one column: floats, bools, text and dates, None where one is missing."""
        cells = [_value(row[position]) for row in self.rows]
        if self.delimiter is None:
            return cells
        texts = [cell for cell in cells if cell is not None]
        if texts and all(text.lower() in FLAGS for text in texts):
            return [None if cell is None else FLAGS[cell.lower()] for cell in cells]
        if texts and all(DATE.fullmatch(text) for text in texts):
            with suppress(ValueError):  # the 31st of a month that has none
                return [None if cell is None else datetime.date.fromisoformat(cell[:10]) for cell in cells]
        commas = self.delimiter != "," and any("," in text for text in texts)
        if commas and all(DECIMAL_COMMA.fullmatch(text) for text in texts):
            return [None if cell is None else float(cell.replace(".", "").replace(",", ".")) for cell in cells]
        return [cell if cell is None else _number(cell) for cell in cells]

    def place(self, row: int, position: int) -> str:
        """The name of a cell; row 0 is the first one below the header."""
        if self.sheet is not None:
            return cell_name(self.sheet, row + 1, position)
        return f"row {row + 2}, column {self.names[position]!r}"

    def refuse(self, row: int, position: int, cell: Any, wanted: str) -> NoReturn:
        """Raise TableError for a cell that is not what belongs there."""
        if isinstance(cell, bool):
            found = str(cell).upper()
        elif isinstance(cell, float):
            found = f"{cell:g}"
        else:
            found = f"the {KINDS[_kind(cell)].split()[-1]} {reprlib.repr(str(cell))}"
        column = "" if self.sheet is None else f" (column {self.names[position]!r})"
        raise TableError(
            f"{self.path}: {self.place(row, position)}{column} holds {found}, where {wanted} belongs; correct it, "
            f"or clear the cell if its value is missing"
        )


def read_cells(path: str | os.PathLike[str], sheet: str | None = None) -> Cells:
    """The cells of a table, with its header checked."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    delimiter = None
    if is_text_file(path):
        if sheet is not None:
            raise TableError(f"{path} is a text file and has no sheet {sheet!r}")
        rows, delimiter = _text_rows(path)
    else:
        [found] = read_sheets(path, sheet)
        rows, sheet = found.table(), found.name
    where = str(path) if sheet is None else f"{path}: sheet {sheet!r}"
    while rows and _is_blank(rows[-1]):
        rows = rows[:-1]
    while rows and _is_blank([row[-1] for row in rows]):
        rows = [row[:-1] for row in rows]
    if len(rows) < 2:
        raise TableError(f"{where} is empty; put names of columns in row 1 and the values below")
    table = Cells(path, sheet, [str(cell).strip() for cell in rows[0]], rows[1:], delimiter)
    table.names[:] = _names(table, rows[0])
    for row, cells in enumerate(table.rows):
        if _is_blank(cells):
            raise TableError(f"{where}: row {row + 2} is empty; delete it")
    return table


def _names(table: Cells, header: list[Any]) -> list[str]:
    """The names of the columns. Raises TableError where row 1 is no header."""
    names = []
    for position, cell in enumerate(header):
        value = _number(cell.strip()) if isinstance(cell, str) else cell
        place = table.place(-1, position) if table.sheet is not None else f"row 1, column {position + 1}"
        if value == "":
            if position == 0 and [_number(str(row[0])) for row in table.rows] in _counts(len(table.rows)):
                names.append("")
                continue
            raise TableError(
                f"{table.path}: {place} is empty, where the name of a column belongs; row 1 holds the names: "
                f"delete what stands above them, and give each column one"
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, str | int | float)
            or (isinstance(value, float) and not value.is_integer())
        ):
            raise TableError(
                f"{table.path}: {place} holds {cell}, where the name of a column belongs; insert a row 1 with the names"
            )
        names.append(cell.strip() if isinstance(cell, str) else number_text(cell))
    for name, times in Counter(names).items():
        if times > 1:
            raise TableError(f"{table.where} has {times} columns with the name {name!r}; give each a name of its own")
    return names


def _counts(rows: int) -> list[list[float]]:
    return [[float(first + row) for row in range(rows)] for first in (0, 1)]


def _is_blank(cells: list[Any]) -> bool:
    return all(isinstance(cell, str) and not cell.strip() for cell in cells)


def _kind(cell: Any) -> type:
    if isinstance(cell, bool):
        return bool
    if isinstance(cell, float):
        return float
    return str if isinstance(cell, str) else datetime.date


def _value(cell: Any) -> Any:
    """A cell with None for a missing value, text without spaces around it, and every number as a float."""
    if isinstance(cell, str):
        cell = cell.strip()
        return None if cell in MISSING else cell
    if isinstance(cell, datetime.datetime):
        return cell.date()
    return float(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def number_text(number: float) -> str:
    """A number as text: 3 and not 3.0."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def _number(text: str) -> Any:
    """The number that a text is, or the text."""
    try:
        return float(text) if "_" not in text else text
    except ValueError:
        return text


def _text_rows(path: Path) -> tuple[list[list[str]], str]:
    """The rows of a text file, of equal length, and its delimiter."""
    text = _decoded(path)
    header = text[: text.find("\n")] if "\n" in text else text
    rows: list[list[str]] = []
    line = 1
    try:
        if path.suffix.lower() in (".tsv", ".tab"):
            delimiter = "\t"
        else:
            delimiter = max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for row in reader:
            line = reader.line_num
            if rows and row and len(row) != len(rows[0]):
                raise TableError(
                    f"{path}: row {len(rows) + 1} (line {line}) has {len(row)} values and the header has "
                    f"{len(rows[0])} names, parted by {delimiter!r}; correct it, or write quotes around a text with "
                    f"the delimiter in it"
                )
            rows.append(row)
    except csv.Error as error:
        raise TableError(f"{path}: line {line} or the next can't be read ({error}); look at its quotes") from error
    if len(rows) > 1 and len(rows[0]) == 1:
        raise TableError(
            f"{path} has one column only, {reprlib.repr(rows[0][0])}; columns are parted by comma, semicolon, tab or |"
        )
    while rows and not rows[-1]:
        rows.pop()
    for number, row in enumerate(rows, 1):
        if not row:
            raise TableError(f"{path}: row {number} is empty; delete it")
    return rows, delimiter


def _decoded(path: Path) -> str:
    """The text of a file. Raises TableError for other files, by their first bytes, and for other encodings."""
    if path.is_dir():
        raise TableError(f"{path} is a directory; give the name of a file")
    content = path.read_bytes()
    if content.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise TableError(f"{path} is a workbook or an archive under a text file's name; rename it to .xlsx")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
        if b"\0" in content:
            line = content[: content.index(b"\0")].count(b"\n") + 1
            raise TableError(f"{path}: line {line} holds a NUL byte, so this is no text; export the table again")
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise TableError(f"{path} is a web page or XML text under a table's name; export the table as CSV")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TableError(
            f"{path}: line {line} is not written in UTF-8 (byte {error.start + 1} is {content[error.start]:#04x}); "
            f"save it as 'CSV UTF-8'"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")

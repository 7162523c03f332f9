"""The cells of a table with a header: of a sheet of a workbook, of a CSV or TSV file, of a Parquet or Feather file.

Where the header stands, and on which sheet, is found where nobody says it, and told. What the cells mean is not looked
at here.
"""

from __future__ import annotations

import datetime
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.data.messages import did_you_mean, no_such_file, number_text, shown
from minigrad.tables.reading.footer import Body, Column, compact, cut, end_of, filled, is_blank, is_empty
from minigrad.tables.reading.header import as_number, empty, header_of, names_in, names_of, title_of
from minigrad.tables.reading.text_files import (
    HEAD,
    MISSING,
    Dialect,
    TableError,
    body_of,
    dialect_of,
    head_of,
    is_text_file,
    only_column,
)
from minigrad.tables.reading.workbooks import Sheet, cell_name, hidden_sheets, read_sheets, sheet_heads
from minigrad.version import installing

if TYPE_CHECKING:
    import pandas as pd

WHERE = "the table"
"""What a frame is called in messages, where a file has its name."""
FRAMES = {".parquet": "Parquet", ".pq": "Parquet", ".feather": "Feather", ".arrow": "Feather"}


@dataclass(frozen=True)
class Cells:
    """The cells of a table by column: `names` and `columns`, of equal length.

    A name is "" for a counter, or an empty column, without one. A column is float64, with NaN where a number is
    missing, or a list of text, floats, bools, dates and times, with None. `header` is the row of the header, counted
    from 0, and -1 in a file that has names of its own. `sheet` is that of a workbook, `dialect` that of a text file.
    `said` are the choices that were made in reading it. `blank` are the rows with nothing in them (row 0 is the first
    below the header), and `more` is whether other things stand below.
    """

    path: Path
    names: list[str]
    columns: list[Column | list[Any]]
    rows: int
    header: int = 0
    sheet: str | None = None
    dialect: Dialect | None = None
    said: tuple[tuple[str, str], ...] = ()
    blank: tuple[int, ...] = ()
    more: bool = False

    @property
    def where(self) -> str:
        """The file and the sheet."""
        return str(self.path) if self.sheet is None else f"{self.path}: sheet {self.sheet!r}"

    @property
    def index(self) -> pd.RangeIndex:
        """The rows as a spreadsheet program counts them."""
        import pandas as pd

        return pd.RangeIndex(self.header + 2, self.header + 2 + self.rows, name="row")

    def place(self, row: int, name: str) -> str:
        """The name of a cell; row 0 is the first one below the header."""
        if self.sheet is not None:
            cell = cell_name(self.sheet, self.header + 1 + row, self.names.index(name))
            return f"{cell} (column {name!r})"
        return f"row {self.header + 2 + row}, column {name!r}"

    def position(self, name: str, purpose: str = "") -> int:
        """Where a column stands. Raises TableError for one that is not there."""
        if name not in self.names:
            what = f" {purpose}" if purpose else ""
            raise TableError(
                f"{self.where} has no column {name!r}{what}{did_you_mean(name, self.names)}; its columns: "
                f"{shown(filter(None, self.names))}{self._guess()}"
            )
        return self.names.index(name)

    def _guess(self) -> str:
        """A word on an encoding that was found by the bytes alone."""
        if self.dialect is None or not self.dialect.guessed:
            return ""
        return f" (read as {self.dialect.encoding}, found by its bytes; --encoding overrides this)"

    def texts(self, name: str) -> list[Any]:
        """The cells of a column as they are written: a text file is read once more for one of plain numbers."""
        place = self.names.index(name)
        column = self.columns[place]
        if isinstance(column, list):
            return column
        if self.dialect is None:
            return [None if np.isnan(value) else value for value in column.tolist()]
        found = body_of(self.path, self.dialect, self.header, len(self.names), {place})
        return list(found.columns[place][: self.rows])


def read_cells(
    path: str | os.PathLike[str],
    sheet: str | None = None,
    *,
    encoding: str | None = None,
    header_row: int | None = None,
    wanted: Collection[str] = (),
) -> Cells:
    """The cells of a table, with its header checked; of a workbook's tables the one with the `wanted` columns.

    `header_row` counts from 1; without it, the header is found: rows above it are titles, of which at least half is
    empty. `encoding` is that of a text file; without it, it is found.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(no_such_file(path))
    if path.is_dir():
        raise TableError(f"{path} is a directory; give the name of a file")
    if not is_text_file(path) and encoding is not None:
        raise TableError(f"{path} is no text file: --encoding is about CSV and TSV files")
    if is_text_file(path) or path.suffix.lower() in FRAMES:
        if sheet is not None:
            kind = "a text" if is_text_file(path) else f"a {FRAMES[path.suffix.lower()]}"
            raise TableError(f"{path} is {kind} file and has no sheet {sheet!r}")
        return _from_text(path, encoding, header_row, wanted) if is_text_file(path) else _from_frame(path)
    return _from_workbook(path, sheet, header_row, wanted)


def _from_text(path: Path, encoding: str | None, header_row: int | None, wanted: Collection[str]) -> Cells:
    dialect = dialect_of(path, encoding, wanted)
    head = head_of(path, dialect)
    header = header_of(str(path), head, header_row)
    width = len(head[header])
    if width == 1:
        raise only_column(path, head[header][0])
    body = body_of(path, dialect, header, width)
    if not body.rows:
        raise empty(str(path))
    said = [("header", title_of(head, header))] if header and header_row is None else []
    if dialect.guessed:
        said.append(("encoding", f"{dialect.encoding}, found by its bytes (--encoding overrides this)"))
    return _checked(path, head[header], body, header, None, dialect, said)


def _from_workbook(path: Path, sheet: str | None, header_row: int | None, wanted: Collection[str]) -> Cells:
    said: list[tuple[str, str]] = []
    if sheet is None:
        sheet, others = _chosen_sheet(path, wanted)
        if others:
            said.append(("sheet", f"{sheet!r}; the file has others: {others} (--sheet chooses)"))
    found: Sheet
    [found] = read_sheets(path, sheet)
    where = f"{path}: sheet {found.name!r}"
    found.refuse_nothing()
    header = header_of(where, found.rows[:HEAD], header_row)
    rows = found.rows
    width = len(rows[header]) if len(rows) > header else 0
    while width and is_blank([row[width - 1] for row in rows[header:]]):
        width -= 1
    names, first, header = names_of(rows, header, width, found.merged)
    if first and header_row is None:
        said.append(("header", title_of(rows, first)))
    if first < header:
        said.append(("names", f"stand in rows {first + 1} and {header + 1}, and are joined, as in {names[0]!r}"))
    end = header + 1 + end_of(rows[header + 1 :], filled(names))
    if end <= header + 1 or not width:
        raise empty(where)
    note = next((str(cell) for row in rows[end:] for cell in row if not is_blank([cell])), None)
    inside = [row[:width] for row in found.table(header + (first < header), end)[header + 1 : end]]
    columns = [compact([_value(cell) for cell in cells]) for cells in zip(*inside, strict=True)]
    blank = [place for place, row in enumerate(inside) if is_blank(row)]
    body = Body(columns, len(inside), blank, note)
    return _checked(path, names, body, header, found.name, None, said)


def read_frame(path: Path) -> pd.DataFrame:
    """A Parquet or Feather file as it is."""
    import pandas as pd

    kind = FRAMES[path.suffix.lower()]
    try:
        return pd.read_parquet(path) if kind == "Parquet" else pd.read_feather(path)
    except ImportError as error:
        raise TableError(f"{path}: {kind} files are read by pyarrow: {installing('parquet')}") from error
    except (ValueError, OSError) as error:
        raise TableError(f"{path} can't be read as a {kind} file ({' '.join(str(error).split())[:200]})") from error


def _from_frame(path: Path) -> Cells:
    """A Parquet or Feather file, whose columns have types of their own."""
    return _typed(path, read_frame(path))


def cells_of(frame: pd.DataFrame) -> Cells:
    """The cells of a DataFrame. Raises ValueError for what is none, or has no rows."""
    check_frame(frame)
    return _typed(Path(WHERE), frame)


def check_frame(frame: Any) -> None:
    """Raise TypeError for what is no DataFrame, and ValueError for one without rows or columns."""
    if not (hasattr(frame, "columns") and hasattr(frame, "iloc")):
        raise TypeError(f"{type(frame).__name__} is no DataFrame: make one with the names of the columns")
    if not len(frame) or not len(frame.columns):
        what = "rows" if len(frame.columns) else "columns"
        raise ValueError(f"{WHERE} is empty: it has no {what}")


def frame_of(x: Any, t: Any) -> pd.DataFrame:
    """Arrays x (m, columns) and t (m,) as a frame with columns x1, x2, … and t."""
    import pandas as pd

    x, t = np.asarray(x), np.asarray(t)
    if x.ndim != 2 or t.ndim != 1 or len(x) != len(t):
        raise ValueError(f"arrays of a table are x (rows, columns) and t (rows,), not {x.shape} and {t.shape}")
    return pd.DataFrame(x, columns=[f"x{place}" for place in range(1, x.shape[1] + 1)]).assign(t=t)


def _typed(path: Path, frame: pd.DataFrame) -> Cells:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not len(frame) or not len(frame.columns):
        raise empty(str(path))
    names = [str(name) for name in frame.columns]
    columns: list[Any] = []
    for place in range(len(names)):
        column = frame.iloc[:, place]
        if is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            cells, gaps = column.tolist(), column.isna().tolist()
            columns.append([None if gap else _value(cell) for cell, gap in zip(cells, gaps, strict=True)])
    return _checked(path, names, Body(columns, len(frame), []), -1, None, None, [])


def _checked(
    path: Path,
    header: list[Any],
    body: Body,
    row: int,
    sheet: str | None,
    dialect: Dialect | None,
    said: list[tuple[str, str]],
) -> Cells:
    """The table, with names that can be names. Raises TableError where the header is none."""
    where = str(path) if sheet is None else f"{path}: sheet {sheet!r}"
    names: list[str] = []
    for position, cell in enumerate(header):
        value = as_number(cell.strip()) if isinstance(cell, str) else cell
        place = f"row {row + 1}, column {position + 1}" if sheet is None else cell_name(sheet, row, position)
        if value == "":
            if is_empty(body.columns[position]) or (position == 0 and _counts(body.columns[0])):
                names.append("")
                continue
            raise TableError(
                f"{path}: {place} is empty, where the name of a column belongs; row {row + 1} holds the names: "
                f"delete what stands above them (or say where they stand by --header-row), and give each column one"
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, str | int | float)
            or (isinstance(value, float) and not value.is_integer())
        ):
            raise TableError(
                f"{path}: {place} holds {cell}, where the name of a column belongs; insert a row 1 with the names"
            )
        names.append(" ".join(cell.split()) if isinstance(cell, str) else number_text(cell))
    for name, times in Counter(names).items():
        if times > 1 and name:
            raise TableError(f"{where} has {times} columns with the name {name!r}; give each a name of its own")
    if row >= 0:  # a file with names of its own has rows alone
        said += cut(body, row)
    more = any(about == "below" for about, _ in said)
    return Cells(path, names, body.columns, body.rows, row, sheet, dialect, tuple(said), tuple(body.blank), more)


# ---------------------------------------------------------------------------------------------------------- sheet
def _chosen_sheet(path: Path, wanted: Collection[str]) -> tuple[str | None, str]:
    """The sheet with the wanted columns, else the only one with a table, else the first; and a word on the others.

    Of several, one that is not hidden.
    """
    heads = sheet_heads(path, HEAD)
    if len(heads) < 2:
        return None, ""
    names = {sheet: names_in(head) for sheet, head in heads.items()}
    tables = [sheet for sheet, found in names.items() if found]
    fitting = [sheet for sheet in tables if wanted and set(wanted) <= names[sheet]]
    unseen = hidden_sheets(path)
    chosen = min(fitting or tables or list(heads), key=lambda sheet: sheet in unseen)
    words = {sheet: [*["hidden"] * (sheet in unseen), *["no table"] * (not names[sheet])] for sheet in heads}
    told = {sheet: f"{sheet!r}" + (f" ({', '.join(words[sheet])})" if words[sheet] else "") for sheet in heads}
    return chosen, ", ".join(told[sheet] for sheet in heads if sheet != chosen)


# ----------------------------------------------------------------------------------------------------------- cells
def _counts(column: Any) -> bool:
    """Whether a column counts the rows from 0 or 1."""
    if isinstance(column, list):
        return False
    return any(np.array_equal(column, np.arange(first, first + len(column))) for first in (0, 1))


def _value(cell: Any) -> Any:
    """A cell with None for a missing value, text without spaces around it, and every number as a float."""
    if isinstance(cell, str):
        cell = cell.strip()
        return None if cell in MISSING else cell
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    if isinstance(cell, datetime.date | datetime.time | datetime.timedelta):
        return cell
    try:
        return float(cell)
    except (TypeError, ValueError):
        return str(cell)

"""A network's answers beside the rows that they are about: a copy of the user's file with more columns.

A copy of a workbook is made by openpyxl, which keeps values, formulas, formats, comments, charts and other sheets. What
it does not keep (text boxes, macros, slicers, …) is found by comparing the parts of both files, and said.
"""

from __future__ import annotations

import copy
import csv
import importlib.util
import io
import itertools
import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.tables.reading.cells import FRAMES, Cells, read_frame
from minigrad.tables.reading.table import Reading
from minigrad.tables.reading.text_files import Dialect, TableError, is_text_file, rows_of
from minigrad.tables.reading.workbooks import COLUMN_LIMIT
from minigrad.tables.writing.outputs import refuse_output
from minigrad.version import installing

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Any]]

SHEET = "predictions"
BY_PANDAS = dict.fromkeys(FRAMES, ("pyarrow", "parquet")) | {".ods": ("odf", "ods")}
"""Endings of files that pandas writes, each with the module that it does it by, and our extra that installs that."""
PARTS = {
    "pictures": r"xl/media/.*",
    "charts": r"xl/charts/chart\d*\.xml",
    "macros": r"xl/vbaProject\.bin",
    "embedded objects": r"xl/embeddings/.*",
    "form controls": r"xl/ctrlProps/.*",
    "slicers": r"xl/slicers/.*",
    "threaded comments": r"xl/threadedComments/.*",
    "pivot tables": r"xl/pivotTables/.*\.xml",
    "links to other workbooks": r"xl/externalLinks/[^/]*\.xml",
}
PLAIN_PARTS = (
    r"\[Content_Types\]\.xml|(_rels|xl/_rels)/[^/]*|docProps/[^/]*|"
    r"xl/(workbook|styles|sharedStrings|metadata|theme/theme\d*|worksheets/[^/]*)\.xml"
)
CHOSEN_STYLE = rb"<dxf[ >]|<numFmt |<u/>|<i/>|<sz val=\"(?!11|10)|patternType=\"(?!none|gray125)"
CHOSEN_LAYOUT = (
    rb"<f[ >]|<f/|<cols>|<pane |<mergeCell|<conditionalFormatting|<dataValidation|<hyperlink|<autoFilter|"
    rb"<sheetProtection|<tabColor|<headerFooter|<rowBreaks|<r><rPr>|customHeight|\bhidden="
)
SHAPE = re.compile(rb"<(?:\w+:)?(?:sp|cxnSp)[ >]")


def check_output(source: Path, out: Path, force: bool) -> None:
    """Raise ValueError or OSError, before the work, for a file that the answers can't be written to."""
    ending = out.suffix.lower()
    if not is_text_file(out) and ending != ".xlsx" and ending not in BY_PANDAS:
        raise ValueError(f"{out}: the name of the file to write ends in .xlsx, .csv, .tsv, .parquet, .feather or .ods")
    if ending in BY_PANDAS:
        module, extra = BY_PANDAS[ending]
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"{out}: {ending} files are written by {module}: {installing(extra)}")
    if target_of(out).exists() and out.samefile(source):  # by other capitals, too, where a file system has one case
        raise ValueError(f"{out} is the file with the data; choose another name")
    refuse_output(out, force)


def write_beside(table: Cells, reading: Reading, columns: Columns, out: Path) -> list[str]:
    """Write the table's file to `out` with these columns to the right of the others; return what could not be kept.

    A text file is written as the table's is, in its encoding and with its marks.
    """
    for name in columns:
        if name in table.names:
            raise TableError(f"{table.where} has a column {name!r} already; rename it, and predict again")
    if len(table.names) + len(columns) > COLUMN_LIMIT:
        raise TableError(f"{table.where} has no room for {len(columns)} more columns")
    columns = _with_gaps(table, columns)
    if out.suffix.lower() in BY_PANDAS:
        _write_frame(out, _frame_of(table, reading).assign(**columns))
        return _values_alone(table)
    if is_text_file(out):
        if table.dialect is not None:
            return _add_to_text(table, table.dialect, reading, columns, out)
        cells = [column if isinstance(column, list) else column.tolist() for column in table.columns]
        _write_text(out, [*table.names, *columns], zip(*cells, *columns.values(), strict=True))
        return [f"{what}, since a text file holds no more" for what in _values_alone(table)]
    if table.sheet is not None and table.path.suffix.lower() == ".xlsx":
        return _copy_workbook(table, len(table.names), columns, out)
    _write_new(out, {**{name: reading.values(table, name) for name in table.names}, **columns})
    return _values_alone(table)


def _values_alone(table: Cells) -> list[str]:
    """What a file of the table's values alone does not keep."""
    if table.sheet is not None:
        return ["all but the values of this sheet"]
    return ["what stands below the table"] if table.more else []


def _with_gaps(table: Cells, columns: Columns) -> Columns:
    """The columns with nothing in the rows of the table that are empty, which have no answers."""
    if not table.blank:
        return columns
    places = np.delete(np.arange(table.rows), table.blank).tolist()
    found: dict[str, list[Any]] = {}
    for name, values in columns.items():
        found[name] = [None] * table.rows
        for place, value in zip(places, values, strict=True):
            found[name][place] = value
    return found


def write_sheet(source: Path, columns: Columns, out: Path) -> list[str]:
    """Write a copy of a workbook whose sheets have no headers, with these columns on a sheet of their own."""
    if is_text_file(out):
        _write_text(out, columns, zip(*columns.values(), strict=True))
        return ["all but the predictions, since a text file holds no more"]
    if out.suffix.lower() in BY_PANDAS:
        import pandas as pd

        _write_frame(out, pd.DataFrame(dict(columns)))
        return ["all but the predictions"]
    return _copy_workbook(source, 0, columns, out)


def _add_to_text(table: Cells, dialect: Dialect, reading: Reading, columns: Columns, out: Path) -> list[str]:
    """The lines of the text file with more cells. Where its encoding lacks a letter of them, the copy is UTF-8."""
    decimal = reading.decimal_in(table)
    delimiter = "\t" if out.suffix.lower() in (".tsv", ".tab") else dialect.delimiter
    encoding, lost = dialect.encoding, []
    try:
        for word in (*columns, *(value for values in columns.values() for value in values if isinstance(value, str))):
            word.encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8-sig"
        lost.append(f"its encoding, {dialect.encoding}, which has not all letters of the predictions; it is UTF-8")

    def wide(row: list[str]) -> list[str]:
        """A row without answers, as wide as those with them if it was as wide as those."""
        return [*row, *[""] * len(columns)] if len(row) == len(table.names) else row

    with replacing(out) as file, rows_of(table.path, dialect) as rows:
        text = io.TextIOWrapper(file, encoding, newline="")
        writer = csv.writer(text, delimiter=delimiter, lineterminator=dialect.line_end)
        writer.writerows(itertools.islice(rows, table.header))
        writer.writerow([*next(rows), *columns])
        empty = set(table.blank)
        answered = zip(itertools.islice(rows, table.rows), zip(*columns.values(), strict=True), strict=True)
        for place, (row, new) in enumerate(answered):
            writer.writerow([*row, *(_marked(value, decimal) for value in new)] if place not in empty else wide(row))
        writer.writerows(map(wide, rows))
        text.flush()
        text.detach()
    return lost


def _marked(value: Any, decimal: str) -> Any:
    """A number with the decimal mark of the file."""
    value = _plain(value)
    return repr(value).replace(".", ",") if decimal == "," and isinstance(value, float) else value


def _write_text(out: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with replacing(out) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(
            text, delimiter="\t" if out.suffix.lower() in (".tsv", ".tab") else ",", lineterminator="\n"
        )
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in rows)
        text.flush()
        text.detach()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53 else value


def _write_new(out: Path, columns: Columns, sheet: str | None = None) -> None:
    """A workbook of values alone, by XlsxWriter row by row: a fourth of the time that openpyxl takes."""
    import xlsxwriter

    written = io.BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(written, {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm", **plain})
    page = book.add_worksheet(sheet)
    page.write_row(0, 0, list(columns))
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        for place, value in enumerate(row):
            cell = _plain(value)
            if cell is not None:
                page.write(number, place, cell)
    book.close()
    with replacing(out) as file:
        file.write(written.getbuffer())


def _frame_of(table: Cells, reading: Reading) -> pd.DataFrame:
    """A Parquet or Feather file as it is, types and all; of others the values, text where they are of several kinds."""
    import pandas as pd

    if table.path.suffix.lower() in FRAMES:
        frame = read_frame(table.path).reset_index(drop=True)
        return frame.set_axis(table.names, axis=1)
    columns = {}
    for name in table.names:
        values = reading.values(table, name)
        kinds = {type(value) for value in values if value is not None}
        several = len(kinds) > 1 and not kinds <= {int, float}
        columns[name] = [None if v is None else str(v) for v in values] if several else values
        if kinds == {float}:
            plain = [_plain(value) for value in values]
            columns[name] = plain if all(type(value) is int for value in plain) else values
    return pd.DataFrame(columns)


def _write_frame(out: Path, frame: pd.DataFrame) -> None:
    """A Parquet, Feather or OpenDocument file, by the engines of pandas."""
    written, ending = io.BytesIO(), out.suffix.lower()
    if ending == ".ods":
        engine: Any = "odf"  # of which the stubs of pandas do not know
        frame.to_excel(written, index=False, engine=engine)
    elif FRAMES[ending] == "Parquet":
        frame.to_parquet(written, index=False)
    else:
        frame.to_feather(written)
    with replacing(out) as file:
        file.write(written.getbuffer())


def _copy_workbook(source: Path | Cells, position: int, columns: Columns, out: Path) -> list[str]:
    import openpyxl

    table, path = (None, source) if isinstance(source, Path) else (source, source.path)
    if table is not None and table.header == 0 and not table.more and _holds_values_alone(path):
        values = {name: column if isinstance(column, list) else column.tolist() for name, column in _named(table)}
        _write_new(out, {**values, **columns}, table.sheet)
        return []
    with path.open("rb") as original, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        book = openpyxl.load_workbook(original, rich_text=True)
    if table is not None:
        sheet = book[table.sheet or ""]
    elif SHEET in book.sheetnames:
        raise TableError(f"{path} has a sheet {SHEET!r} already; rename it, and predict again")
    else:
        sheet = book.create_sheet(SHEET)
    _put(sheet, position, columns, 0 if table is None else table.header)
    written = io.BytesIO()
    book.save(written)
    with replacing(out) as file:
        file.write(written.getbuffer())
    return [*dict.fromkeys(str(warning.message) for warning in said), *_lost(path, written)]


def _named(table: Cells) -> Iterable[tuple[str, Any]]:
    return zip(table.names, table.columns, strict=True)


def _holds_values_alone(path: Path) -> bool:
    """Whether a workbook is one sheet of values in the customary format, so that all of it stands in its cells.

    The bold and framed header that pandas writes is no format that anybody has chosen.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(not re.fullmatch(PLAIN_PARTS, name) for name in names):
            return False
        styles = archive.read("xl/styles.xml") if "xl/styles.xml" in names else b""
        sheets = [name for name in names if name.startswith("xl/worksheets/")]
        if len(sheets) != 1 or re.search(CHOSEN_STYLE, styles):
            return False
        return not re.search(CHOSEN_LAYOUT, archive.read(sheets[0]))


def _put(sheet: Any, position: int, columns: Columns, header: int) -> None:
    """Write columns with their names in the row of the header, in the format of the names to their left."""
    for column, (name, values) in enumerate(columns.items(), position + 1):
        for row, value in enumerate((name, *values), header + 1):
            cell = sheet.cell(row, column)
            if isinstance(value, str):
                cell.value, cell.data_type = value, "s"  # or the label "=A1" would become a formula
            elif value is not None:
                cell.value = _plain(value)
        if position:
            sheet.cell(header + 1, column)._style = copy.copy(sheet.cell(header + 1, position)._style)


def _lost(source: Path, written: io.BytesIO) -> list[str]:
    """What the copy has less of than the original."""
    before, after = _parts(source), _parts(written)
    return [f"{before[kind] - after[kind]} of {before[kind]} {kind}" for kind in before if before[kind] > after[kind]]


def _parts(file: Path | io.BytesIO) -> dict[str, int]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        counts = {kind: sum(1 for name in names if re.fullmatch(part, name)) for kind, part in PARTS.items()}
        drawings = [name for name in names if re.fullmatch(r"xl/drawings/[^/]*\.xml", name)]
        counts["text boxes and shapes"] = sum(len(SHAPE.findall(archive.read(name))) for name in drawings)
    return counts

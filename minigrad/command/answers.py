"""A network's answers beside the rows that they are about: a copy of the user's file with more columns.

A copy of a workbook is made by openpyxl, which keeps values, formulas, formats, comments, charts and other sheets. What
it does not keep (text boxes, macros, slicers, …) is found by comparing the parts of both files, and said.
"""

from __future__ import annotations

import copy
import csv
import io
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigrad.atomic import replacing, target_of
from minigrad.data.table import Cells, TableError, is_text_file
from minigrad.data.workbook import COLUMN_LIMIT

Columns = Mapping[str, Sequence[Any]]

SHEET = "predictions"
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
SHAPE = re.compile(rb"<(?:\w+:)?(?:sp|cxnSp)[ >]")


def check_output(source: Path, out: Path, force: bool) -> None:
    """Raise ValueError or OSError, before the work, for a file that the answers can't be written to."""
    if not is_text_file(out) and out.suffix.lower() != ".xlsx":
        raise ValueError(f"{out}: the name of the file to write ends in .xlsx, .csv or .tsv")
    if target_of(out) == source.resolve():
        raise ValueError(f"{out} is the file with the data; choose another name")
    if out.exists() and not force:
        raise ValueError(f"{out} exists already; choose another name, or replace it with --force")


def write_beside(table: Cells, columns: Columns, out: Path) -> list[str]:
    """Write the table's file to `out` with these columns to the right of the others; return what could not be kept."""
    for name in columns:
        if name in table.names:
            raise TableError(f"{table.where} has a column {name!r} already; rename it, and predict again")
    if len(table.names) + len(columns) > COLUMN_LIMIT:
        raise TableError(f"{table.where} has no room for {len(columns)} more columns")
    if is_text_file(out):
        _write_text(out, [*table.names, *columns], [[*row, *new] for row, new in _rows(table, columns)])
        return [] if table.sheet is None else ["all but the values of this sheet, since a text file holds no more"]
    if table.sheet is not None:
        return _copy_workbook(table.path, table.sheet, len(table.names), columns, out)
    _write_new(out, {**{name: table.values(place) for place, name in enumerate(table.names)}, **columns})
    return []


def write_sheet(source: Path, columns: Columns, out: Path) -> list[str]:
    """Write a copy of a workbook whose sheets have no headers, with these columns on a sheet of their own."""
    if is_text_file(out):
        _write_text(out, list(columns), list(map(list, zip(*columns.values(), strict=True))))
        return ["all but the predictions, since a text file holds no more"]
    return _copy_workbook(source, None, 0, columns, out)


def _rows(table: Cells, columns: Columns) -> Any:
    return zip(table.rows, zip(*columns.values(), strict=True), strict=True)


def _write_text(out: Path, names: list[str], rows: list[list[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t" if out.suffix.lower() in (".tsv", ".tab") else ",", lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_plain(value) for value in row] for row in rows)
    with replacing(out) as file:
        file.write(text.getvalue().encode())


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53 else value


def _write_new(out: Path, columns: Columns) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    _put(sheet, 0, columns)
    with replacing(out) as file:
        book.save(file)


def _copy_workbook(source: Path, name: str | None, position: int, columns: Columns, out: Path) -> list[str]:
    import openpyxl

    with source.open("rb") as original, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        book = openpyxl.load_workbook(original, rich_text=True)
    if name is not None:
        sheet = book[name]
    elif SHEET in book.sheetnames:
        raise TableError(f"{source} has a sheet {SHEET!r} already; rename it, and predict again")
    else:
        sheet = book.create_sheet(SHEET)
    _put(sheet, position, columns)
    written = io.BytesIO()
    book.save(written)
    with replacing(out) as file:
        file.write(written.getvalue())
    return [*dict.fromkeys(str(warning.message) for warning in said), *_lost(source, written)]


def _put(sheet: Any, position: int, columns: Columns) -> None:
    """Write columns with their names in row 1, in the format of the names to their left."""
    for column, (name, values) in enumerate(columns.items(), position + 1):
        for row, value in enumerate((name, *values), 1):
            cell = sheet.cell(row, column)
            if isinstance(value, str):
                cell.value, cell.data_type = value, "s"  # or the label "=A1" would become a formula
            elif value is not None:
                cell.value = _plain(value)
        if position:
            sheet.cell(1, column)._style = copy.copy(sheet.cell(1, position)._style)


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

"""Writes workbooks in the tutorial's format: a sheet of numbers, a sheet of labels, no headers."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.atomic import replacing, target_of
from minigrad.tables.reading.workbooks import COLUMN_LIMIT, ROW_LIMIT, cell_name, kind_of_cell

NUMBERS = "xl/worksheets/sheet1.xml"


def write_workbook(
    path: str | os.PathLike[str],
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    x_sheet: str = "X",
    y_sheet: str = "y",
    overwrite: bool = False,
    progress: bool = False,
) -> None:
    """Write x (m, n) and m labels as a workbook that `read_workbook` reads; with `progress` a bar counts the rows.

    float32 numbers are written with as many digits as tell them from their neighbours (0.6, not 0.6000000238418579):
    the file stays small, and its numbers, cast to float32, are the very same. All others are written with 16 digits.
    The file appears when it is complete; one that exists is kept, and FileExistsError raised, without `overwrite`.

    Raises ValueError for x and labels that do not fit together or on a sheet, for none, for numbers that are not
    finite, and for labels of two kinds or missing ones.
    """
    import xlsxwriter
    from tqdm import tqdm

    path = Path(path)
    x, names = np.asarray(x), np.asarray(labels)
    if x.dtype != np.float32:
        x = x.astype(np.float64)
    _check(x, names)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or overwrite it explicitly")
    target_of(path)  # a missing folder is told before the work, not after it

    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True})
    book.add_worksheet(x_sheet)
    sheet = book.add_worksheet(y_sheet)
    for row, name in enumerate(names.tolist()):
        write: Any = sheet.write_string if isinstance(name, str) else sheet.write  # or "=A1" would become a formula
        write(row, 0, name)
    book.close()
    with (
        zipfile.ZipFile(made) as empty,
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in empty.namelist():
            if part != NUMBERS:
                archive.writestr(part, empty.read(part))
        head, tail = empty.read(NUMBERS).split(b"<sheetData/>")
        with archive.open(NUMBERS, "w") as numbers:
            last = f"{_letters(x.shape[1] - 1)}{len(x)}"
            numbers.write(head.replace(b'ref="A1"', f'ref="A1:{last}"'.encode()) + b"<sheetData>")
            for line in tqdm(_rows(x), desc=path.name, unit="row", total=len(x), disable=not progress):
                numbers.write(line.encode())
            numbers.write(b"</sheetData>" + tail)


def _rows(x: npt.NDArray[Any]) -> Iterator[str]:
    """The XML of each row of numbers: ten times as quick as a library that looks at the kind of each cell."""
    different, places = np.unique(x, return_inverse=True)
    cells = [f"<v>{value if x.dtype == np.float32 else format(value, '.16g')}</v></c>" for value in different]
    columns = [f'<c r="{_letters(column)}' for column in range(x.shape[1])]
    rows: Any = places.reshape(x.shape).tolist()
    for number, row in enumerate(rows, 1):
        end = f'{number}">'
        yield f'<row r="{number}">{"".join([c + end + cells[k] for c, k in zip(columns, row, strict=True)])}</row>'


def _letters(column: int) -> str:
    """The letters of a column, which counts from 0."""
    return cell_name("X", 0, column).removeprefix("X!").rstrip("1")


def _check(x: npt.NDArray[Any], names: npt.NDArray[Any]) -> None:
    """Raise ValueError for rows and labels that a workbook can't hold, or can't tell apart."""
    if x.ndim != 2 or names.ndim != 1 or len(x) != len(names):
        raise ValueError(f"a workbook takes x (rows, columns) and labels (rows,), not {x.shape} and {names.shape}")
    if len(x) == 0 or x.shape[1] == 0:
        raise ValueError(f"there are no rows or no columns to write: x has the shape {x.shape}")
    if len(x) > ROW_LIMIT or x.shape[1] > COLUMN_LIMIT:
        raise ValueError(f"x of shape {x.shape} does not fit on a sheet of {ROW_LIMIT} rows and {COLUMN_LIMIT} columns")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"x[{row}, {column}] is {x[row, column]}; a workbook holds finite numbers only")
    kinds = [kind_of_cell(name) for name in names.tolist()]
    if len(set(kinds)) > 1 or None in kinds or (kinds[0] == "a number" and not np.isfinite(names.astype(float)).all()):
        raise ValueError("the labels of a workbook are all finite numbers, all text or all bools, and none is missing")

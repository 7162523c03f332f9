"""Writes workbooks in the tutorial's format, by openpyxl: a sheet of numbers, a sheet of labels, no headers."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.atomic import replacing, target_of
from minigrad.tables.reading.workbooks import COLUMN_LIMIT, ROW_LIMIT, kind_of_cell


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
    import openpyxl
    from openpyxl.cell import WriteOnlyCell
    from tqdm import tqdm

    path = Path(path)
    x, names = np.asarray(x), np.asarray(labels)
    if x.dtype != np.float32:
        x = x.astype(np.float64)
    _check(x, names)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; choose another name, or overwrite it explicitly")
    target_of(path)  # a missing folder is told before the work, not after it

    book = openpyxl.Workbook(write_only=True)
    try:
        sheet = book.create_sheet(x_sheet)
        for values in tqdm(x, desc=path.name, unit="row", disable=not progress):
            sheet.append((values.astype(str).astype(np.float64) if x.dtype == np.float32 else values).tolist())
        sheet = book.create_sheet(y_sheet)
        for name in names.tolist():
            cell = WriteOnlyCell(sheet, name)
            if isinstance(name, str):
                cell.data_type = "s"  # or the label "=A1" would become a formula
            sheet.append([cell])
    except BaseException:
        for sheet in book.worksheets:
            sheet.close()  # what openpyxl has begun to write complains when it is dropped half-way
        raise
    written = io.BytesIO()
    book.save(written)  # not into the file: where that fails, half-closed archives complain
    with replacing(path) as file:
        file.write(written.getbuffer())


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

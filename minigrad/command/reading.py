"""Reads what the user names as DATA: a table with a header, two sheets of a workbook, or the digits."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.command.sources import Choices, Sheets, Source, Table, with_source
from minigrad.data.cells import FRAMES, Cells, read_cells
from minigrad.data.deciding import Asked
from minigrad.data.digits import load_digits
from minigrad.data.table import Reading
from minigrad.data.text_file import is_text_file
from minigrad.data.words import no_such_file, shown
from minigrad.data.workbook import MissingSheetError, cell_name, read_workbook

DIGITS_TOLD = "the digits that come with minigrad"
CUSTOMARY = "X", "y"  # sheets
LARGE = 30  # sizes of x from which sigmoids are flat, and training hardly moves
TABLE_OPTIONS = (
    "sheet",
    "task",
    "encoding",
    "header_row",
    "drop",
    "keep",
    "as_number",
    "as_category",
    "decimal",
    "date_order",
    "split_by",
    "group",
)


def read_source(options: argparse.Namespace) -> Source:
    """What DATA, --target, --sheet, --task, --x and --y name. Raises ValueError where they don't go together."""
    if options.target is not None:
        if options.x is not None or options.y is not None:
            raise ValueError("--x and --y name sheets without a header, --target a column of one with a header")
        if options.data == DIGITS:
            raise ValueError(f"{DIGITS} has no header and no columns with names; leave --target out")
        return _read_table(options)
    given = [option for option in TABLE_OPTIONS if getattr(options, option) not in (None, [])]
    if given:
        named = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        verb = "is" if len(given) == 1 else "are"
        raise ValueError(f"{named} {verb} about a table with a header; name its column to predict with --target")
    names = options.x or CUSTOMARY[0], options.y or CUSTOMARY[1]
    if options.data == DIGITS:
        return Sheets(DIGITS_TOLD, names, *load_digits())
    return _read_sheets(options.data, names)


def _read_table(options: argparse.Namespace) -> Table:
    asked = Asked(tuple(options.as_number), tuple(options.as_category), options.decimal, options.date_order)
    with busy(f"reading {options.data}"):
        cells = read_cells(
            options.data,
            options.sheet,
            encoding=options.encoding,
            header_row=options.header_row,
            wanted=[options.target],
        )
        cells.position(options.target, "to predict")
        read = (set(cells.names) - set(options.drop)) | {options.target, options.split_by, options.group}
        reading = Reading.decide(cells, asked, read - {None})
        frame, column = reading.frame(cells, options.target, hints=True)
    assert column is not None
    choices = Choices(tuple(options.drop), tuple(options.keep), options.split_by, options.group)
    with with_source(cells.where):
        return Table(
            frame,
            column,
            options.task,
            where=cells.where,
            sheet=cells.sheet,
            reading=reading,
            said=cells.said,
            choices=choices,
        )


def _read_sheets(data: str, names: tuple[str, str]) -> Sheets:
    """The two sheets of a workbook, checked to be something that classes can be learned from."""
    if not Path(data).exists():
        raise ValueError(f"{no_such_file(data)} (DATA is FILE.csv or FILE.xlsx, or the word {DIGITS})")
    if is_text_file(data) or Path(data).suffix.lower() in FRAMES:
        raise _without_target(read_cells(data))
    x_sheet, y_sheet = names
    try:
        with busy(f"reading {data}"):
            x, labels = read_workbook(data, x_sheet, y_sheet)
    except MissingSheetError as error:
        cells = None
        if names == CUSTOMARY:
            with suppress(ValueError):
                cells = read_cells(data)
        told = f"{error}; or, if a sheet has a header, the column to predict with --target"
        raise ValueError(told) if cells is None else _without_target(cells) from error
    if labels.dtype.kind == "f":
        row = int(np.argmax(labels % 1 != 0))
        raise ValueError(
            f"{data}: {cell_name(y_sheet, row, 0)} holds {labels[row]}, which is no class; labels are whole numbers, "
            f"text, or TRUE and FALSE"
        )
    largest = abs(x).max()
    if largest > np.finfo(np.float32).max:
        row, column = map(int, np.unravel_index(abs(x).argmax(), x.shape))
        raise ValueError(
            f"{data}: {cell_name(x_sheet, row, column)} holds {x[row, column]:g}, which is too large to compute with; "
            f"divide the values of its column"
        )
    if largest > LARGE:
        print(
            f"minigrad: note: values on sheet {x_sheet!r} reach {largest:g}; a network learns better from values of "
            f"about 0 to 1, so divide the columns by their largest values",
            file=sys.stderr,
        )
    return Sheets(data, names, x, labels)


def _without_target(cells: Cells) -> ValueError:
    """What to say where a table is to be trained on, and nobody says what it is to tell."""
    return ValueError(
        f"{cells.where}: which column is to be predicted? Name it by --target; the columns: {shown(cells.names)}"
    )

"""Reads what a training or a model is given: a table, two sheets of a workbook, the digits, a frame, arrays.

A `Source` has rows to learn from; `Rows` are those that a model is asked about.
"""

from __future__ import annotations

import os
import reprlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigrad.data.digits import load_digits
from minigrad.data.messages import no_such_file, shown
from minigrad.sequential import Sequential
from minigrad.tables.answers import Answers, Predictor
from minigrad.tables.jobs import busy
from minigrad.tables.out_of_core import is_larger, read_large
from minigrad.tables.reading.cells import FRAMES, WHERE, Cells, cells_of, check_frame, frame_of, read_cells
from minigrad.tables.reading.inference import Asked
from minigrad.tables.reading.table import Reading
from minigrad.tables.reading.text_files import is_text_file
from minigrad.tables.reading.workbooks import MissingSheetError, cell_name, read_sheets, read_workbook
from minigrad.tables.settings import Options
from minigrad.tables.sources import Choices, Sheets, Source, Table, with_source
from minigrad.tables.target import spelled_as, target_values

if TYPE_CHECKING:
    import pandas as pd

DIGITS = "digits"  # the word that stands for them where a file is expected
TARGET = "t"  # what the answers of a pair of arrays are called
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


def read_source(options: Options) -> Source:
    """What the data, --target, --sheet, --task, --x and --y name. Raises ValueError where they don't go together."""
    if is_larger(options.data, options.stream):
        return read_large(options)
    if not isinstance(options.data, str | os.PathLike):
        return _of_frame(options)
    if options.target is not None:
        if options.x is not None or options.y is not None:
            raise ValueError("--x and --y name sheets without a header, --target a column of one with a header")
        if options.data == DIGITS:
            raise ValueError(f"{DIGITS} has no header and no columns with names; leave --target out")
        return _read_table(options)
    given = [option for option in TABLE_OPTIONS if getattr(options, option) not in (None, ())]
    if given:
        named = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        verb = "is" if len(given) == 1 else "are"
        raise ValueError(f"{named} {verb} about a table with a header; name its column to predict with --target")
    names = options.x or CUSTOMARY[0], options.y or CUSTOMARY[1]
    if options.data == DIGITS:
        return Sheets(DIGITS_TOLD, names, *load_digits())
    return _read_sheets(str(options.data), names)


def _of_frame(options: Options) -> Table:
    """The rows of a DataFrame, or of a pair of arrays (x, t)."""
    data, target = options.data, options.target
    if isinstance(data, tuple):
        data, target = frame_of(*data), target or TARGET
    if not hasattr(data, "columns"):
        raise TypeError(
            f"data={reprlib.repr(data)}: give a DataFrame, the path of a file or a folder, or a pair of arrays (x, t)"
        )
    named = [name for name in ("sheet", "encoding", "header_row", "x", "y") if getattr(options, name) is not None]
    if named:
        raise ValueError(f"{named[0]} is about a file, and the data is a DataFrame")
    cells = cells_of(data)
    if target is None:
        raise _without_target(cells)
    return _table(cells, replace(options, target=target))


def _read_table(options: Options) -> Table:
    with busy(f"reading {options.data}"):
        cells = read_cells(
            options.data,
            options.sheet,
            encoding=options.encoding,
            header_row=options.header_row,
            wanted=[options.target or ""],
        )
        return _table(cells, options)


def _table(cells: Cells, options: Options) -> Table:
    """The columns that are not dropped, each read as all of its cells say."""
    target = options.target
    assert target is not None
    asked = Asked(options.as_number, options.as_category, options.decimal, options.date_order)
    with busy(f"reading {cells.path}"):
        cells.position(target, "to predict")
        read = (set(cells.names) - set(options.drop)) | {target, options.split_by, options.group}
        reading = Reading.decide(cells, asked, [name for name in read if name is not None])
        frame, column = reading.frame(cells, target, hints=True)
    assert column is not None
    choices = Choices(options.drop, options.keep, options.split_by, options.group)
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


# ------------------------------------------------------------------------------- what a model is asked about
@dataclass(frozen=True)
class Rows:
    """The user's rows as a model takes them, numbers or the frame of a `table`, and their answers, as far as known."""

    where: str
    x: Any
    known: Any = None
    table: Cells | None = None
    said: tuple[str, ...] = ()
    """What is to be told of how they were read."""
    reading: Reading = field(default_factory=Reading)
    """How the table's columns are read."""

    def answered_by(self, model: Sequential | Predictor) -> Answers:
        """The model's answers. Raises ValueError that names the data where they don't fit the model."""
        with with_source(self.where):
            return model.answer(self.x) if isinstance(model, Predictor) else Answers.of(model, self.x)

    def surprises(self, model: Sequential | Predictor) -> list[str]:
        """What is new in these rows to a model of a table."""
        return model.preparation.surprises(self.x) if isinstance(model, Predictor) else []

    def tell(self, surprises: Iterable[str] = ()) -> None:
        """Print, to stderr, how the rows were read, and what else is to be said of them."""
        for each in (*self.said, *surprises):
            print(f"minigrad: note: {self.where}: {each}", file=sys.stderr)

    def refuse_unseen(self, model: Sequential | Predictor) -> None:
        """Raise ValueError for a known answer that is a label of which the model has learned nothing."""
        if self.known is None or model.classes is None:
            return
        classes = set(model.classes.tolist())
        for row, label in enumerate(self.known.tolist()):
            if label not in classes:
                place = f"row {row + 1} of the labels"
                if isinstance(model, Predictor):
                    place = f"column {model.target.name!r}, row {self.x.index[row]}"
                raise ValueError(
                    f"{self.where}: {place} holds the label {label!r}; the network was trained on "
                    f"{shown(model.classes)}"
                )


class Asking(Protocol):
    """How a file is to be read that a model is asked about: the options of the commands that take one."""

    model: str
    data: str
    sheet: str | None
    encoding: str | None
    header_row: int | None
    x: str | None
    y: str | None


def read_rows(model: Sequential | Predictor, options: Asking, *, answered: bool = False) -> Rows:
    """The rows of DATA that this model is asked about; if they are to be `answered`, with their known answers."""
    if isinstance(model, Predictor):
        return _read_table_for(model, options, answered)
    x: Any
    known: Any = None
    trained = model.preparation or {}
    x_sheet, y_sheet = options.x or str(trained.get("x", "X")), options.y or str(trained.get("y", "y"))
    if answered and options.data == DIGITS:
        where, (x, known) = DIGITS_TOLD, load_digits()
    elif answered:
        with busy(f"reading {options.data}"):
            x, known = read_workbook(options.data, x_sheet, y_sheet)
        where = f"{options.data}: sheets {x_sheet!r} and {y_sheet!r}"
    else:
        with busy(f"reading {options.data}"):
            [sheet] = read_sheets(options.data, x_sheet)
            x = sheet.numbers()
        where = f"{options.data}: sheet {x_sheet!r}"
    if model.input_shape is not None and model.input_shape != x.shape[1:]:
        raise ValueError(
            f"{where}: has {x.shape[1]} columns of numbers, but the network takes rows of {model.input_shape}"
        )
    return Rows(where, x, known)


def _read_table_for(model: Predictor, options: Asking, answered: bool) -> Rows:
    target = model.target.name if answered else None
    with busy(f"reading {options.data}"):
        cells = _cells(model, options, [*model.preparation.names, *([] if target is None else [target])])
        names = [*model.preparation.names, *([] if target is None else [target])]
        if missing := [name for name in model.preparation.names if name not in cells.names]:
            raise ValueError(f"{cells.where}: {model.preparation.without(missing, cells.names)}")
        reading, otherwise = model.reading.adapted(cells, names)
        frame, column = reading.frame(cells, target, only=model.preparation.names)
    said = [*(f"{about}: {text}" for about, text in cells.said), *otherwise]
    return replace(_answered(model, cells.where, frame, column, said), table=cells, reading=reading)


def rows_of(model: Predictor, frame: pd.DataFrame, *, answered: bool = False) -> Rows:
    """The rows of a frame that a model is asked about. Raises ValueError for one without the columns that it needs."""
    check_frame(frame)
    names = [*model.preparation.names, *([model.target.name] if answered else [])]
    there = [str(name) for name in frame.columns]
    if missing := [name for name in names if name not in there]:
        raise ValueError(f"{WHERE}: {model.preparation.without(missing, there)}")
    if not answered:
        return Rows(WHERE, frame)
    column = model.reading.apply(frame[[model.target.name]])[model.target.name]
    return _answered(model, WHERE, frame[model.preparation.names], column, [])


def _answered(model: Predictor, where: str, frame: pd.DataFrame, column: Any, said: list[str]) -> Rows:
    """The rows that have a value in `column`, with these as the known answers; all of them without a column."""
    known = None
    if column is not None:
        gaps = column.isna().to_numpy()
        if gaps.any():
            said = [*said, f"{int(gaps.sum()):,} rows without a value in column {model.target.name!r} are left out"]
            frame, column = frame[~gaps], column[~gaps]
        with with_source(where):
            if not len(frame):
                raise ValueError(f"column {model.target.name!r} has no values to compare with")
            known = target_values(column, model.target.task)[2]
        if model.classes is not None:
            known = spelled_as(known, model.classes.tolist())
    return Rows(where, frame, known, said=tuple(said))


def _cells(model: Predictor, options: Asking, wanted: list[str]) -> Cells:
    """The table: the sheet that is asked for, else the one of the training's name, else the one with its columns."""
    if options.data == DIGITS and not Path(DIGITS).exists():
        raise ValueError(
            f"{options.model} was trained on a table with the columns {shown(model.preparation.names)}, which {DIGITS} "
            f"does not have; give a table that has them"
        )
    how: dict[str, Any] = {"encoding": options.encoding, "header_row": options.header_row}
    trained = model.facts.get("sheet")
    if options.sheet is None and isinstance(trained, str) and Path(options.data).suffix.lower() in (".xlsx", ".ods"):
        with suppress(MissingSheetError):
            return read_cells(options.data, trained, **how)
    return read_cells(options.data, options.sheet, wanted=wanted, **how)

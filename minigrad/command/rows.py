"""What a model is asked about: the rows of DATA as it takes them, and their answers where those are known."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from minigrad.command.networks import Answers, answer
from minigrad.command.progress import busy
from minigrad.command.sources import DIGITS, DIGITS_TOLD, with_source
from minigrad.data.digits import load_digits
from minigrad.data.preparation import is_of_table, table_of, target_values
from minigrad.data.table import Cells, read_cells, shown
from minigrad.data.workbook import MissingSheetError, read_sheets, read_workbook
from minigrad.sequential import Sequential


@dataclass(frozen=True)
class Rows:
    """The user's rows as a model takes them: numbers, or the frame of a `table`."""

    where: str
    x: Any
    table: Cells | None = None

    def answered_by(self, model: Sequential) -> Answers:
        """The model's answers. Raises ValueError that names the data where they don't fit the model."""
        with with_source(self.where):
            return answer(model, self.x)

    def surprises(self, model: Sequential) -> list[str]:
        """What is new in these rows to a model of a table."""
        return [] if self.table is None else table_of(model)[0].surprises(self.x)


def read_rows(model: Sequential, options: argparse.Namespace) -> Rows:
    """The rows of DATA, whose answers need not be known."""
    if is_of_table(model):
        preparation, _ = table_of(model)
        with busy(f"reading {options.data}"):
            cells = _cells(model, options)
            frame, _ = cells.frame(only=preparation.names)
        return Rows(cells.where, frame, cells)
    name, _ = _sheet_names(model, options)
    with busy(f"reading {options.data}"):
        [sheet] = read_sheets(options.data, name)
        rows = Rows(f"{options.data}: sheet {name!r}", sheet.numbers())
    _refuse_width(model, rows)
    return rows


def read_examples(model: Sequential, options: argparse.Namespace) -> tuple[Rows, npt.NDArray[Any]]:
    """The rows of DATA and their known answers, (m,): labels, or numbers."""
    if is_of_table(model):
        preparation, target = table_of(model)
        with busy(f"reading {options.data}"):
            cells = _cells(model, options)
            frame, column = cells.frame(target.name, only=preparation.names)
        assert column is not None
        with with_source(cells.where):
            _, _, known = target_values(column, target.task)
        return Rows(cells.where, frame, cells), known
    if options.data == DIGITS:
        x: npt.NDArray[Any]
        x, known = load_digits()
        rows = Rows(DIGITS_TOLD, x)
    else:
        x_sheet, y_sheet = _sheet_names(model, options)
        with busy(f"reading {options.data}"):
            x, known = read_workbook(options.data, x_sheet, y_sheet)
        rows = Rows(f"{options.data}: sheets {x_sheet!r} and {y_sheet!r}", x)
    _refuse_width(model, rows)
    return rows, known


def refuse_unseen(model: Sequential, rows: Rows, known: npt.NDArray[Any]) -> None:
    """Raise ValueError for a known label that the model has not been trained on."""
    if model.classes is None:
        return
    classes = set(model.classes.tolist())
    for row, label in enumerate(known.tolist()):
        if label not in classes:
            place = f"row {row + 1} of the labels"
            if rows.table is not None:
                place = f"column {table_of(model)[1].name!r}, row {row + 2}"
            raise ValueError(
                f"{rows.where}: {place} holds the label {label!r}; the network was trained on {shown(model.classes)}"
            )


def _cells(model: Sequential, options: argparse.Namespace) -> Cells:
    """The table: the sheet that is asked for, else the one of the training's name, else the first."""
    if options.data == DIGITS and not Path(DIGITS).exists():
        preparation, _ = table_of(model)
        raise ValueError(
            f"{options.model} was trained on a table with the columns {shown(preparation.names)}, which {DIGITS} does "
            f"not have; give a table that has them"
        )
    trained = (model.preparation or {}).get("sheet")
    if options.sheet is None and isinstance(trained, str) and Path(options.data).suffix.lower() == ".xlsx":
        with suppress(MissingSheetError):
            return read_cells(options.data, trained)
    return read_cells(options.data, options.sheet)


def _sheet_names(model: Sequential, options: argparse.Namespace) -> tuple[str, str]:
    """The names of the sheets of numbers and of labels."""
    written = model.preparation or {}
    return options.x or str(written.get("x", "X")), options.y or str(written.get("y", "y"))


def _refuse_width(model: Sequential, rows: Rows) -> None:
    """Raise ValueError for rows of another width than the network takes."""
    if model.input_shape is not None and model.input_shape != rows.x.shape[1:]:
        raise ValueError(
            f"{rows.where}: has {rows.x.shape[1]} columns of numbers, but the network takes rows of {model.input_shape}"
        )

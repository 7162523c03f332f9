"""What a model is asked about: the rows of DATA as it takes them, and their answers where those are known."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigrad.command.networks import Answers, answer
from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.command.sources import DIGITS_TOLD, with_source
from minigrad.data.digits import load_digits
from minigrad.data.preparation import is_of_table, table_of, target_values
from minigrad.data.table import Cells, read_cells, shown
from minigrad.data.workbook import MissingSheetError, read_sheets, read_workbook
from minigrad.sequential import Sequential


@dataclass(frozen=True)
class Rows:
    """The user's rows as a model takes them, numbers or the frame of a `table`, and their answers, as far as known."""

    where: str
    x: Any
    known: Any = None
    table: Cells | None = None

    def answered_by(self, model: Sequential) -> Answers:
        """The model's answers. Raises ValueError that names the data where they don't fit the model."""
        with with_source(self.where):
            return answer(model, self.x)

    def surprises(self, model: Sequential) -> list[str]:
        """What is new in these rows to a model of a table."""
        return [] if self.table is None else table_of(model)[0].surprises(self.x)

    def refuse_unseen(self, model: Sequential) -> None:
        """Raise ValueError for a known answer that is a label of which the model has learned nothing."""
        if self.known is None or model.classes is None:
            return
        classes = set(model.classes.tolist())
        for row, label in enumerate(self.known.tolist()):
            if label not in classes:
                place = f"row {row + 1} of the labels"
                if self.table is not None:
                    place = f"column {table_of(model)[1].name!r}, row {row + 2}"
                raise ValueError(
                    f"{self.where}: {place} holds the label {label!r}; the network was trained on "
                    f"{shown(model.classes)}"
                )


def read_rows(model: Sequential, options: argparse.Namespace, *, answered: bool = False) -> Rows:
    """The rows of DATA that this model is asked about; if they are to be `answered`, with their known answers."""
    if is_of_table(model):
        return _read_table(model, options, answered)
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


def _read_table(model: Sequential, options: argparse.Namespace, answered: bool) -> Rows:
    preparation, target = table_of(model)
    with busy(f"reading {options.data}"):
        cells = _cells(model, options)
        frame, column = cells.frame(target.name if answered else None, only=preparation.names)
    with with_source(cells.where):
        known = None if column is None else target_values(column, target.task)[2]
    return Rows(cells.where, frame, known, cells)


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

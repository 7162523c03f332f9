"""What a model is asked about: the rows of DATA as it takes them, and their answers where those are known."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.command.sources import DIGITS_TOLD, with_source
from minigrad.data.digits import load_digits
from minigrad.data.preparation import target_values
from minigrad.data.table import Cells, read_cells, shown
from minigrad.data.workbook import MissingSheetError, read_sheets, read_workbook
from minigrad.sequential import Sequential
from minigrad.table_model import Answers, TableModel


@dataclass(frozen=True)
class Rows:
    """The user's rows as a model takes them, numbers or the frame of a `table`, and their answers, as far as known."""

    where: str
    x: Any
    known: Any = None
    table: Cells | None = None

    def answered_by(self, model: Sequential | TableModel) -> Answers:
        """The model's answers. Raises ValueError that names the data where they don't fit the model."""
        with with_source(self.where):
            return model.answer(self.x) if isinstance(model, TableModel) else Answers.of(model, self.x)

    def surprises(self, model: Sequential | TableModel) -> list[str]:
        """What is new in these rows to a model of a table."""
        return model.preparation.surprises(self.x) if isinstance(model, TableModel) else []

    def refuse_unseen(self, model: Sequential | TableModel) -> None:
        """Raise ValueError for a known answer that is a label of which the model has learned nothing."""
        if self.known is None or model.classes is None:
            return
        classes = set(model.classes.tolist())
        for row, label in enumerate(self.known.tolist()):
            if label not in classes:
                place = f"row {row + 1} of the labels"
                if isinstance(model, TableModel):
                    place = f"column {model.target.name!r}, row {row + 2}"
                raise ValueError(
                    f"{self.where}: {place} holds the label {label!r}; the network was trained on "
                    f"{shown(model.classes)}"
                )


def read_rows(model: Sequential | TableModel, options: argparse.Namespace, *, answered: bool = False) -> Rows:
    """The rows of DATA that this model is asked about; if they are to be `answered`, with their known answers."""
    if isinstance(model, TableModel):
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


def _read_table(model: TableModel, options: argparse.Namespace, answered: bool) -> Rows:
    with busy(f"reading {options.data}"):
        cells = _cells(model, options)
        frame, column = cells.frame(model.target.name if answered else None, only=model.preparation.names)
    with with_source(cells.where):
        known = None if column is None else target_values(column, model.target.task)[2]
    return Rows(cells.where, frame, known, cells)


def _cells(model: TableModel, options: argparse.Namespace) -> Cells:
    """The table: the sheet that is asked for, else the one of the training's name, else the first."""
    if options.data == DIGITS and not Path(DIGITS).exists():
        raise ValueError(
            f"{options.model} was trained on a table with the columns {shown(model.preparation.names)}, which {DIGITS} "
            f"does not have; give a table that has them"
        )
    trained = model.facts.get("sheet")
    if options.sheet is None and isinstance(trained, str) and Path(options.data).suffix.lower() == ".xlsx":
        with suppress(MissingSheetError):
            return read_cells(options.data, trained)
    return read_cells(options.data, options.sheet)

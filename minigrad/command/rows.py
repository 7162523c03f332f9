"""What a model is asked about: the rows of DATA as it takes them, and their answers where those are known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.command.reading import DIGITS_TOLD
from minigrad.command.sources import with_source
from minigrad.data.cells import Cells, read_cells
from minigrad.data.digits import load_digits
from minigrad.data.table import Reading
from minigrad.data.target import spelled_as, target_values
from minigrad.data.words import shown
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
    said: tuple[str, ...] = ()
    """What is to be told of how they were read."""
    reading: Reading = field(default_factory=Reading)
    """How the table's columns are read."""

    def answered_by(self, model: Sequential | TableModel) -> Answers:
        """The model's answers. Raises ValueError that names the data where they don't fit the model."""
        with with_source(self.where):
            return model.answer(self.x) if isinstance(model, TableModel) else Answers.of(model, self.x)

    def surprises(self, model: Sequential | TableModel) -> list[str]:
        """What is new in these rows to a model of a table."""
        return model.preparation.surprises(self.x) if isinstance(model, TableModel) else []

    def tell(self, surprises: Iterable[str] = ()) -> None:
        """Print, to stderr, how the rows were read, and what else is to be said of them."""
        for each in (*self.said, *surprises):
            print(f"minigrad: note: {self.where}: {each}", file=sys.stderr)

    def refuse_unseen(self, model: Sequential | TableModel) -> None:
        """Raise ValueError for a known answer that is a label of which the model has learned nothing."""
        if self.known is None or model.classes is None:
            return
        classes = set(model.classes.tolist())
        for row, label in enumerate(self.known.tolist()):
            if label not in classes:
                place = f"row {row + 1} of the labels"
                if isinstance(model, TableModel):
                    place = f"column {model.target.name!r}, row {self.x.index[row]}"
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
    target = model.target.name if answered else None
    with busy(f"reading {options.data}"):
        cells = _cells(model, options, [*model.preparation.names, *([] if target is None else [target])])
        names = [*model.preparation.names, *([] if target is None else [target])]
        if missing := [name for name in model.preparation.names if name not in cells.names]:
            raise ValueError(f"{cells.where}: {model.preparation.without(missing, cells.names)}")
        reading, otherwise = model.reading.adapted(cells, names)
        frame, column = reading.frame(cells, target, only=model.preparation.names)
    known, said = None, [*(f"{about}: {text}" for about, text in cells.said), *otherwise]
    if column is not None:
        gaps = column.isna().to_numpy()
        if gaps.any():
            said.append(f"{int(gaps.sum()):,} rows without a value in column {target!r} are left out")
            frame, column = frame[~gaps], column[~gaps]
        with with_source(cells.where):
            if not len(frame):
                raise ValueError(f"column {target!r} has no values to compare with")
            known = target_values(column, model.target.task)[2]
        if model.classes is not None:
            known = spelled_as(known, model.classes.tolist())
    return Rows(cells.where, frame, known, cells, tuple(said), reading)


def _cells(model: TableModel, options: argparse.Namespace, wanted: list[str]) -> Cells:
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

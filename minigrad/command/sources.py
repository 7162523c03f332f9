"""What `train` learns from: rows with known answers, read from what the user names and told in the user's words."""

from __future__ import annotations

import argparse
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.command.networks import LABELS, NUMBERS, YES_OR_NO, Split
from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.data.digits import load_digits
from minigrad.data.preparation import NumberColumn, Preparation, Target, Task, target_values
from minigrad.data.split import Rows, split_rows
from minigrad.data.table import is_text_file, read_cells
from minigrad.data.workbook import MissingSheetError, cell_name, read_workbook

if TYPE_CHECKING:
    import pandas as pd

DIGITS_TOLD = "the digits that come with minigrad"
LARGE = 30  # sizes of x from which sigmoids are flat, and training hardly moves
LEAST_ROWS = 10  # of a table to train on


class Source(ABC):
    """Rows with known answers, of which `where` is the user's name, and `first_row` the number of the first row."""

    where: str
    task: Task
    answers: npt.NDArray[Any]
    """(m,): labels, or numbers."""
    first_row = 1

    def hold_out(self, test_size: float, seed: int) -> Split:
        """Hold rows out, and prepare all by the others. Raises ValueError where one can't learn, or can't test."""
        if self.task == "regression":
            return self.prepare(*split_rows(len(self.answers), test_size, seed=seed))
        _refuse_impossible_split(len(self.answers), len(np.unique(self.answers)), test_size)
        return self.prepare(*split_rows(self.answers, test_size, seed=seed))

    @abstractmethod
    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """All rows as a network takes them, by what the rows to train on tell."""


class Sheets(Source):
    """A sheet of numbers x and one of labels, both without a header; the digits are told as if they were such."""

    task: Task = "classification"

    def __init__(self, where: str, names: tuple[str, str], x: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        self.where, self.names, self.x, self.answers = where, names, x, labels

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """The numbers as they are."""
        x_sheet, y_sheet = self.names
        facts = {"format": "sheets", "x": x_sheet, "y": y_sheet}
        return Split(self.x, self.answers, self.answers, train, held_out, YES_OR_NO, facts)


class Table(Source):
    """The columns of a table with a header, and the one to predict, whose task is found out unless it is asked for."""

    first_row = 2  # the header is the first

    def __init__(
        self,
        frame: pd.DataFrame,
        column: pd.Series[Any],
        task: Task | None = None,
        *,
        where: str = "the table",
        sheet: str | None = None,
    ) -> None:
        self.frame, self.column, self.where, self.sheet = frame, column, where, sheet
        self.task, why, self.answers = target_values(column, task)
        self.why = f"{why}, so this is a {self.task} ({'as --task says' if task else '--task overrides this'})"

    def hold_out(self, test_size: float, seed: int) -> Split:
        """Hold rows out, and prepare all by the others. Raises ValueError where one can't learn, or can't test."""
        name, total, different = self.column.name, len(self.answers), self.column.nunique()
        if total < LEAST_ROWS:
            raise ValueError(f"has {total} rows; {LEAST_ROWS} are the least to learn from and to test on")
        if different < 2:
            raise ValueError(f"column {name!r}: all {total} rows hold the same; there is nothing to tell")
        if self.task == "regression" and round(test_size * total) < 2:
            raise ValueError(f"--test-size {test_size:g} of {total} rows holds out fewer than two")
        if self.task == "classification" and 2 * different > total:
            raise ValueError(
                f"column {name!r} has {different} different labels in {total} rows; that is too few rows of each to "
                f"learn from"
            )
        return super().hold_out(test_size, seed)

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """Each column as `Preparation` and `Target` encode it."""
        target = Target.fit(self.column.iloc[train], self.task)
        preparation = Preparation.fit(self.frame.iloc[train])
        facts = {
            "format": "table",
            **preparation.to_json(),
            "target": {"name": target.name, "task": target.task, "mean": target.mean, "scale": target.scale},
            "sheet": self.sheet,
        }
        columns = zip_longest(["columns"], _column_lines(preparation), fillvalue="")
        return Split(
            x=preparation.transform(self.frame),
            t=target.encode(self.answers),
            answers=self.answers,
            train=train,
            held_out=held_out,
            recipe=LABELS if self.task == "classification" else NUMBERS,
            facts=facts,
            names=preparation.features,
            target=target,
            notes=(("target", f"{self.column.name}: {self.why}"), *columns),
            for_json={"task": self.task, "preparation": dict(preparation.notes())},
        )


@contextmanager
def with_source(where: str) -> Iterator[None]:
    """Put the place of the data before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


# ------------------------------------------------------------------------------------------------------- reading
def read_source(options: argparse.Namespace) -> Source:
    """What DATA, --target, --sheet, --task, --x and --y name. Raises ValueError where they don't go together."""
    if options.target is not None:
        if options.x is not None or options.y is not None:
            raise ValueError("--x and --y name sheets without a header, --target a column of one with a header")
        if options.data == DIGITS:
            raise ValueError(f"{DIGITS} has no header and no columns with names; leave --target out")
        return _read_table(options)
    if options.sheet is not None or options.task is not None:
        raise ValueError("--sheet and --task are about a table with a header; name its column to predict with --target")
    names = options.x or "X", options.y or "y"
    if options.data == DIGITS:
        return Sheets(DIGITS_TOLD, names, *load_digits())
    return _read_sheets(options.data, names)


def _read_table(options: argparse.Namespace) -> Table:
    with busy(f"reading {options.data}"):
        cells = read_cells(options.data, options.sheet)
        frame, column = cells.frame(options.target)
    assert column is not None
    with with_source(cells.where):
        return Table(frame, column, options.task, where=cells.where, sheet=cells.sheet)


def _read_sheets(data: str, names: tuple[str, str]) -> Sheets:
    """The two sheets of a workbook, checked to be something that classes can be learned from."""
    if not Path(data).exists():
        raise ValueError(f"{data}: there is no such file (DATA is FILE.csv or FILE.xlsx, or the word {DIGITS})")
    if is_text_file(data):
        raise ValueError(
            f"{data} is a text file (CSV?), not a workbook of two sheets; name the column to predict, as in "
            f"--target COLUMN"
        )
    x_sheet, y_sheet = names
    try:
        with busy(f"reading {data}"):
            x, labels = read_workbook(data, x_sheet, y_sheet)
    except MissingSheetError as error:
        raise ValueError(f"{error}; or, if a sheet has a header, the column to predict with --target") from error
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


# --------------------------------------------------------------------------------------------- checks and words
def _refuse_impossible_split(rows: int, classes: int, test_size: float) -> None:
    if classes < 2:
        raise ValueError("all labels are the same; there must be two classes at least")
    held_out, possible = round(test_size * rows), rows - classes
    if not 1 <= held_out <= possible:
        raise ValueError(
            f"--test-size {test_size:g} of {rows} rows is {held_out} rows to hold out; one row of each of the "
            f"{classes} classes stays in training, so from 1 to {possible} are possible"
        )


def _column_lines(preparation: Preparation) -> list[str]:
    """What is done with each column, those of plain numbers together."""
    numbers = [column for column in preparation.columns if isinstance(column, NumberColumn)]
    plain = [column.name for column in numbers if column.kind == "number" and not column.flagged]
    lines = [f"numbers, standardised: {', '.join(plain)}"] if plain else []
    return lines + [f"{name}: {text}" for name, text in preparation.notes() if name not in plain]

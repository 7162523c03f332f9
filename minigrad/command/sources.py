"""What `train` learns from: rows with known answers, read from what the user names and told in the user's words."""

from __future__ import annotations

import argparse
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.command.networks import LABELS, NUMBERS, YES_OR_NO, Split
from minigrad.command.options import DIGITS
from minigrad.command.progress import busy
from minigrad.data.cells import read_cells
from minigrad.data.columns import NumberColumn, moments_of, numbers_of, texts_of
from minigrad.data.digits import load_digits
from minigrad.data.preparation import PLURALS, Preparation, kind_of
from minigrad.data.split import Rows, split_groups, split_latest, split_rows
from minigrad.data.table import Asked, Reading
from minigrad.data.target import Target, Task, target_values
from minigrad.data.text_file import is_text_file
from minigrad.data.words import did_you_mean, shown
from minigrad.data.workbook import MissingSheetError, cell_name, read_workbook
from minigrad.results.importance import column_groups
from minigrad.results.seen import Hashes, as_cells

if TYPE_CHECKING:
    import pandas as pd

DIGITS_TOLD = "the digits that come with minigrad"
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
LEAST_ROWS = 10  # of a table to train on


class Source(ABC):
    """Rows with known answers: `where` is the user's name for them, and `row_numbers` (m,) are those in the file."""

    where: str
    task: Task
    answers: npt.NDArray[Any]
    """(m,): labels, or numbers."""
    row_numbers: Rows

    def hold_out(self, test_size: float, seed: int) -> Split:
        """Hold rows out, and prepare all by the others. Raises ValueError where one can't learn, or can't test."""
        if self.task == "regression":
            return self.prepare(*split_rows(len(self.answers), test_size, seed=seed))
        _refuse_impossible_split(len(self.answers), len(np.unique(self.answers)), test_size)
        return self.prepare(*split_rows(self.answers, test_size, seed=seed))

    def cells(self) -> Hashes | None:
        """The digest of every cell that a row has, (m, columns); None where a network gets all of them."""
        return None

    @abstractmethod
    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """All rows as a network takes them, by what the rows to train on tell."""


class Sheets(Source):
    """A sheet of numbers x and one of labels, both without a header; the digits are told as if they were such."""

    task: Task = "classification"

    def __init__(self, where: str, names: tuple[str, str], x: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        self.where = where
        self.names = names
        self.x = x
        self.answers = labels
        self.row_numbers: Rows = np.arange(1, len(x) + 1)

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """The numbers as they are."""
        x_sheet, y_sheet = self.names
        facts = {"format": "sheets", "x": x_sheet, "y": y_sheet}
        return Split(self.x, self.answers, self.answers, train, held_out, YES_OR_NO, facts)


@dataclass(frozen=True)
class Choices:
    """What the user says of a table's columns: those to `drop` and to `keep`, and how rows are held out."""

    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    split_by: str | None = None
    group: str | None = None

    def check(self, target: str, names: list[str]) -> None:
        """Raise ValueError for a column that the table does not have, and for choices that exclude each other."""
        one = {"--split-by": self.split_by, "--group": self.group}
        named = [(option, name) for option, name in one.items() if name is not None]
        named += [("--drop", name) for name in self.drop] + [("--keep", name) for name in self.keep]
        for option, name in named:
            if name not in (*names, target):
                near = did_you_mean(name, names)
                raise ValueError(f"there is no column {name!r} for {option}{near}; the columns: {shown(names)}")
            if name == target:
                raise ValueError(f"{option} {name!r}: that is the column to predict")
        if self.split_by is not None and self.group is not None:
            raise ValueError("--split-by and --group hold rows out in two ways; give one of them")
        if both := set(self.drop) & set(self.keep):
            raise ValueError(f"column {min(both)!r} can't be dropped and kept at once")

    def left_out(self) -> dict[str, str]:
        """The columns that are not to be learned from, with the reasons."""
        reasons = dict.fromkeys(self.drop, "dropped, as you asked for (--drop)")
        if self.group is not None and self.group not in self.keep:
            reasons.setdefault(self.group, "the group (--group), which new rows need not belong to (--keep uses it)")
        return reasons


class Table(Source):
    """The columns of a table with a header, and the one to predict, whose task is found out unless it is asked for.

    Rows without a target are left out. `reading` is how the columns of the file were read, and `said` what was chosen
    about the file for the user.
    """

    task: Task
    why: str
    answers: npt.NDArray[Any]

    def __init__(
        self,
        frame: pd.DataFrame,
        column: pd.Series[Any],
        task: Task | None = None,
        *,
        where: str = "the table",
        sheet: str | None = None,
        reading: Reading | None = None,
        said: tuple[tuple[str, str], ...] = (),
        choices: Choices | None = None,
    ) -> None:
        self.where = where
        self.sheet = sheet
        self.said = said
        self.reading: Reading = reading or Reading()
        self.choices: Choices = choices or Choices()
        self.choices.check(str(column.name), [str(name) for name in frame.columns])
        gaps = column.isna().to_numpy()
        self.without_target: int = int(gaps.sum())
        if self.without_target:
            frame, column = frame[~gaps], column[~gaps]
            if column.dtype == object and all(isinstance(value, bool) for value in column):
                column = column.astype(bool)
        if not len(column):
            raise ValueError(f"column {column.name!r} has no values; there is nothing to learn")
        self.frame: pd.DataFrame = frame
        self.column: pd.Series[Any] = column
        self.row_numbers: Rows = frame.index.to_numpy()
        self.task, why, self.answers = target_values(column, task)
        self.why = f"{why}, so this is a {self.task} ({'as --task says' if task else '--task overrides this'})"

    def hold_out(self, test_size: float, seed: int) -> Split:
        """Hold rows out, and prepare all by the others. Raises ValueError where one can't learn, or can't test."""
        name, total, different = self.column.name, len(self.answers), len(np.unique(self.answers))
        if total < LEAST_ROWS:
            gone = f", and {self.without_target:,} without a value in column {name!r}" if self.without_target else ""
            raise ValueError(f"has {total} rows{gone}; {LEAST_ROWS} are the least to learn from and to test on")
        if different < 2:
            raise ValueError(f"column {name!r}: all {total} rows hold the same; there is nothing to tell")
        if self.task == "regression" and round(test_size * total) < 2:
            raise ValueError(f"--test-size {test_size:g} of {total} rows holds out fewer than two")
        if self.task == "classification" and 2 * different > total:
            raise ValueError(
                f"column {name!r} has {different} different labels in {total} rows; that is too few rows of each to "
                f"learn from"
            )
        by, group = self.choices.split_by, self.choices.group
        if by is not None:
            return self._held_out(*self._latest(by, test_size), f"the latest by {by!r} (--split-by)")
        if group is not None:
            with with_source(f"--group {group!r}"):
                parts = split_groups([str(text) for text in texts_of(self.frame[group])], test_size, seed=seed)
            return self._held_out(*parts, f"whole groups by {group!r} (--group)")
        return super().hold_out(test_size, seed)

    def _latest(self, name: str, test_size: float) -> tuple[Rows, Rows]:
        """The rows split by the order of a column."""
        kind = kind_of(self.frame[name])
        if kind not in ("date", "number"):
            raise ValueError(f"--split-by {name!r}: the column holds {PLURALS[kind]}, which have no order in time")
        with with_source(f"--split-by {name!r}"):
            return split_latest(self._in_order(self.frame[name]), test_size)

    def _in_order(self, column: pd.Series[Any]) -> npt.NDArray[Any]:
        """What a column of --split-by, or a part of it, is ordered by; missing values are NaN or NaT."""
        kind = kind_of(self.frame[str(column.name)])
        return moments_of(column) if kind == "date" else numbers_of(column, kind)

    def _held_out(self, train: Rows, held_out: Rows, drawn: str) -> Split:
        """The split, if training has every label."""
        if self.task == "classification":
            known = set(self.answers[train].tolist())
            new = [label for label in np.unique(self.answers[held_out]).tolist() if label not in known]
            if new or len(known) < 2:
                what = f"the label {new[0]!r} stands in them alone" if new else "the others are all of one label"
                raise ValueError(
                    f"{len(held_out)} rows held out, {drawn}: {what}; choose another column or another --test-size"
                )
        return replace(self.prepare(train, held_out), drawn=drawn)

    def cells(self) -> Hashes:
        """Those of all columns but the target's, also of columns that are left out."""
        columns = [as_cells(self.frame[name].to_numpy()) for name in self.frame.columns]
        return np.column_stack(columns) if columns else np.zeros((len(self.frame), 0), np.uint64)

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """Each column as `Preparation` and `Target` encode it."""
        target = Target.fit(self.column.iloc[train], self.task)
        left_out = self.choices.left_out()
        preparation = Preparation.fit(self.frame.iloc[train], keep=self.choices.keep, leave_out=left_out)
        used = {*preparation.names, target.name}
        facts = {
            "format": "table",
            **preparation.to_json(),
            "target": {"name": target.name, "task": target.task, "mean": target.mean, "scale": target.scale},
            "sheet": self.sheet,
            "reading": {name: how for name, how in self.reading.to_json().items() if name in used},
        }
        columns = zip_longest(["columns"], _column_lines(preparation, self.reading), fillvalue="")
        notes = [("target", f"{target.name}: {self.why}"), *self.said]
        if self.without_target:
            notes.append(("rows", f"{self.without_target:,} without a value in column {target.name!r} are left out"))
        return Split(
            x=preparation.transform(self.frame),
            t=target.encode(self.answers),
            answers=self.answers,
            train=train,
            held_out=held_out,
            recipe=LABELS if self.task == "classification" else NUMBERS,
            facts=facts,
            names=preparation.features,
            groups=column_groups(preparation),
            target=target,
            dates=tuple(str(name) for name in self.frame if kind_of(self.frame[name]) == "date"),
            notes=(*notes, *columns),
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
    given = [option for option in TABLE_OPTIONS if getattr(options, option) not in (None, [])]
    if given:
        named = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        verb = "is" if len(given) == 1 else "are"
        raise ValueError(f"{named} {verb} about a table with a header; name its column to predict with --target")
    names = options.x or "X", options.y or "y"
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


def _column_lines(preparation: Preparation, reading: Reading) -> list[str]:
    """How each column is read, and what is done with it; those of plain numbers together."""
    read = dict(reading.notes())
    plain = [
        column.name
        for column in preparation.columns
        if isinstance(column, NumberColumn)
        and column.kind == "number"
        and not column.flagged
        and column.name not in read
    ]
    lines = [f"numbers, standardised: {', '.join(plain)}"] if plain else []
    told = [(name, f"{read[name]}; {text}" if name in read else text) for name, text in preparation.notes()]
    return lines + [f"{name}: {text}" for name, text in told if name not in plain]

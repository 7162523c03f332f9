"""What `train` learns from: rows with known answers, how some are held out, and what of it is told to the user."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.data.messages import did_you_mean, names_a_code, shown
from minigrad.data.split import Rows, split_groups, split_latest, split_rows
from minigrad.results.duplicates import Hashes, as_cells
from minigrad.tables.columns import NumberColumn, has_days, moments_of, numbers_of, texts_of
from minigrad.tables.network import LABELS, NUMBERS, YES_OR_NO, Split
from minigrad.tables.preparation import PLURALS, Preparation, kind_of
from minigrad.tables.reading.table import Reading
from minigrad.tables.target import Target, Task, target_values

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 10  # of a table to train on
FEW_CODES = 20  # different numbers: so few may be grades or counts, whatever the column's name


class Source(ABC):
    """Rows with known answers: `where` is the user's name for them, and `row_numbers` (m,) are those in the file."""

    where: str
    task: Task
    answers: npt.NDArray[Any]
    """(m,): labels, or numbers."""
    row_numbers: Rows

    def hold_out(self, test_size: float, seed: int) -> Split:
        """Hold rows out, and prepare all by the others. Raises ValueError where one can't learn, or can't test."""
        if self.task == "classification":
            _refuse_impossible_split(len(self.answers), len(np.unique(self.answers)), test_size)
        return self.prepare(*self.part(np.arange(len(self.answers)), test_size, seed))

    def part(self, rows: Rows, test_size: float, seed: int) -> tuple[Rows, Rows]:
        """Those of these rows to train on, and those to hold out. Raises ValueError where one side would be empty."""
        train, held_out = split_rows(
            len(rows) if self.task == "regression" else self.answers[rows], test_size, seed=seed
        )
        return rows[train], rows[held_out]

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
        if by is None and group is None:
            return super().hold_out(test_size, seed)
        drawn = f"the latest by {by!r} (--split-by)" if by is not None else f"whole groups by {group!r} (--group)"
        return self._held_out(*self.part(np.arange(total), test_size, seed), drawn)

    def part(self, rows: Rows, test_size: float, seed: int) -> tuple[Rows, Rows]:
        """As the user chooses: the latest rows, whole groups, or rows at random."""
        by, group = self.choices.split_by, self.choices.group
        if by is None and group is None:
            return super().part(rows, test_size, seed)
        with with_source(f"--split-by {by!r}" if by is not None else f"--group {group!r}"):
            if by is not None:
                kind = kind_of(self.frame[by])
                if kind not in ("date", "number"):
                    raise ValueError(f"the column holds {PLURALS[kind]}; it takes dates or numbers")
                train, held_out = split_latest(self._in_order(self.frame[by].iloc[rows]), test_size)
            else:
                groups = [str(text) for text in texts_of(self.frame[group].iloc[rows])]
                train, held_out = split_groups(groups, test_size, seed=seed)
        return rows[train], rows[held_out]

    def _may_be_codes(self, name: str) -> bool:
        """Whether a column holds whole numbers, many different ones, under a name of numbers that count nothing."""
        if not names_a_code(name) or kind_of(self.frame[name]) != "number":
            return False
        values = self.frame[name].dropna().to_numpy()
        return bool(np.all(values == np.floor(values))) and len(np.unique(values)) > FEW_CODES

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
        codes = [name for name in preparation.names if self._may_be_codes(name)]
        columns = zip_longest(["columns"], _column_lines(preparation, self.reading, codes), fillvalue="")
        read = dict(self.reading.notes()).get(target.name)
        notes = [("target", f"{target.name}: {f'{read}; ' if read else ''}{self.why}"), *self.said]
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
            groups=preparation.groups,
            target=target,
            dates=tuple(
                str(name) for name in self.frame if kind_of(self.frame[name]) == "date" and has_days(self.frame[name])
            ),
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


def _column_lines(preparation: Preparation, reading: Reading, codes: Collection[str]) -> list[str]:
    """How each column is read, and what is done with it; those of plain numbers together, but for the `codes`."""
    read = dict(reading.notes())
    plain = [
        column.name
        for column in preparation.columns
        if isinstance(column, NumberColumn)
        and column.kind == "number"
        and not column.flagged
        and column.name not in read
        and column.name not in codes
    ]
    lines = [f"numbers, standardised: {', '.join(plain)}"] if plain else []
    told = [(name, f"{read[name]}; {text}" if name in read else text) for name, text in preparation.notes()]
    hint = "; if its numbers name things and count nothing, --drop {0!r} or --as-category {0!r}"
    told = [(name, text + (hint.format(name) if name in codes else "")) for name, text in told]
    return lines + [f"{name}: {text}" for name, text in told if name not in plain]

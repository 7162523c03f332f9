"""Tables that memory does not hold: a folder of Parquet files, or one such file with --stream, read in pieces.

A sample of the rows, drawn evenly in a first pass, tells what the columns mean, and parts of it are held out as those
of any table. A second pass writes all other rows, prepared, to a temporary file (TMPDIR says where); the network is
trained on windows of it. So memory holds the sample and two windows, whatever the table's size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.command.folder import load_model
from minigrad.command.networks import Split
from minigrad.command.progress import busy
from minigrad.command.sources import Choices, Table, with_source
from minigrad.command.use import columns_of
from minigrad.data.blocks import Blocks
from minigrad.data.preparation import Preparation
from minigrad.data.sources import ROWS, row_groups
from minigrad.data.split import Rows
from minigrad.data.target import spelled_as, target_values
from minigrad.data.words import did_you_mean, shown
from minigrad.metrics import ClassificationReport, confusion_matrix, wilson_interval
from minigrad.results.report import matrix_lines
from minigrad.results.words import amount
from minigrad.table_model import TableModel

if TYPE_CHECKING:
    import pandas as pd

SAMPLED = 128 * ROWS
"""Rows at most that tell what the columns mean, a share of which is held out: what is measured takes its time too."""


ENDINGS = (".parquet", ".pq")


def is_larger(options: argparse.Namespace) -> bool:
    """Whether DATA is to be read in pieces: a folder of Parquet files always is, or one in which there is nothing."""
    if Path(options.data).is_dir():
        found = [path.suffix.lower() in ENDINGS for path in Path(options.data).rglob("*") if path.is_file()]
        return any(found) or not found
    if options.stream and Path(options.data).suffix.lower() not in ENDINGS:
        raise ValueError(f"--stream reads Parquet files in pieces, and {options.data} is none; write it as one")
    return bool(options.stream)


class Pieces:
    """The rows of Parquet files as frames, one row group after the other; the index numbers all rows from 1."""

    names: list[str]

    def __init__(self, where: str, target: str | None = None) -> None:
        self.where = where
        self._groups, self.names, self._sizes = row_groups(where)
        self.rows: int = sum(self._sizes)
        if not self.rows:
            raise ValueError(f"{where}: there are no rows in it")
        if target is not None and target not in self.names:
            near = did_you_mean(target, self.names)
            raise ValueError(f"{where}: there is no column {target!r} to predict{near}; it has {shown(self.names)}")

    def __iter__(self) -> Iterator[pd.DataFrame]:
        start = 1
        for group, size in zip(self._groups, self._sizes, strict=True):
            frame = group.to_table(use_threads=False).to_pandas()
            yield frame.set_index(np.arange(start, start + size))
            start += size

    def sample(self, seed: int) -> pd.DataFrame:
        """Rows that are drawn with the same chance, in their order; all of them where they are few."""
        import pandas as pd

        share, rng, found = SAMPLED / self.rows, np.random.default_rng((seed, 0, 4)), []
        for frame in self:
            drawn = rng.random(len(frame)) < share
            found.append(frame[drawn] if share < 1 else frame)
        return pd.concat([frame for frame in found if len(frame)])


class LargeTable(Table):
    """The rows of Parquet files, of which a sample is in memory."""

    def __init__(self, pieces: Pieces, options: argparse.Namespace) -> None:
        self.pieces = pieces
        with busy(f"reading {pieces.where}"):
            frame = pieces.sample(options.settings.seed)
        said = ("sample", f"{len(frame):,} of {pieces.rows:,} rows say what the columns mean; a share is held out")
        super().__init__(
            frame.drop(columns=options.target),
            frame[options.target],
            options.task,
            where=pieces.where,
            said=(said,),
            choices=Choices(tuple(options.drop), tuple(options.keep)),
        )

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """Each column as the sample's training rows say, and all rows but those held out as blocks."""
        split = super().prepare(train, held_out)
        with busy(f"preparing {self.pieces.rows:,} rows of {self.where}"):
            blocks, unknown = self._blocks(split, set(self.row_numbers[held_out].tolist()))
        notes = split.notes
        if unknown:
            notes = (*notes, ("rows", f"{unknown:,} with a label that none of the sample has are left out"))
        return replace(split, blocks=blocks, notes=notes)

    def _blocks(self, split: Split, held_out: set[int]) -> tuple[Blocks, int]:
        """The prepared rows, in a file without a name, and how many have a label that is not known."""
        assert split.target is not None and split.names is not None
        preparation, name = Preparation.from_json(split.facts), split.target.name
        classes = np.unique(self.answers[split.train]) if self.task == "classification" else None
        unknown, targets, written = 0, [], 0
        with tempfile.TemporaryFile(prefix="minigrad-") as file:  # gone with the blocks, even if all is killed
            for frame in self.pieces:
                keep = np.array([number not in held_out for number in frame.index.tolist()])
                frame = frame[keep & frame[name].notna().to_numpy()]
                if not len(frame):
                    continue
                with with_source(self.where):
                    answers = target_values(frame[name], self.task)[2]
                    if classes is not None:
                        answers = spelled_as(answers, classes.tolist())
                        known = np.isin(answers, classes)
                        unknown += int((~known).sum())
                        frame, answers = frame[known], answers[known]
                    x = preparation.transform(frame.drop(columns=name))
                file.write(np.ascontiguousarray(x, np.float32).data)
                targets.append(split.target.encode(answers))
                written += len(x)
            file.flush()
            x = np.memmap(file, np.float32, "r", shape=(written, len(split.names)))
        return Blocks((x, np.concatenate(targets)), classes=classes), unknown


def read_large(options: argparse.Namespace) -> LargeTable:
    """The table of `train`. Raises ValueError for options that need all rows at once."""
    if options.target is None:
        raise ValueError(f"{options.data}: name the column to predict, as in --target COLUMN")
    for option in ("split_by", "group", "tune", "final"):
        if getattr(options, option) not in (None, False):
            raise ValueError(
                f"--{option.replace('_', '-')} needs all rows at once; of {options.data} a sample is held out"
            )
    return LargeTable(Pieces(options.data, options.target), options)


def predict_large(options: argparse.Namespace) -> int:
    """`minigrad predict MODEL FOLDER --out FILE.parquet`: the rows with the answers beside them, piece by piece."""
    import pyarrow
    from pyarrow import parquet

    if options.explain:
        raise ValueError(f"--explain is for tables that memory holds; take a part of {options.data}")
    out, pieces, model = Path(options.out), Pieces(options.data), _table_model(options)
    if out.suffix.lower() not in (".parquet", ".pq"):
        raise ValueError(f"{out}: the answers about {options.data} are written as Parquet; give a name in .parquet")
    if target_of(out).is_relative_to(Path(options.data).resolve()):
        raise ValueError(f"{out} lies among the data; choose another folder")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists already; choose another name, or replace it with --force")
    writer: Any = None
    with busy(f"writing {out}"), replacing(out) as file:
        for frame in pieces:
            with with_source(pieces.where):
                columns = columns_of(model, model.answer(frame))
                for name in columns:
                    if name in frame.columns:
                        raise ValueError(f"has a column {name!r} already; rename it, and predict again")
            table = pyarrow.Table.from_pandas(frame.assign(**columns), preserve_index=False)
            if writer is None:
                writer = parquet.ParquetWriter(file, table.schema)
            writer.write_table(table.cast(writer.schema))
        writer.close()
    print(f"{out}: {pieces.rows:,} rows of {options.data} with {shown(columns)}")
    return 0


def evaluate_large(options: argparse.Namespace) -> int:
    """`minigrad evaluate MODEL FOLDER`: how good the answers are, added up piece by piece."""
    model = _table_model(options)
    target = model.target
    pieces = Pieces(options.data, target.name)
    matrix: Any = 0
    sums = np.zeros(5)  # rows, and of t - m, (t - m)², (t - p)², |t - p|
    with busy(f"reading {options.data}"), with_source(pieces.where):
        for frame in pieces:
            frame = frame[frame[target.name].notna()]
            if not len(frame):
                continue
            known, found = target_values(frame[target.name], target.task)[2], model.answer(frame).values
            if model.classes is not None:
                known = spelled_as(known, model.classes.tolist())
                matrix = matrix + confusion_matrix(known, found, model.classes)
            else:
                t, error = known - target.mean, np.abs(known - found)  # near 0, so that squares lose no digits
                sums += len(t), t.sum(), (t**2).sum(), (error**2).sum(), error.sum()
        if model.classes is None and sums[0] < 2:
            raise ValueError("R² needs at least two rows with known answers")
    if model.classes is None:
        rows, total, squares, wrong, absolute = sums.tolist()
        r2, mae = 1 - wrong / (squares - total**2 / rows), absolute / rows
        if options.json:
            print(json.dumps({"data": pieces.where, "rows": int(rows), "r2": r2, "mae": mae}))
        else:
            print(f"data      {pieces.where}")
            print(f"R²        {r2:.3f} of {int(rows):,} rows (1 is perfect; 0 is what their own mean gets)")
            print(f"error     {amount(mae)} on average (mean absolute error)")
        return 0
    report = ClassificationReport.of(model.classes, matrix)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    low, high = wilson_interval(right, total)
    if options.json:
        measured = {"data": pieces.where, "rows": total, "accuracy": right / total, "interval": (low, high)}
        table = {"classes": model.classes.tolist(), "confusion_matrix": matrix.tolist()}
        print(json.dumps(measured | {"balanced_accuracy": report.balanced_accuracy} | table))
        return 0
    print(f"data      {pieces.where}")
    print(f"accuracy  {right / total:.3f}, 95 % interval {low:.3f} to {high:.3f}: {right:,} of {total:,} rows right\n")
    print("\n".join(matrix_lines("rows", [str(name) for name in model.classes.tolist()], matrix)))
    print(f"\n{report}")
    return 0


def _table_model(options: argparse.Namespace) -> TableModel:
    model = load_model(options.model)
    if not isinstance(model, TableModel):
        raise ValueError(f"{options.model} was not trained on a table with a header, and {options.data} is one")
    return model

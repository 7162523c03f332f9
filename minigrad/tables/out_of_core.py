"""Tables that memory does not hold: a folder of Parquet files, or one such file with --stream, read in pieces.

A sample of the rows, drawn evenly in a first pass, tells what the columns mean, and parts of it are held out as those
of any table. A second pass writes all other rows, prepared, to a temporary file (TMPDIR says where); the network is
trained on windows of it. So memory holds the sample and two windows, whatever the table's size.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.atomic import replacing, target_of
from minigrad.data.blocks import Blocks
from minigrad.data.messages import did_you_mean, shown
from minigrad.data.sources import ROWS, row_groups
from minigrad.data.split import Rows
from minigrad.tables.answers import Predictor, columns_of
from minigrad.tables.columns import texts_of
from minigrad.tables.jobs import busy
from minigrad.tables.network import Split
from minigrad.tables.preparation import Preparation
from minigrad.tables.settings import Options
from minigrad.tables.sources import Choices, Table, with_source
from minigrad.tables.target import Task, spelled_as, target_values
from minigrad.tables.writing.outputs import refuse_output

if TYPE_CHECKING:
    import pandas as pd

SAMPLED = 128 * ROWS
"""Rows at most that tell what the columns mean, a share of which is held out: what is measured takes its time too."""


ENDINGS = (".parquet", ".pq")


def is_larger(data: Any, stream: bool) -> bool:
    """Whether data is to be read in pieces: a folder of Parquet files always is, or one in which there is nothing."""
    if not isinstance(data, str | os.PathLike):
        return False
    if Path(data).is_dir():
        found = [path.suffix.lower() in ENDINGS for path in Path(data).rglob("*") if path.is_file()]
        return any(found) or not found
    if stream and Path(data).suffix.lower() not in ENDINGS:
        raise ValueError(f"--stream reads Parquet files in pieces, and {data} is none; write it as one")
    return stream


class Pieces:
    """The rows of Parquet files as frames, one row group after the other; the index numbers all rows from 1."""

    names: list[str]

    def __init__(self, where: str, target: str | None = None) -> None:
        self.where = where
        self.target = target
        self._groups, self.names, self._sizes = row_groups(where)
        self.rows: int = sum(self._sizes)
        if not self.rows:
            raise ValueError(f"{where}: there are no rows in it")
        if target is not None and target not in self.names:
            near = did_you_mean(target, self.names)
            raise ValueError(f"{where}: there is no column {target!r} to predict{near}; it has {shown(self.names)}")

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return self._read(None)

    def _read(self, columns: list[str] | None) -> Iterator[pd.DataFrame]:
        start = 1
        for group, size in zip(self._groups, self._sizes, strict=True):
            frame = group.to_table(columns=columns, use_threads=False).to_pandas()
            yield frame.set_index(np.arange(start, start + size))
            start += size

    def answered(self, task: Task, *, alone: bool = False) -> Iterator[tuple[pd.DataFrame, npt.NDArray[Any]]]:
        """The rows with a target, and the targets; if these are wanted `alone`, no other column is read."""
        assert self.target is not None
        for frame in self._read([self.target] if alone else None):
            frame = frame[frame[self.target].notna()]
            if len(frame):
                yield frame, target_values(frame[self.target], task)[2]

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

    def __init__(self, pieces: Pieces, options: Options) -> None:
        self.pieces = pieces
        with busy(f"reading {pieces.where}"):
            frame = pieces.sample(options.settings.seed)
        said = ("sample", f"{len(frame):,} of {pieces.rows:,} rows say what the columns mean; a share is held out")
        super().__init__(
            frame.drop(columns=str(pieces.target)),
            frame[pieces.target],
            options.task,
            where=pieces.where,
            said=(said,),
            choices=Choices(options.drop, options.keep, options.split_by, options.group),
        )

    def prepare(self, train: Rows, held_out: Rows) -> Split:
        """Each column as the sample's training rows say, and all rows as blocks but those held out, and their like.

        Without rows held out, the sample alone.
        """
        split = super().prepare(train, held_out)
        if not len(held_out):
            return split
        kept = self._kept(np.setdiff1d(held_out, train))
        with busy(f"preparing {self.pieces.rows:,} rows of {self.where}"):
            blocks, unknown, like = self._blocks(split, kept)
        notes = (*split.notes, ("rows", f"{blocks.rows():,} of all {self.pieces.rows:,} are trained on"))
        if unknown:
            notes = (*notes, ("rows", f"{unknown:,} with a label that none of the sample has are left out"))
        if like := like - len(np.setdiff1d(held_out, train)):
            notes = (*notes, ("rows", f"{like:,} that belong with those held out are neither trained on nor measured"))
        return replace(split, blocks=blocks, notes=notes)

    def _kept(self, held_out: Rows) -> Callable[[pd.DataFrame], npt.NDArray[np.bool_]]:
        """Which rows of a frame may be trained on, by what the sample holds out.

        With --split-by those before the first of these and, as everywhere, those without a value; with --group those
        of other groups.
        """
        by, group = self.choices.split_by, self.choices.group
        out = self.frame.iloc[held_out]
        if by is not None and len(out):
            first = self._in_order(out[by]).min()
            return lambda frame: ~(self._in_order(frame[by]) >= first)
        if group is not None and len(out):
            groups = {str(text) for text in texts_of(out[group])}
            return lambda frame: np.array([str(text) not in groups for text in texts_of(frame[group])])
        numbers = self.row_numbers[held_out]
        return lambda frame: ~np.isin(frame.index.to_numpy(), numbers)

    def _blocks(self, split: Split, kept: Callable[[pd.DataFrame], npt.NDArray[np.bool_]]) -> tuple[Blocks, int, int]:
        """The prepared rows, in a file without a name; how many have a label that is not known, or are not kept."""
        assert split.target is not None and split.names is not None
        preparation, name = Preparation.from_json(split.facts), split.target.name
        classes = np.unique(self.answers[split.train]) if self.task == "classification" else None
        unknown, left_out, targets, written = 0, 0, [], 0
        with tempfile.TemporaryFile(prefix="minigrad-") as file:  # gone with the blocks, even if all is killed
            with with_source(self.where):
                for frame, answers in self.pieces.answered(self.task):
                    keep = kept(frame)
                    left_out += int((~keep).sum())
                    if classes is not None:
                        answers = spelled_as(answers, classes.tolist())
                        known = np.isin(answers, classes)
                        unknown += int((~known & keep).sum())
                        keep &= known
                    if not keep.any():
                        continue
                    x = preparation.transform(frame[keep].drop(columns=name))
                    file.write(np.ascontiguousarray(x, np.float32).data)
                    targets.append(split.target.encode(answers[keep]))
                    written += len(x)
            file.flush()
            x = np.memmap(file, np.float32, "r", shape=(written, len(split.names)))
        return Blocks((x, np.concatenate(targets)), classes=classes), unknown, left_out


def read_large(options: Options) -> LargeTable:
    """The table of `train`. Raises ValueError for options that need all rows at once."""
    if options.target is None:
        raise ValueError(f"{options.data}: name the column to predict, as in --target COLUMN")
    return LargeTable(Pieces(options.data, options.target), options)


def predict_large(model: Predictor, data: str, out: Path, *, force: bool) -> tuple[int, list[str]]:
    """Write the rows of a folder with the answers beside them, piece by piece; return how many, and the new columns."""
    import pyarrow
    from pyarrow import parquet

    pieces = Pieces(data)
    if out.suffix.lower() not in ENDINGS:
        raise ValueError(f"{out}: the answers about {data} are written as Parquet; give a name in .parquet")
    if target_of(out).is_relative_to(Path(data).resolve()):
        raise ValueError(f"{out} lies among the data; choose another folder")
    refuse_output(out, force)
    writer: Any = None
    columns: dict[str, list[Any]] = {}
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
    return pieces.rows, list(columns)

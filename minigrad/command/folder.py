"""Where a model is kept: the folder of `train --out`, or the file that another command is given."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minigrad.atomic import refuse_name, refuse_open, target_of
from minigrad.saving import ModelFileError
from minigrad.saving.format import read
from minigrad.sequential import Sequential
from minigrad.table_model import FILE as MODEL, TableModel, load, network_of
from minigrad.training.history import DivergenceError

REPORT = "report.html"
INTERRUPTED = "interrupted"
"""What stands in the preparation of a model until its training has come to its end."""


LAUNCHERS = (("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"))
"""What MPICH, Intel MPI and Open MPI tell the processes that they start: how many there are, and which one this is."""


def refuse_ranks() -> None:
    """Raise ValueError where mpiexec has started several processes: each would train alone, into the same folder.

    The first one says so; the others end.
    """
    for size, rank in LAUNCHERS:
        if int(os.environ.get(size) or 1) > 1:
            if os.environ.get(rank, "0") != "0":
                raise SystemExit(2)
            raise ValueError(
                f"mpiexec has started {os.environ[size]} processes, and each would train the same network; start the "
                f"command once, without mpiexec. What trains one network by several processes is a script with "
                f"fit(…, comm=MPI.COMM_WORLD)"
            )


def refuse_out(options: argparse.Namespace) -> None:
    """Raise ValueError, before the work, where --out, --resume and --force name no place for the model."""
    if options.out is None:
        if options.resume or options.force:
            raise ValueError("--resume and --force need --out DIR, the folder of the model")
        return
    folder = Path(options.out)
    refuse_name(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{options.out} is a file; --out takes the name of a folder")
    if not folder.parent.is_dir():
        raise ValueError(f"{options.out}: there is no folder {folder.parent}; make it first")
    if (folder / MODEL).exists() and not options.resume and not options.force:
        raise ValueError(
            f"{folder / MODEL} exists already; go on with it by --resume, replace it by --force, or choose another "
            f"folder"
        )
    if options.resume and options.force:
        raise ValueError("--resume goes on with a model and --force begins anew; give one of them")
    for path in (folder / MODEL, folder / REPORT) if folder.exists() else (folder,):
        target_of(path)
        refuse_open(path)


@contextmanager
def writing_model(options: argparse.Namespace) -> Iterator[Path | None]:
    """The file that --out has the model written to, in a folder that exists; a new training that fails leaves neither.

    None without --out.
    """
    if options.out is None:
        try:
            yield None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; nothing is kept, since there is no --out DIR") from None
        return
    path = Path(options.out) / MODEL
    made, begun = not path.parent.exists(), path.exists() and options.resume
    path.parent.mkdir(exist_ok=True)
    if options.force:
        path.unlink(missing_ok=True)  # or the training would go on with it
    try:
        yield path
    except KeyboardInterrupt:
        if path.exists():
            epochs = len(read(path)[1]["checkpoint.history.loss"])
            how = "the same command with --resume" + (" and without --final" if options.final else "")
            raise KeyboardInterrupt(
                f"interrupted; {path} holds the network as it was after {epochs:,} epochs; {how} goes on"
            ) from None
        if made:
            with suppress(OSError):
                path.parent.rmdir()
        raise KeyboardInterrupt("interrupted before an epoch was kept; nothing is written") from None
    except (ValueError, OSError, DivergenceError):
        if not begun:
            path.unlink(missing_ok=True)
        if made:
            with suppress(OSError):
                path.parent.rmdir()
        raise


def model_file(name: str) -> Path:
    """The model's file: itself, or in the folder that `train --out` made."""
    path = Path(name)
    return path / MODEL if path.is_dir() else path


def load_model(name: str) -> Sequential | TableModel:
    """The model that is to look at data. Raises ValueError, with a hint, where the two may be in the wrong order."""
    try:
        model: Sequential | TableModel = load(model_file(name))
    except ModelFileError as error:
        if Path(name).suffix.lower() not in (".csv", ".tsv", ".xlsx"):
            raise
        raise ValueError(f"{error}; the model comes first, then the data") from error
    if said := interrupted(model):
        print(f"minigrad: note: {name}: {said}", file=sys.stderr)
    return model


def interrupted(model: Sequential | TableModel) -> str | None:
    """What is to be said of a model whose training has not come to its end."""
    facts: dict[str, Any] = network_of(model).preparation or {}
    told = "the training was interrupted, so this is the network as it was then; train with --resume goes on"
    return told if facts.get(INTERRUPTED) else None

"""The model that a command is given, and what a training refuses before it begins."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from minigrad.saving import ModelFileError
from minigrad.sequential import Sequential
from minigrad.tables.model import TableModel, load
from minigrad.tables.network import interrupted
from minigrad.tables.writing.outputs import MODEL

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

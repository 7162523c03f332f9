"""The folder that a training writes its model and its report to, refused before the work where that can't be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minigrad.atomic import refuse_name, refuse_open, target_of
from minigrad.saving.format import read
from minigrad.sequential import Sequential
from minigrad.tables.answers import Predictor
from minigrad.tables.network import INTERRUPTED
from minigrad.tables.settings import Options
from minigrad.training.history import DivergenceError

MODEL = "model.safetensors"
"""What the model's file is called in the folder."""
REPORT = "report.html"


def refuse_out(options: Options) -> None:
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
def writing_model(options: Options) -> Iterator[Path | None]:
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


def interrupted(model: Sequential | Predictor) -> str | None:
    """What is to be said of a model whose training has not come to its end."""
    facts: dict[str, Any] = (model.network if isinstance(model, Predictor) else model).preparation or {}
    told = "the training was interrupted, so this is the network as it was then; train with --resume goes on"
    return told if facts.get(INTERRUPTED) else None


def refuse_output(path: str | os.PathLike[str], force: bool) -> None:
    """Raise ValueError or OSError for a file that can't be written, or that exists and is not to be replaced."""
    target_of(path)
    if Path(path).exists() and not force:
        raise ValueError(f"{path} exists already; choose another name, or replace it with --force")
    refuse_open(path)

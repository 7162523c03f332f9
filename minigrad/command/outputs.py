"""The file that a command is to write: refused before the work where it can't be written, or is not to be replaced."""

from __future__ import annotations

import os
from pathlib import Path

from minigrad.atomic import refuse_open, target_of


def refuse_output(path: str | os.PathLike[str], force: bool) -> None:
    """Raise ValueError or OSError for a file that can't be written, or that exists and is not to be replaced."""
    target_of(path)
    if Path(path).exists() and not force:
        raise ValueError(f"{path} exists already; choose another name, or replace it with --force")
    refuse_open(path)

"""The files that are to be written: refused before the work where that can't be, or what is there is to stay."""

from __future__ import annotations

import os
from pathlib import Path

from minigrad.atomic import refuse_open, target_of

MODEL, REPORT = "model.safetensors", "report.html"
"""What a model and its report are called in the folder of a training."""


def refuse_output(path: str | os.PathLike[str], force: bool) -> None:
    """Raise ValueError or OSError for a file that can't be written, or that exists and is not to be replaced."""
    target_of(path)
    if Path(path).exists() and not force:
        raise ValueError(f"{path} exists already; choose another name, or replace it with --force")
    refuse_open(path)

"""The layers, a file for each kind; every file holds formulas and nothing else."""

from typing import Any

from minigrad.configured.hints import absent


def __getattr__(name: str) -> Any:
    raise absent(__name__, name)

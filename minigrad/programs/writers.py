"""The backends by their names of earlier releases."""

from minigrad.programs.backends import (
    javascript as javascript,
    numpy_file as numpy_file,
    numpy_source as numpy_source,
    spreadsheet as sheet,  # noqa: F401
)
from minigrad.programs.native import executable as native  # noqa: F401

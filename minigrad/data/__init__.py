"""Data: labels, splits, blocks of rows, and the digits that come with the package.

The names are imported when they are asked for: `import minigrad` needs labels and splits, and no more. What reads and
prepares tables stands in `minigrad.tables`, and has its names here, too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.data.blocks import Blocks as Blocks
    from minigrad.data.digits import load_digits as load_digits
    from minigrad.data.labels import LabelEncoder as LabelEncoder
    from minigrad.data.split import train_test_split as train_test_split

_HOMES = {
    "Blocks": "data.blocks",
    "LabelEncoder": "data.labels",
    "load_digits": "data.digits",
    "train_test_split": "data.split",
    **dict.fromkeys(
        ("Preparation", "TableError", "WorkbookError", "read_table", "read_workbook", "write_workbook"), "tables"
    ),
}
__all__ = [
    "Blocks",
    "LabelEncoder",
    "Preparation",
    "TableError",
    "WorkbookError",
    "load_digits",
    "read_table",
    "read_workbook",
    "train_test_split",
    "write_workbook",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'minigrad.data' has no attribute {name!r}")
    value = getattr(import_module(f"minigrad.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

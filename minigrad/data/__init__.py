"""Data: labels, splits, workbooks, tables, and the digits that come with the package.

The names are imported when they are asked for: `import minigrad` needs labels and splits, and not the readers of files.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.data.blocks import Blocks as Blocks
    from minigrad.data.digits import load_digits as load_digits
    from minigrad.data.labels import LabelEncoder as LabelEncoder
    from minigrad.data.preparation import Preparation as Preparation
    from minigrad.data.split import train_test_split as train_test_split
    from minigrad.data.table import read_table as read_table
    from minigrad.data.text_file import TableError as TableError
    from minigrad.data.workbook import WorkbookError as WorkbookError, read_workbook as read_workbook
    from minigrad.data.workbook_writing import write_workbook as write_workbook

_HOMES = {
    "Blocks": "blocks",
    "LabelEncoder": "labels",
    "Preparation": "preparation",
    "TableError": "text_file",
    "WorkbookError": "workbook",
    "load_digits": "digits",
    "read_table": "table",
    "read_workbook": "workbook",
    "train_test_split": "split",
    "write_workbook": "workbook_writing",
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
    value = getattr(import_module(f"minigrad.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

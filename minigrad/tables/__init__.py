"""Tables: from the cells of a file to a trained network, and an honest word about it.

    trained = minigrad.tables.train("penguins.csv", target="species")

The names are imported when they are asked for, since reading a table needs no network.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.tables.model import TableModel as TableModel, load as load
    from minigrad.tables.preparation import Preparation as Preparation
    from minigrad.tables.reading.table import read_table as read_table
    from minigrad.tables.reading.text_files import TableError as TableError
    from minigrad.tables.reading.workbooks import WorkbookError as WorkbookError, read_workbook as read_workbook
    from minigrad.tables.trained import Trained as Trained, train as train
    from minigrad.tables.writing.workbook import write_workbook as write_workbook

_HOMES = {
    "Preparation": "preparation",
    "TableError": "reading.text_files",
    "TableModel": "model",
    "Trained": "trained",
    "WorkbookError": "reading.workbooks",
    "load": "model",
    "read_table": "reading.table",
    "read_workbook": "reading.workbooks",
    "train": "trained",
    "write_workbook": "writing.workbook",
}
__all__ = [
    "Preparation",
    "TableError",
    "TableModel",
    "Trained",
    "WorkbookError",
    "load",
    "read_table",
    "read_workbook",
    "train",
    "write_workbook",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'minigrad.tables' has no attribute {name!r}")
    value = getattr(import_module(f"minigrad.tables.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

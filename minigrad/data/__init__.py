"""Data: labels, splits, workbooks, tables and their preparation, and the digits that come with the package."""

from minigrad.data.digits import load_digits
from minigrad.data.labels import LabelEncoder
from minigrad.data.preparation import Preparation
from minigrad.data.split import train_test_split
from minigrad.data.table import TableError, read_table
from minigrad.data.workbook import WorkbookError, read_workbook, write_workbook

__all__ = [
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

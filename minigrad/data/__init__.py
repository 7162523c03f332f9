"""Data: labels, splits, workbooks, and the digits that come with the package."""

from minigrad.data.digits import load_digits
from minigrad.data.labels import LabelEncoder
from minigrad.data.split import train_test_split
from minigrad.data.workbook import WorkbookError, read_workbook, write_workbook

__all__ = ["LabelEncoder", "WorkbookError", "load_digits", "read_workbook", "train_test_split", "write_workbook"]

"""Data: labels, splits, workbooks, and the digits that come with the package."""

from minigrad.data.digits import load_digits
from minigrad.data.labels import LabelEncoder
from minigrad.data.split import train_test_split

__all__ = ["LabelEncoder", "load_digits", "train_test_split"]

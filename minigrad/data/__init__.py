"""Data: labels, splits, workbooks, and the digits that come with the package."""

"""A trained network as a workbook with live formulas, for people without Python.

    minigrad.spreadsheet.export(model, "model.xlsx", rows)

Its formulas are ordinary ones, one a cell, written from the recorded prediction, each with its value.
"""

from minigrad.spreadsheet.export import MOST_ROWS as MOST_ROWS, export as export

"""The sheets of the workbook that compute nothing: the weights of each layer, and Read me."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.pages.book import HEAD, NOTE, TITLE, Book
from minigrad.parameter import Array
from minigrad.programs.graph.notation import pretty
from minigrad.programs.graph.numbers import Node


def layer_sheets(
    book: Book, layers: Mapping[str, list[Node]], at: Mapping[Node, tuple[str, int, int]], given: Mapping[str, Array]
) -> None:
    """A sheet for each layer, whose nodes stand where `at` says (sheet, row, column)."""
    for sheet_name, nodes in layers.items():
        sheet = book.sheet(sheet_name, "#8064A2")
        book.put(sheet, 0, 0, sheet_name, **TITLE)
        book.put(sheet, 1, 0, "One unit a row: its bias and its weights. Working adds up inputs times weights.", **NOTE)
        book.put(sheet, 3, 0, "unit", **HEAD)
        for node in nodes:
            _, row, column = at[node]
            values = np.asarray(given[node.name], float)
            table = values.T if values.ndim == 2 else values.reshape(-1, 1)
            for j in range(table.shape[1]):
                label = pretty(node.name) + (f"[{j + 1}]" if values.ndim == 2 else "")
                book.put(sheet, 3, column + j, label, **HEAD)
            for i, line in enumerate(table.tolist()):
                book.put(sheet, row + i, 0, i + 1)
                for j, value in enumerate(line):
                    book.put(sheet, row + i, column + j, value, num_format="0.000")
            if values.ndim == 2:
                book.scale(sheet, (row, column), (row + len(table) - 1, column + table.shape[1] - 1))
        sheet.freeze_panes(4, 1)


def read_me(book: Book, sheet: Any, title: str, count: int, layers: list[str]) -> None:
    """The first sheet: what the others are for."""
    sheet.set_column(0, 0, 3)
    sheet.set_column(1, 1, 16)
    sheet.set_column(2, 2, 100)
    book.put(sheet, 0, 1, "A trained network", **TITLE)
    book.put(sheet, 1, 1, title[:300], **NOTE)
    lines = [
        ("Predict", "type into the yellow cells, and read the answer"),
        (
            "Rows",
            f"{count:,} rows at once; for more, unprotect Rows and Working, and fill both down",
        ),
        ("Preparation", "what each column of the table becomes"),
        *[(name, "the weights, one unit a row") for name in layers],
        ("Working", "where it is computed: z = Σ x·w + b for each unit, layer by layer"),
    ]
    for place, (name, text) in enumerate(line for line in lines if line[0] in book.book.sheetnames):
        sheet.write_url(3 + place, 1, f"internal:'{name}'!A1", book.format(font_color="#1155CC", underline=1), name)
        book.put(sheet, 3 + place, 2, text)
    book.put(sheet, 5 + len(lines), 1, "Sheets are protected without a password. Written by minigrad.", **NOTE)

"""Where the header of a table stands, and what its names are: below titles, and over two rows with merged cells."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

from minigrad.tables.reading.footer import filled, is_blank
from minigrad.tables.reading.text_files import TableError

Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""((top, left), (bottom, right)) of cells that are one."""


def header_of(where: str, head: list[list[Any]], header_row: int | None) -> int:
    """The row of the header, counted from 0: the one that is asked for, else the first that is no title."""
    if header_row is not None:
        if header_row > len(head) or is_blank(head[header_row - 1]):
            raise TableError(f"{where} has nothing in row {header_row}, where --header-row says the names stand")
        return header_row - 1
    if not head or all(map(is_blank, head)):
        raise empty(where)
    width = max(map(filled, head))
    for row, cells in enumerate(head):
        counter = len(cells) > 1 and filled(cells) == len(cells) - 1 and is_blank(cells[:1])
        if counter or 2 * filled(cells) > width:
            return row
    return 0


def title_of(head: list[list[Any]], header: int) -> str:
    """What is told of a header below titles."""
    above = next((str(cell) for row in head[:header] for cell in row if str(cell).strip()), "")
    return f"found in row {header + 1}, below {reprlib.repr(above)} (--header-row overrides this)"


def names_in(head: list[list[Any]]) -> set[str]:
    """The names of the columns, if the first rows of a sheet are those of a table."""
    if not head or all(map(is_blank, head)):
        return set()
    header = header_of("", head, None)
    names = [cell for cell in head[header] if not is_blank([cell])]
    below = [row for row in head[header + 1 :] if 2 * filled(row) >= len(names)]
    texts = all(isinstance(name, str) and isinstance(as_number(name), str) for name in names)
    return {name.strip() for name in names} if below and len(names) > 1 and texts else set()


def names_of(rows: list[list[Any]], header: int, width: int, merged: Merged) -> tuple[list[Any], int, int]:
    """(names, the first and the last row in which they stand), of a table of `width` columns.

    They are joined over two rows, this one and the one below it, or above it where it has not a name for each column.
    """
    names = rows[header][:width]
    if (two := joined(rows, header, width, merged)) is not None:
        return two, header, header + 1
    several = len({str(name).strip() for name in names}) < width or filled(names) < width
    if header and several and (two := joined(rows, header - 1, width, merged)) is not None:
        return two, header - 1, header
    return names, header, header


def joined(rows: list[list[Any]], header: int, width: int, merged: Merged) -> list[str] | None:
    """The names of a header over two rows, the upper of which has merged cells: Q1 above Sold is `Q1 Sold`.

    None where the header has one row, or what stands below it are no names: numbers, or text below a whole name.
    """
    over = {
        column: (rows[top][left], bottom > top)
        for (top, left), (bottom, right) in merged
        if top == header and bottom <= header + 1 and right < width
        for column in range(left, right + 1)
    }
    if not over or len(rows) <= header + 2:
        return None
    names = []
    for column in range(width):
        upper, deep = over.get(column, (rows[header][column], False))
        parts = [upper] if deep else [upper, rows[header + 1][column]]
        if not all(isinstance(part, str) and isinstance(as_number(part), str) for part in parts):
            return None
        if filled(parts) != (1 if deep or column not in over else 2):
            return None
        names.append(" ".join(" ".join(parts).split()))
    return names


def empty(where: str) -> TableError:
    """The error of a table without rows."""
    return TableError(f"{where} is empty; put names of columns in row 1 and the values below")


def as_number(text: str) -> Any:
    """The number that a text is, or the text."""
    try:
        return float(text) if "_" not in text else text
    except ValueError:
        return text

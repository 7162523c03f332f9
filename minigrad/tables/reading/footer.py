"""What stands below a table, in its file or on its sheet, and is no row of it: notes, and rows of totals."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.tables.reading import numbers as written_numbers
from minigrad.tables.reading.numbers import Ambiguous, NumberFormat, is_marker

Column = npt.NDArray[np.float64] | list[Any]

MOST_NOTES = 30  # rows
ROWS_SUMMED = 3  # at least: of fewer, a sum may be one by chance
WORDS = """
    total totals sum sums subtotal average mean summe summen gesamt gesamtsumme insgesamt zwischensumme
    durchschnitt mittelwert somme totaux moyenne suma totales promedio media totale somma σ ø
"""
TOTALS = frozenset(WORDS.split()) | {"grand total"}
"""What begins a row of totals, in small letters."""


@dataclass
class Body:
    """What stands below a header: the cells by column, in so many rows. `blank` are those with nothing in them.

    `note` is what begins to stand below them, and is none of them; None where that is nothing.
    """

    columns: list[Column]
    rows: int
    blank: list[int]
    note: str | None = None


def is_blank(cells: list[Any]) -> bool:
    """Whether nothing stands in any of these cells."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def is_empty(column: Column) -> bool:
    """Whether a column has no values."""
    return all(cell is None for cell in column) if isinstance(column, list) else bool(np.isnan(column).all())


def filled(cells: list[Any]) -> int:
    """In how many of these cells something stands."""
    return sum(not is_blank([cell]) for cell in cells)


def end_of(rows: list[list[Any]], width: int) -> int:
    """How many of these rows, the last ones of a table of `width` columns, belong to it.

    Notes do not: at the end of a text file the rows of one cell, and anywhere the rows after an empty one, down to the
    end, of which none fills half of the columns.
    """
    last = len(rows)
    while last and (is_blank(rows[last - 1]) or (len(rows[last - 1]) == 1 and width > 2)):
        last -= 1
    if len(rows) - last > MOST_NOTES and not all(map(is_blank, rows[last:])):
        last = len(rows)
    end = last
    for place in range(last - 1, max(last - MOST_NOTES, 0) - 1, -1):
        if is_blank(rows[place]):
            end = place
        elif 2 * filled(rows[place]) >= width:
            break
    else:
        return last
    while is_blank(rows[end - 1]):
        end -= 1
    return end


def cut(body: Body, header: int) -> list[tuple[str, str]]:
    """Take rows of totals from the end of the body, and tell of them, of the notes below, and of empty rows."""
    said = []
    if body.note is not None:
        told = reprlib.repr(body.note)
        said.append(("below", f"what stands from row {header + 2 + body.rows} on is left out: {told}"))
    while ends_with_totals(body.columns):
        word = next((cell for column in body.columns if isinstance(cell := column[-1], str)), None)
        told = "" if word is None else f" ({word!r})"
        said.append(("below", f"row {header + 1 + body.rows} is left out, since it holds totals of the others{told}"))
        body.rows -= 1
        while body.blank and body.blank[-1] == body.rows - 1:
            body.rows = body.blank.pop()
        for place, column in enumerate(body.columns):
            cells = column[: body.rows]
            body.columns[place] = compact(cells) if isinstance(cells, list) else cells
    if body.blank:
        rows = [str(header + 2 + place) for place in body.blank]
        said.append(("rows", f"{', '.join(rows[:5])}{' …' if rows[5:] else ''}: {len(rows):,} with nothing in them"))
    return said


def ends_with_totals(columns: list[Any]) -> bool:
    """Whether the last row of a table holds totals, or means, of those above.

    So it is where a word says it and half of the cells are empty, or a number is the sum or the mean of its column;
    without a word, where all numbers of the row, two at least, are sums.
    """
    if not columns or len(columns[0]) <= ROWS_SUMMED:
        return False
    last = [column[-1] for column in columns]
    texts = [cell for cell in last if isinstance(cell, str)]
    if any(text.casefold().strip(" :.") in TOTALS for text in texts):
        there = [cell for cell in last if cell is not None and cell == cell]
        return 2 * len(there) <= len(last) or any(_is_total(_numbers(column), mean=True) for column in columns)
    plain = [column for column in columns if isinstance(column, np.ndarray) and not np.isnan(column[-1])]
    return len(plain) > 1 and all(map(_is_total, plain))


def _is_total(column: Any, *, mean: bool = False) -> bool:
    """Whether the last number is the sum of the others, or their mean where that is asked, and none of 0."""
    if column is None or not np.isfinite(column[-1]) or column[-1] == 0:
        return False
    above = column[:-1][np.isfinite(column[:-1])]
    if len(above) < ROWS_SUMMED:
        return False
    return bool(np.isclose(column[-1], [above.sum(), *[above.mean()] * mean], rtol=1e-6, atol=0).any())


def _numbers(column: Any) -> Any:
    """The numbers of a column, NaN where there is none; None of a column of other things."""
    if isinstance(column, np.ndarray):
        return column
    words = {cell for cell in column if isinstance(cell, str) and not is_marker(cell)}
    format = written_numbers.decide(words) if words else NumberFormat()
    if format is None or not all(isinstance(cell, str | float | None) for cell in column):
        return None
    read = (format.formats[0] if isinstance(format, Ambiguous) else format).parse
    known = {word: read(word) for word in words}
    return np.array([cell if type(cell) is float else known.get(cell) for cell in column], np.float64)


def compact(cells: list[Any]) -> Any:
    """Cells of which each is a number or missing as an array; others as they are."""
    if all(cell is None or type(cell) is float for cell in cells):
        return np.array([np.nan if cell is None else cell for cell in cells], np.float64)
    return cells

"""Writes the workbook: Read me, Predict, Rows, Preparation, each layer, and Working, where it is computed."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.model import Model
from minigrad.pages.book import HEAD, INPUT, NOTE, TITLE, Book
from minigrad.pages.inference import Answering
from minigrad.pages.step import OpenedError
from minigrad.parameter import Array
from minigrad.programs.backends.spreadsheet import Cell, Formulas, address, area
from minigrad.programs.graph.notation import pretty
from minigrad.programs.graph.numbers import Node
from minigrad.programs.ir.ops import Unwritable
from minigrad.spreadsheet.constant_sheets import layer_sheets, read_me
from minigrad.spreadsheet.preparation import HERE, PreparationSheet, number_format, refuse_old_dates
from minigrad.tables.columns import TextColumn
from minigrad.tables.model import TableModel, network_of

MOST_ROWS, BLANK_ROWS, COLUMNS, WEIGHTS = 1000, 100, 8000, 300_000
SMALLEST_PICTURE = 8
FIELDS = 3
"""The first row of the form's fields."""


def export(model: Model | TableModel, path: str | os.PathLike[str], rows: Any = None) -> None:
    """Write the model as a workbook. `rows`, a DataFrame for a model of a table, else an array, stand on sheet Rows.

    Without rows, a hundred lines are ready to be filled in. Raises ValueError, in one line, for a network that has no
    formulas or more cells than a sheet should hold, and for more than 1,000 rows.
    """
    target_of(path)
    network = network_of(model)
    data = _Export(Answering(network), rows).written()
    with replacing(path) as file:
        file.write(data)


class _Export:
    def __init__(self, answering: Answering, rows: Any) -> None:
        self.answering, self.title = answering, answering.title
        if len(answering.row_shape) != 1:
            raise OpenedError(
                f"rows of shape {answering.row_shape} are no rows of a sheet: export a page (.html), or ONNX"
            )
        if rows is not None and len(rows) > MOST_ROWS:
            raise OpenedError(f"{len(rows):,} rows are more than a workbook should compute; give {MOST_ROWS:,} at most")
        size = sum(node.size for node in answering.graph.nodes if node.is_given and node.name != "x")
        self.made = [node for node in answering.notation.blocks if not node.is_given]
        width = sum(node.size for node in self.made) + len(answering.features)
        if size > WEIGHTS or width > COLUMNS:
            raise OpenedError(
                f"{size:,} weights and {width:,} columns are more than a workbook should hold; export ONNX"
            )
        self.book = Book()
        self.given = [] if rows is None else answering.cells(rows)
        self.table = None if answering.preparation is None else answering.preparation.columns
        refuse_old_dates(self.table or (), self.given)
        self.count = len(self.given) or BLANK_ROWS
        self.x = np.zeros((0, len(answering.features))) if rows is None else answering.encoded(rows)
        self.form = self.given[0] if self.given else answering.typical()
        self._place()

    # ----------------------------------------------------------------------------------------------------------- places
    def _place(self) -> None:
        """Weights on the layers' sheets, W with one unit a row; what is computed side by side on Working."""
        self.layers: dict[str, list[Node]] = {}
        self.at: dict[Node, tuple[str, int, int]] = {}
        for node in self.answering.graph.nodes:
            if node.is_given and node.constant is None and node.name != "x":
                self.layers.setdefault(self.answering.place(node.name), []).append(node)
        for sheet, nodes in self.layers.items():
            nodes.sort(key=lambda node: len(node.shape))  # b beside the unit's name, then W
            column = 1
            for node in nodes:
                self.at[node] = sheet, 4, column
                column += node.shape[0] if len(node.shape) == 2 else 1
        column = len(self.answering.features) + 1
        self.column: dict[Node, int] = {}
        for node in self.made:
            self.column[node] = column
            column += node.size
        self.output_columns = [self._working(int(place)) for place in self.answering.graph.result.ravel()]
        self.wide = column
        self.pinned = [*self.layers, "Preparation"]

    def _working(self, place: int) -> int:
        node = self.answering.graph.node_at(place)
        if node.name == "x":
            return 1 + place - node.start
        return self.column[node] + place - node.start

    def cell(self, node: Node, k: int, data: bool) -> Cell:
        """Where a number stands; on Working and on Rows in the row that the formula is for."""
        if node in self.column:
            return "", HERE, self.column[node] + k
        if node.name == "x":
            return ("Rows", HERE, k) if data and self.answering.preparation is None else ("", HERE, 1 + k)
        sheet, row, column = self.at[node]
        if len(node.shape) == 2:
            return sheet, row + k % node.shape[1], column + k // node.shape[1]
        return sheet, row + k, column

    # ----------------------------------------------------------------------------------------------------------- sheets
    def written(self) -> bytes:
        """The file."""
        book = self.book
        self.read_me = book.sheet("Read me", "#1F3864")
        self.predict = book.sheet("Predict", "#E0A800")
        self.rows = book.sheet("Rows", "#E0A800")
        if self.answering.preparation is not None:
            width = None if self.answering.interval is None else self.answering.interval[0]
            self.preparation = PreparationSheet(
                book, self.answering.preparation, self.answering.target, width, self.answering.formats
            )
        layer_sheets(book, self.layers, self.at, self.answering.given)
        self.working = book.sheet("Working", "#888888")
        self._form()
        self._rows()
        read_me(book, self.read_me, self.title, self.count, list(self.layers))
        for sheet in (self.read_me, self.predict):
            sheet.set_landscape()
            sheet.fit_to_pages(1, 1)
        self.predict.activate()
        return book.written()

    def _templates(self, inputs: list[str], data: bool) -> dict[int, str]:
        """The formula of each column of Working, for the row HERE."""
        found: dict[int, str] = {}
        if not data or self.answering.preparation is not None:
            formulas = inputs if self.table is None else self.preparation.formulas(inputs)
            found = {1 + place: text for place, text in enumerate(formulas)}
        writer = Formulas(
            self.answering.graph, self.answering.notation.blocks, lambda node, k: self.cell(node, k, data), self.pinned
        )
        try:
            for node in self.made:
                for k in range(node.size):
                    found[self.column[node] + k] = writer.formula(node, k)
        except Unwritable as error:
            raise OpenedError(f"{self.title} can't be a workbook: {error}") from error
        return found

    def _work(self, row: int, templates: dict[int, str], values: Array | None, x: Array) -> None:
        """One row of Working."""
        here = str(row + 1)
        starts = {self.column[node]: node for node in self.made}
        numbers: dict[int, float] = {1 + place: float(v) for place, v in enumerate(x)}
        if values is not None:
            for column, node in starts.items():
                for k in range(node.size):
                    numbers[column + k] = float(values[node.start + k])
        for column, text in templates.items():
            value = numbers.get(column, 0.0)
            self.book.formula(self.working, row, column, text.replace(str(HERE + 1), here), value)

    def _answers(self, row: int) -> list[str]:
        """The formulas of an answer, of a row of Working."""
        outputs = [address(("Working", row, column)) for column in self.output_columns]
        if self.answering.regression:
            mean, scale, *width = self.preparation.units
            found = f"{outputs[0]}*{scale}+{mean}"
            return [found, *(f"{found}{sign}{width[0]}" for sign in "-+" if width)]
        if self.answering.classes is None and self.answering.outputs == 1:
            return outputs
        labels = [address(("Working", 0, column), True) for column in self.output_columns]
        if self.answering.outputs == 1:
            second = address(("Working", 0, self.wide), True)
            return [f"IF({outputs[0]}>={self.answering.boundary!r},{labels[0]},{second})", *outputs]
        if self.answering.threshold is not None:
            place, edge = self.answering.threshold
            return [f"IF({outputs[place]}>={edge!r},{labels[place]},{labels[1 - place]})", *outputs]
        some = area(("Working", row, self.output_columns[0]), ("Working", row, self.output_columns[-1]))
        heads = area(("Working", 0, self.output_columns[0]), ("Working", 0, self.output_columns[-1]), True)
        return [f"INDEX({heads},MATCH(MAX({some}),{some},0))", *outputs]

    def _form(self) -> None:
        """The sheet Predict: a field for each input, or a picture to colour, and the answer."""
        book, sheet, names = self.book, self.predict, self.answering.names
        book.put(sheet, 0, 1, "Type into the yellow cells", **TITLE)
        side = int(np.sqrt(len(names)))
        picture = self.answering.preparation is None and side >= SMALLEST_PICTURE and side * side == len(names)
        cells = self._picture(side) if picture else self._fields()
        x, values = self._first()
        self._head()
        self._work(1, self._templates(cells, False), values, x)
        note = '""'
        if self.table is not None:
            heads = [address(("Predict", FIELDS + place, 1), True) for place in range(len(names))]
            note = self.preparation.note(cells, heads)
        self._answer(
            side + 3 if picture else 4, self.answering.answer(values[self.answering.graph.result].ravel()), note
        )

    def _fields(self) -> list[str]:
        """A field for each input, below each other; returns their cells."""
        book, sheet, cells = self.book, self.predict, []
        for place, (name, value) in enumerate(zip(self.answering.names, self.form, strict=True)):
            row, c = FIELDS + place, None if self.table is None else self.table[place]
            book.put(sheet, row, 1, name, bold=True)
            book.put(sheet, row, 2, value, **INPUT, **number_format(c))
            cells.append(address(("Predict", row, 2), True))
            if isinstance(c, TextColumn):
                first, last = self.preparation.texts[c.name][0], self.preparation.texts[c.name][-1].partition("!")[2]
                rule = {"validate": "list", "source": f"={first}:{last}", "error_type": "information"}
                sheet.data_validation(row, 2, row, 2, rule)
        sheet.set_column(1, 1, 28)
        sheet.set_column(2, 2, 18)
        return cells

    def _picture(self, side: int) -> list[str]:
        """The inputs as a picture's pixels; returns their cells."""
        book, sheet, cells = self.book, self.predict, []
        book.put(sheet, 1, 1, f"{side} x {side} pixels: 0 is white, 1 is black", **NOTE)
        for place, value in enumerate(self.form):
            row, column = FIELDS + place // side, 1 + place % side
            book.put(sheet, row, column, value, **INPUT, num_format=";;;")
            cells.append(address(("Predict", row, column), True))
        sheet.set_column(1, side, 2.6)
        ends = {"min_type": "num", "min_value": 0, "max_type": "num", "max_value": 1}
        scale = {"type": "2_color_scale", **ends, "min_color": "#FFFFFF", "max_color": "#14181F"}
        sheet.conditional_format(FIELDS, 1, FIELDS - 1 + side, side, scale)
        return cells

    def _answer(self, left: int, answer: list[Any], note: str) -> None:
        """The answer, from this column on, and what is wrong with the inputs below it."""
        book, sheet = self.book, self.predict
        sheet.set_column(left, left, 26)
        sheet.set_column(left + 1, left + 1, 18)
        for place, (name, text, value) in enumerate(
            zip(self.answering.columns(), self._answers(1), answer, strict=True)
        ):
            row, form = FIELDS + place, {"num_format": "0.0%" if name.startswith("prob") else "0.0000"}
            book.put(sheet, row, left, name, bold=True)
            big = {"bold": True, "font_size": 16}
            book.formula(sheet, row, left + 1, f'IF(ISERROR({text}),"?",{text})', value, **(form if place else big))
            if place and not self.answering.regression:
                ends = {"min_type": "num", "min_value": 0, "max_type": "num", "max_value": 1}
                bar = {"type": "data_bar", "bar_color": "#9BC2E6", **ends}
                sheet.conditional_format(row, left + 1, row, left + 1, bar)
        book.formula(sheet, FIELDS + 1 + len(answer), left, note, "", font_color="#B00020", bold=True)

    def _first(self) -> tuple[Array, Array]:
        """x and all numbers of the form's row."""
        if len(self.x):
            x = self.x[:1]
        elif self.answering.preparation is None:
            x = np.array([self.form], float)
        else:
            import pandas as pd

            frame = pd.DataFrame(
                {name: pd.Series([v], dtype=object) for name, v in zip(self.answering.names, self.form, strict=True)}
            )
            x = self.answering.encoded(frame)
        return x[0], self.answering.numbers(x)[0]

    def _head(self) -> None:
        """The first row of Working: what stands below, and the labels of the outputs."""
        book, sheet = self.book, self.working
        sheet.freeze_panes(1, 1)
        book.put(sheet, 0, 0, "row", **HEAD)
        book.put(sheet, 1, 0, "Predict")
        for place, name in enumerate(self.answering.features):
            book.put(sheet, 0, 1 + place, name, **HEAD)
        for node in self.made:
            for k in range(node.size):
                book.put(sheet, 0, self.column[node] + k, f"{pretty(node.name)}[{k + 1}]", **HEAD)
        if self.answering.columns()[1:] and not self.answering.regression:
            labels = self.answering.classes or list(range(self.answering.outputs))
            if self.answering.outputs == 1 and self.answering.classes is not None:
                book.put(sheet, 0, self.wide, labels[0], **HEAD)
                labels = labels[1:]
            for label, column in zip(labels, self.output_columns, strict=False):
                book.put(sheet, 0, column, label, **HEAD)

    def _rows(self) -> None:
        """The sheet Rows: the inputs, the answer and a note, in every row the same formulas."""
        book, sheet, names, columns = self.book, self.rows, self.answering.names, self.answering.columns()
        for place, name in enumerate([*names, *columns, "note"]):
            book.put(sheet, 0, place, name, **HEAD)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(names) + len(columns), 14 if len(names) < 60 else 6)
        cells = [address(("Rows", HERE, place)) for place in range(len(names))]
        templates = self._templates(cells, True)
        every, blank = self.answering.numbers(self.x), [None] * len(names)
        own = [address(("", HERE, place)) for place in range(len(names))]
        heads = [address(("", 0, place), True) for place in range(len(names))]
        note = f'IF(SUMPRODUCT(ISNUMBER({own[0]}:{own[-1]})*1)<{len(own)},"a number is missing","")'
        if self.table is not None:
            note = self.preparation.note(own, heads)
        answers = self._answers(HERE)
        empty = f"COUNTA({own[0]}:{own[-1]})=0"
        first = len(names)
        forms: list[dict[str, str]] = [{}] * first if self.table is None else [*map(number_format, self.table)]
        for number in range(self.count):
            row, here = number + 1, str(number + 2)
            given = self.given[number] if number < len(self.given) else blank
            for place, value in enumerate(given):
                book.put(sheet, row, place, value, **INPUT, **forms[place])
            known = number < len(every)
            values = every[number] if known else None
            book.put(self.working, row + 1, 0, number + 1)
            # Working's row 2 is the form's: the rows of Rows stand one row further down there.
            self._work_of(row, templates, values, self.x[number] if known else np.zeros(0))
            found = [] if values is None else self.answering.answer(values[self.answering.graph.result].ravel())
            for place, text in enumerate(answers):
                text = text.replace(str(HERE + 1), str(row + 2))
                value = found[place] if found else ""
                form = {"bold": True} if place == 0 else {"num_format": "0.0000"}
                whole = f'IF({empty.replace(str(HERE + 1), here)},"",IF(ISERROR({text}),"?",{text}))'
                book.formula(sheet, row, first + place, whole, value, **form)
            text = f'IF({empty},"",{note})'.replace(str(HERE + 1), here)
            book.formula(sheet, row, first + len(answers), text, "", font_color="#B00020")

    def _work_of(self, row: int, templates: dict[int, str], values: Array | None, x: Array) -> None:
        """Working's row of a row of Rows: it stands one further down, and reads Rows in its own."""
        shifted = {
            column: re.sub(rf"(Rows'!\$?[A-Z]+){HERE + 1}(:\$?[A-Z]+{HERE + 1})?", lambda m: self._shift(m, row), text)
            for column, text in templates.items()
        }
        self._work(row + 1, shifted, values, x)

    @staticmethod
    def _shift(found: re.Match[str], row: int) -> str:
        return found[0].replace(str(HERE + 1), str(row + 1))

"""A step as a workbook of live formulas: one sheet for each step, each of them on from the one before."""

from __future__ import annotations

from math import ceil
from typing import Any

from minigrad.pages.book import HEAD, INPUT, NOTE, NUMBER, TITLE, Book
from minigrad.pages.layout import BANDS, COLOURS, FORWARD, Layout, columns_of, rows_of
from minigrad.pages.proof import ProofSheet
from minigrad.pages.step import LaidStep, OpenedError
from minigrad.programs.backends.spreadsheet import Cell, Formulas, address
from minigrad.programs.graph.notation import pretty
from minigrad.programs.graph.numbers import Node

STEPS, CELLS = 20, 100_000
"""So many steps, or as many as keep below so many cells."""
WIDE, TOP = 10.5, 6
"""The width of a column in characters, and the first row below a sheet's head."""
HOW = (
    ("1 weights", "W and b of each layer stand above what they make; x stands to the left."),
    ("2 forward", "From left to right, one row for each example: x, z₁, a₁, … the prediction, the target t, the loss."),
    ("3 backward", "Each below the array that it belongs to: dz₂ says how the loss grows when z₂ grows."),
    ("4 gradients", "dW₁ = xᵀ dz₁: over all rows, what came in times how the loss grows with what goes out."),
    ("5 update", "Each weight moves against its gradient; ′ marks what is new. The next sheet begins with it."),
    ("signs", "⊙ multiplies number by number, ᵀ turns rows into columns, Σ_rows adds up over the rows, […] is 1 or 0."),
    ("colours", "Red above 0, blue below, the stronger the larger."),
    ("click a cell", "F2 shows its formula and frames the cells that it is made of."),
    ("yellow cells", "are yours: the rows, the targets, the first weights and the learning rate. Everything follows."),
    ("try", "a learning rate ten times as large · all weights of a layer equal · a target that is wrong"),
)


def workbook(step: LaidStep, inputs: list[str] | None, outputs: list[str] | None, steps: int | None) -> bytes:
    """The file."""
    return _Workbook(step, inputs, outputs, steps).written()


class _Workbook:
    def __init__(self, step: LaidStep, inputs: list[str] | None, outputs: list[str] | None, steps: int | None) -> None:
        self.step, self.layout, self.book = step, Layout(step), Book()
        self.heads = {"x": inputs, "t": outputs, "p": outputs}
        cells = sum(node.size for node in self.layout.band_of)
        if cells > CELLS or any(columns_of(node) > 16_000 for node in self.layout.band_of):
            raise OpenedError(
                f"a step of {cells:,} numbers is more than a workbook should hold ({CELLS:,}); save a page (.html)"
            )
        self.steps = max(1, min(STEPS, CELLS // max(1, cells))) if steps is None else steps
        if self.steps < 1:
            raise OpenedError(f"steps={steps}: there has to be one step at least")
        self.rows = step.numbers(self.steps)
        self.equations = {node: self._equation(node) for node in self.layout.band_of}
        self._place()
        writer = Formulas(step.graph, self.layout.notation.blocks, self.cell)
        made = [node for node in self.at if not node.is_given]
        self.formulas = {node: [writer.formula(node, k) for k in range(node.size)] for node in made}
        """Of each number that is made, the same on every sheet."""

    def _place(self) -> None:
        """The first cell of each array, the same on every sheet, and the coefficients' cells."""
        heights = [0] * len(BANDS)
        for column in self.layout.columns:
            for band, nodes in enumerate(column.bands):
                heights[band] = max(heights[band], sum(rows_of(node) + 3 for node in nodes))
        self.band_at, row = [], TOP
        for height in heights:
            self.band_at.append(row)
            row += height + 2 if height else 0
        self.at: dict[Node, tuple[int, int]] = {}
        self.width: dict[Node, int] = {}
        left = 1
        for column in self.layout.columns:
            every = [node for nodes in column.bands for node in nodes]
            width = max(max(columns_of(node), min(3, ceil(len(self.equations[node]) / WIDE))) for node in every)
            for band, nodes in enumerate(column.bands):
                row = self.band_at[band] + 1
                for node in nodes:
                    self.at[node], self.width[node] = (row + 2, left), width
                    row += rows_of(node) + 3
            left += width + 1
        self.right = left
        self.coefficients = {name: (3, 4 + 2 * place) for place, name in enumerate(self.step.coefficients)}

    def _equation(self, node: Node) -> str:
        return "" if node.is_given else self.layout.notation.equation(node).partition(" = ")[2]

    def cell(self, node: Node, k: int, sheet: str = "") -> Cell:
        """Where the k-th number of an array stands."""
        if node.role == "coefficient":
            return sheet, *self.coefficients[node.name]
        (row, column), (down, right) = self.at[node], divmod(k, columns_of(node))
        return sheet, row + down, column + right

    def written(self) -> bytes:
        """Write sheet after sheet."""
        self._how_to_read()
        for number in range(self.steps):
            self._step(number)
        ProofSheet(self.step, self.layout, self.book, self.cell, self.at, self.rows[0]).write()
        if self.steps > 1:
            self._learning()
        self._index()
        return self.book.written()

    def _title(self) -> str:
        return f"{self.step.title}, {self.step.loss}, {self.step.optimizer}"[:300]

    # ------------------------------------------------------------------------------------------------------ one step
    def _step(self, number: int) -> None:
        book, name = self.book, f"Step {number + 1}"
        sheet = book.sheet(name, COLOURS[FORWARD])
        book.put(sheet, 0, 1, f"{name} of {self.steps}: a training step laid open", **TITLE)
        book.put(sheet, 1, 1, self._title(), **NOTE)
        self._coefficients(sheet, number)
        sheet.set_column(0, 0, 8)
        sheet.set_column(1, self.right, WIDE)
        for band, text in enumerate(BANDS):
            form = {"bold": True, "font_color": "#FFFFFF", "bg_color": COLOURS[band]}
            if any(column.bands[band] for column in self.layout.columns):
                book.put(sheet, self.band_at[band], 1, f"{band + 1}  {text}", **form)
                for column in range(2, self.right - 1):
                    sheet.write_blank(self.band_at[band], column, None, book.format(**form))
        for node, (row, column) in self.at.items():
            band = self.layout.band_of[node]
            book.put(sheet, row - 2, column, pretty(node.name), bold=True, font_size=13, font_color=COLOURS[band])
            heads = self.heads.get(node.name)
            if heads and len(heads) == columns_of(node) and not self.equations[node]:
                for place, head in enumerate(heads):
                    book.put(sheet, row - 1, column + place, head, font_size=8, font_color="#888888", align="right")
            elif self.equations[node]:
                self._caption(sheet, node, row - 1, column)
            self._numbers(sheet, node, number)
            if node.role != "batch" and node.name != "loss":
                corner = row + rows_of(node) - 1, column + columns_of(node) - 1
                book.scale(sheet, (row, column), corner)
        sheet.freeze_panes(5, 1)
        sheet.set_landscape()
        sheet.set_paper(8)
        sheet.fit_to_pages(1, 1)
        if number == 0:
            sheet.activate()

    def _caption(self, sheet: Any, node: Node, row: int, column: int) -> None:
        text, width = f"= {self.equations[node]}", self.width[node]
        form = {"italic": True, "font_size": 9, "font_color": "#666666", "text_wrap": True, "valign": "top"}
        lines = ceil(len(text) / (WIDE * width * 1.1))
        if width > 1:
            sheet.merge_range(row, column, row, column + width - 1, "", self.book.format(**form))
        self.book.put(sheet, row, column, text, **form)
        if lines > 1:
            sheet.set_row(row, 12.5 * min(lines, 6))

    def _coefficients(self, sheet: Any, number: int) -> None:
        """The learning rate, and what the optimizer makes of it for this step."""
        book, step = self.book, self.step
        book.put(sheet, 3, 1, "learning rate", bold=True, align="right")
        if number == 0:
            book.put(sheet, 3, 2, step.rate, **INPUT)
        else:
            book.formula(sheet, 3, 2, "'Step 1'!$C$4", step.rate)
        for name, values in step.coefficients.items():
            (row, column), value = self.coefficients[name], step.at(number)[name]
            book.put(sheet, row, column - 1, pretty(name), align="right", font_color="#666666")
            if name in step.scaled:
                factor = value / step.rate
                text = "$C$4" if factor == 1 else f"$C$4*{factor!r}".upper()
                book.formula(sheet, row, column, text, value, num_format="0.0000##")
            elif number and len(values) == 1:
                book.formula(sheet, row, column, address(("Step 1", row, column), True), value)
            else:
                book.put(sheet, row, column, value, num_format="General")

    def _numbers(self, sheet: Any, node: Node, number: int) -> None:
        """The numbers of an array: given ones as they are, or as the sheets before made them; others as formulas."""
        row, book = self.rows[number], self.book
        becomes = self.step.graph.updates.get(node)
        big = {"bold": True, "font_size": 14, "bg_color": "#FCE4D6"} if node.name == "loss" else {}
        for k in range(node.size):
            _, at, column = self.cell(node, k)
            value = float(row[node.start + k])
            form = {"num_format": NUMBER, **big}
            if not node.is_given:
                book.formula(sheet, at, column, self.formulas[node][k], value, **form)
            elif number == 0:
                book.put(sheet, at, column, value, **INPUT, num_format="General" if node.role == "batch" else NUMBER)
            elif becomes is None:
                first = address(("Step 1", at, column))
                book.formula(sheet, at, column, first, value, num_format="General")
            else:
                place = int(becomes.ravel()[k])
                made = self.step.graph.node_at(place)
                before = address(self.cell(made, place - made.start, f"Step {number}"))
                book.formula(sheet, at, column, before, value, **form)

    # -------------------------------------------------------------------------------------------------------- others
    def _how_to_read(self) -> None:
        book = self.book
        sheet = book.sheet("How to read", "#1F3864")
        sheet.set_landscape()
        sheet.fit_to_pages(1, 1)
        sheet.set_column(0, 0, 3)
        sheet.set_column(1, 1, 22)
        sheet.set_column(2, 2, 100)
        book.put(sheet, 0, 1, "A training step laid open", **TITLE)
        book.put(sheet, 1, 1, self._title(), **NOTE)
        lines = [
            ("Step 1", "the whole step on one sheet; read it in the order of the numbers 1 to 5"),
            *[(f"Step {n}", "the next step, from the weights of the one before") for n in (2,) if self.steps > 1],
            ("Proof", "choose a weight: its gradient beside a quotient of differences"),
            *[("Learning", f"the loss over {self.steps} steps") for _ in range(self.steps > 1)],
            ("Index", "where each array of each step stands"),
        ]
        row = 3
        for name, text in lines:
            link = book.format(font_color="#1155CC", underline=1, bold=True)
            sheet.write_url(row, 1, f"internal:'{name}'!A1", link, name)
            book.put(sheet, row, 2, text)
            row += 1
        for name, text in HOW:
            row += 1
            book.put(sheet, row, 1, name, bold=True, valign="top")
            book.put(sheet, row, 2, text, text_wrap=True)
        if self.step.drawn:
            book.put(sheet, row + 2, 1, "Numbers that a layer draws at random are those of one step, and stay.", **NOTE)

    def _learning(self) -> None:
        book = self.book
        sheet = book.sheet("Learning", COLOURS[4])
        book.put(sheet, 0, 1, "The loss, step by step", **TITLE)
        book.put(
            sheet,
            1,
            1,
            "Change the learning rate on sheet Step 1: if it is too large, the loss jumps.",
            **NOTE,
        )
        for column, text in enumerate(("step", "loss"), 1):
            book.put(sheet, 3, column, text, **HEAD)
        place = int(self.step.graph.result)
        node = self.step.graph.node_at(place)
        for number in range(self.steps):
            book.put(sheet, 4 + number, 1, number + 1)
            where = address(self.cell(node, place - node.start, f"Step {number + 1}"))
            book.formula(sheet, 4 + number, 2, where, float(self.rows[number][place]), num_format="0.0000")
        chart = book.book.add_chart({"type": "line"})
        last = 3 + self.steps
        line = {"color": COLOURS[2], "width": 2.25}
        series = {"categories": ["Learning", 4, 1, last, 1], "values": ["Learning", 4, 2, last, 2], "line": line}
        chart.add_series({"name": "loss", **series})
        chart.set_legend({"none": True})
        chart.set_title({"name": "loss before each step"})
        chart.set_y_axis({"min": 0, "major_gridlines": {"visible": True, "line": {"color": "#DDDDDD"}}})
        chart.set_x_axis({"name": "step"})
        chart.set_size({"width": 720, "height": 380})
        sheet.insert_chart(3, 4, chart)
        sheet.set_column(0, 0, 3)

    def _index(self) -> None:
        """name, sheet, first cell, rows, columns of every array of every step."""
        book = self.book
        sheet = book.sheet("Index", "#888888")
        for column, text in enumerate(("name", "sheet", "first cell", "rows", "columns")):
            book.put(sheet, 0, column, text, **HEAD)
        row = 1
        for number in range(self.steps):
            found = [(n.name, address(("", *self.at[n])), rows_of(n), columns_of(n)) for n in self.at]
            found += [(name, address(("", *cell)), 1, 1) for name, cell in self.coefficients.items()]
            for name, where, rows, columns in found:
                for column, value in enumerate((name, f"Step {number + 1}", where, rows, columns)):
                    book.put(sheet, row, column, value)
                row += 1
        sheet.set_column(0, 4, 16)
        sheet.freeze_panes(1, 0)

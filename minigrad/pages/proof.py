"""The sheet Proof: a weight of the reader's choice moved to both sides, and the quotient of the two losses' difference
beside its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from minigrad.pages.book import HEAD, INPUT, NOTE, NUMBER, TITLE, Book
from minigrad.pages.layout import COLOURS, GRADIENTS, Layout, columns_of, rows_of
from minigrad.pages.step import LaidStep
from minigrad.parameter import Array
from minigrad.programs.backends.spreadsheet import Cell, Formulas, address
from minigrad.programs.graph.notation import pretty
from minigrad.programs.graph.numbers import Node

EPSILON = 1e-4
STEP = "Step 1"
RESULTS, TABLE = 7, 16
"""The rows of the first result, and of the first weight in the list of all; the weight stands in C4, ε in C5."""
PASSES_TOP, PASSES_LEFT = 3, 6
"""Where the two forward passes begin."""


class ProofSheet:
    """Writes the sheet. `cell(node, k, sheet)` is where a number stands on the sheet of a step, which has the `shown`
    arrays; `numbers` are those of the first step.
    """

    def __init__(
        self,
        step: LaidStep,
        layout: Layout,
        book: Book,
        cell: Callable[[Node, int, str], Cell],
        shown: Collection[Node],
        numbers: Array,
    ) -> None:
        self._step, self._layout, self._book = step, layout, book
        self._cell, self._numbers = cell, numbers
        by_name = {node.name: node for node in shown}
        self._gradients = {node: by_name[f"d{node.name}"] for node in layout.parameters if f"d{node.name}" in by_name}
        self._weights = [(node, k) for node in self._gradients for k in range(node.size)]

    def write(self) -> None:
        """Write it; there is none of a step without weights."""
        if not self._weights:
            return
        book = self._book
        sheet = book.sheet("Proof", COLOURS[GRADIENTS])
        book.put(sheet, 0, 1, "Is the gradient right?", **TITLE)
        words = "Move one weight to both sides, compute the loss twice: (L(w+ε) − L(w−ε)) / 2ε is the derivative."
        book.put(sheet, 1, 1, words, **NOTE)
        sheet.set_column(0, 0, 3)
        sheet.set_column(1, 1, 30)
        sheet.set_column(2, 4, 16)
        labels = self._list(sheet)
        self._choice(sheet, labels)
        above, top = self._moved(sheet, 1, PASSES_TOP)
        below, _ = self._moved(sheet, -1, top)
        self._results(sheet, above, below)
        sheet.freeze_panes(3, 0)

    def _column(self, letter: str) -> str:
        """A column of the list."""
        return f"${letter}${TABLE + 1}:${letter}${TABLE + len(self._weights)}"

    def _list(self, sheet: Any) -> list[str]:
        """All weights with their gradients; returns what they are called."""
        book, labels = self._book, []
        for column, text in enumerate(("weight", "w", "gradient"), 1):
            book.put(sheet, TABLE - 1, column, text, **HEAD)
        for row, (node, k) in enumerate(self._weights, TABLE):
            index = ",".join(str(int(i) + 1) for i in np.unravel_index(k, node.shape))
            labels.append(f"{pretty(node.name)}[{index}]")
            book.put(sheet, row, 1, labels[-1])
            for column, of in ((2, node), (3, self._gradients[node])):
                where, value = address(self._cell(of, k, STEP)), float(self._numbers[of.start + k])
                book.formula(sheet, row, column, where, value, num_format=NUMBER)
        return labels

    def _choice(self, sheet: Any, labels: list[str]) -> None:
        book, names = self._book, self._column("B")
        book.put(sheet, 3, 1, "which weight?", bold=True)
        book.put(sheet, 3, 2, labels[0], bold=True, align="center", **INPUT)
        sheet.data_validation(3, 2, 3, 2, {"validate": "list", "source": f"={names}"})
        book.put(sheet, 4, 1, "ε", bold=True)
        book.put(sheet, 4, 2, EPSILON, **INPUT)
        book.put(sheet, 5, 1, "its number in the list", font_color="#666666")
        book.formula(sheet, 5, 2, f"MATCH($C$4,{names},0)", 1)

    def _results(self, sheet: Any, above: tuple[str, float], below: tuple[str, float]) -> None:
        """The quotient beside the gradient, of the losses with the weight moved: the cell and the number of each."""
        node, k = self._weights[0]
        slope = float(self._numbers[self._gradients[node].start + k])
        quotient = (above[1] - below[1]) / (2 * EPSILON)
        lines = (
            ("L(w + ε)", *above, "0.000000000000"),
            ("L(w − ε)", *below, "0.000000000000"),
            ("(L(w + ε) − L(w − ε)) / 2ε", "(C8-C9)/(2*C5)", quotient, "0.0000000000"),
            ("backward says", f"INDEX({self._column('D')},$C$6)", slope, "0.0000000000"),
            ("they differ by", "ABS(C10-C11)", abs(quotient - slope), "0.0E+00"),
        )
        for place, (label, text, value, form) in enumerate(lines):
            self._book.put(sheet, RESULTS + place, 1, label, bold=True)
            self._book.formula(sheet, RESULTS + place, 2, text, value, num_format=form, bold=place in (2, 3))

    def _moved(self, sheet: Any, sign: int, top: int) -> tuple[tuple[str, float], int]:
        """The forward pass with the chosen weight moved: (the cell of the loss, the loss), and the next free row."""
        book, graph = self._book, self._step.graph
        numbers = self._evaluated(sign)
        numbered = {node: start for start, (node, k) in enumerate(self._weights) if k == 0}
        needed = graph.reached([graph.result])
        blocks = [node for node in self._layout.notation.blocks if node in needed]
        where: dict[Node, tuple[int, int]] = {}
        column, tall = PASSES_LEFT, 0
        for node in blocks:
            if node in numbered or not node.is_given:
                where[node] = (top + 2, column)
                column += columns_of(node) + 1
                tall = max(tall, rows_of(node))

        def cell(node: Node, k: int) -> Cell:
            if node not in where:
                return self._cell(node, k, STEP)
            (at, left), (down, right) = where[node], divmod(k, columns_of(node))
            return "", at + down, left + right

        writer = Formulas(graph, blocks, cell)
        text = f"the forward pass with w {'+' if sign > 0 else '−'} ε"
        book.put(sheet, top, PASSES_LEFT, text, bold=True, font_color=COLOURS[GRADIENTS])
        for node, (at, left) in where.items():
            book.put(sheet, at - 1, left, pretty(node.name), bold=True)
            for k in range(node.size):
                _, r, c = cell(node, k)
                if node in numbered:
                    own = address(self._cell(node, k, STEP))
                    formula = f"{own}{'+' if sign > 0 else '-'}IF($C$6={numbered[node] + k + 1},$C$5,0)"
                else:
                    formula = writer.formula(node, k)
                book.formula(sheet, r, c, formula, float(numbers[node.start + k]), num_format=NUMBER)
        place = int(graph.result)
        of = graph.node_at(place)
        return (address(cell(of, place - of.start)), float(numbers[place])), top + tall + 4

    def _evaluated(self, sign: int) -> Array:
        """All numbers of the first step with the first weight moved, which is the one that is chosen at first."""
        given: dict[str, Any] = dict(self._step.given) | self._step.at(0)
        node, k = self._weights[0]
        moved = np.array(given[node.name], float)
        moved.reshape(-1)[k] += sign * EPSILON
        return self._step.graph.evaluate(given | {node.name: moved})

"""A program as formulas of a spreadsheet, one for each number, out of functions that there were before Excel 2007.

No array formulas, names, LET or LAMBDA: a cell's formula can be clicked, traced and filled down, and means the same in
Excel, LibreOffice and Google Sheets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from minigrad.programs.graph.building import graph_of
from minigrad.programs.graph.notation import Notation
from minigrad.programs.graph.numbers import Graph, Node, Operand
from minigrad.programs.graph.simplification import plain
from minigrad.programs.ir.ops import Program, Unwritable

PROMISE = "to rounding"

Cell: TypeAlias = tuple[str, int, int]
"""The sheet ("" for the formula's own), the row and the column, from 0."""

LONGEST, ARGUMENTS = 8000, 200
"""Characters of a formula, of which Excel takes 8,192, and arguments of a function, of which it takes 255."""
TERMS_WRITTEN = 6
"""A longer product of a row and a column is a SUMPRODUCT."""

SIGNS = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2)}
CALLS = {
    "exp": "EXP({0})",
    "log": "LN({0})",
    "log1p": "LN(1+({0}))",
    "log2": "LOG({0},2)",
    "log10": "LOG10({0})",
    "sqrt": "SQRT({0})",
    "absolute": "ABS({0})",
    "tanh": "TANH({0})",
    "sinh": "SINH({0})",
    "cosh": "COSH({0})",
    "sin": "SIN({0})",
    "cos": "COS({0})",
    "arctan": "ATAN({0})",
    "sign": "SIGN({0})",
    "floor": "INT({0})",
    "minimum": "MIN({0},{1})",
    "maximum": "MAX({0},{1})",
    "power": "POWER({0},{1})",
    "greater": "IF({0}>{1},1,0)",
    "less": "IF({0}<{1},1,0)",
    "greater_equal": "IF({0}>={1},1,0)",
    "less_equal": "IF({0}<={1},1,0)",
    "equal": "IF({0}={1},1,0)",
    "not_equal": "IF({0}<>{1},1,0)",
    "logical_and": "IF(({0})*({1})<>0,1,0)",
    "bitwise_and": "IF(({0})*({1})<>0,1,0)",
    "logical_or": "IF(ABS({0})+ABS({1})>0,1,0)",
    "bitwise_or": "IF(ABS({0})+ABS({1})>0,1,0)",
    "copysign": "IF({1}<0,-1,1)*ABS({0})",
    "where": "IF(({0})<>0,{1},{2})",
}
FOLDS = {"add": "SUM", "maximum": "MAX", "minimum": "MIN", "multiply": "PRODUCT"}


def address(cell: Cell, absolute: bool = False) -> str:
    """B7 for ("", 6, 1), 'Step 1'!B7 on another sheet."""
    sheet, row, column = cell
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    dollar = "$" * absolute
    quoted = f"'{sheet}'!" if sheet else ""
    return f"{quoted}{dollar}{letters}{dollar}{row + 1}"


def area(first: Cell, last: Cell, absolute: bool = False) -> str:
    """B7:C8 for the cells from one corner to the other."""
    if first == last:
        return address(first, absolute)
    return f"{address(first, absolute)}:{address(('', *last[1:]), absolute)}"


class Formulas:
    """The formula of each number of a graph, where `cell(node, k)` says in which cell the k-th of a shown node stands.

    Nodes that `blocks` does not hold are written out inside the formulas of others. Cells on `pinned` sheets are
    written with $, so that a formula can be filled down.
    """

    def __init__(
        self, graph: Graph, blocks: Iterable[Node], cell: Callable[[Node, int], Cell], pinned: Sequence[str] = ()
    ) -> None:
        self._graph, self._blocks, self._pinned = graph, set(blocks), pinned
        self.cell = cell
        self._wide: dict[Node, list[Operand]] = {}

    def formula(self, node: Node, k: int) -> str:
        """The formula of one number, without its `=`. Raises Unwritable where it has none."""
        text = self._text(node, k, True)[0]
        if len(text) > LONGEST:
            raise self._refusal(node, f"a formula of {len(text):,} characters is longer than a sheet takes")
        return text

    def _refusal(self, node: Node, why: str) -> ValueError:
        return ValueError(why) if node.op is None else Unwritable(node.op, why)

    def _operands(self, node: Node) -> list[Operand]:
        """The places of each operand, broadcast to all terms."""
        if node not in self._wide:
            shape = node.shape + node.over
            self._wide[node] = [np.broadcast_to(p, shape) if isinstance(p, np.ndarray) else p for p in node.inputs]
        return self._wide[node]

    def _text(self, node: Node, k: int, top: bool = False) -> tuple[str, int]:
        """(formula, how firmly it binds) of the k-th number."""
        if node in self._blocks and not top:
            cell = self.cell(node, k)
            return address(cell, cell[0] in self._pinned), 9
        if node.constant is not None:
            return _number(float(node.constant.ravel()[k]))
        index = np.unravel_index(k, node.shape) if node.shape else ()
        if node.fold:
            return self._folded(node, index)
        floored = self._floored_logarithm(node, index)
        if floored is not None:
            return floored, 9
        found = [self._place(int(p[index])) if isinstance(p, np.ndarray) else _number(p) for p in self._operands(node)]

        def bound(position: int, least: int) -> str:
            text, binds = found[position]
            return text if binds >= least else f"({text})"

        f = node.function
        if f in SIGNS:
            sign, binds = SIGNS[f]
            return bound(0, binds) + sign + bound(1, binds + (f in ("subtract", "divide"))), binds
        if f == "negative":
            return f"-{bound(0, 9)}", 2
        if f == "square":
            return f"{bound(0, 9)}^2", 3
        if f == "reciprocal":
            return f"1/{bound(0, 3)}", 2
        if f == "invert":
            return f"1-{bound(0, 2)}", 1
        if f == "expm1":
            return f"EXP({found[0][0]})-1", 1
        if f == "ceil":
            return f"-INT(-{bound(0, 9)})", 2
        if f in ("same", "positive"):
            return found[0]
        if f not in CALLS:
            raise self._refusal(node, f"a sheet has no {f}")
        return CALLS[f].format(*(text for text, _ in found)), 2 if f == "copysign" else 9

    def _floored_logarithm(self, node: Node, index: tuple[np.intp, ...]) -> str | None:
        """max(log u, c) as a sheet can say it, where log 0 is no -∞ but an error; None for anything else."""
        if node.function != "maximum" or not isinstance(node.inputs[1], float):
            return None
        places = self._operands(node)[0]
        if not isinstance(places, np.ndarray):
            return None
        inner = self._graph.node_at(int(places[index]))
        if inner in self._blocks or inner.function not in ("log", "log1p"):
            return None
        k = int(places[index]) - inner.start
        of = np.unravel_index(k, inner.shape) if inner.shape else ()
        operand = self._operands(inner)[0]
        u = self._place(int(operand[of]))[0] if isinstance(operand, np.ndarray) else _number(operand)[0]
        text, least = self._text(inner, k)[0], _number(node.inputs[1])[0]
        return f"IF({u}>{0 if inner.function == 'log' else -1},MAX({text},{least}),{least})"

    def _place(self, place: int) -> tuple[str, int]:
        node = self._graph.node_at(place)
        return self._text(node, place - node.start)

    def _cells(self, places: Sequence[int]) -> list[Cell] | None:
        """Their cells, where all of them have one."""
        found = []
        for place in places:
            node = self._graph.node_at(place)
            if node not in self._blocks:
                return None
            found.append(self.cell(node, place - node.start))
        return found

    def _folded(self, node: Node, index: tuple[np.intp, ...]) -> tuple[str, int]:
        places = [p[index].ravel().tolist() if isinstance(p, np.ndarray) else p for p in self._operands(node)]
        if node.function == "multiply" and all(isinstance(each, list) for each in places):
            return self._product(*places)  # type: ignore[arg-type]
        if node.function != "same" or not isinstance(places[0], list):
            raise self._refusal(node, f"a sheet has no {node.fold} of {node.function}")
        cells = self._cells(places[0])
        arguments = [self._place(place)[0] for place in places[0]] if cells is None else areas(cells)
        if len(arguments) == 1 and len(places[0]) == 1:
            return self._place(places[0][0])
        name = FOLDS[node.fold]
        while len(arguments) > ARGUMENTS:
            some = [arguments[i : i + ARGUMENTS] for i in range(0, len(arguments), ARGUMENTS)]
            arguments = [f"{name}({','.join(each)})" for each in some]
        return f"{name}({','.join(arguments)})", 9

    def _product(self, one: list[int], other: list[int]) -> tuple[str, int]:
        """A row times a column."""
        cells = self._cells(one), self._cells(other)
        if one == other and cells[0] is not None and len(one) > 1:
            parts = areas(cells[0])
            if len(parts) <= ARGUMENTS:
                return f"SUMSQ({','.join(parts)})", 9
        if len(one) > TERMS_WRITTEN:
            along, across = (None if each is None else _run(each, each[0][0] in self._pinned) for each in cells)
            if along is not None and across is not None:
                (way, first), (turned, second) = along, across
                if way == turned:
                    return f"SUMPRODUCT({first},{second})", 9
                row, column = (first, second) if way == "row" else (second, first)
                return f"SUMPRODUCT(MMULT({row},{column}))", 9
        terms = []
        for a, b in zip(one, other, strict=True):
            factors = [text if binds >= 2 else f"({text})" for text, binds in (self._place(a), self._place(b))]
            terms.append("*".join(factors))
        return "+".join(terms), 1 if len(terms) > 1 else 2


def _number(number: float) -> tuple[str, int]:
    text = repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number).upper()
    return text, 9 if number >= 0 else 2


def _run(cells: Sequence[Cell], absolute: bool) -> tuple[str, str] | None:
    """("row" or "column", the range) of cells that stand side by side in this order."""
    (sheet, row, column), count = cells[0], len(cells)
    if list(cells) == [(sheet, row, column + i) for i in range(count)]:
        return "row", area(cells[0], cells[-1], absolute)
    if list(cells) == [(sheet, row + i, column) for i in range(count)]:
        return "column", area(cells[0], cells[-1], absolute)
    return None


def areas(cells: Sequence[Cell]) -> list[str]:
    """The same cells as few ranges, in whatever order: one for each block of them that is a rectangle."""
    found: list[str] = []
    rest = list(cells)
    while rest:
        sheet, row, column = rest[0]
        wide = 1
        while wide < len(rest) and rest[wide] == (sheet, row, column + wide):
            wide += 1
        high = 1
        while rest[high * wide : (high + 1) * wide] == [(sheet, row + high, column + i) for i in range(wide)]:
            high += 1
        found.append(area(rest[0], rest[high * wide - 1]))
        rest = rest[high * wide :]
    return found


@dataclass(frozen=True)
class Grid:
    """A program on one sheet: `numbers` that are given and `formulas`, by (row, column), and the `cells` of results."""

    numbers: dict[tuple[int, int], float]
    formulas: dict[tuple[int, int], str]
    cells: dict[str, list[tuple[int, int]]]
    given: dict[str, list[tuple[int, int]]]


def write(program: Program) -> Grid:
    """The program on one sheet, block below block; the numbers that are given are as they are now.

    `cells` has those of what the program leaves, by its names, and of "the result". Raises Unwritable for an op that
    has no formulas.
    """
    graph = plain(graph_of(program))
    blocks = Notation(graph).blocks
    left = {name: np.asarray(places).ravel().tolist() for name, places in graph.lasting.items()}
    left["the result"] = graph.result.ravel().tolist()
    shown = {*blocks, *(graph.node_at(place) for places in left.values() for place in places)}
    tops, row = {}, 0
    for node in graph.nodes:
        if node in shown:
            tops[node], row = row, row + (node.size // (node.shape[-1] if node.shape else 1)) + 1

    def cell(node: Node, k: int) -> Cell:
        wide = node.shape[-1] if node.shape else 1
        return "", tops[node] + k // wide, k % wide

    writer = Formulas(graph, list(shown), cell)
    numbers: dict[tuple[int, int], float] = {}
    formulas: dict[tuple[int, int], str] = {}
    given: dict[str, list[tuple[int, int]]] = {}
    values = {name: program.array(view).ravel() for name, view in graph.given.items()}
    for node in tops:
        places = [cell(node, k)[1:] for k in range(node.size)]
        if node.is_given:
            constants = values[node.name] if node.constant is None else node.constant.ravel()
            numbers |= dict(zip(places, map(float, constants), strict=True))
            given[node.name] = places
        else:
            formulas |= {place: writer.formula(node, k) for k, place in enumerate(places)}

    def where(place: int) -> tuple[int, int]:
        node = graph.node_at(place)
        return cell(node, place - node.start)[1:]

    return Grid(numbers, formulas, {name: list(map(where, places)) for name, places in left.items()}, given)

"""A model's prediction for one row as numbers that can be looked at: what goes in, the graph, and what comes out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minigrad.layer import whole_copy
from minigrad.layers.combine import Average
from minigrad.model import Model
from minigrad.pages.step import OpenedError
from minigrad.parameter import Array, pack, walk
from minigrad.programs.graph.building import graph_of
from minigrad.programs.graph.notation import Notation
from minigrad.programs.graph.numbers import Graph
from minigrad.programs.graph.simplification import plain
from minigrad.programs.ir.interpreter import interpret
from minigrad.programs.ir.ops import Unwritable
from minigrad.programs.runtime.compiling import compiled
from minigrad.programs.tracing.steps import Inference
from minigrad.programs.tracing.tracer import TraceError
from minigrad.tables.columns import Column, NumberColumn, TextColumn
from minigrad.tables.preparation import Preparation
from minigrad.tables.reading.numbers import NumberFormat
from minigrad.tables.reading.table import Reading
from minigrad.tables.target import Target, interval_names, interval_of, is_of_table, table_of, threshold_of


class Answering:
    """One row through a float64 copy of a model, with a table's preparation before it and the answer's words after it.

    `names` are those of the inputs, of a table its columns. `features` are the numbers that the network itself takes.
    """

    def __init__(self, model: Model) -> None:
        self.title: str = repr(model)
        only = model.layers[0] if len(model.layers) == 1 else None
        self.ensemble: Average | None = only if isinstance(only, Average) else None
        if self.ensemble is not None:
            self.title = (
                f"the mean of {len(self.ensemble.layers)} networks, the first of them {self.ensemble.layers[0]!r}"
            )
        self.model: Model = whole_copy(model)
        pack([self.model], np.float64)
        self.preparation: Preparation | None = None
        self.target: Target | None = None
        if is_of_table(model):
            self.preparation, self.target = table_of(model)
            self.row_shape: tuple[int, ...] = (len(self.preparation.features),)
            self.names: list[str] = self.preparation.names
            self.features: list[str] = self.preparation.features
        else:
            if model.row_shape is None:
                raise OpenedError(f"{model!r} does not say how wide its rows are: make it with input_shape=…")
            self.row_shape = model.row_shape
            self.names = self.features = [f"x{i + 1}" for i in range(int(np.prod(self.row_shape)))]
        if not np.isfinite(self.model.theta).all():
            raise OpenedError(f"{model!r} has weights that are not finite: it has no answers to export")
        x = np.zeros((1, *self.row_shape))
        try:
            self.model.predict(x)  # networks in it have then learned the shape of their rows, and are recorded, too
            program = compiled(Inference(self.model, x), any_code=True).program
            self.graph: Graph = graph_of(program)
        except (TraceError, Unwritable) as error:
            raise OpenedError(f"{model!r} can't be exported like this: {error}") from error
        except IndexError as error:
            raise OpenedError(f"{model!r} looks integers up, which has no formula") from error
        self.given: dict[str, Array] = self.graph.numbers(interpret(program, (x,)))
        self.graph = plain(self.graph)
        self.notation: Notation = Notation(self.graph)
        self.regression: bool = self.target is not None and self.target.task == "regression"
        self.outputs: int = int(self.graph.result.size)
        self.classes: Any = None if self.regression or model.classes is None else model.classes.tolist()
        self.boundary: float = float(model.boundary)
        chosen = threshold_of(model.preparation)
        self.threshold: tuple[Any, float] | None = (
            None if chosen is None or self.classes is None else (self.classes.index(chosen[0]), chosen[1])
        )
        read = Reading.from_json((model.preparation or {}).get("reading", {})).columns
        self.formats: dict[str, NumberFormat] = {name: how.number for name, how in read.items()}
        """How numbers are written in the columns of a table, where training has read them from text."""
        self.interval: tuple[float, float] | None = interval_of(model.preparation) if self.regression else None
        """The half width of the interval around a prediction, and the share of new rows that it holds for."""

    def place(self, name: str) -> str:
        """Where a parameter of this name stands: Layer 2, for W2; in an ensemble Network 1, layer 2."""
        number = int((re.search(r"\d+$", name) or ["1"])[0])
        if self.ensemble is None:
            return f"Layer {number}"
        network, layer = divmod(number - 1, sum(bool(layer.params) for layer in walk([self.ensemble.layers[0]])))
        return f"Network {network + 1}, layer {layer + 1}"

    def columns(self) -> list[str]:
        """The columns of an answer, as `minigrad predict` names them."""
        if self.interval is not None:
            return ["prediction", *interval_names(self.interval[1])]
        if self.classes is None and (self.regression or self.outputs == 1):
            return ["prediction"]
        names = list(range(self.outputs)) if self.classes is None else self.classes
        names = names[-1:] if self.outputs == 1 else names
        kind = "probability of" if self._are_probabilities() else "output for"
        return ["prediction", *(f"{kind} {name}" for name in names)]

    def _are_probabilities(self) -> bool:
        rng = np.random.default_rng(0)
        y = self.model.predict(rng.normal(size=(16, *self.row_shape)))
        return bool(np.all((y >= 0) & (y <= 1)))

    def encoded(self, rows: Any) -> Array:
        """The numbers that the network takes, in float64, of rows as users have them."""
        if self.preparation is None:
            return np.asarray(rows, np.float64).reshape(len(rows), -1)
        frame = rows.set_axis([str(name) for name in rows.columns], axis=1)
        self.preparation.transform(frame)  # refuses by name what it does not take
        return np.concatenate([column.encode(frame[column.name]) for column in self.preparation.columns], axis=1)

    def cells(self, rows: Any) -> list[list[Any]]:
        """What stands in the cells of rows: numbers, text, moments, True and False, None where there is nothing."""
        if self.preparation is None:
            return np.asarray(rows, np.float64).reshape(len(rows), -1).tolist()
        found = self.preparation.cells(rows)
        table = []
        for k in range(len(rows)):
            table.append([_cell(column, found[column.name][k]) for column in self.preparation.columns])
        return table

    def typical(self) -> list[Any]:
        """A row to begin with: means, and the first of the values of text."""
        return [0.0] * len(self.names) if self.preparation is None else [*map(_typical, self.preparation.columns)]

    def numbers(self, x: Array) -> list[Array]:
        """All numbers of the graph, for each row of encoded x."""
        return [self.graph.evaluate(self.given | {"x": row.reshape(1, *self.row_shape)}) for row in x]

    def answer(self, y: Array) -> list[Any]:
        """The cells of an answer, in the order of `columns`, of one row of outputs."""
        if self.regression and self.target is not None:
            found = float(y[0] * self.target.scale + self.target.mean)
            width = None if self.interval is None else self.interval[0]
            return [found] if width is None else [found, found - width, found + width]
        if self.classes is None and self.outputs == 1:
            return [float(y[0])]
        code = int(y[0] >= self.boundary) if self.outputs == 1 else int(np.argmax(y))
        if self.threshold is not None:
            place, edge = self.threshold
            code = place if y[place] >= edge else 1 - place
        return [code if self.classes is None else self.classes[code], *map(float, y)]


def _cell(column: Column, value: Any) -> Any:
    """One value of a column as it stands in a cell."""
    if isinstance(column, TextColumn):
        return value
    if isinstance(column, NumberColumn):
        return None if np.isnan(value) else bool(value) if column.kind == "flag" else float(value)
    return value.item()  # None of NaT


def _typical(column: Column) -> Any:
    if isinstance(column, TextColumn):
        return column.values[0]
    if isinstance(column, NumberColumn):
        return bool(column.fill) if column.kind == "flag" else float(f"{column.mean:.3g}")
    return np.datetime64(int(column.mean), "D").astype("datetime64[us]").item()

"""ONNX: a network as a file that other programs run, and back, proved on the spot to give the same answers.

    from minigrad.onnx import FORMS, export, load

    difference = export(model, "model.onnx", x_test)
    model = load("others.onnx")    # the other way: any program's file of nodes that are layers here

A layer of your own has a form here once you write it in ONNX's operations: a function of the graph, the layer and the
name of x. Numbers and arrays become constants, and what an operation returns goes into the next one:

    FORMS[Scale] = lambda g, layer, x: g("Mul", x, layer.g)                           # y = g x
    FORMS[MyMish] = lambda g, layer, x: g("Mul", x, g("Tanh", g("Softplus", x)))      # y = x tanh(softplus(x))

`export` holds it to the layer's own answers like any other. A subclass has none of its base class.

A model of a table takes the table's columns as they are: their preparation is part of the graph.

This needs onnx and onnxruntime: `pip install "minigrad-nn[onnx]"`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.version import installing

try:
    import onnx
    import onnxruntime
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(f"minigrad.onnx needs onnx and onnxruntime: {installing('onnx')}") from _error

from minigrad.atomic import replacing, target_of
from minigrad.layers.embedding import Embedding
from minigrad.onnx.columns import ROWS, decoded, fed, made_up, prepared
from minigrad.onnx.forms import FORMS
from minigrad.onnx.graph import ExportError, Graph, kind_of
from minigrad.onnx.reading import load
from minigrad.parameter import Array, walk
from minigrad.sequential import Sequential
from minigrad.tables.model import TableModel, network_of
from minigrad.tables.target import is_of_table, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMS", "ExportError", "Graph", "export", "load", "made_up"]


def export(model: Sequential | TableModel, path: str | os.PathLike[str], x: Any = None) -> float:
    """Write `model` as an ONNX file, and return by how much its answers differ at most from the model's own.

    The file has one input "x" (any number of rows, of the model's dtype, or int64 for a model that looks integers up)
    and one output "y"; a model that was trained on labels has a second one, "label", the most probable of them. All
    labels stand in the metadata, under "classes", as JSON.

    A model that was trained on a table has one input (rows, 1) for each column that it needs, by the column's name:
    numbers (and TRUE and FALSE as 1 and 0) as float64, NaN where missing; text as strings, "" where missing, in a
    spelling that training had. Its y is in the target's units. An output whose name is a column's gets a "_" behind it.

    Before anything is written, the graph is checked by onnx and run by onnxruntime on the rows x, for a table a
    DataFrame (without x, on random ones): all of them at once, and one alone. Raises ExportError, and leaves the file
    at `path` as it is, where the answers differ by more than half the digits of the dtype, where a layer has no ONNX
    form (one's own have those that `FORMS` is given), or where x is needed.
    """
    target_of(path)
    network: Sequential = network_of(model)
    case = _table(network, x) if is_of_table(network) else _network(network, x)
    written = case.graph.written()
    try:
        onnx.checker.check_model(written, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx refuses the graph of {network!r}: {error}") from error
    data = written.SerializeToString()
    difference = _difference(network, data, case)
    with replacing(path) as file:
        file.write(data)
    return difference


@dataclass(frozen=True)
class Case:
    """A graph, the rows to compare it on, what it is given for them, and what the model answers about them.

    `mean` and `scale` are those of a regression's target, whose answers are in units of their own.
    """

    graph: Graph
    rows: Any
    feed: Callable[[Any], dict[str, Array]]
    answer: Callable[[Any], Array]
    mean: float = 0.0
    scale: float = 1.0


def _network(model: Sequential, x: Any) -> Case:
    """The model from rows to outputs."""
    rows = _rows(model, x)
    g = Graph(model, FORMS)
    y = g.chain(model.chain(), g.input("x", kind_of(rows.dtype), rows.shape[1:]))
    g.output("y", y, kind_of(g.dtype), g.shapes[y])
    g.label(y)
    return Case(g, rows, lambda some: {"x": some}, model.predict)


def _table(model: Sequential, x: Any) -> Case:
    """The model from a table's columns to outputs in the target's units."""
    import pandas as pd

    preparation, target = table_of(model)
    if x is None:
        x = made_up(preparation)
    elif not isinstance(x, pd.DataFrame):
        raise ExportError("the model was trained on a table's columns: give the rows to compare on as a DataFrame")
    if len(x) == 0:
        raise ExportError("x has no rows to compare on")
    g = Graph(model, FORMS)
    y = g.chain(model.chain(), prepared(g, preparation))
    if target.task == "regression":
        g.output("y", decoded(g, target, y), onnx.TensorProto.DOUBLE, g.shapes[y])
    else:
        g.output("y", y, kind_of(g.dtype), g.shapes[y])
    g.label(y)

    def answer(some: pd.DataFrame) -> Array:
        outputs = model.predict(preparation.transform(some))
        return outputs if target.task == "classification" else target.decode(outputs)[:, None]

    return Case(g, x, lambda some: fed(preparation, some), answer, target.mean, target.scale)


def _rows(model: Sequential, x: Any) -> Array:
    """Rows to compare on, as the model takes them."""
    if x is not None:
        rows: Array = model.admit(x)
        if len(rows) == 0:
            raise ExportError("x has no rows to compare on")
        return rows
    if model.input_shape is None:
        raise ExportError(f"{model!r} does not say how wide its rows are: give some as x")
    rng = np.random.default_rng(0)
    shape = (ROWS, *model.input_shape)
    words = min((layer.vocabulary for layer in walk([model]) if isinstance(layer, Embedding)), default=1)
    codes = rng.integers(0, words, shape)
    for rows in (rng.normal(size=shape), codes * 1.0, codes):
        try:
            model.predict(rows)
        except IndexError:  # numbers that are to be looked up are whole ones
            continue
        return model.admit(rows)
    raise ExportError(f"{model!r} takes no random rows: give real ones as x")


def _difference(model: Sequential, data: bytes, case: Case) -> float:
    """Run the file and the model on the same rows: the largest difference. Raises ExportError if it is too large."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    samples = case.rows, case.rows[:1]
    expectations = [case.answer(some) for some in samples]
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        answers = [session.run(None, case.feed(some)) for some in samples]
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        hint = "; it lacks some operations in float64: make the model anew with dtype=np.float32"
        hint *= model.theta.dtype == np.float64
        said = " ".join(str(error).split())
        raise ExportError(f"onnxruntime does not run the graph of {model!r}: {said}{hint}") from error
    largest = 0.0
    for (found, *labels), expected in zip(answers, expectations, strict=True):
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise ExportError(
                f"onnxruntime answers with {found.dtype} of shape {found.shape}, the model with {expected.dtype} of "
                f"shape {expected.shape}"
            )
        difference = float(np.abs(found - expected).max())
        size = max(case.scale, float(np.abs(expected - case.mean).max()))
        limit = float(np.sqrt(np.finfo(model.theta.dtype).eps)) * size
        if not difference <= limit:
            raise ExportError(
                f"onnxruntime's answers differ from the model's by up to {difference:.2g}, more than the {limit:.2g} "
                f"that rounding explains"
            )
        if any(label.tolist() != model.labels_of(found).tolist() for label in labels):
            raise ExportError("onnxruntime's labels are not the most probable ones of its own answers")
        largest = max(largest, difference)
    return largest

"""ONNX: a trained network as a file that other programs run, proved on the spot to give the same answers.

    from minigrad.onnx import export

    difference = export(model, "model.onnx", x_test)

A model of a table takes the table's columns as they are: their preparation is part of the graph.

This needs onnx and onnxruntime: `pip install 'minigrad-nn[onnx]'`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from minigrad import __version__
from minigrad.atomic import replacing, target_of
from minigrad.data.preparation import Column, NumberColumn, Preparation, Target, TextColumn, is_of_table, table_of
from minigrad.layer import Layer
from minigrad.layers.activations import (
    ELU,
    GELU,
    A,
    B,
    HardSigmoid,
    Identity,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    Swish,
    Tanh,
)
from minigrad.layers.combine import Concatenate, Residual
from minigrad.layers.convolution import Conv1D, Conv2D
from minigrad.layers.dense import Dense
from minigrad.layers.dropout import Dropout
from minigrad.layers.embedding import Embedding
from minigrad.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from minigrad.layers.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from minigrad.layers.rectifiers import CELU, SELU, SELU_SCALE, SELU_SCALE_ALPHA, PReLU
from minigrad.layers.shape import Columns, Flatten, Reshape
from minigrad.layers.standardize import Standardize
from minigrad.layers.windows import Windowed
from minigrad.parameter import Array, walk
from minigrad.sequential import Sequential

if TYPE_CHECKING:
    import pandas as pd

OPSET = 18  # the first with Mish; onnxruntime computes its ELU, SELU, Softplus … in float64 too, which it later doesn't
IR_VERSION = 8  # that came with opset 18
TEXT_OPSET = 2  # of ai.onnx.ml, whose LabelEncoder looks texts up
ROWS = 64  # random rows to compare on where no real ones are given


class ExportError(ValueError):
    """A model that has no ONNX form, or whose ONNX form does not give the same answers; no file is written."""


def export(model: Sequential, path: str | os.PathLike[str], x: Any = None) -> float:
    """Write `model` as an ONNX file, and return by how much its answers differ at most from the model's own.

    The file has one input "x" (any number of rows, of the model's dtype, or int64 for a model that looks integers up)
    and one output "y"; a model that was trained on labels has a second one, "label", the most probable of them. All
    labels stand in the metadata, under "classes", as JSON.

    A model that was trained on a table has one input (rows, 1) for each column that it needs, by the column's name:
    numbers (and TRUE and FALSE as 1 and 0) as float64, NaN where missing; text as strings, "" where missing. Its y is
    in the target's units. An output whose name is a column's gets a "_" behind it.

    Before anything is written, the graph is checked by onnx and run by onnxruntime on the rows x, for a table a
    DataFrame (without x, on random ones): all of them at once, and one alone. Raises ExportError, and leaves the file
    at `path` as it is, where the answers differ by more than half the digits of the dtype, where a layer has no ONNX
    form (as those of one's own), or where x is needed.
    """
    target_of(path)
    case = _table(model, x) if is_of_table(model) else _network(model, x)
    written = case.graph.written()
    try:
        onnx.checker.check_model(written, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx refuses the graph of {model!r}: {error}") from error
    data = written.SerializeToString()
    difference = _difference(model, data, case)
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
    g = Graph(model)
    y = g.chain(model.chain(), g.input("x", _kind(rows.dtype), rows.shape[1:]))
    g.output("y", y, _kind(g.dtype), g.shapes[y])
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
    g = Graph(model)
    for column in preparation.columns:
        kind = onnx.TensorProto.STRING if isinstance(column, TextColumn) else onnx.TensorProto.DOUBLE
        g.input(column.name, kind, (1,))
    prepared = g("Concat", *(part for column in preparation.columns for part in _encoded(g, column)), axis=1)
    prepared = g("Cast", g("Cast", prepared, to=onnx.TensorProto.FLOAT), to=_kind(g.dtype))  # as `transform` rounds
    g.shapes[prepared] = (len(preparation.features),)
    y = g.chain(model.chain(), prepared)
    if target.task == "regression":
        g.output("y", _decoded(g, target, y), onnx.TensorProto.DOUBLE, g.shapes[y])
    else:
        g.output("y", y, _kind(g.dtype), g.shapes[y])
    g.label(y)

    def feed(some: pd.DataFrame) -> dict[str, Array]:
        cells = preparation.cells(some)
        for values in cells.values():
            if values.dtype == object:
                values[[text is None for text in values]] = ""
        return {name: values[:, None] for name, values in cells.items()}

    def answer(some: pd.DataFrame) -> Array:
        outputs = model.predict(preparation.transform(some))
        return outputs if target.task == "classification" else target.decode(outputs)[:, None]

    return Case(g, x, feed, answer, target.mean, target.scale)


def made_up(preparation: Preparation) -> pd.DataFrame:
    """Rows that a table like the training's may have: each value of each column stands in one, so does a new text, and
    so does a missing one.
    """
    import pandas as pd

    rng = np.random.default_rng(0)
    possible: dict[str, list[Any]] = {}
    for column in preparation.columns:
        if isinstance(column, TextColumn):
            possible[column.name] = [None, "".join(column.values) + "?", *column.values]
        elif column.kind == "flag":
            possible[column.name] = [None, True, False]
        else:
            possible[column.name] = [None, *rng.normal(column.mean, 2 * column.scale, ROWS - 1).tolist()]
    rows = max(ROWS, *map(len, possible.values()))
    return pd.DataFrame(
        {
            name: pd.Series([values[place % len(values)] for place in rng.permutation(rows)], dtype=object)
            for name, values in possible.items()
        }
    )


def _encoded(g: Graph, column: Column) -> list[str]:
    """The columns of x, in float64, that a column of the table becomes: as its `encode` makes them."""
    if isinstance(column, NumberColumn):
        fill, mean, scale = (g.constant(value, dtype=np.float64) for value in (column.fill, column.mean, column.scale))
        missing = g("IsNaN", column.name)
        z = g("Div", g("Sub", g("Where", missing, fill, column.name), mean), scale)
        return [z, g("Cast", missing, to=onnx.TensorProto.DOUBLE)] if column.flagged else [z]
    if "" in column.values:
        raise ExportError(f"column {column.name!r}: the empty text is a value there, but in ONNX files a missing one")
    width = len(column.features)
    other = len(column.values) if column.other else width
    places = {value: place for place, value in enumerate(column.values)} | {"": width - 1 if column.missing else other}
    code = g(
        "LabelEncoder",
        column.name,
        domain="ai.onnx.ml",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=other,
    )
    units = np.vstack([np.eye(width), np.zeros(width)])  # the last row is for what training never met
    return [g("Gather", g.constant(units, "units", np.float64), g("Squeeze", code, [1]), axis=0)]


def _decoded(g: Graph, target: Target, y: str) -> str:
    """Numbers in the target's units, in float64."""
    scale, mean = (g.constant(value, dtype=np.float64) for value in (target.scale, target.mean))
    return g("Add", g("Mul", g("Cast", y, to=onnx.TensorProto.DOUBLE), scale), mean)


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
        raise ExportError(f"onnxruntime does not run the graph of {model!r}: {error}{hint}") from error
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


Form: TypeAlias = "Callable[[Graph, Any, str], str]"


class Graph:
    """The nodes and constants of an ONNX graph as it is being built; values go by their names.

    `g("Add", x, 1.0)` adds a node and returns its output's name. Numbers and arrays become constants: floats of the
    model's dtype, integers of int64.
    """

    def __init__(self, model: Sequential) -> None:
        self.model, self.dtype = model, model.theta.dtype
        self.shapes: dict[str, tuple[int, ...]] = {}
        """The shape of one row of what goes into the network, and of what each layer makes of it."""
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: set[str] = set()
        self._prefix = ""

    def input(self, name: str, kind: int, row: tuple[int, ...]) -> str:
        """Add an input of the graph, and return its name. Inputs come first: their names are the user's."""
        self._names.add(name)
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["rows", *row]))
        self.shapes[name] = row
        return name

    def output(self, name: str, value: str, kind: int, row: tuple[int, ...]) -> None:
        """Make a value an output of the graph."""
        name = self._free(name)
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, kind, ["rows", *row]))

    def label(self, y: str) -> None:
        """Make the most probable of the labels an output, where the model knows labels and y are outputs for them."""
        row = self.shapes[y]
        if self.model.classes is None or len(row) != 1:
            return
        if row == (1,):
            second = self("GreaterOrEqual", self("Squeeze", y, [1]), float(self.model.boundary))
            code = self("Cast", second, to=onnx.TensorProto.INT64)
        else:
            code = self("ArgMax", y, axis=1, keepdims=0)
        classes = np.array(self.model.classes.tolist())
        dtype = np.dtype(object) if classes.dtype.kind == "U" else classes.dtype
        self.output("label", self("Gather", self.constant(classes, "classes", dtype), code), _kind(dtype), ())

    def _free(self, name: str) -> str:
        """The name, with as many "_" behind it as make it a new one."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def __call__(self, operation: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = self._free(f"{self._prefix}{operation}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(operation, names, [output], name=output, **attributes))
        return output

    def constant(self, value: Any, name: str = "c", dtype: npt.DTypeLike | None = None) -> str:
        """Add a constant, and return its name."""
        array = np.asarray(value)
        array = array.astype(dtype or (np.int64 if array.dtype.kind in "iu" else self.dtype))
        name = self._free(f"{self._prefix}{name}_{len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def chain(self, layers: Sequence[Layer], x: str) -> str:
        """The layers, one after the other, on the value x."""
        for position in range(len(layers)):
            x = self.layer(layers, position, x)
        return x

    def layer(self, layers: Sequence[Layer], position: int, x: str) -> str:
        """One of the layers on the value x; a Sequential is its layers."""
        layer, outside = layers[position], self._prefix
        chain = layer.chain()
        form = FORMS.get(type(layer))  # not of a base class: another forward is another function
        if chain == (layer,) and form is None:
            raise ExportError(
                f"layer {position + 1} of {len(layers)}, {layer!r}, has no ONNX form: only minigrad's own layers have"
            )
        self._prefix = f"{outside}{position}."
        y = self.chain(chain, x) if form is None else form(self, layer, x)
        self._prefix = outside
        self.shapes[y] = layer.output_shape(self.shapes[x])
        return y

    def written(self) -> Any:
        """The whole as an ONNX model."""
        graph = helper.make_graph(self.nodes, "minigrad", self.inputs, self.outputs, self.constants)
        opsets = {"": OPSET, "ai.onnx.ml": TEXT_OPSET}
        used = sorted({node.domain for node in self.nodes})
        written = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, opsets[domain]) for domain in used],
            ir_version=IR_VERSION,
            producer_name="minigrad",
            producer_version=__version__,
        )
        facts = {"preparation": self.model.preparation}
        facts["classes"] = None if self.model.classes is None else self.model.classes.tolist()
        known = {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items() if fact is not None}
        helper.set_model_props(written, known)
        return written


def _kind(dtype: np.dtype[Any]) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(np.int64) if dtype.kind in "iu" else dtype))


def _operation(name: str, **attributes: Any) -> Form:
    """A layer that is one of ONNX's operations."""
    return lambda g, layer, x: g(name, x, **attributes)


# An attribute of an ONNX operation is a float32. Where a layer has a number of its own, it is a constant of the model's
# dtype here, so that a float64 model keeps its digits.
def _nothing(g: Graph, layer: Layer, x: str) -> str:
    return x


def _dense(g: Graph, layer: Dense, x: str) -> str:
    y = g("MatMul", x, g.constant(layer.W, "W"))
    return g("Add", y, g.constant(layer.b, "b")) if layer.bias else y


def _leaky_relu(g: Graph, layer: LeakyReLU, x: str) -> str:
    return g("PRelu", x, float(layer.slope))


def _prelu(g: Graph, layer: PReLU, x: str) -> str:
    return g("PRelu", x, g.constant(layer.a, "a"))


def _elu(g: Graph, layer: ELU, x: str) -> str:
    return g("Add", g("Relu", x), g("Mul", g("Elu", g("Min", x, 0.0)), float(layer.alpha)))


def _selu(g: Graph, layer: SELU, x: str) -> str:
    return g("Add", g("Mul", g("Relu", x), SELU_SCALE), g("Mul", g("Elu", g("Min", x, 0.0)), SELU_SCALE_ALPHA))


def _celu(g: Graph, layer: CELU, x: str) -> str:
    return g("Mul", g("Elu", g("Div", x, float(layer.alpha))), float(layer.alpha))


def _hard_sigmoid(g: Graph, layer: HardSigmoid, x: str) -> str:
    return g("Div", g("Min", g("Max", g("Add", x, 3.0), 0.0), 6.0), 6.0)


def _swish(g: Graph, layer: Swish, x: str) -> str:
    return g("Mul", x, g("Sigmoid", x))


def _gelu(g: Graph, layer: GELU, x: str) -> str:
    if layer.approximate == "tanh":
        near = g("Max", g("Min", x, 25.0), -25.0)
        w = g("Mul", near, g("Add", g("Mul", g("Mul", near, near), B), A))
        return g("Mul", x, g("Sigmoid", w))
    return g("Mul", x, g("Mul", g("Add", g("Erf", g("Mul", x, float(np.sqrt(0.5)))), 1.0), 0.5))


def _batch_norm(g: Graph, layer: BatchNorm, x: str) -> str:
    r = 1 / np.sqrt(layer.running_var + layer.eps)
    u = g("Mul", g("Sub", x, g.constant(layer.running_mean, "mean")), g.constant(layer.gamma * r, "scale"))
    return g("Add", u, g.constant(layer.beta, "beta"))


def _layer_norm(g: Graph, layer: LayerNorm, x: str) -> str:
    d = g("Sub", x, g("ReduceMean", x, [-1], keepdims=1))
    return g("Add", _rms_norm(g, layer, d), g.constant(layer.beta, "beta"))


def _rms_norm(g: Graph, layer: RMSNorm | LayerNorm, x: str) -> str:
    mean = g("ReduceMean", g("Mul", x, x), [-1], keepdims=1)
    u = g("Div", x, g("Sqrt", g("Add", mean, float(layer.eps))))
    return g("Mul", u, g.constant(layer.gamma, "gamma"))


def _standardize(g: Graph, layer: Standardize, x: str) -> str:
    return g("Div", g("Sub", x, g.constant(layer.mean, "mean")), g.constant(layer.scale, "scale"))


def _flatten(g: Graph, layer: Flatten, x: str) -> str:
    return g("Flatten", x, axis=1)


def _reshape(g: Graph, layer: Reshape, x: str) -> str:
    return g("Reshape", x, [0, *layer.shape])  # 0: as many rows as there are


def _columns(g: Graph, layer: Columns, x: str) -> str:
    y = g("Slice", x, [layer.start], [layer.stop], [-1])
    if not layer.integers:
        return y
    nearest = g("Round", y)
    whole = g("Less", g("Abs", g("Sub", y, nearest)), 1e-3)
    return g("Cast", g("Where", whole, nearest, -1.0), to=onnx.TensorProto.INT64)


def _embedding(g: Graph, layer: Embedding, x: str) -> str:
    # ONNX counts negative numbers from the end; the number behind the last is an error there as it is here.
    return g("Gather", g.constant(layer.W, "W"), g("Where", g("Less", x, 0), layer.vocabulary, x), axis=0)


def _residual(g: Graph, layer: Residual, x: str) -> str:
    return g("Add", x, g.chain(layer.layers, x))


def _concatenate(g: Graph, layer: Concatenate, x: str) -> str:
    return g("Concat", *(g.layer(layer.layers, branch, x) for branch in range(len(layer.layers))), axis=-1)


def _windows(g: Graph, operation: str, layer: Windowed, x: str, *constants: str, **attributes: Any) -> str:
    """An operation on windows. ONNX has channels first, so x is turned before it and y is turned back."""
    last = layer.sliding + 1
    attributes |= {"kernel_shape": layer.window, "strides": layer._stride}
    before, after = zip(*layer.margins(g.shapes[x][:-1]), strict=True)
    attributes["pads"] = [*before, *after]
    y = g(operation, g("Transpose", x, perm=[0, last, *range(1, last)]), *constants, **attributes)
    return g("Transpose", y, perm=[0, *range(2, last + 1), 1])


def _convolution(g: Graph, layer: Conv1D | Conv2D, x: str) -> str:
    constants = [g.constant(np.moveaxis(layer.W, (-1, -2), (0, 1)), "W")]  # (k, I/G, O) -> (O, I/G, k)
    if layer.bias:
        constants.append(g.constant(layer.b, "b"))
    return _windows(g, "Conv", layer, x, *constants, dilations=layer._dilation, group=layer.groups)


def _max_pool(g: Graph, layer: MaxPool2D, x: str) -> str:
    return _windows(g, "MaxPool", layer, x)


def _avg_pool(g: Graph, layer: AvgPool2D, x: str) -> str:
    return _windows(g, "AveragePool", layer, x, count_include_pad=1)


def _global_avg_pool(g: Graph, layer: GlobalAvgPool2D, x: str) -> str:
    return g("ReduceMean", x, [1, 2], keepdims=0)


FORMS: dict[type[Layer], Form] = {
    AvgPool2D: _avg_pool,
    BatchNorm: _batch_norm,
    CELU: _celu,
    Columns: _columns,
    Concatenate: _concatenate,
    Conv1D: _convolution,
    Conv2D: _convolution,
    Dense: _dense,
    Dropout: _nothing,
    ELU: _elu,
    Embedding: _embedding,
    Flatten: _flatten,
    GELU: _gelu,
    GlobalAvgPool2D: _global_avg_pool,
    HardSigmoid: _hard_sigmoid,
    Identity: _nothing,
    LayerNorm: _layer_norm,
    LeakyReLU: _leaky_relu,
    LogSoftmax: _operation("LogSoftmax", axis=-1),
    MaxPool2D: _max_pool,
    Mish: _operation("Mish"),
    PReLU: _prelu,
    RMSNorm: _rms_norm,
    ReLU: _operation("Relu"),
    Reshape: _reshape,
    Residual: _residual,
    SELU: _selu,
    Sigmoid: _operation("Sigmoid"),
    Softmax: _operation("Softmax", axis=-1),
    Softplus: _operation("Softplus"),
    Softsign: _operation("Softsign"),
    Standardize: _standardize,
    Swish: _swish,
    Tanh: _operation("Tanh"),
}
"""What each layer is in ONNX: a function of (graph, layer, name of x) that adds nodes and returns the name of y."""

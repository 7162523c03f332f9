"""An ONNX graph as it is being built: inputs, nodes, constants and outputs, and the file that they become."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from minigrad.layer import Layer
from minigrad.model import chain_of
from minigrad.sequential import Sequential
from minigrad.version import __version__

OPSET = 18  # the first with Mish; onnxruntime computes its ELU, SELU, Softplus … in float64 too, which it later doesn't
IR_VERSION = 8  # that came with opset 18
TEXT_OPSET = 2  # of ai.onnx.ml, whose LabelEncoder looks texts up


class ExportError(ValueError):
    """A model that has no ONNX form, or whose ONNX form does not give the same answers; no file is written."""


Form: TypeAlias = "Callable[[Graph, Any, str], str]"
"""What a layer is in ONNX: a function of (graph, layer, name of x) that adds nodes and returns the name of y."""


class Graph:
    """The nodes and constants of an ONNX graph as it is being built; values go by their names.

    `g("Add", x, 1.0)` adds a node and returns its output's name. Numbers and arrays become constants: floats of the
    model's dtype, integers of int64. `forms` says what each layer is here.
    """

    def __init__(self, model: Sequential, forms: Mapping[type[Layer], Form]) -> None:
        self.model = model
        self.dtype: np.dtype[Any] = model.theta.dtype
        self.forms = forms
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
        self.output("label", self("Gather", self.constant(classes, "classes", dtype), code), kind_of(dtype), ())

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
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def chain(self, layers: Sequence[Layer], x: str) -> str:
        """The layers, one after the other, on the value x."""
        for position in range(len(layers)):
            x = self.layer(layers, position, x)
        return x

    def layer(self, layers: Sequence[Layer], position: int, x: str) -> str:
        """One of the layers on the value x; a Sequential is its layers.

        Raises ExportError for a layer that has no ONNX form.
        """
        layer, outside = layers[position], self._prefix
        chain = chain_of(layer)
        form = self.forms.get(type(layer))  # not of a base class: another forward is another function
        if chain == (layer,) and form is None:
            name = type(layer).__name__
            raise ExportError(
                f"layer {position + 1} of {len(layers)}, {layer!r}, has no ONNX form; give it one, "
                f'as minigrad.onnx.FORMS[{name}] = lambda g, layer, x: g("Mul", x, 2.0) is for y = 2 x '
                f"(help(minigrad.onnx) says more)"
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


def kind_of(dtype: np.dtype[Any]) -> int:
    """ONNX's number for a dtype; every integer is an int64 there."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(np.int64) if dtype.kind in "iu" else dtype))

"""An ONNX file as a network of layers: its nodes in a row from input to output, and proof of the same answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from minigrad.data.messages import no_such_file
from minigrad.layers.embedding import Embedding
from minigrad.onnx.reading.joins import JOINS, Item, join
from minigrad.onnx.reading.place import Place, Unknown, named
from minigrad.onnx.reading.weights import WEIGHTS
from minigrad.onnx.reading.windows import WINDOWS
from minigrad.parameter import Array, walk
from minigrad.saving import ModelFileError
from minigrad.saving.format import short
from minigrad.sequential import Sequential

ROWS = 16
FLOATS: dict[int, type[np.floating[Any]]] = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64}
NODES = WEIGHTS | WINDOWS
"""What is made of each node; others are refused by their names."""


def load(path: str | os.PathLike[str], x: Any = None) -> Sequential:
    """The network in an ONNX file, as layers to train on; whoever wrote the file.

    The file has one input and a chain of nodes that are layers here, among them residual branches; of several outputs
    the first one with floats counts. Images and lines are channels last in the network, whichever way the file has
    them. What `export` wrote has its classes.

    The network's answers are compared with onnxruntime's on rows x, in the network's layout; without x, on random ones.
    Raises ModelFileError, a ValueError, for nodes that are no layer here, by their names, for a file that can't be
    read, and where answers differ by more than half the digits of the dtype.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(no_such_file(path))
    try:
        written = onnx.load(path)
        onnx.checker.check_model(written)
    except Exception as error:  # protobuf's, and onnx's own
        raise ModelFileError(f"{path} is no ONNX file that onnx reads: {short(error)}") from error
    try:
        return _Reader(written).network(x)
    except Unknown as error:
        raise ModelFileError(f"{path} can't be made a network of layers: {error}") from error


class _Reader:
    """One file on its way to a network."""

    def __init__(self, written: Any) -> None:
        self.written, self.graph = written, written.graph
        self.known: dict[str, Array | None] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer
        }
        inputs = [value for value in self.graph.input if value.name not in self.known]
        if len(inputs) != 1:
            raise Unknown(f"it has {len(inputs)} inputs; a Sequential has one")
        (self.input,) = inputs
        self.by_output = {name: node for node in self.graph.node for name in node.output}
        for node in self.graph.node:  # in an order in which each comes after what it takes
            if all(self.known.get(name) is not None for name in node.input if name):
                self.known.update(zip(node.output, self._evaluated(node), strict=False))
        floats = [value for value in self.graph.output if value.type.tensor_type.elem_type in FLOATS]
        if not floats:
            raise Unknown("none of its outputs has numbers")
        self.output = floats[0]

    def network(self, x: Any) -> Sequential:
        """The layers, and the proof."""
        kind = self.input.type.tensor_type
        row = tuple(n.dim_value or None for n in kind.shape.dim)[1:]
        if not kind.shape.dim or (not row and kind.elem_type in FLOATS):
            raise Unknown("its input has no rows")
        used = {name for node in self.graph.node for name in node.input} | {self.output.name}
        place = Place(row, self.known.get, used)
        self._follow(place, self._between(self.input.name, self.output.name))
        if not place.layers or place.unfinished or place.steps_first or place.directions:
            raise Unknown("it ends in the middle of a layer")
        dtype = FLOATS[self.output.type.tensor_type.elem_type]
        shape = None if None in row else ((*row[1:], row[0]) if place.input_first else row)
        try:
            model = Sequential(place.layers, dtype, input_shape=shape)  # type: ignore[arg-type]
        except ValueError as error:
            raise Unknown(f"its layers do not fit each other: {error}") from error
        facts = {fact.key: fact.value for fact in self.written.metadata_props}
        if self.written.producer_name == "minigrad" and "classes" in facts:
            model.classes = np.array(json.loads(facts["classes"]))
        self._compare(model, place, self._rows(model, shape, x))
        return model

    def _evaluated(self, node: Any) -> list[Array]:
        """What a node makes of constants."""
        inputs = {name: self.known[name] for name in node.input if name}
        given = [helper.make_tensor_value_info(name, 0, None) for name in inputs]
        made = [helper.make_tensor_value_info(name, 0, None) for name in node.output]
        graph = helper.make_graph([node], "constant", given, made)
        try:
            return ReferenceEvaluator(helper.make_model(graph, opset_imports=self.written.opset_import)).run(
                None, inputs
            )
        except Exception as error:  # each operation raises its own
            raise Unknown(f"{named(node)} can't be computed: {short(error)}") from error

    def _inputs(self, node: Any) -> list[str]:
        """What a node takes that depends on the input.

        Some of that is looked through, since answers are compared: a choice by comparison, which guards against codes
        or numbers that are too large, is its last choice, and recurrent layers begin with a state of zeros.
        """
        names = [name for name in node.input if name and self.known.get(name) is None]
        if node.op_type == "Where" and names[1:] and self.by_output[names[0]].op_type in ("Less", "Greater"):
            return names[-1:]
        return names[:1] if node.op_type in ("RNN", "LSTM", "GRU") else names

    def _between(self, start: str, end: str) -> list[Item]:
        """The nodes from one value to another."""
        items: list[Item] = []
        while end != start:
            node = self.by_output.get(end)
            if node is None:
                raise Unknown(f"{end!r} comes from elsewhere than its input")
            inputs = self._inputs(node)
            if len(set(inputs)) == 1:
                items.append(node)
                end = inputs[0]
                continue
            pairs = [(inputs[0], inputs[1]), (inputs[1], inputs[0])] if len(inputs) == 2 else []
            longer = next((pair for pair in pairs if pair[1] in self._before(pair[0])), None)
            if longer is None or node.op_type not in JOINS:
                raise Unknown(f"{named(node)} joins branches; here they are Residual, around which x goes by itself")
            items.append((node, self._between(longer[1], longer[0])))
            end = longer[1]
        return items[::-1]

    def _before(self, name: str) -> set[str]:
        """All values that this one is made of."""
        found, left = set[str](), [name]
        while left:
            node = self.by_output.get(left.pop())
            for each in self._inputs(node) if node is not None else []:
                if each not in found:
                    found.add(each)
                    left.append(each)
        return found

    def _follow(self, place: Place, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, tuple):
                join(place, item[0], item[1], self._follow)
            elif item.op_type == "Where":
                continue
            elif item.domain not in ("", "ai.onnx") or item.op_type not in NODES:
                raise Unknown(
                    f"{named(item)} is none of the nodes that are layers here ({', '.join(sorted(NODES))}); make the "
                    f"network by hand, with a layer of your own for that, and set the weights: layer.W = …"
                )
            else:
                NODES[item.op_type](place, item)

    # ------------------------------------------------------------------------------------------------------- proof
    def _rows(self, model: Sequential, shape: Any, x: Any) -> Array:
        if x is not None:
            return model.admit(x)
        shape = shape or model.input_shape
        if shape is None:
            raise Unknown("it does not tell how large its rows are: give some to compare on, load(path, x)")
        rng, fixed = np.random.default_rng(0), self.input.type.tensor_type.shape.dim[0].dim_value
        words = [layer.vocabulary for layer in walk([model]) if isinstance(layer, Embedding)]
        if words:
            return rng.integers(0, min(words), (fixed or ROWS, *shape))
        return model.admit(rng.normal(size=(fixed or ROWS, *shape)))

    def _compare(self, model: Sequential, place: Place, x: Array) -> None:
        dtype = helper.tensor_dtype_to_np_dtype(self.input.type.tensor_type.elem_type)
        given = (np.moveaxis(x, -1, 1) if place.input_first else x).astype(dtype)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        try:
            session = onnxruntime.InferenceSession(
                self.written.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            (expected,) = session.run([self.output.name], {self.input.name: given})
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise Unknown(f"onnxruntime does not run it: {short(error)}") from error
        y = model.predict(x)
        y = np.moveaxis(y, -1, 1) if place.first and y.ndim > 2 else y
        if place.pooled:
            y = y[:, :, None, None]
        if place.order is not None:
            y = y[:, np.argsort(place.order)]
        if y.shape != expected.shape:
            raise Unknown(f"the network answers in the shape {y.shape}, onnxruntime in {expected.shape}")
        difference = float(np.abs(y - expected).max(initial=0.0))
        limit = float(np.sqrt(np.finfo(model.theta.dtype).eps)) * max(1.0, float(np.abs(expected).max(initial=0.0)))
        if not difference <= limit:
            raise Unknown(f"the network answers otherwise than onnxruntime, by {difference:.2g}; {model!r}")

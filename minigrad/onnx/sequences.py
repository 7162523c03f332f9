"""What the layers of steps are in ONNX: its own recurrent operations where those say the same, else step by step."""

from __future__ import annotations

import math

import numpy as np
import onnx

from minigrad.layers.attention import NOWHERE, MultiHeadAttention, PositionalEncoding, later, waves
from minigrad.layers.bidirectional import Bidirectional
from minigrad.layers.recurrent import GRU, LSTM
from minigrad.layers.steps import Recurrent
from minigrad.onnx.graph import Graph, kind_of
from minigrad.parameter import Array

ORDER = {"SimpleRNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}
"""ONNX's order of the gates, in terms of ours."""
FROM_THE_END = -(1 << 62)


def recurrent(g: Graph, layer: Recurrent, x: str) -> str:
    """A recurrent layer. ONNX's operations know padding at the end only, and onnxruntime has them in float32 alone."""
    if layer.padding is not None or g.dtype != np.float32:
        return _step_by_step(g, layer, x)
    kind, G = type(layer).__name__, layer.gates
    W, U = (_gates(a.T, kind, 0) for a in (layer.W, layer.U))
    b = _gates(layer.b[: G * layer.hidden_features], kind, 0)
    of_h = np.zeros_like(b)
    if kind == "GRU":
        of_h[-layer.hidden_features :] = layer.b[len(b) :]
    constants = [g.constant(a[None], name) for a, name in ((W, "W"), (U, "U"), (np.concatenate([b, of_h]), "b"))]
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    operation = "RNN" if kind == "SimpleRNN" else kind
    y = g(operation, g("Transpose", x, perm=[1, 0, 2]), *constants, hidden_size=layer.hidden_features, **options)
    y = g("Squeeze", y, [1])  # (T, B, H)
    return g("Transpose", y, perm=[1, 0, 2]) if layer.return_sequences else g("Gather", y, -1, axis=0)


def _gates(a: Array, kind: str, axis: int) -> Array:
    """Gates along an axis, in ONNX's order."""
    parts = np.split(a, len(ORDER[kind]), axis)
    return np.concatenate([parts[gate] for gate in ORDER[kind]], axis)


def _step_by_step(g: Graph, layer: Recurrent, x: str) -> str:
    H, (T, features) = layer.hidden_features, g.shapes[x]
    U, c = g.constant(layer.U, "U"), g.constant(layer.b[layer.gates * H :], "c")
    z = g("Add", g("MatMul", x, g.constant(layer.W, "W")), g.constant(layer.b[: layer.gates * H], "b"))
    h = cell = g("MatMul", _step(g, x, 0), np.zeros((features, H)))
    real = None if layer.padding is None else g("Cast", _real(g, x, layer.padding), to=onnx.TensorProto.BOOL)
    states = []
    for t in range(T):
        a, u = _step(g, z, t), g("MatMul", h, U)
        if isinstance(layer, GRU):
            r, k = (g("Sigmoid", g("Add", _gate(g, a, n, H), _gate(g, u, n, H))) for n in (0, 1))
            n = g("Tanh", g("Add", _gate(g, a, 2, H), g("Mul", r, g("Add", _gate(g, u, 2, H), c))))
            new = g("Add", g("Mul", g("Sub", 1.0, k), n), g("Mul", k, h))
        elif isinstance(layer, LSTM):
            a = g("Add", a, u)
            i, f, o = (g("Sigmoid", _gate(g, a, n, H)) for n in (0, 1, 3))
            after = g("Add", g("Mul", f, cell), g("Mul", i, g("Tanh", _gate(g, a, 2, H))))
            cell = after if real is None else g("Where", _step(g, real, t), after, cell)
            new = g("Mul", o, g("Tanh", cell))
        else:
            new = g("Tanh", g("Add", a, u))
        h = new if real is None else g("Where", _step(g, real, t), new, h)
        states.append(h)
    if not layer.return_sequences:
        return h
    return g("Concat", *(g("Unsqueeze", h, [1]) for h in states), axis=1)


def _step(g: Graph, x: str, t: int) -> str:
    return g("Gather", x, t, axis=1)


def _gate(g: Graph, a: str, number: int, width: int) -> str:
    return g("Slice", a, [number * width], [(number + 1) * width], [1])


def bidirectional(g: Graph, layer: Bidirectional, x: str) -> str:
    """Both directions, side by side."""
    turned = _turned(g, x)
    g.shapes[turned] = g.shapes[x]
    there, back = g.layer(layer.layers, 0, x), g.layer(layer.layers, 1, turned)
    return g("Concat", there, _turned(g, back) if layer.layer.return_sequences else back, axis=-1)


def _turned(g: Graph, x: str) -> str:
    return g("Slice", x, [-1], [FROM_THE_END], [1], [-1])


def positional_encoding(g: Graph, layer: PositionalEncoding, x: str) -> str:
    """The positions are a constant: the number of steps is known."""
    T, F = g.shapes[x]
    p = g.constant(waves(T, F) if layer.learned is None else layer.learned.W[:T], "p")
    return g("Add", x, p if layer.padding is None else g("Mul", p, _real(g, x, layer.padding)))


def _real(g: Graph, x: str, padding: float) -> str:
    """(B, T, 1): 1 where a step is real, 0 where all of its features are padding."""
    differs = g("Cast", g("Not", g("Equal", x, float(padding))), to=kind_of(g.dtype))
    return g("ReduceMax", differs, [-1], keepdims=1)


def attention(g: Graph, layer: MultiHeadAttention, x: str) -> str:
    """Attention by its formula."""
    (T, F), D = g.shapes[x], layer.features // layer.heads
    z = g("Add", g("MatMul", x, g.constant(layer.W, "W")), g.constant(layer.b, "b"))
    heads = [g("Reshape", g("Slice", z, [n * F], [n * F + F], [2]), [0, T, layer.heads, D]) for n in range(3)]
    q, k, v = (g("Transpose", z, perm=[0, 2, 3, 1] if n == 1 else [0, 2, 1, 3]) for n, z in enumerate(heads))
    s = g("Div", g("MatMul", q, k), math.sqrt(D))
    if layer.causal:
        s = g("Add", s, later(T, g.dtype))
    if layer.padding is not None:
        real = _real(g, x, layer.padding)
        hidden = g("Mul", g("Sub", 1.0, g("Transpose", real, perm=[0, 2, 1])), NOWHERE)
        s = g("Add", s, g("Unsqueeze", hidden, [1]))
    u = g("Transpose", g("MatMul", g("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
    y = g("MatMul", g("Reshape", u, [0, T, F]), g.constant(layer.Wo, "Wo"))
    y = g("Add", y, g.constant(layer.bo, "bo"))
    return y if layer.padding is None else g("Mul", y, real)

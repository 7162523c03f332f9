"""What each layer is in ONNX: a function for each, and FORMS, where a graph looks them up."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx

from minigrad.layer import Layer
from minigrad.layers.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from minigrad.layers.attention import MultiHeadAttention, PositionalEncoding
from minigrad.layers.bidirectional import Bidirectional
from minigrad.layers.combine import Average, Concatenate, Residual
from minigrad.layers.convolution import Conv1D, Conv2D, Convolution
from minigrad.layers.dense import Dense
from minigrad.layers.dropout import Dropout
from minigrad.layers.embedding import Embedding
from minigrad.layers.gates import GLU, SwiGLU
from minigrad.layers.more_activations import (
    ELU,
    GELU,
    A,
    B,
    HardSigmoid,
    LeakyReLU,
    LogSoftmax,
    Mish,
    Softplus,
    Softsign,
    Swish,
)
from minigrad.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from minigrad.layers.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D, UpSampling2D
from minigrad.layers.rectifiers import (
    CELU,
    SELU,
    SELU_SCALE,
    SELU_SCALE_ALPHA,
    HardSwish,
    HardTanh,
    LogSigmoid,
    PReLU,
    ReLU6,
)
from minigrad.layers.recurrent import GRU, LSTM, SimpleRNN
from minigrad.layers.reuse import Frozen, Tied
from minigrad.layers.shape import Columns, Flatten, Reshape
from minigrad.layers.standardize import Standardize
from minigrad.layers.transposed import ConvTranspose2D
from minigrad.layers.windows import MODES, Windowed
from minigrad.model import chain_of
from minigrad.onnx.graph import Form, Graph
from minigrad.onnx.sequences import attention, bidirectional, positional_encoding, recurrent


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
    if layer.alpha == 1:
        return g("Elu", x)
    return g("Add", g("Relu", x), g("Mul", g("Elu", g("Min", x, 0.0)), float(layer.alpha)))


def _selu(g: Graph, layer: SELU, x: str) -> str:
    return g("Add", g("Mul", g("Relu", x), SELU_SCALE), g("Mul", g("Elu", g("Min", x, 0.0)), SELU_SCALE_ALPHA))


def _celu(g: Graph, layer: CELU, x: str) -> str:
    if layer.alpha == 1:
        return g("Celu", x) if g.dtype == np.float32 else g("Elu", x)
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
    d = g("Sub", x, g.constant(layer.running_mean, "mean"))
    if not layer.affine:
        return g("Mul", d, g.constant(r, "scale"))
    return g("Add", g("Mul", d, g.constant(layer.gamma * r, "scale")), g.constant(layer.beta, "beta"))


def _layer_norm(g: Graph, layer: LayerNorm, x: str) -> str:
    d = g("Sub", x, g("ReduceMean", x, [-1], keepdims=1))
    y = _rms_norm(g, layer, d)
    return g("Add", y, g.constant(layer.beta, "beta")) if layer.affine else y


def _rms_norm(g: Graph, layer: RMSNorm | LayerNorm, x: str) -> str:
    mean = g("ReduceMean", g("Mul", x, x), [-1], keepdims=1)
    u = g("Div", x, g("Sqrt", g("Add", mean, float(layer.eps))))
    return g("Mul", u, g.constant(layer.gamma, "gamma")) if layer.affine else u


def _group_norm(g: Graph, layer: GroupNorm, x: str) -> str:
    *places, C = g.shapes[x]
    grouped = g("Reshape", x, [0, prod(places), layer.groups, C // layer.groups])
    d = g("Sub", grouped, g("ReduceMean", grouped, [1, 3], keepdims=1))
    var = g("ReduceMean", g("Mul", d, d), [1, 3], keepdims=1)
    u = g("Reshape", g("Div", d, g("Sqrt", g("Add", var, float(layer.eps)))), [0, *places, C])
    if not layer.affine:
        return u
    return g("Add", g("Mul", u, g.constant(layer.gamma, "gamma")), g.constant(layer.beta, "beta"))


def _halves(g: Graph, layer: GLU | SwiGLU, x: str) -> tuple[str, str]:
    half = g.shapes[x][-1] // 2
    a, b = (g("Slice", x, [k * half], [(k + 1) * half], [-1]) for k in (0, 1))
    return a, b


def _glu(g: Graph, layer: GLU, x: str) -> str:
    a, b = _halves(g, layer, x)
    return g("Mul", a, g("Sigmoid", b))


def _swiglu(g: Graph, layer: SwiGLU, x: str) -> str:
    a, b = _halves(g, layer, x)
    return g("Mul", g("Mul", a, g("Sigmoid", a)), b)


def _relu6(g: Graph, layer: ReLU6, x: str) -> str:
    return g("Min", g("Max", x, 0.0), 6.0)


def _hard_tanh(g: Graph, layer: HardTanh, x: str) -> str:
    return g("Min", g("Max", x, float(layer.low)), float(layer.high))


def _hard_swish(g: Graph, layer: HardSwish, x: str) -> str:
    return g("Mul", x, g("Div", g("Min", g("Max", g("Add", x, 3.0), 0.0), 6.0), 6.0))


def _log_sigmoid(g: Graph, layer: LogSigmoid, x: str) -> str:
    return g("Neg", g("Softplus", g("Neg", x)))


def _frozen(g: Graph, layer: Frozen, x: str) -> str:
    return g.chain(chain_of(layer.layer), x)


def _tied(g: Graph, layer: Tied, x: str) -> str:
    return g("MatMul", x, g.constant(layer.embedding.W.T, "E"))


def _up_sampling(g: Graph, layer: UpSampling2D, x: str) -> str:
    H, W, C = g.shapes[x]
    k, n = layer.factors
    wide = g("Expand", g("Reshape", x, [0, H, 1, W, 1, C]), [1, 1, k, 1, n, 1])
    return g("Reshape", wide, [0, H * k, W * n, C])


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
    W = layer.W
    if layer.padding is not None:
        W = W.copy()
        W[layer.padding] = 0
    return g("Gather", g.constant(W, "W"), g("Where", g("Less", x, 0), layer.vocabulary, x), axis=0)


def _residual(g: Graph, layer: Residual, x: str) -> str:
    return g("Add", x, g.chain(layer.layers, x))


def _concatenate(g: Graph, layer: Concatenate, x: str) -> str:
    return g("Concat", *(g.layer(layer.layers, branch, x) for branch in range(len(layer.layers))), axis=-1)


def _average(g: Graph, layer: Average, x: str) -> str:
    y = g.layer(layer.layers, 0, x)
    for branch in range(1, len(layer.layers)):
        y = g("Add", y, g.layer(layer.layers, branch, x))
    return g("Div", y, g.constant(float(len(layer.layers))))


def _windows(g: Graph, operation: str, layer: Windowed, x: str, *constants: str, **attributes: Any) -> str:
    """An operation on windows. ONNX has channels first, so x is turned before it and y is turned back."""
    last = layer.sliding + 1
    attributes |= {"kernel_shape": layer.window, "strides": layer._stride}
    y = g(operation, g("Transpose", x, perm=[0, last, *range(1, last)]), *constants, **attributes)
    return g("Transpose", y, perm=[0, *range(2, last + 1), 1])


def _pads(margins: list[tuple[int, int]]) -> list[int]:
    before, after = zip(*margins, strict=True)
    return [*before, *after]


def _padded(g: Graph, layer: Windowed, x: str, value: float = 0.0) -> str:
    """x with its padding as nodes of their own: in each of the windows' operations some of it is missing."""
    margins = layer.margins(g.shapes[x][:-1])
    if layer.padding_mode == "zeros":
        return g("Pad", x, _pads([(0, 0), *margins, (0, 0)]), value) if np.any(margins) else x
    for axis, (n, margin) in enumerate(zip(g.shapes[x], margins, strict=False), start=1):
        x = g("Gather", x, np.pad(np.arange(n), margin, MODES[layer.padding_mode]), axis=axis)
    return x


def _weights(g: Graph, layer: Convolution) -> list[str]:
    constants = [g.constant(np.moveaxis(layer.W, (-1, -2), (0, 1)), "W")]  # (k, S/G, P) -> (P, S/G, k)
    return [*constants, g.constant(layer.b, "b")] if layer.bias else constants


def _convolution(g: Graph, layer: Conv1D | Conv2D, x: str) -> str:
    attributes = {"dilations": layer._dilation, "group": layer.groups}
    if layer.padding_mode != "zeros":
        return _windows(g, "Conv", layer, _padded(g, layer, x), *_weights(g, layer), **attributes)
    return _windows(g, "Conv", layer, x, *_weights(g, layer), pads=_pads(layer.margins(g.shapes[x][:-1])), **attributes)


def _conv_transpose(g: Graph, layer: ConvTranspose2D, x: str) -> str:
    places = layer.output_shape(g.shapes[x])[:-1]
    margins = layer.margins(places)
    axes = zip(places, g.shapes[x], layer._stride, layer._spans, margins, strict=False)
    attributes = {"dilations": layer._dilation, "group": layer.groups, "pads": _pads(margins)}
    attributes["output_padding"] = [n + sum(pq) - (h - 1) * s - span for n, h, s, span, pq in axes]
    return _windows(g, "ConvTranspose", layer, x, *_weights(g, layer), **attributes)


def _max_pool(g: Graph, layer: MaxPool2D, x: str) -> str:
    return _windows(g, "MaxPool", layer, _padded(g, layer, x, -np.inf), dilations=layer._dilation)


def _avg_pool(g: Graph, layer: AvgPool2D, x: str) -> str:
    y = _windows(g, "AveragePool", layer, _padded(g, layer, x))
    n = layer.shared_by((1, *g.shapes[x]), g.dtype)
    cells = prod(layer.window)
    return y if np.all(n == cells) else g("Mul", y, g.constant(cells / n, "n"))


def _global_avg_pool(g: Graph, layer: GlobalAvgPool2D, x: str) -> str:
    return g("ReduceMean", x, [1, 2], keepdims=0)


FORMS: dict[type[Layer], Form] = {
    Average: _average,
    AvgPool2D: _avg_pool,
    BatchNorm: _batch_norm,
    Bidirectional: bidirectional,
    CELU: _celu,
    Columns: _columns,
    Concatenate: _concatenate,
    Conv1D: _convolution,
    Conv2D: _convolution,
    ConvTranspose2D: _conv_transpose,
    Dense: _dense,
    Dropout: _nothing,
    ELU: _elu,
    Embedding: _embedding,
    Flatten: _flatten,
    Frozen: _frozen,
    GELU: _gelu,
    GLU: _glu,
    GRU: recurrent,
    GlobalAvgPool2D: _global_avg_pool,
    GroupNorm: _group_norm,
    HardSigmoid: _hard_sigmoid,
    HardSwish: _hard_swish,
    HardTanh: _hard_tanh,
    InstanceNorm: _group_norm,
    LogSigmoid: _log_sigmoid,
    ReLU6: _relu6,
    SwiGLU: _swiglu,
    Tied: _tied,
    UpSampling2D: _up_sampling,
    Identity: _nothing,
    LSTM: recurrent,
    LayerNorm: _layer_norm,
    LeakyReLU: _leaky_relu,
    LogSoftmax: _operation("LogSoftmax", axis=-1),
    MaxPool2D: _max_pool,
    Mish: _operation("Mish"),
    MultiHeadAttention: attention,
    PReLU: _prelu,
    PositionalEncoding: positional_encoding,
    RMSNorm: _rms_norm,
    ReLU: _operation("Relu"),
    Reshape: _reshape,
    Residual: _residual,
    SELU: _selu,
    Sigmoid: _operation("Sigmoid"),
    SimpleRNN: recurrent,
    Softmax: _operation("Softmax", axis=-1),
    Softplus: _operation("Softplus"),
    Softsign: _operation("Softsign"),
    Standardize: _standardize,
    Swish: _swish,
    Tanh: _operation("Tanh"),
}
"""The form of every layer; a layer without one can't be exported."""

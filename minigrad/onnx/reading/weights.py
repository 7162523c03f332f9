"""Nodes with weights, and activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.layers.activations import ReLU, Sigmoid, Softmax, Tanh
from minigrad.layers.dense import Dense
from minigrad.layers.embedding import Embedding
from minigrad.layers.more_activations import ELU, GELU, HardSigmoid, LeakyReLU, LogSoftmax, Mish, Softplus, Softsign
from minigrad.layers.normalization import BatchNorm, LayerNorm, RMSNorm
from minigrad.layers.rectifiers import CELU, SELU, HardSwish, HardTanh, PReLU, ReLU6
from minigrad.layers.recurrent import GRU, LSTM, SimpleRNN
from minigrad.layers.standardize import Standardize
from minigrad.layers.steps import Recurrent
from minigrad.onnx.reading.place import Place, Reader, Unknown, named, number, options
from minigrad.onnx.sequences import ORDER
from minigrad.parameter import Array


# ------------------------------------------------------------------------------------------------------- activations
def _plain(make: Callable[[], Layer]) -> Reader:
    return lambda p, node: p.put(node, make())


def _with(make: Callable[[float], Layer], attribute: str, default: float) -> Reader:
    """A layer with one number."""
    return lambda p, node: p.put(node, make(number(options(node).get(attribute, default))))


def _fixed(make: Callable[[], Layer], **needed: float) -> Reader:
    """A layer whose numbers can't be chosen here."""

    def read(p: Place, node: Any) -> None:
        for name, value in options(node).items():
            if name in needed and not np.isclose(value, needed[name], rtol=1e-6):
                raise Unknown(f"{named(node)} has {name}={value:g}; here it is {needed[name]:g}")
        p.put(node, make())

    return read


def _over_features(make: Callable[[], Layer]) -> Reader:
    def read(p: Place, node: Any) -> None:
        axis = options(node, axis=-1)["axis"] % (p.axes + 1)
        if axis not in (1, p.axes):
            raise Unknown(f"{named(node)} goes along axis {axis}; here it is the features")
        if p.axes > 1:
            p.settle(node, axis == 1)
        p.put(node, make())

    return read


def _clip(p: Place, node: Any) -> None:
    found = options(node)
    low, high = (found.get(name, p.optional(node, k)) for k, name in ((1, "min"), (2, "max")))
    if low is None or high is None:
        raise Unknown(f"{named(node)} holds numbers on one side alone; HardTanh does on both")
    p.put(node, ReLU6() if (number(low), number(high)) == (0, 6) else HardTanh(number(low), number(high)))


def _max(p: Place, node: Any) -> None:
    low = number(p.beside(node))
    if low == 0:
        return p.put(node, ReLU())
    p.low = low
    return None


def _min(p: Place, node: Any) -> None:
    high, low, p.low = number(p.beside(node)), p.low, None
    if low is None and isinstance(p.last, ReLU):
        low = 0.0
        p.layers.pop()
    if low is None:
        raise Unknown(f"{named(node)} holds numbers on one side alone; HardTanh does on both")
    p.put(node, ReLU6() if (low, high) == (0, 6) else HardTanh(low, high))


def _gelu(p: Place, node: Any) -> None:
    p.put(node, GELU(options(node, approximate="none")["approximate"]))


def _prelu(p: Place, node: Any) -> None:
    slope = p.constant(node, 1)
    if slope.size == 1:
        return p.put(node, LeakyReLU(number(slope)))
    layer = PReLU(slope.size)
    layer.a = p.by_feature(node, slope)
    return p.put(node, layer)


def _nothing(p: Place, node: Any) -> None:
    """What changes nothing in inference."""


# ------------------------------------------------------------------------------------------------------------ weights
def _dense(p: Place, node: Any, W: Array, b: Array | None) -> None:
    if W.ndim != 2:
        raise Unknown(f"{named(node)} has weights of shape {W.shape}; here they have two axes")
    p.settle(node, False)
    if p.order is not None:
        if len(W) != len(p.order):
            raise Unknown(f"{named(node)} takes {len(W)} numbers of a laid-out image of {len(p.order)}")
        W, p.order = W[p.order], None
    layer = Dense(*W.shape, bias=b is not None)
    layer.W = W
    if b is not None:
        layer.b = np.broadcast_to(np.ravel(b), W.shape[1])
    p.put(node, layer)


def _gemm(p: Place, node: Any) -> None:
    found = options(node, alpha=1.0, beta=1.0, transA=0, transB=0)
    if found["transA"]:
        raise Unknown(f"{named(node)} transposes its rows")
    W, b = p.constant(node, 1), p.optional(node, 2)
    W = (W.T if found["transB"] else W) * W.dtype.type(found["alpha"])
    _dense(p, node, W, None if b is None else b * b.dtype.type(found["beta"]))


def _matmul(p: Place, node: Any) -> None:
    _dense(p, node, p.constant(node, 1), None)


def _gather(p: Place, node: Any) -> None:
    """A table in which the input is looked up, or the last step of a recurrent layer."""
    W, axis, last = p.known(node.input[0]), options(node, axis=0)["axis"], p.last
    if W is not None and W.ndim == 2 and axis == 0:
        p.settle(node, False)
        layer = Embedding(*W.shape)
        layer.W = W
        return p.put(node, layer)
    if isinstance(last, Recurrent) and last.return_sequences and axis == int(not p.steps_first):
        index = p.constant(node, 1)
        if index.size == 1 and index.ravel()[0] == -1 and not p.directions:
            last.return_sequences = p.steps_first = False
            p.shape, p.axes = (last.hidden_features,), 1
            return None
    raise Unknown(f"{named(node)} picks in a way that no layer here does")


def _recurrent(p: Place, node: Any) -> None:
    found = options(node, direction="forward", linear_before_reset=0, layout=0, clip=0.0)
    W, U, b = p.constant(node, 1), p.constant(node, 2), p.optional(node, 3)
    usual = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[node.op_type]
    chosen = [name.decode() for name in found.get("activations", [])] or usual
    if found["direction"] != "forward" or found["layout"] or found["clip"] or chosen != usual or len(node.input) > 7:
        raise Unknown(f"{named(node)} has a direction, activations or a layout that no layer here has")
    if node.op_type == "GRU" and not found["linear_before_reset"]:
        raise Unknown(f"{named(node)} resets before the product; here, as in PyTorch, it is after it")
    if not p.steps_first or not p.alone(node):
        raise Unknown(f"{named(node)} gives what no layer here gives: the states at all steps, steps first")
    make: Any = {"RNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}[node.op_type]
    layer = make(W.shape[-1], U.shape[-1], return_sequences=True)
    gates, back = len(ORDER[make.__name__]), np.argsort(ORDER[make.__name__])

    def ours(a: Array) -> Array:
        return np.concatenate([np.split(a, gates)[gate] for gate in back])

    layer.W, layer.U = ours(W[0]).T, ours(U[0]).T
    one, other = (np.zeros(len(W[0]), W.dtype),) * 2 if b is None else map(ours, np.split(b[0], 2))
    if make is GRU:
        H = layer.hidden_features
        layer.b = np.concatenate([one[: 2 * H] + other[: 2 * H], one[2 * H :], other[2 * H :]])
    else:
        layer.b = one + other
    p.put(node, layer)
    p.directions = True


def _batch_norm(p: Place, node: Any) -> None:
    if p.axes > 1:
        p.settle(node, True)
    given = [p.constant(node, k) for k in (1, 2, 3, 4)]
    gamma, beta, mean, var = (a if p.order is None or len(a) != len(p.order) else a[p.order] for a in given)
    layer = BatchNorm(len(gamma), eps=number(options(node, epsilon=1e-5)["epsilon"]))
    layer.gamma, layer.beta, layer.running_mean, layer.running_var = gamma, beta, mean, var
    p.put(node, layer)


def _layer_norm(p: Place, node: Any) -> None:
    found, gamma, beta = options(node, axis=-1, epsilon=1e-5), p.constant(node, 1), p.optional(node, 2)
    if gamma.ndim != 1 or found["axis"] % (p.axes + 1) != p.axes:
        raise Unknown(f"{named(node)} goes over several axes; here it is the features")
    p.settle(node, False)
    layer = LayerNorm(len(gamma), eps=number(found["epsilon"]))
    layer.gamma = p.by_feature(node, gamma)
    if beta is not None:
        layer.beta = p.by_feature(node, beta)
    p.put(node, layer)


# ---------------------------------------------------------------------------- what constants do, number by number
def _add(p: Place, node: Any) -> None:
    b, last = p.beside(node), p.last
    if isinstance(last, Dense) and not last.bias and b.size in (1, last.out_features):
        layer = Dense(last.in_features, last.out_features)
        layer.W, layer.b = last.W, np.broadcast_to(np.ravel(b), last.out_features)
        p.layers[-1] = layer
    elif isinstance(last, BatchNorm | LayerNorm) and b.size == last.features and last.affine and not last.beta.any():
        last.beta = p.by_feature(node, b)
    else:
        raise Unknown(f"{named(node)} adds a constant of shape {b.shape}, which is no layer here")


def _subtract(p: Place, node: Any) -> None:
    mean = p.beside(node)
    layer = Standardize(mean.size, fitted=True)
    layer.mean = p.by_feature(node, mean)
    p.put(node, layer)


def _divide(p: Place, node: Any) -> None:
    scale, last = p.beside(node), p.last
    if isinstance(last, Standardize) and scale.size == last.features and (last.scale == 1).all():
        last.scale = p.by_feature(node, scale)
        return
    if scale.size == 1:
        raise Unknown(f"{named(node)} divides by one number, which is no layer here")
    layer = Standardize(scale.size, fitted=True)
    layer.scale = p.by_feature(node, scale)
    p.put(node, layer)


def _multiply(p: Place, node: Any) -> None:
    scale, last = p.beside(node), p.last
    if isinstance(last, GELU) and np.all(scale == 0.5):
        return  # the half of x (1 + erf(x / √2)), as a node of its own
    if isinstance(last, Standardize) and scale.size == last.features and (last.scale == 1).all():
        layer = BatchNorm(last.features)  # (x - mean) scale, and maybe + beta
        layer.gamma, layer.running_mean = p.by_feature(node, scale), last.mean
        layer.running_var = np.full(last.features, 1 - layer.eps)
        p.layers[-1] = layer
    elif isinstance(last, LayerNorm | RMSNorm) and not last.affine and scale.size == last.features:
        p.layers[-1] = type(last)(last.features, last.eps)
        p.layers[-1].gamma = p.by_feature(node, scale)  # type: ignore[attr-defined]
    else:
        raise Unknown(f"{named(node)} multiplies by a constant of shape {scale.shape}, which is no layer here")


WEIGHTS: dict[str, Reader] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Cast": _nothing,
    "Celu": _with(CELU, "alpha", 1.0),
    "Clip": _clip,
    "Div": _divide,
    "Dropout": _nothing,
    "Elu": _with(ELU, "alpha", 1.0),
    "GRU": _recurrent,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "HardSigmoid": _fixed(HardSigmoid, alpha=1 / 6, beta=0.5),
    "HardSwish": _plain(HardSwish),
    "Identity": _nothing,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _with(LeakyReLU, "alpha", 0.01),
    "LogSoftmax": _over_features(LogSoftmax),
    "MatMul": _matmul,
    "Max": _max,
    "Min": _min,
    "Mish": _plain(Mish),
    "Mul": _multiply,
    "PRelu": _prelu,
    "RNN": _recurrent,
    "Relu": _plain(ReLU),
    "Selu": _fixed(SELU, alpha=1.6732632, gamma=1.0507010),
    "Sigmoid": _plain(Sigmoid),
    "Softmax": _over_features(Softmax),
    "Softplus": _plain(Softplus),
    "Softsign": _plain(Softsign),
    "Sub": _subtract,
    "Tanh": _plain(Tanh),
}

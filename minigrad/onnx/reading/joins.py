"""Branches that meet again: a residual, an activation that multiplies x by something of x, a norm of x."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from minigrad.layer import Layer
from minigrad.layers.combine import Residual
from minigrad.layers.more_activations import GELU, Mish, Softsign, Swish
from minigrad.layers.normalization import LayerNorm, RMSNorm
from minigrad.layers.rectifiers import HardSwish
from minigrad.onnx.reading.place import Place, Unknown, named, number

Item: TypeAlias = Any
"""A node, or where two branches meet: the node that joins them, and those of the longer one. The other is x itself."""

JOINS = ("Add", "Div", "Mul", "Sub")
FUSED: list[tuple[set[str], set[str], Callable[[], Layer]]] = [
    ({"Erf"}, {"Add", "Mul", "Div"}, GELU),
    ({"Softplus"}, {"Tanh"}, Mish),
    ({"HardSigmoid"}, set(), HardSwish),
    ({"Div"}, {"Add", "Clip", "Max", "Min"}, HardSwish),
    ({"Max", "Min", "Sigmoid"}, {"Add", "Mul", ""}, lambda: GELU("tanh")),
    ({"Tanh"}, {"Add", "Mul", "Pow", ""}, lambda: GELU("tanh")),
    ({"Sigmoid"}, set(), Swish),
]
"""Activations that multiply x by something of x: what that has, what it may have beside ("" for a branch in it), and
the layer. The answers are compared afterwards, so a mere resemblance is refused."""


def join(p: Place, node: Any, branch: list[Item], follow: Callable[[Place, list[Item]], None]) -> None:
    """Make a layer of x and a branch of x that meet; `follow` makes those of the branch."""
    kinds = {"" if isinstance(item, tuple) else item.op_type for item in branch}
    if node.op_type == "Add":
        _residual(p, node, branch, follow)
    elif node.op_type == "Mul":
        for signs, others, make in FUSED:
            if signs <= kinds <= signs | others:
                return p.put(node, make())
        raise Unknown(f"{named(node)} multiplies x by a branch ({', '.join(sorted(kinds))}), which is no layer here")
    elif node.op_type == "Div" and kinds == {"Abs", "Add"}:
        p.put(node, Softsign())
    elif node.op_type == "Sub" and kinds == {"ReduceMean"} and not p.centred:
        p.settle(node, False)
        p.centred = True
    elif node.op_type == "Div" and {"ReduceMean", "Sqrt"} <= kinds <= {"ReduceMean", "Sqrt", "Mul", "Pow", "Add"}:
        if p.shape is None:
            raise Unknown(f"{named(node)} is a norm of rows whose width the file does not tell")
        p.settle(node, False)
        added = [p.beside(item) for item in branch if item.op_type == "Add"]
        norm, p.centred = LayerNorm if p.centred else RMSNorm, False
        p.put(node, norm(p.shape[-1], number(added[0]) if added else 0.0, affine=False))
    else:
        raise Unknown(f"{named(node)} joins x with a branch of it ({', '.join(sorted(kinds))}), which is no layer here")
    return None


def _residual(p: Place, node: Any, branch: list[Item], follow: Callable[[Place, list[Item]], None]) -> None:
    before, p.layers = p.layers, []
    first, turns, order, shape = p.first, p.turns, p.order, p.shape
    follow(p, branch)
    if first is None and p.input_first is not None:
        first = p.input_first ^ (turns % 2 == 1)
    if p.first != first or p.order is not order or (shape or p.shape) != p.shape or not p.layers or p.pooled:
        raise Unknown(f"{named(node)} adds to x a branch that lies in another way")
    p.layers = [*before, Residual(*p.layers)]

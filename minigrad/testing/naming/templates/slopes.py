"""Slips of slopes: those of tanh and the sigmoid, and the Jacobian of softmax.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, value_of
from minigrad.testing.naming.templates.nodes import code, factors_of, number, product_of

SLOPES = "the slope of tanh is 1 - y², that of a sigmoid y (1 - y), and one stands where the other belongs"
DIAGONAL = "only the diagonal of the Jacobian is used: each {} depends on all entries of its row, through their sum"
WHOLE = "the derivative of softmax: with p = {p} and g = {g} it is p (g - Σ g p), the sum over each row"
LEFT_OUT = "the Jacobian of softmax is left out: {g} goes through {p} as {new}"


def squares(slot: Slot) -> Iterator[Edit]:
    """1 - y where 1 - y² belongs; y (1 - y) that lacks the y; the diagonal of softmax's Jacobian."""
    node: Any = slot.node
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call) and _is_operand(slot):
        new = ast.BinOp(node, ast.Pow(), ast.Constant(2))
        of_tanh = " (1 - y² is the slope of tanh)" if _is_one_minus(slot.parent) else ""
        yield slot.to(new, f"the square is missing: {code(node)} where {code(new)} belongs{of_tanh}")
    if _is_one_minus(node):
        yield slot.to(node.right, f"{code(node)} where {code(node.right)} belongs")
        yield from _of_tanh(slot)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        factors = factors_of(node)
        for complement in [factor for factor in factors if _is_one_minus(factor)]:
            p = complement.right
            others = [factor for factor in factors if factor is not complement]
            same = [factor for factor in others if ast.unparse(factor) == ast.unparse(p)]
            rest = [factor for factor in others if not same or factor is not same[0]]
            if not same and node.right is complement:
                says = f"the factor {code(p)} is missing: the slope of a sigmoid is y (1 - y)"
                yield slot.to(ast.BinOp(ast.BinOp(node.left, ast.Mult(), p), ast.Mult(), node.right), says)
            elif same and rest:
                yield from _of_product(slot, p, rest)


def _is_operand(slot: Slot) -> bool:
    """Whether this is an operand, and of no power."""
    return isinstance(slot.parent, ast.BinOp) and not isinstance(slot.parent.op, ast.Pow)


def of_another(slot: Slot, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """y (1 - y), or 1 - y², of something else than the function's value."""
    node: Any = slot.node
    factors = factors_of(node) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else []
    for complement in [factor for factor in factors if _is_one_minus(factor)]:
        p = complement.right
        places = [place for place, factor in enumerate(factors) if ast.unparse(factor) == ast.unparse(p)]
        held = atoms.get(ast.unparse(p))
        for atom in atoms.values() if held and places else ():
            assert held is not None
            if atom.text.startswith("self.") and np.shape(atom.value) == np.shape(held.value) and atom is not held:
                rest = ast.BinOp(complement.left, ast.Sub(), atom.node)
                for which in (places[-1], places[0]):
                    new = [rest if f is complement else atom.node if i == which else f for i, f in enumerate(factors)]
                    says = (
                        f"the slope y (1 - y) is taken of {code(p)}: y is the value of the function, {code(atom.node)}"
                    )
                    yield slot.to(product_of(new), says, kind="slope of another")


def _of_product(slot: Slot, p: Any, rest: list[Any]) -> Iterator[Edit]:
    """p (1 - p) and the rest of a product: where 1 - p² belongs, or the whole Jacobian."""
    g = product_of(rest)
    square = ast.BinOp(ast.Constant(1), ast.Sub(), ast.BinOp(p, ast.Pow(), ast.Constant(2)))
    yield slot.to(ast.BinOp(g, ast.Mult(), square), f"{SLOPES}: {code(p)} is of tanh")
    for axis in (-1, 1, 0, -2):
        yield slot.to(_jacobian(p, g, axis), DIAGONAL.format(code(p)))


def _jacobian(p: Any, g: Any, axis: int) -> Any:
    given = [ast.keyword("axis", number(axis)), ast.keyword("keepdims", ast.Constant(True))]
    total = ast.Call(ast.Attribute(ast.BinOp(g, ast.Mult(), p), "sum", ast.Load()), [], given)
    return ast.BinOp(p, ast.Mult(), ast.BinOp(g, ast.Sub(), total))


def softmaxes(slot: Slot, atoms: Mapping[str, Atom], scope: Mapping[str, Any]) -> Iterator[Edit]:
    """What is no derivative of a softmax, or leaves it out, where a table of probabilities has one."""
    node: Any = slot.node
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("softmax") and len(node.args) == 1:
        for table in atoms.values():
            axis = _of_probabilities(table.value)
            if axis is not None:
                words = WHOLE.format(p=code(table.node), g=code(node.args[0]))
                yield slot.to(_jacobian(table.node, node.args[0], axis), f"{code(node)} is no derivative; {words}")
    if slot.shape is None or isinstance(node, ast.Tuple) or slot.within(ast.Compare, ast.Subscript, ast.keyword):
        return
    for table in atoms.values():
        axis = _of_probabilities(table.value)
        if axis is None or np.shape(table.value) != slot.shape or ast.unparse(node) == table.text:
            continue
        p = table.node
        used = table.text in ast.unparse(node) or _in_product(slot, table.text)
        if not (isinstance(slot.parent, ast.Attribute) or slot.key == "func" or used):
            new = _jacobian(p, node, axis)
            yield slot.to(new, LEFT_OUT.format(g=code(node), p=code(p), new=code(new)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Sub):
            written = value_of(node, scope)
            for g in atoms.values():
                if np.shape(g.value) == slot.shape and g.text != table.text and "." not in g.text:
                    diagonal = written is not None and np.allclose(written, g.value * table.value * (1 - table.value))
                    words = DIAGONAL.format(code(p)) if diagonal else WHOLE.format(p=code(p), g=code(g.node))
                    yield slot.to(_jacobian(p, g.node, axis), words)


def _in_product(slot: Slot, text: str) -> bool:
    """Whether this is multiplied by the table already, so that another slip is likelier."""
    product = isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.Mult)
    return product and text in (ast.unparse(slot.parent.left), ast.unparse(slot.parent.right))


def _of_probabilities(value: Any) -> int | None:
    """The axis along which an array's numbers, of which none is negative, add up to 1; None if none is such."""
    if not isinstance(value, np.ndarray) or value.ndim < 2 or value.dtype.kind != "f" or (value < 0).any():
        return None
    for axis in (-1, 1, 0, -2):
        if value.shape[axis] > 1 and np.allclose(value.sum(axis=axis), 1):
            return axis
    return None


def _of_tanh(slot: Slot) -> Iterator[Edit]:
    """1 - y² where y (1 - y) belongs."""
    square: Any = slot.node.right
    if isinstance(square, ast.BinOp) and isinstance(square.op, ast.Pow):
        y = square.left
        new = ast.BinOp(y, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), y))
        yield slot.to(new, f"{SLOPES}: {code(y)} is of a sigmoid")


def _is_one_minus(node: Any) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and ast.unparse(node.left) in ("1", "1.0")

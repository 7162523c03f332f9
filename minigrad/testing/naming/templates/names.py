"""Slips of names: one for another, two exchanged, a gradient for its parameter, an expression for a name.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
import difflib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, fits
from minigrad.testing.naming.templates.nodes import code

WHOLE = "a name for an expression"


def replaced(slot: Slot, atoms: Mapping[str, Atom], of_any_shape: bool = False) -> Iterator[Edit]:
    """One name for another of the same shape, or of one that is spread over it, or of any."""
    own = atoms.get(ast.unparse(slot.node)) if isinstance(slot.node, ast.Name | ast.Attribute | ast.Subscript) else None
    if own is None or isinstance(own.value, bool):
        return
    around = ast.unparse(slot.parent)
    for atom in atoms.values():
        shape, whole = np.shape(atom.value), np.shape(own.value)
        alike = shape == whole or (() not in (shape, whole) and (fits(shape, whole) or fits(whole, shape)))
        if atom.text not in (own.text, around) and (alike or of_any_shape):
            if slot.within(ast.Compare):
                says = f"the condition, or mask, is taken of {code(own.node)}, where {code(atom.node)} belongs"
            else:
                says = f"{code(own.node)} stands where {code(atom.node)} belongs"
            yield slot.to(atom.node, says)


def swapped(places: list[Slot], atoms: Mapping[str, Atom], where: Callable[[Slot], Any]) -> Iterator[Edit]:
    """Two names exchanged, in one statement or throughout."""
    held: dict[Any, list[Slot]] = {}
    for slot in places:
        if isinstance(slot.node, ast.Name | ast.Attribute) and ast.unparse(slot.node) in atoms:
            held.setdefault(where(slot), []).append(slot)
    for several in held.values():
        names = dict.fromkeys(ast.unparse(slot.node) for slot in several)
        for a, b in itertools.combinations(list(names)[:12], 2):
            if np.shape(atoms[a].value) == np.shape(atoms[b].value):
                other = {a: atoms[b].node, b: atoms[a].node}
                moved = [slot for slot in several if ast.unparse(slot.node) in other]
                swap = tuple((slot.owner, slot.key, other[ast.unparse(slot.node)]) for slot in moved)
                yield Edit(f"`{a}` and `{b}` are exchanged", moved[0].statement, swap)
        for name in names:
            same = [slot for slot in several if ast.unparse(slot.node) == name]
            if isinstance(atoms[name].value, float) and 0 < atoms[name].value < 1:
                rest = ast.BinOp(ast.Constant(1), ast.Sub(), atoms[name].node)
                each = tuple((slot.owner, slot.key, rest) for slot in same)
                yield Edit(f"`{name}` and {code(rest)} are exchanged", same[0].statement, each)


def whole(slot: Slot, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """An expression, where a name belongs."""
    whole = isinstance(slot.node, ast.BinOp | ast.Call | ast.Subscript)
    for atom in atoms.values() if whole and not slot.within(ast.Slice) else ():
        if slot.shape == np.shape(atom.value) or (slot.shape is None and np.ndim(atom.value) > 1):
            yield slot.to(atom.node, f"{code(slot.node)} stands where {code(atom.node)} belongs", WHOLE)


def instead(slot: Slot, atoms: Mapping[str, Atom], of_any_shape: bool = False) -> Iterator[Edit]:
    """Another expression, of the same shape or one that is spread over it, or of any."""
    kinds = ast.BinOp | ast.UnaryOp | ast.Call | ast.Subscript | ast.Name | ast.Attribute
    kinds |= ast.Constant if slot.parent is slot.statement else kinds
    turned = isinstance(slot.parent, ast.Attribute) and slot.parent.attr == "T"
    all_of_it = isinstance(slot.parent, ast.Return)  # would be no slip, but another answer
    if (
        not isinstance(slot.node, kinds)
        or slot.key in ("func", "slice")
        or slot.within(ast.Slice)
        or all_of_it
        or turned
    ):
        return
    for text, atom in atoms.items():
        shape = np.shape(atom.value)
        fitting = of_any_shape or slot.shape is None or fits(slot.shape, shape) or fits(shape, slot.shape)
        if fitting and text != ast.unparse(slot.node) and not (_is_sum(slot.parent) and _is_sum(atom.node)):
            yield slot.to(atom.node, f"{code(slot.node)} stands where {code(atom.node)} belongs", WHOLE)


def gradient_read(slot: Slot, gradients: Mapping[str, str]) -> Iterator[Edit]:
    """A gradient where its parameter belongs."""
    stored = isinstance(slot.parent, ast.Subscript) and isinstance(slot.parent.ctx, ast.Store)
    for parameter, gradient in gradients.items() if not stored else ():
        if ast.unparse(slot.node) == f"self.{gradient}":
            new = ast.Attribute(ast.Name("self", ast.Load()), parameter, ast.Load())
            yield slot.to(new, f"{code(slot.node)}, a gradient, stands where the parameter {code(new)} belongs")


def unknown(slot: Slot, atoms: Mapping[str, Atom], scope: Collection[str]) -> Iterator[Edit]:
    """A name that there is none of, for one like it."""
    text = ast.unparse(slot.node)
    of_self = isinstance(slot.node, ast.Attribute) and text.startswith("self.")
    if (of_self or isinstance(slot.node, ast.Name)) and text not in scope and text != "self":
        for other in difflib.get_close_matches(text, atoms, n=len(atoms), cutoff=0.3):
            yield slot.to(atoms[other].node, f"there is no `{text}`: `{other}` belongs there")


def _is_sum(node: Any) -> bool:
    """Whether this is a sum, or the method of one."""
    method = node.func if isinstance(node, ast.Call) else node
    return isinstance(method, ast.Attribute) and method.attr in ("sum", "mean")

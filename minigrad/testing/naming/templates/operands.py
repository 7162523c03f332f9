"""Slips of operands: something too much, a case or a mask too, something too little, a number, a sign.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, fits
from minigrad.testing.naming.templates.nodes import code, expression, factors_of, number, product_of

SECOND: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.MatMult: ast.Mult,
    ast.BitXor: ast.Pow,
}
SLOPES = {
    r"(.+) \* \(1 - \1\)": ", the slope of a sigmoid",
    r"1 - ([\w.]+(\[[^]]*\])?|np\.tanh\(.*\)) \*\* 2": ", the slope of tanh",
}
OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE}
WITHOUT: dict[type[ast.operator], str] = {
    ast.Mult: "factor",
    ast.Div: "divisor",
    ast.FloorDiv: "divisor",
    ast.Add: "term",
    ast.Sub: "term",
    ast.Pow: "power",
}


def functions(slot: Slot, functions: set[str]) -> Iterator[Edit]:
    """A function of it instead of it itself."""
    within = isinstance(slot.parent, ast.BinOp | ast.UnaryOp | ast.Call) or getattr(slot.parent, "attr", "") == "T"
    if isinstance(slot.node, ast.Name | ast.Attribute) and within:
        for function in sorted(functions) if slot.key != "func" and slot.shape else ():
            new = ast.Call(expression(function), [slot.node], [])
            yield slot.to(new, f"{code(slot.node)} stands where {code(new)} belongs")


def dropped(slot: Slot) -> Iterator[Edit]:
    """Something too much."""
    node = slot.node
    if isinstance(node, ast.BinOp) and type(node.op) in WITHOUT:
        kind = WITHOUT[type(node.op)]
        for kept, left_out in ((node.left, node.right), (node.right, node.left)):
            if isinstance(slot.statement, ast.For):
                yield slot.to(kept, f"the loop does not go through all steps: {code(slot.statement.iter)}")
            elif isinstance(node.op, ast.Mult | ast.Add) or kept is node.left:
                thing = f"the {kind} {code(left_out)}"
                yield slot.to(kept, f"{thing} is too much", f"a {kind} too much", without=thing)
    elif isinstance(node, ast.Compare):
        yield slot.to(node.left, f"{code(node)} loses the sizes of {code(node.left)}, which belong there")
    elif isinstance(node, ast.Call):
        method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in ("np", "self", "math")
        without = f"`.{node.func.attr}(…)`" if isinstance(node.func, ast.Attribute) and method else code(node.func)
        says = f"{without} does not belong there"
        if getattr(node.func, "attr", "") == "astype":
            says = f"{code(node)} loses digits, in float16 or float32 say, or the part after the point"
        if isinstance(slot.statement, ast.For):
            says = f"the loop does not go through all steps: {code(node)}"
        for inner in [*([node.func.value] if isinstance(node.func, ast.Attribute) else []), *node.args]:
            if not (isinstance(inner, ast.Name) and inner.id == "np"):
                yield slot.to(inner, says, without=without)
        for keyword in node.keywords:
            rest = [other for other in node.keywords if other is not keyword]
            says = f"`{ast.unparse(keyword)}` does not belong there"
            yield Edit(says, slot.statement, ((node, "keywords", rest),))
    elif isinstance(node, ast.Subscript) and not isinstance(slot.parent, ast.Subscript):
        yield slot.to(node.value, f"only a part is taken, {code(node)}, where all of {code(node.value)} belongs")


def conditions(slot: Slot) -> Iterator[Edit]:
    """A case, or a mask, too much, or an end that comes before the last step."""
    node = slot.node
    called = getattr(getattr(node, "func", None), "attr", "") if isinstance(node, ast.Call) else ""
    if called == "where" and len(node.args) == 3:
        for kept in reversed(node.args[1:]):
            yield slot.to(kept, f"the case {code(node.args[0])} does not belong there")
    elif isinstance(slot.statement, ast.For) and getattr(getattr(node, "func", None), "id", "") in ("max", "min"):
        for kept in reversed(node.args):
            yield slot.to(kept, f"the loop does not go through all steps: {code(node)}")
    elif isinstance(node, ast.IfExp):
        for kept in (node.orelse, node.body):
            yield slot.to(kept, f"the case {code(node.test)} does not belong there")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        for kept, mask in ((node.left, node.right), (node.right, node.left)):
            if isinstance(mask, ast.Compare):
                yield slot.to(kept, f"the factor {code(mask)} is too much", without=f"the factor {code(mask)}")


def dropped_two(slot: Slot) -> Iterator[Edit]:
    """Two factors too much."""
    factors = factors_of(slot.node)
    if 3 <= len(factors) <= 6 and not (isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.Mult)):
        for one, other in itertools.combinations(factors, 2):
            rest = [factor for factor in factors if factor is not one and factor is not other]
            says = f"the factors {code(one)} and {code(other)} are too much"
            yield slot.to(product_of(rest), says)


def signs(slot: Slot) -> Iterator[Edit]:
    """A minus too much."""
    axis = isinstance(slot.parent, ast.keyword) and slot.parent.arg == "axis"
    if isinstance(slot.node, ast.UnaryOp) and isinstance(slot.node.op, ast.USub) and not axis:
        yield slot.to(slot.node.operand, f"the sign of {code(slot.node)} is wrong")


def operators(slot: Slot) -> Iterator[Edit]:
    """Plus for minus, times for divided by, less for greater, a sign."""
    node, called = slot.node, slot.key == "func"
    if slot.parent is slot.statement and not isinstance(node, ast.Tuple | ast.Compare):
        yield slot.to(ast.UnaryOp(ast.USub(), node), f"the sign of {code(node)} is wrong")
    if isinstance(node, ast.BinOp) and type(node.op) in SECOND:
        others: list[type[ast.operator]] = [SECOND[type(node.op)]]
        others += [ast.Add, ast.MatMult] if isinstance(node.op, ast.Mult) else []
        others += [ast.Mult] if isinstance(node.op, ast.Add) else []
        others += [ast.Pow] if isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Constant) else []
        for other in others:
            new: Any = ast.BinOp(node.left, other(), node.right)
            yield slot.to(new, f"the operation in {code(node)}: {code(new)} belongs there")
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        zero = ast.Compare(node.left, node.ops, [ast.Constant(0)])
        yield slot.to(zero, f"the threshold in {code(node)}: {code(zero)} belongs there")
        turned = ast.Compare(node.left, [OTHER[type(node.ops[0])]()], node.comparators)
        says = f"the condition, or mask, {code(node)} is the wrong way round: {code(turned)} belongs there"
        yield slot.to(turned, says)
    elif isinstance(node, ast.Name | ast.Attribute) and isinstance(slot.parent, ast.Call | ast.BinOp) and not called:
        yield slot.to(ast.UnaryOp(ast.USub(), node), f"the sign of {code(node)} is wrong")


def grouped(slot: Slot) -> Iterator[Edit]:
    """Parentheses left out, and 1 - y for y."""
    node: Any = slot.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for product, term in ((node.left, node.right), (node.right, node.left)):
            if isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult):
                for one, other in ((product.left, product.right), (product.right, product.left)):
                    new = ast.BinOp(ast.BinOp(one, ast.Add(), term), ast.Mult(), other)
                    yield slot.to(new, f"parentheses: {code(other)} is a factor of {code(term)} too")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.BinOp):
        power = node.left
        if isinstance(power.op, ast.Pow):
            new = ast.BinOp(power.left, ast.Pow(), ast.BinOp(power.right, ast.Div(), node.right))
            yield slot.to(new, f"parentheses are missing: ** goes before /, and {code(new)} belongs there")
        outer = power.right
        if isinstance(power.op, ast.Mult | ast.Div) and isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.Pow):
            root = ast.BinOp(outer.left, ast.Pow(), ast.BinOp(outer.right, ast.Div(), node.right))
            says = f"parentheses are missing: ** goes before /, and {code(root)} belongs there"
            yield slot.to(ast.BinOp(power.left, power.op, root), says)
    named = isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(slot.parent, ast.BinOp)
    if named and not isinstance(slot.statement, ast.For):
        rest = ast.BinOp(ast.Constant(1), ast.Sub(), node)
        yield slot.to(rest, f"{code(node)} where {code(rest)} belongs")


def whole_numbers(slot: Slot) -> Iterator[Edit]:
    """Numbers made whole ones, which have no slope."""
    node: Any = slot.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        kind = ast.unparse(node.args[0]).strip("'\"").removeprefix("np.")
        if node.func.attr == "astype" and kind.startswith(("int", "uint", "bool")):
            inner = node.func.value
            yield slot.to(inner, f"{code(node)} leaves whole numbers: {code(inner)} belongs there")


def unwrapped(slot: Slot) -> Iterator[Edit]:
    """Parentheses left out around a sum or a difference, of which a factor then belongs to the first term alone."""
    node: Any = slot.node
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)):
        return
    terms: list[tuple[ast.operator, Any]] = []
    first: Any = node
    total: Any = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add | ast.Sub):
        terms.insert(0, (first.op, first.right))
        first = first.left
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult | ast.Div | ast.MatMult):
        total = first.right
        for op, term in terms:
            total = ast.BinOp(total, op, term)
        yield _in_parentheses(slot, ast.BinOp(first.left, first.op, total), first.op, node.op)
    *before, (op, last) = terms
    factors = factors_of(last)
    if len(factors) > 1:
        total = first
        for each, term in [*before, (op, factors[0])]:
            total = ast.BinOp(total, each, term)
        yield _in_parentheses(slot, product_of([total, *factors[1:]]), ast.Mult(), node.op)


def _in_parentheses(slot: Slot, new: Any, product: ast.operator, total: ast.operator) -> Edit:
    signs = {ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Add: "+", ast.Sub: "-"}
    first, second = signs[type(product)], signs[type(total)]
    return slot.to(new, f"parentheses are missing: {first} goes before {second}")


def numbers(slot: Slot, constants: set[Any], atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """One number for another."""
    value: Any = slot.node.value if isinstance(slot.node, ast.Constant) else None
    if type(value) not in (int, float):
        return
    exponent = isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.Pow) and slot.key == "right"
    for atom in atoms.values() if not exponent else ():
        if type(atom.value) is int and atom.value > 1 and atom.value != value and "self." in atom.text:
            yield slot.to(atom.node, f"the number {value} where {code(atom.node)} belongs")
    for new in dict.fromkeys([value + 1, value - 1, 2 * value, -value, value / 2, 0, 1, *sorted(constants)]):
        if new != value:
            says = f"the number {value} where {new:g} belongs"
            if isinstance(slot.statement, ast.For):
                says = f"the loop does not go through all steps, the first or the last one say: {says}"
            yield slot.to(number(new), says)


def plain(atom: Any) -> list[Any]:
    """It itself."""
    return [atom]


def shaped(atom: Any) -> list[Any]:
    """What the slopes of functions are made of."""
    one, power = ast.Constant(1), ast.BinOp(atom, ast.Pow(), ast.Constant(2))
    through = [ast.Call(ast.Attribute(ast.Name("np", ast.Load()), f, ast.Load()), [atom], []) for f in ("sign", "tanh")]
    rest = ast.BinOp(one, ast.Sub(), atom)
    made = [ast.BinOp(atom, ast.Mult(), rest), ast.BinOp(one, ast.Sub(), power), rest, *through]
    squared = ast.BinOp(through[1], ast.Pow(), ast.Constant(2))
    return [*made, ast.BinOp(one, ast.Sub(), squared), ast.Compare(atom, [ast.Gt()], [ast.Constant(0)])]


def missing(
    slot: Slot, atoms: Mapping[str, Atom], made: Callable[[Any], list[Any]], of_any_shape: bool = False
) -> Iterator[Edit]:
    """A factor too little."""
    if _may_lack(slot):
        for atom in _spread_over(slot, atoms, of_any_shape):
            for new in made(atom.node) if made is plain or np.ndim(atom.value) else ():
                yield slot.to(ast.BinOp(slot.node, ast.Mult(), new), f"the factor {code(new)} is missing{_of(new)}")


def _of(factor: Any) -> str:
    """Which function's slope a factor is."""
    return next((words for form, words in SLOPES.items() if re.fullmatch(form, ast.unparse(factor))), "")


def lacking(slot: Slot, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """A divisor or a term too little, or the order turned back."""
    as_factor, as_term = _may_lack(slot), _may_lack(slot, ast.Add, ast.Sub)
    for atom in _spread_over(slot, atoms) if as_factor or as_term else ():
        new = atom.node
        if as_factor and atom.text != ast.unparse(slot.node):
            yield slot.to(ast.BinOp(slot.node, ast.Div(), new), f"the division by {code(new)} is missing")
        if as_term and atom.text != ast.unparse(slot.node):
            yield slot.to(ast.BinOp(slot.node, ast.Add(), new), f"the term {code(new)} is missing")
            yield slot.to(ast.BinOp(slot.node, ast.Sub(), new), f"the term -{code(new)} is missing")
    if isinstance(slot.statement, ast.Return | ast.Assign) and slot.parent is slot.statement:
        for index in ("[:, ::-1]", "[::-1]"):
            turned: Any = expression(f"x{index}")
            after = ast.Subscript(slot.node, turned.slice, ast.Load())
            yield slot.to(after, f"the order is to be turned back: {code(after)} belongs there")


def _may_lack(slot: Slot, *same: type) -> bool:
    """Whether a factor (or a term) put here is not the same as one put elsewhere, and this is an array, or may be.

    `same` are the operations in which it is: those of products, or of sums.
    """
    node, parent = slot.node, slot.parent
    elsewhere = isinstance(parent, ast.BinOp) and isinstance(parent.op, same or (ast.Mult, ast.Div, ast.Pow))
    if elsewhere or slot.shape == () or isinstance(node, ast.Tuple | ast.Constant | ast.Slice):
        return False
    if slot.within(ast.Slice, ast.Compare) or slot.key in ("func", "slice") or isinstance(slot.statement, ast.For):
        return False
    if isinstance(parent, ast.Subscript) and isinstance(
        parent.ctx, ast.Store
    ):  # what is written into a product is lost
        return False
    inside = not isinstance(parent, ast.Attribute) or parent.attr in ("sum", "mean", "reshape", "transpose")
    return (isinstance(node, ast.BinOp) or inside) and not _is_alias(slot.statement)


def _is_alias(statement: Any) -> bool:
    """Whether a statement but gives names to what self has."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(part, ast.Attribute) for part in parts)


def _spread_over(slot: Slot, atoms: Mapping[str, Atom], of_any_shape: bool = False) -> Iterator[Atom]:
    for atom in atoms.values():
        number = isinstance(atom.value, np.ndarray | float) and np.asarray(atom.value).dtype.kind in "fb"
        if number and (of_any_shape or slot.room is None or fits(np.shape(atom.value), slot.room)):
            yield atom


def scaled(slot: Slot, atoms: Mapping[str, Atom], constants: set[Any]) -> Iterator[Edit]:
    """A number, or a count, as a factor or a divisor."""
    product = isinstance(slot.parent, ast.BinOp) and not isinstance(slot.parent.op, ast.Add | ast.Sub)
    handed_on = getattr(getattr(slot.parent, "func", None), "attr", "") == "backward" and slot.key != "func"
    call = (slot.within(ast.Subscript, ast.Call) and not handed_on) or isinstance(slot.statement, ast.For)
    if product or call or isinstance(slot.node, ast.Constant | ast.Tuple) or _is_alias(slot.statement):
        return
    counts = [atom.node for atom in atoms.values() if type(atom.value) is int and atom.value > 1]
    likely = {value for value in constants if abs(value) > 1e-3} - {0, 1, -1, 2}
    for count in [*counts, *(number(value) for value in (2, *sorted(likely)))]:
        if ast.unparse(count) == ast.unparse(slot.node):
            continue
        yield slot.to(ast.BinOp(slot.node, ast.Mult(), count), f"the factor {code(count)} is missing")
        yield slot.to(ast.BinOp(slot.node, ast.Div(), count), f"the division by {code(count)} is missing")

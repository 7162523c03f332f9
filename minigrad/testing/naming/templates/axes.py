"""Slips of axes: sums over the wrong one, transposes, counts, and what is put back in another order.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

from minigrad.testing.naming.sentences import UNSUMMED
from minigrad.testing.naming.templates.edits import Edit, Slot
from minigrad.testing.naming.templates.nodes import code, expression, factors_of, number, product_of

FIRST = ("sum", "mean", "max")
REDUCING = ("sum", "mean", "max", "min", "var", "std", "prod", "cumsum", "argmax")
OR_FORWARD = " (or forward has the wrong one)"
AXES = (0, -1, 1, -2, 2)


def axes(slot: Slot) -> Iterator[Edit]:
    """Sums over the wrong axis or none, means instead of sums, an axis that is not kept or lacks."""
    node = slot.node
    yield from _unsummed(slot)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant | ast.UnaryOp):
        total = ast.Call(ast.Attribute(node.value, "sum", ast.Load()), [], [ast.keyword("axis", number(0))])
        yield slot.to(
            total,
            f"only one row is taken, {code(node)}, where the sum over the rows belongs: right at batch size 1 only",
        )
    if not isinstance(node, ast.Call):
        return
    yield from _other_axis(slot)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "sum" and isinstance(node.func.value, ast.Subscript):
        for several in ((0,), (0, 1), (0, 1, 2)):
            given = [ast.keyword("axis", ast.Tuple([number(axis) for axis in several], ast.Load()))]
            total = ast.Call(ast.Attribute(node.func.value.value, "sum", ast.Load()), [], given)
            says = f"only a part is summed, {code(node.func.value)}, where all rows and positions count"
            yield slot.to(total, says)
    if isinstance(node.func, ast.Attribute) and node.func.attr in FIRST:
        array = node.args[0] if ast.unparse(node.func.value) == "np" and node.args else node.func.value
        for name in FIRST:
            if name != node.func.attr:
                says = f"`{node.func.attr}` where `{name}` belongs: a mean is a sum divided by the rows or positions"
                yield Edit(says, slot.statement, ((node.func, "attr", name),))
        if not any(keyword.arg == "axis" for keyword in node.keywords):
            for axis, keep in itertools.product((0, -1), (False, True)):
                given = [ast.keyword("axis", number(axis))]
                given += [ast.keyword("keepdims", ast.Constant(True))] if keep else []
                lacks = f"axis={axis}{', keepdims=True' if keep else ''}"
                says = f"`{node.func.attr}` goes over all of {code(array)}: it lacks {lacks}"
                yield Edit(says, slot.statement, ((node, "keywords", [*node.keywords, *given]),), f"no {lacks}")


def _unsummed(slot: Slot) -> Iterator[Edit]:
    """The gradient of a parameter that is not summed over the rows."""
    target = getattr(slot.statement, "targets", [getattr(slot.statement, "target", None)])[0]
    yield from _unsummed_name(slot, target)
    of_self = isinstance(target, ast.Attribute) or isinstance(slot.statement, ast.AugAssign)
    elements = slot.parent is slot.statement and slot.key == "value"
    if not of_self and isinstance(target, ast.Tuple):
        of_self = all(isinstance(each, ast.Attribute) for each in target.elts)
        elements = len(slot.above) == 2 and (isinstance(slot.parent, ast.Tuple) or slot.key == "elt")
    if slot.key == "elt" and isinstance(target, ast.Attribute) and isinstance(slot.node, ast.BinOp):
        total = ast.Call(ast.Attribute(slot.node, "sum", ast.Load()), [], [])
        yield slot.to(total, f"{UNSUMMED}: {code(total)}", kind="unsummed element")
    is_sum = isinstance(slot.node, ast.Call) and getattr(slot.node.func, "attr", "") in REDUCING
    if not of_self or not elements or is_sum or slot.shape == () or isinstance(slot.node, ast.Constant | ast.Tuple):
        return
    for axes in ([], [ast.keyword("axis", number(0))], [ast.keyword("axis", expression("(0, 1)"))]):
        total = ast.Call(ast.Attribute(slot.node, "sum", ast.Load()), [], axes)
        yield slot.to(total, f"{UNSUMMED}: {code(total)}", kind=f"unsummed {len(axes)}")


def _unsummed_name(slot: Slot, target: Any) -> Iterator[Edit]:
    """What is gone on with, and is not summed over the rows."""
    if isinstance(target, ast.Name) and slot.parent is slot.statement and len(slot.shape or ()) > 1:
        for function in ("sum", "mean") if isinstance(slot.node, ast.BinOp | ast.UnaryOp) else ():
            given = [ast.keyword("axis", number(0))]
            total = ast.Call(ast.Attribute(slot.node, function, ast.Load()), [], given)
            says = f"`{target.id}` is one for each column: the {function} over the rows is missing, {code(total)}"
            yield slot.to(total, says, kind=f"no {function} over the rows")


def spread(slot: Slot) -> Iterator[Edit]:
    """One number for each row, where a row has several: of those that are multiplied or added entry by entry."""
    node, parent = slot.node, slot.parent
    by_entry = isinstance(parent, ast.BinOp) and not isinstance(parent.op, ast.MatMult | ast.Pow)
    if by_entry and slot.shape and not isinstance(node, ast.Constant):
        for index in ("[:, None]", "[..., None]")[len(slot.shape) > 1 :][:1]:
            part: Any = expression(f"x{index}")
            new = ast.Subscript(node, part.slice, ast.Load())
            yield slot.to(new, f"{code(node)} lacks an axis, so that each of its numbers goes to a row: {code(new)}")


def summed(slot: Slot) -> Iterator[Edit]:
    """A sum or a mean that is missing within an expression."""
    node: Any = slot.node
    if not isinstance(slot.parent, ast.BinOp) or isinstance(slot.parent.op, ast.Pow) or len(slot.shape or ()) < 2:
        return
    in_chain = isinstance(slot.parent.op, ast.Mult) and slot.key == "left" and len(factors_of(node)) > 1
    calls = [each.func for each in slot.above if isinstance(each, ast.Call)]
    if isinstance(node, ast.Constant) or in_chain or any(getattr(call, "attr", "") in FIRST for call in calls):
        return
    for function, axis in itertools.product(("sum", "mean"), (0, -1)):
        given = [ast.keyword("axis", number(axis))]
        given += [ast.keyword("keepdims", ast.Constant(True))] if axis else []
        for before, of in _parted(node):
            total: Any = ast.Call(ast.Attribute(of, function, ast.Load()), [], given)
            says = f"the {function} over the {'entries of each row' if axis else 'rows'} is missing: {code(total)}"
            new = ast.BinOp(before, ast.Mult(), total) if before else total
            yield slot.to(new, f"{says} belongs there, not {code(of)}", f"no {function} over {axis}")


def _parted(node: Any) -> Iterator[tuple[Any, Any]]:
    """A product as its first factors and the rest, in every way; the first, as none and all of it."""
    factors = factors_of(node)
    yield None, node
    for place in range(1, len(factors) - 1):
        yield product_of(factors[:place]), product_of(factors[place:])


def _other_axis(slot: Slot) -> Iterator[Edit]:
    """Another axis, with the axis kept or not, in a call that takes one by name or, of an array, first."""
    node: Any = slot.node
    named = [keyword for keyword in node.keywords if keyword.arg == "axis"]
    first = isinstance(node.func, ast.Attribute) and node.func.attr in REDUCING and len(node.args) == 1
    given = named[0].value if named else node.args[0] if first else None
    if given is None or not isinstance(given, ast.Constant | ast.UnaryOp):
        return
    if not any(keyword.arg == "keepdims" for keyword in node.keywords):
        kept = [*node.keywords, ast.keyword("keepdims", ast.Constant(True))]
        says = "keepdims=True is missing, with which the axis that is gone over stays, of length 1, so that shapes fit"
        yield Edit(says, slot.statement, ((node, "keywords", kept),))
    for axis in AXES:
        if ast.unparse(given) != str(axis):
            instead = f"not axis={ast.unparse(given)}{OR_FORWARD}"
            says = f"the wrong axis: axis={axis} belongs there, {instead}"
            owner, key = (named[0], "value") if named else (node.args, 0)
            yield Edit(says, slot.statement, ((owner, key, number(axis)),))
            if not any(keyword.arg == "keepdims" for keyword in node.keywords):
                kept = [*node.keywords, ast.keyword("keepdims", ast.Constant(True))]
                both = [(node, "keywords", kept)]
                if named:
                    both = [(node, "keywords", [ast.keyword("axis", number(axis)), *kept[len(named) :]])]
                    yield Edit(says, slot.statement, tuple(both), f"{says}, kept")
                else:
                    yield Edit(says, slot.statement, ((owner, key, number(axis)), *both), f"{says}, kept")


def counts(slot: Slot) -> Iterator[Edit]:
    """The number of rows where that of all positions counts, one less (as in an unbiased variance), or another."""
    node: Any = slot.node
    length = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len" and len(node.args) == 1
    if length:
        array = node.args[0]
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        array = node.value.value
    elif isinstance(node, ast.Attribute) and node.attr == "size":
        array = node.value
    else:
        return
    text = ast.unparse(array)
    if isinstance(slot.statement, ast.For) and (length or ast.unparse(node) == f"{text}.shape[0]"):
        steps = expression(f"{text}.shape[1]")
        yield slot.to(steps, f"{code(node)} is the number of rows, where that of steps belongs, {code(steps)}")
    if slot.within(ast.Subscript, ast.Slice) or isinstance(slot.statement, ast.For):
        return
    for other in (
        f"{text}.size // {text}.shape[-1]",
        f"len({text})",
        f"{text}.shape[-1]",
        f"{text}.size",
        f"{text}.shape[1]",
    ):
        if other != ast.unparse(node):
            new = expression(other)
            yield slot.to(new, f"another number: {code(new)} belongs there, not {code(node)}")
    less = ast.BinOp(node, ast.Sub(), ast.Constant(1))
    yield slot.to(less, f"{code(node)} where {code(less)} belongs, as in an unbiased variance (ddof=1)")


def transposed(slot: Slot) -> Iterator[Edit]:
    """A transpose too much, or too little."""
    node, says = slot.node, "transposed: {} stands where {} belongs"
    if isinstance(node, ast.Attribute) and node.attr == "T":
        swapped = ast.Call(ast.Attribute(node.value, "swapaxes", ast.Load()), [number(-1), number(-2)], [])
        yield slot.to(node.value, says.format(code(node), code(node.value)), kind=f"no T of a {slot.key} operand")
        if slot.shape is None or len(slot.shape) > 2:
            all_axes = f"{code(node)} turns all axes round, that of the rows too: {code(swapped)} belongs there"
            yield slot.to(swapped, all_axes, kind="T of more than two axes")
    elif _in_product(slot) or (isinstance(slot.parent, ast.BinOp) and _is_square(slot)):
        swapped = ast.Call(ast.Attribute(node, "swapaxes", ast.Load()), [number(-1), number(-2)], [])
        for new, kind in ((ast.Attribute(node, "T", ast.Load()), "T"), (swapped, "swapaxes")):
            yield slot.to(new, says.format(code(node), code(new)), kind=f"{kind} of a {slot.key} operand")
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("swapaxes", "transpose")
    ):
        yield slot.to(node.func.value, says.format(code(node), code(node.func.value)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape":
        for one, other in ((1, 2), (-1, -2), (0, 1)):
            swapped = ast.Call(ast.Attribute(node.func.value, "swapaxes", ast.Load()), [number(one), number(other)], [])
            says = f"the order of axes: {code(swapped)} belongs before the reshape, which takes numbers as they lie"
            yield slot.to(ast.Call(ast.Attribute(swapped, "reshape", ast.Load()), node.args, node.keywords), says)
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.MatMult)
        and (slot.shape is None or len(slot.shape) == 2)
    ):
        turned = ast.BinOp(_turned(node.right), ast.MatMult(), _turned(node.left))
        yield slot.to(turned, f"transposed: {code(node)} stands where {code(turned)} belongs")
        if getattr(node.left, "attr", "") == "T":
            by_entry = ast.BinOp(_turned(node.left), ast.Mult(), node.right)
            total = ast.Call(ast.Attribute(by_entry, "sum", ast.Load()), [], [ast.keyword("axis", number(0))])
            yield slot.to(
                total, f"each column goes with its own one only: {code(total)} belongs there, not {code(node)}"
            )
    yield from _letters(slot)
    yield from _both_ways(slot)


def _turned(node: Any) -> Any:
    return node.value if getattr(node, "attr", "") == "T" else ast.Attribute(node, "T", ast.Load())


def _in_product(slot: Slot) -> bool:
    """Whether this is an operand of @, or of np.dot."""
    parent = slot.parent
    if isinstance(parent, ast.Call):
        return getattr(parent.func, "attr", "") in ("dot", "matmul") and slot.owner is parent.args
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult)


def _letters(slot: Slot) -> Iterator[Edit]:
    """Two letters of an operand of einsum exchanged: that operand transposed."""
    node: Any = slot.node
    called = getattr(slot.parent, "func", None)
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and getattr(called, "attr", "") == "einsum"):
        return
    inputs, arrow, output = node.value.replace(" ", "").partition("->")
    operands = [*inputs.split(","), *([output] if arrow else [])]
    for place, old in enumerate(output):
        for other in sorted({*inputs} - {*output, ","}):
            kept = f"{inputs}->{output[:place]}{other}{output[place + 1 :]}"
            yield slot.to(
                ast.Constant(kept), f"the wrong axis: the result has the letter '{old}' where '{other}' belongs"
            )
    for place, letters in enumerate(operands):
        for one, other in itertools.combinations(range(len(letters)), 2):
            turned = letters.translate({ord(letters[one]): letters[other], ord(letters[other]): letters[one]})
            new = [*operands[:place], turned, *operands[place + 1 :]]
            text = ",".join(new[:-1]) + arrow + new[-1] if arrow else ",".join(new)
            says = f"transposed: the letters of an operand are exchanged, '{letters}' where '{turned}' belongs"
            yield slot.to(ast.Constant(text), says)


def _is_square(slot: Slot) -> bool:
    return slot.shape is not None and len(slot.shape) == 2 and slot.shape[0] == slot.shape[1] > 1


def _both_ways(slot: Slot) -> Iterator[Edit]:
    """A matrix that acts from both sides, x A x: its transpose has a part in the derivative too."""
    node: Any = slot.node
    product = isinstance(slot.parent, ast.BinOp) and isinstance(slot.parent.op, ast.MatMult)
    if _is_square(slot) and product and isinstance(node, ast.Name | ast.Attribute):
        both = ast.BinOp(node, ast.Add(), ast.Attribute(node, "T", ast.Load()))
        says = f"{code(node)} acts from both sides, so {code(both)} belongs there: the same only if it is symmetric"
        yield slot.to(ast.BinOp(both, ast.Div(), ast.Constant(2)), says)
        yield slot.to(both, says)


def turned_back(slot: Slot) -> Iterator[Edit]:
    """A running sum in forward's order, where it is to run from the end."""
    node: Any = slot.node
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "cumsum":
        on: Any = getattr(node.func, "value", None)
        of_array = not (isinstance(on, ast.Name) and on.id == "np")
        array = on if of_array else node.args[0]
        rest = node.args if of_array else node.args[1:]
        axis = [*rest, *(keyword.value for keyword in node.keywords if keyword.arg == "axis")]

        def through(function: str, what: Any) -> Any:
            return ast.Call(expression(function), [what, *axis[:1]], [])

        new = through("np.flip", through("np.cumsum", through("np.flip", array)))
        yield slot.to(new, f"a running sum is turned back by one from the end: {code(new)} belongs there")

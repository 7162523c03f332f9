"""Slips of form: loops, lists, indices, and what comes back through time.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, bodies
from minigrad.testing.naming.templates.loops import begun_anew, handed_on, one_entry, one_window, targets
from minigrad.testing.naming.templates.nodes import code, expression, number


def statements(function: ast.FunctionDef, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """= where += belongs, the order of a loop, two lines exchanged, an index that occurs twice."""
    for body, loop in bodies(function):
        yield from handed_on(body, loop, atoms) if loop is not None and body is loop.body else ()
        yield from _occurs_twice(body, atoms)
        for place, statement in enumerate(body):
            yield from one_entry(body, place, loop)
            yield from one_window(function, body, place, loop)
            yield from begun_anew(function, body, place)
            if _changes_what_it_reads(statement):
                says = f"this line is too much: {code(statement)}"
                yield Edit(says, statement, ((body, place, ast.Pass()),))
            if loop is not None and isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                yield from _added(function, body, place)
            elif isinstance(statement, ast.AugAssign):
                new_one = ast.Assign([statement.target], statement.value)
                says = f"{code(statement.target)} is added to where it is to be set"
                yield Edit(says, statement, ((body, place, new_one),))
            if isinstance(statement, ast.If) and not statement.orelse:
                says = f"the condition {code(statement.test)} leaves something out, the first step say: all count"
                yield Edit(says, statement, ((statement, "test", ast.Constant(True)),))
            if isinstance(statement, ast.For) and not isinstance(statement.iter, ast.Constant | ast.Tuple):
                yield from _gone_through(statement)
            after = body[place + 1] if place + 1 < len(body) else None
            ends = isinstance(after, ast.Return | ast.For | ast.Pass) or isinstance(statement, ast.For | ast.Pass)
            if after is not None and not ends:
                says = f"two lines are in the wrong order: {code(after)} has to come before it"
                yield Edit(says, statement, ((body, place, after), (body, place + 1, statement)), moved=after)


def _added(function: ast.FunctionDef, body: list[Any], place: int) -> Iterator[Edit]:
    """What each pass of a loop sets is added up, from 0 on or from what is there."""
    statement = body[place]
    (target,) = statement.targets
    if isinstance(target, ast.Tuple):
        return
    new = ast.AugAssign(target, ast.Add(), statement.value)
    says = (
        f"each pass of the loop puts {code(target)} in the place of what the passes before gave, instead of adding "
        "to it: the gradient is the sum over all of them, be they steps of time or positions"
    )
    yield Edit(says, statement, ((body, place, new),))
    if isinstance(target, ast.Attribute):
        zero: Any = ast.parse(f"{ast.unparse(target)}[...] = 0").body[0]
        says = f"{says}; set it to 0 before the loop, {code(zero)}"
        places = ((body, place, new), (function, "body", [zero, *function.body]))
        yield Edit(says, statement, places, added=zero)


def _gone_through(loop: ast.For) -> Iterator[Edit]:
    """A loop begins at the first step, or goes the other way round."""
    through: Any = loop.iter
    called = getattr(getattr(through, "func", None), "id", "")
    calls = (each for each in ast.walk(through) if getattr(getattr(each, "func", None), "id", "") == "range")
    first: Any = next(calls, None)
    if first is not None and len(first.args) == 2:
        all_steps = "the loop does not go through all steps: it is to begin at 0"
        yield Edit(all_steps, loop, ((first.args, 0, number(0)),))
    if called in ("reversed", "range") or isinstance(through, ast.Name | ast.Attribute):
        turned = through.args[0] if called == "reversed" else _call("reversed", through)
        says = (
            "the order of the loop: backward goes through what forward did from the last step, or layer, to the "
            "first, so that what comes back from a step is there when the one before needs it"
        )
        yield Edit(says, loop, ((loop, "iter", turned),))


def _changes_what_it_reads(statement: Any) -> bool:
    """Whether a statement changes a number that was there: left out, it stays."""
    read = {ast.unparse(node) for node in ast.walk(getattr(statement, "value", None) or ast.Pass())}
    written = {ast.unparse(target) for target in targets(statement)}
    return isinstance(statement, ast.AugAssign) or (isinstance(statement, ast.Assign) and bool(written & read))


def _occurs_twice(body: list[Any], atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """An array of indices, of which one may occur twice, where A[index] += v adds once only."""
    for place, statement in enumerate(body):
        target = targets(statement)[0]
        index = atoms.get(ast.unparse(target.slice)) if isinstance(target, ast.Subscript) else None
        if index is not None and isinstance(index.value, np.ndarray) and index.value.dtype.kind in "iu":
            add = ast.Attribute(ast.Attribute(ast.Name("np", ast.Load()), "add", ast.Load()), "at", ast.Load())
            base: Any = expression(ast.unparse(target.value))
            new = ast.Expr(ast.Call(add, [base, target.slice, statement.value], []))
            says = f"an index that occurs twice in {code(target.slice)} counts once: np.add.at adds each of them"
            yield Edit(says, statement, ((body, place, new),))


def _call(name: str, *arguments: Any) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def exchanged(slot: Slot) -> Iterator[Edit]:
    """Two of a list, of arguments or of operands."""
    node = slot.node
    if isinstance(node, ast.Tuple | ast.List | ast.Call) and not isinstance(slot.parent, ast.Slice):
        several = node.args if isinstance(node, ast.Call) else node.elts
        for one, other in itertools.combinations(range(min(len(several), 6)), 2):
            a, b = several[one], several[other]
            if isinstance(a, ast.Constant) is not isinstance(b, ast.Constant) and not isinstance(slot.parent, ast.Call):
                continue
            index = "transposed: the indices " if isinstance(slot.parent, ast.Subscript) else ""
            says = f"{index}{code(a)} and {code(b)} are exchanged"
            yield Edit(says, slot.statement, ((several, one, b), (several, other, a)))
    is_loop = isinstance(slot.statement, ast.For)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Sub | ast.Div) and not is_loop:
        says = f"the two sides of {code(node)} are exchanged"
        yield Edit(says, slot.statement, ((node, "left", node.right), (node, "right", node.left)))


def indices(slot: Slot) -> Iterator[Edit]:
    """A step too early or too late, counted from the other end, or the wrong slice."""
    node, parent = slot.node, slot.parent
    if slot.key == "slice" and isinstance(parent, ast.Subscript):
        elements = node.elts if isinstance(node, ast.Tuple) else [node]
        yield from _from_the_other_end(slot, elements)
        yield from _windows(slot, elements)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id in _counted(slot):
        second: Any = expression(f"x[:, {node.slice.id}]")
        new_one = ast.Subscript(node.value, second.slice, ast.Load())
        yield slot.to(new_one, f"{code(node)} is a row, where a step of all rows belongs, {code(new_one)}")
    if not slot.within(ast.Subscript) or (isinstance(parent, ast.Subscript) and slot.key != "slice"):
        return
    sums = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    if (isinstance(node, ast.Name) or sums) and not (slot.key == "left" and _steps(parent)):
        for sign, words in ((ast.Sub(), "late"), (ast.Add(), "early")):
            new_one = _one_step(node, sign)
            says = f"{code(node)} is a step too {words}: {code(new_one)} belongs there"
            yield slot.to(new_one, says, f"{words}: {ast.unparse(node.left if _steps(node) else node)}")
    rows = isinstance(slot.statement, ast.For) and ast.unparse(parent).endswith(".shape[0]")
    if isinstance(node, ast.UnaryOp | ast.Constant) and not slot.within(ast.BinOp) and not rows:
        for index in (0, -1, 1):
            yield slot.to(
                number(index), f"it is the wrong step, or row: {index} belongs there, not {ast.unparse(node)}"
            )
    if isinstance(node, ast.Slice):
        yield from _slices(slot, node)


def _from_the_other_end(slot: Slot, elements: list[Any]) -> Iterator[Edit]:
    """All places of a window are counted from the other end, or none is."""
    counted = [_minus_one(each) for each in elements if isinstance(each, ast.Name)]
    turned = [each.right for each in elements if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub)]
    for new in (counted, turned):
        if len(new) == len(elements) > 0:
            other = ast.Tuple(new, ast.Load()) if isinstance(slot.node, ast.Tuple) else new[0]
            says = "turned: the places of the window are counted from the other end"
            yield slot.to(other, f"{says}, {code(slot.node)} where {code(other)} belongs")


def _slices(slot: Slot, node: ast.Slice) -> Iterator[Edit]:
    """A window that does not move, or only at one end, and the wrong part of an array."""
    if isinstance(node.lower, ast.Name) and node.upper is not None:
        part = ast.Slice(node.lower, ast.BinOp(node.lower, ast.Add(), node.upper))
        yield slot.to(part, f"the end of the window does not move: {code(part)} belongs there, not {code(node)}")
    for name in _counted(slot) if node.lower is None and node.upper is not None else ():
        part = _moved(name, node)
        yield slot.to(part, f"the window does not move: {code(part)} belongs there, not {code(node)}")
    less: Any = [_minus(node.lower), _minus(node.upper)]
    for lower, upper in ((None, None), (node.upper, None), (None, node.lower), (less[1], None), (None, less[0])):
        part = ast.Slice(lower, upper)
        if ast.unparse(part) != ast.unparse(node):
            yield slot.to(part, f"the wrong part, or end: {code(part)} belongs there, not {code(node)}")


def _steps(place: Any) -> int:
    """By how many steps this is after something, or before it: 2 of t + 2; 0 of all else."""
    value = getattr(getattr(place, "right", None), "value", None)
    sums = isinstance(place, ast.BinOp) and isinstance(place.op, ast.Add | ast.Sub)
    return (value if isinstance(place.op, ast.Add) else -value) if sums and type(value) is int else 0


def _one_step(place: Any, sign: ast.operator) -> Any:
    """A place, one step before it or after it: t + 1 for t, and t for t + 1."""
    if not _steps(place):
        return ast.BinOp(place, sign, ast.Constant(1))
    count = _steps(place) + (1 if isinstance(sign, ast.Add) else -1)
    other = ast.Add() if count > 0 else ast.Sub()
    return ast.BinOp(place.left, other, ast.Constant(abs(count))) if count else place.left


def _counted(slot: Slot) -> list[str]:
    """The names that count what is gone through around a place, from the outermost in."""
    around = [*slot.loops, *(each for above in slot.above for each in getattr(above, "generators", ()))]
    return [each.target.id for each in around if isinstance(getattr(each, "target", None), ast.Name)]


def _moved(name: str, part: Any) -> Any:
    there = ast.Name(name, ast.Load())
    return ast.Slice(there, ast.BinOp(there, ast.Add(), part.upper))


def _windows(slot: Slot, elements: list[Any]) -> Iterator[Edit]:
    """A window of several axes of which none moves."""
    still = [each for each in elements if isinstance(each, ast.Slice) and each.lower is None and each.upper]
    names = _counted(slot)[-len(still) :]
    if 1 < len(still) == len(names):
        moving = {id(part): _moved(name, part) for name, part in zip(names, still, strict=True)}
        other = ast.Tuple([moving.get(id(each), each) for each in elements], ast.Load())
        yield slot.to(other, f"the window does not move: {code(other)} belongs there, not {code(slot.node)}")


def _minus(place: Any) -> Any:
    if place is None or isinstance(place, ast.UnaryOp):
        return getattr(place, "operand", None)
    return ast.UnaryOp(ast.USub(), place)


def spaced(places: list[Slot], atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """The places of a window lack a factor: the stride, or the dilation."""
    held: dict[tuple[int, str], list[Slot]] = {}
    for slot in places:
        around = [node for node in slot.above if isinstance(node, ast.Subscript)]
        if around and isinstance(slot.node, ast.Name) and slot.key != "value":
            held.setdefault((id(around[0]), slot.node.id), []).append(slot)
    for several in held.values():
        name = several[0].node
        for atom in atoms.values():
            if type(atom.value) is int and atom.value > 1 and atom.text != name.id:
                new = ast.BinOp(name, ast.Mult(), atom.node)
                says = f"the places lack a factor, the stride or the dilation: {code(new)} belongs there"
                yield Edit(says, several[0].statement, tuple((slot.owner, slot.key, new) for slot in several))


def _minus_one(name: Any) -> Any:
    return ast.BinOp(number(-1), ast.Sub(), name)

"""Slips of loops: what each pass sets, where it begins, and what it hands on to the next.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, carried, slots
from minigrad.testing.naming.templates.nodes import assigned, code, expression, names_read


def one_entry(body: list[Any], place: int, loop: Any) -> Iterator[Edit]:
    """Each pass of a loop sets all of an array, where one entry of it is its own."""
    statement, counted = body[place], getattr(loop, "target", None)
    if not isinstance(statement, ast.Assign | ast.AugAssign) or not isinstance(counted, ast.Name):
        return
    target = targets(statement)[0]
    array: Any = target.value if isinstance(target, ast.Subscript) and _is_all(target.slice) else target
    if isinstance(array, ast.Name | ast.Attribute) and len(targets(statement)) == 1:
        read: Any = expression(ast.unparse(array))
        entry = ast.Subscript(read, ast.Name(counted.id, ast.Load()), ast.Store())
        new = ast.Assign([entry], statement.value)
        says = f"each pass of the loop sets all of {code(array)}, where its own entry belongs, {code(entry)}"
        yield Edit(says, statement, ((body, place, new),))


def one_window(function: ast.FunctionDef, body: list[Any], place: int, loop: Any) -> Iterator[Edit]:
    """A row where a step of all rows belongs, or all of an array where the window belongs that is read elsewhere."""
    statement, counted = body[place], getattr(getattr(loop, "target", None), "id", None)
    target = targets(statement)[0] if isinstance(statement, ast.Assign | ast.AugAssign) and counted else None
    parts: list[Any] = []
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Name) and target.slice.id == counted:
        parts, array = [expression(f"x[:, {counted}]")], target.value
        says = "{} is a row, where a step of all rows belongs, {}"
    elif isinstance(target, ast.Name | ast.Attribute):
        parts, array = [each for each in ast.walk(function) if _is_window(each, counted)], target
        says = "in each pass of the loop only a window of {} is meant: {}"
    for part in {ast.unparse(each.slice): each for each in parts}.values():
        read = expression(ast.unparse(array))
        new = ast.Subscript(read, part.slice, ast.Store())
        owner, key = (statement.targets, 0) if isinstance(statement, ast.Assign) else (statement, "target")
        yield Edit(says.format(code(target), code(new)), statement, ((owner, key, new),))


def _is_window(node: Any, counted: Any) -> bool:
    """Whether this is a part of an array that moves as the loop counts."""
    within = list(ast.walk(node.slice)) if isinstance(node, ast.Subscript) else []
    counts = any(isinstance(each, ast.Name) and each.id == counted for each in within)
    return counts and any(isinstance(each, ast.Slice) for each in within)


def _is_all(index: Any) -> bool:
    return ast.unparse(index) in (":", "...")


def begun_anew(function: ast.FunctionDef, body: list[Any], place: int) -> Iterator[Edit]:
    """A sum that each pass of a loop begins anew, where all passes are to add to one."""
    loop = body[place]
    if not isinstance(loop, ast.For) or len(loop.body) < 2:
        return
    inside = [node for each in loop.body for node in ast.walk(each)]
    added = {
        ast.unparse(node.value if isinstance(node, ast.Subscript) else node)
        for each in inside
        if isinstance(each, ast.Assign | ast.AugAssign)
        for node in targets(each)
        if isinstance(each, ast.AugAssign) or isinstance(node, ast.Subscript)
    }
    made = assigned(*loop.body, loop.target).keys()
    for statement in loop.body:
        first = statement.targets[0] if isinstance(statement, ast.Assign) else None
        changing = names_read(statement).keys() & made
        if isinstance(first, ast.Name) and first.id in added and not changing:
            says = (
                f"each pass of the loop begins {code(first)} anew, and what the passes before have put there is lost: "
                "this line belongs before the loop"
            )
            around = next(
                node for node in ast.walk(function) if body in (vars(node).get("body"), vars(node).get("orelse"))
            )
            key = "body" if vars(around).get("body") is body else "orelse"
            moved = [*body[:place], statement, *body[place:]]
            rest = [each for each in loop.body if each is not statement]
            yield Edit(
                says, statement, ((around, key, moved), (loop, "body", rest)), where="before the loop, not in it"
            )


def rows_for_steps(function: ast.FunctionDef, scope: Mapping[str, Any]) -> list[Edit]:
    """Of a loop over steps that takes rows, all: how many there are, and x[t] for x[:, t]; to be made at once."""
    found = []
    for slot in slots(function, {}, stored=True):
        node: Any = slot.node
        counted = [each.target.id for each in slot.loops if isinstance(each.target, ast.Name)]
        if not isinstance(node, ast.Subscript | ast.Call) or not counted:
            continue
        of = node.value if isinstance(node, ast.Subscript) else node.args[0] if node.args else node
        array = scope.get(ast.unparse(of))
        if isinstance(array, np.ndarray) and array.ndim > 1:
            if isinstance(node, ast.Subscript) and ast.unparse(node.slice) in counted:
                step: Any = expression(f"x[:, {ast.unparse(node.slice)}]")
                new: Any = ast.Subscript(of, step.slice, node.ctx)
                found.append(slot.to(new, f"{code(node)} is a row, where a step of all rows belongs, {code(new)}"))
            elif slot.statement is slot.loop and ast.unparse(node).startswith("len("):
                new = expression(f"{ast.unparse(of)}.shape[1]")
                found.append(slot.to(new, f"{code(node)} counts rows, where the steps belong, {code(new)}"))
    return found


def handed_on(body: list[Any], loop: Any, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """What a loop hands on from pass to pass lacks a factor at its end."""
    yield from _not_handed_on(body, loop, atoms)
    for name in assigned(*body) if loop else ():
        for atom in atoms.values():
            if name in atoms and np.shape(atom.value) == np.shape(atoms[name].value) != () and atom.text != name:
                target, there = ast.Name(name, ast.Store()), ast.Name(name, ast.Load())
                new = ast.Assign([target], ast.BinOp(there, ast.Mult(), atom.node))
                says = (
                    f"`{name}` lacks the factor {code(atom.node)} when it is handed on to the step before, at the end"
                )
                yield Edit(f"{says} of the loop", body[-1], ((loop, "body", [*body, new]),), added=new)


def _not_handed_on(body: list[Any], loop: Any, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """What a loop reads, and no pass of it changes, is to come back from pass to pass through a matrix."""
    inside = [
        n for each in body if loop and isinstance(loop, ast.For) for n in ast.walk(each) if isinstance(n, ast.Name)
    ]
    stored = {n.id for n in inside if isinstance(n.ctx, ast.Store)}
    read = dict.fromkeys(
        n.id for n in inside if n.id not in stored and np.ndim(getattr(atoms.get(n.id), "value", 0)) == 2
    )
    matrices = [a for a in atoms.values() if np.ndim(a.value) == 2 and a.text.startswith("self.")]
    for name in read:
        for made in (atom for atom in atoms.values() if atom.text in stored and np.ndim(atom.value) == 2):
            for matrix in matrices:
                turned = ast.Attribute(matrix.node, "T", ast.Load())
                for by, shape in ((turned, matrix.value.shape[::-1]), (matrix.node, matrix.value.shape)):
                    if (made.value.shape[0], shape[1]) == np.shape(atoms[name].value) and made.value.shape[1] == shape[
                        0
                    ]:
                        handed = ast.BinOp(made.node, ast.MatMult(), by)
                        new = ast.Assign([ast.Name(name, ast.Store())], handed)
                        says = f"nothing comes back through time: `{name} = {ast.unparse(handed)}` is missing"
                        yield Edit(
                            f"{says} at the end of the loop", body[-1], ((loop, "body", [*body, new]),), added=new
                        )


def through_time(slot: Slot, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """What a loop hands on from pass to pass is left out, or a factor belongs to it too."""
    node, statement = slot.node, slot.statement
    if slot.loop is None or statement is slot.loop or slot.within(ast.Subscript) or slot.key in ("func", "slice"):
        return
    says = "the term {} is missing: what comes back through time, from the step after this one"
    on = carried(slot)
    for name in [name for name in atoms if name in on and np.ndim(atoms[name].value)]:
        handed = atoms[name].node
        if slot.shape not in (None, np.shape(atoms[name].value)):
            continue
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) or slot.parent is statement:
            yield slot.to(ast.BinOp(node, ast.Add(), handed), says.format(code(handed)))
        set_here = any(isinstance(n, ast.Name) and n.id == name for t in targets(statement) for n in ast.walk(t))
        for atom in atoms.values() if slot.parent is statement and set_here else ():
            if np.shape(atom.value) == np.shape(atoms[name].value):
                term = ast.BinOp(handed, ast.Mult(), atom.node)
                yield slot.to(ast.BinOp(node, ast.Add(), term), says.format(code(term)))


def targets(statement: Any) -> list[Any]:
    """What a statement gives a value to."""
    return statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", ast.Pass())]

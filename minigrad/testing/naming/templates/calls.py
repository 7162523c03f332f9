"""Slips of calls: what is returned, what is kept for the optimizer, and which backward of inner layers is called.

Each function yields, for a place in a function's source, the edits that undo such a slip there, with words for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.edits import Atom, Edit, Slot, atoms_of, bodies
from minigrad.testing.naming.templates.nodes import code, expression

BACK = "the order of a way back"


def returned(function: ast.FunctionDef, scope: Mapping[str, Any]) -> Iterator[Edit]:
    """No return, or one in a loop, which it ends, or one of a list."""
    atoms = atoms_of([], scope)
    body, last = function.body, function.body[-1]
    if isinstance(last, ast.Expr):
        says = f"`return` is missing before {code(last)}"
        yield Edit(says, last, ((body, len(body) - 1, ast.Return(last.value)),))
    if isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple):
        for each in last.value.elts:
            says = f"{code(each)} alone is to be returned, not {code(last.value)}"
            yield Edit(says, last, ((last, "value", each),))
    listed = isinstance(last, ast.Return) and isinstance(scope.get(ast.unparse(last).removeprefix("return ")), list)
    if isinstance(last, ast.Return) and last.value and (listed or isinstance(last.value, ast.List | ast.ListComp)):
        says = "a list is returned, where an array belongs"
        yield Edit(says, last, ((last, "value", ast.Call(expression("np.array"), [last.value], [])),))
    if not any(isinstance(node, ast.Return) for node in ast.walk(function)):
        for atom in [atom for text, atom in atoms.items() if "." not in text and np.ndim(atom.value)]:
            given = ast.Return(atom.node)
            says = f"{code(given)} is missing at the end"
            yield Edit(says, last, ((function, "body", [*body, given]),), added=given)
    for place, loop in enumerate(body):
        if isinstance(loop, ast.For) and isinstance(loop.body[-1], ast.Return) and len(loop.body) > 1:
            given = loop.body[-1]
            says = f"{code(given)} stands in the loop, which ends with its first pass: it belongs after it"
            moved = [*body[: place + 1], given, *body[place + 1 :]]
            places = ((function, "body", moved), (loop, "body", loop.body[:-1]))
            yield Edit(says, given, places, where="after the loop, not in it")


def stored(function: ast.FunctionDef, scope: Mapping[str, Any], gradients: Mapping[str, str]) -> Iterator[Edit]:
    """Gradients that have their names, dW say, and are not set on self."""
    written = {ast.unparse(n) for n in ast.walk(function) if isinstance(n, ast.Attribute)}
    names = [name for name in scope if name in gradients.values() and f"self.{name}" not in written]
    if names:
        body = function.body
        place = len(body) - isinstance(body[-1], ast.Return)
        targets, values = (", ".join(f"{of}{name}" for name in names) for of in ("self.", ""))
        new = ast.parse(f"{targets} = {values}").body
        says = f"`{targets} = {values}` is missing: what backward does not set, the optimizer does not see"
        yield Edit(says, body[-1], ((function, "body", [*body[:place], *new, *body[place:]]),), added=new[0])


def emptied(function: ast.FunctionDef, gradients: Mapping[str, str]) -> Iterator[Edit]:
    """A gradient that a loop adds to, or np.add.at, and nothing sets to 0 before."""
    inside = [node for each in ast.walk(function) if isinstance(each, ast.For) for node in ast.walk(each)]
    added: list[Any] = [node.target for node in inside if isinstance(node, ast.AugAssign)]
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args]
    added += [call.args[0] for call in calls if ast.unparse(call.func) == "np.add.at"]
    names = dict.fromkeys(ast.unparse(target) for target in added if getattr(target, "attr", "") in gradients.values())
    if names:
        new = ast.parse(" = ".join([*(f"{name}[...]" for name in names), "0"])).body[0]
        says = f"it is added to, and what an earlier call has left is never cleared: at the beginning {code(new)}"
        places = ((function, "body", [new, *function.body]),)
        yield Edit(f"{says} is missing", function.body[0], places, added=new)


def misnamed(function: ast.FunctionDef, gradients: Mapping[str, str]) -> Iterator[Edit]:
    """A parameter that is set where its gradient belongs, or one gradient twice and another never."""
    assigned = [each for each in ast.walk(function) if isinstance(each, ast.Assign)]
    attributes = [each for whole in assigned for each in ast.walk(whole) if isinstance(each, ast.Attribute)]
    names = [each.attr for each in attributes if isinstance(each.ctx, ast.Store)]
    for whole in assigned:
        target = whole.targets[0]
        twice = isinstance(target, ast.Attribute) and target.attr in gradients.values() and names.count(target.attr) > 1
        for other in [name for name in gradients.values() if name not in names] if twice else ():
            says = f"{code(target)} is set twice, and `self.{other}` never, which belongs there"
            yield Edit(says, whole, ((target, "attr", other),))
    for statement in ast.walk(function):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        for node in ast.walk(targets[0]) if isinstance(statement, ast.Assign | ast.AugAssign) else ():
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in gradients:
                gradient = gradients[node.attr]
                says = f"{code(node)} is set, where its gradient belongs, `self.{gradient}`"
                yield Edit(says, statement, ((node, "attr", gradient),))


def aliased(function: ast.FunctionDef, gradients: Mapping[str, str]) -> Iterator[Edit]:
    """A name given to a parameter that is changed then, and put back from that name: it is changed with it."""
    attributes = [node for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    written = {ast.unparse(node) for node in attributes if isinstance(node.ctx, ast.Store) and node.attr in gradients}
    for statement in [each for each in ast.walk(function) if isinstance(each, ast.Assign)]:
        held = ast.unparse(statement.value)
        if held in written and isinstance(statement.targets[0], ast.Name):
            says = f"{code(statement.targets[0])} is no copy of `{held}`: what is put into that changes it, too"
            yield Edit(says, statement, ((statement, "value", expression(f"{held}.copy()")),))


def updated(function: ast.FunctionDef, gradients: Mapping[str, str]) -> Iterator[Edit]:
    """Parameters that backward itself moves."""
    for body, _ in bodies(function):
        for place, statement in enumerate(body):
            target = getattr(statement, "targets", [getattr(statement, "target", None)])[0]
            read = ast.unparse(getattr(statement, "value", None) or statement)
            moved = isinstance(statement, ast.AugAssign) or ast.unparse(target or statement) in read
            if isinstance(target, ast.Attribute) and target.attr in gradients and moved:
                yield Edit("this is too much: an optimizer does it", statement, ((body, place, ast.Pass()),))


def _is_backward(node: Any) -> bool:
    """Whether this calls a backward."""
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "backward"


def unmultiplied(slot: Slot, atoms: Mapping[str, Atom]) -> Iterator[Edit]:
    """A dx that has not gone through the matrix that x has gone through."""
    node: Any = slot.node
    shape = slot.shape or ()
    if not isinstance(slot.statement, ast.Return) or slot.parent is not slot.statement or len(shape) < 2:
        return
    for atom in atoms.values():
        if atom.text.startswith("self.") and np.ndim(atom.value) == 2 and np.shape(atom.value)[1] == shape[-1]:
            new = ast.BinOp(node, ast.MatMult(), ast.Attribute(atom.node, "T", ast.Load()))
            yield slot.to(new, f"the product with `{atom.text}` is missing, through which x goes: {code(new)}")


def layers(slot: Slot, scope: Mapping[str, Any]) -> Iterator[Edit]:
    """An inner layer's backward that is not called on the way back, or in the wrong order, or its forward is."""
    node: Any = slot.node
    called = getattr(getattr(node, "func", None), "attr", "")
    if called == "forward":
        says = "an inner layer's `forward` is called on the way back, where its `backward` belongs"
        yield Edit(says, slot.statement, ((node.func, "attr", "backward"),))
    if called != "backward":
        return
    chain = [node]
    while _is_backward(inner := chain[-1].args[0] if len(chain[-1].args) == 1 else None):
        chain.append(inner)
    outermost = not _is_backward(slot.parent)
    if len(chain) > 1:
        inner = chain[1]
        says = f"the order: {code(node.func)} comes before {code(inner.func)} on the way back"
        swapped = ((node, "func", inner.func), (inner, "func", node.func))
        yield Edit(says, slot.statement, swapped, BACK if outermost and len(chain) == 2 else "")
    if len(chain) > 2 and outermost:
        turned = tuple((one, "func", other.func) for one, other in zip(chain, chain[::-1], strict=True))
        says = f"the order: on the way back comes first what is last in forward: {code(node.func)} innermost"
        yield Edit(says, slot.statement, turned, BACK)
    for name, value in scope.items():
        if (
            name.startswith("self.")
            and hasattr(value, "backward")
            and name != ast.unparse(node.func).removesuffix(".backward")
        ):
            other = expression(f"{name}.backward")
            says = f"`{name}` is left out on the way back: dy goes through the backward of every layer"
            yield slot.to(ast.Call(other, [node], []), says)
            if len(node.args) == 1:
                yield slot.to(ast.Call(node.func, [ast.Call(other, node.args, [])], []), says)
            says = f"{code(node.func)} is called where `{name}.backward` belongs"
            yield Edit(says, slot.statement, ((node, "func", other),))

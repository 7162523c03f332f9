"""Changes of a function's source that can be made and taken back, and the places where one can be made.

The slips that changes undo are `forms`, `axes`, `slopes` and `operands`; `slips`
has their order, and `trials` tries them.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.testing.naming.templates.nodes import expression

HARMLESS = (
    *("sum", "mean", "max", "var", "std", "cumsum", "tanh", "exp", "log", "log1p", "sign", "abs", "sqrt"),
    *("maximum", "minimum", "sin", "cos", "cosh", "where", "outer", "dot", "matmul", "einsum", "diag", "zeros_like"),
    *("ones_like", "pad", "swapaxes", "reshape", "transpose", "concatenate", "stack"),
)


@dataclass(frozen=True)
class Edit:
    """A change: at each of the `places`, a field of a node or a position in a list, another node. Words name the slip.

    `statement` is the one in which it lies; `says` are the words. The same slip may be made at several places: then the
    edits have one `kind`, if they do not have the same words. `without` is what the line loses by the edit, if that is
    all it does, `added` a statement that is new, and `moved` one that changes places with it; `where` says in words to
    which place the statement is moved.
    """

    says: str
    statement: Any
    places: tuple[tuple[Any, Any, Any], ...]
    kind: str = ""
    without: str = ""
    added: Any = None
    moved: Any = None
    where: str = ""

    @property
    def slips(self) -> tuple[str, ...]:
        """What edits that undo the same slip have in common."""
        return (self.says, self.kind) if self.kind else (self.says,)

    @property
    def only_adds(self) -> bool:
        """Whether the statement that it stands beside stays as it is."""
        return self.added is not None and not isinstance(self.places[0][2], ast.stmt)

    @contextmanager
    def made(self) -> Iterator[Any]:
        """In here the tree is changed; gives the statement as it is then."""
        for _, _, new in self.places:
            _locate(new, self.statement)
        kept = [(owner, key, _put(owner, key, new)) for owner, key, new in self.places]
        whole = [new for owner, key, new in self.places if isinstance(new, ast.stmt)]
        try:
            yield whole[0] if whole else self.statement
        finally:
            for owner, key, old in reversed(kept):
                _put(owner, key, old)


@contextmanager
def all_made(edits: Iterable[Edit]) -> Iterator[None]:
    """In here all of these are made, one after the other."""
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(edit.made())
        yield


def statements_of(edits: Iterable[Edit]) -> list[Any]:
    """The statements that edits lie in, each once, in their order."""
    return list({id(edit.statement): edit.statement for edit in edits}.values())


def one_at_each_place(edits: list[Edit]) -> list[Edit]:
    """The edits without those after another one of the same place."""
    return list({(id(edit.places[0][0]), edit.places[0][1]): edit for edit in reversed(edits)}.values())[::-1]


def _locate(new: Any, at: Any) -> None:
    """Give nodes that are new the place of the statement."""
    if isinstance(new, list):
        for each in new:
            _locate(each, at)
    elif isinstance(new, ast.AST) and not hasattr(new, "lineno"):
        if "lineno" in new._attributes:
            ast.copy_location(new, at)
        for child in ast.iter_child_nodes(new):
            _locate(child, at)


def _put(owner: Any, key: Any, new: Any) -> Any:
    if isinstance(owner, list):
        old, owner[key] = owner[key], new
    else:
        old = getattr(owner, key)
        setattr(owner, key, new)
    return old


@dataclass(frozen=True)
class Slot:
    """A place where an expression stands: `key` of `owner`. `above` are the nodes around it, from the statement in.

    `loops` are the loops that it lies in, the outermost first.
    """

    owner: Any
    key: Any
    node: Any
    statement: Any
    above: tuple[Any, ...]
    loops: tuple[Any, ...]
    shape: tuple[int, ...] | None = None  # of its value, if that is known
    room: tuple[int, ...] | None = None  # that of the sum it is a term of, or else its own

    @property
    def loop(self) -> Any:
        """The innermost loop."""
        return self.loops[-1] if self.loops else None

    @property
    def parent(self) -> Any:
        """The node around it."""
        return self.above[-1]

    def within(self, *kinds: type) -> bool:
        """Whether one of the nodes around it is such."""
        return any(isinstance(node, kinds) for node in self.above)

    def to(self, new: Any, says: str, kind: str = "", without: str = "") -> Edit:
        """The edit that puts `new` here."""
        return Edit(says, self.statement, ((self.owner, self.key, new),), kind, without)


def slots(function: ast.FunctionDef, scope: Mapping[str, Any], stored: bool = False) -> list[Slot]:
    """Every place of an expression that is read, or `stored` too; `scope` has the values of names, and of self's."""
    found: list[Slot] = []

    def within(node: Any, statement: Any, above: tuple[Any, ...], loops: tuple[Any, ...]) -> None:
        for key, value in ast.iter_fields(node):
            for owner, place, inner in (
                [(value, i, each) for i, each in enumerate(value)] if isinstance(value, list) else [(node, key, value)]
            ):
                if isinstance(inner, ast.stmt):
                    within(inner, inner, (inner,), (*loops, inner) if isinstance(inner, ast.For) else loops)
                elif isinstance(inner, ast.AST) and not isinstance(inner, ast.arguments):
                    is_read = not isinstance(getattr(inner, "ctx", None), ast.Store)
                    if isinstance(inner, ast.expr) and (stored or is_read):
                        found.append(Slot(owner, place, inner, statement, above, loops))
                    within(inner, statement, (*above, inner), loops)

    within(function, function, (), ())
    shapes = {id(slot.node): _shape(slot.node, scope) for slot in found}
    made = []
    for slot in found:
        if slot.statement is not function:
            own, is_term = shapes[id(slot.node)], isinstance(getattr(slot.parent, "op", None), ast.Add | ast.Sub)
            made.append(
                replace(slot, shape=own, room=((own and shapes.get(id(slot.parent))) or own) if is_term else own)
            )
    return made


def _shape(node: Any, scope: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of an expression's value: of one that changes nothing when it is evaluated."""
    value = value_of(node, scope)
    try:
        shape = np.shape(value)
    except Exception:  # of a list of unequal ones
        return None
    return shape if value is not None and isinstance(shape, tuple) else None


def _value(text: str, scope: Mapping[str, Any]) -> Any:
    inside = {"self": _Attributes(scope), **{name: value for name, value in scope.items() if "." not in name}}
    return eval(text, {"np": np, "math": math, "abs": abs, "__builtins__": {}}, inside)


def value_of(node: Any, scope: Mapping[str, Any]) -> Any:
    """An expression's value, if it changes nothing when it is evaluated; None if it may, or has none."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    if any(getattr(call, "attr", "") not in HARMLESS and ast.unparse(call) != "abs" for call in calls):
        return None
    try:
        return _value(ast.unparse(node), scope)
    except Exception:  # of names that have no value, or a step that is past the end
        return None


def bodies(function: Any, loop: Any = None) -> Iterator[tuple[list[Any], Any]]:
    """The lists of statements, each with the innermost loop that it lies in."""
    for body in (function.body, getattr(function, "orelse", [])):
        if body:
            yield body, loop
        for node in body:
            if isinstance(node, ast.For | ast.If | ast.With):
                yield from bodies(node, node if isinstance(node, ast.For) else loop)


@dataclass(frozen=True)
class Atom:
    """A name, or an attribute of self, and its value."""

    node: Any
    value: Any

    @property
    def text(self) -> str:
        """As it is written."""
        return ast.unparse(self.node)


def atoms_of(places: list[Slot], scope: Mapping[str, Any]) -> dict[str, Atom]:
    """All names that have a value, and what else of names stands in the code."""
    found = {name: Atom(expression(name), value) for name, value in scope.items()}
    for slot in places:
        if isinstance(slot.node, ast.Subscript) and (text := ast.unparse(slot.node)) not in found and len(text) < 20:
            try:
                found[text] = Atom(slot.node, _value(text, scope))
            except Exception:  # of names that have no value, or a step that is past the end
                continue
    usable = {text: atom for text, atom in found.items() if isinstance(atom.value, np.ndarray | int | float)}
    return {  # of self, a 0 would leave things out; a local name may be 0 in the last step alone
        text: atom for text, atom in usable.items() if np.any(atom.value) or "." not in text
    }


def steps_of(places: list[Slot], scope: Mapping[str, Any]) -> dict[str, Atom]:
    """What a list of self holds for the step that a loop is at, and for the one after it."""
    counted = {slot.loop.target.id for slot in places if slot.loop and isinstance(slot.loop.target, ast.Name)}
    lists = [
        name
        for name, value in scope.items()
        if name.startswith("self.") and isinstance(value, list) and value and isinstance(value[0], np.ndarray)
    ]
    found: dict[str, Atom] = {}
    for name in lists:
        for step in sorted(counted):
            for text in (f"{name}[{step}]", f"{name}[{step} + 1]"):
                try:
                    value = _value(text, scope)
                except Exception:  # of a step that is past the end, or no number
                    continue
                if isinstance(value, np.ndarray):
                    found[text] = Atom(expression(text), value)
    return found


def expressions_of(nodes: list[Any], scope: Mapping[str, Any]) -> dict[str, Atom]:
    """Those of the expressions that are arrays of numbers, or one."""
    found = {ast.unparse(node): Atom(node, value_of(node, scope)) for node in nodes}
    return {text: atom for text, atom in found.items() if isinstance(atom.value, np.ndarray | np.floating | float)}


def scalars_of(expressions: list[Any], scope: Mapping[str, Any]) -> dict[str, Atom]:
    """Those of the expressions that are one number, such as √features, or an array spread over others' axes."""
    found: dict[str, Atom] = {}
    for node in expressions:
        try:
            value = _value(ast.unparse(node), scope)
        except Exception:  # of other names than self and those of the scope
            continue
        if isinstance(value, float) and np.isfinite(value) and value not in (0.0, 1.0):
            found[ast.unparse(node)] = Atom(node, float(value))
        if isinstance(node, ast.Subscript) and isinstance(value, np.ndarray) and 1 in value.shape:
            found[ast.unparse(node)] = Atom(node, value)
    return found


class _Attributes:
    """Stands for `self` where an expression is evaluated."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        vars(self).update({name[5:]: value for name, value in scope.items() if name.startswith("self.")})


def fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of this shape is spread over the whole, which stays as large."""
    own = whole[len(whole) - len(shape) :]
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in zip(shape, own, strict=True))


def carried(slot: Slot) -> set[str]:
    """The names that a loop hands on from one pass to the next."""
    found = (node for node in ast.walk(slot.loop) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return {node.id for node in found if node.lineno >= slot.statement.lineno}


def results_of(function: ast.FunctionDef) -> dict[Any, frozenset[str]]:
    """What each statement has a part in: "return", gradients such as "self.dW", of a function what it returns."""
    last = function.body[-1]
    is_method = function.args.args[0].arg == "self" or not isinstance(last, ast.Return)
    names = [] if is_method else [*ast.walk(last)]
    returned = {node.id for node in names if isinstance(node, ast.Name)}
    read: dict[str, set[str]] = {}
    made: dict[Any, set[str]] = {}
    for statement in ast.walk(function):
        if not isinstance(statement, ast.stmt) or statement is function:
            continue
        inside = [n for n in ast.walk(statement) if isinstance(n, ast.Name | ast.Attribute)]
        stored = [n for n in ast.walk(statement) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)]
        targets = {ast.unparse(n) for n in inside if isinstance(n.ctx, ast.Store)}
        targets |= {ast.unparse(each) for n in stored for each in (n, n.value)}
        targets |= {"return"} if isinstance(statement, ast.Return) else set()
        if isinstance(statement, ast.Expr):  # a call, which may write into what it is given
            targets |= {ast.unparse(n) for n in inside}
        made[statement] = targets
        for target in targets:
            read.setdefault(target, set()).update(ast.unparse(n) for n in inside)
    after: dict[str, set[str]] = {}
    for target, sources in read.items():
        for source in sources:
            after.setdefault(source, set()).add(target)
    return {statement: frozenset(_following(targets, after, returned)) for statement, targets in made.items()}


def _following(names: set[str], after: Mapping[str, set[str]], returned: set[str]) -> set[str]:
    found, left = set(names), list(names)
    while left:
        for name in after.get(left.pop(), ()):
            if name not in found:
                found.add(name)
                left.append(name)
    return {name for name in found if name == "return" or name in returned or name.startswith("self.")}

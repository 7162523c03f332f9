"""A `self.` that is forgotten: a method reads a name of its file where the layer has its own of that name."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import numpy as np

from minigrad.derivation.insertion import definition_of
from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.naming import rewrites
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.rewrites import Written
from minigrad.testing.naming.templates.edits import Edit, slots
from minigrad.testing.naming.templates.nodes import assigned, expression, listed


def correction(layer: Layer, x: Array, error: BaseException | None = None) -> Correction | None:
    """The names that lack it, all at once; None if none does, or if that is not what is wrong.

    If backward raises that there is no `self.y`, say, and forward has a y, forward is to keep that.
    """
    unkept = isinstance(error, AttributeError)
    for result in (True, False)[not unkept :]:
        found = _rewritten(layer, "forward", "backward", "predict", unkept=unkept, result=result)
        mended = rewrites.correction(layer, x, *found) if found else None
        if mended:
            return mended
    return None


def in_forward(layer: Layer, x: Array, wanted: Array) -> Correction | None:
    """The same in a forward that runs, and does not give what is wanted of it."""
    found = _rewritten(layer, "forward")
    if found and rewrites.mends_forward(layer, found[0], x, wanted):
        return rewrites.described(found[0], found[1], True)
    return None


def in_loss(loss: Any, is_right: Callable[[Any], bool]) -> Correction | None:
    """The same in a loss, which is right then."""
    found = _rewritten(loss, "terms", "slopes", "forward", "backward")
    if found and is_right(rewrites.changed(loss, found[0])):
        return rewrites.described(found[0], found[1], True)
    return None


def _rewritten(
    layer: Any, *starts: str, unkept: bool = False, result: bool = False
) -> tuple[list[Written], str, bool] | None:
    """The edits of all methods, words for them, and whether the slip is sure: the name is there for something else.

    Of what backward reads and forward does not keep, one name that forward has not may be for its `result`.
    """
    files, absent, kept, missing, surely = list[str](), list[str](), list[str](), dict[str, str](), unkept
    functions = [inspect.unwrap(getattr(type(holder), name)) for _, holder, name in rewrites.own(layer, *starts)]
    if not any(True for function in functions for _ in _foreign(function)) and not unkept:
        return None
    methods, keeps = list(rewrites.written_in(layer, *starts)), isinstance(layer, Layer)
    for each in methods:
        names = dict(_foreign(each.method.function))
        has, of_forward = _attributes(each), _of_forward(each) if keeps and each.name == "backward" else set()
        own = [name for name in names if name in has]
        local = [name for name in names if name in of_forward and name not in has]
        for slot in slots(each.method.tree, {}):
            if isinstance(slot.node, ast.Name) and slot.node.id in own + local:
                new = ast.Attribute(ast.Name("self", ast.Load()), slot.node.id, ast.Load())
                each.edits.append(slot.to(new, ""))
        forward = next((other for other in methods if (other.number, other.name) == (each.number, "forward")), None)
        unread = [name for name in _read_of_self(each) if name not in has] if unkept and of_forward else []
        lost = {name: name for name in unread if name in of_forward}
        others, value = [name for name in unread if name not in of_forward], _returned(forward)
        if result and len(others) == 1 and value:
            lost[others[0]] = ast.unparse(value)
            surely = False
        if (local or lost) and forward:
            forward.edits.extend(_keeping(forward, {**dict(zip(local, local, strict=True)), **lost}))
        elif local or lost:
            return None
        missing |= lost
        files += [name for name in own if names[name] is not None]
        absent += [name for name in own if names[name] is None]
        kept += local
        surely = surely or any(names[name] is None or isinstance(names[name], np.ndarray) for name in own + local)
    rewritten = [each for each in methods if each.edits]
    return (
        (rewritten, "; ".join(_words("layer" if keeps else "loss", files, absent, kept, missing)), surely)
        if rewritten
        else None
    )


def _words(kind: str, files: list[str], absent: list[str], kept: list[str], missing: dict[str, str]) -> Iterator[str]:
    files = list(dict.fromkeys(files))
    if files:
        names, own = (listed([f"`{of}{name}`" for name in files]) for of in ("", "self."))
        belong = "belongs" if len(files) == 1 else "belong"
        whose = f"is the file's own {names}" if len(files) == 1 else "are the file's own"
        yield f"{names} {whose}, not the {kind}'s: {own} {belong} there"
    for name in dict.fromkeys(absent):
        yield f"there is no `{name}`: `self.{name}` belongs there"
    for name in dict.fromkeys(kept):
        yield f"`{name}` in backward is not forward's, which has to keep it for backward: `self.{name} = {name}`"
    if missing:
        what = listed([f"`{value}`" for value in missing.values()])
        yield f"forward does not keep {what}, which backward reads: `{_kept(missing)}` is missing there"


def _kept(names: dict[str, str]) -> str:
    """The statement that keeps some values under these names."""
    return f"{', '.join(f'self.{name}' for name in names)} = {', '.join(names.values())}"


def _foreign(function: Any) -> Iterator[tuple[str, Any]]:
    """The names of numbers, or of nothing at all, that a method reads and does not make, with its value or None."""
    for name in dict.fromkeys(_global_names(function.__code__)):
        value = function.__globals__.get(name)
        numbers = isinstance(value, np.ndarray | np.generic | int | float | list | tuple)
        if (value is None or numbers) and not hasattr(builtins, name):
            yield name, value


def _global_names(code: CodeType) -> Iterator[str]:
    """The names in a function's code, and that of its loops in brackets, that are no variables of it."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield str(instruction.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _global_names(inner)


def _attributes(each: Written) -> set[str]:
    """What a layer has: what it has kept, and what its methods set on self."""
    stored = {
        node.attr
        for other in vars(type(each.holder)).values()
        if callable(other) and hasattr(other, "__code__")
        for node in _stores(other)
    }
    return stored | set(vars(each.holder)) | set(getattr(each.holder, "params", ()))


def _stores(function: Any) -> Iterator[ast.Attribute]:
    found = definition_of(function)
    for node in ast.walk(found[0]) if found else ():
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node


def _read_of_self(each: Written) -> list[str]:
    """The attributes of self that a method reads."""
    read = [node for node in ast.walk(each.method.tree) if isinstance(node, ast.Attribute)]
    return list(dict.fromkeys(node.attr for node in read if ast.unparse(node) == f"self.{node.attr}"))


def _of_forward(each: Written) -> set[str]:
    """The variables of forward."""
    code = getattr(type(each.holder).forward, "__code__", None)
    return set(code.co_varnames) - {"self"} if code else set()


def _returned(forward: Written | None) -> Any:
    """What forward returns at its end."""
    last = forward.method.tree.body[-1] if forward else None
    return last.value if isinstance(last, ast.Return) and not isinstance(last.value, ast.Tuple) else None


def _keeping(forward: Written, names: dict[str, str]) -> Iterator[Edit]:
    """The edits that let forward keep some of its variables, once they are made, or what it returns."""
    body, places = forward.method.tree.body, [0]
    for place, statement in enumerate(body[:-1], start=1):
        documents = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        places += [place] if documents or assigned(statement).keys() & set(names.values()) else []
    for name, value in names.items():
        if name != value:  # of which the last line is all there is
            places.append(len(body) - 1)
            yield Edit("", body[-1], ((body[-1], "value", expression(f"self.{name}")),))
    new = ast.parse(_kept(names)).body[0]
    changed = [*body[: places[-1]], new, *body[places[-1] :]]
    yield Edit("", body[-1], ((forward.method.tree, "body", changed),), added=new)

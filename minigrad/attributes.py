"""Which attributes of a layer are its own, and which its forward and backward have left there of a batch.

So a copy can go without the latter, and yet take along what others have hung on the layer. What a layer was made with
is noted when it is made; what forward and backward write is read from their code, once for each class, since watching
assignments would cost time in every step.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, wraps
from types import CodeType, FunctionType
from typing import Any, TypeAlias

import numpy as np

from minigrad.parameter import Declared

PLAIN = (bool, int, float, complex, str, bytes, slice, np.dtype, np.generic, np.random.Generator, type(None), type)
WRITERS = {"setattr", "vars", "__dict__", "__setattr__"}

MadeWith: TypeAlias = Mapping[str, "type | None"]
"""The attributes of a layer that has just been made: None where there is a value, and the type of a mere placeholder.

Placeholders are None and empty lists, dicts and sets: a place for what comes later.
"""


def noting(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that notes, where it is the outermost one, what the layer has been made with."""

    @wraps(init)
    def noted(layer: Any, /, *arguments: Any, **options: Any) -> None:
        init(layer, *arguments, **options)
        if type(layer).__init__ is noted:
            layer._made_with = {name: _placeholder(value) for name, value in vars(layer).items()}

    return noted


def _placeholder(value: Any) -> type | None:
    return type(value) if value is None or (type(value) in (list, dict, set) and not value) else None


def without_batch(attributes: Mapping[str, Any], made_with: MadeWith, cls: type, root: type) -> dict[str, Any]:
    """The attributes of a layer of class `cls` without what its forward and backward have kept of a batch.

    That is what they write where the layer had nothing or a placeholder when it was made: arrays, and all that may have
    one in it. Numbers, shapes, generators and layers stay, and so does what was put there from elsewhere.
    """
    written, kept = written_by(cls, root, ("forward", "backward")), dict(attributes)
    for name, value in list(kept.items()):
        began_empty = made_with.get(name, object)
        declared = isinstance(getattr(cls, name, None), Declared)
        if began_empty is None or declared or (written is not None and name not in written) or _is_plain(value, root):
            continue
        if name in made_with:
            kept[name] = began_empty()
        else:
            del kept[name]
    return kept


def lost(layer: Any, again: Any, root: type) -> Iterator[str]:
    """The attributes that `__init__` gave a value, and that `again`, a layer made anew from a file, has otherwise.

    What forward and backward write is of a batch, unless a `predict` of the layer's own reads it.
    """
    cls: type = type(layer)
    written = written_by(cls, root, ("forward", "backward"))
    read = {name for predict in _methods(cls, root, "predict") for name in predict.__code__.co_names}
    for name, placeholder in getattr(layer, "_made_with", {}).items():
        value = vars(layer).get(name)
        known = isinstance(value, (bool, int, float, complex, str, np.generic, np.ndarray)) and placeholder is None
        if known and not isinstance(getattr(cls, name, None), Declared):
            of_layer = name in read or (written is not None and name not in written)
            if of_layer and not np.array_equal(value, vars(again).get(name), equal_nan=_is_number(value)):
                yield name


def _is_number(value: Any) -> bool:
    return bool(np.asarray(value).dtype.kind in "fc")


def _is_plain(value: Any, root: type) -> bool:
    """Whether there can't be an array in a value."""
    if type(value) in (list, tuple, set, frozenset):
        return all(_is_plain(item, root) for item in value)
    return isinstance(value, (*PLAIN, root))


@cache
def written_by(cls: type, root: type, verbs: tuple[str, ...]) -> frozenset[str] | None:
    """The names of attributes that these methods of `cls`, and the functions that they call, assign or fill.

    Methods of `root` and its bases are not looked into. None where code writes attributes by names that it makes up.
    """
    names: set[str] = set()
    seen: set[CodeType] = set()
    waiting = [function for verb in verbs for function in _methods(cls, root, verb)]
    while waiting:
        function = waiting.pop()
        for code in _with_inner(function.__code__):
            if code in seen:
                continue
            seen.add(code)
            if WRITERS & {*code.co_names}:
                return None
            names.update(_written(code))
            for name in code.co_names:
                waiting += _methods(cls, root, name)
                if isinstance(called := function.__globals__.get(name), FunctionType):
                    waiting.append(called)
    return frozenset(names)


def mentions(cls: type, root: type, word: str) -> bool:
    """Whether this is a name or a string in the code of `cls` and its bases, up to `root` and without `__init__`."""
    return word in _words(cls, root)


@cache
def _words(cls: type, root: type) -> frozenset[str]:
    bases = cls.__mro__[: cls.__mro__.index(root)]
    held = [value for base in bases for name, value in vars(base).items() if name != "__init__"]
    codes = [code for function in _functions(held) for code in _with_inner(function.__code__)]
    return frozenset(word for code in codes for word in (*code.co_names, *code.co_consts) if isinstance(word, str))


def _methods(cls: type, root: type, name: str) -> list[FunctionType]:
    """All methods and properties of this name: a class's own may call those of its bases."""
    return _functions(vars(base).get(name) for base in cls.__mro__[: cls.__mro__.index(root)])


def _functions(values: Iterable[Any]) -> list[FunctionType]:
    found = [value.fget if isinstance(value, property) else getattr(value, "__wrapped__", value) for value in values]
    return [function for function in found if isinstance(function, FunctionType)]


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    """Code, and that of functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _written(code: CodeType) -> Iterator[str]:
    """The names of attributes that are assigned, as in `self.x = x`, or an item of them, as in `self.kept[0] = x`."""
    instructions = list(dis.get_instructions(code))
    for position, at in enumerate(instructions):
        if at.opname == "STORE_ATTR":
            yield at.argval
        elif at.opname in ("STORE_SUBSCR", "STORE_SLICE"):
            # Back over what put the index, or the two ends of a slice, on the stack: before it stands the container.
            missing = 1 if at.opname == "STORE_SUBSCR" else 2
            while missing > 0 and position > 0:
                position -= 1
                before = instructions[position]
                missing -= dis.stack_effect(before.opcode, before.arg, jump=False)
            container = instructions[position - 1]
            if missing == 0 and position > 0 and container.opname == "LOAD_ATTR":
                yield container.argval

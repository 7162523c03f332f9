"""What a program depends on: the content of the attributes that its layers, loss and optimizer read.

`content` puts a thing in a form that can be compared later, whatever happens to it. `Guards` keeps that of everything
that was read while a program was recorded, and notices when a part of it has changed.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import dis
import enum
import functools
import hashlib
import operator
import random
import re
import threading
import time
import types
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

import numpy as np

from minigrad.configured import Configured
from minigrad.layer import WHOLE
from minigrad.parameter import Declared
from minigrad.programs.arrays import Recorded, RecordedGenerator

PLAIN = (bool, int, float, complex, str, bytes, slice, range, np.dtype, type(None), type(Ellipsis))
FIXED = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.MemberDescriptorType,
    np.ufunc,
    property,
    re.Pattern,
    PurePath,
    enum.Enum,
    Configured,
    Declared,
)
"""Things that are what they are: only another one in their place is a change."""
MISSING = object()
LARGE = 1 << 12  # bytes of an array from which on a digest of them is kept


class ByIdentity:
    """A thing that equals itself alone, and is kept alive so that no other is taken for it."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Unsure(TypeError):
    """A thing of which nobody can say whether it changes."""


def content(value: Any, within: frozenset[int] = frozenset()) -> Any:
    """A value in a form that can be compared later: arrays by their bytes, functions with what they carry, own objects
    by their attributes. Raises Unsure for what can't be looked into.
    """
    if isinstance(value, Recorded | RecordedGenerator):
        raise Unsure("a recording array")
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return type(value), value.dtype, value.shape, _bytes(value)
    if isinstance(value, FIXED):
        return ByIdentity(value)
    if id(value) in within:
        return "itself"
    within |= {id(value)}
    if isinstance(value, list | tuple | collections.deque | np.ndarray):
        return type(value), tuple(content(item, within) for item in list(value))
    if isinstance(value, dict):
        return type(value), tuple((content(name, within), content(item, within)) for name, item in list(value.items()))
    if isinstance(value, set | frozenset):
        return type(value), frozenset(content(item, within) for item in list(value))
    if isinstance(value, np.random.Generator):
        return ByIdentity(value), repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return ByIdentity(value), repr(value.get_state())
    if isinstance(value, random.Random):
        return ByIdentity(value), value.getstate()
    return _of_object(value, within)


def _bytes(array: Any) -> bytes:
    raw: bytes = array.tobytes()
    return raw if len(raw) <= LARGE else hashlib.blake2b(raw).digest()


def _of_object(value: Any, within: frozenset[int]) -> Any:
    """A function with its defaults and what it closes over, a bound method, a partial, an object of one's own."""
    if isinstance(value, types.FunctionType):
        carried = [value.__defaults__, value.__kwdefaults__, closed_over(value), vars(value)]
        return ByIdentity(value.__code__), content(carried, within)
    if isinstance(value, types.MethodType):
        return content(value.__func__, within), content(value.__self__, within)
    if isinstance(value, functools.partial):
        return content(value.func, within), content([value.args, value.keywords], within)
    if hasattr(value, "__dict__") and type(value).__module__ != "builtins":
        return type(value), content(vars(value), within)
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:
        raise Unsure(f"a {type(value).__name__}") from None
    return ByIdentity(value) if isinstance(reduced, str) else content(reduced[:3], within)


def closed_over(function: types.FunctionType) -> list[Any]:
    """What a function has closed over; None for a name that has no value yet."""
    held: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            held.append(None)
    return held


def found(thing: Any, name: str) -> Any:
    """What an object has under a name, in its own dictionary or in that of its class, without calling anything."""
    attributes = vars(thing)
    if name in attributes:
        return attributes[name]
    return next((vars(cls)[name] for cls in type(thing).__mro__ if name in vars(cls)), MISSING)


class Guards:
    """What was read, as (object, name): a program holds as long as all of it is as it was when this was made.

    Of what is on the tape, `same`, the content may change, but not the array. Raises Unsure where something can't be
    looked into.
    """

    def __init__(self, read: Iterable[tuple[Any, str]], same: Iterable[tuple[Any, str]]) -> None:
        self._same = [(vars(thing), name, vars(thing)[name]) for thing, name in same]
        self._own: list[tuple[dict[str, Any], str, Any, Any]] = []
        self._of_class: dict[tuple[type, str], tuple[Any, Any]] = {}
        self._not_shadowed: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._defaults: list[tuple[types.FunctionType, Any]] = []
        bare: dict[type, dict[str, None]] = {}
        for thing, name in read:
            value = found(thing, name)
            if _has_bare_defaults(value):
                self._defaults.append((value, value.__defaults__))
                kept = None
            else:
                kept = None if _is_bare(value) else content(value)
            if name in vars(thing):
                self._own.append((vars(thing), name, value, kept))
                continue
            self._not_shadowed.setdefault(id(thing), (vars(thing), set()))[1].add(name)
            if kept is None and value is not MISSING and not isinstance(value, classmethod):
                bare.setdefault(type(thing), {})[name] = None
            else:
                self._of_class[type(thing), name] = value, kept
        # Most are of this kind, so they are asked for all at once; with the bases, since a single one is no tuple.
        getters = ((cls, operator.attrgetter("__mro__", *names)) for cls, names in bare.items())
        self._bare_of_class = [(cls, getter, getter(cls)) for cls, getter in getters]

    def hold(self) -> bool:
        """Whether nothing has changed."""
        for attributes, name, value in self._same:
            if attributes.get(name) is not value:
                return False
        for cls, getter, values in self._bare_of_class:
            try:
                if not all(map(operator.is_, getter(cls), values)):
                    return False
            except AttributeError:
                return False
        for function, defaults in self._defaults:
            if function.__defaults__ is not defaults or function.__kwdefaults__ or vars(function):
                return False
        for attributes, name, value, before in self._own:
            now = attributes.get(name, MISSING)
            if now is not value or before is not None:
                try:
                    if content(now) != (content(value) if before is None else before):
                        return False
                except Unsure:
                    return False
        for (cls, name), (value, before) in self._of_class.items():
            if _of(cls, name) is not value or (before is not None and content(value) != before):
                return False
        return all(own.keys().isdisjoint(names) for own, names in self._not_shadowed.values())


def _of(cls: type, name: str) -> Any:
    return next((vars(each)[name] for each in cls.__mro__ if name in vars(each)), MISSING)


def _is_bare(value: Any) -> bool:
    """Whether a thing carries nothing that could change while it stays the same thing."""
    if isinstance(value, (*FIXED, *PLAIN)):
        return True
    if isinstance(value, tuple):
        return all(map(_is_bare, value))
    carried = ("__closure__", "__defaults__", "__kwdefaults__", "__dict__")
    bare = isinstance(value, types.FunctionType) and not any(getattr(value, name) for name in carried)
    return bare or value is MISSING or isinstance(value, classmethod | staticmethod | functools.cached_property)


def _has_bare_defaults(value: Any) -> bool:
    """Whether a thing is a function that carries nothing but defaults, which can't change unless they are replaced."""
    if not isinstance(value, types.FunctionType) or not value.__defaults__:
        return False
    return not (value.__closure__ or value.__kwdefaults__ or vars(value)) and all(map(_is_bare, value.__defaults__))


def snapshot(things: Iterable[Any], left_out: Callable[[Any, str], bool]) -> dict[tuple[int, str], Any]:
    """The content of all attributes of some objects but those that are left out, or Unsure where it can't be told."""
    seen: dict[tuple[int, str], Any] = {}
    for thing in things:
        for name, value in list(vars(thing).items()):
            if not left_out(thing, name):
                try:
                    seen[id(thing), name] = content(value)
                except Unsure as error:
                    seen[id(thing), name] = error
    return seen


def copied(things: Any) -> tuple[Any, list[tuple[Any, Any]]]:
    """A deep copy, and the pairs of each thing in it that was copied and its copy."""
    memo: dict[Any, Any] = {WHOLE: True}
    double = copy.deepcopy(things, memo)
    originals = memo.pop(id(memo), [])
    return double, [(original, memo[id(original)]) for original in originals if id(original) in memo]


# ----------------------------------------------------------------------------------------- what copies do not copy
def carried_by_function(value: Any) -> str | None:
    """What a function carries that a copy of its holder would share with it, in words; None for nothing."""
    if isinstance(value, functools.partial):
        return "a partial function"
    if isinstance(value, types.MethodType):
        return None if _is_bare(value.__self__) and not isinstance(value.__self__, Configured) else "a bound method"
    if not isinstance(value, types.FunctionType):
        return None
    cells = closed_over(value)
    free = all(isinstance(cell, PLAIN) or (_is_bare(cell) and not isinstance(cell, Configured)) for cell in cells)
    defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    stores = any(step.opname == "STORE_DEREF" for step in dis.get_instructions(value) if value.__closure__)
    carries_nothing = free and all(map(_is_bare, defaults)) and not vars(value) and not stores
    return None if carries_nothing else "a function that carries something"


class SharedState:
    """What the classes of some objects hold, and copies share with them: to see whether it has changed."""

    def __init__(self, things: Iterable[Any]) -> None:
        self._classes = {cls: set(vars(cls)) for thing in things for cls in type(thing).__mro__ if not is_ours(cls)}
        self._kept = []
        for cls in self._classes:
            for name, value in list(vars(cls).items()):
                if not name.startswith("__") and (isinstance(value, (bool, int, float, str)) or not _is_bare(value)):
                    with contextlib.suppress(Unsure):
                        self._kept.append((cls, name, value, content(value), _copy_of(value)))

    def changed(self) -> str | None:
        """What has changed, as Class.name, and is put back; None where nothing has."""
        found = None
        for cls, name, value, before, backup in self._kept:
            now = vars(cls).get(name, MISSING)
            if now is value and content(value) == before:
                continue
            found = f"{cls.__name__}.{name}"
            if now is not value:
                setattr(cls, name, value)
            _fill(value, backup)
        for cls, names in self._classes.items():
            # Python itself keeps there what it has found out of a class, such as __slotnames__.
            for name in [name for name in vars(cls) if name not in names and not name.startswith("__")]:
                found = f"{cls.__name__}.{name}"
                delattr(cls, name)
        return found


class GlobalGenerators:
    """How far the generators are that NumPy and Python have for everybody."""

    def __init__(self) -> None:
        self._numpy, self._python = np.random.get_state(), random.getstate()  # noqa: NPY002

    def have_moved(self) -> bool:
        """Whether anybody has drawn from them since."""
        state: Any = np.random.get_state()  # noqa: NPY002
        before: Any = self._numpy
        same = state[2:] == before[2:] and np.array_equal(state[1], before[1])
        return not same or random.getstate() != self._python

    def put_back(self) -> None:
        """Make them draw the same again."""
        np.random.set_state(self._numpy)  # noqa: NPY002
        random.setstate(self._python)


def others_draw() -> bool:
    """Whether another thread is drawing from the global generators: then nobody may put them back."""
    before = GlobalGenerators()
    for _ in range(0 if threading.active_count() == 1 else 20):
        time.sleep(0.005)  # on a busy machine a thread may wait for so long
        if before.have_moved():
            return True
    return False


def is_ours(cls: type) -> bool:
    """Whether a class is the package's own, or Python's: they keep nothing that changes."""
    return cls.__module__.partition(".")[0] in ("minigrad", "builtins", "typing", "abc")


def _copy_of(value: Any) -> Any:
    """What has to be put back into a thing of a class: the items of containers, of a function's defaults too."""
    return copy.deepcopy(value.__defaults__) if isinstance(value, types.FunctionType) else copy.deepcopy(value)


def _fill(value: Any, backup: Any) -> None:
    if isinstance(value, types.FunctionType):
        for default, before in zip(value.__defaults__ or (), backup or (), strict=True):
            _fill(default, before)
    elif isinstance(value, list):
        value[:] = backup
    elif isinstance(value, dict | set):
        value.clear()
        value.update(backup)
    elif isinstance(value, np.ndarray) and value.flags.writeable:
        value[...] = backup

"""The settings of a training in words and digests, the same in every process: what must be equal when it goes on."""

from __future__ import annotations

import dis
import hashlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.configured import Configured
from minigrad.data.examples import NUMBERS_AT_ONCE, Examples

DIGEST = "digest of "  # how the settings are called that are digests of Examples
CODE = "code of "  # and those that are digests of what functions do
PYTHON = f" (Python {sys.version_info[0]}.{sys.version_info[1]})"  # each has byte code of its own


def described(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings in words; beside Examples a digest of all rows, beside functions of the user's one of their code."""
    found = {name: in_words(value) for name, value in settings.items()}
    for name, value in settings.items():
        if isinstance(value, Examples):
            found[DIGEST + name] = _digest(value)
        elif code := _code(value):
            found[CODE + name + PYTHON] = code
    return found


def comparable(then: dict[str, str], now: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The settings of a file and those of now, without the digests that only one of them has.

    The first files have none, and code can't be compared with that of another version of Python.
    """

    def among(some: dict[str, str], others: dict[str, str]) -> dict[str, str]:
        return {name: words for name, words in some.items() if name in others or not name.startswith((DIGEST, CODE))}

    return among(then, now), among(now, then)


def in_words(value: Any, around: tuple[Any, ...] = ()) -> str:
    """A setting in words that are the same in every process.

    A function is told by its name, what it has closed over, and its default arguments; an object that can be called, or
    has a method that is, by its class and its attributes. What its body does is told by `_code`. `around` are the
    values that hold this one.
    """
    if any(value is other for other in around):
        return "…"
    around = (*around, value)

    def brings(name: str, values: Iterable[Any], named: Mapping[str, Any]) -> str:
        words = [in_words(each, around) for each in values]
        words += [f"{key}={in_words(each, around)}" for key, each in named.items()]
        return f"{name} with {', '.join(words)}" if words else name

    match value:
        case Configured():
            arguments = (f"{name}={in_words(argument, around)}" for name, argument in value.config().items())
            return f"{type(value).__qualname__}({', '.join(arguments)})"
        case Examples():
            return repr(_fingerprint(value))
        case np.ndarray() if value.dtype.kind in "fiubcmMSU":
            digest = hashlib.sha256(value.tobytes()).hexdigest()[:16]
            return f"array of {value.shape} {value.dtype}, {digest}"
        case partial():
            return brings(in_words(value.func, around), value.args, value.keywords)
        case MethodType():
            return brings(in_words(value.__func__, around), [value.__self__], {})
        case FunctionType():
            parameters = inspect.signature(value, follow_wrapped=False).parameters.values()
            defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
            return brings(_name(value), _closed_over(value), defaults)
    if hasattr(value, "__qualname__"):
        return _name(value)
    text = repr(value.item() if isinstance(value, np.generic) else value)
    without_addresses = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    if callable(value) or (text != without_addresses and hasattr(value, "__dict__")):
        return brings(_name(type(value)), [], getattr(value, "__dict__", {}))
    return without_addresses


def _closed_over(function: FunctionType) -> list[Any]:
    """What a function has closed over; None for a name that has no value yet."""
    held: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            held.append(None)
    return held


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _code(value: Any) -> str:
    """A digest of what the user's functions in a setting do; "" where there are none."""
    digests = sorted({_digest_of(code) for function in _functions(value) for code in _codes(function, set())})
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16] if digests else ""


def _functions(value: Any, around: tuple[Any, ...] = ()) -> Iterator[FunctionType]:
    """The functions that a setting is, or holds, where they are not the package's own."""
    if any(value is other for other in around):
        return
    inner: list[Any] = []
    match value:
        case Configured():
            inner = list(value.config().values())
        case partial():
            inner = [value.func, *value.args, *value.keywords.values()]
        case MethodType():
            inner = [value.__func__, value.__self__]
        case FunctionType():
            if not value.__module__.startswith("minigrad."):
                yield value
            inner = [*_closed_over(value), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        case list() | tuple():
            inner = list(value)
        case _ if isinstance(inspect.getattr_static(type(value), "__call__", None), FunctionType):
            inner = [type(value).__call__, *getattr(value, "__dict__", {}).values()]
    for each in inner:
        yield from _functions(each, (*around, value))


def _codes(function: FunctionType, seen: set[CodeType]) -> Iterator[CodeType]:
    """The code of a function, of those in it, and of those of its own module that it names."""
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        seen.add(code)
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        named = [function.__globals__.get(name) for name in code.co_names]
        own = [each for each in named if isinstance(each, FunctionType) and each.__module__ == function.__module__]
        waiting += [each.__code__ for each in own]


def _digest_of(code: CodeType) -> str:
    """A digest of names, instructions and the constants that they read; not of lines, nor of a docstring."""
    done = [
        (at.opname, _constant(at.argval) if at.opcode in dis.hasconst else at.arg) for at in dis.get_instructions(code)
    ]
    return hashlib.sha256(repr((code.co_names, done)).encode()).hexdigest()


def _constant(value: Any) -> str:
    """A constant in words; `_codes` has code that is one, and sets have another order in each process."""
    if isinstance(value, CodeType):
        return ""
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _fingerprint(examples: Examples) -> str:
    """Shapes and a digest of some of the rows, targets and weights, as the first files have them."""
    rows = examples.order(0, 0, shuffle=False)
    rows = rows[:: max(1, len(rows) // 256)]
    x, t, w = examples.x[rows], examples.targets(rows), examples.weights(rows)
    digest = hashlib.sha256()
    for array in (x, t) if w is None else (x, t, w):
        digest.update(array.tobytes())
    return f"{len(examples)} rows of {x.shape[1:]} {x.dtype} and {t.shape[1:]} {t.dtype}, {digest.hexdigest()[:16]}"


def _digest(examples: Examples) -> str:
    """A digest of all rows, targets and weights; they are gone through block by block, and no more than one is copied.

    It takes as long as reading and SHA-256 do, about a second for each GB, once before the first epoch.
    """
    digest, order = hashlib.sha256(), examples.order(0, 0, shuffle=False)
    step = max(1, NUMBERS_AT_ONCE // max(1, examples.x[:1].size))
    for part in (examples.x.__getitem__, examples.targets, examples.weights):
        for start in range(0, len(order), step):
            block = part(order[start : start + step])
            if block is not None:
                digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()[:32]

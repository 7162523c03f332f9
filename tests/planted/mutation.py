"""A set of wrong and right layers, kept short: right ones are written out, and bugs are replacements in their source.

    @right(4)
    class Scale(Layer): ...

    bugs(Scale, ("* self.g", "", "words of its diagnosis"), …)
    also(Scale, ("(dy * x).sum(axis=0)", "np.einsum('bi,bi->i', dy, x)"), …)

enters a layer that is right, copies of it with a bug, and copies that are right too. Whole families lie in
`tests/planted/families`; `everything()` returns them all. They were written before the rules that are to tell them
apart: what `python -m benchmarks.checker` counts.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import linecache
import pkgutil
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SET: list[Planted] = []


@dataclass(frozen=True)
class Planted:
    """A layer (or a loss, or an optimizer) that is right or wrong, what to check it at, and words that name the bug."""

    family: str
    name: str
    make: Callable[[], tuple[Any, Any]]
    wrong: bool
    words: str = ""


def enter(
    cls: type,
    name: str,
    arguments: Any,
    x: Any,
    wrong: bool = False,
    words: str = "",
    copy: Callable[[], type] | None = None,
) -> None:
    """Enter one of a class, or of its `copy`; the family is the file that the class stands in."""
    family, kind = cls.__module__.split(".")[3], copy or (lambda: cls)
    assert all((other.family, other.name) != (family, name) for other in SET), name
    make = lambda: (kind()(*arguments), x(np.random.default_rng(11)) if x else None)  # noqa: E731
    SET.append(Planted(family, name, make, wrong, words))


def right(*arguments: Any, x: Any = None) -> Callable[[type], type]:
    """A right layer, made with these arguments and checked at x."""

    def entered(cls: type) -> type:
        cls.made_with, cls.checked_at = arguments, staticmethod(x) if x else None
        enter(cls, cls.__name__, arguments, x)
        return cls

    return entered


def at(cls: type, words: str, x: Any, *arguments: Any) -> None:
    """The same right layer at another x."""
    enter(cls, f"{cls.__name__} at {words}", arguments or cls.made_with, x)


def bugs(cls: type, *replacements: tuple[str, ...]) -> None:
    """Wrong copies: (old, new), or (old, new, words), or pairs of old and new that go together."""
    for number, each in enumerate(replacements, 1):
        old, new, *words = each
        name = f"{cls.__name__}: {_short(old)} -> {_short(new) or 'nothing'}"
        copy = _mutant(cls, old, new, number)
        enter(cls, name, cls.made_with, cls.checked_at, True, words[0] if words else "", copy)


def also(cls: type, *replacements: tuple[str, str]) -> None:
    """Copies that are right too."""
    for number, (old, new) in enumerate(replacements, 1):
        copy = _mutant(cls, old, new, f"also{number}")
        enter(cls, f"{cls.__name__}: {_short(old)} = {_short(new)}", cls.made_with, cls.checked_at, copy=copy)


def _short(code: str) -> str:
    return " ".join(code.split())


@functools.cache
def _source(cls: type) -> str:
    source = getattr(cls, "source", None) or textwrap.dedent(inspect.getsource(cls))
    return source[source.index("class ") :]


def _mutant(cls: type, old: str, new: str, number: Any) -> Callable[[], type]:
    """What makes the copy, when it is first needed: most runs of the tests need a few of them."""
    source = _source(cls)
    assert old in source, f"{cls.__name__} has no {old!r}"
    module = sys.modules[cls.__module__]
    name = f"{cls.__module__}.{cls.__name__}_{number}_{len(SET)}"
    return functools.cache(lambda: defined(source.replace(old, new), {**vars(module), "__name__": name}, cls.__name__))


def defined(source: str, names: dict[str, Any], cls: str) -> type:
    """The class of this source, which can be looked up as that of a file can."""
    file = f"<{names['__name__']}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), names)
    return names[cls]


def everything() -> list[Planted]:
    """The whole set, in one order whichever file was imported first."""
    import tests.planted.families as folder

    for found in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"tests.planted.families.{found.name}")
    return sorted(SET, key=lambda planted: planted.family)

"""Objects that know how they were made: constructor arguments are attributes of the same names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

import numpy as np

from minigrad.configured.hints import KEYWORDS, MISSING, WORDS

Function = TypeVar("Function", bound=Callable[..., Any])

NUMBERS = {"int": "no whole number", "float": "no number", "Rate": "neither a number nor a function of the step"}
"""The declarations of arguments that are to be numbers, and what is said of a value that is none."""


class Configured:
    """What `config()` and `repr` of layers, losses and optimizers rest on: `__init__` keeps its arguments.

    Every constructor of this package raises TypeError for an argument that is declared as a number and is none.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            type.__setattr__(cls, "__init__", _demanding(advising(cls.__init__)))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, by which the object is made again: `type(it)(**it.config())`."""
        try:
            return {name: getattr(self, name) for name in arguments_of(self)}
        except AttributeError as error:
            raise AttributeError(
                f"{type(self).__name__}.__init__ must keep its argument {error.name!r} as self.{error.name}, "
                f"so that the object can be shown, copied and saved"
            ) from None

    def __repr__(self) -> str:
        shown = []
        for name, argument in arguments_of(self).items():
            required = argument.default is argument.empty
            value: Any = getattr(self, name, ... if required else argument.default)
            if value is ...:  # an argument that is not kept
                shown.append("…")
            elif required:
                shown.append(f"{name}={value!r}" if argument.kind is argument.KEYWORD_ONLY else repr(value))
            elif not np.array_equal(value, argument.default):  # an argument may be an array
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def is_ours(cls: type) -> bool:
    """Whether a class is the package's own."""
    return cls.__module__.partition(".")[0] == "minigrad"


def is_traceable(thing: Any) -> bool:
    """Whether an object's class is the package's own, or says in its own body that it is traceable."""
    cls = type(thing)
    return is_ours(cls) or vars(cls).get("traceable") is True


def require(name: str, value: Any, kind: type[Configured], example: str) -> None:
    """Raise TypeError, in the words of the caller's argument `name`, unless the value is a `kind`."""
    if isinstance(value, type):
        raise TypeError(f"{name}={value.__name__} is a class; make one of it: {name}={value.__name__}(…)")
    if not isinstance(value, kind):
        word = value.lower().replace(" ", "_").replace("-", "_") if isinstance(value, str) else ""
        meant = WORDS.get(word)
        advice = f"write {name}={meant}" if meant else f"give one, such as {example}"
        raise TypeError(f"{name}={value!r} is no {kind.__name__.lower()}; {advice}")


def _demanding(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that refuses what is to be a number and is none, which a comparison would do in Python's words."""
    if not init.__module__.startswith("minigrad."):  # a class of one's own may declare its arguments loosely
        return init
    declared = {name: str(kind).partition(" | ") for name, kind in init.__annotations__.items() if name != "seed"}
    numbers = {name: (kind, rest == "None") for name, (kind, _, rest) in declared.items() if kind in NUMBERS}
    code = inspect.unwrap(init).__code__
    places = code.co_varnames[1 : code.co_argcount]

    @wraps(init)
    def demanded(self: Any, *arguments: Any, **options: Any) -> None:
        for name, value in (*zip(places, arguments, strict=False), *options.items()):
            kind, optional = numbers.get(name, ("", True))
            if kind and not _is_a(kind, value) and not (optional and value is None):
                raise TypeError(f"{type(self).__name__}: {name}={value!r} is {NUMBERS[kind]}")
        init(self, *arguments, **options)

    return demanded if numbers else init


def _is_a(kind: str, value: Any) -> bool:
    """Whether a value, of Python, NumPy or others, is of a kind of NUMBERS."""
    return hasattr(type(value), "__index__" if kind == "int" else "__float__") or (kind == "Rate" and callable(value))


def arguments_of(thing: Configured) -> dict[str, inspect.Parameter]:
    """The arguments of its constructor, by name."""
    cls: type = type(thing)
    return constructor_arguments(cls)


@cache
def constructor_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments that a class is made with by name, all but `*args` and `**kwargs`."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def advising(function: Function) -> Function:
    """A function whose error about an argument says what to write here, where that is another framework's."""

    @wraps(function)
    def advised(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # it was raised further in
                raise
            advice = _advice(str(error))
            if advice is None:
                raise
            raise TypeError(f"{error}: {advice}") from None

    return cast(Function, advised)


def _advice(message: str) -> str | None:
    if found := re.search(r"unexpected keyword argument '(\w+)'", message):
        return KEYWORDS.get(found[1])
    if "missing" in message and "argument" in message:
        return next((MISSING[name] for name in re.findall(r"'(\w+)'", message) if name in MISSING), None)
    return None

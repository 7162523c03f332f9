"""A layer that was asked for, a lesson's solution: what its source has, and what its names are given in backward.

An answer to a lesson mostly has the page's names, dv and dz1 say, and always those of the gradients.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from traceback import walk_tb
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from minigrad.layer import Layer, whole_copy
from minigrad.parameter import Array
from minigrad.testing.bench.subject import Case, Subject, named_parameters
from minigrad.testing.naming.methods import SEEN, Method
from minigrad.testing.naming.templates.slips import Known


class Given(NamedTuple):
    """A value that a name is given: in which line of the method's source, and as which of all such."""

    value: Any
    line: int
    place: int


Values = dict[str, list[Given]]
"""What each name is given in turn: each variable, each "self.dW", and "return"."""

Change = Callable[[str, Any, int], Any]
"""What a name is to hold, when it has been given a value for so many times before."""


@dataclass(frozen=True)
class Asked:
    """The layer that was asked for."""

    layer: Layer

    def known(self, name: str, method: Method, known: Known) -> Known:
        """What is known of an answer's method with what the lesson's method of that name has in its source."""
        theirs = Method.of(getattr(type(self.layer), name, None))
        if theirs is None:
            return known
        there = {*method.function.__globals__, *vars(builtins), "np"}
        functions = {function for function in theirs.functions if function.partition(".")[0] in there}
        kinds = ast.BinOp | ast.Call | ast.UnaryOp | ast.Subscript | ast.Attribute
        parts = [
            (node, type(getattr(around, "op", None)))
            for around in ast.walk(theirs.tree)
            for node in ast.iter_child_nodes(around)
            if isinstance(node, kinds)
        ]
        return replace(known, functions=known.functions | functions, asked=parts)

    def values(self, subject: Subject, case: Case) -> tuple[Values, dict[str, Array]]:
        """What the names of its backward are given, with the parameters of an answer, and its gradients."""
        own = Subject(self._like(subject.layer))
        method = Method.of(type(own.layer).backward)
        own.forward(case.x.copy())
        values = run(own.layer, method.watched(), case.dy)[0] if method else {}
        return values, gradients(own, case)

    def _like(self, layer: Layer) -> Layer:
        """A copy of it with the parameters of an answer."""
        own, given = whole_copy(self.layer), {path: array for path, _, array in named_parameters((layer,))}
        for path, _, array in named_parameters((own,)):
            array[...] = given[path]
        return own


def gradients(subject: Subject, case: Case) -> dict[str, Array]:
    """The gradients of a layer by the names of their parts."""
    subject.dtheta[...] = np.nan
    whole = subject.collect(case.x, subject.layer.backward(case.dy.copy()))
    return {part.name: whole[part.span] for part in subject.parts(case.x)}


def run(layer: Layer, method: Method, dy: Array, change: Change | None = None) -> tuple[Values, int | None]:
    """What the names of a layer's backward are given, as the tree of its method, which is watched, is now.

    With `change`, they are given something else. Beside it, the line that it raises in, if it does.
    """
    found: Values = {}

    def seen(name: str, value: Any, line: int) -> Any:
        value = change(name, value, len(found.get(name, ()))) if change else value
        count = sum(map(len, found.values()))
        found.setdefault(name, []).append(Given(np.copy(value) if hasattr(value, "shape") else value, line, count))
        return value

    try:
        with running(layer, method, seen) as function:
            seen("return", layer.backward(dy.copy()), method.tree.body[-1].lineno)
    except Exception as error:
        lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code is function.__code__]
        return found, lines[-1] if lines else None
    return found, None


@contextmanager
def running(layer: Layer, method: Method, seen: Any = lambda name, value, line: value) -> Iterator[Any]:
    """In here, the layer has this backward, which is watched."""
    function = method.compiled()
    vars(layer).update({SEEN: seen, "backward": MethodType(function, layer)})
    try:
        yield function
    finally:
        vars(layer).pop(SEEN)
        vars(layer).pop("backward")


def apart(mine: Values, theirs: Values, gradients: Collection[str]) -> dict[str, Given]:
    """What the names of both first hold that is not the same, in the order in which they are given it."""
    found = {}
    for name, given in mine.items():
        place = first_apart(given, wanted_of(name, theirs, gradients), name.removeprefix("self.") in gradients)
        if place is not None:
            found[name] = given[place]
    return dict(sorted(found.items(), key=lambda each: each[1].place))


def wanted_of(name: str, theirs: Values, gradients: Collection[str]) -> list[Given]:
    """What the lesson's name is given; a variable dW may hold what it has as self.dW."""
    return theirs.get(name) or (theirs.get(f"self.{name}", []) if name in gradients else [])


def first_apart(mine: list[Given], theirs: list[Given], at_last: bool) -> int | None:
    """The first time that a name is given another value; None if never, or if they can't be compared."""
    different = [not same(one.value, other.value, at_last) for one, other in _compared(mine, theirs, at_last)]
    return len(mine) - len(different) + different.index(True) if any(different) else None


def holds(name: str, mine: Values, theirs: Values, gradients: Collection[str]) -> bool:
    """Whether a name is given what the lesson's is."""
    at_last = name.removeprefix("self.") in gradients
    pairs = _compared(mine.get(name, []), wanted_of(name, theirs, gradients), at_last)
    return bool(pairs) and all(same(one.value, other.value, at_last) for one, other in pairs)


def _compared(mine: list[Given], theirs: list[Given], at_last: bool) -> list[tuple[Given, Given]]:
    """If both are given as many values, in a loop say, all are compared; otherwise the last, and in no loop.

    Of what counts only by what it holds `at_last`, that is compared if they are not as many.
    """
    if len(mine) == len(theirs):
        return list(zip(mine, theirs, strict=True))
    loops = any(len({given.line for given in each}) < len(each) for each in (mine, theirs))
    return [(mine[-1], theirs[-1])] if mine and theirs and (at_last or not loops) else []


def same(one: Any, other: Any, in_shape: bool = False) -> bool:
    """Whether these are equal but for rounding; in another shape, too, unless that counts."""
    try:
        one, other = (np.asarray(each) if in_shape else np.ravel(each) for each in (one, other))
        size = float(np.abs(other).max(initial=0))
        return bool(one.shape == other.shape and np.allclose(one, other, 1e-6, 1e-9 * size))
    except TypeError:  # of what are no numbers
        return True
    except ValueError:  # of several arrays
        return False

"""np.empty: what it holds is what the memory held before, zeros perhaps; here it is a number, so that nothing is right
by chance.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, MethodType
from typing import Any

from minigrad.parameter import Array, walk
from minigrad.programs.declared import is_ours
from minigrad.testing import remaining
from minigrad.testing.bench import LayerBench
from minigrad.testing.corrections import Correction, correction_of
from minigrad.testing.edits import Edit, all_made, slots
from minigrad.testing.methods import Method, methods
from minigrad.testing.nodes import code
from minigrad.testing.rounding import same
from minigrad.testing.stand_in import EMPTY, calls_empty, globals_of
from minigrad.testing.subject import Subject

ONE, OTHER = 1.5, -2.5


def left_to_chance(bench: LayerBench) -> str | None:
    """What depends on the memory that np.empty has found: "y", or the name of a part of the gradient."""
    places = list(_places(bench))
    if not places:
        return None
    dy = bench.upstream(bench.subject.forward(bench.x))
    try:
        (y, one), (again, other) = (_results(bench, places, dy, number) for number in (ONE, OTHER))
    except Exception:  # of the layer, at such numbers
        return None
    if not same(y, again):
        return "y"
    return next((part.name for part in bench.parts() if not same(one[part.span], other[part.span])), None)


def _places(bench: LayerBench) -> Iterator[tuple[int, str]]:
    """The methods that call np.empty: of which layer in the walk, and their names."""
    for number, layer in enumerate(walk([bench.layer])):
        cls = type(layer)
        for name in () if is_ours(cls) else methods(cls, ("forward", "backward")):
            function = getattr(cls, name)
            if isinstance(function, FunctionType) and calls_empty(function):
                yield number, name


def _results(bench: LayerBench, places: list[tuple[int, str]], dy: Array, number: float) -> tuple[Array, Array]:
    """y and the gradient, where what np.empty gives holds this number."""
    subject = Subject(bench.layer)
    subject.theta[...] = bench.theta
    layers = list(walk([subject.layer]))
    for place, name in places:
        held: Any = getattr(type(layers[place]), name)
        function = FunctionType(held.__code__, globals_of(held, number), name, held.__defaults__, held.__closure__)
        function.__kwdefaults__ = held.__kwdefaults__
        vars(layers[place])[name] = MethodType(function, layers[place])
    y = subject.forward(bench.x.copy()).copy()
    return y, subject.collect(bench.x, subject.layer.backward(dy.copy()))


def correction(bench: LayerBench) -> Correction | None:
    """The lines in which np.zeros belongs where np.empty stands."""
    layers = list(walk([bench.layer]))
    for place, name in _places(bench):
        cls = type(layers[place])
        method = Method.of(getattr(cls, name))
        edits = list(_edits(method)) if method else []
        for some in [*([edit] for edit in edits), edits]:
            assert method is not None
            with all_made(some):
                changed = {(cls, name): method.compiled()}
            found = replace(correction_of(name, method, some, True), changed=changed)
            with remaining.corrected(changed):
                if left_to_chance(bench) is None:
                    return found
    return None


def _edits(method: Method) -> Iterator[Edit]:
    """Each np.empty as np.zeros."""
    for slot in slots(method.tree, {}):
        called = getattr(slot.node, "func", None)
        if isinstance(called, ast.Attribute) and called.attr in EMPTY:
            zeros = called.attr.replace("empty", "zeros")
            says = f"{code(called)} holds whatever the memory held before: `np.{zeros}` belongs there"
            yield Edit(says, slot.statement, ((called, "attr", zeros),))

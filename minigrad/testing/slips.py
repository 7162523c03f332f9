"""The slips that are made in writing a derivative, in the order in which they are looked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from minigrad.testing.axes import axes, counts, spread, transposed, turned_back
from minigrad.testing.calls import emptied, layers, misnamed, returned, stored, unmultiplied
from minigrad.testing.edits import Edit, atoms_of, results_of, scalars_of, slots, steps_of
from minigrad.testing.forms import (
    exchanged,
    indices,
    spaced,
    statements,
    through_time,
)
from minigrad.testing.operands import (
    dropped,
    dropped_two,
    functions,
    grouped,
    lacking,
    missing,
    numbers,
    operators,
    plain,
    replaced,
    scaled,
    shaped,
    signs,
    swapped,
    unknown,
    unwrapped,
    whole,
)
from minigrad.testing.slopes import of_another, softmaxes, squares


@dataclass(frozen=True)
class Known:
    """What is known of a method.

    `scope` has the values of its names and of what `self` has; `constants`, `functions` of one argument, and factors
    and divisors (`scales`) stand elsewhere in its class. `blamed` is the result to be mended, "return" or "self.dW"
    say, `wrong` are all that are; `gradients` are the names of those that are to be set, by their
    parameters'. Of one statement alone, that is `only`; `of_any_shape` where shapes are wrong.
    """

    scope: Mapping[str, Any]
    constants: set[Any]
    functions: set[str]
    scales: list[Any]
    blamed: str = ""
    wrong: frozenset[str] = frozenset()
    gradients: Mapping[str, str] = field(default_factory=dict)
    only: Any = None
    of_any_shape: bool = False


def edits(function: ast.FunctionDef, known: Known) -> Iterator[Edit]:
    """The edits of a function that may change what is blamed, those first that change all that is wrong."""
    reached = results_of(function)
    changing = {each for each, results in reached.items() if not known.blamed or known.blamed in results}
    changing = {known.only} if known.only else changing
    places = [slot for slot in slots(function, known.scope) if slot.statement in changing]
    places.sort(key=lambda slot: (not known.wrong <= reached[slot.statement], len(reached[slot.statement])))
    atoms = atoms_of(places, known.scope)
    steps = atoms | steps_of(places, known.scope)
    scaling = atoms | scalars_of(known.scales, known.scope)
    for slot in places if known.only else ():
        yield from unknown(slot, atoms, known.scope)
    if known.only is None:
        yield from returned(function, atoms)
        yield from stored(function, known.scope, known.gradients)
        yield from emptied(function, known.gradients)
        yield from misnamed(function, known.gradients)
    yield from (edit for edit in statements(function, atoms) if edit.statement in changing)
    for kind in (signs, unwrapped, exchanged, indices, axes, spread, transposed, squares, counts, turned_back):
        for slot in places:
            yield from kind(slot)
    yield from spaced(places, atoms)
    for slot in places:
        yield from through_time(slot, atoms)
    for slot in sorted(places, key=lambda slot: not isinstance(slot.node, ast.Name)):
        yield from softmaxes(slot, atoms, known.scope)
    for slot in places:
        yield from of_another(slot, atoms)
    for slot in places:
        yield from replaced(slot, scaling, known.of_any_shape)
    for slot in places:
        yield from dropped(slot)
        yield from dropped_two(slot)
    for slot in places if known.of_any_shape else ():
        yield from unmultiplied(slot, atoms)
    for slot in places:
        yield from operators(slot)
        yield from numbers(slot, known.constants, atoms)
    for slot in places:
        yield from grouped(slot)
        yield from layers(slot, known.scope)
    for slot in places:
        yield from functions(slot, known.functions)
    for slot in places:
        yield from missing(slot, scaling, plain, known.of_any_shape)
    yield from swapped(places, atoms, lambda slot: slot.statement)
    for slot in places:
        yield from whole(slot, scaling)
    for slot in places:
        yield from scaled(slot, atoms, known.constants)
    for slot in places:
        yield from lacking(slot, scaling)
    for slot in places:
        yield from missing(slot, steps, shaped)
    yield from swapped(places, atoms, lambda _: function)

"""The slips that are made in writing a derivative, in the order in which they are looked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from minigrad.testing.axes import axes, counts, transposed, turned_back
from minigrad.testing.edits import Edit, atoms_of, results_of, slots
from minigrad.testing.forms import (
    exchanged,
    grouped,
    indices,
    layers_left_out,
    spaced,
    squares,
    statements,
    through_time,
)
from minigrad.testing.operands import (
    dropped,
    functions,
    lacking,
    missing,
    numbers,
    operators,
    plain,
    replaced,
    scaled,
    shaped,
    swapped,
    whole,
)


@dataclass(frozen=True)
class Known:
    """What is known of a method.

    `scope` has the values of its names and of what `self` has; `constants` and `functions` of one argument stand
    elsewhere in its class. `blamed` is the result to be mended, "return" or "self.dW" say, `wrong` are all that are.
    """

    scope: Mapping[str, Any]
    constants: set[Any]
    functions: set[str]
    blamed: str = ""
    wrong: frozenset[str] = frozenset()


def edits(function: ast.FunctionDef, known: Known) -> Iterator[Edit]:
    """The edits of a function that may change what is blamed, those first that change all that is wrong."""
    reached = results_of(function)
    changing = {each for each, results in reached.items() if not known.blamed or known.blamed in results}
    places = [slot for slot in slots(function, known.scope) if slot.statement in changing]
    places.sort(key=lambda slot: (not known.wrong <= reached[slot.statement], len(reached[slot.statement])))
    atoms = atoms_of(places, known.scope)
    yield from (edit for edit in statements(function, atoms) if edit.statement in changing)
    for kind in (exchanged, indices, axes, transposed, squares, counts, turned_back):
        for slot in places:
            yield from kind(slot)
    yield from spaced(places, atoms)
    for slot in places:
        yield from through_time(slot, atoms)
    for slot in places:
        yield from replaced(slot, atoms)
    for slot in places:
        yield from dropped(slot)
    for slot in places:
        yield from operators(slot)
        yield from numbers(slot, known.constants)
    for slot in places:
        yield from grouped(slot)
        yield from layers_left_out(slot, known.scope)
    for slot in places:
        yield from functions(slot, known.functions)
    for slot in places:
        yield from missing(slot, atoms, plain)
    yield from swapped(places, atoms, lambda slot: slot.statement)
    for slot in places:
        yield from whole(slot, atoms)
    for slot in places:
        yield from scaled(slot, atoms, known.constants)
    for slot in places:
        yield from lacking(slot, atoms)
    for slot in places:
        yield from missing(slot, atoms, shaped)
    yield from swapped(places, atoms, lambda _: function)

"""The slips that are made in writing a derivative, in the order in which they are looked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from minigrad.testing.naming.templates.axes import axes, counts, spread, summed, transposed, turned_back
from minigrad.testing.naming.templates.calls import aliased, emptied, layers, misnamed, returned, stored, unmultiplied
from minigrad.testing.naming.templates.edits import (
    Edit,
    Slot,
    atoms_of,
    expressions_of,
    results_of,
    scalars_of,
    slots,
    steps_of,
)
from minigrad.testing.naming.templates.forms import (
    exchanged,
    indices,
    spaced,
    statements,
)
from minigrad.testing.naming.templates.loops import through_time
from minigrad.testing.naming.templates.names import gradient_read, instead, replaced, swapped, unknown, whole
from minigrad.testing.naming.templates.nodes import code
from minigrad.testing.naming.templates.operands import (
    conditions,
    dropped,
    dropped_two,
    functions,
    grouped,
    lacking,
    missing,
    numbers,
    operators,
    plain,
    scaled,
    shaped,
    signs,
    unwrapped,
    whole_numbers,
)
from minigrad.testing.naming.templates.slopes import of_another, softmaxes, squares


@dataclass(frozen=True)
class Known:
    """What is known of a method.

    `scope` has the values of its names and of what `self` has; `constants`, `functions` of one argument, and factors
    and divisors (`scales`) stand elsewhere in its class. `blamed` is the result to be mended, "return" or "self.dW"
    say, `wrong` are all that are; `gradients` are the names of those that are to be set, by their
    parameters'. Of one statement alone, that is `only`; `of_any_shape` where shapes are wrong. `asked` are the
    expressions of a method that is right, where there is one, each with the operation that it is an operand of.
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
    asked: list[tuple[Any, Any]] = field(default_factory=list)


def edits(function: ast.FunctionDef, known: Known) -> Iterator[Edit]:
    """The edits of a function that may change what is blamed, those first that change all that is wrong."""
    changing, places = _concerned(function, known)
    atoms = atoms_of(places, known.scope)
    steps = atoms | steps_of(places, known.scope)
    scaling = atoms | scalars_of(known.scales, known.scope)
    for slot in places:
        yield from gradient_read(slot, known.gradients)
    there = {*known.scope, *(f"self.{gradient}" for gradient in known.gradients.values())}
    for slot in places if known.only else ():
        yield from unknown(slot, atoms, there)
    if known.only is None:
        yield from whole_method(function, known)
    yield from (edit for edit in statements(function, atoms) if edit.statement in changing)
    for kind in (
        conditions,
        signs,
        unwrapped,
        whole_numbers,
        exchanged,
        indices,
        axes,
        spread,
        transposed,
        squares,
        counts,
        turned_back,
    ):
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
        yield from summed(slot)
    for slot in places:
        yield from lacking(slot, scaling)
    for slot in places:
        yield from missing(slot, steps, shaped)
    yield from swapped(places, atoms, lambda _: function)


def whole_method(function: ast.FunctionDef, known: Known) -> Iterator[Edit]:
    """Those of what is returned, set and cleared."""
    yield from returned(function, known.scope)
    yield from aliased(function, known.gradients)
    yield from stored(function, known.scope, known.gradients)
    yield from emptied(function, known.gradients)
    yield from misnamed(function, known.gradients)


def as_asked(function: ast.FunctionDef, known: Known) -> Iterator[Edit]:
    """The edits that put expressions there which a method that is right has: as terms and factors, or for others."""
    places, asked = _concerned(function, known)[1], expressions_of([node for node, _ in known.asked], known.scope)
    around = {ast.unparse(node): op for node, op in known.asked}
    for slot in places:
        lacks = {text: atom for text, atom in asked.items() if text not in ast.unparse(slot.statement)}
        yield from missing(slot, {text: lacks[text] for text in lacks if around[text] is ast.Mult}, plain)
        yield from lacking(slot, {text: lacks[text] for text in lacks if around[text] in (ast.Add, ast.Sub)})
        for each, op in known.asked if slot.parent is slot.statement else ():
            if op in (ast.Add, ast.Mult) and ast.unparse(each) not in asked:  # the value of which is not known
                word = "term" if op is ast.Add else "factor"
                yield slot.to(ast.BinOp(slot.node, op(), each), f"the {word} {code(each)} is missing")
    for slot in sorted(places, key=lambda slot: (isinstance(slot.node, ast.Name), len(ast.unparse(slot.node)))):
        yield from instead(slot, asked, known.of_any_shape)


def _concerned(function: ast.FunctionDef, known: Known) -> tuple[set[Any], list[Slot]]:
    """The statements that may change what is blamed, and the places in them, those of all that is wrong first."""
    reached = results_of(function)
    changing = {each for each, results in reached.items() if not known.blamed or known.blamed in results}
    changing = {known.only} if known.only else changing
    places = [slot for slot in slots(function, known.scope) if slot.statement in changing]
    places.sort(key=lambda slot: (not known.wrong <= reached[slot.statement], len(reached[slot.statement])))
    return changing, places

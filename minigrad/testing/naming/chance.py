"""np.empty: what it holds is what the memory held before, zeros perhaps; here it is a number, so that nothing is right
by chance.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from minigrad.parameter import walk
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.naming import remaining
from minigrad.testing.naming.corrections import Correction, correction_of
from minigrad.testing.naming.methods import Method
from minigrad.testing.naming.templates.edits import Edit, all_made, slots
from minigrad.testing.naming.templates.nodes import code
from minigrad.testing.rules.chance import EMPTY, left_to_chance, places_of


def correction(bench: LayerBench) -> Correction | None:
    """The lines in which np.zeros belongs where np.empty stands."""
    layers = list(walk([bench.layer]))
    for place, name in places_of(bench):
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

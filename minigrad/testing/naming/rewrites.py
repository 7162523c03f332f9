"""Changes of a layer's methods that are made all at once, and what the rules of gradients say of it then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import numpy as np

from minigrad.layer import Layer, whole_copy
from minigrad.parameter import Array, walk
from minigrad.testing.bench.code import methods
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.budget import REWRITTEN
from minigrad.testing.naming.corrections import Correction, lines_after
from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.repair import is_ours
from minigrad.testing.naming.templates.edits import Edit, all_made, statements_of
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, seen
from minigrad.testing.rules.gradients import try_gradients
from minigrad.testing.rules.inference import inference, mean_of_training
from minigrad.testing.rules.predicted import settled


@dataclass(frozen=True)
class Written:
    """A method that stands in a class of the user's: of which layer, counted as `walk` gives them, and its edits."""

    number: int
    holder: Any
    name: str
    method: Method
    edits: list[Edit] = field(default_factory=list)


def own(layer: Any, *starts: str) -> Iterator[tuple[int, Any, str]]:
    """The methods named, and those that they call, of a layer and of those within it, apart from the package's."""
    for number, holder in enumerate(_holders(layer)):
        for name in () if is_ours(holder) else methods(type(holder), starts):
            yield number, holder, name


def written_in(layer: Any, *starts: str) -> Iterator[Written]:
    """Those of which the source can be changed."""
    for number, holder, name in own(layer, *starts):
        method = Method.of(getattr(type(holder), name))
        if method is not None:
            yield Written(number, holder, name, method)


def changed(layer: Any, rewritten: list[Written]) -> Any:
    """A copy of the layer in which the edits are made."""
    other = whole_copy(layer)
    holders = _holders(other)
    for each in rewritten:
        with all_made(each.edits):
            vars(holders[each.number])[each.name] = MethodType(each.method.compiled(), holders[each.number])
    return other


def _holders(layer: Any) -> list[Any]:
    """A layer and those within it; a loss has none."""
    return list(walk([layer])) if isinstance(layer, Layer) else [layer]


def broken(layer: Layer, x: Array) -> Evidence | None:
    """What the rules of gradients find at x and at inputs like it, and those of predict where the layer has its own."""

    def check() -> None:
        bench = LayerBench(layer, x, 0, Report(""), seconds=REWRITTEN)
        try_gradients(bench)
        for rule in (inference, mean_of_training, settled) if type(layer).predict is not Layer.predict else ():
            bench.reset()
            rule(bench)

    return seen(check)


def correction(layer: Layer, x: Array, rewritten: list[Written], says: str, surely: bool) -> Correction | None:
    """The edits as a correction, if they make the layer right; or another one at least, where the slip is sure."""
    before, after = broken(layer, x), broken(changed(layer, rewritten), x)
    if before is None or (after is not None and (not surely or after.what == before.what)):
        return None
    return described(rewritten, says, True if after is None else None)


def described(rewritten: list[Written], says: str, wholly: bool | None) -> Correction:
    """The edits as a correction: the lines before and after them."""
    places, written, right = list[str](), list[str](), list[str]()
    changed = dict[tuple[type, str], Any]()
    for each in rewritten:
        statements = statements_of(edit for edit in each.edits if not edit.added)
        places += [each.method.place(statement) for statement in statements]
        written += [first_line(statement) for statement in statements]
        where = "" if statements else f" in {each.name}"
        right += [f"{first_line(edit.added)}{where}" for edit in each.edits if edit.added]
        with all_made(each.edits):
            right += lines_after(each.edits, statements)
            changed[type(each.holder), each.name] = each.method.compiled()
    lines = "; ".join(dict.fromkeys(places)), ";  ".join(written), ";  ".join(right)
    return Correction(says, *lines, wholly, changed)


def mends_forward(layer: Layer, rewritten: list[Written], x: Array, wanted: Array) -> bool:
    """Whether forward is what is wanted once the edits are made."""
    try:
        y = changed(layer, rewritten).forward(x.copy())
        return bool(np.shape(y) == wanted.shape and np.allclose(y, wanted))
    except Exception:  # of what is still wrong
        return False

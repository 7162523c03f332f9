"""What Python can't bind: the arguments of a method that lacks one of its own, and a line above what it reads."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.naming import rewrites
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.methods import first_line
from minigrad.testing.naming.rewrites import Written
from minigrad.testing.naming.templates.edits import Edit
from minigrad.testing.naming.templates.nodes import assigned, code, names_read

TAKES = re.compile(r"\.(forward|backward|predict)\(\) takes \d+ positional arguments? but \d+ w")
TAKEN = {"forward": "x", "backward": "dy", "predict": "x"}


def correction(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """The change of such a method, if that is why it raises."""
    if isinstance(error, UnboundLocalError):
        return _in_order(layer, x)
    taking = TAKES.search(str(error)) if isinstance(error, TypeError) else None
    return _with_all_arguments(layer, x, taking[1]) if taking else None


def _with_all_arguments(layer: Layer, x: Array, name: str) -> Correction | None:
    """A method that is told `self`, or dy, too."""
    rewritten, lacking = list[Written](), ""
    for each in rewrites.written_in(layer, name):
        arguments = each.method.tree.args
        names = [argument.arg for argument in arguments.args]
        lacking = TAKEN[name] if names[:1] == ["self"] else "self"
        if each.name == name and len(names) < 2:
            new = [*arguments.args, ast.arg(lacking)] if names[:1] == ["self"] else [ast.arg("self"), *arguments.args]
            each.edits.append(Edit("", each.method.tree, ((arguments, "args", new),)))
            rewritten.append(each)
    if not rewritten:
        return None
    says = f"`{lacking}` is missing among the arguments of {name}"
    return rewrites.correction(layer, x, rewritten, says, surely=True)


def _in_order(layer: Layer, x: Array) -> Correction | None:
    """The lines of backward, or of forward, with each below those that make what it reads."""
    for each in rewrites.written_in(layer, "forward", "backward"):
        body, pairs = list(each.method.tree.body), list[tuple[Any, Any]]()
        for statement in each.method.tree.body:
            place = body.index(statement)
            made = assigned(*body[:place]).keys() | {argument.arg for argument in each.method.tree.args.args}
            lacking = names_read(statement).keys() - made
            later = [other for other in body[place + 1 :] if assigned(other).keys() & lacking]
            if later and isinstance(statement, ast.Assign):
                body.remove(statement)
                body.insert(body.index(later[-1]) + 1, statement)
                pairs.append((statement, later[-1]))
        if pairs:
            each.edits.append(Edit("", pairs[0][0], ((each.method.tree, "body", body),)))
            says = "; ".join(_above(*pair) for pair in pairs)
            found = rewrites.correction(layer, x, [each], says, surely=True)
            return found and _lines(found, each, body)
    return None


def _lines(found: Correction, written: Written, after: list[Any]) -> Correction:
    """The correction with the lines from the first that stands elsewhere then to the last."""
    before = written.method.tree.body
    moved = [n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] is not pair[1]]
    span = slice(moved[0], moved[-1] + 1)
    lines = [";  ".join(map(first_line, body[span])) for body in (before, after)]
    place = "; ".join(map(written.method.place, before[span]))
    return replace(found, place=place, written=lines[0], right=lines[1])


def _above(statement: Any, later: Any) -> str:
    reads = [name for name in assigned(later) if name in names_read(statement)]
    what = f"{code(statement.targets[0])} is computed from `{reads[0]}`"
    return f"{what}, which is made only after it: its line belongs below that"

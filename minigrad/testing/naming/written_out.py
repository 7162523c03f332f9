"""Numbers that are written out where a size or an argument belongs: right for the example, and for nothing else.

A layer that is right at its first input, and wrong for another number of rows, other lengths, other widths or other
arguments, may have a literal that equals one of these there. What has the same value, `len(dy)` or `self.n` say, is put
in its place, at all places at once, for one number or for several; with these the layer is to be right everywhere.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.code import inherited, methods
from minigrad.testing.bench.inputs import longer, with_rows
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.budget import WRITTEN_OUT, Deadline
from minigrad.testing.naming import remaining
from minigrad.testing.naming.corrections import Correction, correction_of
from minigrad.testing.naming.methods import Method
from minigrad.testing.naming.repair import is_ours
from minigrad.testing.naming.templates.edits import Edit, Slot, all_made, slots
from minigrad.testing.naming.templates.nodes import code, expression
from minigrad.testing.rules.gradients import other_widths, try_gradients, wider_sibling
from minigrad.testing.rules.variations import (
    configured,
    elsewhere,
    moved,
    other_arguments,
    other_makes,
    seems_wrong,
    taken,
    widths,
)

RULES = (try_gradients, elsewhere, other_widths, other_arguments)
CANDIDATES = 4  # for one number
PLACES = 6  # of numbers, of which any may be meant


@dataclass(frozen=True)
class Trial:
    """A layer, or one made anew, an x and parameters at which it is to be right, and the values of what sizes are."""

    subject: Subject
    x: Array
    theta: Array


def correction(bench: LayerBench) -> Correction | None:
    """The numbers of one method that are to be sizes; None if the first input is wrong, too, or nothing is right."""
    bench = bench.home
    if is_ours(bench.layer) or seems_wrong(Subject(bench.layer), bench.x, bench.theta, np.random.default_rng(0)):
        return None
    deadline, trials = Deadline(WRITTEN_OUT), list[Trial]()
    for name in ("backward", "forward"):
        safe = name in methods(type(bench.layer), (name,)) and not inherited(type(bench.layer), name)
        method = Method.of(getattr(type(bench.layer), name)) if safe else None
        places = _places(method, bench, name) if method else []
        if method and places:
            trials = trials or list(_trials(bench))
            found = _first_right(bench, name, method, places, trials, deadline)
            if found is not None:
                return found
    return None


def one_by_one(bench: LayerBench) -> str:
    """What is said of a method that has a piece of code for each column of its argument; "" if none has."""
    width = bench.home.x.shape[-1]
    for name in ("forward", "backward"):
        method = None if is_ours(bench.home.layer) else Method.of(getattr(type(bench.home.layer), name))
        parts = [node for node in ast.walk(method.tree) if isinstance(node, ast.Subscript)] if method else []
        for array in dict.fromkeys(ast.unparse(node.value) for node in parts):
            columns = [f"{array}[:, {column}]" for column in range(width)]
            if width > 1 and {*columns} <= {ast.unparse(node) for node in parts}:
                return (
                    f"{name} has its columns written out one by one, `{columns[0]}` to `{columns[-1]}`, so that others "
                    "are left out: take all of them at once, in a product or a sum, or in a loop"
                )
    return ""


def _first_right(
    bench: LayerBench, name: str, method: Method, places: list[Slot], trials: list[Trial], deadline: Deadline
) -> Correction | None:
    alike: dict[Any, list[Slot]] = {}
    for slot in places:
        alike.setdefault(ast.unparse(slot.node), []).append(slot)
    sizes = list(_sizes(method, name, trials))
    apart = [[slot] for slot in places if len(alike) < len(places) <= PLACES]  # some of them may be but numbers
    for combination in itertools.chain(_fewest(list(alike.values()), sizes), _fewest(apart, sizes)):
        edits = [_edit(slot, new) for group, new in combination for slot in group]
        if deadline.is_over():
            return None
        if all(map(_is_end, (slot for group, _ in combination for slot in group))):  # `dy[:, :5]`: all is meant
            continue
        if _is_right(name, method, edits, trials):
            with all_made(edits):
                changed = {(type(bench.layer), name): method.compiled()}
            if remaining.of(bench.layer, bench.whole if bench.given else None, RULES, changed, bench.only_here) is None:
                return replace(correction_of(name, method, edits, True), changed=changed)
    return None


def _fewest(groups: list[list[Slot]], sizes: list[tuple[str, list[Any]]]) -> list[tuple[tuple[list[Slot], str], ...]]:
    """What may stand in the place of some of them, the fewest first."""
    unchanged: tuple[list[Slot], str] = ([], "")
    choices = [[unchanged, *((group, new) for new in _candidates(group, sizes))] for group in groups]
    return sorted(itertools.product(*choices), key=lambda each: sum(bool(group) for group, _ in each))[1:]


def _is_end(slot: Slot) -> bool:
    return isinstance(slot.parent, ast.Slice) and slot.key == "upper" and slot.parent.lower is None


def _edit(slot: Slot, new: str) -> Edit:
    word = "number" if isinstance(slot.node, ast.Constant) else "list"
    return slot.to(expression(new), f"the {word} {ast.unparse(slot.node)} where {code(expression(new))} belongs")


def _is_right(name: str, method: Method, edits: list[Edit], trials: list[Trial]) -> bool:
    """Whether the layers of all trials are right once the method is changed."""
    try:
        with all_made(edits):
            function = method.compiled()
    except Exception:
        return False
    rng = np.random.default_rng(0)
    for trial in trials:
        layer = trial.subject.layer
        vars(layer)[name] = MethodType(function, layer)
        try:
            if seems_wrong(trial.subject, trial.x, trial.theta, rng):
                return False
        finally:
            vars(layer).pop(name)
    return True


def _trials(bench: LayerBench) -> Iterator[Trial]:
    """The first input, other numbers of rows, lengths, widths and arguments, as the rules have them."""
    x, told = bench.x, [value for value in configured(bench.layer).values() if type(value) is int]
    inputs = [x, x[:1], x[:2], with_rows(x, len(x) + 2, bench.rng)]
    if x.dtype.kind == "f" and not bench.fenced:
        inputs += [longer(x, axis, bench.rng) for axis in range(1, x.ndim - 1)]
        inputs += [other for _, other, _, narrow in widths(bench) if not narrow and x.shape[-1] not in told]
    for each in inputs:
        yield Trial(Subject(bench.layer), each.copy(), bench.theta)
    for words, make in other_makes(bench.layer):
        with suppress(Exception):
            sibling = make()
            for each in taken(bench, words, sibling)[:1]:
                subject = Subject(sibling)
                yield Trial(subject, each, moved(subject.theta, bench.rng))
    with suppress(Exception):
        wider = wider_sibling(bench, configured(bench.layer))
        yield Trial(Subject(wider.layer), wider.x, wider.theta)


def _places(method: Method, bench: LayerBench, name: str) -> list[Slot]:
    """Where numbers stand that may be sizes: no powers, no axes, and no places of a shape."""
    values = {value for value in configured(bench.layer).values() if type(value) is float}
    found = []
    for slot in slots(method.tree, {}):
        node, parent = slot.node, slot.parent
        of_loop = isinstance(slot.statement, ast.For) and parent is slot.statement
        if of_loop and isinstance(node, ast.List | ast.Tuple) and _counted(node):
            found.append(slot)
        value = node.value if isinstance(node, ast.Constant) else None
        if not (type(value) is int and value > 1) and not (type(value) is float and value in values):
            continue
        power = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and slot.key == "right"
        axis = any(isinstance(each, ast.keyword) and each.arg == "axis" for each in slot.above)
        listed = any(isinstance(each, ast.List | ast.Tuple) and _counted(each) for each in slot.above)
        limit = isinstance(parent, ast.Call) and "min" in ast.unparse(parent.func)  # of which another size is a part
        if not (power or axis or listed or limit):
            found.append(slot)
    return found


def _counted(node: Any) -> str:
    """What a list of numbers counts, as a range of {}; "" if it is none."""
    numbers = [each.value for each in node.elts if isinstance(each, ast.Constant)]
    if len(numbers) != len(node.elts) or len(numbers) < 2:
        return ""
    forms = {"range({})": list(range(len(numbers))), "reversed(range({}))": list(range(len(numbers)))[::-1]}
    return next((form for form, counted in forms.items() if numbers == counted), "")


def _sizes(method: Method, name: str, trials: list[Trial]) -> Iterator[tuple[str, list[Any]]]:
    """What is a size, or a number of self, and its values in all trials: of equal ones, the plainest."""
    scopes: list[dict[str, Any]] = []
    own, argument = (each.arg for each in method.tree.args.args[:2])
    for trial in trials:
        with suppress(Exception):
            trial.subject.theta[...] = trial.theta
            y = trial.subject.forward(trial.x)
            scopes.append({"len": len, own: trial.subject.layer, argument: y if name == "backward" else trial.x})
    held = vars(scopes[0][own]) if scopes else {}
    names = [f"{own}.{key}" for key, value in held.items() if type(value) in (int, float) and key[0] != "_"]
    arrays: dict[str, Array] = {argument: scopes[0][argument]} if scopes else {}
    arrays |= {f"{own}.{key}": value for key, value in held.items() if isinstance(value, np.ndarray) and key[0] != "_"}
    for text, array in arrays.items():
        names += [f"len({text})"] if array.ndim else []
        names += [f"{text}.shape[{axis}]" for axis in range(1, array.ndim)]
        names += [f"len({text}) * {text}.shape[1]"] if array.ndim > 2 else []
    known: list[list[Any]] = []
    for text in names:
        values = [_value(text, scope) for scope in scopes]
        if values not in known:
            known.append(values)
            yield text, values


def _value(text: str, scope: dict[str, Any]) -> Any:
    try:
        return eval(text, {"__builtins__": {}}, scope)
    except Exception:
        return None


def _candidates(group: list[Slot], sizes: list[tuple[str, list[Any]]]) -> list[str]:
    """What may belong in the place of a number: what has its value at the first input, or one more or less."""
    node = group[0].node
    if not isinstance(node, ast.Constant):
        form, count = _counted(node), len(node.elts)
        return [form.format(text) for text, values in sizes if values[0] == count][:CANDIDATES]
    equal = [text for text, values in sizes if values[0] == node.value and type(values[0]) is type(node.value)]
    sized = all(any(_is_sized(each) for each in slot.above) for slot in group)
    less = [f"{text} - 1" for text, values in sizes if type(values[0]) is int and values[0] - 1 == node.value]
    around = [getattr(getattr(each, "func", None), "attr", "") for slot in group for each in slot.above]
    free = ["-1"] if "reshape" in around and any("*" in text for text in equal) else []
    more = [f"{text} + 1" for text, values in sizes if type(values[0]) is int and values[0] + 1 == node.value]
    return [*free, *equal, *(less + more if sized else [])][:CANDIDATES]


def _is_sized(node: Any) -> bool:
    """Whether what stands in a node is a size, or a place: of an array that is made, of a loop or of a slice."""
    name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
    return isinstance(node, ast.Slice) or name in ("range", "arange", "zeros", "ones", "empty", "full", "reshape")

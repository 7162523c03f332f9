"""Whether a learner's forward is the one that a lesson asks for, and in words what it is if it is not."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from minigrad.functions import sigmoid
from minigrad.layer import Layer
from minigrad.parameter import walk
from minigrad.testing.naming import forgotten, remaining, repair
from minigrad.testing.naming.asked import Asked
from minigrad.testing.naming.corrections import Correction, correction_of
from minigrad.testing.naming.methods import Method
from minigrad.testing.naming.remaining import Rules
from minigrad.testing.naming.templates.axes import OR_FORWARD
from minigrad.testing.naming.templates.edits import Edit, all_made
from minigrad.testing.naming.templates.nodes import expression
from minigrad.testing.rule import Evidence


class WrongAnswer(Exception):
    """An answer that is none, or not the one that was asked for; in words for the learner."""


def compare(answer: Layer, wanted: Layer, example: Any, rules: Rules) -> None:
    """Raise WrongAnswer where forward is not the one that was asked for, with the same parameters.

    First with those that the lesson begins with, so that a learner sees the same numbers, then with random ones. A
    forward that raises, or changes a parameter, is for `check_layer` to tell. What is offered instead of a forward is
    tried by the rules.
    """
    answer, wanted = copy.deepcopy(answer), copy.deepcopy(wanted)
    given, asked = _parameters(answer), _parameters(wanted)
    shapes, wanted_shapes = ({name: array.shape for name, array in some.items()} for some in (given, asked))
    if shapes != wanted_shapes:
        raise WrongAnswer(f"{answer!r} has the parameters {shapes}; the lesson asks for {wanted_shapes}")
    rng = np.random.default_rng(0)
    for where in ("for its example", "for its example and other parameters"):
        for name in asked:
            asked[name][...] = asked[name] if where == "for its example" else rng.normal(size=asked[name].shape)
            given[name][...] = asked[name]
        try:
            y = answer.forward(example.copy())
        except Exception:
            return
        if not all(np.array_equal(given[name], asked[name]) for name in asked):
            return
        right = wanted.forward(example.copy())
        if not isinstance(y, np.ndarray) or y.shape != right.shape:
            returns = f"{where}, forward {_returned(y)}; the lesson asks for an array of the shape {right.shape}"
            likely = "" if y is None else _mended(answer, wanted, example, rules)
            raise WrongAnswer(f"{answer!r}: {returns}{likely or _form(y, example, right)}")
        off = ~np.isclose(y, right, rtol=1e-6, atol=1e-9)
        if off.any():
            place = tuple(int(i) for i in np.argwhere(off)[0])
            numbers = f"y{list(place)} is {y[place]:.6g}, but should be {right[place]:.6g}"
            if np.isfinite(y[off]).any() and _bounded(y, right, off, example):
                what = f"{answer!r}: forward is right where x is small, but not where it is large. {where.capitalize()}"
                likely = (
                    "what keeps the result finite, such as a number added within a logarithm or a clip, keeps it from "
                    "growing, too; the lesson has a form that needs neither"
                )
                raise WrongAnswer(f"{what}, {numbers}, where x is {example[place]:.6g}\n  likely bug: {likely}")
            if np.isfinite(y[off]).any():
                what = f"forward is another function than the lesson asks for. {where.capitalize()}, {numbers}"
                raise WrongAnswer(f"{answer!r}: {what}{_likely(answer, wanted, example, y, right, rules)}")
            at = f", where x is {example[place]:.6g}" if example.shape == y.shape else ""
            what = f"forward is right where it is finite. {where.capitalize()}, {numbers}{at}"
            likely = "something overflows on the way; the lesson has a form in which nothing does"
            raise WrongAnswer(f"{answer!r}: {what}\n  likely bug: {likely}")


def kept_wrongly(answer: Layer, wanted: Layer, example: Any, rules: Rules) -> str:
    """What is said where backward is the lesson's own, but not what forward, which is right, keeps for it; else ""."""
    layers = [copy.deepcopy(answer), copy.deepcopy(wanted)]
    try:
        texts = [textwrap.dedent(inspect.getsource(type(layer).backward)) for layer in layers]
        given, right = (ast.unparse(ast.parse(text)) for text in texts)
        mine_y, y = (layer.forward(example.copy()) for layer in layers)
    except Exception:
        return ""
    if given != right or not _equal(mine_y, y):
        return ""
    mine, theirs = (vars(layer) for layer in layers)
    others = {name: value for name, value in mine.items() if isinstance(value, np.ndarray) and name not in theirs}
    unnamed = {name: value for name, value in theirs.items() if isinstance(value, np.ndarray) and name not in mine}
    called = {name: [other for other in others if _equal(others[other], value)] for name, value in unnamed.items()}
    if called and all(called.values()):
        reads = ", and ".join(f"`self.{name}`, in forward `self.{other[0]}`" for name, other in called.items())
        likely = f"it reads {reads}: forward has to call it what backward does"
        return f"{answer!r}: what forward returns is right, and so is backward\n  likely bug: {likely}"
    for name, value in theirs.items():
        if isinstance(value, np.ndarray) and name in mine and not _equal(mine[name], value):
            known = [word for word, array in (("the result", y), ("x itself", example)) if _equal(value, array)]
            likely = f"{known[0]} belongs there" if known else "another array belongs there"
            found = _keeping(answer, name, bool(known) and known[0] == "x itself", likely)
            what = f"what forward keeps as self.{name} is not what backward takes it for"
            right_then = found is not None and remaining.of(answer, example, rules, found.changed) is None
            said = _said(found) if found and right_then else f"\n  likely bug: {likely}"
            return f"{answer!r}: what forward returns is right, and so is backward, but {what}{said}"
    return ""


def _keeping(answer: Layer, name: str, x_itself: bool, says: str) -> Correction | None:
    """The lines of a forward that keeps as self.name its argument, or else what it returns; None if it has no such."""
    method = Method.of(type(answer).forward)
    lines = method.tree.body if method else []
    given = [n for n in lines if isinstance(n, ast.Assign) and ast.unparse(n.targets[-1]) == f"self.{name}"]
    last: Any = lines[-1] if lines else None
    if method is None or len(given) != 1 or not (isinstance(last, ast.Return) and last.value):
        return None
    (line,) = given
    if x_itself:
        edits = [Edit(says, line, ((line, "value", expression(method.tree.args.args[1].arg)),))]
    else:
        returned = expression(ast.unparse(last.value).replace(f"self.{name}", f"({ast.unparse(line.value)})"))
        edits = [Edit(says, line, ((line, "value", returned), (last, "value", expression(f"self.{name}"))), moved=last)]
    found = correction_of("forward", method, edits, True)
    with all_made(edits):
        return replace(found, changed={(type(answer), "forward"): method.compiled()})


def _equal(one: Any, other: Any) -> bool:
    """Whether two arrays are equal but for rounding."""
    return np.shape(one) == np.shape(other) and np.allclose(one, other, equal_nan=True)


def _bounded(y: Any, right: Any, off: Any, example: Any) -> bool:
    """Whether y is right for all moderate x, of which there are some, and too small where x is large."""
    if example.shape != y.shape:
        return False
    moderate = abs(example) <= 5
    return bool(moderate.any() and not off[moderate].any() and (abs(y[off]) < abs(right[off])).any())


def _returned(y: Any) -> str:
    if y is None:
        return "returns nothing"
    if isinstance(y, np.ndarray) and y.ndim:
        return f"returns an array of the shape {y.shape}"
    return "returns a single number" if np.ndim(y) == 0 and not callable(y) else f"returns {type(y).__name__!r}"


def _form(y: Any, example: Any, right: Any) -> str:
    """What seems to have led to another form of y, as a line of the sentence; empty where that is not known."""
    if y is None:
        return "\n  likely bug: its line `return …` is missing"
    if np.shape(y) == example.shape[1:] and np.shape(y) != ():
        return "\n  likely bug: rows are taken for columns: x[0] is the first row of x, x[:, 0] its first column"
    if np.shape(y) == example.shape and right.shape == example.shape[:-1]:
        said = "each row is to have one number: x * w has one for each entry, of which x @ w is the sum"
        return f"\n  likely bug: {said}"
    return ""


def _likely(answer: Layer, wanted: Layer, example: Any, y: Any, right: Any, rules: Rules) -> str:
    """What a wrong forward seems to leave out, as a line of the sentence; empty where that is not known."""
    forgotten_self = forgotten.in_forward(answer, example, right)
    if forgotten_self:
        return _said(forgotten_self, remaining.of(answer, example, rules, forgotten_self.changed))
    for name, function in (("tanh", np.tanh), ("the sigmoid", sigmoid)):
        if np.allclose(function(y), right):
            return f"\n  likely bug: {name} is left out"
    given, asked = _parameters(answer), _parameters(wanted)
    for name in asked:
        given[name][...] += 1
        asked[name][...] += 1
        if np.allclose(answer.forward(example), y) and not np.allclose(wanted.forward(example), right):
            return f"\n  likely bug: y does not change with {name}: forward leaves it out"
        given[name][...] -= 1
        asked[name][...] -= 1
    return _mended(answer, wanted, example, rules)


def _mended(answer: Layer, wanted: Layer, example: Any, rules: Rules) -> str:
    """The one change with which a forward is the one that was asked for, with two sets of parameters."""
    rng = np.random.default_rng(1)
    sets = [{name: rng.normal(size=array.shape) for name, array in _parameters(wanted).items()} for _ in range(2)]

    def of(layer: Layer) -> Any:
        results = []
        for parameters in sets:
            for name, array in _parameters(layer).items():
                array[...] = parameters[name]
            results.append(layer.forward(example.copy()))
        return np.array(results)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the compiler, about changes that make no sense
        found = repair.of_forward(answer, lambda: of(answer), of(wanted), Asked(wanted), example, rules)
        return "" if found is None else _said(found, remaining.of(answer, example, rules, found.changed))


def _said(found: Correction, left: Evidence | None = None) -> str:
    """A correction as lines of the sentence, with what is left that is wrong."""
    tried = "then it is right"
    if left:
        tried = f"then forward is right, and something else still wrong: {remaining.words(left)}"
    said = f"\n  likely bug: {found.says.replace(OR_FORWARD, '')}\n  written:    {found.written}   ({found.place})"
    return f"{said}\n  right:      {found.right}   (tried: {tried})"


def _parameters(layer: Layer) -> dict[str, Any]:
    """All parameters by name, also those of the layers within."""
    return {
        f"{position}.{name}" if position else name: array
        for position, each in enumerate(walk([layer]))
        for name, array in each.params.items()
    }

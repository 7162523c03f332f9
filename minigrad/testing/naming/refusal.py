"""Why backward raises, or returns no dx of x's shape: what does not fit, and a change with which it is right.

What is tried are the changes of `trials`, first of the line that raised. The gradient that is wanted
is the numerical derivative of forward, which ran.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FrameType, FunctionType, TracebackType
from typing import Any

import numpy as np

from minigrad.derivation.insertion import definition_of
from minigrad.layer import Layer
from minigrad.parameter import Array, Declared, walk
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import INPUT, Case, Part, Subject
from minigrad.testing.budget import REFUSAL, Deadline
from minigrad.testing.naming import rewrites
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.methods import Method, source_at
from minigrad.testing.naming.repair import PROVED, UNTOUCHED, elsewhere, is_ours, keeps, result_of
from minigrad.testing.naming.rewrites import Written
from minigrad.testing.naming.sentences import UNSUMMED
from minigrad.testing.naming.templates.edits import Edit, bodies, results_of, slots, value_of
from minigrad.testing.naming.templates.nodes import code
from minigrad.testing.naming.trials import Trials
from minigrad.testing.oracle.derivative import slope
from minigrad.testing.oracle.rounding import matches

PACKAGE = str(Path(__file__).parents[1])
STOPS = "this line waits for an answer, which nothing gives while backward is tried: leave it out"
MISREAD = "this line only prints, and raises meanwhile: leave it out, or mend what it reads"
ENTRIES = 8  # of each part that are compared
ONE_NUMBER = "one number stands where one for every entry belongs: a bias's is the sum over the rows, axis=0"
NO_ROWS = "of no rows a loop, or Python's sum, makes a number and no array: use array.sum(axis=0)"
EXCHANGED = "its two sides are exchanged"
KEPT_AXIS = "there is an axis too much: a sum over the batch has kept its axis, or one more axis is to be summed over"


def correction(bench: LayerBench, error: Exception | None, blamed: str | None = None) -> Correction | None:
    """The change with which backward runs and is right, or that which is `blamed` at least; None if none is found."""
    layers = list(walk([bench.subject.layer]))
    number, name, line = _place(error, layers) or (0, "backward", 0)
    bench.reset()
    y = bench.subject.forward(bench.x.copy())
    case = Case("", bench.x, bench.theta, bench.upstream(y), np.zeros(bench.subject.vector(bench.x, bench.theta).size))
    point, parts = bench.point(case), bench.parts()
    concerned = _concerned(bench, layers[number], name, line, parts)
    concerned = [part for part in parts if part.name == blamed] or concerned
    places = [n for part in concerned for n in _spread(part)]
    wanted = np.array([_numeric(point.f, point.v, point.dy, n) for n in places])
    wrong = Raised(number, name, line, isinstance(error, NameError | AttributeError))
    return _mended(bench, case, wrong, concerned, np.array(places, int), wanted)


def left_in(bench: LayerBench, error: Exception) -> Correction | None:
    """A line that is there to look on, a print or a breakpoint, where that is all that raises."""
    number, name, line = _place(error, list(walk([bench.subject.layer]))) or (0, "backward", 0)
    for written in rewrites.written_in(bench.layer, name):
        tree = written.method.tree
        silent = [(body, n) for body, _ in bodies(tree) for n, each in enumerate(body) if hasattr(each, "silenced")]
        there = [(body, n) for body, n in silent if body[n] is written.method.statement_at(line)]
        waiting = [(body, n) for body, n in silent if not ast.unparse(body[n].silenced).startswith("print")]
        written.edits.extend(Edit("", body[n], ((body, n, ast.Pass()),)) for body, n in there or waiting)
        if written.number == number and written.edits:
            says = STOPS if waiting and not (there and there[0] not in waiting) else MISREAD
            return rewrites.correction(bench.layer, bench.x, [written], says, True)
    return None


def _concerned(bench: LayerBench, holder: Any, name: str, line: int, parts: list[Part]) -> list[Part]:
    """The parts of a gradient that a line of a layer's backward has a part in; all, where that is not known."""
    method = Method.of(getattr(type(holder), name)) if name == "backward" else None
    statement = method.statement_at(line) if method else None
    results = results_of(method.tree).get(statement, frozenset()) if method else frozenset()
    found = [part for part in parts if (part.layer is holder or part.name == INPUT) and result_of(part) in results]
    return found if found and holder is bench.subject.layer else parts


@dataclass(frozen=True)
class Raised:
    """Where a backward raises: the layer's number in the walk, the method, the line; `there` if that line is wrong."""

    number: int
    name: str
    line: int
    there: bool = False


def _mended(
    bench: LayerBench, case: Case, at: Raised, parts: list[Part], positions: Array, wanted: Array
) -> Correction | None:
    """Try changes of a backward that raises, or returns no dx.

    The gradient is to be `wanted` at the positions, which lie in the parts.
    """
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    parts_right, every = {part.name for part in parts}, {part.name for part in bench.parts()}

    def run() -> Array:
        subject.dtheta[...] = UNTOUCHED
        subject.theta[...] = case.theta
        subject.forward(case.x.copy())
        try:
            dx = subject.layer.backward(case.dy.copy())
        except Exception:  # in a later line perhaps, when what is asked for is set already
            dx = None
        fits = isinstance(dx, np.ndarray) and dx.shape == case.x.shape
        return subject.collect(case.x, dx if fits else np.full_like(case.x, UNTOUCHED))[positions]

    def confirm() -> bool | None:
        try:
            found = [bench.prover.right_parts(point) for point in elsewhere(bench, subject)]
        except Exception:
            return False
        wholly = all(every <= each for each in found)
        mends = all(parts_right <= each for each in found) and not (wholly and not keeps(bench, holder))
        return wholly if mends else None

    holder = list(walk([subject.layer]))[at.number]
    trials = Trials(holder, run, wanted, confirm, Deadline(REFUSAL), proved=PROVED)
    if matches(run(), wanted):  # it raises for other rows
        return None
    return trials.correction_at(at.name, at.line, at.there)


def _spread(part: Part) -> Iterator[int]:
    """Positions from all over a part."""
    count = min(part.span.stop - part.span.start, ENTRIES)
    return iter(np.linspace(part.span.start, part.span.stop - 1, count).astype(int).tolist())


def _numeric(f: Any, v: Array, dy: Array, position: int) -> float:
    return float((dy * slope(f, v, (np.arange(len(v)) == position) * 1.0).value).sum())


def _place(error: Exception | None, layers: list[Any]) -> tuple[int, str, int] | None:
    """The last method of a layer on the way to an error: which layer, the method's name, and the line there."""
    found = None
    for frame, line in walk_tb(error.__traceback__ if error else None):
        for number, layer in enumerate(layers):
            is_method = hasattr(type(layer), frame.f_code.co_name)  # and no generator in one
            if frame.f_locals.get("self") is layer and is_method and (number == 0 or not is_ours(layer)):
                found = (number, frame.f_code.co_name, line)
    return found


def indented(layer: Any, error: BaseException | None) -> str:
    """Words for a method that there is none of, because it is defined within another one; empty if that is not so."""
    name = error.name if isinstance(error, AttributeError) else None
    for holder, method in vars(type(layer)).items() if name else ():
        found = definition_of(inspect.unwrap(method)) if isinstance(method, FunctionType) else None
        for node in ast.walk(found[0]) if found else ():
            if isinstance(node, ast.FunctionDef) and node.name == name != holder:
                return f"`def {name}` is indented too far: it stands within {holder}, and is no method of the layer"
    return ""


def shapes(error: BaseException | None, rows: int = 0, before: int = 0) -> str:
    """The shapes that do not fit each other in the expression that raised, in words; empty where none are known.

    It raised for a batch of so many rows, after others that had some number before.
    """
    held = _raising(error)
    operands = _operands(source_at(held.tb_frame.f_code, held.tb_lasti)) if held else None
    if held is None or operands is None:
        return ""
    left, right, is_product = operands
    scope = _scope(held.tb_frame)
    a, b = (getattr(value_of(each, scope), "shape", None) for each in (left, right))
    if a is None or b is None:
        return ""
    if is_product:
        return _of_product(code(left), a, code(right), b)
    apart = [(n, m) for n, m in zip(a[::-1], b[::-1], strict=False) if n != m and 1 not in (n, m)]
    if not apart:
        return ""
    n, m = apart[0]
    text = f"{code(left)} has the shape {a}, {code(right)} {b}"
    if {n, m} == {rows, before}:
        old = code(left if n == before else right)
        return f"{text}: {old} has the rows of an earlier batch: it was kept then, and is not replaced"
    return f"{text}: axes are matched from the last one on, and {n} is not {m}"


def exchanged(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """The two sides of the product that forward raised at exchanged, if it is right then."""
    held, rewritten = _raising(error), list[Written]()
    raised = source_at(held.tb_frame.f_code, held.tb_lasti) if held else None
    if raised is None or _operands(raised) is None:
        return None
    for each in rewrites.written_in(layer, "forward"):
        for slot in slots(each.method.tree, {}):
            if ast.unparse(slot.node) == ast.unparse(raised) and (operands := _operands(slot.node)) and operands[2]:
                of: Any = slot.node
                one, other = (
                    ((of, "left"), (of, "right")) if isinstance(of, ast.BinOp) else ((of.args, 0), (of.args, 1))
                )
                each.edits.append(Edit("", slot.statement, ((*one, operands[1]), (*other, operands[0]))))
        rewritten += [each] if each.edits else []
    return rewrites.correction(layer, x, rewritten, EXCHANGED, surely=False) if rewritten else None


def _raising(error: BaseException | None) -> TracebackType | None:
    """The last call on the way to an error that is of neither minigrad nor NumPy."""
    trace, held = error.__traceback__ if error else None, None
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith((PACKAGE, str(Path(np.__file__).parent))):
            held = trace
        trace = trace.tb_next
    return held


def _operands(node: Any) -> tuple[Any, Any, bool] | None:
    """The two operands of an expression, and whether it is a product of matrices."""
    if isinstance(node, ast.BinOp):
        return node.left, node.right, isinstance(node.op, ast.MatMult)
    if isinstance(node, ast.AugAssign):
        return node.target, node.value, isinstance(node.op, ast.MatMult)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("dot", "matmul") and len(node.args) == 2:
        return node.args[0], node.args[1], True
    return None


def _of_product(left: str, a: tuple[int, ...], right: str, b: tuple[int, ...]) -> str:
    text = f"{left} has the shape {a}, {right} {b}"
    if not a or not b:
        return f"{text}: @ multiplies arrays, for a number use *"
    inner, which = (b[-2], "last but one" if len(b) > 2 else "first") if len(b) > 1 else (b[-1], "last")
    if a[-1] != inner:
        return (
            f"{text}: @ goes along the last axis of the one, {a[-1]}, and the {which} of the other, {inner}, which "
            "have to be equal"
        )
    return f"{text}: the axes before the last two have to be equal"


def _scope(frame: FrameType) -> dict[str, Any]:
    held = frame.f_locals.get("self")
    return {**frame.f_locals, **{f"self.{name}": value for name, value in getattr(held, "__dict__", {}).items()}}


def of_value(error: Exception, rows: int) -> str:
    """What the value that an array did not take says of the bug, if that is the error."""
    refused = _not_taken(error)
    if refused is not None:
        shape, value = refused
        if value.shape == (rows, *shape):
            return UNSUMMED
        if value.shape == (rows,) != shape and len(shape) == 1:
            return "summed over the outputs, one number for every row: sum over the rows, with axis=0"
        if value.shape == () and shape:
            return ONE_NUMBER if rows else NO_ROWS
        if len(shape) == 2 and value.shape == shape[::-1]:
            return "transposed: the gradient has the two axes of its parameter exchanged"
        if value.ndim == len(shape) + 1 and value.shape[1:] == shape:
            return KEPT_AXIS
    shapes = re.findall(r"\(([\d,]*)\)", str(error)) if "input array from shape" in str(error) else []
    if len(shapes) == 2 and shapes[0].split(",") == [str(rows), *filter(None, shapes[1].split(","))]:
        return UNSUMMED
    if "read-only" in str(error):
        return "an argument is overwritten in place; work on a copy"
    return ""


def _not_taken(error: Exception) -> tuple[tuple[int, ...], Array] | None:
    """The shape of a declared array and the value of another shape that it did not take, if that is the error."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is Declared.__set__.__code__:
            held, value = frame.f_locals.get("held"), frame.f_locals.get("value")
            if held is not None and value is not None:
                return held.shape, np.asarray(value)
    return None

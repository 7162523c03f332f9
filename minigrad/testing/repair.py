"""Which one change of the code would make a gradient right: tried, not guessed.

The source of `backward`, and of the methods that it calls, is changed at one place at a time
(`minigrad.testing.slips`), compiled and run on a copy. A change that gives the right gradient where it was wrong, and
at another input with other parameters, is the `Correction`: it says where the slip is, and what to write instead.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from minigrad.derivation.insertion import definition_of
from minigrad.parameter import Array, walk
from minigrad.testing.bench import LayerBench
from minigrad.testing.edits import Edit
from minigrad.testing.loss_bench import LossBench
from minigrad.testing.point import Mismatch, Point
from minigrad.testing.rounding import matches
from minigrad.testing.slips import Known, edits
from minigrad.testing.subject import INPUT, Case, Part, Subject

SECONDS = 1.5  # of the processor that all trials may take
UNTOUCHED = 0.7071067811865476
KEPT = ("forward", "predict", "config", "output_shape")  # methods that no gradient is computed in


@dataclass(frozen=True)
class Correction:
    """A change with which the gradient is right: words for the slip, its line, that line and what is to stand there."""

    says: str
    place: str
    written: str
    right: str


class Trials:
    """Changes of methods of `holder` that are tried one after the other.

    `run` gives the gradient that is wrong with the holder as it is; it is to be `wanted`. `confirm` then says whether
    it is right elsewhere: None if it is not, False if something else is still wrong. A change that leaves nothing wrong
    is looked for, and one that mends this gradient alone is the second best.
    """

    def __init__(
        self,
        holder: Any,
        run: Callable[[], Array],
        wanted: Array,
        confirm: Callable[[], bool | None],
        until: float,
    ) -> None:
        self.holder = holder
        self.run = run
        self.wanted = wanted
        self.confirm = confirm
        self.until = until
        self.count: int = 0
        self.in_time: bool = True
        self.partly: Correction | None = None

    def correction(self, *starts: str, blamed: str = "", wrong: frozenset[str] = frozenset()) -> Correction | None:
        """The first change that is right, of the methods named and of those that they call.

        `blamed` is the result of the first of them that is looked at, "return" or "self.dW", `wrong` are all that are
        wrong.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler too
            for name in _methods(type(self.holder), starts):
                method = _Method.of(getattr(type(self.holder), name))
                found = self._first_right(method, name, *((blamed, wrong) if name == starts[0] else ("", ())))
                if found is not None or not self.in_time:
                    return found or self.partly
        return self.partly

    def _first_right(self, method: _Method | None, name: str, blamed: str, wrong: Iterable[str]) -> Correction | None:
        if method is None:
            return None
        known = Known(self._scope(method), method.constants, method.functions, blamed, frozenset(wrong))
        for edit in edits(method.tree, known):
            if time.thread_time() > self.until:
                self.in_time = False
                return None
            found = self._tried(method, name, edit)
            if found is not None:
                return found
        return None

    def _tried(self, method: _Method, name: str, edit: Edit) -> Correction | None:
        self.count += 1
        try:
            with edit.made() as statement:
                function = method.compiled()
                right = _first_line(statement)
            vars(self.holder)[name] = MethodType(function, self.holder)
            wholly = self.confirm() if matches(self.run(), self.wanted) else None
        except Exception:  # most changes make no sense
            return None
        finally:
            vars(self.holder).pop(name, None)
        if wholly is None:
            return None
        found = Correction(edit.says, method.place(edit.statement), _first_line(edit.statement), right)
        self.partly = self.partly or found
        return found if wholly else None

    def _scope(self, method: _Method) -> dict[str, Any]:
        """The values of a method's names when it returns, and of what self has."""
        seen: dict[str, Any] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code is method.code:
                seen.update(frame.f_locals)

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            self.run()
        except Exception:
            pass
        finally:
            sys.setprofile(before)
        gradients = [self.holder.gradient_name(name) for name in getattr(self.holder, "params", ())]
        kept = {key: value for key, value in vars(self.holder).items() if key not in gradients and key[0] != "_"}
        held = {f"self.{key}": value for key, value in kept.items()}
        return {key: value for key, value in seen.items() if key != "self"} | held


@dataclass
class _Method:
    """A method's source as a tree, and what is needed to compile it again."""

    function: FunctionType
    tree: ast.FunctionDef
    module: ast.Module
    first: int
    constants: set[Any]
    functions: set[str]

    @classmethod
    def of(cls, function: Any) -> _Method | None:
        """None where there is no source, or a loop that might not end."""
        function = inspect.unwrap(function)
        found = definition_of(function)
        if found is None or any(isinstance(node, ast.While) for node in ast.walk(found[0])):
            return None
        tree, _, first = found
        tree.decorator_list, tree.returns = [], None
        for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
            argument.annotation = None
        _Silent().visit(tree)
        cells = [ast.arg(name) for name in dict.fromkeys((*function.__code__.co_freevars, "__class__"))]
        given = ast.arguments([], cells, None, [], [], None, [])
        made = ast.FunctionDef("made", given, [tree, ast.Return(ast.Name(tree.name, ast.Load()))], [], None)
        module = ast.fix_missing_locations(ast.Module([made], []))
        around = _class_of(function)
        values: set[Any] = {node.value for node in ast.walk(around) if isinstance(node, ast.Constant)}
        constants = {value for value in values if type(value) in (int, float) and abs(value) < 1e6}
        calls = [node for node in ast.walk(around) if isinstance(node, ast.Call) and len(node.args) == 1]
        names = {ast.unparse(call.func) for call in calls if not call.keywords}
        named = {name for name in names if name.startswith("np.") or name in function.__globals__ or name == "abs"}
        return cls(function, tree, module, first, constants, named)

    @property
    def code(self) -> CodeType:
        """The code that runs now."""
        return self.function.__code__

    def compiled(self) -> Any:
        """The function that the tree is now."""
        made: dict[str, Any] = {}
        exec(compile(self.module, "<a change of it>", "exec"), self.function.__globals__, made)
        held = zip(self.code.co_freevars, self.function.__closure__ or (), strict=True)
        cells = {name: cell.cell_contents for name, cell in held}
        return made["made"](**{"__class__": None} | cells)

    def place(self, statement: Any) -> str:
        """The file and the line of a statement."""
        file, line = Path(self.code.co_filename), f"line {self.first + statement.lineno - 1}"
        return f"{file.name}, {line}" if file.exists() else line


class _Silent(ast.NodeTransformer):
    """Takes out prints, which would come a thousand times."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Pass, in the place of a print."""
        printed = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "print"
        return ast.copy_location(ast.Pass(), node) if printed else node


def _class_of(function: Any) -> ast.AST:
    """The source of the class that a method stands in."""
    lines, first = linecache.getlines(function.__code__.co_filename), function.__code__.co_firstlineno
    try:
        classes = [node for node in ast.walk(ast.parse("".join(lines))) if isinstance(node, ast.ClassDef)]
    except SyntaxError:  # of a notebook's own commands, say
        classes = []
    around = [cls for cls in classes if cls.lineno <= first <= (cls.end_lineno or 0)]
    return around[-1] if around else ast.Module([], [])


def _methods(cls: type, starts: tuple[str, ...]) -> Iterator[str]:
    """Names of methods: these, and those of the class that they call of self."""
    found, left = dict[str, None](), list(starts)
    while left:
        name = left.pop(0)
        function = getattr(cls, name, None)
        if name in found or not callable(function):
            continue
        found[name] = None
        code = getattr(inspect.unwrap(function), "__code__", None)
        left += [called for called in getattr(code, "co_names", ()) if _is_helper(cls, called)]
    return iter(found)


def _is_helper(cls: type, name: str) -> bool:
    return name not in KEPT and isinstance(inspect.getattr_static(cls, name, None), FunctionType)


def _first_line(statement: Any) -> str:
    if isinstance(statement, ast.Pass):
        return "nothing: leave the line out"
    line = ast.unparse(statement).splitlines()[0]
    if isinstance(statement, ast.Assign | ast.Return) and isinstance(statement.value, ast.Tuple):
        return line.replace(ast.unparse(statement.value), ast.unparse(statement.value)[1:-1])
    return line


@dataclass(frozen=True)
class Outcome:
    """What the trials have given: a correction, or how many changes were tried, and whether those were all."""

    correction: Correction | None
    count: int
    in_time: bool


def of_layer(bench: LayerBench, case: Case, mismatch: Mismatch) -> Outcome:
    """Try changes of the layer that has the part which is wrong, then of the layers in it and around it."""
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    wrong, positions, wanted = _wrong(bench, case, mismatch)
    right = {part.name for part in mismatch.point.parts} - {part.name for part in wrong} | {mismatch.part.name}
    every = {part.name for part in mismatch.point.parts}
    layers = list(walk([bench.subject.layer]))
    own = next((n for n, layer in enumerate(layers) if layer is mismatch.part.layer), 0)
    holders = list(walk([subject.layer]))
    names = {part.name: _result(part) for part in wrong if part.layer is layers[own]}

    def run() -> Array:
        subject.dtheta[...] = UNTOUCHED  # or what an earlier trial has set would be taken for this one's
        return subject.gradient(case.x.copy(), case.theta, case.dy.copy())[positions]

    def confirm() -> bool | None:
        found = [bench.prover.right_parts(point) for point in _elsewhere(bench, subject)]
        return None if not all(right <= each for each in found) else all(every <= each for each in found)

    count, until, partly = 0, time.thread_time() + SECONDS, None
    for number in [own, *(n for n in range(len(holders)) if n != own)]:
        trials = Trials(holders[number], run, wanted, confirm, until)
        mine = (
            (names.get(mismatch.part.name, ""), frozenset(names.values())) if number == own else ("", frozenset[str]())
        )
        found = trials.correction("backward", blamed=mine[0], wrong=mine[1])
        count, partly = count + trials.count, partly or found
        if (found and found is not trials.partly) or not trials.in_time:
            return Outcome(found or partly, count, trials.in_time)
    return Outcome(partly, count, True)


def _result(part: Part) -> str:
    """Where a method puts the gradient of a part."""
    return "return" if part.name == INPUT else f"self.{part.layer.gradient_name(part.name.split('.')[-1])}"


def _wrong(bench: LayerBench, case: Case, mismatch: Mismatch) -> tuple[list[Part], Array, Array]:
    """The parts that are wrong, and of one of them positions, and what should stand there: some of it not 0."""
    point = mismatch.point
    right = bench.prover.right_parts(point)
    wrong = [part for part in point.parts if part.name not in right or part.name == mismatch.part.name]
    if mismatch.wanted.any():
        size = abs(mismatch.wanted).max()
        if size > 1e-9 * abs(point.gradient).max(initial=0):
            return wrong, np.array(mismatch.positions), mismatch.wanted
    for part in wrong:
        if part.name != mismatch.part.name:
            positions = np.arange(part.span.start, min(part.span.stop, part.span.start + 12))
            wanted = np.array([bench.prover.entry(point, int(position)).numeric for position in positions])
            if abs(wanted).max(initial=0) > 1e-9 * abs(point.gradient).max(initial=0):
                return wrong, positions, wanted
    return wrong, np.array(mismatch.positions), mismatch.wanted


ELSEWHERE = ("zeros at the end", "ties", "large", "negative", "rows of another size")


def _elsewhere(bench: LayerBench, subject: Subject) -> Iterator[Point]:
    """The changed copy's gradient at other inputs, with other parameters."""
    others = [(name, x) for name, x in bench.situations() if name.startswith(ELSEWHERE)]
    others += bench.between_branches(subject.layer)
    for name, x in [("another x", bench.another()), *others]:
        if bench.finite(x, bench.theta):
            subject.theta[...] = bench.theta
            y = subject.forward(x.copy())
            dy = bench.upstream(y)
            gradient = subject.collect(x, subject.layer.backward(dy.copy())).copy()
            yield bench.point(Case(name, x, bench.theta, dy, gradient), subject)


def of_loss(bench: LossBench, p: Array, t: Array, mismatch: Mismatch) -> Outcome:
    """Try changes of a loss's slopes."""
    positions = np.array(mismatch.positions)

    def run() -> Array:
        return np.array(bench.loss.backward(p.copy(), t.copy())).ravel()[positions]

    def confirm() -> bool | None:
        return "p" in bench.prover.right_parts(bench.point("elsewhere", bench.rng.permutation(p), t)) or None

    trials = Trials(bench.loss, run, mismatch.wanted, confirm, time.thread_time() + SECONDS)
    found = trials.correction("slopes", "backward")
    return Outcome(found, trials.count, trials.in_time)

"""Changes of an answer's backward, line by line: with which each name is given what the lesson's is given.

The first line that gives a name something else is wrong, if the name is for the same thing. What changes it so that it
does not, is made, and the next such line looked for: so several slips are found, each in a line of its own.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.parameter import Array, gradient_name
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Case, Subject
from minigrad.testing.budget import LINE_BY_LINE, Deadline
from minigrad.testing.naming.asked import Change, Values, apart, gradients, holds, run, running, same, wanted_of
from minigrad.testing.naming.corrections import Correction, correction_of
from minigrad.testing.naming.methods import SEEN, Method, first_line
from minigrad.testing.naming.templates.calls import updated
from minigrad.testing.naming.templates.edits import Edit, all_made, one_at_each_place, statements_of
from minigrad.testing.naming.templates.loops import rows_for_steps
from minigrad.testing.naming.templates.nodes import code
from minigrad.testing.naming.templates.slips import Known, as_asked, edits, whole_method

MOST = 4  # lines that are changed


@dataclass(frozen=True)
class Lines:
    """What was found: a correction of so many lines, and the line at which it ended, with what is said of that.

    What a line reads may be wrong itself, if the lesson has no name for that: then it is not the `only` one.
    """

    correction: Correction | None = None
    count: int = 0
    only: bool = False
    says: str = ""
    written: str = ""

    @property
    def surely(self) -> bool:
        """Whether all is right with the correction of one line, which is the only one in question."""
        return self.only and self.count == 1 and self.correction is not None and self.correction.wholly is True

    def or_rather(self, other: Correction | None) -> Correction | None:
        """The correction, or another one that says more: of fewer lines, or of more that is right."""
        if self.surely or not (other and self.correction):
            return self.correction or other
        return self.correction if self.correction.wholly and not other.wholly else other


def read(bench: LayerBench) -> Lines:
    """The changes of the layer on the bench, if another one was asked for."""
    method = Method.of(type(bench.layer).backward)
    if bench.asked is None or method is None:
        return Lines()
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    cases = [_case(bench, subject, x) for x in (bench.x, bench.another())]
    return _Reading(bench, subject, method, cases).lines()


def _case(bench: LayerBench, subject: Subject, x: Array) -> Case:
    subject.theta[...] = bench.theta
    return Case("", x, bench.theta, bench.upstream(subject.forward(x.copy())), np.zeros(0))


class _Reading:
    def __init__(self, bench: LayerBench, subject: Subject, method: Method, cases: list[Case]) -> None:
        assert bench.asked is not None
        self.subject, self.method, self.case = subject, method.watched(), cases[0]
        self.cases = cases
        self.asked = [bench.asked.values(subject, case) for case in cases]
        self.theirs: Values = self.asked[0][0]
        layer, self.deadline = subject.layer, Deadline(LINE_BY_LINE)
        self.gradients = {gradient_name(layer, name) for name in layer.params} | {"return"}
        self._forward(self.case)
        known = method.known(layer, lambda: layer.backward(self.case.dy.copy()))
        self.known: Known = bench.asked.known("backward", method, known)

    def lines(self) -> Lines:
        """Change line after line until none is wrong, or one that is can't be mended."""
        made, mended = self._last([]), set[str]()
        if made:
            return self._lines(made)
        while len(statements_of(made)) < MOST:
            mine, raised = self._run(made)
            found = self._first_wrong(mine, raised, made)
            if found is None or found[0] in mended:  # of which nothing more can be said
                break
            mended.add(found[0])
            held = {each: given[-1].value for each, given in mine.items() if "." not in each and each != "return"}
            self.known = replace(self.known, scope={**self.known.scope, **held})  # once more of it runs
            further = self._mending(*found, raised is not None or not self._fits(found[0], mine), made)
            if not further:
                last = self._last(made)
                return self._lines(last) if last else self._ended(made, *found, mine)
            made += further
        return self._lines((None if self._right(made) else self._last(made)) or made)

    def _last(self, made: list[Edit]) -> list[Edit]:
        """The changes with one more, of what is returned or cleared, with which all is right; none if there is none."""
        further = [[edit] for edit in whole_method(self.method.tree, self.known)]
        further.append(rows_for_steps(self.method.tree, self.known.scope))
        further.append([e for e in updated(self.method.tree, self.known.gradients) if SEEN not in code(e.statement)])
        return next(([*made, *more] for more in further if more and self._right([*made, *more])), [])

    def _first_wrong(self, mine: Values, raised: int | None, made: list[Edit]) -> tuple[str, Any] | None:
        """The name that first holds something else, with its statement; or what the line that raises is to set."""
        wrong = apart(mine, self._so_far(mine, raised), self.gradients)
        for name, given in wrong.items():
            if not self._is_another(name, mine, made):
                return name, self._statement(given.line)
        statement = self._statement(raised) if raised else None
        for name in _set_by(statement):
            if wanted_of(name, self.theirs, self.gradients):
                return name, statement
        return None

    def _so_far(self, mine: Values, raised: int | None) -> Values:
        """What the lesson's names are given up to where the answer raises, in the first pass of a loop perhaps."""
        if raised is None:
            return self.theirs
        return {name: given[: len(mine.get(name, given))] for name, given in self.theirs.items()}

    def _is_another(self, name: str, mine: Values, made: list[Edit]) -> bool:
        """Whether a name is for something else than the lesson's: what comes of it is right, and not with that."""
        right = [other for other in mine if other != name and holds(other, mine, self.theirs, self.gradients)]
        read = [other for other in right if name in self._names_in(self._statement(mine[other][-1].line))]
        changed = self._run(made, self._as_theirs(name, mine))[0] if read else {}
        return any(other in changed and not holds(other, changed, self.theirs, self.gradients) for other in read)

    def _as_theirs(self, name: str, mine: Values) -> Change:
        """The change that gives a name what the lesson's is given."""
        held, count = wanted_of(name, self.theirs, self.gradients), len(mine.get(name, ()))

        def change(given: str, value: Any, before: int) -> Any:
            if given == name and len(held) == count:
                return copy.deepcopy(held[before].value)
            return copy.deepcopy(held[-1].value) if given == name and before == count - 1 else value

        return change

    def _names_in(self, statement: Any) -> set[str]:
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}

    def _fits(self, name: str, mine: Values) -> bool:
        """Whether a name has the shape of the lesson's."""
        own, wanted = mine[name][-1].value, wanted_of(name, self.theirs, self.gradients)[-1].value
        return getattr(own, "shape", ()) == getattr(wanted, "shape", ())  # a number, or several arrays, have none

    def _mending(self, name: str, statement: Any, of_any_shape: bool, made: list[Edit]) -> list[Edit]:
        """The change of a statement with which this name holds what the lesson's does, at one place or at several."""
        known = replace(self.known, only=statement, of_any_shape=of_any_shape)
        alike: dict[str, list[Edit]] = {}
        for edit in edits(self.method.tree, known):
            if SEEN in edit.says:  # of what is put there to watch
                continue
            if self._holds(name, statement, [*made, edit]):
                return [edit]
            for slip in edit.slips:
                alike.setdefault(slip, []).append(edit)
        for several in map(one_at_each_place, alike.values()):
            if len(several) > 1 and self._holds(name, statement, [*made, *several]):
                return several
        return next(
            ([edit] for edit in as_asked(self.method.tree, known) if self._holds(name, statement, [*made, edit])), []
        )

    def _holds(self, name: str, statement: Any, made: list[Edit]) -> bool:
        """Whether a name, which a statement sets, holds what the lesson's does with these changes, in time."""
        if self.deadline.is_over():
            return False
        try:
            mine, raised = self._run(made)
            runs = raised is None or self._statement(raised) not in (statement, None)  # what is put there has no line
            return runs and holds(name, mine, self._so_far(mine, raised), self.gradients)
        except Exception:  # most changes make no sense
            return False

    def _ended(self, made: list[Edit], name: str, statement: Any, mine: Values) -> Lines:
        """What is found once a line can't be mended."""
        changed, raised = self._run(made, self._as_theirs(name, mine))
        results = {"return", *(f"self.{each}" for each in self.gradients)}
        if raised or results & {*apart(changed, self.theirs, self.gradients), name, f"self.{name}"}:
            return self._lines(made)
        says = f"`{name}` does not hold what the lesson's `{name}` does: with that, all else is right"
        return self._lines(made, says, f"{first_line(statement)}   ({self.method.place(statement)})")

    def _run(self, made: list[Edit], change: Change | None = None) -> tuple[Values, int | None]:
        self._forward(self.case)
        with all_made(made):
            return run(self.subject.layer, self.method, self.case.dy, change)

    def _forward(self, case: Case) -> None:
        self.subject.theta[...] = case.theta
        self.subject.dtheta[...] = np.nan
        self.subject.forward(case.x.copy())

    def _right(self, made: list[Edit]) -> bool:
        """Whether all gradients are right then, for another x too."""
        try:
            with all_made(made), running(self.subject.layer, self.method):
                for case, (_, right) in zip(self.cases, self.asked, strict=True):
                    self._forward(case)
                    found = gradients(self.subject, case)
                    if not all(same(found.get(part), array) for part, array in right.items()):
                        return False
        except Exception:  # of a change that makes no sense
            return False
        return True

    def _lines(self, made: list[Edit], says: str = "", written: str = "") -> Lines:
        found = correction_of("backward", self.method, made, self._right(made)) if made else None
        if found:
            cls = type(self.subject.layer)
            with all_made(made):
                unseen = {(cls, SEEN): lambda _, name, value, line: value}
                found = replace(found, changed={(cls, "backward"): self.method.compiled(), **unseen})
        return Lines(found, len(statements_of(made)), all(map(self._is_known, statements_of(made))), says, written)

    def _is_known(self, statement: Any) -> bool:
        """Whether the lesson has all variables that a statement reads."""
        read = self._names_in(statement)
        own = {name: value for name, value in self.known.scope.items() if isinstance(value, np.ndarray)}
        held = [given.value for values in self.theirs.values() for given in values]
        return all(
            any(same(own[name], value) for value in (self.case.dy, *held))
            for name in (read & {*own}) - {*self.theirs, *_set_by(statement)}
        )

    def _statement(self, line: int) -> Any:
        """The statement of a line of the method's source."""
        return self.method.statement_at(line + self.method.first - 1)


def _set_by(statement: Any) -> Iterator[str]:
    """The names that a statement gives a value to, as `Values` has them."""
    if isinstance(statement, ast.Return):
        yield "return"
    for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
        for node in ast.walk(target) if target else ():
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield ast.unparse(node)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                yield ast.unparse(node.value)

"""Which one change of the code would make a gradient right: tried, not guessed.

The source of `backward`, and of the methods that it calls, is changed at one place at a time
(`minigrad.testing.slips`), compiled and run on a copy. A change that gives the right gradient where it was wrong, and
at another input with other parameters, is the `Correction`: it says where the slip is, and what to write instead. If
there is none, two changes at once are tried: beside those that bring the gradient nearer to the right one, all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np

from minigrad.parameter import Array, walk
from minigrad.testing.bench import LayerBench
from minigrad.testing.edits import Edit
from minigrad.testing.loss_bench import LossBench
from minigrad.testing.methods import Method, first_line, methods
from minigrad.testing.point import Mismatch, Point
from minigrad.testing.rounding import matches
from minigrad.testing.slips import Known, edits
from minigrad.testing.subject import INPUT, Case, Part, Subject

SECONDS = 1.5  # of the processor that all trials may take
PAIR_SECONDS = 1.5  # and those of two changes at once
PAIRED = 12  # changes that others are tried beside: those that come nearest
UNTOUCHED = 0.7071067811865476


@dataclass(frozen=True)
class Correction:
    """A change with which the gradient is right: words for the slip, its line, that line and what is to stand there."""

    says: str
    place: str
    written: str
    right: str


class Trials:
    """Changes of methods of `holder` that are tried one after the other, and then two at once.

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
        self._nearer: list[tuple[float, int, _Changed]] = []
        self._distance = self._from_wanted(run())

    def correction(self, *starts: str, blamed: str = "", wrong: frozenset[str] = frozenset()) -> Correction | None:
        """The first change that is right, of the methods named and of those that they call.

        `blamed` is the result of the first of them that is looked at, "return" or "self.dW", `wrong` are all that are
        wrong.
        """
        for name in methods(type(self.holder), starts):
            method = Method.of(getattr(type(self.holder), name))
            if method is not None:
                known = method.known(self.holder, self.run, *((blamed, wrong) if name == starts[0] else ()))
                found = self._first_right(_Changed(name, method, known))
                if found is not None or not self.in_time:
                    return found or self.partly
        return self.partly

    def two(self, until: float) -> Correction | None:
        """The first pair of changes that is right: one that has brought the gradient nearer, and another after it."""
        self.until, self.in_time = until, True
        for _, _, first in sorted(self._nearer)[:PAIRED]:
            assert first.edit is not None
            with first.edit.made():
                found = self._first_right(first)
            if found is not None or not self.in_time:
                return found
        return None

    def _first_right(self, at: _Changed) -> Correction | None:
        for edit in edits(at.method.tree, at.known):
            if time.thread_time() > self.until:
                self.in_time = False
                return None
            found = self._tried(at, edit)
            if found is not None:
                return found
        return None

    def _tried(self, at: _Changed, edit: Edit) -> Correction | None:
        self.count += 1
        try:
            with edit.made() as statement:
                function = at.method.compiled()
                right = first_line(statement)
                added = edit.added
                right = f"{right};  {first_line(added)}" if added else right
            vars(self.holder)[at.name] = MethodType(function, self.holder)
            given = self.run()
            wholly = self.confirm() if matches(given, self.wanted) else None
            if wholly is None:
                self._keep(at, edit, self._from_wanted(given))
        except Exception:  # most changes make no sense
            return None
        finally:
            vars(self.holder).pop(at.name, None)
        if wholly is None:
            return None
        found = Correction(edit.says, at.method.place(edit.statement), first_line(edit.statement), right)
        if at.edit is not None:
            found = _both(at, found)
        self.partly = self.partly or found
        return found if wholly else None

    def _keep(self, at: _Changed, edit: Edit, distance: float) -> None:
        """Remember a change that has brought the gradient nearer, of those that came equally near the first."""
        nearer = at.edit is None and distance < 0.999 * self._distance
        if nearer and all(abs(distance - other) > 1e-9 * other for other, *_ in self._nearer):
            self._nearer.append((distance, self.count, replace(at, edit=edit)))

    def _from_wanted(self, given: Array) -> float:
        distance = float(np.linalg.norm(given - self.wanted))
        return distance if np.isfinite(distance) else np.inf


@dataclass(frozen=True)
class _Changed:
    """A method, what is known of it, and the change that is made in it already, if one is."""

    name: str
    method: Method
    known: Known
    edit: Edit | None = None


def _both(at: _Changed, second: Correction) -> Correction:
    """Two changes as one correction."""
    assert at.edit is not None
    before = first_line(at.edit.statement)
    with at.edit.made() as statement:
        after = first_line(statement)
    place = at.method.place(at.edit.statement)
    says = f"two slips: {at.edit.says}; and {second.says}"
    if place == second.place:
        return Correction(says, place, before, second.right)
    return Correction(says, f"{place}; {second.place}", f"{before};  {second.written}", f"{after};  {second.right}")


@dataclass(frozen=True)
class Outcome:
    """What the trials have given: a correction, or how many changes were tried, and whether those were all."""

    correction: Correction | None
    count: int
    in_time: bool
    first: Trials | None = None  # those of the method that is blamed

    def of_two(self) -> Correction | None:
        """Two changes at once, now that no single one was right."""
        return self.first.two(time.thread_time() + PAIR_SECONDS) if self.first else None


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

    until, partly, tried = time.thread_time() + SECONDS, None, list[Trials]()
    for number in [own, *(n for n in range(len(holders)) if n != own)]:
        trials = Trials(holders[number], run, wanted, confirm, until)
        tried.append(trials)
        mine = (
            (names.get(mismatch.part.name, ""), frozenset(names.values())) if number == own else ("", frozenset[str]())
        )
        found = trials.correction("backward", blamed=mine[0], wrong=mine[1])
        partly = partly or found
        if (found and found is not trials.partly) or not trials.in_time:
            partly = found or partly
            break
    return _outcome(partly, tried)


def _outcome(found: Correction | None, tried: list[Trials]) -> Outcome:
    return Outcome(found, sum(each.count for each in tried), all(each.in_time for each in tried), tried[0])


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


ELSEWHERE = ("zeros at the end", "ties", "large", "negative", "more rows", "rows of another size")


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
        others = [("elsewhere", bench.rng.permutation(p), t), *bench.situations("", p, t)]
        return all("p" in bench.prover.right_parts(bench.point(*other)) for other in others) or None

    trials = Trials(bench.loss, run, mismatch.wanted, confirm, time.thread_time() + SECONDS)
    return _outcome(trials.correction("slopes", "backward"), [trials])

"""Which change of the code would make a gradient right: tried, not guessed.

What is changed (`trials`) is the source of `backward` and of the methods that it calls, of the layer
that has the part which is wrong, then of the layers in it and around it. Layers of the package in a layer of one's own
are left as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, gradient_name, walk
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.bench.subject import INPUT, Case, Part, Subject
from minigrad.testing.budget import ONE_CHANGE, REWRITTEN, SEVERAL_CHANGES, Deadline
from minigrad.testing.naming import remaining
from minigrad.testing.naming.asked import Asked
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.methods import Method
from minigrad.testing.naming.remaining import Rules, corrected, methods_of
from minigrad.testing.naming.trials import Trials
from minigrad.testing.oracle.point import Mismatch, Point
from minigrad.testing.plain import Plain
from minigrad.testing.report import Report
from minigrad.testing.rules.gradients import derivative, linear, other_widths, try_gradients
from minigrad.testing.rules.protocol import arguments_unchanged

UNTOUCHED = 0.7071067811865476
PROVED = tuple(rule.promise for rule in (derivative, other_widths))  # of what is wholly right


@dataclass(frozen=True)
class Outcome:
    """What the trials have given: a correction, or how many changes were tried, and whether those were all."""

    correction: Correction | None
    count: int
    in_time: bool
    first: Trials | None = None  # those of the method that is blamed

    def of_several(self) -> Correction | None:
        """Several changes at once, now that no single one was right."""
        return self.first.several(Deadline(SEVERAL_CHANGES)) if self.first else None


def of_layer(bench: LayerBench, case: Case, mismatch: Mismatch) -> Outcome:
    """Try changes of the layer that has the part which is wrong, then of the layers in it and around it."""
    bench.subject.rewind()
    subject = Subject(bench.subject.layer)
    wrong, positions, wanted = _wrong(bench, mismatch)
    right = {part.name for part in mismatch.point.parts} - {part.name for part in wrong} | {mismatch.part.name}
    every = {part.name for part in mismatch.point.parts}
    layers = list(walk([bench.subject.layer]))
    own = next((n for n, layer in enumerate(layers) if layer is mismatch.part.layer), 0)
    holders = list(walk([subject.layer]))
    names = {part.name: result_of(part) for part in wrong if part.layer is layers[own]}
    changed = [n for n, layer in enumerate(layers) if n == 0 or not is_ours(layer) or is_ours(layers[0])]

    def run() -> Array:
        subject.dtheta[...] = UNTOUCHED  # or what an earlier trial has set would be taken for this one's
        return subject.gradient(case.x.copy(), case.theta, case.dy.copy())[positions]

    def confirm(holder: Layer) -> bool | None:
        found = [bench.prover.right_parts(point) for point in elsewhere(bench, subject)]
        if not all(right <= each for each in found):
            return None
        wholly = all(every <= each for each in found)
        return wholly if not wholly or keeps(bench, holder) else None

    deadline, partly, tried = Deadline(ONE_CHANGE), None, list[Trials]()
    for number in sorted(changed, key=lambda number: number != own):
        holder = holders[number]
        asked = bench.asked if number == 0 else None
        trials = Trials(holder, run, wanted, partial(confirm, holder), deadline, asked, PROVED)
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


def keeps(bench: LayerBench, holder: Layer) -> bool:
    """Whether the rules of gradients hold for the layer where its class has the methods that `holder` has now.

    Two of them count only if they held before, too: a second slip is no reason to withhold the correction of a first.
    """
    x = bench.whole if bench.given else None

    def broken(rule: Callable[[LayerBench], object]) -> bool:
        try:
            rule(LayerBench(bench.layer, x, 0, Report(""), bench.only_here, REWRITTEN))
        except Exception:
            return True
        return False

    with corrected(methods_of(holder)):
        if broken(try_gradients) or broken(other_widths):
            return False
        found = [each for each in (linear, arguments_unchanged) if broken(each)]
    return all(map(broken, found))


def is_ours(layer: Any) -> bool:
    """Whether a layer is the package's."""
    return type(layer).__module__.startswith("minigrad.")


def _outcome(found: Correction | None, tried: list[Trials]) -> Outcome:
    return Outcome(found, sum(each.count for each in tried), all(each.in_time for each in tried), tried[0])


def result_of(part: Part) -> str:
    """Where a method puts the gradient of a part."""
    if isinstance(part.layer, Plain) and part.layer.names:
        return returned_as(part.layer, part.name)
    return "return" if part.name == INPUT else f"self.{gradient_name(part.layer, part.name.split('.')[-1])}"


def returned_as(layer: Plain, name: str) -> str:
    """The variable in which a function returns the gradient of one of its inputs; "return" where it is none."""
    method = Method.of(type(layer).backward)
    last = method.tree.body[-1] if method else None
    value = last.value if isinstance(last, ast.Return) else None
    if layer.is_loss and isinstance(value, ast.Tuple):
        value = value.elts[1]
    if isinstance(value, ast.Tuple):
        value = value.elts[layer.names.index(name) if name != INPUT else 0]
    return value.id if isinstance(value, ast.Name) else "return"


def _wrong(bench: LayerBench, mismatch: Mismatch) -> tuple[list[Part], Array, Array]:
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


def elsewhere(bench: LayerBench, subject: Subject) -> Iterator[Point]:
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


def of_forward(
    layer: Layer, run: Callable[[], Array], wanted: Array, asked: Asked, x: Array, rules: Rules
) -> Correction | None:
    """The change of a layer's forward with which `run`, that runs it, gives what is wanted, as that asked for does.

    One with which nothing breaks the rules at x is looked for.
    """

    def confirm() -> bool:
        return remaining.of(layer, x, rules, methods_of(layer)) is None

    return Trials(layer, run, wanted, confirm, Deadline(ONE_CHANGE), asked).correction("forward")


def of_loss(bench: LossBench, p: Array, t: Array, mismatch: Mismatch) -> Outcome:
    """Try changes of a loss's slopes."""
    positions = np.array(mismatch.positions)

    def run() -> Array:
        return np.array(bench.loss.backward(p.copy(), t.copy())).ravel()[positions]

    def confirm() -> bool | None:
        others = [("elsewhere", bench.rng.permutation(p), t), *bench.situations("", p, t)]
        return all("p" in bench.prover.right_parts(bench.point(*other)) for other in others) or None

    trials = Trials(bench.loss, run, mismatch.wanted, confirm, Deadline(ONE_CHANGE))
    return _outcome(trials.correction("slopes", "backward"), [trials])

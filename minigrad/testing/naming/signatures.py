"""What the numbers of a wrong gradient say of the bug.

Most bugs leave a signature: the gradient is the right one negated, doubled, divided by the number of rows, transposed,
or some other parameter's. Others show by an experiment on the bench: it is right on a fresh copy, for one row, or once
two of the arrays that forward kept are exchanged. `exact` yields what leaves no doubt; `places` says
where it is wrong rather than why.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, states_of, walk
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import INPUT, Case, Part, Subject
from minigrad.testing.naming.sentences import ASKS, UNSET, UNWRITTEN
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.oracle.rounding import matches

EXCHANGED = ": the two are exchanged"


def exact(bench: LayerBench, case: Case, mismatch: Mismatch, counts: Mapping[str, int]) -> Iterator[str]:
    """What the gradient is instead of the right one; empty where it is not that."""
    part, positions = mismatch.part, np.array(mismatch.positions)
    given, wanted = mismatch.given, mismatch.wanted
    yield _single(bench, case)
    if matches(given, wanted, 1e-5):
        digits = int(-np.log10(max(float(abs(given - wanted).max() / abs(wanted).max()), 1e-15)))
        yield f"right to about {digits} digits: something is computed in float32, or a small term (eps?) is left out"
    yield _stale(bench, case, positions, wanted)
    yield multiple(given, wanted, counts)
    yield _transposed(bench, case, part, positions, given, wanted)
    yield _exchanged(bench, case, positions, wanted)
    yield _ignores_upstream(bench, case, part)
    yield _decay(bench, case, part, positions, given - wanted)
    yield _other_part(bench, mismatch, part, given)
    yield _sum_of_all(part, given, wanted)
    yield _kept_from_init(bench, case)
    yield _run_twice(bench, case)


def _single(bench: LayerBench, case: Case) -> str:
    """Whether forward does not see more of x than float32 holds."""
    if case.x.dtype.kind != "f":
        return ""
    rounded = case.x.astype(np.float32).astype(np.float64)
    bench.subject.theta[...] = case.theta
    y = np.array(bench.subject.forward(case.x.copy()))
    changed = np.array(bench.subject.forward(case.x + 1e-6 * (1 + abs(case.x)))) != y
    if np.array_equal(rounded, case.x) or not changed.any():
        return ""
    same = np.array(bench.subject.forward(rounded))[changed] == y[changed]
    return "forward computes in float32: it does not see more digits of x" if same.all() else ""


def is_first(case: Case) -> bool:
    """Whether the case is that of an ordinary input."""
    return case.situation.startswith("the first input")


def unwritten(layer: Layer) -> str:
    """What there is to say of a wrong gradient that nobody has written, but that is derived; empty for any other."""
    own = [each for each in walk([layer]) if type(each).backward is not Layer.backward]
    if any(each is layer for each in own):
        return ""
    asked = [each for each in own if not type(each).__module__.startswith("minigrad.")]
    return ASKS.format(inner=" and ".join(map(repr, asked))) if asked else UNWRITTEN


def unset(mismatch: Mismatch) -> str:
    """Whether all of it is 0 where some should not be."""
    whole = mismatch.point.gradient[mismatch.part.span]
    if whole.any() or mismatch.given.any() or not mismatch.wanted.any():
        return ""
    return UNSET.format(parameter=mismatch.part.name)


def _stale(bench: LayerBench, case: Case, positions: Array, wanted: Array) -> str:
    fresh = Subject(bench.layer)
    try:
        clone = type(bench.layer)(**copy.deepcopy(bench.layer.config()))
        made = Subject(clone)
        made.adopt(fresh)
        fresh = made
        gradient = fresh.gradient(case.x, case.theta, case.dy)
    except Exception:
        return ""
    if len(gradient) <= positions.max() or not matches(gradient[positions], wanted):
        return ""
    return "stale cache: it is right after the first forward, but a later one does not replace what backward uses"


def multiple(given: Array, wanted: Array, counts: Mapping[str, int]) -> str:
    """What a gradient that is a multiple of the right one is too large or too small by, if that is a number we know."""
    factor = multiple_of(given, wanted)
    if not factor:
        return ""
    sign, size = "sign flipped, and " if factor < 0 else "", abs(factor)
    if abs(size - 1) < 1e-6:
        return "sign flipped: it is right times -1" if sign else ""
    for words, count in counts.items():
        if count > 1 and abs(size * count - 1) < 1e-6:
            return f"{sign}too small by exactly the {words}, {count}: it is averaged where it is to be summed"
        if count > 1 and abs(size / count - 1) < 1e-6:
            return f"{sign}too large by exactly the {words}, {count}: it is multiplied by it, or not divided"
    if abs(size - 2) < 1e-6:
        return f"{sign}a factor of two: accumulated twice, or the 2 of a square counted twice"
    if abs(size - 0.5) < 1e-6:
        return f"{sign}a factor of two too small: the 2 of a square is missing"
    return ""


def multiple_of(given: Array, wanted: Array) -> float:
    """The factor by which it is too large; 0 if it is no multiple of the right one."""
    if not wanted.any() or not given.any():
        return 0.0
    factor = float(given @ wanted / (wanted @ wanted))
    return factor if matches(given, factor * wanted) else 0.0


def _transposed(bench: LayerBench, case: Case, part: Part, positions: Array, given: Array, wanted: Array) -> str:
    text = "transposed: "
    size = part.span.stop - part.span.start
    if len(part.shape) == 2 and len(positions) == size and part.shape[0] > 1 < part.shape[1]:
        turned = given.reshape(part.shape[::-1]).T.ravel()
        if matches(turned, wanted):
            return f"{text}it is the gradient of {part.name} with its two axes exchanged"
    # Does backward use a parameter transposed? Then it is right once that parameter is.
    for other in bench.subject.parts(case.x):
        if other.name == INPUT or len(other.shape) != 2 or other.shape[0] != other.shape[1] or other.shape[0] == 1:
            continue

        def turn(subject: Subject, other: Part = other) -> None:
            span = bench.in_theta(other)
            subject.theta[span] = subject.theta[span].reshape(other.shape).T.ravel()

        if _right_after(bench, case, positions, wanted, turn):
            return f"{text}backward uses {other.name} where its transpose belongs, or the other way round"
    return ""


def _right_after(bench: LayerBench, case: Case, positions: Array, wanted: Array, change: Any) -> bool:
    """Whether backward is right if `change` is made to a copy of the layer between forward and backward."""
    bench.subject.rewind()
    try:
        # A copy, so that nothing that the change breaks is left behind.
        other = Subject(bench.subject.layer)
        other.theta[...] = case.theta
        other.forward(case.x.copy())
        change(other)
        gradient = other.collect(case.x, other.layer.backward(case.dy.copy()))
    except Exception:
        return False
    right = len(gradient) > positions.max() and matches(gradient[positions], wanted)
    if not right or is_first(case):
        return right
    other.theta[...] = bench.theta  # and at an ordinary input, or it is right in this one alone
    dy = bench.upstream(other.forward(bench.x.copy()))
    change(other)
    ordinary = other.collect(bench.x, other.layer.backward(dy.copy())).copy()
    point = bench.point(Case("the first input", bench.x, bench.theta, dy, ordinary))
    return bench.point(case).part_of(int(positions[0])).name in bench.prover.right_parts(point)


def _exchanged(bench: LayerBench, case: Case, positions: Array, wanted: Array) -> str:
    """Try whether backward is right once one kept array is replaced by another, the input or the output."""
    subject = bench.subject
    subject.theta[...] = case.theta
    y = np.array(subject.forward(case.x.copy()))
    known = {*subject.layer.params, *subject.layer.grads, *states_of(subject.layer)}
    kept = {
        name: value.copy()
        for name, value in vars(subject.layer).items()
        if isinstance(value, np.ndarray) and name not in known and not name.startswith("_")
    }
    replacements = {"the input": case.x, "the output": y} | {f"self.{name}": value for name, value in kept.items()}
    for name, held in kept.items():
        for words, value in replacements.items():
            if value.shape != held.shape or np.array_equal(value, held):
                continue

            def replace(other: Subject, name: str = name, value: Array = value) -> None:
                vars(other.layer)[name] = value.copy()

            if _right_after(bench, case, positions, wanted, replace):
                if np.allclose(held, value, rtol=5e-3, atol=0):
                    return f"self.{name} has but some digits of what belongs there: it is kept in float16 or float32"
                same = [other for other, array in kept.items() if np.array_equal(array, value)]
                ends = ["the input", *([] if _apart(bench, same) else ["the output"])]
                now = next((end for end in ends[::-1] if np.array_equal(replacements[end], held)), "")
                others = [other for other in replacements if other[:4] == "self" and other != f"self.{name}"]
                target = next((w for w in [*ends, *others] if np.array_equal(replacements[w], value)), words)
                now = f"self.{name}, {now}," if now else f"self.{name}"
                return _misplaced(now, target)
    return ""


def _apart(bench: LayerBench, names: list[str]) -> bool:
    """Whether one of these arrays that forward keeps is not its output at other parameters, with a scale of 1 say."""
    subject = Subject(bench.subject.layer)
    subject.theta[...] = bench.free
    y = np.array(subject.forward(bench.x.copy()))
    return any(not np.array_equal(vars(subject.layer)[name], y) for name in names)


def _misplaced(now: str, target: str) -> str:
    if "output" in now and "input" in target:
        return f"the derivative is taken at the output instead of the input: backward uses {now} where {target} belongs"
    if "input" in now and "output" in target:
        return (
            f"the derivative is taken at the input instead of the output: its formula is in terms of y, but backward "
            f"uses {now} where {target} belongs"
        )
    return f"the derivative is taken at {now} instead of {target}"


def _sum_of_all(part: Part, given: Array, wanted: Array) -> str:
    """Whether every entry of a bias's gradient is the sum of all entries."""
    if part.name == INPUT or len(part.shape) != 1 or len(given) != part.shape[0] or len(given) < 2:
        return ""
    if matches(given, np.full_like(given, wanted.sum())):
        return "it is the sum of all of dy in every entry: sum over the rows only, dy.sum(axis=0)"
    return ""


def _ignores_upstream(bench: LayerBench, case: Case, part: Part) -> str:
    once = _gradient(bench, case)
    twice = _gradient(bench, case, factor=2.0)
    if once is None or twice is None or not matches(twice[part.span], once[part.span]):
        return ""
    other = np.random.default_rng(0).standard_normal(case.dy.shape)
    changed = bench.subject.gradient(case.x, case.theta, other)
    if not matches(changed[part.span], once[part.span]):
        return "backward is not linear in dy: it clips or normalises, so that twice the dy gives no larger gradient"
    return "the upstream gradient dy is ignored"


def _gradient(bench: LayerBench, case: Case, factor: float = 1.0) -> Array | None:
    try:
        return bench.subject.gradient(case.x, case.theta, factor * case.dy)
    except Exception:
        return None


def _decay(bench: LayerBench, case: Case, part: Part, positions: Array, excess: Array) -> str:
    if part.name == INPUT or len(positions) < 2:  # one number is a multiple of any other
        return ""
    values = bench.subject.vector(case.x, case.theta)[positions]
    if values @ values == 0:
        return ""
    factor = float(excess @ values / (values @ values))
    if not matches(excess, factor * values, 1e-4):
        return ""
    return f"{factor:.4g} times {part.name} is added: weight decay belongs to the objective (l2=…), not to a layer"


def _other_part(bench: LayerBench, mismatch: Mismatch, part: Part, given: Array) -> str:
    point = mismatch.point
    for other in point.parts:
        size = other.span.stop - other.span.start
        if other.name == part.name or size != len(given) or (other.layer is not part.layer and other.name != INPUT):
            continue
        wanted = np.array([bench.prover.entry(point, p).numeric for p in range(other.span.start, other.span.stop)])
        if matches(given, wanted):
            both = other.name not in bench.prover.right_parts(point)
            return f"it is the gradient of {other.name}{EXCHANGED if both else ''}"
    return ""


def _kept_from_init(bench: LayerBench, case: Case) -> str:
    """Whether an attribute of a new layer holds a parameter's numbers, which stay when those change."""
    if "its own parameters" in case.situation:
        return ""
    made = bench.layer
    known = {*made.params, *made.grads, *states_of(made)}
    for name, value in vars(made).items():
        if isinstance(value, np.ndarray) and name not in known and value.size > 1 and value.std() > 0:
            for parameter, array in made.params.items():
                if np.array_equal(value, array) or np.array_equal(value, array.T):
                    return (
                        f"self.{name} has the numbers that {parameter} had when the layer was made, and stays behind "
                        f"when an optimizer moves {parameter}: use self.{parameter} itself, in forward and backward"
                    )
    return ""


def _run_twice(bench: LayerBench, case: Case) -> str:
    """Whether an inner layer is run more than once in one forward."""
    bench.subject.rewind()
    subject, times = Subject(bench.subject.layer), dict[int, int]()
    inner = [layer for layer in walk([subject.layer]) if layer is not subject.layer]
    for number, layer in enumerate(inner):

        def counted(x: Array, number: int = number, forward: Any = layer.forward) -> Array:
            times[number] = times.get(number, 0) + 1
            return forward(x)

        vars(layer)["forward"] = counted
    try:
        subject.at(subject.vector(case.x, case.theta), case.x)
    except Exception:
        return ""
    several = [inner[number] for number, count in times.items() if count > 1]
    if not several:
        return ""
    return (
        f"{several[0]!r} is run more than once in one forward: what it keeps, and its gradients, are those of the last "
        "time alone; run it once, on all inputs together as rows"
    )

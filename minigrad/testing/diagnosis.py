"""The likely bug, in one sentence: what a wrong gradient is right for.

Most bugs leave a signature in the numbers: the wrong gradient is the right one negated, doubled, divided by the number
of rows, transposed, or some other parameter's. Others show by an experiment: it is right on a fresh copy, for one row,
or once two of the arrays that forward kept are exchanged.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.parameter import Array, Declared
from minigrad.testing.derivative import slope
from minigrad.testing.proof import Mismatch
from minigrad.testing.report import GradientError
from minigrad.testing.subject import INPUT, Part, Subject

if TYPE_CHECKING:
    from minigrad.testing.contract import Case, LayerCheck

SQUARE = "right for square shapes only: two of its axes are confused"
ONE_ROW = "right at batch size 1 only: the rows of a larger batch are not handled each on its own"
UNSUMMED = "not summed over the batch: the gradient of a parameter is the sum of what every row contributes"


def of_mismatch(check: LayerCheck, case: Case, mismatch: Mismatch) -> str:
    """The likely bug behind a gradient that differs from the numerical derivative; empty if none fits."""
    if not mismatch.positions:
        return (
            f"the parts of the gradient of {mismatch.part.name} are each possible, but not together: at a tie it goes "
            "to every one of the equal entries instead of to one"
        )
    return next((text for text in _likely(check, case, mismatch) if text), "")


def _likely(check: LayerCheck, case: Case, mismatch: Mismatch) -> Iterator[str]:
    part, positions = mismatch.part, np.array(mismatch.positions)
    given = np.array([m.analytic for m in mismatch.measured])
    wanted = np.array([m.numeric for m in mismatch.measured])
    if not np.isfinite(given).all():
        yield f"the gradient is not finite; {_where(check, case, mismatch) or 'a quotient or a power overflows'}"
        return
    yield _single(check, case)
    if _matches(given, wanted, 1e-5):
        digits = int(-np.log10(max(abs(given - wanted).max() / abs(wanted).max(), 1e-15)))
        yield f"right to about {digits} digits: something is computed in float32, or a small term (eps?) is left out"
    yield _unset(part.name, given, wanted)
    yield _stale(check, case, positions, wanted)
    if not _is_first(case):
        yield _where(check, case, mismatch)
    yield _constant(given, wanted, {"batch size": len(case.x)})
    yield _transposed(check, case, part, positions, given, wanted)
    yield _exchanged(check, case, part, positions, wanted)
    yield _ignores_upstream(check, case, part)
    yield _decay(check, case, part, positions, given - wanted)
    yield _other_part(check, mismatch, part, given)
    yield _where(check, case, mismatch)
    yield _at_output(check, case, part, positions, given)
    yield _one_row(check, case, part)


def of_single(name: str, given: Array, wanted: Array, counts: Mapping[str, int]) -> str:
    """The likely bug of a gradient without a layer's anatomy, such as a loss's."""
    return _unset(name, given, wanted) or _constant(given, wanted, counts)


def _is_first(case: Case) -> bool:
    return case.situation.startswith("the first input")


def _matches(a: Array, b: Array, relative: float = 1e-6) -> bool:
    size = abs(b).max(initial=0)
    return bool(size > 0 and a.shape == b.shape and (abs(a - b) <= relative * size).all())


def _single(check: LayerCheck, case: Case) -> str:
    """Whether forward does not see more of x than float32 holds."""
    if case.x.dtype.kind != "f":
        return ""
    rounded = case.x.astype(np.float32).astype(np.float64)
    check.subject.theta[...] = case.theta
    y = np.array(check.subject.forward(case.x.copy()))
    moved = np.array(check.subject.forward(case.x + 1e-3 * (1 + abs(case.x))))
    if np.array_equal(rounded, case.x) or np.array_equal(y, moved):
        return ""
    again = np.array(check.subject.forward(rounded))
    return "forward computes in float32: it does not see more digits of x" if np.array_equal(again, y) else ""


def _unset(name: str, given: Array, wanted: Array) -> str:
    if given.any() or not wanted.any():
        return ""
    return f"the gradient of {name} is identically zero: it is never filled in"


def _stale(check: LayerCheck, case: Case, positions: Array, wanted: Array) -> str:
    fresh = Subject(check.layer)
    try:
        clone = type(check.layer)(**copy.deepcopy(check.layer.config()))
        made = Subject(clone)
        made.adopt(fresh)
        fresh = made
        gradient = fresh.gradient(case.x, case.theta, case.dy)
    except Exception:
        return ""
    if len(gradient) <= positions.max() or not _matches(gradient[positions], wanted):
        return ""
    return "stale cache: it is right after the first forward, but a later one does not replace what backward uses"


def _constant(given: Array, wanted: Array, counts: Mapping[str, int]) -> str:
    """What a gradient that is a multiple of the right one is too large or too small by."""
    if not wanted.any() or not given.any():
        return ""
    factor = float(given @ wanted / (wanted @ wanted))
    if not _matches(given, factor * wanted):
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
    return f"{sign}wrong by a constant factor, {size:.6g}"


def _transposed(check: LayerCheck, case: Case, part: Part, positions: Array, given: Array, wanted: Array) -> str:
    text = "transposed: "
    size = part.span.stop - part.span.start
    if len(part.shape) == 2 and len(positions) == size and part.shape[0] > 1 < part.shape[1]:
        turned = given.reshape(part.shape[::-1]).T.ravel()
        if _matches(turned, wanted):
            return f"{text}it is the gradient of {part.name} with its two axes exchanged"
    # Does backward use a parameter transposed? Then it is right once that parameter is.
    for other in check.subject.parts(case.x):
        if other.name == INPUT or len(other.shape) != 2 or other.shape[0] != other.shape[1] or other.shape[0] == 1:
            continue

        def turn(subject: Subject, other: Part = other) -> None:
            span = check._theta_span(other.span)
            subject.theta[span] = subject.theta[span].reshape(other.shape).T.ravel()

        if _right_after(check, case, positions, wanted, turn):
            return f"{text}backward uses {other.name} where its transpose belongs, or the other way round"
    return ""


def _right_after(check: LayerCheck, case: Case, positions: Array, wanted: Array, change: Any) -> bool:
    """Whether backward is right if `change` is made to a copy of the layer between forward and backward."""
    subject = check.subject
    subject.theta[...] = case.theta
    try:
        subject.forward(case.x.copy())
        # A copy, so that nothing that the change breaks is left behind.
        other = Subject(subject.layer)
        change(other)
        gradient = other.collect(case.x, other.layer.backward(case.dy.copy()))
    except Exception:
        return False
    return len(gradient) > positions.max() and _matches(gradient[positions], wanted)


def _exchanged(check: LayerCheck, case: Case, part: Part, positions: Array, wanted: Array) -> str:
    """Try whether backward is right once one kept array is replaced by another, the input or the output."""
    subject = check.subject
    subject.theta[...] = case.theta
    y = np.array(subject.forward(case.x.copy()))
    known = {*subject.layer.params, *subject.layer.grads, *subject.layer.states}
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

            if _right_after(check, case, positions, wanted, replace):
                now = "the output" if np.array_equal(held, y) else "the input" if np.array_equal(held, case.x) else ""
                target = next((w for w in ("the input", "the output") if np.array_equal(replacements[w], value)), words)
                now = f"self.{name}, {now}," if now else f"self.{name}"
                return _misplaced(now, target)
    return ""


def _misplaced(now: str, target: str) -> str:
    if "output" in now and "input" in target:
        return f"the derivative is taken at the output instead of the input: backward uses {now} where {target} belongs"
    if "input" in now and "output" in target:
        return (
            f"the derivative is taken at the input instead of the output: its formula is in terms of y, but backward "
            f"uses {now} where {target} belongs"
        )
    return f"the derivative is taken at {now} instead of {target}"


def _at_output(check: LayerCheck, case: Case, part: Part, positions: Array, given: Array) -> str:
    """Whether an elementwise layer's wrong gradient is the right one at the output instead of the input."""
    if part.name != INPUT:
        return ""
    subject = check.subject
    subject.theta[...] = case.theta
    y = np.array(subject.forward(case.x.copy()))
    if y.shape != case.x.shape:
        return ""
    v = subject.vector(y, case.theta)
    for position in positions[:6]:
        direction = np.zeros_like(v)
        direction[position] = 1.0
        measured = slope(lambda v: subject.at(v, y), v, direction)
        if abs((case.dy * measured.value).sum() - given[list(positions).index(position)]) > 1e-6 * abs(given).max():
            return ""
    return "the derivative is taken at the output instead of the input: it is that of the layer at y"


def _ignores_upstream(check: LayerCheck, case: Case, part: Part) -> str:
    once = _gradient(check, case)
    twice = _gradient(check, case, factor=2.0)
    if once is None or twice is None or not _matches(twice[part.span], once[part.span]):
        return ""
    return "the upstream gradient dy is ignored"


def _gradient(check: LayerCheck, case: Case, factor: float = 1.0) -> Array | None:
    try:
        return check.subject.gradient(case.x, case.theta, factor * case.dy)
    except Exception:
        return None


def _decay(check: LayerCheck, case: Case, part: Part, positions: Array, excess: Array) -> str:
    if part.name == INPUT:
        return ""
    values = check.subject.vector(case.x, case.theta)[positions]
    if values @ values == 0:
        return ""
    factor = float(excess @ values / (values @ values))
    if not _matches(excess, factor * values, 1e-4):
        return ""
    return f"{factor:.4g} times {part.name} is added: weight decay belongs to the objective (l2=…), not to a layer"


def _other_part(check: LayerCheck, mismatch: Mismatch, part: Part, given: Array) -> str:
    point = mismatch.point
    for other in point.parts:
        size = other.span.stop - other.span.start
        if other.name == part.name or size != len(given):
            continue
        noise = check.prover.noise(point)
        wanted = np.array(
            [check.prover.entry(point, p, noise).numeric for p in range(other.span.start, other.span.stop)]
        )
        if _matches(given, wanted):
            return f"it is the gradient of {other.name}: the two are exchanged"
    return ""


def _one_row(check: LayerCheck, case: Case, part: Part) -> str:
    if len(case.x) == 1:
        return ""
    return ONE_ROW if part.name in _right_parts(check, case.x[:1], case.theta) else ""


def _right_parts(check: LayerCheck, x: Array, theta: Array) -> set[str]:
    """The names of the parts whose gradients are right at x and theta."""
    try:
        point = check.point(check.case("", x, theta, ""))
        check.prover.prove(point, 0)
    except Mismatch as mismatch:
        wrong = {
            point.part_of(p).name for p, m in zip(mismatch.positions, mismatch.measured, strict=False) if not m.agrees
        }
        return {part.name for part in point.parts} - (wrong or {mismatch.part.name})
    except Exception:
        return set()
    return {part.name for part in point.parts}


def _where(check: LayerCheck, case: Case, mismatch: Mismatch) -> str:
    """Whether it is wrong only where the input is large, or negative."""
    name, x = mismatch.part.name, abs(case.x)
    if case.x.dtype.kind != "f" or not x.any():
        return ""
    if len(case.x) == 1 and name in _right_parts(check, check.x, case.theta):
        return "right for several rows, wrong for a batch of one"
    tiny = 0.01 * x / x.max()
    huge = x * 8 if x.max() < 100 else x
    right = {
        words: name in _right_parts(check, values, case.theta)
        for words, values in {"+": tiny, "-": -tiny, "++": huge, "--": -huge}.items()
    }
    if all(right.values()):
        if "ties" in case.situation:
            return "wrong only where entries of the input are equal, or zero"
        if not _is_first(case) and "inputs" not in case.situation:
            return ""
    if "of any sign" in case.situation and name in _right_parts(check, case.x, check.theta):
        return "wrong only where a parameter has another sign"
    if right["+"] and right["-"] and not (right["++"] and right["--"]):
        side = "" if right["++"] == right["--"] else " and negative" if right["++"] else " and positive"
        return f"wrong only where the input is large{side} (saturation)"
    if right["+"] and right["++"] and not right["-"] and not right["--"]:
        return "wrong only where the input is negative"
    if right["-"] and right["--"] and not right["+"] and not right["++"]:
        return "wrong only where the input is positive"
    if right["++"] and right["--"] and not (right["+"] and right["-"]):
        return "wrong only where the input is small"
    return ""


def of_shape(check: LayerCheck, x: Array, dx: Array) -> str:
    """The likely bug behind a dx of another shape than x's."""
    if dx.ndim == 2 and dx.shape == x.shape[::-1]:
        return "transposed: dx has its two axes exchanged"
    if dx.size == x.size:
        return "dx has the right number of entries in another shape; return dx.reshape(self.x.shape)"
    if dx.shape == x.shape[1:]:
        return "dx is summed over the batch; every row has a gradient of its own"
    return _square(check)


def of_refusal(check: LayerCheck, error: Exception) -> str:
    """The likely bug behind an exception that backward raises."""
    told = of_refused_value(error, len(check.x))
    if told:
        return told
    square = _square(check)
    if square:
        return square
    try:
        check.subject.theta[...] = check.theta
        y = check.subject.forward(check.x[:1])
        check.subject.layer.backward(check.upstream(y))
    except Exception:
        return ""
    return ONE_ROW if len(check.x) > 1 else ""


def of_refused_value(error: Exception, rows: int) -> str:
    """What the value that an array did not take says of the bug, if that is the error."""
    refused = _refused(error)
    if refused is not None:
        shape, value = refused
        if value.shape == (rows, *shape):
            return UNSUMMED
        if len(shape) == 2 and value.shape == shape[::-1]:
            return "transposed: the gradient has the two axes of its parameter exchanged"
        if value.ndim == len(shape) + 1 and value.shape[1:] == shape:
            return "the sum over the batch has kept its axis; sum with axis=0 and without keepdims"
    if f"input array from shape ({rows}," in str(error):
        return UNSUMMED
    if "read-only" in str(error):
        return "an argument is overwritten in place; work on a copy"
    return ""


def _refused(error: Exception) -> tuple[tuple[int, ...], Array] | None:
    """The shape of a declared array and the value of another shape that it did not take, if that is the error."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is Declared.__set__.__code__:
            held, value = trace.tb_frame.f_locals.get("held"), trace.tb_frame.f_locals.get("value")
            if held is not None and value is not None:
                return held.shape, np.asarray(value)
        trace = trace.tb_next
    return None


def _square(check: LayerCheck) -> str:
    """What a sibling of the layer with as many outputs as inputs says: is it right, or else what is its bug?"""
    try:
        config: dict[str, Any] = check.layer.config()
        names = [name for name in ("in_features", "out_features") if isinstance(config.get(name), int)]
        if len(names) < 2 or config["in_features"] == config["out_features"]:
            return ""
        sibling = type(check)(type(check.layer)(**config | {"out_features": config["in_features"]}), None, 0)
    except Exception:
        return ""
    try:
        sibling.runs()
        sibling.gradients_are_set()
        sibling.derivative()
    except GradientError as error:
        return error.diagnosis
    except Exception:
        return ""
    return SQUARE

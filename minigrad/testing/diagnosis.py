"""The likely bug, in one sentence: what the evidence that a rule raised says of the code.

Some evidence is a symptom of one bug; its sentence stands in `SENTENCES`. A wrong gradient has to be read. Most bugs
leave a signature in the numbers: it is the right one negated, doubled, divided by the number of rows, transposed, or
some other parameter's. Others show by an experiment on the bench: it is right on a fresh copy, for one row, or once
two of the arrays that forward kept are exchanged.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.parameter import Array, Declared
from minigrad.testing.bench import Bench, LayerBench
from minigrad.testing.derivative import slope
from minigrad.testing.gradients import sibling_of, try_gradients
from minigrad.testing.point import Mismatch
from minigrad.testing.rounding import matches
from minigrad.testing.rule import Evidence, Refused, WrongGradient, WrongShape
from minigrad.testing.subject import INPUT, Case, Part, Subject
from minigrad.trained import NEVER_TRAINED

SECONDS = 1.0  # of the processor that experiments may take

ONE_ROW = "right at batch size 1 only: the rows of a larger batch are not handled each on its own"
UNSUMMED = "not summed over the batch: the gradient of a parameter is the sum of what every row contributes"
UNSET = "the gradient of {parameter} is identically zero: it is never filled in"

# What each symptom is a symptom of; braces take an attribute, or a fact, of the evidence.
SENTENCES = {
    # A layer.
    "inner layer not listed": "the inner layer's parameters are never trained; list it in self.layers",
    "undeclared parameter": NEVER_TRAINED,
    "array replaced": "the array is replaced; write into it, say self.{held} = …",
    "forward in a dtype of its own": "the layer computes in a dtype of its own; let it follow its input and parameters",
    "backward in a dtype of its own": "the gradient is computed in another dtype; let it follow dy",
    "constant of another dtype": "a constant of another dtype: use Python's floats (float(np.sqrt(2)), not "
    "np.sqrt(2)), and declare arrays with state()",
    "no dx": "backward does not return dx",
    "x overwritten": "the input is overwritten in place; work on a copy, say x = x * … instead of x *= …",
    "x overwritten by predict": "the input is overwritten in place; work on a copy",
    "dy overwritten": "the upstream gradient is overwritten in place; work on a copy",
    "y overwritten": "the output is overwritten in place by backward; work on a copy",
    "returned array used again": "the layer returns an array that it uses again; return a fresh one",
    "kept for all layers of the class": "what forward keeps is kept for all layers of the class; keep it on self",
    "parameters changed": "only an optimizer may change them",
    "state changed by backward": "only forward may change state",
    "state changed by predict": "inference updates statistics or draws random numbers; "
    "give the layer a predict of its own",
    "undeclared randomness": "it draws random numbers from a generator that is not declared, or keeps what it should "
    "not; write rng = state() in the class",
    "never set": UNSET,
    "accumulated over calls": "it is accumulated: added to instead of set, so that a second backward gives a factor of "
    "two",
    "left behind by an earlier call": "it depends on what an earlier call has left behind; set all of it, from what "
    "forward kept",
    "not all from dy": "something is added that does not come from dy (weight decay?), or dy is ignored",
    "not linear in dy": "backward is not linear in the upstream gradient: it clips, normalises or ignores dy",
    "random inference": "inference is random",
    "predict overwrites what backward needs": "predict overwrites what forward keeps for backward",
    "predict is another function": "predict and forward compute different functions",
    "statistics of the batch": "inference uses statistics of the batch; keep running ones as state() for it",
    "kept by identity": "what forward keeps is looked up by the identity of x; the same array may hold other numbers",
    "maximum not subtracted": "an exponential overflows: subtract the row's maximum before it, exp(x - max x); "
    "the result is the same",
    "overflow": "an exponential overflows (or a logarithm gets 0): write it with exponentials of negative numbers "
    "only, as np.logaddexp does",
    "cancellation": "two large numbers are subtracted that are nearly equal: for a variance use the mean of squared "
    "differences, ((x - mean)**2).mean(), not E[x²] - E[x]²",
    "float32": "a constant or a threshold that float32 can't hold (1e-12 beside 1), or a branch on the dtype",
    "predict apart from training": "what predict returns is not the mean of what training returns",
    "dropout not scaled": "predict and training differ by a factor: a unit that is kept with probability q is divided "
    "by q in training (inverted dropout), or multiplied by it in predict, once",
    "predict is another function than training": "predict does not do with its running statistics what forward "
    "does with those of the batch: compare the two (gamma and beta, the root of the variance, the momentum)",
    "over the rows": "it is taken over the rows of the batch (axis 0), so that a row depends on its neighbours, and "
    "one row alone says nothing: use axis=-1 (if this is meant, rows_together = True in the class says so)",
    "rows in blocks": "predict treats rows beyond some number in another way",
    "relies on the memory order": "the code relies on the memory order of its argument",
    "divided by the rows, or old": "it divides by the number of rows, or keeps an older gradient",
    "argument not kept": "every argument of __init__ must be kept as an attribute of the same name",
    "argument changed": "an attribute does not hold the argument that __init__ was given",
    "config loses something": "config() loses something that forward uses",
    "square shapes only": "right for square shapes only: two of its axes are confused",
    "small widths only": "right for narrow layers only: columns beyond some number are treated in another way",
    # A loss.
    "loss not one number": "the loss is not summed to one number",
    "loss not a float": "return float(…)",
    "argument of a loss overwritten": "an argument is overwritten in place",
    "dp used again": "return a fresh array",
    "loss keeps what forward saw": "stale cache: backward uses what forward has kept; compute it from p and t",
    "wrong in this domain": "wrong only for {domain}",
    "summed over the rows": "it is summed over the rows instead of averaged",
    "rows together": "rows of a batch do not count each on its own",
    "averaged over the outputs": "too small by exactly the number of outputs, {outputs}: averaged over them, not "
    "summed",
    "weights counted as rows": "divided by the number of rows instead of Σ w",
    "mean over no rows": "the mean over no rows is not a number",
    "t broadcast": "t is broadcast against p",
    "constant of another dtype in a loss": "a constant of another dtype: use Python's floats (float(np.sqrt(2)), not "
    "np.sqrt(2))",
    "config of a loss loses something": "config() loses something",
    "overflow in a loss": "an exponential overflows: subtract the row's maximum first, or use np.logaddexp(0, z), "
    "whose exponentials are of negative numbers",
    "logarithm of 0": "0 log 0, or 0 / 0: take the logarithm of at least a small number, and divide by at least one",
    "jump of a loss": "forward jumps where two branches meet, or backward belongs to another function there: make the "
    "branches meet",
    "cancellation in a loss": "large numbers are subtracted that are nearly equal: subtract p and t first, then square",
    # An optimizer.
    "dtheta overwritten": "dtheta is only to be read; work on a copy, say g = eta * dtheta",
    "theta not moved": "theta has to be changed in place: theta -= …, not theta = theta - …",
    "uphill": "the sign of the update: theta -= eta * g",
    "theta rounded": "theta, or the step, goes through float32; let it follow theta's dtype",
    "random optimizer": "it draws random numbers; a step may depend on theta, dtheta and the memory alone",
    "dtheta kept": "the memory is the array dtheta itself; copy the numbers into it, say self.v[...] = dtheta",
    "state not copied": "state() hands out the memory itself; return copies",
    "state incomplete": "something that a step depends on is not in state(): name every vector in memory, and take "
    "counts from the argument of coefficients(step)",
    "zero by zero": "0 / 0: a small eps belongs into the denominator",
    "step not from the gradient": "something is added that does not come from the gradient",
    "parameters treated apart": "some of the parameters are left out, or one rule reads a number of another's",
    "goes up": "steps that do not shrink with the gradient, or a sign",
    "schedule ignored": "take the rate from self.rate(step), in coefficients, where step counts from 0",
    "another rule": "{words}",
    "not recordable": "update may only use its arguments, its memory and branch-free operations on arrays",
    # A model.
    "data overwritten": "the input is overwritten in place",
    "undeclared randomness in a layer": "a layer draws random numbers from a generator that is not declared: "
    "rng = state()",
    "accumulated over steps": "it is accumulated: added to instead of set, so that a second step gives a factor of two",
    "partly set": "not all of it is set: old values remain",
    "wrong in a model": "check_layer on each layer and check_loss on the loss tell which of them is wrong",
}


def of(evidence: Evidence, bench: Bench | None = None) -> str:
    """The likely bug behind this evidence; empty if none fits. Experiments are made on the bench of a layer."""
    sentence = SENTENCES[evidence.symptom] if evidence.symptom else ""
    try:
        read = _read(evidence, bench)
    except Exception:  # of the layer, at what an experiment gave it
        read = ""
    return read or evidence.likely or sentence.format(**{**vars(evidence), **evidence.facts})


def _read(evidence: Evidence, bench: Bench | None) -> str:
    """What the numbers, the shapes or the exception say, and experiments where there is a layer to make them on."""
    layer_bench = bench if isinstance(bench, LayerBench) else None
    if isinstance(evidence, WrongGradient):
        if layer_bench and evidence.case:
            return _of_mismatch(layer_bench, evidence.case, evidence.mismatch, evidence.counts)
        given, wanted = evidence.mismatch.given, evidence.mismatch.wanted
        return _unset(evidence.mismatch.part.name, given, wanted) or _constant(given, wanted, evidence.counts)
    if isinstance(evidence, Refused):
        return _of_refused_value(evidence.error, evidence.rows) or (_of_refusal(layer_bench) if layer_bench else "")
    if isinstance(evidence, WrongShape) and layer_bench:
        return _of_shape(layer_bench, evidence.x, evidence.dx)
    return ""


def _of_mismatch(bench: LayerBench, case: Case, mismatch: Mismatch, counts: Mapping[str, int]) -> str:
    """The likely bug behind a gradient that differs from the numerical derivative; empty if none fits."""
    if not mismatch.positions:
        return (
            f"the parts of the gradient of {mismatch.part.name} are each possible, but not together: at a tie it goes "
            "to every one of the equal entries instead of to one"
        )
    until = time.thread_time() + SECONDS
    for text in _likely(bench, case, mismatch, counts):
        if text or time.thread_time() > until:
            return text
    return ""


def _likely(bench: LayerBench, case: Case, mismatch: Mismatch, counts: Mapping[str, int]) -> Iterator[str]:
    part, positions = mismatch.part, np.array(mismatch.positions)
    given, wanted = mismatch.given, mismatch.wanted
    if not np.isfinite(given).all():
        yield f"the gradient is not finite; {_where(bench, case, mismatch) or 'a quotient or a power overflows'}"
        return
    yield _single(bench, case)
    if matches(given, wanted, 1e-5):
        digits = int(-np.log10(max(abs(given - wanted).max() / abs(wanted).max(), 1e-15)))
        yield f"right to about {digits} digits: something is computed in float32, or a small term (eps?) is left out"
    yield _unset(part.name, given, wanted)
    yield _stale(bench, case, positions, wanted)
    if not _is_first(case):
        yield _where(bench, case, mismatch)
    yield _constant(given, wanted, counts)
    yield _transposed(bench, case, part, positions, given, wanted)
    yield _exchanged(bench, case, part, positions, wanted)
    yield _ignores_upstream(bench, case, part)
    yield _decay(bench, case, part, positions, given - wanted)
    yield _other_part(bench, mismatch, part, given)
    yield _where(bench, case, mismatch)
    yield _from_some_row_on(mismatch)
    yield _sum_of_all(case, part, given, wanted)
    yield _diagonal(bench, mismatch, given)
    yield _at_output(bench, case, part, positions, given)
    yield _one_row(bench, case, part)
    yield _unused(part.name, given, wanted)


def _is_first(case: Case) -> bool:
    return case.situation.startswith("the first input")


def _single(bench: LayerBench, case: Case) -> str:
    """Whether forward does not see more of x than float32 holds."""
    if case.x.dtype.kind != "f":
        return ""
    rounded = case.x.astype(np.float32).astype(np.float64)
    bench.subject.theta[...] = case.theta
    y = np.array(bench.subject.forward(case.x.copy()))
    moved = np.array(bench.subject.forward(case.x + 1e-3 * (1 + abs(case.x))))
    if np.array_equal(rounded, case.x) or np.array_equal(y, moved):
        return ""
    again = np.array(bench.subject.forward(rounded))
    return "forward computes in float32: it does not see more digits of x" if np.array_equal(again, y) else ""


def _unset(name: str, given: Array, wanted: Array) -> str:
    if given.any() or not wanted.any():
        return ""
    return UNSET.format(parameter=name)


def _unused(name: str, given: Array, wanted: Array) -> str:
    if name == INPUT or wanted.any() or not given.any():
        return ""
    return f"y does not change with {name}: forward leaves it out, or backward gives it a gradient that it has not"


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


def _constant(given: Array, wanted: Array, counts: Mapping[str, int]) -> str:
    """What a gradient that is a multiple of the right one is too large or too small by."""
    if not wanted.any() or not given.any():
        return ""
    factor = float(given @ wanted / (wanted @ wanted))
    if not matches(given, factor * wanted):
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
    return len(gradient) > positions.max() and matches(gradient[positions], wanted)


def _exchanged(bench: LayerBench, case: Case, part: Part, positions: Array, wanted: Array) -> str:
    """Try whether backward is right once one kept array is replaced by another, the input or the output."""
    subject = bench.subject
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

            if _right_after(bench, case, positions, wanted, replace):
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


def _at_output(bench: LayerBench, case: Case, part: Part, positions: Array, given: Array) -> str:
    """Whether an elementwise layer's wrong gradient is the right one at the output instead of the input."""
    if part.name != INPUT:
        return ""
    subject = bench.subject
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


def _sum_of_all(case: Case, part: Part, given: Array, wanted: Array) -> str:
    """Whether every entry of a bias's gradient is the sum of all entries."""
    if part.name == INPUT or len(part.shape) != 1 or len(given) != part.shape[0] or len(given) < 2:
        return ""
    if matches(given, np.full_like(given, wanted.sum())):
        return "it is the sum of all of dy in every entry: sum over the rows only, dy.sum(axis=0)"
    return ""


def _diagonal(bench: LayerBench, mismatch: Mismatch, given: Array) -> str:
    """Whether only what x_i does to y_i is counted, where y_i depends on other entries too."""
    point, part = mismatch.point, mismatch.part
    if part.name != INPUT or np.shape(point.y) != part.shape:
        return ""
    seen: list[float] = []
    for position, own in list(zip(mismatch.positions, given, strict=True))[:6]:
        direction = (np.arange(len(point.v)) == position) * 1.0
        alone = float((point.dy * slope(point.f, point.v, direction).value).ravel()[position - part.start])
        if abs(alone - own) > 1e-6 * max(abs(given).max(), 1e-300):
            return ""
        seen.append(alone)
    if not np.any(seen) or matches(np.array(seen), mismatch.wanted[: len(seen)], 1e-3):
        return ""
    return (
        "only the diagonal of the Jacobian is used: y_i depends on other entries of the row too, through their sum say"
    )


def _from_some_row_on(mismatch: Mismatch) -> str:
    """Whether rows are wrong from one on."""
    part = mismatch.part
    if part.name != INPUT or len(part.shape) < 2:
        return ""
    rows = [part.index(position)[0] for position in mismatch.positions]
    wrong = {row for row, m in zip(rows, mismatch.measured, strict=True) if not m.agrees}
    right = {row for row, m in zip(rows, mismatch.measured, strict=True) if m.agrees} - wrong
    if not right or not wrong or min(wrong) <= max(right) or min(wrong) < 6:
        return ""
    return f"rows are wrong from about row {min(wrong)} on: a part of the batch is treated in another way, or left out"


def _ignores_upstream(bench: LayerBench, case: Case, part: Part) -> str:
    once = _gradient(bench, case)
    twice = _gradient(bench, case, factor=2.0)
    if once is None or twice is None or not matches(twice[part.span], once[part.span]):
        return ""
    return "the upstream gradient dy is ignored"


def _gradient(bench: LayerBench, case: Case, factor: float = 1.0) -> Array | None:
    try:
        return bench.subject.gradient(case.x, case.theta, factor * case.dy)
    except Exception:
        return None


def _decay(bench: LayerBench, case: Case, part: Part, positions: Array, excess: Array) -> str:
    if part.name == INPUT:
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
        if other.name == part.name or size != len(given):
            continue
        wanted = np.array([bench.prover.entry(point, p).numeric for p in range(other.span.start, other.span.stop)])
        if matches(given, wanted):
            return f"it is the gradient of {other.name}: the two are exchanged"
    return ""


def _one_row(bench: LayerBench, case: Case, part: Part) -> str:
    if len(case.x) == 1:
        return ""
    return ONE_ROW if part.name in _right_parts(bench, case.x[:1], case.theta) else ""


def _right_parts(bench: LayerBench, x: Array, theta: Array) -> set[str]:
    """The names of the parts whose gradients are right at x and theta."""
    try:
        return bench.prover.right_parts(bench.point(bench.case("", x, theta)))
    except Exception:
        return set()


def _where(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """Whether it is wrong only where the input is large, or negative."""
    name, x = mismatch.part.name, abs(case.x)
    if case.x.dtype.kind != "f" or not x.any():
        return ""
    if len(case.x) == 1 and name in _right_parts(bench, bench.x, case.theta):
        return "right for several rows, wrong for a batch of one"
    tiny = 0.01 * x / x.max()
    huge = x * 8 if x.max() < 100 else x
    right = {
        words: name in _right_parts(bench, values, case.theta)
        for words, values in {"+": tiny, "-": -tiny, "++": huge, "--": -huge}.items()
    }
    if all(right.values()):
        if "ties" in case.situation:
            return "wrong only where entries of the input are equal, or zero"
        if not _is_first(case) and "inputs" not in case.situation:
            return ""
    if "of any sign" in case.situation and name in _right_parts(bench, case.x, bench.theta):
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


def _of_shape(bench: LayerBench, x: Array, dx: Array) -> str:
    """The likely bug behind a dx of another shape than x's."""
    if dx.ndim == 2 and dx.shape == x.shape[::-1]:
        return "transposed: dx has its two axes exchanged"
    if dx.size == x.size:
        return "dx has the right number of entries in another shape; return dx.reshape(self.x.shape)"
    if dx.shape == x.shape[1:]:
        return "dx is summed over the batch; every row has a gradient of its own"
    return _square(bench)


def _of_refusal(bench: LayerBench) -> str:
    """The likely bug of a backward that raises, by what other shapes it takes."""
    square = _square(bench)
    if square:
        return square
    try:
        bench.reset()
        y = bench.subject.forward(bench.x[:1])
        bench.subject.layer.backward(bench.upstream(y))
    except Exception:
        return ""
    return ONE_ROW if len(bench.x) > 1 else ""


def _of_refused_value(error: Exception, rows: int) -> str:
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


def _square(bench: LayerBench) -> str:
    """What a sibling of the layer with as many outputs as inputs says: is it right, or else what is its bug?"""
    try:
        config: dict[str, Any] = bench.layer.config()
        names = [name for name in ("in_features", "out_features") if isinstance(config.get(name), int)]
        if len(names) < 2 or config["in_features"] == config["out_features"]:
            return ""
        sibling = sibling_of(bench, config["in_features"])
    except Exception:
        return ""
    try:
        try_gradients(sibling)
    except Evidence as evidence:
        return of(evidence, sibling)
    except Exception:
        return ""
    return SENTENCES["square shapes only"]

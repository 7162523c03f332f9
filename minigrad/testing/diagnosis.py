"""The likely bug: what the evidence that a rule raised says of the code, and what to write instead.

Some evidence is a symptom of one bug; its sentence stands in `SENTENCES`. Where the first input is right, numbers of
the code may be its sizes (`written_out`). Any other wrong gradient has to be read, in this order: what its numbers are
instead of the right ones (`signatures`), which lines are not what a lesson asks for (`line_by_line`), which one change
of the code makes it right (`repair`), which way from x to y it leaves out (`paths`), which other forward it belongs to
(`other_forward`), which two changes make it right, where it is wrong (`places`). If nothing fits, the sentence says
what was ruled out. Beside the line that is wrong stands the right one: the change that was tried, or else what the
derivative of forward is (`formula`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing import (
    absent,
    borrowed,
    entrywise,
    forgotten,
    formula,
    headings,
    line_by_line,
    memory,
    other_forward,
    overwritten,
    paths,
    places,
    refusal,
    remaining,
    repair,
    signatures,
    surrogate,
    widened,
    written_out,
)
from minigrad.testing.axes import OR_FORWARD
from minigrad.testing.bench import BETWEEN, Bench, LayerBench
from minigrad.testing.budget import SIGNATURES, Deadline
from minigrad.testing.corrections import Correction
from minigrad.testing.gradients import is_narrow, sibling_of, try_gradients
from minigrad.testing.loss_bench import LossBench
from minigrad.testing.methods import why_unchanged
from minigrad.testing.point import Mismatch
from minigrad.testing.report import Diagnosis
from minigrad.testing.rule import Evidence, NotRun, Refused, WrongGradient, WrongShape
from minigrad.testing.sentences import ONE_ROW, ONE_ROW_WRONG, SENTENCES, UNSUMMED
from minigrad.testing.subject import Case

NUMPY = str(Path(np.__file__).parent)
EXPERIMENTS = tuple(str(Path(__file__).parents[1] / folder) for folder in ("testing", "derivation"))


def of(evidence: Evidence, bench: Bench | None = None) -> Diagnosis:
    """The likely bug behind this evidence; empty if none fits. Experiments are made on the bench of a layer."""
    sentence = SENTENCES[evidence.symptom] if evidence.symptom else ""
    read, raised = Diagnosis(), ""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # those of the compiler too, about changes that make no sense
        try:
            read = remaining.told(evidence, bench, _read(evidence, bench))
        except Exception as error:  # of the layer, at what an experiment gave it
            raised = _of_ours(error)
    if raised:
        warnings.warn(f"the likely bug could not be looked for, please report it: {raised}", stacklevel=2)
    if isinstance(bench, LayerBench) and bench.asked:  # its forward has been compared
        read = replace(read, sentence=read.sentence.replace(OR_FORWARD, ""))
    text = evidence.likely or sentence.format(**{**vars(evidence), **evidence.facts})
    read = read if read.sentence else Diagnosis(text, read.written, read.right)
    if isinstance(bench, LayerBench) and isinstance(evidence, WrongGradient) and not bench.asked:
        meant = surrogate.may_be_meant(bench.layer, evidence.mismatch.given, evidence.mismatch.wanted)
        read = replace(read, sentence=read.sentence + surrogate.MEANT if meant and read.sentence else read.sentence)
    return read


def _of_ours(error: Exception) -> str:
    """The error in words with its place, if it was raised here and not by the code under test."""
    if isinstance(error, Evidence):
        return ""
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(NUMPY)]
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
    return f"{type(error).__name__}: {error} ({place})" if frames[-1].filename.startswith(EXPERIMENTS) else ""


def _read(evidence: Evidence, bench: Bench | None) -> Diagnosis:
    """What the numbers, the shapes or the exception say, and experiments where there is a layer to make them on."""
    layer_bench = bench if isinstance(bench, LayerBench) else None
    if isinstance(evidence, NotRun):
        return _of_forward(evidence)
    named = _of_names(evidence, bench)
    if named.sentence:
        return named
    if layer_bench and (isinstance(evidence, WrongGradient | WrongShape | Refused) or evidence.symptom in OTHER_WIDTHS):
        written = written_out.correction(layer_bench)
        if written:
            return _with(written.says, written)
    if layer_bench and evidence.symptom == "small widths only":
        return Diagnosis(written_out.one_by_one(layer_bench))
    if isinstance(evidence, WrongGradient):
        if layer_bench and evidence.case:
            return _of_layer(layer_bench, evidence)
        if isinstance(bench, LossBench):
            return _of_loss(bench, evidence)
        return Diagnosis((bench.culprit() if bench else "") or _by_numbers(evidence))
    if isinstance(evidence, Refused):
        numbers = _of_numbers(layer_bench.layer, layer_bench.x, evidence.error) if layer_bench else Diagnosis()
        if numbers.sentence:
            return numbers
        said = refusal.of_value(evidence.error, evidence.rows)
        return _of_refusal(layer_bench, evidence, said) if layer_bench else Diagnosis(said)
    return _of_contract(layer_bench, evidence) if layer_bench else Diagnosis(refusal.shapes(evidence.__cause__))


def _of_names(evidence: Evidence, bench: Bench | None) -> Diagnosis:
    """A method that is not called, or a name that is another's: whatever the numbers are."""
    if isinstance(bench, LayerBench):
        error = getattr(evidence, "error", None)
        nested = refusal.indented(bench.layer, error) or absent.imported(bench.layer, error)
        found = None if nested else forgotten.correction(bench.layer, bench.x, error)
        if not (nested or found) and (error is not None or evidence.symptom == "never set"):
            found = _of_absent(bench.layer, bench.x, error)
        if found and not found.wholly and (lacks := borrowed.lacks(bench.layer)):
            return Diagnosis(lacks)
        return Diagnosis(nested) if nested else _with(found.says, found) if found else Diagnosis()
    found = forgotten.in_loss(bench.loss, bench.is_right) if isinstance(bench, LossBench) else None
    return _with(found.says, found) if found else Diagnosis()


def _of_contract(bench: LayerBench, evidence: Evidence) -> Diagnosis:
    """The likely bug of a layer that breaks another promise than that of its gradient's numbers."""
    symptom = evidence.symptom
    if isinstance(evidence, WrongShape):
        found = _mended(bench, None)
        said = _of_shape(bench, evidence.x, evidence.dx)
        if said and found and not found.wholly and bench.asked:
            found = None
        return _with(said or (found.says if found else ""), found)
    if symptom == "parameters changed" and evidence.what.startswith("forward"):
        found = overwritten.correction(bench, "forward")
        return _with(f"only an optimizer may change them; {found.says}", found) if found else Diagnosis()
    if symptom in BY_REPAIR:
        found = _mended(bench, None, evidence.parameter)
        said = SENTENCES[symptom].format(**vars(evidence))
        names_it = found and symptom in ("never set", "left behind by an earlier call")
        return _with(f"{said}; {found.says}" if found and names_it else said, found)
    if symptom in ("left to chance", "constant of another dtype"):
        chance = symptom == "left to chance"
        found = memory.correction(bench) if chance else widened.correction(bench, evidence.facts["method"])
        return _with(found.says, found) if found else Diagnosis()
    if symptom in OVERWRITTEN:
        found = overwritten.correction(bench, OVERWRITTEN[symptom])
        return _with(f"{SENTENCES[symptom]}; {found.says}", found) if found else Diagnosis()
    return Diagnosis(refusal.shapes(evidence.__cause__))


def _mended(bench: LayerBench, error: Exception | None, blamed: str | None = None) -> Correction | None:
    """The change with which a backward runs, and is right: all of it, or that which is `blamed`."""
    if error and (found := refusal.left_in(bench, error)):
        return found
    if isinstance(error, NameError):
        return refusal.correction(bench, error) or line_by_line.read(bench).correction
    lines = line_by_line.read(bench)
    other = None if lines.surely else refusal.correction(bench, error, blamed)
    wholly = lines.correction is not None and lines.correction.wholly
    return other if blamed and not wholly else lines.or_rather(other)


def _of_forward(evidence: NotRun) -> Diagnosis:
    """The likely bug of a forward that raises."""
    layer, x, error = evidence.layer, evidence.x, evidence.__cause__
    names = forgotten.correction(layer, x) or _of_absent(layer, x, error)
    if names:
        return _with(names.says, names)
    numbers = _of_numbers(layer, x, error)
    if numbers.sentence:
        return numbers
    said, turned = absent.imported(layer, error) or refusal.shapes(error), refusal.exchanged(layer, x, error)
    return _with("; ".join(filter(None, (said, turned.says if turned else ""))), turned)


def _of_absent(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """What there is none of: an argument, a value at that line, a name."""
    return headings.correction(layer, x, error) or absent.correction(layer, x, error)


def _of_numbers(layer: Layer, x: Array, error: BaseException | None) -> Diagnosis:
    """What takes a single number, if that is why a method raises that has an array."""
    found = entrywise.correction(layer, x, error)
    return _with(found.says, found) if found else Diagnosis(entrywise.decides(error))


def _by_numbers(evidence: WrongGradient) -> str:
    mismatch = evidence.mismatch
    given, wanted = mismatch.given, mismatch.wanted
    return signatures.unset(mismatch) or signatures.multiple(given, wanted, evidence.counts)


def _of_loss(bench: LossBench, evidence: WrongGradient) -> Diagnosis:
    p, t = evidence.facts["p"], evidence.facts["t"]
    if bench.crosses(p, t):
        return Diagnosis(SENTENCES["every p with every t"])
    if lacks := borrowed.loss_lacks(bench.loss):
        return Diagnosis(lacks)
    said = _by_numbers(evidence)
    outcome = repair.of_loss(bench, p, t, evidence.mismatch)
    found = outcome.correction
    if not (said or found):
        said = paths.left_out_of_loss(bench.loss, p, t, evidence.mismatch)
        said = said or other_forward.of_loss(bench, p, t)
        found = None if said else outcome.of_several()
    said = said or (found.says if found else "" if evidence.symptom else f"{NO_MULTIPLE}; {_tried(outcome)}")
    return _with(said, found)


def _of_layer(bench: LayerBench, evidence: WrongGradient) -> Diagnosis:
    """The likely bug behind a gradient that differs from the numerical derivative."""
    mismatch, case = evidence.mismatch, evidence.case
    assert case is not None
    odd = _of_no_numbers(bench, case, mismatch)
    if odd:
        return odd
    unwritten = signatures.unwritten(bench.layer)
    if unwritten:
        if hasattr(bench.layer, "surrogate"):
            return Diagnosis(DERIVED_FROM_SURROGATE)
        exact = _first(signatures.exact(bench, case, mismatch, evidence.counts))
        return Diagnosis(exact if exact.startswith("forward ") else unwritten)
    lacks = borrowed.lacks(bench.layer)
    if lacks and not places.few_digits(mismatch):
        return Diagnosis(lacks, "", formula.of(bench, case, mismatch))
    between = case.situation.startswith(BETWEEN)
    said = "" if between else _first(signatures.exact(bench, case, mismatch, evidence.counts))
    lines = line_by_line.read(bench)
    outcome = repair.Outcome(None, 0, True) if lines.surely else repair.of_layer(bench, case, mismatch)
    found = lines.or_rather(outcome.correction)
    doubtful = said.startswith(HYPOTHESES) and not said.endswith(signatures.EXCHANGED)
    if doubtful and bench.asked and found and found.wholly:
        said = ""
    if found and found is lines.correction and lines.count > 1:
        exchanged = said.endswith(signatures.EXCHANGED) and "are exchanged" not in found.says
        return _with(said if exchanged else found.says, found)
    if found and said.startswith("a factor of two"):
        said = f"{said.partition(':')[0]}: {found.says}"
    if found and not said:
        place = _place(bench, case, mismatch)
        said = f"{place}: {found.says}" if place else found.says
    said = said or (BRANCHES if between else signatures.unset(mismatch))
    said = said or paths.left_out(bench, case, mismatch)
    if lines.says and not found:
        likely = f"{said}; {lines.says}" if said else lines.says
        return Diagnosis(likely, lines.written, formula.of(bench, case, mismatch))
    said = said or ("" if signatures.is_first(case) else places.where(bench, case, mismatch))
    said = said or places.not_seen(mismatch) or places.few_digits(mismatch)
    said = said or other_forward.of_layer(bench, case, mismatch)
    if not said:
        found = outcome.of_several()
        said = found.says if found else _first(places.partial(bench, case, mismatch))
    said = said or f"{NO_MULTIPLE}, no transpose, no exchange of what forward keeps; {_tried(outcome)}"
    return _with(said, found, "" if found else formula.of(bench, case, mismatch))


def _of_no_numbers(bench: LayerBench, case: Case, mismatch: Mismatch) -> Diagnosis | None:
    """What is said of a gradient that is not finite, or of which no entry is wrong by itself; None of all others."""
    if not mismatch.positions and np.isfinite(case.gradient[mismatch.part.span]).all():
        said = f"the parts of the gradient of {mismatch.part.name} are each possible, but not together"
        tie = ": at a tie it goes to every one of the equal entries instead of to one"
        return Diagnosis(said + tie if "ties" in case.situation or mismatch.point.ties is not None else said)
    if mismatch.positions and np.isfinite(mismatch.given).all():
        return None
    place = places.where(bench, case, mismatch) if mismatch.positions else ""
    place = place or "a quotient of zeros, or a power or an exponential that overflows"
    if not signatures.is_first(case) and not bench.fenced:
        place += "; if the layer is for other x, `domain` in its class says so"
    return Diagnosis(f"the gradient is not finite; {place}", "", formula.of(bench, case, mismatch))


def _place(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """Where a gradient is wrong that a change mends: at which inputs, or in rows of which width."""
    if is_narrow(case.situation):
        return f"wrong for {case.situation.split(', ')[0]} numbers, right for others"
    if case.situation.startswith(BETWEEN):
        return BRANCHES
    elementwise = not bench.own.size and mismatch.point.y.shape == case.x.shape
    return places.where(bench, case, mismatch) if elementwise or not signatures.is_first(case) else ""


OTHER_WIDTHS = ("small widths only", "square shapes only")
DERIVED_FROM_SURROGATE = "the layer writes no backward, and the one derived is forward's, not surrogate's: write it out"
HYPOTHESES = ("the derivative is taken", "it is the gradient of", "transposed: backward uses")
BY_REPAIR = (
    *("no dx", "several returned", "list returned", "never set", "parameters changed"),
    *("accumulated over calls", "left behind by an earlier call"),
)
OVERWRITTEN = {"dy overwritten": "backward", "x overwritten": "forward", "y overwritten": "backward"}
BRANCHES = "a threshold in backward is not one in forward, or the other way round"
NO_MULTIPLE = "none of the usual slips: it is no multiple of the right one"


def _first(texts: Iterator[str]) -> str:
    deadline = Deadline(SIGNATURES)
    for text in texts:
        if text or deadline.is_over():
            return text
    return ""


def _with(said: str, found: Correction | None, derived: str = "") -> Diagnosis:
    if found is None:
        return Diagnosis(said, "", derived)
    written = f"{found.written}   ({found.place})" if found.written else ""
    return Diagnosis(said, written, found.right, found)


def _tried(outcome: repair.Outcome) -> str:
    """What trials without a result have ruled out."""
    if not outcome.count:
        why = f": {why_unchanged(type(outcome.first.holder), 'backward')}" if outcome.first else ""
        return f"no change of backward was tried{why}"
    all_of_them = "" if outcome.in_time else ", which are not all,"
    return (
        f"of {outcome.count:,} changes at one place of the code{all_of_them} none makes it right, nor do two of them "
        "together, as far as they were tried"
    )


def _of_shape(bench: LayerBench, x: Array, dx: Array) -> str:
    """The likely bug behind a dx of another shape than x's."""
    if dx.ndim == 2 and dx.shape == x.shape[::-1]:
        return "transposed: dx has its two axes exchanged"
    if dx.size == x.size:
        return "dx has the right number of entries in another shape; return dx.reshape(self.x.shape)"
    if dx.shape == x.shape[1:]:
        ignored = "; dy has no part in it" if _ignores_dy(bench, dx) else ""
        return f"dx has the shape of one row, but every row has a gradient of its own{ignored}"
    return _square(bench)


def _ignores_dy(bench: LayerBench, dx: Array) -> bool:
    """Whether another dy gives the same dx."""
    bench.reset()
    y = bench.subject.forward(bench.x.copy())
    return all(np.array_equal(bench.subject.layer.backward(bench.upstream(y)), dx) for _ in range(2))


def _of_refusal(bench: LayerBench, evidence: Refused, said: str) -> Diagnosis:
    """The likely bug of a backward that raises: the change that mends it, shapes, or what other shapes it takes."""
    if lacks := borrowed.lacks(bench.layer):
        return Diagnosis(lacks)
    does_not_fit = refusal.shapes(evidence.error, evidence.rows, len(bench.x))  # before anything else runs
    found = _mended(bench, evidence.error)
    if found:
        only = square if (square := _square(bench)) == SENTENCES["square shapes only"] else ""
        words = [
            found.says if said in ("", refusal.ONE_NUMBER, refusal.KEPT_AXIS, UNSUMMED) else said,
            does_not_fit,
            only,
        ]
        return _with("; ".join(each for each in words if each), found)
    said = said or does_not_fit or _square(bench)
    if said:
        return Diagnosis(said)
    return Diagnosis(_one_row(bench) if len(bench.x) > 1 and evidence.rows else "")


def _one_row(bench: LayerBench) -> str:
    """What a backward that raises for several rows, and not for other columns alone, does for one."""
    with suppress(Evidence):
        bench.reset()
        bench.case("the first input", bench.x, bench.theta)
        return ""
    try:
        bench.reset()
        case = bench.case("a batch of one", bench.x[:1].copy(), bench.theta)
        right = bench.prover.right_parts(bench.point(case))
    except Exception:
        return ""
    return ONE_ROW if {part.name for part in bench.subject.parts(case.x)} <= right else ONE_ROW_WRONG


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
        return of(evidence, sibling).sentence
    except Exception:
        return ""
    return SENTENCES["square shapes only"]

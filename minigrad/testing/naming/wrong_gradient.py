"""What a gradient that differs from the numerical derivative says of the code.

It is read in this order: what its numbers are instead of the right ones (`signatures`), which lines are not what a
lesson asks for (`line_by_line`), which one change of the code makes it right (`repair`), which way from x to y it
leaves out (`paths`), which other forward it belongs to (`other_forward`), which two changes make it right, where it is
wrong (`places`). If nothing fits, the sentence says what was ruled out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.testing.bench.layers import BETWEEN, LayerBench
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.bench.subject import Case
from minigrad.testing.budget import SIGNATURES, Deadline
from minigrad.testing.naming import (
    borrowed,
    formula,
    line_by_line,
    lines as lines_of,
    other_forward,
    paths,
    places,
    repair,
    signatures,
)
from minigrad.testing.naming.corrections import with_correction
from minigrad.testing.naming.methods import why_unchanged
from minigrad.testing.naming.sentences import SENTENCES
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.plain import Plain
from minigrad.testing.report import Diagnosis
from minigrad.testing.rule import WrongGradient
from minigrad.testing.rules.gradients import is_narrow

DERIVED_FROM_SURROGATE = "the layer writes no backward, and the one derived is forward's, not surrogate's: write it out"
HYPOTHESES = ("the derivative is taken", "it is the gradient of", "transposed: backward uses")
BRANCHES = "a threshold in backward is not one in forward, or the other way round"
NO_MULTIPLE = "none of the usual slips: it is no multiple of the right one"


def of_layer(bench: LayerBench, evidence: WrongGradient) -> Diagnosis:
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
        return with_correction(said if exchanged else found.says, found)
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
    said = said or places.through_time(bench, case, mismatch) or other_forward.of_layer(bench, case, mismatch)
    if not said:
        found = outcome.of_several()
        said = found.says if found else _first(places.partial(bench, case, mismatch))
    said = said or f"{NO_MULTIPLE}, no transpose, no exchange of what forward keeps; {_tried(outcome)}"
    if found:
        return with_correction(said, found)
    tells_no_line = said.startswith(NO_MULTIPLE) or (isinstance(bench.layer, Plain) and "line " not in said)
    right = bench.prover.right_parts(bench.point(case)) if tells_no_line else set[str]()
    written = lines_of.suspected(bench, mismatch.part, right) if tells_no_line else ""
    return Diagnosis(said, written, formula.of(bench, case, mismatch))


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


def of_loss(bench: LossBench, evidence: WrongGradient) -> Diagnosis:
    """The likely bug behind a loss's gradient that differs from the numerical derivative."""
    p, t = evidence.facts["p"], evidence.facts["t"]
    if bench.crosses(p, t):
        return Diagnosis(SENTENCES["every p with every t"])
    if lacks := borrowed.loss_lacks(bench.loss):
        return Diagnosis(lacks)
    said = by_numbers(evidence)
    outcome = repair.of_loss(bench, p, t, evidence.mismatch)
    found = outcome.correction
    if not (said or found):
        said = paths.left_out_of_loss(bench.loss, p, t, evidence.mismatch)
        said = said or other_forward.of_loss(bench, p, t)
        found = None if said else outcome.of_several()
    said = said or (found.says if found else "" if evidence.symptom else f"{NO_MULTIPLE}; {_tried(outcome)}")
    return with_correction(said, found)


def by_numbers(evidence: WrongGradient) -> str:
    """What the numbers alone say: that it was never set, or is a multiple of the right one."""
    mismatch = evidence.mismatch
    given, wanted = mismatch.given, mismatch.wanted
    return signatures.unset(mismatch) or signatures.multiple(given, wanted, evidence.counts)


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


def _first(texts: Iterator[str]) -> str:
    deadline = Deadline(SIGNATURES)
    for text in texts:
        if text or deadline.is_over():
            return text
    return ""

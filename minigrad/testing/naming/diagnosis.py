"""The likely bug: what the evidence that a rule raised says of the code, and what to write instead.

Some evidence is a symptom of one bug; its sentence stands in `SENTENCES`. Where the first input is right, numbers of
the code may be its sizes (`written_out`). Any other wrong gradient has to be read (`wrong_gradient`). Beside the line
that is wrong stands the right one: the change that was tried, or else what the derivative of forward is (`formula`).
"""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench import surrogate
from minigrad.testing.bench.layers import Bench, LayerBench
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.naming import (
    absent,
    borrowed,
    chance,
    entrywise,
    forgotten,
    headings,
    line_by_line,
    lines,
    overwritten,
    refusal,
    remaining,
    widened,
    written_out,
    wrong_gradient,
)
from minigrad.testing.naming.corrections import Correction, with_correction
from minigrad.testing.naming.sentences import ONE_ROW, ONE_ROW_WRONG, SENTENCES, UNSUMMED
from minigrad.testing.naming.templates.axes import OR_FORWARD
from minigrad.testing.plain import Plain
from minigrad.testing.report import Diagnosis
from minigrad.testing.rule import Evidence, NotRun, Refused, WrongGradient, WrongShape
from minigrad.testing.rules.gradients import sibling_of, try_gradients

NUMPY = str(Path(np.__file__).parent)
EXPERIMENTS = tuple(str(Path(__file__).parents[2] / folder) for folder in ("testing", "derivation"))


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
    if isinstance(bench, LayerBench) and isinstance(evidence, WrongGradient) and not _is_foreign(bench):
        meant = surrogate.may_be_meant(bench.layer, evidence.mismatch.given, evidence.mismatch.wanted)
        read = replace(read, sentence=read.sentence + surrogate.MEANT if meant and read.sentence else read.sentence)
    return read


def _is_foreign(bench: LayerBench) -> bool:
    """Whether sentences about what a class of minigrad may declare are out of place."""
    return bench.asked is not None or isinstance(bench.layer, Plain)


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
            return with_correction(written.says, written)
    if layer_bench and evidence.symptom == "small widths only":
        return Diagnosis(written_out.one_by_one(layer_bench))
    if isinstance(evidence, WrongGradient):
        if layer_bench and evidence.case:
            return wrong_gradient.of_layer(layer_bench, evidence)
        if isinstance(bench, LossBench):
            return wrong_gradient.of_loss(bench, evidence)
        return Diagnosis((bench.culprit() if bench else "") or wrong_gradient.by_numbers(evidence))
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
        return Diagnosis(nested) if nested else with_correction(found.says, found) if found else Diagnosis()
    found = forgotten.in_loss(bench.loss, bench.is_right) if isinstance(bench, LossBench) else None
    return with_correction(found.says, found) if found else Diagnosis()


def _of_contract(bench: LayerBench, evidence: Evidence) -> Diagnosis:
    """The likely bug of a layer that breaks another promise than that of its gradient's numbers."""
    symptom = evidence.symptom
    if isinstance(evidence, WrongShape):
        found = _mended(bench, None)
        said = _of_shape(bench, evidence.x, evidence.dx)
        if said and found and not found.wholly and bench.asked:
            found = None
        if not found and isinstance(bench.layer, Plain):
            return Diagnosis(said, lines.suspected(bench, bench.parts()[0]))
        return with_correction(said or (found.says if found else ""), found)
    if symptom == "parameters changed" and evidence.what.startswith("forward"):
        found = overwritten.correction(bench, "forward")
        return with_correction(f"only an optimizer may change them; {found.says}", found) if found else Diagnosis()
    if symptom in BY_REPAIR:
        found = _mended(bench, None, evidence.parameter)
        said = SENTENCES[symptom].format(**vars(evidence))
        names_it = found and symptom in ("never set", "left behind by an earlier call")
        return with_correction(f"{said}; {found.says}" if found and names_it else said, found)
    if symptom in ("left to chance", "constant of another dtype"):
        found = (
            chance.correction(bench)
            if symptom == "left to chance"
            else widened.correction(bench, evidence.facts["method"])
        )
        return with_correction(found.says, found) if found else Diagnosis()
    if symptom in OVERWRITTEN:
        found = overwritten.correction(bench, OVERWRITTEN[symptom])
        return with_correction(f"{SENTENCES[symptom]}; {found.says}", found) if found else Diagnosis()
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
        return with_correction(names.says, names)
    numbers = _of_numbers(layer, x, error)
    if numbers.sentence:
        return numbers
    said, turned = absent.imported(layer, error) or refusal.shapes(error), refusal.exchanged(layer, x, error)
    return with_correction("; ".join(filter(None, (said, turned.says if turned else ""))), turned)


def _of_absent(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """What there is none of: an argument, a value at that line, a name."""
    return headings.correction(layer, x, error) or absent.correction(layer, x, error)


def _of_numbers(layer: Layer, x: Array, error: BaseException | None) -> Diagnosis:
    """What takes a single number, if that is why a method raises that has an array."""
    found = entrywise.correction(layer, x, error)
    return with_correction(found.says, found) if found else Diagnosis(entrywise.decides(error))


OTHER_WIDTHS = ("small widths only", "square shapes only")
BY_REPAIR = (
    *("no dx", "several returned", "list returned", "never set", "parameters changed"),
    *("accumulated over calls", "left behind by an earlier call"),
)
OVERWRITTEN = {"dy overwritten": "backward", "x overwritten": "forward", "y overwritten": "backward"}


def _of_shape(bench: LayerBench, x: Array, dx: Array) -> str:
    """The likely bug behind a dx of another shape than x's."""
    if dx.ndim == 2 and dx.shape == x.shape[::-1]:
        return "transposed: dx has its two axes exchanged"
    if dx.size == x.size:
        x_shape = "x.shape" if isinstance(bench.layer, Plain) else "self.x.shape"
        return f"dx has the right number of entries in another shape; return dx.reshape({x_shape})"
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
        return with_correction("; ".join(each for each in words if each), found)
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

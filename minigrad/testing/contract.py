"""A check: the rules are tried on the bench one by one, and evidence becomes an error that says the likely bug."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

import numpy as np

from minigrad.blas_threads import one_blas_thread
from minigrad.layer import Layer
from minigrad.testing.bench.layers import Bench, LayerBench
from minigrad.testing.report import Diagnosis, GradientError, Report
from minigrad.testing.rule import Evidence, Rule, Skipped
from minigrad.testing.rules.protocol import CONTRACT

NOT_CHECKED = (
    "whether y is the function that you mean: one over another axis, or without a division by sqrt(d), has a right "
    "derivative too. Compare a row of y with one worked out by hand. Nor what is wrong only after hundreds of calls, "
    "at numbers or sizes far beyond those tried, within an interval that no x hit, or for x with another number of axes"
)

HERE, NUMPY = str(Path(__file__).parent), str(Path(np.__file__).parent)
SomeBench = TypeVar("SomeBench", bound=Bench)
Result = TypeVar("Result")


def check_layer(layer: Any, x: Any = None, *, seed: int = 0, parameters: Mapping[str, str] | None = None) -> Report:
    """Prove that a layer keeps its contract, or raise GradientError, which says what is wrong with it.

    `x` is an input that the layer takes, rows first; without it one is made from the layer's `in_features`,
    `features` or channels, or by trying widths 3, 4 and 5. The layer itself is left alone: all is done on deep copies,
    in float64, at its own parameters and at random ones. Returns the report, whose `str()` is a table.

    A small layer takes about 0.05 s of the processor, and one with a large x or many steps no more than about 5 s: its
    gradient is proved at all of x, the other rules take some rows, the costly ones come last, and the report says what
    there was no time for.

    What forward computes can be checked only where something else knows it: the layer itself in wider numbers, predict,
    float32, one row alone. That it is the function which you mean, over the right axis and divided by the right √d, is
    taken for granted, as the last line of the report says.

    What a layer's class says of itself is believed:

    * `domain`: the x that it takes, or a Hypothesis strategy of such, where not all numbers are
    * `surrogate(x)`: the function whose derivative backward is on purpose, of a straight-through rounding or a reversed
      gradient
    * `tolerance`: how near it comes, 1e-7 say, where it iterates
    * `rows_together = True`: a row of y depends on other rows, as a norm over the batch does
    * `untrained`: the names of attributes that hold layers, and are not trained

    An object of any other class with `forward(x)` and `backward(dy)` is checked too, at the x that is passed. Its
    parameters are found by the usual spellings, such as W and dW, W_grad or grads["W"] beside params["W"], or named:
    `parameters={"W": "gradW"}`. What belongs to minigrad's own layers, such as config(), isn't asked of it.

    Raises ValueError where no input can be guessed: then pass x.
    """
    if not isinstance(layer, Layer | type) and callable(getattr(layer, "forward", None)) and hasattr(layer, "backward"):
        from minigrad.testing.plain import check_plain

        return check_plain(layer, x, seed, parameters)
    if not isinstance(layer, Layer):
        hint = f"; write {layer.__name__}(…)" if isinstance(layer, type) else ""
        raise TypeError(f"check_layer takes a layer, not {layer!r}{hint}")
    return check(layer, x, seed)


def check(
    layer: Layer,
    x: Any = None,
    seed: int = 0,
    *,
    only_here: bool = False,
    rules: Iterable[Rule[LayerBench]] = CONTRACT,
    asked: Layer | None = None,
    notes: Iterable[str] = (),
) -> Report:
    """What `check_layer` does, by these rules: at inputs of many kinds, or `only_here`, at x itself.

    `asked` is a layer that is right and has the same forward, for the diagnosis to compare with: a lesson's solution.
    """
    report = Report(repr(layer), notes=[*notes], not_checked=NOT_CHECKED)
    with _evidence_entered(report, "forward runs"):
        bench = LayerBench(layer, x, seed, report, only_here)
        if asked:
            from minigrad.testing.naming.asked import Asked

            bench.asked = Asked(asked)
    return run(bench, rules)


def run(bench: SomeBench, rules: Iterable[Rule[SomeBench]]) -> Report:
    """Try every rule on the bench; raise GradientError at the first that is broken."""
    report = bench.report
    bench.rules = tuple(rules)
    for rule in bench.rules:
        if rule.costly and bench.deadline.is_over():
            report.skipped(rule.promise, "for lack of time")
            continue
        bench.reset()
        with _evidence_entered(report, rule.promise, bench):
            outcome = quietly(partial(rule, bench))
        match outcome:
            case Report():
                report.include(outcome)
            case Skipped(why):
                report.skipped(rule.promise, why)
            case detail:
                report.holds(rule.promise, detail or "")
    report.error, report.tolerance = bench.prover.error, bench.prover.tolerance
    return report


def _named(evidence: Evidence, bench: Bench | None) -> Diagnosis:
    """The likely bug. What names it is loaded when it is first asked for: most checks hold."""
    from minigrad.testing.naming import diagnosis

    return diagnosis.of(evidence, bench)


@contextmanager
def _evidence_entered(report: Report, promise: str, bench: Bench | None = None) -> Iterator[None]:
    """Evidence that is raised inside is entered in the report, and raised as the error that says the likely bug."""
    try:
        yield
    except Evidence as evidence:
        error = GradientError(
            evidence.promise or promise,
            evidence.what,
            situation=evidence.situation,
            diagnosis=partial(quietly, partial(_named, evidence, evidence.bench or bench)),
            parameter=evidence.parameter,
            index=evidence.index,
            analytic=evidence.analytic,
            numeric=evidence.numeric,
        )
        raise error.filed(report) from evidence.__cause__
    except GradientError as error:  # of a check within this one
        error.report = None
        raise error.filed(report) from error.__cause__
    except Exception as error:
        if bench is None:  # about x, or a domain: what was passed
            raise
        what, likely = _in_words(error)
        raise GradientError(promise, what, diagnosis=partial(Diagnosis, likely)).filed(report) from error


def _in_words(error: Exception) -> tuple[str, str]:
    """What was raised while a rule was tried, and the likely bug: by code under test, or by what is done with results.

    The rules take what a first forward and backward have shown for granted; what returns another thing now and then
    shows as such an error.
    """
    frames, raised = extract_tb(error.__traceback__), f"{type(error).__name__}: {error}"
    last = max((n for n, frame in enumerate(frames) if frame.filename.startswith(HERE)), default=-1)
    theirs = [frame for frame in frames[last + 1 :] if not frame.filename.startswith(NUMPY)]
    if theirs:
        name = next((frame.name for frame in theirs if not frame.name.startswith("<")), "the code")
        return f"{name} raises {raised} ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})", ""
    return (
        f"what its methods return can't be compared: {raised}",
        "one of them returns None, or an array of another shape or dtype, for some rows and not for others (if none "
        f"does, please report this: {Path(frames[last].filename).name}, line {frames[last].lineno})",
    )


def quietly(function: Callable[[], Result]) -> Result:
    """Call a function without the warnings of code that is tried where it may overflow, and with one thread of BLAS:
    with rows as few as these, more of them wait for each other longer than they multiply.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function()

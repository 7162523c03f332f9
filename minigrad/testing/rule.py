"""What a rule is: a promise, the code that tries it, and the evidence that it raises where the promise is broken.

    @rule("y is never negative")
    def never_negative(bench: LayerBench) -> None:
        y = bench.forward(bench.x, "the first input")
        if (y < 0).any():
            raise Evidence(f"forward returns {y.min():.6g}", likely="the square is missing")

    check(MyLayer(4, 3), rules=[*CONTRACT, never_negative])

A rule knows its bench and says what it saw; `diagnosis` says which bug that is, and
`minigrad.testing.contract` makes the error of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.subject import INPUT, Case
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.report import Report

SomeBench = TypeVar("SomeBench", contravariant=True)


@dataclass
class Skipped:
    """The outcome of a rule that does not apply; without a reason, the report does not mention it."""

    why: str = ""


# How a rule went: it holds (with a detail to report), does not apply, or was a whole check within this one.
Outcome: TypeAlias = str | Skipped | Report | None


@dataclass(frozen=True)
class Rule(Generic[SomeBench]):
    """A promise, and how it is tried: called with a bench, it raises Evidence where the promise is broken.

    A `costly` one is left out where time is up.
    """

    promise: str
    tried: Callable[[SomeBench], Outcome]
    costly: bool = False

    def __call__(self, bench: SomeBench) -> Outcome:
        """Try it."""
        return self.tried(bench)


def rule(promise: str, costly: bool = False) -> Callable[[Callable[[SomeBench], Outcome]], Rule[SomeBench]]:
    """Make a function that tries this promise into a Rule."""
    return lambda tried: Rule(promise, tried, costly)


class Evidence(Exception):
    """What a rule saw that breaks its promise.

    `what` says it in words. `symptom` is its name in `sentences.SENTENCES`, where the likely bug stands, with `facts`
    to fill in; a rule that is not the package's gives the sentence itself, as `likely`. For a wrong number `parameter`
    ("x" for the input), `index`, `analytic` and `numeric` locate it. `promise` is the one that is broken, if that is
    not the promise of the rule which found it. `bench` is where it was seen, if not on the rule's own: there the
    experiments are made.
    """

    def __init__(
        self,
        what: str,
        symptom: str = "",
        *,
        likely: str = "",
        situation: str = "",
        parameter: str | None = None,
        index: tuple[int, ...] | None = None,
        analytic: float | None = None,
        numeric: float | None = None,
        promise: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.symptom: str = symptom
        self.likely = likely
        self.situation: str = situation
        self.parameter = parameter
        self.index = index
        self.analytic = analytic
        self.numeric = numeric
        self.promise = promise
        self.facts: dict[str, Any] = facts
        self.bench: Any = None

    def seen_on(self, bench: Any, symptom: str, situation: str, **facts: Any) -> None:
        """Enter that it was seen on the bench of another: a symptom of its own, if it has none, and a situation."""
        self.bench, self.symptom, self.situation = bench, self.symptom or symptom, situation
        self.facts |= facts

    def __reduce__(self) -> Any:
        """As its words: where another process sends an error with what it came of, the experiments stay behind."""
        return Evidence, (self.what,)


class WrongGradient(Evidence):
    """A gradient that is not the derivative: `where` in words, and all that was measured.

    `counts` are numbers, each with words for it, that it may be too large or too small by. `case` is what a layer was
    given; without it there is nothing to experiment on.
    """

    def __init__(
        self,
        where: str,
        mismatch: Mismatch,
        symptom: str = "",
        *,
        counts: Mapping[str, int],
        case: Case | None = None,
        **facts: Any,
    ) -> None:
        found = mismatch.worst
        super().__init__(
            f"{where} is {found.analytic:.9g}, but should be {found.numeric:.9g}",
            symptom,
            situation=mismatch.point.situation,
            parameter=mismatch.part.name,
            index=mismatch.index,
            analytic=found.analytic,
            numeric=found.numeric,
            **facts,
        )
        self.mismatch = mismatch
        self.counts = counts
        self.case = case


class WrongShape(Evidence):
    """A dx of another shape than x's."""

    def __init__(self, x: Array, dx: Array, situation: str) -> None:
        super().__init__(f"dx has the shape {dx.shape}; x has {x.shape}", situation=situation, parameter=INPUT)
        self.x = x
        self.dx = dx


def like_x(x: Array, dx: Any, situation: str) -> None:
    """Raise Evidence unless dx is an array of the shape of x, in float64; of integers there is none."""
    if x.dtype.kind != "f":
        return
    what = "backward returns {} instead of the gradient of x"
    if dx is None:
        raise Evidence(what.format(dx), "no dx", situation=situation, parameter=INPUT)
    if isinstance(dx, tuple | list):
        several = f"{type(dx).__name__!r} of {len(dx)}"
        if len(dx) == len(x) and np.shape(dx[0]) == x.shape[1:]:
            raise Evidence(what.format(several), "list returned", situation=situation, parameter=INPUT)
        raise Evidence(what.format(several), "several returned", situation=situation, parameter=INPUT)
    if not isinstance(dx, np.ndarray):
        raise Evidence(what.format(repr(dx)), situation=situation, parameter=INPUT)
    if dx.shape != x.shape:
        raise WrongShape(x, dx, situation)
    if dx.dtype != np.float64:
        what = f"in float64 backward returns {dx.dtype}"
        raise Evidence(what, "backward in a dtype of its own", situation=situation, parameter=INPUT)


class Refused(Evidence):
    """An exception of the code under test, raised for a batch of this many rows."""

    def __init__(self, what: str, error: Exception, rows: int, situation: str = "") -> None:
        super().__init__(what, situation=situation)
        self.error = error
        self.rows = rows


class NotRun(Evidence):
    """An exception of the forward under test: of this layer, for this x."""

    def __init__(self, what: str, layer: Layer, x: Array, situation: str = "") -> None:
        super().__init__(what, situation=situation)
        self.layer = layer
        self.x = x


def seen(check: Callable[[], object]) -> Evidence | None:
    """The evidence that a check raises; any other error is evidence, too, in its own words. None where it holds."""
    try:
        check()
    except Evidence as evidence:
        return evidence
    except Exception as error:
        return Evidence(f"{type(error).__name__}: {error}")
    return None

"""What a rule has on its bench to try a layer: copies of it, inputs, parameters, forward, backward and comparing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, states_of, walk
from minigrad.testing.bench.branches import between_branches
from minigrad.testing.bench.first_input import find_input, given_input, made_late, rows_for
from minigrad.testing.bench.inputs import (
    drawn_from,
    input_like,
    own_and_random,
    resized,
    situations,
    situations_within,
    widened,
    with_rows,
)
from minigrad.testing.bench.subject import INPUT, Case, Part, Subject
from minigrad.testing.budget import CHECK, PROOF, Deadline
from minigrad.testing.oracle.comparison import Prover
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.point import Point
from minigrad.testing.oracle.rounding import RELATIVE, Noise, agree, same
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, NotRun, Refused, like_x

if TYPE_CHECKING:
    from minigrad.testing.naming.asked import Asked

BETWEEN = "x between two thresholds"
LARGEST = 1000  # numbers in an x that thresholds are looked for with
ENOUGH = 4000  # numbers in an x; of a larger one most rules take some rows


class Bench:
    """What every check has: a report to write into, and a prover that compares gradients with derivatives."""

    def __init__(self, report: Report, directions: np.random.Generator, seconds: float = PROOF) -> None:
        self.report = report
        self.rules: tuple[Any, ...] = ()  # that are asked
        self.prover: Prover = Prover(directions, seconds)
        self.deadline: Deadline = Deadline(CHECK)

    def reset(self) -> None:
        """Clear up before the next rule."""

    def culprit(self) -> str:
        """Which part of what is checked is wrong by itself, in words, where it has parts."""
        return ""


class LayerBench(Bench):
    """The bench for one layer: at inputs of many kinds, or `only_here`, at x itself.

    `subject` is the copy under test, in float64, `spare` another for what is not to disturb it, `complex` the same in
    complex numbers, `x` the first input: some rows of `whole`, the x that was given, if that is large. Of the
    parameters there are the layer's `own`, random ones near them, which most rules take (`theta`), and random ones of
    any sign (`free`). A proof of gradients is to take no more than about so many `seconds` of the processor.

    What a layer says of itself is believed: `domain`, an x that it takes or a Hypothesis strategy of such, keeps all
    inputs to it; `tolerance` is how near an iterative layer comes; and `surrogate(x)` is the function whose derivative
    backward returns on purpose, of a straight-through rounding or a reversed gradient.
    """

    varied: Array
    free: Array

    def __init__(
        self, layer: Layer, x: Any, seed: int, report: Report, only_here: bool = False, seconds: float = PROOF
    ) -> None:
        # Independent streams: x and dy from one and the same make xᵀ dy symmetric, which hides a transposed gradient.
        self.rng: np.random.Generator
        self.upstreams: np.random.Generator
        self.rng, self.upstreams, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        super().__init__(report, directions, seconds)
        self.layer = layer
        self.asked: Asked | None = None
        self.only_here = only_here
        self.home: LayerBench = self  # that of the layer which is checked, where this is one of a layer made anew
        self.subject: Subject = Subject(layer)
        self.spare: Subject = Subject(layer)
        self.complex: Subject = Subject(layer, np.complex128)
        domain = getattr(layer, "domain", None)
        self.fenced: bool = domain is not None  # whether the layer says what it takes
        self.drawn: list[Array] = drawn_from(domain) if x is None and self.fenced else []
        x = self.drawn[0] if self.drawn else x
        self.given: bool = x is not None
        self.whole: Array = self._rows(
            find_input(self.subject, self.rng) if x is None else given_input(self.subject, x)
        )
        self.x: Array = self._some(self.whole)
        self.own: Array = self.subject.theta.copy()
        sizes = [part.span.stop - part.span.start for part in self.parameters()]
        varied, self.free = own_and_random(self.own, sizes, self.rng)
        # Biases of 0 and scales of 1 hide their own absence, so the rules run at other values, where those work.
        self.theta: Array = varied if self.finite(self.x, varied) else self.own
        stated = getattr(layer, "tolerance", 0.0)  # of a layer that iterates until it is near enough
        self.tolerance: float = float(stated) if isinstance(stated, float) and 0 <= stated < 0.1 else 0.0
        self.coupled = False  # whether what the layer says of one row depends on the others
        self.compared = False  # whether a rule has compared predict with forward

    def reset(self) -> None:
        """Put the parameters back that the rules are tried at."""
        self.subject.theta[...] = self.theta

    # Running the copy.

    def upstream(self, y: Array) -> Array:
        """Random dy of y's shape: a sum of y alone would not see a softmax whose backward returns zeros."""
        return self.upstreams.standard_normal(y.shape)

    def forward(self, x: Array, situation: str) -> Array:
        """The copy's forward; what it raises, or returns that is no array of rows, is evidence."""
        with self._running(situation, x):
            y = self.subject.forward(x)
        if not isinstance(y, np.ndarray) or y.ndim == 0 or len(y) != len(x):
            returned = "None" if y is None else repr(type(y).__name__)
            returned = f"an array of shape {y.shape}" if isinstance(y, np.ndarray) else returned
            symptom = "no y" if y is None else "several y" if isinstance(y, tuple | list) else ""
            raise Evidence(f"for {len(x)} rows forward returns {returned}", symptom, situation=situation)
        return y

    def backward(self, dy: Array, situation: str) -> Any:
        """The copy's backward; what it raises is evidence, and mostly says which bug it is."""
        try:
            return self.subject.layer.backward(dy)
        except Exception as error:
            what = f"backward raises {type(error).__name__}: {error}"
            raise Refused(what, error, len(dy), situation) from error

    def gradient(self, dy: Array) -> Array:
        """What the copy's backward gives for dy, after a forward of `x`: dx and dtheta, as one vector."""
        return self.subject.collect(self.x, self.subject.layer.backward(dy))

    @contextmanager
    def trying(self, situation: str, what: str = "it", symptom: str = "") -> Iterator[None]:
        """Whatever is raised inside is evidence."""
        try:
            yield
        except Exception as error:
            raised = f"{what} raises {type(error).__name__}: {error}"
            raise Evidence(raised, symptom, situation=situation) from error

    @contextmanager
    def _running(self, situation: str, x: Array) -> Iterator[None]:
        """Whatever a forward of x raises inside is evidence, and x something to experiment with."""
        try:
            yield
        except Exception as error:
            raise NotRun(f"forward raises {type(error).__name__}: {error}", self.layer, x, situation) from error

    @contextmanager
    def advanced(self, steps: int, x: Array | None = None) -> Iterator[None]:
        """With the state that the layer has after so many steps: at inputs like the first one, or all at x."""
        kept = Subject(self.layer)
        batches = [self.another() if x is None else x for _ in range(steps)]
        self.subject.advance(batches, self.upstreams)
        for other in (self.spare, self.complex):
            other.adopt(self.subject)
        try:
            yield
        finally:
            for other in (self.subject, self.spare, self.complex):
                other.adopt(kept)

    def finite(self, x: Array, theta: Array) -> bool:
        """Whether the layer takes x at these parameters, and gives numbers."""
        try:
            return bool(np.isfinite(self.spare.at(self.spare.vector(x, theta), x)).all())
        except Exception:
            return False

    def rowwise(self, function: Any) -> bool:
        """Whether a batch of x's rows gives what they give one by one."""
        try:
            whole = function(self.x).copy()
            rows = np.concatenate([function(self.x[i : i + 1]).copy() for i in range(len(self.x))])
        except Exception:
            return False
        return self.alike(rows, whole)

    # The parts of a gradient.

    def parts(self) -> list[Part]:
        """The input and every parameter."""
        return self.subject.parts(self.x)

    def parameters(self) -> list[Part]:
        """Every parameter."""
        return [part for part in self.parts() if part.name != INPUT]

    def in_theta(self, part: Part) -> slice:
        """Where a parameter lies in theta."""
        offset = self.x.size if self.x.dtype.kind == "f" else 0
        return slice(part.span.start - offset, part.span.stop - offset)

    # Comparing.

    def case(self, situation: str, x: Array, theta: Array) -> Case:
        """The copy's own gradient at x and theta, for a random dy."""
        self.subject.theta[...] = theta
        dy = self.upstream(self.forward(x, situation))
        dx = self.backward(dy, situation)
        like_x(x, dx, situation)
        gradient = self.subject.collect(x, dx).copy()
        return Case(situation, x, theta, dy, gradient)

    def point(self, case: Case, subject: Subject | None = None) -> Point:
        """What the prover compares."""
        subject, middle = subject or self.subject, self.subject.vector(case.x, case.theta)
        return Point(
            case.situation,
            lambda v: subject.differentiated(v, case.x, middle),
            lambda v: self.complex.differentiated(v, case.x, middle),
            middle.copy(),
            case.dy,
            case.gradient,
            self.subject.parts(case.x),
            lambda v, dy: subject.run(v, case.x, dy),
            composite=bool(self.layer.layers),
            padded="zeros" in case.situation and "ties" not in case.situation,
            tolerance=self.tolerance,
        )

    @cached_property
    def noise(self) -> Noise:
        """The rounding of y and of the gradient at the first input, for a dy of random numbers."""
        return self.noise_at("the first input", self.x, self.theta)[1]

    def noise_at(self, situation: str, x: Array, theta: Array) -> tuple[Case, Noise]:
        """The spare copy's gradient at x, for a dy that float32 can hold, and the rounding of it."""
        with np.errstate(all="ignore"):
            self.spare.theta[...] = theta
            y = self.spare.forward(x).copy()
            dy = self.upstream(y).astype(np.float32).astype(np.float64)
            gradient = self.spare.collect(x, self.spare.layer.backward(dy)).copy()
            case = Case(situation, x, theta, dy, gradient)
            point = self.point(case, self.spare)
            point.y = y
            return case, self.prover.noise(point)

    def rounding_of(self, y: Array) -> float:
        """The rounding of a result of the layer: as many units in its last place as y has at the first input."""
        return self._units * EPS * float(np.max(abs(y), where=np.isfinite(y), initial=0))

    @cached_property
    def _units(self) -> float:
        with np.errstate(all="ignore"):
            self.spare.theta[...] = self.theta
            y = abs(self.spare.forward(self.x))
        largest = float(np.max(y, where=np.isfinite(y), initial=0))
        return float(np.clip(self.noise.y.max(initial=0) / (EPS * largest), 1, 1e8)) if largest else 1.0

    def alike(self, y: Array, other: Array) -> bool:
        """Whether two outputs of the same mathematics agree to the layer's own rounding, and what it says of itself."""
        return agree(y, other, self.rounding_of(other), relative=max(RELATIVE, self.tolerance))

    def another(self) -> Array:
        """An input like the first one that the layer takes too; failing that, its rows in another order."""
        for x in (input_like(self.x, self.rng), input_like(self.x, self.rng)) if not self.fenced else ():
            if self.finite(x, self.theta):
                return x
        turned = self.x[::-1].copy()
        return turned if self.finite(turned, self.theta) else self.x.copy()

    def situations(self) -> Iterator[tuple[str, Array]]:
        """The other inputs at which the layer is to be right, with words for each."""
        if self.only_here:
            return iter(())
        if self.fenced:
            return situations_within(self.x, self.drawn, self.rng)
        wider = []
        if not self.own.size and self.x.ndim > 1 and self.x.dtype.kind == "f" and self.layer.input_shape is None:
            wider = [("wider rows", widened(self.x, self.rng))]
            wider += [(f"rows of {n}", self.another()[..., :n]) for n in (1, 2) if n < self.x.shape[-1]]
        longer = (
            [("rows of another size", resized(self.x, self.rng))]
            if self.x.ndim > 2 and self.x.dtype.kind == "f"
            else []
        )
        return chain(situations(self.x, self.rng, self.given), wider, longer, self.between_branches(self.layer))

    def between_branches(self, layer: Layer) -> Iterator[tuple[str, Array]]:
        """An x between thresholds of this layer or a changed copy, of the signs that x has if it was given."""
        if self.x.dtype.kind == "f" and self.x.size <= LARGEST and not self.fenced:
            found = between_branches(Subject(layer), self.x, self.theta)
            if found is not None and not (self.given and (found < 0).any() and not (self.x < 0).any()):
                yield BETWEEN, found

    def many(self, rows: int) -> Array | None:
        """As many rows as that, of a distribution that is neither centred nor of variance 1; None if refused."""
        x = 3 * with_rows(self.x, min(rows, 20_000 // max(self.x[:1].size, 1) + 2), self.rng) + 2
        x = with_rows(self.x, rows, self.rng) if self.fenced or not self.finite(x, self.theta) else x
        return x if self.finite(x, self.theta) else None

    def large(self) -> Iterator[tuple[str, Array]]:
        """Inputs at which exponentials overflow or quotients vanish, where the layer takes numbers of any size."""
        if not self.fenced:
            yield "large inputs (x * 100)", 100 * self.x
            yield "huge inputs (x * 1000)", 1000 * self.x
            if not self.given or bool((self.x < 0).any()):
                yield "huge inputs of one sign (-1000 |x|)", -1000 * abs(self.x)
            yield "huge inputs of one sign (1000 |x|)", 1000 * abs(self.x)
            if not self.given or bool((self.x == 0).any() or (self.x < 0).any()):
                yield "a row of zeros", self.x * (np.arange(len(self.x)) != 1).reshape(-1, *[1] * (self.x.ndim - 1))

    @property
    def random(self) -> bool:
        """Whether the layer draws random numbers."""
        states = [value for inner in walk([self.subject.layer]) for value in states_of(inner).values()]
        return any(isinstance(value, np.random.Generator) for value in states)

    def parameters_kept(self, method: str) -> None:
        """Raise Evidence if this method has changed a parameter."""
        if not same(self.subject.theta, self.theta):
            raise Evidence(f"{method} changes the parameters", "parameters changed")

    # Choosing the first input.

    def _rows(self, x: Array) -> Array:
        """As many rows of x, or like them, as tell every two axes apart."""
        with self._running(f"x of shape {x.shape}", x), np.errstate(all="ignore"):
            y = self.subject.forward(x.copy())
        made_late(self.subject, self.layer)
        if self.only_here or len(x) >= rows_for(self.layer, x, y):
            return x
        more = with_rows(x, rows_for(self.layer, x, y), self.rng)
        return more if not self.fenced and self.finite(more, self.subject.theta) else x

    def _some(self, x: Array) -> Array:
        """Rows from all over x, if it is large: at least as many as tell every two axes apart."""
        least = rows_for(self.layer, x, x[:1])
        rows = max(least, ENOUGH // max(x[:1].size, 1))
        if len(x) <= rows or self.only_here:
            return x
        some = x[np.linspace(0, len(x) - 1, rows).astype(int)]
        return some if self.finite(some, self.subject.theta) else x

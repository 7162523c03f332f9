"""What a rule has on its bench to try a layer: copies of it, inputs, parameters, forward, backward and comparing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.comparison import Point, Prover, same, same_to_noise
from minigrad.testing.derivative import EPS
from minigrad.testing.inputs import find_input, own_and_random, rows_for, with_rows
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Refused
from minigrad.testing.subject import INPUT, Case, Part, Subject


class Bench:
    """What every check has: a report to write into, and a prover that compares gradients with derivatives."""

    def __init__(self, report: Report, directions: np.random.Generator) -> None:
        self.report, self.prover = report, Prover(directions)

    def reset(self) -> None:
        """Clear up before the next rule."""


class LayerBench(Bench):
    """The bench for one layer: at inputs of many kinds, or `only_here`, at x itself.

    `subject` is the copy under test, in float64, `complex` the same in complex numbers, `x` the first input. Of the
    parameters there are the layer's `own`, random ones near them, which most rules take (`theta`), and random ones of
    any sign (`free`).
    """

    def __init__(self, layer: Layer, x: Any, seed: int, report: Report, only_here: bool = False) -> None:
        # Independent streams: x and dy from one and the same make xᵀ dy symmetric, which hides a transposed gradient.
        self.rng, self.upstreams, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        super().__init__(report, directions)
        self.layer, self.only_here = layer, only_here
        self.subject = Subject(layer)
        self.complex = Subject(layer, np.complex128)
        self.x = self._rows(find_input(self.subject, self.rng) if x is None else self._given(x))
        self.own = self.subject.theta.copy()
        sizes = [part.span.stop - part.span.start for part in self.parameters()]
        varied, self.free = own_and_random(self.own, sizes, self.rng)
        # Biases of 0 and scales of 1 hide their own absence, so the rules run at other values, where those work.
        self.theta = varied if self.finite(self.x, varied) else self.own
        self.rounding = EPS  # the layer's own, relative to its output, once `derivative` has measured it
        self.coupled = False  # whether what the layer says of one row depends on the others

    def reset(self) -> None:
        """Put the parameters back that the rules are tried at."""
        self.subject.theta[...] = self.theta

    # Running the copy.

    def upstream(self, y: Array) -> Array:
        """Random dy of y's shape: a sum of y alone would not see a softmax whose backward returns zeros."""
        return self.upstreams.standard_normal(y.shape)

    def forward(self, x: Array, situation: str) -> Array:
        """The copy's forward; what it raises, or returns that is no array of rows, is evidence."""
        with self.trying(situation, "forward"):
            y = self.subject.forward(x)
        if not isinstance(y, np.ndarray) or y.ndim == 0 or len(y) != len(x):
            returned = f"an array of shape {y.shape}" if isinstance(y, np.ndarray) else repr(type(y).__name__)
            raise Evidence(f"for {len(x)} rows forward returns {returned}", situation=situation)
        return y

    def backward(self, dy: Array, situation: str) -> Any:
        """The copy's backward; what it raises is evidence, and mostly says which bug it is."""
        try:
            return self.subject.layer.backward(dy)
        except Exception as error:
            what = f"backward raises {type(error).__name__}: {error}"
            raise Refused(what, error, len(self.x), situation) from error

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

    def finite(self, x: Array, theta: Array) -> bool:
        """Whether the layer takes x at these parameters, and gives numbers."""
        try:
            return bool(np.isfinite(self.subject.at(self.subject.vector(x, theta), x)).all())
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
        gradient = self.subject.collect(x, self.backward(dy, situation)).copy()
        return Case(situation, x, theta, dy, gradient)

    def point(self, case: Case) -> Point:
        """What the prover compares."""
        return Point(
            case.situation,
            lambda v: self.subject.at(v, case.x),
            lambda v: self.complex.at(v, case.x),
            self.subject.vector(case.x, case.theta),
            case.dy,
            case.gradient,
            self.subject.parts(case.x),
            composite=bool(self.layer.layers),
        )

    def alike(self, a: Array, b: Array, size: float | None = None) -> bool:
        """Whether two results of the same mathematics agree to the layer's own rounding."""
        return same_to_noise(a, b, self.rounding, size)

    def parameters_kept(self, method: str) -> None:
        """Raise Evidence if this method has changed a parameter."""
        if not same(self.subject.theta, self.theta):
            raise Evidence(f"{method} changes the parameters", "parameters changed")

    # Choosing the first input.

    def _given(self, x: Any) -> Array:
        """The user's x in float64; integers stay integers where the layer looks them up."""
        x = np.asarray(x)
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"x needs at least one row, not the shape {x.shape}")
        if x.dtype.kind == "f":
            return x.astype(np.float64)
        with np.errstate(all="ignore"):
            try:
                y = self.subject.forward(x.astype(np.float64))
                looked_up = self.subject.layer.backward(np.ones_like(y)) is None
            except Exception:
                looked_up = True
        return x.copy() if looked_up else x.astype(np.float64)

    def _rows(self, x: Array) -> Array:
        """As many rows of x, or like them, as tell every two axes apart."""
        with self.trying(f"x of shape {x.shape}", "forward"), np.errstate(all="ignore"):
            y = np.asarray(self.subject.forward(x.copy()))
        return x if self.only_here else with_rows(x[:8], max(min(len(x), 8), rows_for(self.layer, x, y)), self.rng)

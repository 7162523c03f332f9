"""The contract of a layer, rule by rule (see `minigrad.layer.Layer`), each tried on a copy in float64."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, walk
from minigrad.testing import diagnosis
from minigrad.testing.derivative import EPS
from minigrad.testing.inputs import another, find_input, own_and_random, rows_for, situations, with_rows
from minigrad.testing.proof import Mismatch, Point, Prover
from minigrad.testing.report import GradientError, Report
from minigrad.testing.subject import INPUT, Subject

COORDINATES = 40
Result = TypeVar("Result")
EPS32 = float(np.finfo(np.float32).eps)


def check_layer(layer: Layer, x: Any = None, *, seed: int = 0) -> Report:
    """Prove that a layer keeps its contract, or raise GradientError, which says what is wrong with it.

    `x` is an input that the layer takes, rows first; without it one is made from the layer's `in_features`,
    `features` or channels, or by trying widths 3, 4 and 5. The layer itself is left alone: all is done on deep copies,
    in float64, at its own parameters and at random ones. Returns the report, whose `str()` is a table.

    Raises ValueError where no input can be guessed: then pass x.
    """
    if not isinstance(layer, Layer):
        hint = f"; write {layer.__name__}(…)" if isinstance(layer, type) else ""
        raise TypeError(f"check_layer takes a layer, not {layer!r}{hint}")
    return LayerCheck(layer, x, seed).run()


@dataclass
class Case:
    """One situation: the input, the parameters, the upstream, and the gradient that the layer gave."""

    situation: str
    x: Array
    theta: Array
    dy: Array
    gradient: Array


class LayerCheck:
    """One run of the rules over one layer: at inputs of many kinds, or `only_here`, at x itself."""

    def __init__(self, layer: Layer, x: Any, seed: int, only_here: bool = False) -> None:
        self.layer, self.only_here = layer, only_here
        self.report = Report(repr(layer))
        # Independent streams: x and dy from one and the same make xᵀ dy symmetric, which hides a transposed gradient.
        self.rng, self.upstreams, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        self.subject = Subject(layer)
        self.complex = Subject(layer, np.complex128)
        self.prover = Prover(directions)
        self.x = self._rows(find_input(self.subject, self.rng) if x is None else self._given(x))
        self.own = self.subject.theta.copy()
        sizes = [part.span.stop - part.span.start for part in self._parameter_parts()]
        self.varied, self.free = own_and_random(self.own, sizes, self.rng)
        # Biases of 0 and scales of 1 hide their own absence, so the rules run at other values, where those work.
        self.theta = self.varied if self._finite(self.x, self.varied) else self.own
        self.rounding = EPS
        self.cases: list[Case] = []

    def run(self) -> Report:
        """Try every rule; raise at the first that is broken."""
        rules = (
            self.declarations,
            self.runs,
            self.arguments_unchanged,
            self.gradients_are_set,
            self.derivative,
            self.linear,
            self.latest_forward,
            self.inference,
            self.independent_rows,
            self.memory_layouts,
            self.single_precision,
            self.zero_rows,
            self.configuration,
            self.other_widths,
        )
        try:
            for rule in rules:
                self.subject.theta[...] = self.theta
                quietly(rule)
        except GradientError as error:
            raise error.filed(self.report) from error.__cause__
        self.report.error, self.report.tolerance = self.prover.error, self.prover.tolerance
        return self.report

    # The rules, in the order in which a bug is best told apart.

    def declarations(self) -> None:
        """Inner layers are listed."""
        rule = "inner layers are listed in self.layers"
        for layer in walk([self.layer]):
            listed = {id(inner) for inner in layer.layers}
            for name, value in vars(layer).items():
                for held in value if isinstance(value, list | tuple) else [value]:
                    if isinstance(held, Layer) and id(held) not in listed:
                        raise GradientError(
                            rule,
                            f"{type(layer).__name__}.{name} holds {held!r}, which is not in self.layers",
                            diagnosis="the inner layer's parameters are never trained; list it in self.layers",
                        )
        self.report.holds(rule)

    def runs(self) -> None:
        """Forward and backward run; shapes and dtypes are right."""
        rule = "forward and backward run, shapes and dtypes are right"
        y = self.forward(self.x.copy(), "the first input", rule)
        if not np.isfinite(y).all():
            raise GradientError(rule, f"forward returns {y[~np.isfinite(y)][0]}", situation="the first input")
        initial = dict(vars(self.subject.layer))
        dx = self.backward(self.upstream(y), "the first input", rule)
        self._shapes(self.x, y, dx, "the first input")
        self._undeclared(initial)
        self._bound()
        self.report.holds(rule, f"x {self.x.shape} -> y {y.shape}")

    def arguments_unchanged(self) -> None:
        """Forward and backward leave their arguments, and backward the state, as they were."""
        rule = "arguments and parameters are left unchanged"
        x = self.x.copy()
        y = self.subject.forward(x)
        overwritten = "the input is overwritten in place; work on a copy, say x = x * … instead of x *= …"
        if not same(x, self.x):
            raise GradientError(rule, "forward changes its argument x", diagnosis=overwritten)
        self._parameters_kept(rule, "forward")
        kept, state, dy = y.copy(), self.subject.state(), self.upstream(y)
        given = dy.copy()
        self.subject.layer.backward(dy)
        if not same(dy, given):
            raise GradientError(
                rule,
                "backward changes its argument dy",
                diagnosis="the upstream gradient is overwritten in place; work on a copy",
            )
        if not same(x, self.x):
            raise GradientError(rule, "backward changes the x that forward was given", diagnosis=overwritten)
        if not same(y, kept):
            raise GradientError(
                rule,
                "backward changes the y that forward returned",
                diagnosis="the output is overwritten in place by backward; work on a copy",
            )
        self._parameters_kept(rule, "backward")
        if not same(self.subject.state(), state):
            raise GradientError(rule, "backward changes the layer's state", diagnosis="only forward may change state")
        self.report.holds(rule)

    def gradients_are_set(self) -> None:
        """Two calls give the same bits, and a gradient does not depend on what its array held before."""
        rule = "two calls give the same bits; gradients are set, not added to"
        subject, first = self.subject, self.subject.forward(self.x).copy()
        if not same(subject.forward(self.x), first):
            raise GradientError(
                rule,
                "two forwards of the same x, from the same state, differ",
                diagnosis="it draws random numbers from a generator that is not declared, or keeps what it should not; "
                "write rng = state() in the class",
            )
        dy = self.upstream(first)
        garbage = self.upstreams.uniform(1, 2, subject.dtheta.shape)
        subject.dtheta[...] = 0
        once = subject.collect(self.x, subject.layer.backward(dy)).copy()
        with self._explained(rule, "a second backward after one forward"):
            twice = subject.collect(self.x, subject.layer.backward(dy)).copy()
            subject.dtheta[...] = garbage
            thrice = subject.collect(self.x, subject.layer.backward(dy)).copy()
        for part in subject.parts(self.x):
            a, b, c = (gradient[part.span] for gradient in (once, twice, thrice))
            if part.name != INPUT and a.size:
                stale = c == garbage[-len(subject.dtheta) :][self._theta_span(part.span)]
                if stale.all() and not a.any():
                    raise GradientError(
                        rule,
                        f"backward does not set the gradient of {part.name}",
                        parameter=part.name,
                        diagnosis=f"the gradient of {part.name} is identically zero: it is never filled in",
                    )
            if same(a, b) and same(b, c):
                continue
            added = same_to_rounding(b, 2 * a) or same_to_rounding(b - a, a)
            raise GradientError(
                rule,
                f"the gradient of {part.name} differs from one backward to the next, after the same forward",
                parameter=part.name,
                diagnosis="it is accumulated: added to instead of set, so that a second backward gives a factor of two"
                if added
                else "it depends on what an earlier call has left behind; set all of it, from what forward kept",
            )
        self.report.holds(rule)

    def derivative(self) -> None:
        """The input's gradient and every parameter's, against the numerical derivative, in every situation."""
        rule = "gradients equal the numerical derivative"
        free = self.free if self._finite(self.x, self.free) else self.theta
        places = [
            ("its own parameters", self.own),
            ("random parameters", self.theta),
            ("random parameters of any sign", free),
        ]
        tried = [(f"the first input, {name}", self.x, theta) for name, theta in places]
        for number, (name, x) in enumerate([] if self.only_here else situations(self.x, self.rng)):
            where, theta = places[1 + number % 2]
            if name.startswith("huge"):
                name, x = self._largest_finite(name, x, theta)
            tried.append((f"{name}, {where}", x, theta))
        self.cases = []
        for situation, x, theta in tried:
            finite = self._finite(x, theta)
            # x itself may not be refused, and one row only where state stands for what many rows would say.
            if finite or x is self.x or (len(x) == 1 and not self.subject.stateful):
                case = self.case(situation, x, theta, rule)
            if finite:
                self.cases.append(case)
            else:
                self.report.note(f"not checked at {situation}: the layer refuses it, or its output is not finite")
        points = [self.point(case) for case in self.cases]
        for point in points:
            self.prover.learn(point)
        self.rounding = max(map(self._relative_noise, points[:1]), default=EPS)
        for number, (case, point) in enumerate(zip(self.cases, points, strict=True)):
            try:
                self.prover.prove(point, COORDINATES if number in (0, 2) else 0)
            except Mismatch as mismatch:
                raise self._wrong(rule, case, mismatch) from None
        self.report.method = self.prover.method
        if self.x.dtype.kind != "f":
            self.report.note("the input holds integers, so it is not differentiated")
        self.report.holds(
            rule,
            f"{self.report.method}, {len(points)} situations, off by {self.prover.error:.0e} "
            f"where {self.prover.tolerance:.0e} is allowed",
        )

    def linear(self) -> None:
        """Backward is linear in dy, and exactly zero for dy = 0."""
        rule = "backward is linear in dy, and zero for dy = 0"
        y = self.subject.forward(self.x)
        one, other = self.upstream(y), self.upstream(y)

        def backward(dy: Array) -> Array:
            return self.subject.collect(self.x, self.subject.layer.backward(dy)).copy()

        g, h = backward(one), backward(other)
        tried = {"the sum of two": (one + other, g + h)}
        tried |= {f"{factor:g} times a": (factor * one, factor * g) for factor in (-2.0, 1e-8, 1e8)}
        for part in self.subject.parts(self.x):
            if not np.isfinite(g[part.span]).all():
                continue
            zero = backward(np.zeros_like(one))[part.span]
            if zero.any():
                raise GradientError(
                    rule,
                    f"for dy = 0 the gradient of {part.name} is not 0 but {zero[np.argmax(abs(zero))]:.6g}",
                    parameter=part.name,
                    numeric=0.0,
                    analytic=float(zero[np.argmax(abs(zero))]),
                    diagnosis="something is added that does not come from dy (weight decay?), or dy is ignored",
                )
            for name, (dy, expected) in tried.items():
                given = backward(dy)[part.span]
                scale = max(abs(g[part.span]).max(initial=0), abs(h[part.span]).max(initial=0))
                factor = max(abs(dy).max(initial=0) / max(abs(one).max(initial=0), 1e-300), 1e-300)
                if not self.alike(given, expected[part.span], scale * factor):
                    raise GradientError(
                        rule,
                        f"for {name} dy the gradient of {part.name} is not {name} gradient",
                        parameter=part.name,
                        diagnosis="backward is not linear in the upstream gradient: it clips, normalises or ignores dy",
                    )
        self.report.holds(rule)

    def latest_forward(self) -> None:
        """Results stay as they were returned, and layers made alike do not meddle with each other."""
        rule = "results are kept; backward belongs to this layer's latest forward"
        subject, twin = self.subject, Subject(self.layer)
        other = another(self.x, self.rng)
        y = subject.forward(self.x)
        kept, dy = y.copy(), self.upstream(y)
        dx = subject.layer.backward(dy)
        expected = subject.collect(self.x, dx).copy()
        before = None if dx is None else dx.copy()
        subject.forward(other)
        subject.layer.backward(self.upstream(y))
        overwritten = "the layer returns an array that it uses again; return a fresh one"
        if not same(y, kept):
            raise GradientError(rule, "a later call overwrites the y returned before", diagnosis=overwritten)
        if before is not None and not same(dx, before):
            raise GradientError(rule, "a later call overwrites the dx returned before", diagnosis=overwritten)
        subject.forward(self.x)
        twin.layer.backward(twin.forward(other) * 0 + 1)
        if not same(subject.collect(self.x, subject.layer.backward(dy)), expected):
            raise GradientError(
                rule,
                "another layer of the same class changes what this one's backward returns",
                diagnosis="what forward keeps is kept for all layers of the class; keep it on self",
            )
        self.report.holds(rule)

    def inference(self) -> None:
        """Predict leaves a pending backward and the state alone, and agrees with forward where nothing is random."""
        rule = "predict leaves a pending backward alone and agrees with forward"
        subject = self.subject
        y = subject.forward(self.x).copy()
        dy = self.upstream(y)
        expected = subject.collect(self.x, subject.layer.backward(dy)).copy()
        y = subject.forward(self.x).copy()
        state, x = subject.state(), another(self.x, self.rng)[: max(1, len(self.x) - 2)]
        given = x.copy()
        with self._explained(rule, "predict"):
            p = subject.layer.predict(x)
            again = subject.layer.predict(x)
        if not same(x, given):
            raise GradientError(
                rule, "predict changes its argument x", diagnosis="the input is overwritten in place; work on a copy"
            )
        self._parameters_kept(rule, "predict")
        if not same(subject.state(), state):
            raise GradientError(
                rule,
                "predict changes the layer's state",
                diagnosis="inference updates statistics or draws random numbers; give the layer a predict of its own",
            )
        if not same(p, again):
            raise GradientError(rule, "two predicts of the same x differ", diagnosis="inference is random")
        overwritten = "predict overwrites what forward keeps for backward"
        with self._explained(rule, "backward after a predict", "backward", overwritten):
            after = subject.collect(self.x, subject.layer.backward(dy))
        if not same(after, expected):
            raise GradientError(
                rule,
                "after predict(other x), backward no longer belongs to the forward before it",
                diagnosis=overwritten,
            )
        if not subject.stateful:
            value = subject.predict(self.x)
            if value.shape != y.shape or not self.alike(value, y):
                raise GradientError(
                    rule,
                    "predict differs from forward, though the layer has neither state nor randomness",
                    diagnosis="predict and forward compute different functions",
                )
        if p.dtype != y.dtype:
            raise GradientError(rule, f"predict returns {p.dtype} where forward returns {y.dtype}")
        with self._explained("output_shape is true", "output_shape"):
            shape = subject.layer.output_shape(self.x.shape[1:])
        if tuple(shape) != y.shape[1:]:
            raise GradientError(
                "output_shape is true",
                f"output_shape({self.x.shape[1:]}) is {tuple(shape)}, but rows of y have the shape {y.shape[1:]}",
            )
        after = subject.collect(self.x, subject.layer.backward(dy))
        if not same(after, expected) or not same(subject.state(), state):
            raise GradientError("output_shape is true", "output_shape disturbs a pending backward, or the state")
        self.report.holds(rule)
        self.report.holds("output_shape is true", f"{self.x.shape[1:]} -> {y.shape[1:]}")

    def independent_rows(self) -> None:
        """A batch of n equals n batches of one, where rows are independent."""
        rule = "a batch of n equals n batches of one"
        own_predict = type(self.layer).predict is not Layer.predict and not self.layer.layers
        if self._rowwise(self.subject.predict):
            self.coupled = not self.subject.stateful and not self._rowwise(self.subject.forward)
        elif own_predict:
            raise GradientError(
                rule,
                "what predict says of one row depends on the other rows of the batch",
                diagnosis="inference uses statistics of the batch; keep running ones as state() for it",
            )
        else:
            self.coupled = True
        if self.coupled:
            self.report.note("rows are not independent: what the layer says of one row depends on the others")
            self.report.skipped(rule, "rows are not independent")
        else:
            self.report.holds(rule, "in inference")

    def memory_layouts(self) -> None:
        """Fortran-ordered, strided and read-only arrays give the same."""
        rule = "Fortran-ordered, strided and read-only arrays give the same"
        y = self.subject.forward(self.x).copy()
        dy = self.upstream(y)
        expected = self.subject.collect(self.x, self.subject.layer.backward(dy)).copy()
        for name, lay in LAYOUTS.items():
            x, upstream = lay(self.x), lay(dy)
            given = self.forward(x, f"x {name}", rule)
            dx = self.backward(upstream, f"dy {name}", rule)
            if dx is not None and dx.shape != self.x.shape:
                raise GradientError(rule, f"dx has the shape {dx.shape} when x is {name}", situation=f"x {name}")
            gradient = self.subject.collect(self.x, dx)
            for what, a, b in [("y", given, y)] + [
                (f"the gradient of {p.name}", gradient[p.span], expected[p.span]) for p in self.subject.parts(self.x)
            ]:
                if not self.alike(a, b):
                    raise GradientError(
                        rule,
                        f"{what} differs when x and dy are {name}",
                        situation=f"x {name}",
                        diagnosis="the code relies on the memory order of its argument",
                    )
        self.report.holds(rule)

    def single_precision(self) -> None:
        """Float32 gives float32, and nearly the numbers of float64; nothing in float64 is float32 inside."""
        rule = "float32 in gives float32 out, and agrees with float64"
        small = Subject(self.layer, np.float32)
        x = self.x.astype(np.float32) if self.x.dtype.kind == "f" else self.x
        with self._explained(rule, "float32"):
            y = small.forward(x)
            dy = self.upstream(y).astype(np.float32)
            dx = small.layer.backward(dy)
            p = small.predict(x)
        for name, array in (("forward", y), ("backward", dx), ("predict", p)):
            if array is not None and array.dtype != np.float32 and (name != "backward" or self.x.dtype.kind == "f"):
                raise GradientError(
                    rule,
                    f"in float32 {name} returns {array.dtype}",
                    situation="float32",
                    diagnosis="a constant of another dtype: use Python's floats (float(np.sqrt(2)), not np.sqrt(2)), "
                    "and declare arrays with state()",
                )
        if any(isinstance(value, np.random.Generator) for value in self._states()):
            self.report.holds(rule, "dtypes only, since the layer draws random numbers")
            return
        apart = [self._far_apart(small, attempt) for attempt in range(3)]
        if all(apart):  # once or twice may be a kink between the float32 number and the float64 one
            raise GradientError(rule, f"{apart[0]} in float32 is far from that in float64", situation="float32")
        self.report.holds(rule)

    def zero_rows(self) -> None:
        """No rows give no rows, and gradients of zero."""
        rule = "zero rows are accepted"
        x = self.x[:0]
        try:
            y = self.subject.forward(x)
        except ValueError as error:
            if self.coupled or self.subject.stateful:
                self.report.skipped(rule, f"refused in training: {error}")
                return
            raise self._raised(rule, "zero rows", "forward", error) from error
        except Exception as error:
            raise self._raised(rule, "zero rows", "forward", error) from error
        if len(y) != 0:
            raise GradientError(rule, f"zero rows give y of shape {y.shape}", situation="zero rows")
        dx = self.backward(np.zeros(y.shape), "zero rows", rule)
        if self.x.dtype.kind == "f" and np.shape(dx) != x.shape:
            raise GradientError(
                rule, f"for x of shape {x.shape} dx has the shape {np.shape(dx)}", situation="zero rows"
            )
        for part in self._parameter_parts():
            if self.subject.dtheta[self._theta_span(part.span, x)].any() and not self.coupled:
                raise GradientError(
                    rule,
                    f"with zero rows the gradient of {part.name} is not 0",
                    situation="zero rows",
                    parameter=part.name,
                    diagnosis="it divides by the number of rows, or keeps an older gradient",
                )
        self.report.holds(rule)

    def configuration(self) -> None:
        """The layer can be made again from its config()."""
        rule = "config() makes the layer again"
        try:
            config = self.layer.config()
            repr(self.layer)
            clone = type(self.layer)(**copy.deepcopy(config))
            equal = alike_configs(clone.config(), config)
        except Exception as error:
            raise GradientError(
                rule,
                f"{type(error).__name__}: {error}",
                diagnosis="every argument of __init__ must be kept as an attribute of the same name",
            ) from error
        if not equal:
            raise GradientError(
                rule,
                f"the layer made from {config} has the config {clone.config()}",
                diagnosis="an attribute does not hold the argument that __init__ was given",
            )
        made, was = Subject(clone), self.subject
        if [(p.name, p.shape) for p in made.parts(self.x)] != [(p.name, p.shape) for p in was.parts(self.x)]:
            raise GradientError(rule, "the layer made from config() has other parameters", diagnosis=LOST)
        made.theta[...] = was.theta[...] = self.theta
        made.adopt(was)
        if not same(made.predict(self.x), was.predict(self.x)):
            raise GradientError(rule, "the layer made from config() computes something else", diagnosis=LOST)
        self.report.holds(rule)

    def other_widths(self) -> None:
        """A layer that is square here is also right where it is not."""
        rule = "right for other widths too"
        config = self.layer.config()
        inner, outer = config.get("in_features"), config.get("out_features")
        if not isinstance(inner, int) or inner != outer:
            return
        try:
            sibling = LayerCheck(type(self.layer)(**config | {"out_features": outer + 1}), None, 0)
        except Exception:
            return
        try:
            sibling.runs()
            sibling.gradients_are_set()
            sibling.derivative()
        except GradientError as error:
            raise GradientError(
                rule,
                error.what,
                situation=f"{sibling.layer!r}, {error.situation}",
                diagnosis=diagnosis.SQUARE,
                parameter=error.parameter,
                index=error.index,
                analytic=error.analytic,
                numeric=error.numeric,
            ) from error
        self.report.holds(rule, repr(sibling.layer))

    # What the rules are made of.

    coupled = False

    def upstream(self, y: Array) -> Array:
        """Random dy of y's shape: a sum of y alone would not see a softmax whose backward returns zeros."""
        return self.upstreams.standard_normal(y.shape)

    def forward(self, x: Array, situation: str, rule: str) -> Array:
        """The copy's forward; what it raises, or returns that is no array of rows, is an error."""
        with self._explained(rule, situation, "forward"):
            y = self.subject.forward(x)
        if not isinstance(y, np.ndarray) or y.ndim == 0 or len(y) != len(x):
            returned = f"an array of shape {y.shape}" if isinstance(y, np.ndarray) else repr(type(y).__name__)
            raise GradientError(rule, f"for {len(x)} rows forward returns {returned}", situation=situation)
        return y

    def backward(self, dy: Array, situation: str, rule: str) -> Any:
        """The copy's backward; what it raises is an error, and mostly says which bug it is."""
        try:
            return self.subject.layer.backward(dy)
        except Exception as error:
            likely = partial(quietly, partial(diagnosis.of_refusal, self, error))
            raise self._raised(rule, situation, "backward", error, likely) from error

    def alike(self, a: Array, b: Array, scale: float | None = None) -> bool:
        """Whether two results of the same mathematics agree to the layer's own rounding."""
        if a.shape != b.shape:
            return False
        size = abs(b).max(initial=0) if scale is None else scale
        return bool(np.allclose(a, b, rtol=0, atol=(1e-11 + 1e3 * self.rounding) * size + 1e-300, equal_nan=True))

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

    def case(self, situation: str, x: Array, theta: Array, rule: str) -> Case:
        """The copy's own gradient at x and theta, for a random dy."""
        self.subject.theta[...] = theta
        dy = self.upstream(self.forward(x, situation, rule))
        gradient = self.subject.collect(x, self.backward(dy, situation, rule)).copy()
        return Case(situation, x, theta, dy, gradient)

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
        with np.errstate(all="ignore"):
            try:
                y = np.asarray(self.subject.forward(x.copy()))
            except Exception as error:
                raise self._raised("forward runs", f"x of shape {x.shape}", "forward", error).filed(
                    self.report
                ) from error
        return x if self.only_here else with_rows(x[:8], max(min(len(x), 8), rows_for(self.layer, x, y)), self.rng)

    def _finite(self, x: Array, theta: Array) -> bool:
        try:
            return bool(np.isfinite(self.subject.at(self.subject.vector(x, theta), x)).all())
        except Exception:
            return False

    def _largest_finite(self, name: str, x: Array, theta: Array) -> tuple[str, Array]:
        for smaller in (1, 10, 30):
            if self._finite(x / smaller, theta):
                return name.replace("1000", f"{1000 // smaller}"), x / smaller
        return name, x

    def _relative_noise(self, point: Point) -> float:
        largest = float(abs(point.y).max(initial=0))
        return min(float(self.prover.noise(point).max(initial=0)) / largest, 1e-4) if largest and point.v.size else EPS

    def _wrong(self, rule: str, case: Case, mismatch: Mismatch) -> GradientError:
        worst, part = mismatch.worst(), mismatch.part
        measured = mismatch.measured[worst]
        index = part.index(mismatch.positions[worst]) if mismatch.positions else None
        where = f"{part.name}{list(index)}" if index is not None else f"{part.name}, along a random direction,"
        return GradientError(
            rule,
            f"the gradient of {where} is {measured.analytic:.9g}, but should be {measured.numeric:.9g}",
            situation=case.situation,
            parameter=part.name,
            index=index,
            analytic=measured.analytic,
            numeric=measured.numeric,
            diagnosis=partial(quietly, partial(diagnosis.of_mismatch, self, case, mismatch)),
        )

    def _raised(
        self, rule: str, situation: str, what: str, error: Exception, likely: str | Callable[[], str] = ""
    ) -> GradientError:
        return GradientError(
            rule, f"{what} raises {type(error).__name__}: {error}", situation=situation, diagnosis=likely
        )

    @contextmanager
    def _explained(self, rule: str, situation: str, what: str = "it", likely: str = "") -> Iterator[None]:
        """Whatever is raised inside becomes a GradientError of this rule."""
        try:
            yield
        except GradientError:
            raise
        except Exception as error:
            raise self._raised(rule, situation, what, error, likely) from error

    def _shapes(self, x: Array, y: Array, dx: Any, situation: str) -> None:
        rule = "forward and backward run, shapes and dtypes are right"
        if y.dtype != np.float64:
            raise GradientError(
                rule,
                f"in float64 forward returns {y.dtype}",
                situation=situation,
                diagnosis="the layer computes in a dtype of its own; let it follow its input and parameters",
            )
        if x.dtype.kind != "f":
            return
        if not isinstance(dx, np.ndarray):
            raise GradientError(
                rule,
                f"backward returns {dx!r} instead of the gradient of x",
                situation=situation,
                parameter=INPUT,
                diagnosis="backward does not return dx" if dx is None else "",
            )
        if dx.shape != x.shape:
            raise GradientError(
                rule,
                f"dx has the shape {dx.shape}; x has {x.shape}",
                situation=situation,
                parameter=INPUT,
                diagnosis=quietly(lambda: diagnosis.of_shape(self, x, dx)),
            )
        if dx.dtype != np.float64:
            raise GradientError(
                rule,
                f"in float64 backward returns {dx.dtype}",
                situation=situation,
                parameter=INPUT,
                diagnosis="the gradient is computed in another dtype; let it follow dy",
            )

    def _undeclared(self, initial: Mapping[str, Any]) -> None:
        """A pair such as W and dW that __init__ and backward set, and that is not declared, is never trained."""
        layer, known = vars(self.subject.layer), {*self.layer.params}
        for name, value in vars(self.layer).items():
            partner = layer.get(f"d{name}")
            kept = isinstance(value, np.ndarray) and value.dtype.kind == "f" and initial.get(name) is layer[name]
            if kept and name not in known and isinstance(partner, np.ndarray) and partner.shape == value.shape:
                own = name == "theta"  # a model's, of which the parameters are views
                if own or name in self.layer.states or same(partner, vars(self.layer).get(f"d{name}")):
                    continue
                raise GradientError(
                    "parameters are declared",
                    f"{name} and d{name} look like a parameter and its gradient, but are not declared",
                    parameter=name,
                    diagnosis=f"{name} is never trained; write {name}, d{name} = parameter() in the class",
                )

    def _bound(self) -> None:
        subject = self.subject
        for inner in walk([subject.layer]):
            for name in inner.params:
                for held, vector in ((name, subject.theta), (inner.gradient_name(name), subject.dtheta)):
                    if vars(inner)[held].size and not np.shares_memory(vars(inner)[held], vector):
                        raise GradientError(
                            "parameters are declared",
                            f"{type(inner).__name__}.{held} no longer is the array that the model holds",
                            parameter=name,
                            diagnosis=f"the array is replaced; write into it, say self.{held} = …",
                        )

    def _parameters_kept(self, rule: str, method: str) -> None:
        if not same(self.subject.theta, self.theta):
            raise GradientError(rule, f"{method} changes the parameters", diagnosis="only an optimizer may change them")

    def _parameter_parts(self) -> list[Any]:
        return [part for part in self.subject.parts(self.x) if part.name != INPUT]

    def _theta_span(self, span: slice, x: Array | None = None) -> slice:
        offset = self.x.size if self.x.dtype.kind == "f" else 0
        return slice(span.start - offset, span.stop - offset)

    def _rowwise(self, function: Any) -> bool:
        try:
            whole = function(self.x).copy()
            rows = np.concatenate([function(self.x[i : i + 1]).copy() for i in range(len(self.x))])
        except Exception:
            return False
        return self.alike(rows, whole)

    def _states(self) -> Iterator[Any]:
        for inner in walk([self.subject.layer]):
            yield from inner.states.values()

    def _far_apart(self, small: Subject, attempt: int) -> str | None:
        """What differs between float32 and float64 by more than rounding, at an input of its own; None if nothing."""
        x = self.x if attempt == 0 else another(self.x, self.rng)
        x32 = x.astype(np.float32) if x.dtype.kind == "f" else x
        x64 = x32.astype(np.float64) if x.dtype.kind == "f" else x
        theta = small.theta.astype(np.float64)
        self.subject.theta[...] = theta
        y64 = self.subject.forward(x64).copy()
        dy = self.upstream(y64).astype(np.float32)
        g64 = self.subject.collect(x64, self.subject.layer.backward(dy.astype(np.float64))).copy()
        y32 = small.forward(x32).copy()
        g32 = small.collect(x32, small.layer.backward(dy)).copy()
        self.subject.theta[...] = self.theta
        slack = 1e-3 + 1e3 * self.rounding / EPS * EPS32
        pairs = [("y", y32, y64, 0.0)]
        reach = max(1.0, float(abs(x64).max()))
        pairs += [
            (f"the gradient of {p.name}", g32[p.span], g64[p.span], 1e3 * EPS32 * self.prover.largest(p, reach))
            for p in self.subject.parts(x64)
        ]
        for name, a, b, rounding in pairs:
            allowed = slack * float(abs(b).max(initial=0)) + rounding + 1e-30  # what float32 can hold
            if np.isfinite(a).all() and not np.allclose(a, b, rtol=0, atol=allowed):
                return name
        return None


LOST = "config() loses something that forward uses"


def quietly(function: Callable[[], Result]) -> Result:
    """Call a function without the warnings of code that is tried where it may overflow."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function()


def same(a: Any, b: Any) -> bool:
    """The same bits: equal arrays (NaN equal), or lists and dicts of them."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")
    return bool(a == b)


def same_to_rounding(a: Array, b: Array) -> bool:
    """Whether two arrays agree to about ten digits of their largest entry."""
    return bool(np.allclose(a, b, rtol=0, atol=1e-10 * max(float(abs(b).max(initial=0)), 1e-300)))


def alike_configs(a: Any, b: Any) -> bool:
    """Whether two configs say the same; layers in them are compared by their own configs."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(alike_configs(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str):
        return len(a) == len(b) and all(map(alike_configs, a, b))
    if hasattr(a, "config") and hasattr(b, "config"):
        return type(a) is type(b) and alike_configs(a.config(), b.config())
    if callable(a) or callable(b):
        return bool(a == b) or type(a) is type(b)
    return same(a, b)


def strided(a: Array) -> Array:
    """The same numbers, with a gap after each."""
    return np.repeat(a, 2, axis=-1)[..., ::2]


def read_only(a: Array) -> Array:
    """The same numbers, which nobody can write to."""
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran-ordered": lambda a: np.asfortranarray(a),
    "strided": strided,
    "read-only": read_only,
}

"""The gradient that training uses, of a whole model with its loss, against the numerical derivative."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.objective import Objective
from minigrad.parameter import Array, walk
from minigrad.testing import diagnosis
from minigrad.testing.contract import LayerCheck, quietly, same, same_to_rounding
from minigrad.testing.proof import Mismatch, Point, Prover
from minigrad.testing.report import GradientError, Report
from minigrad.testing.subject import Part, Subject

COORDINATES = 25
ROWS = 32


def check_model(model: Model, loss: Loss, x: Any, t: Any, *, l2: float = 0.0, l1: float = 0.0, seed: int = 0) -> Report:
    """Prove the gradient of loss(model(x), t) with respect to all parameters, or raise GradientError.

    x and t are rows of the data as for `fit`, of which the first 32 are used. The model is left alone: all is done on a
    deep copy in float64, at its own parameters, at random ones near them and at large ones. Then the model is checked
    as the layer that it is. Returns the report, whose `str()` is a table.
    """
    return ModelCheck(model, loss, x, t, l2, l1, seed).run()


class ModelCheck:
    """One run over one model, loss and batch."""

    def __init__(self, model: Model, loss: Loss, x: Any, t: Any, l2: float, l1: float, seed: int) -> None:
        self.report = Report(f"{model!r} with {loss!r}")
        self.model = model
        self.rng, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        self.prover = Prover(directions)
        x = np.asarray(x)[:ROWS]
        self.x = x.astype(np.float64) if x.dtype.kind == "f" else x.copy()
        self.t = _targets(model, loss, self.x, t)[:ROWS]
        self.subject, self.complex = Subject(model), Subject(model, np.complex128)
        self.loss = copy.deepcopy(loss)
        self.objective = Objective(self._model(self.subject), self.loss, l2, l1)
        self.complex_objective = Objective(self._model(self.complex), self.loss, l2, l1)
        self.l2, self.l1 = l2, l1
        own = self.subject.theta.copy()
        self.places = [
            ("the model's own parameters", own),
            ("random parameters", own * np.exp(0.3 * self.rng.standard_normal(own.shape)) + 0.1 * self._nudge(own)),
            ("large parameters (times 8)", 8 * own + 0.1 * self._nudge(own)),
        ]

    def run(self) -> Report:
        """Try every rule; raise at the first that is broken."""
        try:
            for rule in (self.runs, self.derivative, self.composed, self.as_layer):
                quietly(rule)
        except GradientError as error:
            raise error.filed(self.report) from error.__cause__
        self.report.error, self.report.tolerance = self.prover.error, self.prover.tolerance
        return self.report

    def runs(self) -> None:
        """The objective gives a number and a gradient, the same twice, and leaves x, t and theta alone."""
        rule = "value and gradient run, twice the same, arguments unchanged"
        x, t = self.x.copy(), self.t.copy()
        try:
            value, gradient = self._gradient(self.places[0][1], x, t)
            again, twice = self._gradient(self.places[0][1], x, t)
            alone = self._value(self.places[0][1])
        except Exception as error:
            likely = diagnosis.of_refused_value(error, len(self.x))
            raise GradientError(rule, f"{type(error).__name__}: {error}", diagnosis=likely) from error
        if not np.isfinite(value):
            raise GradientError(rule, f"the loss is {value}")
        if not same(x, self.x) or not same(t, self.t):
            raise GradientError(rule, "x or t is changed", diagnosis="the input is overwritten in place")
        if not same(self.subject.theta, self.places[0][1]):
            raise GradientError(rule, "the parameters are changed", diagnosis="only an optimizer may change them")
        if not same(value, again) or not same(value, alone):
            raise GradientError(
                rule,
                "the same parameters give another value the second time",
                diagnosis="a layer draws random numbers from a generator that is not declared: rng = state()",
            )
        self._same_gradient(rule, gradient, twice)
        for part in self._parts():
            if (gradient[part.span] == STALE).all() and part.shape:
                raise GradientError(
                    rule,
                    f"backward does not set the gradient of {self._words(part)}",
                    parameter=part.name,
                    diagnosis=f"the gradient of {part.name} is identically zero: it is never filled in",
                )
        self.report.holds(rule, f"value {value:.6g}, {self.subject.theta.size:,} parameters")

    def derivative(self) -> None:
        """Every parameter's gradient against the numerical derivative of the value."""
        rule = "the gradient equals the numerical derivative"
        rows = {"": (self.x, self.t), ", one row": (self.x[:1], self.t[:1])}
        tried = [(place + words, theta, *data) for words, data in rows.items() for place, theta in self.places]
        for number, (situation, theta, x, t) in enumerate(tried):
            if not self._finite(theta, x, t):
                self.report.note(f"not checked at {situation}: refused, or the loss is not finite")
                continue
            point = self._point(situation, theta, x, t)
            try:
                self.prover.prove(point, COORDINATES if number == 0 else 0)
            except Mismatch as mismatch:
                raise self._wrong(rule, x, mismatch) from None
        self.report.method = self.prover.method
        self.report.holds(
            rule,
            f"{self.report.method}, off by {self.prover.error:.0e} where {self.prover.tolerance:.0e} is allowed",
        )

    def composed(self) -> None:
        """The loss on the last layer's output, and the rewritten one on its input, give the same gradient."""
        rule = "the rewritten objective equals model and loss composed"
        if self.objective.loss is self.loss:
            self.report.skipped(rule, "the loss absorbs no layer here")
            return
        theta = self.places[0][1]
        value, gradient = self._gradient(theta)
        decaying = [(layer, name) for layer in walk([self.subject.layer]) for name in layer.decaying]
        for layer, name in decaying:
            w = layer.params[name].ravel()
            gradient[self._span_of(layer, name)] -= self.l2 * w + self.l1 * np.sign(w)
        self.subject.rewind()
        p = self.subject.layer.forward(self.x)
        composed = self.loss.forward(p, self.t)
        self.subject.layer.backward(self.loss.backward(p, self.t))
        weights = [layer.params[name] for layer, name in decaying]
        penalty = sum(float((0.5 * self.l2 * w**2 + self.l1 * np.abs(w)).sum()) for w in weights)
        saturated = bool(((p < 1e-6) | (p > 1 - 1e-6)).any())
        if saturated:
            self.report.skipped(rule, "outputs are saturated, where only the rewritten form is accurate")
            return
        if abs(composed + penalty - value) > 1e-8 * abs(value) or not np.allclose(
            self.subject.dtheta, gradient, rtol=0, atol=1e-7 * abs(gradient).max(initial=0)
        ):
            raise GradientError(
                rule, f"composed {composed + penalty:.9g}, rewritten {value:.9g}, or their gradients differ"
            )
        self.report.holds(rule, f"{self.loss!r} as {self.objective.loss!r}")

    def as_layer(self) -> None:
        """The model is a layer too, and keeps a layer's contract."""
        try:
            found = LayerCheck(self.model, self.x, 0).run()
        except GradientError as error:
            error.report = None
            raise
        self.report.findings += found.findings
        for text in found.notes:
            self.report.note(text)

    # What the rules are made of.

    @staticmethod
    def _model(subject: Subject) -> Model:
        if not isinstance(subject.layer, Model):
            raise TypeError(f"check_model takes a model, such as a Sequential, not {subject.layer!r}; see check_layer")
        return subject.layer

    def _nudge(self, theta: Array) -> Array:
        typical = float(np.sqrt((theta**2).mean())) if theta.size else 0.0
        return (typical or 1.0) * self.rng.standard_normal(theta.shape)

    def _value(self, theta: Array) -> float:
        self.subject.theta[...] = theta
        self.subject.rewind()
        return self.objective.value(self.x, self.t)

    def _gradient(self, theta: Array, x: Array | None = None, t: Array | None = None) -> tuple[float, Array]:
        self.subject.theta[...] = theta
        self.subject.dtheta[...] = STALE
        self.subject.rewind()
        value = self.objective.gradient(self.x if x is None else x, self.t if t is None else t)
        return value, self.subject.dtheta.copy()

    def _same_gradient(self, rule: str, gradient: Array, twice: Array) -> None:
        self.subject.dtheta[...] = 2 * STALE
        self.subject.rewind()
        self.objective.gradient(self.x, self.t)
        for part in self._parts():
            a, b, c = gradient[part.span], twice[part.span], self.subject.dtheta[part.span]
            if (same(a, b) and same(b, c)) or (same(a, 0 * a + STALE) and same(c, 0 * a + 2 * STALE)):
                continue
            added = same_to_rounding(c - a, 0 * a + STALE)
            raise GradientError(
                rule,
                f"the gradient of {self._words(part)} depends on what its array held before",
                parameter=part.name,
                diagnosis="it is accumulated: added to instead of set, so that a second step gives a factor of two"
                if added
                else "not all of it is set: old values remain",
            )

    def _finite(self, theta: Array, x: Array, t: Array) -> bool:
        self.subject.theta[...] = theta
        self.subject.rewind()
        try:
            return bool(np.isfinite(self.objective.value(x, t)))
        except Exception:
            return False

    def _parts(self) -> list[Part]:
        return self.subject.parts(np.zeros(0, np.intp))

    def _span_of(self, layer: Layer, name: str) -> slice:
        return next(part.span for part in self._parts() if part.layer is layer and part.name.rsplit(".", 1)[-1] == name)

    def _point(self, situation: str, theta: Array, x: Array, t: Array) -> Point:
        def value(v: Array) -> Array:
            self.subject.theta[...] = v
            self.subject.rewind()
            return np.array([self.objective.value(x, t)])

        def complex_value(v: Array) -> Array:
            self.complex.theta[...] = v
            self.complex.rewind()
            z = self.complex_objective.differentiate(self.complex_objective.model.admit(x + 0j), t)
            return np.atleast_1d(np.asarray(z))

        _, gradient = self._gradient(theta, x, t)
        return Point(situation, value, complex_value, theta.copy(), np.ones(1), gradient, self._parts(), composite=True)

    def _words(self, part: Part) -> str:
        """Such as "W of layer 1, Dense(4, 3)"."""
        path = part.name.split(".")
        if len(path) == 1:
            return part.name
        numbers = ".".join(str(int(number) + 1) for number in path[:-1])
        return f"{path[-1]} of layer {numbers}, {part.layer!r}"

    def _wrong(self, rule: str, x: Array, mismatch: Mismatch) -> GradientError:
        worst, part = mismatch.worst(), mismatch.part
        measured = mismatch.measured[worst]
        index = part.index(mismatch.positions[worst]) if mismatch.positions else None
        given = np.array([m.analytic for m in mismatch.measured])
        wanted = np.array([m.numeric for m in mismatch.measured])
        likely = diagnosis.of_single(part.name, given, wanted, {"batch size": len(x)})
        return GradientError(
            rule,
            f"the gradient of {self._words(part)}{f', index {list(index)},' if index is not None else ''} is "
            f"{measured.analytic:.9g}, but should be {measured.numeric:.9g}",
            situation=mismatch.point.situation,
            parameter=part.name,
            index=index,
            analytic=measured.analytic,
            numeric=measured.numeric,
            diagnosis=likely or "check_layer on each layer and check_loss on the loss tell which of them is wrong",
        )


def _targets(model: Model, loss: Loss, x: Array, t: Any) -> Array:
    """The targets as the loss takes them: labels encoded, one number a row as a column."""
    t = np.asarray(t)
    if t.ndim == 1 and model.output_shape(x.shape[1:]) == (1,):
        t = LabelEncoder(t).encode(t)[:, None] if getattr(loss, "labels", False) else t[:, None]
    elif t.ndim == 1 and getattr(loss, "labels", False):
        t = LabelEncoder(t if model.classes is None else model.classes).one_hot(t)
    return t.astype(np.float64)


STALE = 0.7071067811865476  # what the gradients hold before they are set

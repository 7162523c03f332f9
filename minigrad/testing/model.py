"""The gradient that training uses, of a whole model with its loss, against the numerical derivative."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.parameter import Array, decaying, walk
from minigrad.testing.bench.layers import Bench
from minigrad.testing.bench.subject import Part, Subject
from minigrad.testing.bench.surrogate import Surrogates
from minigrad.testing.contract import check, run
from minigrad.testing.loss import check_loss
from minigrad.testing.oracle.point import Mismatch, Point
from minigrad.testing.oracle.rounding import agree, noise_of, same
from minigrad.testing.report import GradientError, Report
from minigrad.testing.rule import Evidence, Refused, Rule, Skipped, WrongGradient, rule
from minigrad.training.objective import Objective

COORDINATES = 25
ROWS = 32
STALE = 0.7071067811865476  # what the gradients hold before they are set


def check_model(model: Model, loss: Loss, x: Any, t: Any, *, l2: float = 0.0, l1: float = 0.0, seed: int = 0) -> Report:
    """Prove the gradient of loss(model(x), t) with respect to all parameters, or raise GradientError.

    x and t are rows of the data as for `fit`, of which the first 32 are used. The model is left alone: all is done on a
    deep copy in float64, at its own parameters, at random ones near them and at large ones. Then the model is checked
    as the layer that it is. Returns the report, whose `str()` is a table.

    Raises TypeError for what is no model.
    """
    if not isinstance(model, Model):
        raise TypeError(f"check_model takes a model, such as a Sequential, not {model!r:.100}; see check_layer")
    return run(ModelBench(model, loss, x, t, l2, l1, seed), CONTRACT)


class ModelBench(Bench):
    """The bench for one model with its loss and penalties, and one batch.

    `places` are the parameters at which the gradient is tried, the model's own first, each with words for it.
    """

    def __init__(self, model: Model, loss: Loss, x: Any, t: Any, l2: float, l1: float, seed: int) -> None:
        self.rng: np.random.Generator
        self.rng, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        super().__init__(Report(f"{model!r} with {loss!r}"), directions)
        self.model = model
        x = np.asarray(x)[:ROWS]
        self.x: Any = x.astype(np.float64) if x.dtype.kind == "f" else x.copy()
        self.t: Array = _targets(model, loss, self.x, t)[:ROWS]
        self.subject: Subject = Subject(model)
        self.complex: Subject = Subject(model, np.complex128)
        self.surrogates: Surrogates = Surrogates(self.subject.layer)
        self.complex_surrogates: Surrogates = Surrogates(self.complex.layer)
        self.loss: Loss = copy.deepcopy(loss)
        self.objective: Objective = Objective(self._model(self.subject), self.loss, l2, l1)
        self.complex_objective: Objective = Objective(self._model(self.complex), self.loss, l2, l1)
        self.l2 = l2
        self.l1 = l1
        own = self.subject.theta.copy()
        self.places: list[tuple[str, Array]] = [
            ("the model's own parameters", own),
            ("random parameters", own * np.exp(0.3 * self.rng.standard_normal(own.shape)) + 0.1 * self._nudge(own)),
            ("large parameters (times 8)", 8 * own + 0.1 * self._nudge(own)),
        ]

    @staticmethod
    def _model(subject: Subject) -> Model:
        assert isinstance(subject.layer, Model)
        return subject.layer

    def _nudge(self, theta: Array) -> Array:
        typical = float(np.sqrt((theta**2).mean())) if theta.size else 0.0
        return (typical or 1.0) * self.rng.standard_normal(theta.shape)

    def value(self, theta: Array) -> float:
        """The objective at these parameters."""
        self.subject.theta[...] = theta
        self.subject.rewind()
        return self.objective.value(self.x, self.t)

    def gradient(self, theta: Array, x: Array | None = None, t: Array | None = None) -> tuple[float, Array]:
        """The objective's own value and gradient, of the batch unless x and t are given."""
        self.subject.theta[...] = theta
        self.subject.dtheta[...] = STALE
        self.subject.rewind()
        value = self.objective.gradient(self.x if x is None else x, self.t if t is None else t)
        return value, self.subject.dtheta.copy()

    def finite(self, theta: Array, x: Array, t: Array) -> bool:
        """Whether the objective takes x and t at these parameters, and gives a number."""
        self.subject.theta[...] = theta
        self.subject.rewind()
        try:
            return bool(np.isfinite(self.objective.value(x, t)))
        except Exception:
            return False

    def parts(self) -> list[Part]:
        """Every parameter."""
        return self.subject.parts(np.zeros(0, np.intp))

    def span_of(self, layer: Layer, name: str) -> slice:
        """Where a parameter of a layer lies in theta."""
        return next(part.span for part in self.parts() if part.layer is layer and part.name.rsplit(".", 1)[-1] == name)

    def point(self, situation: str, theta: Array, x: Array, t: Array) -> Point:
        """What the prover compares."""

        def value(v: Array) -> Array:
            return np.array([around(self.surrogates, v, plain_value)])

        def plain_value(v: Array) -> float:
            self.subject.theta[...] = v
            self.subject.rewind()
            return self.objective.value(x, t)

        def complex_value(v: Array) -> Array:
            return np.atleast_1d(np.asarray(around(self.complex_surrogates, v, plain_complex)))

        def around(surrogates: Surrogates, v: Array, run: Callable[[Array], Any]) -> Any:
            return surrogates.around(lambda: run(theta), lambda: run(v)) if surrogates.layers else run(v)

        def plain_complex(v: Array) -> Any:
            self.complex.theta[...] = v
            self.complex.rewind()
            objective = self.complex_objective
            return objective.penalize(objective.differentiate(objective.model.admit(x + 0j), t))

        _, gradient = self.gradient(theta, x, t)

        def run(v: Array, dy: Array) -> tuple[Array, Array]:
            y, gradient = self.gradient(v, x, t)
            return np.array([y]), float(dy[0]) * gradient

        dy = np.ones(1)
        return Point(situation, value, complex_value, theta.copy(), dy, gradient, self.parts(), run, composite=True)

    def culprit(self) -> str:
        """The layer, or the loss, that is wrong alone, in words; otherwise what may lie between them."""
        self.subject.theta[...] = self.places[0][1]
        self.subject.rewind()
        x: Any = self.x
        for number, layer in enumerate(self.subject.layer.layers, 1):
            said = self._alone(f"layer {number}, {layer!r},", check, layer, x, only_here=True)
            if said:
                return said
            z, x = x, layer.forward(x).copy()
        said = self._alone(f"the loss, {self.loss!r},", check_loss, self.loss, x, self.t)
        if not said and self.objective.loss is not self.loss:
            words = f"the loss on the input of the last layer, which absorb returns, {self.objective.loss!r},"
            said = self._alone(words, check_loss, self.objective.loss, z, self.t)
        return said or self._between()

    @staticmethod
    def _alone(words: str, check_it: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        try:
            check_it(*arguments, **options)
        except GradientError as error:
            return f"{words} is wrong alone: {error.what}{'; ' if error.sentence else ''}{error.sentence}"
        except Exception:  # it takes no such input by itself
            return ""
        return ""

    def _between(self) -> str:
        """What several layers may have in common that they should not."""
        for layer in walk(self.subject.layer.layers):
            for name, held in vars(type(layer)).items():
                if isinstance(held, dict | list | set) and held and not name.startswith("__"):
                    whose = f"{type(layer).__name__}.{name} is one {type(held).__name__} for all of them"
                    return f"{whose}: make it in __init__, self.{name} = …"
        return (
            "each layer and the loss are right alone, so it lies between them: the order in which backward goes "
            "through them, an array that one hands on and another changes, or one layer that stands twice"
        )

    def words(self, part: Part) -> str:
        """Such as "W of layer 1, Dense(4, 3)"."""
        path = part.name.split(".")
        if len(path) == 1:
            return part.name
        numbers = ".".join(str(int(number) + 1) for number in path[:-1])
        return f"{path[-1]} of layer {numbers}, {part.layer!r}"


@rule("value and gradient run, twice the same, arguments unchanged")
def runs(bench: ModelBench) -> str:
    """The objective gives a number and a gradient, and leaves x, t and theta alone."""
    x, t, own = bench.x.copy(), bench.t.copy(), bench.places[0][1]
    try:
        value, gradient = bench.gradient(own, x, t)
        again, twice = bench.gradient(own, x, t)
        alone = bench.value(own)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {error}", error, len(bench.x)) from error
    if not np.isfinite(value):
        raise Evidence(f"the loss is {value}")
    if not same(x, bench.x) or not same(t, bench.t):
        raise Evidence("x or t is changed", "data overwritten")
    if not same(bench.subject.theta, own):
        raise Evidence("the parameters are changed", "parameters changed")
    if not same(value, again) or not same(value, alone):
        what = "the same parameters give another value the second time"
        raise Evidence(what, "undeclared randomness in a layer")
    _gradients_are_set(bench, gradient, twice)
    return f"value {value:.6g}, {bench.subject.theta.size:,} parameters"


def _gradients_are_set(bench: ModelBench, gradient: Array, twice: Array) -> None:
    """Two gradients, taken with STALE in their array, are what one is with something else in it."""
    bench.subject.dtheta[...] = 2 * STALE
    bench.subject.rewind()
    bench.objective.gradient(bench.x, bench.t)
    for part in bench.parts():
        a, b, c = gradient[part.span], twice[part.span], bench.subject.dtheta[part.span]
        if (same(a, b) and same(b, c)) or (same(a, 0 * a + STALE) and same(c, 0 * a + 2 * STALE)):
            continue
        added = agree(c - a, 0 * a + STALE, noise_of(c))
        what = f"the gradient of {bench.words(part)} depends on what its array held before"
        raise Evidence(what, "accumulated over steps" if added else "partly set", parameter=part.name)
    for part in bench.parts():
        if (gradient[part.span] == STALE).all() and part.shape:
            what = f"backward does not set the gradient of {bench.words(part)}"
            raise Evidence(what, "never set", parameter=part.name)


@rule("the gradient equals the numerical derivative")
def derivative(bench: ModelBench) -> str:
    """Every parameter's gradient is right at every place, for one row too."""
    prover, rows = bench.prover, {"": (bench.x, bench.t), ", one row": (bench.x[:1], bench.t[:1])}
    tried = [(place + words, theta, *data) for words, data in rows.items() for place, theta in bench.places]
    for number, (situation, theta, x, t) in enumerate(tried):
        if not bench.finite(theta, x, t):
            bench.report.note(f"not checked at {situation}: refused, or the loss is not finite")
            continue
        point = bench.point(situation, theta, x, t)
        try:
            prover.prove(point, COORDINATES if number == 0 else 0)
        except Mismatch as mismatch:
            index = "" if not mismatch.index else f", index {list(mismatch.index)},"
            where = f"the gradient of {bench.words(mismatch.part)}{index}"
            counts = {"batch size": len(x)}
            raise WrongGradient(where, mismatch, "wrong in a model", counts=counts) from None
    bench.report.method = prover.method
    return prover.told()


@rule("the rewritten objective equals model and loss composed")
def composed(bench: ModelBench) -> Skipped | str:
    """The loss on the last layer's output, and the rewritten one on its input, give the same gradient."""
    loss, rewritten, model = bench.loss, bench.objective.loss, bench.subject.layer
    if rewritten is loss:
        return Skipped("the loss absorbs no layer here")
    value, gradient = bench.gradient(bench.places[0][1])
    penalized = [(layer, name) for layer in walk([model]) for name in decaying(layer)]
    for layer, name in penalized:
        w = layer.params[name].ravel()
        gradient[bench.span_of(layer, name)] -= bench.l2 * w + bench.l1 * np.sign(w)
    bench.subject.rewind()
    p = model.forward(bench.x)
    plain = loss.forward(p, bench.t)
    model.backward(loss.backward(p, bench.t))
    weights = [layer.params[name] for layer, name in penalized]
    plain += sum(float((0.5 * bench.l2 * w**2 + bench.l1 * np.abs(w)).sum()) for w in weights)
    if bool(((p < 1e-6) | (p > 1 - 1e-6)).any()):
        return Skipped("outputs are saturated, where only the rewritten form is accurate")
    near = agree(value, plain, noise_of(value), relative=1e-8)
    if not near or not agree(bench.subject.dtheta, gradient, 1e6 * noise_of(gradient), relative=1e-7):
        raise Evidence(f"composed {plain:.9g}, rewritten {value:.9g}, or their gradients differ")
    return f"{loss!r} as {rewritten!r}"


@rule("the model is a layer")
def as_layer(bench: ModelBench) -> Report:
    """It keeps a layer's contract too."""
    return check(bench.model, bench.x)


CONTRACT: tuple[Rule[ModelBench], ...] = (runs, derivative, composed, as_layer)


def _targets(model: Model, loss: Loss, x: Array, t: Any) -> Array:
    """The targets as the loss takes them: labels encoded, one number a row as a column."""
    t = np.asarray(t)
    outputs = model.output_shape(x.shape[1:])
    if t.ndim == 1 and getattr(loss, "labels", False):
        t = LabelEncoder(t if model.classes is None else model.classes).targets(t, math.prod(outputs))
    elif t.ndim == 1 and outputs == (1,):
        t = t[:, None]
    return t.astype(np.float64)

"""The rules of a layer's gradients: that it runs, sets them, and that they are the derivative, at every size."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.parameter import Array, gradient_name, states_of, walk
from minigrad.testing.bench.first_input import INPUT_WIDTHS
from minigrad.testing.bench.inputs import refused
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import INPUT, Case
from minigrad.testing.budget import OTHER_WIDTHS
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.point import Mismatch
from minigrad.testing.oracle.rounding import UNITS, agree, noise_of, same
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Refused, Skipped, WrongGradient, WrongShape, like_x, rule
from minigrad.testing.rules import chance
from minigrad.training.untrained import (
    UNCHANGED,
    UNDECLARED,
    Undeclared,
    filled_gradient,
    undeclared_arrays,
    undeclared_weight,
)

COORDINATES = 40
STEPS = 12
SEVERAL = 8
PREPARING = 0.3  # the part of the time for a proof that may go by before it begins


@rule("forward and backward run, shapes and dtypes are right")
def runs(bench: LayerBench) -> str:
    """An ordinary input gives a finite y, and a dx of x's shape; parameters are declared, and stay where they are."""
    first, undeclared = "the first input", undeclared_arrays(bench.subject.layer)
    y = bench.forward(bench.x.copy(), first)
    if y.dtype.kind not in "fc" or not np.isfinite(y).all():
        returned = y[~np.isfinite(y)][0] if y.dtype.kind in "fc" else f"an array of {y.dtype}"
        raise Evidence(f"forward returns {returned}", situation=first)
    dx = bench.backward(bench.upstream(y), first)
    if y.dtype != np.float64:
        raise Evidence(f"in float64 forward returns {y.dtype}", "forward in a dtype of its own", situation=first)
    like_x(bench.x, dx, first)
    _pairs_are_declared(bench, undeclared)
    _arrays_are_kept(bench)
    _surrogate_like_y(bench, y)
    return f"x {bench.x.shape} -> y {y.shape}"


def _surrogate_like_y(bench: LayerBench, y: Array) -> None:
    """What a layer declares as the function whose derivative backward is gives an array of y's shape."""
    if hasattr(bench.layer, "surrogate"):
        with bench.trying("the first input", "surrogate"):
            other = bench.subject.layer.surrogate(bench.x.copy())  # type: ignore[attr-defined]
        if np.shape(other) != y.shape:
            what = f"surrogate(x) returns {None if other is None else f'an array of shape {np.shape(other)}'}"
            raise Evidence(f"{what}; forward's y has the shape {y.shape}")


def _pairs_are_declared(bench: LayerBench, undeclared: Undeclared) -> None:
    """A pair such as W and dW that __init__ and backward set, and that is not declared, is never trained."""
    for layer in walk([bench.layer]):
        if (name := undeclared_weight(layer)) is not None:
            what = UNCHANGED.format(parameter=name)
            raise Evidence(what, "undeclared weight", parameter=name, promise="parameters are declared")
    if (name := filled_gradient(undeclared)) is not None:
        what = UNDECLARED.format(parameter=name)
        raise Evidence(what, "undeclared parameter", parameter=name, promise="parameters are declared")


def _arrays_are_kept(bench: LayerBench) -> None:
    """Every parameter and gradient is still a view of the one vector that the optimizer sees."""
    subject = bench.subject
    for inner in walk([subject.layer]):
        for name in inner.params:
            for held, vector in ((name, subject.theta), (gradient_name(inner, name), subject.dtheta)):
                if vars(inner)[held].size and not np.shares_memory(vars(inner)[held], vector):
                    what = f"{type(inner).__name__}.{held} no longer is the array that the model holds"
                    raise Evidence(what, "array replaced", parameter=name, promise="parameters are declared", held=held)


def _lasting(bench: LayerBench) -> str:
    """What is said of a number, an array or a generator that __init__ has made and forward changes; "" if none is."""

    def content(value: Any) -> Any:
        return value.bit_generator.state if isinstance(value, np.random.Generator) else copy.copy(value)

    layer = bench.subject.layer
    own = {
        name: value for name, value in vars(layer).items() if name in vars(bench.layer) and name not in states_of(layer)
    }
    kinds = int | float | np.ndarray | np.random.Generator
    before = {name: content(value) for name, value in own.items() if isinstance(value, kinds)}
    bench.subject.forward(bench.x)
    name = next((name for name, value in before.items() if not same(content(vars(layer)[name]), value)), "")
    likely = f"its {name} is another after every forward: what lasts from one to the next, as a count or a generator"
    return f"{likely}, is declared; write {name} = state() in the class" if name else ""


@rule("two calls give the same bits; gradients are set, not added to")
def gradients_are_set(bench: LayerBench) -> None:
    """A gradient does not depend on how often backward ran, or on what its array held before."""
    if (left := chance.left_to_chance(bench)) is not None:
        what = left if left == "y" else f"the gradient of {left}"
        raise Evidence(f"{what} depends on what np.empty finds in the memory", "left to chance", parameter=left)
    subject, y = bench.subject, bench.subject.forward(bench.x).copy()
    if not same(subject.forward(bench.x), y):
        raise Evidence(
            "two forwards of the same x, from the same state, differ", "undeclared randomness", likely=_lasting(bench)
        )
    dy = bench.upstream(y)
    garbage = bench.upstreams.uniform(1, 2, subject.dtheta.shape)
    subject.dtheta[...] = 0
    once = bench.gradient(dy)
    with bench.trying("a second backward after one forward"):
        twice = bench.gradient(dy)
        subject.dtheta[...] = garbage
        thrice = bench.gradient(dy)
    for part in bench.parts():
        a, b, c = (gradient[part.span] for gradient in (once, twice, thrice))
        if part.name != INPUT and a.size and (c == garbage[bench.in_theta(part)]).all() and not a.any():
            raise Evidence(f"backward does not set the gradient of {part.name}", "never set", parameter=part.name)
        if same(a, b) and same(b, c):
            continue
        added = agree(b, 2 * a, noise_of(a))
        raise Evidence(
            f"the gradient of {part.name} differs from one backward to the next, after the same forward",
            "accumulated over calls" if added else "left behind by an earlier call",
            parameter=part.name,
        )


@rule("gradients equal the numerical derivative")
def derivative(bench: LayerBench) -> str:
    """The input's gradient and every parameter's are right in every situation."""
    (cases, skipped), prover = _cases(bench), bench.prover
    late: list[str] = []
    points = [bench.point(case) for case in cases]
    for point in points:
        prover.learn(point)
    for number, (case, point) in enumerate(zip(cases, points, strict=True)):
        if prover.late and number > 2:
            late.append(case.situation.split(", ")[0])
        else:
            proved(bench, case, partial(prover.prove, point, COORDINATES if number in (0, 2) else 0))
    bench.report.method = prover.method
    if bench.x.dtype.kind != "f":
        bench.report.note("the input holds integers, so it is not differentiated")
    if late or skipped:
        bench.report.note(f"for lack of time not checked at {'; '.join(dict.fromkeys(late + skipped))}")
    unseen = [part.name for part in bench.parts() if part.span.stop > part.span.start and part.name not in prover.seen]
    if unseen:
        bench.report.note(f"rounding, jumps or kinks leave nothing to measure of the gradient of {', '.join(unseen)}")
    return prover.told(len(points))


def proved(bench: LayerBench, case: Case, prove: Callable[[], None]) -> None:
    """Prove the gradient of a case; raise the evidence where it is wrong."""
    try:
        prove()
    except Mismatch as mismatch:
        if not same(bench.subject.gradient(case.x, case.theta, case.dy), case.gradient):
            what = "the same x, dy and parameters give another gradient once the layer has run more often"
            raise Evidence(what, "undeclared state", situation=case.situation) from None
        name, index = mismatch.part.name, mismatch.index
        shown, axes = getattr(bench.layer, "shown", None), getattr(bench.layer, "axes", None)
        where = f"{name}{list(index) or ''}" if index is not None else f"{name}, along a random direction,"
        length = int(np.prod(case.x.shape[1:-1]))  # of a row, in steps or pixels
        counts = {
            "batch size": len(case.x),
            "number of steps or positions": length,
            "number of features": case.x.shape[-1],
        }
        where, counts = (shown(name, index), axes(case.x) or counts) if shown and axes else (where, counts)
        raise WrongGradient(f"the gradient of {where}", mismatch, counts=counts, case=case) from None


@rule("gradients stay right as training goes on")
def after_steps(bench: LayerBench) -> Skipped | str:
    """The gradient with the state that the layer has after some steps."""
    subject = bench.subject
    if not subject.stateful:
        return Skipped()
    with bench.advanced(STEPS):
        case = bench.case(f"after {STEPS} steps", bench.x, bench.theta)
        proved(bench, case, partial(bench.prover.prove, bench.point(case), 4))
    return f"{STEPS} steps"


def _cases(bench: LayerBench) -> tuple[list[Case], list[str]]:
    """The layer's gradient wherever it gives numbers: the first input at all parameters, and others, while time is.

    And words for the situations that there is no time for.
    """
    places = [
        ("its own parameters", bench.own),
        ("random parameters", bench.theta),
        ("random parameters of any sign", bench.free if bench.finite(bench.x, bench.free) else bench.theta),
    ]
    tried = [(f"the first input, {name}", bench.x, theta) for name, theta in places]
    if bench.whole is not bench.x:
        tried.append(("all rows of x, random parameters", bench.whole, bench.theta))
    for number, (name, x) in enumerate(bench.situations()):
        where, theta = places[1 + number % 2]
        if name.startswith("huge"):
            name, x = _largest_finite(bench, name, x, theta)
        tried.append((f"{name}, {where}", x, theta))
    cases, left_out, skipped = list[Case](), list[str](), list[str]()
    for situation, x, theta in tried:
        if bench.prover.is_late(PREPARING) and len(cases) > 3:
            skipped.append(situation.split(", ")[0])
            continue
        try:
            y = bench.spare.at(bench.spare.vector(x, theta), x)
            if not np.isfinite(y).all():
                left_out.append(f"{situation.split(', ')[0]} (y is not finite)")
                continue
        except Exception as error:
            if not (refused(error) or bench.subject.stateful or _may_refuse(situation)):
                cases.append(bench.case(situation, x, theta))  # which raises the evidence
            if not is_narrow(situation):
                left_out.append(f"{situation.split(', ')[0]} ({type(error).__name__}: {error})")
            continue
        try:
            cases.append(bench.case(situation, x, theta))
        except (WrongShape, Refused) as found:  # other rows may be none that the layer is for, though forward runs
            fits = isinstance(found, WrongShape) and found.dx.size == x.size
            if fits or not (is_narrow(situation) or situation.startswith("wider")):
                raise
            left_out += [] if is_narrow(situation) else [f"{situation.split(', ')[0]} ({found.what})"]
    if left_out:
        bench.report.note(f"not checked at {'; '.join(dict.fromkeys(left_out))}")
    return cases, skipped


def is_narrow(situation: str) -> bool:
    """Whether rows are of another width than the layer may be for: constants of its own are then broadcast."""
    return situation.startswith("rows of ") and "another size" not in situation


def _may_refuse(situation: str) -> bool:
    """Whether the input is of another kind than the first, so that a layer may raise what it likes."""
    return not situation.startswith(("the first input", "a batch of one", "an even number"))


def _largest_finite(bench: LayerBench, name: str, x: Array, theta: Array) -> tuple[str, Array]:
    for smaller in (1, 10, 30):
        if bench.finite(x / smaller, theta):
            return name.replace("1000", f"{1000 // smaller}"), x / smaller
    return name, x


@rule("backward is linear in dy, and zero for dy = 0")
def linear(bench: LayerBench) -> None:
    """Twice the dy gives twice the gradient, and the sum of two the sum."""
    noise = bench.noise.gradient
    y = bench.subject.forward(bench.x)
    one, other = bench.upstream(y), bench.upstream(y)
    g, h = bench.gradient(one), bench.gradient(other)
    # What saturates leaves a gradient of nothing but the rounding of y.
    rounded = EPS * float(abs(one * y).max(initial=0))
    noise = np.maximum(noise, rounded) + bench.tolerance / UNITS * float(abs(g).max(initial=0))
    tried = {"the sum of two": (one + other, g + h)}
    tried |= {f"{factor:g} times a": (factor * one, factor * g) for factor in (-2.0, 1e-8, 1e8)}
    for part in bench.parts():
        if not np.isfinite(g[part.span]).all():
            continue
        zero = bench.gradient(np.zeros_like(one))[part.span]
        if zero.any():
            worst = float(zero[np.argmax(abs(zero))])
            what = f"for dy = 0 the gradient of {part.name} is not 0 but {worst:.6g}"
            raise Evidence(what, "not all from dy", parameter=part.name, numeric=0.0, analytic=worst)
        for name, (dy, expected) in tried.items():
            given = bench.gradient(dy)[part.span]
            factor = max(float(abs(dy).max(initial=0)) / max(float(abs(one).max(initial=0)), 1e-300), 1e-300)
            if not agree(given, expected[part.span], 2 * factor * noise[part.span]):
                noise = np.maximum(noise, 8 * _noise_of_several(bench))
            if not agree(given, expected[part.span], 2 * factor * noise[part.span]):
                what = f"for {name} dy the gradient of {part.name} is not {name} gradient"
                raise Evidence(what, "not linear in dy", parameter=part.name)


def _noise_of_several(bench: LayerBench) -> Array:
    """The rounding for several dy: where a gradient is nothing else, that of one may by chance be none.

    Nothing else is a part that is less than a few units in the last place of the largest, times the numbers that go in.
    """
    found = [bench.noise_at("the first input", bench.x, bench.theta) for _ in range(SEVERAL)]
    noise = np.max([noise.gradient for _, noise in found], axis=0)
    sizes = np.max([abs(case.gradient) for case, _ in found], axis=0)
    reach = max(1.0, float(abs(bench.x).max(initial=0)))
    for part in bench.parts():
        largest = float(sizes[part.span].max(initial=0))
        if largest <= UNITS * EPS * reach * float(sizes.max(initial=0)):
            noise[part.span] = np.maximum(noise[part.span], largest)
    return np.array(noise)


WIDTHS = ("features", "channels", "units", "hidden", "width")


def is_width(argument: str) -> bool:
    """Whether an argument of this name says how wide something is."""
    return any(word in argument for word in WIDTHS)


def made_anew(thing: Any, changed: dict[str, Any]) -> Any:
    """Another object of the class, with these arguments changed."""
    return type(thing)(**copy.deepcopy(thing.config()) | changed)


@rule("right for other widths too", costly=True)
def other_widths(bench: LayerBench) -> Skipped | str:
    """A layer is also right where its widths are larger than 8, and not equal where they are equal here."""
    try:
        config = dict(bench.layer.config())
        sibling = wider_sibling(bench, config)
        try_gradients(sibling, prepare=True)
    except Exception:
        return Skipped()
    inner, outer = config.get("in_features"), config.get("out_features")
    try:
        try_gradients(sibling)
    except Evidence as found:
        if isinstance(found, WrongShape) and not bench.own.size and _as_by_default(type(bench.layer), config):
            return Skipped()  # `features=6`: forward runs with more columns, and is for six
        raise Evidence(
            found.what,
            "square shapes only" if inner == outer and inner is not None else "small widths only",
            situation=", ".join(filter(None, (repr(sibling.layer), found.situation))),
            parameter=found.parameter,
            index=found.index,
            analytic=found.analytic,
            numeric=found.numeric,
        ) from found
    return repr(sibling.layer)


def _as_by_default(cls: type, config: dict[str, Any]) -> bool:
    """Whether every argument is what it is by default."""
    arguments = inspect.signature(cls).parameters
    return all(arguments[name].default == value for name, value in config.items() if name in arguments)


def wider_sibling(bench: LayerBench, config: dict[str, Any]) -> LayerBench:
    """The bench of a layer whose widths are multiples of this one's, beyond 8, and with no square matrix."""
    widths = {n: v for n, v in config.items() if type(v) is int and v > 0 and is_width(n)}
    wider = {name: value * -(-9 // value) for name, value in widths.items()}
    if widths and widths.get("in_features") == widths.get("out_features") and "out_features" in wider:
        wider["out_features"] *= 2
    if not wider or wider == widths:
        raise LookupError("no width to change")
    layer = made_anew(bench.layer, wider)
    inner = next((name for name in INPUT_WIDTHS if name in widths), None)
    x = bench.x if bench.given or bench.x.ndim > 2 else None
    if x is not None and inner is not None and x.dtype.kind == "f" and x.shape[-1] == widths[inner]:
        x = np.concatenate([x] * (wider[inner] // widths[inner]), axis=-1) * bench.rng.uniform(0.7, 1, wider[inner])
    elif x is not None and inner is not None and x.dtype.kind == "f":
        raise LookupError("no telling which axis of x is the width")
    return LayerBench(layer, x, 0, Report(repr(layer)), only_here=True, seconds=OTHER_WIDTHS)


def sibling_of(bench: LayerBench, out_features: int) -> LayerBench:
    """The bench of a layer that differs in `out_features` alone."""
    layer = made_anew(bench.layer, {"out_features": out_features})
    return LayerBench(layer, None, 0, Report(repr(layer)))


def try_gradients(bench: LayerBench, prepare: bool = False) -> None:
    """Raise Evidence unless the gradients of this layer are right: the rules that experiments on siblings need.

    To `prepare` is to raise what forward raises, if it takes none of this.
    """
    if prepare:
        y = bench.subject.forward(bench.x)
        if not np.isfinite(y).all():
            raise ValueError("y is not finite")
        return
    for gradients_rule in (runs, gradients_are_set, derivative):
        gradients_rule(bench)

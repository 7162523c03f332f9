"""The contract of a layer (see `minigrad.layer.Layer`), rule by rule."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, walk
from minigrad.testing.bench import LayerBench
from minigrad.testing.comparison import Mismatch, same, same_configs, same_in_float32, same_to_rounding
from minigrad.testing.derivative import EPS
from minigrad.testing.inputs import LAYOUTS, input_like, situations
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Rule, Skipped, WrongGradient, WrongShape, rule
from minigrad.testing.subject import INPUT, Case, Subject
from minigrad.trained import UNDECLARED, undeclared_parameter

COORDINATES = 40


@rule("inner layers are listed in self.layers")
def declarations(bench: LayerBench) -> None:
    """Whatever layer an attribute holds, `layers` names it."""
    for layer in walk([bench.layer]):
        listed = {id(inner) for inner in layer.layers}
        for name, value in vars(layer).items():
            for held in value if isinstance(value, list | tuple) else [value]:
                if isinstance(held, Layer) and id(held) not in listed:
                    what = f"{type(layer).__name__}.{name} holds {held!r}, which is not in self.layers"
                    raise Evidence(what, "inner layer not listed")


@rule("forward and backward run, shapes and dtypes are right")
def runs(bench: LayerBench) -> str:
    """An ordinary input gives a finite y, and a dx of x's shape; parameters are declared, and stay where they are."""
    first = "the first input"
    y = bench.forward(bench.x.copy(), first)
    if not np.isfinite(y).all():
        raise Evidence(f"forward returns {y[~np.isfinite(y)][0]}", situation=first)
    before_backward = dict(vars(bench.subject.layer))
    dx = bench.backward(bench.upstream(y), first)
    if y.dtype != np.float64:
        raise Evidence(f"in float64 forward returns {y.dtype}", "forward in a dtype of its own", situation=first)
    if bench.x.dtype.kind == "f":
        _dx_like_x(bench.x, dx, first)
    _pairs_are_declared(bench, before_backward)
    _arrays_are_kept(bench)
    return f"x {bench.x.shape} -> y {y.shape}"


def _dx_like_x(x: Array, dx: Any, situation: str) -> None:
    if not isinstance(dx, np.ndarray):
        what = f"backward returns {dx!r} instead of the gradient of x"
        raise Evidence(what, "no dx" if dx is None else "", situation=situation, parameter=INPUT)
    if dx.shape != x.shape:
        raise WrongShape(x, dx, situation)
    if dx.dtype != np.float64:
        what = f"in float64 backward returns {dx.dtype}"
        raise Evidence(what, "backward in a dtype of its own", situation=situation, parameter=INPUT)


def _pairs_are_declared(bench: LayerBench, before_backward: Mapping[str, Any]) -> None:
    """A pair such as W and dW that __init__ and backward set, and that is not declared, is never trained."""
    name = undeclared_parameter(bench.subject.layer, vars(bench.layer), before_backward)
    if name is not None:
        what = UNDECLARED.format(parameter=name)
        raise Evidence(what, "undeclared parameter", parameter=name, promise="parameters are declared")


def _arrays_are_kept(bench: LayerBench) -> None:
    """Every parameter and gradient is still a view of the one vector that the optimizer sees."""
    subject = bench.subject
    for inner in walk([subject.layer]):
        for name in inner.params:
            for held, vector in ((name, subject.theta), (inner.gradient_name(name), subject.dtheta)):
                if vars(inner)[held].size and not np.shares_memory(vars(inner)[held], vector):
                    what = f"{type(inner).__name__}.{held} no longer is the array that the model holds"
                    raise Evidence(what, "array replaced", parameter=name, promise="parameters are declared", held=held)


@rule("arguments and parameters are left unchanged")
def arguments_unchanged(bench: LayerBench) -> None:
    """Forward and backward leave their arguments, and backward the state, as they were."""
    subject, x = bench.subject, bench.x.copy()
    y = subject.forward(x)
    if not same(x, bench.x):
        raise Evidence("forward changes its argument x", "x overwritten")
    bench.parameters_kept("forward")
    kept, state, dy = y.copy(), subject.state(), bench.upstream(y)
    given = dy.copy()
    subject.layer.backward(dy)
    if not same(dy, given):
        raise Evidence("backward changes its argument dy", "dy overwritten")
    if not same(x, bench.x):
        raise Evidence("backward changes the x that forward was given", "x overwritten")
    if not same(y, kept):
        raise Evidence("backward changes the y that forward returned", "y overwritten")
    bench.parameters_kept("backward")
    if not same(subject.state(), state):
        raise Evidence("backward changes the layer's state", "state changed by backward")


@rule("two calls give the same bits; gradients are set, not added to")
def gradients_are_set(bench: LayerBench) -> None:
    """A gradient does not depend on how often backward ran, or on what its array held before."""
    subject, y = bench.subject, bench.subject.forward(bench.x).copy()
    if not same(subject.forward(bench.x), y):
        raise Evidence("two forwards of the same x, from the same state, differ", "undeclared randomness")
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
        added = same_to_rounding(b, 2 * a) or same_to_rounding(b - a, a)
        raise Evidence(
            f"the gradient of {part.name} differs from one backward to the next, after the same forward",
            "accumulated over calls" if added else "left behind by an earlier call",
            parameter=part.name,
        )


@rule("gradients equal the numerical derivative")
def derivative(bench: LayerBench) -> str:
    """The input's gradient and every parameter's are right in every situation."""
    cases, prover = _cases(bench), bench.prover
    points = [bench.point(case) for case in cases]
    for point in points:
        prover.learn(point)
    bench.rounding = max(map(prover.relative_noise, points[:1]), default=EPS)
    for number, (case, point) in enumerate(zip(cases, points, strict=True)):
        try:
            prover.prove(point, COORDINATES if number in (0, 2) else 0)
        except Mismatch as mismatch:
            name, index = mismatch.part.name, mismatch.index
            where = f"{name}{list(index)}" if index is not None else f"{name}, along a random direction,"
            counts = {"batch size": len(case.x)}
            raise WrongGradient(f"the gradient of {where}", mismatch, counts=counts, case=case) from None
    bench.report.method = prover.method
    if bench.x.dtype.kind != "f":
        bench.report.note("the input holds integers, so it is not differentiated")
    return (
        f"{prover.method}, {len(points)} situations, off by {prover.error:.0e} where {prover.tolerance:.0e} is allowed"
    )


def _cases(bench: LayerBench) -> list[Case]:
    """The layer's gradient wherever it gives numbers: the first input at all parameters, and others."""
    places = [
        ("its own parameters", bench.own),
        ("random parameters", bench.theta),
        ("random parameters of any sign", bench.free if bench.finite(bench.x, bench.free) else bench.theta),
    ]
    tried = [(f"the first input, {name}", bench.x, theta) for name, theta in places]
    for number, (name, x) in enumerate([] if bench.only_here else situations(bench.x, bench.rng)):
        where, theta = places[1 + number % 2]
        if name.startswith("huge"):
            name, x = _largest_finite(bench, name, x, theta)
        tried.append((f"{name}, {where}", x, theta))
    cases = []
    for situation, x, theta in tried:
        finite = bench.finite(x, theta)
        # x itself may not be refused, and one row only where state stands for what many rows would say.
        if finite or x is bench.x or (len(x) == 1 and not bench.subject.stateful):
            case = bench.case(situation, x, theta)
        if finite:
            cases.append(case)
        else:
            bench.report.note(f"not checked at {situation}: the layer refuses it, or its output is not finite")
    return cases


def _largest_finite(bench: LayerBench, name: str, x: Array, theta: Array) -> tuple[str, Array]:
    for smaller in (1, 10, 30):
        if bench.finite(x / smaller, theta):
            return name.replace("1000", f"{1000 // smaller}"), x / smaller
    return name, x


@rule("backward is linear in dy, and zero for dy = 0")
def linear(bench: LayerBench) -> None:
    """Twice the dy gives twice the gradient, and the sum of two the sum."""
    y = bench.subject.forward(bench.x)
    one, other = bench.upstream(y), bench.upstream(y)
    g, h = bench.gradient(one), bench.gradient(other)
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
            size = max(abs(g[part.span]).max(initial=0), abs(h[part.span]).max(initial=0))
            factor = max(abs(dy).max(initial=0) / max(abs(one).max(initial=0), 1e-300), 1e-300)
            if not bench.alike(given, expected[part.span], size * factor):
                what = f"for {name} dy the gradient of {part.name} is not {name} gradient"
                raise Evidence(what, "not linear in dy", parameter=part.name)


@rule("results are kept; backward belongs to this layer's latest forward")
def latest_forward(bench: LayerBench) -> None:
    """Results stay as they were returned, and layers made alike do not meddle with each other."""
    subject, twin = bench.subject, Subject(bench.layer)
    other = input_like(bench.x, bench.rng)
    y = subject.forward(bench.x)
    kept, dy = y.copy(), bench.upstream(y)
    dx = subject.layer.backward(dy)
    expected = subject.collect(bench.x, dx).copy()
    before = None if dx is None else dx.copy()
    subject.forward(other)
    subject.layer.backward(bench.upstream(y))
    if not same(y, kept):
        raise Evidence("a later call overwrites the y returned before", "returned array used again")
    if before is not None and not same(dx, before):
        raise Evidence("a later call overwrites the dx returned before", "returned array used again")
    subject.forward(bench.x)
    twin.layer.backward(twin.forward(other) * 0 + 1)
    if not same(bench.gradient(dy), expected):
        what = "another layer of the same class changes what this one's backward returns"
        raise Evidence(what, "kept for all layers of the class")


@rule("predict leaves a pending backward alone and agrees with forward")
def inference(bench: LayerBench) -> None:
    """Predict leaves the state alone too, and says the same twice."""
    subject = bench.subject
    y = subject.forward(bench.x).copy()
    dy = bench.upstream(y)
    expected = bench.gradient(dy)
    y = subject.forward(bench.x).copy()
    state, x = subject.state(), input_like(bench.x, bench.rng)[: max(1, len(bench.x) - 2)]
    given = x.copy()
    with bench.trying("predict"):
        p = subject.layer.predict(x)
        again = subject.layer.predict(x)
    if not same(x, given):
        raise Evidence("predict changes its argument x", "x overwritten by predict")
    bench.parameters_kept("predict")
    if not same(subject.state(), state):
        raise Evidence("predict changes the layer's state", "state changed by predict")
    if not same(p, again):
        raise Evidence("two predicts of the same x differ", "random inference")
    with bench.trying("backward after a predict", "backward", "predict overwrites what backward needs"):
        after = bench.gradient(dy)
    if not same(after, expected):
        what = "after predict(other x), backward no longer belongs to the forward before it"
        raise Evidence(what, "predict overwrites what backward needs")
    if not subject.stateful:
        value = subject.predict(bench.x)
        if value.shape != y.shape or not bench.alike(value, y):
            what = "predict differs from forward, though the layer has neither state nor randomness"
            raise Evidence(what, "predict is another function")
    if p.dtype != y.dtype:
        raise Evidence(f"predict returns {p.dtype} where forward returns {y.dtype}")


@rule("output_shape is true")
def output_shape(bench: LayerBench) -> str:
    """It says what forward returns, and runs nothing that a pending backward would notice."""
    subject = bench.subject
    y = subject.forward(bench.x).copy()
    dy = np.random.default_rng(0).standard_normal(y.shape)
    expected, state, rows = bench.gradient(dy), subject.state(), bench.x.shape[1:]
    with bench.trying("output_shape"):
        shape = subject.layer.output_shape(rows)
    if tuple(shape) != y.shape[1:]:
        raise Evidence(f"output_shape({rows}) is {tuple(shape)}, but rows of y have the shape {y.shape[1:]}")
    if not same(bench.gradient(dy), expected) or not same(subject.state(), state):
        raise Evidence("output_shape disturbs a pending backward, or the state")
    return f"{rows} -> {y.shape[1:]}"


@rule("a batch of n equals n batches of one")
def independent_rows(bench: LayerBench) -> Skipped | str:
    """What the layer says of a row depends on that row alone, in inference at least."""
    own_predict = type(bench.layer).predict is not Layer.predict and not bench.layer.layers
    if bench.rowwise(bench.subject.predict):
        bench.coupled = not bench.subject.stateful and not bench.rowwise(bench.subject.forward)
    elif own_predict:
        raise Evidence("what predict says of one row depends on the other rows of the batch", "statistics of the batch")
    else:
        bench.coupled = True
    if bench.coupled:
        bench.report.note("rows are not independent: what the layer says of one row depends on the others")
        return Skipped("rows are not independent")
    return "in inference"


@rule("Fortran-ordered, strided and read-only arrays give the same")
def memory_layouts(bench: LayerBench) -> None:
    """How an argument lies in memory does not matter."""
    y = bench.subject.forward(bench.x).copy()
    dy = bench.upstream(y)
    expected = bench.gradient(dy)
    for name, lay in LAYOUTS.items():
        x, upstream = lay(bench.x), lay(dy)
        given = bench.forward(x, f"x {name}")
        dx = bench.backward(upstream, f"dy {name}")
        if dx is not None and dx.shape != bench.x.shape:
            raise Evidence(f"dx has the shape {dx.shape} when x is {name}", situation=f"x {name}")
        gradient = bench.subject.collect(bench.x, dx)
        results = [("y", given, y)]
        results += [(f"the gradient of {p.name}", gradient[p.span], expected[p.span]) for p in bench.parts()]
        for result, a, b in results:
            if not bench.alike(a, b):
                what = f"{result} differs when x and dy are {name}"
                raise Evidence(what, "relies on the memory order", situation=f"x {name}")


@rule("float32 in gives float32 out, and agrees with float64")
def single_precision(bench: LayerBench) -> str | None:
    """The results are nearly those of float64, in which nothing is float32 inside."""
    small, real = Subject(bench.layer, np.float32), bench.x.dtype.kind == "f"
    x = bench.x.astype(np.float32) if real else bench.x
    with bench.trying("float32"):
        y = small.forward(x)
        dy = bench.upstream(y).astype(np.float32)
        dx = small.layer.backward(dy)
        p = small.predict(x)
    for name, array in (("forward", y), ("backward", dx), ("predict", p)):
        if array is not None and array.dtype != np.float32 and (name != "backward" or real):
            what = f"in float32 {name} returns {array.dtype}"
            raise Evidence(what, "constant of another dtype", situation="float32")
    states = [value for inner in walk([bench.subject.layer]) for value in inner.states.values()]
    if any(isinstance(value, np.random.Generator) for value in states):
        return "dtypes only, since the layer draws random numbers"
    apart = [_far_apart(bench, small, attempt) for attempt in range(3)]
    if all(apart):  # once or twice may be a kink between the float32 number and the float64 one
        raise Evidence(f"{apart[0]} in float32 is far from that in float64", situation="float32")
    return None


def _far_apart(bench: LayerBench, small: Subject, attempt: int) -> str | None:
    """What differs between float32 and float64 by more than rounding, at an input of its own; None if nothing."""
    x = bench.x if attempt == 0 else input_like(bench.x, bench.rng)
    x32 = x.astype(np.float32) if x.dtype.kind == "f" else x
    x64 = x32.astype(np.float64) if x.dtype.kind == "f" else x
    bench.subject.theta[...] = small.theta
    y64 = bench.subject.forward(x64).copy()
    dy = bench.upstream(y64).astype(np.float32)
    g64 = bench.subject.collect(x64, bench.subject.layer.backward(dy.astype(np.float64))).copy()
    y32 = small.forward(x32).copy()
    g32 = small.collect(x32, small.layer.backward(dy)).copy()
    bench.reset()
    if not same_in_float32(y32, y64, bench.rounding):
        return "y"
    reach = max(1.0, float(abs(x64).max()))
    for part in bench.subject.parts(x64):
        a, b, largest = g32[part.span], g64[part.span], bench.prover.largest(part, reach)
        if not same_in_float32(a, b, bench.rounding, largest):
            return f"the gradient of {part.name}"
    return None


@rule("zero rows are accepted")
def zero_rows(bench: LayerBench) -> Skipped | None:
    """No rows give no rows, and gradients of zero."""
    x, none = bench.x[:0], "zero rows"
    try:
        y = bench.subject.forward(x)
    except Exception as error:
        if isinstance(error, ValueError) and (bench.coupled or bench.subject.stateful):
            return Skipped(f"refused in training: {error}")
        raise Evidence(f"forward raises {type(error).__name__}: {error}", situation=none) from error
    if len(y) != 0:
        raise Evidence(f"zero rows give y of shape {y.shape}", situation=none)
    dx = bench.backward(np.zeros(y.shape), none)
    if bench.x.dtype.kind == "f" and np.shape(dx) != x.shape:
        raise Evidence(f"for x of shape {x.shape} dx has the shape {np.shape(dx)}", situation=none)
    for part in bench.parameters():
        if bench.subject.dtheta[bench.in_theta(part)].any() and not bench.coupled:
            what = f"with zero rows the gradient of {part.name} is not 0"
            raise Evidence(what, "divided by the rows, or old", situation=none, parameter=part.name)
    return None


@rule("config() makes the layer again")
def configuration(bench: LayerBench) -> None:
    """A layer made from another's config() has the same parameters and computes the same."""
    try:
        config = bench.layer.config()
        repr(bench.layer)
        clone = type(bench.layer)(**copy.deepcopy(config))
        equal = same_configs(clone.config(), config)
    except Exception as error:
        raise Evidence(f"{type(error).__name__}: {error}", "argument not kept") from error
    if not equal:
        raise Evidence(f"the layer made from {config} has the config {clone.config()}", "argument changed")
    made, was = Subject(clone), bench.subject
    if [(p.name, p.shape) for p in made.parts(bench.x)] != [(p.name, p.shape) for p in was.parts(bench.x)]:
        raise Evidence("the layer made from config() has other parameters", "config loses something")
    made.theta[...] = was.theta[...] = bench.theta
    made.adopt(was)
    if not same(made.predict(bench.x), was.predict(bench.x)):
        raise Evidence("the layer made from config() computes something else", "config loses something")


@rule("right for other widths too")
def other_widths(bench: LayerBench) -> Skipped | str:
    """A layer that is square here is also right where it is not."""
    config = bench.layer.config()
    inner, outer = config.get("in_features"), config.get("out_features")
    if not isinstance(inner, int) or inner != outer:
        return Skipped()
    try:
        sibling = sibling_of(bench, outer + 1)
    except Exception:
        return Skipped()
    try:
        try_gradients(sibling)
    except Evidence as found:
        raise Evidence(
            found.what,
            "square shapes only",
            situation=f"{sibling.layer!r}, {found.situation}",
            parameter=found.parameter,
            index=found.index,
            analytic=found.analytic,
            numeric=found.numeric,
        ) from found
    return repr(sibling.layer)


def sibling_of(bench: LayerBench, out_features: int) -> LayerBench:
    """The bench of a layer that differs in `out_features` alone."""
    layer = type(bench.layer)(**bench.layer.config() | {"out_features": out_features})
    return LayerBench(layer, None, 0, Report(repr(layer)))


def try_gradients(bench: LayerBench) -> None:
    """Raise Evidence unless the gradients of this layer are right: the rules that experiments on siblings need."""
    for gradients_rule in (runs, gradients_are_set, derivative):
        gradients_rule(bench)


# In the order in which a bug is best told apart.
CONTRACT: tuple[Rule[LayerBench], ...] = (
    declarations,
    runs,
    arguments_unchanged,
    gradients_are_set,
    derivative,
    linear,
    latest_forward,
    inference,
    output_shape,
    independent_rows,
    memory_layouts,
    single_precision,
    zero_rows,
    configuration,
    other_widths,
)

"""The contract of a layer (see `minigrad.layer.Layer`): rules of its protocol here, and all in their order."""

from __future__ import annotations

import copy

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import walk
from minigrad.programs.promises import broken_promise, why_not_traced
from minigrad.programs.tracing.traceable import is_ours, is_traceable
from minigrad.testing.bench.inputs import LAYOUTS
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.oracle.rounding import agree, same, same_configs
from minigrad.testing.rule import Evidence, Refused, Rule, Skipped, rule
from minigrad.testing.rules.gradients import after_steps, derivative, gradients_are_set, linear, other_widths, runs
from minigrad.testing.rules.inference import independent_rows, inference, mean_of_training, output_shape
from minigrad.testing.rules.predicted import settled
from minigrad.testing.rules.values import cancellation, finite, single_precision
from minigrad.testing.rules.variations import elsewhere, other_arguments

OF_NO_ROWS = "cannot reshape array of size 0"


@rule("inner layers are listed in self.layers")
def declarations(bench: LayerBench) -> None:
    """Whatever layer an attribute holds, `layers` names it, unless `untrained` names the attribute."""
    for layer in walk([bench.layer]):
        listed = {id(inner) for inner in (*layer.layers, *layer._shared())}
        on_purpose = getattr(layer, "untrained", ())
        for name, value in vars(layer).items():
            if name in on_purpose:
                continue
            for held in value if isinstance(value, list | tuple) else [value]:
                if isinstance(held, Layer) and id(held) not in listed:
                    what = f"{type(layer).__name__}.{name} holds {held!r}, which is not in self.layers"
                    raise Evidence(what, "inner layer not listed")


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


@rule("results are kept; backward belongs to this layer's latest forward")
def latest_forward(bench: LayerBench) -> None:
    """Results stay as they were returned, and layers made alike do not meddle with each other."""
    subject, twin, other = bench.subject, Subject(bench.layer), bench.another()
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
    buffer = bench.x.copy()
    subject.forward(buffer)
    buffer[...] = other
    if not bench.subject.stateful and not same(subject.forward(buffer), subject.forward(other.copy())):
        what = "after x was changed in place, forward still gives the y of what it held before"
        raise Evidence(what, "kept by identity")
    subject.forward(bench.x)
    twin.layer.backward(twin.forward(other) * 0 + 1)
    if not same(bench.gradient(dy), expected):
        what = "another layer of the same class changes what this one's backward returns"
        raise Evidence(what, "kept for all layers of the class")
    new = Subject(bench.layer)
    new.theta[...] = bench.theta
    if not same(new.forward(bench.x), subject.forward(bench.x)):
        raise Evidence("the first forward of a new copy gives another y for the same x", "undeclared state")


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
        results = [("y", given, y, np.asarray(bench.rounding_of(y)))]
        results += [
            (f"the gradient of {p.name}", gradient[p.span], expected[p.span], 2 * bench.noise.gradient[p.span])
            for p in bench.parts()
        ]
        for result, a, b, noise in results:
            if not agree(a, b, noise):
                what = f"{result} differs when x and dy are {name}"
                raise Evidence(what, "relies on the memory order", situation=f"x {name}")


@rule("zero rows are accepted")
def zero_rows(bench: LayerBench) -> Skipped | None:
    """No rows give no rows, and gradients of zero."""
    x, none = bench.x[:0], "zero rows"
    try:
        y = bench.subject.forward(x)
    except Exception as error:
        if isinstance(error, ValueError) and (bench.coupled or bench.subject.stateful):
            return Skipped(f"refused in training: {error}")
        raise _raised("forward", error) from error
    if np.shape(y)[:1] != (0,):
        raise Evidence(f"zero rows give {None if y is None else f'y of shape {np.shape(y)}'}", situation=none)
    with bench.trying(none, "predict"):
        bench.subject.predict(x)
    try:
        dx = bench.backward(np.zeros(y.shape), none)
    except Refused as refused:
        raise (_raised("backward", refused.error) if OF_NO_ROWS in str(refused.error) else refused) from refused.error
    if bench.x.dtype.kind == "f" and np.shape(dx) != x.shape:
        raise Evidence(f"for x of shape {x.shape} dx has the shape {np.shape(dx)}", situation=none)
    for part in bench.parameters():
        if bench.subject.dtheta[bench.in_theta(part)].any() and not bench.coupled:
            what = f"with zero rows the gradient of {part.name} is not 0"
            raise Evidence(what, "divided by the rows, or old", situation=none, parameter=part.name)
    return None


def _raised(method: str, error: Exception) -> Evidence:
    """What a method raises for zero rows."""
    what = f"{method} raises {type(error).__name__}: {error}"
    return Evidence(what, "reshape of no rows" if OF_NO_ROWS in str(error) else "", situation="zero rows")


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


@rule("what says that it is traceable depends on nothing undeclared", costly=True)
def traceable(bench: LayerBench) -> Skipped | None:
    """A layer of one's own that says `traceable = True` keeps that promise; one that could say it is told so."""
    own = [layer for layer in walk([bench.layer]) if not is_ours(type(layer))]
    if not own:
        return Skipped()
    says, why = all(map(is_traceable, own)), broken_promise(bench.layer, bench.x)
    if says and why:
        raise Evidence(f"it says traceable = True, but {why}", likely="a program of its steps would differ from them")
    if not says and not why and why_not_traced(bench.layer, bench.x) is None:
        bench.report.note("its class could say traceable = True: training then compiles it with the rest of the step")
    return None if says else Skipped()


# In the order in which a bug is best told apart.
CONTRACT: tuple[Rule[LayerBench], ...] = (
    declarations,
    runs,
    arguments_unchanged,
    gradients_are_set,
    derivative,
    elsewhere,
    linear,
    after_steps,
    latest_forward,
    inference,
    output_shape,
    independent_rows,
    mean_of_training,
    settled,
    memory_layouts,
    single_precision,
    finite,
    cancellation,
    zero_rows,
    configuration,
    other_widths,
    other_arguments,
    traceable,
)

"""The rules of predict: it disturbs nothing, takes rows one by one, and says on average what training says."""

from __future__ import annotations

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.inputs import refused
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.oracle.rounding import same
from minigrad.testing.rule import Evidence, Skipped, rule
from minigrad.testing.rules.predicted import MANY, compared

DRAWS = 400


@rule("predict leaves a pending backward alone and agrees with forward")
def inference(bench: LayerBench) -> None:
    """Predict leaves the state alone too, and says the same twice."""
    subject, x = bench.subject, bench.another()[: max(1, len(bench.x) - 2)]
    y = subject.forward(bench.x).copy()
    dy = bench.upstream(y)
    expected = bench.gradient(dy)
    y = subject.forward(bench.x).copy()
    state, given = subject.state(), x.copy()
    with bench.trying("predict", "predict"):
        p = subject.layer.predict(x)
        again = subject.layer.predict(x)
    if not isinstance(p, np.ndarray):
        returned = "None" if p is None else repr(type(p).__name__)
        raise Evidence(f"for {len(x)} rows predict returns {returned}", "no y" if p is None else "several y")
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
    if not same(subject.forward(bench.x), y):
        raise Evidence("after a predict forward gives another y for the same x", "predict changes forward")
    compared(bench)
    if p.dtype != y.dtype:
        raise Evidence(f"predict returns {p.dtype} where forward returns {y.dtype}")
    _remembers_nothing(bench)


def _remembers_nothing(bench: LayerBench) -> None:
    """Predict answers from its own x and the parameters of now, whatever was run before."""
    other, used, fresh = bench.another(), Subject(bench.layer), Subject(bench.layer)
    used.forward(bench.x)
    if not same(used.predict(other), fresh.predict(other)):
        what = "after forward(x), predict of as many other rows is not what it is without"
        raise Evidence(what, "predict answers from forward")
    used.theta *= 1 + 1 / 64
    moved = Subject(bench.layer)
    moved.theta[...] = used.theta
    if not same(used.predict(other), moved.predict(other)):
        what = "after the parameters have changed, predict is not what it is in a layer that has not predicted before"
        raise Evidence(what, "predict keeps parameters")


@rule("output_shape is true")
def output_shape(bench: LayerBench) -> Skipped | str:
    """It says what forward returns, and runs nothing that a pending backward would notice."""
    subject = bench.subject
    y = subject.forward(bench.x).copy()
    dy = np.random.default_rng(0).standard_normal(y.shape)
    expected, state, rows = bench.gradient(dy), subject.state(), bench.x.shape[1:]
    try:
        shape = subject.layer.output_shape(rows)
    except Exception as error:
        if refused(error):
            return Skipped(f"the layer refuses zeros: {error}")
        raise Evidence(f"output_shape raises {type(error).__name__}: {error}") from error
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
        _more_rows(bench)
        bench.coupled = not bench.subject.stateful and not bench.rowwise(bench.subject.forward)
    elif own_predict:
        raise Evidence("what predict says of one row depends on the other rows of the batch", "statistics of the batch")
    else:
        bench.coupled = True
    if bench.coupled and not bench.subject.stateful and not bench.only_here:
        _normalises_rows(bench)
    if bench.coupled:
        bench.report.note("rows are not independent: what the layer says of one row depends on the others")
        return Skipped("rows are not independent")
    return "in inference"


def _normalises_rows(bench: LayerBench) -> None:
    """Raise Evidence where a layer without state is a softmax or a norm over the rows: over the wrong axis."""
    if bench.x.dtype.kind != "f" or bench.x.ndim < 2 or getattr(bench.layer, "rows_together", False):
        return
    y = bench.spare.forward(bench.x).copy()
    sums = y.sum(axis=0)
    if (y >= 0).all() and np.allclose(sums, 1, atol=1e-9) and y.size > len(y):
        raise Evidence("the sum of y over the rows of a batch is 1 everywhere", "over the rows")
    factors = np.exp(bench.rng.uniform(0, 1, bench.x.shape[1:]))
    if not bench.finite(bench.x * factors, bench.spare.theta):
        return
    scaled = bench.spare.forward(bench.x * factors)
    if np.allclose(scaled, y, atol=1e-3 * float(abs(y).max(initial=0))) and y.std() > 0:
        raise Evidence("y does not change when the columns of x are multiplied by numbers", "over the rows")


def _more_rows(bench: LayerBench) -> None:
    """Raise Evidence unless predict takes many rows, and says of each what it says of it in a small batch."""
    x = bench.x[np.arange(MANY) % len(bench.x)]
    with bench.trying(f"{MANY} rows", "predict"):
        many = bench.subject.predict(x)
    few = bench.subject.predict(bench.x)[np.arange(MANY) % len(bench.x)]
    if many.shape != few.shape or not bench.alike(many, few):
        raise Evidence(f"predict of {MANY} rows is not what it says of them in smaller batches", "rows in blocks")


@rule("on average training says what predict says", costly=True)
def mean_of_training(bench: LayerBench) -> Skipped | str:
    """Of a layer that draws random numbers: the mean of many forwards, as a straight line over predict.

    Noise inside of a bend moves the mean off such a line, rightly. A factor or an offset is a bug.
    """
    if not bench.random or bench.layer.layers or bench.x.dtype.kind != "f" or bench.only_here:
        return Skipped()
    subject = bench.subject
    x = bench.x[:3] + 0.0
    if len(x) < 3 or not bench.finite(x, bench.theta):
        return Skipped()
    y = subject.predict(x).copy()
    subject.rewind()
    drawn = np.stack([subject.layer.forward(x).copy() for _ in range(DRAWS)])
    if drawn[0].shape != y.shape or same(drawn[0], drawn[-1]):
        return Skipped("forward does not vary")
    if same(y, drawn[0]):
        raise Evidence("predict draws random numbers, as forward does", "random inference")
    mean, error = drawn.mean(axis=0).ravel(), drawn.std(axis=0).ravel() / DRAWS**0.5
    told, weight = y.ravel(), 1 / np.maximum(error, 1e-3 * error.max() + 1e-300)
    if (abs(mean - told) <= 6 * error + bench.rounding_of(y)).all():
        bench.compared = True
        if any(not isinstance(state, dict) for state in subject.state()):
            bench.report.note("predict is compared with the mean of training before the first step only")
        return f"{DRAWS} forwards"
    if not told.any():
        raise Evidence("predict is 0 everywhere; forward is not, on average", "predict apart from training")
    basis = np.stack([told, np.ones_like(told)], axis=1) * weight[:, None]
    (factor, offset), *_ = np.linalg.lstsq(basis, mean * weight, rcond=None)
    left = abs(mean - factor * told - offset)
    if told.std() > 0 and (left <= 6 * error + 1e-9 * abs(told)).all() and _elsewhere_too(bench, x, factor, offset):
        line = f"{factor:.3g} times predict" + (f" {offset:+.3g}" if abs(offset) > 6 * error.max() else "")
        raise Evidence(
            f"the mean of {DRAWS} forwards is {line}",
            "dropout not scaled" if abs(offset) <= 6 * error.max() else "predict apart from training",
        )
    bench.report.note("the mean of many forwards is another function of x than predict")
    return Skipped("random numbers go through something that is not linear")


def _elsewhere_too(bench: LayerBench, x: Array, factor: float, offset: float) -> bool:
    """Whether the mean of training lies on the same line at an x ten times as large, and not on predict."""
    if not bench.finite(10 * x, bench.theta):
        return True
    subject = bench.subject
    told = subject.predict(10 * x).copy()
    subject.rewind()
    drawn = np.stack([subject.layer.forward(10 * x).copy() for _ in range(DRAWS)])
    error = 6 * drawn.std(axis=0) / DRAWS**0.5 + bench.rounding_of(told)
    on_line = abs(drawn.mean(axis=0) - factor * told - offset) <= error + 1e-2 * abs(told)
    return bool(on_line.all() and (abs(drawn.mean(axis=0) - told) > error).any())

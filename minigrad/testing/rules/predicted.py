"""What predict says beside forward: the same where no state changes, and with statistics that have settled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, states_of
from minigrad.testing.bench.inputs import spread_out
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.rounding import agree, same
from minigrad.testing.rule import Evidence, Skipped, rule

MANY = 150  # rows
SETTLED = 300  # steps with one batch after which a running statistic is that of the batch
COARSE, TIGHT = 0.05, 1e-3  # how far predict may be off from forward, where more rows or steps bring it nearer, or not
NOT_COMPARED = "what predict returns is compared with forward nowhere: {why}"


def compared(bench: LayerBench) -> None:
    """Raise Evidence where predict and forward differ, of a layer that draws nothing and changes none of its state.

    Of a layer that holds layers, and itself no state, predict is forward with their predict in the place of theirs.
    """
    own = type(bench.layer).predict is not Layer.predict
    if not bench.random and _keeps_its_state(bench):
        for situation, x in _inputs(bench, own):
            _differs(bench, situation, x, bench.subject.forward)
        bench.compared = True
    elif own and bench.layer.layers and not states_of(bench.layer):

        def inferred(x: Array) -> Array:
            bench.subject.rewind()
            return Layer.predict(bench.subject.layer, x)

        for situation, x in _inputs(bench, own):
            _differs(bench, situation, x, inferred)
        bench.compared = True


def _keeps_its_state(bench: LayerBench) -> bool:
    subject = bench.subject
    if not subject.stateful:
        return True
    subject.rewind()
    before = subject.state()
    for x in (bench.x, bench.another()):
        subject.layer.forward(x)
    return same(before, subject.state())


def _inputs(bench: LayerBench, own: bool) -> Iterator[tuple[str, Array]]:
    """The first input, and where predict is the layer's own, such as a branch in it may treat in another way."""
    yield "", bench.x
    if not own or bench.only_here:
        return
    yield "two rows", bench.x[:2].copy()
    if bench.x.dtype.kind == "f" and not bench.fenced:
        yield "large inputs (x * 100)", 100 * bench.x
        yield "huge inputs (x * 1000)", 1000 * bench.x
        signed = not bench.given or bool((bench.x < 0).any())
        for times in (6, 30):
            yield f"inputs far apart, up to {times} times x", spread_out(bench.x, 40, bench.rng, signed, times)


def _differs(bench: LayerBench, situation: str, x: Array, forward: Any) -> None:
    """Raise Evidence where predict of x is not what forward says, in more than rounding."""
    try:
        y = forward(x.copy()).copy()
    except Exception:
        if not situation:
            raise
        return
    if situation and not np.isfinite(y).all():
        return
    with bench.trying(situation, "predict"):
        told = bench.subject.predict(x.copy())
    if told.shape == y.shape and bench.alike(told, y):
        return
    if situation and told.shape == y.shape:
        signs = bench.rng.choice([-1.0, 1.0], (3, *x.shape))
        moved = max(float(abs(forward(x * (1 + 4 * EPS * sign)) - y).max(initial=0)) for sign in signs)
        if agree(told, y, moved + bench.rounding_of(y)):
            return
    what = "predict differs from forward"
    what += ", though the layer has neither state nor randomness" if not bench.subject.stateful else ""
    what += ", though no state changes" if bench.subject.stateful and not bench.layer.layers else ""
    rowwise = bench.rowwise(bench.subject.predict) or not bench.rowwise(forward)
    raise Evidence(what, "predict is another function" if rowwise else "statistics of the batch", situation=situation)


@rule("once its state has settled, predict says what forward says", costly=True)
def settled(bench: LayerBench) -> Skipped | str:
    """Running statistics of one batch, after many steps with it, are that batch's own."""
    outcome = _settled(bench)
    own = type(bench.layer).predict is not Layer.predict
    if own and not isinstance(outcome, str) and not bench.compared and not bench.only_here:
        drawn = "it draws random numbers" + (" and keeps statistics" if _keeps_arrays(bench) else "")
        bench.report.note(NOT_COMPARED.format(why=drawn if bench.random else outcome.why or "x holds integers"))
    return outcome


def _keeps_arrays(bench: LayerBench) -> bool:
    return any(not isinstance(state, dict) for state in bench.subject.state())


def _settled(bench: LayerBench) -> Skipped | str:
    subject = bench.subject
    if not subject.stateful or bench.random or bench.x.dtype.kind != "f" or bench.only_here:
        return Skipped()
    x = bench.many(MANY)
    if x is None:
        return Skipped("it takes no batch of many rows")
    # Biases of 0 would hide that predict forgets them.
    theta = np.where(bench.own == 0, 1 + abs(bench.theta), bench.theta)
    subject.theta[...] = theta  # before the steps: a norm inside of a model sees what the layers before it make
    apart, moved, state = _apart(bench, SETTLED, x)
    if moved > COARSE / 50 and _counts_alone(bench, state, 2 * x):
        return Skipped("its state does not settle")
    if not apart <= (COARSE if _shrinks(bench, apart, x) else TIGHT):
        what = f"after {SETTLED} steps with one batch predict is off from forward by {apart:.3g} of its size"
        raise Evidence(what, "predict is another function than training")
    return f"{SETTLED} steps with {len(x)} rows, off by {apart:.1g} of y"


def _shrinks(bench: LayerBench, apart: float, x: Array) -> bool:
    """Whether predict comes nearer to forward: the more rows there are, as with a variance of n - 1, or steps."""
    if not TIGHT < apart <= COARSE:
        return False
    tried = ((SETTLED, np.concatenate([x, x])), (4 * SETTLED, x))
    return any(_apart(bench, steps, rows)[0] < 0.75 * apart for steps, rows in tried)


def _apart(bench: LayerBench, steps: int, x: Array) -> tuple[float, float, list[Any]]:
    """How far predict is off from forward after so many steps with x, and how far one more step moves the state.

    Both are beside the size of what moves; the third is the state.
    """
    subject = bench.subject
    with bench.advanced(steps, x):
        before = subject.state()
        y = subject.forward(x).copy()
        moved = max(map(_movement, before, subject.state()), default=0.0)
        told = subject.predict(x).copy()
        after = subject.state()
    size = max(float(abs(y - y.mean()).max(initial=0)), 1e-3 * float(abs(y).max(initial=0)))
    apart = float(abs(told - y).max(initial=0)) if told.shape == y.shape else np.inf
    return apart / size if size else float(apart > 0), moved, after


def _movement(a: Any, b: Any) -> float:
    """By how much a statistic moves, of its size; a whole number counts steps, and is none."""
    a, b = np.asarray(a), np.asarray(b)
    return float(abs(a - b).max(initial=0)) / max(float(abs(b).max(initial=0)), 1e-12) if a.dtype.kind == "f" else 0.0


def _counts_alone(bench: LayerBench, state: list[Any], x: Array) -> bool:
    """Whether the state after many steps is the same whatever x was: then it only counts."""
    if not bench.finite(x, bench.theta):
        return True
    with bench.advanced(SETTLED, x):
        return all(_movement(a, b) <= COARSE / 50 for a, b in zip(state, bench.subject.state(), strict=True))

"""The rules of what one x and one set of arguments hide: other lengths, numbers of rows, zeros, and constants.

A constant of 1 hides a factor that is missing, an even length what is done with the last step of an odd one. To prove
every gradient at all of these would take as long again, so each is first only looked at: one difference along one
random direction. Where that differs, the gradient is proved as everywhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench import LayerBench
from minigrad.testing.budget import OTHER_WIDTHS
from minigrad.testing.derivative import EPS, Function
from minigrad.testing.gradients import is_width, made_anew, proved, try_gradients
from minigrad.testing.inputs import longer, with_rows
from minigrad.testing.point import rms
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Skipped, WrongShape, rule
from minigrad.testing.subject import Subject

STEP, SEEN = 1e-6, 1e-5
MANY, MOST = 192, 6000  # rows, and numbers in them


@rule("gradients stay right at other lengths, numbers of rows and zeros", costly=True)
def elsewhere(bench: LayerBench) -> Skipped | None:
    """Two rows and 192, one step and three times as many and one, one more column, and a 0 in every parameter."""
    if bench.only_here or derived(bench.layer):
        return Skipped()
    for situation, x, theta, narrow in _places(bench):
        if not seems_wrong(bench.spare, x, theta, bench.rng, bench.tolerance, narrow):
            continue
        try:
            case = bench.case(situation, x, theta)
        except WrongShape as found:  # constants of the layer's own are broadcast against rows too short for it
            if not narrow or found.dx.size == x.size:
                raise
            continue
        proved(bench, case, partial(bench.prover.prove, bench.point(case)))
    return None


def derived(layer: Layer) -> bool:
    """Whether nobody has written its backward, so that no number of rows can have been forgotten."""
    return type(layer).backward is Layer.backward


def _places(bench: LayerBench) -> Iterator[tuple[str, Array, Array, bool]]:
    """Inputs and parameters, with words, and whether the rows may be too short for the layer."""
    x, theta = bench.x, bench.theta
    yield "two rows", x[:2].copy(), theta, False
    if MANY * x[:1].size <= MOST:
        many = x[np.arange(MANY) % len(x)] if bench.fenced else with_rows(x, MANY, bench.rng)
        yield f"{MANY} rows", many, theta, False
    if theta.size:
        zero = theta.copy()
        for part in bench.parameters():
            held = zero[bench.in_theta(part)]
            held[bench.rng.integers(max(held.size, 1)) :][:1] = 0.0
        yield "parameters of exactly 0", x, zero, False
    if x.dtype.kind != "f" or bench.fenced:
        return
    for axis in range(1, x.ndim - 1):
        steps = ("steps", "columns")[axis - 1] if x.ndim < 5 else f"places along axis {axis}"
        if x.shape[axis] > 1:
            yield f"one of the {steps} alone", x.take([0], axis=axis), theta, True
        more = longer(x, axis, bench.rng, 3 if 4 * x.size <= MOST else 1)  # even where x has an odd number
        yield f"{more.shape[axis]} {steps}", more, theta, False
    if not theta.size and x.ndim > 1:
        yield f"one more than {x.shape[-1]} features", longer(x, x.ndim - 1, bench.rng), theta, True


def seems_wrong(
    subject: Subject, x: Array, theta: Array, rng: np.random.Generator, tolerance: float = 0.0, narrow: bool = False
) -> bool:
    """Whether a gradient differs from a difference along a random direction, or backward raises.

    Where forward refuses x there is no gradient to be wrong; where rows may be too `narrow`, backward may raise, too.
    """
    v = subject.vector(x, theta)
    try:
        y = subject.at(v, x)
        if not y.size or not np.isfinite(y).all():
            return False
    except Exception:
        return False
    dy = rng.standard_normal(y.shape)
    try:
        dx = subject.layer.backward(dy.copy())
        gradient = subject.collect(x, dx)
    except Exception:
        return not narrow
    if gradient.shape != v.shape or (dx is not None and np.shape(dx) != x.shape):
        return True
    return differs(lambda moved: subject.differentiated(moved, x, v), v, y, dy, gradient, rng, tolerance)


def differs(
    f: Function, v: Array, y: Array, dy: Array, gradient: Array, rng: np.random.Generator, tolerance: float = 0.0
) -> bool:
    """Whether a gradient of Σ dy f at v, where f is y, is not the difference along a random direction."""
    direction = rng.choice([-1.0, 1.0], v.shape) * np.where(v == 0, rms(v) or 1.0, abs(v))
    try:
        ends = [f(v + sign * STEP * direction) for sign in (1, -1)]
    except Exception:
        return True
    change = dy * (ends[0] - ends[1])
    size = float(abs(gradient * direction).sum() + abs(change).sum() / (2 * STEP))
    rounding = EPS * float(abs(dy * y).sum()) / STEP
    off = abs(float(gradient @ direction) - float(change.sum()) / (2 * STEP))
    return not off <= max(SEEN, tolerance / STEP) * size + 8 * rounding


@rule("right with other arguments, and for one feature, too", costly=True)
def other_arguments(bench: LayerBench) -> Skipped | str:
    """The layer made anew with one optional number changed: a constant of 1, 2, 0 or 0.5 hides what is done with it."""
    if bench.only_here or derived(bench.layer):
        return Skipped()
    tried = []
    for words, make in other_makes(bench.layer):
        try:
            sibling = make()
            subject, x = Subject(sibling), _for_sibling(bench, words)
            theta = bench.theta if subject.theta.shape == bench.theta.shape else _moved(subject.theta, bench.rng)
            subject.forward(x)
        except Exception:  # refused
            continue
        tried.append(words)
        if seems_wrong(subject, x, theta, bench.rng, bench.tolerance) or seems_wrong(
            subject, x, subject.theta.copy(), bench.rng, bench.tolerance
        ):
            own = LayerBench(sibling, x, 0, Report(repr(sibling)), only_here=True, seconds=OTHER_WIDTHS)
            try:
                try_gradients(own)
            except Evidence as found:
                found.seen_on(own, "one value only", f"{sibling!r}, {found.situation}", words=words)
                raise
    return ", ".join(tried) if tried else Skipped()


def _for_sibling(bench: LayerBench, words: str) -> Array:
    return bench.x[..., :1].copy() if words == ONE_FEATURE else bench.x


def _moved(theta: Array, rng: np.random.Generator) -> Array:
    """Parameters near these, of which none is 0 or 1 any more."""
    return np.array(np.where(theta == 0, 0.2, theta) * np.exp(0.3 * rng.standard_normal(theta.shape)))


ONE_FEATURE = "one feature"
WHOLE = {0: 1, 1: 2, 2: 3}
"""What takes the place of a whole number that is an argument: others, such as a kernel's size, may be meant as such."""


def other_makes(thing: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Other objects of the class, each with one argument changed, in words; none where config() does not tell."""
    try:
        config, arguments = dict(thing.config()), inspect.signature(type(thing)).parameters
    except Exception:
        return
    for name, value in config.items():
        other = _other(name, value, arguments.get(name))
        if other is not None:
            yield f"{name}={other:.3g}", partial(made_anew, thing, {name: other})
    widths = {name: 1 for name, value in config.items() if type(value) is int and is_width(name) and value > 1}
    if widths and isinstance(thing, Layer):
        yield ONE_FEATURE, partial(made_anew, thing, widths)


def _other(name: str, value: Any, argument: inspect.Parameter | None) -> float | None:
    """Another value of an optional argument that is a number, no width, seed or small eps; None if there is none."""
    if "seed" in name or is_width(name) or argument is None or argument.default is argument.empty:
        return None
    if type(value) is float and (value == 0 or 1e-3 <= abs(value) < np.inf):
        return 0.7 * value if value else 0.3
    return WHOLE.get(value) if type(value) is int else None

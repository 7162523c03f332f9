"""The rules of what one x and one set of arguments hide: other lengths, numbers of rows, zeros, and constants.

A constant of 1 hides a factor that is missing, an even length what is done with the last step of an odd one. To prove
every gradient at all of these would take as long again, so each is first only looked at: one difference along one
random direction. Where that differs, the gradient is proved as everywhere else.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.inputs import input_like, longer, with_rows
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.budget import OTHER_WIDTHS
from minigrad.testing.oracle.derivative import EPS, Function
from minigrad.testing.oracle.point import rms
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Skipped, WrongShape, rule
from minigrad.testing.rules.gradients import is_width, made_anew, proved, try_gradients

STEP, SEEN = 1e-6, 1e-5
MANY, MOST = 192, 6000  # rows, and numbers in them


@rule("gradients stay right at other lengths, numbers of rows and zeros", costly=True)
def elsewhere(bench: LayerBench) -> Skipped | str | None:
    """Two rows and 192, one step and three times as many and one, other numbers of columns, and 0 in every parameter.

    It says which widths it was, or that there was none.
    """
    if bench.only_here or derived(bench.layer):
        return Skipped()
    other_widths = list(widths(bench))
    for situation, x, theta, narrow in itertools.chain(_places(bench), other_widths):
        if not seems_wrong(bench.spare, x, theta, bench.rng, bench.tolerance, narrow):
            continue
        if x.shape[-1:] != bench.x.shape[-1:] and _is_told_width(bench, x):
            other_widths = [each for each in other_widths if each[1] is not x]
            continue
        try:
            case = bench.case(situation, x, theta)
        except WrongShape as found:  # constants of the layer's own are broadcast against rows too short for it
            if not narrow or found.dx.size == x.size:
                raise
            continue
        proved(bench, case, partial(bench.prover.prove, bench.point(case)))
    if bench.x.ndim < 2:
        return None
    tried = [str(x.shape[-1]) for _, x, _, narrow in other_widths if not narrow]
    refused = (
        "the layer takes none like this x" if bench.x.dtype.kind == "f" and not bench.fenced else "x stays as it is"
    )
    return f"at widths {', '.join(tried)} too" if tried else f"other widths not tried: {refused}"


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


def widths(bench: LayerBench) -> Iterator[tuple[str, Array, Array, bool]]:
    """The same for rows of another width, wherever forward takes them.

    Where it reads all columns of those, too, backward has no excuse: they are not `narrow`.
    """
    x, theta = bench.x, bench.theta
    if x.dtype.kind != "f" or bench.fenced or x.ndim < 2 or bench.layer.input_shape is not None:
        return
    last, width = x.ndim - 1, x.shape[-1]
    others = [(f"one more than {width} columns", longer(x, last, bench.rng))]
    others += [(f"one of {width} columns less", input_like(x, bench.rng)[..., :-1])] if width > 2 else []
    others += [(f"{3 * width + 1} columns", longer(x, last, bench.rng, 3))] if 4 * x.size <= MOST else []
    for situation, other in others:
        if bench.finite(other, theta):
            yield situation, other, theta, width < 2 or not _reads_all(bench, other)


def _is_told_width(bench: LayerBench, x: Array) -> bool:
    """Whether an argument of the layer is how wide x is, and one that is made for this x is right there."""
    for name, value in configured(bench.layer).items():
        if type(value) is int and value == bench.x.shape[-1]:
            with contextlib.suppress(Exception):
                sibling = made_anew(bench.layer, {name: x.shape[-1]})
                if not _sibling_seems_wrong(bench, sibling, x):
                    return True
    return False


def _reads_all(bench: LayerBench, x: Array) -> bool:
    """Whether y depends on the last column of x, so that this width is meant, too, and nothing is cut off."""
    y = bench.spare.at(bench.spare.vector(x, bench.theta), x)
    for factor in (1.5, 0.75):  # the layer may refuse larger numbers
        moved = x.copy()
        moved[..., -1] *= factor
        with contextlib.suppress(ValueError):
            other = bench.spare.at(bench.spare.vector(moved, bench.theta), moved)
            return bool(y.shape == other.shape and not np.array_equal(y, other))
    return False


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
    return not np.isfinite(gradient).all() or not off <= max(SEEN, tolerance / STEP) * size + 8 * rounding


@rule("right with other arguments, and for one feature, too", costly=True)
def other_arguments(bench: LayerBench) -> Skipped | str:
    """The layer made anew with one number changed: a constant of 1, 2, 0 or 0.5, or a literal, hides what it does.

    It says which it was, and for which arguments there was none.
    """
    if bench.only_here or derived(bench.layer):
        return Skipped()
    tried = []
    for words, make in other_makes(bench.layer):
        try:
            sibling = make()
            inputs = taken(bench, words, sibling)
        except Exception:  # refused
            continue
        tried += [words] if inputs else []
        if inputs and all(_sibling_seems_wrong(bench, sibling, x) for x in inputs):
            own = LayerBench(sibling, inputs[0], 0, Report(repr(sibling)), only_here=True, seconds=OTHER_WIDTHS)
            own.home = bench
            try:
                try_gradients(own)
            except Evidence as found:
                situation = ", ".join(filter(None, (repr(sibling), found.situation)))
                found.seen_on(own, "one value only", situation, words=words)
                raise
    left = [name for name in _numbers(bench.layer) if not any(words.startswith(f"{name}=") for words in tried)]
    not_tried = f"not tried: another {' or '.join(left)}" if left else ""
    return "; ".join(filter(None, (", ".join(tried), not_tried))) or Skipped()


def taken(bench: LayerBench, words: str, sibling: Layer) -> list[Array]:
    """The x that it takes: the bench's, and where the number that was changed may be a length of x, with that."""
    x, name = bench.x, words.partition("=")[0]
    inputs = [x[..., :1].copy() if words == ONE_FEATURE else x]
    before, after = (getattr(layer, name, None) for layer in (bench.layer, sibling))
    if type(before) is int and type(after) is int and before in x.shape[1:] and not bench.fenced:
        inputs.append(np.resize(x, (len(x), *(after if length == before else length for length in x.shape[1:]))))
    taken = []
    for x in inputs:
        with contextlib.suppress(Exception):
            taken += [x] if Subject(sibling).forward(x.copy()).size else []
    return taken


def _sibling_seems_wrong(bench: LayerBench, sibling: Layer, x: Array) -> bool:
    subject = Subject(sibling)
    theta = bench.theta if subject.theta.shape == bench.theta.shape else moved(subject.theta, bench.rng)
    return any(seems_wrong(subject, x, each, bench.rng, bench.tolerance) for each in (theta, subject.theta.copy()))


def moved(theta: Array, rng: np.random.Generator) -> Array:
    """Parameters near these, of which none is 0 or 1 any more."""
    return np.array(np.where(theta == 0, 0.2, theta) * np.exp(0.3 * rng.standard_normal(theta.shape)))


ONE_FEATURE = "one feature"
WHOLE = {0: 1, 1: 2, 2: 3}
"""What takes the place of a whole number that is an argument: others, such as a kernel's size, may be meant as such.

Where one has to be given, it is one more, or one less.
"""


def other_makes(thing: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Other objects of the class, each with one argument changed, in words; none where config() does not tell."""
    for name, value in _numbers(thing).items():
        for other in _others(value, _is_required(thing, name)):
            yield f"{name}={other:.3g}", partial(made_anew, thing, {name: other})
    config = configured(thing)
    widths = {name: 1 for name, value in config.items() if type(value) is int and is_width(name) and value > 1}
    if widths and isinstance(thing, Layer):
        yield ONE_FEATURE, partial(made_anew, thing, widths)


def configured(thing: Any) -> dict[str, Any]:
    """Its arguments by their names; none where config() does not tell."""
    try:
        return dict(thing.config())
    except Exception:
        return {}


def _numbers(thing: Any) -> dict[str, Any]:
    """Its arguments that are numbers, and none of them a width, a seed or a small eps."""
    return {
        name: value
        for name, value in configured(thing).items()
        if "seed" not in name
        and not is_width(name)
        and (type(value) is int or (type(value) is float and (value == 0 or 1e-3 <= abs(value) < np.inf)))
    }


def _is_required(thing: Any, name: str) -> bool:
    argument = inspect.signature(type(thing)).parameters.get(name)
    return argument is not None and argument.default is argument.empty


def _others(value: Any, required: bool) -> list[float]:
    """Other values of an argument that is a number."""
    if type(value) is float:
        return [0.7 * value if value else 0.3]
    if value in WHOLE:
        return [WHOLE[value]]
    return [value + 1, value - 1] if required and value > 0 else []

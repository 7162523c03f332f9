"""Which other forward a backward belongs to: one change of the source of forward with which the two agree.

The changes are those that are tried of backward (`slips`), and backward stays as it is. Where the
output stays too, forward has kept the wrong thing; otherwise forward and backward are each of another function, and
only the reader knows which of them is meant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

import numpy as np

from minigrad.parameter import Array, walk
from minigrad.testing.bench.code import methods
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.bench.subject import INPUT, Case, Subject
from minigrad.testing.budget import OTHER_FORWARD, Deadline
from minigrad.testing.naming.methods import Method, first_line
from minigrad.testing.naming.templates.axes import OR_FORWARD
from minigrad.testing.naming.templates.edits import Edit
from minigrad.testing.naming.templates.names import WHOLE
from minigrad.testing.naming.templates.slips import edits
from minigrad.testing.oracle.point import Mismatch, rms
from minigrad.testing.oracle.rounding import matches

STEP = 1e-5  # of differences, beside the numbers that go in
NEAR = 1e-6  # how near these come to a derivative, of the largest
LIKELY = 1e-3  # and one alone, which may be a small one
DIRECTIONS = 3

# y and the gradient of Σ dy y with respect to some of v, both at v.
Run = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Place:
    """A place at which forward and backward are to agree: v, the entries of it that count, and dy.

    Of some entries the gradient may be 0 beside the rest, as that of what softmax takes away from each row again.
    """

    v: Array
    span: slice
    dy: Array
    run: Run
    may_vanish: bool = False


def of_layer(bench: LayerBench, case: Case, mismatch: Mismatch) -> str:
    """The other forward in words, of the layer that has the part which is wrong; empty if none is found."""
    bench.subject.rewind()
    subject, layers = Subject(bench.subject.layer), list(walk([bench.subject.layer]))
    own = next((number for number, layer in enumerate(layers) if layer is mismatch.part.layer), 0)
    holder = list(walk([subject.layer]))[own]

    def places() -> Iterator[Place]:
        for x, theta in ((case.x, case.theta), (bench.another(), bench.theta)):
            parts = subject.parts(x)
            blamed = next(part.span for part in parts if part.name == mismatch.part.name)
            v, rng = subject.vector(x, theta), np.random.default_rng(3)
            dy = rng.standard_normal(subject.at(v, x).shape)
            for span in (blamed, slice(None)):
                may_vanish = span == blamed and mismatch.part.name != INPUT
                yield Place(v, span, dy, lambda v, x=x, dy=dy: subject.run(v, x, dy), may_vanish)  # type: ignore[misc]

    return _agreeing(holder, ("forward",), places)


def of_loss(bench: LossBench, p: Array, t: Array) -> str:
    """The other forward of a loss, in words; empty if none is found."""

    def places() -> Iterator[Place]:
        for q in (p, bench.rng.permutation(p)):

            def run(v: Array, shape: tuple[int, ...] = q.shape) -> tuple[Array, Array]:
                given = v.reshape(shape)
                return np.array([bench.loss.forward(given, t)]), np.ravel(bench.loss.backward(given.copy(), t))

            yield Place(q.ravel().copy(), slice(None), np.ones(1), run)

    return _agreeing(bench.loss, ("terms", "forward"), places)


def _agreeing(holder: Any, starts: tuple[str, ...], places: Callable[[], Iterator[Place]]) -> str:
    deadline = Deadline(OTHER_FORWARD)
    first = next(places())
    before = first.run(first.v)[0]
    for name in methods(type(holder), starts):
        method = Method.of(getattr(type(holder), name))
        if method is None or type(holder).__module__.startswith("minigrad."):
            continue
        known = method.known(holder, lambda: first.run(first.v))
        states = {f"self.{state}" for state in getattr(holder, "states", ())}  # no operand of y: they begin with 0, say
        known = replace(known, scope={text: value for text, value in known.scope.items() if text not in states})
        lengths = _lengths(holder)
        for edit in edits(method.tree, known):
            if deadline.is_over():
                return ""
            if edit.kind == WHOLE:
                continue
            try:
                with edit.made() as statement:
                    vars(holder)[name] = MethodType(method.compiled(), holder)
                    after = first_line(statement)
                if all(_agree(place) for place in places()) and lengths <= _lengths(holder):
                    return _words(edit, method, after, np.array_equal(first.run(first.v)[0], before))
            except Exception:  # most changes make no sense
                continue
            finally:
                vars(holder).pop(name, None)
    return ""


def _lengths(holder: Any) -> set[str]:
    """What it keeps that are whole numbers: how many rows there are, say."""
    return {name for name, value in vars(holder).items() if type(value) is int}


def _words(edit: Edit, method: Method, after: str, kept_alone: bool) -> str:
    line, place = first_line(edit.statement), method.place(edit.statement)
    if kept_alone:
        return f"forward keeps the wrong thing for backward: {edit.says} ({place}: `{line}`)"
    if edit.without:
        text = f"{edit.without} in forward, `{line}` ({place}), is left out in backward"
        return f"{text}, which is right for a forward without it, `{after}`"
    other = "without this line" if isinstance(edit.places[0][2], ast.Pass) else f"with `{after}` in its place"
    return (
        f"backward is the derivative of another forward: not of this one, `{line}` ({place}), but of one {other}; "
        f"{edit.says.removesuffix(OR_FORWARD)}, or backward has it wrong"
    )


def _agree(place: Place) -> bool:
    """Whether the gradient is the derivative of y along some directions; nothing agrees where neither is seen."""
    rng, step = np.random.default_rng(7), STEP * (rms(place.v) or 1.0)
    gradient = place.run(place.v)[1].copy()
    least = NEAR * float(abs(gradient).max(initial=0))
    given, numeric = [], []
    for _ in range(DIRECTIONS):
        direction = np.zeros_like(place.v)
        direction[place.span] = rng.standard_normal(direction[place.span].shape)
        up, down = (place.run(place.v + sign * step * direction)[0] for sign in (1, -1))
        numeric.append(float((place.dy * (up - down)).sum()) / (2 * step))
        given.append(float(gradient @ direction))
        if place.may_vanish and max(abs(given[-1]), abs(numeric[-1])) <= least:
            return True
        if not matches(np.array(given[:1]), np.array(numeric[:1]), LIKELY):
            return False
    return matches(np.array(given), np.array(numeric), NEAR) and np.array_equal(gradient, place.run(place.v)[1])

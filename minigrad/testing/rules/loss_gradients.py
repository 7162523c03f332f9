"""The rules of a loss's slopes: that they are the derivative, for other rows, outputs and arguments too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.oracle.point import Mismatch, Point
from minigrad.testing.oracle.rounding import agree, noise_of
from minigrad.testing.rule import Evidence, Skipped, WrongGradient, rule
from minigrad.testing.rules.variations import differs, other_makes

COORDINATES, FEW = 40, 8
ROWS = 192


@rule("backward is the derivative of forward")
def derivative(bench: LossBench) -> str:
    """Against the numerical derivative, in every domain that the loss accepts."""
    prover, tried = bench.prover, [*bench.situations(*bench.domains[0]), *bench.domains[1:]]
    points = [bench.point(situation, p, t) for situation, p, t in tried]
    for point in points:
        prover.learn(point)
    for number, ((_, p, t), point) in enumerate(zip(tried, points, strict=True)):
        _prove(bench, point, p, t, COORDINATES if number == 0 else FEW)
    bench.report.method = prover.method
    if "p" not in prover.seen:
        bench.report.note("rounding, jumps or kinks leave nothing to measure of dp")
    bench.report.note(f"p and t: {', '.join(name for name, *_ in bench.domains)}")
    return prover.told(len(points))


def _prove(bench: LossBench, point: Point, p: Array, t: Array, coordinates: int) -> None:
    """Prove the slopes at p; raise the evidence where they are wrong."""
    try:
        bench.prover.prove(point, coordinates)
    except Mismatch as mismatch:
        raise WrongGradient(
            f"dp{list(mismatch.index) if mismatch.index else ''}",
            mismatch,
            "wrong in this domain" if point.situation != bench.domains[0][0] else "",
            counts={"batch size": len(p), "outputs": p[0].size},
            domain=point.situation.split(", ")[-1],
            p=p,
            t=t,
        ) from None


@rule("slopes stay right for more rows, outputs and axes")
def larger(bench: LossBench) -> None:
    """Two rows and 192, four times the outputs, and p of steps, (B, T, K), where the loss takes such."""
    for situation, p, t in _larger(bench):
        if bench.accepts(p, t) and _seems_wrong(bench, p, t):
            _prove(bench, bench.point(f"{bench.domains[0][0]}, {situation}", p, t), p, t, FEW)


def _larger(bench: LossBench) -> Iterator[tuple[str, Array, Array]]:
    p, t = bench.p, bench.t
    for rows in (2, ROWS):
        chosen = np.arange(rows) % len(p)
        yield f"{rows} rows", p[chosen], t[chosen]
    if p.ndim != 2 or p.shape != t.shape:
        return
    outputs = 4 * p.shape[1]
    for parts in (1, 4):  # of a distribution each gets a part
        wide, aims = np.concatenate([p] * 4, axis=1) / parts, np.concatenate([t] * 4, axis=1) / parts
        if bench.accepts(wide, aims):
            yield f"{outputs} outputs", wide, aims
            break
    steps, aims = np.stack([p, np.roll(p, 1, axis=0)], axis=1), np.stack([t, np.roll(t, 1, axis=0)], axis=1)
    if _sums_over_steps(bench, steps, aims):
        yield f"p and t of shape {steps.shape}", steps, aims


def _sums_over_steps(bench: LossBench, p: Array, t: Array) -> bool:
    """Whether the value is the sum over steps: a loss that is for (B, K) alone may take them and give any number."""
    steps = (-1, p.shape[2])
    try:
        value = bench.loss.forward(p.copy(), t.copy())
        one_by_one = p.shape[1] * bench.loss.forward(p.reshape(steps), t.reshape(steps))
    except Exception:
        return False
    return isinstance(value, float) and agree(value, one_by_one, noise_of([value]))


def _seems_wrong(bench: LossBench, p: Array, t: Array) -> bool:
    point = bench.point("", p, t)
    return differs(point.f, point.v, point.y, point.dy, point.gradient, bench.rng)


@rule("right with other arguments too")
def other_arguments(bench: LossBench) -> Skipped | str:
    """The loss made anew with one number changed: a constant of 1, 2, 0 or 0.5 hides what is done with it."""
    tried = []
    for words, make in other_makes(bench.loss):
        try:
            sibling = LossBench(make(), bench.p, bench.t, 0)
            near, far = (bench.p, bench.t), (8 * bench.p, bench.t)
            wrong = [_seems_wrong(sibling, p, t) for p, t in (near, far) if sibling.accepts(p, t)]
        except Exception:  # refused
            continue
        tried.append(words)
        if any(wrong):
            try:
                derivative(sibling)
            except Evidence as found:
                found.symptom = ""
                found.seen_on(sibling, "one value only", f"{sibling.loss!r}, {bench.domains[0][0]}", words=words)
                raise
    return ", ".join(tried) if tried else Skipped()

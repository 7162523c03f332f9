"""The rules of a loss's value: finite where it should be, without jumps, with the digits that p and t have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.rounding import MOVED, TO_FLOAT32, UNITS, WIDER
from minigrad.testing.rule import Evidence, Skipped, rule

PIECES = 400  # of a path from one p to another


@rule("value and slopes are numbers, for large p and at the ends of its domain")
def finite(bench: LossBench) -> None:
    """Finite where the loss itself in wider numbers is, and where p equals t exactly, 0 and 1 included."""
    for domain, p, t in bench.domains:
        if domain.startswith("real"):
            for times in (100, 1000):
                for narrow, wide in WIDER.items():
                    _overflows(bench, f"{domain}, large p (p * {times})", p * times, t, narrow, wide)
        elif domain.startswith("probabilities"):
            ends = np.where(np.arange(t.size).reshape(t.shape) % 2, np.rint(t), t)
            _not_a_number(bench, f"{domain}, p equal to t, at 0 and 1 too", ends)


def _overflows(bench: LossBench, situation: str, p: Array, t: Array, narrow: type, wide: type) -> None:
    """Raise Evidence where a value or slope overflows that need not."""
    p, t = p.astype(narrow), t.astype(narrow)
    try:
        value, dp = bench.loss.forward(p, t), bench.loss.backward(p, t)
        exact, slopes = bench.loss.forward(p.astype(wide), t.astype(wide)), bench.loss.backward(p.astype(wide), t)
    except Exception:
        return
    for method, a, b in (("forward", np.atleast_1d(value), np.atleast_1d(exact)), ("backward", dp, slopes)):
        wrong = ~np.isfinite(a) & np.isfinite(b) & (abs(b) < float(np.finfo(narrow).max))
        if wrong.any():
            true = float(b[wrong][0])
            what = f"in {narrow.__name__} {method} returns {a[wrong][0]}, where the true value is {true:.6g}"
            raise Evidence(what, "overflow in a loss", situation=situation, numeric=true)


def _not_a_number(bench: LossBench, situation: str, ends: Array) -> None:
    """Raise Evidence where p = t gives no number, of a loss whose domain ends at 0 and at 1: 1.5 is beyond it."""
    try:
        if np.isfinite(bench.loss.forward(0 * ends + 1.5, 0 * ends + 0.5)):
            return
    except Exception:  # refused, then
        pass
    try:
        value, dp = bench.loss.forward(ends.copy(), ends.copy()), bench.loss.backward(ends.copy(), ends.copy())
    except ValueError:
        return
    if not np.isfinite(value) or np.isnan(dp).any():
        method, given = ("forward", value) if not np.isfinite(value) else ("backward", np.nan)
        raise Evidence(f"where p is t, {method} returns {given}", "logarithm of 0", situation=situation)


@rule("between two p the value changes by the sum of the slopes")
def sum_of_slopes(bench: LossBench) -> Skipped | None:
    """The integral of backward along a path is the difference of forward at its ends: there is no jump on the way."""
    for situation, start, end, t in _paths(bench):
        try:
            parts = [start + (end - start) * s for s in np.linspace(0, 1, PIECES + 1)]
            pulls = np.array([float((bench.loss.backward(p, t) * (end - start)).sum()) for p in parts])
            change = bench.loss.forward(end.copy(), t) - bench.loss.forward(start.copy(), t)
        except ValueError:
            continue
        total, coarse = _integral(pulls), _integral(pulls[::2])
        if abs(total - coarse) > 0.01 * float(abs(pulls).mean()):  # a pole on the way, whose sum means nothing
            continue
        if not abs(change - total) <= 0.02 * float(abs(pulls).mean()) + 1e-9 * (1 + abs(change)) and np.isfinite(total):
            what = f"forward changes by {change:.6g} between two p, the slopes on the way add up to {total:.6g}"
            raise Evidence(what, "jump of a loss", situation=situation, analytic=total, numeric=float(change))
    return None


def _integral(pulls: Array) -> float:
    """The integral over [0, 1] of what is known at evenly spaced places."""
    return float((0.5 * (pulls[1:] + pulls[:-1])).mean())


def _paths(bench: LossBench) -> Iterator[tuple[str, Array, Array, Array]]:
    for domain, p, t in bench.domains[:3]:
        if domain.startswith("real p and t"):
            for far in (-3.0, 3.0):
                yield f"{domain}, from t to t {far:+g}", t.copy(), t + far * bench.rng.uniform(0.5, 1, t.shape), t
        elif domain.startswith("probabilities"):
            yield f"{domain}, from p to 1 - p", p, 1 - p, t


@rule("digits are kept where p and t are large")
def cancellation(bench: LossBench) -> Skipped | None:
    """In float32 the value is off by no more than the digits of p and t explain, for p close to t and far from 0."""
    if bench.domains[0][0] != "real p and t":
        return Skipped()
    p, t = ((30_000 + a).astype(np.float32) for a in (bench.p, bench.t))
    try:
        value, exact = bench.loss.forward(p, t), bench.loss.forward(p.astype(float), t.astype(float))
        signs = bench.rng.choice([-1.0, 1.0], (2, *p.shape))
        moved = [abs(bench.loss.forward(p * (1 + MOVED * s), t.astype(float)) - exact) / MOVED for s in signs]
    except ValueError:
        return Skipped("it refuses such p and t")
    usual = abs(bench.loss.forward(bench.p, bench.t))
    allowed = 1e-3 * abs(exact) + UNITS * EPS * TO_FLOAT32 * usual + UNITS * EPS * TO_FLOAT32 * max(moved)
    if np.isfinite(exact) and not abs(value - exact) <= allowed:
        what = f"in float32 forward returns {value:.6g} instead of {exact:.6g} for p and t around 30,000"
        raise Evidence(what, "cancellation in a loss", analytic=value, numeric=exact)
    return None


@rule("p and t are not exchanged")
def not_exchanged(bench: LossBench) -> Skipped | None:
    """Of probabilities, no p is better than t itself; that it would be with p and t exchanged gives the slip away."""
    for situation, p, t in bench.domains:
        if situation not in ("probabilities", "distributions"):
            continue
        tried = [p, (p + t) / 2, *(_sharpened(t, power, situation) for power in (0.5, 2.0, 4.0))]
        try:
            own = bench.loss.forward(t.copy(), t)
            straight = [bench.loss.forward(q, t) - own for q in tried]
            exchanged = [bench.loss.forward(t.copy(), q) - own for q in tried]
        except ValueError:
            continue
        far = 1e-6 * (1 + abs(own))
        if min(straight) < -far and min(exchanged) > far:
            q = tried[int(np.argmin(straight))]
            what = f"forward gives {own:.6g} where p is t, and less, {own + min(straight):.6g}, at another p"
            what += f", whose first row is {q[0].round(3)} for the t {t[0].round(3)}"
            raise Evidence(what, "arguments exchanged", situation=situation)
    return None


def _sharpened(t: Array, power: float, domain: str) -> Array:
    """Probabilities further from even ones than t, or nearer."""
    if domain == "distributions":
        return np.array(t**power / (t**power).sum(axis=-1, keepdims=True))
    return np.array(t**power / (t**power + (1 - t) ** power))

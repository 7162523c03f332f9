"""The rules of forward itself, whose derivative may be right and its values wrong: overflow, cancellation, float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.inputs import spread_out
from minigrad.testing.bench.layers import LayerBench
from minigrad.testing.bench.subject import Subject
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.rounding import MOVED, RELATIVE32, TINY32, TO_FLOAT32, UNITS, WIDER, far_in_float32
from minigrad.testing.rule import Evidence, Skipped, rule

SIZES: dict[str, Callable[[LayerBench, Array], Array] | None] = {
    "": None,
    ", small inputs (x * 0.01)": lambda bench, x: 0.01 * x,
    ", large inputs (x * 8)": lambda bench, x: 8 * x,
    ", inputs far apart": lambda bench, x: spread_out(x, 40, bench.rng, bool((x < 0).any()) or not bench.given, 30),
}


@rule("float32 in gives float32 out, and agrees with float64", costly=True)
def single_precision(bench: LayerBench) -> str:
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
            raise Evidence(what, "constant of another dtype", situation="float32", method=name)
    if bench.random:
        return "dtypes only, since the layer draws random numbers"
    for words, sized in SIZES.items() if real and not bench.only_here and not bench.fenced else (("", None),):
        apart = _far_apart(bench, small, 0, sized)
        if apart and all(_far_apart(bench, small, again, sized) for again in (1, 2)):
            # once or twice may be a kink between the float32 number and the float64 one
            raise Evidence(f"{apart} in float32 is far from that in float64", "float32", situation=f"float32{words}")
    return f"to {_allowed(bench, None):.0e} and rounding"


def _allowed(bench: LayerBench, sized: Any) -> float:
    """How far float32 may be off, beside rounding: further where more was subtracted on the way."""
    return max(RELATIVE32, bench.tolerance) * (1 if sized is None else 100)


def _far_apart(bench: LayerBench, small: Subject, attempt: int, sized: Any) -> str | None:
    """What differs between float32 and float64 by more than rounding, at an input of its own; None if nothing."""
    x = bench.x if attempt == 0 else bench.another()
    x = x if sized is None else sized(bench, x)
    if not bench.finite(x, small.theta.astype(np.float64)):
        return None
    x32 = x.astype(np.float32) if x.dtype.kind == "f" else x
    x64 = x32.astype(np.float64) if x.dtype.kind == "f" else x
    case, noise = bench.noise_at("float32", x64, small.theta.astype(np.float64))
    y64 = bench.spare.at(bench.spare.vector(x64, case.theta), x64)
    y32 = small.forward(x32).copy()
    g32 = small.collect(x32, small.layer.backward(case.dy.astype(np.float32))).copy()
    # What saturates leaves a gradient of nothing but the rounding of y, times x for a parameter.
    floor = EPS * float(abs(case.dy * y64).max(initial=0)) * max(1.0, float(abs(x64).max(initial=0)))
    floors = np.full_like(noise.gradient, floor)
    floors[: x64.size if x64.dtype.kind == "f" else 0] = EPS * float(abs(case.dy * y64).max(initial=0))
    np.maximum(noise.gradient, floors, out=noise.gradient)
    if not np.isfinite(y32).all():  # what overflows is judged by another rule
        return None
    coarse = _allowed(bench, sized)
    if far_in_float32(y32, y64, noise.y, coarse).any():
        return "y"
    for part in bench.subject.parts(x64):
        if far_in_float32(g32[part.span], case.gradient[part.span], noise.gradient[part.span], coarse).any():
            return f"the gradient of {part.name}"
    return None


@rule("forward and backward are finite where the true value is", costly=True)
def finite(bench: LayerBench) -> Skipped | str:
    """In float32 and float64, for large inputs and a row of zeros, against the layer in the next wider numbers."""
    if bench.only_here or bench.x.dtype.kind != "f":
        return Skipped()
    tried = 0
    for narrow, wide in WIDER.items():
        try:
            subjects = Subject(bench.layer, narrow), Subject(bench.layer, wide)
        except Exception:
            continue
        for situation, x in bench.large():
            tried += _overflows(bench, *subjects, situation, x)
    return f"{tried} large inputs" if tried else Skipped("it takes no large inputs, or computes in one dtype alone")


def _overflows(bench: LayerBench, narrow: Subject, wide: Subject, situation: str, x: Array) -> bool:
    """Raise Evidence where a number overflows that need not; False where the layer can't be asked."""
    x = x.astype(narrow.theta.dtype)
    try:
        exact = wide.forward(x.astype(wide.theta.dtype)).copy()
        y = narrow.forward(x.copy()).copy()
        dy = bench.upstream(y)
        dx, exact_dx = narrow.layer.backward(dy.astype(y.dtype)), wide.layer.backward(dy.astype(exact.dtype))
        results = [("forward", y, exact)]
        if np.isfinite(y).all():
            gradients = [narrow.collect(x, dx), wide.collect(x, exact_dx)]
            results.append(("backward", gradients[0], gradients[1]))
    except Exception:
        return False
    largest = float(np.finfo(y.dtype).max)
    for method, a, b in results:
        wrong = ~np.isfinite(a) & np.isfinite(b) & (abs(b) < largest)
        if wrong.any():
            position = int(np.argmax(wrong.ravel()))
            given, true = a.ravel()[position], float(b.ravel()[position])
            what = f"in {y.dtype} {method} returns {given}, where the true value is {true:.6g}"
            zeros, shifted = "zeros" in situation, _shift_invariant(bench)
            raise Evidence(
                what,
                "vanished in float32" if zeros else "maximum not subtracted" if shifted else "overflow",
                situation=situation,
                analytic=float(given),
                numeric=true,
            )
    return True


def _shift_invariant(bench: LayerBench) -> bool:
    """Whether adding a number to a row changes nothing in y, or adds it to y: softmax, log-softmax, log-sum-exp."""
    try:
        y, moved = bench.spare.forward(bench.x).copy(), bench.spare.forward(bench.x + 0.5)
        return bench.alike(moved, y) or bench.alike(moved, y + 0.5)
    except Exception:
        return False


@rule("digits are kept where x is far from 0", costly=True)
def cancellation(bench: LayerBench) -> Skipped | None:
    """In float32 y is off by no more than the digits of x explain, for x of rows that differ little from each other.

    Its size is the one there, or at ordinary inputs: far from 0 what saturates may leave a norm nothing but rounding.
    """
    if bench.only_here or bench.x.dtype.kind != "f" or bench.random or bench.fenced:
        return Skipped()
    spread = float(bench.x.std()) or 1.0
    narrow, off = Subject(bench.layer, np.float32), []
    ordinary = float(abs(bench.spare.at(bench.spare.vector(bench.x, bench.own), bench.x)).max(initial=0))
    for _ in range(3):
        x = (3000 * spread + bench.another()).astype(np.float32)
        try:
            y, wide = narrow.forward(x.copy()).copy(), x.astype(np.float64)
            bench.spare.theta[...] = narrow.theta
            exact = bench.spare.forward(wide).copy()
            signs = bench.rng.choice([-1.0, 1.0], (2, *x.shape))
            moved = [abs(bench.spare.forward(wide * (1 + MOVED * sign)) - exact).max() / MOVED for sign in signs]
        except Exception:
            return Skipped()
        if not np.isfinite(exact).all():
            return Skipped()
        size = max(float(abs(exact).max(initial=0)), ordinary)
        allowed = 1e-3 * size + UNITS * (EPS * TO_FLOAT32 * max(moved) + TINY32)
        error = float(np.max(abs(y - exact), where=np.isfinite(y), initial=0)) if np.isfinite(y).all() else np.inf
        off.append((error, allowed))
    if all(error > allowed for error, allowed in off):
        error, allowed = off[0]
        what = (
            f"in float32 y is off by {error:.3g} at x around {3000 * spread:.4g}, where {allowed:.1g} would be rounding"
        )
        raise Evidence(what, "cancellation", situation="inputs far from 0 (x + 3000)")
    return None

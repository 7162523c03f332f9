"""The contract of a loss: the mean over rows of the sum over outputs, and its derivative."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array
from minigrad.testing.bench.inputs import LAYOUTS
from minigrad.testing.bench.losses import LossBench
from minigrad.testing.contract import run
from minigrad.testing.oracle.derivative import EPS
from minigrad.testing.oracle.rounding import agree, agree_in_float32, noise_of, same, same_configs
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence, Rule, Skipped, rule
from minigrad.testing.rules.loss_gradients import derivative, larger, other_arguments
from minigrad.testing.rules.loss_values import cancellation, finite, not_exchanged, sum_of_slopes


def check_loss(loss: Any, p: Any = None, t: Any = None, *, seed: int = 0) -> Report:
    """Prove that a loss keeps its contract, or raise GradientError, which says what is wrong with it.

    `p` and `t` are predictions and targets that it takes; without them, some are drawn in the domains that it accepts
    (real numbers, probabilities, one row of a distribution, signs), of the widths that `target_shape` says. Returns the
    report, whose `str()` is a table.

    Raises ValueError where it takes none of those, or refuses p and t.
    """
    if isinstance(loss, type):
        raise TypeError(f"check_loss takes a loss, not a class; write {loss.__name__}(…)")
    if isinstance(loss, Layer) or not all(callable(getattr(loss, name, None)) for name in ("forward", "backward")):
        raise TypeError(f"check_loss takes a loss with forward(p, t) and backward(p, t), not {loss!r:.100}")
    if (p is None) != (t is None):
        raise ValueError("pass both p and t, or neither")
    return run(LossBench(loss, p, t, seed), CONTRACT)


@rule("forward gives a float, backward an array of p's shape")
def runs(bench: LossBench) -> str:
    """A Python float, and an array of p's dtype, in every domain."""
    for situation, p, t in bench.domains:
        try:
            value, dp = bench.loss.forward(p.copy(), t.copy()), bench.loss.backward(p.copy(), t.copy())
        except Exception as error:
            raise Evidence(f"{type(error).__name__}: {error}", situation=situation) from error
        if not isinstance(value, float) or isinstance(value, np.generic):
            what = f"forward returns {type(value).__name__}, not a Python float"
            raise Evidence(what, "loss not one number" if np.ndim(value) else "loss not a float", situation=situation)
        if not isinstance(dp, np.ndarray) or dp.shape != p.shape or dp.dtype != p.dtype:
            given = f"{dp.dtype} of shape {dp.shape}" if isinstance(dp, np.ndarray) else repr(dp)
            what = f"backward returns {given}; p is {p.dtype} of shape {p.shape}"
            raise Evidence(what, situation=situation, parameter="p")
    return f"p and t {bench.p.shape}"


@rule("stateless: arguments unchanged, two calls give the same bits")
def pure(bench: LossBench) -> None:
    """No argument is changed, and backward needs no forward."""
    loss, p, t = bench.loss, bench.p.copy(), bench.t.copy()
    value, dp = loss.forward(p, t), loss.backward(p, t)
    kept = dp.copy()
    for name, now, was in (("p", p, bench.p), ("t", t, bench.t)):
        if not same(now, was):
            raise Evidence(f"{name} is changed", "argument of a loss overwritten")
    other = bench.p[::-1].copy(), bench.t[::-1].copy()
    loss.forward(*other)
    loss.backward(*other)
    if not same(dp, kept):
        raise Evidence("a later call overwrites the dp returned before", "dp used again")
    if not same(loss.backward(bench.p, bench.t), kept):
        what = "backward(p, t) gives something else after forward of another p and t"
        raise Evidence(what, "loss keeps what forward saw")
    if loss.forward(bench.p, bench.t) != value:
        raise Evidence("two forwards of the same p and t differ")


@rule("the mean over rows, the sum over all else")
def mean_over_rows(bench: LossBench) -> None:
    """Each row counts on its own, and each output of a row."""
    for situation, p, t in bench.domains:
        value = bench.loss.forward(p, t)
        each = [bench.loss.forward(p[i : i + 1], t[i : i + 1]) for i in range(len(p))]
        mean = float(np.mean(each))
        if not agree(value, mean, noise_of(each)):
            what = f"forward gives {value:.9g}, its rows alone {mean:.9g} on average"
            summed, crossed = agree(value, len(p) * mean, len(p) * noise_of(each)), bench.crosses(p, t)
            raise Evidence(
                what,
                "summed over the rows" if summed else "every p with every t" if crossed else "rows together",
                situation=situation,
            )
        if p.ndim > 1 and p.shape[-1] > 1:
            _sum_over_outputs(bench, situation, p, t, value)


def _sum_over_outputs(bench: LossBench, situation: str, p: Array, t: Array, value: float) -> None:
    """Where outputs are independent of each other, one more output adds to the value instead of diluting it."""
    outputs = p.shape[-1]
    try:
        columns = [bench.loss.forward(p[..., i : i + 1], t[..., i : i + 1]) for i in range(outputs)]
    except Exception:
        return
    total = float(np.sum(columns))
    if agree(value * outputs, total, outputs * noise_of(columns)) and not agree(value, total, noise_of(columns)):
        what = f"forward gives {value:.9g}, its outputs alone {total:.9g} in sum"
        raise Evidence(what, "averaged over the outputs", situation=situation, outputs=outputs)


@rule("with sample_weight the mean is Σ w l / Σ w")
def weights(bench: LossBench) -> Skipped | None:
    """Weights of one are as none, and only ratios count."""
    if not bench.weighted:
        return Skipped("the loss takes no sample_weight")
    loss, p, t = bench.loss, bench.p, bench.t
    ones = np.ones(len(p))
    value, dp = loss.forward(p, t), loss.backward(p, t)
    if loss.forward(p, t, ones) != value or not same(loss.backward(p, t, ones), dp):
        raise Evidence("weights of one do not give what no weights give, bit for bit")
    w = bench.rng.uniform(0.5, 2, len(p))
    w[0] = 0.0
    kept = w.copy()
    each = np.array([loss.forward(p[i : i + 1], t[i : i + 1]) for i in range(len(p))])
    given, expected = loss.forward(p, t, w), float(w @ each / w.sum())
    if not agree(given, expected, noise_of(each)):
        what = f"with weights forward gives {given:.9g} instead of {expected:.9g}"
        counted = agree(given, w @ each / len(p), noise_of(each))
        raise Evidence(what, "weights counted as rows" if counted else "", analytic=given, numeric=expected)
    slopes = loss.backward(p, t, w)
    column = (w / w.sum() * len(p)).reshape(-1, *[1] * (p.ndim - 1))
    if not agree(slopes, dp * column, 4 * noise_of(dp)):
        raise Evidence("with weights backward is not the derivative of forward", parameter="p")
    if not same(w, kept):
        raise Evidence("sample_weight is changed", "argument of a loss overwritten")
    if not agree(loss.forward(p, t, 7 * w), given, noise_of(each)):
        raise Evidence("weights times seven change the value; only their ratios may count")
    return None


@rule("p and t of different shapes, and no rows, are refused")
def shapes(bench: LossBench) -> None:
    """Nothing is broadcast, and no mean is taken over nothing."""
    p, t = bench.p, bench.t
    tried: list[tuple[str, Array, Array]] = [("zero rows", p[:0], t[:0])]
    if p.ndim > 1:
        tried.append((f"p of shape {p.shape}, t of shape {t[:, :1].shape}", p, t[:, :1]))
        tried.append((f"p of shape {p[:, :1].shape}, t of shape {t[:, 0].shape}", p[:, :1], t[:, 0]))
    for situation, a, b in tried:
        if len(a) and b.shape[1:] in (a.shape[1:], _declared(bench.loss, a)):
            continue
        for method in (bench.loss.forward, bench.loss.backward):
            _refuses(situation, method, a, b)


def _declared(loss: Any, p: Array) -> tuple[int, ...]:
    """The shape that a loss says its targets have."""
    try:
        return tuple(loss.target_shape(p.shape[1:]))
    except Exception:  # it says none, or takes no such p
        return p.shape[1:]


def _refuses(situation: str, method: Callable[..., Any], p: Array, t: Array) -> None:
    try:
        method(p, t)
    except ValueError:
        return
    except Exception as error:
        what = f"{method.__name__} raises {type(error).__name__}, not ValueError: {error}"
        raise Evidence(what, situation=situation) from error
    what = f"{method.__name__} takes {situation} without a ValueError"
    raise Evidence(what, "mean over no rows" if len(p) == 0 else "t broadcast", situation=situation)


@rule("float32 in gives float32 out, and agrees with float64")
def dtypes(bench: LossBench) -> Skipped | None:
    """The numbers are nearly those of float64."""
    loss, p, t = bench.loss, bench.p.astype(np.float32), bench.t.astype(np.float32)
    try:
        value, dp = loss.forward(p, t), loss.backward(p, t)
    except ValueError:
        return Skipped("refused in float32")
    if dp.dtype != np.float32:
        what = f"in float32 backward returns {dp.dtype}"
        raise Evidence(what, "constant of another dtype in a loss", situation="float32")
    wide = p.astype(np.float64), t.astype(np.float64)
    exact = loss.backward(*wide)
    if not agree_in_float32(dp, exact, noise_of(exact)):
        raise Evidence("dp in float32 is far from that in float64", situation="float32")
    if not agree_in_float32(np.float32(value), np.float64(loss.forward(*wide)), EPS):
        raise Evidence("the value in float32 is far from that in float64", situation="float32")
    return None


@rule("Fortran-ordered, strided and read-only arrays give the same")
def layouts(bench: LossBench) -> None:
    """How an argument lies in memory does not matter; here none can be written to."""
    value, dp = bench.loss.forward(bench.p, bench.t), bench.loss.backward(bench.p, bench.t)
    for name, lay in LAYOUTS.items():
        p, t = lay(bench.p), lay(bench.t)
        p.flags.writeable = t.flags.writeable = False
        try:
            given, slopes = bench.loss.forward(p, t), bench.loss.backward(p, t)
        except Exception as error:
            raise Evidence(f"{type(error).__name__}: {error}", situation=name) from error
        if not agree(given, value, noise_of(value)) or not agree(slopes, dp, noise_of(dp)):
            raise Evidence(f"the result differs when p and t are {name}", situation=name)


@rule("config() makes the loss again")
def configuration(bench: LossBench) -> Skipped | None:
    """A loss that has a config() can be made from it."""
    loss = bench.loss
    if not hasattr(loss, "config"):
        return Skipped("the loss has no config()")
    try:
        config = loss.config()
        clone = type(loss)(**copy.deepcopy(config))
        equal = same_configs(clone.config(), config)
    except Exception as error:
        raise Evidence(f"{type(error).__name__}: {error}", "argument not kept") from error
    if not equal or clone.forward(bench.p, bench.t) != loss.forward(bench.p, bench.t):
        raise Evidence("the loss made from config() is another", "config of a loss loses something")
    return None


CONTRACT: tuple[Rule[LossBench], ...] = (
    runs,
    pure,
    finite,
    derivative,
    larger,
    sum_of_slopes,
    not_exchanged,
    cancellation,
    mean_over_rows,
    weights,
    shapes,
    dtypes,
    layouts,
    configuration,
    other_arguments,
)

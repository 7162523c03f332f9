"""The contract of a loss: the mean over rows of the sum over outputs, and its derivative."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.parameter import Array
from minigrad.testing import diagnosis
from minigrad.testing.contract import EPS32, alike_configs, quietly, same, strided
from minigrad.testing.inputs import with_rows
from minigrad.testing.proof import Mismatch, Point, Prover
from minigrad.testing.report import GradientError, Report
from minigrad.testing.subject import Part

COORDINATES = 40


def check_loss(loss: Any, p: Any = None, t: Any = None, *, seed: int = 0) -> Report:
    """Prove that a loss keeps its contract, or raise GradientError, which says what is wrong with it.

    `p` and `t` are predictions and targets that it takes; without them, some are drawn in the domains that it accepts
    (real numbers, probabilities, one row of a distribution, signs). Returns the report, whose `str()` is a table.

    Raises ValueError where it takes none of those: then pass p and t.
    """
    if isinstance(loss, type):
        raise TypeError(f"check_loss takes a loss, not a class; write {loss.__name__}(…)")
    if (p is None) != (t is None):
        raise ValueError("pass both p and t, or neither")
    return LossCheck(loss, p, t, seed).run()


class LossCheck:
    """One run of the rules over one loss."""

    def __init__(self, loss: Any, p: Any, t: Any, seed: int) -> None:
        self.loss = copy.deepcopy(loss)
        self.report = Report(repr(loss))
        self.rng, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        self.prover = Prover(directions)
        if p is None:
            self.domains = list(self._domains())
            if not self.domains:
                raise ValueError(f"{loss!r} takes none of the predictions and targets that were tried; pass p and t")
        else:
            self.domains = [("the p and t given", *self._given(p, t))]
        self.p, self.t = self.domains[0][1:]
        self.weighted = self._takes_weights()

    def run(self) -> Report:
        """Try every rule; raise at the first that is broken."""
        rules = (self.runs, self.pure, self.derivative, self.mean_over_rows, self.weights, self.shapes, self.dtypes)
        try:
            for rule in (*rules, self.layouts, self.configuration):
                quietly(rule)
        except GradientError as error:
            raise error.filed(self.report) from error.__cause__
        self.report.error, self.report.tolerance = self.prover.error, self.prover.tolerance
        return self.report

    def runs(self) -> None:
        """Forward gives a float, backward an array like p."""
        rule = "forward gives a float, backward an array of p's shape"
        for situation, p, t in self.domains:
            try:
                value, dp = self.loss.forward(p.copy(), t.copy()), self.loss.backward(p.copy(), t.copy())
            except Exception as error:
                raise GradientError(rule, f"{type(error).__name__}: {error}", situation=situation) from error
            if not isinstance(value, float) or isinstance(value, np.generic):
                what = f"forward returns {type(value).__name__}, not a Python float"
                likely = "the loss is not summed to one number" if np.ndim(value) else "return float(…)"
                raise GradientError(rule, what, situation=situation, diagnosis=likely)
            if not isinstance(dp, np.ndarray) or dp.shape != p.shape or dp.dtype != p.dtype:
                given = f"{dp.dtype} of shape {dp.shape}" if isinstance(dp, np.ndarray) else repr(dp)
                what = f"backward returns {given}; p is {p.dtype} of shape {p.shape}"
                raise GradientError(rule, what, situation=situation, parameter="p")
        self.report.holds(rule, f"p and t {self.p.shape}")

    def pure(self) -> None:
        """No argument is changed, and backward needs no forward."""
        rule = "stateless: arguments unchanged, two calls give the same bits"
        p, t = self.p.copy(), self.t.copy()
        value, dp = self.loss.forward(p, t), self.loss.backward(p, t)
        kept = dp.copy()
        for name, now, was in (("p", p, self.p), ("t", t, self.t)):
            if not same(now, was):
                raise GradientError(rule, f"{name} is changed", diagnosis="an argument is overwritten in place")
        other = self._other(self.p), self._other(self.t)
        try:
            self.loss.forward(*other)
            self.loss.backward(*other)
        except Exception:
            other = self.p[::-1].copy(), self.t[::-1].copy()
            self.loss.forward(*other)
            self.loss.backward(*other)
        if not same(dp, kept):
            raise GradientError(
                rule, "a later call overwrites the dp returned before", diagnosis="return a fresh array"
            )
        if not same(self.loss.backward(self.p, self.t), kept):
            raise GradientError(
                rule,
                "backward(p, t) gives something else after forward of another p and t",
                diagnosis="stale cache: backward uses what forward has kept; compute it from p and t",
            )
        if self.loss.forward(self.p, self.t) != value:
            raise GradientError(rule, "two forwards of the same p and t differ")
        self.report.holds(rule)

    def derivative(self) -> None:
        """Backward against the numerical derivative of forward, in every domain that the loss accepts."""
        rule = "backward is the derivative of forward"
        tried = [*self._situations(*self.domains[0]), *self.domains[1:]]
        points = [(situation, p, t, self._point(situation, p, t)) for situation, p, t in tried]
        for *_, point in points:
            self.prover.learn(point)
        for number, (situation, p, t, point) in enumerate(points):
            try:
                self.prover.prove(point, COORDINATES if number == 0 else 8)
            except Mismatch as mismatch:
                raise self._wrong(rule, situation, p, t, mismatch) from None
        self.report.method = self.prover.method
        self.report.note(f"p and t: {', '.join(name for name, *_ in self.domains)}")
        self.report.holds(
            rule,
            f"{self.report.method}, {len(points)} situations, off by {self.prover.error:.0e} "
            f"where {self.prover.tolerance:.0e} is allowed",
        )

    def mean_over_rows(self) -> None:
        """The value is the mean over rows of a sum over everything else."""
        rule = "the mean over rows, the sum over all else"
        for situation, p, t in self.domains:
            value, dp = self.loss.forward(p, t), self.loss.backward(p, t)
            each = [self.loss.forward(p[i : i + 1], t[i : i + 1]) for i in range(len(p))]
            mean = float(np.mean(each))
            if not _close(value, mean, each):
                likely = (
                    "it is summed over the rows instead of averaged" if _close(value, len(p) * mean, each) else
                    "it is averaged over the outputs too" if p.ndim > 1 and _close(value, mean, each) else
                    "rows of a batch do not count each on its own"
                )  # fmt: skip
                raise GradientError(
                    rule, f"forward gives {value:.9g}, its rows alone {mean:.9g} on average", situation=situation,
                    diagnosis=likely,
                )  # fmt: skip
            twice = self.loss.backward(np.concatenate([p, p]), np.concatenate([t, t]))[: len(p)]
            if not np.allclose(2 * twice, dp, rtol=1e-9, atol=1e-12 * abs(dp).max()):
                raise GradientError(rule, "backward does not halve when every row stands twice", situation=situation)
            if p.ndim > 1 and p.shape[-1] > 1:
                self._sums(rule, situation, p, t, value)
        self.report.holds(rule)

    def _sums(self, rule: str, situation: str, p: Array, t: Array, value: float) -> None:
        """Where outputs are independent of each other, one more output adds to the value instead of diluting it."""
        try:
            columns = [self.loss.forward(p[..., i : i + 1], t[..., i : i + 1]) for i in range(p.shape[-1])]
        except Exception:
            return
        total = float(np.sum(columns))
        if _close(value * p.shape[-1], total, columns) and not _close(value, total, columns):
            raise GradientError(
                rule,
                f"forward gives {value:.9g}, its outputs alone {total:.9g} in sum",
                situation=situation,
                diagnosis=f"too small by exactly the number of outputs, {p.shape[-1]}: averaged over them, not summed",
            )

    def weights(self) -> None:
        """With sample_weight the mean is Σ w l / Σ w."""
        rule = "with sample_weight the mean is Σ w l / Σ w"
        if not self.weighted:
            self.report.skipped(rule, "the loss takes no sample_weight")
            return
        p, t = self.p, self.t
        ones = np.ones(len(p))
        value, dp = self.loss.forward(p, t), self.loss.backward(p, t)
        if self.loss.forward(p, t, ones) != value or not same(self.loss.backward(p, t, ones), dp):
            raise GradientError(rule, "weights of one do not give what no weights give, bit for bit")
        w = self.rng.uniform(0.5, 2, len(p))
        w[0] = 0.0
        kept = w.copy()
        each = np.array([self.loss.forward(p[i : i + 1], t[i : i + 1]) for i in range(len(p))])
        given, expected = self.loss.forward(p, t, w), float(w @ each / w.sum())
        if not _close(given, expected, each):
            likely = "divided by the number of rows instead of Σ w" if _close(given, w @ each / len(p), each) else ""
            raise GradientError(
                rule,
                f"with weights forward gives {given:.9g} instead of {expected:.9g}",
                diagnosis=likely,
                analytic=given,
                numeric=expected,
            )
        slopes = self.loss.backward(p, t, w)
        column = (w / w.sum() * len(p)).reshape(-1, *[1] * (p.ndim - 1))
        if not np.allclose(slopes, dp * column, rtol=1e-9, atol=1e-12 * abs(dp).max()):
            raise GradientError(rule, "with weights backward is not the derivative of forward", parameter="p")
        if not same(w, kept):
            raise GradientError(rule, "sample_weight is changed", diagnosis="an argument is overwritten in place")
        if not _close(self.loss.forward(p, t, 7 * w), given, each):
            raise GradientError(rule, "weights times seven change the value; only their ratios may count")
        self.report.holds(rule)

    def shapes(self) -> None:
        """Different shapes and no rows are refused."""
        rule = "p and t of different shapes, and no rows, are refused"
        p, t = self.p, self.t
        tried: list[tuple[str, Array, Array]] = [("zero rows", p[:0], t[:0])]
        if p.ndim > 1:
            tried.append((f"p of shape {p.shape}, t of shape {t[:, :1].shape}", p, t[:, :1]))
            tried.append((f"p of shape {p[:, :1].shape}, t of shape {t[:, 0].shape}", p[:, :1], t[:, 0]))
        for situation, a, b in tried:
            if a.shape == b.shape and len(a):
                continue
            for method in (self.loss.forward, self.loss.backward):
                self._refuses(rule, situation, method, a, b)
        self.report.holds(rule)

    def _refuses(self, rule: str, situation: str, method: Callable[..., Any], p: Array, t: Array) -> None:
        try:
            method(p, t)
        except ValueError:
            return
        except Exception as error:
            what = f"{method.__name__} raises {type(error).__name__}, not ValueError: {error}"
            raise GradientError(rule, what, situation=situation) from error
        raise GradientError(
            rule,
            f"{method.__name__} takes {situation} without a ValueError",
            situation=situation,
            diagnosis="the mean over no rows is not a number" if len(p) == 0 else "t is broadcast against p",
        )

    def dtypes(self) -> None:
        """Float32 gives float32, and nearly the numbers of float64."""
        rule = "float32 in gives float32 out, and agrees with float64"
        p, t = self.p.astype(np.float32), self.t.astype(np.float32)
        try:
            value, dp = self.loss.forward(p, t), self.loss.backward(p, t)
        except ValueError:
            self.report.skipped(rule, "refused in float32")
            return
        if dp.dtype != np.float32:
            raise GradientError(
                rule,
                f"in float32 backward returns {dp.dtype}",
                situation="float32",
                diagnosis="a constant of another dtype: use Python's floats (float(np.sqrt(2)), not np.sqrt(2))",
            )
        exact = self.loss.backward(p.astype(np.float64), t.astype(np.float64))
        slack = 1e-3 * float(abs(exact).max()) + 1e3 * EPS32 * float(abs(exact).max())
        if not np.allclose(dp, exact, rtol=0, atol=slack):
            raise GradientError(rule, "dp in float32 is far from that in float64", situation="float32")
        wide = self.loss.forward(p.astype(np.float64), t.astype(np.float64))
        if abs(value - wide) > 1e-3 * abs(wide) + 1e3 * EPS32:
            raise GradientError(rule, "the value in float32 is far from that in float64", situation="float32")
        self.report.holds(rule)

    def layouts(self) -> None:
        """Fortran-ordered and read-only arrays give the same."""
        rule = "Fortran-ordered, strided and read-only arrays give the same"
        value, dp = self.loss.forward(self.p, self.t), self.loss.backward(self.p, self.t)
        for name, lay in (
            ("Fortran-ordered", np.asfortranarray),
            ("strided", strided),
            ("read-only", np.copy),
        ):
            p, t = lay(self.p), lay(self.t)
            p.flags.writeable = t.flags.writeable = False
            try:
                given, slopes = self.loss.forward(p, t), self.loss.backward(p, t)
            except Exception as error:
                raise GradientError(rule, f"{type(error).__name__}: {error}", situation=name) from error
            if not _close(given, value, [value]) or not np.allclose(slopes, dp, rtol=1e-9, atol=1e-12 * abs(dp).max()):
                raise GradientError(rule, f"the result differs when p and t are {name}", situation=name)
        self.report.holds(rule)

    def configuration(self) -> None:
        """A loss that has a config() is made again from it."""
        rule = "config() makes the loss again"
        if not hasattr(self.loss, "config"):
            self.report.skipped(rule, "the loss has no config()")
            return
        try:
            config = self.loss.config()
            clone = type(self.loss)(**copy.deepcopy(config))
            equal = alike_configs(clone.config(), config)
        except Exception as error:
            raise GradientError(
                rule,
                f"{type(error).__name__}: {error}",
                diagnosis="every argument of __init__ must be kept as an attribute of the same name",
            ) from error
        if not equal or clone.forward(self.p, self.t) != self.loss.forward(self.p, self.t):
            raise GradientError(rule, "the loss made from config() is another", diagnosis="config() loses something")
        self.report.holds(rule)

    # What the rules are made of.

    def _given(self, p: Any, t: Any) -> tuple[Array, Array]:
        return np.array(p, np.float64), np.array(t, np.float64)

    def _domains(self) -> Iterator[tuple[str, Array, Array]]:
        """Predictions and targets of the domains that the loss accepts: found by trying, the widest first."""
        rng, shape = self.rng, (5, 3)
        positive = rng.uniform(0.05, 0.95, shape)
        rows = positive / positive.sum(axis=1, keepdims=True)
        targets = rng.uniform(0.1, 0.9, shape)
        one_hot = np.eye(3)[rng.integers(0, 3, 5)]
        real = rng.standard_normal(shape)
        tried = [
            ("real p and t", real, rng.standard_normal(shape)),
            ("real p, t of a distribution", real, targets / targets.sum(axis=1, keepdims=True)),
            ("real p, t of 0 and 1", real, rng.integers(0, 2, shape) * 1.0),
            ("real p, t of -1 and 1", real, rng.choice([-1.0, 1.0], shape)),
            ("probabilities", positive, targets),
            ("probabilities, t of 0 and 1", positive, rng.integers(0, 2, shape) * 1.0),
            ("distributions", rows, targets / targets.sum(axis=1, keepdims=True)),
            ("distributions, one-hot t", rows, one_hot),
            ("logarithms of distributions", np.log(rows), targets / targets.sum(axis=1, keepdims=True)),
            ("positive p and t", 3 * positive, 5 * targets),
        ]
        for name, p, t in tried:
            try:
                with np.errstate(all="ignore"):
                    value = self.loss.forward(p.copy(), t.copy())
            except Exception as error:
                self._refusal = error
                continue
            if np.isfinite(value).all():
                yield name, p, t

    def _situations(self, name: str, p: Array, t: Array) -> Iterator[tuple[str, Array, Array]]:
        """The p and t of a domain, and others of the domain where losses go wrong."""
        yield name, p, t
        tried = [
            ("one row", p[:1].copy(), t[:1].copy()),
            ("one output", p[..., :1].copy(), t[..., :1].copy()),
            ("small p (p * 0.01)", p * 0.01, t),
            ("large p (p * 8)", p * 8, t),
            ("huge p (p * 1000)", p * 1000, t),
            ("p near 1", 1 - 0.001 * abs(p), t),
            ("p close to t", t + 1e-3 * p, t),
            ("some p equal to t", np.where(p > np.median(p), p, t), t),
            ("opposite p", -p, t),
        ]
        for words, q, u in tried:
            if q.ndim == p.ndim and q.size and self._accepts(q, u):
                yield f"{name}, {words}", q, u

    def _accepts(self, p: Array, t: Array) -> bool:
        try:
            return bool(np.isfinite(self.loss.forward(p.copy(), t.copy())))
        except Exception:
            return False

    def _takes_weights(self) -> bool:
        try:
            self.loss.forward(self.p.copy(), self.t.copy(), np.ones(len(self.p)))
        except TypeError:
            return False
        except Exception:
            return True
        return True

    def _point(self, situation: str, p: Array, t: Array) -> Point:
        value = getattr(self.loss, "value", self.loss.forward)
        dp = np.array(self.loss.backward(p.copy(), t.copy()))
        return Point(
            situation,
            lambda v: np.array([self.loss.forward(v.reshape(p.shape), t)]),
            lambda v: np.atleast_1d(np.asarray(value(v.reshape(p.shape), t))),
            p.ravel().copy(),
            np.ones(1),
            dp.ravel(),
            [Part("p", 0, p.shape, self.loss)],
        )

    def _wrong(self, rule: str, situation: str, p: Array, t: Array, mismatch: Mismatch) -> GradientError:
        worst = mismatch.worst()
        measured = mismatch.measured[worst]
        index = mismatch.part.index(mismatch.positions[worst]) if mismatch.positions else None
        given = np.array([m.analytic for m in mismatch.measured])
        wanted = np.array([m.numeric for m in mismatch.measured])
        return GradientError(
            rule,
            f"dp{list(index) if index else ''} is {measured.analytic:.9g}, but should be {measured.numeric:.9g}",
            situation=situation,
            parameter="p",
            index=index,
            analytic=measured.analytic,
            numeric=measured.numeric,
            diagnosis=diagnosis.of_single("p", given, wanted, {"batch size": len(p), "outputs": p[0].size})
            or self._elsewhere(situation),
        )

    def _elsewhere(self, situation: str) -> str:
        return f"wrong only for {situation.split(', ')[-1]}" if situation != self.domains[0][0] else ""

    def _other(self, values: Array) -> Array:
        return with_rows(values[::-1], len(values), self.rng)


def _close(a: float, b: float, terms: Any) -> bool:
    return bool(abs(a - b) <= 1e-10 * max(float(np.max(np.abs(terms))), abs(b)) + 1e-300)

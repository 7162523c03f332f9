"""What a rule has on its bench to try a loss: a copy of it, and p and t of every domain that it accepts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.losses import Loss
from minigrad.parameter import Array
from minigrad.testing.bench.inputs import refused
from minigrad.testing.bench.layers import Bench
from minigrad.testing.bench.subject import Part
from minigrad.testing.oracle.point import Point
from minigrad.testing.oracle.rounding import agree, noise_of
from minigrad.testing.report import Report
from minigrad.testing.rule import Evidence


class LossBench(Bench):
    """The bench for one loss: a copy of it, and p and t of every domain that it accepts, with words for each.

    `p` and `t` are those of the first domain, the widest.
    """

    p: Array
    t: Array

    def __init__(self, loss: Any, p: Any, t: Any, seed: int) -> None:
        self.rng: np.random.Generator
        self.rng, directions = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
        super().__init__(Report(repr(loss)), directions)
        self.loss: Any = copy.deepcopy(loss)
        self._refusal: Exception | None = None
        if p is None:
            self.domains: list[tuple[str, Array, Array]] = list(self._domains()) or list(self._other_widths())
            if not self.domains:
                why = f" ({type(self._refusal).__name__}: {self._refusal})" if self._refusal else ""
                what = f"{loss!r} takes none of the predictions and targets that were tried{why}"
                raise ValueError(f"{what}; pass some that it takes, as in check_loss(loss, p, t)") from self._refusal
        else:
            self.domains = [("the p and t given", np.array(p, np.float64), np.array(t, np.float64))]
            if not self.accepts(*self.domains[0][1:]) and self._refusal and refused(self._refusal):
                raise ValueError(f"{loss!r} refuses the p and t given: {self._refusal}") from self._refusal
        self.p, self.t = self.domains[0][1:]
        self.weighted: bool = self._takes_weights()

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
            if self.accepts(p, t) or isinstance(self._refusal, NameError | AttributeError):  # no fault of p and t
                yield name, p, t

    def _other_widths(self) -> Iterator[tuple[str, Array, Array]]:
        """Those of a loss whose `target_shape` says that a row of t is of another width than one of p."""
        rng = self.rng
        for outputs in (3, 2, 4, 6):
            try:
                row = tuple(self.loss.target_shape((outputs,)))
            except Exception:  # it says none, or takes no so many
                continue
            real, t = rng.standard_normal((5, outputs)), rng.standard_normal((5, *row))
            shapes = f"p of {outputs} outputs, t of {int(np.prod(row))}"
            tried = [
                (f"{shapes}, real", real, t),
                (f"{shapes}, t not negative", real, abs(t)),
                (f"{shapes}, none negative", abs(real), abs(t)),
            ]
            found = [each for each in tried if self.accepts(*each[1:]) and self._fits(*each[1:])]
            if row != (outputs,) and found:
                yield from found
                return

    def _fits(self, p: Array, t: Array) -> bool:
        """Whether backward gives an array of p's shape, and terms, of a loss that has them, one of p's or t's."""
        try:
            terms = self.loss.terms(p, t) if type(self.loss).forward is Loss.forward else p
            return np.shape(terms) in (p.shape, t.shape) and np.shape(self.loss.backward(p, t)) == p.shape
        except Exception:
            return False

    def situations(self, name: str, p: Array, t: Array) -> Iterator[tuple[str, Array, Array]]:
        """The p and t of a domain, and others of the domain where losses go wrong."""
        yield name, p, t
        tried = [
            ("one row", p[:1].copy(), t[:1].copy()),
            ("twice as many rows", np.concatenate([p, p[::-1]]), np.concatenate([t, t[::-1]])),
            ("small p (p * 0.01)", p * 0.01, t),
            ("large p (p * 8)", p * 8, t),
            ("huge p (p * 1000)", p * 1000, t),
            ("p near 1", 1 - 0.001 * abs(p), t),
            ("opposite p", -p, t),
        ]
        if p.shape == t.shape:
            tried += [
                ("one output", p[..., :1].copy(), t[..., :1].copy()),
                ("p close to t", t + 1e-3 * p, t),
                ("some p equal to t", np.where(p > np.median(p), p, t), t),
            ]
        for words, q, u in tried:
            if q.ndim == p.ndim and q.size and self.accepts(q, u):
                yield f"{name}, {words}", q, u

    def is_right(self, loss: Any) -> bool:
        """Whether the slopes of another loss are right for the p and t of this one."""
        try:
            other = LossBench(loss, self.p, self.t, 0)
            points = map(other.point, *zip(*other.situations("", self.p, self.t), strict=True))
            return all("p" in other.prover.right_parts(point) for point in points)
        except Exception:  # of the loss
            return False

    def crosses(self, p: Array, t: Array) -> bool:
        """Whether forward is the mean over all pairs of a p and a t, and not over the rows."""
        several = range(min(len(p), 8))
        p, t = p[: len(several)], t[: len(several)]
        try:
            pairs = [self.loss.forward(p[i : i + 1], t[j : j + 1]) for i in several for j in several]
            own = [pairs[i * (len(several) + 1)] for i in several]
            value = self.loss.forward(p, t)
        except Exception:
            return False
        return agree(value, float(np.mean(pairs)), noise_of(pairs)) and not agree(value, np.mean(own), noise_of(own))

    def accepts(self, p: Array, t: Array) -> bool:
        """Whether forward gives a number for these."""
        """Whether forward gives a number, and the loss's own `check`, which not every forward asks, refuses none."""
        try:
            if isinstance(self.loss, Loss):
                self.loss.check(p, t)
            with np.errstate(all="ignore"):
                return bool(np.isfinite(self.loss.forward(p.copy(), t.copy())).all())
        except Exception as error:
            self._refusal = error
            return False

    def _takes_weights(self) -> bool:
        try:
            self.loss.forward(self.p.copy(), self.t.copy(), np.ones(len(self.p)))
        except TypeError:
            return False
        except Exception:
            return True
        return True

    def point(self, situation: str, p: Array, t: Array) -> Point:
        """What the prover compares."""
        value = getattr(self.loss, "value", self.loss.forward)
        dp = np.array(self.loss.backward(p.copy(), t.copy()))
        if dp.shape != p.shape:
            what = f"backward returns an array of shape {dp.shape} for p of shape {p.shape}"
            raise Evidence(what, situation=situation, parameter="p")
        return Point(
            situation,
            lambda v: np.array([self.loss.forward(v.reshape(p.shape), t)]),
            lambda v: np.atleast_1d(np.asarray(value(v.reshape(p.shape), t))),
            p.ravel().copy(),
            np.ones(1),
            dp.ravel(),
            [Part("p", 0, p.shape, self.loss)],
            lambda v, dy: self._run(v.reshape(p.shape), t, dy),
        )

    def _run(self, p: Array, t: Array, dy: Array) -> tuple[Array, Array]:
        return np.array([self.loss.forward(p, t)]), float(dy[0]) * self.loss.backward(p, t).ravel()

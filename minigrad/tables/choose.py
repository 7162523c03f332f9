"""Settings that are chosen by hold-outs inside the training rows: hidden layers or none, and all of them by `--tune N`.

The held-out rows have no part in it, so what is measured on them stays honest. The inner hold-outs are drawn as the
outer one is: at random by class, whole groups, or the latest rows. scikit-learn's GridSearchCV runs `--tune`, which
works with any backend of joblib.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.data.labels import LabelEncoder
from minigrad.data.split import Rows
from minigrad.metrics import log_loss_terms
from minigrad.parameter import Array
from minigrad.tables.jobs import Jobs, busy, cluster
from minigrad.tables.network import Split, train_network
from minigrad.tables.settings import UNITS, Settings
from minigrad.tables.sources import Source
from minigrad.version import installing

PARTS, PART = 3, 0.2  # so many hold-outs of such a share
PARTS_APART = 7_000_003  # their seeds, so that no other draw has them
MANY = 10_000  # training rows: of more, a sample is tried
NO_DOUBT = 3  # standard errors between the two
WIDTHS: tuple[tuple[int, ...], ...] = ((), (16,), (64,), (128,), (32, 32), (64, 64))
ACTIVATIONS_TRIED = ("relu", "tanh", "gelu")


@dataclass(frozen=True)
class Tuned:
    """What was found: the settings to use, their error by cross-validation, and that of the settings as they were."""

    settings: Settings
    error: float
    deviation: float
    before: float
    tried: int
    parts: int
    measure: str

    def text(self) -> str:
        """What was tried and found, in a sentence."""
        apart = f" (± {self.deviation:.2g} between them)" if self.parts > 1 else ""
        return (
            f"{self.tried} settings, each by {_told(self.parts)} inside the training rows; the best have "
            f"{self.measure} {self.error:.4g}{apart}, those to begin with {self.before:.4g}; the held-out rows had no "
            f"part in it"
        )


def _told(parts: int) -> str:
    return "one hold-out" if parts == 1 else f"{parts} hold-outs"


@dataclass(frozen=True)
class Chosen:
    """Hidden layers or none: the settings to use, and the errors of both on the rows of `parts` hold-outs.

    `deviation` is the standard error of their difference, over these rows.
    """

    settings: Settings
    hidden: float
    linear: float
    deviation: float
    parts: int
    measure: str
    sample: int | None = None
    """So many of the training rows were tried, where that is not all of them."""

    def text(self) -> str:
        """What was tried and found, in a sentence."""
        units = f"{', '.join(map(str, UNITS))} units"
        taken, other = (units, "none") if self.settings.widths else ("none", units)
        its, others = (self.hidden, self.linear) if self.settings.widths else (self.linear, self.hidden)
        where = "the training rows" if self.sample is None else f"{self.sample:,} of the training rows"
        return (
            f"{taken}: by {_told(self.parts)} inside {where} that has {self.measure} {its:.4g}, {other} "
            f"{others:.4g} (standard error of the difference: {self.deviation:.2g}); the held-out rows had no part in "
            f"it (--hidden decides it)"
        )


def choose(source: Source, split: Split, settings: Settings) -> Chosen | None:
    """Hidden layers or none, where the settings leave that open; None where they don't, and where rows don't tell.

    There are some where they are better by more than a standard error of the difference: else the simpler model is
    taken. Source: Breiman, Friedman, Olshen and Stone, "Classification and regression trees", 1984, section 3.4.3.
    Where one hold-out leaves no doubt, there is no other.
    """
    if settings.hidden is not None or split.target is None:
        return None
    rows = _sample(split.train, settings.seed)
    parts = _parts(source, rows, settings.seed)
    if not parts:
        return None
    root, found = source.task == "regression", list[list[Array]]()
    tried = [replace(settings, hidden=hidden, ensemble=1) for hidden in (UNITS, ())]
    with busy("choosing hidden layers"):
        for train, test in parts:
            found.append([errors_of(*trained_on(source, train, one), test) for one in tried])
            terms: Array = np.concatenate(found, axis=1)
            hidden, linear = (_mean(each, root=root) for each in terms)
            # Of roots to first order, by each row's share in them: d√e = de / (2 √e).
            scales = 2 * np.maximum([[hidden], [linear]], np.finfo(float).tiny) if root else np.ones((2, 1))
            gain = np.diff(terms / scales, axis=0)[0]
            deviation = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
            if abs(linear - hidden) > NO_DOUBT * deviation:
                break
    best = UNITS if linear - hidden > deviation else ()
    sample = None if len(rows) == len(split.train) else len(rows)
    return Chosen(replace(settings, hidden=best), hidden, linear, deviation, len(found), _measure(source), sample)


def _sample(rows: Rows, seed: int) -> Rows:
    """These rows in order, or a part of them that is quick to try."""
    if len(rows) > MANY:
        rows = np.random.default_rng((seed, 0, 6)).choice(rows, MANY, replace=False)
    return np.sort(rows)


def _measure(source: Source) -> str:
    return "log loss" if source.task == "classification" else "a root mean squared error of"


def _parts(source: Source, rows: Rows, seed: int, count: int = PARTS) -> list[tuple[Rows, Rows]]:
    """Different hold-outs inside these rows, `count` if there are so many; none where the rows can't be parted."""
    found: list[tuple[Rows, Rows]] = []
    for draw in range(count):
        try:
            train, test = source.part(rows, PART, seed + PARTS_APART * (draw + 1))
        except ValueError:  # too few rows, groups or days
            return []
        if source.task == "classification" and len(np.unique(source.answers[train])) < 2:
            return []
        if not any(np.array_equal(test, other) for _, other in found):
            found.append((train, test))
    return found


def tune(source: Source, split: Split, settings: Settings, count: int, jobs: Jobs = 1) -> Tuned:
    """The best of `count` settings, the first of which are those given; the others are drawn at random.

    Source: Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
    """
    try:
        from sklearn.model_selection import GridSearchCV

        from minigrad.sklearn.bases import BaseEstimator
    except ImportError as error:
        raise ValueError(f"--tune needs scikit-learn ({error}): {installing('sklearn')}") from error

    class Candidate(BaseEstimator):
        """A network for scikit-learn: X is the numbers of rows of the source, which prepares them anew in each fold."""

        def __init__(self, source: Any = None, settings: Any = None) -> None:
            self.source, self.settings = source, settings

        def fit(self, X: Any, y: Any) -> Candidate:
            self.split_, self.model_ = trained_on(self.source.it, X[:, 0], self.settings.it)
            return self

        def score(self, X: Any, y: Any) -> float:
            return -error_of(self.split_, self.model_, X[:, 0])

    rows = _sample(split.train, settings.seed)
    parts = _parts(source, rows, settings.seed)
    if not parts:
        raise ValueError(f"--tune: the {len(rows):,} rows to train on are too few to hold some of them out, too")
    candidates = _candidates(settings, count)
    search = GridSearchCV(
        Candidate(_Shared(source)),
        {"settings": [_Shared(one) for one in candidates]},
        cv=[(np.searchsorted(rows, train), np.searchsorted(rows, test)) for train, test in parts],
        refit=False,
        n_jobs=jobs if isinstance(jobs, int) else -1,
        error_score="raise",
    )
    with busy(f"trying {count} settings"), cluster(jobs):
        search.fit(rows[:, None], source.answers[rows])
    errors, best = -search.cv_results_["mean_test_score"], int(search.best_index_)
    return Tuned(
        candidates[best],
        float(errors[best]),
        float(search.cv_results_["std_test_score"][best]),
        float(errors[0]),
        len(candidates),
        len(parts),
        _measure(source),
    )


class _Shared:
    """Something that scikit-learn's clones share, instead of copying it for every training."""

    def __init__(self, it: Any) -> None:
        self.it = it

    def __sklearn_clone__(self) -> _Shared:
        return self


def _candidates(settings: Settings, count: int) -> list[Settings]:
    """The settings as they are, then as many at random as are missing."""
    rng = np.random.default_rng((settings.seed, 0, 5))
    found = [replace(settings, hidden=settings.widths)]
    while len(found) < count:
        found.append(
            replace(
                settings,
                hidden=WIDTHS[rng.integers(len(WIDTHS))],
                activation=ACTIVATIONS_TRIED[rng.integers(len(ACTIVATIONS_TRIED))],
                l2=float(f"{10 ** rng.uniform(-5, -0.5):.2g}"),
                learning_rate=float(f"{10 ** rng.uniform(-3.5, -2):.2g}"),
                optimizer="adam",
                batch_size=int(2 ** rng.integers(4, 8)),
            )
        )
    return found


def trained_on(source: Source, rows: Rows, settings: Settings) -> tuple[Split, Any]:
    """These rows alone as a split of the source, and a network that is trained on them."""
    split = source.prepare(rows, rows[:0])
    return split, train_network(split, replace(settings, threshold=None), progress=False)[0]


def error_of(split: Split, model: Any, rows: Rows) -> float:
    """The log loss, or the root mean squared error in the target's units, on these rows."""
    return _mean(errors_of(split, model, rows), root=model.classes is None)


def errors_of(split: Split, model: Any, rows: Rows) -> Array:
    """The log loss, or the squared error in the target's units, of each of these rows."""
    outputs = model.predict(split.x[rows])
    if model.classes is None:
        assert split.decode is not None  # a table's
        return np.asarray((split.answers[rows] - split.decode(outputs)) ** 2)
    known = np.isin(split.answers[rows], model.classes)  # of a class in one row, a fold may have learned nothing
    return log_loss_terms(LabelEncoder(model.classes).encode(split.answers[rows][known]), outputs[known])


def _mean(terms: Array, *, root: bool) -> float:
    """Their mean, or its root; 0 of none."""
    mean = float(np.mean(terms)) if len(terms) else 0.0
    return math.sqrt(mean) if root else mean

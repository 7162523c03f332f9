"""`--tune N`: settings that are chosen by cross-validation inside the training rows.

The held-out rows have no part in it, so what is measured on them stays honest. scikit-learn's GridSearchCV runs it,
which works with any backend of joblib.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.command.jobs import Jobs, cluster
from minigrad.command.networks import Split, train_network
from minigrad.command.progress import busy
from minigrad.command.settings import Settings
from minigrad.command.sources import Source
from minigrad.data.labels import LabelEncoder
from minigrad.data.split import Rows
from minigrad.metrics import log_loss

FOLDS = 5
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
    measure: str

    def text(self) -> str:
        """What was tried and found, in a sentence."""
        return (
            f"{self.tried} settings, each by {FOLDS}-fold cross-validation inside the training rows; the best have "
            f"{self.measure} {self.error:.4g} (± {self.deviation:.2g} between the folds), those to begin with "
            f"{self.before:.4g}; the held-out rows had no part in it"
        )


def tune(source: Source, split: Split, settings: Settings, count: int, jobs: Jobs = 1) -> Tuned:
    """The best of `count` settings, the first of which are those given; the others are drawn at random.

    Source: Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
    """
    try:
        from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

        from minigrad.declared import BaseEstimator
    except ImportError as error:
        raise ValueError(f"--tune needs scikit-learn ({error}): pip install 'minigrad-nn[sklearn]'") from error

    class Candidate(BaseEstimator):
        """A network for scikit-learn: X is the numbers of rows of the source, which prepares them anew in each fold."""

        def __init__(self, source: Any = None, settings: Any = None) -> None:
            self.source, self.settings = source, settings

        def fit(self, X: Any, y: Any) -> Candidate:
            self.split_, self.model_ = _trained(self.source.it, X[:, 0], self.settings.it)
            return self

        def score(self, X: Any, y: Any) -> float:
            return -_error(self.split_, self.model_, X[:, 0])

    rows = np.sort(split.train)
    classes = source.task == "classification"
    smallest = int(np.unique(source.answers[rows], return_counts=True)[1].min()) if classes else FOLDS
    kind = StratifiedKFold if classes and smallest >= FOLDS else KFold
    if len(rows) < 2 * FOLDS:
        raise ValueError(f"--tune: {len(rows)} rows to train on are too few for {FOLDS} folds")
    candidates = _candidates(settings, count)
    search = GridSearchCV(
        Candidate(_Shared(source)),
        {"settings": [_Shared(one) for one in candidates]},
        cv=kind(FOLDS, shuffle=True, random_state=settings.seed),
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
        "log loss" if classes else "a root mean squared error of",
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
    found = [settings]
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


def _trained(source: Source, rows: Rows, settings: Settings) -> tuple[Split, Any]:
    split = source.prepare(rows, rows[:0])
    return split, train_network(split, replace(settings, threshold=None), progress=False)[0]


def _error(split: Split, model: Any, rows: Rows) -> float:
    """The log loss, or the root mean squared error in the target's units, on these rows."""
    outputs = model.predict(split.x[rows])
    if model.classes is None:
        assert split.decode is not None  # a table's
        return math.sqrt(float(np.mean((split.answers[rows] - split.decode(outputs)) ** 2)))
    known = np.isin(split.answers[rows], model.classes)  # of a class in one row, a fold may have learned nothing
    if not known.any():
        return 0.0
    return float(log_loss(LabelEncoder(model.classes).encode(split.answers[rows][known]), outputs[known]))

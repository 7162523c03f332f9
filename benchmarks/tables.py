"""How good the networks of `minigrad train` are on many tables, beside others', all with default settings.

    python -m benchmarks.tables [--folds 5] [--seeds 1] [--tables iris wine] [--variants "--hidden 64"] [--json]

Some tables ship with scikit-learn; the others are made, each for something that tables have: noise, many columns, few
rows, columns that say nothing, rare classes, bends and interactions. All learn from the same rows and columns of each
fold: minigrad by the functions behind the command (with --variants by other settings, too), scikit-learn by its
MLPClassifier or MLPRegressor, logistic or ridge regression, and boosted trees. The score is the accuracy, or R². A
regression's targets are standardised for scikit-learn too, since without that its defaults do not converge.

Differences are paired by fold. Their 95 % intervals are corrected for folds that share training rows. Source: Nadeau
and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from minigrad.metrics import accuracy, r2_score
from minigrad.tables.choose import choose
from minigrad.tables.network import Split, train_network
from minigrad.tables.settings import FOR_TABLES, Settings
from minigrad.tables.sources import Table

OWN = "minigrad"
PEERS = ("scikit-learn MLP", "linear", "boosted trees")
VARIANTS: dict[str, Callable[[Settings], Settings]] = {
    "--hidden 64 --epochs 200": lambda given: replace(given, hidden=(64,), epochs=200),  # what was customary before
    "--hidden 64": lambda given: replace(given, hidden=(64,)),
    "--hidden none": lambda given: replace(given, hidden=()),
    "--ensemble 5": lambda given: replace(given, ensemble=5),
    "--hidden 64 --l2 0.03": lambda given: replace(given, hidden=(64,), l2=0.03),
}


def tables() -> dict[str, Callable[[], tuple[pd.DataFrame, pd.Series[Any]]]]:
    """What makes each table: its columns, and the one to predict."""
    from sklearn import datasets

    def shipped(name: str, rows: int | None = None) -> tuple[pd.DataFrame, pd.Series[Any]]:
        data = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = data.frame if rows is None else data.frame.sample(rows, random_state=0)
        target = frame.pop("target")
        if "target_names" in data:
            target = pd.Series([str(data.target_names[int(code)]) for code in target], frame.index, name="target")
        return frame, target

    def made(x: Any, t: Any, *, classes: bool) -> tuple[pd.DataFrame, pd.Series[Any]]:
        frame = pd.DataFrame(x, columns=[f"column {k}" for k in range(np.shape(x)[1])])
        return frame, pd.Series([f"class {code}" for code in t] if classes else t, name="target")

    def classified(**options: Any) -> tuple[pd.DataFrame, pd.Series[Any]]:
        return made(*datasets.make_classification(random_state=0, **options), classes=True)

    def moons() -> tuple[pd.DataFrame, pd.Series[Any]]:
        x, t = datasets.make_moons(300, noise=0.3, random_state=0)
        return made(np.column_stack([x, np.random.default_rng(0).normal(size=(300, 6))]), t, classes=True)

    def shops() -> tuple[pd.DataFrame, pd.Series[Any]]:
        """Text, gaps and a multiplicative price, as offices have them."""
        rng = np.random.default_rng(0)
        town = np.array(["Ulm", "Trier", "Jena", "Bonn"])[rng.integers(4, size=400)]
        area = rng.uniform(20, 200, 400).round()
        price = area * 20 * np.where(town == "Ulm", 1.5, 1.0) * np.exp(0.2 * rng.normal(size=400))
        area[rng.random(400) < 0.1] = np.nan
        return pd.DataFrame({"town": town, "area": area, "floor": rng.integers(0, 9, 400)}), pd.Series(price.round())

    return {
        "iris": lambda: shipped("iris"),
        "wine": lambda: shipped("wine"),
        "breast_cancer": lambda: shipped("breast_cancer"),
        "digits 8x8, 600 rows": lambda: shipped("digits", 600),
        "diabetes": lambda: shipped("diabetes"),
        "friedman1": lambda: made(*datasets.make_friedman1(300, noise=1, random_state=0), classes=False),
        "friedman2": lambda: made(*datasets.make_friedman2(300, noise=100, random_state=0), classes=False),
        "friedman3": lambda: made(*datasets.make_friedman3(300, noise=0.1, random_state=0), classes=False),
        "linear, 80 rows": lambda: made(
            *datasets.make_regression(80, 20, n_informative=5, noise=40, random_state=0), classes=False
        ),
        "linear, 60 of 80 columns idle": lambda: made(
            *datasets.make_regression(300, 80, n_informative=20, noise=80, random_state=0), classes=False
        ),
        "shops, text and gaps": shops,
        "moons, 6 idle columns": moons,
        "clusters": lambda: classified(n_samples=400, n_features=10, n_informative=6, n_classes=4, flip_y=0.05),
        "two classes, 90 rows": lambda: classified(n_samples=90, n_features=15, n_informative=4, flip_y=0.1),
        "rare class, 1 in 10": lambda: classified(n_samples=500, n_features=8, weights=[0.9], flip_y=0.05),
        "noisy, 30 columns": lambda: classified(n_samples=300, n_features=30, n_informative=3, flip_y=0.2),
    }


def compare(
    frame: pd.DataFrame, column: pd.Series[Any], folds: int, seeds: int, variants: Sequence[str] = ()
) -> dict[str, Any]:
    """The scores of every side on each fold, for every seed of the split."""
    from sklearn.model_selection import KFold, StratifiedKFold

    table = Table(frame.set_axis(pd.RangeIndex(2, len(frame) + 2)), column.set_axis(pd.RangeIndex(2, len(frame) + 2)))
    classes = table.task == "classification"
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        kind = StratifiedKFold if classes else KFold
        for train, test in kind(folds, shuffle=True, random_state=seed).split(frame, table.answers):
            split = table.prepare(train, test)
            given = replace(FOR_TABLES, seed=seed)
            for name in (OWN, *variants):
                settings = given if name == OWN else VARIANTS[name](given)
                chosen = choose(table, split, settings)
                model, _ = train_network(split, settings if chosen is None else chosen.settings, progress=False)
                found.setdefault(name, []).append(split.score(model))
            for name in PEERS:
                found.setdefault(name, []).append(_peer(name, split, classes, seed))
    return {"score": "accuracy" if classes else "R²", "folds": folds, "scores": found}


def _peer(name: str, split: Split, classes: bool, seed: int) -> float:
    """The score of scikit-learn's model on the held-out rows of the same numbers."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    made: Any = {
        PEERS[0]: MLPClassifier(random_state=seed) if classes else MLPRegressor(random_state=seed),
        PEERS[1]: LogisticRegression() if classes else Ridge(),
        PEERS[2]: (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=seed),
    }[name]
    model = made if classes else TransformedTargetRegressor(made, transformer=StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the MLP's defaults stop before they have converged, and it says so
        model.fit(split.x[split.train], split.answers[split.train])
    measure = accuracy if classes else r2_score
    return measure(split.answers[split.held_out], model.predict(split.x[split.held_out]))


def difference(found: dict[str, Any], one: str, other: str) -> tuple[float, float]:
    """(mean, half the width of its 95 % interval) of how much better `one` is than `other`."""
    from scipy.stats import t

    values = np.subtract(found["scores"][one], found["scores"][other])
    share = 1 / (found["folds"] - 1)  # of test rows to training rows
    error = math.sqrt((1 / len(values) + share) * float(values.var(ddof=1)))
    return float(values.mean()), float(t.ppf(0.975, len(values) - 1)) * error


def mean_ranks(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The mean place of each side among all, by its mean score on each table: 1 is best."""
    from scipy.stats import rankdata

    sides = list(next(iter(results.values()))["scores"])
    ranks = [rankdata([-np.mean(found["scores"][side]) for side in sides]) for found in results.values()]
    return dict(zip(sides, np.mean(ranks, axis=0).tolist(), strict=True))


def report(results: dict[str, dict[str, Any]]) -> str:
    """The comparison as a table, the differences of minigrad to each other side, and the mean ranks."""
    others = [side for side in next(iter(results.values()))["scores"] if side != OWN]
    lines = [f"{'':<32}{'':<10}{OWN:>9}" + "".join(f"{side:>26}" for side in others)]
    behind = dict.fromkeys(others, 0)
    for name, found in results.items():
        cells = []
        for side in others:
            mean, half = difference(found, OWN, side)
            behind[side] += mean + half < 0
            mark = "+" if mean > half else "-" if mean < -half else " "
            cells.append(f"{np.mean(found['scores'][side]):>10.3f} {mean:>+7.3f}±{half:.3f}{mark}")
        lines.append(f"{name:<32}{found['score']:<10}{np.mean(found['scores'][OWN]):>9.3f}" + " ".join(cells))
    lines += ["", "mean rank: " + ", ".join(f"{side} {rank:.2f}" for side, rank in mean_ranks(results).items())]
    lines.append("tables where minigrad is behind by more than the interval: " + str(behind))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tables", nargs="+", help="the names of some (default: all)")
    parser.add_argument(
        "--variants", nargs="*", choices=VARIANTS, help="minigrad with these other settings, too (no name: all)"
    )
    parser.add_argument("--json", action="store_true", help="print the scores of all folds as one JSON object")
    options = parser.parse_args()
    made = tables()
    variants = () if options.variants is None else options.variants or tuple(VARIANTS)
    results = {name: compare(*made[name](), options.folds, options.seeds, variants) for name in options.tables or made}
    print(json.dumps(results) if options.json else report(results))


if __name__ == "__main__":
    main()

"""How good the networks of `minigrad train` are on four known tables, beside scikit-learn's, all with default settings.

    python -m benchmarks.tables [--folds 5] [--seeds 3] [--json]

scikit-learn ships the data; each table is written as CSV and as a workbook, and read again by `read_table`. Both sides
learn from the same rows of each fold: minigrad by the function behind the command, scikit-learn by a pipeline of
StandardScaler and MLPClassifier or MLPRegressor. The score is the accuracy, or R². A regression's targets are
standardised for scikit-learn too, since without that its defaults do not converge (R² below 0 on diabetes).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.networks import train_network
from minigrad.command.options import Settings
from minigrad.command.sources import Table
from minigrad.data import read_table
from minigrad.metrics import accuracy, r2_score

TABLES = ("iris", "wine", "breast_cancer", "diabetes")


def tables(folder: Path) -> dict[str, Path]:
    """The tables as files: the target is called "target", and classes have their names."""
    from sklearn import datasets

    files = {}
    for name in TABLES:
        data = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = data.frame
        if "target_names" in data:
            frame["target"] = [str(data.target_names[code]) for code in frame["target"]]
        for suffix, write in ((".csv", frame.to_csv), (".xlsx", frame.to_excel)):
            files[f"{name}{suffix}"] = folder / f"{name}{suffix}"
            write(files[f"{name}{suffix}"], index=False)
    return files


def compare(path: Path, folds: int, seeds: int) -> dict[str, Any]:
    """The scores of both sides on each fold, for every seed of the split."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame, column = read_table(path, target="target")
    assert column is not None
    table = Table(frame, column)
    classes, values = table.task == "classification", table.answers
    score = accuracy if classes else r2_score
    found: dict[str, list[float]] = {"minigrad": [], "scikit-learn": []}
    for seed in range(seeds):
        kind = StratifiedKFold if classes else KFold
        for train, test in kind(folds, shuffle=True, random_state=seed).split(frame, values):
            split = table.prepare(train, test)
            model, _ = train_network(split, Settings(seed=seed))
            found["minigrad"].append(split.score(model))
            if classes:
                peer = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
            else:
                network = make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))
                peer = TransformedTargetRegressor(network, transformer=StandardScaler())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its defaults stop before they have converged, and it says so
                peer.fit(frame.iloc[train], values[train])
            found["scikit-learn"].append(score(values[test], peer.predict(frame.iloc[test])))
    return {"score": "accuracy" if classes else "R²", **found}


def holds(found: dict[str, Any]) -> bool:
    """Whether minigrad's mean is at most one standard deviation (of the folds) below scikit-learn's."""
    return bool(np.mean(found["minigrad"]) >= np.mean(found["scikit-learn"]) - np.std(found["scikit-learn"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the scores of all folds as one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {name: compare(path, options.folds, options.seeds) for name, path in tables(Path(folder)).items()}
    if options.json:
        print(json.dumps(results))
        return
    print(f"{'mean ± deviation over folds':<22}{'score':>10}{'minigrad':>18}{'scikit-learn':>18}")
    for name, found in results.items():
        cells = "".join(
            f"{np.mean(found[side]):>10.3f} ± {np.std(found[side]):.3f}" for side in ("minigrad", "scikit-learn")
        )
        print(f"{name:<27}{found['score']:>10}{cells}{'' if holds(found) else '   below by more than one deviation'}")


if __name__ == "__main__":
    main()

"""Many networks at the same time: the same scores from every engine, and again where a worker is killed."""

import json
import logging
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from minigrad import load
from minigrad.command.main import main
from minigrad.sklearn import NetworkClassifier
from minigrad.tables import jobs
from minigrad.tables.jobs import run_all
from tests.command.killed import always_killed, killed_once

X, Y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def client():
    from dask.distributed import Client, LocalCluster

    # One worker, which is started again once it is killed: each begins by importing all that it runs.
    settings = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with LocalCluster(host="127.0.0.1", **settings) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def table(tmp_path):
    lines = ["a,b,c,d,kind", *(",".join([*map(str, row), "xyz"[y]]) for row, y in zip(X, Y, strict=True))]
    (tmp_path / "iris.csv").write_text("\n".join(lines))
    return tmp_path / "iris.csv"


def test_a_worker_that_is_killed_is_told_and_its_work_done_again(tmp_path, capsys, monkeypatch):
    marker = str(tmp_path / "killed")
    assert run_all("squares", killed_once, [(marker, n) for n in range(6)], 2) == [n * n for n in range(6)]
    assert "a worker was killed" in capsys.readouterr().err and Path(marker).exists()
    monkeypatch.setattr(jobs, "ATTEMPTS", 1)
    with pytest.raises(
        ValueError, match="squares: workers were killed, at attempt 1 too; memory may be short: take fewer"
    ):
        run_all("squares", always_killed, [(1,), (2,)], 2)


def test_other_seeds_score_the_same_by_any_number_of_jobs_and_on_a_cluster(table, client, capsys, monkeypatch):
    train = ["train", str(table), "--target", "kind", "--seeds", "3", "--epochs", "3", "--json"]
    found = []
    for number in ("1", "2", client.scheduler.address):
        assert main([*train, "--jobs", number]) == 0
        told = json.loads(capsys.readouterr().out)
        found.append({name: value for name, value in told.items() if not name.startswith("seconds")})
    assert found[0] == found[1] == found[2] and found[0]["spread"]
    monkeypatch.setattr(jobs, "SECONDS_TO_ANSWER", 0.2)
    for wrong, why in (("0", "neither a whole number"), ("two", "neither"), ("tcp://127.0.0.1:1", "no Dask scheduler")):
        assert main([*train, "--jobs", wrong]) == 2
        assert why in capsys.readouterr().err


def test_a_search_finds_on_a_cluster_and_by_processes_what_one_process_finds(client):
    grid = {"learning_rate": [1e-3, 1e-2], "l2": [0, 1e-3]}

    def scores(jobs=None):
        network = NetworkClassifier(hidden=(8,), epochs=5, random_state=0)
        search = GridSearchCV(network, grid, cv=2, refit=False, n_jobs=jobs)
        return search.fit(X, Y).cv_results_["mean_test_score"]

    alone = scores()
    assert np.array_equal(scores(2), alone) and len(set(alone)) > 1
    with joblib.parallel_config(backend="dask"):
        assert np.array_equal(scores(), alone)


def predicted(model, rows):
    """What a worker makes of the path of a model's file and that of some rows."""
    return load(model).predict(np.load(rows)).argmax(axis=1).tolist()


def test_a_cluster_scores_files_and_does_again_what_a_killed_worker_had(client, tmp_path):
    network = NetworkClassifier(hidden=(8,), epochs=5, random_state=0).fit(X, Y)
    network.model_.save(tmp_path / "model.safetensors")
    paths = [str(tmp_path / f"{part}.npy") for part in range(3)]
    for path, rows in zip(paths, np.split(X, 3), strict=True):
        np.save(path, rows)
    found = client.gather(client.map(predicted, [str(tmp_path / "model.safetensors")] * 3, paths))
    assert np.array_equal(np.concatenate(found), network.model_.predict(X).argmax(axis=1))
    again = client.map(killed_once, [str(tmp_path / "killed")] * 4, range(4))
    assert client.gather(again) == [0, 1, 4, 9] and (tmp_path / "killed").exists()

"""Training by several processes, with a real mpiexec: as one process, the same on all, and one that fails ends all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ranks import ON_THIS_MACHINE, mpiexec
from minigrad import SGD, Dense, MeanSquaredError, Sequential, load
from minigrad.command.main import main
from tests.killing import KILL
from tests.systems import posix

ROOT = Path(__file__).parents[2]
ASLEEP = {"MPIR_CVAR_POLLS_BEFORE_YIELD": "1", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1"}
"""With these a rank of MPICH sleeps while it waits for others, and leaves them the processor."""


def launch(ranks, folder, *asked):
    command = [*mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py"]
    script = str(Path(__file__).with_name("trained_by_ranks.py"))
    apart = {"start_new_session": True, "preexec_fn": heard} if hasattr(os, "killpg") else {}
    return subprocess.Popen(
        [*command, script, str(folder), *asked],
        env=os.environ | ON_THIS_MACHINE | ASLEEP | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **apart,
    )


def heard():
    """A shell has its background jobs ignore Ctrl-C, and what they start as well."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run(ranks, folder, *asked):
    with launch(ranks, folder, *asked) as process:
        try:
            out, err = process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            (os.killpg if hasattr(os, "killpg") else os.kill)(process.pid, KILL)
            raise
    return process.returncode, out, err


@pytest.fixture(scope="module", params=[2, 3])
def said(request, tmp_path_factory):
    status, out, err = run(request.param, tmp_path_factory.mktemp("ranks"))
    assert status == 0, err
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return request.param, {line["case"]: line for line in lines}


def test_ranks_train_as_one_process_does(said):
    ranks, cases = said
    compared = {name: case for name, case in cases.items() if "apart" in case}
    assert len(compared) >= {2: 12, 3: 2}[ranks]
    for name, case in compared.items():
        bound = 1e-6 if name == "float32" else 1e-12
        assert case["same"] and case["apart"] < bound and case["loss_apart"] < bound, name
        assert [case["epochs"], case["best"]] == case["alone"], name
    # The exchange is a line of the program that ran.
    assert all(cases[name]["says"] for name in ("plain", "weights") if name in cases)


def test_rows_of_one_s_own_blocks_and_random_layers_repeat_bit_for_bit(said):
    _, cases = said
    repeated = {name: case for name, case in cases.items() if "repeated" in case}
    assert repeated
    for name, case in repeated.items():
        assert case["same"] and case["repeated"] and (case["epochs"] == 1 or case["loss"][-1] < case["loss"][0]), name
    assert cases["epochs"]["same"] and cases["epochs"]["learns"]


def test_ranks_go_on_from_a_checkpoint_bit_for_bit(said):
    _, cases = said
    assert cases["resumed"]["same"] and cases["resumed"]["as_whole"] and cases["resumed"]["epochs"] == 6


def test_a_rank_that_fails_says_why_and_the_others_name_it(said):
    ranks, cases = said
    failed = {"step": (1, "MemoryError: no memory left"), "augment": (ranks - 1, "OSError: the disk is gone")}
    failed |= {"data": (1, "ValueError: x is nan in row 77"), "checkpoint": (0, "FileNotFoundError: ")}
    for case, (rank, why) in failed.items():
        for each, words in enumerate(cases[case]["said"]):
            assert words.startswith(why if each == rank else f"RankError: rank {rank} of {ranks}: {why}"), case
    for case in ("diverges", "diverges alone"):
        assert set(cases[case]["said"]) == {cases[case]["said"][0]}
        assert "DivergenceError: epoch 1, batch 2: the loss is nan" in cases[case]["said"][0]


@pytest.mark.parametrize("how", ["raise", "exit", "kill"])
def test_all_end_with_the_rank_that_ends(how, tmp_path):
    begun = time.monotonic()
    status, _, err = run(2, tmp_path, "ends", how)
    assert status != 0 and time.monotonic() - begun < 60
    if how == "raise":
        assert "MemoryError: no memory left" in err and "rank 1 of 2: MemoryError" in err


@posix
def test_ctrl_c_ends_all_and_keeps_the_checkpoint(tmp_path):
    path = tmp_path / "killed"
    with launch(2, tmp_path, "goes on", "100000", "killed") as process:
        rank = int(process.stdout.readline())
        while not path.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        _, err = process.communicate(timeout=60)
        assert process.returncode != 0, err
    ended = time.monotonic()
    with pytest.raises(ProcessLookupError):
        while time.monotonic() - ended < 20:
            os.kill(rank, 0)
            time.sleep(0.05)
    assert len(load_history(path)) >= 1


def test_a_rank_that_is_killed_costs_the_time_since_the_checkpoint(tmp_path):
    path = tmp_path / "killed"
    with launch(2, tmp_path, "goes on", "100000", "killed") as process:
        while not path.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.kill(int(process.stdout.readline()), KILL)  # of rank 1 alone
        process.communicate(timeout=60)
        assert process.returncode != 0
    begun = len(load_history(path))
    assert begun >= 1
    status, _, err = run(2, tmp_path, "goes on", str(begun + 3), "killed", "whole")
    assert status == 0, err
    assert len(load_history(path)) == begun + 3
    assert np.array_equal(load(path).theta, load(tmp_path / "whole").theta)


def load_history(path):
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return file.get_tensor("checkpoint.history.loss")


class Alone:
    """A communicator of one process."""

    rank, size = 0, 1


def test_one_process_is_none():
    x, t = np.ones((4, 2)), np.ones(4)
    options = {"loss": MeanSquaredError(), "optimizer": SGD(0.1), "epochs": 2}
    models = [Sequential([Dense(2, 1)], seed=0) for _ in range(2)]
    histories = [model.fit(x, t, **options, comm=comm) for model, comm in zip(models, (None, Alone()), strict=True)]
    assert np.array_equal(models[0].theta, models[1].theta) and histories[0].loss == histories[1].loss
    with pytest.raises(TypeError, match=r"comm=3 is no communicator: give mpi4py's MPI\.COMM_WORLD"):
        models[0].fit(x, t, **options, comm=3)


@pytest.mark.parametrize("name", ["PMI", "OMPI_COMM_WORLD"])
def test_the_command_refuses_to_train_several_times_into_one_folder(name, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(f"{name}_SIZE", "3")
    assert main(["train", "digits", "--out", str(tmp_path / "model")]) == 2
    assert "mpiexec has started 3 processes" in capsys.readouterr().err and not list(tmp_path.iterdir())
    monkeypatch.setenv(f"{name}_RANK", "1")
    with pytest.raises(SystemExit, match="2"):
        main(["train", "digits"])
    assert capsys.readouterr().err == ""

"""The benchmarks run to their end and say what they should; how fast anything is, no test asks."""

import csv
import json
import shutil
import sys

import numpy as np
import pytest

import minigrad
from benchmarks import (
    convolution,
    families,
    javascript,
    peers,
    profile,
    ranks,
    run,
    same_bits,
    scaling,
    sequences,
    walk,
    windows,
)
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from minigrad.model import Model
from minigrad.programs.native import extension as executor
from minigrad.programs.runtime import cache

ALWAYS = {"minigrad fit", "hand-written, preallocated"}  # they need nothing that minigrad does not


@pytest.fixture(scope="module")
def quick():
    """What `--quick --json` prints, with the peers that are quick to import."""
    few = [name for name in run.PEERS if run.package(name) == "numpy"]
    return few, run.compare(QUICK, few, rounds=2, quick=True)


def test_each_library_has_a_time_for_each_workload(quick):
    few, outcome = quick
    assert outcome["rounds"] == 2
    assert list(outcome["results"]) == [workload.name for workload in QUICK]
    for workload in QUICK:
        measured = outcome["results"][workload.name]
        assert set(measured) <= set(few)
        assert set(measured) >= ALWAYS
        for value in measured.values():
            assert 0 < value["lowest"] <= value["microseconds"] <= value["highest"]
    json.dumps(outcome)


def test_the_report_is_a_table_with_ratios_to_minigrad():
    measured = {
        "minigrad fit": {"microseconds": 20.0, "lowest": 19.0, "highest": 21.0, "way": ""},
        "PyTorch eager": {"microseconds": 1500.0, "lowest": 1.0, "highest": 1.0, "way": "fused"},
    }
    lines = run.table({"one": measured, "two": {"minigrad fit": measured["minigrad fit"]}}).splitlines()
    assert lines[0].split(" | ")[1:] == ["one", "two |"]
    assert lines[2:] == ["| minigrad fit | 20 | 20 |", "| PyTorch eager | 1500 (75.00) |  |"]


def test_a_missing_library_is_a_row_left_out(monkeypatch):
    monkeypatch.setitem(run.PEERS, "Nonesuch", (peers.minigrad_fit, "no-such-distribution"))
    assert "Nonesuch" not in run.present()
    assert set(run.present()) >= ALWAYS


def test_variables_that_choose_other_kernels_do_not_reach_the_libraries(monkeypatch):
    for name in run.UNWANTED:
        monkeypatch.setenv(name, "Prescott")
    assert not set(run.UNWANTED) & set(run.environment())


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_rows_of_a_workload_fit_its_network(workload):
    x, t = workload.data()
    assert x.shape == (workload.m, workload.widths[0]) and t.shape == (workload.m, workload.widths[-1])
    assert x.dtype == t.dtype == np.float32
    if workload.kind != "regression":
        assert (t.sum(axis=1) == 1).all()


def test_the_last_smaller_batch_is_a_step():
    assert [Workload("sigmoid", (400, 25, 10), rows, 100).steps for rows in (1, 32, 50, 100)] == [100, 4, 2, 1]


def test_the_fastest_way_is_taken():
    def way(spins):
        return lambda n: [None for _ in range(n * spins)]

    assert peers.fastest({"slow": way(100_000), "fast": way(10)}, 0.001) == "fast"


@pytest.mark.parametrize("natively", [False, True])
def test_the_lines_of_a_profile_are_those_of_the_program(natively, monkeypatch):
    if not natively:
        monkeypatch.setattr(executor, "refusal", lambda: "the test says so")
    workload = QUICK[1]
    model, training = peers.minigrad_model(workload)
    program = model.program(training["loss"], training["optimizer"], batch_size=workload.rows)
    found = profile.profile(workload, 0.01)
    named = [line for _, part, _ in found.parts[len(profile.GATHERED) :] for line in part.split("; ")]
    assert len(named) == len(program.lines) and all(line in str(program) for line in named)
    assert 0 < sum(spent for spent, _, _ in found.parts) < found.of_loop and found.of_fit > 0
    text = profile.report(workload, found, 3).splitlines()
    assert text[0] == workload.name and len(text) == 6 + 3


def test_convolutions_are_measured_whole_and_in_parts(monkeypatch):
    monkeypatch.setattr(convolution, "installed", lambda name: None)
    monkeypatch.setattr(convolution, "PAUSE", 0)
    found = convolution.measure([(1, 2), convolution.REFERENCE], rows=2, rounds=1)
    assert list(found) == ["1 -> 2", "8 -> 16"]
    assert set(found["1 -> 2"]) == {"minigrad"} and set(found["8 -> 16"]) == {"minigrad", "parts"}
    assert tuple(found["8 -> 16"]["parts"]) == convolution.PARTS
    assert len(found["1 -> 2"]["minigrad"][""]) == convolution.RUNS
    found["8 -> 16"]["PyTorch"] = {way: [time / 2 for time in found["8 -> 16"]["minigrad"][""]] for way in ("1", "2")}
    assert "| 2.00, 2.00 |" in convolution.report(found, 2)


def test_sequences_are_measured_and_profiled(monkeypatch, capsys):
    monkeypatch.setattr(sequences, "installed", lambda package: package == "numpy")
    sequences.main(["--quick", "--only", "LSTM", "--lines", "3"])
    blas, _, _, _, row, _, head, *lines = capsys.readouterr().out.splitlines()
    assert "openblas" in blas or not blas
    assert row.startswith("| LSTM, minigrad | ") and float(row.split("|")[2]) > 0
    assert head.startswith("LSTM: ") and len(lines) == 6
    assert sum("matrix products" in line for line in lines) >= 3 and all("LSTM(64, 64)" in line for line in lines[:2])


def test_sequences_have_ratios_to_pytorchs():
    found = {"LSTM": {"minigrad": [[3.0, 4.0], [6.0, 4.0], [9.0, 8.0]], "PyTorch": [[2.0, 2.0]] * 3}}
    assert "| LSTM, minigrad | 6.00 | 3.00 | 4.00 | 3.00 | 1.50 | 2.00 |" in sequences.report("", found)


def test_families_have_a_ratio_each_and_leave_the_package_as_it_was(capsys):
    before = Model.steps_by_hand, cache.REPAID
    families.main(["--quick", "--only", "mlp"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| times the plain layers | fit, epochs=1 | once recorded | a recording")
    cells = [row.strip("| ").replace("*", "").split(" | ") for row in rows]
    assert [name for name, *_ in cells] == ["mlp", "mlp, one row", "mlp, 256 rows"]
    assert all(float(ratio.split()[0]) > 0 for _, *ratios in cells for ratio in ratios)
    assert (Model.steps_by_hand, cache.REPAID) == before


def test_a_walk_lists_the_functions_that_are_entered():
    measured = walk.measured(str(walk.ROOT), [*walk.WALKS, walk.STEP])
    assert all(count > 0 for found, _ in measured.values() for what, count in found.items() if what != "returns")
    assert measured.pop(walk.STEP)[1] == []
    for found, functions in measured.values():
        assert found["functions"] == len(functions) == len({*functions})
        assert found["lines run"] < found["code lines"]
        assert 0 < found["rooms entered"] - found["returns"] <= found["files"] <= found["functions"]
    plain, recorded, by_hand, with_program, gradient, table = (functions for _, functions in measured.values())
    assert gradient[0] == "layers/dense.py: Dense.backward"
    assert "layers/dense.py: Dense.forward" in table and "command/main.py: main" in table
    assert "sequential.py: Sequential.__init__" in plain and "sequential.py: Sequential.__init__" not in by_hand
    assert len(by_hand) < len(plain) < len(with_program) < len(recorded) < len(table)


def test_a_package_is_walked_through_in_a_process_of_its_own(capsys):
    walk.main(["--package", str(walk.ROOT), "--only", "gradient", "--functions", "Dense"])
    table, listed = capsys.readouterr().out.split("\n\n", 1)
    head, _, *rows = [line.removesuffix(" |").split(" | ") for line in table.splitlines()]
    assert head == ["|", str(walk.ROOT)]
    assert len(rows) == 6
    assert all(int(count.replace(",", "")) > 0 for name, count in rows if "returns" not in name)
    assert listed.splitlines()[1] == "layers/dense.py: Dense.backward"


def test_two_packages_stand_side_by_side():
    one, other = ({"a walk": {"files": files, "lines run": 1000 * files}} for files in (2, 3))
    head, _, *rows = walk.report([one, other], ["one", "other"]).splitlines()
    assert head == "| | one | other |"
    assert rows == ["| a walk: files | 2 | 3 |", "| a walk: lines run | 2,000 | 3,000 |"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc: the bytes that a process has read")
def test_windows_are_measured_beside_what_they_replace(tmp_path, capsys):
    windows.main(["--rows", "20000", "--only", "windows", "fit on the mapped file", "--out", str(tmp_path)])
    with (tmp_path / "windows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["way"] for row in rows] == ["windows", "fit on the mapped file"]
    assert all(row["rows"] == "20000" and float(row["right"]) > 0.5 for row in rows)


def test_ranks_are_measured_and_more_machines_modelled(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "NETWORKS", {"784-512-256-10": (1024,)})
    alone = [("784-512-256-10", 1024, 30_000), ("784-512-256-10", 512, 15_000), ("784-512-256-10", 256, 7500)]
    found = [{"what": w, "ranks": 1, "size": s, "microseconds": t} for w, s, t in [*alone, (alone[0][0], 128, 3750)]]
    times = {(row["what"], row["ranks"]): row["times_faster"] for row in ranks.modelled(found)}
    sent = 4 * (785 * 512 + 513 * 256 + 257 * 10) * 8 / 1e9 * 1e6  # µs for n = 2 by 1 Gbit/s
    assert times["784-512-256-10 by 1 Gbit/s", 2] == pytest.approx(30_000 / (15_000 + sent))
    assert times["784-512-256-10 by 10 Gbit/s", 8] == pytest.approx(30_000 / (3750 + sent * 1.75 / 10))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc: the memory of another process is read there")
def test_scaling_writes_its_table_and_plot(tmp_path, capsys):
    scaling.main(["--quick", "--out", str(tmp_path)])
    with (tmp_path / "scaling.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert [(p["sweep"], p["rows"], p["hidden"]) for p in points] == [
        ("rows", "2000", "16"), ("rows", "4000", "16"), ("width", "4000", "32"),
    ]  # fmt: skip
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert "bytes a row" in capsys.readouterr().out


def test_the_same_bits_are_asked_of_every_public_layer_loss_optimizer_and_schedule():
    def classes(made):
        values = made if isinstance(made, list) else [made]
        return {type(part).__name__ for value in values for part in [*same_bits.walk(value), *under(value)]}

    def under(value):
        return [each for each in vars(value).values() if isinstance(each, minigrad.Optimizer)]

    covered = set().union(*(classes(made()) for _, made in same_bits.layers(minigrad).values()))
    covered |= {type(loss).__name__ for loss, *_ in same_bits.losses(minigrad).values()}
    optimizers = [made() for made in same_bits.optimizers(minigrad).values()]
    covered |= set().union(*map(classes, optimizers), {type(each.learning_rate).__name__ for each in optimizers})
    kinds = minigrad.Layer, minigrad.Loss, minigrad.Optimizer, minigrad.schedules.step.__base__
    public = {**{name: getattr(minigrad, name) for name in minigrad.__all__}, **vars(minigrad.schedules)}
    named = {name for name, value in public.items() if isinstance(value, type) and issubclass(value, kinds)}
    assert named - covered == {"Layer", "Loss", "Optimizer", "Schedule"}


def test_a_package_has_the_same_bits_as_itself(capsys):
    folder = ["--package", str(same_bits.ROOT)]
    same_bits.main([*folder, *folder, "--only", ": ByPart in", "--ranks", "0"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[2:4] == ["| optimizers | 6 | 6 | 0 |  |", "| optimizers, recorded | 6 | 6 | 0 |  |"]
    assert rows[-1] == "18 runs: all are equal"


def test_the_first_difference_is_named_and_what_raises_is_told():
    old = {"trainings": {"one": {"theta": "a", "losses": "b"}, "two": {"raises": "ValueError", "says": "as it was"}}}
    new = {"trainings": {"one": {"theta": "a", "losses": "c"}, "two": {"raises": "ValueError", "says": "otherwise"}}}
    text, same = same_bits.report(old, new | {"records, native": False})
    assert not same and "| trainings | 2 | 1 | 1 | one: losses |" in text
    assert "1 raise in the old package, the first is two: ValueError: as it was" in text
    assert "no program ran in the new package" in text and text.endswith("2 runs: they DIFFER")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("case", javascript.CASES)
def test_steps_in_javascript_are_counted_and_equal_to_numpy_s(case):
    busy, clock, difference = javascript.measure(case, 0.01, 1)
    assert busy > 0 and clock > 0 and difference < 1e-12

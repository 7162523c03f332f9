"""--ensemble, --final and --tune: what is measured is honest, and what is kept is what was asked for."""

import json

import numpy as np
import pandas as pd
import pytest

import minigrad
from minigrad.command import tuning
from minigrad.command.main import main
from minigrad.command.networks import MEMBERS_APART, train_network
from minigrad.command.settings import Settings
from minigrad.command.sources import Table
from tests.command.test_tables import refused
from tests.tables import plants, write

QUICK = Settings(hidden=(4,), epochs=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "plants.csv", plants(120))


def table(target="species", rows=120):
    frame = plants(rows)
    column = frame.pop(target)
    return Table(frame, column)


def run(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("target", ["species", "size"])
def test_an_ensemble_answers_with_the_mean_of_its_networks_and_is_one_file(data, tmp_path, capsys, target):
    quick = ["--hidden", "4", "--epochs", "3", "--ensemble", "3", "--json"]
    told = run(capsys, "train", data, "--target", target, "--out", tmp_path / "m", *quick)
    assert told["settings"]["ensemble"] == 3 and told["layers"][0].startswith("Average(")
    model, frame = minigrad.load(tmp_path / "m"), plants(120)
    split = table(target).hold_out(0.2, 0)
    members = [
        train_network(split, Settings(hidden=(4,), epochs=3, seed=seed))[0]
        for seed in (0, MEMBERS_APART, 2 * MEMBERS_APART)
    ]
    expected = np.mean([member.predict(split.x) for member in members], axis=0)
    np.testing.assert_allclose(model.network.predict(model.encode(frame)), expected, atol=1e-6)
    assert [file.name for file in (tmp_path / "m").iterdir() if file.suffix == ".safetensors"] == ["model.safetensors"]
    assert main(["predict", str(tmp_path / "m"), data, "--out", str(tmp_path / "p.csv"), "--explain"]) == 0
    assert main(["open", str(tmp_path / "m"), data, "--out", str(tmp_path / "s.html")]) == 0
    capsys.readouterr()


def test_final_keeps_a_network_of_all_rows_and_the_figures_of_the_one_before(data, tmp_path, capsys):
    quick = ["train", data, "--target", "size", "--hidden", "4", "--epochs", "3", "--json", "--out"]
    before, after = run(capsys, *quick, tmp_path / "a"), run(capsys, *quick, tmp_path / "b", "--final")
    assert before["held_out_r2"] == after["held_out_r2"] and any("all 120 rows" in note for note in after["notes"])
    source = table("size")
    rows = np.arange(120)
    expected, _ = train_network(source.prepare(rows, rows[:0]), QUICK)
    model = minigrad.load(tmp_path / "b")
    np.testing.assert_array_equal(model.theta, expected.theta)
    assert model.facts["final"] and model.facts["trained_on"]["rows"] == 120
    assert model.facts["interval"] == minigrad.load(tmp_path / "a").facts["interval"]


def test_tune_takes_the_best_settings_by_rows_to_train_on_alone(data, tmp_path, capsys):
    """Also where the rows held out say nonsense."""
    source = table("size")
    split = source.hold_out(0.2, 0)
    found = tuning.tune(source, split, QUICK, 4)
    source.answers = source.answers.copy()
    source.answers[split.held_out] = -1e6
    assert tuning.tune(source, split, QUICK, 4) == found
    assert found.error <= found.before and found.tried == 4
    told = run(capsys, "train", data, "--target", "species", "--epochs", "2", "--tune", "2", "--json")
    assert told["tuned"]["tried"] == 2 and any("had no part in it" in note for note in told["notes"])
    assert told["settings"]["hidden"] == told["tuned"]["settings"]["hidden"]


def test_settings_are_drawn_by_the_seed_and_the_first_are_those_given():
    first, second = (tuning._candidates(QUICK, 6) for _ in range(2))
    assert first == second and first[0] == QUICK and len(set(first)) == 6
    assert tuning._candidates(Settings(seed=1), 3)[1] != first[1]


def test_what_does_not_go_together_is_refused(data, tmp_path, capsys):
    train = ["train", data, "--target", "species"]
    refused(capsys, [*train, "--final"], "--out DIR")
    refused(capsys, ["train", "digits", "--tune", "3"], "--target")
    refused(capsys, [*train, "--tune", "3", "--seeds", "2"], "--seeds")
    for option in (["--ensemble", "2"], ["--final"], ["--tune", "2"]):
        refused(capsys, [*train, "--out", str(tmp_path / "m"), "--resume", *option], option[0])
    assert not pd.Series([(tmp_path / "m").exists()]).any()

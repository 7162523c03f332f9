"""--ensemble, --final and --tune: what is measured is honest, and what is kept is what was asked for."""

import json

import numpy as np
import pandas as pd
import pytest

import minigrad
from minigrad.command.main import main
from minigrad.tables import choose as tuning
from minigrad.tables.network import MEMBERS_APART, train_network
from minigrad.tables.settings import UNITS, Settings
from minigrad.tables.sources import Choices, Table
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


@pytest.mark.parametrize("bent", [True, False])
def test_hidden_layers_are_taken_where_they_are_better_inside_the_training_rows(bent, monkeypatch):
    """Also where the rows held out say nonsense; of many rows by some of them; and not where the user says it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    t = np.abs(x[:, 0]) + x[:, 1] * x[:, 2] if bent else x @ [1, 2, 3] + rng.normal(0, 1, 120)
    source = Table(pd.DataFrame(x, columns=list("abc")), pd.Series(t, name="t"))
    split = source.hold_out(0.2, 0)
    found = tuning.choose(source, split, Settings())
    assert bool(found.settings.hidden) == bent == (found.linear - found.hidden > found.deviation)
    assert found.text().startswith("64 units: by" if bent else "none: by") and found.sample is None
    monkeypatch.setattr(tuning, "MANY", 90)
    some = tuning.choose(source, split, Settings())
    assert some.sample == 90 and "inside 90 of the training rows" in some.text() and bool(some.settings.hidden) == bent
    source.answers = source.answers.copy()
    source.answers[split.held_out] = -1e6
    assert tuning.choose(source, split, Settings()) == some
    assert tuning.choose(source, split, Settings(hidden=(5,))) is None

    ((train, test), *_) = tuning._parts(source, np.sort(split.train), 0)
    monkeypatch.setattr(tuning, "MANY", 120)
    monkeypatch.setattr(tuning, "NO_DOUBT", 0)
    one, other = (
        tuning.errors_of(*tuning.trained_on(source, train, Settings(hidden=hidden)), test) for hidden in (UNITS, ())
    )
    found = tuning.choose(source, split, Settings())
    assert (found.hidden, found.linear) == pytest.approx((one.mean() ** 0.5, other.mean() ** 0.5))
    drawn = np.random.default_rng(0).integers(len(test), size=(4000, len(test)))
    spread = np.std(other[drawn].mean(axis=1) ** 0.5 - one[drawn].mean(axis=1) ** 0.5)
    assert found.deviation == pytest.approx(spread, rel=0.2), "as drawing the rows again and again tells"


def test_inner_hold_outs_keep_groups_together_and_the_latest_apart():
    frame = plants(120).assign(family=[f"F{k // 8}" for k in range(120)], day=pd.date_range("2023-01-01", periods=120))
    column, rows = frame.pop("species"), np.arange(0, 120, 2)
    for choices, count in ((Choices(group="family"), tuning.PARTS), (Choices(split_by="day"), 1)):
        source = Table(frame, column, choices=choices)
        parts = tuning._parts(source, rows, seed=0)
        assert len(parts) == count
        for train, test in parts:
            assert sorted([*train, *test]) == rows.tolist()
            assert not {*frame["family"].iloc[train]} & {*frame["family"].iloc[test]} or choices.group is None
            assert choices.split_by is None or frame["day"].iloc[train].max() < frame["day"].iloc[test].min()
    assert tuning._parts(Table(frame.assign(family="F0"), column, choices=Choices(group="family")), rows, 0) == []


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

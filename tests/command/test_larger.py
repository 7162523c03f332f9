"""Tables read in pieces: trained on, predicted and measured as in one piece, with memory for a sample alone."""

import json

import numpy as np
import pandas as pd
import pytest

from minigrad import load
from minigrad.command.main import main
from minigrad.tables import out_of_core
from minigrad.tables.settings import Options

ROWS = 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Numbers, text with gaps and dates, sorted by what is to be told, in two files of five row groups."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("larger") / "parts"
    kind = np.repeat(["oak", "pine"], ROWS // 2)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=ROWS) + 2 * (kind == "oak"),
            "soil": np.where(rng.random(ROWS) < 0.1, None, rng.choice(["clay", "sand", "loam"], ROWS)),
            "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 300, ROWS), unit="D"),
            "girth": rng.normal(size=ROWS),
            "kind": np.where(np.arange(ROWS) % 100 == 7, None, kind),
        }
    )
    frame["volume"] = frame["height"] * 3 + frame["girth"] + 10
    path.mkdir()
    for number in range(2):
        part = frame[number * ROWS // 2 : (number + 1) * ROWS // 2]
        part.to_parquet(path / f"{number}.parquet", row_group_size=200)
    frame.to_parquet(path.parent / "all.parquet", row_group_size=300)
    return path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert status == 0, said.err
    return said.out


@pytest.mark.parametrize("sampled", [600, 10_000])
def test_a_folder_is_learned_from_in_pieces_and_answered_piece_by_piece(folder, sampled, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(out_of_core, "SAMPLED", sampled)
    train = ["train", folder, "--target", "kind", "--drop", "volume", "--hidden", 64, "--epochs", 8, "--json"]
    told = json.loads(run(capsys, *train, "--out", tmp_path / "trees"))
    assert told["held_out_accuracy"] > 0.75
    expected = json.loads(run(capsys, "evaluate", tmp_path / "trees", folder.parent / "all.parquet", "--json"))
    found = json.loads(run(capsys, "evaluate", tmp_path / "trees", folder, "--json"))
    assert found["rows"] == ROWS - ROWS // 100
    for key in ("accuracy", "interval", "balanced_accuracy", "classes", "confusion_matrix"):
        assert found[key] == expected[key], key
    agree(found, expected)
    assert "oak" in run(capsys, "evaluate", tmp_path / "trees", folder.parent / "all.parquet", "--stream")
    run(capsys, "predict", tmp_path / "trees", folder, "--out", tmp_path / "answers.parquet")
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    frame = pd.read_parquet(folder.parent / "all.parquet")
    pd.testing.assert_frame_equal(answers[list(frame)], frame)
    assert (answers["prediction"].to_numpy() == load(tmp_path / "trees").predict(frame)).all()
    again = json.loads(run(capsys, *train, "--out", tmp_path / "trees", "--resume", "--epochs", 10))
    whole = json.loads(run(capsys, *train, "--epochs", 10))
    assert again["held_out_accuracy"] == whole["held_out_accuracy"]


def agree(found, expected):
    """The same measures with the same intervals: of so few rows all are drawn from, in the order of the pieces."""
    for key in ("rows", "shown", "knowing_nothing"):
        assert found[key] == pytest.approx(expected[key], abs=1e-9), key
    for key in expected["knowing_nothing"]:
        for name in (f"held_out_{key}", f"held_out_{key}_interval"):
            assert found[name] == pytest.approx(expected[name], rel=1e-6), name


def test_every_row_that_is_not_held_out_is_trained_on_once(folder, monkeypatch):
    monkeypatch.setattr(out_of_core, "SAMPLED", 500)
    options = Options.of(folder, "volume", {})
    table = out_of_core.read_large(options)
    split = table.hold_out(0.2, 0)
    held = split.x[split.held_out]
    rows = np.concatenate([split.blocks[n][0] for n in range(len(split.blocks))])
    assert len(rows) == ROWS - len(held) and 300 < len(split.x) < 700
    assert not {row.tobytes() for row in held} & {row.tobytes() for row in rows}
    assert {row.tobytes() for row in split.x[split.train]} <= {row.tobytes() for row in rows}


def test_numbers_are_measured_as_in_one_piece(folder, tmp_path, capsys):
    train = [
        "train",
        folder,
        "--target",
        "volume",
        "--drop",
        "kind",
        "--epochs",
        5,
        "--out",
        tmp_path / "trees",
        "--json",
    ]
    assert json.loads(run(capsys, *train))["task"] == "regression"
    expected = json.loads(run(capsys, "evaluate", tmp_path / "trees", folder.parent / "all.parquet", "--json"))
    found = json.loads(run(capsys, "evaluate", tmp_path / "trees", folder, "--json"))
    assert found["r2"] == pytest.approx(expected["r2"]) and found["mae"] == pytest.approx(expected["mae"])
    assert found["interval_coverage"] == expected["interval_coverage"]
    agree(found, expected)
    assert "R²" in run(capsys, "evaluate", tmp_path / "trees", folder)


@pytest.mark.parametrize(("option", "column"), [("--split-by", "day"), ("--split-by", "girth"), ("--group", "soil")])
def test_rows_that_belong_with_the_held_out_ones_are_not_trained_on(option, column, folder, monkeypatch):
    monkeypatch.setattr(out_of_core, "SAMPLED", 500)
    table = out_of_core.read_large(Options.of(folder, "volume", {option.strip("-").replace("-", "_"): column}))
    split = table.hold_out(0.3, 0)
    held, frame = table.frame.iloc[split.held_out][column], pd.read_parquet(folder.parent / "all.parquet")
    out = frame[column] >= held.min() if option == "--split-by" else frame[column].isin(held.dropna().unique())
    if held.isna().any():
        out |= frame[column].isna()
    assert split.blocks.rows() == ROWS - out.sum() and 0 < out.sum() < ROWS
    assert f"{out.sum() - len(held):,} that belong with those held out" in dict(split.notes)["rows"]
    assert ("rows", f"{ROWS - out.sum():,} of all {ROWS:,} are trained on") in split.notes
    finally_ = table.prepare(np.arange(len(split.x)), split.held_out)
    assert finally_.blocks.rows() == ROWS


def test_settings_are_chosen_by_the_sample_and_all_rows_are_trained_on(folder, capsys, monkeypatch):
    monkeypatch.setattr(out_of_core, "SAMPLED", 500)
    told = json.loads(run(capsys, "train", folder, "--target", "volume", "--tune", 2, "--json"))
    assert told["tuned"]["tried"] == 2 and told["held_out_r2"] > 0.9
    told = json.loads(run(capsys, "train", folder, "--target", "volume", "--json"))
    assert told["chosen"]["parts"] >= 1 and told["settings"]["hidden"] == [] and told["held_out_r2"] > 0.99
    assert any("of all 2,000 are trained on" in note for note in told["notes"]) and told["epochs"] > 9


def test_several_networks_and_a_final_one_are_of_all_rows(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(out_of_core, "SAMPLED", 600)
    train = ["train", folder, "--target", "volume", "--split-by", "day", "--epochs", 3, "--ensemble", 2, "--final"]
    said = run(capsys, *train, "--out", tmp_path / "trees")
    assert f"trained again on all {ROWS:,} rows" in said and "2 networks" in said
    assert json.loads(run(capsys, "evaluate", tmp_path / "trees", folder, "--json"))["r2"] > 0.5


WRONG = {
    "no target": (["train", "FOLDER"], "name the column to predict"),
    "mistyped": (["train", "FOLDER", "--target", "kinds"], "no column 'kinds' to predict"),
    "no order": (
        ["train", "FOLDER", "--target", "kind", "--split-by", "soil"],
        "it takes dates or numbers",
    ),
    "a new label": (["evaluate", "MODEL", "NEW"], "row 3 holds the label 'palm'; the network was trained on 'oak'"),
    "a text file": (["train", "table.csv", "--target", "kind", "--stream"], "--stream reads Parquet files in pieces"),
    "an empty folder": (["train", "EMPTY", "--target", "kind"], "there are no rows in it"),
    "a sheet": (["predict", "MODEL", "FOLDER", "--out", "answers.xlsx"], "give a name in .parquet"),
    "among the data": (["predict", "MODEL", "FOLDER", "--out", "FOLDER/answers.parquet"], "lies among the data"),
    "of digits": (["evaluate", "DIGITS", "FOLDER"], "was not trained on a table with a header"),
}


@pytest.fixture(scope="module")
def models(folder):
    train = ["train", str(folder), "--target", "kind", "--epochs", "1"]
    assert main([*train, "--out", str(folder.parent / "model")]) == 0
    assert main(["train", "digits", "--epochs", "1", "--out", str(folder.parent / "digits")]) == 0
    (folder.parent / "empty").mkdir()
    (folder.parent / "new").mkdir()
    frame = pd.read_parquet(folder.parent / "all.parquet").head(4).assign(kind=["oak", "Pine", "palm", None])
    frame.to_parquet(folder.parent / "new" / "0.parquet")
    places = {
        "NEW": folder.parent / "new",
        "FOLDER": folder,
        "EMPTY": folder.parent / "empty",
        "MODEL": folder.parent / "model",
    }
    return places | {"DIGITS": folder.parent / "digits"}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case, models, capsys):
    arguments, message = WRONG[case]
    for name, place in models.items():
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    capsys.readouterr()
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1

"""`minigrad.tables.train`: what the command does, from Python, and what is refused there."""

import json

import numpy as np
import pandas as pd
import pytest

import minigrad
from minigrad.command.main import main
from tests.tables import plants, write


@pytest.fixture(scope="module", autouse=True)
def quicker(quick_command):
    """All of these trainings."""


def untimed(told):
    return {name: value for name, value in told.items() if not name.startswith("seconds")}


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_file_gives_what_the_command_gives_and_its_frame_the_same_numbers(ending, tmp_path, capsys):
    path = write(tmp_path / f"plants{ending}", plants(120))
    assert (
        main(["train", path, "--target", "species", "--hidden", "4,3", "--epochs", "5", "--seed", "3", "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    settings = {"target": "species", "hidden": (4, 3), "epochs": 5, "seed": 3}
    trained = minigrad.tables.train(path, **settings)
    assert untimed(json.loads(json.dumps(trained.to_json()))) == untimed(said)
    frame = minigrad.tables.train(plants(120), **settings)
    np.testing.assert_array_equal(frame.model.theta, trained.model.theta)
    assert frame.warnings == said["warnings"] and frame.history.loss == said["losses"]
    assert frame.explanation.to_json()["importance"] == said["importance"]


def test_what_was_trained_shows_itself_and_is_saved_with_its_report(tmp_path):
    trained = minigrad.tables.train(plants(), target="size", hidden=(), epochs=3, progress=False)
    assert "which columns matter" in str(trained) and "in short:" in str(trained)
    assert trained._repr_html_().startswith("<iframe") and trained.evaluation.held_out_rows == 8
    trained.save(tmp_path / "sizes")
    assert "Which columns matter" in (tmp_path / "sizes" / "report.html").read_text(encoding="utf-8")
    model = minigrad.load(tmp_path / "sizes")
    np.testing.assert_array_equal(model.predict(plants(9)), trained.model.predict(plants(9)))
    with pytest.raises(ValueError, match="exists already"):
        trained.save(tmp_path / "sizes")
    trained.save(tmp_path / "sizes", force=True)


def test_a_model_judges_explains_and_exports_from_frames(tmp_path, capsys):
    trained = minigrad.tables.train(plants(120), target="species", hidden=(4,), epochs=5)
    trained.save(tmp_path / "model")
    path = write(tmp_path / "new.csv", plants(60))
    assert main(["evaluate", str(tmp_path / "model"), path, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    judged = trained.model.evaluate(plants(60))
    assert json.loads(json.dumps(judged.to_json())) | {"data": path} == said and "accuracy" in str(judged)
    assert "if every row had" in str(trained.model.explain(plants(60))) or not trained.explanation.curves
    reasons = trained.model.explain(plants(6).drop(columns="species"), rows=True)
    names = ("height", "color", "wild", "size")
    assert list(reasons.columns) == ["explanation", *(f"effect of {name}" for name in names)]
    assert trained.model.predict_proba(plants(6)).shape == (6, 2)
    trained.model.export(tmp_path / "model.html", plants(6))
    assert "<html" in (tmp_path / "model.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"ends in \.onnx, \.xlsx or \.html"):
        trained.model.export(tmp_path / "model.pdf")


def test_arrays_are_a_table_of_numbered_columns():
    x = np.random.default_rng(0).normal(size=(60, 3))
    trained = minigrad.tables.train((x, x @ [1.0, 2.0, 0.0]), hidden=(), epochs=20)
    assert trained.model.preparation.names == ["x1", "x2", "x3"] and trained.model.target.name == "t"
    assert trained.evaluation.outcome.score > 0.5


WRONG = {
    "setting": ({"hiden": 3}, ValueError, r"there is no setting 'hiden' \(did you mean 'hidden'\?\)"),
    "optimizer": ({"optimizer": "adm"}, ValueError, r"optimizer='adm' \(did you mean 'adam'\?\): choose from 'sgd'"),
    "rate": ({"learning_rate": 0}, ValueError, "learning_rate=0: 0 is not above 0"),
    "widths": ({"hidden": (4, 0)}, ValueError, r"hidden=\(4, 0\): '0' is not a whole number from 1 on"),
    "share": ({"test_size": 3}, ValueError, "test_size=3: 3 is not a share between 0 and 1"),
    "task": ({"task": "ranking"}, ValueError, "task='ranking': choose from 'classification', 'regression'"),
    "column": ({"drop": "hight"}, ValueError, "there is no column 'hight' for --drop"),
    "no target": ({"target": None}, ValueError, "which column is to be predicted"),
    "target": ({"target": "specis"}, ValueError, r"has no column 'specis' to predict \(did you mean 'species'\?\)"),
    "file": ({"encoding": "cp1252"}, ValueError, "encoding is about a file"),
    "list": ({"data": [1, 2]}, TypeError, "give a DataFrame, the path of a file or a folder, or a pair of arrays"),
    "empty": ({"data": pd.DataFrame({"species": []})}, ValueError, "the table is empty: it has no rows"),
    "lengths": ({"data": (np.ones((4, 2)), np.ones(3))}, ValueError, r"not \(4, 2\) and \(3,\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence(case):
    settings, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        minigrad.tables.train(**{"data": plants(), "target": "species", **settings})


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (plants(5).drop(columns="color"), "there is no column 'color', which the network was trained on"),
        (plants(5).drop(columns="species"), "there is no column 'species'"),
        (plants(0), "the table is empty: it has no rows"),
    ],
)
def test_frames_that_do_not_fit_are_refused_in_one_sentence(frame, words):
    model = minigrad.tables.train(plants(), target="species", hidden=(), epochs=1).model
    with pytest.raises(ValueError, match=words):
        model.evaluate(frame)

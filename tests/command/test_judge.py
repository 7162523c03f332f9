"""What `train` keeps for later, and what `evaluate` makes of it."""

import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

import minigrad
from minigrad.command.main import main
from tests.command.test_tables import refused
from tests.tables import plants, write

LINEAR = ["--hidden", "none", "--epochs", 20]  # which would be chosen here, and is quicker said


@pytest.fixture(scope="module")
def loans(tmp_path_factory):
    """A folder with a table of few "default" among many "paid", in two files, and a number that follows from them."""
    folder = tmp_path_factory.mktemp("loans")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"late": rng.poisson(0.5, 700), "income": rng.normal(30, 9, 700).round(2)})
    chance = 1 / (1 + np.exp(3 - 1.2 * frame["late"]))
    frame["outcome"] = np.where(rng.random(700) < chance, "default", "paid")
    frame["rate"] = (3 + frame["late"] + rng.normal(0, 1, 700)).round(3)
    write(folder / "loans.csv", frame[:500])
    write(folder / "new.csv", frame[500:])
    return folder


def run(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    out = capsys.readouterr().out
    return json.loads(out) if "--json" in arguments else out


def test_a_threshold_is_kept_and_answers_by_it(loans, tmp_path, capsys):
    train = ["train", loans / "loans.csv", "--target", "outcome", *LINEAR, "--out", tmp_path / "m"]
    run(capsys, *train, "--threshold", 0.15)
    model, frame = minigrad.load(tmp_path / "m"), pd.read_csv(loans / "new.csv")
    p = model.predict_probabilities(frame)[:, 0]
    expected = np.where(p >= 0.15, "default", "paid")
    assert model.predict(frame).tolist() == expected.tolist() and 5 < sum(expected == "default") < 150
    run(capsys, "predict", tmp_path / "m", loans / "new.csv", "--out", tmp_path / "p.csv")
    assert pd.read_csv(tmp_path / "p.csv")["prediction"].tolist() == expected.tolist()
    told = run(capsys, "evaluate", tmp_path / "m", loans / "new.csv", "--json")
    assert told["accuracy"] == np.mean(expected == frame["outcome"])
    assert told["held_out_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(frame["outcome"] == "default", p))
    assert told["held_out_log_loss"] > 0
    assert "* 0.15" in run(capsys, "evaluate", tmp_path / "m", loans / "new.csv")
    for data, target in ((loans / "loans.csv", "rate"), (write(tmp_path / "p3.csv", plants()), "color")):
        refused(
            capsys, ["train", str(data), "--target", target, "--threshold", "0.3"], "a table's column with two classes"
        )


def test_balanced_weights_find_more_of_the_rare_class(loans, capsys):
    train = ["train", loans / "loans.csv", "--target", "outcome", *LINEAR, "--json"]
    plain, balanced = (run(capsys, *train, *more) for more in ([], ["--class-weight", "balanced"]))
    assert balanced["recall"][0] > plain["recall"][0] + 0.2
    assert balanced["settings"]["class_weight"] == "balanced" and "class_weight" not in plain["settings"]


def test_hidden_none_is_the_linear_model(loans, capsys):
    train = ["train", loans / "loans.csv", "--target", "rate", "--json", "--hidden"]
    told, other = run(capsys, *train, "none"), run(capsys, *train, "2", "--epochs", "1")
    assert told["layers"] == ["Dense(4, 1)"] and told["settings"]["hidden"] == []
    [baseline] = [one for one in other["baselines"] if one["name"] == "linear model"]
    assert told["held_out_r2"] == pytest.approx(baseline["score"], abs=0.005)
    assert "linear model" not in [one["name"] for one in told["baselines"]], "it would stand beside itself"


def test_intervals_are_written_and_rows_of_the_training_are_known_again(loans, tmp_path, capsys):
    train = ["train", loans / "loans.csv", "--target", "rate", *LINEAR, "--out", tmp_path / "m"]
    told = run(capsys, *train, "--json")
    kept = told["prediction_interval"]
    run(capsys, "predict", tmp_path / "m", loans / "new.csv", "--out", tmp_path / "p.csv")
    found = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(found["high (90 %)"] - found["prediction"], kept["half_width"])
    held = np.mean((found["low (90 %)"] <= found["rate"]) & (found["rate"] <= found["high (90 %)"]))
    assert 0.82 < held < 0.97
    told = run(capsys, "evaluate", tmp_path / "m", loans / "new.csv", "--json")
    assert told["interval_coverage"] == held and told["warnings"] == []
    assert told["held_out_rmse"] == pytest.approx(np.sqrt(np.mean((found["rate"] - found["prediction"]) ** 2)))
    told = run(capsys, "evaluate", tmp_path / "m", loans / "loans.csv", "--json")
    assert "400 of the 500 rows are rows that the model was trained on" in told["warnings"][0]
    # A training that goes on writes the interval of what it has become.
    run(capsys, *train, "--resume")
    assert minigrad.load(tmp_path / "m").facts["interval"]["half_width"] == pytest.approx(kept["half_width"])


@pytest.mark.parametrize(
    "facts", [{"threshold": {"label": "x", "from": 0.3}}, {"interval": {"half_width": "wide", "level": 0.9}}]
)
def test_facts_that_training_has_not_written_are_refused(loans, tmp_path, capsys, facts):
    run(capsys, "train", loans / "loans.csv", "--target", "outcome", *LINEAR, "--out", tmp_path / "m")
    model = minigrad.load(tmp_path / "m")
    model.network.preparation = model.facts | facts
    model.network.save(tmp_path / "m" / "model.safetensors")
    refused(capsys, ["show", str(tmp_path / "m")], "is not consistent")


def test_explain_says_which_columns_matter(loans, tmp_path, capsys):
    train = ["train", loans / "loans.csv", "--target", "outcome", "--drop", "rate", *LINEAR]
    told = run(capsys, *train, "--out", tmp_path / "m", "--json")
    assert max(told["importance"], key=told["importance"].get) == "late"
    assert "Which columns matter" in (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    told = run(capsys, "explain", tmp_path / "m", loans / "new.csv", "--json")
    assert set(told["importance"]) == {"late", "income"} and told["importance_measure"] == "AUC"
    low, high = told["importance_interval"]["late"]
    assert low < told["importance"]["late"] < high
    out = run(capsys, "explain", tmp_path / "m", loans / "loans.csv", "--out", tmp_path / "e.html")
    for words in ("which columns matter", "rows that the model was trained on", "if every row had this 'late'"):
        assert words in " ".join(out.split())
    assert "partial dependence on late" in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert run(capsys, "evaluate", tmp_path / "m", loans / "new.csv", "--json")["importance"] == told["importance"]
    explain = ["explain", str(tmp_path / "m"), str(loans / "new.csv"), "--out"]
    refused(capsys, [*explain, str(tmp_path / "e.html")], "exists already")
    refused(capsys, [*explain, str(tmp_path / "e.pdf")], "ends in .html")


def test_predict_explains_each_row(loans, tmp_path, capsys):
    train = ["train", loans / "loans.csv", "--target", "rate", "--hidden", 8, "--epochs", 40, "--out", tmp_path / "m"]
    run(capsys, *train)
    run(capsys, "predict", tmp_path / "m", loans / "new.csv", "--out", tmp_path / "p.csv", "--explain")
    found, model = pd.read_csv(tmp_path / "p.csv"), minigrad.load(tmp_path / "m")
    mean = pd.read_csv(loans / "loans.csv").iloc[:400]["late"].mean()  # about that of the rows that were drawn
    expected = found["prediction"] - model.predict(found.assign(late=mean))
    assert np.corrcoef(found["effect of late"], expected)[0, 1] > 0.999
    lead = found.filter(like="effect of").abs().idxmax(axis=1).str.removeprefix("effect of ")
    assert all(text.startswith(name) for text, name in zip(found["explanation"], lead, strict=True))

"""The report as text and as JSON, and the command that writes it."""

import json

import numpy as np
import pytest

from minigrad.command.main import main
from minigrad.results import intervals
from minigrad.results.messages import amount
from minigrad.results.report import as_json, summary
from tests.results.pages import Page, written
from tests.results.trained import blobs, classified, regressed, result


def test_the_text_tells_the_whole_story():
    *_, found = classified(*blobs(), others=[0.5, 0.7])
    text = summary(result(found, notes=(("target", "is read as text"),)))
    assert "flowers.csv: 120 rows of 4 numbers" in text
    assert "target    is read as text" in text
    assert "in short: " in text and "logistic model of the same rows" in text
    assert f"over 3 seeds: accuracy {100 * np.mean([found.outcome.score, 0.5, 0.7]):.1f} ± " in text
    assert max(map(len, text.splitlines())) < 120


def test_the_text_about_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    *_, found = regressed(x, x[:, 0] + 5)
    text = summary(result(found))
    assert "mean absolute error" in text and "always answering the mean" in text and "linear model" in text
    told = as_json(result(found))
    assert told["r2"] == found.outcome.score and told["held_out_accuracy"] is None
    json.dumps(told)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.012344, "0.01234"), (1.5, "1.5"), (9628.4, "9,628"), (-160312.7, "-160,313"), (0, "0"), (2e15, "2e+15")],
)
def test_amounts_are_written_as_people_write_them(value, shown):
    assert amount(value) == shown


def test_prices_are_told_in_full(tmp_path):
    """Not as 1.96e+05, which nobody finds again in the workbook; and no picture is spoken of where there is none."""
    x = np.random.default_rng(0).normal(size=(100, 3))
    *_, found = regressed(x, 3e5 + 1e5 * x[:, 0])
    found.history.best_epoch = 3
    _, parsed = written(found, tmp_path)
    text = " ".join(parsed.text)
    for told in (text, summary(result(found))):
        assert "e+05" not in told and f"{found.outcome.error:,.0f}" in told and "-0.000" not in told
    assert "The parameters are those of epoch" in text and "dotted line" in text


def test_train_writes_the_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(intervals, "LEAST", 20)
    monkeypatch.setattr(intervals, "MOST", 20)
    folder = tmp_path / "new"
    arguments = ["train", "digits", "--json", "--epochs", "2", "--hidden", "5", "--out", str(folder), "--seeds", "2"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["spread"][0] == told["held_out_accuracy"] and len(told["spread"]) == 2
    assert len(told["validation_losses"]) == 2 and told["balanced_accuracy"] > 0.1
    assert told["report"] == str(folder / "report.html") and err == ""
    parsed = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert parsed.tags.count("img") == 16 + 5
    assert "2 seeds" in " ".join(parsed.text)

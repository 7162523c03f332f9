"""The commands on tables: train, predict, evaluate and show, and one line for what is wrong."""

import json
import os
import sys
import time
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.styles import Font

from minigrad import Adam, CategoricalCrossEntropy, Dense, ReLU, Sequential, Sigmoid, Softmax, TableModel, load
from minigrad.command.main import main
from minigrad.data import Preparation, write_workbook
from minigrad.data.split import split_rows
from minigrad.tables import settings
from minigrad.tables.jobs import busy
from minigrad.tables.network import train_network
from minigrad.tables.settings import Settings
from minigrad.tables.sources import Table
from minigrad.tables.target import Target
from tests.tables import ROWS, plants, write


def test_answers_of_a_regression_are_in_the_users_units():
    frame = plants(200)
    column = frame.pop("size") * 1000 + 1e6
    column.name = "size"
    target = Target.fit(column[:150], "regression")
    split = Table(frame, column).prepare(np.arange(150), np.arange(150, 200))
    model, history = train_network(split, Settings(epochs=60, learning_rate=0.01))
    told = TableModel(model).predict(frame[150:])
    assert np.abs(told - column[150:]).mean() < 0.2 * column.std()
    assert len(history) == 60
    assert TableModel(model).target == target


@pytest.mark.parametrize("rows", [199, 200])
def test_train_network_on_a_table_is_the_fit_that_its_docstring_describes(rows):
    frame = plants(rows)
    species = frame.pop("species")
    split = Table(frame, species).prepare(np.arange(rows), np.arange(0))
    made, history = train_network(split, Settings(epochs=60, seed=3))
    labels = species.to_numpy(str)
    x = Preparation.fit(frame).transform(frame)
    model = Sequential([Dense(6, 64), ReLU(), Dense(64, 2), Softmax()], seed=3)
    early = {"validation": 0.1, "patience": 20} if rows == 200 else {}
    loss, optimizer = CategoricalCrossEntropy(), Adam()
    expected = model.fit(x, labels, loss=loss, optimizer=optimizer, epochs=60, l2=1e-2, seed=3, **early)
    assert history.loss == expected.loss
    assert (history.best_epoch is None) == (rows == 199)
    np.testing.assert_array_equal(made.theta, model.theta)


# ----------------------------------------------------------------------------------------------------- commands
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with tables and with the models `species` and `size`."""
    folder = tmp_path_factory.mktemp("trained")
    data = write(folder / "plants.xlsx", plants())
    write(folder / "plants.csv", plants())
    for target in ("species", "size"):
        arguments = ["--hidden", "8", "--epochs", "40", "--learning-rate", "0.01"]
        assert main(["train", data, "--target", target, "--out", str(folder / target), *arguments]) == 0
    return folder


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_train_on_a_table_prints_each_choice(trained, capsys, suffix):
    assert main(["train", str(trained / f"plants.{suffix}"), "--target", "species", "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "target    species: text, so this is a classification (--task overrides this)" in out
    assert "numbers, standardised: height, size" in out
    assert "color: text, one column for each of 3 values ('blue', 'red', 'white')" in out
    assert "wild: TRUE is 1 and FALSE 0, standardised" in out
    assert "32 rows to train on, 8 held out" in out
    assert "after all 2 epochs" in out


def test_train_learns_no_preparation_from_held_out_rows(trained):
    frame = plants()
    for target, labels in (("species", frame["species"]), ("size", len(frame))):
        rows, _ = split_rows(labels, 0.2, seed=0)
        model = load(trained / target)
        learned = model.target
        assert model.preparation == Preparation.fit(frame.iloc[rows].drop(columns=target))
        if target == "size":
            assert learned.mean == frame["size"].iloc[rows].mean()


def test_train_json_of_a_regression(trained, capsys):
    linear = ["--hidden", "none", "--epochs", "60"]
    assert main(["train", str(trained / "plants.csv"), "--target", "size", *linear, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["task"] == "regression"
    assert told["r2"] > 0.8
    assert 0 < told["mae"] < told["baseline_mae"]
    assert told["held_out_accuracy"] is None
    assert told["seconds"] > 0
    assert set(told["preparation"]) == {"height", "color", "wild", "species"}


def test_train_task_can_be_chosen(tmp_path, capsys):
    path = write(tmp_path / "a.csv", pd.DataFrame({"n": np.arange(30.0) ** 2, "t": [1, 2, 3] * 10}))
    for task in ("classification", "regression"):
        assert main(["train", path, "--target", "t", "--task", task, "--epochs", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["task"] == task


@pytest.mark.parametrize("form", ["table", "sheets"])
def test_train_resume_is_bit_for_bit_one_training(trained, tmp_path, form):
    data = [str(trained / "plants.csv"), "--target", "species", "--hidden", "8"]
    if form == "sheets":
        data = [str(tmp_path / "a.xlsx")]
        write_workbook(tmp_path / "a.xlsx", np.eye(20), [1, 2] * 10)
    for out, epochs in (("whole", 7), ("parts", 3), ("parts", 7)):
        assert main(["train", *data, "--epochs", str(epochs), "--out", str(tmp_path / out), "--resume"]) == 0
    whole, parts = (load(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    np.testing.assert_array_equal(whole.theta, parts.theta)
    assert whole.preparation == parts.preparation


def test_train_out_replaces_a_model_only_with_force(trained, tmp_path, capsys):
    arguments = ["train", str(trained / "plants.csv"), "--target", "species", "--out", str(tmp_path / "m")]
    arguments += ["--hidden", "8", "--epochs", "1"]
    assert main(arguments) == 0
    written = (tmp_path / "m/model.safetensors").read_bytes()
    capsys.readouterr()
    refused(capsys, arguments, "exists already; go on with it by --resume, replace it by --force")
    refused(capsys, [*arguments, "--resume", "--seed", "1"], "is the checkpoint of another training")
    assert (tmp_path / "m/model.safetensors").read_bytes() == written
    assert main([*arguments, "--seed", "1", "--force"]) == 0
    assert (tmp_path / "m/model.safetensors").read_bytes() != written


@pytest.mark.parametrize("source", ["csv", "xlsx"])
@pytest.mark.parametrize("out", ["csv", "xlsx"])
def test_predict_writes_what_the_model_says_beside_the_rows(trained, tmp_path, source, out):
    frame = plants().sample(frac=1, random_state=0)[["color", "species", "size", "wild", "height"]]
    frame["note"] = [*["x", 1.5, True], *[None] * (ROWS - 3)]
    data, written = write(tmp_path / f"a.{source}", frame), tmp_path / f"b.{out}"
    assert main(["predict", str(trained / "species"), data, "--out", str(written)]) == 0
    found = pd.read_csv(written) if out == "csv" else pd.read_excel(written, engine="openpyxl")
    assert found.columns.tolist() == [*frame, "prediction", "probability of daisy", "probability of rose"]
    for name in frame.columns[:-1]:
        assert found[name].tolist() == frame[name].tolist()
    told = load(trained / "species").answer(frame)
    assert found["prediction"].tolist() == told.values.tolist()
    np.testing.assert_array_equal(found.iloc[:, -2:].to_numpy(np.float32), told.probabilities)


def test_predict_copies_a_workbook_as_it_was_with_three_columns_more(trained, tmp_path, capsys):
    book = openpyxl.load_workbook(trained / "plants.xlsx")
    sheet, other = book["plants"], book.create_sheet("other", 0)
    sheet["A1"].font, sheet["A2"].number_format = Font(bold=True, color="FF0000"), "0.000"
    sheet["E1"].font = Font(italic=True)
    sheet["A3"].comment = Comment("look here", "me")
    sheet.column_dimensions["A"].width = 33
    sheet.freeze_panes = "B2"
    other["A1"], other["B2"] = "=SUM(plants!A2:A9)", "kept"
    other.merge_cells("C3:D4")
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=1, min_row=1, max_row=9))
    other.add_chart(chart, "F1")
    book.save(tmp_path / "a.xlsx")
    assert main(["predict", str(trained / "species"), str(tmp_path / "a.xlsx"), "--out", str(tmp_path / "b.xlsx")]) == 0
    assert capsys.readouterr().err == ""

    book, copy = (openpyxl.load_workbook(tmp_path / name) for name in ("a.xlsx", "b.xlsx"))
    assert copy.sheetnames == ["other", "plants"]
    for name in copy.sheetnames:
        for cells in book[name].iter_rows():
            for cell in cells:
                again = copy[name].cell(cell.row, cell.column)
                assert (again.value, again.number_format) == (cell.value, cell.number_format)
                assert repr(again.font) == repr(cell.font)
    found = copy["plants"]
    assert [cell.value for cell in found[1]][5:] == ["prediction", "probability of daisy", "probability of rose"]
    assert found["F1"].font.italic
    assert {found.cell(row, 6).value for row in range(2, ROWS + 2)} == {"daisy", "rose"}
    assert found["A3"].comment.text == "look here"
    assert (found.column_dimensions["A"].width, found.freeze_panes) == (33, "B2")
    assert [str(merged) for merged in copy["other"].merged_cells.ranges] == ["C3:D4"]
    assert len(copy["other"]._charts) == 1


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_copy_has_no_answers_in_empty_rows_and_keeps_what_stands_below(trained, tmp_path, form):
    """And what `predict` wrote, `evaluate` reads alike."""
    lines = (trained / "plants.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in [*lines[:9], ",,,,", *lines[9:], ",,,,", "Total,,,,500", "Source: us,,,,"]]
    path, out, plain = tmp_path / f"a.{form}", tmp_path / f"b.{form}", tmp_path / "plain.csv"
    if form == "csv":
        path.write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        for row in rows:
            cells = [{"True": True, "False": False}.get(cell, cell or None) for cell in row]
            book.active.append([float(c) if str(c)[:1].isdigit() else c for c in cells])
        book.save(path)
    for data, copied in ((path, out), (trained / "plants.csv", plain)):
        assert main(["predict", str(trained / "species"), str(data), "--out", str(copied)]) == 0
    assert main(["evaluate", str(trained / "species"), str(out)]) == 0
    if form == "csv":
        copy = [line.split(",") for line in out.read_text(encoding="utf-8").splitlines()]
    else:
        copy = [[cell or "" for cell in row] for row in openpyxl.load_workbook(out).active.iter_rows(values_only=True)]
    answers = [row[5] for row in copy]
    assert [answer for answer in answers if answer] == ["prediction", *pd.read_csv(plain)["prediction"]]
    assert [row for row, answer in enumerate(answers) if not answer] == [9, 42, 43, 44]
    assert [row[0] for row in copy[-2:]] == ["Total", "Source: us"]


def test_predict_writes_a_label_that_looks_like_a_formula_as_text(tmp_path):
    frame = plants().replace({"rose": "=A1", "daisy": "=B1"})
    data, copy = write(tmp_path / "a.csv", frame), str(tmp_path / "b.xlsx")
    assert main(["train", data, "--target", "species", "--epochs", "1", "--out", str(tmp_path / "m")]) == 0
    assert main(["predict", str(tmp_path / "m"), data, "--out", copy]) == 0
    found = openpyxl.load_workbook(copy).active
    assert {cell.data_type for cell in found["F"]} == {"s"}
    assert {cell.value for cell in found["F"][1:]} <= {"=A1", "=B1"}


def test_predict_says_what_a_copy_does_not_keep(trained, tmp_path, capsys):
    with zipfile.ZipFile(trained / "plants.xlsx") as old, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/drawings/drawing1.xml", '<xdr:wsDr xmlns:xdr="x"><xdr:sp macro=""></xdr:sp></xdr:wsDr>')
        new.writestr("xl/vbaProject.bin", b"macros")
    assert main(["predict", str(trained / "size"), str(tmp_path / "a.xlsx"), "--out", str(tmp_path / "b.xlsx")]) == 0
    err = capsys.readouterr().err
    assert "does not keep: 1 of 1 text boxes and shapes" in err
    assert "does not keep: 1 of 1 macros" in err


def test_predict_notes_values_that_training_has_not_met(trained, tmp_path, capsys):
    frame = plants().assign(color="green", size=np.nan)
    assert (
        main(["predict", str(trained / "species"), write(tmp_path / "a.csv", frame), "--out", str(tmp_path / "b.csv")])
        == 0
    )
    err = capsys.readouterr().err
    assert "column 'color': taken as none of those it had, since training had" in err and f": 'green' ({ROWS})" in err
    assert f"column 'size': {ROWS} missing, of which training had none" in err


def test_predict_and_evaluate_on_sheets_without_headers(tmp_path, capsys):
    x, labels = np.eye(20)[:, :4], np.array([3, 7] * 10)
    write_workbook(tmp_path / "a.xlsx", x, labels)
    model, data = str(tmp_path / "m"), str(tmp_path / "a.xlsx")
    assert main(["train", data, "--epochs", "1", "--out", model]) == 0
    assert main(["predict", model, data, "--out", str(tmp_path / "b.xlsx")]) == 0
    copy = openpyxl.load_workbook(tmp_path / "b.xlsx")
    assert copy.sheetnames == ["X", "y", "predictions"]
    found = list(copy["predictions"].values)
    network = load(tmp_path / "m/model.safetensors")
    assert found[0] == ("prediction", "probability of 3", "probability of 7")
    assert [row[0] for row in found[1:]] == network.predict_classes(x).tolist()
    np.testing.assert_array_equal(np.array([row[1:] for row in found[1:]], np.float32), network.predict(x))
    capsys.readouterr()
    write_workbook(tmp_path / "wide.xlsx", np.eye(5), range(5))
    for command in (["predict", model, str(tmp_path / "wide.xlsx"), "--out", str(tmp_path / "c.csv")],
                    ["evaluate", model, str(tmp_path / "wide.xlsx")]):  # fmt: skip
        refused(capsys, command, "has 5 columns of numbers, but the network takes rows of (4,)")
    assert main(["evaluate", model, data, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["accuracy"] == (network.predict_classes(x) == labels).mean()


def test_evaluate_prints_accuracy_or_r2(trained, capsys):
    data = str(trained / "plants.csv")
    assert main(["evaluate", str(trained / "species"), data, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    right = load(trained / "species").predict(plants()) == plants()["species"]
    assert told["accuracy"] == right.mean()
    assert np.sum(told["confusion_matrix"]) == ROWS
    assert main(["evaluate", str(trained / "species"), data]) == 0
    assert f"{right.sum()} of {ROWS} rows right" in capsys.readouterr().out
    assert main(["evaluate", str(trained / "size"), data, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["r2"] > 0.5
    assert main(["evaluate", str(trained / "size"), data]) == 0
    assert f"R²        {told['r2']:.3f} of 40 rows" in capsys.readouterr().out


def test_predict_with_models_made_in_python(tmp_path):
    write_workbook(tmp_path / "a.xlsx", np.eye(6)[:, :3], [1, 2] * 3)
    x = np.eye(6)[:, :3]
    for layers, header in (
        ([Dense(3, 1)], ("prediction",)),
        ([Dense(3, 1), Sigmoid()], ("prediction",)),
        ([Dense(3, 2), Softmax()], ("prediction", "probability of 0", "probability of 1")),
        ([Dense(3, 2)], ("prediction", "output for 0", "output for 1")),
    ):
        model = Sequential(layers, seed=0)
        model.save(tmp_path / "m")
        command = ["predict", str(tmp_path / "m"), str(tmp_path / "a.xlsx"), "--out", str(tmp_path / "b.xlsx")]
        assert main([*command, "--force"]) == 0
        found = list(openpyxl.load_workbook(tmp_path / "b.xlsx")["predictions"].values)
        assert found[0] == header
        expected = model.predict(x)
        np.testing.assert_array_equal(np.array([row[-1] for row in found[1:]], np.float32), expected[:, -1])


def test_predict_that_fails_to_write_leaves_the_old_file(trained, tmp_path, capsys, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device", "b.xlsx")

    (tmp_path / "b.xlsx").write_text("precious")
    monkeypatch.setattr(os, "replace", fail)
    command = ["predict", str(trained / "size"), str(trained / "plants.xlsx"), "--out", str(tmp_path / "b.xlsx")]
    refused(capsys, [*command, "--force"], "b.xlsx: No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["b.xlsx"]
    assert (tmp_path / "b.xlsx").read_text() == "precious"


@pytest.mark.parametrize("target", ["species", "size"])
def test_show_prints_what_is_in_the_models_file(trained, capsys, target):
    assert main(["show", str(trained / target / "model.safetensors")]) == 0
    out = capsys.readouterr().out
    assert ("Dense(6, 8)" if target == "species" else "Dense(7, 8)") in out
    assert "height: numbers, standardised (mean " in out
    assert "optimizer adam, learning_rate 0.01" in out
    assert (f"target    {target}: " in out) and ("'daisy', 'rose'" in out) == (target == "species" or "species" in out)


def test_busy_gives_a_sign_of_life_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("minigrad.tables.jobs.PATIENCE", 0.0)
    with busy("reading"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    said, start = "", time.monotonic()
    with busy("reading"):
        while not said and time.monotonic() < start + 60:
            time.sleep(0.01)
            said = capsys.readouterr().err
    assert "reading: 00:" in said


# ---------------------------------------------------------------------------------------------------- malformed
def refused(capsys, arguments, *words):
    """Status 2, and one line on stderr that holds these words."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minigrad: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def cell(place, value):
    def change(path):
        book = openpyxl.load_workbook(path)
        book["plants"][place] = value
        book.save(path)

    return change


def merged(path):
    book = openpyxl.load_workbook(path)
    book["plants"].merge_cells("B3:B5")
    book.save(path)


def empty_sheet(path):
    book = openpyxl.Workbook()
    book.active.title = "plants"
    book.save(path)


def error_cell(path):
    book = openpyxl.load_workbook(path)
    book["plants"]["A5"] = "#DIV/0!"
    book["plants"]["A5"].data_type = "e"
    book.save(path)


def lines(change):
    def changed(path):
        rows = path.read_text().splitlines()
        path.write_text("\n".join(change(rows)) + "\n")

    return changed


def content(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


PROTECTED = b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le")
MALFORMED = {
    "truncated": ("xlsx", content(lambda data: data[: len(data) // 2]), "a.xlsx is a damaged or incomplete workbook"),
    "protected": ("xlsx", content(lambda data: PROTECTED), "a.xlsx is protected by a password"),
    "csv named xlsx": ("xlsx", content(lambda data: b"a,b\n1,2\n"), "a.xlsx is a text file (CSV?), not a workbook"),
    "empty file": ("xlsx", content(lambda data: b""), "a.xlsx is an empty file of 0 bytes"),
    "merged cells": ("xlsx", merged, "a.xlsx: cells plants!B3 to B5 are merged"),
    "empty sheet": ("xlsx", empty_sheet, "a.xlsx: sheet 'plants' is empty"),
    "text among numbers": ("xlsx", cell("A7", "tall"), "a.xlsx: plants!A7 (column 'height') holds the text 'tall'"),
    "a date": ("xlsx", cell("A7", pd.Timestamp("2024-05-01")), "A7 (column 'height') holds the date or time"),
    "bool among text": ("xlsx", cell("B7", True), "plants!B7 (column 'color') holds TRUE, where text belongs"),
    "an error value": ("xlsx", error_cell, "a.xlsx: plants!A5 holds the error #DIV/0!"),
    "formula without a value": ("xlsx", cell("A7", "=1+1"), "plants!A7 holds the formula '=1+1', whose value"),
    "same names": ("xlsx", cell("C1", "height"), "sheet 'plants' has 2 columns with the name 'height'"),
    "no such target": ("xlsx", cell("D1", "kind"), "sheet 'plants' has no column 'species' to predict; its columns"),
    "binary csv": ("csv", content(lambda data: b"PK\x03\x04"), "a.csv is a workbook or an archive under a text file's"),
    "html": ("csv", content(lambda data: b"<html>"), "a.csv is a web page"),
    "NUL": ("csv", content(lambda data: data.replace(b"red", b"r\0d", 1)), "holds a NUL byte"),
    "delimiter": ("csv", content(lambda data: data.replace(b",", b" ")), "a.csv has one column only"),
    "ragged": ("csv", lines(lambda rows: [*rows[:5], rows[5] + ",7", *rows[6:]]), "row 6 has 6 values"),
    "quotes": ("csv", content(lambda data: data.replace(b"red", b'"red', 1)), "can't be read"),
    "three rows": ("csv", lines(lambda rows: rows[:4]), "a.csv: has 3 rows; 10 are the least"),
    "one class": ("csv", content(lambda data: data.replace(b"daisy", b"rose")), "all 40 rows hold the same"),
    "names as labels": (
        "csv",
        lines(lambda rows: [rows[0], *(f"1,red,True,{row},{row}" for row in "abcdefghijklm")]),
        "column 'species' has 13 different labels in 13 rows",
    ),
    "infinity": ("csv", lines(lambda rows: [*rows[:5], "inf,red,True,rose,3"]), "row 6, column 'height' holds inf"),
    "text in csv": ("csv", lines(lambda rows: [*rows[:9], "3,red,True,rose,big"]), "column 'size' holds the text 'b"),
    "too large": ("csv", lines(lambda rows: [*rows, "1e300,red,True,rose,3"]), "column 'height', row 42: 1e+300 is "),
    "no header": ("csv", lines(lambda rows: rows[1:]), "row 1, column 1 holds "),
    "only names": ("csv", lines(lambda rows: [line.rpartition(",")[2] + "," for line in rows[:1]]), "a.csv is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_train_on_a_malformed_table_is_one_line_of_error_and_writes_nothing(tmp_path, capsys, case):
    suffix, change, words = MALFORMED[case]
    path = tmp_path / f"a.{suffix}"
    write(path, plants())
    change(path)
    refused(capsys, ["train", str(path), "--target", "species", "--out", str(tmp_path / "model")], "a." + suffix, words)
    assert list(tmp_path.iterdir()) == [path]


NEW = {
    "a column is missing": (
        lambda frame: frame.rename(columns={"wild": "Wild"}),
        "a.csv: there is no column 'wild', which the network was trained on (did you mean 'Wild'?); it needs",
    ),
    "another kind": (
        lambda frame: frame.assign(height="tall"),
        "row 2, column 'height' holds the text 'tall', where",
    ),
    "predicted before": (lambda frame: frame.assign(prediction=1), "has a column 'prediction' already"),
    "unseen label": (lambda frame: frame.assign(species="tulip"), "row 2 holds the label 'tulip'; the network was"),
    "no answers": (lambda frame: frame.drop(columns="species"), "a.csv has no column 'species' to predict"),
}


@pytest.mark.parametrize("case", NEW)
def test_predict_and_evaluate_refuse_a_table_that_does_not_fit_the_model_in_one_line(trained, tmp_path, capsys, case):
    change, words = NEW[case]
    data = write(tmp_path / "a.csv", change(plants()))
    out = ["--out", str(tmp_path / "b.xlsx")]
    command = ["evaluate"] if case in ("unseen label", "no answers") else ["predict"]
    refused(capsys, [*command, str(trained / "species"), data, *(out if command == ["predict"] else [])], words)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "species", "plants.csv", "--out", "plants.csv"], "is the file with the data"),
        (
            ["predict", "species", "plants.csv", "--out", "plants.xlsx"],
            "plants.xlsx exists already; choose another name",
        ),
        (["predict", "species", "plants.csv", "--out", "a.pdf"], "ends in .xlsx, .csv, .tsv, .parquet"),
        (["predict", "species", "plants.csv", "--out", "nowhere/a.csv"], "there is no folder"),
        (["predict", "species", "none.csv", "--out", "a.csv"], "none.csv: there is no such file"),
        (
            ["predict", "species", "plant.csv", "--out", "a.csv"],
            "there is no such file (did you mean 'plants.csv'?)",
        ),
        (
            ["predict", "specie", "plants.csv", "--out", "a.csv"],
            "no such file (did you mean 'species'?)",
        ),
        (["predict", "plants.csv", "plants.csv", "--out", "a.csv"], "plants.csv is not a model file"),
        (["predict", "plants.csv", "species", "--out", "a.csv"], "; the model comes first, then the data"),
        (["evaluate", "plants.xlsx", "species"], "not a model file of minigrad; the model comes first, then the data"),
        (["evaluate", "species", "digits"], "which digits does not have; give a table that has them"),
        (["predict", "none", "plants.csv", "--out", "a.csv"], "none: there is no such file"),
        (["predict", "species", "plants.csv"], "required: --out"),
        (
            ["train", "plants.csv"],
            "is to be predicted? Name it by --target; the columns: 'height', 'color'",
        ),
        (["train", "plants.xlsx"], "plants.xlsx: sheet 'plants': which column is to be predicted? Name it by --target"),
        (["train", "plants.csv", "--target", "size", "--x", "X"], "--x and --y name sheets without a header"),
        (["train", "plants.csv", "--task", "regression"], "--task is about a table with a header"),
        (["train", "digits", "--target", "size"], "digits has no header"),
        (["train", "plants.csv", "--target", "species", "--task", "regression"], "it can only be classified"),
        (["train", "plants.csv", "--target", "size", "--task", "classification"], "is no label; labels are whole"),
        (["train", "plants.csv", "--target", "size", "--resume"], "need --out DIR"),
        (["train", "plants.csv", "--target", "size", "--out", "plants.csv"], "plants.csv is a file; --out takes"),
        (["train", "plants.csv", "--target", "size", "--out", "new", "--learning-rate", "1e30"], "Try a smaller"),
        (["train", "plants.csv", "--target", "size", "--out", "no/where"], "there is no folder no; make it first"),
        (["train", "plants.csv", "--target", "size", "--test-size", "0.03"], "holds out fewer than two"),
        (["train", "plants.csv", "--target", "size", "--test-size", "0.999"], "and 0 to train"),
        (["train", "plants.xlsx", "--target", "size", "--sheet", "Z"], "plants.xlsx has no sheet 'Z'"),
    ],
)
def test_command_with_a_bad_request_is_one_line_of_error_and_writes_nothing(
    trained, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(trained)
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    refused(capsys, arguments, words)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_the_data_is_not_replaced_under_another_name(trained, tmp_path, capsys):
    data, other = write(tmp_path / "a.csv", plants()), tmp_path / "b.csv"
    os.link(data, other)  # as A.csv is the same file where capitals make no difference
    refused(
        capsys, ["predict", str(trained / "species"), data, "--out", str(other), "--force"], "the file with the data"
    )


def test_benchmark_of_tables_pairs_folds_and_ranks_sides(monkeypatch):
    monkeypatch.setattr(settings, "EPOCHS", 60)
    monkeypatch.setattr(settings, "STEPS", 180)
    from benchmarks.tables import OWN, PEERS, compare, difference, mean_ranks, report, tables

    made = tables()
    assert len(made) >= 15 and all(len(frame) == len(target) for frame, target in (make() for make in made.values()))
    found = compare(*made["iris"](), folds=2, seeds=1)
    assert set(found["scores"]) == {OWN, *PEERS} and all(len(scores) == 2 for scores in found["scores"].values())
    assert all(np.mean(scores) > 0.85 for scores in found["scores"].values())
    known = {"score": "accuracy", "folds": 5, "scores": {OWN: [0.9, 0.8, 0.9, 0.8, 0.9], "other": [0.6] * 5}}
    mean, half = difference(known, OWN, "other")
    error = np.std([0.3, 0.2, 0.3, 0.2, 0.3], ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert mean == pytest.approx(0.26) and half == pytest.approx(2.776 * error, rel=1e-3)
    assert mean_ranks({"a": known, "b": known}) == {OWN: 1, "other": 2}
    assert "+0.260" in report({"a": known}) and "{'other': 0}" in report({"a": known})

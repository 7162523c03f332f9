"""`minigrad export`, on models of rows and of tables."""

import sys

import numpy as np
import pandas as pd
import pytest

import minigrad
from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.command import main as cli
from minigrad.version import installing
from tests.onnx.files import answers, run
from tests.onnx.flowers import flowers, new_flowers


def test_export_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Sequential([Dense(400, 5), Sigmoid(), Dense(5, 10), Sigmoid()], seed=0)
    model.fit(np.eye(400)[:10], np.arange(10), loss=BinaryCrossEntropy(), optimizer=SGD(), epochs=1)
    model.save("m.safetensors")
    assert cli.main(["export", "m.safetensors", "m.onnx", "--data", "digits"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("m.onnx: on the 5,000 rows of digits, onnxruntime's answers differ from the model's by ")
    x = np.random.default_rng(0).random((9, 400), np.float32)
    np.testing.assert_allclose(answers("m.onnx", x), model.predict(x), atol=1e-6)
    assert cli.main(["export", "m.safetensors", "m.onnx"]) == 2
    assert "m.onnx exists already" in capsys.readouterr().err
    assert cli.main(["export", "m.safetensors", "m.onnx", "--force"]) == 0
    assert "on random rows" in capsys.readouterr().out
    assert cli.main(["export", "none.safetensors", "n.onnx"]) == 2
    assert not (tmp_path / "n.onnx").exists()


def test_export_command_without_onnx(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in [name for name in sys.modules if name.startswith("minigrad.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["export", "m.safetensors", str(tmp_path / "m.onnx")]) == 2
    assert installing("onnx") in capsys.readouterr().err


@pytest.mark.parametrize("target", ["kind", "size"])
def test_export_command_with_a_table(target, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    goal = ["rose", "daisy"] * 30 if target == "kind" else np.linspace(0, 900, 60) ** 2
    flowers().assign(**{target: goal}).to_csv("train.csv", index=False)
    with pd.ExcelWriter("new.xlsx") as book:
        pd.DataFrame({"a": [1]}).to_excel(book, index=False, sheet_name="other")
        new_flowers().to_excel(book, index=False, sheet_name="new")
    assert cli.main(["train", "train.csv", "--target", target, "--out", "out", "--epochs", "2"]) == 0
    capsys.readouterr()
    assert cli.main(["export", "out", "m.onnx", "--data", "new.xlsx", "--sheet", "new"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("m.onnx: on the 60 rows of new.xlsx, onnxruntime's answers differ from the model's by ")
    assert "It takes the table's columns by name" in printed
    found, expected = run("m.onnx", new_flowers()), minigrad.load("out").answer(new_flowers())
    if target == "kind":
        assert found["label"].tolist() == expected.values.tolist()
    else:
        np.testing.assert_allclose(found["y_"][:, 0], expected.values, rtol=1e-5)
    assert cli.main(["export", "out", "m.onnx", "--force"]) == 0
    assert "on random rows" in capsys.readouterr().out
    flowers()[["petal", "y"]].to_csv("narrow.csv", index=False)
    for data, words in (("narrow.csv", "narrow.csv: there is no column 'site'"), ("digits", "digits does not have")):
        assert cli.main(["export", "out", "n.onnx", "--data", data]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "n.onnx").exists()


def test_the_ending_of_the_name_says_what_to_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Sequential([Dense(2, 1)], seed=0).save("m.safetensors")
    assert cli.main(["export", "m.safetensors", "m.doc"]) == 2
    assert "m.doc: give it a name that ends in .onnx, .xlsx or .html" in capsys.readouterr().err
    assert not (tmp_path / "m.doc").exists()

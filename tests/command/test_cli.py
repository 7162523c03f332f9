"""The command: what it prints, what it returns, and one line for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
from minigrad.command.main import main
from minigrad.data import load_digits, train_test_split, write_workbook
from minigrad.metrics import accuracy, majority_baseline, wilson_interval

ROOT = Path(__file__).parents[2]


def python(*arguments, cwd, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, encoding="utf-8", capture_output=True, **options)


@pytest.fixture
def flowers(tmp_path):
    """A workbook of 60 rows in three well separated classes with names."""
    rng = np.random.default_rng(0)
    names = np.array(["aster", "daisy", "rose"])[np.arange(60) % 3]
    x = rng.normal(0, 0.1, (60, 4)) + np.eye(3, 4)[np.arange(60) % 3]
    path = tmp_path / "flowers.xlsx"
    write_workbook(path, x, names)
    return str(path)


def sheets(path, x, y):
    book = openpyxl.Workbook()
    book.active.title = "X"
    for row in x:
        book.active.append(row)
    sheet = book.create_sheet("y")
    for label in y:
        sheet.append([label])
    book.save(path)
    return str(path)


def test_train_names_the_classes_in_the_users_words(flowers, capsys):
    assert main(["train", flowers, "--hidden", "5", "--epochs", "60"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "60 rows of 4 numbers" in out
    assert "classes   3: aster, daisy, rose" in out
    assert "48 rows to train on, 12 held out" in out
    assert "Dense(4, 5), Sigmoid(), Dense(5, 3), Sigmoid(): 43 parameters" in out
    low, high = wilson_interval(12, 12)
    assert f"held out  1.000    {low:.3f} to {high:.3f}   12 of 12" in out
    assert "baseline  0.333    on the held-out rows, always answering aster" in out
    assert ["daisy", ".", "4", "."] in [line.split() for line in out.splitlines()]
    assert "no mistakes" in out


def test_train_of_sheets_prints_what_the_same_lines_of_python_give(tmp_path, capsys):
    x, labels = load_digits()
    x, labels = x[::40], labels[::40]
    write_workbook(tmp_path / "some.xlsx", x, labels)
    arguments = ["--hidden", "8", "--epochs", "3", "--batch-size", "16", "--seed", "5", "--test-size", "0.3"]
    assert main(["train", str(tmp_path / "some.xlsx"), "--json", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)

    x, x_test, labels, test_labels = train_test_split(x, labels, test_size=0.3, seed=5)
    model = Sequential([Dense(400, 8), Sigmoid(), Dense(8, 10), Sigmoid()], seed=5)
    loss, l2 = BinaryCrossEntropy(), 1 / len(x)
    history = model.fit(x, labels, loss=loss, optimizer=SGD(0.5), epochs=3, batch_size=16, l2=l2, seed=5)
    assert told["losses"] == history.loss
    assert told["held_out_accuracy"] == accuracy(test_labels, model.predict_classes(x_test))
    assert told["train_accuracy"] == accuracy(labels, model.predict_classes(x))
    assert told["baseline"] == majority_baseline(labels, test_labels)
    assert told["classes"] == list(range(1, 11))
    matrix = np.array(told["confusion_matrix"])
    assert matrix.sum(axis=1).tolist() == [np.sum(test_labels == label) for label in range(1, 11)]
    assert told["held_out_interval"] == list(wilson_interval(int(np.trace(matrix)), int(matrix.sum())))
    assert told["epochs"] == 3
    assert told["settings"] == {
        "hidden": [8],
        "activation": "sigmoid",
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "l2": l2,
        "seed": 5,
        "test_size": 0.3,
    }
    assert told["seconds"] >= told["seconds_training"] > 0


def test_train_options_reach_the_network(flowers, capsys):
    options = ["--hidden", "6,5", "--activation", "relu", "--optimizer", "adam", "--l2", "0", "--epochs", "1"]
    assert main(["train", flowers, "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"] == ["Dense(4, 6)", "ReLU()", "Dense(6, 5)", "ReLU()", "Dense(5, 3)", "Sigmoid()"]
    assert told["settings"]["learning_rate"] == 0.001
    assert told["settings"]["l2"] == 0


def test_train_with_x_and_y_reads_sheets_of_other_names(tmp_path, capsys):
    write_workbook(tmp_path / "a.xlsx", np.eye(8), [1, 2] * 4, x_sheet="pixels", y_sheet="digit")
    assert main(["train", str(tmp_path / "a.xlsx"), "--x", "pixels", "--y", "digit", "--epochs", "1"]) == 0
    assert "8 rows of 8 numbers" in capsys.readouterr().out


def test_train_progress_bar_reaches_its_end(flowers, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["train", flowers, "--epochs", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("data ")
    assert "3/3 [" in err
    assert err.endswith("\n")


def test_train_notes_large_values_of_x(tmp_path, capsys):
    write_workbook(tmp_path / "a.xlsx", np.arange(40.0).reshape(20, 2) * 100, [1, 2] * 10)
    assert main(["train", str(tmp_path / "a.xlsx"), "--epochs", "1"]) == 0
    assert capsys.readouterr().err.startswith("minigrad: note: values on sheet 'X' reach 3900;")


def test_train_of_many_classes_prints_no_confusion_matrix(tmp_path, capsys):
    write_workbook(tmp_path / "a.xlsx", np.eye(75), np.arange(75) // 3)
    assert main(["train", str(tmp_path / "a.xlsx"), "--epochs", "1", "--test-size", "0.34"]) == 0
    out = capsys.readouterr().out
    assert "the confusion matrix of 25 classes is too wide" in out
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …" in out


def test_digits_writes_a_workbook_once(tmp_path, capsys, monkeypatch):
    x, labels = load_digits()
    monkeypatch.setattr("minigrad.command.others.load_digits", lambda: (x[::500], labels[::500]))
    path = tmp_path / "digits.xlsx"
    assert main(["digits", str(path)]) == 0
    assert "10 digits of 400 pixels" in capsys.readouterr().out
    written = path.read_bytes()
    assert main(["digits", str(path)]) == 2
    assert "exists already; choose another name, or replace it with --force" in capsys.readouterr().err
    assert path.read_bytes() == written
    assert main(["digits", str(path), "--force"]) == 0


LAYERS = """
import numpy as np
from minigrad import Layer, Tanh

class Cube(Layer):
    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, dy):
        return dy * 3 * self.x**2

class Wrong(Cube):
    def backward(self, dy):
        return dy * 2 * self.x**2

instance, number = Tanh(), 3

def broken():
    raise RuntimeError("no luck")
"""


@pytest.fixture
def own_layers(tmp_path, monkeypatch):
    (tmp_path / "own_layers.py").write_text(LAYERS)
    (tmp_path / "faulty.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_layers", None)


@pytest.mark.parametrize(
    "place", ["own_layers:Cube", "./own_layers.py:instance", "minigrad:Huber(2.0)", "minigrad:Lion(1e-3)"]
)
def test_check_proves_a_layer_a_loss_or_an_optimizer(own_layers, capsys, place):
    assert main(["check", place]) == 0
    out, err = capsys.readouterr()
    assert ": right" in out
    assert err == ""


def test_check_says_what_is_wrong(own_layers, capsys):
    assert main(["check", "own_layers:Wrong"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minigrad: Wrong(): the gradient of x[")


COURSE = """
import numpy as np

class Linear:
    def __init__(self, n=3):
        self.W = np.ones((n, 2))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy
        return dy @ self.W.T

def affine_forward(x, w):
    return x @ w, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout

def mean_loss(scores, y):
    n = len(y)
    return scores[np.arange(n), y].sum() / n, np.eye(scores.shape[1])[y]
"""


def test_check_takes_plain_classes_and_functions(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "course.py").write_text(COURSE)
    for arguments in (["course.py:Linear", "--input", "4x3"], ["course.py:Linear(5)", "--input", "4x5"]):
        assert main(["check", *arguments]) == 0
        assert "parameters: W with its gradient dW" in capsys.readouterr().out
    assert main(["check", "course.py:affine_forward", "--input", "4x3", "3x2"]) == 0
    assert "differentiated: x, w" in capsys.readouterr().out
    assert main(["check", "course.py:mean_loss", "--input", "5x3", "5:3"]) == 1
    err = capsys.readouterr().err
    assert "mean_loss: the gradient of scores[" in err and "written:    return" in err
    refused(capsys, ["check", "course.py:affine_forward"], "give the shapes")
    refused(capsys, ["check", "course.py:Linear"], "pass an x that Linear takes")
    refused(capsys, ["check", "course.py:Linear", "--input", "4xa"], "write a shape such as 4x5")
    sys.modules.pop("course", None)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("own_layers", "write MODULE:NAME"),
        ("own_layers:", "write MODULE:NAME"),
        ("nowhere.py:Layer", "there is no file nowhere.py"),
        ("nowhere:Layer", "nowhere can't be imported: ModuleNotFoundError"),
        ("faulty:Layer", "faulty can't be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("own_layers:Missing", "own_layers has no 'Missing'"),
        ("own_layers:number", "is not a layer or loss or optimizer but 3"),
        ("own_layers:broken", "own_layers:broken() failed: RuntimeError: no luck"),
        ("minigrad:Dense", 'name an instance, or give the arguments that it takes, as in "minigrad:Dense(3)"'),
        ("minigrad:Dense(3, width)", "arguments are numbers and texts, as in"),
    ],
)
def test_check_of_what_is_no_layer(own_layers, capsys, place, words):
    refused(capsys, ["check", place], words)


def refused(capsys, arguments, *words):
    """The command ends with status 2 and one line on stderr that holds these words."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minigrad: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "0"], "argument --epochs: '0' is not a whole number from 1 on"),
        (["--epochs", "2.5"], "'2.5' is not a whole number"),
        (["--batch-size", "-1"], "argument --batch-size"),
        (["--hidden", "0,a"], "argument --hidden: '0' is not a whole number from 1 on"),
        (["--hidden", ""], "argument --hidden"),
        (["--test-size", "2"], "2 is not a share between 0 and 1, such as 0.2 or 20%"),
        (["--test-size", "half"], "'half' is not a number"),
        (["--learning-rate", "nan"], "argument --learning-rate: 'nan' is not a number"),
        (["--learning-rate", "0"], "0 is not above 0"),
        (["--l2", "-1"], "argument --l2: -1 is below 0"),
        (["--seed", "-3"], "argument --seed"),
        (["--optimizer", "newton"], "choose from"),
        (["--activation", "step"], "choose from"),
        (["--epoch", "3"], "unrecognized arguments: --epoch 3"),
        (["--learning-rate", "1e30"], "epoch 1, batch "),
        (["--learning-rate", "1e30"], "Try a smaller --learning-rate"),
        (["--test-size", "0.001"], "0 rows to hold out"),
    ],
)
def test_train_with_a_bad_option_is_one_line_of_error(flowers, capsys, options, words):
    refused(capsys, ["train", flowers, *options], words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["train"], "required: DATA"),
        (["tain", "digits"], "invalid choice: 'tain'"),
        (["train", "digit"], "digit: there is no such file (DATA is FILE.csv or FILE.xlsx, or the word digits)"),
        (["train", "digits", "--optimiser", "adam"], "--optimiser adam; is --optimizer meant? (see minigrad train --"),
        (["train", "digits", "--learning_rate=1"], "--learning_rate=1; is --learning-rate meant?"),
        (["train", "digits", "--zzz"], "unrecognized arguments: --zzz (see minigrad train --help)"),
        (["train", "."], ". is a directory; give the name of an .xlsx file"),
        (["train", "table.csv"], "table.csv is empty; put names of columns in row 1"),
        (["train", "flowers.xlsx", "--x", "Z"], "has no sheet 'Z'; its sheets: 'X', 'y'"),
        (["digits", "digits.csv"], "ends in .xlsx"),
        (["digits", "folder.xlsx"], "is a folder"),
        (["digits", "missing/digits.xlsx"], "missing; make it first"),
    ],
)
def test_command_with_a_bad_name_is_one_line_of_error(flowers, tmp_path, monkeypatch, capsys, arguments, words):
    (tmp_path / "table.csv").write_text("1,2\n")
    (tmp_path / "folder.xlsx").mkdir()
    monkeypatch.chdir(tmp_path)
    refused(capsys, arguments, words)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([[1, "two"], [3, 4]], [1, 2], "X!B1 holds the text 'two'"),
        ([[1, 2], [3, None]], [1, 2], "X!B2 is empty"),
        ([[1], [2], [3]], [1, 2], "sheet 'X' has 3 rows and sheet 'y' has 2"),
        ([[1], [2], [3]], [1, 0.5, 2], "y!A2 holds 0.5, which is no class"),
        ([[1], [2], [3]], ["a", "a", "a"], "all labels are the same; there must be two classes at least"),
        ([[1], [2], [3]], [1, 2, 3], "from 1 to 0 are possible"),
        ([[1], [2], [-1e300], [4]], [1, 2, 1, 2], "X!A3 holds -1e+300, which is too large"),
    ],
)
def test_train_on_a_bad_workbook_is_one_line_of_error(tmp_path, capsys, x, y, words):
    path = sheets(tmp_path / "bad.xlsx", x, y)
    assert main(["train", path, "--test-size", "0.5"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("minigrad: ")
    assert words in last


def test_train_on_an_unreadable_file_is_one_line_of_error(flowers, capsys, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", flowers)

    monkeypatch.setattr("minigrad.tables.read.read_workbook", refuse)
    refused(capsys, ["train", flowers], f"{flowers}: Permission denied")


def test_ctrl_c_ends_train_with_status_130(flowers, capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("minigrad.tables.network.Sequential.fit", interrupt)
    assert main(["train", flowers]) == 130
    assert capsys.readouterr() == ("", "minigrad: interrupted; nothing is kept, since there is no --out DIR\n")


def test_closed_pipe_ends_the_command_with_status_141(tmp_path):
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "minigrad", "lesson"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment, cwd=tmp_path)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("arguments", "others"), [(["--help"], True), (["train", "--help"], False)])
def test_help_prints_examples_of_what_it_is_about(capsys, arguments, others):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "minigrad train digits " in out
    assert "learn to tell a column of a table" in out
    assert ("minigrad digits digits.xlsx" in out) == others


def test_train_digits_imports_nothing_slow(tmp_path):
    code = (
        "import sys; from minigrad.command.main import main; from minigrad.results import intervals;"
        "intervals.LEAST = intervals.MOST = 9;"
        "status = main(['train', 'digits', '--json', '--epochs', '1']);"
        "slow = {'pandas', 'openpyxl', 'python_calamine', 'matplotlib', 'hypothesis'} & set(sys.modules);"
        "sys.exit(str(slow) if slow else status)"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["epochs"] == 1


def test_import_minigrad_imports_nothing_that_few_need(tmp_path):
    done = python("-c", "import sys, minigrad; print(*sys.modules)", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.split())
    libraries = {"pandas", "openpyxl", "python_calamine", "safetensors", "tqdm", "matplotlib", "scipy", "hypothesis"}
    assert loaded & (libraries | {"concurrent.futures", "csv", "statistics", "zipfile"}) == set()
    inner = {name.removeprefix("minigrad.") for name in loaded if name.startswith("minigrad.")}
    rooms = {name.partition(".")[0] for name in inner}
    assert (
        rooms & {"derivation", "metrics", "opened", "plots", "programs", "results", "table_model", "testing"} == set()
    )
    assert {name for name in inner if name.startswith("data.")} == {"data.examples", "data.labels", "data.split"}
    assert {name for name in inner if name.startswith("saving.")} == set()
    assert inner & {f"training.{name}" for name in ("health", "lbfgs", "ranks", "windows")} == set()


def test_names_that_are_imported_late_are_there_as_the_others_are(tmp_path):
    code = "import minigrad; print({*minigrad.__all__} - {*dir(minigrad)}); minigrad.nonesuch"
    done = python("-c", f"from minigrad import *; print(TableModel, load, minimize_lbfgs); {code}", cwd=tmp_path)
    assert done.stdout.endswith("set()\n") and "module 'minigrad' has no attribute 'nonesuch'" in done.stderr


def test_public_modules_come_when_they_are_asked_for(tmp_path):
    asked = "m.metrics.accuracy, m.testing.check_layer, m.programs.interpret, m.derivation.gradients, m.onnx.load"
    done = python("-c", f"import minigrad as m; print(*(callable(each) for each in ({asked})))", cwd=tmp_path)
    assert (done.stdout.split(), done.stderr) == (["True"] * 5, "")


def test_train_digits_is_as_accurate_as_promised_over_five_seeds(capsys):
    accuracies = []
    for seed in range(5):
        assert main(["train", "digits", "--json", "--seed", str(seed)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["train_accuracy"] >= told["held_out_accuracy"]
        assert told["baseline"] == 0.1 and np.sum(told["confusion_matrix"]) == 1000
        accuracies.append(told["held_out_accuracy"])
    assert np.mean(accuracies) >= 0.915

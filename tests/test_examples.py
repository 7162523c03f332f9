"""Every example runs without a warning and prints what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(name, cwd, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / name), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def numbers(output, start):
    """The numbers in the line that begins with these words."""
    (line,) = [line for line in output.splitlines() if line.startswith(start)]
    return [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?|\d+e-\d+", line.removeprefix(start))]


def test_tutorial(tmp_path):
    output = run("tutorial.py", tmp_path)
    theirs, ours = numbers(output, "accuracy (argmax), held out")
    assert theirs == 10.0
    assert ours > 91.5
    assert numbers(output, "tutorial's metric, held out")[0] == 100.0
    assert numbers(output, "cost in epoch 20")[0] == 0
    assert numbers(output, "cost in epoch 20")[1] < numbers(output, "cost in epoch 1 ")[1] / 5


def test_xor(tmp_path):
    output = run("xor.py", tmp_path)
    for row, (low, high) in {"[0 0]": (0.9, 1), "[0 1]": (0, 0.1), "[1 0]": (0, 0.1), "[1 1]": (0.9, 1)}.items():
        one, two = numbers(output, row)
        assert one == pytest.approx(0.5, abs=0.02)
        assert low <= two <= high


def test_custom_layer(tmp_path):
    output = run("custom_layer.py", tmp_path)
    assert numbers(output, "held-out accuracy")[0] > 0.85
    assert "PReLU(4): right" in output
    assert "Forgetful(4): the gradient of x[" in output


def test_regression(tmp_path):
    output = run("regression.py", tmp_path)
    mean, linear, network, truth = (
        numbers(output, name)[0] for name in ("always the mean", "linear formula", "network", "the true formula")
    )
    assert mean < 0.01 < linear < 0.9 < 0.99 < network <= truth


def test_by_hand(tmp_path):
    output = run("by_hand.py", tmp_path)
    hand, fit = numbers(output, "loss of the last epoch")
    assert hand == pytest.approx(fit, rel=1e-10)
    assert numbers(output, "largest difference of any of the 10,285 parameters")[0] < 1e-12


def test_picture(tmp_path):
    output = run("picture.py", tmp_path, "picture.png")
    assert "of 1000 held-out digits right" in output
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "picture.png").stat().st_size < 60_000


def test_pytorch(tmp_path):
    pytest.importorskip("torch")
    output = run("pytorch.py", tmp_path)
    ours, theirs = (float(number) for number in re.findall(r"(\d+\.\d)% by", output))
    assert ours == theirs > 90
    assert numbers(output, "largest difference of two probabilities")[0] < 1e-5


def test_digits_cnn(tmp_path):
    output = run("digits_cnn.py", tmp_path, "--quick")
    assert "1000 digits to train on, 1000 held out" in output
    assert numbers(output, "mean held-out accuracy")[0] > 0.8


def test_transfer(tmp_path):
    output = run("transfer.py", tmp_path, "--quick")
    assert "0 to 4: learned from 2,500 pictures" in output
    assert all(numbers(output, f"  {name}")[0] > 40 for name in ("from the start", "frozen", "trained on"))


def test_addition(tmp_path):
    output = run("addition.py", tmp_path, "--quick")
    assert numbers(output, "LSTM:")[0] > 80 and numbers(output, "transformer:")[0] > 50
    (head,) = [number for number, line in enumerate(output.splitlines()) if line.startswith("sum")]
    for line in output.splitlines()[head + 1 : head + 7]:
        question, _, answer = line.split()
        assert sum(map(int, question.removesuffix("=").split("+"))) == int(answer)


def test_characters(tmp_path):
    output = run("characters.py", tmp_path, "--quick")
    names = ("  1-grams", "  2-grams", "  4-grams", "  transformer", "  the grammar")
    one, two, four, transformer, grammar = (numbers(output, name)[0] for name in names)
    assert grammar < four < two < one and grammar < transformer < two
    assert output.count("Written by") == 2


def test_regularisation(tmp_path):
    output = run("regularisation.py", tmp_path, "--quick", "--out", "curves.png")
    found = {name: numbers(output, name) for name in ("nothing", "dropout 0.5", "L2 0.01", "early stopping")}
    assert all(best < found["nothing"][1] - 0.03 for _, best, *_ in (found["dropout 0.5"], found["L2 0.01"]))
    assert found["nothing"][2] > found["nothing"][1] + 0.03, "it learns by heart"
    assert found["early stopping"][1] == found["nothing"][1] and found["early stopping"][2] < found["nothing"][2]
    assert all(accuracy > 80 for _, _, _, accuracy, *_ in found.values())
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_wide_and_deep(tmp_path):
    output = run("wide_and_deep.py", tmp_path, "--quick")
    mean, linear, network, truth = (
        numbers(output, name)[0] for name in ("always the mean", "linear formula", "wide and deep", "the true formula")
    )
    assert mean < 0.01 < linear < 0.75 < 0.8 < network <= truth


def test_every_example_has_its_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} <= tested

"""The README tells the truth: its code is run as written, its output is compared, its files exist."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad
from minigrad import Layer, Loss, Optimizer
from minigrad.command.main import main
from minigrad.results import baselines
from minigrad.tables import settings as command_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PAIRS = list(zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def same_line(expected, printed):
    """The same words; numbers to 3 % or 0.02, since other processors round the training differently."""
    if expected.endswith(" …"):
        return printed.startswith(expected.removesuffix(" …"))
    if NUMBER.sub("#", expected).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=True)
    return all(
        float(a.replace(",", "")) == pytest.approx(float(b.replace(",", "")), rel=0.03, abs=0.02) for a, b in pairs
    )


def compare(expected, printed):
    """Every line of the README is printed, one after the other; a line "…" stands for any lines."""
    lines, position, skipping = printed.splitlines(), 0, False
    for line in expected.splitlines():
        if line == "…":
            skipping = True
            continue
        if skipping:
            while position < len(lines) and not same_line(line, lines[position]):
                position += 1
        assert position < len(lines), f"the README promises the line {line!r}, but printed was\n{printed}"
        assert same_line(line, lines[position]), f"the README promises {line!r}, but printed was {lines[position]!r}"
        position, skipping = position + 1, False
    assert skipping or position == len(lines), f"printed, but not in the README: {lines[position:]}"


def test_the_readme_is_read_in_three_minutes():
    """Its sentences, at 250 words a minute; code and the tables to look things up in are looked at, not read."""
    text = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    words = [word for line in text.splitlines() if not line.startswith("|") for word in line.split()]
    assert len(words) <= 3 * 250, "move details to docs/text, or to what --help says"


def test_the_comparison_of_output_sees_differences():
    compare("a 1.00\n…\nb 2 …\n…", "a 1.01\nx\nb 2 c\ny\n")
    for expected in ("a 1.10\n…", "b 1.00\n…", "a 1.00", "a 1.00\n…\nc", "a 1.00\nb 2 …\n…"):
        with pytest.raises(AssertionError):
            compare(expected, "a 1.01\nx\nb 2 c\ny\n")


def test_python_in_the_readme_runs_as_written():
    namespace = {"__name__": "readme"}
    compared = 0
    for (language, code), (following, output) in PAIRS:
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), namespace)
        if following == "text":
            compare(output, printed.getvalue())
            compared += 1
        else:
            assert printed.getvalue() == ""
    assert compared >= 3
    scale = (ROOT / "docs" / "text" / "scale.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", scale, re.DOTALL)[1], namespace)  # what its first snippet needs stands here
    assert namespace["y"].shape == (4000, 10)


def test_commands_print_what_the_readme_shows(tmp_path):
    programs = {".venv/bin/minigrad": [sys.executable, "-m", "minigrad"], ".venv/bin/python": [sys.executable]}
    shown = [
        (code, output) for (language, code), (following, output) in PAIRS if (language, following) == ("sh", "text")
    ]
    assert len(shown) == 2
    for code, output in shown:
        program, *arguments = shlex.split(code.split("&&")[-1])
        arguments = [str(ROOT / a) if a.endswith(".py") else a for a in arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        command = [*programs[program], *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, "")
        compare(output, done.stdout)


def test_the_readmes_commands_run_as_written_one_after_the_other(tmp_path, monkeypatch, capsys):
    """All but the workbook of digits, which tests/command writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command_settings, "EPOCHS", 20)  # that they run is asked here, not how good the network is
    monkeypatch.setattr(command_settings, "STEPS", 140)
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)
    commands = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    commands = [shlex.split(line, comments=True) for line in commands if line.startswith("minigrad ")]
    tried = [words[1:] for words in commands if "digits.xlsx" not in words]
    assert {words[0] for words in tried} >= {"sample", "train", "predict", "evaluate", "show", "export", "lesson"}
    for words in tried:
        hole = words == ["lesson", "1", "mine.py"]  # as it was written: still to be filled in
        assert main(words) == int(hole), (words, capsys.readouterr().err)


def test_the_layer_of_the_readme_is_proved_by_the_command_that_it_names(tmp_path, monkeypatch, capsys):
    (command,) = re.findall(r'`minigrad (check "[^`]+")`', README)
    (layer,) = [code for language, code in BLOCKS if language == "python" and "class Scale(Layer)" in code]
    (tmp_path / "mylayers.py").write_text(layer, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(shlex.split(command)) == 0
    assert "Scale(3): right" in capsys.readouterr().out
    sys.modules.pop("mylayers")


def test_files_that_the_readme_names_exist():
    named = re.findall(r"\]\(([^)]+)\)|`((?:examples|minigrad)/[\w./-]+)`", README)
    paths = {link or path for link, path in named}
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_layer_loss_and_optimizer_is_public_and_named():
    """What can be used is in `minigrad`, and stands under "What there is"; a loss on logits stands with its other."""
    for base, folded in ((Layer, {"Sequential"}), (Loss, set()), (Optimizer, set())):
        for name in {cls.__name__ for cls in subclasses(base) if usable(cls)} - folded:
            assert name in minigrad.__all__, f"{name} is not imported in minigrad/__init__.py"
            assert f"`{name.removesuffix('OnLogits')}`" in README, f"{name} is not in README.md's table 'What there is'"


def usable(cls):
    """Whether it is a class of the package with a formula of its own, and no base of such classes."""
    formula = {Layer: "forward", Loss: "terms", Optimizer: "update"}
    (base,) = (base for base in formula if issubclass(cls, base))
    own = getattr(cls, formula[base]) is not getattr(base, formula[base])
    shared = cls.__name__ not in minigrad.__all__ and any(map(usable, cls.__subclasses__()))
    return own and not shared and cls.__module__.startswith("minigrad.") and not cls.__name__.startswith("_")


def subclasses(cls):
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_ci_runs_the_test_command_of_the_readme():
    commands = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    tests = [command for command in commands if "-m pytest" in command]
    script = ROOT / ".ci" / "run"
    (expected,) = tests
    if sys.platform == "win32":
        expected = expected.replace("python3", "python", 1).replace(".venv/bin", ".venv/Scripts")
    bash = shutil.which("bash")  # by PATH: Windows itself would begin with its own folder, where another bash lies
    told = subprocess.run([bash, script.as_posix(), "--show"], capture_output=True, text=True, cwd=Path.home())
    assert (told.stdout.strip(), told.returncode) == (expected, 0)

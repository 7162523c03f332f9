"""What the command prints can be printed wherever it leads: a pipe of Windows, an encoding that lacks the letters."""

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad import atomic
from minigrad.command import others
from minigrad.command.main import COMMANDS, main

ROOT = Path(__file__).parents[2]

LAYER = '''
from minigrad import Layer, parameter
import numpy as np


class Ω(Layer):
    """y = ω x      dω = Σ_B dy x"""

    ω, dω = parameter()

    def __init__(self, features=2):
        self.features = features
        self.ω = np.ones(features)

    def forward(self, x):
        self.x = x
        return x * self.ω

    def backward(self, dy):
        self.dω = (dy * self.x).sum(axis=0)
        return dy * self.ω
'''


@pytest.fixture
def printed(monkeypatch):
    """Run the command with stdout and stderr in this encoding: the status, and the bytes of both."""

    def run(encoding, *arguments):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding, newline="\n") for _ in range(2)]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", streams[0])
            patched.setattr(sys, "stderr", streams[1])
            try:
                status = main(list(arguments))
            except SystemExit as ended:
                status = ended.code
            for stream in streams:
                stream.flush()
        return status, *(stream.buffer.getvalue() for stream in streams)

    return run


def test_every_command_prints_whatever_the_encoding_lacks(printed, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setattr(others, "load_digits", lambda: (np.zeros((2, 400)), [1, 2]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own.py").write_text(LAYER, encoding="utf-8")
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    words = ["żółw", "鳥", "ωmega"]
    rows = [f"{a},{b},{words[kind]}" for a, b, kind in zip(*rng.normal(kinds, 0.1, (2, 60)), kinds, strict=True)]
    (tmp_path / "δ.csv").write_text("\n".join(["θ,β,Gattung", *rows]), encoding="utf-8")
    made = ["δ.csv", "--target", "Gattung", "--out", "модель"]
    told = [["train", *made, "--epochs", "2"], ["show", "модель"], ["predict", "модель", "δ.csv", "--out", "→.csv"]]
    told += [["explain", "модель", "δ.csv"], ["evaluate", "модель", "δ.csv"], ["export", "модель", "модель.html"]]
    told += [["open", "модель", "δ.csv", "--out", "∂.html"], ["sample", "penguins", "√.csv"], ["digits", "σ.xlsx"]]
    told += [["check", "own:Ω"], ["derive", "own:Ω"], ["lesson"], *(["lesson", str(n)] for n in range(1, 11))]
    assert {words[0] for words in told} == {*COMMANDS}
    for words in [*told, *([name, "--help"] for name in COMMANDS), ["--help"]]:
        status, out, err = printed("ascii", *words)
        assert status == 0, (words, err)
        out.decode("ascii")
    status, _, err = printed("ascii", "show", "∂")
    assert status == 2 and b"\\u2202" in err
    sys.modules.pop("own")


def test_a_pipe_of_windows_gets_utf_8_unless_asked_otherwise(printed, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert "∂" in printed("cp1252", "lesson", "8")[1].decode("utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    assert r"\u2202" in printed("cp1252", "lesson", "8")[1].decode("cp1252")


class Unread(io.StringIO):
    """Stdout as Windows has it once nobody reads it any more."""

    def __init__(self, descriptor):
        super().__init__()
        self.fileno = lambda: descriptor

    def flush(self):
        raise OSError(errno.EINVAL, "Invalid argument")


def test_a_closed_pipe_of_windows_ends_with_status_141(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    with (tmp_path / "pipe").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", Unread(os.dup(file.fileno())))
        assert main(["lesson"]) == 141
    assert capsys.readouterr().err == ""


COMMAND = ["-m", "minigrad"]
SCRIPT = ["minigrad"]
LIBRARY = ["-c", "import minigrad"]


@pytest.mark.parametrize(
    ("started", "at"),  # a module that minigrad imports, or its command
    [(COMMAND, "numpy"), (COMMAND, "argparse"), (SCRIPT, "numpy"), (SCRIPT, "argparse"), (LIBRARY, "numpy")],
)
def test_ctrl_c_while_importing_ends_the_command_in_one_line_and_is_left_to_others(tmp_path, request, started, at):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    (tmp_path / f"{at}.py").write_text("import signal\n\nsignal.raise_signal(signal.SIGINT)\n")
    (tmp_path / "minigrad").write_text("from minigrad.command.main import main\n")  # as installing writes it
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run([sys.executable, *started], cwd=tmp_path, env=environment, capture_output=True, text=True)
    if started == LIBRARY:
        assert done.stderr.endswith("\nKeyboardInterrupt\n")
    else:
        assert (done.returncode, done.stderr, done.stdout) == (130, "minigrad: interrupted\n", "")


# ------------------------------------------------------------------------------------------------ what can't be written
WRITING = {
    "train": ["train", "none.csv", "--target", "y", "--out"],
    "predict": ["predict", "none", "none.csv", "--out"],
    "explain": ["explain", "none", "none.csv", "--out"],
    "open": ["open", "none", "none.csv", "--out"],
    "digits": ["digits"],
    "sample": ["sample", "penguins"],
    "lesson": ["lesson", "1", "--out"],
    "export": ["export", "none"],
}
ENDINGS = {"train": "", "explain": ".html", "open": ".xlsx", "digits": ".xlsx", "lesson": ".ipynb", "export": ".html"}


@pytest.mark.parametrize("command", WRITING)
def test_what_windows_cannot_write_is_refused_before_the_work(command, tmp_path, monkeypatch, capsys):
    """Names that it can't have, and a file that is open: before a model or data are read, which are not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "win32")
    (tmp_path / "none.csv").touch()  # `predict` looks for it first
    ending = ENDINGS.get(command, ".csv")
    assert main([*WRITING[command], f"aux{ending}"]) == 2
    assert f"minigrad: aux{ending}: Windows keeps the name aux for a device" in capsys.readouterr().err
    assert os.listdir() == ["none.csv"]

    written = Path("kept", "report.html") if command == "train" else Path(f"kept{ending}")
    written.parent.mkdir(exist_ok=True)
    written.write_text("an earlier one", encoding="utf-8")
    monkeypatch.setattr(atomic, "SECONDS_HELD", 0)
    if os.name != "nt":
        monkeypatch.setattr(os, "rename", open_elsewhere)
    name = "kept" if command == "train" else f"kept{ending}"
    with written.open(encoding="utf-8") as file:
        assert main([*WRITING[command], name, "--force"]) == 2
        assert f"minigrad: {written}: another program, such as Excel, has it open; close it" in capsys.readouterr().err
        assert file.read() == "an earlier one"


def open_elsewhere(*paths):
    """What Windows says where another program has the file open."""
    raise PermissionError(13, "Access is denied", str(paths[0]), 32, str(paths[1]))

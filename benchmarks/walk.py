"""How far a reader goes who follows a batch, a gradient or a table through the package: functions, files, lines.

    python -m benchmarks.walk [--package FOLDER]... [--only WORD] [--functions WORD]

Each walk is run and traced in a process of its own. It counts the functions of the package that are entered, their
files, their lines of code (without docstrings, comments and blank lines), and how many of these lines run. What runs on
import is left out, and so are other threads. A reader reads a function where it is first called: "rooms entered" is how
often that leads into another room (a folder of the package, or a file that lies in none), and "returns" is how many of
these rooms had been left before. The calls and changes of file of one step are those that one batch more adds.

The walks through `fit` alone, with the network made beforehand, have limits in tests/test_architecture.py. The counts
do not depend on the machine. `--package` measures another checkout, by public names alone; given twice, it puts the
two side by side.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import importlib
import inspect
import io
import os
import random
import runpy
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby, repeat
from multiprocessing import get_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
ROWS = 32
PLAIN, RECORDED = 5, 1000  # steps of a training: too few for it to be recorded, and more than enough
STEPS = 100  # … of an epoch, at most
FIT_ROWS, FIT_EPOCHS, FIT_EPOCHS_RECORDED = 640, 2, 40
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # with several, a program takes another way
INLINED = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")  # part of the function that they stand in


@dataclass
class Walk:
    """What was entered while something ran, in order; used as a context."""

    package: str
    calls: list[CodeType] = field(default_factory=list)
    lines: set[tuple[str, int]] = field(default_factory=set)
    importing: int = 0

    def __enter__(self) -> Walk:
        self.before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _called(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if not code.co_filename.startswith(self.package):
            return None
        if code.co_name == "<module>":
            if frame.f_globals["__name__"] == "__main__":
                return None
            self.importing += 1
            frame.f_trace_lines = False
            return self._imported
        if self.importing or not code.co_flags & inspect.CO_OPTIMIZED:  # the body of a class
            return None
        if code.co_name not in INLINED:
            self.calls.append(code)
        return self._ran

    def _imported(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        self.importing -= event == "return"
        return self._imported

    def _ran(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._ran

    @property
    def functions(self) -> list[CodeType]:
        """Each function once, where it was first entered."""
        return list(dict.fromkeys(self.calls))

    @property
    def changes(self) -> int:
        """How often one function was followed by one of another file."""
        return sum(1 for _ in groupby(code.co_filename for code in self.calls)) - 1

    def figures(self) -> dict[str, int]:
        """What is counted, under the names that the table has."""
        files = [Path(code.co_filename).relative_to(self.package) for code in self.functions]
        entered = [room for room, _ in groupby(file.parts[0] for file in files)]
        return {
            "functions": len(self.functions),
            "files": len(set(files)),
            "code lines": len(set().union(*map(code_lines, self.functions))),
            "lines run": len(self.lines),
            "rooms entered": len(entered),
            "returns": len(entered) - len(set(entered)),
        }

    def listed(self) -> list[str]:
        """The functions in the order in which they are read."""
        files = [Path(code.co_filename).relative_to(self.package).as_posix() for code in self.functions]
        return [f"{file}: {code.co_qualname}" for file, code in zip(files, self.functions, strict=True)]


@cache
def functions_of(path: str) -> dict[int, set[int]]:
    """The lines of code of every function of a file, by its first line."""
    text = Path(path).read_text(encoding="utf-8")
    written = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
    found: dict[int, set[int]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = min(each.lineno for each in (node, *getattr(node, "decorator_list", [])))
            lines = written & set(range(first, (node.end_lineno or first) + 1))
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
                lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
            found[first] = found.get(first, set()) | lines
    return found


def code_lines(function: CodeType) -> set[tuple[str, int]]:
    """The lines of code of a function: its file, and where they stand there."""
    path = function.co_filename
    return {(path, line) for line in functions_of(path)[function.co_firstlineno]}


def batch(package: str, steps: int) -> Walk:
    """Batches through the canonical network: it is made and `fit` to digits, whose labels it is given."""
    from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
    from minigrad.data import load_digits

    x, labels = load_digits()
    rows = np.random.default_rng(0).permutation(len(x))[: ROWS * min(steps, STEPS)]
    epochs = max(1, steps // STEPS)
    x, labels = x[rows], labels[rows]
    with Walk(package) as walk:
        model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
        model.fit(
            x, labels, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=0.5), epochs=epochs, batch_size=ROWS
        )
    return walk


def fit(package: str, recorded: bool) -> Walk:
    """`fit` alone: two epochs by hand, with an optimizer of a user's; or forty, of which a program runs most."""
    from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid
    from minigrad.data import load_digits

    class Mine(SGD):
        """A user's optimizer, which no program takes part in."""

    x, labels = load_digits()
    rows = np.random.default_rng(0).permutation(len(x))[:FIT_ROWS]
    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()], seed=0)
    loss, optimizer = BinaryCrossEntropy(), (SGD if recorded else Mine)(learning_rate=0.5)
    epochs = FIT_EPOCHS_RECORDED if recorded else FIT_EPOCHS
    if recorded:
        record_at_once()
    with Walk(package) as walk:
        model.fit(x[rows], labels[rows], loss=loss, optimizer=optimizer, epochs=epochs, batch_size=ROWS)
    return walk


def record_at_once() -> None:
    """Make recording cost nothing, so that what is recorded does not depend on the clock."""
    with contextlib.suppress(ImportError):  # earlier versions of the package have a price
        running: Any = importlib.import_module("minigrad.programs.running")
        running.price = lambda layers, size, step: 0.0


def gradient(package: str) -> Walk:
    """dy through Dense."""
    from minigrad import Dense

    layer, rng = Dense(25, 10, seed=0), np.random.default_rng(0)
    layer.forward(rng.normal(size=(ROWS, 25)))
    dy = rng.normal(size=(ROWS, 10))
    layer.backward(dy)
    with Walk(package) as walk:
        layer.backward(dy)
    return walk


def table(package: str) -> Walk:
    """A table through the command, from its file to the model and the report in a folder."""
    record_at_once()
    drawn, printed = random.Random(0), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["length", "weight", "colour", "kind"])
            for number in range(200):
                size = drawn.gauss(number % 2, 0.5)
                weight = "" if number % 50 == 0 else round(drawn.gauss(size, 1), 3)
                rows.writerow([round(size, 3), weight, drawn.choice(["red", "blue"]), "ab"[number % 2]])
        words = ["train", str(path), "--target", "kind", "--out", str(Path(folder, "out")), "--epochs", "60"]
        before = sys.argv
        sys.argv = ["minigrad", *words]
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), Walk(package) as walk:
                runpy.run_module("minigrad", run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"minigrad {' '.join(words)}: {printed.getvalue()}") from None
        finally:
            sys.argv = before
    return walk


def plain_step(package: str) -> tuple[Walk, Walk]:
    """Some batches layer by layer, and one more."""
    _, some, more = (batch(package, steps) for steps in (PLAIN, PLAIN, PLAIN + 1))  # in the first, some things begin
    return some, more


WALKS: dict[str, Callable[[str], Walk]] = {
    "a batch through fit, layer by layer": lambda package: batch(package, PLAIN),
    "a batch through fit, recorded": lambda package: batch(package, RECORDED),
    "fit alone, by hand": lambda package: fit(package, recorded=False),
    "fit alone, with its program": lambda package: fit(package, recorded=True),
    "a gradient through Dense": gradient,
    "a table through the command": table,
}
STEP = "one plain step"


def measure(folder: str, name: str) -> tuple[dict[str, int], list[str]]:
    """The figures of one walk through the package of this folder, and its functions."""
    sys.path.insert(0, folder)
    package = str(Path(str(importlib.import_module("minigrad").__file__)).parent)
    if Path(package).parent != Path(folder):
        raise RuntimeError(f"{folder} has no folder minigrad: {package} was imported")
    if name == STEP:
        some, more = plain_step(package)
        return {"calls": len(more.calls) - len(some.calls), "changes of file": more.changes - some.changes}, []
    walk = WALKS[name](package)
    return walk.figures(), walk.listed()


def measured(folder: str, names: list[str]) -> dict[str, tuple[dict[str, int], list[str]]]:
    """What `measure` finds for each of these walks, in a process of its own: what one keeps, no other finds."""
    os.environ |= ONE_THREAD  # a process that is spawned has it, too
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
        return dict(zip(names, alone.map(measure, repeat(folder), names), strict=True))


def report(measured: list[dict[str, dict[str, int]]], folders: list[str]) -> str:
    """A Markdown table: a row for each figure, a column for each package."""
    lines = [f"| | {' | '.join(folders)} |", "|---" * (len(folders) + 1) + "|"]
    for name, figures in measured[0].items():
        for what in figures:
            lines.append(f"| {name}: {what} | " + " | ".join(f"{each[name][what]:,}" for each in measured) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", action="append", metavar="FOLDER", help="a checkout; without it, this one")
    parser.add_argument("--only", default="", metavar="WORD", help="walks with this word in their name")
    parser.add_argument("--functions", metavar="WORD", help="list the functions of the walks whose name contains WORD")
    options = parser.parse_args(arguments)
    folders = [str(Path(folder).resolve()) for folder in options.package or [ROOT]]
    names = [name for name in [*WALKS, STEP] if options.only in name]
    walks = [measured(folder, names) for folder in folders]
    print(report([{name: figures for name, (figures, _) in found.items()} for found in walks], folders))
    for folder, found in zip(folders, walks, strict=True):
        for name, (_, functions) in found.items():
            if options.functions is not None and options.functions in name:
                print("", f"{name}, in {folder}:", *functions, sep="\n")


if __name__ == "__main__":
    main()

"""`minigrad lesson N [FILE]`: print a lesson, or grade its exercise as it is solved in FILE.

A lesson is a script in `examples/lessons/`, and its solution one of the same name in `solutions/` beside it. Both end
with `answer = …`, the layer that is asked for, and `example = …`, an input of it. An answer is right if its forward is
the solution's, since a right derivative of something else is no answer, and if `check_layer` proves it. In this order:
`check_layer` believes forward, and would have a learner whose forward is wrong change a backward that is right.

The lessons are texts to read and to copy, no code of the package. So they lie where a reader of the repository looks
for them, once, and installing puts them beside the package's other shared files (`data-files` in pyproject.toml): there
nothing imports or compiles them.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib.metadata
import io
import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.functions import sigmoid
from minigrad.layer import Layer
from minigrad.parameter import walk
from minigrad.testing import GradientError, check_layer

DISTRIBUTION, SHARED = "minigrad-nn", "share/minigrad/lessons"
MARKDOWN = "# %% [markdown]"


@dataclass(frozen=True)
class Lesson:
    """A lesson's script."""

    path: Path

    @property
    def text(self) -> str:
        """The script."""
        return self.path.read_text(encoding="utf-8")

    @property
    def elsewhere(self) -> str:
        """The script as it reads away from its folder: the link to its picture is a whole address."""
        return self.text.replace("(pictures/", f"({self.path.parent.as_uri()}/pictures/")

    @property
    def title(self) -> str:
        """Its first heading, as in "Lesson 1: a neuron"."""
        return next(line.removeprefix("# # ") for line in self.text.splitlines() if line.startswith("# # "))

    @property
    def solution(self) -> Path:
        """The script with the right answer."""
        return self.path.parent / "solutions" / self.path.name


def lesson(options: argparse.Namespace) -> int:
    """`minigrad lesson [N [FILE]]`: the list of lessons, a lesson, or what is to be said of an answer to it."""
    lessons = all_lessons()
    if options.number is None and options.out is not None:
        raise ValueError(f"which lesson? `minigrad lesson 1 --out {options.out}` writes the first one")
    if options.number is None:
        print("\n".join([*(each.title for each in lessons), "`minigrad lesson 1 --out mine.py` writes the first one."]))
        return 0
    if not 1 <= options.number <= len(lessons):
        raise ValueError(f"there is no lesson {options.number}; they are 1 to {len(lessons)}")
    chosen = lessons[options.number - 1]
    if options.file is not None and options.out is not None:
        raise ValueError("FILE is an answer to grade, --out a file to write the lesson to: give one of them")
    if options.file is not None:
        return _tell(options, len(lessons), chosen)
    if options.out is None:
        print(chosen.elsewhere, end="")
        return 0
    out = Path(options.out)
    if out.suffix.lower() not in (".py", ".ipynb"):
        raise ValueError(f"{out}: --out takes a name that ends in .py, or in .ipynb for a notebook")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists already; choose another name, or replace it with --force")
    out.write_text(notebook(chosen) if out.suffix.lower() == ".ipynb" else chosen.elsewhere, encoding="utf-8")
    print(f"{out}: {chosen.title}. Solve it there; `minigrad lesson {options.number} {out}` grades it")
    return 0


def all_lessons() -> list[Lesson]:
    """The lessons in their order: those of the repository that the package stands in, or those that are installed."""
    folder = Path(__file__).parents[2] / "examples" / "lessons"
    paths = list(folder.glob("lesson_*.py"))
    if not paths:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed = importlib.metadata.files(DISTRIBUTION) or []
            paths = [
                Path(str(file.locate())).resolve() for file in installed if file.parent.as_posix().endswith(SHARED)
            ]
    if not paths:
        raise ValueError(f"the lessons are not installed: pip install --force-reinstall {DISTRIBUTION}")
    return [Lesson(path) for path in sorted(paths) if path.suffix == ".py"]


# ----------------------------------------------------------------------------------------------------------- notebooks
def cells(text: str) -> list[tuple[str, str]]:
    """The cells of a script, each ("markdown" or "code", its text), parted by lines that begin with `# %%`."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("# %%"):
            found.append(("markdown" if line == MARKDOWN else "code", []))
        elif found and found[-1][0] == "markdown":
            found[-1][1].append(line.removeprefix("#").removeprefix(" "))
        elif found:
            found[-1][1].append(line)
    return [(kind, "\n".join(lines).strip("\n")) for kind, lines in found]


def notebook(lesson: Lesson) -> str:
    """The lesson as a Jupyter notebook."""
    made = []
    for number, (kind, text) in enumerate(cells(lesson.elsewhere)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def code_of(path: Path) -> str:
    """The code in a script or a notebook. Raises ValueError for what is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".ipynb":
            return text
        made = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a notebook") from error
    lines = "\n\n".join(source if isinstance(source, str) else "".join(source) for source in made).splitlines()
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)  # the notebook's own commands


# ------------------------------------------------------------------------------------------------------------- grading
class WrongAnswer(Exception):
    """An answer that is none, or not the one that was asked for; in words for the learner."""


def _tell(options: argparse.Namespace, last: int, lesson: Lesson) -> int:
    """Grade FILE, and say so."""
    try:
        print(grade(lesson, Path(options.file)))
    except WrongAnswer as sentence:
        print(f"minigrad: {options.file}, {lesson.title}: not yet.\n{sentence}", file=sys.stderr)
        return 1
    further = f"`minigrad lesson {options.number + 1} --out FILE` goes on"
    following = "That was the last one" if options.number == last else further
    print(f"\n{lesson.title}: right. {following}.")
    return 0


def grade(lesson: Lesson, path: Path) -> str:
    """The report on a right answer. Raises WrongAnswer with what is wrong, mostly in `check_layer`'s words."""
    names, raised = _run(code_of(path), str(path))
    asked, _ = _run(lesson.solution.read_text(encoding="utf-8"), str(lesson.solution))
    wanted, example = asked["answer"], asked["example"]
    answer = names.get("answer")
    if not isinstance(answer, Layer):
        raise WrongAnswer(raised or f"it sets no layer `answer`: keep the lesson's line `answer = {wanted!r}`")
    with np.errstate(all="ignore"):  # an answer that overflows is told by a sentence
        _compare(answer, wanted, example)
        try:
            report = check_layer(answer, example)
        except GradientError as error:
            raise WrongAnswer(_sentence(error, path)) from error
    if raised:
        raise WrongAnswer(raised)
    return str(report)


def _run(code: str, name: str) -> tuple[dict[str, Any], str]:
    """The names that a script leaves, which is run as it would be alone, but prints nothing; and what it raised."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": name}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, name, "exec"), names)
    except SyntaxError as error:
        return names, f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
        where = f"line {lines[-1]}: " if lines else ""
        return names, f"{where}{type(error).__name__}: {error}"
    return names, ""


def _sentence(error: GradientError, path: Path) -> str:
    """What `check_layer` says, with the line of the answer that raised, if one did; of a hole, that it is one."""
    cause = error.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause else []
    lines = [frame.lineno for frame in frames if frame.filename == str(path) and frame.lineno]
    if not lines:
        return str(error)
    if isinstance(cause, NotImplementedError):
        return f"line {lines[-1]} is still the hole, {cause}"
    said, place = str(error), f"({path.name}, line {lines[-1]})"
    if error.written.endswith(place):
        return said
    return f"{said}\n  raised by:  {code_of(path).splitlines()[lines[-1] - 1].strip()}   {place}"


def _compare(answer: Layer, wanted: Layer, example: Any) -> None:
    """Raise WrongAnswer where forward is not the one that was asked for, with the same parameters.

    First with those that the lesson begins with, so that a learner sees the same numbers, then with random ones. A
    forward that raises is for `check_layer` to tell.
    """
    answer, wanted = copy.deepcopy(answer), copy.deepcopy(wanted)
    given, asked = _parameters(answer), _parameters(wanted)
    shapes, wanted_shapes = ({name: array.shape for name, array in some.items()} for some in (given, asked))
    if shapes != wanted_shapes:
        raise WrongAnswer(f"{answer!r} has the parameters {shapes}; the lesson asks for {wanted_shapes}")
    rng = np.random.default_rng(0)
    for where in ("for its example", "for its example and other parameters"):
        for name in asked:
            asked[name][...] = asked[name] if where == "for its example" else rng.normal(size=asked[name].shape)
            given[name][...] = asked[name]
        try:
            y = answer.forward(example.copy())
        except Exception:
            return
        right = wanted.forward(example.copy())
        if not isinstance(y, np.ndarray) or y.shape != right.shape:
            returns = f"an array of shape {y.shape}" if isinstance(y, np.ndarray) else repr(type(y).__name__)
            raise WrongAnswer(f"{answer!r}: {where}, forward returns {returns}; the lesson asks for {right.shape}")
        off = ~np.isclose(y, right, rtol=1e-6, atol=1e-9)
        if off.any():
            place = tuple(int(i) for i in np.argwhere(off)[0])
            raise WrongAnswer(
                f"{answer!r}: forward is another function than the lesson asks for. {where.capitalize()}, "
                f"y{list(place)} is {y[place]:.6g}, but should be {right[place]:.6g}"
                f"{_likely(answer, wanted, example, y, right)}"
            )


def _likely(answer: Layer, wanted: Layer, example: Any, y: Any, right: Any) -> str:
    """What a wrong forward seems to leave out, as a line of the sentence; empty where that is not known."""
    for name, function in (("tanh", np.tanh), ("the sigmoid", sigmoid)):
        if np.allclose(function(y), right):
            return f"\n  likely bug: {name} is left out"
    given, asked = _parameters(answer), _parameters(wanted)
    for name in asked:
        given[name][...] += 1
        asked[name][...] += 1
        if np.allclose(answer.forward(example), y) and not np.allclose(wanted.forward(example), right):
            return f"\n  likely bug: y does not change with {name}: forward leaves it out"
        given[name][...] -= 1
        asked[name][...] -= 1
    return ""


def _parameters(layer: Layer) -> dict[str, Any]:
    """All parameters by name, also those of the layers within."""
    return {
        f"{position}.{name}" if position else name: array
        for position, each in enumerate(walk([layer]))
        for name, array in each.params.items()
    }

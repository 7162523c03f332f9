"""`minigrad lesson N [FILE …]`: print a lesson, write it to a file, or grade its exercise as it is solved in files.

A lesson is a script in `examples/lessons/`, and its solution one of the same name in `solutions/` beside it. Both end
with `answer = …`, the layer that is asked for, and `example = …`, an input of it; `minigrad.command.grading` grades,
each answer in a Python of its own.

The lessons are texts to read and to copy, no code of the package. So they lie where a reader of the repository looks
for them, once, and installing puts them beside the package's other shared files (`data-files` in pyproject.toml): there
nothing imports or compiles them.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import glob
import importlib.metadata
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigrad.command.apart import graded
from minigrad.command.grading import Verdict
from minigrad.tables.jobs import busy
from minigrad.tables.writing.outputs import refuse_output

DISTRIBUTION, SHARED = "minigrad-nn", "share/minigrad/lessons"
MARKDOWN = "# %% [markdown]"
PICTURE = re.compile(r"\((pictures/[^)]+)\)")
ANSWER = re.compile(r"\banswer\b[^=\n]*= *(\w+)\(")  # in a notebook's file, too


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
        return PICTURE.sub(lambda link: f"({(self.path.parent / link[1]).as_uri()})", self.text)

    @property
    def whole(self) -> str:
        """The script with its picture in it: JupyterLab shows no file from outside of the notebook's folder."""
        return PICTURE.sub(lambda link: f"({_within(self.path.parent / link[1])})", self.text)

    @property
    def title(self) -> str:
        """Its first heading, as in "Lesson 1: a neuron"."""
        return next(line.removeprefix("# # ") for line in self.text.splitlines() if line.startswith("# # "))

    @property
    def solution(self) -> Path:
        """The script with the right answer."""
        return self.path.parent / "solutions" / self.path.name

    @property
    def asks_for(self) -> set[str]:
        """The class of the layer that is its answer."""
        return _answered(self.text)


def lesson(options: argparse.Namespace) -> int:
    """`minigrad lesson [N [FILE …]]`: the list of lessons, a lesson, or what is to be said of answers to it."""
    lessons = all_lessons()
    if options.number is None and options.out is not None:
        raise ValueError(f"which lesson? `minigrad lesson 1 --out {options.out}` writes the first one")
    if options.number is None:
        print("\n".join([*(each.title for each in lessons), "`minigrad lesson 1 --out mine.py` writes the first one."]))
        return 0
    if not 1 <= options.number <= len(lessons):
        raise ValueError(f"there is no lesson {options.number}; they are 1 to {len(lessons)}")
    chosen = lessons[options.number - 1]
    if options.files and options.out is not None:
        raise ValueError("FILE is an answer to grade, --out a file to write the lesson to: give one of them")
    if options.json and not options.files:
        raise ValueError("--json tells what is to be said of answers: name the files to grade")
    if len(options.files) > 1 or glob.has_magic("".join(options.files)) or options.json:
        return _list(options, chosen)
    if options.files:
        return _tell(options, len(lessons), chosen)
    if options.out is None:
        print(chosen.elsewhere, end="")
        return 0
    out = Path(options.out)
    if out.suffix.lower() not in (".py", ".ipynb"):
        raise ValueError(f"{out}: --out takes a name that ends in .py, or in .ipynb for a notebook")
    refuse_output(out, options.force)
    out.write_text(notebook(chosen) if out.suffix.lower() == ".ipynb" else chosen.elsewhere, encoding="utf-8")
    print(f"{out}: {chosen.title}. Solve it there; `minigrad lesson {options.number} {out}` grades it")
    return 0


def _tell(options: argparse.Namespace, last: int, lesson: Lesson) -> int:
    """Grade FILE, and say so."""
    (file,) = options.files
    verdict = _graded(lesson, file)
    if not verdict.right:
        print(f"{verdict.printed}minigrad: {file}, {lesson.title}: not yet.\n{verdict.sentence}", file=sys.stderr)
        return 1
    following = f"mine{options.number + 1}{Path(file).suffix}"
    further = f"`minigrad lesson {options.number + 1} --out {following}` goes on."
    print(f"{verdict.printed}{lesson.title}: right. {verdict.sentence}")
    print("That was the last lesson." if options.number == last else further)
    return 0


def _list(options: argparse.Namespace, lesson: Lesson) -> int:
    """Grade several FILEs, those of a class say: each under its name, and how many are right."""
    files = [file for name in options.files for file in sorted(glob.glob(name)) or [name]]  # Windows' shell leaves *
    right, told = 0, []
    for file in files:
        try:
            verdict = _graded(lesson, file)
        except OSError as error:
            verdict = Verdict(False, f"It can't be read: {error.strerror}")
        except ValueError as error:
            verdict = Verdict(False, str(error))
        right += verdict.right
        told.append({"file": file, "right": verdict.right, "sentence": verdict.sentence})
        first, *further = verdict.sentence.splitlines()
        if not options.json:
            print("\n  ".join([f"{file}: {'right' if verdict.right else 'not yet'}. {first}", *further]), flush=True)
    if options.json:
        print(json.dumps({"lesson": options.number, "right": right, "answers": told}))
    else:
        print(f"{lesson.title}: {right} of {len(files)} right")
    return 0 if right == len(files) else 1


def _graded(lesson: Lesson, file: str) -> Verdict:
    """What is to be said of an answer to a lesson, also where it is another lesson's."""
    with busy(f"grading {file}"):
        verdict = graded(lesson.solution, Path(file))
    if verdict.right:
        return verdict
    given = _answered(Path(file).read_text(encoding="utf-8-sig"))
    for number, other in enumerate(all_lessons(), start=1):
        if given and given <= other.asks_for - lesson.asks_for:
            says = f"This is lesson {number}'s answer, a {''.join(given)}: `minigrad lesson {number} {file}` grades it"
            return Verdict(False, says, verdict.printed)
    return verdict


def _answered(text: str) -> set[str]:
    """The classes that a script's `answer` is of."""
    return set(ANSWER.findall(text))


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
    for number, (kind, text) in enumerate(cells(lesson.whole)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def _within(picture: Path) -> str:
    """A picture as an address that contains it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.read_bytes()).decode('ascii')}"

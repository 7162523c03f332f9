"""An answer to a lesson, graded: run as it is written, compared with the solution, and proved by the checker.

It is right if its forward is the solution's, since a right derivative of something else is no answer; if each method
that the solution's class writes is the learner's own; and if `check_layer`'s rules hold. In this order: the checker
believes forward, and would have a learner whose forward is wrong change a backward that is right. Two of its rules no
lesson speaks of: what breaks them is a remark.

A notebook is graded like a script. Its cells are written to files for it, whose names are what a learner calls them:
so everything that quotes a line says where it stands.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import json
import linecache
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command import watch
from minigrad.command.asked_forward import WrongAnswer, compare, kept_wrongly
from minigrad.derivation.profiling import watched
from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.testing import GradientError, Report
from minigrad.testing.contract import check
from minigrad.testing.rules.protocol import CONTRACT, zero_rows
from minigrad.testing.rules.values import finite, single_precision
from minigrad.testing.rules.variations import ONE_FEATURE, other_makes

PACKAGE = str(Path(__file__).parents[1])
GRADIENTS = tuple(str(Path(PACKAGE) / folder) for folder in ("testing", "derivation"))
REMARKS = {
    single_precision.promise: "np.zeros(…) is float64 whatever x is, while np.zeros_like(self.x) is of x's kind",
    finite.promise: "something overflows on the way; lesson 4 is about that",
    zero_rows.promise: "no rows are a batch, too: np.zeros_like(self.x) has x's shape always; fill that",
}
REQUIRED = tuple(rule for rule in CONTRACT if rule.promise not in REMARKS)
SHOWN = 6


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, what is to be said of it, and what it printed meanwhile, to stand before that."""

    right: bool
    sentence: str
    printed: str = ""


def grade(solution: Path, answer: Answer, printed: Printed | None = None) -> Verdict:
    """What is to be said of an answer. It runs in this process: `minigrad.command.apart` calls it in one of its own.

    What it prints while it is tried goes to `printed`.
    """
    asked, *_ = _run(Answer(solution, [solution]))
    printed = printed or Printed()
    try:
        with np.errstate(all="ignore"):  # an overflow is told by a sentence
            names, early, late = _run(answer)
            if "answer" not in names and early:
                return Verdict(False, early[0], str(printed))
            with contextlib.redirect_stdout(printed):
                sentence = _proved(answer, names, asked["answer"], asked["example"])
    except WrongAnswer as error:
        return Verdict(False, "\nBefore that, ".join([str(error), *early]), str(printed))
    except (SystemExit, KeyboardInterrupt) as error:
        return Verdict(False, answer.raised(error), str(printed))
    return Verdict(True, sentence + _remarked(early + late), str(printed))


def _remarked(raised: list[str]) -> str:
    """What is said, beside a right answer, of what raised."""
    whole = [each if each.endswith(("?", "!", ".")) else f"{each}." for each in raised]
    return "".join(f"\nA remark, beside the answer, which is right: {each}" for each in whole)


@dataclass(frozen=True)
class Answer:
    """A learner's script, or the files of a notebook's cells."""

    path: Path
    files: list[Path]

    @classmethod
    def of(cls, path: Path, folder: Path) -> Answer:
        """A script itself; of a notebook, a file in `folder` for each cell of code.

        Raises ValueError or OSError for what is none.
        """
        linecache.checkcache()
        try:
            text = path.read_text(encoding="utf-8-sig")
            if path.suffix.lower() != ".ipynb":
                return cls(path.absolute(), [path.absolute()])
            made = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not text in UTF-8: {error}") from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a notebook") from error
        files = []
        for number, source in enumerate(made, start=1):
            files.append(folder / f"code cell {number}")
            files[-1].write_text(_as_python(source if isinstance(source, str) else "".join(source)), encoding="utf-8")
        return cls(path.absolute(), files)

    def place(self, frames: traceback.StackSummary) -> tuple[str, int]:
        """The file and the line of it that these calls have come from last; ("", 0) if none."""
        own = {str(file) for file in self.files}
        return next(((f.filename, f.lineno) for f in reversed(frames) if f.filename in own and f.lineno), ("", 0))

    def called(self, file: str, line: int) -> str:
        """A line as a learner calls it."""
        return f"line {line}" if file == str(self.path) else f"{Path(file).name}, line {line}"

    def raised(self, error: BaseException) -> str:
        """What is said of an error, with its line if it comes from the answer."""
        file, line = self.place(traceback.extract_tb(error.__traceback__))
        where = f"{self.called(file, line)}: " if file else ""
        return where + ": ".join(filter(None, (type(error).__name__, str(error))))

    def endless(self, error: watch.TooLong) -> str:
        """What is said of a loop that does not end."""
        if not error.line:
            return f"it does not come to an end: it was stopped after {error.seconds:.0f} s"
        line = linecache.getline(error.file, error.line).strip()
        return (
            f"{error.function} does not come to an end: after {error.seconds:.0f} s it is still in "
            f"{self.called(error.file, error.line)}, `{line}`. Does its loop ever stop?"
        )


# ----------------------------------------------------------------------------------------------------- running a file
def _as_python(cell: str) -> str:
    """A cell without the notebook's own commands: %magic, !shell and name?."""
    if re.match(r"%%(?!time|capture)", cell):
        return "pass\n" * len(cell.splitlines())
    return re.sub(r"^([%!].*|\?*[\w.]+\?+|\?+[\w.]+)$", "pass", cell, flags=re.M)


def _run(answer: Answer) -> tuple[dict[str, Any], list[str], list[str]]:
    """The names that a script, or a notebook's cells, leave, run as alone, but printing nothing; and what they raised.

    That is parted by whether the answer was there already. A cell is run after one that raised, as people do who try
    things in between.
    """
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(answer.path), "display": print}
    early, late = list[str](), list[str]()
    for file in answer.files:
        try:
            with contextlib.redirect_stdout(Printed()):
                _execute(file, names, answer.path.suffix.lower() == ".ipynb")
        except BaseException as error:
            (late if "answer" in names else early).append(_said(answer, error))
    return names, early, late


def _said(answer: Answer, error: BaseException) -> str:
    """What is said of an error of the file's own lines."""
    if isinstance(error, SyntaxError):
        return f"{answer.called(error.filename or '', error.lineno or 0)}: {type(error).__name__}: {error.msg}"
    if isinstance(error, watch.Stopped):
        place = answer.place(traceback.extract_tb(error.__traceback__))
        return answer.endless(watch.TooLong(error.seconds, "it", *place))
    return answer.raised(error)


def _execute(file: Path, names: dict[str, Any], notebook: bool) -> None:
    """Run a file; a notebook's cell may await, as it may in Jupyter."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if notebook else 0
    code = compile(file.read_text(encoding="utf-8-sig"), str(file), "exec", flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        import asyncio

        asyncio.run(eval(code, names))
    else:
        exec(code, names)


class Printed:
    """A stream that keeps the first lines and counts the others: the checker calls a layer a thousand times.

    In `file`, those that are kept stand even if Python ends.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.kept: str = ""
        self.lines: int = 0
        self.file = file

    def write(self, text: str) -> int:
        """Take a text."""
        if self.lines < SHOWN:
            self.kept += text[:2000]
            if self.file:
                self.file.write_text(self.kept, encoding="utf-8")
        self.lines += text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def __str__(self) -> str:
        if not self.kept:
            return ""
        lines = self.kept.splitlines()[:SHOWN]
        more = self.lines - len(lines)
        lines += [f"… and {more:,} lines more: it is tried with many inputs"] if more > 0 else []
        return "It prints:\n" + "".join(f"  {line}\n" for line in lines)


# ------------------------------------------------------------------------------------------------------------- proving
def _proved(answer: Answer, names: dict[str, Any], wanted: Layer, example: Any) -> str:
    """What is said of a right answer. Raises WrongAnswer with what is wrong, mostly in the checker's words."""
    layer = names.get("answer")
    if not isinstance(layer, Layer):
        sets = f"`answer` is {layer!r} in the end" if "answer" in names else "it sets no layer `answer`"
        raise WrongAnswer(f"{sets}: keep the lesson's line `answer = {wanted!r}`")
    own = [name for name, value in vars(type(wanted)).items() if inspect.isfunction(value) and name[0] != "_"]
    for name in own:
        code = getattr(inspect.unwrap(getattr(layer, name)), "__code__", None)
        if code is None or code.co_filename not in map(str, answer.files):
            raise WrongAnswer(
                f"{type(layer).__name__} has no {name} of its own in this file. The lesson asks for one: where a layer "
                f"has none, minigrad's stands in, and there is nothing to grade"
            )
    compare(layer, wanted, example, REQUIRED)
    for one, other in _with_other_arguments(layer, wanted):
        compare(one, other, example, REQUIRED)
    try:
        report = check(layer, example, rules=REQUIRED, asked=wanted)
    except GradientError as error:
        kept = kept_wrongly(layer, wanted, example, REQUIRED)
        raise WrongAnswer(kept or _sentence(answer, layer, error)) from error
    remarks = []
    for rule in (rule for rule in CONTRACT if rule not in REQUIRED):
        try:
            report.include(check(layer, example, rules=[rule], asked=wanted))
        except GradientError as error:
            remarks.append(f"\nA remark, for layers beyond the lessons: {error.what}; {REMARKS[error.rule]}.")
    _by_hand(answer, layer, wanted, example)
    return _summary(report) + "".join(remarks)


def _with_other_arguments(answer: Layer, wanted: Layer) -> Iterator[tuple[Layer, Layer]]:
    """Both, made anew with another number: one that is written out in forward is not what the lesson asks for."""
    theirs = dict(other_makes(answer))
    for words, make in other_makes(wanted):
        if words in theirs and words != ONE_FEATURE:
            try:
                made = theirs[words](), make()
            except Exception:  # refused
                continue
            yield made


def _summary(report: Report) -> str:
    """A report in one line."""
    held = [finding for finding in report.findings if finding.verdict == "holds"]
    proved = next(finding for finding in held if finding.rule.startswith("gradients equal"))
    return f"Its {proved.rule} ({proved.detail}), and {len(held) - 1} more rules hold."


def _sentence(answer: Answer, layer: Layer, error: GradientError) -> str:
    """What `check_layer` says, with the line of the answer that raised, if one did; of a hole, that it is one."""
    written_in = inspect.unwrap(layer.forward).__code__.co_filename
    said = re.sub(r"\(line (\d+)\)", lambda line: f"({answer.called(written_in, int(line[1]))})", str(error))
    said = said.replace("print(minigrad.derive(layer)) writes it", f"{_derive(answer.path)} writes it")
    cause = error.__cause__
    file, line = answer.place(traceback.extract_tb(cause.__traceback__)) if cause else ("", 0)
    if not file:
        return said
    if isinstance(cause, NotImplementedError):
        return f"{answer.called(file, line)} is still the hole, {cause}"
    place = f"({Path(file).name}, line {line})"
    if error.written.endswith(place):
        return said
    return f"{said}\n  raised by:  {linecache.getline(file, line).strip()}   {place}"


def _derive(path: Path) -> str:
    """What shows the backward of the answer, derived from its forward."""
    if path.suffix == ".py" and path.stem.isidentifier() and path.resolve().parent == Path.cwd():
        return f"`minigrad derive {path.stem}:answer`"
    last = "as its last cell" if path.suffix == ".ipynb" else "as its last line"
    return f"`import minigrad; print(minigrad.derive(answer))` {last}"


def _by_hand(answer: Answer, layer: Layer, wanted: Layer, example: Any) -> None:
    """Raise WrongAnswer where a method leaves its work to one of minigrad's that the solution does not call."""
    known = _handed_over(wanted, example)
    for whose, frames in _handed_over(layer, example).items():
        file, line = answer.place(frames)
        if file and whose not in known:
            raise WrongAnswer(
                f"{answer.called(file, line)}, `{linecache.getline(file, line).strip()}`, hands over to {whose}. It is "
                "right, but the lesson is to write it yourself"
            )


def _handed_over(layer: Layer, example: Any) -> dict[str, traceback.StackSummary]:
    """What of minigrad does a layer's work in forward and backward, each with the calls that led there first.

    These are methods of its layers and losses, what derives or measures a gradient, and a backward that was derived:
    its code stands in no file.
    """
    layer, found = copy.deepcopy(layer), dict[str, traceback.StackSummary]()

    def called(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name[0] in "_<":
            return
        holder, ours = frame.f_locals.get("self"), code.co_filename.startswith(PACKAGE)
        if not ours and code.co_name == "backward" and code.co_filename == "<string>":
            whose = "a backward that is written in no file, a derived one say"
        elif not ours:
            return
        elif isinstance(holder, Layer | Loss) and (type(holder).__module__ + ".").startswith("minigrad."):
            whose = f"the {code.co_name} of minigrad's {type(holder).__name__}"
        elif code.co_filename.startswith(GRADIENTS):
            whose = f"minigrad's {code.co_name}"
        else:
            return
        if whose not in found:
            found[whose] = traceback.extract_stack(frame)

    def of(method: Any, argument: Any) -> Any:
        with watched(called):
            return method(argument)

    of(layer.backward, np.ones_like(of(layer.forward, example.copy())))
    return found

"""Every lesson runs, is solved by its solution, and says of a stub and of the usual mistakes what it promises."""

import base64
import json
import re
import runpy
import sys
import textwrap
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from minigrad import Sequential, data
from minigrad.command import apart, grading, lessons, watch
from minigrad.command.lessons import all_lessons, cells
from minigrad.command.main import main

LESSONS = all_lessons()
ids = [lesson.path.stem for lesson in LESSONS]
each = pytest.mark.parametrize("lesson", LESSONS, ids=ids)

# Of each lesson: a line of the solution, a mistake in its place, and words of the sentence that it gets.
MISTAKES = [
    (1, "x @ self.w + self.b", "x @ self.w", "likely bug: y does not change with b: forward leaves it out"),
    (1, "np.tanh(x @ self.w + self.b)", "x @ self.w + self.b", "likely bug: tanh is left out"),
    (1, "x @ self.w", "self.w @ x", "the other, 5, which have to be equal; its two sides are exchanged\n"),
    (1, "        self.x = x\n", "", "raised by:  self.dw = self.x.T @ dz   (mine.py, line "),
    (
        1,
        "self.y = np.tanh(x @ self.w + self.b)\n        return self.y",
        "self.Y = np.tanh(x @ self.w + self.b)\n        return self.Y",
        "it reads `self.y`, in forward `self.Y`: forward has to call it what backward does",
    ),
    (
        1,
        "np.tanh(x @ self.w + self.b)",
        "np.tanh(np.sum(x * self.w) + self.b)",
        "`sum` goes over all of `x * self.w`: it lacks axis=-1\n",
    ),
    (
        1,
        "x @ self.w + self.b",
        "x @ self.w - self.b",
        "likely bug: the operation in `x @ self.w - self.b`: `x @ self.w + ",
    ),
    (
        1,
        "self.y = np.tanh(x @ self.w + self.b)\n        return self.y",
        "self.y = x @ self.w + self.b\n        return np.tanh(self.y)",
        "  right:      self.y = np.tanh(x @ self.w + self.b);  return self.y   (tried: then it is right)",
    ),
    (
        1,
        "        dz = dy",
        "        print(dy)\n        dz = self.y * dy",
        "likely bug: the factor `self.y` is too much",
    ),
    (
        1,
        "self.dw = self.x.T @ dz",
        "self.dw += self.x.T @ dz",
        "right:      self.dw = self.x.T @ dz   (tried: then it is",
    ),
    (
        1,
        "return np.outer(dz, self.w)",
        "return np.outer(dz, self.w), self.dw",
        "likely bug: return dx alone; the gradients",
    ),
    (
        1,
        "self.y = np.tanh(x @ self.w + self.b)",
        "y = np.zeros_like(x[:, 0])\n        for r in range(len(x)):\n            z = self.b\n"
        "            for i in range(3):\n                z += x[r, i] * self.w[i]\n            y[r] = np.tanh(z)\n"
        "        self.y = y",
        "then this is right, and something else still wrong: the gradient of w[",
    ),
    (1, "x @ self.w +", "x * self.w +", "the shape (5, 3); the lesson asks for an array of the shape (5,)"),
    (1, "return self.y\n", "pass\n", "forward returns nothing"),
    (2, "(dy * self.x).sum(axis=0)", "(dy * self.x).mean(axis=0)", "too small by exactly the batch size"),
    (2, "self.dw = ", "self.w = ", "right:      self.dw = (dy * self.x).sum(axis=0)   (tried: then it is right)"),
    (2, "return dy * self.w", "return self.dw, self.db, dy * self.w", "right:      return dy * self.w   (tried: then"),
    (
        2,
        "return dy * self.w",
        "return [row * self.w for row in dy]",
        "return np.array([row * self.w for row in dy])   (t",
    ),
    (
        2,
        "self.db =",
        "print(self.dw2)\n        self.db =",
        "right:      nothing: leave the line out   (tried: then it is",
    ),
    (
        2,
        "self.db =",
        "input()\n        self.db =",
        "right:      nothing: leave the line out   (tried: then it is right",
    ),
    (
        2,
        "self.dw = (dy * self.x).sum(axis=0)\n        self.db = dy.sum(axis=0)",
        "self.dw = (dy * self.x).sum(axis=1).sum() * self.w\n        for row in dy:\n            self.db += row",
        "right:      self.db[...] = 0;",
    ),
    (2, "self.dw = ", "self.dW = ", "`self.dW` is no gradient of this layer: `self.dw` belongs there\n"),
    (
        2,
        "self.dw = (dy * self.x).sum(axis=0)",
        "self.w.grad = torch.sum(dy * self.x.clone(), dim=0)",
        "there is no `torch.sum` and `dim=`: `np.sum` and `axis=` belong there; an array has no method `clone`: `self.",
    ),
    (2, "def backward(self, dy)", "def backward(dy)", "`self` is missing among the arguments of backward"),
    (
        2,
        "self.dw = (dy * self.x).sum(axis=0)",
        "w = self.w\n        self.w = w + 1e-5\n        up = self.forward(self.x)\n        self.w = w - 1e-5\n"
        "        down = self.forward(self.x)\n        self.w = w\n"
        "        self.dw = (dy * (up - down) / 2e-5).sum(axis=0)",
        "right:      w = self.w.copy()   (tried: then it is right)",
    ),
    (2, "dy * self.w", "dy @ self.w", "right:      return dy * self.w   (tried: then it is right)"),
    (2, "(dy * self.x).sum(axis=0)", "dy * self.x", "not summed over the batch"),
    (1, "np.tanh(x @ self.w", "np.tanh(x * self.w", "the operation in `x * self.w`: `x @ self.w` belongs"),
    (3, "dy * self.y * (1 - self.y)", "dy", "the factor `self.y * (1 - self.y)` is missing, the slope of a sigmoid"),
    (3, "@ self.W1.T", "@ self.W1", "`dz1` has the shape (5, 4), `self.W1` (3, 4): @ goes along the last axis of the"),
    (3, "dz1 @ self.W1.T", "dz @ self.W1.T", "there is no `dz`: `dz1` belongs there"),
    (3, ".sum(axis=0)", ".sum(axis=1)", "self.db2 = dz2.sum(axis=0);  self.db1 = dz1.sum(axis=0)   (tried: then it is"),
    (
        3,
        "da1 * self.a1 * (1 - self.a1)\n        self.dW1 = self.x.T @ dz1\n        self.db1 = dz1.sum(axis=0)",
        "da1 * self.a1\n        self.dW1 = self.x.T @ dz1\n        self.db1 = dz1.mean(axis=0)",
        "right:      dz1 = da1 * self.a1 * (1 - self.a1);  self.db1 = dz1.sum(axis=0)   (tried: then it is right)",
    ),
    (
        3,
        "da1 * self.a1 * (1 - self.a1)",
        "da1 * sigmoid(self.a1) * (1 - sigmoid(self.a1))",
        "not belong there: at 2",
    ),
    (
        4,
        "np.maximum(z, 0) + np.log1p(np.exp(-abs(z))) - self.t * z",
        "-(self.t * np.log(1 / (1 + np.exp(-z))) + (1 - self.t) * np.log(1 - 1 / (1 + np.exp(-z))))",
        "forward is right where it is finite. For its example, y[0, 0] is inf, but should be 240, where x is -800",
    ),
    (
        4,
        "np.maximum(z, 0) + np.log1p(np.exp(-abs(z))) - self.t * z",
        "-(self.t * np.log(sigmoid(z) + 1e-12) + (1 - self.t) * np.log(sigmoid(-z) + 1e-12))",
        "forward is right where x is small, but not where it is large. For its example, y[0, 0] is 8.28931, but should",
    ),
    (
        3,
        "self.db2 = dz2.sum(axis=0)",
        "for row in dz2:\n            self.db2 = row",
        "right:      self.db2[...] = 0;  self.db2 += row   (tried: then it is right)",
    ),
    (3, "return dz1 @ self.W1.T", "return dz1", "the product with `self.W1` is missing, through which x goes"),
    (4, "- self.t * z", "", "likely bug: the term -`self.t * z` is missing"),
    (4, "- self.t * z", "- 0.3 * z", "Cost(0.21): forward is another function than the lesson asks for"),
    (4, "sigmoid(self.z) - self.t", "sigmoid(self.z) - 0.3", "the number 0.3 where `self.t` belongs"),
    (
        5,
        "self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))",
        "dy * self.y * (1 - self.y)",
        "only the diagonal of the Jacobian",
    ),
    (
        1,
        "x @ self.w + self.b",
        "sum(x[:, i] * self.w[i] for i in range(3)) + self.b",
        "the number 3 where `self.in_fea",
    ),
    (
        1,
        "x @ self.w + self.b",
        "x[:, 0] * self.w[0] + x[:, 1] * self.w[1] + x[:, 2] * self.w[2] + self.b",
        "forward has its columns written out one by one, `x[:, 0]` to `x[:, 2]`",
    ),
    (3, "dz2.sum(axis=0)", "sum(dz2[r] for r in range(5))", "likely bug: the number 5 where `len(dy)` belongs\n"),
    (
        5,
        "        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))",
        """        dx = self.y * dy
        for j in range(4):
            for k in range(4):
                dx[:, j] -= self.y[:, j] * dy[:, k] * self.y[:, k]
        return dx""",
        "likely bug: the number 4 where `dy.shape[1]` belongs: at 2 places\n",
    ),
    (
        8,
        "reversed(range(self.x.shape[1]))",
        "[4, 3, 2, 1, 0]",
        "4, 3, 2, 1, 0] where `reversed(range(self.x.shape[1]))`",
    ),
    (5, "(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).sum(axis=0)", "the wrong axis: axis=-1"),
    (5, "(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).sum(axis=-1)", "keepdims=True is missing"),
    (5, "(dy * self.y).sum(", "dy.sum(", "the derivative of softmax: with p = `self.y` and g = `dy` it is"),
    (
        6,
        "        dr = ",
        "        dv = -1 / 2 * self.r**3 * dr\n        dr = ",
        "`dv` is computed from `dr`, which is made only after it: its line belongs below that",
    ),
    (6, "dd + dmean / self.n", "dd", "the term `dmean / self.n` is missing"),
    (6, "self.r**3", "self.r**2", "the number 2 where 3 belongs\n  written:    dv = "),
    (
        7,
        "dx[:, i : i + self.n] += dy",
        "dx[:, i : i + self.n] = dy",
        "each pass of the loop puts `dx[:, i:i + self.n]`",
    ),
    (7, "self.db = dy.sum()", "self.db = dy[:, :5].sum()", "`:` belongs there, not `:5`\n  written:    self.db = dy"),
    (
        7,
        "in range(self.size):\n            dx",
        "in range(3):\n            dx",
        "the number 3 where `self.size` belongs",
    ),
    (
        7,
        "dx = np.zeros_like",
        "dx = np.empty_like",
        "right:      dx = np.zeros_like(self.x)   (tried: then it is right)",
    ),
    (7, "dy * self.w[i]", "dy * self.dw[i]", "`self.dw`, a gradient, stands where the parameter `self.w` belongs"),
    (7, "        return dx", "            return dx", "right:      return dx, after the loop, not in it   (tried"),
    (7, "(dy * self.x[:, i : i + self.n]).sum()", "(dy * self.x[:, : self.n]).sum()", "the gradient of w"),
    (8, "            dV += self.h[t].T @ dz", "            dV = self.h[t].T @ dz", "each pass of the loop puts `dV`"),
    (8, "dh * (1 - self.h[t + 1] ** 2)", "dh", "the factor `1 - self.h[t + 1] ** 2` is missing, the slope of tanh"),
    (8, "dV += self.h[t].T", "dV += self.h[t - 1].T", "right:      dV += self.h[t].T @ dz   (tried: then it is right)"),
    (
        8,
        "self.x.shape[1])):\n            dz = dh * (1 - self.h[t + 1] ** 2)\n            dU += self.x[:, t]",
        "len(self.x))):\n            dz = dh * (1 - self.h[t + 1] ** 2)\n            dU += self.x[t]",
        "right:      for t in reversed(range(self.x.shape[1])):;  dU += self.x[:, t].T @ dz   (tried: then it is",
    ),
    (8, "dx[:, t] = dz", "dx[t] = dz", "`dx[t]` is a row, where a step of all rows belongs, `dx[:, t]`"),
    (8, "        return dx", "        dx", "likely bug: backward does not return dx\n  written:    dx "),
    (8, "self.dU, self.dV, self.db = dU, dV, db", "pass", "`self.dU, self.dV, self.db = dU, dV, db` is missing"),
    (8, "dh = dz @ self.V.T", "dh *= 1 - self.h[t] ** 2", "`a += …` changes the array itself"),
    (8, "reversed(range(self.x.shape[1]))", "[self.x.shape[1] - 1]", "comes back through time"),
    (9, "self.P * (dP - (dP * self.P).sum(axis=-1, keepdims=True))", "dP", "the Jacobian of softmax is left out: `dP`"),
    (9, "self.P * (dP - (dP * self.P).sum(axis=-1, keepdims=True))", "self.P * (1 - self.P) * dP", "only the diagonal"),
    (
        10,
        "self.relu.backward(self.narrow.backward(dy))",
        "self.narrow.backward(dy)",
        "`self.relu` is left out",
    ),
    (
        10,
        "return da + self.norm1.backward(self.attention.backward(da))",
        "return (da + self.norm1.backward(self.attention.backward(da))) / 2",
        "written:    return (da + self.norm1",
    ),
    (
        10,
        "self.norm1.backward(self.attention.backward(da))",
        "self.attention.backward(self.norm1.backward(da))",
        "the order: `self.attention.backward` comes before `self.norm1.backward` on the way back",
    ),
    (10, "return da + self", "return self", "the term `da` is missing"),
    (
        10,
        ".backward(",
        ".forward(",
        "an inner layer's `forward` is called on the way back, where its `backward` belongs: at",
    ),
    (
        10,
        "da = dy + self",
        "da = 3 * dy - self",
        "`da` does not hold what the lesson's `da` does: with that, all else is",
    ),
]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, tmp_path):
    """Answers are graded here: starting a Python for each would cost minutes."""
    here = lambda solution, path: grading.grade(solution, grading.Answer.of(path, tmp_path))  # noqa: E731
    monkeypatch.setattr(lessons, "graded", here)


def solved(lesson):
    """The lesson's own text with the solution's classes in the place of those with the hole."""
    text, solution = lesson.text, lesson.solution.read_text(encoding="utf-8")
    name = lesson.text.split("\nanswer, example = ")[1].partition("(")[0]
    start, end = f"class {name}(Layer):", "\n\n\n# %%\nanswer"
    (hole, full) = (each[each.index(start) : each.index(end)] for each in (text, solution))
    return text.replace(hole, full)


def run(path, capsys):
    """What a script prints; pytest makes every warning an error."""
    runpy.run_path(str(path), run_name="__main__")
    out, err = capsys.readouterr()
    assert err == ""
    return out


def graded(number, path, capsys):
    status = main(["lesson", str(number), str(path)])
    out, err = capsys.readouterr()
    return status, out, err


def test_there_are_ten_and_each_has_its_solution_and_its_picture():
    assert [lesson.title.partition(":")[0] for lesson in LESSONS] == [f"Lesson {n}" for n in range(1, 11)]
    for lesson in LESSONS:
        assert lesson.solution.exists()
        assert f"](pictures/{lesson.path.stem[:9]}.svg)" in lesson.text
        assert (lesson.path.parent / "pictures" / f"{lesson.path.stem[:9]}.svg").exists()
    assert {number for number, *_ in MISTAKES} == set(range(1, 11))


@each
def test_a_lesson_runs_as_it_is_and_says_what_is_to_be_done(lesson, capsys):
    assert "NotImplementedError: your turn: " in run(lesson.path, capsys)


@each
def test_a_lesson_that_is_solved_wrongly_runs_to_its_end(lesson, tmp_path, capsys):
    """The sentence is what a learner is to read, not the traceback of a later cell."""
    path = tmp_path / "mine.py"
    path.write_text(re.sub(r"raise NotImplementedError\(.*", "self.done = self.missing", lesson.text), encoding="utf-8")
    assert "ward raises AttributeError" in run(path, capsys)


@each
def test_a_lesson_runs_when_it_is_solved(lesson, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(solved(lesson), encoding="utf-8")
    names = runpy.run_path(str(path), run_name="__main__")
    printed, err = capsys.readouterr()
    assert err == "" and "): right\n" in printed
    # Who forgets a `self.` must not be given a number of the page's instead: the error would be found far from there.
    answer = names["answer"]
    answer.backward(np.zeros_like(answer.forward(names["example"])))
    methods = [value for key, value in vars(type(answer)).items() if hasattr(value, "__code__") and key[0] != "_"]
    own = {*vars(answer), *(name for method in methods for name in method.__code__.co_varnames)}
    assert [name for name, value in names.items() if name in own and isinstance(value, np.ndarray | list | float)] == []
    if "Lesson 3" in lesson.title:
        differences = [float(line.split()[-1]) for line in printed.splitlines() if "largest difference" in line]
        assert len(differences) == 3 and max(differences) < 1e-12
    if "Lesson 10" in lesson.title:
        (line,) = [line for line in printed.splitlines() if line.startswith("sorted rightly: ")]
        assert float(line.split()[2].rstrip("%")) > 90


@each
def test_the_solution_is_right_and_the_stub_is_not(lesson, capsys, tmp_path):
    number = LESSONS.index(lesson) + 1
    status, out, err = graded(number, lesson.solution, capsys)
    assert (status, err) == (0, "")
    assert f"{lesson.title}: right." in out
    status, out, err = graded(number, lesson.path, capsys)
    assert (status, out) == (1, "")
    assert f"{lesson.title}: not yet." in err and re.search(r"line \d+ is still the hole, your turn: ", err)


@pytest.mark.parametrize(("number", "line", "mistake", "words"), MISTAKES)
def test_a_usual_mistake_gets_its_sentence(number, line, mistake, words, tmp_path, capsys):
    solution = LESSONS[number - 1].solution.read_text(encoding="utf-8")
    assert line in solution
    path = tmp_path / "mine.py"
    path.write_text(solution.replace(line, mistake), encoding="utf-8")
    status, out, err = graded(number, path, capsys)
    assert (status, out) == (1, "")
    assert words in err


def test_another_function_is_no_answer(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\nfrom minigrad import Layer\n\n\nclass Mine(Layer):\n"
        "    def forward(self, x):\n        return x**2\n\n"
        "    def backward(self, dy):\n        return dy\n\n\nanswer = Mine()\n"
    )
    status, _, err = graded(5, path, capsys)
    assert status == 1 and "Mine(): forward is another function than the lesson asks for. For its example, y[" in err
    status, _, err = graded(2, path, capsys)
    assert status == 1 and "Mine() has the parameters {}; the lesson asks for {'w': (3,), 'b': (3,)}" in err


def test_another_lessons_answer_is_told(capsys):
    status, _, err = graded(3, LESSONS[1].solution, capsys)
    assert status == 1 and "This is lesson 2's answer, a Line: `minigrad lesson 2 " in err


def changed(number, line, other):
    """A lesson's solution with another line in the place of one."""
    text = LESSONS[number - 1].solution.read_text(encoding="utf-8")
    assert line in text
    return text.replace(line, other)


@each
def test_who_writes_no_backward_or_calls_minigrads_has_not_answered(lesson, tmp_path, capsys):
    """A layer without one has one, derived, which is right: nothing would be the learner's."""
    path, number = tmp_path / "mine.py", LESSONS.index(lesson) + 1
    text = lesson.solution.read_text(encoding="utf-8")
    path.write_text(re.sub(r"    def backward.*?\n(?=    def |\n\n)", "", text, flags=re.S), encoding="utf-8")
    status, _, err = graded(number, path, capsys)
    assert status == 1 and " has no backward of its own in this file. The lesson asks for one" in err
    if number == 5:
        line = "        return self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))"
        theirs = "inner = minigrad.Softmax()\ninner.forward(np.log(self.y))\nreturn inner.backward(dy)"
        path.write_text("import minigrad\n" + changed(5, line, textwrap.indent(theirs, " " * 8)), encoding="utf-8")
        status, _, err = graded(5, path, capsys)
        assert status == 1 and "`inner.forward(np.log(self.y))`, hands over to the forward of minigrad's Softmax" in err
        theirs = f"        derived = minigrad.derive(self)\n{line}"
        path.write_text("import minigrad\n" + changed(5, line, theirs), encoding="utf-8")
        status, _, err = graded(5, path, capsys)
        assert status == 1 and "`derived = minigrad.derive(self)`, hands over to minigrad's derive." in err
        theirs = "made = minigrad.derive(Kept(), np.ones((5, 4))).pasted()\n\n\n# %%\nclass Softmax"
        kept = "import minigrad\n\n\nclass Kept(Layer):\n    def forward(self, x):\n        return softmax(x)\n\n\n"
        text = changed(5, line, "        made.forward(np.log(self.y))\n        return made.backward(dy)")
        path.write_text(text.replace("# %%\nclass Softmax", kept + theirs), encoding="utf-8")
        status, _, err = graded(5, path, capsys)
        assert status == 1 and "`return made.backward(dy)`, hands over to a backward that is written in no file" in err


def test_what_no_lesson_speaks_of_is_a_remark(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(changed(8, "np.zeros_like(self.x)", "np.zeros(self.x.shape)"), encoding="utf-8")
    status, out, _ = graded(8, path, capsys)
    assert status == 0 and "A remark, for layers beyond the lessons: in float32 backward returns float64; np.zer" in out
    line = "self.y * (dy - (dy * self.y).sum(axis=-1, keepdims=True))"
    by_rows = "np.array([y * (g - (g * y).sum()) for y, g in zip(self.y, dy)])"
    path.write_text(changed(5, line, by_rows), encoding="utf-8")
    status, out, _ = graded(5, path, capsys)
    assert status == 0 and "for x of shape (0, 4) dx has the shape (0,); no rows are a batch, too" in out


def test_what_is_printed_is_shown_once_and_a_loop_without_an_end_is_stopped(tmp_path, monkeypatch, capsys):
    path, line = tmp_path / "mine.py", "        da1 = dz2 @ self.W2.T"
    path.write_text(changed(3, line, f"{line}\n        print('da1', da1.shape)"), encoding="utf-8")
    status, out, _ = graded(3, path, capsys)
    assert status == 0 and out.count("da1") == 6 and out.startswith("It prints:\n  da1 (5, 4)\n")
    path.write_text(changed(3, line, "        raise SystemExit"), encoding="utf-8")
    status, _, err = graded(3, path, capsys)
    assert status == 1 and re.search(r"line \d+: SystemExit", err)


def test_what_an_answer_does_to_python_is_told_and_done_to_no_other(tmp_path, monkeypatch, capsys):
    """To end it, to leave the folder, to hang: with the line where it is known."""
    monkeypatch.chdir(tmp_path)
    verdicts = []
    monkeypatch.setattr(lessons, "graded", lambda *task: verdicts.append(apart.graded(*task)) or verdicts[-1])
    monkeypatch.setattr(watch, "CALL", 0.3)
    line = "        da1 = dz2 @ self.W2.T"
    for name, other in {
        "a": f"        import os\n        print(da1 := 1)\n        os._exit(0)\n{line}",
        "b": f"        import os\n        os.chdir(os.sep)\n{line}",
        "c": "        raise KeyboardInterrupt",
        "d": f"{line}\n        while len(da1):\n            da1 = da1 + 1",
        "e": f"{line}\n        input()",
    }.items():
        Path(f"{name}.py").write_text(changed(3, line, other), encoding="utf-8")
    with Path("b.py").open("a", encoding="utf-8") as file:
        file.write("import time\ntime.sleep(100)\n")
    assert main(["lesson", "3", *(f"{name}.py" for name in "abcde")]) == 1
    out, err = capsys.readouterr()
    told = [line for line in out.splitlines() if line[0] != " "]
    for said, words in zip(
        told,
        [
            r"a.py: not yet. It ended Python itself \(status 0\) before it could be graded",
            r"b.py: right. ",
            r"c.py: not yet. line \d+: KeyboardInterrupt",
            r"d.py: not yet. backward does not come to an end: .* it is still in line \d+, `",
            r"e.py: not yet. .*backward raises EOFError",
            r".*1 of 5 right",
        ],
        strict=True,
    ):
        assert re.match(words, said), said
    assert re.search(r"A remark, .*: it does not come to an end: after 0 s .*, `time.sleep\(100\)`\. Does", out)
    assert err == "" and verdicts[0].printed == "It prints:\n  1\n"
    monkeypatch.setattr(apart, "LATE", -watch.WHOLE)
    assert main(["lesson", "3", "b.py"]) == 1
    assert "it does not come to an end: it was stopped after 120 s" in capsys.readouterr().err


def test_the_command_of_a_sentence_writes_the_derived_backward(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("for_lesson_6.py").write_text(changed(6, "dd + dmean / self.n", "self.r * du"), encoding="utf-8")
    _, _, err = graded(6, "for_lesson_6.py", capsys)
    (command,) = re.findall("`minigrad (.*)` writes it", err)
    assert main(command.split()) == 0
    assert capsys.readouterr().out.startswith("def backward(self, dy):")
    sys.modules.pop("for_lesson_6")


def test_a_class_is_graded_by_one_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", ".mean"), ("b", ".sum")):
        Path(f"{name}.py").write_text(changed(2, "(dy * self.x).sum", f"(dy * self.x){text}"), encoding="utf-8")
    Path("d.ipynb").write_text("{}")
    assert main(["lesson", "2", "a.py", "b.py", "c.py", "d.ipynb"]) == 1
    out, err = capsys.readouterr()
    verdicts = [line for line in out.splitlines() if line[0] != " "]
    assert [line.partition(". ")[0] for line in verdicts] == [
        *("a.py: not yet", "b.py: right", "c.py: not yet", "d.ipynb: not yet"),
        f"{LESSONS[1].title}: 1 of 4 right",
    ]
    assert err == "" and "\n    likely bug: too small by exactly the batch size" in out and "No such file" in out
    assert main(["lesson", "2", "b.py", "[b].py"]) == 0  # a pattern that the shell has not filled in
    assert capsys.readouterr().out.endswith("2 of 2 right\n")
    assert main(["lesson", "2", "b.py", "c.py", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["lesson"], told["right"]) == (2, 1)
    assert [(each["file"], each["right"]) for each in told["answers"]] == [("b.py", True), ("c.py", False)]


def test_a_cell_that_raises_is_told_beside_the_answer_and_one_may_await(tmp_path, capsys):
    def told(answer):
        texts = ["1 / 0", answer, "import asyncio\nawait asyncio.sleep(0)", "unheard"]
        made = [{"cell_type": "code", "source": text} for text in texts]
        (tmp_path / "mine.ipynb").write_text(json.dumps({"cells": made}), encoding="utf-8")
        return graded(5, tmp_path / "mine.ipynb", capsys)

    right = LESSONS[4].solution.read_text(encoding="utf-8")
    status, out, err = told(right)
    assert (status, err) == (0, "") and "right. Its gradients" in out
    assert re.findall(r"A remark, beside the answer, which is right: (.*)", out) == [
        "code cell 1, line 1: ZeroDivisionError: division by zero.",
        "code cell 4, line 1: NameError: name 'unheard' is not defined.",
    ]
    status, _, err = told(changed(5, "(dy * self.y).sum(axis=-1, keepdims=True)", "(dy * self.y).sum(axis=-1)"))
    assert status == 1 and "keepdims=True is missing" in err and "unheard" not in err
    assert err.endswith("\nBefore that, code cell 1, line 1: ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("answer = 42\n", "`answer` is 42 in the end: keep the lesson's line `answer = Softmax()`"),
        ("x = 1\n", "it sets no layer `answer`: keep the lesson's line `answer = Softmax()`"),
        ("x = 1\n1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("def f(:\n", "line 1: SyntaxError"),
        ("raise SystemExit(0)\n", "line 1: SystemExit"),
    ],
)
def test_a_file_without_an_answer_is_a_wrong_answer(text, words, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(text)
    status, _, err = graded(5, path, capsys)
    assert status == 1 and words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0"], "'0' is not a whole number from 1 on"),
        (["11"], "there is no lesson 11; they are 1 to 10"),
        (["1", "--json"], "name the files to grade"),
        (["--out", "mine.py"], "which lesson? `minigrad lesson 1 --out mine.py` writes the first one"),
        (["1", "none.py"], "none.py: No such file"),
        (["1", "--out", "mine.txt"], "--out takes a name that ends in .py"),
        (["1", "mine.py", "--out", "mine.py"], "give one of them"),
        (["1", "--out", "there.py"], "there.py exists already"),
        (["1", "broken.ipynb"], "broken.ipynb is not a notebook"),
        (["1", "latin.py"], "latin.py is not text in UTF-8"),
    ],
)
def test_what_can_be_set_right_is_told(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.py").write_text("mine")
    (tmp_path / "broken.ipynb").write_text("{}")
    (tmp_path / "latin.py").write_bytes("# é".encode("latin-1"))
    assert main(["lesson", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "there.py").read_text() == "mine"


def test_lessons_are_listed_printed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lesson"]) == 0
    assert capsys.readouterr().out.splitlines()[:10] == [lesson.title for lesson in LESSONS]
    assert main(["lesson", "2"]) == 0
    assert capsys.readouterr().out == LESSONS[1].elsewhere
    assert main(["lesson", "2", "--out", "mine.py"]) == 0
    mine = (tmp_path / "mine.py").read_text(encoding="utf-8")
    assert mine == LESSONS[1].elsewhere
    assert Path(url2pathname(urlsplit(re.search(r"\]\((file:.*\.svg)\)", mine)[1]).path)).is_file()


@each
def test_a_lesson_is_a_notebook_too(lesson, tmp_path, capsys):
    """Its code is the script's, and it is graded as the script is, also with commands of the notebook in it."""
    path = tmp_path / "mine.ipynb"
    number = str(LESSONS.index(lesson) + 1)
    assert main(["lesson", number, "--out", str(path)]) == 0
    made = json.loads(path.read_text(encoding="utf-8"))
    code = [text for kind, text in cells(lesson.text) if kind == "code"]
    assert ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"] == code
    assert made["cells"][0]["source"][0].startswith(f"# Lesson {number}: ")
    (first,) = re.findall(r"\]\(data:image/svg\+xml;base64,(.*?)\)", path.read_text(encoding="utf-8"))
    assert base64.b64decode(first).decode("utf-8").count("<svg ") == 1


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("dx[:, i : i + self.n] += dy", "dx[:, i : i + self.n] = dy"),
        ("self.db = dy.sum()", "self.db = db"),
        ("        self.db = dy.sum()", "        raise NotImplementedError('your turn: all')"),
        ("        self.db = dy.sum()", "        self.db = (dy.sum()"),
        ("        self.db = dy.sum()", "        self.db = dy.sum()"),
    ],
)
def test_a_notebook_is_graded_as_the_script_is(line, other, tmp_path, capsys):
    """With the same sentences, also with commands of the notebook in it; a place is that in its cell."""
    text = changed(7, line, other)
    script, book = tmp_path / "mine.py", tmp_path / "mine.ipynb"
    script.write_text(text, encoding="utf-8")
    code = [cell for kind, cell in cells(text) if kind == "code"]
    made = [{"cell_type": "code", "source": ["%matplotlib inline\n", *cell.splitlines(True)]} for cell in code]
    book.write_text(json.dumps({"cells": made}), encoding="utf-8")
    status, out, err = graded(7, script, capsys)
    (number,) = [number for number, cell in enumerate(code, start=1) if other in cell]
    before = text[: text.index(code[number - 1])].count("\n") - 1
    told = re.sub(
        r"(mine\.py, )?line (\d+)", lambda line: f"code cell {number}, line {int(line[2]) - before}", out + err
    )
    told = re.sub(r"(mine8?)\.py", r"\1.ipynb", told)
    assert status == (other != line)
    assert (status, told) == (graded(7, book, capsys)[0], "".join(graded(7, book, capsys)[1:]))


def test_the_pictures_are_drawn(tmp_path, monkeypatch, capsys):
    fit, (x, labels) = Sequential.fit, data.load_digits()  # little of both, since nobody looks at these
    monkeypatch.setattr(Sequential, "fit", lambda *given, **options: fit(*given, **options | {"epochs": 1}))
    monkeypatch.setattr(data, "load_digits", lambda: (x[::50], labels[::50]))
    draw = runpy.run_path(str(LESSONS[0].path.parent / "pictures" / "draw.py"))
    draw["main"](tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"lesson_{n:02}.svg" for n in range(1, 11)]

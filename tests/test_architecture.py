"""The ratchet: how large the package may be, how its files may import each other, and how far a batch may travel.

`LIMITS` has a row for each figure: what it may be today, and what it is to become (None where today's is good enough).
Two tests compare it with what `python -m benchmarks.architecture` counts. A figure above its limit fails. So does a
limit that has become too loose, because a cut that is not written down is soon lost again: put the reached number in.

To *raise* a limit, make a commit of its own which changes this table and nothing else, and whose message says why the
package is better with the longer code than it was without. Look first for what can go: a mechanism that another one
covers, a case that nobody has, a file that a library replaces. Denser lines are no way out, and neither is code that
moves into strings or data.
"""

import re

import pytest

from benchmarks import architecture, walk
from benchmarks.architecture import PACKAGE, ROOT, TOP, between, code_lines, folder_of, imports_of, modules_of, room_of
from minigrad.programs import native_available

LIMITS = {
    # figure: (limit, goal)
    "code lines: the whole package": (36_750, 25_500),
    "code lines: testing": (9_750, 4_800),
    "code lines: programs": (5_200, 3_700),
    "code lines: command": (1_410, 1_400),
    "code lines: data, tables and results": (7_470, 6_000),
    "code lines: top level": (1_430, None),
    "code lines: configured": (352, None),
    "code lines: layer": (250, None),
    "code lines: derivation": (1_950, 1_500),
    "code lines: training": (1_700, None),
    "code lines: layers": (1_510, None),
    "code lines: onnx": (1_370, None),
    "code lines: pages": (1_020, None),
    "code lines: saving": (780, None),
    "code lines: optimizers": (680, None),
    "code lines: spreadsheet": (499, None),
    "code lines: losses": (390, None),
    "code lines: sklearn": (350, None),
    "code lines: metrics": (340, None),
    "code lines: interop": (250, None),
    "code lines: webpage": (121, None),
    "code lines of the largest file": (363, 300),
    "files": (333, 230),
    "floors, by imports at the start": (11, 11),
    "floors, by all imports": (11, None),
    "files in a circle": (18, 0),
    "folders in a circle": (8, 0),
    "rooms in a circle": (0, 0),
    "fit by hand: lines that run": (450, 450),
    "fit by hand: files": (23, 22),
    "fit with its program: lines that run": (1_802, 1_400),
    "fit with its program: files": (57, 38),
    "files in a folder: testing/naming": (28, None),
    "modules with a private name": (11, None),
}
IN_A_FOLDER = 16
MORE_IN_A_FOLDER = {TOP: 20, "layers": 24, "losses": 24, "optimizers": 24}  # the public modules; a page for each
SLACK = 0.02  # a limit may be so much above what is reached

TEXTBOOK = [
    "parameter", "layer", "model", "functions", "initializers", "layers", "losses", "optimizers", "schedules",
    "training", "sequential",
]  # fmt: skip
BESIDE = ["configured", "display", "data", "metrics", "version", "atomic", "blas_threads", "error_function"]
"""What the textbook may lean on: it stands below the textbook or beside it, and keeps to the same rule."""

PRIVATE = {
    "anywhere": "byparts measures summed trained declared starting apart asked_forward others seen larger judge_larger "
    "elsewhere",
    "programs": "recording form simplifying unread planning memory blocks panels spreading dividing moving own_loops "
    "making replay running contents trials agreeing watching",
    "testing": "slips trials corrections places remaining",
    "data": "below deciding words shown",
    "tables": "below deciding words shown",
    "results": "below deciding words shown",
}
"""Names of modules, by room, for which the field has a word: traces, an IR, passes, backends; templates, validation."""


def refuse(faults, what_to_do):
    if faults:
        pytest.fail("\n".join([*faults, what_to_do]), pytrace=False)


# ------------------------------------------------------------------------------------------------------------- limits
def joined(figures):
    """The figures with one for the three rooms that tables are moved between; folders only where many files lie."""
    together = [figures.pop(f"code lines: {room}", 0) for room in architecture.TABLES]
    for what in [what for what in figures if what.startswith("files in a folder: ")]:
        folder = what.partition(": ")[2]
        if figures[what] <= MORE_IN_A_FOLDER.get(folder, IN_A_FOLDER):
            del figures[what]
    return figures | {f"code lines: {architecture.JOINED}": sum(together)}


def private_names():
    """The modules and folders whose name is a word of ours where the field has one."""
    found = set()
    for module in modules_of(PACKAGE):
        room = room_of(module)
        words = {*PRIVATE["anywhere"].split(), *PRIVATE.get(room, "").split()}
        found |= {f"{name} in {room}" for name in module.split(".")[1:] if name in words}
    return sorted(found)


def measured():
    """All that LIMITS has a row for. A program's way is that of its native form, where there is a C compiler."""
    ways = {"fit by hand": "fit alone, by hand", "fit with its program": "fit alone, with its program"}
    if not native_available():
        del ways["fit with its program"]
    walks = walk.measured(str(ROOT), [*ways.values()])
    found = joined(architecture.figures(PACKAGE)) | {"modules with a private name": len(private_names())}
    for what, name in ways.items():
        found[f"{what}: lines that run"] = walks[name][0]["lines run"]
        found[f"{what}: files"] = walks[name][0]["files"]
    return found


@pytest.fixture(scope="module")
def figures():
    """What is measured, once for all tests."""
    return measured()


def row(what, number):
    """A row of LIMITS with this number as its limit."""
    goal = LIMITS.get(what, (0, None))[1]
    return f'    "{what}": ({number:_}, {goal if goal is None else f"{goal:_}"}),'


def too_high(figures, limits):
    """What is above its limit, or has none."""
    return [what for what, number in figures.items() if number > limits.get(what, (-1, None))[0]]


def too_loose(figures, limits):
    """The limits far above what is reached; one that stands at its goal may stay there, and gone parts have 0."""
    loose = []
    for what, (limit, goal) in limits.items():
        reached = figures.get(what, 0)
        enough = max(reached * (1 + SLACK), reached if goal is None else goal)
        if limit > enough or what not in figures:
            loose.append(what)
    return loose


def test_nothing_is_above_its_limit(figures):
    refuse(
        [f"{what}: {figures[what]:,}, and the limit is {LIMITS.get(what, (0,))[0]:,}" for what in
         too_high(figures, LIMITS)],
        "Cut until it holds: `python -m benchmarks.architecture` has the figures of each part, and with --way the "
        "circles and the longest way down. How a limit is raised is said above LIMITS in tests/test_architecture.py.",
    )  # fmt: skip


def test_no_limit_is_looser_than_what_is_reached(figures):
    measured = figures if native_available() else figures | {what: LIMITS[what][0] for what in LIMITS if "fit" in what}
    loose = too_loose(measured, LIMITS)
    refuse(
        [row(what, measured[what]) if what in measured else f'remove "{what}"' for what in loose],
        "This was reached: write it into LIMITS of tests/test_architecture.py, so that it stays.",
    )


def test_a_cut_is_noticed_and_so_is_a_growth():
    limits = {"a": (100, None), "b": (100, 90), "c": (100, 100), "gone": (5, None)}
    assert too_high({"a": 101, "b": 100, "new": 1}, limits) == ["a", "new"]
    assert too_loose({"a": 99, "b": 99, "c": 3}, limits) == ["gone"]
    assert too_loose({"a": 97, "b": 89, "c": 3}, limits) == ["a", "b", "gone"]


def test_no_module_gets_a_private_name():
    """Those there are today are counted in LIMITS; this says which they are."""
    found = private_names()
    if len(found) > LIMITS["modules with a private name"][0]:
        refuse(found, "Take the word of the field: see PRIVATE in tests/test_architecture.py.")


# ------------------------------------------------------------------------------------------------------------ imports
def test_no_imports_run_in_a_new_circle():
    """What already stands in a circle is counted in LIMITS; this says where a new one runs."""
    found = []
    for what, place in (("files", str), ("folders", folder_of(PACKAGE)), ("rooms", room_of)):
        graph = between(imports_of(PACKAGE), place)
        if sum(map(len, architecture.knots(graph))) > LIMITS[f"{what} in a circle"][0]:
            found += [", and ".join(map(str, circle)) for circle in architecture.circles(graph)]
    refuse(found, "Move what both need into a file of its own below them, or let the caller hand it in.")


def test_the_textbook_imports_nothing_that_stands_above_it():
    below = {*TEXTBOOK, *BESIDE}
    above = [
        each
        for each in imports_of(PACKAGE)
        if room_of(each.module) in below and room_of(each.imported) not in below | {""}
    ]
    refuse(
        [str(each) for each in above],
        f"The textbook ({', '.join(TEXTBOOK)}) and what it leans on ({', '.join(BESIDE)}) import nothing else of the "
        "package, neither inside functions nor for type checkers. minigrad/tools.py hands in what stands above.",
    )


# ----------------------------------------------------------------------------------------------------- how it counts
SMALL = {
    "__init__.py": "",
    "a.py": "import os\n\nfrom small import b\nimport small.c as c\n",
    "b.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from small.a import A, B\n",
    "c.py": "def late():\n    from small import version\n    return import_module('small.inner.d')\n",
    "inner/__init__.py": "from . import d\nfrom .d import D\n",
    "inner/d.py": "try:\n    from ..c import C\nexcept ImportError:\n    C = None\n",
    "d.py": "from small.inner.d import D\n",
}


@pytest.fixture
def small(tmp_path):
    """A package of seven small files."""
    for name, text in SMALL.items():
        path = tmp_path / "small" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "small"


def test_imports_of_every_kind_are_seen(small):
    imports = imports_of(small)
    assert [(str(each).removeprefix("small/"), each.at_start) for each in imports] == [
        ("a.py:3 imports small.b", True),
        ("a.py:4 imports small.c", True),
        ("b.py:4 imports small.a", False),
        ("c.py:2 imports small", False),
        ("c.py:3 imports small.inner.d", False),
        ("d.py:1 imports small.inner.d", True),
        ("inner/__init__.py:1 imports small.inner.d", True),
        ("inner/__init__.py:2 imports small.inner.d", True),
        ("inner/d.py:2 imports small.c", True),
    ]


def test_circles_are_found_between_files_folders_and_rooms(small):
    def found(place):
        return [[each.module for each in circle] for circle in architecture.circles(between(imports_of(small), place))]

    assert found(str) == [["small.a", "small.b"], ["small.c", "small.inner.d"]]
    assert found(folder_of(small)) == found(room_of) == [["small.a", "small.b"], ["small.c", "small.inner.d"]]
    assert architecture.knots(between(imports_of(small), room_of)) == [{"a", "b"}, {"c", "inner"}]


def test_floors_are_the_longest_way_down(small):
    at_start = [each for each in imports_of(small) if each.at_start]
    assert architecture.way_down(between(at_start, room_of)) == ["d", "inner", "c"]
    assert architecture.way_down(between(imports_of(small), room_of)) == ["a", "b", "c", "inner"]
    assert architecture.figures(small)["floors, by imports at the start"] == 3


def test_lines_of_code_are_those_that_hold_a_token(tmp_path):
    path = tmp_path / "counted.py"
    path.write_text(
        '"""A module,\nwith two lines."""\n\nimport os  # a comment\n\n# another\nclass A:\n    """Of a class."""\n\n'
        '    text = """kept\n\n    in three lines"""\n\n    def f(self):\n        \'Of a function.\'\n'
        "        return (\n            1\n\n            # one\n        )\n    'no docstring'\n"
    )
    assert code_lines(path) == 1 + 1 + 3 + 1 + 3 + 1


def test_parts_and_folders_are_counted(small):
    assert architecture.lines_by_part(small) == {TOP: 3 + 3 + 3 + 1, "inner": 2 + 4}
    assert architecture.files_by_folder(small) == {TOP: 5, "inner": 2}
    figures = architecture.figures(small)
    assert (figures["files"], figures["code lines of the largest file"]) == (7, 4)
    assert joined(figures)["code lines: the whole package"] == 16


def test_the_report_has_each_part_with_its_limit(small):
    rows = {row[:36].rstrip(): row[36:].split() for row in architecture.report(small).splitlines()}
    goal = LIMITS["files"]
    assert rows["inner"] == ["6", "2"] and rows[TOP][0] == "10"
    assert rows["files"] == ["7", *(f"{each:,}" for each in goal)]


# ----------------------------------------------------------------------------------------------------------- the tree
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def drawn(text):
    """The paths of a tree, in its order, each with whether it or its folder is marked as being rebuilt."""
    folders, found = [], {}
    for line in filter(None, text.splitlines()[1:]):
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth - 1 :] = [name]
        path = "".join(folders)
        found[path] = "°" in line.split()[:2] or any(found[above] for above in found if path.startswith(above))
    return found


TREE = drawn(re.search(r"^## The tree$.*?^```text$\n(.*?)^```$", CONTRIBUTING, re.M | re.S)[1])


def test_a_tree_is_read_with_its_marks():
    text = "small/\n  a.py   it\n  b/ °   a room\n    c.py it\n\n  d/ it\n    e/ it\n      f.py it\n  g.py it\n"
    marked = {"b/", "b/c.py"}
    assert drawn(text) == {
        path: path in marked for path in ("a.py", "b/", "b/c.py", "d/", "d/e/", "d/e/f.py", "g.py")
    }  # fmt: skip


def test_the_tree_draws_every_file():
    paths = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    there = {path.as_posix() for path in paths if path.name != "__init__.py" or len(path.parts) == 1}
    there |= {f"{path.parent.as_posix()}/" for path in paths if path.parent.name}
    rebuilt = tuple(path for path, marked in TREE.items() if marked)
    missing = sorted(path for path in there - {*TREE} if not path.startswith(rebuilt))
    gone = sorted(path for path in {*TREE} - there if not path.startswith(rebuilt))
    refuse([f"{path} has no line" for path in missing], "Give it its line in CONTRIBUTING.md, 'The tree'.")
    refuse([f"there is no {path}" for path in gone], "Take it out of CONTRIBUTING.md, 'The tree'.")


def test_every_room_stands_below_those_that_it_imports():
    place = {path.split("/")[0].removesuffix(".py"): number for number, path in enumerate(TREE)}
    graph = between(imports_of(PACKAGE), room_of)
    wrong = [each for here in graph for there, each in graph[here].items() if place[there] > place[here]]
    refuse([str(each) for each in wrong], "What is imported stands above in CONTRIBUTING.md, 'The tree'.")


# ------------------------------------------------------------------------------------------------------ reading order
README = (ROOT / "README.md").read_text(encoding="utf-8")
READING = [
    re.findall(r"`([\w./]+)`", "".join(row.split("|")[1] for row in table.splitlines()))
    for table in re.findall(r"^\| file \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", README, re.M)
]
"""The entries of the tables of README.md that say what to read: those of the first afternoon, then the others."""


def files_of(entry):
    """The files of the package that an entry stands for: a file, or all of a folder."""
    path = PACKAGE / entry
    return sorted(path.rglob("*.py")) if entry.endswith("/") else [path]


def test_the_readme_says_how_much_there_is_to_read():
    afternoon, rest = ({file for entry in entries for file in files_of(entry)} for entries in READING)
    first, whole = (sum(map(code_lines, files)) for files in (afternoon, afternoon | rest))
    counted = [whole, first, first, whole]
    said = [int(number.replace(",", "")) for number in re.findall(r"about ([\d,]+) lines", README)]
    assert len(said) == 4, "README.md's first lines and its 'How to read it' say how many lines each reading has"
    refuse(
        [f"README.md says {a:,} lines, counted are {b:,}" for a, b in zip(said, counted, strict=True)
         if abs(a - b) > SLACK * b],
        "Correct the numbers in README.md: in its first lines and in 'How to read it'.",
    )  # fmt: skip


def test_the_reading_is_in_import_order():
    """A file comes after those that it imports when it is imported itself."""
    position = {}
    for place, entry in enumerate(entry for entries in READING for entry in entries):
        for file in files_of(entry):
            assert file.exists(), f"README.md names {entry}, which the package does not have"
            if file.name != "__init__.py":
                position.setdefault(file, place)
    files = modules_of(PACKAGE)
    late = [
        each
        for each in imports_of(PACKAGE)
        if each.at_start and position.get(files[each.imported], -1) > position.get(files[each.module], 99)
    ]
    refuse([f"{each}, which README.md names later" for each in late], "Name each file after those that it imports.")

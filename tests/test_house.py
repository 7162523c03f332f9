"""The house in order, as tests: style and types, the floors of the package and its reading order, what the tests need.

The floors stand in CONTRIBUTING.md, the reading order of the textbook in README.md, that of the rest there too.
"""

import ast
import functools
import importlib
import importlib.metadata
import json
import re
import runpy
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from minigrad import version
from minigrad.version import __version__, installing

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FLOORS = re.search(r"^## Floors$.*?^```text$(.*?)^```$", CONTRIBUTING, re.M | re.S)[1].split()
README = (ROOT / "README.md").read_text(encoding="utf-8")
READING_TABLES = re.findall(r"^\| file \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", README + CONTRIBUTING, re.M)


@pytest.mark.parametrize("arguments", ["ruff check --no-cache", "ruff format --check --no-cache", "mypy"])
def test_style_format_and_types(arguments):
    done = subprocess.run([sys.executable, "-m", *arguments.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_no_code_is_installed_with_the_package():
    """An editable installation finds it anyway, and would not tell."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    declared = {path for data in settings["package-data"]["minigrad"] for path in (ROOT / "minigrad").glob(data)}
    built = {".py", ".pyc", ".c", ".so", ".pyd"}
    found = {path for path in (ROOT / "minigrad").rglob("*") if path.is_file() and path.suffix not in built}
    assert found == declared


# ------------------------------------------------------------------------------------------------------------ imports
@dataclass(frozen=True)
class Import:
    """A line of the package that imports a module of the package, at whatever depth and for whomever."""

    place: str
    module: str
    imported: str

    def __str__(self):
        return f"{self.place} imports {self.imported}"


def modules_of(package):
    """The name of every module of the package, and its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(tree):
    """All statements, at whatever depth, without the expressions in them: those are most of a tree."""
    found = [tree]
    for node in found:
        yield node
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            found += getattr(node, part, [])


def called(call):
    """The last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


@functools.cache
def imports_of(package):
    """All imports of modules of the package by its modules: at the top, inside functions and for type checkers."""
    modules = modules_of(package)
    found = []
    for module, path in modules.items():
        inside = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        text = path.read_text(encoding="utf-8")
        by_call = "import_module(" in text or "__import__(" in text
        for node in (ast.walk if by_call else statements)(ast.parse(text)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                up = inside[: len(inside) - node.level + 1] if node.level else []
                source = ".".join([*up, *filter(None, [node.module])])
                names = [name if (name := f"{source}.{alias.name}") in modules else source for alias in node.names]
            elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
                names = [first.value for first in node.args[:1] if isinstance(first, ast.Constant)]
            if known := [name for name in dict.fromkeys(names) if name in modules]:
                place = f"{path.relative_to(package.parent).as_posix()}:{node.lineno}"
                found += [Import(place, module, name) for name in known]
    return found


def floor_of(module):
    """The place of a module among the floors; the package's own two files stand after all of them."""
    _, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return len(FLOORS) if name in ("", "__main__") else FLOORS.index(name)


def circles(imports):
    """Each circle once, as the imports that close it: the shortest one through its first module."""
    by = {}
    for each in imports:
        by.setdefault(each.module, []).append(each)
    found, seen = [], set()
    for start in by:
        paths, reached = [[each] for each in by[start]], set()
        while paths and start not in seen:
            path = paths.pop(0)
            end = path[-1].imported
            if end == start:
                found.append(path)
                seen |= {each.module for each in path}
            elif end not in reached:
                reached.add(end)
                paths += [[*path, each] for each in by.get(end, [])]
    return found


def refuse(faults, what_to_do):
    if faults:
        pytest.fail("\n".join([*faults, what_to_do]), pytrace=False)


def test_every_module_stands_on_a_floor():
    names = {module.split(".")[1] for module in modules_of(ROOT / "minigrad") if "." in module} - {"__main__"}
    assert names - set(FLOORS) == set(), "give it its place under 'Floors' in CONTRIBUTING.md"
    assert set(FLOORS) - names == set(), "there is no such module: remove it under 'Floors' in CONTRIBUTING.md"
    assert len(FLOORS) == len(set(FLOORS))


def test_no_import_runs_back_up_the_floors():
    back = [each for each in imports_of(ROOT / "minigrad") if floor_of(each.imported) > floor_of(each.module)]
    refuse(
        [f"{each}, which stands on a later floor" for each in back],
        "A file imports only from its own floor and from those before it (CONTRIBUTING.md, 'Floors'), also inside "
        "functions and under TYPE_CHECKING. Move what is needed to an earlier floor, or let the caller hand it in.",
    )


def test_no_imports_run_in_a_circle():
    refuse(
        [", and ".join(map(str, circle)) for circle in circles(imports_of(ROOT / "minigrad"))],
        "Move what both need into a file of its own before them, or let the caller hand it in.",
    )


def test_the_walk_sees_imports_of_every_kind(tmp_path):
    package = tmp_path / "small"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("import os\n\nfrom small import b\nimport small.c as c\n")
    (package / "b.py").write_text(
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from small.a import A, B\n"
    )
    (package / "c.py").write_text("def late():\n    from small import version\n    import_module('small.inner.d')\n")
    (package / "inner" / "__init__.py").write_text("from . import d\nfrom .d import D\n")
    (package / "inner" / "d.py").write_text("from ..c import C\n")
    imports = imports_of(package)
    assert [str(each).removeprefix("small/") for each in imports] == [
        "a.py:3 imports small.b",
        "a.py:4 imports small.c",
        "b.py:4 imports small.a",
        "c.py:2 imports small",
        "c.py:3 imports small.inner.d",
        "inner/__init__.py:1 imports small.inner.d",
        "inner/__init__.py:2 imports small.inner.d",
        "inner/d.py:1 imports small.c",
    ]
    assert [[each.module for each in circle] for circle in circles(imports)] == [
        ["small.a", "small.b"],
        ["small.c", "small.inner.d"],
    ]


# ------------------------------------------------------------------------------------------------------ reading order
def files_of(entry):
    """The files of the package that an entry of a reading table stands for: a file, or all of a folder."""
    path = ROOT / "minigrad" / entry
    return sorted(path.rglob("*.py")) if entry.endswith("/") else [path]


def entries_of(table):
    return [entry for row in table.splitlines() for entry in re.findall(r"`([\w./]+)`", row.split("|")[1])]


def test_the_reading_tables_name_every_file():
    named = [file for table in READING_TABLES for entry in entries_of(table) for file in files_of(entry)]
    package = ROOT / "minigrad"
    there = {path for path in package.rglob("*.py") if path != package / "__init__.py"}  # where reading starts
    missing, gone = (
        sorted(str(path.relative_to(package)) for path in some) for some in (there - {*named}, {*named} - there)
    )
    assert not missing, f"CONTRIBUTING.md, 'What each file holds', has no row for {', '.join(missing)}"
    assert not gone, f"README.md or CONTRIBUTING.md names {', '.join(gone)}, which the package does not have"


@pytest.mark.parametrize("table", READING_TABLES, ids=lambda table: entries_of(table)[0])
def test_a_reading_table_is_in_import_order(table):
    position = {}
    for place, entry in enumerate(entries_of(table)):
        for file in files_of(entry):
            position.setdefault(str(file.relative_to(ROOT)), place)
    names = {module: str(path.relative_to(ROOT)) for module, path in modules_of(ROOT / "minigrad").items()}
    late = [
        each
        for each in imports_of(ROOT / "minigrad")
        if position.get(names[each.imported], -1) > position.get(names[each.module], len(position))
    ]
    refuse(
        [f"{each}, which README.md or CONTRIBUTING.md names later" for each in late],
        "Their tables of files name each one after those that it imports.",
    )
    floors = [FLOORS.index(re.split(r"[./]", entry)[0]) for entry in entries_of(table) if entry != "__main__.py"]
    assert floors == sorted(floors), "the tables of files have another order than CONTRIBUTING.md has floors"


def code_lines(path):
    """How many lines of a file hold code: not those of comments and docstrings, nor blank ones."""
    text = path.read_text(encoding="utf-8")
    lines = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")}
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_the_readme_counts_lines_honestly():
    textbook, rest = ({file for entry in entries_of(table) for file in files_of(entry)} for table in READING_TABLES)
    few = {file for file in textbook if file.parent.name != "layers" or file.stem in ("dense", "activations")}
    counted = [sum(map(code_lines, files)) for files in (textbook, few, rest - textbook)]
    said = [int(number.replace(",", "")) for number in re.findall(r"\(about ([\d,]+) lines", README)]
    assert said == pytest.approx(counted, rel=0.1), f"README.md, 'How to read it', says {said}, counted: {counted}"


# ------------------------------------------------------------------------------------------------------ for developers
def test_files_that_contributing_names_exist():
    named = set(re.findall(r"`((?:minigrad|tests|examples|\.ci)/[\w./]*)`", CONTRIBUTING))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\S+)(?: - \d{4}-\d\d-\d\d)?$", changelog, re.M)
    assert found[0] == "Unreleased" and found[1] == __version__, "the newest release stands after 'Unreleased'"


def test_the_citation_has_this_version_and_its_date():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
    released = re.search(rf"^## {re.escape(__version__)} - (\S+)$", changelog, re.M)[1]
    assert f"\ndate-released: {released}\n" in citation


def test_every_address_follows_from_that_of_the_repository():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    home = urls["Homepage"]
    owner, name = home.split("/")[-2:]
    assert urls == {
        "Homepage": home,
        "Documentation": f"https://{owner}.github.io/{name}/",
        "Changelog": f"{home}/blob/main/CHANGELOG.md",
        "Issues": f"{home}/issues",
    }
    assert f"\nrepository-code: {home}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_a_package_index_can_follow_the_readmes_links(monkeypatch):
    monkeypatch.chdir("/")
    setup = runpy.run_path(str(ROOT / "setup.py"))
    links = [re.findall(r"(!?)\[[^]]*\]\((\S+)\)", text) for text in (README, setup["readme"]())]
    for (picture, path), (_, address) in zip(*links, strict=True):
        home = setup["HOME"]
        start = home.replace("github.com", "raw.githubusercontent.com") if picture else f"{home}/blob"
        assert address == f"{start}/main/{path}"
    assert {picture for picture, _ in links[0]} == {"", "!"}


def test_ci_runs_what_developers_run():
    """Each session that a workflow or CONTRIBUTING.md names exists, and the tests run by one script on every system."""
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    run = re.search(r"session: \[(.*)\]", workflow)[1].split(", ")
    assert {*sessions} - {"tests"} == {*run}, "ci.yml runs every session of noxfile.py; the tests by .ci/run"
    assert ".ci/run" in workflow and all(f"{system}-latest" in workflow for system in ("ubuntu", "macos", "windows"))


@pytest.mark.parametrize(
    ("module", "missing", "words"),
    [
        ("minigrad.sklearn", "sklearn", "minigrad.sklearn needs scikit-learn: " + installing("sklearn")),
        ("minigrad.onnx", "onnx", "minigrad.onnx needs onnx and onnxruntime: " + installing("onnx")),
    ],
)
def test_a_module_without_its_extra_says_what_to_install(module, missing, words, monkeypatch):
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)  # other tests have imported parts of it
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=re.escape(words)):
        importlib.import_module(module)


def test_an_extra_is_installed_from_where_the_package_comes_from(tmp_path, monkeypatch):
    assert installing("plots") == f'pip install -e "{ROOT}[plots]"'
    monkeypatch.setattr(version, "__file__", str(tmp_path / "site-packages" / "minigrad" / "version.py"))
    said = {"url": ROOT.as_uri(), "dir_info": {}}
    installed = types.SimpleNamespace(read_text=lambda name: json.dumps(said))
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [installed])
    assert installing("plots") == f'pip install "{ROOT}[plots]"'
    said["url"] = (tmp_path / "gone").as_uri()
    assert installing("plots") == 'pip install "minigrad-nn[plots]"'


# --------------------------------------------------------------------------------------------- what the tests run with
def test_the_extra_for_tests_has_what_the_other_extras_bring():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in set(extras) - {
        "test",
        "bench",
        "docs",
    }:  # bench has the peers to compare with, docs what builds the site
        assert set(extras[name]) <= set(extras["test"]), f"the extra {name!r} brings more than 'test': add it there"


def test_the_extras_that_texts_tell_to_install_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs" / "text").glob("*.md"), *(ROOT / "minigrad").rglob("*.py")]
    told = {
        (name, path.name)
        for path in texts
        for names in re.findall(r"""(?:minigrad-nn\[|installing\(['\"])([\w,]+)""", path.read_text(encoding="utf-8"))
        for name in names.split(",")
    }
    assert {name for name, _ in told} >= {"plots", "sklearn", "jobs", "mpi"}
    assert [(name, file) for name, file in sorted(told) if name not in extras] == []


def test_a_skip_is_a_failure_unless_an_engine_is_missing(tmp_path):
    (tmp_path / "test_one.py").write_text("import pytest\n\npytest.importorskip('nonesuch')\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\ndef test_a():\n    pytest.skip('BLAS: gone')\n\ndef test_b():\n    pytest.skip('gone')\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--continue-on-collection-errors", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "1 failed, 1 skipped, 1 error" in done.stdout
    assert "test_b was skipped: 'gone'. What a wheel brings belongs to the extra 'test'" in done.stdout
    assert "missing engine: BLAS, 1 skipped" in done.stdout

"""The repository in order: style and types, what is installed, versions and addresses, extras, what the tests need.

How large the package may be, and which of its files may import which, is in tests/test_architecture.py.
"""

import importlib
import importlib.metadata
import json
import re
import runpy
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

from minigrad import version
from minigrad.version import __version__, installing

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


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


# ------------------------------------------------------------------------------------------------------ for developers
def test_files_that_contributing_names_exist():
    named = set(re.findall(r"`((?:minigrad|tests|examples|\.ci)/[\w./]*)`", CONTRIBUTING))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_site_finds_what_it_takes_from_contributing():
    """docs/pages.py reads these; building the site would tell, but takes minutes."""
    pages = (ROOT / "docs" / "pages.py").read_text(encoding="utf-8")
    patterns = re.findall(r're\.search\(\s*r"(.*?)",\s*CONTRIBUTING', pages)
    assert len(patterns) == 2
    assert [pattern for pattern in patterns if not re.search(pattern, CONTRIBUTING, re.M | re.S)] == []


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
    for name in set(extras) - {"test", "bench", "docs"}:  # bench has the peers to compare with, docs builds the site
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

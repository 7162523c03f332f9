"""What is tried before a release: `nox` runs all of it, `nox -s NAME` one part, `nox --list` says what each is.

CI runs the same sessions; words after `--` go to pytest, as in `nox -s tests-3.13 -- tests/layers`.
"""

import json
import shutil
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
DIST = Path("dist")

nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session(python=PYTHONS)
def tests(session):
    """The tests, on every Python that is supported."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session(python=PYTHONS[0], venv_backend="uv")
def lowest(session):
    """The tests with the lowest versions that pyproject.toml declares."""
    # pyparsing tells from 3.3 on, in every picture, that the lowest matplotlib calls it by names of old.
    lowest = ["--resolution", "lowest-direct", "-e", ".[test]", "pyparsing>=3.1,<3.3"]
    session.run_install("uv", "pip", "install", *lowest)
    # The house's own rules (lint, types) are those of today's tools; and an old library may deprecate in a new one.
    pytest = ["python", "-m", "pytest", "-n", "auto", "-W", "ignore::DeprecationWarning"]
    session.run(*pytest, *(session.posargs or ["--ignore", "tests/test_repository.py"]))


@nox.session(python=PYTHONS[-1])
def package(session):
    """The wheel and the sdist as an index will have them: metadata, content, first use; and the workflows, linted."""
    session.install("build", "twine", "check-wheel-contents", "abi3audit", "pyroma", "zizmor")
    session.run("zizmor", "--offline", "--persona=pedantic", ".github")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(DIST))
    files = [str(path) for path in DIST.iterdir()]
    (wheel,) = DIST.glob("*.whl")
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", str(wheel))
    session.run("abi3audit", "--strict", str(wheel))
    session.run("pyroma", "--min", "10", ".")
    session.install("--force-reinstall", str(wheel))
    session.chdir(session.create_tmp())
    session.run("minigrad", "train", "digits", "--epochs", "2")
    session.run("minigrad", "lesson", "10", "--out", "mine.py", "--force")
    session.run("minigrad", "lesson", "10", "mine.py", success_codes=[1], silent=True)


@nox.session(python=PYTHONS[-1])
def sdist(session):
    """The sdist brings its tests, and they run from it."""
    session.install("build")
    folder = Path(session.create_tmp())
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder))
    (archive,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    session.chdir(folder / archive.name.removesuffix(".tar.gz"))
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-n", "auto", *(session.posargs or ["tests/layers", "tests/command"]))


@nox.session(python=PYTHONS[-1])
def types(session):
    """Types for users: every name that can be reached has a declared type, by pyright's --verifytypes."""
    session.install("pyright", ".[sklearn,onnx,plots,testing]")
    told = session.run(
        "pyright", "--verifytypes", "minigrad", "--ignoreexternal", "--outputjson", silent=True, success_codes=[0, 1]
    )
    report = json.loads(told[told.index("{") :])["typeCompleteness"]
    unknown = [each["name"] for each in report["symbols"] if each["isExported"] and not each["isTypeKnown"]]
    session.log(f"{report['completenessScore']:.2%} of the names have a declared type")
    if unknown:
        session.error(f"write down the types of {', '.join(unknown)}")


@nox.session(python=PYTHONS[-1])
def docs(session):
    """The documentation's site; a warning is an error."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"})

"""What holds for every test: how many examples Hypothesis draws, and that nothing is skipped silently.

Profiles of Hypothesis: `ci` (the default) draws the same examples every time, `dev` draws more, and new ones.

All that a wheel brings belongs to the extra `test`, so a test that lacks it fails. A test may be skipped only where an
engine of ENGINES is missing, and the run ends with a line that says so: `pytest.importorskip("torch")`, or for what is
no module, a reason that begins with the engine's name, as in `pytest.skip("BLAS: adds up in another way")`.
"""

import os
import re
from collections import Counter

# Other processors have other tests. Where several threads of BLAS are what is tested, `several_blas_threads` has them;
# those that wait for work sleep at once, not after a while.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_THREAD_TIMEOUT": "4"}

import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from minigrad.programs.runtime import cache

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", deadline=None, max_examples=1000)


@pytest.fixture(scope="module", autouse=True)
def programs_are_recorded_at_once():
    """After `steps_by_hand` steps, few as a test may make: whether enough are to come has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "REPAID", 0)
        yield


@pytest.fixture(scope="module")
def several_blas_threads():
    """As many as there are processors, up to four; elsewhere in the tests it is one."""
    with threadpool_limits(min(os.cpu_count() or 1, 4)):
        yield


@pytest.fixture(scope="module")
def quick_command():
    """What `minigrad train` takes longer for than for all else of a small table is little, or left out.

    A fixture that runs the command asks for this one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigrad.results.baselines.boosting_installed", lambda: False)
        patch.setattr("minigrad.tables.settings.STEPS", 500)
        patch.setattr("minigrad.results.intervals.LEAST", 40)
        patch.setattr("minigrad.results.intervals.MOST", 40)
        yield


settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ENGINES = {
    "torch": "its own answers are not asked for, only those stored in tests/cases",
    "BLAS": "this one adds up in another way than blocks of rows need, so steps in blocks are not seen",
    "native": "lines run as Python alone, without the extension, and their bits are not compared",
    "chromium": "pages are tried in QuickJS alone, without their looks and their keys",
    "LibreOffice": "workbooks are tried by the values that they are stored with alone",
    "POSIX": "forked processes, Ctrl-C from a terminal, permissions, links and named pipes are not tried",
    "/proc": "the memory of a training is not measured",
}
"""What the package works without and no wheel of the extra `test` brings, and what a run without it leaves out."""


def reason_of(report):
    """Why this test or module was skipped, or None where it was not; an expected failure is no skip."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return None
    return report.longrepr[2].removeprefix("Skipped: ")


def missing(reason):
    """The name that a reason for a skip begins with, or that of the module which could not be imported."""
    return re.match(r"(?:could not import ')?([\w/]*)", reason)[1]


def refuse(report):
    """Turn a skip for anything but a missing engine into a failure."""
    reason = reason_of(report)
    if reason is not None and missing(reason) not in ENGINES:
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid} was skipped: {reason!r}. What a wheel brings belongs to the extra 'test' in "
            f"pyproject.toml; what none brings is an engine, to be named in ENGINES (tests/conftest.py): "
            f"now these are {', '.join(ENGINES)}."
        )
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return refuse((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return refuse((yield))


def pytest_terminal_summary(terminalreporter):
    reasons = map(reason_of, terminalreporter.stats.get("skipped", []))
    for name, count in Counter(map(missing, reasons)).items():
        terminalreporter.write_line(f"missing engine: {name}, {count} skipped: {ENGINES[name]}")

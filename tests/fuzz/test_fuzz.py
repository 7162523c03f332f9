"""The share of the fuzz that every run of the tests makes: each habit alone, each seed that ever failed, and a few more.

The long run is a command, see `tests/fuzz/__main__.py`.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.fuzz.acts import Case
from tests.fuzz.cases import FAMILIES
from tests.fuzz.habits import HABITS

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("quiet")]

OPEN = {}
"""What is known to fail and not yet mended, by cause: a habit, or another answer to a draw; and where it is told.

A cause that no longer fails must go from here: a test says so.
"""

SEEDS = 8
"""So many cases of each family are made; the same ones in every run."""

FAILED = Path(__file__).with_name("failed.txt")
SIGNS = "signs of zeros"

ALONE = {
    "acts": 4,
    "act 0": "train",
    "act 0 epochs": 3,
    "act 1": "predict",
    "act 1 rows": 3,
    "act 2": "change",
    "act 2 changes": "habit",
    "act 3": "train",
    "act 3 epochs": 3,
    "steps by hand": 1,
    "dtype": "float32",
    "rows": 11,
    "columns": 3,
    "Dense first": True,
    "width": 4,
    "layers": 1,
    "outputs": 2,
    "loss": "MeanSquaredError",
    "values": "ordinary",
    "x lies": "C",
    "t lies": "C",
    "rate": "constant",
    "optimizer": "SGD",
    "wrapper": "none",
    "batch size": "3",
    "weights": "none",
    "augment": "none",
}
"""What is fixed where a habit is tried alone: training, predictions, the owner's change, training again."""


def alone(habit, seed):
    """The habit in a plain net."""
    fixed = dict.fromkeys(["nested", "l1", "l2", "no shuffle", "flat t", "no last bias"], False)
    return Case("changed habits", seed, fixed | ALONE | {"layer 0": habit})


def seeds_that_failed():
    """(family, seed, cause) of each line of failed.txt."""
    lines = FAILED.read_text(encoding="utf-8").splitlines()
    found = [re.match(r"(.+?) (\d+): (.+?)(?: - .*)?$", line) for line in lines if line and line[0] != "#"]
    return [(match[1], int(match[2]), match[3]) for match in found]


def causes_of(case, difference):
    """The causes in OPEN that a failing case has in it."""
    drawn = {str(answer) for answer in case.draws.drawn.values()} | {n for n, on in case.draws.drawn.items() if on is True}
    drawn |= {SIGNS} if "in the sign of" in difference else set()
    drawn |= {"threads"} if case.family == "threads" else set()
    return [cause for cause in OPEN if cause in drawn]


def refuse(case, difference):
    """Fail, unless the cause is known to be open."""
    if difference is not None and not causes_of(case, difference):
        pytest.fail(
            f"{case.family} {case.seed}: {difference}\n    {case.draws}\nTo see what it takes: python -m tests.fuzz "
            f"--family '{case.family}' --start {case.seed} --cases 1 --smaller",
            pytrace=False,
        )


@pytest.fixture
def quiet(caplog):
    """What runs as it is, and why, is told in the log: not here."""
    caplog.set_level("CRITICAL", "minigrad")


@pytest.mark.parametrize("habit", [pytest.param(h, marks=pytest.mark.xfail(strict=True, reason=OPEN[h])) if h in OPEN else h for h in HABITS])
def test_each_habit_alone(habit):
    differences = [alone(habit, seed).failure() for seed in range(2)]
    assert differences == [None] * len(differences)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_cases_of_each_family(family):
    for seed in range(SEEDS if family != "many rows" else 2):
        case = Case(family, seed)
        refuse(case, case.failure())


@pytest.mark.parametrize(("family", "seed", "cause"), seeds_that_failed())
def test_seeds_that_failed(family, seed, cause):
    case = Case(family, seed)
    refuse(case, case.failure())


def test_what_is_open_still_fails():
    witnesses = defaultdict(list)
    for family, seed, cause in seeds_that_failed():
        witnesses[cause].append((family, seed))
    mended = [
        cause
        for cause in OPEN
        if cause not in HABITS and not any(Case(*witness).failure() for witness in witnesses[cause])
    ]
    assert mended == [], "these do not fail any more: take them out of OPEN"


def test_a_case_is_the_same_every_time():
    one, two = Case("habits", 3), Case("habits", 3)
    one.failure()
    two.failure()
    assert one.draws.drawn == two.draws.drawn


def test_a_draw_depends_on_its_name_alone():
    from tests.fuzz.draws import Draws

    few, many = Draws("a", 1), Draws("a", 1)
    many.number("another", 0, 9)
    many.chance("a third", 0.5)
    assert few.one_of("loss", ["a", "b", "c"]) == many.one_of("loss", ["a", "b", "c"])
    assert few.number("rows", 0, 99) == many.number("rows", 0, 99)
    wins = sum(Draws("a", s).one_of("x", "ab") == Draws("a", s).one_of("x", "abc") for s in range(200))
    assert 110 < wins < 160  # two thirds keep what they drew when there is a third option


def test_a_fault_is_seen(monkeypatch):
    from minigrad.optimizers import SGD

    monkeypatch.setattr(SGD, "coefficients", lambda self, step: {"rate": 0.01 * (1 + self.epochs)}, raising=True)
    assert alone("CountsRows", 0)
    from tests.fuzz import oracle

    monkeypatch.setattr(oracle.ByHand, "predict", lambda self, model, x: model.predict(x) * 2)
    case = alone("UnusedParameter", 0)
    assert "predictions" in case.failure()

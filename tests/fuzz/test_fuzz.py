"""The share of the fuzz that every run of the tests makes: each habit alone, seeds that once failed, and some more.

The long run is a command, see `tests/fuzz/__main__.py`.
"""

import itertools
import re
from pathlib import Path

import pytest

from tests.fuzz import oracle
from tests.fuzz.acts import Case
from tests.fuzz.cases import FAMILIES
from tests.fuzz.draws import Draws
from tests.fuzz.habits import HABITS

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("quiet")]

OPEN_HABITS: dict[str, str] = {}
OPEN_OTHERS: dict[str, str] = {}
OPEN = {habit: why for why, habits in OPEN_HABITS.items() for habit in habits.split()} | OPEN_OTHERS
"""What is open. What no longer fails must go from here: a test says so, which makes no case where nothing is open."""

SEEDS = 6
"""So many cases of each family are made; the same ones in every run."""

FAILED = Path(__file__).with_name("failed.txt")

ALONE = {
    "acts": 5,
    "act 0": "train",
    "act 0 epochs": 2,
    "act 1": "predict",
    "act 1 rows": 3,
    "act 2": "change",
    "act 2 changes": "habit",
    "act 3": "train",
    "act 3 epochs": 2,
    "act 4": "predict",
    "act 4 rows": 3,
    "steps by hand": 1,
    "dtype": "float32",
    "rows": 9,
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
"""What is drawn where a habit is tried alone: training, predictions, the owner's change, and both again."""


def alone(habit, seed):
    """The habit in a plain net."""
    never = [
        "nested",
        "l1",
        "l2",
        "no shuffle",
        "flat t",
        "no last bias",
        "act 0 between epochs",
        "act 3 between epochs",
    ]
    plain = {f"act {n} x lies": "C" for n in (1, 4)} | {f"act {n} rows turned about": False for n in (1, 4)}
    return Case("changed habits", seed, dict.fromkeys(never, False) | plain | ALONE | {"layer 0": habit})


def seeds_that_failed():
    """The family and the seed of each line of failed.txt."""
    lines = FAILED.read_text(encoding="utf-8").splitlines()
    found = [re.match(r"(.+?) (\d+): ", line) for line in lines if line and line[0] != "#"]
    return [(match[1], int(match[2])) for match in found]


def causes_of(told):
    """What is OPEN of how a failing case is told."""
    return [cause for cause in OPEN if re.search(cause, told)]


def told(case, difference):
    """A failing case in words: its family and seed, the first difference, and what it draws."""
    return f"{case.family} {case.seed}: {difference}\n    {case.draws}"


def refuse(case):
    """Fail where a case does, unless the cause is known to be open."""
    difference = case.failure()
    if difference is not None and not causes_of(told(case, difference)):
        smaller = f"python -m tests.fuzz --family '{case.family}' --start {case.seed} --cases 1 --smaller"
        pytest.fail(f"{told(case, difference)}\nTo see what it takes: {smaller}", pytrace=False)


@pytest.fixture
def quiet(caplog):
    """What runs as it is, and why, is told in the log: not here."""
    caplog.set_level("CRITICAL", "minigrad")


def still_open(habit):
    """The habit as a parameter, expected to fail as long as it is open."""
    return (
        pytest.param(habit, marks=pytest.mark.xfail(strict=True, reason=OPEN[habit]))
        if habit in OPEN and habit not in OPEN_OTHERS
        else habit
    )


@pytest.mark.parametrize("habit", [still_open(habit) for habit in HABITS])
def test_each_habit_alone(habit):
    assert alone(habit, 0).failure() is None


@pytest.mark.usefixtures("several_blas_threads")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_cases_of_each_family(family):
    for seed in range(SEEDS if family != "many rows" else 2):
        refuse(Case(family, seed))


@pytest.mark.usefixtures("several_blas_threads")
@pytest.mark.parametrize(("family", "seed"), seeds_that_failed())
def test_seeds_that_failed(family, seed):
    refuse(Case(family, seed))


def test_what_is_open_still_fails():
    def still(cause):
        cases = itertools.starmap(Case, seeds_that_failed())
        return any(re.search(cause, told(case, why)) for case in cases if (why := case.failure()))

    mended = [cause for cause in OPEN_OTHERS if not still(cause)]
    assert mended == [], "no seed of failed.txt fails of these any more: take them out of OPEN"


def test_a_case_is_the_same_every_time():
    one, two = Case("habits", 3), Case("habits", 3)
    one.failure()
    two.failure()
    assert one.draws.drawn == two.draws.drawn


def test_a_draw_depends_on_its_name_alone():
    few, many = Draws("a", 1), Draws("a", 1)
    many.number("another", 0, 9)
    many.chance("a third", 0.5)
    assert few.one_of("loss", ["a", "b", "c"]) == many.one_of("loss", ["a", "b", "c"])
    assert few.number("rows", 0, 99) == many.number("rows", 0, 99)
    wins = sum(Draws("a", s).one_of("x", "ab") == Draws("a", s).one_of("x", "abc") for s in range(200))
    assert 110 < wins < 160  # two thirds keep what they drew when there is a third option


def test_a_fault_is_seen(monkeypatch):
    case = alone("UnusedParameter", 0)
    assert case.failure() is None
    monkeypatch.setattr(oracle.ByHand, "predict", lambda self, model, x: model.predict(x) * 1.000001)
    assert "predictions" in case.failure()
    monkeypatch.setattr(oracle.Ours, "train", lambda self, model, *rest, **options: [0.5])
    assert "losses" in case.failure()

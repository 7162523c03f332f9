"""The diagnosis has a budget of processor time; here it has more, so that no test depends on how fast a machine is."""

import pytest

from minigrad.testing import branches, diagnosis, other_forward, paths, repair

BUDGETS = [(module, "SECONDS") for module in (branches, diagnosis, other_forward, paths, repair)]


@pytest.fixture(autouse=True)
def longer_budgets(monkeypatch):
    for module, name in [*BUDGETS, (repair, "PAIR_SECONDS")]:
        monkeypatch.setattr(module, name, 4 * getattr(module, name))

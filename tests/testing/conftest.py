"""A check has a budget of processor time; here it has more, so that no test depends on how fast a machine is."""

import pytest

from minigrad.testing import budget


@pytest.fixture(autouse=True)
def longer_budgets(monkeypatch):
    monkeypatch.setattr(budget, "TIMES", 4.0)

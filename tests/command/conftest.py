"""What is quicker here: no boosted trees that nothing depends on, few steps where a table has few rows, few draws.

They take longer than all else of a small table.
"""

import pytest

from minigrad.command import settings
from minigrad.results import baselines, bootstrap


@pytest.fixture(autouse=True)
def no_trees(monkeypatch):
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(settings, "STEPS", 500)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "LEAST", 40)
    monkeypatch.setattr(bootstrap, "MOST", 40)

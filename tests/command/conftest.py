"""What is quicker here: no boosted trees where nothing depends on them, and fewer steps where a table has few rows.

Both take longer than all else of a small table.
"""

import pytest

from minigrad.command import settings
from minigrad.results import baselines


@pytest.fixture(autouse=True)
def no_trees(monkeypatch):
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(settings, "STEPS", 500)

"""Boosted trees are left out here, where nothing depends on them: they take longer than all else of a small table."""

import pytest

from minigrad.results import baselines


@pytest.fixture(autouse=True)
def no_trees(monkeypatch):
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)

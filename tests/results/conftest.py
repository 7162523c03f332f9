"""Baselines are trained for fewer steps here, and without trees, and rows drawn again for intervals less often."""

import importlib.util

import pytest

from minigrad.results import baselines, bootstrap


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST", bootstrap.LEAST)
    monkeypatch.setattr(baselines, "BASELINE_STEPS", 300)
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, but where that repays it, as for users: the results are the same."""


@pytest.fixture
def no_pictures(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))

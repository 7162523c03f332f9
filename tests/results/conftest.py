"""Baselines are trained for fewer steps here, and without trees, where nothing depends on how good they are."""

import pytest

from minigrad.results import baselines


@pytest.fixture(autouse=True)
def short_baselines(monkeypatch):
    monkeypatch.setattr(baselines, "BASELINE_STEPS", 300)
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)

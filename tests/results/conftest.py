"""Baselines are trained for fewer steps here, where nothing depends on how good they are."""

import pytest

from minigrad.results import baselines


@pytest.fixture(autouse=True)
def short_baselines(monkeypatch):
    monkeypatch.setattr(baselines, "BASELINE_STEPS", 300)

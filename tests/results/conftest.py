"""Baselines are trained for fewer steps here, and without trees, and rows drawn again for intervals less often."""

import pytest

from minigrad.results import baselines, bootstrap


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    monkeypatch.setattr(bootstrap, "MOST", bootstrap.LEAST)
    monkeypatch.setattr(baselines, "BASELINE_STEPS", 300)
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)

"""What is quicker here, for the fixtures of a module too: few steps and draws, no boosted trees and no pictures.

They take longer than all else of a small table. Where a test looks at them it asks for them; tests/results looks at
them all, and tests/test_readme.py draws them.
"""

import importlib.util

import pytest

from minigrad.command import settings
from minigrad.results import baselines, bootstrap

FIND = importlib.util.find_spec


@pytest.fixture(scope="module", autouse=True)
def quicker():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else FIND(name, *more)
        )
        patch.setattr(baselines, "boosting_installed", lambda: False)
        patch.setattr(baselines, "BASELINE_STEPS", 300)
        patch.setattr(settings, "STEPS", 500)
        patch.setattr(bootstrap, "LEAST", 40)
        patch.setattr(bootstrap, "MOST", 40)
        yield


@pytest.fixture
def pictures(monkeypatch):
    """Reports have them after all."""
    monkeypatch.setattr(importlib.util, "find_spec", FIND)


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, but where that repays it, as for users: the results are the same."""

"""The command is quick here: few steps and draws, no boosted trees and no pictures.

Where a test looks at pictures it asks for them; tests/results looks at all of it, and tests/test_readme.py draws them.
"""

import importlib.util

import pytest

FIND = importlib.util.find_spec


@pytest.fixture(scope="module", autouse=True)
def quicker(quick_command):
    """All of these tests, and what they are given."""


@pytest.fixture
def pictures(monkeypatch):
    """Reports have them after all."""
    monkeypatch.setattr(importlib.util, "find_spec", FIND)


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, but where that repays it, as for users: the results are the same."""

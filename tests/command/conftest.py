"""The command is quick here: few steps and draws, and no boosted trees."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quicker(quick_command):
    """All of these tests, and what they are given."""


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, but where that repays it, as for users: the results are the same."""

"""There are no boosted trees here, and rows are drawn again for intervals less often."""

import pytest

from minigrad.results import baselines, intervals


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    monkeypatch.setattr(intervals, "MOST", intervals.LEAST)
    monkeypatch.setattr(baselines, "boosting_installed", lambda: False)


@pytest.fixture(autouse=True)
def programs_are_recorded_at_once():
    """Not here, but where that repays it, as for users: the results are the same."""

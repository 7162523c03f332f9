"""Work that takes its worker down, for processes that are to start quickly."""

import os
from pathlib import Path

from tests.killing import KILL


def killed_once(marker, number):
    if number == 2 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), KILL)
    return number * number


def always_killed(number):
    os.kill(os.getpid(), KILL)

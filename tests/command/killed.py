"""Work that takes its worker down, for processes that are to start quickly."""

import os
import signal
from pathlib import Path


def killed_once(marker, number):
    if number == 2 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def always_killed(number):
    os.kill(os.getpid(), signal.SIGKILL)

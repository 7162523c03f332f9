"""What a learner's file does without end is told, with the line where it is.

A thread looks at the calls from time to time. A call of a method of a learner's class takes a moment: one that is still
the same after `CALL` seconds is in a loop that does not end. The file's own lines, or a cell's, are stopped after as
many: what they have made until then can be graded. What can't be stopped so, and what takes long although none of its
calls does, has `WHOLE` seconds.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

CALL, WHOLE = 10.0, 120.0
TICK = 0.2


@dataclass(frozen=True)
class TooLong:
    """What did not end: after how many `seconds`, and in which `function`, `file` and `line`, if known."""

    seconds: float
    function: str = ""
    file: str = ""
    line: int = 0


class Stopped(KeyboardInterrupt):
    """The file's own lines were stopped after so many `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


def watch(files: list[Path], call: float, whole: float, tell: Callable[[TooLong], None]) -> None:
    """From now on, `tell` if code of these files, called by this thread, does not end after so many seconds.

    Raises Stopped in this thread, the main one, where it is the files' own lines that do not.
    """
    own = {str(file) for file in files}
    watched = threading.get_ident()

    def stop(*_: Any) -> None:
        raise Stopped(call)

    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=lambda: tell(_look(own, watched, call, whole)), daemon=True).start()


def _look(files: set[str], watched: int, call: float, whole: float) -> TooLong:
    """Return as soon as something does not end."""
    began = since = entered = time.monotonic()
    method = lines = None
    while True:
        time.sleep(TICK)
        now, own = time.monotonic(), _own(files, watched)
        if lines is not (lines := next((each for each in own if each.f_code.co_name == "<module>"), None)):
            entered = now
        methods = [frame for frame in own if frame.f_code.co_varnames[:1] == ("self",)]
        outermost = methods[-1] if methods else None
        if outermost is not method:
            method, since = outermost, now
        within = 0.0 if method is None else now - since
        if lines is not None and now - entered > call and within < call / 2:  # or it is the method that does not end
            entered = now
            _interrupt(watched)
        if within <= call and now - began <= whole:
            continue
        seconds = within if within > call else now - began
        if not own:
            return TooLong(seconds)
        code = own[0].f_code
        function = "it" if code.co_name == "<module>" else code.co_name
        return TooLong(seconds, function, code.co_filename, own[0].f_lineno)


def _interrupt(watched: int) -> None:
    """What Ctrl-C does; it wakes a thread that sleeps, too."""
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(watched, signal.SIGINT)


def _own(files: set[str], watched: int) -> list[FrameType]:
    """The calls of the files' functions that are being made, the innermost first."""
    frame, own = sys._current_frames().get(watched), []
    while frame is not None:
        if frame.f_code.co_filename in files:
            own.append(frame)
        frame = frame.f_back
    return own

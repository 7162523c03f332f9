"""What a learner's file does without end is ended, with the line where it is.

A thread looks at the calls from time to time. A call of a method of a learner's class takes a moment: one that is still
the same after `CALL` seconds is in a loop that does not end. The whole file has `WHOLE` seconds, for it may train. The
exception is raised in the code itself, wherever it is; what can't be stopped so, in C say, ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

CALL, WHOLE, LAST = 10.0, 120.0, 5.0
TICK = 0.2


class TooLong(BaseException):
    """What was watched did not end: after how many `seconds`, and in which `function`, `file` and `line`, if known.

    No Exception, since code that catches those goes on.
    """

    seconds: float = 0.0
    function: str = ""
    file: str = ""
    line: int = 0


@contextlib.contextmanager
def watched(files: list[Path]) -> Iterator[None]:
    """Raise TooLong in what is done meanwhile, if code of these files does not end."""
    watch = _Watch({str(file) for file in files})
    try:
        yield
    except TooLong:
        raise watch.found from None
    finally:
        watch.end()


class _Watch:
    """A thread that looks at the one that makes it."""

    def __init__(self, files: set[str]) -> None:
        self.files, self.watched = files, threading.get_ident()
        self.found = TooLong()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        began = since = time.monotonic()
        call = None
        while not self._ended.wait(TICK):
            now, own = time.monotonic(), self._own()
            methods = [frame for frame in own if frame.f_code.co_varnames[:1] == ("self",)]
            outermost = methods[-1] if methods else None
            if outermost is not call:
                call, since = outermost, now
            if call is not None and now - since > CALL:
                return self._stop(now - since, own)
            if now - began > WHOLE:
                return self._stop(now - began, own)

    def _own(self) -> list[FrameType]:
        """The calls of the files' functions that are being made, the innermost first."""
        frame, own = sys._current_frames().get(self.watched), []
        while frame is not None:
            if frame.f_code.co_filename in self.files:
                own.append(frame)
            frame = frame.f_back
        return own

    def _stop(self, seconds: float, own: list[FrameType]) -> None:
        self.found.seconds = seconds
        if own:
            code = own[0].f_code
            function = "it" if code.co_name == "<module>" else code.co_name
            self.found.function, self.found.file, self.found.line = function, code.co_filename, own[0].f_lineno
        for _ in range(int(LAST)):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.watched), ctypes.py_object(TooLong))
            if self._ended.wait(1):
                return
        where = f"{self.found.file}, line {self.found.line}" if own else "the file"
        print(f"minigrad: {where} does not come to an end", file=sys.__stderr__, flush=True)
        os._exit(1)

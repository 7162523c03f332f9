"""Each answer to a lesson is graded in a Python of its own: whatever it does to that, the next one has a new one.

The other Python sees what this one would import, has no input, and writes its verdict to a file. Where there is none,
the answer has ended it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minigrad.command import watch
from minigrad.command.grading import Answer, Printed, Verdict, grade

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from minigrad.command import apart; apart.child()"
UNSEEN = "ignore:FigureCanvasAgg is non-interactive"  # what matplotlib warns of where there is no window
LATE = 10.0
"""Seconds that the other Python has beyond those of the answer: to start, and to tell of a loop itself."""


def graded(solution: Path, path: Path) -> Verdict:
    """What is to be said of the answer in `path`. Raises ValueError or OSError for a file that is none."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        answer, told = Answer.of(path, Path(folder)), Path(folder) / "verdict.json"
        task = [str(each) for each in (solution, told, answer.path, *answer.files)]
        command = [
            sys.executable,
            "-W",
            UNSEEN,
            "-P",
            "-c",
            CODE,
            json.dumps(sys.path),
            json.dumps([watch.CALL, watch.WHOLE]),
        ]
        try:
            status = subprocess.run(
                [*command, *task],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"MPLBACKEND": "Agg"},  # a window would wait to be closed
                timeout=watch.WHOLE + LATE,
            ).returncode
        except subprocess.TimeoutExpired:
            return Verdict(False, answer.endless(watch.TooLong(watch.WHOLE)), _printed(told))
        if told.exists():
            return Verdict(**json.loads(told.read_text(encoding="utf-8")))
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return Verdict(False, f"It ended Python itself ({how}) before it could be graded", _printed(told))


def _beside(told: Path) -> Path:
    """The file with what an answer prints, beside that of the verdict."""
    return told.with_name("printed.txt")


def _printed(told: Path) -> str:
    """What an answer had printed when its Python ended."""
    printed = Printed()
    if _beside(told).exists():
        printed.write(_beside(told).read_text(encoding="utf-8", errors="replace"))
    return str(printed)


def child() -> None:
    """Grade the answer that the arguments name, and end with that: it may have started threads that don't."""
    (call, whole), (solution, told, path, *files) = json.loads(sys.argv[2]), map(Path, sys.argv[3:])
    answer, first = Answer(path, files), threading.Lock()

    def tell(verdict: Verdict) -> Any:
        first.acquire()  # for good: there is one verdict
        told.write_text(json.dumps(asdict(verdict)), encoding="utf-8")
        os._exit(0)

    watch.watch(files, call, whole, lambda found: tell(Verdict(False, answer.endless(found), _printed(told))))
    tell(grade(solution, answer, Printed(_beside(told))))

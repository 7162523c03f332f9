"""Ctrl-C while the command `minigrad` is being imported: it ends with the status and the line that Ctrl-C has later.

Importing takes half a second, in which nothing has begun. This module is imported before all others, and does it at
once; `main` puts the usual Ctrl-C back. Where minigrad is a library, nothing is changed.
"""

import os
import signal
import sys

INTERRUPTED = 130


def usual() -> None:
    """Have Ctrl-C raise KeyboardInterrupt, where importing changed that."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_the_command() -> bool:
    """Whether Python was started as `minigrad …` or `python -m minigrad …`; a process of a pool was not."""
    script = (sys.orig_argv[-len(sys.argv) :] or [""])[0]  # its module, where Python runs one: argv[0] is "-m" then
    return sys.argv[:1] in ([script], ["-m"]) and os.path.basename(script).removesuffix(".exe") == "minigrad"


def _end(*_: object) -> None:
    os.write(2, f"minigrad: interrupted{os.linesep}".encode())
    os._exit(INTERRUPTED)  # an exception would meet half-imported modules, some of which make another one of it


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # the shell's jobs ignore it
    signal.signal(signal.SIGINT, _end)

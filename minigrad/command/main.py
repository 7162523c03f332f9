"""The command `minigrad`: from a workbook to a trained network and an honest word about it.

Results go to stdout, progress and errors to stderr. What the user can set right is one line, `minigrad: …`, and the
exit status 2; a layer that `check` or `lesson` finds wrong gives 1, Ctrl-C 130, a reader that went away (`| head`) 141.

Output is UTF-8 in pipes and files on Windows too, as Python's is from 3.15 on: a code page lacks our ∂ and some labels
of users, and cmd, PowerShell and Python expect different ones there. (Its console takes all letters.) Who asks for an
encoding, by PYTHONIOENCODING or another system's locale, gets it, with an escape for each letter that it lacks.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module

from minigrad.command.interrupt import INTERRUPTED, usual
from minigrad.command.options import read_options
from minigrad.training.history import DivergenceError

COMMANDS = {
    "train": "tables:train",
    "predict": "tables:predict",
    "evaluate": "tables:evaluate",
    "explain": "tables:explain",
    "show": "tables:show",
    "open": "steps:lay_open",
    "digits": "others:digits",
    "sample": "others:sample",
    "check": "others:check",
    "derive": "others:derive",
    "lesson": "lessons:lesson",
    "export": "others:export",
}
"""The module and the function of each: one command is run, and imports what it needs, which for most is little."""


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments (by default, the process's own) and return its exit status."""
    _print_any_letter()
    try:
        usual()
        options = read_options(argv)
        module, _, function = COMMANDS[options.command].partition(":")
        status: int = getattr(import_module(f"minigrad.command.{module}"), function)(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as interrupt:
        print(f"minigrad: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except DivergenceError as error:
        return _refuse(f"{error}. Try a smaller --learning-rate")
    except OSError as error:
        if _has_no_reader(error):
            # Python flushes stdout once more when it ends; now into nothing, so that it does not complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        return _refuse(str(error))


def _print_any_letter() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unasked = sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ
            stream.reconfigure(encoding="utf-8" if unasked else None, errors="backslashreplace")


def _has_no_reader(error: OSError) -> bool:
    """Whether it says that nobody reads stdout any more; on Windows that is an invalid argument, of no file."""
    invalid = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return invalid or isinstance(error, BrokenPipeError)


def _refuse(message: str) -> int:
    print("minigrad:", " ".join(message.split()), file=sys.stderr)
    return 2

"""Writing a file so that a crash at any moment leaves the old one or the new one, whole."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import IO

SECONDS_UNTIL_ABANDONED = 600.0  # without a change of a temporary file, which the slowest write makes all the time
SECONDS_HELD = 2.0  # how long a scanner for viruses, say, may keep a file open that is to be replaced

PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"}
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | PORTS
"""Names that Windows gives no file, whatever their ending."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file in the folder of `path` that takes its place once it is complete, and vanishes if that fails.

    A symbolic link stays, and the file that it points to is replaced. The new file has the permissions of the old one;
    where there was none, those of any new file. Raises what `target_of` raises, and on Windows PermissionError for a
    file that another program has open.

    A process that is killed can't clean up: the file that it leaves is removed by the first writing to the same path
    that comes ten minutes later.
    """
    target = target_of(path)
    _remove_abandoned(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            if target.exists():
                shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())  # or, after a power cut, the new name may stand for nothing yet
        _once_closed(lambda: os.replace(temporary, target))
        _sync(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error  # the user knows no temporary file
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def target_of(path: str | os.PathLike[str]) -> Path:
    """The file that writing to `path` replaces: what a symbolic link points to.

    Raises OSError for what is no ordinary file and for a name that Windows can't have, there; FileNotFoundError where
    the folder of the file is missing, and PermissionError for a folder that takes no file, or a file that is protected
    against writing (which replacing it would get around).
    """
    refuse_name(path)
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is a device or a pipe; give the name of an ordinary file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} can't be written: there is no folder {target.parent}; make it first")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is protected against writing; choose another name, or change its permissions")
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"{path} can't be written: the folder {target.parent} is protected against writing")
    return target


def refuse_name(path: str | os.PathLike[str]) -> None:
    """Raise OSError, on Windows, for a path that can't be that of a file or folder there."""
    if sys.platform == "win32" and (reason := not_on_windows(path)) is not None:
        raise OSError(f"{path}: {reason}; choose another name")


def not_on_windows(path: str | os.PathLike[str]) -> str | None:
    """What keeps Windows from having a file or folder of this path, in words; None where nothing does.

    Source: "Naming Files, Paths, and Namespaces" of its documentation. Without a word, Windows writes `aux.csv` to a
    device, `out:1.csv` into a hidden stream of the file `out`, and `out.csv.` as `out.csv`.
    """
    whole = PureWindowsPath(path)
    for name in whole.parts[bool(whole.anchor) :]:
        if found := re.search(r'[<>:"|?*\0-\x1f]', name):
            return f"Windows has no {found[0]!r} in names of files"
        if name != ".." and name[-1] in ". ":
            return f"Windows has no names of files that end in a {'dot' if name[-1] == '.' else 'space'}"
        if (device := name.partition(".")[0].rstrip(" ")).lower() in DEVICES:
            return f"Windows keeps the name {device} for a device, with any ending"
    return None


def refuse_open(path: str | os.PathLike[str]) -> None:
    """Raise PermissionError, before the work, for a file that Windows won't replace since another program has it open.

    Renaming it to its own name is refused as that will be, and changes nothing.
    """
    target = Path(path).resolve()
    if sys.platform == "win32" and target.exists():
        try:
            _once_closed(lambda: os.rename(target, target))
        except PermissionError as error:
            raise PermissionError(error.errno, error.strerror, str(path)) from error


def _once_closed(rename: Callable[[], None]) -> None:
    """Rename; on Windows again and again for a while, since no file is replaced there that somebody has open."""
    begun = time.monotonic()
    while True:
        try:
            return rename()
        except PermissionError as error:
            if sys.platform != "win32":
                raise
            if time.monotonic() - begun >= SECONDS_HELD:
                told = "another program, such as Excel, has it open; close it there, or choose another name"
                raise PermissionError(error.errno, told) from error
            time.sleep(0.05)


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary files of the target that nobody has written to for ten minutes."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):  # another process may be removing it too
            if time.time() - left.stat().st_mtime > SECONDS_UNTIL_ABANDONED:
                left.unlink()


def _sync(folder: Path) -> None:
    """Have the new name on the disk, where the system and the file system can do that for a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

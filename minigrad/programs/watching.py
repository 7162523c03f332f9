"""Watching: which attributes of layers, losses and optimizers some work reads, and which it sets.

What is read before it is set is what the work depends on; what is set after it was read is state that it carries from
one time to the next. There is no other list of either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.configured import Configured
from minigrad.programs.form import Position

_one_at_a_time = threading.RLock()
_watch: Watch | None = None
"""The one that sees what happens."""


class Watch:
    """What has been read and set so far, by object: `read` has the names that were read before they were set, `unread`
    those that were set, and that nobody has read since.

    `part` says which part of the work is at it; `first` has that part for each object.
    """

    def __init__(self, part: Callable[[], Position]) -> None:
        self.objects: dict[int, Any] = {}
        self.read: dict[int, dict[str, None]] = {}
        self.set: dict[int, dict[str, None]] = {}
        self.unread: dict[int, dict[str, None]] = {}
        self.first: dict[int, Position] = {}
        self._part, self._thread = part, threading.get_ident()

    def sees(self, thing: Any, name: str, *, sets: bool) -> None:
        """An attribute is read or set."""
        if threading.get_ident() != self._thread or name.startswith("__"):
            return
        key = id(thing)
        if key not in self.objects:
            self.objects[key], self.first[key] = thing, self._part()
            self.read[key], self.set[key], self.unread[key] = {}, {}, {}
        if sets:
            self.set[key][name] = self.unread[key][name] = None
            return
        self.unread[key].pop(name, None)
        if name not in self.set[key]:
            self.read[key][name] = None


@contextmanager
def watchable() -> Iterator[None]:
    """In here attributes can be watched; others wait to record.

    Getting ready takes a walk over all subclasses of Configured, in Python itself: who watches several times in a row
    does it once, by being in here all the time.
    """
    with _one_at_a_time:
        if "__getattribute__" in vars(Configured):  # who is in here already: a recording may meet another on the way
            yield
            return
        Configured.__getattribute__ = _read  # type: ignore[method-assign]
        Configured.__setattr__ = _put  # type: ignore[method-assign]
        try:
            yield
        finally:
            del Configured.__getattribute__, Configured.__setattr__


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """In here the watch sees what the calling thread does with layers, losses and optimizers."""
    global _watch
    with watchable():
        before, _watch = _watch, watch
        try:
            yield
        finally:
            _watch = before


def _read(self: Any, name: str) -> Any:
    if (watch := _watch) is not None:  # as it was when asked: another thread may end it meanwhile
        watch.sees(self, name, sets=False)
    return object.__getattribute__(self, name)


def _put(self: Any, name: str, value: Any) -> None:
    if (watch := _watch) is not None:
        watch.sees(self, name, sets=True)
    object.__setattr__(self, name, value)

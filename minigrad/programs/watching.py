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
def watching(watch: Watch) -> Iterator[None]:
    """In here the watch sees what the calling thread does with layers, losses and optimizers; others wait to record."""

    def read(self: Any, name: str) -> Any:
        watch.sees(self, name, sets=False)
        return object.__getattribute__(self, name)

    def put(self: Any, name: str, value: Any) -> None:
        watch.sees(self, name, sets=True)
        object.__setattr__(self, name, value)

    with _one_at_a_time:
        before = {name: vars(Configured).get(name) for name in ("__getattribute__", "__setattr__")}
        Configured.__getattribute__ = read  # type: ignore[method-assign]
        Configured.__setattr__ = put  # type: ignore[method-assign]
        try:
            yield
        finally:
            for name, function in before.items():
                if function is None:
                    delattr(Configured, name)
                else:  # in here something was recorded on the way
                    setattr(Configured, name, function)

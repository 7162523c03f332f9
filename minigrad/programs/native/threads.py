"""Worker threads that share tasks, and the choice of the fastest of several ways to do the same work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from typing import Generic, TypeVar

Way = TypeVar("Way")


class Pace(Generic[Way]):
    """Finds the fastest of several ways to do some work over and over: `way` is how to do it the next time.

    That depends on more than sizes: where processors share no cache, a second thread has been seen to make a step of
    128 rows half as slow again that on another day it made a sixth faster. So what is slower gets another try at times.
    """

    WINDOW, AGAIN = 0.05, 200.0
    """Seconds that are taken together, and how many times as long as it takes to settle the next try is put off."""

    def __init__(self, ways: Sequence[Way], settling: float, first: float) -> None:
        """`settling` are seconds that do not count after a change, `first` those at the beginning."""
        self._ways, self._settling = list(dict.fromkeys(ways)), settling
        self.way: Way = ways[0]
        self._paces: dict[Way, float] = {}
        self._change(ways[0])
        self._since = settling - first

    def _change(self, way: Way) -> None:
        self.way, self._since, self._seconds, self._amount = way, 0.0, 0.0, 0.0

    def learn(self, seconds: float, amount: float) -> None:
        """So much work has taken so long."""
        self._since += seconds
        if len(self._ways) == 1 or self._since < self._settling:
            return
        self._seconds += seconds
        self._amount += amount
        if self._seconds < self.WINDOW:
            return
        self._paces[self.way] = self._seconds / self._amount
        self._seconds = self._amount = 0.0
        fastest = min(self._paces, key=self._paces.__getitem__)
        if len(self._paces) < len(self._ways) or (self.way == fastest and self._since > self.AGAIN * self._settling):
            self._change(self._ways[(self._ways.index(self.way) + 1) % len(self._ways)])
        elif self.way != fastest:
            self._change(fastest)


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="minigrad")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a child has none of its parent's threads


def helpers_start() -> bool:
    """Whether there are other threads for tasks that wait for each other: there are none while the interpreter ends."""
    try:
        _helpers().submit(int)
    except RuntimeError:
        return False
    return True


def share(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks side by side, the first in the calling thread, and wait for all. Raises what one of them raises."""
    others: list[Future[None]] = []
    mine = list(tasks[:1])
    for task in tasks[1:]:
        try:
            others.append(_helpers().submit(copy_context().run, task))  # the context has NumPy's errstate
        except RuntimeError:  # the interpreter is shutting down
            mine.append(task)
    try:
        for task in mine:
            task()
    finally:
        _wait(others)
    for other in others:
        other.result()


def _wait(others: list[Future[None]]) -> None:
    """Wait for all, however often one is interrupted: they write into memory that the next task will use."""
    interrupted: BaseException | None = None
    while True:
        try:
            wait(others)
            break
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted

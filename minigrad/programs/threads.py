"""Threads: how many the matrix products use, and a few of Python's own that share tasks.

A BLAS library gives a product to all processors from some size on. That is not always faster, and where minigrad's own
threads multiply matrices, BLAS's stand in their way. So here and there it is told to use one, for as long as a block of
code runs. The number of threads may change the last bits of a product: whoever asks for one thread sees to it that its
own bits stay the same, and `steady_blas_threads` keeps those of a training in another thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any, Generic, TypeVar

Way = TypeVar("Way")


@cache
def _libraries() -> list[Any]:
    """threadpoolctl's handles of the BLAS libraries that this process has loaded; none where it knows no way in."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def blas_threads() -> int:
    """How many threads a large matrix product uses, as far as can be known; else 1."""
    return max((library.get_num_threads() or 1 for library in _libraries()), default=1)


class _Users:
    """Who is training, by the threads' numbers, and how deep the main thread, `holder`, is in `one_blas_thread`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.training: Counter[int] = Counter()
        self.depth = 0
        self.holder = 0
        self.before: list[int] = []

    def leave(self, depth: int) -> None:
        """Back to a depth; at the outermost, BLAS gets its threads back."""
        with self.changed:
            if depth == 0 < self.depth:
                for library, number in zip(_libraries(), self.before, strict=True):
                    library.set_num_threads(number)
            self.depth = depth
            self.changed.notify_all()

    def forked(self) -> None:
        """In a child there is only the thread that forked: nobody waits, and what others held is given back."""
        me = threading.get_ident()
        self.changed = threading.Condition()
        self.training = +Counter({me: self.training[me]})
        if self.holder != me:
            self.leave(0)


_users = _Users()


@contextmanager
def steady_blas_threads() -> Iterator[None]:
    """The calling thread trains in here: no other thread changes BLAS's number of threads in the meantime."""
    me, entered, depth = threading.get_ident(), False, _users.depth
    try:
        with _users.changed:
            _users.changed.wait_for(lambda: in_main_thread() or _users.depth == 0)
            _users.training[me] += 1
            entered = True
        yield
    finally:
        if in_main_thread() and _users.depth > depth:
            _users.leave(depth)  # a KeyboardInterrupt came while BLAS got its threads back
        with _users.changed:
            _users.training[me] -= entered
            _users.training += Counter()  # forget those that are at 0


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Matrix products use one thread in here: in the whole process, since BLAS libraries know no other way.

    Whether they do is what it gives. It changes nothing where another thread is training, and none but the main thread
    can change anything: OpenBLAS does not heed the others (0.3.31, seen).
    """
    if blas_threads() == 1 and _users.depth == 0:
        yield True
        return
    me, able, depth = threading.get_ident(), False, _users.depth
    try:
        with _users.changed:
            able = in_main_thread() and all(thread == me for thread in _users.training)
            if able and depth == 0:
                _users.before, _users.holder = [library.get_num_threads() for library in _libraries()], me
            _users.depth += able
        for library in _libraries() if able else []:
            library.set_num_threads(1)
        yield able
    finally:
        if able:
            _users.leave(depth)


def in_main_thread() -> bool:
    """Whether the calling thread is the one that the process began with."""
    return threading.current_thread() is threading.main_thread()


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
    os.register_at_fork(after_in_child=_users.forked)


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

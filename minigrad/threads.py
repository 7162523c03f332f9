"""Threads: how many the matrix products use, and a few of Python's own that share tasks.

A BLAS library gives a product to all processors from some size on. Where products are small, handing the work over
costs more than it saves; where minigrad's own threads call it, its threads would stand in their way. So here and there
it is told to use one, for as long as a block of code runs, and afterwards what it used before.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from typing import Any


@cache
def _libraries() -> list[Any]:
    """threadpoolctl's handles of the BLAS libraries that this process has loaded; none where it knows no way in."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def blas_threads() -> int:
    """How many threads a large matrix product uses, as far as can be known; else 1."""
    return max((library.get_num_threads() or 1 for library in _libraries()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products use one thread in here: in the whole process, since BLAS libraries know no other way.

    It does nothing in other threads than the main one: OpenBLAS does not heed them (0.3.31, seen), and two that put
    back what they found would each undo what the other did.
    """
    libraries = _libraries() if in_main_thread() else []
    before = [library.get_num_threads() for library in libraries]
    for library in libraries:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_num_threads(number)


class Pace:
    """Finds out whether some work is faster with one BLAS thread or with BLAS's own number, by trying both.

    That depends on more than sizes. Where processors share no cache, a second thread has been seen to make a step of
    128 rows half as slow again that on another day it made a sixth faster. So what is slower gets another try at times.
    """

    TRIES, BETWEEN = 4, 50

    def __init__(self) -> None:
        self._seconds = {True: math.inf, False: math.inf}
        self._runs = 0

    @contextmanager
    def choosing(self, amount: float) -> Iterator[None]:
        """The work runs in here, with one thread or with several; `amount` says how much of it there is."""
        self._runs += 1
        single = self._seconds[True] < self._seconds[False]
        if self._runs <= self.TRIES:
            single = self._runs % 2 == 0
        elif self._runs % self.BETWEEN == 0:
            single = not single
        begun = time.perf_counter()
        with one_blas_thread() if single else nullcontext():
            yield
        self._seconds[single] = (time.perf_counter() - begun) / amount


def in_main_thread() -> bool:
    """Whether the calling thread is the one that the process began with."""
    return threading.current_thread() is threading.main_thread()


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="minigrad")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a child has none of its parent's threads


def share(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks side by side, the first in the calling thread, and wait for all. Raises what one of them raises."""
    others = [_helpers().submit(copy_context().run, task) for task in tasks[1:]]  # the context has NumPy's errstate
    try:
        tasks[0]()
    finally:
        wait(others)
    for other in others:
        other.result()

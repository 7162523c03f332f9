"""How many threads BLAS uses for a matrix product.

A BLAS library spreads a product over all processors from some size on. That is not always faster, and where minigrad's
own threads multiply matrices, BLAS's get in their way. So here and there BLAS is told to use one thread for as long as
a block of code runs. The number of threads may change the last bits of a product: whoever asks for one thread makes
sure that its own bits stay the same, and `steady_blas_threads` protects those of a training in another thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_users.forked)

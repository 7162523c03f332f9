"""Worker threads that share tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache


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

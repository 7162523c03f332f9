"""Every call that Python makes in a while, watched."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def watched(watch: Callable[[Any, str, Any], None]) -> Iterator[None]:
    """In here `watch(frame, event, argument)` is told of this thread's calls and returns, as by `sys.setprofile`.

    A profiler that is at work pauses until then. Where it is cProfile's, Python before 3.12 names it without being able
    to call it: it is to be enabled again, or the next call of anything fails.
    """
    before: Any = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        enable = getattr(before, "enable", None)
        sys.setprofile(None if enable else before)
        if enable:
            enable()

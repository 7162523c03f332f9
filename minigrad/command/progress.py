"""Signs of life for work that has no steps to count: a line on the terminal that tells the seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 1.0  # seconds without a sign


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Say on stderr, if it is a terminal, that `what` is going on and for how long, once it takes over a second."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    sign = threading.Thread(target=_tick, args=(what, done), daemon=True)
    sign.start()
    try:
        yield
    finally:
        done.set()
        sign.join()


def _tick(what: str, done: threading.Event) -> None:
    if done.wait(PATIENCE):
        return
    from tqdm import tqdm

    with tqdm(desc=what, bar_format="{desc}: {elapsed}", leave=False) as bar:
        while not done.wait(0.1):
            bar.update()

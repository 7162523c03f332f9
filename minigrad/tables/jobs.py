"""Many trainings that do not ask each other, one after the other or at the same time (`--jobs`), and signs of life.

joblib runs them: in processes on this machine, or on a Dask cluster. Each has one BLAS thread, wherever it runs, so
that its result is the same for any number of jobs.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from minigrad.version import installing

Jobs: TypeAlias = int | str
"""So many processes, or the address of a Dask cluster's scheduler."""
PATIENCE = 1.0  # seconds without a sign
ATTEMPTS = 3  # to run what a worker that was killed has left
SECONDS_TO_ANSWER = 10.0  # that a cluster's scheduler has


class _Killed(Exception):
    """A worker has ended in the middle of its work."""


def jobs(text: str) -> Jobs:
    """A whole number from 1 on, or an address such as tcp://10.0.0.5:8786."""
    if "://" in text:
        return text
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number from 1 on nor a Dask scheduler's address")
    return int(text)


def run_all(what: str, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], jobs: Jobs) -> list[Any]:
    """function(*each) for each of the arguments, by so many jobs; progress is shown on a terminal as `what`."""
    found: dict[int, Any] = {}
    with _bar(what, len(arguments)) as advance:
        for attempt in range(1, ATTEMPTS + 1):
            left = [number for number in range(len(arguments)) if number not in found]
            try:
                for number, result in _results(function, [(number, arguments[number]) for number in left], jobs):
                    found[number] = result
                    advance()
                break
            except _Killed as error:
                lost = len(arguments) - len(found)
                if attempt == ATTEMPTS:
                    raise ValueError(
                        f"{what}: workers were killed, at attempt {ATTEMPTS} too; memory may be short: take fewer jobs"
                    ) from error
                print(f"minigrad: note: a worker was killed; {lost} of {len(arguments)} run again", file=sys.stderr)
    return [found[number] for number in range(len(arguments))]


def _results(
    function: Callable[..., Any], tasks: Sequence[tuple[int, tuple[Any, ...]]], jobs: Jobs
) -> Iterator[tuple[int, Any]]:
    if jobs == 1 or not tasks:
        yield from (_run(function, number, each) for number, each in tasks)
        return
    try:
        import joblib
        from joblib.externals.loky.process_executor import TerminatedWorkerError
    except ImportError as error:
        raise ValueError(f"--jobs needs joblib ({error}): {installing('jobs')}") from error
    try:
        with cluster(jobs):
            parallel = joblib.Parallel(n_jobs=-1 if isinstance(jobs, str) else jobs, return_as="generator_unordered")
            yield from parallel(joblib.delayed(_run)(function, number, each) for number, each in tasks)
    except TerminatedWorkerError as error:
        raise _Killed(str(error)) from error


@contextmanager
def cluster(jobs: Jobs) -> Iterator[None]:
    """In here joblib's work goes to the cluster with this address; with a number it stays here."""
    if isinstance(jobs, int):
        yield
        return
    try:
        import joblib
        from dask.distributed import Client
    except ImportError as error:
        raise ValueError(f'--jobs {jobs}: needs Dask ({error}): pip install "dask[distributed]"') from error
    try:
        client = Client(jobs, timeout=SECONDS_TO_ANSWER)
    except OSError as error:
        raise ValueError(f"--jobs {jobs}: no Dask scheduler answers there") from error
    with client, joblib.parallel_config(backend="dask"):
        yield


def _run(function: Callable[..., Any], number: int, arguments: tuple[Any, ...]) -> tuple[int, Any]:
    """In the process that does the work."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        return number, function(*arguments)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[], Any]]:
    if total == 0 or not sys.stderr.isatty():
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what) as bar:
        yield bar.update


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

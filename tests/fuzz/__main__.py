"""The long run: `python -m tests.fuzz --cases 20000` prints the cases that fail, and ends with 1 if there are any.

    --family NAME    this family only; without it, all of them in turn. --list names them
    --start SEED     the first seed
    --seconds S      end after so long
    --jobs N         processes
    --smaller        make each case that fails as small as it gets: draws are fixed to their simplest answers

One case alone, made small, is `--family NAME --start SEED --cases 1 --smaller`. A case that kills its process is a
failure too, so this is also the run under a memory checker:

    PYTHONMALLOC=debug python -X dev -m tests.fuzz --cases 4000
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.cases import FAMILIES

PER_PROCESS = 100
SECONDS_FOR_A_CASE = 300


class Run:
    """A run of many cases: how many were made and how many failed, by family, and when it is to end."""

    def __init__(self, seconds, smaller):
        self.begun, self.seconds, self.smaller = time.monotonic(), seconds, smaller
        self.made, self.failed = Counter(), Counter()
        self._lock = threading.Lock()

    def over(self):
        return time.monotonic() - self.begun > self.seconds

    def tell(self, family, seed, difference, drawn=""):
        with self._lock:
            self.failed[family] += 1
            print(f"{family} {seed}: {difference}\n    {drawn}".rstrip(), flush=True)

    def cases(self, family, start, stop):
        """Run the seeds of a family, in a new process after one that died."""
        while start < stop and not self.over():
            start = self._in_a_process(family, start, stop)

    def _in_a_process(self, family, start, stop):
        """The seed to go on with."""
        flags = [f"-X{name}" for name in sys._xoptions]
        command = [sys.executable, *flags, "-m", "tests.fuzz.child", family, str(start), str(stop)]
        seed, done = start, False
        with subprocess.Popen([*command, *["smaller"] * self.smaller], stdout=subprocess.PIPE, text=True) as child:
            watch = self._watch(child)
            for line in child.stdout:
                if line.startswith("["):
                    self.tell(family, seed, *json.loads(line))
                elif line.strip() == "done":
                    done = True
                else:
                    watch.cancel()
                    if self.over():
                        child.terminate()
                        return stop
                    watch = self._watch(child)
                    seed = int(line)
                    self.made[family] += 1
            watch.cancel()
        if child.returncode or not done:
            self.tell(family, seed, f"the process ended with {child.returncode}")
        return stop if done else seed + 1

    def _watch(self, child):
        """What ends a case that does not end."""
        watch = threading.Timer(SECONDS_FOR_A_CASE, child.kill)
        watch.start()
        return watch

    def sum_up(self):
        """Print the table of all families, and return the number of failures."""
        for family in sorted(self.made):
            print(f"{family:16s}{self.made[family]:7d} cases{self.failed[family]:7d} failed")
        took = time.monotonic() - self.begun
        print(f"{'together':16s}{self.made.total():7d} cases{self.failed.total():7d} failed, {took:.0f} seconds")
        return self.failed.total()


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--smaller", action="store_true")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list:
        print(*(f"{name:16s}{family.about}" for name, family in FAMILIES.items()), sep="\n")
        return 0
    families, run = given.family or list(FAMILIES), Run(given.seconds, given.smaller)
    stop = given.start + -(-given.cases // len(families))
    with ThreadPoolExecutor(given.jobs) as pool:
        for first in range(given.start, stop, PER_PROCESS):
            for family in families:
                pool.submit(run.cases, family, first, min(first + PER_PROCESS, stop))
    return 1 if run.sum_up() else 0


if __name__ == "__main__":
    sys.exit(main())

"""The long run: `python -m tests.fuzz --cases 20000`. It prints the cases that fail, and ends with 1 if one does.

    --family NAME    only this family (all of them in turn without); --list names them
    --start SEED     the first seed
    --seconds S      end after so long
    --jobs N         processes
    --case SEED      this case alone, with what it draws; with --family
    --smaller        make each failing case as small as it gets, by draws fixed to their simplest answer
"""

import argparse
import faulthandler
import logging
import multiprocessing
import sys
import time
import warnings
from collections import Counter

from tests.fuzz.acts import Case
from tests.fuzz.cases import FAMILIES
from tests.fuzz.oracle import oddly

PER_TASK = 20


def run(task):
    """The failures of some seeds of a family: (family, seed, first difference, what the case draws)."""
    family, seeds, smaller = task
    logging.disable()
    warnings.simplefilter("ignore")
    found = []
    for seed in seeds:
        case = Case(family, seed)
        difference = oddly(case.failure)
        if difference is not None:
            case = smallest(case) if smaller else case
            found.append((family, seed, oddly(case.failure) or f"{difference} (not every time)", str(case.draws)))
    return family, len(seeds), found


def smallest(case):
    """The case with as many draws as possible fixed to their simplest answer, so that it still fails."""
    case.failure()
    going = True
    while going:
        going = False
        for name, answer in list(case.draws.drawn.items()):
            simplest = case.draws.simplest.get(name)
            if answer != simplest:
                smaller = Case(case.family, case.seed, {**(case.fixed or {}), name: simplest})
                if oddly(smaller.failure) is not None:
                    case, going = smaller, True
    case.failure()
    return case


def main(arguments=None):
    """Run the command; the number of failures is what it returns."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--case", type=int)
    parser.add_argument("--smaller", action="store_true")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args(arguments)
    families = given.family or list(FAMILIES)
    if given.list:
        print(*(f"{name:16s}{family.about}" for name, family in FAMILIES.items()), sep="\n")
        return 0
    faulthandler.enable()
    if given.case is not None:
        return show(run((families[0], [given.case], given.smaller))[2])
    each = -(-given.cases // len(families))
    stop = given.start + each
    tasks = [
        (family, range(first, min(first + PER_TASK, stop)), given.smaller)
        for first in range(given.start, stop, PER_TASK)
        for family in families
    ]
    return run_all(tasks, given.jobs, given.seconds)


def run_all(tasks, jobs, seconds):
    """Run tasks in so many processes, and sum up by family."""
    begun, made, failed = time.monotonic(), Counter(), Counter()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for family, count, found in pool.imap_unordered(run, tasks):
            made[family] += count
            failed[family] += show(found)
            if time.monotonic() - begun > seconds:
                break
        pool.terminate()
    for family in made:
        print(f"{family:16s}{made[family]:7d} cases {failed[family]:7d} failed")
    print(f"{'together':16s}{made.total():7d} cases {failed.total():7d} failed, {time.monotonic() - begun:.0f} seconds")
    return failed.total()


def show(found):
    """Print failures, and count them."""
    for family, seed, difference, drawn in found:
        print(f"{family} {seed}: {difference}\n    {drawn}", flush=True)
    return len(found)


if __name__ == "__main__":
    sys.exit(min(main(), 1))

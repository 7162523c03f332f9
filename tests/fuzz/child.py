"""One process of the long run: `python -m tests.fuzz.child FAMILY START STOP`, which the command starts and reads.

A case may kill its process. So each seed is named before it is run, and a failure is one line of JSON.
"""

import faulthandler
import json
import logging
import sys
import warnings

from tests.fuzz.acts import Case


def check(family, seed, smaller=False):
    """A case that fails: the first difference and what it draws. None for one that doesn't."""
    case = Case(family, seed)
    difference = case.failure()
    if difference is None:
        return None
    if smaller:
        case = smallest(case)
        difference = case.failure() or f"{difference} (but not every time)"
    return difference, str(case.draws)


def smallest(case):
    """The case with as many draws as possible fixed to their simplest answer, so that it still fails."""
    going = True
    while going:
        going = False
        for name, answer in list(case.draws.drawn.items()):
            simplest = case.draws.simplest.get(name)
            if answer != simplest and name not in (case.fixed or {}):
                other = Case(case.family, case.seed, {**(case.fixed or {}), name: simplest})
                if other.failure() is not None:
                    case, going = other, True
    return case


def main(family, start, stop, *smaller):
    faulthandler.enable()
    logging.disable()
    warnings.simplefilter("ignore")
    for seed in range(int(start), int(stop)):
        print(seed, flush=True)
        found = check(family, seed, bool(smaller))
        if found is not None:
            print(json.dumps(found), flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

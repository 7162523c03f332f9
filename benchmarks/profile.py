"""Where the microseconds of a training step go, line by line of its recorded program.

    python -m benchmarks.profile [--only WORD] [--seconds S] [--lines N]

For each workload: the time of a step of `fit`, and of a loop that only gathers the rows and runs the program's file
(`Program.save`) with a clock between its lines. The difference is what `fit` does once an epoch, or, for steps of
thousands of rows, what it saves by doing them in blocks. Reading the clock costs each line some 0.07 µs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import machine, minigrad_fit, minigrad_model, pace, shuffled_batches, timed
from benchmarks.run import UNWANTED
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from minigrad.programs.threads import blas_threads, one_blas_thread

GATHERING = ("x.take(…)   # rows of x", "t.take(…)   # rows of t")


def clocked(source: str) -> tuple[str, list[str]]:
    """The source of a program's file with the time noted after each line of its step, and these lines."""
    head, body = source.split("def step():", 1)
    text, lines = [f"{head}def step():", "    c0 = clock()"], []
    for line in body.splitlines()[1:]:
        statement = line.split("  # ")[0].strip()
        if statement.startswith("return"):
            text.append(f"    noted.append(({', '.join(f'c{n}' for n in range(len(lines) + 1))}))")
            text.append(line)
        elif statement and not statement.startswith("#"):
            lines.append(line.strip())
            text.append(f"    {statement}; c{len(lines)} = clock()")
    return "\n".join(text), lines


@dataclass(frozen=True)
class Profile:
    """µs per step of `fit` and of the loop, which leaves out the last, smaller batches, and the µs of each line."""

    of_fit: float
    of_loop: float
    threads: int
    parts: list[tuple[float, str]]


def profile(workload: Workload, seconds: float) -> Profile:
    """The loop runs with one BLAS thread and with BLAS's own number; the faster one counts."""
    (fit,) = minigrad_fit(workload).values()
    fit(max(1, 40 // workload.steps) + 1)
    epochs = pace(fit, seconds)[0]
    of_fit = timed(fit, epochs) / (epochs * workload.steps) * 1e6

    model, training = minigrad_model(workload)
    x, t = workload.data()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "step.py")
        model.program(training["loss"], training["optimizer"], batch_size=workload.rows).save(path)
        text, lines = clocked(path.read_text(encoding="utf-8"))
        noted: list[tuple[float, ...]] = []
        names: dict[str, Any] = {"__file__": str(path), "clock": time.perf_counter, "noted": noted}
        exec(compile(text, str(path), "exec"), names)
    step, into, at = names["step"], names["x"], names["t"]

    def loop(n: int) -> tuple[float, list[float]]:
        noted.clear()
        gathered: list[tuple[float, float, float]] = []
        started = time.perf_counter()
        for epoch in range(n):
            for rows in shuffled_batches(epoch, workload):
                if len(rows) == workload.rows:
                    begun = time.perf_counter()
                    x.take(rows, 0, into, "clip")
                    then = time.perf_counter()
                    t.take(rows, 0, at, "clip")
                    gathered.append((begun, then, time.perf_counter()))
                    step()
        whole = (time.perf_counter() - started) / len(noted)
        return whole, [*np.diff(gathered).mean(axis=0), *np.diff(noted).mean(axis=0)]

    loop(1)
    found = []
    for context in (nullcontext(), one_blas_thread()):
        with context:
            of_loop, parts = loop(epochs)
            named = [(1e6 * float(part), line) for part, line in zip(parts, [*GATHERING, *lines], strict=True)]
            found.append(Profile(of_fit, 1e6 * of_loop, blas_threads(), named))
    return min(found, key=lambda each: each.of_loop)


def report(workload: Workload, found: Profile, shown: int) -> str:
    """Sums by kind of line, and the lines that take longest."""
    kinds = {"matrix products": 0.0, "gathering rows": 0.0, "other lines": 0.0}
    for spent, line in found.parts:
        product = "matrix products" if line.startswith(("dot(", "matmul(")) else "other lines"
        kinds["gathering rows" if line in GATHERING else product] += spent
    text = [
        workload.name,
        f"{found.of_fit:9.4g} µs  a step of fit",
        f"{found.of_loop:9.4g} µs  a step of the program in a loop, BLAS threads: {found.threads}; of it:",
        *(f"{spent:9.4g} µs    {kind}" for kind, spent in kinds.items()),
    ]
    longest = sorted(found.parts, reverse=True)[:shown]
    return "\n".join([*text, *(f"{spent:9.4g} µs      {line}" for spent, line in longest), ""])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and few: whether all of it runs, not how fast")
    parser.add_argument("--only", default="", metavar="WORD", help="only workloads whose name contains WORD")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each of the two is run")
    parser.add_argument("--lines", type=int, default=12, help="how many lines are shown")
    options = parser.parse_args(arguments)
    if set(UNWANTED) & set(os.environ):
        print(f"note: {' and '.join(UNWANTED)} are set and choose slower kernels; unset them", file=sys.stderr)
    print(machine()["blas"], "", sep="\n")
    for workload in QUICK if options.quick else WORKLOADS:
        if options.only in workload.name and not workload.predicts:
            found = profile(workload, 0.02 if options.quick else options.seconds)
            print(report(workload, found, options.lines))


if __name__ == "__main__":
    main()

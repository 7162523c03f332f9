"""Where the microseconds of a training step go, line by line of its recorded program.

    python -m benchmarks.profile [--only WORD] [--seconds S] [--lines N]

For each workload: the time of a step of `fit`, and of a loop that only gathers the rows and runs the program's lines
with a clock between them: as native ones where there is an extension, one thread's, else as Python's statements. The
difference is what `fit` does once an epoch, and what it saves by several threads or by lines that go piece by piece.
Reading the clock costs each line some 0.07 µs, and as much again its call into the extension.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import machine, minigrad_fit, minigrad_model, pace, shuffled_batches, timed
from benchmarks.run import UNWANTED
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.programs import Names, Op, Product, equation
from minigrad.programs.runtime.executables import StepProgram

GATHERED = ("x.take(…)   # rows of x", "t.take(…)   # rows of t")
PRODUCTS, GATHERING, OTHERS = "matrix products", "gathering rows", "other lines"


@dataclass(frozen=True)
class Statements:
    """The statements that run a program's lines one by one: what they are called, their kinds, what names in them mean.

    Of a program that runs natively they are calls of its lines; each is called by the equation.
    """

    texts: list[str]
    kinds: list[str]
    titles: list[str]
    names: dict[str, Any]


def statements_of(program: StepProgram) -> Statements:
    """Those of a program, as `fit` would run it in one thread."""
    native = program.native
    if native is None or not native.whole:
        texts = program.code.statements
        return Statements(texts, [kind_of([line]) for line in program.lines], texts, program.code.namespace)
    made, called = native.line_by_line(), Names(program.names)
    names = {f"line{number}": function for number, (_, function) in enumerate(made)}
    titles = ["; ".join(equation(line, called) for line in lines) for lines, _ in made]
    return Statements([f"{name}()" for name in names], [kind_of(lines) for lines, _ in made], titles, names)


def kind_of(lines: Sequence[Op]) -> str:
    """What the time of some lines counts as."""
    return PRODUCTS if any(isinstance(line, Product) for line in lines) else OTHERS


def clocked(statements: Sequence[str], names: dict[str, Any], noted: list[tuple[float, ...]]) -> Callable[[], None]:
    """A function of statements with the time noted after each of them: a tuple of times for each call."""
    text = ["def step():", "    clock_0 = clock()"]  # no name of a program has such a form
    text += [f"    {statement}; clock_{number} = clock()" for number, statement in enumerate(statements, 1)]
    text.append(f"    noted.append(({', '.join(f'clock_{n}' for n in range(len(statements) + 1))}))")
    names = names | {"clock": time.perf_counter, "noted": noted}
    exec(compile("\n".join(text), "<clocked program>", "exec"), names)
    step: Callable[[], None] = names["step"]
    return step


@dataclass(frozen=True)
class Profile:
    """Microseconds per step of `fit`, of the loop (without smaller last batches), and of each part with its kind."""

    of_fit: float
    of_loop: float
    threads: int
    parts: list[tuple[float, str, str]]


def profile(workload: Workload, seconds: float) -> Profile:
    """The loop runs with one BLAS thread and with BLAS's own number; the faster one counts."""
    (fit,) = minigrad_fit(workload).values()
    fit(max(1, 40 // workload.steps) + 1)
    epochs = pace(fit, seconds)[0]
    of_fit = timed(fit, epochs) / (epochs * workload.steps) * 1e6

    model, training = minigrad_model(workload)
    x, t = workload.data()
    program = model.program(training["loss"], training["optimizer"], batch_size=workload.rows)
    noted: list[tuple[float, ...]] = []
    statements = statements_of(program)
    step = clocked(statements.texts, statements.names, noted)
    into, at = (program.given[value] for value in program.inputs)
    named = [*((part, GATHERING) for part in GATHERED), *zip(statements.titles, statements.kinds, strict=True)]

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
            spent = [(1e6 * float(part), *names) for part, names in zip(parts, named, strict=True)]
            found.append(Profile(of_fit, 1e6 * of_loop, blas_threads(), spent))
    return min(found, key=lambda each: each.of_loop)


def report(workload: Workload, found: Profile, shown: int) -> str:
    """Sums by kind of line, and the lines that take longest."""
    kinds = dict.fromkeys((PRODUCTS, GATHERING, OTHERS), 0.0)
    for spent, _, kind in found.parts:
        kinds[kind] += spent
    text = [
        workload.name,
        f"{found.of_fit:9.4g} µs  a step of fit",
        f"{found.of_loop:9.4g} µs  a step of the program in a loop, BLAS threads: {found.threads}; of it:",
        *(f"{spent:9.4g} µs    {kind}" for kind, spent in kinds.items()),
    ]
    longest = sorted(found.parts, reverse=True)[:shown]
    return "\n".join([*text, *(f"{spent:9.4g} µs      {part}" for spent, part, _ in longest), ""])


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

"""Time per training step of minigrad, of NumPy written by hand and of other libraries, side by side in one run.

    python -m benchmarks.run [--quick] [--json] [--only WORD] [--rounds N]

Every library runs in a process of its own (in one, their thread pools disturb each other) and keeps its own defaults.
The processes take turns, the others idle, and the median of the rounds counts. A step of training includes the drawing
of its batch from shuffled rows and its loss. Extra `bench` installs the libraries; a missing one is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, installed, package
from benchmarks.workloads import QUICK, WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
REFERENCE = "minigrad fit"
PAUSE = 0.15  # seconds: OpenBLAS threads spin for up to 0.1 after their work
UNWANTED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they choose other kernels than a user would get


def environment() -> dict[str, str]:
    """The variables of this process, without those that choose other kernels."""
    return {key: value for key, value in os.environ.items() if key not in UNWANTED}


def present() -> list[str]:
    """The libraries that are installed."""
    return [name for name in PEERS if installed(package(name)) is not None]


class Process:
    """One library, waiting in its own process for orders."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers", name],
            cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.machine = self._answer()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Send one order and wait for its answer."""
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name!r} has ended; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process, which stops when its input does."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


def measure(workload: Workload, processes: list[Process], rounds: int, quick: bool) -> dict[str, dict[str, Any]]:
    """µs per step of each library, with the way it took and the fastest and slowest round."""
    ready = {}
    for process in processes:
        answer = process.ask(set=workload.name, quick=quick)
        if answer["way"] is not None:
            ready[process] = answer
    times: dict[Process, list[float]] = {process: [] for process in ready}
    for number in range(rounds):
        turn = list(ready)
        for process in turn[number % len(turn) :] + turn[: number % len(turn)]:
            time.sleep(0 if quick else PAUSE)
            epochs, steps = ready[process]["epochs"], ready[process]["steps"]
            times[process].append(process.ask(run=epochs)["seconds"] / (epochs * steps) * 1e6)
    return {
        process.name: {
            "microseconds": statistics.median(times[process]),
            "lowest": min(times[process]),
            "highest": max(times[process]),
            "way": ready[process]["way"],
        }
        for process in ready
    }


def compare(workloads: Sequence[Workload], names: list[str], rounds: int, quick: bool) -> dict[str, Any]:
    """Start the processes, measure every workload, and say on what."""
    processes: list[Process] = []
    try:
        processes += [Process(name) for name in names]
        outcome: dict[str, Any] = {**about(processes), "rounds": rounds, "results": {}}
        for workload in workloads:
            print(f"{workload.name} …", file=sys.stderr)
            measured = outcome["results"][workload.name] = measure(workload, processes, rounds, quick)
            print(
                *(f"  {name}: {value['microseconds']:.4g} µs" for name, value in measured.items()),
                sep="\n",
                file=sys.stderr,
            )
        return outcome
    finally:
        for process in processes:
            process.close()


def about(processes: list[Process]) -> dict[str, Any]:
    """The machine, the BLAS kernels and the versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    distributions = ("numpy", "torch", "jax", "scikit-learn")
    return {
        "machine": f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}",
        "blas": processes[0].machine["blas"],
        "versions": {name: found for name in distributions if (found := installed(name))},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "absent": sorted(set(PEERS) - set(present())),
    }


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown table: a row for each library, a column for each workload, µs and the ratio to minigrad's fit."""
    lines = ["| µs per step (times minigrad's) | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in PEERS:
        cells = []
        for measured in results.values():
            if name not in measured:
                cells.append("")
                continue
            spent = measured[name]["microseconds"]
            ratio = "" if name == REFERENCE else f" ({spent / measured[REFERENCE]['microseconds']:.2f})"
            cells.append(f"{spent:.3g}{ratio}" if spent < 1000 else f"{spent:.0f}{ratio}")
        if any(cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(outcome: dict[str, Any]) -> str:
    lines = [table(outcome["results"]), "", outcome["machine"], outcome["blas"]]
    lines.append(", ".join(f"{name} {number}" for name, number in outcome["versions"].items()))
    lines.append(f"medians of {outcome['rounds']} rounds in turns; load of the machine before: {outcome['load']:.2f}")
    if outcome["absent"]:
        lines.append("left out, since not installed: " + ", ".join(outcome["absent"]))
    lines += ["", "The ways that were fastest, and the spread of the rounds:"]
    for workload, measured in outcome["results"].items():
        for name, value in measured.items():
            way = f", {value['way']}" if value["way"] else ""
            lines.append(f"- {workload}: {name}{way}: {value['lowest']:.4g} to {value['highest']:.4g} µs")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and few: whether all of it runs, not how fast")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--only", default="", metavar="WORD", help="only workloads whose name contains WORD")
    parser.add_argument("--rounds", type=int, default=None, help="rounds of each workload (9; with --quick 1)")
    options = parser.parse_args(arguments)
    rounds = options.rounds or (1 if options.quick else 9)

    workloads = [w for w in (QUICK if options.quick else WORKLOADS) if options.only in w.name]
    outcome = compare(workloads, present(), rounds, options.quick)
    print(json.dumps(outcome, ensure_ascii=False) if options.json else report(outcome))


if __name__ == "__main__":
    main()

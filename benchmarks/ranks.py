"""Training by several processes: what an all-reduce and a step take, and where that pays on several machines.

    python -m benchmarks.scaling --ranks [--quick] [--out FOLDER]

It needs mpi4py and an mpiexec. Each measurement is made by real processes of `mpiexec -n N`, with one BLAS thread. The
times of steps are those of the processor (of the slowest rank), so that a loaded machine does not count; those of
all-reduces are medians of wall time.

What more machines would take is modelled: step(n) = compute(B / n) + 2 (n - 1) / n · bytes / link, where compute is
measured in one process, bytes are those of θ, and link is what a machine sends and receives at the same time. Nothing
overlaps. The formula is that of a ring, or of a reduction and a gathering by halves.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
SIZES = (1, 2570, 10_285, 65_536, 535_818, 1 << 21)
NETWORKS = {"784-512-256-10": (1024, 8192), "100-64-10": (64, 1024)}
RANKS, MACHINES = (1, 2), (2, 4, 8)
LINKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 10e9 / 8}
LOOPBACK = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
ON_THIS_MACHINE = {name: LOOPBACK for name in ("HYDRA_IFACE", "FI_TCP_IFACE") if LOOPBACK is not None}


def mpiexec() -> list[str]:
    """The beginning of the command that starts several processes: pip puts it beside Python, or on Windows apart.

    There `-localonly` does without a service that has to be installed. Raises SystemExit where there is none.
    """
    here = [str(Path(sys.executable).parent), str(Path(sys.prefix) / "Library" / "bin")]
    found = shutil.which("mpiexec", path=os.pathsep.join([*here, os.environ["PATH"]]))
    if found is None:
        raise SystemExit("there is no mpiexec: pip install mpich (on Windows impi-rt), or install an MPI")
    return [found, "-localonly"] if sys.platform == "win32" else [found]


def all_reduces(comm: Any, repeats: int) -> list[dict[str, Any]]:
    """Microseconds to add up vectors of float32, by their size: the median of the slowest rank's."""
    found = []
    for size in SIZES:
        sent, summed, times = np.ones(size, np.float32), np.empty(size, np.float32), []
        for _ in range(repeats):
            comm.Barrier()
            begun = time.perf_counter()
            comm.Allreduce(sent, summed)
            times.append(time.perf_counter() - begun)
        slowest = np.median(np.max(comm.allgather(times), axis=0))
        found.append({"what": "all-reduce", "ranks": comm.size, "size": 4 * size, "microseconds": 1e6 * slowest})
    return found


def steps(comm: Any, network: str, rows: int, count: int) -> dict[str, Any]:
    """Microseconds of the processor for a step with batches of so many rows: the slowest rank's."""
    from minigrad import Adam, CategoricalCrossEntropy, Dense, ReLU, Sequential, Softmax

    widths = [int(width) for width in network.split("-")]
    layers: list[Any] = []
    for inputs, outputs in pairwise(widths):
        layers += [Dense(inputs, outputs), ReLU()]
    model = Sequential([*layers[:-1], Softmax()], seed=0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 * rows, widths[0]), dtype=np.float32)
    labels = np.arange(len(x)) % widths[-1]
    model.classes = np.arange(widths[-1])
    fit: dict[str, Any] = {"loss": CategoricalCrossEntropy(), "optimizer": Adam(), "batch_size": rows, "comm": comm}
    model.fit(x, labels, epochs=max(20, model.steps_by_hand), **fit)  # until there is a program
    epochs = max(1, count // 2)
    begun = time.process_time()
    model.fit(x, labels, epochs=epochs, **fit)
    seconds = max(comm.allgather(time.process_time() - begun)) / (2 * epochs)
    return {"what": network, "ranks": comm.size, "size": rows, "microseconds": 1e6 * seconds}


def child(quick: bool) -> None:
    """What each rank does: all measurements; rank 0 prints them."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    found = all_reduces(comm, 3 if quick else 200) if comm.size > 1 else []
    for network, batches in NETWORKS.items():
        for rows in batches:
            # One process also makes the smaller batches that are each machine's share.
            for part in (rows // n for n in (1, *MACHINES) if comm.size == 1 or n == 1):
                found.append(steps(comm, network, part, 2 if quick else max(20, 200_000 // part // 4)))
    if comm.rank == 0:
        print(json.dumps(found), flush=True)


def modelled(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many times faster n machines would be than one, by link: from what one process takes."""
    alone = {(each["what"], each["size"]): each["microseconds"] for each in found if each["ranks"] == 1}
    rows = []
    for network, batches in NETWORKS.items():
        widths = [int(width) for width in network.split("-")]
        parameters = sum((i + 1) * o for i, o in pairwise(widths))
        for batch in batches:
            for link, speed in LINKS.items():
                for n in MACHINES:
                    sent = 1e6 * 2 * (n - 1) / n * 4 * parameters / speed
                    times = alone[network, batch] / (alone[network, batch // n] + sent)
                    rows.append({"what": f"{network} by {link}", "ranks": n, "size": batch, "times_faster": times})
    return rows


def measure(out: Path, quick: bool) -> None:
    """Write ranks.csv, and print it."""
    found: list[dict[str, Any]] = []
    environment = os.environ | ON_THIS_MACHINE | {"OPENBLAS_NUM_THREADS": "1"}
    for ranks in RANKS:
        call = f"from benchmarks.ranks import child; child({quick})"
        command = [*mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py", "-c", call]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found += json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    rows = [{**each, "microseconds": round(each["microseconds"], 1)} for each in found]
    rows += [{**each, "times_faster": round(each["times_faster"], 2)} for each in modelled(found)]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "ranks.csv").open("w", newline="") as file:
        fields = ["what", "ranks", "size", "microseconds", "times_faster"]
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(", ".join(f"{key} {value}" for key, value in row.items()))

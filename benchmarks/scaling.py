"""Time and memory of `fit` against the number of rows, read from memory-mapped files, and against the hidden width.

    python -m benchmarks.scaling [--quick] [--out FOLDER]
    python -m benchmarks.scaling --ranks      # instead: several processes that train one network (ranks.py)

Writes scaling.csv and scaling.png. Every point is trained in a process of its own, and this one watches the *anonymous*
resident memory of that process (RssAnon in /proc: what it has allocated, without the pages of mapped files), so it
needs Linux. Growth is counted from just before `fit`, after a small `fit` has loaded and allocated what any needs.
"""

from __future__ import annotations

import argparse
import csv
import json
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ranks

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
COLUMNS, BATCH, EPOCHS = 20, 256, 2  # two epochs: the second order must not be drawn beside the first
ROWS = (5_000, 20_000, 100_000, 500_000, 2_000_000, 5_000_000)
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
ROWS_OF_WIDTHS = 5_000
LOOK = 0.0005  # seconds between two looks at the memory

FIELDS = ("sweep", "rows", "hidden", "parameters", "seconds_of_fit", "seconds_per_epoch", "anonymous_bytes_grown")


def write_rows(folder: Path, m: int) -> None:
    """x.npy (m, 20) float32 and t.npy (m,) labels 0 and 1, block by block."""
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (m, COLUMNS))
    t = np.lib.format.open_memmap(folder / "t.npy", "w+", np.int64, (m,))
    for start in range(0, m, 100_000):
        block = rng.normal(size=(min(100_000, m - start), COLUMNS)).astype(np.float32)
        x[start : start + len(block)] = block
        t[start : start + len(block)] = block[:, :3].sum(axis=1) > 0


def train(folder: str, rows: int, hidden: int) -> None:
    """In a process of its own: train on the first `rows` rows, and say when the measured part begins and ends."""
    from minigrad import SGD, BinaryCrossEntropy, Dense, Sequential, Sigmoid

    x = np.load(f"{folder}/x.npy", mmap_mode="r")[:rows]
    t = np.load(f"{folder}/t.npy", mmap_mode="r")[:rows]

    def fit(model: Sequential, m: int) -> list[float]:
        training = {"loss": BinaryCrossEntropy(), "optimizer": SGD(0.1), "epochs": EPOCHS, "batch_size": BATCH}
        return model.fit(x[:m], t[:m], **training).seconds

    fit(Sequential([Dense(COLUMNS, 16), Sigmoid(), Dense(16, 1), Sigmoid()], seed=0), 1000)
    model = Sequential([Dense(COLUMNS, hidden), Sigmoid(), Dense(hidden, 1), Sigmoid()], seed=0)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    seconds = fit(model, rows)
    whole = time.perf_counter() - started
    print(json.dumps({"parameters": model.theta.size, "epoch": min(seconds), "whole": whole}), flush=True)
    sys.stdin.readline()


def anonymous(pid: int) -> int:
    """The anonymous resident memory of a process, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say RssAnon in /proc/PID/status; Linux 4.5 or later does")


def measure(folder: Path, sweep: str, rows: int, hidden: int) -> dict[str, Any]:
    child = subprocess.Popen(
        [sys.executable, "-c", f"from benchmarks.scaling import train; train({str(folder)!r}, {rows}, {hidden})"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    with child:
        if not child.stdout.readline():
            raise RuntimeError("the training process has ended; its error stands above")
        before = peak = anonymous(child.pid)
        child.stdin.write(b"go\n")
        child.stdin.flush()
        while not select.select([child.stdout], [], [], LOOK)[0]:
            peak = max(peak, anonymous(child.pid))
        result = json.loads(child.stdout.readline())
        child.stdin.close()
    return {
        "sweep": sweep,
        "rows": rows,
        "hidden": hidden,
        "parameters": result["parameters"],
        "seconds_of_fit": round(result["whole"], 6),
        "seconds_per_epoch": round(result["epoch"], 6),
        "anonymous_bytes_grown": peak - before,
    }


def plot(points: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(8, 5.5), layout="constrained")
    for column, (sweep, x) in enumerate((("rows", "rows"), ("width", "hidden"))):
        chosen = [point for point in points if point["sweep"] == sweep]
        at = [point[x] for point in chosen]
        axes[0, column].loglog(at, [point["seconds_per_epoch"] for point in chosen], "o-")
        axes[1, column].loglog(at, [max(point["anonymous_bytes_grown"], 4096) for point in chosen], "o-", label="fit")
    rows = [point["rows"] for point in points if point["sweep"] == "rows"]
    axes[1, 0].loglog(rows, [8 * m for m in rows], "--", color="grey", label="8 bytes a row: the order")
    axes[1, 0].legend()
    widths = [point for point in points if point["sweep"] == "width"]
    axes[1, 1].loglog(
        [point["hidden"] for point in widths], [4 * point["parameters"] for point in widths], "--", color="grey",
        label="the parameters",
    )  # fmt: skip
    axes[1, 1].legend()
    axes[0, 0].set_title(f"{COLUMNS}-16-1, memory-mapped rows")
    axes[0, 1].set_title(f"{COLUMNS}-hidden-1, {ROWS_OF_WIDTHS} rows")
    axes[0, 0].set_ylabel("seconds an epoch")
    axes[1, 0].set_ylabel("anonymous memory grown, bytes")
    axes[1, 0].set_xlabel("rows")
    axes[1, 1].set_xlabel("hidden units")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small: whether all of it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where scaling.csv and scaling.png go")
    parser.add_argument("--ranks", action="store_true", help="measure training by several processes: ranks.csv")
    options = parser.parse_args(arguments)
    if options.ranks:
        ranks.measure(options.out, options.quick)
        return
    counts, widths = ((2_000, 4_000), (32,)) if options.quick else (ROWS, WIDTHS)
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), counts[-1])
        points = [measure(Path(folder), "rows", rows, 16) for rows in counts]
        points += [measure(Path(folder), "width", min(ROWS_OF_WIDTHS, counts[-1]), hidden) for hidden in widths]
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "scaling.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(points)
    plot(points, options.out / "scaling.png")
    for point in points:
        print(", ".join(f"{key} {value}" for key, value in point.items()))
    low, high = points[0], points[len(counts) - 1]
    grown = (high["anonymous_bytes_grown"] - low["anonymous_bytes_grown"]) / (high["rows"] - low["rows"])
    print(f"anonymous memory grows by {grown:.2f} bytes a row from {low['rows']:,} to {high['rows']:,} rows")


if __name__ == "__main__":
    main()

"""Training on more rows than the page cache may hold: `shuffle="windows"`, `fit` on the mapped file, and scikit-learn.

    python -m benchmarks.windows [--rows 10000000] [--cache 400] [--folder FOLDER] [--out FOLDER]

Writes windows.csv. The rows (100 numbers in float32, ten classes) are sorted by class, the worst order for a shuffle of
a part. Every way runs in a process of its own, which gives the file's pages back whenever it has read `--cache` MB: so
no more of the file than that is ever in memory, however much the machine has. Bytes read are those of /proc/self/io,
memory is the growth of RssAnon, so this needs Linux.
"""

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
COLUMNS, CLASSES, BATCH = 100, 10, 256
AT_ONCE = 65_536
WAYS = ("windows", "few large blocks", "fit on the mapped file", "scikit-learn on the same windows")
SLOW = {"fit on the mapped file": 100_000}
"""Rows after which a way that would take hours is stopped: its speed is known by then, what it learns is not."""
FIELDS = ("way", "rows", "seconds", "cpu_seconds", "rows_per_second", "times_read", "megabytes_grown", "right")


def write_rows(folder: Path, m: int) -> None:
    """x.npy, y.npy sorted by class; and 20,000 rows of the same law, to measure what was learned."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, COLUMNS)).astype("f4") * 0.28
    y = np.repeat(np.arange(CLASSES), -(-m // CLASSES))[:m]
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (m, COLUMNS))
    for start in range(0, m, AT_ONCE):
        labels = y[start : start + AT_ONCE]
        x[start : start + len(labels)] = rng.standard_normal((len(labels), COLUMNS), dtype="f4") + centres[labels]
    x.flush()
    np.save(folder / "y.npy", y)
    fresh = rng.integers(0, CLASSES, 20_000)
    test = rng.standard_normal((len(fresh), COLUMNS), dtype="f4") + centres[fresh]
    np.savez(folder / "test.npz", x=test, y=fresh)


def bytes_read() -> int:
    """By this process, from the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def anonymous() -> int:
    """The anonymous resident memory of this process, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@contextmanager
def bounded_cache(path: Path, mapped: Any, limit: int) -> Iterator[dict[str, int]]:
    """In here no more than about `limit` bytes of the file stay in memory; gives the largest anonymous memory seen."""
    descriptor, done, seen = os.open(path, os.O_RDONLY), threading.Event(), {"peak": anonymous()}

    def give_back() -> None:
        mapped.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def watch() -> None:
        last = bytes_read()
        while not done.wait(0.02):
            seen["peak"] = max(seen["peak"], anonymous())
            if bytes_read() - last > limit:
                give_back()
                last = bytes_read()

    give_back()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
        os.close(descriptor)


def train(folder: str, way: str, limit: int, most: int | None) -> None:
    """In a process of its own: one pass over the rows; prints what it took as JSON."""
    from minigrad import Adam, CategoricalCrossEntropy, Dense, ReLU, Sequential, Softmax
    from minigrad.data import Blocks

    path = Path(folder) / "x.npy"
    x, y, test = np.load(path, mmap_mode="r"), np.load(path.with_name("y.npy")), np.load(path.with_name("test.npz"))

    def network() -> Any:
        return Sequential([Dense(COLUMNS, 64), ReLU(), Dense(64, CLASSES), Softmax()], seed=0)

    fit: dict[str, Any] = {"loss": CategoricalCrossEntropy(), "epochs": 1, "batch_size": BATCH}
    few = slice(None, None, len(x) // 2000)
    network().fit(x[few].copy(), y[few], optimizer=Adam(), **fit)  # loads and allocates what any training does
    model, fit["optimizer"] = network(), Adam(0.001)
    rows, seen = len(x), 0

    class Enough(Exception):
        pass

    def stop(batch: Any, rng: Any) -> Any:
        nonlocal seen
        seen += len(batch)
        if most is not None and seen >= most:
            raise Enough
        return batch

    before, begun, cpu = bytes_read(), time.perf_counter(), time.process_time()
    base = anonymous()
    with bounded_cache(path, x._mmap, limit) as memory:
        if way == "scikit-learn on the same windows":
            from sklearn.neural_network import MLPClassifier

            model = MLPClassifier((64,), alpha=0, random_state=0)
            for window in Blocks((x, y)).windows(0, 0, True, BATCH):
                for start in range(0, len(window.order), BATCH):
                    batch = window.order[start : start + BATCH]
                    model.partial_fit(window.x[batch], window.t[batch], classes=range(CLASSES))
        else:
            more: dict[str, Any] = {"shuffle": "windows"} if way == "windows" else {}
            given = (x, y)
            if way == "few large blocks":
                given = (Blocks((x, y), window=4, rows=65_536), None)
            if most is not None:
                more["augment"] = stop
            try:
                model.fit(*given, **fit, **more)
            except Enough:
                rows = seen
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    answers = model.predict(test["x"])
    right = float(((answers if answers.ndim == 1 else answers.argmax(axis=1)) == test["y"]).mean())
    found = {"way": way, "rows": rows, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}
    found |= {"rows_per_second": round(rows / seconds), "megabytes_grown": round((memory["peak"] - base) / 1e6)}
    times = round((bytes_read() - before) / (rows * COLUMNS * 4), 2)
    print(json.dumps(found | {"times_read": times, "right": None if most else round(right, 3)}), flush=True)


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="4 GB by default")
    parser.add_argument("--only", choices=WAYS, nargs="+", default=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--cache", type=int, default=400, help="MB of the file that may be in memory")
    parser.add_argument("--folder", type=Path, help="where the rows are written, and left (default: not left)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where windows.csv goes")
    options = parser.parse_args(given)
    found = []
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        write_rows(folder, options.rows)
        for way in options.only:
            most = SLOW.get(way) if options.rows > SLOW.get(way, options.rows) else None
            arguments = (str(folder), way, options.cache * 10**6, most)
            call = f"from benchmarks.windows import train; train(*{arguments!r})"
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(
                [sys.executable, "-c", call], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True
            )
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print(", ".join(f"{key} {value}" for key, value in found[-1].items()), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "windows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()

"""Training steps of a small transformer and of an LSTM beside PyTorch's, and where minigrad's time goes.

    python -m benchmarks.sequences [--quick] [--json] [--only WORD] [--rounds N] [--lines N]

Transformer: 32 rows of 64 steps, 64 features, 4 heads, 2 blocks of causal attention and of 256 GELUs. LSTM: 32 rows of
50 steps, 64 features, 64 hidden ones. float32, mean squared error, SGD. A step has its batch drawn from shuffled rows.
Each library runs in a process of its own, with its own number of threads; the processes take turns, and the median of
the rounds counts, with the fastest beside it. Processor time, of all threads, tells more where others use the machine,
but waiting threads of BLAS or OpenMP count in it. Extra `bench` installs PyTorch; without it minigrad runs alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import SMOOTHED, Way, installed, machine, pace
from benchmarks.profile import clocked, statements_of
from benchmarks.run import PAUSE, environment

ROOT = Path(__file__).parent.parent
ROWS, WIDTH, BATCHES, RATE = 32, 64, 10, 1e-4
STEPS = {"transformer": 64, "LSTM": 50}
SHORT = 5
"""The steps of a sequence with --quick."""
FIRST = 12
"""Epochs before the first measured one: minigrad runs a network's first steps on its plain layers, and then records."""


def data(name: str, quick: bool) -> tuple[Any, Any]:
    """x (BATCHES ROWS, T, WIDTH), and t: as x for the transformer, (BATCHES ROWS, WIDTH) for the LSTM."""
    rng, steps = np.random.default_rng(0), SHORT if quick else STEPS[name]
    x = rng.normal(size=(BATCHES * ROWS, steps, WIDTH)).astype(np.float32)
    return x, rng.normal(size=x.shape if name == "transformer" else (len(x), WIDTH)).astype(np.float32)


def minigrad_training(name: str) -> tuple[Any, dict[str, Any]]:
    """The network, and how it is trained."""
    from minigrad import GELU, LSTM, SGD, Dense, LayerNorm, MeanSquaredError, MultiHeadAttention, Residual, Sequential

    layers: list[Any] = [LSTM(WIDTH, WIDTH)]
    if name == "transformer":
        halves = (
            lambda: Residual(LayerNorm(WIDTH), MultiHeadAttention(WIDTH, 4, causal=True)),
            lambda: Residual(LayerNorm(WIDTH), Dense(WIDTH, 4 * WIDTH), GELU(), Dense(4 * WIDTH, WIDTH)),
        )
        layers = [half() for _ in range(2) for half in halves]
    return Sequential(layers, seed=0), {"loss": MeanSquaredError(), "optimizer": SGD(RATE)}


def minigrad_way(name: str, quick: bool) -> Way:
    model, training = minigrad_training(name)
    epochs = model.epochs(*data(name, quick), batch_size=ROWS, **training)
    return lambda n: [next(epochs) for _ in range(n)]


def torch_way(name: str, quick: bool) -> Way:
    import torch

    x, t = map(torch.from_numpy, data(name, quick))
    if name == "transformer":
        options: dict[str, Any] = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        blocks = [torch.nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, **options) for _ in range(2)]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        network = torch.nn.ModuleList(blocks)

        def forward(rows: Any) -> Any:
            for block in blocks:
                rows = block(rows, src_mask=mask, is_causal=True)
            return rows

    else:
        network = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True)

        def forward(rows: Any) -> Any:
            return network(rows)[1][0][0]

    optimizer = torch.optim.SGD(network.parameters(), RATE)

    def run(n: int) -> None:
        for _ in range(n):
            for rows in torch.randperm(len(x)).reshape(-1, ROWS):
                loss = (forward(x[rows]) - t[rows]).square().sum() / ROWS
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss.item()

    return run


WAYS: dict[str, tuple[Callable[[str, bool], Way], str]] = {
    "minigrad": (minigrad_way, "numpy"),
    "PyTorch": (torch_way, "torch"),
}


def serve(library: str) -> None:
    """In a process of its own: its BLAS, then for each order ms of a step, by the clock and of processors."""
    print(json.dumps(machine()["blas"]), flush=True)
    ways: dict[str, tuple[Way, int]] = {}
    for line in sys.stdin:
        name, quick = json.loads(line)
        if name not in ways:
            way = WAYS[library][0](name, quick)
            way(1 if quick else FIRST)
            pace(way, 0.02 if quick else 4 * SMOOTHED)  # minigrad tries several ways
            ways[name] = way, pace(way, 0.02 if quick else SMOOTHED)[0]
        way, epochs = ways[name]
        began, worked = time.perf_counter(), time.process_time()
        way(epochs)
        spent = np.array([time.perf_counter() - began, time.process_time() - worked])
        print(json.dumps((spent / (epochs * BATCHES) * 1e3).tolist()), flush=True)


def measure(names: list[str], rounds: int, quick: bool) -> tuple[str, dict[str, dict[str, list[list[float]]]]]:
    """minigrad's BLAS, and of all rounds [ms of a step, ms of processors], by network and library."""
    children = {
        library: subprocess.Popen(
            [sys.executable, "-c", f"from benchmarks.sequences import serve; serve({library!r})"],
            cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for library, (_, package) in WAYS.items() if installed(package)
    }  # fmt: skip
    found: dict[str, dict[str, list[list[float]]]] = {name: {library: [] for library in children} for name in names}
    try:
        blas = [json.loads(child.stdout.readline()) for child in children.values() if child.stdout is not None]
        for name in names:
            for number in range(rounds + 1):  # the first one makes the networks, and does not count
                for library, child in children.items():
                    time.sleep(0 if quick else PAUSE)
                    assert child.stdin is not None and child.stdout is not None
                    child.stdin.write(json.dumps([name, quick]) + "\n")
                    child.stdin.flush()
                    spent = json.loads(child.stdout.readline())
                    found[name][library] += [spent] if number else []
    finally:
        for child in children.values():
            child.communicate()
    return blas[0], found


def profile(name: str, quick: bool) -> list[tuple[float, str]]:
    """Milliseconds of each line of a recorded step, by one thread, the fastest of all runs; and whose line it is."""
    from minigrad.blas_threads import one_blas_thread

    model, training = minigrad_training(name)
    batch = [array[:ROWS] for array in data(name, quick)]
    model.predict(batch[0])
    program = model.program(**training, batch_size=ROWS)
    noted: list[tuple[float, ...]] = []
    statements = statements_of(program)
    step = clocked(statements.texts, statements.names, noted)
    for value, array in zip(program.inputs, batch, strict=True):
        program.given[value][...] = array
    with one_blas_thread():
        for _ in range(2 if quick else 30):
            step()
    native = program.native
    whole = native is not None and native.whole
    lines = [made[0] for made, _ in native.line_by_line()] if native is not None and whole else program.lines
    spent = np.min(np.diff(noted), axis=0) * 1e3
    described = zip(spent.tolist(), lines, statements.kinds, statements.titles, strict=True)
    return [
        (ms, f"{line.part.verb:8} {kind:15} {line.part.title[:40]:40} {title[:60]}")
        for ms, line, kind, title in described
    ]


def report(blas: str, found: dict[str, dict[str, list[list[float]]]]) -> str:
    head = "| a step, ms | median | fastest | of processors | times PyTorch's: median | fastest | of processors |"
    lines = [blas, "", head, "|---" * 7 + "|"]
    for name, libraries in found.items():
        figures = {library: _figures(rounds) for library, rounds in libraries.items()}
        for library, own in figures.items():
            theirs = figures.get("PyTorch", []) if library == "minigrad" else []
            ratios = [f"{one / other:.2f}" for one, other in zip(own, theirs, strict=False)] or [""] * 3
            lines.append(f"| {name}, {library} | {' | '.join([*(f'{ms:.2f}' for ms in own), *ratios])} |")
    return "\n".join(lines)


def _figures(rounds: list[list[float]]) -> list[float]:
    spent, worked = zip(*rounds, strict=True)
    return [statistics.median(spent), min(spent), statistics.median(worked)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short sequences: whether all of it runs, not how fast")
    parser.add_argument("--json", action="store_true", help="print all times, ms, as one JSON object")
    parser.add_argument("--only", default="", metavar="WORD", help="only networks whose name contains WORD")
    parser.add_argument("--rounds", type=int, default=None, help="turns of the processes (9; with --quick 1)")
    parser.add_argument("--lines", type=int, default=12, help="how many lines of the profile are shown")
    options = parser.parse_args(arguments)
    names = [name for name in STEPS if options.only in name]
    blas, found = measure(names, options.rounds or (1 if options.quick else 9), options.quick)
    print(json.dumps(found) if options.json else report(blas, found))
    for name in [] if options.json else names:
        lines = profile(name, options.quick)
        print(f"\n{name}: {sum(ms for ms, _ in lines):.2f} ms in one thread, line by line; by part, and the longest:")
        sums: dict[str, float] = {}
        for ms, text in lines:
            sums[text[:64]] = sums.get(text[:64], 0.0) + ms
        for some in (sorted(((ms, text) for text, ms in sums.items()), reverse=True), sorted(lines, reverse=True)):
            print(*(f"  {ms:7.3f}  {text.strip()}" for ms, text in some[: options.lines]), sep="\n")


if __name__ == "__main__":
    main()

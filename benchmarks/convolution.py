"""Conv2D, forward and backward, beside PyTorch's: time, where it goes, and how it grows with the channels.

    python -m benchmarks.convolution [--quick] [--json] [--rounds N]

64 images of 20 x 20 pixels, a window of 3 x 3, float32. Each library runs in a process of its own, with its own number
of threads, and the processes take turns: the fastest of all rounds counts, and the median stands beside it. PyTorch is
measured with its own layout, channels first, and with channels last, which it runs faster; it and minigrad compute y,
dx, dW and db. Extra `bench` installs PyTorch; without it minigrad is measured alone.
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

from benchmarks.peers import installed
from benchmarks.run import PAUSE, environment

ROOT = Path(__file__).parent.parent
ROWS, SIDE, KERNEL = 64, 20, 3
CHANNELS = ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128))
REFERENCE = (8, 16)
RUNS = 12
PARTS = ("gather", "forward product", "bias", "dW", "db", "dx")


def minigrad_layer(inputs: int, outputs: int, rows: int) -> Any:
    from minigrad import Conv2D, Sequential

    model = Sequential([Conv2D(inputs, outputs, KERNEL, seed=0)], input_shape=(SIDE, SIDE, inputs))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, SIDE, SIDE, inputs)).astype(np.float32)
    dy = rng.normal(size=(rows, *model.output_shape(x.shape[1:]))).astype(np.float32)
    return model[0], x, dy


def minigrad_ways(inputs: int, outputs: int, rows: int) -> dict[str, Callable[[], Any]]:
    layer, x, dy = minigrad_layer(inputs, outputs, rows)
    return {"": lambda: (layer.forward(x), layer.backward(dy))}


def torch_ways(inputs: int, outputs: int, rows: int) -> dict[str, Callable[[], Any]]:
    import torch

    def way(memory: torch.memory_format) -> Callable[[], Any]:
        layer = torch.nn.Conv2d(inputs, outputs, KERNEL).to(memory_format=memory)
        x = torch.randn(rows, inputs, SIDE, SIDE).to(memory_format=memory).requires_grad_()
        dy = torch.randn_like(layer(x).detach(), memory_format=memory)

        def run() -> None:
            x.grad = None
            layer.zero_grad(set_to_none=True)
            layer(x).backward(dy)

        return run

    return {"channels first": way(torch.contiguous_format), "channels last": way(torch.channels_last)}


def parts(inputs: int, outputs: int, rows: int) -> dict[str, Callable[[], Any]]:
    """What Conv2D does, one part after the other, on the arrays that it has then."""
    from minigrad.functions import sum_of_rows

    layer, x, dy = minigrad_layer(inputs, outputs, rows)
    y = layer.forward(x)
    layer.backward(dy)
    u, W, grouped = layer.u, layer._grouped(layer.W), layer._grouped(dy)

    functions = (
        lambda: layer._gathered(x, layer.y_shape),
        lambda: u @ W,
        lambda: y + layer.b,
        lambda: u.transpose(0, 2, 1) @ grouped,
        lambda: sum_of_rows(dy),
        lambda: layer._painted(dy, layer.x_shape),
    )
    return dict(zip(PARTS, functions, strict=True))


WAYS = {"minigrad": minigrad_ways, "PyTorch": torch_ways, "parts": parts}


def serve(name: str) -> None:
    """In a process of its own: for each line with channels and rows, the µs of each run of each way."""
    for line in sys.stdin:
        ways, answer = WAYS[name](*json.loads(line)), {}
        for way, run in ways.items():
            run()
            times = []
            for _ in range(RUNS):
                started = time.perf_counter()
                run()
                times.append((time.perf_counter() - started) * 1e6)
            answer[way] = times
        print(json.dumps(answer), flush=True)


def measure(channels: list[tuple[int, int]], rows: int, rounds: int) -> dict[str, dict[str, dict[str, list[float]]]]:
    """µs of all runs, by channels, library and way; `parts` only for the reference's channels."""
    names = ["minigrad", *(["PyTorch"] if installed("torch") else []), "parts"]
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", f"from benchmarks.convolution import serve; serve({name!r})"],
            cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in names
    }  # fmt: skip
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    try:
        for _ in range(rounds):
            for inputs, outputs in channels:
                for name, child in children.items():
                    if name == "parts" and (inputs, outputs) != REFERENCE:
                        continue
                    time.sleep(PAUSE)
                    assert child.stdin is not None and child.stdout is not None
                    child.stdin.write(json.dumps([inputs, outputs, rows]) + "\n")
                    child.stdin.flush()
                    ways = found.setdefault(f"{inputs} -> {outputs}", {}).setdefault(name, {})
                    for way, times in json.loads(child.stdout.readline()).items():
                        ways.setdefault(way, []).extend(times)
    finally:
        for child in children.values():
            child.communicate()
    return found


def report(found: dict[str, dict[str, dict[str, list[float]]]], rows: int) -> str:
    lines = ["| channels | minigrad, µs (median) | PyTorch | PyTorch, channels last | ratios | µs a million products |"]
    lines.append("|---" * 6 + "|")
    for channels, libraries in found.items():
        ours = libraries["minigrad"][""]
        theirs = list(libraries.get("PyTorch", {}).values())
        inputs, outputs = map(int, channels.split(" -> "))
        products = 3 * rows * (SIDE - KERNEL + 1) ** 2 * KERNEL**2 * inputs * outputs / 1e6  # y, dW and dx
        cells = [f"{min(ours):.0f} ({statistics.median(ours):.0f})"]
        cells += [f"{min(times):.0f} ({statistics.median(times):.0f})" for times in theirs] or ["", ""]
        cells += [", ".join(f"{min(ours) / min(times):.2f}" for times in theirs), f"{min(ours) / products:.1f}"]
        lines.append(f"| {channels} | {' | '.join(cells)} |")
    for channels, libraries in found.items():
        if "parts" in libraries:
            whole = sum(min(times) for times in libraries["parts"].values())
            lines += ["", f"Where minigrad's time goes, {channels}: {whole:.0f} µs in parts, of which"]
            lines += [
                f"- {part}: {min(times):.0f} µs, {min(times) / whole:.0%}" for part, times in libraries["parts"].items()
            ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows and channels: whether all of it runs")
    parser.add_argument("--json", action="store_true", help="print all times, µs, as one JSON object")
    parser.add_argument("--rounds", type=int, default=None, help="turns of the processes (9; with --quick 1)")
    options = parser.parse_args(arguments)
    rows = 4 if options.quick else ROWS
    channels = [(1, 2), REFERENCE] if options.quick else list(CHANNELS)
    found = measure(channels, rows, options.rounds or (1 if options.quick else 9))
    print(json.dumps(found) if options.json else report(found, rows))


if __name__ == "__main__":
    main()

"""What programs bring, family by family: `fit` as it is beside `fit` by the plain layers, interleaved in one process.

    python -m benchmarks.families [--quick] [--only WORD] [--rounds N]

For each family of networks the ratio of times of a whole `fit` from nothing, with its recording, over few and more
epochs, and of an epoch once everything is recorded; then what a recording takes. Above 1 programs cost more than they
bring. Processor time counts, of all threads; BLAS has one, so that its waiting does not. The last lines say what memory
programs take.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

import minigrad as mg
from benchmarks.run import UNWANTED
from minigrad.data.augment import shifts
from minigrad.model import Model
from minigrad.programs.runtime import cache
from minigrad.programs.runtime.executables import StepProgram
from minigrad.programs.tracing.steps import Step

NEVER = 10**9
EPOCHS = (1, 5, 20)
WARM = 3
TOO_SLOW = 1.1


@dataclass
class Family:
    """A network that is made anew for every measurement, with what it is trained on, 40 steps an epoch."""

    layers: Callable[[], list[Any]]
    row: tuple[int, ...] = (20,)
    outputs: int = 2
    loss: mg.Loss = field(default_factory=mg.MeanSquaredError)
    optimizer: Callable[[], mg.Optimizer] = lambda: mg.Adam(0.001)
    batch_size: int = 32
    options: dict[str, Any] = field(default_factory=dict)
    integers: int = 0

    def data(self) -> tuple[Any, Any]:
        """x and t."""
        rng = np.random.default_rng(0)
        shape = (40 * self.batch_size, *self.row)
        x = rng.integers(0, self.integers, shape) if self.integers else rng.normal(size=shape).astype(np.float32)
        return x, rng.normal(size=(len(x), self.outputs)).astype(np.float32)


class Calls(mg.Layer):
    """A layer of somebody's own that counts, undeclared: it runs as it is."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, x: Any) -> Any:
        """y = x"""
        self.calls += 1
        return x

    def backward(self, dy: Any) -> Any:
        """dx = dy"""
        return dy


def mlp(*between: Callable[[], Any], widths: tuple[int, ...] = (20, 32, 32, 2)) -> Callable[[], list[Any]]:
    def made() -> list[Any]:
        layers: list[Any] = []
        for inputs, outputs in pairwise(widths[:-1]):
            layers += [mg.Dense(inputs, outputs), *(layer() for layer in between or (mg.Tanh,))]
        return [*layers, mg.Dense(widths[-2], widths[-1])]

    return made


def cnn() -> list[Any]:
    return [
        mg.Conv2D(1, 4, 3), mg.ReLU(), mg.MaxPool2D(2), mg.Conv2D(4, 8, 3), mg.ReLU(), mg.Flatten(), mg.Dense(200, 2),
    ]  # fmt: skip


FAMILIES = {
    "mlp": Family(mlp()),
    "mlp, one row": Family(mlp(), batch_size=1),
    "mlp, 256 rows": Family(mlp(), batch_size=256),
    "odd sizes": Family(mlp(widths=(7, 13, 5, 3)), row=(7,), outputs=3, batch_size=17),
    "thirty small layers": Family(mlp(widths=(20, *(8,) * 15, 2))),
    "ten (Dense, BatchNorm, GELU)": Family(mlp(lambda: mg.BatchNorm(16), mg.GELU, widths=(20, *(16,) * 10, 2))),
    "LayerNorm": Family(mlp(lambda: mg.LayerNorm(32), mg.ReLU)),
    "Dropout": Family(mlp(mg.ReLU, lambda: mg.Dropout(0.2))),
    "convolutions": Family(cnn, row=(16, 16, 1), batch_size=16),
    "embeddings": Family(lambda: [mg.Embedding(500, 8), mg.Flatten(), mg.Dense(32, 2)], row=(4,), integers=500),
    "large embedding": Family(
        lambda: [mg.Embedding(20000, 64), mg.Flatten(), mg.Dense(256, 2)], row=(4,), integers=500
    ),
    "schedule": Family(mlp(), optimizer=lambda: mg.SGD(mg.schedules.cosine(0.05, 800), momentum=0.9)),
    "augment": Family(cnn, row=(16, 16, 1), batch_size=16, options={"augment": shifts(1)}),
    "weights": Family(mlp(), options={"sample_weight": np.linspace(0.5, 1, 1280)}),
    "l2": Family(mlp(), options={"l2": 0.01}),
    "wide": Family(mlp(mg.ReLU, widths=(200, 500, 500, 2)), row=(200,), batch_size=64),
    "a layer that counts": Family(mlp(mg.Tanh, Calls)),
}


@contextlib.contextmanager
def programs(when: str) -> Iterator[None]:
    """In here they are recorded "as ever", "at once" or "never"."""
    before = Model.steps_by_hand, cache.REPAID
    if when != "as ever":
        Model.steps_by_hand, cache.REPAID = 1 if when == "at once" else NEVER, 0
    try:
        yield
    finally:
        Model.steps_by_hand, cache.REPAID = before


def begun(family: Family) -> tuple[mg.Sequential, tuple[Any, Any], dict[str, Any]]:
    """A model, what it is trained on, and the options of a training from nothing."""
    model = mg.Sequential(family.layers(), input_shape=family.row, seed=0)
    options = {"loss": family.loss, "optimizer": family.optimizer(), "batch_size": family.batch_size}
    return model, family.data(), options | family.options


def training(family: Family) -> Iterator[mg.Epoch]:
    """The epochs of a training from nothing."""
    model, rows, options = begun(family)
    return model.epochs(*rows, **options)


def whole(family: Family, epochs: int, when: str) -> float:
    """Seconds of a `fit` from nothing."""
    model, rows, options = begun(family)
    with programs(when):
        start = time.process_time()
        model.fit(*rows, epochs=epochs, progress=False, **options)
        return time.process_time() - start


def ratio_of_fits(family: Family, epochs: int, rounds: int) -> float:
    """How many times the plain layers' time a `fit` from nothing takes."""
    return statistics.median(whole(family, epochs, "as ever") / whole(family, epochs, "never") for _ in range(rounds))


def ratio_of_epochs(family: Family, rounds: int) -> float:
    """The same of an epoch after everything is recorded."""
    both, ratios = {"at once": training(family), "never": training(family)}, []
    for number in range(WARM + rounds):
        spent = {}
        for when, epochs in both.items():
            with programs(when):
                start = time.process_time()
                next(epochs)
                spent[when] = time.process_time() - start
        if number >= WARM:
            ratios.append(spent["at once"] / spent["never"])
    return statistics.median(ratios)


def recording(family: Family, rounds: int) -> tuple[float, float]:
    """How many plain steps a recording takes: all of it, and for each layer."""
    model, (x, t), options = begun(family)
    x, t = model.admit(x[: family.batch_size]), t[: family.batch_size]
    objective = mg.Objective(model, family.loss, options.get("l2", 0.0))
    optimizer = options["optimizer"]
    optimizer.bind(model)
    optimizer.prepare(model.theta)

    def plain() -> None:
        objective.gradient(x, t)
        optimizer.step(model.theta, model.dtheta)

    def seconds(do: Callable[[], Any]) -> float:
        start = time.process_time()
        do()
        return time.process_time() - start

    steps = statistics.median(
        seconds(lambda: StepProgram(Step(objective, optimizer, x, t)))
        / statistics.median(seconds(plain) for _ in range(20))
        for _ in range(rounds + 1)
    )
    return steps, steps / len(model.layers)


def memory() -> Iterator[str]:
    """What programs take: at the peak of a recording, and for many of them."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8000, 200)).astype("f"), rng.normal(size=(8000, 10)).astype("f")
    tracemalloc.start()
    for when in ("never", "at once"):
        model = mg.Sequential([mg.Dense(200, 300), mg.Tanh(), mg.Dense(300, 300), mg.Tanh(), mg.Dense(300, 10)], seed=0)
        with programs(when):
            tracemalloc.reset_peak()
            model.fit(x, t, loss=mg.MeanSquaredError(), optimizer=mg.SGD(0.001), epochs=4, batch_size=8000)
            peak = tracemalloc.get_traced_memory()[1] / 2**20
        yield f"peak of steps of 8,000 rows, recorded {when}: {peak:.0f} MB"
    x, t = x[:1280], t[:1280]
    for what, sizes in (("one program", [32]), ("18 optimizers", [32] * 18), ("18 batch sizes", range(20, 38))):
        model = mg.Sequential([mg.Dense(200, 1000), mg.ReLU(), mg.Dense(1000, 10)], seed=0)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for size in sizes:
            with programs("at once"):
                model.fit(x, t, loss=mg.MeanSquaredError(), optimizer=mg.Adam(1e-4), epochs=1, batch_size=size)
        yield f"kept for {what}: {(tracemalloc.get_traced_memory()[0] - before) / 2**20:.1f} MB"
    tracemalloc.stop()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each, to see that it runs")
    parser.add_argument("--only", default="", metavar="WORD", help="families with this word in their name")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    from threadpoolctl import threadpool_limits

    whole(FAMILIES["mlp"], 1, "at once")  # imports what is needed
    rounds, epochs = (1, EPOCHS[:1]) if options.quick else (options.rounds, EPOCHS)
    fits = " | ".join(f"fit, epochs={n}" for n in epochs)
    print(f"| times the plain layers | {fits} | once recorded | a recording, in plain steps (for each layer) |")
    print("|---" * (len(epochs) + 3) + "|")
    with threadpool_limits(1):
        for name, family in FAMILIES.items():
            if options.only in name:
                ratios = [*(ratio_of_fits(family, n, rounds) for n in epochs), ratio_of_epochs(family, 4 * rounds)]
                cells = [f"**{ratio:.2f}**" if ratio > TOO_SLOW else f"{ratio:.2f}" for ratio in ratios]
                cells.append("{:.0f} ({:.1f})".format(*recording(family, rounds)))
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
        if not options.only and not options.quick:
            print(*memory(), sep="\n")


if __name__ == "__main__":
    logging.getLogger("minigrad").setLevel(logging.ERROR)  # what runs as it is, and why, is known here
    chosen = [name for name in UNWANTED if name in os.environ]
    if chosen:
        print(f"note: {' and '.join(chosen)} choose other kernels than a user would get; unset both")
    main()

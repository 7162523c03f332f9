"""Training steps in JavaScript: how many a second Node (V8) makes, and how far they come from NumPy's.

    python -m benchmarks.javascript [--seconds 1] [--rounds 5]

A row is one network, written by `minigrad.programs.backends.javascript`. Steps are counted by the processor's time and
by the clock; the difference is the largest of any parameter after 20 steps, relative where it is above 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import SGD, BinaryCrossEntropy, Dense, MeanSquaredError, ReLU, Sequential, Sigmoid, Tanh
from minigrad.losses import Loss
from minigrad.optimizers import Optimizer
from minigrad.programs.backends import javascript

ROWS, HIDDEN, STEPS = 500, 16, 20
CASES: dict[str, tuple[Any, type[Loss], Optimizer]] = {
    "tanh, cross-entropy, SGD": (Tanh, BinaryCrossEntropy, SGD(0.5)),
    "sigmoid, squares, momentum": (Sigmoid, MeanSquaredError, SGD(0.1, momentum=0.9)),
    "ReLU, cross-entropy, SGD": (ReLU, BinaryCrossEntropy, SGD(0.5)),
}
RUN = """
const step = () => { program.compute(); program.advance(); };
for (let k = 0; k < STEPS; k++) step();
const names = ["W1", "W2", "b1", "b2"];
const theta = names.map(name => program.named[name]).map(node => program.row.slice(node.start, node.start + node.size));
for (let k = 0; k < 200; k++) step();
const rates = [];
for (let round = 0; round < ROUNDS; round++) {
  const clock = process.hrtime.bigint(), busy = process.cpuUsage();
  let made = 0, passed = 0;
  for (; passed < SECONDS; passed = Number(process.hrtime.bigint() - clock) / 1e9) { step(); made++; }
  const used = process.cpuUsage(busy);
  rates.push([made / ((used.user + used.system) / 1e6), made / passed]);
}
console.log(JSON.stringify({ names, theta: theta.map(numbers => Array.from(numbers)), rates }));
"""


def measure(case: str, seconds: float, rounds: int) -> tuple[float, float, float]:
    """(steps a second of the processor, steps a second by the clock, difference) of one network in Node."""
    activation, loss, optimizer = CASES[case]
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(ROWS, 2)), np.float64(rng.random((ROWS, 1)) > 0.5)
    model = Sequential([Dense(2, HIDDEN), activation(), Dense(HIDDEN, 1), Sigmoid()], np.float64, seed=0)
    written = javascript.write(model.program(loss(), optimizer, batch_size=ROWS))
    parameters = {f"W{n}": model[2 * n - 2].W for n in (1, 2)} | {f"b{n}": model[2 * n - 2].b for n in (1, 2)}
    given = {"x": x, "t": t} | parameters | optimizer.coefficients(0)
    values = json.dumps({name: np.ravel(array).tolist() for name, array in given.items()})
    sets = (
        f"for (const [name, numbers] of Object.entries({values})) if (program.named[name]) program.set(name, numbers);"
    )
    constants = f"const STEPS = {STEPS}, SECONDS = {seconds}, ROUNDS = {rounds};"
    code = "\n".join([written, sets, constants, RUN])
    done = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    model.fit(x, t, loss=loss(), optimizer=optimizer, epochs=STEPS, batch_size=ROWS, shuffle=False)
    theta = dict(zip(found["names"], found["theta"], strict=True))
    flat = {name: array.ravel() for name, array in parameters.items()}
    apart = [np.abs(theta[name] - array) / np.maximum(1, np.abs(array)) for name, array in flat.items()]
    busy, clock = np.max(found["rates"], axis=0)
    return float(busy), float(clock), float(max(map(np.max, apart)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=5, help="the best of so many counts")
    options = parser.parse_args(arguments)
    if shutil.which("node") is None:
        parser.error("there is no `node` to run JavaScript with")
    print(f"| 2-{HIDDEN}-1, {ROWS} rows | steps/s of the processor | steps/s by the clock | difference |")
    print("|---|---|---|---|")
    for case in CASES:
        busy, clock, difference = measure(case, options.seconds, options.rounds)
        print(f"| {case} | {busy:,.0f} | {clock:,.0f} | {difference:.1g} |", flush=True)


if __name__ == "__main__":
    main()

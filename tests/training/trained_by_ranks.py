"""Run by mpiexec: trains each case on all ranks, and on one alone; prints one JSON line for each, and how it ends.

mpiexec -n 3 python -m mpi4py tests/training/trained_by_ranks.py FOLDER [CASE …]
"""

import json
import os
import sys
import zlib
from pathlib import Path

import numpy as np
from mpi4py import MPI

from minigrad import (
    SGD,
    Adam,
    BatchNorm,
    CategoricalCrossEntropy,
    ClipByNorm,
    Dense,
    DivergenceError,
    Dropout,
    Layer,
    MeanSquaredError,
    ReLU,
    Sequential,
    Softmax,
)
from minigrad.data import Blocks
from minigrad.parameter import states_of
from minigrad.programs.runtime import cache
from minigrad.programs.runtime.executables import StepProgram
from minigrad.training.ranks import RankError
from tests.killing import KILL

cache.REPAID = 0  # programs at once, on some ranks sooner than on others
NEVER = 10**9
comm = MPI.COMM_WORLD
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
M = 301
x = rng.standard_normal((M, 6))
labels = np.digitize((x[:, :3] ** 2).sum(1), [1.5, 3.5])
w = rng.uniform(0.2, 3, M)
w[:180] *= rng.random(180) < 0.2  # whole shares of a batch, and whole batches, without weight
order = np.argsort(w == 0)[::-1]
names = np.array(["low", "middle", "high"])[labels]


def train(
    comm,
    *,
    x=x,
    t=labels,
    layers=(),
    dtype="float64",
    epochs=2,
    batch_size=32,
    optimizer=None,
    loss=None,
    programs=False,
    **more,
):
    last = [Dense(12, 3), Softmax()] if loss is None else [Dense(12, 1)]
    model = Sequential([Dense(6, 12), ReLU(), *layers, *last], dtype=dtype, seed=1)
    model.steps_by_hand = 5 + 3 * comm.rank if programs and comm is not None else NEVER
    history = model.fit(
        x,
        t,
        loss=loss or CategoricalCrossEntropy(),
        optimizer=optimizer or Adam(0.003),
        epochs=epochs,
        batch_size=batch_size,
        l2=1e-4,
        comm=comm,
        **more,
    )
    return model, history


def noise(x, rng):
    return x + rng.normal(size=x.shape) * 0.1


def shard():
    """Rows of unequal numbers; the last rank's lack a class."""
    cuts = np.linspace(0, 1, comm.size + 1) ** 2 * M
    rows = np.arange(M)[int(cuts[comm.rank]) : int(cuts[comm.rank + 1])]
    return rows[labels[rows] < 2] if comm.rank == comm.size - 1 else rows


def blocks(rows=20, until=M):
    return Blocks([(x[i : i + rows], names[i : i + rows]) for i in range(0, until, rows)], 4)


SAME_AS_ALONE = {
    "plain": {"programs": True},
    "labels in words": {"t": names, "class_weight": "balanced"},
    "a short last batch": {"batch_size": 300},
    "weights": {"sample_weight": w, "batch_size": 20, "programs": True},
    "batches of two": {"x": x[:41], "t": labels[:41], "batch_size": 2, "programs": True},
    "weights in order": {"x": x[order], "t": labels[order], "sample_weight": w[order], "shuffle": False},
    "clipped": {"optimizer": lambda: ClipByNorm(Adam(0.003), 0.1)},
    "batches of one": {"x": x[:31], "t": labels[:31], "batch_size": 1},
    "stops early": {"validation": 0.2, "patience": 2, "epochs": 30, "optimizer": lambda: Adam(0.05)},
    "validation of one's own": {"validation": (x[:40], labels[:40]), "patience": 3, "epochs": 4},
    "numbers": {"t": x[:, 0] * 2, "loss": MeanSquaredError(), "validation": 0.1},
    "float32": {"dtype": "float32", "programs": True},
}
REPEATABLE = {
    "dropout and batch norm": {"layers": lambda: [BatchNorm(12), Dropout(0.2)], "augment": noise, "programs": True},
    "blocks, batches of one": {"x": lambda: blocks(until=90), "t": None, "batch_size": 1, "epochs": 1},
    "own rows": {"x": lambda: x[shard()], "t": lambda: labels[shard()], "validation": 0.1, "class_weight": "balanced"},
    "blocks": {"x": blocks, "t": None, "validation": 0.1, "patience": 3, "programs": True},
    "blocks to validate on": {"validation": lambda: blocks(50), "t": names},
    "any seed": {"x": blocks, "t": None, "seed": None},
}
BY_HAND = REPEATABLE["dropout and batch norm"] | {"programs": False}


def chosen(cases):
    """All of them for two ranks; of three, every sixth one."""
    return list(cases.items())[:: 1 if comm.size == 2 else 6]


def made(settings):
    return {name: value() if callable(value) and value is not noise else value for name, value in settings.items()}


def of_all(value):
    return comm.bcast(comm.gather(value))


def states_in(model):
    """Arrays, and where generators stand."""
    values = [value for layer in model for value in states_of(layer).values()]
    return [str(v.bit_generator.state) if isinstance(v, np.random.Generator) else v.tobytes().hex() for v in values]


def told(case, model, history, **more):
    sums = of_all((zlib.crc32(model.theta.tobytes()), history.loss, history.validation_loss, history.best_epoch))
    states = of_all(states_in(model))
    made = [program for program in model._programs.made if isinstance(program, StepProgram)]
    said = bool(made) and all("average(" in str(program) for program in made[:1])
    if comm.rank == 0:
        same = all(each == sums[0] for each in sums) and all(each == states[0] for each in states)
        found = {"case": case, "same": same, "loss": history.loss, "epochs": len(history), "best": history.best_epoch}
        print(json.dumps(found | {"programs": len(made), "says": said} | more), flush=True)


def differences(model, history, alone, one):
    """How far training on all ranks is from that of one process."""
    loss = np.abs(np.array(history.loss) - one.loss).max() if len(history) == len(one) else np.inf
    apart = abs(model.theta - alone.theta).max()
    return {"apart": float(apart), "loss_apart": float(loss), "alone": [len(one), one.best_epoch]}


class Bad(Layer):
    """Does what is asked for, on rank 1, in its fortieth forward."""

    def __init__(self, how):
        self.how, self.n = how, 0

    def forward(self, x):
        self.n += 1
        if comm.rank == 1 and self.n > 40:
            if self.how == "raise":
                raise MemoryError("no memory left")
            if self.how == "exit":
                sys.exit(3)
            if self.how == "kill":
                os.kill(os.getpid(), KILL)
        return x * 1

    def backward(self, dy):
        return dy * 1


def failing():
    """What each rank says of a failure in a step, in the data, of the disk, and of numbers that are not finite."""
    wrong = x.copy()
    if comm.rank == 1:
        wrong[77, 3] = np.nan

    def augment(x, rng):
        if comm.rank == comm.size - 1:
            raise OSError("the disk is gone")
        return x

    checkpoint = folder / "no such folder" / "checkpoint"
    cases = {
        "step": {"layers": [Bad("raise")], "epochs": 9, "programs": True},
        "data": {"x": wrong},
        "augment": {"augment": augment},
        "checkpoint": {"checkpoint": checkpoint},
        "diverges": {"optimizer": SGD(1e300), "batch_size": 100},
        "diverges alone": {"optimizer": SGD(1e300), "batch_size": 1, "x": x[:40], "t": labels[:40]},
    }
    for case, settings in cases.items():
        try:
            train(comm, **settings)
            said = "nothing"
        except (Exception, RankError, DivergenceError) as error:
            said = f"{type(error).__name__}: {error}"
        said = of_all(said)
        if comm.rank == 0:
            print(json.dumps({"case": case, "said": said}), flush=True)


def resumed():
    """A training in two parts, the second from a checkpoint, and one in one."""
    settings = BY_HAND | {"validation": 0.2, "patience": 9}
    path = folder / f"checkpoint {comm.size}"
    train(comm, checkpoint=path, **made(settings), epochs=3)
    model, history = train(comm, checkpoint=path, **made(settings), epochs=6)
    whole, _ = train(comm, **made(settings), epochs=6)
    told("resumed", model, history, as_whole=bool(np.array_equal(model.theta, whole.theta)))


def by_epochs():
    """The same by the generator of epochs, and with a communicator that has nothing but what is needed."""

    class Least:
        rank, size = comm.rank, comm.size
        Allreduce, bcast, gather, Abort = comm.Allreduce, comm.bcast, comm.gather, comm.Abort

    model = Sequential([Dense(6, 12), ReLU(), Dense(12, 3), Softmax()], dtype="float64", seed=comm.rank)
    losses = []
    for epoch in model.epochs(
        x, labels, loss=CategoricalCrossEntropy(), optimizer=Adam(0.003), l2=1e-4, seed=None, comm=Least()
    ):
        losses.append(epoch.loss)
        if len(losses) == 3:
            break
    same = all(each == losses for each in of_all(losses)) and len(set(of_all(model.theta.tobytes()))) == 1
    if comm.rank == 0:
        print(json.dumps({"case": "epochs", "same": same, "learns": losses[2] < losses[0]}), flush=True)


def main(asked):
    if asked[:1] == ["ends"]:
        print("layer", asked[1], flush=True)
        train(comm, layers=[Bad(asked[1])], epochs=500)
        return
    if asked[:1] == ["goes on"]:
        if comm.rank == 1:
            print(os.getpid(), flush=True)
        for name in asked[2:]:
            train(comm, **made(BY_HAND), epochs=int(asked[1]), checkpoint=folder / name)
        return
    same = chosen(SAME_AS_ALONE)
    together = [train(comm, **made(settings)) for _, settings in same]
    turns = [number % comm.size for number in range(len(same))]  # who waits for another does so at work, in MPI
    alone = [
        train(None, **made(settings)) if turn == comm.rank else None
        for (_, settings), turn in zip(same, turns, strict=True)
    ]
    for (case, _), (model, history), one, turn in zip(same, together, alone, turns, strict=True):
        told(case, model, history, **comm.bcast(one and differences(model, history, *one), turn))
    for case, settings in chosen(REPEATABLE):
        model, history = train(comm, **made(settings))
        again, _ = train(comm, **made(settings))
        repeated = settings.get("seed", 0) is None or bool(np.array_equal(model.theta, again.theta))
        told(case, model, history, repeated=repeated)
    by_epochs()
    resumed()
    failing()


main(sys.argv[2:])

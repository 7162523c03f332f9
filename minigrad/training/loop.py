"""The loop: epochs of gradient steps, as the textbook has them.

`epochs` is a method of Sequential; here `model` is its self. What a model knows of a faster way to make the same steps
(`Model.accelerator`) is asked first, and the loop makes by hand what that leaves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from minigrad.configured import require
from minigrad.data.examples import Batch, Batches, WeightedMean
from minigrad.habits import advising
from minigrad.losses import Loss
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.training.history import DivergenceError, Epoch, History, NotFinite
from minigrad.training.objective import Objective
from minigrad.training.rows import Rows, as_rows
from minigrad.training.targets import Change, ClassWeight

if TYPE_CHECKING:
    from minigrad.training.ranks import Ranks, SharedRows

Augment: TypeAlias = "Callable[[Array, np.random.Generator], Array]"
Shuffle: TypeAlias = bool | Literal["windows"]
ByHand: TypeAlias = Callable[[Batches, WeightedMean], Iterable[Batch]]


def make_step(objective: Objective, optimizer: Optimizer, batch: Batch) -> float:
    """One step of gradient descent: forward, loss and backward (the gradient), then the update. Returns the loss."""
    value = objective.gradient(batch.x, batch.t, batch.w)
    optimizer.step(objective.model.theta, objective.model.dtheta)
    return value


def make_steps(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None = None
) -> float | None:
    """A step for every batch: one epoch.

    Returns the mean loss over the rows, or None when the numbers stop being finite. Batches without weight are passed
    over. `epochs` is how many are to come with this one, where that is known: whether it is worth it to be faster.
    """
    mean = WeightedMean()
    accelerated = objective.model.accelerator() or unaided
    with (
        np.errstate(over="ignore", invalid="ignore"),
        accelerated(objective, optimizer, epochs) as left_by_hand,
    ):
        for batches in runs:
            for batch in left_by_hand(batches, mean):
                if weight := batch.weight:
                    mean.add(make_step(objective, optimizer, batch), weight)
                if not math.isfinite(mean.total):
                    break
            if not math.isfinite(mean.total):
                return None
    if objective.ranks is not None:
        mean = objective.ranks.mean(mean)
    return float(mean) if math.isfinite(mean.total) and np.isfinite(objective.model.theta).all() else None


def _make_steps_together(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None
) -> float | None:
    """`make_steps`, by all ranks where there are some."""
    if objective.ranks is None:
        return make_steps(objective, optimizer, runs, epochs)
    try:
        with objective.ranks.together():
            return make_steps(objective, optimizer, runs, epochs)
    except NotFinite:
        return None


@contextmanager
def unaided(objective: Objective, optimizer: Optimizer, epochs: int | None) -> Iterator[ByHand]:
    """No faster way: every batch is made by hand.

    What `Model.accelerator` gives is called like this, for one epoch. The function that it gives makes
    what it can of a run of batches, tells `mean` the values, and leaves the others to the loop.
    """
    yield lambda batches, mean: batches


@advising
def epochs(
    model: Model,
    x: Any,
    t: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    batch_size: int = 32,
    shuffle: Shuffle = True,
    l2: float = 0.0,
    l1: float = 0.0,
    sample_weight: Any = None,
    class_weight: ClassWeight | None = None,
    augment: Augment | None = None,
    seed: int | None = 0,
    comm: Any = None,
) -> Iterator[Epoch]:
    """Train epoch after epoch, without end: `break` is early stopping.

        for epoch in model.epochs(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(0.5)):
            if epoch.loss < 0.1:
                break

    x (m, …); t (m, …) of the outputs' shape, or (m,): class labels for a cross-entropy, one column of numbers for a
    regression loss. Each batch's gradient is the mean over its rows (the last, smaller batch too), plus `l2` times the
    decaying weights and `l1` times their signs. The order of epoch k is `default_rng((seed, k)).permutation(m)`, where
    k goes on from the epochs that the optimizer has made; None as seed takes fresh entropy. With `shuffle="windows"`
    the rows are read in blocks and shuffled within windows of them, so that memory-mapped arrays may be larger than
    memory; x may be `minigrad.data.Blocks`, which bring their targets along, so that t is None.

    `augment(x, rng)` is given the rows of each batch, in the model's dtype, and returns rows to train on in their
    place, of the same shape; rng is `default_rng((seed, k, 2))` for all of epoch k. It may work in place.

    With `comm`, mpi4py's communicator, the processes that make this call train one model together: `training.ranks`.

    Raises TypeError for what is no loss or no optimizer, ValueError for x, t or weights that do not fit or are not
    finite, DivergenceError when training leaves the finite numbers; model and optimizer are then as they were at the
    start of that epoch.
    """
    objective = Objective(model, loss, l2, l1)
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    optimizer.bind(model)
    require_count("batch_size", batch_size, "a batch has at least one row")
    ranks = objective.ranks = ranks_of(comm, objective, optimizer)

    def prepared(class_weight: ClassWeight | None) -> Rows:
        examples = as_rows(model, x, t, loss, sample_weight, class_weight, shuffle)
        examples.check_weights("training")
        return examples

    if ranks is None:
        return train(objective, optimizer, prepared(class_weight), batch_size, shuffle, augment, seed)
    examples, _ = ranks.agree_on(ranks.prepare(prepared, t, loss, class_weight), None)
    ranks.start_alike()
    return train(objective, optimizer, examples, batch_size, shuffle, augment, ranks.seed(seed))


def ranks_of(comm: Any, objective: Objective, optimizer: Optimizer) -> Ranks | None:
    """The ranks that train together by this communicator; None where there is one process alone."""
    if comm is None:
        return None
    from minigrad.training import ranks  # `import minigrad` is to be quick: few trainings have several processes

    return ranks.ranks_of(comm, objective, optimizer)


def train(
    objective: Objective,
    optimizer: Optimizer,
    examples: Rows | SharedRows,
    batch_size: int,
    shuffle: Shuffle,
    augment: Augment | None,
    seed: int | None,
    epochs: int | None = None,
) -> Iterator[Epoch]:
    """Epoch after epoch, without end. One that leaves the finite numbers is undone, and looked into for the error.

    `epochs` is how many will be asked for, if that is known.
    """
    root: Any = np.random.SeedSequence().entropy if seed is None else seed
    optimizer.prepare(objective.model.theta)
    history = History()
    while True:
        started = time.perf_counter()
        before, counted = Snapshot([objective.model]), optimizer.state()
        left = None if epochs is None else epochs - len(history)

        def runs() -> Iterator[Batches]:
            change = _augmenting(objective, augment, root, optimizer.epochs)
            return examples.epoch(root, optimizer.epochs, bool(shuffle), batch_size, change)

        loss = _make_steps_together(objective, optimizer, runs(), left)
        if loss is None:
            before.restore()
            optimizer.load_state(counted)
            batch, what = _divergence(objective, optimizer, runs())
            before.restore()
            optimizer.load_state(counted)
            raise DivergenceError(
                f"epoch {optimizer.epochs + 1}, batch {batch}: {what}. The usual cause is too large a learning rate "
                f"({optimizer!r}); targets or inputs of very different sizes are the next. The model is as it was "
                f"before this epoch; print(model.health(x, t, loss, optimizer=…)) says what else may be wrong",
                history,
            )
        optimizer.epochs += 1
        epoch = Epoch(optimizer.epochs, loss, time.perf_counter() - started)
        history.loss.append(epoch.loss)
        history.seconds.append(epoch.seconds)
        yield epoch


def _augmenting(objective: Objective, augment: Augment | None, seed: Any, epoch: int) -> Change | None:
    """`augment` as a function of the rows of one batch after the other of an epoch."""
    if not (augment is None or callable(augment)):
        raise TypeError(f"augment={augment!r}: give a function of (x, rng), such as minigrad.data.augment.shifts(2)")
    if augment is None:
        return None
    model, rank = objective.model, 0 if objective.ranks is None else objective.ranks.rank
    rng = np.random.default_rng((seed, epoch, 2, rank) if rank else (seed, epoch, 2))

    def change(x: Array) -> Array:
        x = model.admit(x)
        changed = np.asarray(augment(x, rng))
        if changed.shape != x.shape:
            raise ValueError(f"augment={augment!r} was given x of shape {x.shape} and returned {changed.shape}")
        x[...] = changed  # so that it lies in memory as the rows did
        return x

    return change


def _divergence(objective: Objective, optimizer: Optimizer, runs: Iterable[Batches]) -> tuple[int, str]:
    """Go through a failed epoch once more, looking at every number: the batch (from 1), and what is wrong there."""
    ranks = objective.ranks
    if ranks is None:
        return _look_through(objective, optimizer, runs)
    try:
        with ranks.together(looking=True):
            _, what = _look_through(objective, optimizer, runs)
    except NotFinite as error:
        what = str(error)
    return ranks.number, what


def _look_through(objective: Objective, optimizer: Optimizer, runs: Iterable[Batches]) -> tuple[int, str]:
    model, number = objective.model, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for number, batch in enumerate(chain.from_iterable(runs), 1):
            if not batch.weight:
                continue
            value = make_step(objective, optimizer, batch)
            if not np.isfinite(value):
                return number, f"the loss is {value}"
            if not np.isfinite(model.dtheta).all():
                return number, "the gradient is not finite"
            if not np.isfinite(model.theta).all():
                return number, "the step makes the parameters infinite"
    return number, "the parameters are no longer finite"


def require_count(name: str, value: Any, least: str) -> None:
    """Raise TypeError unless an argument is a whole number, and ValueError unless it is 1 or more."""
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is no whole number")
    if value < 1:
        raise ValueError(f"{name}={value}: {least}")

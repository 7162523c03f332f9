"""The loop: epochs of gradient steps, as the textbook has them.

For each batch forward, loss and backward, which give the gradient, and then the update; an epoch is all batches once.
`epochs` is a method of Sequential; here `model` is its self.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from minigrad.configured import advising, require
from minigrad.data.examples import Batch, Batches, InBlocks, WeightedMean
from minigrad.losses import Loss
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk
from minigrad.training.communicator import ALONE, Communicator
from minigrad.training.dataset import ClassWeight, Dataset, Rows, as_examples
from minigrad.training.history import DivergenceError, Epoch, History, NotFinite
from minigrad.training.objective import Objective
from minigrad.training.untrained import check_gradients, undeclared_arrays

Augment: TypeAlias = "Callable[[Array, np.random.Generator], Array]"
Shuffle: TypeAlias = bool | Literal["windows"]


def make_step(objective: Objective, optimizer: Optimizer, batch: Batch) -> float:
    """One step of gradient descent: forward, loss and backward (the gradient), then the update. Returns the loss."""
    value = objective.gradient(batch.x, batch.t, batch.w)
    optimizer.step(objective.model.theta, objective.model.dtheta)
    return value


def make_steps(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None = None
) -> WeightedMean:
    """Make a step for every batch of an epoch. Returns the mean loss, and stops where that is not finite.

    A batch without weight is passed over. An executor is a function with these arguments and this result that makes
    the same steps faster, with the same bits; `epochs` is how many epochs are to come with this one, where that is
    known.
    """
    mean = WeightedMean()
    for batch in chain.from_iterable(runs):
        if weight := batch.weight:
            mean.add(make_step(objective, optimizer, batch), weight)
        if not math.isfinite(mean.total):
            break
    return mean


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

    `augment(x, rng)` is given the rows of each batch, in the model's dtype, and returns the rows to train on in their
    place, of the same shape; rng is `default_rng((seed, k, 2))` for all of epoch k. It may work in place.

    With `comm`, mpi4py's communicator, the processes that make this call train one model together: `training.ranks`.

    Raises TypeError for what is no loss or no optimizer, ValueError for x, t or weights that do not fit or are not
    finite, DivergenceError when training leaves the finite numbers; model and optimizer are then as they were at the
    start of that epoch.
    """
    training = Training(Objective(model, loss, l2, l1), optimizer, batch_size, shuffle, augment, seed, comm)
    communicator = training.objective.communicator
    rows, _ = communicator.share_out(*training.prepare(Dataset(x, t, sample_weight, class_weight)))
    communicator.start_alike()
    return training.epochs(rows)


@dataclass
class Training:
    """What trains a model: an optimizer, and how the rows come to it.

    Raises TypeError and ValueError for arguments that are none of these.
    """

    objective: Objective
    optimizer: Optimizer
    batch_size: int
    shuffle: Shuffle
    augment: Augment | None
    seed: Any
    comm: Any = None

    def __post_init__(self) -> None:
        require("optimizer", self.optimizer, Optimizer, "SGD(learning_rate=0.5)")
        require_count("batch_size", self.batch_size, "a batch has at least one row")
        if not isinstance(self.shuffle, bool) and self.shuffle != "windows":
            raise ValueError(
                f'shuffle={self.shuffle!r}: it is True, False, or "windows", for rows that memory does not hold'
            )
        if not (self.augment is None or callable(self.augment)):
            raise TypeError(
                f"augment={self.augment!r}: give a function of (x, rng), such as minigrad.data.augment.shifts(2)"
            )
        self.optimizer.bind(self.objective.model)
        self.objective.communicator = _communicator_of(self.comm, self.objective, self.optimizer)
        self.seed = self.objective.communicator.seed(self.seed)

    def prepare(self, data: Dataset, validation: Any = None) -> tuple[Rows, Rows | None]:
        """The rows to train on, and those that `validation` keeps from that, if any."""
        return self.objective.communicator.prepare(data, self.objective.given, partial(self._prepared, validation))

    def _prepared(self, validation: Any, data: Dataset) -> tuple[Rows, Rows | None]:
        model, loss = self.objective.model, self.objective.given
        rows, held_out = _rows_of(model, loss, data, in_windows=self.shuffle == "windows"), None
        if isinstance(validation, InBlocks):
            validation = validation, None
        if isinstance(validation, tuple) and len(validation) == 2:
            try:
                held_out = _rows_of(model, loss, Dataset(*validation, class_weight=data.class_weight))
            except ValueError as error:
                raise ValueError(f"validation: {error}") from error
        elif isinstance(validation, int | float | np.number):
            rows, held_out = rows.hold_out(cast(float, validation), self.seed or 0)
        elif validation is not None:
            raise TypeError(
                f"validation={validation!r:.40}: give a fraction of the rows, such as 0.1, or a pair (x, t)"
            )
        rows.check_weights("training")
        if held_out is not None:
            held_out.check_weights("validation")
        return rows, held_out

    def epochs(self, rows: Rows, expected: int | None = None) -> Iterator[Epoch]:
        """Epoch after epoch, without end; `expected` is how many will be asked for, if that is known.

        An epoch that leaves the finite numbers is undone, and made once more to find the batch for the error.
        """
        history, optimizer = History(), self.optimizer
        if self.seed is None:
            self.seed = np.random.SeedSequence().entropy
        optimizer.prepare(self.objective.model.theta)
        undeclared = [undeclared_arrays(layer) for layer in walk([self.objective.model])]
        while True:
            started = time.perf_counter()
            before, counted = Snapshot([self.objective.model]), optimizer.state()
            loss = self._make_epoch(rows, None if expected is None else expected - len(history.loss))
            if loss is None:
                _undo(before, optimizer, counted)
                where = self._divergence(rows)
                _undo(before, optimizer, counted)
                raise DivergenceError(
                    f"epoch {optimizer.epochs + 1}, {where}. The usual cause is too large a learning rate "
                    f"({optimizer!r}); targets or inputs of very different sizes are the next. The model is as it was "
                    f"before this epoch; print(model.health(x, t, loss, optimizer=…)) says what else may be wrong",
                    history,
                )
            if not history.loss:
                try:
                    check_gradients(undeclared)
                except ValueError:
                    _undo(before, optimizer, counted)
                    raise
            optimizer.epochs += 1
            epoch = Epoch(optimizer.epochs, loss, time.perf_counter() - started)
            history.loss.append(epoch.loss)
            history.seconds.append(epoch.seconds)
            yield epoch

    def _make_epoch(self, rows: Rows, epochs: int | None) -> float | None:
        """The mean loss of an epoch's steps, or None where the numbers stop being finite."""
        model, communicator = self.objective.model, self.objective.communicator
        try:
            with communicator.together(), np.errstate(over="ignore", invalid="ignore"):
                mean = model.tools.execute(self.objective, self.optimizer, self._batches(rows), epochs)
                if not math.isfinite(mean.total):
                    return None
                loss = float(communicator.mean(mean))
        except NotFinite:
            return None
        return loss if math.isfinite(loss) and np.isfinite(model.theta).all() else None

    def _batches(self, rows: Rows) -> Iterator[Batches]:
        epoch = self.optimizer.epochs
        return rows.epoch(self.seed, epoch, bool(self.shuffle), self.batch_size, self._augmenting(epoch))

    def _augmenting(self, epoch: int) -> Callable[[Array], Array] | None:
        """`augment` as a function of the rows of one batch after the other of an epoch."""
        augment, model, rank = self.augment, self.objective.model, self.objective.communicator.rank
        if augment is None:
            return None
        rng = np.random.default_rng((self.seed, epoch, 2, rank) if rank else (self.seed, epoch, 2))

        def change(x: Array) -> Array:
            x = model.admit(x)
            changed = np.asarray(augment(x, rng))
            if changed.shape != x.shape:
                raise ValueError(f"augment={augment!r} was given x of shape {x.shape} and returned {changed.shape}")
            x[...] = changed  # so that it lies in memory as the rows did
            return x

        return change

    def _divergence(self, rows: Rows) -> str:
        """Go through a failed epoch once more, looking at every number: the batch, and what is wrong there."""
        objective, optimizer, number = self.objective, self.optimizer, 0
        model = objective.model
        try:
            with objective.communicator.together(looking=True), np.errstate(over="ignore", invalid="ignore"):
                for number, batch in enumerate(chain.from_iterable(self._batches(rows)), 1):
                    if not batch.weight:
                        continue
                    value = make_step(objective, optimizer, batch)
                    if not np.isfinite(value):
                        raise NotFinite(f"the loss is {value}", number)
                    if not np.isfinite(model.dtheta).all():
                        raise NotFinite("the gradient is not finite", number)
                    if not np.isfinite(model.theta).all():
                        raise NotFinite("the step makes the parameters infinite", number)
        except NotFinite as error:
            return f"batch {error.number}: {error}"
        return f"batch {number}: the parameters are no longer finite"


def _undo(before: Snapshot, optimizer: Optimizer, counted: dict[str, Any]) -> None:
    """Put model and optimizer back to where an epoch began."""
    before.restore()
    optimizer.load_state(counted)


def _rows_of(model: Model, loss: Loss, data: Dataset, *, in_windows: bool = False) -> Rows:
    """The rows of a dataset, checked: in memory, or read in windows of blocks. Labels make `model.classes`."""
    if in_windows or isinstance(data.x, InBlocks):
        from minigrad.training.windows import as_windows  # `import minigrad` is to be quick: few trainings have blocks

        return as_windows(model, loss, data)
    return as_examples(model, loss, data)


def _communicator_of(comm: Any, objective: Objective, optimizer: Optimizer) -> Communicator:
    """The processes of mpi4py's communicator `comm`; one process alone where it is None or has one rank only."""
    if comm is None:
        return ALONE
    from minigrad.training.ranks import Ranks, asked  # `import minigrad` is to be quick: few trainings have several

    return ALONE if asked(comm, "size") == 1 else Ranks(comm, objective, optimizer)


def require_count(name: str, value: Any, least: str) -> None:
    """Raise TypeError unless an argument is a whole number, and ValueError unless it is 1 or more."""
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is no whole number")
    if value < 1:
        raise ValueError(f"{name}={value}: {least}")

"""fit: epochs of training, with a hold-out, early stopping and checkpoints around them.

It is a method of Sequential; here `model` is its self.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from minigrad.configured import require
from minigrad.data.examples import Examples, InBlocks
from minigrad.data.split import split_rows
from minigrad.habits import advising
from minigrad.losses import Loss
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.training.history import DivergenceError, Epoch, History
from minigrad.training.loop import Augment, Shuffle, ranks_of, require_count, train
from minigrad.training.measuring import Metric, Monitor, check_metrics, evaluate
from minigrad.training.objective import Objective
from minigrad.training.rows import Rows, as_rows
from minigrad.training.targets import ClassWeight, strata

if TYPE_CHECKING:
    from minigrad.saving.checkpoint import Checkpoint
    from minigrad.training.ranks import SharedRows

SECONDS_BETWEEN_BARS = 0.1  # a notebook that gets more updates freezes


@advising
def fit(
    model: Model,
    x: Any,
    t: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 32,
    validation: float | tuple[Any, Any] | None = None,
    shuffle: Shuffle = True,
    patience: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    monitor: str | None = None,
    l2: float = 0.0,
    l1: float = 0.0,
    sample_weight: Any = None,
    class_weight: ClassWeight | None = None,
    augment: Augment | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    seed: int | None = 0,
    comm: Any = None,
) -> History:
    """Train for `epochs` epochs (see `epochs` for x, t and the rest) and return the history.

    `validation` is a fraction of the rows, drawn at random and stratified by class, or a pair (x, t) of one's own, or
    Blocks. Of Blocks, and with `shuffle="windows"`, a fraction is drawn row by row, of 262,144 rows at most.
    With `patience`, training stops after so many epochs without a lower validation loss, and the parameters and state
    of the best epoch are restored, whatever ended training. `class_weight` maps labels to weights, or is "balanced":
    each class weighs the same in sum.
    `metrics` are measures of your own by name, each f(t, p), taken after every epoch of the held-out rows, or of those
    trained on where there are none: `History.metrics` has them as "validation_mae" and "mae". Where the model has one
    output, t and p are (m,). `monitor` is the name of one, which takes the place of the validation loss: its best epoch
    is restored, with or without `patience`. More is better, but of a loss or an error (a word of its name says so).
    `progress` shows a bar; by default it does on a terminal and in a notebook.

    `fit` of 4 epochs and then of 6, with the same optimizer, is bit for bit `fit` of 10.

    With `checkpoint=path`, a training that was stopped or killed goes on when the same program is run again. The file
    holds the model (`minigrad.load` makes it), the optimizer and the history; it is written after the first epoch, then
    after the epochs that end a second or more after the last time (later where writing takes long: it takes no more
    than a twentieth of the time), and at the end. Where there is one, model and optimizer take up what it holds,
    `epochs` counts its epochs too, and the result is bit for bit that of one run. `epochs` and `patience` may be others
    than before; if anything else is, or the data are, ValueError names the difference.

    With `comm=MPI.COMM_WORLD`, the processes of `mpiexec -n 4 python -m mpi4py train.py` train one model together:
    each takes its share of every batch (`training.ranks`). Rank 0 writes the checkpoint. BatchNorm sees the rows of its
    own rank. A rank that fails ends all.

    Raises what `epochs` raises; also TypeError for `epochs`, `batch_size` or `patience` that is no whole number, and
    ValueError for one below 1, for `patience` without `validation`, and for a `checkpoint` of another training.
    """
    objective = Objective(model, loss, l2, l1)
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    optimizer.bind(model)
    require_count("epochs", epochs, "train for at least one")
    require_count("batch_size", batch_size, "a batch has at least one row")
    if patience is not None and validation is None:
        raise ValueError("patience watches the validation loss: give validation=0.1, or (x, t), too")
    watched, own = check_metrics(metrics, monitor, held_out=validation is not None), metrics or {}
    if patience is not None:
        require_count("patience", patience, "wait for at least one epoch")
    ranks = objective.ranks = ranks_of(comm, objective, optimizer)
    seed = seed if ranks is None else ranks.seed(seed)

    def prepared(weight: ClassWeight | None) -> tuple[Rows, Rows | None]:
        rows = as_rows(model, x, t, loss, sample_weight, weight, shuffle)
        rows, held_out = _hold_out(model, rows, validation, loss, class_weight, seed)
        rows.check_weights("training")
        if held_out is not None:
            held_out.check_weights("validation")
        return rows, held_out

    prepare = prepared if ranks is None else partial(ranks.prepare, prepared, t, loss)
    examples, held_out = prepare(class_weight)
    settings = {
        "loss": loss,
        "optimizer": optimizer,
        "batch_size": batch_size,
        "shuffle": shuffle,
        "l2": l2,
        "l1": l1,
        "augment": augment,
        "seed": seed,
        "early stopping": patience is not None,
        "data": examples,
        "validation": held_out,
    }
    if own or monitor:
        settings |= {"metrics": sorted(own), "monitor": monitor}
    keep = partial(_kept, None if ranks is not None and ranks.rank else checkpoint, model, optimizer, settings)
    saved, found = keep() if ranks is None else ranks.resume(keep)
    history, best = (History(), None) if found is None else (History(**found[0]), found[1])

    shared: Rows | SharedRows = examples
    if ranks is not None:
        shared, held_out = ranks.agree_on(examples, held_out)
        progress = progress if ranks.rank == 0 else False
    chooses = patience is not None or monitor is not None
    course = _Course(objective, examples, held_out, own, watched, chooses, patience, epochs, history, best)
    try:
        training = train(objective, optimizer, shared, batch_size, shuffle, augment, seed, epochs - len(history))
        for epoch in () if course.is_over else _bar(training, len(history), epochs, progress):
            course.enter(epoch)
            write = partial(course.write, saved)
            write() if ranks is None else ranks.agree(write)
            if course.is_over:
                break
    except DivergenceError as error:
        error.history = history
        raise
    finally:
        if course.best is not None:
            course.best.restore()
    return history


@dataclass
class _Course:
    """What is known of a training after each of its epochs, until it is over.

    It trains on `rows`. Where there are rows `held_out`, it is measured on them, and if it `chooses`, `best` is the
    model as it was after the epoch that is the best by what is `watched`. `own` are measures of the user's.
    """

    objective: Objective
    rows: Rows
    held_out: Rows | None
    own: Mapping[str, Metric]
    watched: Monitor
    chooses: bool
    patience: int | None
    epochs: int
    history: History
    best: Snapshot | None

    @property
    def is_over(self) -> bool:
        """Whether there were as many epochs as were asked for, or `patience` without a better one."""
        waited = len(self.history) - (self.history.best_epoch or 0)
        return len(self.history) >= self.epochs or (self.patience is not None and waited >= self.patience)

    def enter(self, epoch: Epoch) -> None:
        """Enter an epoch in the history, with what is measured of the model as it is now."""
        history = self.history
        history.loss.append(epoch.loss)
        history.seconds.append(epoch.seconds)
        if self.held_out is not None:
            validation_loss, measured = evaluate(self.objective, self.held_out, self.own)
            history.validation_loss.append(validation_loss)
            self._enter({f"validation_{name}": value for name, value in measured.items()})
            if self.chooses and self.watched.is_best(history):
                self.best, history.best_epoch = Snapshot([self.objective.model]), len(history)
        elif self.own:
            measured = evaluate(self.objective, self.rows, self.own)[1]
            self._enter({name: value for name, value in measured.items() if name in self.own})

    def _enter(self, measured: Mapping[str, float]) -> None:
        for name, value in measured.items():
            self.history.metrics.setdefault(name, []).append(value)

    def write(self, saved: Checkpoint | None) -> None:
        """Write the checkpoint, if there is one, when it is due and at the end."""
        if saved is not None and (self.is_over or saved.due()):
            saved.write(asdict(self.history), self.best)


def _kept(
    path: str | os.PathLike[str] | None, model: Model, optimizer: Optimizer, settings: dict[str, Any]
) -> tuple[Checkpoint | None, tuple[dict[str, Any], Snapshot | None] | None]:
    """The checkpoint in this file, and what it held: the history and the best epoch so far; None for what is not."""
    if path is None:
        return None, None
    from minigrad.saving.checkpoint import Checkpoint  # `import minigrad` is to be quick: few trainings keep one

    saved = Checkpoint(path, model, optimizer, settings)
    return saved, saved.resume()


def _hold_out(
    model: Model,
    examples: Rows,
    validation: Any,
    loss: Loss,
    class_weight: ClassWeight | None,
    seed: int | None,
) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those that `validation` keeps from that."""
    if validation is None:
        return examples, None
    if isinstance(validation, InBlocks):
        validation = validation, None
    if isinstance(validation, tuple) and len(validation) == 2:
        x, t = validation
        try:
            return examples, as_rows(model, x, t, loss, None, class_weight)
        except ValueError as error:
            raise ValueError(f"validation: {error}") from error
    if not isinstance(validation, int | float | np.number):
        raise TypeError(f"validation={validation!r:.40}: give a fraction of the rows, such as 0.1, or a pair (x, t)")
    if not isinstance(examples, Examples):
        return examples.hold_out(cast(float, validation), seed or 0)
    try:
        kept, held = split_rows(strata(model, examples, loss), cast(float, validation), seed=seed or 0)
    except ValueError as error:
        raise ValueError(f"validation={validation}, the test_size of a split: {error}") from error
    return examples.select(kept), examples.select(held)


def _bar(training: Iterator[Epoch], begun: int, epochs: int, progress: bool | None) -> Iterator[Epoch]:
    """The epochs, with a progress bar where one can be seen."""
    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not progress:
        yield from training
        return
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)  # of a notebook without ipywidgets, which gets a bar of text
        from tqdm.auto import tqdm

    bar = tqdm(initial=begun, total=epochs, unit="epoch", desc="training", mininterval=SECONDS_BETWEEN_BARS)
    with bar:
        for epoch in training:
            bar.set_postfix(loss=f"{epoch.loss:.4f}", refresh=False)
            bar.update()
            yield epoch

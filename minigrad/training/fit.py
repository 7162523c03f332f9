"""fit: epochs of training, with a hold-out, early stopping and checkpoints around them.

It is a method of Sequential; here `model` is its self.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from minigrad.configured import advising
from minigrad.losses import Loss
from minigrad.model import Model, Snapshot
from minigrad.optimizers import Optimizer
from minigrad.training.dataset import ClassWeight, Dataset, Rows
from minigrad.training.history import DivergenceError, Epoch, History, Monitor
from minigrad.training.loop import Augment, Shuffle, Training, require_count
from minigrad.training.measuring import Metric, check_metrics, evaluate
from minigrad.training.objective import Objective

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
    require_count("epochs", epochs, "train for at least one")
    training = Training(objective, optimizer, batch_size, shuffle, augment, seed, comm)
    if patience is not None:
        if validation is None:
            raise ValueError("patience watches the validation loss: give validation=0.1, or (x, t), too")
        require_count("patience", patience, "wait for at least one epoch")
    monitored = Monitor()
    if metrics is not None or monitor is not None:
        monitored = check_metrics(metrics, monitor, held_out=validation is not None)
    rows, held_out = training.prepare(Dataset(x, t, sample_weight, class_weight), validation)
    communicator = objective.communicator
    course = Course(objective, metrics or {}, monitored, patience, epochs, patience is not None or monitor is not None)

    def resume() -> tuple[dict[str, Any], Snapshot | None] | None:
        if checkpoint is None or communicator.rank:
            return None
        settings = {
            "loss": loss,
            "optimizer": optimizer,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "l2": l2,
            "l1": l1,
            "augment": augment,
            "seed": training.seed,
            "early stopping": patience is not None,
            "data": rows,
            "validation": held_out,
        }
        if metrics or monitor:
            settings |= {"metrics": sorted(metrics or {}), "monitor": monitor}
        course.checkpoint = model.tools.checkpoint(checkpoint, model, optimizer, settings)
        found: tuple[dict[str, Any], Snapshot | None] | None = course.checkpoint.resume()
        return found

    if (kept := communicator.resume(resume)) is not None:
        course.history, course.best = History(**kept[0]), kept[1]
    shared, held_out = communicator.share_out(rows, held_out)
    begun, progress = len(course.history.loss), progress if communicator.rank == 0 else False
    try:
        for epoch in () if course.is_over else _bar(training.epochs(shared, epochs - begun), begun, epochs, progress):
            course.enter(epoch, rows, held_out)
            communicator.agree(course.write)
            if course.is_over:
                break
    except DivergenceError as error:
        error.history = course.history
        raise
    finally:
        if course.best is not None:
            course.best.restore()
    return course.history


@dataclass
class Course:
    """What is known of a training after each of its epochs, until it is over.

    If it `chooses`, `best` is the model as it was after the epoch that is the best by what is `monitored`. `metrics`
    are measures of the user's. The `checkpoint`, if there is one, keeps history and best epoch in a file.
    """

    objective: Objective
    metrics: Mapping[str, Metric]
    monitored: Monitor
    patience: int | None
    epochs: int
    chooses: bool
    checkpoint: Any = None
    best: Snapshot | None = None
    history: History = field(default_factory=History)

    @property
    def is_over(self) -> bool:
        """Whether there were as many epochs as were asked for, or `patience` without a better one."""
        made = len(self.history.loss)
        waited = made - (self.history.best_epoch or 0)
        return made >= self.epochs or (self.patience is not None and waited >= self.patience)

    def enter(self, epoch: Epoch, rows: Rows, held_out: Rows | None) -> None:
        """Enter an epoch in the history, with what is measured of the model as it is now."""
        history = self.history
        history.loss.append(epoch.loss)
        history.seconds.append(epoch.seconds)
        if held_out is not None:
            validation_loss, measured = evaluate(self.objective, held_out, self.metrics)
            history.validation_loss.append(validation_loss)
            self._enter({f"validation_{name}": value for name, value in measured.items()})
            if self.chooses and self.monitored.is_best(history):
                self.best, history.best_epoch = Snapshot([self.objective.model]), len(history)
        elif self.metrics:
            measured = evaluate(self.objective, rows, self.metrics)[1]
            self._enter({name: value for name, value in measured.items() if name in self.metrics})

    def _enter(self, measured: Mapping[str, float]) -> None:
        for name, value in measured.items():
            self.history.metrics.setdefault(name, []).append(value)

    def write(self) -> None:
        """Write the checkpoint, if there is one, when it is due and at the end."""
        if self.checkpoint is not None and (self.is_over or self.checkpoint.due()):
            self.checkpoint.write(asdict(self.history), self.best)


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

"""Training: epochs of gradient steps, and what `fit` makes of them.

The two functions `epochs` and `fit` are methods of a Sequential; here `model` is their self.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from minigrad import metrics
from minigrad.configured import require
from minigrad.data.examples import Examples, as_numbers, check_fractions
from minigrad.data.labels import LabelEncoder, label_array
from minigrad.data.split import split_rows
from minigrad.display import html_table
from minigrad.layers.activations import Sigmoid
from minigrad.losses import CategoricalCrossEntropy, Loss, check_weights
from minigrad.model import Model, Snapshot
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("minigrad")

ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"]
Augment: TypeAlias = "Callable[[Array, np.random.Generator], Array]"
InPlace: TypeAlias = Callable[[Array], None]
Batches: TypeAlias = Iterator[tuple[Array, Array, Array | None]]

EPOCHS_SHOWN = 10  # in the table of a history
SECONDS_BETWEEN_BARS = 0.1  # a notebook that gets more updates freezes


@dataclass(frozen=True)
class Epoch:
    """One pass over the rows: its `number` from 1, the training `loss` (penalty included), and its `seconds`."""

    number: int
    loss: float
    seconds: float


@dataclass
class History:
    """What happened in each epoch: lists as long as there were epochs.

    `loss` is the mean over the training rows of the loss *before* each batch's update, penalty included.
    `validation_loss` (without the penalty) and the lists in `metrics` are of the parameters at the end of the epoch, on
    rows that were not trained on; they are empty when there are no such rows. `best_epoch` counts from 1; it is the one
    whose parameters were restored, or None without `patience`.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def to_frame(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity, as a pandas DataFrame."""
        import pandas as pd

        columns = {"loss": self.loss, "validation_loss": self.validation_loss, **self.metrics, "seconds": self.seconds}
        epochs = pd.RangeIndex(1, len(self) + 1, name="epoch")
        return pd.DataFrame({name: values for name, values in columns.items() if values}, index=epochs)

    def summary(self) -> str:
        """A table of some of the epochs: the first, the last, the best, and some between."""
        head, *rows = self._rows()
        wide = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        return "\n".join("  ".join(f"{cell:>{w}}" for cell, w in zip(row, wide, strict=True)) for row in (head, *rows))

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table as `summary`."""
        head, *rows = self._rows()
        return html_table(head, rows)

    def _rows(self) -> list[list[str]]:
        columns = {"loss": self.loss, "validation_loss": self.validation_loss, **self.metrics, "seconds": self.seconds}
        columns = {name: values for name, values in columns.items() if values}
        shown = {round(place) for place in np.linspace(0, len(self) - 1, min(len(self), EPOCHS_SHOWN))}
        if self.best_epoch is not None:
            shown.add(self.best_epoch - 1)
        rows = [["epoch", *(name.replace("_", " ") for name in columns)]]
        for place in sorted(shown):
            mark = " (best)" if place + 1 == self.best_epoch else ""
            rows.append([f"{place + 1}{mark}", *(f"{values[place]:.4g}" for values in columns.values())])
        return rows


class DivergenceError(FloatingPointError):
    """Training stopped since a loss, gradient or parameter was not finite. `history` holds the epochs before."""

    def __init__(self, message: str, history: History | None = None) -> None:
        super().__init__(message)  # pickle makes an exception again from these arguments alone
        self.history = History() if history is None else history


def epochs(
    model: Model,
    x: Any,
    t: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    batch_size: int = 32,
    shuffle: bool = True,
    l2: float = 0.0,
    l1: float = 0.0,
    sample_weight: Any = None,
    class_weight: ClassWeight | None = None,
    augment: Augment | None = None,
    seed: int | None = 0,
) -> Iterator[Epoch]:
    """Train epoch after epoch, without end: `break` is early stopping.

        for epoch in model.epochs(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(0.5)):
            if epoch.loss < 0.1:
                break

    x (m, …); t (m, …) of the outputs' shape, or (m,): class labels for a cross-entropy, one column of numbers for a
    regression loss. Each batch's gradient is the mean over its rows (the last, smaller batch too), plus `l2` times the
    decaying weights and `l1` times their signs. The order of epoch k is `default_rng((seed, k)).permutation(m)`, where
    k goes on from the epochs that the optimizer has made; None as seed takes fresh entropy.

    `augment(x, rng)` is given the rows of each batch, in the model's dtype, and returns rows to train on in their
    place, of the same shape; rng is `default_rng((seed, k, 2))` for all of epoch k. It may work in place.

    Raises ValueError for x, t or weights that do not fit or are not finite, DivergenceError when training leaves the
    finite numbers; model and optimizer are then as they were at the start of that epoch.
    """
    objective = Objective(model, loss, l2, l1)
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    _require_count("batch_size", batch_size, "a batch has at least one row")
    examples = as_examples(model, x, t, loss, sample_weight, class_weight)
    examples.check_weights("training")
    return _epochs(objective, optimizer, examples, batch_size, shuffle, augment, seed)


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
    shuffle: bool = True,
    patience: int | None = None,
    l2: float = 0.0,
    l1: float = 0.0,
    sample_weight: Any = None,
    class_weight: ClassWeight | None = None,
    augment: Augment | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    seed: int | None = 0,
) -> History:
    """Train for `epochs` epochs (see `epochs` for x, t and the rest) and return the history.

    `validation` is a fraction of the rows, drawn at random and stratified by class, or a pair (x, t) of one's own.
    With `patience`, training stops after so many epochs without a lower validation loss, and the parameters and state
    of the best epoch are restored, whatever ended training. `class_weight` maps labels to weights, or is "balanced":
    each class weighs the same in sum. `progress` shows a bar; by default it does on a terminal and in a notebook.

    `fit` of 4 epochs and then of 6, with the same optimizer, is bit for bit `fit` of 10.

    With `checkpoint=path`, a training that was stopped or killed goes on when the same program is run again. The file
    holds the model (`minigrad.load` makes it), the optimizer and the history; it is written after the first epoch, then
    after the epochs that end a second or more after the last time (later where writing takes long: it takes no more
    than a twentieth of the time), and at the end. Where there is one, model and optimizer take up what it holds,
    `epochs` counts its epochs too, and the result is bit for bit that of one run. `epochs` and `patience` may be others
    than before; if anything else is, or the data are, ValueError names the difference.
    """
    objective, history, best = Objective(model, loss, l2, l1), History(), None
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    _require_count("epochs", epochs, "train for at least one")
    _require_count("batch_size", batch_size, "a batch has at least one row")
    if patience is not None and validation is None:
        raise ValueError("patience watches the validation loss: give validation=0.1, or (x, t), too")
    if patience is not None:
        _require_count("patience", patience, "wait for at least one epoch")
    examples, held_out = as_examples(model, x, t, loss, sample_weight, class_weight), None
    if isinstance(validation, tuple) and len(validation) == 2:
        try:
            held_out = as_examples(model, *validation, loss, None, class_weight)
        except ValueError as error:
            raise ValueError(f"validation: {error}") from error
    elif isinstance(validation, int | float | np.number):
        try:
            kept, held = split_rows(_strata(examples, loss), validation, seed=seed or 0)
        except ValueError as error:
            raise ValueError(f"validation={validation}, the test_size of a split: {error}") from error
        examples, held_out = examples.select(kept), examples.select(held)
    elif validation is not None:
        raise TypeError(f"validation={validation!r:.40}: give a fraction of the rows, such as 0.1, or a pair (x, t)")
    examples.check_weights("training")
    if held_out is not None:
        held_out.check_weights("validation")

    saved = None
    if checkpoint is not None:
        from minigrad.saving.checkpoint import Checkpoint  # `import minigrad` is to be quick: few trainings keep one

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
        saved = Checkpoint(checkpoint, model, optimizer, settings)
        found = saved.resume()
        if found is not None:
            history, best = History(**found[0]), found[1]
    best_loss = history.validation_loss[history.best_epoch - 1] if history.best_epoch else math.inf

    def ended() -> bool:
        waited = len(history) - (history.best_epoch or 0)
        return len(history) >= epochs or (patience is not None and waited >= patience)

    try:
        training = _epochs(objective, optimizer, examples, batch_size, shuffle, augment, seed)
        for epoch in () if ended() else _bar(training, len(history), epochs, progress):
            history.loss.append(epoch.loss)
            history.seconds.append(epoch.seconds)
            if held_out is not None:
                validation_loss, measured = _evaluate(objective, held_out)
                history.validation_loss.append(validation_loss)
                for name, value in measured.items():
                    history.metrics.setdefault(f"validation_{name}", []).append(value)
                if patience is not None and validation_loss < best_loss:
                    best, best_loss, history.best_epoch = Snapshot([model]), validation_loss, len(history)
            done = ended()
            if saved is not None and (done or saved.due()):
                saved.write(asdict(history), best)
            if done:
                break
    except DivergenceError as error:
        error.history = history
        raise
    finally:
        if best is not None:
            best.restore()
    return history


def _require_count(name: str, value: Any, least: str) -> None:
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is no whole number")
    if value < 1:
        raise ValueError(f"{name}={value}: {least}")


def _epochs(
    objective: Objective,
    optimizer: Optimizer,
    examples: Examples,
    batch_size: int,
    shuffle: bool,
    augment: Augment | None,
    seed: int | None,
) -> Iterator[Epoch]:
    root: Any = np.random.SeedSequence().entropy if seed is None else seed
    optimizer.prepare(objective.model.theta)
    history = History()
    while True:
        started = time.perf_counter()
        before, counted = Snapshot([objective.model]), optimizer.state()
        change = _in_place(augment, root, optimizer.epochs)
        loss = _pass(
            objective, optimizer, examples, examples.order(root, optimizer.epochs, shuffle), batch_size, change
        )
        if loss is None:
            before.restore()
            optimizer.load_state(counted)
            order = examples.order(root, optimizer.epochs, shuffle)
            change = _in_place(augment, root, optimizer.epochs)
            batch, what = _divergence(objective, optimizer, examples.batches(order, batch_size), change)
            before.restore()
            optimizer.load_state(counted)
            raise DivergenceError(
                f"epoch {optimizer.epochs + 1}, batch {batch}: {what}. The usual cause is too large a learning rate "
                f"({optimizer!r}); targets or inputs of very different sizes are the next. The model is as it was "
                f"before this epoch",
                history,
            )
        optimizer.epochs += 1
        epoch = Epoch(optimizer.epochs, loss, time.perf_counter() - started)
        history.loss.append(epoch.loss)
        history.seconds.append(epoch.seconds)
        yield epoch


def _in_place(augment: Augment | None, seed: Any, epoch: int) -> InPlace | None:
    """`augment` as a function that changes the rows of one batch after the other of an epoch."""
    if augment is None:
        return None
    rng = np.random.default_rng((seed, epoch, 2))

    def change(x: Array) -> None:
        changed = np.asarray(augment(x, rng))
        if changed.shape != x.shape:
            raise ValueError(f"augment={augment!r} was given x of shape {x.shape} and returned {changed.shape}")
        x[...] = changed

    return change


def _pass(
    objective: Objective,
    optimizer: Optimizer,
    examples: Examples,
    order: Array,
    batch_size: int,
    change: InPlace | None,
) -> float | None:
    """Train on every batch once. Returns the mean loss over the rows, or None when the numbers stop being finite."""
    from minigrad.programs.running import train  # the recorder is imported by the first step, not by `import minigrad`

    with np.errstate(over="ignore", invalid="ignore"):
        total, weight = train(objective, optimizer, examples, order, batch_size, change)
    finite = math.isfinite(total) and np.isfinite(objective.model.theta).all()
    return total / weight if finite else None


def _divergence(
    objective: Objective, optimizer: Optimizer, batches: Batches, change: InPlace | None
) -> tuple[int, str]:
    """Go through a failed pass once more, looking at every number: the batch (from 1), and what is wrong there."""
    model, number = objective.model, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for number, (x, t, w) in enumerate(batches, 1):
            if w is not None and not w.any():
                continue
            x = model.admit(x)
            if change is not None:
                change(x)
            value = float(objective.differentiate(x, t, w))
            if not math.isfinite(value):
                return number, f"the loss is {value}"
            if not np.isfinite(model.dtheta).all():
                return number, "the gradient is not finite"
            optimizer.step(model.theta, model.dtheta)
            if not np.isfinite(model.theta).all():
                return number, "the step makes the parameters infinite"
    return number, "the parameters are no longer finite"


def as_examples(
    model: Model, x: Any, t: Any, loss: Loss, sample_weight: Any, class_weight: ClassWeight | None
) -> Examples:
    """The rows, checked against each other and against the model; labels make `model.classes`."""
    if isinstance(loss, CategoricalCrossEntropy) and isinstance(model.chain()[-1], Sigmoid):
        log.warning(
            "CategoricalCrossEntropy after a Sigmoid is least where every output is 1, whatever the class, since "
            "nothing ties a sigmoid's outputs together: end the model in Softmax(), or train with BinaryCrossEntropy()"
        )
    dtype = model.theta.dtype
    x = as_numbers("x", x, dtype)
    outputs = model.output_shape(x.shape[1:])
    labels = loss.labels and np.ndim(t) == 1
    t = label_array(t) if labels else as_numbers("t", t, dtype)
    if len(x) != len(t):
        raise ValueError(f"x has {len(x)} rows, t has {len(t)}")
    encoder = _encoder(model, loss, t, outputs) if labels else None
    if encoder is None:
        if t.ndim == 1 and outputs == (1,):
            t = t[:, None]
        if t.shape[1:] != outputs:
            hint = "" if loss.labels else f"; if t holds class labels, train with a cross-entropy instead of {loss!r}"
            if loss.labels and t.shape[1:] == (1,):
                hint = "; if t holds one label for each row, make it one-dimensional: t[:, 0]"
            raise ValueError(
                f"t has rows of shape {t.shape[1:]}, but the model's outputs have rows of shape {outputs}{hint}"
            )
        if loss.labels:
            check_fractions("t", t, f"{loss!r} takes class labels as one-dimensional t, or a matrix of probabilities")
    if sample_weight is not None:
        sample_weight = as_numbers("sample_weight", sample_weight, dtype)
        if sample_weight.shape != (len(x),):
            raise ValueError(f"sample_weight has the shape {sample_weight.shape}; {len(x)} rows need ({len(x)},)")
        check_weights(sample_weight)
    weights = None if class_weight is None else _class_weights(class_weight, encoder, t)
    if encoder is not None:
        model.classes = encoder.classes
    model.boundary = loss.boundary
    return Examples(x, t, sample_weight, dtype, encoder=encoder, outputs=math.prod(outputs), class_weight=weights)


def _encoder(model: Model, loss: Loss, labels: Array, outputs: tuple[int, ...]) -> LabelEncoder:
    encoder = LabelEncoder(labels)
    if model.classes is not None:
        unseen = sorted(set(encoder.classes.tolist()) - set(model.classes.tolist()), key=str)
        if unseen:
            raise ValueError(f"t holds the label {unseen[0]!r}; this model has been trained on {_shown(model.classes)}")
        encoder = LabelEncoder(model.classes)
    classes = len(encoder.classes)
    two_in_one = classes == 2 and loss.binary
    if classes < 2 or outputs not in [(classes,), (1,)][: 1 + two_in_one]:
        raise ValueError(
            f"t has {classes} classes ({_shown(encoder.classes)}), which take {'1 or ' * two_in_one}{classes} outputs, "
            f"but the model's outputs have the shape {outputs}"
        )
    return encoder


def _strata(examples: Examples, loss: Loss) -> Any:
    """What a hold-out is stratified by: labels, the single or largest target, or nothing but a number of rows."""
    if examples.encoder is not None:
        return examples.t
    if not loss.labels or examples.t.ndim != 2:
        return len(examples)
    return examples.t[:, 0] if examples.t.shape[1] == 1 else examples.t.argmax(axis=1)


def _shown(classes: Array) -> str:
    return ", ".join(map(repr, classes[:10].tolist())) + (", …" if len(classes) > 10 else "")


def _class_weights(class_weight: ClassWeight, encoder: LabelEncoder | None, labels: Array) -> Array:
    if encoder is None:
        raise ValueError("class_weight needs t to be labels, one for each row")
    classes = encoder.classes.tolist()
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight={class_weight!r}: give a mapping from label to weight, or 'balanced'")
        counts = np.bincount(encoder.encode(labels), minlength=len(classes))
        return len(labels) / (len(classes) * np.maximum(counts, 1))
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(f"class_weight names {unknown[0]!r}, which is none of the classes {_shown(encoder.classes)}")
    for label, weight in class_weight.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"class_weight of {label!r} is {weight}; weights must be finite and not negative")
    return np.array([class_weight.get(label, 1.0) for label in classes], np.float64)


def _evaluate(objective: Objective, held_out: Examples) -> tuple[float, dict[str, float]]:
    """The loss (without the penalty) and the metrics on rows that are not trained on."""
    total, weight, ps, ts = 0.0, 0.0, [], []
    for x, t, w in held_out.batches(held_out.order(0, 0, shuffle=False), 1024):
        z, p = objective.predict(x)
        share = len(x) if w is None else float(w.sum())
        if share:
            total += objective.loss_of(z, t, w) * share
            weight += share
        ps.append(p)
        ts.append(t)
    return total / weight, _measure(objective, np.concatenate(ps), np.concatenate(ts))


def _measure(objective: Objective, p: Array, t: Array) -> dict[str, float]:
    if not objective.classifies:
        return {"r2": metrics.r2_score(t, p)} if len(t) > 1 else {}
    if p.ndim == 2 and p.shape[1] > 1 and np.all(t.sum(axis=1) == 1):
        return {"accuracy": metrics.accuracy(t.argmax(axis=1), p.argmax(axis=1))}
    right = (p >= objective.model.boundary) == (t >= 0.5)
    return {"accuracy": float(right.reshape(len(right), -1).all(axis=1).mean())}


def _bar(training: Iterator[Epoch], begun: int, epochs: int, progress: bool | None) -> Iterator[Epoch]:
    """The epochs, with a progress bar where one can be seen."""
    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not progress:
        yield from training
        return
    from tqdm.auto import tqdm

    bar = tqdm(initial=begun, total=epochs, unit="epoch", desc="training", mininterval=SECONDS_BETWEEN_BARS)
    with bar:
        for epoch in training:
            bar.set_postfix(loss=f"{epoch.loss:.4f}", refresh=False)
            bar.update()
            yield epoch

"""Execution: trainings and predictions by programs, as far as there are some, and by the layers themselves else."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.blas_threads import steady_blas_threads
from minigrad.configured import require
from minigrad.data.examples import Batch, Batches, WeightedMean
from minigrad.layer import run_predict, whole_copy
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.programs.runtime.cache import REPAID, Entry, key_of, kind_of, programs_of
from minigrad.programs.runtime.executables import Forward, StepProgram
from minigrad.programs.tracing.arrays import TracingArray
from minigrad.programs.tracing.opaque import Seen, witnessed
from minigrad.programs.tracing.steps import Step
from minigrad.programs.tracing.tracer import TraceError
from minigrad.training.loop import make_step, make_steps
from minigrad.training.objective import Objective

ROWS_PREDICTED_BY_PROGRAMS = 64
"""Of more rows, copying them into a program's place costs more than NumPy's own memory for results does (measured)."""


def execute(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None = None
) -> WeightedMean:
    """The steps of an epoch as `training.loop.make_steps` makes them, by programs as far as there are some.

    `epochs` is how many epochs are to come with this one, if that is known.
    """
    optimizer.prepare(objective.model.theta)
    key = key_of(objective, optimizer)
    if key is None:
        return make_steps(objective, optimizer, runs, epochs)
    mean, steps = WeightedMean(), _Steps(objective, optimizer, epochs, key)
    with steady_blas_threads():
        for batches in runs:
            steps.make(batches, mean)
            if not math.isfinite(mean.total):
                break
    return mean


class _Steps:
    """The steps of one epoch."""

    def __init__(self, objective: Objective, optimizer: Optimizer, epochs: int | None, key: Any) -> None:
        self._objective, self._optimizer, self._epochs, self._key = objective, optimizer, epochs, key
        self._programs = programs_of(objective.model)
        # A part that is not traced may have changed: so the first step of an epoch is made by hand, and looked at.
        self._by_hand, self._seen = witnessed(objective)
        self._looked_at: set[Entry] = set()

    def make(self, batches: Batches, mean: WeightedMean) -> None:
        """A step for each batch, until the mean loss is not finite: layers may refuse what is not."""
        entry = self._programs.entry((self._key, *kind_of(self._objective.model, batches)), self._optimizer.steps)
        for number in range(len(batches)):
            # What augments rows may change layers and rates: it runs before anything is asked of a program.
            rest = batches.rest(number) if batches.change is None else batches[number].alone()
            to_come = None if self._epochs is None else self._epochs * len(batches) - number
            program = self._program(entry, rest, to_come)
            if program is None:
                self._make_by_hand(entry, rest[0], mean)
            else:
                program.run(rest, mean)
                if batches.change is None:
                    return
            if not math.isfinite(mean.total):
                return

    def _program(self, entry: Entry, batches: Batches, to_come: int | None) -> StepProgram | None:
        if not entry.is_due(self._objective.model.steps_by_hand, to_come):
            return None
        if self._seen is not None and not (entry in self._looked_at and entry.seen):
            return None
        if not entry.compiled and not batches[0].weight:
            return None  # there is no loss to compare
        found = self._programs.ready(entry, lambda: StepProgram(self._step(batches, entry.seen)))
        return found if found is not None and found.serve(self._optimizer) else None

    def _make_by_hand(self, entry: Entry, batch: Batch, mean: WeightedMean) -> None:
        if self._seen is not None:
            self._seen.clear()
        if weight := batch.weight:
            mean.add(make_step(self._by_hand, self._optimizer, batch), weight)
        if self._seen:
            entry.look(self._seen)
            self._looked_at.add(entry)

    def _step(self, batches: Batches, seen: Seen) -> Step:
        """The step of the first batch, which is tried on the next one, too."""
        model, batch, then = self._objective.model, batches[0], None
        if len(batches) > 1 and (following := batches[1]).weight:
            then = [array for array in (model.admit(following.x), following.t, following.w) if array is not None]
        return Step(self._objective, self._optimizer, model.admit(batch.x), batch.t, batch.w, then, seen)


def program(
    model: Model,
    loss: Loss,
    optimizer: Optimizer,
    *,
    batch_size: int = 32,
    l2: float = 0.0,
    l1: float = 0.0,
    any_code: bool = False,
) -> StepProgram:
    """The training step that `fit` would run for such batches, as a program to read: `print(model.program(…))`.

    It is recorded from copies of the model and the optimizer, which stay as they are. Raises TypeError for what
    is no loss or no optimizer; ValueError where the model does not know the shape of its rows yet, or where only the
    plain path is right. With `any_code` also what does not say that it is traceable is recorded.
    """
    require("loss", loss, Loss, "MeanSquaredError()")
    require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
    model, optimizer = whole_copy(model), copy.deepcopy(optimizer)
    row = model.row_shape
    if row is None:
        raise ValueError(
            "the shape of a row is not known yet: make the model with input_shape=, or let it predict once"
        )
    x = model.admit(np.random.default_rng(0).integers(0, 2, (batch_size, *row)))  # what an Embedding takes, too
    t = np.zeros((batch_size, *loss.target_shape(model.output_shape(row))), model.theta.dtype)
    t[:, :1] = 1
    plain = Objective(whole_copy(model), loss, l2, l1)
    witness, seen = witnessed(plain)
    try:
        if seen is not None and not any_code:
            witness.gradient(x, t)
        return StepProgram(Step(Objective(model, loss, l2, l1), optimizer, x, t, seen=seen), any_code=any_code)
    except TraceError as error:
        raise ValueError(f"there is no program of this step: {error}") from error


def predict(model: Model, x: Array) -> Array:
    """One block of rows through the layers, a fresh array: by a program where there is one and the rows are few."""
    if isinstance(x, TracingArray):  # a prediction around this one is being recorded
        return run_predict(model.chain(), x)
    in_order = x.flags.c_contiguous and x.flags.aligned  # as a program has its rows
    if len(x) <= ROWS_PREDICTED_BY_PROGRAMS and in_order:
        programs = programs_of(model)
        entry = programs.entry((threading.get_ident(), x.shape, x.dtype))
        due = entry.is_due(REPAID * model.steps_by_hand, None)  # nobody knows how many more there will be
        if due and (entry.compiled or not programs.is_full):
            forward = programs.ready(entry, lambda: Forward(model, x))
            if forward is not None:
                try:
                    y: Array = forward(x)
                    return y
                except Exception:
                    pass  # the layers tell better what is wrong with x
    y = run_predict(model.chain(), x)
    return y.copy() if np.may_share_memory(y, x) else y

"""Running: where a training or a prediction is handed a program, if there is one that holds, and the layers if not."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from minigrad.data.examples import Batch, Batches, Examples, WeightedMean
from minigrad.losses import Loss
from minigrad.model import Model, run_predict
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.programs.contents import key_of
from minigrad.programs.recording import PartError
from minigrad.programs.replay import Forward, StepProgram
from minigrad.programs.steps import Step
from minigrad.programs.threads import blas_threads, steady_blas_threads

log = logging.getLogger("minigrad")

ByHand: TypeAlias = Callable[[Batches, WeightedMean], Iterator[Batch]]

STEPS_BEFORE_RECORDING = 32
"""Steps of one batch size that run on the plain layers first: recording costs as much as some hundred small steps."""
PROGRAMS_KEPT = 16
ROWS_PREDICTED_BY_PROGRAMS = 64
"""Of more rows, copying them into a program's place costs more than NumPy's own memory for results does (measured)."""


class Programs:
    """The programs of one model, a few for each way that it is used, and the count of the times without one."""

    def __init__(self) -> None:
        self._programs: dict[Any, Any] = {}
        self._counts: dict[Any, int] = {}
        self._told: set[str] = set()

    def find(self, key: Any, make: Callable[[], StepProgram | Forward]) -> Any:
        """The program of this key, if it holds; None while there is none, or where only the plain path is right."""
        program = self._kept_or_made(key, make)
        if program is None or program.holds():
            return program
        self._programs.pop(key, None)
        self._counts.pop(key, None)
        return None

    def _kept_or_made(self, key: Any, make: Callable[[], StepProgram | Forward]) -> Any:
        try:
            return self._programs[key]
        except KeyError:  # asking first and taking then would fail where another thread forgets it in between
            pass
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= STEPS_BEFORE_RECORDING:
            return None
        program, notes = None, []
        try:
            program = make()
            notes = [f"{part} runs as it is inside a recorded program: {why}" for part, why in program.opaque.items()]
        except PartError as error:
            notes = [f"no program is recorded: {error}"]
        except Exception as error:  # a fault of the recorder must not end what needs no program
            notes = [f"no program is recorded: {type(error).__name__}: {error}"]
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                log.warning(note)
        self._programs[key] = program
        for store in (self._programs, self._counts):  # what is oldest goes
            while len(store) > PROGRAMS_KEPT:
                store.pop(next(iter(store)), None)
        return program


def programs_of(model: Model) -> Programs:
    """The model's own programs; copies of it start without."""
    programs: Programs = vars(model).setdefault("_programs", Programs())
    return programs


@contextmanager
def accelerated(
    objective: Objective, optimizer: Optimizer, examples: Examples, change: Callable[[Array], None] | None
) -> Iterator[ByHand]:
    """For one pass over the examples, a function that makes a run of batches by a program, as far as there is one.

    It is an iterator over the batches that are left to be made by hand, one at a time.
    """
    model, own_step = objective.model, type(optimizer).step is not Optimizer.step or "step" in vars(optimizer)
    optimizer.prepare(model.theta)
    programs = programs_of(model)
    mark = None if own_step else (threading.get_ident(), blas_threads(), *key_of(objective, optimizer))
    x_dtype = model.admit(examples.x[:0]).dtype

    def by_hand(batches: Batches, mean: WeightedMean) -> Iterator[Batch]:
        given = (batches.size, *batches.x.shape[1:]), x_dtype, batches.table.shape[1:], batches.weights is None
        for number in range(len(batches)):
            record = partial(_recorded, objective, optimizer, batches, number)
            program = None if mark is None else programs.find((mark, *given), record)
            if program is not None:
                program.run(batches.rest(number), mean, change)
                return
            yield batches[number]

    with steady_blas_threads():
        yield by_hand


def _recorded(objective: Objective, optimizer: Optimizer, batches: Batches, number: int) -> StepProgram:
    batch = batches[number]
    return StepProgram(Step(objective, optimizer, objective.model.admit(batch.x), batch.t, batch.w))


def program(
    model: Model, loss: Loss, optimizer: Optimizer, *, batch_size: int = 32, l2: float = 0.0, l1: float = 0.0
) -> StepProgram:
    """The training step that `fit` would run for such batches, as a program to read: `print(model.program(…))`.

    It is recorded from copies of the model and the optimizer, which stay as they are. Raises ValueError where the
    model does not know the shape of its rows yet, or where only the plain path is right.
    """
    model, optimizer = copy.deepcopy(model), copy.deepcopy(optimizer)
    row = model.row_shape
    if row is None:
        raise ValueError(
            "the shape of a row is not known yet: make the model with input_shape=, or let it predict once"
        )
    x = model.admit(np.random.default_rng(0).integers(0, 2, (batch_size, *row)))  # what an Embedding takes, too
    t = np.zeros((batch_size, *model.output_shape(row)), model.theta.dtype)
    t[:, :1] = 1
    step = Step(Objective(model, loss, l2, l1), optimizer, x, t)
    try:
        return StepProgram(step)
    except PartError as error:
        raise ValueError(f"there is no program of this step: {error}") from error


def predict(model: Model, x: Array) -> Array:
    """One block of rows through the layers, a fresh array: by a program where there is one and the rows are few."""
    if len(x) <= ROWS_PREDICTED_BY_PROGRAMS:
        forward = programs_of(model).find((x.shape, x.dtype), lambda: Forward(model, x))
        if forward is not None:
            y: Array = forward(x)
            return y
    y = run_predict(model.chain(), x)
    return y.copy() if np.may_share_memory(y, x) else y

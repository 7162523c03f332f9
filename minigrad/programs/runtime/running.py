"""Running: where a training or a prediction is handed a program, if there is one that holds, and the layers if not."""

from __future__ import annotations

import copy
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from minigrad.blas_threads import blas_threads, steady_blas_threads
from minigrad.configured import is_traceable, require
from minigrad.data.examples import Batch, Batches, WeightedMean
from minigrad.layer import run_predict, whole_copy
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk
from minigrad.programs.runtime.executables import Forward, StepProgram
from minigrad.programs.tracing.arrays import TracingArray
from minigrad.programs.tracing.opaque import Seen, kinds_of, witnessed
from minigrad.programs.tracing.steps import Step
from minigrad.programs.tracing.traceable import (
    UNDECLARED,
    ByIdentity,
    Unsure,
    content,
    replaced_method,
)
from minigrad.programs.tracing.tracer import TraceError
from minigrad.training.loop import make_step, make_steps
from minigrad.training.objective import Objective

log: logging.Logger = logging.getLogger("minigrad")

ByHand: TypeAlias = Callable[[Batches, WeightedMean], Iterator[Batch]]

REPAID = 24
"""Times `steps_by_hand`: so many predictions made are worth a recording."""
SECONDS_A_LAYER, SECONDS_A_BYTE, STEPS, SAVED = 0.004, 4e-8, 30, 0.4
"""What recording a step takes, for each layer, for each byte of θ and in steps by hand, and the part of a step that its
program saves: as `benchmarks.families` shows, with some caution."""
HANDED = ("steps", "epochs", "learning_rate", "optimizer", "optimizers", "default")
"""What a program asks an optimizer for, or is handed, beside its memory: it does not tell programs apart."""
PROGRAMS_KEPT, BYTES_KEPT = 16, 1 << 23
ROWS_PREDICTED_BY_PROGRAMS = 64
"""Of more rows, copying them into a program's place costs more than NumPy's own memory for results does (measured)."""


def price(layers: int, size: int, step: float) -> float:
    """The seconds that it takes to record a step of so many layers and bytes of θ, which takes so long by hand."""
    return SECONDS_A_LAYER * layers + SECONDS_A_BYTE * size + STEPS * step


class Use:
    """One way that a model is used, such as steps of 32 rows: how often so far, and its program once there is one.

    `timed` times by hand took so many `seconds`, and the last one has `seen` what methods of users' parts return.
    """

    def __init__(self, count: int) -> None:
        self.count: int = count
        self.tried: bool = False
        self.timed: int = 0
        self.seconds: float = 0.0
        self.program: StepProgram | Forward | None = None
        self.seen: Seen = {}

    def look(self, seen: Seen) -> None:
        """A step by hand has seen this: the program goes where that is of another shape or dtype than before."""
        if self.seen and kinds_of(seen) != kinds_of(self.seen):
            self.count, self.tried, self.program = 0, False, None
        self.seen = dict(seen)

    def is_due(self, by_hand: float) -> bool:
        """Whether there may be a program for one time more: after so many times `by_hand`."""
        self.count += 1
        return self.tried or self.count > by_hand

    def repays(self, layers: int, size: int, to_come: int | None) -> bool:
        """Whether a recording is worth it. Where nobody knows how much is to come, it is as much as there was."""
        step = self.seconds / max(1, self.timed)
        return SAVED * step * (self.timed if to_come is None else to_come) >= price(layers, size, step)


class Programs:
    """The programs of one model, a few for each way that it is used."""

    def __init__(self) -> None:
        self._uses: dict[Any, Use] = {}
        self._told: set[str] = set()

    @property
    def made(self) -> list[StepProgram | Forward | None]:
        """The programs, and None for each use that can't have one."""
        return [use.program for use in list(self._uses.values()) if use.tried]

    @property
    def is_full(self) -> bool:
        """Whether there are so many programs that another one would take the place of one of them."""
        return sum(use.tried for use in list(self._uses.values())) >= PROGRAMS_KEPT  # other threads add to it

    def use(self, key: Any, before: int = 0) -> Use:
        """The use of this key. The first one of all begins with the count of the steps made `before`."""
        found = self._uses.get(key)
        if found is None:
            found = self._uses[key] = Use(0 if self._uses else before)
            new = [key for key, use in list(self._uses.items()) if not use.tried]
            for old in new[:-PROGRAMS_KEPT]:  # what is oldest goes
                self._uses.pop(old, None)
        return found

    def _make_room(self, kind: type) -> None:
        """Drop what is oldest of this kind until its programs are few, and small or no larger than twice the largest.

        So the two batch sizes of an epoch always have theirs, whatever is predicted in between.
        """
        made = [(key, use.program) for key, use in list(self._uses.items()) if use.tried and type(use.program) is kind]
        sizes = [0 if program is None else program.nbytes for _, program in made]
        while len(made) > PROGRAMS_KEPT or sum(sizes) > max(2 * max(sizes), BYTES_KEPT):
            self._uses.pop(made.pop(0)[0], None)
            sizes.pop(0)

    def ready(self, use: Use, make: Callable[[], StepProgram | Forward]) -> Any:
        """The program of a use, if it holds; None where the layers are to be run.

        It is made when it is first asked for; where that fails, only the layers are right.
        """
        if not use.tried:
            use.tried, use.program = True, self._make(make)
            self._make_room(type(use.program))
        if use.program is not None and not use.program.holds():
            use.count, use.tried, use.program, use.seen = 0, False, None, {}
        return use.program

    def _make(self, make: Callable[[], StepProgram | Forward]) -> StepProgram | Forward | None:
        """A program, or None where only the layers are right; what runs as it is, and why, is told once."""
        program, notes = None, list[tuple[str, str]]()
        try:
            program = make()
            opaque = program.opaque if isinstance(program, StepProgram) else {}
            notes = [(f"{part} runs as it is inside a recorded program", why) for part, why in opaque.items()]
        except TraceError as error:
            notes = [("no program is recorded", str(error))]
        except Exception as error:  # a fault of the recorder must not end what needs no program
            notes = [("no program is recorded", f"{type(error).__name__}: {error}")]
        for note, why in notes:
            if note not in self._told:
                self._told.add(note)
                log.log(logging.INFO if UNDECLARED in why else logging.WARNING, "%s: %s", note, why)
        return program


def programs_of(model: Model) -> Programs:
    """The model's own programs; copies of it start without."""
    programs: Programs = vars(model).setdefault("_programs", Programs())
    return programs


def execute(
    objective: Objective, optimizer: Optimizer, runs: Iterable[Batches], epochs: int | None = None
) -> WeightedMean:
    """The steps of an epoch as `training.loop.make_steps` makes them, by a program as far as there is one.

    `epochs` is how many epochs are to come with this one, if that is known. There are no programs for a model that
    admits rows in a way of its own, since they begin behind that, nor for an optimizer of the user's own that does not
    say `traceable = True` in its class.
    """
    own = not type(objective.model).admit.__module__.startswith("minigrad.") or "admit" in vars(objective.model)
    if own or not all(map(is_traceable, optimizer.parts())):
        return make_steps(objective, optimizer, runs, epochs)
    mean = WeightedMean()
    by_hand, seen = witnessed(objective)
    with _left_by_hand(objective, optimizer, epochs, seen) as left:
        for batches in runs:
            for batch in left(batches, mean):
                if weight := batch.weight:
                    mean.add(make_step(by_hand, optimizer, batch), weight)
                if not math.isfinite(mean.total):
                    break
            if not math.isfinite(mean.total):
                break
    return mean


@contextmanager
def _left_by_hand(
    objective: Objective, optimizer: Optimizer, epochs: int | None, seen: dict[Any, Any] | None
) -> Iterator[ByHand]:
    """For one epoch, a function that makes a run of batches by a program, as far as there is one.

    It is an iterator over the batches that are left to be made by hand, one at a time. `seen` is what the parts
    that are not traced returned in the latest of these, and None where there are none.
    """
    model, programs = objective.model, programs_of(objective.model)
    optimizer.prepare(model.theta)
    settings = key_of(objective, optimizer)
    layers = sum(1 for _ in walk([model]))
    looked_at = set[Use]()  # a part that is not traced may have changed: the first step of an epoch is made by hand

    def by_hand(batches: Batches, mean: WeightedMean) -> Iterator[Batch]:
        if settings is None:
            yield from batches
            return
        dtype = model.admit(batches.x[:0]).dtype
        given = (batches.size, *batches.x.shape[1:]), dtype, batches.table.shape[1:], batches.weights is None
        use = programs.use((settings, *given), optimizer.steps)
        for number in range(len(batches)):
            to_come = None if epochs is None else epochs * len(batches) - number
            due = use.is_due(model.steps_by_hand) and (use.tried or use.repays(layers, model.theta.nbytes, to_come))
            if not (due and (seen is None or (use in looked_at and use.seen))):
                if seen is not None:
                    seen.clear()
                started = time.perf_counter()
                yield batches[number]
                if seen:
                    use.look(seen)
                    looked_at.add(use)
                use.seconds += time.perf_counter() - started
                use.timed += 1
                continue
            if batches.change is not None:  # what augments may change layers and rates: nothing is known before
                batch = batches[number]
                if not batch.weight:
                    continue
                program = ready(use, batch, None)
                if program is None:
                    yield batch
                else:
                    program.run_one(batch, mean)
                    if not math.isfinite(mean.total):
                        return  # as the loop does: layers may refuse what is not finite
                continue
            if not (use.tried or batches[number].weight):
                continue  # a batch without weight has no loss to compare
            program = ready(use, batches, number)
            if program is not None:
                program.run(batches.rest(number), mean)
                return
            yield batches[number]

    def ready(use: Use, source: Any, number: int | None) -> Any:
        def record() -> StepProgram:
            return StepProgram(_step_of(objective, optimizer, source, number, use.seen))

        program = programs.ready(use, record)
        return None if program is None or not program.serve(optimizer) else program

    with steady_blas_threads():
        yield by_hand


def key_of(objective: Objective, optimizer: Optimizer) -> tuple[Any, ...] | None:
    """What tells one step's program from another's, beside what it guards: threads, loss, penalties, optimizer.

    None where no program can be right: the optimizer has a `step` of its own, a method is replaced in an
    object itself, or a setting can't be looked into.
    """
    loss, parts = objective.loss, list(optimizer.parts())
    if type(optimizer).step is not Optimizer.step:
        return None
    if any(map(replaced_method, (*walk([objective.model]), loss, *parts))):
        return None
    try:
        marks: list[Any] = [threading.get_ident(), blas_threads()]
        marks += [type(loss), content(vars(loss))] if is_traceable(loss) else [ByIdentity(loss)]
        for part in parts:
            handed = (*HANDED, *part.memory)
            marks += [type(part), *((n, content(v)) for n, v in vars(part).items() if n not in handed)]
    except Unsure:
        return None
    return (*marks, objective.l2, objective.l1, ByIdentity(objective.communicator))


def _step_of(objective: Objective, optimizer: Optimizer, source: Any, number: int | None, seen: Seen) -> Step:
    """The step of a batch, or of one of some batches: then its program is tried on the next one, too."""
    model = objective.model
    batch, then = source if number is None else source[number], None
    if number is not None and len(source) > 1:
        following = source[(number + 1) % len(source)]
        if following.weight:
            then = [array for array in (model.admit(following.x), following.t, following.w) if array is not None]
    return Step(objective, optimizer, model.admit(batch.x), batch.t, batch.w, then, seen)


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
        use = programs.use((threading.get_ident(), x.shape, x.dtype))
        if use.is_due(REPAID * model.steps_by_hand) and (use.tried or not programs.is_full):
            forward = programs.ready(use, lambda: Forward(model, x))
            if forward is not None:
                try:
                    y: Array = forward(x)
                    return y
                except Exception:
                    pass  # the layers tell better what is wrong with x
    y = run_predict(model.chain(), x)
    return y.copy() if np.may_share_memory(y, x) else y

"""The cache of a model's programs: when one is compiled, what tells one from another, and how many are kept.

When a program is worth compiling is a rule, not a model of costs. Tracing a step and trying its program takes as long
as 30 to 60 steps by hand, and a program saves a third of each step at least (`python -m benchmarks.families`). So it is
compiled after `model.steps_by_hand` steps, unless it is known that fewer than `REPAID` times as many are to come.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from minigrad.blas_threads import blas_threads
from minigrad.configured import is_traceable
from minigrad.data.examples import Batches
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import walk
from minigrad.programs.runtime.executables import Forward, StepProgram
from minigrad.programs.tracing.opaque import Seen, kinds_of
from minigrad.programs.tracing.traceable import UNDECLARED, ByIdentity, Unsure, content, replaced_method
from minigrad.programs.tracing.tracer import TraceError
from minigrad.training.objective import Objective

log: logging.Logger = logging.getLogger("minigrad")

REPAID = 4
PROGRAMS_KEPT, BYTES_KEPT = 16, 1 << 23
HANDED = ("steps", "epochs", "learning_rate", "optimizer", "optimizers", "default")
"""What a program asks an optimizer for, or is handed, beside its memory: it does not tell programs apart."""


class Entry:
    """One way that a model is used, such as steps of 32 rows: how often so far, and its program once there is one.

    `seen` is what methods of parts that are not traced returned in the latest time by hand.
    """

    def __init__(self, count: int) -> None:
        self.restart(count)

    def restart(self, count: int = 0) -> None:
        """Begin anew, without a program."""
        self.count: int = count
        self.compiled: bool = False
        self.program: StepProgram | Forward | None = None
        self.seen: Seen = {}

    def look(self, seen: Seen) -> None:
        """A step by hand has seen this: the program goes where that is of another shape or dtype than before."""
        if self.seen and kinds_of(seen) != kinds_of(self.seen):
            self.restart()
        self.seen = dict(seen)

    def is_due(self, by_hand: int, to_come: int | None) -> bool:
        """Whether there may be a program for one time more, of which so many are still `to_come` as far as is known."""
        self.count += 1
        return self.compiled or (self.count > by_hand and (to_come is None or to_come >= REPAID * by_hand))


class Programs:
    """The programs of one model, an entry for each way that it is used."""

    def __init__(self) -> None:
        self._entries: dict[Any, Entry] = {}
        self._told: set[str] = set()

    @property
    def made(self) -> list[StepProgram | Forward | None]:
        """The programs, and None for each use that can't have one."""
        return [entry.program for entry in list(self._entries.values()) if entry.compiled]

    @property
    def is_full(self) -> bool:
        """Whether another program would take the place of one of these."""
        return len(self.made) >= PROGRAMS_KEPT

    def entry(self, key: Any, before: int = 0) -> Entry:
        """The entry of this key. The first one of all begins with the count of the steps made `before`."""
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = Entry(0 if self._entries else before)
            # Other threads add entries meanwhile, so what is gone over is always a list of its own.
            new = [key for key, entry in list(self._entries.items()) if not entry.compiled]
            for old in new[:-PROGRAMS_KEPT]:
                self._entries.pop(old, None)
        return found

    def ready(self, entry: Entry, compiled: Callable[[], StepProgram | Forward]) -> Any:
        """The program of an entry, if it holds; None where the layers are to be run.

        It is compiled when it is first asked for; where that fails, only the layers are right.
        """
        if not entry.compiled:
            entry.compiled, entry.program = True, self._compiled(compiled)
            self._make_room(type(entry.program))
        if entry.program is not None and not entry.program.holds():
            entry.restart()
        return entry.program

    def _make_room(self, kind: type) -> None:
        """Drop what is oldest of this kind until its programs are few, and small or no larger than twice the largest.

        So the two batch sizes of an epoch always have theirs, whatever is predicted in between.
        """
        made = [(key, e.program) for key, e in list(self._entries.items()) if e.compiled and type(e.program) is kind]
        sizes = [0 if program is None else program.nbytes for _, program in made]
        while len(made) > PROGRAMS_KEPT or sum(sizes) > max(2 * max(sizes), BYTES_KEPT):
            self._entries.pop(made.pop(0)[0], None)
            sizes.pop(0)

    def _compiled(self, compiled: Callable[[], StepProgram | Forward]) -> StepProgram | Forward | None:
        """A program, or None where only the layers are right; what runs as it is, and why, is told once."""
        program, notes = None, list[tuple[str, str]]()
        try:
            program = compiled()
            opaque = program.opaque if isinstance(program, StepProgram) else {}
            notes = [(f"{part} runs as it is inside a recorded program", why) for part, why in opaque.items()]
        except TraceError as error:
            notes = [("no program is recorded", str(error))]
        except Exception as error:  # a fault of the compiler must not end what needs no program
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


def key_of(objective: Objective, optimizer: Optimizer) -> tuple[Any, ...] | None:
    """What tells one step's program from another's, beside what it guards: threads, loss, penalties, optimizer.

    None where no program can be right: the model admits rows in a way of its own, since programs begin behind that; the
    optimizer has a `step` of its own, or does not say that it is traceable; a method is replaced in an object itself;
    or a setting can't be looked into.
    """
    model, loss, parts = objective.model, objective.loss, list(optimizer.parts())
    if not type(model).admit.__module__.startswith("minigrad.") or type(optimizer).step is not Optimizer.step:
        return None
    if not all(map(is_traceable, parts)) or any(map(replaced_method, (*walk([model]), loss, *parts))):
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


def kind_of(model: Model, batches: Batches) -> tuple[Any, ...]:
    """What tells batches apart for a program: shapes, dtype, and whether they have weights."""
    dtype = model.admit(batches.x[:0]).dtype
    return (batches.size, *batches.x.shape[1:]), dtype, batches.table.shape[1:], batches.weights is None

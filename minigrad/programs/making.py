"""From work to a function that does it: recorded, planned, written down, and compared with the layers themselves."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.parameter import Array, walk
from minigrad.programs.blocks import Blocks, Undivided
from minigrad.programs.contents import RestorePoint
from minigrad.programs.form import Position, Program
from minigrad.programs.planning import plan
from minigrad.programs.recording import PartError, Recordable, Recording, gradients_of, record_twice
from minigrad.programs.threads import one_blas_thread
from minigrad.programs.trials import differences
from minigrad.programs.writers import numpy_source
from minigrad.programs.writers.numpy_source import Code

log = logging.getLogger("minigrad")


@dataclass(frozen=True)
class Made:
    """Some work as a program and as a function: its code, with the recording that it comes from.

    `opaque` says which parts run as they are, and why; `blocks` do the same for a step of many rows.
    """

    program: Program
    code: Code
    recording: Recording
    opaque: dict[str, str]
    blocks: Blocks | None


def make(work: Recordable, *, in_blocks: bool = False) -> Made:
    """Record the work, write it down and try it; also in blocks of rows, where that is asked for and worth it.

    Leaves everything as it was. Raises PartError where only the plain path is right.
    """
    before = RestorePoint(work.objects())
    opaque: dict[Position, str] = {}
    try:
        recording = record_twice(work, opaque, before)
        program = plan(recording.tape, recording.value, work.lasting(), recording.names, work.title)
        code = numpy_source.write(program)
        trial = Trial(work, before)
        trial.compare(code)
        blocks = trial.blocks_of(program) if in_blocks else None
    except PartError as error:
        raise error.of(work) from error.__cause__
    finally:
        before.restore()
    reasons = {work.title_of(position): reason for position, reason in opaque.items()}
    return Made(program, code, recording, reasons, blocks)


class Trial:
    """Two replays, from one state and of two batches, beside what the layers themselves make of them."""

    def __init__(self, work: Recordable, before: RestorePoint) -> None:
        self._work, self._before = work, before
        self._batch = [array.copy() for array in work.inputs]
        self._expected = self._outcome(work.plain)

    def _outcome(self, run: Callable[[], Any]) -> dict[str, Any]:
        """All that two turns of the work leave behind, by the names of what it belongs to."""
        self._before.restore()
        for array, given in zip(self._work.inputs, self._batch, strict=True):
            array[...] = given
        found: dict[str, Any] = {}
        for turn in range(2):
            value = run()
            for number, (name, array) in enumerate([*_left_by(self._work), ("its value", np.array(value))]):
                found[f"{turn} {number} {name}"] = array
            self._work.turn()
        return found

    def _differs_in(self, run: Callable[[], Any]) -> str | None:
        found = differences(numpy_source.PROMISE, self._expected, self._outcome(run))
        return found[0].split(" ", 2)[2] if found else None

    def compare(self, code: Code) -> None:
        """Raise PartError, and warn, where the function of a program differs from the layers."""
        name = self._differs_in(partial(self._work.replay, code.function))
        if name is not None:
            warnings.warn(
                f"a recorded program differs from the layers themselves in {name}; it is not used",
                RuntimeWarning,
                stacklevel=2,
            )
            raise PartError("all", f"the program differs in {name}")

    def blocks_of(self, program: Program) -> Blocks | None:
        """The program in blocks of rows, where that is worth it and gives the same bits."""
        work = self._work
        try:
            blocks = Blocks(program)
            with one_blas_thread():
                run = partial(blocks, work.inputs[0], np.arange(len(work.inputs[0])))
                return blocks if self._differs_in(partial(work.replay, run)) is None else None
        except Undivided:
            return None
        except Exception as error:  # a fault here costs time, no more
            log.warning(f"no blocks of rows are used: {type(error).__name__}: {error}")
            return None


def _left_by(work: Recordable) -> list[tuple[str, Array]]:
    """Copies of all that the work leaves behind, by the name of what they belong to."""
    found = [("an array that outlives it", array.copy()) for array in work.lasting()]
    for layer in walk([work.model]):
        for value in (layer.params | gradients_of(layer) | layer.states).values():
            kept = value if isinstance(value, np.ndarray) else np.array(repr(value.bit_generator.state))
            found.insert(0, (repr(layer), kept.copy()))
    return found

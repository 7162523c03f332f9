"""From work to a function that does it: recorded, planned, written down, and compared with the layers themselves.

All of that happens on copies. A copy of the model records, another one runs its layers, a third one the function, and
when they agree, the function is handed the arrays of the model itself. So nobody ever meets a model in the middle of
it, and nothing has to be put back.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.parameter import walk
from minigrad.programs.backends import numpy_source
from minigrad.programs.backends.numpy_source import Code
from minigrad.programs.ir.ops import Position, Program, Unwritable
from minigrad.programs.ir.verification import same_bits
from minigrad.programs.native.executable import Native, write as write_native
from minigrad.programs.passes import optimized
from minigrad.programs.passes.buffers import Layout, lay_out
from minigrad.programs.runtime.row_tiling import StepInBlocks, Undivided
from minigrad.programs.tracing.traceable import Guards, Unsure
from minigrad.programs.tracing.tracer import TraceError, record_on_copies
from minigrad.programs.tracing.work import Copies, Work, title_of

log: logging.Logger = logging.getLogger("minigrad")


@dataclass(frozen=True)
class Made:
    """Some work as a program and as a function, and what they take for granted.

    `layout` is where its results lie; `native` is the program with as little Python between its lines as is possible,
    and `code` the Python function that is needed where no line runs natively. `opaque` says which parts run as they
    are, and why; `blocks` do the same for a step of many rows.
    """

    program: Program
    layout: Layout
    code: Code | None
    guards: Guards
    opaque: dict[str, str]
    native: Native | Unwritable
    blocks: StepInBlocks | None

    @property
    def function(self) -> Callable[[], Any]:
        """What does the work: natively, as far as that is possible."""
        if isinstance(self.native, Native):
            return self.native.function
        assert self.code is not None
        function: Callable[[], Any] = self.code.function
        return function


def make(work: Work, *, in_blocks: bool = False, any_code: bool = False) -> Made:
    """Record the work, write it down and try it; also in blocks of rows, where that is asked for and worth it.

    With `any_code` all layers are recorded, whether or not they say that they are traceable: for a program that is used
    once, on the spot. Raises PartError where only the plain path is right.
    """
    try:
        opaque = {} if any_code else work.undeclared()
        double, traced = record_on_copies(work, opaque, any_code=any_code)
        found = optimized(traced)
        guards = Guards(walk([work.model]), work.on_tape())
        program, layout, code = found.on(double.original), lay_out(found), None
        trial = Trial(work, opaque)
        native = trial.native_of(program, layout)
        if isinstance(native, Unwritable):
            code = numpy_source.write(program, layout)
            trial.compare(program, code)
        blocks = trial.blocks_of(program) if in_blocks else None
    except TraceError as error:
        raise error.of(work) from error.__cause__
    except Unsure as error:
        raise TraceError("all", f"it depends on {error}, of which nobody can say whether it changes").of(work) from None
    titles = work.titles()
    reasons = {titles[position]: reason for position, reason in opaque.items()}
    return Made(program, layout, code, guards, reasons, native, blocks)


class Trial:
    """Three runs, from one state: of two batches, and of numbers at random, beside what the layers make of them.

    Code that does one thing with arrays and another while it is recorded may do the same with the batches that there
    are, with zeros above all. Layers that refuse numbers at random are tried without. The `opaque` parts play back what
    was seen of them.
    """

    def __init__(self, work: Work, opaque: Collection[Position]) -> None:
        self._work, self._opaque = work, opaque
        double = self._double()
        self._expected = [np.array(left) for _, left in self._left(double.work, double.work.plain)]

    def _double(self) -> Copies:
        return self._work.double(self._opaque)

    def _left(self, work: Any, run: Callable[[], Any]) -> Iterator[tuple[Any, Any]]:
        """What each run of the work leaves behind, with what that belongs to."""
        for prepare in (lambda: None, work.turn, work.at_random):
            prepare()
            try:
                value = run()
            except Exception:
                if prepare == work.at_random:
                    return
                raise
            yield from work.left()
            yield "its value", value

    def _differs_in(self, work: Any, run: Callable[[], Any]) -> str | None:
        """The name of the first thing of which a run leaves something else than the layers do; "all" if one is missing.

        What it leaves is compared at once, since the next run writes into the same arrays.
        """
        expected = iter(self._expected)
        for thing, found in self._left(work, run):
            if not same_bits(next(expected, None), found):
                return thing if isinstance(thing, str) else title_of(thing)
        return None if next(expected, None) is None else "all"

    def compare(self, program: Program, code: Code) -> None:
        """Raise PartError, and warn, where the function of a program differs from the layers."""
        double = self._double()
        moved = code.on(program.on(double.double), double.double)
        name = self._differs_in(double.work, partial(double.work.replay, moved.function))
        if name is not None:
            warnings.warn(
                f"a recorded program differs from the layers themselves in {name}; it is not used",
                RuntimeWarning,
                stacklevel=2,
            )
            raise TraceError("all", f"the program differs in {name}")

    def native_of(self, program: Program, layout: Layout) -> Native | Unwritable:
        """The same as tables of native lines, in the same memory, where that gives the same bits; else why not."""
        double = self._double()
        try:
            native = write_native(program, layout)
            moved = native.on(program.on(double.double))
            name = self._differs_in(double.work, partial(double.work.replay, moved.function))
            if name is not None:
                return Unwritable(program.ops[0], f"natively it differs in {name}")
            threads = blas_threads()
            if moved.divide(threads):
                double = self._double()
                divided = moved.on(program.on(double.double))
                with one_blas_thread() as able:
                    same = able and self._differs_in(double.work, partial(double.work.replay, divided.divided)) is None
                if same:
                    native.divide(threads)
            return native
        except Unwritable as refusal:
            return refusal.with_traceback(None)  # which would keep the memory of all this
        except Exception as error:  # a fault here costs time, no more
            log.warning(f"nothing runs natively: {type(error).__name__}: {error}")
            return Unwritable(program.ops[0], f"{type(error).__name__}: {error}")

    def blocks_of(self, program: Program) -> StepInBlocks | None:
        """The program in blocks of rows, where that is worth it and gives the same bits."""
        try:
            return StepInBlocks(program) if self._agree_in_blocks(program) else None
        except Undivided:
            return None
        except Exception as error:  # a fault here costs time, no more
            log.warning(f"no blocks of rows are used: {type(error).__name__}: {error}")
            return None

    def _agree_in_blocks(self, program: Program) -> bool:
        double = self._double()
        work = double.work
        blocks = StepInBlocks(program.on(double.double))
        with one_blas_thread():
            run = partial(blocks, work.inputs[0], np.arange(len(work.inputs[0])))
            return self._differs_in(work, partial(work.replay, run)) is None

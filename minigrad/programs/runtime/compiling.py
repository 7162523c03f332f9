"""Compiling: some work that a model repeats is traced, optimised, lowered, and compared with the layers themselves.

All of that happens on copies. One copy of the model is traced, another one runs its layers, a third one the program.
When they agree, the program is handed the arrays of the model itself. So nobody ever meets a model in the middle of it,
and nothing has to be put back.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
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
from minigrad.programs.native.extension import NotNative
from minigrad.programs.native.tiled import TiledStep
from minigrad.programs.passes import optimized
from minigrad.programs.passes.buffers import Layout, lay_out
from minigrad.programs.passes.row_tiling import Untiled, tile_rows
from minigrad.programs.tracing.traceable import Guards, Unsure
from minigrad.programs.tracing.tracer import TraceError, record_on_copies
from minigrad.programs.tracing.work import Copies, Work, title_of

log: logging.Logger = logging.getLogger("minigrad")


@dataclass(frozen=True)
class Compiled:
    """Some work as a program and as a function, and what they take for granted.

    `layout` is where its results lie; `native` is the program with as little Python between its ops as is possible, and
    `code` the Python function that is needed where no op runs natively. `opaque` says which parts run as they are, and
    why; `tiled` is the same for a step of many rows.
    """

    program: Program
    layout: Layout
    code: Code | None
    guards: Guards
    opaque: dict[str, str]
    native: Native | Unwritable
    tiled: TiledStep | None

    @property
    def function(self) -> Callable[[], Any]:
        """What does the work: natively, as far as that is possible."""
        if isinstance(self.native, Native):
            return self.native.function
        assert self.code is not None
        function: Callable[[], Any] = self.code.function
        return function


def compiled(work: Work, *, any_code: bool = False) -> Compiled:
    """Trace the work, and find the ways to run it that leave the bits of the layers.

    With `any_code` all layers are traced, whether or not they say that they are traceable: for a program that is used
    once, on the spot. Raises TraceError where only the layers are right.
    """
    try:
        opaque = {} if any_code else work.undeclared()
        copies, traced = record_on_copies(work, opaque, any_code=any_code)
        found = optimized(traced)
        guards = Guards(walk([work.model]), work.on_tape())
        program, layout, code = found.on(copies.original), lay_out(found), None
        trial = Trial(work, opaque)
        native = _native(program, layout, trial)
        if isinstance(native, Unwritable):
            code = numpy_source.write(program, layout)
            _compare(program, code, trial)
        tiled = _tiled(program, trial) if isinstance(native, Native) and native.whole and program.inputs else None
    except TraceError as error:
        raise error.of(work) from error.__cause__
    except Unsure as error:
        raise TraceError("all", f"it depends on {error}, of which nobody can say whether it changes").of(work) from None
    titles = work.titles()
    reasons = {titles[position]: reason for position, reason in opaque.items()}
    return Compiled(program, layout, code, guards, reasons, native, tiled)


def _compare(program: Program, code: Code, trial: Trial) -> None:
    """Raise TraceError, and warn, where the Python function of a program differs from the layers."""
    name = trial.difference(lambda copies: code.on(program.on(copies.double), copies.double).function)
    if name is not None:
        warnings.warn(
            f"a recorded program differs from the layers themselves in {name}; it is not used",
            RuntimeWarning,
            stacklevel=2,
        )
        raise TraceError("all", f"the program differs in {name}")


def _native(program: Program, layout: Layout, trial: Trial) -> Native | Unwritable:
    """The program as tables of native rows, divided among threads where that is worth it; else why there are none."""
    try:
        native = write_native(program, layout)
        name = trial.difference(lambda copies: native.on(program.on(copies.double)).function)
        if name is not None:
            return Unwritable(program.ops[0], f"natively it differs in {name}")
        if native.divide(blas_threads()):
            same = trial.difference(lambda copies: native.on(program.on(copies.double)).divided, one_thread=True)
            native.members = native.members if same is None else 1
        return native
    except Unwritable as refusal:
        return refusal.with_traceback(None)  # which would keep the memory of all this
    except Exception as error:  # a fault here costs time, no more
        log.warning(f"nothing runs natively: {type(error).__name__}: {error}")
        return Unwritable(program.ops[0], f"{type(error).__name__}: {error}")


def _tiled(program: Program, trial: Trial) -> TiledStep | None:
    """The program in tiles of rows, where that is worth it and leaves the same bits."""
    try:
        tiling = tile_rows(program)
        name = trial.difference(lambda copies: TiledStep(program.on(copies.double), tiling), one_thread=True)
        return TiledStep(program, tiling) if name is None else None
    except (Untiled, NotNative):
        return None
    except Exception as error:  # a fault here costs time, no more
        log.warning(f"no tiles of rows are used: {type(error).__name__}: {error}")
        return None


class Trial:
    """Three runs, from one state: of two batches, and of numbers at random, beside what the layers make of them.

    Code that does one thing with arrays and another while it is traced may do the same with the batches that there are,
    with zeros above all. Layers that refuse numbers at random are tried without. The `opaque` parts play back what was
    seen of them.
    """

    def __init__(self, work: Work, opaque: Collection[Position]) -> None:
        self._work, self._opaque = work, opaque
        copies = work.double(opaque)
        self._expected = [np.array(left) for _, left in self._left(copies.work, copies.work.plain)]

    def difference(self, way: Callable[[Copies], Callable[[], Any]], *, one_thread: bool = False) -> str | None:
        """The name of the first thing of which a way to do the work leaves something else than the layers do.

        None where there is none, "all" if one is missing. `way(copies)` is a function that does the work of copies.
        What it leaves is compared at once, since the next run writes into the same arrays.
        """
        copies = self._work.double(self._opaque)
        run, expected = partial(copies.work.replay, way(copies)), iter(self._expected)
        with one_blas_thread() if one_thread else nullcontext(True) as able:
            for thing, found in self._left(copies.work, run) if able else ():
                if not same_bits(next(expected, None), found):
                    return thing if isinstance(thing, str) else title_of(thing)
        return None if next(expected, None) is None else "all"

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

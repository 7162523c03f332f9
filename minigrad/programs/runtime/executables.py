"""Programs that are run over and over: a training step for one batch after the other, a prediction for some rows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.blas_threads import blas_threads, one_blas_thread
from minigrad.data.blocks import gather
from minigrad.data.examples import Batches, WeightedMean
from minigrad.model import Model
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array
from minigrad.programs.backends import numpy_file, numpy_source
from minigrad.programs.backends.numpy_source import Code
from minigrad.programs.ir.equations import named_values
from minigrad.programs.ir.interpreter import interpret
from minigrad.programs.ir.ops import Place, Program, Unwritable, Value
from minigrad.programs.native import extension as executor
from minigrad.programs.native.executable import Native
from minigrad.programs.native.extension import feed
from minigrad.programs.native.threads import helpers_start
from minigrad.programs.passes.buffers import Layout
from minigrad.programs.passes.row_tiling import same_in_one_thread, work_of
from minigrad.programs.runtime.compiling import compiled
from minigrad.programs.tracing.steps import Inference, Step, set_coefficients

THREADS_PAY = 1 << 24
"""Multiplications of a step from which on BLAS's own threads may repay what waking them costs."""

MOMENT = 0.04
"""Seconds that one native call takes at most, more or less: Ctrl-C is heard between two."""


class StepProgram(Program):
    """A training step as a program: to read, to save, and to run.

    `str()` is the source of a function that makes the step, with the equation of each line, and says what runs in its
    place; `ops` and `values` are what backends take, `code` is that function, `native` the same as tables of
    native rows, if there are any. `buffers` is the bytes of intermediate results, `opaque` says which layers run as
    they are, and why. It holds the model's arrays, not the model.

    Raises TraceError where the step can't be recorded.
    """

    def __init__(self, step: Step, *, any_code: bool = False) -> None:
        made = compiled(step, any_code=any_code)
        super().__init__(**{field.name: getattr(made.program, field.name) for field in fields(Program)})
        self.opaque: dict[str, str] = made.opaque
        self.layout: Layout = made.layout
        self._code = made.code
        self._tiled = made.tiled
        self.native = made.native if isinstance(made.native, Native) else None
        self._way = f"as Python: {made.native.why}" if isinstance(made.native, Unwritable) else str(made.native)
        set_coefficients(step.optimizer, step.coefficients)
        self._optimizer, self._coefficients, self._model = step.optimizer, step.coefficients, repr(step.model)
        self._x, self._t, self._weights = step.x, step.t, step.weights
        self._guards, self._memory = made.guards, _memory_of(step.optimizer)
        self._shares = self._tiled is not None or (self.native is not None and self.native.members > 1)
        small = not self._shares and blas_threads() > 1 and work_of(self.ops) < THREADS_PAY
        self._one_thread = small and same_in_one_thread(self.ops)
        self._model_dtype, self._seconds_a_batch = step.model.theta.dtype, MOMENT

    @property
    def code(self) -> Code:
        """The Python function that makes the step. Where ops run natively, it is written when it is asked for."""
        if self._code is None:
            self._code = numpy_source.write(self, self.layout)
        return self._code

    @property
    def buffers(self) -> int:
        """The bytes of its intermediate results."""
        return self.layout.block.nbytes

    @property
    def nbytes(self) -> int:
        """The bytes that it holds beside the model's: results, constants, a batch, the memory of its optimizer."""
        constants = 0 if self.native is None else self.native.constants
        return self.buffers + constants + _bytes(self.given[value] for value in self.inputs) + _bytes(self._memory)

    def holds(self) -> bool:
        """Whether what the layers hold, beside what a program's key tells apart, is as it was when it was recorded."""
        return self._guards.hold()

    def serve(self, optimizer: Optimizer) -> bool:
        """Work for an optimizer of the same settings, on its memory; False where that is not possible."""
        memory = _memory_of(optimizer)
        moved = [(old, new) for old, new in zip(self._memory, memory, strict=True) if old is not new]
        if moved and self._tiled is not None:
            return False
        if moved or optimizer is not self._optimizer:
            new_of = {id(old): new for old, new in moved}

            def thing(old: Any) -> Any:
                return new_of.get(id(old), old)

            program = self.on(thing)
            self.given: Mapping[Value, Array] = program.given
            self.known: dict[Place, Array] = program.known
            vars(self).pop("homes", None)
            self._code = None if self._code is None else self._code.on(self, thing)
            self.native = None if self.native is None else self.native.on(self)
            self._optimizer, self._memory = optimizer, memory
        return True

    def __str__(self) -> str:
        source = f"{self.code.source.rstrip()}\n    # it runs {self._way}"
        if self._tiled is not None:
            source += f"\n    # fit makes this step in {self._tiled}, with the same bits"
        return source

    def _repr_html_(self) -> str:
        """The source for notebooks, with its equations set back."""
        lines = [line.partition("#") for line in str(self).splitlines()]
        shown = (escape(code) + (f"<i>#{escape(rest)}</i>" if mark else "") for code, mark, rest in lines)
        return '<pre style="font-family: monospace; line-height: 1.3">' + "\n".join(shown) + "</pre>"

    def __repr__(self) -> str:
        return f"<a training step of {self._model}: {len(self.lines)} lines, {self.buffers:,} bytes of results>"

    def interpret(self, batch: Any = None) -> dict[str, Array]:
        """The arrays of the step for a batch (x, t) or (x, t, w), by name; nothing is changed, and nothing is kept.

        What the step changes is there as it was (`W1`, `theta`) and as it becomes (`W1_new`, `theta_new`); gradients
        are those of this step. Raises ValueError for a batch of other shapes than the program's.
        """
        values = interpret(self, batch)
        return {name: view.array(values[view.value]) for name, view in named_values(self).items()}

    def save(self, path: str | Path) -> None:
        """Write the step as a Python file that needs NumPy alone, with the parameters beside it in a .npz file.

        The file defines `step()`: fill its arrays x, t (and w), call it, and theta has made a step. Raises ValueError
        where a part of the step is code of its own that can't be written down.
        """
        about = [
            f"One training step of {self._model}.",
            "",
            "Fill x[...] and t[...] with a batch and call step(): it returns the loss before its update of theta.",
            f"The optimizer, {self._optimizer!r}, had these numbers for this step: {', '.join(self._coefficients)}.",
            "Written by minigrad; it needs NumPy alone.",
            "",
        ]
        numpy_file.write(self, self.code, Path(path), "\n".join(about))

    def run(self, batches: Batches, mean: WeightedMean) -> None:
        """Make the step for one batch after another; `mean` learns their values.

        Batches without weight are passed over.
        """
        with self._threads() as shared:
            if self._natively and self._runs_whole(batches, casts=shared and self._tiled is not None):
                self._run_natively(batches, mean, shared)
            else:
                self._run_one_by_one(batches, mean, shared)

    @contextmanager
    def _threads(self) -> Iterator[bool]:
        """In here BLAS has one thread where that leaves the same bits; gives whether our own threads share a step."""
        shared = self._shares and self._natively and helpers_start()
        with one_blas_thread() if shared or self._one_thread else nullcontext(False) as able:
            yield shared and able

    def _run_one_by_one(self, batches: Batches, mean: WeightedMean, shared: bool) -> None:
        """With Python between the batches."""
        optimizer, size, function = self._optimizer, batches.size, self._function
        if shared and self.native is not None:
            function = self._tiled or self.native.divided
        weights = None if batches.weights is None else iter(batches.weights.reshape(-1, size))
        for rows, numbers in zip(batches.rows.reshape(-1, size), batches.numbers.reshape(-1, size), strict=True):
            share: float = size
            if weights is not None and self._weights is not None:
                self._weights[...] = next(weights)
                share = float(self._weights.sum())
                if share == 0:
                    continue
            gather(batches.x, rows, self._x)
            gather(batches.table, numbers, self._t)
            set_coefficients(optimizer, self._coefficients)
            mean.add(function(), share)
            optimizer.steps += 1
            if not math.isfinite(mean.total):
                break  # as the loop does: layers may refuse what is not finite

    @property
    def _natively(self) -> bool:
        """Whether it runs natively now: not where floating-point errors are to stop it in its middle."""
        return self.native is not None and executor.only_warns()

    @property
    def _function(self) -> Callable[[], Any]:
        """What makes the step."""
        return self.native.function if self.native is not None and self._natively else self.code.function

    def _runs_whole(self, batches: Batches, casts: bool) -> bool:
        """Whether no Python is needed between such batches: rows are there, and of the places' types but for x."""
        gathered = [(batches.table, batches.numbers, self._t), (batches.x, batches.rows, self._x)]
        types = [array.dtype == place.dtype for array, _, place in gathered]
        return (
            self.native is not None
            and self.native.whole
            and (all(types) or (casts and types[0] and batches.x.dtype.kind == "f"))
            and all(array[0].flags.c_contiguous for array, _, _ in gathered)
            and all(rows.min() >= 0 and rows.max() < len(array) for array, rows, _ in gathered)
        )

    def _run_natively(self, batches: Batches, mean: WeightedMean, shared: bool) -> None:
        """Many batches in one call of the extension, but no more than take `MOMENT`; `shared` by threads or not."""
        native, optimizer, size = self.native, self._optimizer, batches.size
        assert native is not None
        rows, numbers = (np.asarray(n, np.intp).reshape(-1, size) for n in (batches.rows, batches.numbers))
        shares, weights = np.full(len(rows), float(size)), batches.weights
        if weights is not None and self._weights is not None:
            weights = np.asarray(weights, self._weights.dtype).reshape(-1, size)
            shares = np.array([float(row.sum()) for row in weights])
            rows, numbers, weights = (array[shares != 0] for array in (rows, numbers, weights))
            shares = shares[shares != 0]
        rows, numbers = np.ascontiguousarray(rows), np.ascontiguousarray(numbers)
        begin, failure = 0, None
        while begin < len(rows) and failure is None:
            begun = time.perf_counter()
            end = min(len(rows), begin + max(1, int(MOMENT / self._seconds_a_batch)))
            coefficients, failure = self._coefficients_of(end - begin)
            end = begin + len(coefficients)
            alone = [feed(place, coefficients[:, n], None, 1) for n, place in enumerate(self._coefficients.values())]
            if weights is not None and self._weights is not None:
                alone.append(feed(self._weights, weights[begin:end].reshape(-1), None, size))
            gathered = [(self._x, batches.x, rows[begin:end]), (self._t, batches.table, numbers[begin:end])]
            losses = np.empty(end - begin, native.result.dtype)
            if shared and self._tiled is not None:
                errors = self._tiled.run(end - begin, gathered, alone, losses)
            else:
                errors = native.run(end - begin, gathered, alone, losses, shared)
            mean.total = _added(mean.total, losses * shares[begin:end])
            mean.weight = _added(mean.weight, shares[begin:end])
            optimizer.steps += end - begin
            self._seconds_a_batch = (time.perf_counter() - begun) / max(1, end - begin)
            begin = end
            executor.complain(errors)
        if failure is not None:
            raise failure

    def _coefficients_of(self, steps: int) -> tuple[Array, Exception | None]:
        """The optimizer's coefficients for the steps to come, up to one for which it raises something."""
        optimizer = self._optimizer
        places = np.zeros((steps, len(self._coefficients)), self._model_dtype)
        if not (optimizer.changing or callable(optimizer.learning_rate)):
            places[:] = list(optimizer.coefficients(optimizer.steps).values())
            return places, None
        for step in range(steps):
            try:
                places[step] = list(optimizer.coefficients(optimizer.steps + step).values())
            except Exception as failure:
                return places[:step], failure
        return places, None


def _added(total: float, values: Array) -> float:
    """The total with float64 values added one after the other, as batch by batch: `sum` would take another order."""
    return float(np.add.accumulate(np.concatenate([[total], values]))[-1])


def _bytes(arrays: Iterable[Array]) -> int:
    return sum(array.nbytes for array in arrays)


def _memory_of(optimizer: Optimizer) -> list[Array]:
    return [vars(part)[name] for part, name in optimizer.slots()]


class Forward:
    """A prediction for so many rows as one straight-line function, and what it takes for granted of the layers.

    Raises TraceError where the layers can't be recorded.
    """

    def __init__(self, model: Model, x: Array) -> None:
        work = Inference(model, x)
        made = compiled(work)
        self._x, self._thread, self._guards = work.inputs[0], threading.get_ident(), made.guards
        self.native: Native | None = made.native if isinstance(made.native, Native) else None
        self._function: Callable[[], Any] = made.function
        self.nbytes: int = made.layout.block.nbytes + self._x.nbytes

    def holds(self) -> bool:
        """Whether the layers are still as they were recorded, and this is the thread that recorded them."""
        return self._guards.hold() and threading.get_ident() == self._thread

    def __call__(self, x: Array) -> Array:
        """The prediction, a fresh array."""
        self._x[...] = x
        y: Array = self._function().copy()
        return y

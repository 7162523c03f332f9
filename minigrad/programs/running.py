"""Programs: one training step, recorded from the ordinary layers and written down as one straight-line function.

At the sizes of small networks a step's cost is Python's, not arithmetic's. So the layers run once on recording arrays
(recorder/arrays.py), and what they did is written as the source of a function that calls NumPy and nothing else
(recorder/compiling.py). It computes what the layers compute, bit for bit.

`Program` is a training step as such a function, `Forward` a prediction; `train` and `predict` run them where there is
one that holds, and the plain layers where there is none.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.data.examples import Examples, taker
from minigrad.losses import Loss
from minigrad.model import Model, run_predict
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, walk
from minigrad.programs.arrays import arrays_in, owner
from minigrad.programs.blocks import Blocks, same_in_one_thread
from minigrad.programs.contents import Same, content
from minigrad.programs.steps import Inference, PartError, Step, set_coefficients, settings, write
from minigrad.programs.threads import Pace, blas_threads, one_blas_thread, steady_blas_threads

log = logging.getLogger("minigrad")

STEPS_BEFORE_RECORDING = 32
"""Steps of one batch size that run on the plain layers first: recording costs as much as some hundred small steps."""
PROGRAMS_KEPT = 16
WHOLE, IN_ONE_THREAD, IN_BLOCKS = range(3)
"""The ways to run a program: as it is, with one BLAS thread, in blocks of rows."""
ROWS_PREDICTED_BY_PROGRAMS = 64
"""Of more rows, copying them into a program's place costs more than NumPy's own memory for results does (measured)."""


class Program:
    """A training step as one straight-line function; `str()` is its source, with the equation of each line.

    `lines` is the number of its operations, `buffers` the bytes of its intermediate results, `opaque` says which layers
    run as they are, and why. It holds the model's arrays, not the model.

    Raises PartError where the step can't be recorded.
    """

    def __init__(self, step: Step) -> None:
        written = write(step)
        code, recording, self.opaque, self._blocks = written.code, written.recording, written.opaque, written.blocks
        set_coefficients(step.optimizer, step.coefficients)
        self._code, self._optimizer, self._coefficients = code, step.optimizer, step.coefficients
        self._x, self._t, self._weights, self._dtheta = step.x, step.t, step.weights, step.model.dtheta
        self._title, self._settings = repr(step.model), settings(step.parts, recording)
        self._lasting = {next(n for a, n in recording.names if a is array): array for array in step.lasting()}
        ways = [WHOLE]
        if self._blocks is not None:
            ways.append(IN_BLOCKS)
        elif blas_threads() > 1 and same_in_one_thread(written.plan.lines):
            ways.append(IN_ONE_THREAD)
        self._pace = Pace(ways)
        self.buffers = code.buffers
        self.lines = sum(1 for line in code.source.splitlines()[1:-1] if not line.strip().startswith("#"))

    def holds(self) -> bool:
        """Whether what the layers hold, beside what `_mark` tells apart, is as it was when they were recorded."""
        return _still(self._settings)

    def __str__(self) -> str:
        source = self._code.source.rstrip()
        if self._blocks is not None:
            source += f"\n    # fit makes this step in {self._blocks}, with the same bits"
        return source

    def save(self, path: str | Path) -> None:
        """Write the step as a Python file that needs NumPy alone, with the parameters beside it in a .npz file.

        The file defines `step()`: fill its arrays x, t (and w), call it, and theta has made a step. Raises ValueError
        where a part of the step is code of its own that can't be written down.
        """
        path = Path(path)
        source = self._file()
        np.savez(path.with_suffix(".npz"), **self._lasting)  # type: ignore[arg-type]
        path.write_text(source, encoding="utf-8")

    def _file(self) -> str:
        code = self._code
        text = [
            f'"""One training step of {self._title}.',
            "",
            "Fill x[...] and t[...] with a batch and call step(): it returns the loss before its update of theta.",
            f"The optimizer, {self._optimizer!r}, had these numbers for this step: {', '.join(self._coefficients)}.",
            "Written by minigrad; it needs NumPy alone.",
            '"""',
            "",
            "from pathlib import Path",
            "",
            "import numpy as np",
            "",
            'with np.load(Path(__file__).with_suffix(".npz")) as saved:',
        ]
        roots = dict(self._lasting)
        text += [f'    {name} = saved["{name}"]' for name in roots]
        given = {"x": self._x, "t": self._t, "w": self._weights, **self._coefficients}
        for name, array in given.items():
            if array is not None:
                roots[name] = array
                start = array.item() if array.ndim == 0 else 0
                text.append(f"{name} = np.full({array.shape}, {start!r}, np.{array.dtype})")
        text.append(f"block = np.zeros({code.buffers}, np.uint8)  # where the intermediate results lie")
        memories = {id(owner(array)): name for name, array in roots.items()}
        first: dict[str, str] = {}  # NumPy is quicker where an operand and the result are one object
        for name, value in code.namespace.items():
            if name not in roots and name not in ("step", "__builtins__"):
                expression = self._defined(name, value, memories)
                text.append(f"{name} = {first.get(expression, expression)}")
                first.setdefault(expression, name)
        return "\n".join([*text, "", "", code.source])

    def _defined(self, name: str, value: Any, memories: dict[int, str]) -> str:
        """An expression for what a name of the program stands for."""
        place, starts = self._code.places.get(name), self._code.starts
        if place is not None:
            if place.memory in starts:
                base, offset = "block", starts[place.memory] + place.offset
            elif id(owner(value)) in memories:
                base, offset = memories[id(owner(value))], place.offset
            else:
                raise ValueError(f"the step uses an array of shape {value.shape} that is neither parameter nor state")
            return f"np.ndarray({place.shape}, np.{place.dtype}, {base}, {offset}, {place.strides})"
        if isinstance(value, np.ndarray) and value.ndim:
            return f"np.full({value.shape}, {value.flat[0].item()!r}, np.{value.dtype})"
        if isinstance(value, np.ndarray | np.generic):
            return f"np.array({value.item()!r}, np.{value.dtype})"
        if isinstance(value, type | np.dtype):
            return f"np.{np.dtype(value).name}"
        home = getattr(value, "__self__", None)
        if isinstance(home, np.ufunc):
            return f"np.{home.__name__}.{value.__name__}"
        for prefix, module in (("np", np), ("np.ndarray", np.ndarray)):
            function = getattr(value, "__name__", "")
            if getattr(module, function, None) is value:
                return f"{prefix}.{function}"
        raise ValueError(f"{', '.join(self.opaque) or name} is code that can't be written into a file")

    def run(
        self,
        x: Array,
        rows: Array,
        targets: tuple[Array, Array],
        w: Array | None,
        total: float,
        weight: float,
        change: Callable[[Array], None] | None = None,
    ) -> tuple[float, float]:
        """Replay the step for one batch of `rows` after another, adding to (Σ value · share, Σ share).

        `targets` are a table of them and, for each of the rows, the number of its own.
        """
        (table, numbers), into, at, size = targets, self._x, self._t, len(self._x)
        take, pick = taker(x, into), taker(table, at)
        replay, optimizer = self._code.function, self._optimizer
        changing = optimizer.changing or callable(optimizer.learning_rate)
        set_coefficients(optimizer, self._coefficients)
        share: float = size
        weights = None if w is None else iter(w.reshape(-1, size))
        # Augmenting the rows may use BLAS, too: then its threads are left alone.
        with self._fastest_way(len(rows)) if change is None else nullcontext() as blocks:
            for batch, named in zip(rows.reshape(-1, size), numbers.reshape(-1, size), strict=True):
                if weights is not None and self._weights is not None:
                    self._weights[...] = next(weights)
                    share = float(self._weights.sum())
                    if share == 0:
                        continue
                # What `gather` does, without its calls, which a step of one row would feel.
                if pick is not None:
                    pick(named, 0, at, "clip")
                else:
                    at[...] = table[named]
                if changing:
                    set_coefficients(optimizer, self._coefficients)
                if blocks is not None:
                    total += blocks(x, batch) * share
                else:
                    if take is not None:
                        take(batch, 0, into, "clip")
                    else:
                        into[...] = x[batch]
                    if change is not None:
                        change(into)
                    total += replay() * share
                weight += share
                optimizer.steps += 1
        return total, weight

    @contextmanager
    def _fastest_way(self, amount: int) -> Iterator[Blocks | None]:
        """In here BLAS has the threads of the fastest way for so many rows; gives the blocks if that is it."""
        way, begun = self._pace.way, time.perf_counter()
        with nullcontext(True) if way == WHOLE else one_blas_thread() as able:
            yield self._blocks if able and way == IN_BLOCKS else None
        if able:
            self._pace.learn(time.perf_counter() - begun, amount)


class Forward:
    """A prediction for so many rows as one straight-line function, and what it takes for granted of the layers.

    Raises PartError where the layers can't be recorded.
    """

    def __init__(self, model: Model, x: Array) -> None:
        work = Inference(model, x)
        written = write(work)
        code, recording, self.opaque = written.code, written.recording, written.opaque
        self._x, self._thread = work.inputs[0], threading.get_ident()
        self._function: Callable[[], Any] = code.function
        layers = list(walk([model]))
        self._guards = [(vars(layer), name, v) for layer in layers for name, v in vars(layer).items() if _settled_by(v)]
        self._guards += [(vars(o), name, v) for o in layers for name, v in (o.params | o.states).items()]
        # Of what training leaves in the layers for `backward`, arrays for the most part, a prediction reads nothing.
        read = {id(array) for operation in recording.tape.operations for array in arrays_in(operation.inputs)}
        held = settings(model.chain(), recording)
        self._guards += [(attributes, name, v) for attributes, name, v, _ in held if id(v) in read]
        self._settings = [setting for setting in held if not arrays_in([setting[2]])]

    def holds(self) -> bool:
        """Whether the layers are still as they were recorded, and this is the thread that recorded them."""
        for attributes, name, value in self._guards:
            if attributes.get(name) is not value:
                return False
        return _still(self._settings) and threading.get_ident() == self._thread

    def __call__(self, x: Array) -> Array:
        """The prediction, a fresh array."""
        self._x[...] = x
        y: Array = self._function().copy()
        return y


def _still(settings: list[tuple[dict[str, Any], str, Any, Any]]) -> bool:
    """Whether attributes have the content that they had, and arrays are the same ones."""
    for attributes, name, value, before in settings:
        now = attributes.get(name)
        if content(now) != before or (isinstance(value, np.ndarray) and now is not value):
            return False
    return True


def _settled_by(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


# -------------------------------------------------------------------------------------------------- training, inference
class Programs:
    """The programs of one model, a few for each way that it is used, and the count of the times without one."""

    def __init__(self) -> None:
        self._programs: dict[Any, Any] = {}
        self._counts: dict[Any, int] = {}
        self._told: set[str] = set()

    def find(self, key: Any, make: Callable[[], Program | Forward]) -> Any:
        """The program of this key, if it holds; None while there is none, or where only the plain path is right."""
        program = self._kept_or_made(key, make)
        if program is None or program.holds():
            return program
        self._programs.pop(key, None)
        self._counts.pop(key, None)
        return None

    def _kept_or_made(self, key: Any, make: Callable[[], Program | Forward]) -> Any:
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


def train(
    objective: Objective,
    optimizer: Optimizer,
    examples: Examples,
    order: Array,
    batch_size: int,
    change: Callable[[Array], None] | None = None,
) -> tuple[float, float]:
    """Make a step for each batch, by a program where there is one; returns (Σ value · share, Σ share).

    A batch's share is its number of rows, or the sum of its weights; one without weight is passed over. `change` is
    given the x of each of the others, to change it in place. Stops early when the sum is no longer finite.
    """
    with steady_blas_threads():
        return _train(objective, optimizer, examples, order, batch_size, change)


def _train(
    objective: Objective,
    optimizer: Optimizer,
    examples: Examples,
    order: Array,
    batch_size: int,
    change: Callable[[Array], None] | None,
) -> tuple[float, float]:
    model, total, weight = objective.model, 0.0, 0.0
    optimizer.prepare(model.theta)
    programs = programs_of(model)
    mark = _mark(objective, optimizer)
    x_dtype, row = model.admit(examples.x[:0]).dtype, examples.x.shape[1:]
    for rows, table, numbers, w in examples.chunks(order, batch_size):
        done = 0
        while done < len(rows) and math.isfinite(total):
            size = min(batch_size, len(rows) - done)
            stop, program = done + size, None
            if mark is not None:
                key = (mark, (size, *row), x_dtype, table.shape[1:], w is None)
                program = programs.find(key, partial(_program, objective, optimizer, examples, rows[done:stop]))
            if program is not None:
                stop = done + (len(rows) - done) // size * size
            here = slice(done, stop)
            weights = None if w is None else w[here]
            if program is not None:
                total, weight = program.run(
                    examples.x, rows[here], (table, numbers[here]), weights, total, weight, change
                )
            else:
                share = size if weights is None else float(weights.sum())
                if share:
                    x = model.admit(examples.x[rows[here]])
                    if change is not None:
                        change(x)
                    total += float(objective.differentiate(x, table[numbers[here]], weights)) * share
                    optimizer.step(model.theta, model.dtheta)
                    weight += share
            done = stop
    return total, weight


def _program(objective: Objective, optimizer: Optimizer, examples: Examples, rows: Array) -> Program:
    x = objective.model.admit(examples.x[rows])
    return Program(Step(objective, optimizer, x, examples.targets(rows), examples.weights(rows)))


def _mark(objective: Objective, optimizer: Optimizer) -> tuple[Any, ...] | None:
    """What a program takes for granted: thread, BLAS's threads, settings, and the identities of layers and arrays.

    None where no program can be right: the optimizer has a `step`, or the model an `admit`, of its own.
    """
    if type(optimizer).step is not Optimizer.step or "step" in vars(optimizer) or not objective.model.only_casts():
        return None
    marks: list[Any] = [
        threading.get_ident(),
        blas_threads(),
        id(optimizer),
        type(objective.loss),
        content(vars(objective.loss)),
    ]
    for part in optimizer.parts():
        marks += [(n, content(v)) for n, v in vars(part).items() if n not in ("steps", "epochs", *part.memory)]
    marks += [objective.l2, objective.l1, *(id(vars(part)[name]) for part, name in optimizer.slots())]
    for layer in walk([objective.model]):
        held = vars(layer)
        marks.append(Same(layer))
        marks += [(n, type(v), v) for n, v in held.items() if type(v) in (bool, int, float, str)]
        marks += [id(held.get(name)) for name in layer.array_names]
    return tuple(marks)


def program(
    model: Model, loss: Loss, optimizer: Optimizer, *, batch_size: int = 32, l2: float = 0.0, l1: float = 0.0
) -> Program:
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
        return Program(step)
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

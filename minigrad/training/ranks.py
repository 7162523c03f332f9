"""Ranks: several processes train one model. Each takes its share of every batch; one all-reduce makes them one step.

    mpiexec -n 4 python -m mpi4py train.py

        model.fit(x, t, loss=…, optimizer=…, epochs=20, batch_size=8192, comm=MPI.COMM_WORLD)

`comm` is mpi4py's communicator. Of it are used the rank and the size, Allreduce of a vector, bcast and gather of small
objects, and Abort. All ranks draw the same order of the rows, so a batch has the rows that it has in one process, and
its gradient is the same sum in another order.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from minigrad.data.examples import Batches, Examples, WeightedMean
from minigrad.data.labels import LabelEncoder
from minigrad.losses import Loss
from minigrad.model import Snapshot, put
from minigrad.optimizers import Optimizer
from minigrad.parameter import Array, states_of, walk
from minigrad.training.communicator import Communicator
from minigrad.training.dataset import Change, Dataset
from minigrad.training.history import NotFinite
from minigrad.training.objective import Objective
from minigrad.training.windows import Windows, balanced

Result = TypeVar("Result")

GOING_ON, DONE, FAILED = 1.0, 0.0, np.nan
"""What a rank says of itself in every message: the sum tells whether anyone has batches left, or has failed."""
MARKED = 256  # rows by which ranks find out whether they hold the same


class RankError(RuntimeError):
    """Another rank could not go on: which, and why."""


def asked(comm: Any, name: str) -> int:
    """The rank or the size of a communicator. Raises TypeError for what is none."""
    ask = getattr(comm, f"Get_{name}", None)
    found = getattr(comm, name, None) if ask is None else ask()
    if found is None:
        raise TypeError(f"comm={comm!r:.60} is no communicator: give mpi4py's MPI.COMM_WORLD")
    return int(found)


class Ranks(Communicator):
    """A process among those that train a model together. All make the same calls in the same order.

    A step's message is [s dθ, s L, s, going on], where s is the number of this rank's rows, or what they weigh; of the
    sums, dθ ← Σ s dθ / Σ s. A rank that has no rows of a batch sends zeros, and makes the step all the same. One that
    fails says so in its next message, and then why.
    """

    def __init__(self, comm: Any, objective: Objective, optimizer: Optimizer) -> None:
        self._comm = comm
        self.rank: int = asked(comm, "rank")
        self.size: int = asked(comm, "size")
        self._model, self._optimizer = objective.model, optimizer
        self._sent = np.zeros(self._model.theta.size + 3, self._model.theta.dtype)
        self._summed = np.zeros_like(self._sent)
        self._speaking = self._looking = False
        self.number: int = 0
        self._weight: float = 0.0

    def __deepcopy__(self, memo: Any) -> Ranks:
        """One that says nothing: a step is recorded and tried on copies."""
        silent = copy.copy(self)
        silent._speaking = False
        return silent

    # ------------------------------------------------------------------------------------------------------- a step
    def average(self, dtheta: Array, value: Any, share: Any) -> None:
        """dθ ← Σ s dθ / Σ s over the ranks; `share` is s, or the weights of which it is the sum."""
        if self._speaking:
            s = float(np.sum(share))
            np.multiply(dtheta, s, out=self._sent[:-3])
            self._sent[-3] = value * s
            self._take(self._exchange(s, GOING_ON))

    def stand_by(self) -> None:
        """Make the step of a batch of which this rank has no rows."""
        self._follow(self._exchange_nothing(GOING_ON))

    def finish(self) -> None:
        """Make the steps of those that have batches left, until nobody has."""
        while (summed := self._exchange_nothing(DONE))[-1]:
            self._follow(summed)

    def _follow(self, summed: Array) -> None:
        if summed[-2]:  # else the batch weighs nothing, and is passed over by all
            self._take(summed)
            self._optimizer.step(self._model.theta, self._model.dtheta)

    def _exchange_nothing(self, state: float) -> Array:
        self._sent[:-2] = 0
        return self._exchange(0.0, state)

    def _exchange(self, share: float, state: float) -> Array:
        if self._looking and not np.isfinite(self._model.theta).all():
            raise NotFinite("the step makes the parameters infinite", self.number)
        self._sent[-2:] = share, state
        self.number += 1
        self._weight += share
        self._comm.Allreduce(self._sent, self._summed)
        if np.isnan(self._summed[-1]):
            self._tell(None)
        return self._summed

    def _take(self, summed: Array) -> None:
        dtheta, share = self._model.dtheta, summed[-2]
        np.divide(summed[:-3], share, out=dtheta)
        if not np.isfinite(summed[-3]):
            raise NotFinite(f"the loss is {summed[-3] / share}", self.number)
        if self._looking and not np.isfinite(dtheta).all():
            raise NotFinite("the gradient is not finite", self.number)

    # ----------------------------------------------------------------------------------------------------- an epoch
    @contextmanager
    def together(self, looking: bool = False) -> Iterator[None]:
        """Steps are made together in here. `looking`, to find where numbers stop being finite."""
        self.number, self._weight = 0, 0.0
        self._part_generators()
        self._speaking, self._looking = True, looking
        try:
            yield
        except (NotFinite, RankError):
            raise
        except KeyboardInterrupt:
            self._comm.Abort(130)  # it may have come in the middle of an exchange: nobody could tell the others
            raise
        except BaseException as error:
            self._sent[-1] = FAILED
            self._comm.Allreduce(self._sent, self._summed)
            self._tell(_words(error))
            raise
        finally:
            self._speaking = self._looking = False
        if not looking:
            self._join_states()

    def mean(self, mean: WeightedMean) -> WeightedMean:
        """The mean over the rows of all ranks."""
        return WeightedMean(*self._sum(np.array([mean.total, mean.weight])).tolist())

    def _sum(self, array: Array) -> Array:
        summed = np.empty_like(array)
        self._comm.Allreduce(array, summed)
        return summed

    def _generators(self) -> list[Any]:
        values = [value for layer in walk([self._model]) for value in states_of(layer).values()]
        return [value.bit_generator for value in values if isinstance(value, np.random.Generator)]

    def _part_generators(self) -> None:
        """Random numbers of its own for each rank, from rank 0's generators."""
        for bits in self._generators():
            bits.state = self._comm.bcast(bits.state, root=0)
            if self.rank and hasattr(bits, "jumped"):
                bits.state = bits.jumped(self.rank).state

    def _join_states(self) -> None:
        """One state for all: the mean of what layers estimate from rows, by their rows; all else is rank 0's.

        Raises RankError where the parameters are not the same on all ranks, which a layer of one's own can bring about.
        """
        weight = max(float(self._sum(np.array([self._weight]))[0]), np.finfo(float).tiny)
        for layer in walk([self._model]):
            for name, value in states_of(layer).items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    put(layer, name, self._sum(value * (self._weight / weight)).astype(value.dtype))
                elif isinstance(value, np.ndarray):
                    put(layer, name, self._comm.bcast(value, root=0))
        for bits in self._generators():
            bits.state = self._comm.bcast(bits.state, root=0)
        sums = self.all_of(zlib.crc32(self._model.theta.tobytes()))
        if len(set(sums)) > 1:
            raise RankError("the parameters are no longer the same on all ranks: does a layer change them by itself?")

    # ------------------------------------------------------------------------------------------- between the epochs
    def all_of(self, value: Any) -> list[Any]:
        """What each rank gives, on every rank."""
        found: list[Any] = self._comm.bcast(self._comm.gather(value, root=0), root=0)
        return found

    def of_first(self, value: Any) -> Any:
        """What rank 0 gives, on every rank."""
        return self._comm.bcast(value, root=0)

    def agree(self, action: Callable[[], Result]) -> Result:
        """What `action()` gives here, if it succeeds on every rank; else every rank raises."""
        try:
            result = action()
        except KeyboardInterrupt:
            self._comm.Abort(130)
            raise
        except Exception as error:
            self._tell(_words(error))
            raise
        self._tell(None)
        return result

    def _tell(self, trouble: str | None) -> None:
        """Raise RankError where others say what stopped them, and this rank has nothing to say."""
        said = self.all_of(trouble)
        if trouble is None and any(said):
            raise RankError("; ".join(f"rank {rank} of {self.size}: {why}" for rank, why in enumerate(said) if why))

    def resume(self, checkpoint: Callable[[], Any]) -> Any:
        """What rank 0 finds in its checkpoint, for all ranks, which start alike; the others have no checkpoint."""
        found = self.agree(checkpoint)
        self.start_alike()
        history, best = (None, None) if found is None else found
        history, values = self.of_first((history, None if best is None else [value for _, _, value in best.saved]))
        if history is None:
            return None
        if values is not None:
            best = Snapshot([self._model])
            best.saved = [(layer, name, v) for (layer, name, _), v in zip(best.saved, values, strict=True)]
        return history, best

    def start_alike(self) -> None:
        """Rank 0's parameters, states and optimizer for all."""
        mine = Snapshot([self._model]).saved
        values, state = self.of_first(([value for _, _, value in mine], self._optimizer.state()))
        for (layer, name, _), value in zip(mine, values, strict=True):
            put(layer, name, value)
        if self.rank:
            self._optimizer.load_state(state)

    def part(self, rows: int) -> slice:
        """Which of so many rows are this rank's."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def same(self, examples: Examples) -> bool:
        """Whether all ranks hold the same rows; else each has its own."""
        rows = examples.order(0, 0, shuffle=False)
        rows = rows[:: max(1, len(rows) // MARKED)]
        mark = zlib.crc32(np.ascontiguousarray(examples.x[rows]).tobytes() + examples.targets(rows).tobytes())
        return len(set(self.all_of((len(examples), mark)))) == 1

    def seed(self, seed: int | None) -> Any:
        """One seed for all."""
        return self.of_first(np.random.SeedSequence().entropy if seed is None else seed)

    def prepare(self, data: Dataset, loss: Loss, make: Callable[[Dataset], Result]) -> Result:
        """What `make(data)` gives, on every rank, for the labels of all: one's own rows may lack some."""
        model, known, t = self._model, self._model.classes, data.t
        counts = self._labels(t if loss.labels and t is not None and np.ndim(t) == 1 else None)
        if counts and data.class_weight == "balanced":
            data = replace(data, class_weight=balanced(counts))
        try:
            if counts and known is None:
                model.classes = LabelEncoder(list(counts)).classes
            return self.agree(lambda: make(data))
        except Exception:
            model.classes = known
            raise

    def _labels(self, t: Any) -> dict[Any, int]:
        encoder = self.agree(lambda: None if t is None else LabelEncoder(t))
        mine: dict[Any, int] = {}
        if encoder is not None:
            counts = np.bincount(encoder.encode(t), minlength=len(encoder.classes))
            mine = dict(zip(encoder.classes.tolist(), counts.tolist(), strict=True))
        found: dict[Any, int] = {}
        for each in self.all_of(mine):
            for label, count in each.items():
                found[label] = found.get(label, 0) + count
        return found

    def share_out(
        self, rows: Examples | Windows, held_out: Examples | Windows | None
    ) -> tuple[SharedRows, Examples | Windows | None]:
        """The rows to train on, as this rank has them, and its part of the others."""
        shared = SharedRows(self, rows)
        return shared, None if held_out is None else self._portion(held_out)

    def _portion(self, held_out: Examples | Windows) -> Examples | Windows:
        if isinstance(held_out, Windows):
            return held_out.of_rank(self.rank, self.size)
        order = held_out.order(0, 0, shuffle=False)
        return held_out.select(order[self.part(len(order))]) if self.same(held_out) else held_out

    def joined(self, action: Callable[[], Any], join: Callable[[list[Any]], Result]) -> Result:
        """join([what `action()` gives on each rank]), as rank 0 makes it, on every rank."""
        found = self._comm.gather(self.agree(action), root=0)
        result: Result = self.of_first(self.agree(lambda: join(found) if self.rank == 0 else None))
        return result


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


class SharedRows:
    """Rows that ranks share: in place of the rows of one process in its loop.

    Ranks that hold the same rows take slices of the same batches. Those that hold rows of their `own`, or every so
    many-th block, take as many of their own rows as they would of a batch; who has none left goes on without.
    """

    def __init__(self, ranks: Ranks, examples: Examples | Windows) -> None:
        self._ranks, self._examples = ranks, examples
        self._own = isinstance(examples, Windows) or not ranks.same(examples)
        if isinstance(examples, Windows):
            examples.of_rank(ranks.rank, ranks.size)

    def epoch(
        self, seed: int, epoch: int, shuffle: bool, batch_size: int, change: Change | None = None
    ) -> Iterator[Batches]:
        """The runs of batches of this rank; in between, it takes part in the steps that it has no rows for."""
        ranks, examples = self._ranks, self._examples
        part = ranks.part(batch_size)
        if self._own or isinstance(examples, Windows):
            size = max(1, part.stop - part.start)
            yield from self._weighing(examples.epoch(seed, epoch, shuffle, size, change))
        else:
            order = examples.order(seed, epoch, shuffle)
            whole = len(order) // batch_size * batch_size
            yield from self._slices(order[:whole].reshape(-1, batch_size)[:, part], change)
            rest = order[whole:]
            if len(rest):
                yield from self._slices(rest[None, ranks.part(len(rest))], change)
        ranks.finish()

    def _slices(self, rows: Array, change: Change | None) -> Iterator[Batches]:
        """Batches of this rank's rows, (batches, size)."""
        batches, size = rows.shape
        if size and isinstance(self._examples, Examples):
            yield from self._weighing(self._examples.runs(rows.reshape(-1), size, change))
            return
        for _ in range(batches):
            self._ranks.stand_by()

    def _weighing(self, runs: Iterable[Batches]) -> Iterator[Batches]:
        """The batches that weigh something; this rank stands by in the others."""
        for batches in runs:
            if batches.weights is None:
                yield batches
                continue
            weighs = (batches.weights.reshape(-1, batches.size) != 0).any(axis=1)
            for something, group in groupby(range(len(batches)), key=weighs.__getitem__):
                numbers = list(group)
                if something:
                    yield batches.rest(numbers[0], numbers[-1] + 1)
                else:
                    for _ in numbers:
                        self._ranks.stand_by()

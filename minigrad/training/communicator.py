"""Who trains together: one process alone, unless there are several."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from minigrad.data.examples import WeightedMean
from minigrad.parameter import Array

Result = TypeVar("Result")


class Communicator:
    """The processes that train one model together. This one is a process by itself: a communicator of size one.

    The loop and `fit` speak to several processes as they speak to one. What each method does among several is said in
    `training.ranks`, whose Ranks is the same over MPI.
    """

    rank: int = 0
    size: int = 1

    def average(self, dtheta: Array, value: Any, share: Any) -> None:
        """Replace a gradient by its mean over all processes, each counted by its `share` of the rows."""

    def mean(self, mean: WeightedMean) -> WeightedMean:
        """The mean over the rows of all processes."""
        return mean

    def together(self, looking: bool = False) -> AbstractContextManager[None]:
        """Steps are made together in here. `looking`: to find where numbers stop being finite."""
        return nullcontext()

    def seed(self, seed: int | None) -> Any:
        """One seed for all."""
        return seed

    def prepare(self, data: Any, loss: Any, make: Callable[[Any], Result]) -> Result:
        """What `make(data)` gives, where the labels of all processes count."""
        return make(data)

    def share_out(self, rows: Any, held_out: Any) -> tuple[Any, Any]:
        """The rows that this process trains on, and those that it measures."""
        return rows, held_out

    def start_alike(self) -> None:
        """Give every process the parameters, the state and the optimizer of the first."""

    def resume(self, checkpoint: Callable[[], Any]) -> Any:
        """What `checkpoint()` finds, with every process in the same state after it."""
        return checkpoint()

    def agree(self, action: Callable[[], Result]) -> Result:
        """What `action()` gives, if it succeeds in every process; else every process raises."""
        return action()

    def joined(self, action: Callable[[], Any], join: Callable[[list[Any]], Result]) -> Result:
        """join([what `action()` gives in each process]), in every process."""
        return join([action()])


ALONE: Communicator = Communicator()

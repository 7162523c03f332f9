"""An optimizer made of another one: what clipping and averaging have in common."""

from __future__ import annotations

from minigrad.configured import require
from minigrad.optimizers.optimizer import Optimizer, Rate
from minigrad.parameter import Array


class Wrapper(Optimizer):
    """An optimizer whose steps are those of `optimizer`, changed in `update`. Steps, epochs and rate are its.

    Raises ValueError for an optimizer with a step of its own; TypeError for what is no optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        require("optimizer", optimizer, Optimizer, "SGD(learning_rate=0.5)")
        if type(optimizer).step is not Optimizer.step:
            raise ValueError(
                f"{optimizer!r} has a step of its own; {type(self).__name__} changes what an optimizer does in update"
            )
        self.optimizer = optimizer

    @property
    def learning_rate(self) -> Rate:
        """The wrapped optimizer's."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Rate) -> None:
        self.optimizer.learning_rate = rate

    @property
    def steps(self) -> int:
        """The wrapped optimizer's."""
        return self.optimizer.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self.optimizer.steps = steps

    @property
    def epochs(self) -> int:
        """The wrapped optimizer's."""
        return self.optimizer.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.optimizer.epochs = epochs

    @property
    def changing(self) -> bool:  # type: ignore[override]
        """As of the wrapped optimizer."""
        return self.optimizer.changing

    def parts(self) -> tuple[Optimizer, ...]:
        """Itself, and what it wraps."""
        return (self, *self.optimizer.parts())

    def kept(self) -> list[tuple[str, Optimizer, str]]:
        """Its own memory, and that of what it wraps."""
        return [*super().kept(), *self.optimizer.kept()]

    def prepare(self, theta: Array) -> None:
        """Make the memory, and that of what it wraps."""
        super().prepare(theta)
        self.optimizer.prepare(theta)

    def coefficients(self, step: int) -> dict[str, float]:
        """Those of the wrapped optimizer"""
        return self.optimizer.coefficients(step)

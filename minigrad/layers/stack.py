"""A stack of Dense layers from its widths: what every network here is that nobody has written layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from minigrad.layer import Layer
from minigrad.layers.dense import Dense


def dense_stack(widths: Sequence[int], activation: Callable[[], Layer]) -> list[Layer]:
    """Dense layers from each width to the next, with an activation between any two of them.

    dense_stack([400, 25, 10], Sigmoid) is [Dense(400, 25), Sigmoid(), Dense(25, 10)]. What the last scores go through
    depends on the loss, so it is left to the caller.
    """
    first, *others = (Dense(before, after) for before, after in pairwise(widths))
    return [first, *(layer for dense in others for layer in (activation(), dense))]

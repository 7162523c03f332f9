"""Parameter groups: another optimizer for some of a model's layers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad.model import Model
from minigrad.optimizers.optimizer import Optimizer, Rate
from minigrad.parameter import Array, walk


class ByPart(Optimizer):
    """The step of an optimizer for each part of θ: ByPart({0: SGD(0.001), "Embedding": Adam()}, default=SGD(0.1))

    A part is what belongs to a layer: by its position in the model, to all that it holds, or by the name of its class,
    to all of that class at whatever depth; or by the name of a parameter, such as "b". Everything else is `default`'s.
    `fit` and `epochs` say which model it is; a loop of one's own does so once, `optimizer.bind(model)`.

    Raises ValueError for a key that finds nothing, where two keys find the same parameter, for what is no optimizer
    whose `update` it could call, and for one that stands at two places; TypeError for what is no dict.
    """

    def __init__(self, optimizers: Mapping[int | str, Optimizer], *, default: Optimizer) -> None:
        if not isinstance(optimizers, Mapping):
            raise TypeError(f"ByPart takes a dict of optimizers, such as {{0: SGD(0.001)}}, not {optimizers!r}")
        everyone = [*optimizers.values(), default]
        for optimizer in everyone:
            if not isinstance(optimizer, Optimizer) or type(optimizer).step is not Optimizer.step:
                raise ValueError(f"ByPart: {optimizer!r} is no optimizer whose `update` it could call")
        if len(set(map(id, everyone))) < len(everyone):
            raise ValueError("ByPart: every part needs an optimizer of its own; one stands at two places")
        self.optimizers: dict[int | str, Optimizer] = dict(optimizers)
        self.default = default
        self.steps = self.epochs = 0
        self.spans: tuple[tuple[tuple[int, int], ...], ...] | None = None
        self.size: int = 0

    @property
    def learning_rate(self) -> Rate:
        """As of `default`."""
        return self.default.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Rate) -> None:
        self.default.learning_rate = rate

    @property
    def changing(self) -> bool:  # type: ignore[override]
        """Whether that of any part is."""
        return any(optimizer.changing for optimizer in self._everyone())

    def bind(self, model: Model) -> None:
        """Find the parts in this model. Raises ValueError where a key finds nothing, or what another one finds."""
        owners = np.full(model.theta.size, len(self.optimizers))
        start = model.theta.__array_interface__["data"][0]
        for number, key in enumerate(self.optimizers):
            found = False
            for name, array in _parameters(model, key):
                begin = (array.__array_interface__["data"][0] - start) // array.itemsize
                here = owners[begin : begin + array.size]
                if (here != len(self.optimizers)).any():
                    other = [*self.optimizers][int(here[here != len(self.optimizers)][0])]
                    raise ValueError(
                        f"ByPart: {other!r} and {key!r} both find {name}, which can belong to one part only"
                    )
                here[...], found = number, True
            if not found:
                raise ValueError(f"ByPart: {key!r} finds no parameter in {model!r}")
        edges = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist(), len(owners)] if len(owners) else [0]
        spans: list[list[tuple[int, int]]] = [[] for _ in self._everyone()]
        for begin, end in pairwise(edges):
            spans[int(owners[begin])].append((begin, end))
        self.spans, self.size = tuple(map(tuple, spans)), model.theta.size

    def prepare(self, theta: Array) -> None:
        """Make the memory of every part. Raises ValueError before `bind`, and for another vector than the model's."""
        if self.spans is None:
            raise ValueError(f"{self!r} does not know the parts yet: call bind(model) before the first step")
        if theta.size != self.size:
            raise ValueError(f"{self!r} is bound to a model of {self.size} parameters, not of {theta.size}")
        for optimizer, spans in zip(self._everyone(), self.spans, strict=True):
            optimizer.prepare(_part(theta, spans))

    def parts(self) -> tuple[Optimizer, ...]:
        """Itself, and those of the parts with what they wrap."""
        return (self, *(part for optimizer in self._everyone() for part in optimizer.parts()))

    def coefficients(self, step: int) -> dict[str, float]:
        """Those of every part, each with the part's number in front."""
        return {
            f"p{number}_{name}": value
            for number, optimizer in enumerate(self._everyone())
            for name, value in optimizer.coefficients(step).items()
        }

    def update(self, theta: Array, dtheta: Array, **coefficients: Any) -> None:
        """The update of every part, on its share of θ"""
        assert self.spans is not None
        for number, (optimizer, spans) in enumerate(zip(self._everyone(), self.spans, strict=True)):
            front = f"p{number}_"
            own = {name.removeprefix(front): c for name, c in coefficients.items() if name.startswith(front)}
            if len(spans) == 1:
                ((begin, end),) = spans
                optimizer.update(theta[begin:end], dtheta[begin:end], **own)
            elif spans:
                part = _part(theta, spans)
                optimizer.update(part, _part(dtheta, spans), **own)
                done = 0
                for begin, end in spans:
                    theta[begin:end] = part[done : done + end - begin]
                    done += end - begin

    def kept(self) -> list[tuple[str, Optimizer, str]]:
        """The memory of every part, with the part's number in front."""
        return [
            (f"p{number}_{key}", part, name)
            for number, optimizer in enumerate(self._everyone())
            for key, part, name in optimizer.kept()
        ]

    def _everyone(self) -> tuple[Optimizer, ...]:
        return (*self.optimizers.values(), self.default)


def _parameters(model: Model, key: int | str) -> list[tuple[str, Array]]:
    """The parameters that a key of ByPart stands for, with words for each."""
    if isinstance(key, int):
        try:
            layers = list(walk([model.layers[key]]))
        except IndexError:
            raise ValueError(f"ByPart: there is no layer {key} among {len(model.layers)}") from None
    else:
        layers = [inner for layer in walk([model]) if type(layer).__name__ == key for inner in walk([layer])]
    found = {id(a): (f"{name} of {layer!r}", a) for layer in layers for name, a in layer.params.items()}
    if not found and isinstance(key, str):
        found = {
            id(a): (f"{name} of {layer!r}", a)
            for layer in walk([model])
            for name, a in layer.params.items()
            if name == key
        }
    return list(found.values())


def _part(vector: Array, spans: tuple[tuple[int, int], ...]) -> Array:
    if not spans:
        return vector[:0]
    if len(spans) == 1:
        return vector[spans[0][0] : spans[0][1]]
    return np.concatenate([vector[begin:end] for begin, end in spans])

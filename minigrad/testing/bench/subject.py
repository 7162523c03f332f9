"""A layer under test: a copy in float64, run from the same state every time, its input and parameters one vector."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minigrad.layer import Layer, whole_copy
from minigrad.model import put
from minigrad.parameter import Array, pack, states_of, walk
from minigrad.testing.bench.surrogate import Surrogates

INPUT = "x"


@dataclass(frozen=True)
class Part:
    """A named stretch of a gradient vector: the input "x", or a parameter such as "W", or "2.W" inside a container."""

    name: str
    start: int
    shape: tuple[int, ...]
    layer: Layer

    @property
    def span(self) -> slice:
        """Where it lies."""
        return slice(self.start, self.start + math.prod(self.shape))

    def index(self, position: int) -> tuple[int, ...]:
        """The index, in its own shape, of a position of the vector."""
        return tuple(int(i) for i in np.unravel_index(position - self.start, self.shape))


@dataclass
class Case:
    """One situation: the input, the parameters, the upstream, and the gradient that the layer gave."""

    situation: str
    x: Array
    theta: Array
    dy: Array
    gradient: Array


def named_parameters(layers: tuple[Layer, ...], prefix: str = "") -> Iterator[tuple[str, Layer, Array]]:
    """Name, layer and array of every parameter, in the order in which `pack` lays them into theta."""
    for position, layer in enumerate(layers):
        path = f"{prefix}{position}."
        for name, array in layer.params.items():
            yield f"{path}{name}", layer, array
        yield from named_parameters(tuple(layer.layers), path)


class Subject:
    """A deep copy of `layer`, packed in `dtype`.

    It is a function of one vector v, the input's entries (unless they are integers) followed by theta. State and
    random generators are put back before every forward, so that a Dropout drops the same units each time.
    """

    theta: Array
    dtheta: Array

    def __init__(self, layer: Layer, dtype: npt.DTypeLike = np.float64) -> None:
        self.layer: Layer = whole_copy(layer)
        self.theta, self.dtheta = pack([self.layer], dtype)
        self._surrogates = Surrogates(self.layer)
        self._states = [
            (inner, name, copy.deepcopy(value))
            for inner in walk([self.layer])
            for name, value in states_of(inner).items()
        ]

    @property
    def stateful(self) -> bool:
        """Whether any layer keeps state: training may then differ from inference."""
        return bool(self._states)

    def rewind(self) -> None:
        """Put every state and every generator back."""
        for layer, name, value in self._states:
            put(layer, name, value)

    def state(self) -> list[object]:
        """A copy of all state, to be compared."""
        return [
            value.bit_generator.state if isinstance(value, np.random.Generator) else value.copy()
            for inner in walk([self.layer])
            for value in states_of(inner).values()
        ]

    def forward(self, x: Array) -> Array:
        """The layer's forward, from its first state."""
        self.rewind()
        return self.layer.forward(x)

    def predict(self, x: Array) -> Array:
        """The layer's predict, from its first state."""
        self.rewind()
        return self.layer.predict(x)

    def parts(self, x: Array) -> list[Part]:
        """The stretches of v: x, unless it holds integers, and every parameter."""
        found, start = [], 0
        if x.dtype.kind == "f":
            found.append(Part(INPUT, 0, x.shape, self.layer))
            start = x.size
        for path, layer, array in named_parameters((self.layer,)):
            found.append(Part(path.removeprefix("0."), start, array.shape, layer))
            start += array.size
        return found

    def vector(self, x: Array, theta: Array) -> Array:
        """v for the input x and the parameters theta."""
        return np.concatenate([x.ravel(), theta]) if x.dtype.kind == "f" else theta.copy()

    def at(self, v: Array, x: Array) -> Array:
        """y at v, a copy. `x` gives the input's shape, and the input itself where it holds integers."""
        return np.array(self.forward(self._placed(v, x)))

    def differentiated(self, v: Array, x: Array, middle: Array) -> Array:
        """The function whose derivative backward is at `middle`, at v: forward, unless a surrogate is declared."""
        surrogate = getattr(self.layer, "surrogate", None)
        if surrogate is None and self._surrogates.layers:
            return self._surrogates.around(lambda: self.at(middle, x), lambda: self.at(v, x))
        if surrogate is None:
            return self._without_trace(v, x)
        self.at(middle, x)  # what it keeps of forward, such as the rounding that is left out, is that of the middle
        self.rewind()
        return np.array(surrogate(self._placed(v, x)))

    def _without_trace(self, v: Array, x: Array) -> Array:
        """The same as `at`, with layers without a backward as they are written: none is derived from this forward."""
        layers = list(walk([self.layer]))
        for inner in layers:
            inner._infers = True
        try:
            return self.at(v, x)
        finally:
            for inner in layers:
                inner._infers = False

    def _placed(self, v: Array, x: Array) -> Array:
        """The input in v, once its parameters have been set."""
        size = x.size if x.dtype.kind == "f" else 0
        self.theta[...] = v[size:]
        return v[:size].reshape(x.shape) if size else x

    def gradient(self, x: Array, theta: Array, dy: Array) -> Array:
        """The layer's own gradient of Σ dy y at (x, theta), as a vector like v."""
        self.theta[...] = theta
        self.forward(x)
        return self.collect(x, self.layer.backward(dy))

    def run(self, v: Array, x: Array, dy: Array) -> tuple[Array, Array]:
        """y at v, and the layer's own gradient of Σ dy y there; `x` as in `at`."""
        y = self.at(v, x)
        return y, self.collect(x, self.layer.backward(dy)).copy()

    def advance(self, batches: list[Array], rng: np.random.Generator) -> None:
        """Make the state that of a layer which has been through a step with each of these batches."""
        self.rewind()
        for x in batches:
            y = self.layer.forward(x.copy())
            self.layer.backward(rng.standard_normal(np.shape(y)))
        self._states = [(layer, name, copy.deepcopy(vars(layer)[name])) for layer, name, _ in self._states]

    def collect(self, x: Array, dx: Array | None) -> Array:
        """dx and dtheta as a vector like v, copied."""
        return self.dtheta.copy() if dx is None or x.dtype.kind != "f" else np.concatenate([dx.ravel(), self.dtheta])

    def adopt(self, other: Subject) -> None:
        """Take over the first state of another copy of the same layer."""
        for (layer, name, _), (_, _, value) in zip(self._states, other._states, strict=True):
            put(layer, name, value)
        self._states = [(layer, name, copy.deepcopy(vars(layer)[name])) for layer, name, _ in self._states]

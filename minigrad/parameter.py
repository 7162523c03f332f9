"""Parameters and state: declared once in a layer's class, packed by a model into one flat vector.

    class Dense(Layer):
        W, dW = parameter()
        b, db = parameter(decay=False)

The markers define `__set__` and no `__get__`, so *reading* `layer.W` finds the array in the instance's own dictionary,
as fast as any attribute, while *assigning* writes into that array. So the textbook's `self.dW = self.x.T @ dy` is right
even though `dW` is a view of the model's one long gradient vector, and nothing can untie the two by accident.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


class Holder(Protocol):
    """What holds declared arrays, and other holders in it: a layer."""

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name."""

    @property
    def layers(self) -> Sequence[Any]:
        """The holders in it."""


AnyHolder = TypeVar("AnyHolder", bound=Holder)


class Declared:
    """A marker in a layer's class; the array itself lives in the instance's dictionary under the marker's name."""

    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, layer: Any, value: Any) -> None:
        held = vars(layer).get(self.name)
        if held is None:
            self.create(layer, value)
        elif value is not held:
            shape = np.shape(value)
            if shape != held.shape:
                raise ValueError(
                    f"{type(layer).__name__}.{self.name} has the shape {held.shape}; "
                    f"it can't take a value of shape {shape}"
                )
            held[...] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self.name}, which this layer has not set>"

    def create(self, layer: Any, value: Any) -> None:
        """Put the first value into the instance, as an array of its own: a lone layer is float64."""
        raise NotImplementedError

    def refuse_if_owned(self, layer: Any) -> None:
        """Raise unless the layer is free: what a model has packed has its final set of arrays."""
        if owner_of(layer) is not None or vars(layer).get("theta") is not None:
            raise AttributeError(
                f"{type(layer).__name__}.{self.name} is set for the first time when the layer already stands in a "
                f"model, or is one; give every parameter and state its value in __init__, before super().__init__"
            )


class Parameter(Declared):
    """A trained array. `decay` says whether L2 applies to it."""

    def __init__(self, gradient: Gradient, decay: bool) -> None:
        self.gradient = gradient
        self.decay = decay

    def create(self, layer: Any, value: Any) -> None:
        """Store a float64 copy of `value`, and zeros of its shape as its gradient."""
        self.refuse_if_owned(layer)
        array = np.array(value, np.float64)
        vars(layer)[self.name] = array
        vars(layer)[self.gradient.name] = np.zeros_like(array)


class Gradient(Declared):
    """The gradient of a parameter: as large as it, made together with it."""

    def __set__(self, layer: Any, value: Any) -> None:
        if not layer._fixed:  # else nobody asks for it
            super().__set__(layer, value)

    def create(self, layer: Any, value: Any) -> None:
        """Refuse: a gradient has no shape before its parameter has one."""
        raise AttributeError(f"{type(layer).__name__}.{self.name} is assigned before its parameter has a value")


class State(Declared):
    """What is not trained and yet belongs to the layer: running statistics, fitted scales, random generators."""

    def __set__(self, layer: Any, value: Any) -> None:
        held = vars(layer).get(self.name)
        if isinstance(value, np.random.Generator):
            if held is None:
                self.refuse_if_owned(layer)
            vars(layer)[self.name] = value
            return
        given = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        if held is not None and held.dtype.kind in "iub" and given.kind in "fc":
            raise TypeError(
                f"{type(layer).__name__}.{self.name} holds {held.dtype}, as its first value did; it can't take {given} "
                f"without losing digits: start it as a float, such as 0.0"
            )
        super().__set__(layer, value)

    def create(self, layer: Any, value: Any) -> None:
        """Store a copy of `value`; floating-point numbers as float64."""
        self.refuse_if_owned(layer)
        array = np.array(value)
        vars(layer)[self.name] = array.astype(np.float64) if array.dtype.kind == "f" else array


def parameter(decay: bool = True) -> tuple[Array, Array]:
    """Declare a parameter and its gradient in a layer's class: `W, dW = parameter()`.

    Biases and the gamma and beta of a normalisation say `decay=False`: L2 leaves them alone.
    """
    gradient = Gradient()
    markers: Any = Parameter(gradient, decay), gradient
    return markers


def state() -> Any:
    """Declare state in a layer's class: `mean = state()`. It is saved, restored, copied and cast like a parameter."""
    return State()


def declared(cls: type, kind: type[Declared]) -> tuple[Any, ...]:
    """All markers of one kind in a class, over its whole MRO, base classes first."""
    found: dict[str, Declared] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            found.pop(name, None)
            if isinstance(value, kind):
                found[name] = value
    return tuple(found.values())


def held(layer: Any, markers: Iterable[Declared]) -> dict[str, Any]:
    """What the layer holds under the names of these markers, as far as it has been set."""
    attributes = vars(layer)
    return {marker.name: attributes[marker.name] for marker in markers if marker.name in attributes}


def states_of(layer: Any) -> dict[str, Any]:
    """What a layer keeps without training it, by name: its state and, of a frozen layer, its parameters."""
    return held(layer, (*layer._parameters, *layer._states) if layer._fixed else layer._states)


def gradient_name(layer: Any, name: str) -> str:
    """The attribute that holds the gradient of the parameter `name`: "dW" for "W"."""
    return next(marker.gradient.name for marker in layer._parameters if marker.name == name)


def decaying(layer: Any) -> list[str]:
    """The names of a layer's parameters that L2 applies to."""
    return [marker.name for marker in layer._parameters if marker.decay and marker.name in layer.params]


def walk(layers: Iterable[AnyHolder]) -> Iterator[AnyHolder]:
    """Every layer, each before the layers that it contains."""
    for layer in layers:
        yield layer
        yield from walk(layer.layers)


def pack(layers: Iterable[Holder], dtype: npt.DTypeLike) -> tuple[Array, Array]:
    """Move all parameters into one new vector and all gradients into another; the layers' arrays become views of them.

    Returns `(theta, dtheta)`, contiguous, of `dtype` and with the values that the layers held. Floating-point state
    is cast to `dtype` too. A container that keeps a `theta` of its own gets its slice.
    """
    layers = list(layers)
    size = sum(array.size for layer in walk(layers) for array in layer.params.values())
    theta, dtheta = np.zeros(size, dtype), np.zeros(size, dtype)
    _place(layers, theta, dtheta, 0)
    return theta, dtheta


def _place(layers: Sequence[Holder], theta: Array, dtheta: Array, start: int) -> int:
    for layer in layers:
        begin, attributes = start, vars(layer)
        for name, array in layer.params.items():
            stop = start + array.size
            for vector, held in ((theta, name), (dtheta, gradient_name(layer, name))):
                view = vector[start:stop].reshape(array.shape)
                view[...] = attributes[held]
                attributes[held] = view
            start = stop
        for name, value in states_of(layer).items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
                attributes[name] = value.astype(theta.dtype)
        start = _place(layer.layers, theta, dtheta, start)
        if "theta" in attributes:
            attributes.update(theta=theta[begin:start], dtheta=dtheta[begin:start])
    return start


def owner_of(layer: Any) -> Any:
    """The container that has packed this layer, or None: a container that is gone owns nothing."""
    reference = vars(layer).get("_owner")
    return None if reference is None else reference()

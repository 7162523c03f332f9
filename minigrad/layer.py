"""The layer: the protocol that every layer keeps, and what it gets in return.

A layer of one's own is about ten lines: declare the parameters, set them in `__init__`, write `forward` and `backward`.

    class Scale(Layer):
        '''y = g x      dg = Σ_B dy x,  dx = dy g'''

        g, dg = parameter()

        def __init__(self, features):
            self.features = features
            self.g = np.ones(features)

        def forward(self, x):
            self.x = x
            return x * self.g

        def backward(self, dy):
            self.dg = (dy * self.x).sum(axis=0)
            return dy * self.g

`minigrad.testing.check_layer` proves it right.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from minigrad.attributes import MadeWith, mentions, noting, without_batch
from minigrad.configured import Configured
from minigrad.parameter import Array, Parameter, State, declared

TRACING = threading.RLock()
"""Held while a layer without a backward has recording arrays in place of its parameters, which no other thread may see,
and while a layer is copied."""


class Layer(Configured):
    """A function of an array of rows, with its derivative.

    The promises, each of which `minigrad.testing.check_layer` checks:

    * `forward(x) -> y` keeps on `self` what `backward` needs; it accepts zero rows.
    * `backward(dy) -> dx` belongs to the latest `forward`. It *sets* every gradient, never adds to it, and may be
      called again. A layer of integers (Embedding) returns None. A layer that writes none has the one that follows from
      its forward; `print(minigrad.derive(layer))` shows it.
    * Neither changes its argument.
    * `predict(x)` is inference; it leaves a pending `backward` alone.
    * Constructor arguments are attributes of the same names. So `config()`, `repr` and loading come for free.
    * A layer that holds layers lists them in `self.layers`.
    * What `forward` and `backward` keep of a batch is no part of the layer: a copy, a pickle or a file has no rows in
      it. What `__init__` gives a value, and what others set later, is the layer's own, and stays.
    * What it does in `forward` and `backward` follows from its argument and from what it holds in its attributes. Where
      it counts, draws at random or keeps what it never reads, undeclared, `fit` notices and runs the layer as it is.
      What lies elsewhere it can't see: do not let the formula depend on a global variable, the clock or an object of
      your own that changes as training goes on; hand such a thing to the layer as an attribute, or declare it with
      `state()`.
    """

    __slots__ = ("_infers", "_kept", "_made_with")  # so that `vars(layer)` is what the layer itself has
    _made_with: MadeWith
    _kept: Any
    _infers: bool

    fixed: bool = False
    """Whether the parameters are state; see `freeze`."""

    registry: ClassVar[dict[str, type[Layer]]] = {}
    layers: Sequence[Layer] = ()
    derivation: ClassVar[Callable[[], Any]]
    """Gives `minigrad.derivation`, which stands on a later floor; `minigrad/__init__.py` puts it here."""

    _parameters: ClassVar[tuple[Parameter, ...]] = ()
    _states: ClassVar[tuple[State, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._parameters, cls._states = declared(cls, Parameter), declared(cls, State)
        if "__init__" in vars(cls):
            type.__setattr__(cls, "__init__", noting(cls.__init__))
        if "forward" in vars(cls) and cls.backward is Layer.backward:
            cls.forward = _deriving(cls.forward)  # type: ignore[assignment, method-assign]
        if cls.forward is not Layer.forward:
            Layer.registry[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def forward(self, x: Array) -> Array:
        """Return y for the rows x, and keep what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def backward(self, dy: Array) -> Any:
        """Return dx = dL/dx for dy = dL/dy of the latest `forward`, and set the gradients of the parameters."""
        return Layer.derivation().backward(self, dy)

    def predict(self, x: Array) -> Array:
        """Return y for the rows x without training: `forward` on a shallow copy, so that nothing is kept."""
        with TRACING:
            twin = self._twin()
        twin._infers = True
        return twin.forward(x)

    @property
    def params(self) -> dict[str, Array]:
        """The layer's own parameters by name, such as `{"W": …, "b": …}`; the arrays themselves, not copies."""
        return {} if self.fixed else self._held(self._parameters)

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients, under the names of their parameters."""
        return {name: vars(self)[self.gradient_name(name)] for name in self.params}

    @property
    def states(self) -> dict[str, Any]:
        """What the layer keeps without training it: arrays and random generators by name."""
        return self._held((*self._parameters, *self._states) if self.fixed else self._states)

    def _held(self, markers: Iterable[Parameter | State]) -> dict[str, Any]:
        attributes = vars(self)
        return {marker.name: attributes[marker.name] for marker in markers if marker.name in attributes}

    def freeze(self) -> None:
        """Make the parameters state, which no training moves; Frozen asks for it. It is not undone.

        Raises ValueError where the layer infers in another way than it trains, and does not know of `fixed`.
        """
        own = type(self).predict is not Layer.predict and not self.layers
        if own and not mentions(type(self), Layer, "fixed"):
            raise ValueError(f"{self!r} infers in another way than it trains, so a frozen one would have no backward")
        self.fixed = True
        for marker in self._parameters:
            vars(self).pop(marker.gradient.name, None)

    @property
    def shared(self) -> tuple[Layer, ...]:
        """Layers that it uses, and that may stand elsewhere in the model, where their parameters are counted then."""
        return ()

    def stand_beside(self) -> None:
        """What is `shared` stands elsewhere in the model: `layers` is to be without it."""

    @property
    def decaying(self) -> list[str]:
        """The names of the parameters that L2 applies to."""
        return [marker.name for marker in self._parameters if marker.decay and marker.name in self.params]

    def gradient_name(self, name: str) -> str:
        """The attribute that holds the gradient of the parameter `name`: "dW" for "W"."""
        return next(marker.gradient.name for marker in self._parameters if marker.name == name)

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row that the layer takes, where its constructor settles that; else None."""
        return None

    @property
    def row_axes(self) -> int:
        """How many axes a row of x has at least: 2 for what looks along steps (T, I), 3 for images (H, W, C)."""
        return 1

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of y for rows of x of `input_shape` (both without the batch axis).

        The default tries it: it runs `predict` on one row of zeros. Raises ValueError where such rows do not fit.
        """
        with np.errstate(all="ignore"):
            try:
                y = self.predict(np.zeros((1, *input_shape)))
            except IndexError:  # zeros that are to be looked up in a table must be integers
                y = self.predict(np.zeros((1, *input_shape), np.intp))
        if y is None:
            raise TypeError("its forward returns None; end it with: return y")
        return y.shape[1:]

    def admit(self, x: Any) -> Array:
        """x as the layer computes with it; a Sequential checks the shape and casts to its dtype here."""
        return np.asarray(x)

    def chain(self) -> tuple[Layer, ...]:
        """The layers whose forwards, one after the other, are this layer's: itself alone, unless a Sequential."""
        return (self,)

    def __copy__(self) -> Layer:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        made_with: MadeWith = getattr(self, "_made_with", {})
        state = without_batch(vars(self), made_with, type(self), Layer)
        state.pop("_owner", None)
        if (kept := getattr(type(self).forward, "keeps", "_owner")) not in made_with:
            state.pop(kept, None)
        return state | {"_made_with": made_with}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._made_with = vars(self).pop("_made_with", {})

    def _twin(self) -> Layer:
        """A shallow copy for inference: it shares the parameters, owns its state, and has its inner layers predict."""
        twin = object.__new__(type(self))
        twin._made_with = getattr(self, "_made_with", {})
        attributes = vars(twin)
        attributes.update(vars(self))
        if self._states:
            attributes.update(copy.deepcopy(self.states))
        if self.layers:
            inner = {id(layer): layer._predicting() for layer in self.layers}
            attributes.update((name, _replaced(value, inner)) for name, value in list(attributes.items()))
            attributes["layers"] = [inner[id(layer)] for layer in self.layers]
        return twin

    def _predicting(self) -> Layer:
        twin = self._twin()
        vars(twin)["forward"] = self.predict
        return twin


def _deriving(forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A forward that keeps what a backward can be derived from, where no class has written one.

    Where one has been written later, it keeps x: what a derived backward that was pasted there reads, whether or not
    the forward was written for it.
    """
    argument = next(iter([*inspect.signature(forward).parameters][1:]), "x")

    @wraps(forward)
    def traced(layer: Any, x: Any) -> Any:
        if getattr(layer, "_infers", False):
            return forward(layer, x)
        if type(layer).backward is Layer.backward:
            return Layer.derivation().forward(layer, forward, x)
        if argument not in layer._made_with:
            setattr(layer, argument, x)
        return forward(layer, x)

    vars(traced)["keeps"] = argument
    return traced


def _replaced(value: Any, twins: dict[int, Layer]) -> Any:
    """`value` with each layer in it, also in lists, tuples and dicts, replaced by its twin."""
    if isinstance(value, dict):
        return {key: _replaced(item, twins) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, twins) for item in value)
    return twins.get(id(value), value)

"""What a layer inherits beside the page that it is: to be found by name, copied, pickled, frozen, shared and derived.

Whoever reads what a layer promises (`layer.py`) need not read here.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from minigrad.attributes import MadeWith, mentions, noting, without_batch
from minigrad.configured import Configured
from minigrad.habits import LAYER, answering
from minigrad.parameter import Array, Parameter, State, declared

TRACING = threading.RLock()
"""Held while a layer without a backward has recording arrays in place of its parameters, which no other thread may see,
and while a layer is copied."""


@answering(LAYER)
class Inherited(Configured):
    """What no formula needs of a layer. The first class made of it is the root of all others: `Layer`."""

    __slots__ = ("_infers", "_kept", "_made_with")  # so that `vars(layer)` is what the layer itself has
    _made_with: MadeWith
    _kept: Any
    _infers: bool

    layers: Sequence[Any] = ()
    fixed: bool = False
    """Whether the parameters are state; see `freeze`."""

    registry: ClassVar[dict[str, type[Any]]] = {}
    derivation: ClassVar[Callable[[], Any]]
    """Gives `minigrad.derivation`, which stands on a later floor; `minigrad/__init__.py` puts it here."""

    _root: ClassVar[type[Any]]
    _parameters: ClassVar[tuple[Parameter, ...]] = ()
    _states: ClassVar[tuple[State, ...]] = ()

    if TYPE_CHECKING:  # the page has them
        forward: Any
        backward: Any
        predict: Any
        states: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "_root"):
            cls._root = cls
            return
        cls._parameters, cls._states = declared(cls, Parameter), declared(cls, State)
        if "__init__" in vars(cls):
            type.__setattr__(cls, "__init__", noting(cls.__init__))
        if "forward" in vars(cls) and cls.backward is cls._root.backward:
            type.__setattr__(cls, "forward", _deriving(cls.forward))
        if cls.forward is not cls._root.forward:
            cls.registry[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def gradient_name(self, name: str) -> str:
        """The attribute that holds the gradient of the parameter `name`: "dW" for "W"."""
        return next(marker.gradient.name for marker in self._parameters if marker.name == name)

    def _held(self, markers: Iterable[Parameter | State]) -> dict[str, Any]:
        attributes = vars(self)
        return {marker.name: attributes[marker.name] for marker in markers if marker.name in attributes}

    def freeze(self) -> None:
        """Make the parameters state, which no training moves; Frozen asks for it. It is not undone.

        Raises ValueError where the layer infers in another way than it trains, and does not know of `fixed`.
        """
        own = type(self).predict is not self._root.predict and not self.layers
        if own and not mentions(type(self), self._root, "fixed"):
            raise ValueError(f"{self!r} infers in another way than it trains, so a frozen one would have no backward")
        self.fixed = True
        for marker in self._parameters:
            vars(self).pop(marker.gradient.name, None)

    @property
    def shared(self) -> tuple[Any, ...]:
        """Layers that it uses, and that may stand elsewhere in the model, where their parameters are counted then."""
        return ()

    def stand_beside(self) -> None:
        """What is `shared` stands elsewhere in the model: `layers` is to be without it."""

    def admit(self, x: Any) -> Array:
        """x as the layer computes with it; a Sequential checks the shape and casts to its dtype here."""
        return np.asarray(x)

    def chain(self) -> tuple[Any, ...]:
        """The layers whose forwards, one after the other, are this layer's: itself alone, unless a Sequential."""
        return (self,)

    def __copy__(self) -> Any:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        made_with: MadeWith = getattr(self, "_made_with", {})
        state = without_batch(vars(self), made_with, type(self), self._root)
        state.pop("_owner", None)
        if (kept := getattr(type(self).forward, "keeps", "_owner")) not in made_with:
            state.pop(kept, None)
        return state | {"_made_with": made_with}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._made_with = vars(self).pop("_made_with", {})

    def _twin(self) -> Any:
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

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError: which of two things is meant is for the caller to say."""
        raise TypeError(
            f"a {type(self).__name__} is not called: .forward(x) trains, and keeps what backward needs; "
            f".predict(x) infers"
        )

    def _inferring(self) -> Any:
        """A twin whose forward is inference, whatever other threads derive meanwhile."""
        with TRACING:
            twin = self._twin()
        twin._infers = True
        return twin

    def _predicting(self) -> Any:
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
        if type(layer).backward is layer._root.backward:
            return layer.derivation().forward(layer, forward, x)
        if argument not in getattr(layer, "_made_with", {}):
            setattr(layer, argument, x)
        return forward(layer, x)

    vars(traced)["keeps"] = argument
    return traced


def _replaced(value: Any, twins: dict[int, Any]) -> Any:
    """`value` with each layer in it, also in lists, tuples and dicts, replaced by its twin."""
    if isinstance(value, dict):
        return {key: _replaced(item, twins) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, twins) for item in value)
    return twins.get(id(value), value)

"""What every layer is given beside its page: to be found by name, copied, pickled, frozen, shared and derived.

Whoever reads what a layer promises need not read here.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from minigrad.configured import Configured, arguments_of
from minigrad.parameter import Declared, Parameter, State, declared, states_of

REGISTRY: dict[str, type[Any]] = {}
"""Every class of layers, by module and name: a file names the classes of its layers."""

TRACING = threading.RLock()
"""Held while a layer without a backward has tracing arrays in place of its parameters, which no other thread may see,
and while a layer is copied."""

METHODS = {"forward", "backward", "predict", "config", "output_shape"}
"""Names of methods that no attribute of a layer may take."""

WHOLE = "whole"  # in the memo of a deep copy: see whole_copy


if TYPE_CHECKING:
    Reserved = Hint = property
else:

    class Reserved(property):
        """A property under a name that every layer has. A layer that gives it to something of its own is told so."""

        def __set__(self, layer: Any, value: Any) -> NoReturn:
            raise AttributeError(_taken(layer, self.fget.__name__, "made of what it declares with parameter()"))

    class Hint:
        """A property that the class computes until an instance has an attribute of that name, which then counts."""

        def __init__(self, compute: Callable[[Any], Any]) -> None:
            self.compute, self.__doc__ = compute, compute.__doc__

        def __get__(self, layer: Any, cls: type) -> Any:
            return self if layer is None else self.compute(layer)


class Foundation(Configured):
    """What no formula needs of a layer. The first class made of it is the root of all others: Layer."""

    __slots__ = ("_infers", "_kept", "_made_with")  # so that `vars(layer)` is what the layer itself has
    _made_with: Mapping[str, Any]
    _kept: Any
    _infers: bool

    _parameters: ClassVar[tuple[Parameter, ...]] = ()
    _states: ClassVar[tuple[State, ...]] = ()
    _derivation: ClassVar[Callable[[], Any]]
    """Gives `minigrad.derivation`, which stands above the textbook; `minigrad/__init__.py` puts it here."""

    _fixed: bool = False
    """Whether the parameters are state, which no training moves; see `_freeze`."""
    _freezable: ClassVar[bool] = False
    """Whether a `predict` of the class's own knows what to do in a frozen layer."""
    _lasting: ClassVar[tuple[str, ...]] = ("layers", "_fixed")
    """Attributes of this package's own that a copy has beside what is declared."""

    _root: ClassVar[type[Any]]

    if TYPE_CHECKING:  # the page has them
        layers: Sequence[Any]
        forward: Any
        backward: Any
        predict: Any

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError: which of two things is meant is for the caller to say."""
        raise TypeError(
            f"a {type(self).__name__} is not called: .forward(x) trains, and keeps what backward needs; "
            f".predict(x) infers"
        )

    # ------------------------------------------------------------------------------------- classes, and what they hold
    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "_root"):
            cls._root = cls
            return
        cls._parameters, cls._states = declared(cls, Parameter), declared(cls, State)
        for name in {"__init__", "__post_init__"} & {*vars(cls)}:  # the second one of a dataclass
            type.__setattr__(cls, name, _noting(getattr(cls, name)))
        if "forward" in vars(cls) and cls.backward is cls._root.backward:
            type.__setattr__(cls, "forward", _deriving(cls.forward))
        if cls.forward is not cls._root.forward:
            REGISTRY[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def _freeze(self) -> None:
        """Make the parameters state, which no training moves; Frozen asks for it. It is not undone.

        Raises ValueError where a layer of one's own infers in another way than it trains.
        """
        if type(self).predict is not self._root.predict and not self.layers and not self._freezable:
            raise ValueError(f"{self!r} infers in another way than it trains, so a frozen one would have no backward")
        self._fixed = True
        for marker in self._parameters:
            vars(self).pop(marker.gradient.name, None)

    def _shared(self) -> tuple[Any, ...]:
        """Layers that it uses, and that may stand elsewhere in the model, where their parameters are counted then."""
        return ()

    def _stand_beside(self) -> None:
        """What is `_shared` stands elsewhere in the model: `layers` is to be without it."""

    # ----------------------------------------------------------------------------------------------------------- copies
    def __copy__(self) -> Any:
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        twin = memo[id(self)] = object.__new__(type(self))
        twin.__setstate__(copy.deepcopy(self._whole_state() if WHOLE in memo else self.__getstate__(), memo))
        return twin

    def _whole_state(self) -> dict[str, Any]:
        """All attributes but whose layer it is, and what makes it faster."""
        whole = {name: value for name, value in vars(self).items() if name not in ("_owner", "_programs")}
        return whole | {"_made_with": getattr(self, "_made_with", {})}

    def __getstate__(self) -> dict[str, Any]:
        now, made_with = vars(self), getattr(self, "_made_with", {})
        markers = (*self._parameters, *(each.gradient for each in self._parameters), *self._states)
        lasting = {*arguments_of(self), *(marker.name for marker in markers), *self._lasting}
        kept = {name: value for name, value in now.items() if name in lasting or _holds_layers(value)}
        return {**made_with, **kept, "_made_with": made_with}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._made_with = vars(self).pop("_made_with", {})

    # -------------------------------------------------------------------------------------------------------- inference
    def _twin(self) -> Any:
        """A shallow copy for inference: it shares the parameters, owns its state, and has its inner layers predict."""
        twin = object.__new__(type(self))
        twin._made_with = getattr(self, "_made_with", {})
        attributes = vars(twin)
        attributes.update(vars(self))
        if self._states:
            attributes.update(copy.deepcopy(states_of(self)))
        if self.layers:
            inner = {id(layer): layer._predicting() for layer in self.layers}
            attributes.update((name, _replaced(value, inner)) for name, value in list(attributes.items()))
            attributes["layers"] = [inner[id(layer)] for layer in self.layers]
        return twin

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


def whole_copy(thing: Any) -> Any:
    """A deep copy with all attributes of the layers in it, also those of a batch: to try something on the spot."""
    memo: dict[Any, Any] = {WHOLE: True}
    return copy.deepcopy(thing, memo)


def _noting(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that notes, where it is the outermost one, the attributes that the layer has been made with.

    What is declared is not among them: a copy has that as it is, and these as they were.
    """

    @wraps(init)
    def noted(layer: Any, /, *arguments: Any, **options: Any) -> None:
        init(layer, *arguments, **options)
        cls, held = type(layer), vars(layer)
        if getattr(cls, init.__name__) is noted:
            for name in METHODS & held.keys():
                if not callable(held[name]):
                    raise AttributeError(_taken(layer, name, "a method"))
            inner = layer.layers
            if not isinstance(inner, list | tuple) or not all(isinstance(each, Foundation) for each in inner):
                raise AttributeError(_taken(layer, "layers", "the list of the layers in it"))
            names = [name for name in held if not isinstance(getattr(cls, name, None), Declared)]
            layer._made_with = {name: _emptied(held[name]) for name in names}

    return noted


def _taken(layer: Any, name: str, what: str) -> str:
    return (
        f"{type(layer).__name__}.{name}: every layer has {name}, {what}; give the attribute another name, such as "
        f"{name}_"
    )


def _emptied(value: Any) -> Any:
    """The value; of an empty list, dict or set, which a batch may be put into, another empty one."""
    return type(value)() if type(value) in (list, dict, set) and not value else value


def _holds_layers(value: Any) -> bool:
    if isinstance(value, dict):
        return _holds_layers(list(value.values()))
    return isinstance(value, Foundation) or (isinstance(value, list | tuple) and any(map(_holds_layers, value)))


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
            return layer._derivation().forward(layer, forward, x)
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

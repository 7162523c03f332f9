"""The layer: the protocol that every layer keeps.

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

`minigrad.testing.check_layer` proves it right; its help says how a layer tells it of a `domain`, a `surrogate`, a
`tolerance`, of `rows_together` or `untrained` layers.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from minigrad.configured import Configured, arguments_of
from minigrad.configured.hints import LAYER, answering
from minigrad.parameter import Array, Declared, Parameter, State, declared, gradient_name, held, states_of

REGISTRY: dict[str, type[Layer]] = {}
"""Every class of layers, by module and name: a file names the classes of its layers."""

TRACING = threading.RLock()
"""Held while a layer without a backward has tracing arrays in place of its parameters, which no other thread may see,
and while a layer is copied."""

WHOLE = "whole"  # in the memo of a deep copy: see whole_copy


if TYPE_CHECKING:
    Reserved = Hint = property
else:

    class Reserved(property):
        """A property under a name that every layer has. A layer that gives it to something of its own is told so."""

        def __set__(self, layer: Any, value: Any) -> NoReturn:
            name = self.fget.__name__
            raise AttributeError(
                f"{type(layer).__name__}.{name}: every layer has {name}, which is made of what it declares with "
                f"parameter(); give the attribute another name, such as {name}_"
            )

    class Hint:
        """A property that the class computes until an instance has an attribute of that name, which then counts."""

        def __init__(self, compute: Callable[[Any], Any]) -> None:
            self.compute, self.__doc__ = compute, compute.__doc__

        def __get__(self, layer: Any, cls: type) -> Any:
            return self if layer is None else self.compute(layer)


@answering(LAYER)
class Layer(Configured):
    """A function of an array of rows, with its derivative.

    The promises, each of which `minigrad.testing.check_layer` checks:

    * `forward(x) -> y` keeps on `self` what `backward` needs; it accepts zero rows.
    * `backward(dy) -> dx` belongs to the latest `forward`. It *sets* every gradient, never adds to it, and may be
      called again. A layer of integers (Embedding) returns None. A layer that writes none has the one that follows from
      its forward; `print(minigrad.derive(layer))` shows it.
    * Neither changes its argument.
    * `predict(x)` is inference; it leaves a pending `backward` alone.
    * Constructor arguments are attributes of the same names. So `config()`, `repr` and loading come for free. A file
      holds numbers, text, layers and lists of these: an array is given as a list, a generator as its seed, a function
      or a dtype by a name that `forward` looks up.
    * A layer that holds layers lists them in `self.layers`.
    * What lasts is declared: the constructor's arguments, the parameters, and what `state()` declares. A copy, a pickle
      and a file have these. All other attributes belong to the batch, and may be anything; a copy has those that
      `__init__` sets as `__init__` left them, and no others.
    * What `forward` and `backward` do follows from their argument and from what lasts. Where a layer counts or draws at
      random, it declares the counter or the generator with `state()`.
    * A class that says `traceable = True` in its own body promises that training may compile it: its `forward` and
      `backward` depend on nothing but their argument and what lasts. It has no other counter or generator, and reads no
      clock and no variable from elsewhere that changes. Every other layer of your own runs as it is. A subclass has to
      say it again.

    `params` and `grads` are names that a layer can't use for anything else.

    What is no bug and looks like one to `check_layer` a class says by `domain`, `surrogate`, `tolerance`,
    `rows_together` or `untrained`: `help(minigrad.testing.check_layer)` has a line on each.
    """

    __slots__ = ("_infers", "_kept", "_made_with")  # so that `vars(layer)` is what the layer itself has
    _made_with: Mapping[str, Any]
    _kept: Any
    _infers: bool

    layers: Sequence[Layer] = ()

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

    def forward(self, x: Array) -> Array:
        """Return y for the rows x, and keep what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def backward(self, dy: Array) -> Any:
        """Return dx = dL/dx for dy = dL/dy of the latest `forward`, and set the gradients of the parameters."""
        return Layer._derivation().backward(self, dy)

    def predict(self, x: Array) -> Array:
        """Return y for the rows x without training: `forward` on a shallow copy, so that nothing is kept."""
        y: Array = self._inferring().forward(x)
        return y

    @Reserved
    def params(self) -> dict[str, Array]:
        """The layer's own parameters by name, such as `{"W": …, "b": …}`; the arrays themselves, not copies."""
        return {} if self._fixed else held(self, self._parameters)

    @Reserved
    def grads(self) -> dict[str, Array]:
        """The gradients, under the names of their parameters."""
        return {name: vars(self)[gradient_name(self, name)] for name in self.params}

    @Hint
    def states(self) -> dict[str, Any]:
        """What the layer keeps without training it: arrays and random generators by name."""
        return states_of(self)

    @Hint
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one row that the layer takes, where its constructor settles that; else None."""
        return None

    @Hint
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

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Raise TypeError: which of two things is meant is for the caller to say."""
        raise TypeError(
            f"a {type(self).__name__} is not called: .forward(x) trains, and keeps what backward needs; "
            f".predict(x) infers"
        )

    # ------------------------------------------------------------------------------------- classes, and what they hold
    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._parameters, cls._states = declared(cls, Parameter), declared(cls, State)
        if "__init__" in vars(cls):
            type.__setattr__(cls, "__init__", _noting(cls.__init__))
        if "forward" in vars(cls) and cls.backward is Layer.backward:
            type.__setattr__(cls, "forward", _deriving(cls.forward))
        if cls.forward is not Layer.forward:
            REGISTRY[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def _freeze(self) -> None:
        """Make the parameters state, which no training moves; Frozen asks for it. It is not undone.

        Raises ValueError where a layer of one's own infers in another way than it trains.
        """
        if type(self).predict is not Layer.predict and not self.layers and not self._freezable:
            raise ValueError(f"{self!r} infers in another way than it trains, so a frozen one would have no backward")
        self._fixed = True
        for marker in self._parameters:
            vars(self).pop(marker.gradient.name, None)

    def _shared(self) -> tuple[Layer, ...]:
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


def run_forward(layers: Sequence[Layer], x: Array) -> Array:
    """Run x through the layers, one after the other; an error says in which of them it happened."""
    for position, layer in enumerate(layers, 1):
        try:
            x = layer.forward(x)
            if x is None:
                raise TypeError("its forward returns None; end it with: return y")
        except Exception as error:
            error.add_note(f"in layer {position} of {len(layers)}, {layer!r}, which was given {np.shape(x)}")
            raise
    return x


def run_predict(layers: Sequence[Layer], x: Array) -> Array:
    """Inference through the layers, one after the other; an error says in which of them it happened."""
    for position, layer in enumerate(layers, 1):
        try:
            x = layer.predict(x)
        except Exception as error:
            error.add_note(f"in layer {position} of {len(layers)}, {layer!r}, which was given {np.shape(x)}")
            raise
    return x


def run_backward(layers: Sequence[Layer], dy: Array) -> Any:
    """Run dy back through the layers, last one first; an error says in which of them it happened.

    It ends with a layer of integers, which returns None: nothing before that has a derivative.
    """
    for position in range(len(layers), 0, -1):
        layer = layers[position - 1]
        try:
            dy = layer.backward(dy)
        except Exception as error:
            error.add_note(f"in backward of layer {position} of {len(layers)}, {layer!r}, given {np.shape(dy)}")
            if isinstance(error, AttributeError) and error.obj is layer:
                error.add_note("what backward needs, forward keeps: call forward(x) first")
            raise
        if dy is None:
            break
    return dy


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
        cls = type(layer)
        if cls.__init__ is noted:
            names = [name for name in vars(layer) if not isinstance(getattr(cls, name, None), Declared)]
            layer._made_with = {name: _emptied(vars(layer)[name]) for name in names}

    return noted


def _emptied(value: Any) -> Any:
    """The value; of an empty list, dict or set, which a batch may be put into, another empty one."""
    return type(value)() if type(value) in (list, dict, set) and not value else value


def _holds_layers(value: Any) -> bool:
    if isinstance(value, dict):
        return _holds_layers(list(value.values()))
    return isinstance(value, Layer) or (isinstance(value, list | tuple) and any(map(_holds_layers, value)))


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
            return Layer._derivation().forward(layer, forward, x)
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

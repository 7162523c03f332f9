"""What is no layer of this package as one: any class with a forward and a backward, and functions.

    check_layer(thing, x)                        forward(x) -> y, backward(dy) -> dx
    check_gradient(forward, backward, *inputs)   forward(*inputs) -> y or (y, cache), backward(dy, cache) -> gradients
    check_gradient(loss, scores, given=(y,))     loss(scores, y) -> (value, gradients)
    check_gradient(Function, *tensors)           a torch.autograd.Function

Each is wrapped as a `Layer` whose methods call the code under test, so that the rules and the naming of bugs are the
same. What is wrapped can be exchanged: a changed copy of the source is put back by the `adapt` of its wrapper.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from minigrad.layer import Layer
from minigrad.parameter import Array, parameter
from minigrad.testing.bench.subject import INPUT
from minigrad.testing.contract import check
from minigrad.testing.report import Report
from minigrad.testing.rules import gradients, protocol, variations

RULES = (
    gradients.runs,
    protocol.arguments_unchanged,
    gradients.gradients_are_set,
    gradients.derivative,
    variations.elsewhere,
    gradients.linear,
    protocol.latest_forward,
)
NOT_ASKED = "config(), predict, float32 and batches of no rows are not asked of code that is no Layer of minigrad"
OF_LISTS = "{} works with Python's lists and numbers; what is checked works with NumPy arrays"
GRADIENTS = (
    *("d{}", "d_{}", "{}_grad", "grad_{}", "grad{}", "{}grad", "{}_grads"),
    *("{}_gradient", "{}_gradients", "gradient_{}", "delta_{}"),
)
OF_INPUT = ("dinputs", "dinput", "dx", "dX", "grad_input", "input_gradient", "input_grad", "grad_inputs")
OUTPUTS = ("output", "outputs", "out", "y", "a", "z")


class Plain(Layer):
    """The code under test, as a layer. With `whole`, x has an axis of length 1 before those that the code knows."""

    thing: Any
    title = ""
    whole = True
    names: Sequence[str] = ()  # of the inputs of a function
    is_loss = False
    places: Sequence[tuple[Place, Place]] = ()

    def __repr__(self) -> str:
        return self.title

    def shown(self, name: str, index: tuple[int, ...] | None) -> str:
        """An entry of the gradient as its author knows it."""
        if name == INPUT and self.names:
            name = self.names[0]
        index = index[1:] if index and self.whole and name in (INPUT, *self.names[:1]) else index
        return f"{name}{list(index) or ''}" if index is not None else f"{name}, along a random direction,"

    def axes(self, x: Array) -> dict[str, int]:
        """What a gradient may be too large or too small by, in words, where x is no batch of rows."""
        called = self.names[0] if self.names else "x"
        return {f"length of axis {axis} of {called}": n for axis, n in enumerate(x.shape[1:])} if self.whole else {}

    def given(self, x: Array) -> Any:
        """x as the code under test takes it."""
        if self.whole and len(x) != 1:
            raise ValueError("the code is tried at its own input alone")
        return x[0] if self.whole else x

    def told(self, y: Any) -> Any:
        """A result of the code under test as the rules take it."""
        if isinstance(y, list | tuple) and y and not isinstance(y[0], np.ndarray):
            raise TypeError(OF_LISTS.format(self.title))
        return np.asarray(y)[None] if self.whole and y is not None and not isinstance(y, tuple | list) else y


@dataclass(frozen=True)
class Place:
    """Where an object keeps an array: `W`, `params['W']`, `params[0]` or `gamma.data`."""

    owner: str
    key: Any
    item: bool = False

    @property
    def name(self) -> str:
        """What a parameter is called that is kept there."""
        return self.owner if self.owner and not self.item else str(self)

    def __str__(self) -> str:
        if self.item:
            return f"{self.owner}[{self.key!r}]"
        return f"{self.owner}.{self.key}" if self.owner else self.key

    def read(self, thing: Any) -> Any:
        """The array; None where there is none yet."""
        held = getattr(thing, self.owner) if self.owner else thing
        try:
            return held[self.key] if self.item else getattr(held, self.key)
        except (KeyError, IndexError, AttributeError):
            return None

    def write(self, thing: Any, value: Any) -> None:
        """Put an array there."""
        held = getattr(thing, self.owner) if self.owner else thing
        if self.item:
            held[self.key] = value
        else:
            setattr(held, self.key, value)


def check_plain(thing: Any, x: Any, seed: int, parameters: Mapping[str, str] | None) -> Report:
    """What `check_layer` does for an object of any class with `forward(x)` and `backward(dy)`."""
    if x is None:
        raise ValueError(f"pass an x that {type(thing).__name__} takes: check_layer(thing, x)")
    x = _floats(x)
    tried, y = copy.deepcopy(thing), None
    _refuse_lists(thing)
    y = _output(tried, tried.forward(x.copy()))
    whole = np.ndim(y) == 0 or len(y) != len(x)
    with suppress(Exception):  # a rule will tell
        _backward(tried, type(tried).backward, np.ones_like(y))
    places = list(_places(thing, tried, parameters))
    layer = _made(
        type(thing),
        {place.name: (str(gradient), place.read(thing)) for place, gradient in places},
        forward=_forward_of_class(type(thing).forward),
        backward=_backward_of_class(type(thing).backward),
    )
    layer.thing, layer.whole, layer.places = copy.deepcopy(thing), whole, places
    found = ", ".join(f"{place} with its gradient {gradient}" for place, gradient in places)
    note = f"parameters: {found}" if found else "no parameters were found; name them: parameters={'W': 'dW'}"
    return _checked(layer, x, seed, note)


def _checked(layer: Plain, x: Array, seed: int, *notes: str) -> Report:
    notes = (*notes, NOT_ASKED)
    report = check(layer, x[None] if layer.whole else x, seed, only_here=layer.whole, rules=RULES, notes=notes)
    report.subject = layer.title
    return report


def _floats(x: Any) -> Array:
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def _refuse_lists(thing: Any) -> None:
    held = vars(thing).values() if hasattr(thing, "__dict__") else ()
    lists = [value for value in held if isinstance(value, list) and value and isinstance(value[0], list | float)]
    if lists and not any(isinstance(value, np.ndarray) for value in held):
        name = type(thing).__name__
        raise TypeError(OF_LISTS.format(name))


def _made(around: Any, declared: Mapping[str, tuple[str, Any]], **methods: Any) -> Plain:
    """A layer in the name of `around`, with these parameters and the names of their gradients."""
    markers: dict[str, Any] = {}
    for name, (gradient, _) in declared.items():
        markers[name], markers[gradient] = parameter()
    names = {"__module__": around.__module__, "__doc__": around.__doc__, "title": around.__name__}
    cls = type(around.__name__, (Plain,), {**markers, **methods, **names})
    layer: Plain = cls()
    for name, (_, value) in declared.items():
        setattr(layer, name, value)
    return layer


def _adapting(adapt: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let the wrapper that `adapt` makes of a function remember both."""

    def made(function: Any) -> Any:
        wrapper = functools.wraps(function)(adapt(function))
        wrapper.adapt = made  # type: ignore[attr-defined]
        return wrapper

    return made


# Classes.


@_adapting
def _forward_of_class(function: Any) -> Any:
    def forward(self: Plain, x: Array) -> Any:
        for place, _ in self.places:
            place.write(self.thing, vars(self)[place.name])
        return self.told(_output(self.thing, function(self.thing, self.given(x))))

    return forward


@_adapting
def _backward_of_class(function: Any) -> Any:
    def backward(self: Plain, dy: Array) -> Any:
        for _, gradient in self.places:
            gradient.write(self.thing, vars(self)[str(gradient)].copy())
        dx = _backward(self.thing, function, dy[0] if self.whole else dy)
        for _, gradient in self.places:
            value = gradient.read(self.thing)
            if value is None:
                raise ValueError(f"backward sets {gradient} to None")
            setattr(self, str(gradient), value)
        return self.told(dx)

    return backward


def _output(thing: Any, y: Any) -> Any:
    """What forward returns, or else keeps as its output."""
    return next((vars(thing)[name] for name in OUTPUTS if name in vars(thing)), None) if y is None else y


def _backward(thing: Any, function: Any, dy: Array) -> Any:
    """The gradient of x that backward returns, or else keeps; a learning rate that it takes is 0."""
    arguments = [*inspect.signature(function).parameters.values()][2:]
    needed = [each for each in arguments if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    dx = function(thing, dy, *(0.0 for _ in needed))
    return next((vars(thing)[name] for name in OF_INPUT if name in vars(thing)), None) if dx is None else dx


def _places(thing: Any, tried: Any, parameters: Mapping[str, str] | None) -> Iterator[tuple[Place, Place]]:
    """Where the parameters of an object are, and where their gradients come: as they are named, or usually spelled."""
    held, after = vars(thing), {**dict.fromkeys(type(thing).backward.__code__.co_names), **vars(tried)}
    if parameters is not None:
        for name, gradient in parameters.items():
            if name not in held:
                raise ValueError(f"{type(thing).__name__} has no {name}")
            yield Place("", name), Place("", gradient)
        return
    for name, value in held.items():
        spelled = next((each for each in (form.format(name) for form in GRADIENTS) if each in after), None)
        if _is_array(value) and spelled:
            yield Place("", name), Place("", spelled)
        elif _is_array(getattr(value, "data", None)) and not _is_array(value) and hasattr(value, "grad"):
            yield Place(name, "data"), Place(name, "grad")
        elif isinstance(value, dict | list) and (other := _gradients_beside(name, after)):
            gradients = after[other]
            for key in value if isinstance(value, dict) else range(len(value)):
                if _is_array(value[key]):
                    named = isinstance(gradients, dict) and key not in gradients and f"d{key}" in gradients
                    yield Place(name, key, True), Place(other, f"d{key}" if named else key, True)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _gradients_beside(name: str, after: Mapping[str, Any]) -> str | None:
    """The attribute with the gradients of a dictionary, or list, of parameters."""
    usual = ("grads", "gradients", "grad", *(form.format(name) for form in GRADIENTS))
    return next((each for each in usual if each != name and isinstance(after.get(each), dict | list)), None)


# Functions.


def check_gradient(
    forward: Any,
    *rest: Any,
    names: Sequence[str] | None = None,
    given: Sequence[Any] = (),
    seed: int = 0,
) -> Report:
    """Prove that written gradients are right, or raise GradientError, which says which line is wrong.

        check_gradient(affine_forward, affine_backward, x, w, b)
        check_gradient(softmax_loss, scores, given=(labels,))
        check_gradient(MyFunction, x, w)                              # a torch.autograd.Function

    A pair is `forward(*inputs)`, which returns y or `(y, cache)`, and `backward(dy, cache)`, or `backward(dy, *inputs)`
    without a cache; it returns the gradients in the order of the inputs, an array or a tuple. One function alone
    returns a value and its gradients. `given` comes after the inputs and isn't differentiated. `names` are those of the
    inputs, otherwise those of forward's arguments. Inputs are arrays of any shape, tried in float64 at the values that
    are passed and at others like them. Returns the report, whose `str()` is a table.

    Raises TypeError for what is neither, and ValueError where a gradient is missing for an input.
    """
    is_function = isinstance(forward, type)
    backward = rest[0] if rest and callable(rest[0]) and not is_function else None
    inputs = [_floats(_numpy(each)) for each in (rest[1:] if backward else rest)]
    if not inputs or not (callable(forward) or is_function):
        raise TypeError("check_gradient takes forward, backward and inputs, or a function of inputs that returns both")
    if is_function:
        found = _torch(forward, len(inputs))
        title, code, backward = forward.__name__, found.forward, found.backward
        names = names or [*inspect.signature(code).parameters][1:]
    else:
        title, code = forward.__name__, forward
        names = names or [*inspect.signature(code).parameters]
    names = [name if not hasattr(Plain, name) else f"{name}_" for name in [*names][: len(inputs)]]
    names += [f"input{number}" for number in range(len(names), len(inputs))]
    kind = _of_torch if is_function else _of_pair if backward else _of_loss
    declared = {name: (f"d{name}", value) for name, value in zip(names[1:], inputs[1:], strict=True)}
    around = FunctionType(code.__code__, {}, title)
    around.__module__, around.__doc__ = code.__module__, code.__doc__
    layer = _made(around, declared, forward=kind[0](code), backward=kind[1](backward or code))
    layer.names, layer.is_loss = names, kind is _of_loss
    layer.thing = SimpleNamespace(given=tuple(given))
    return _checked(layer, inputs[0], seed, f"differentiated: {', '.join(names)}")


def _numpy(value: Any) -> Any:
    return value.detach().numpy() if hasattr(value, "detach") else value


def _inputs(layer: Plain, x: Array) -> tuple[Any, ...]:
    """What a function takes: x and the other inputs, numbers as numbers, and what is given beside."""
    others = (vars(layer)[name].copy()[()] for name in layer.names[1:])
    return (layer.given(x), *others, *layer.thing.given)


def _entered(layer: Plain, found: Any, factor: Any = 1) -> Any:
    """Enter the gradients that a function has returned, and return that of its first input."""
    found = tuple(found) if isinstance(found, tuple | list) else (found,)
    names = layer.names
    if len(found) < len(names):
        raise ValueError(f"backward returns {len(found)} of {len(names)} gradients: those of {', '.join(names)}")
    for name, gradient in zip(names[1:], found[1:], strict=False):
        setattr(layer, f"d{name}", np.multiply(factor, gradient))
    return None if found[0] is None else layer.told(np.multiply(factor, found[0]))


@_adapting
def _forward_of_pair(function: Any) -> Any:
    def forward(self: Plain, x: Array) -> Any:
        self.thing.inputs = _inputs(self, x)
        y = function(*self.thing.inputs)
        self.thing.cached = isinstance(y, tuple) and len(y) == 2
        y, self.thing.cache = y if self.thing.cached else (y, None)
        return self.told(y)

    return forward


@_adapting
def _backward_of_pair(function: Any) -> Any:
    def backward(self: Plain, dy: Array) -> Any:
        kept = (self.thing.cache,) if self.thing.cached else self.thing.inputs
        return _entered(self, function(dy[0], *kept))

    return backward


@_adapting
def _forward_of_loss(function: Any) -> Any:
    def forward(self: Plain, x: Array) -> Any:
        self.thing.inputs = _inputs(self, x)
        return self.told(function(*self.thing.inputs)[0])

    return forward


@_adapting
def _backward_of_loss(function: Any) -> Any:
    def backward(self: Plain, dy: Array) -> Any:
        return _entered(self, function(*self.thing.inputs)[1], dy[0])

    return backward


class _Context:
    """What a torch.autograd.Function keeps from forward to backward."""

    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors."""
        self.saved_tensors = tensors

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("mark_", "set_")):
            return lambda *_: None
        raise AttributeError(name)


@_adapting
def _forward_of_torch(function: Any) -> Any:
    def forward(self: Plain, x: Array) -> Any:
        torch = import_module("torch")
        context: Any = _Context()
        tensors = [torch.as_tensor(np.ascontiguousarray(each)) for each in _inputs(self, x)]
        context.needs_input_grad = (True,) * len(tensors)
        self.thing.context = context
        return self.told(function(context, *tensors).numpy())

    return forward


@_adapting
def _backward_of_torch(function: Any) -> Any:
    def backward(self: Plain, dy: Array) -> Any:
        torch = import_module("torch")
        found = function(self.thing.context, torch.as_tensor(np.ascontiguousarray(dy[0])))
        found = found if isinstance(found, tuple) else (found,)
        return _entered(self, tuple(None if each is None else each.numpy() for each in found))

    return backward


_of_pair = _forward_of_pair, _backward_of_pair
_of_loss = _forward_of_loss, _backward_of_loss
_of_torch = _forward_of_torch, _backward_of_torch


def _torch(function: Any, count: int) -> Any:
    """The forward and backward of a torch.autograd.Function, in the form forward(ctx, *inputs)."""
    torch = import_module("torch")
    if not issubclass(function, torch.autograd.Function):
        raise TypeError(f"{function.__name__} is no torch.autograd.Function; an object goes to check_layer(thing, x)")
    if function.setup_context is torch.autograd.Function.setup_context:
        return function

    def forward(ctx: Any, *inputs: Any) -> Any:
        y = function.forward(*inputs)
        function.setup_context(ctx, inputs, y)
        return y

    return SimpleNamespace(forward=functools.wraps(function.forward)(forward), backward=function.backward)

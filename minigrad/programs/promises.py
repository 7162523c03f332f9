"""Whether a layer may say that it is traceable: what can be found that breaks the promise, by running it and looking.

A layer that counts, draws or asks the clock is equal to its program once, and another one later. So it is run twice on
copies, from the same parameters and state and with the same x: whatever differs between the two runs, or is left
behind by them, is none of what a traceable layer may depend on.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from minigrad.configured import Configured
from minigrad.layer import Layer, whole_copy
from minigrad.losses import MeanSquaredError
from minigrad.optimizers import SGD
from minigrad.parameter import Array, states_of, walk
from minigrad.programs.ir.verification import same_bits
from minigrad.programs.runtime.compiling import compiled
from minigrad.programs.tracing.steps import Step
from minigrad.programs.tracing.traceable import PLAIN, Unsure, content, is_ours
from minigrad.programs.tracing.tracer import TraceError
from minigrad.programs.tracing.work import declared_by
from minigrad.sequential import Sequential
from minigrad.training.objective import Objective

CLOCKS = ("time", "datetime")


def broken_promise(layer: Layer, x: Array) -> str | None:
    """What breaks the promise of `traceable = True` in the layer for such rows x, in words; None where nothing does.

    The layer itself is left alone.
    """
    for inner in walk([layer]):
        if not is_ours(type(inner)) and (why := _reached(type(inner))):
            return why
    generators = _global_generators()
    before = whole_copy(layer)
    twice = [whole_copy(layer) for _ in range(2)]
    once, again = (_run(each, x) for each in twice)
    if not all(map(same_bits, once, again)):
        return "the same x, parameters and state give other results the second time"
    if _global_generators() != generators:
        return "it draws from a global generator; keep one of its own, declared with state()"
    first = [_undeclared(each) for each in walk(twice[:1])]
    _run(twice[0], x, as_in=before)
    for inner, then in zip(walk(twice[:1]), first, strict=True):
        for name, now in _undeclared(inner).items():
            if name in then and now != then[name]:
                return f"its {name} is another after every step; declare it with state()"
    return None


def why_not_traced(layer: Layer, x: Array) -> str | None:
    """Why a step with this layer can't be recorded, or its program would differ; None where there is nothing."""
    try:
        model = Sequential([whole_copy(layer)], np.float64)
        y = whole_copy(model).forward(x)
        step = Step(Objective(model, MeanSquaredError()), SGD(0.1), x, np.zeros_like(y))
        compiled(step, any_code=True)
    except TraceError as error:
        return error.reason
    except Exception as error:  # such as of a layer that takes part of the numbers only, and no row of zeros
        return str(error)
    return None


def _run(layer: Layer, x: Array, as_in: Layer | None = None) -> list[Any]:
    """A forward and a backward, from the state of another layer if one is given: what they return and leave."""
    if as_in is not None:
        for inner, other in zip(walk([layer]), walk([as_in]), strict=True):
            states: dict[str, Any] = copy.deepcopy(states_of(other))
            for name, value in states.items():
                setattr(inner, name, value)
    y = np.array(layer.forward(x.copy()))
    dx: Any = layer.backward(np.ones_like(y))
    left = [value for inner in walk([layer]) for value in (inner.grads | states_of(inner)).values()]
    arrays = [value for value in left if isinstance(value, np.ndarray)]
    return [y, np.zeros(0) if dx is None else np.array(dx), *map(np.array, arrays)]


def _undeclared(layer: Layer) -> dict[str, Any]:
    """What a layer holds beside parameters and state, as far as it can be compared."""
    found = {}
    for name, value in vars(layer).items():
        if name not in declared_by(layer):
            found[name] = repr(value.bit_generator.state) if isinstance(value, np.random.Generator) else _looked(value)
    return found


def _looked(value: Any) -> Any:
    """The content of a value; that of something else is never compared."""
    if isinstance(value, random.Random):
        return value.getstate()
    try:
        return content(value)
    except Unsure:
        return None


def _global_generators() -> tuple[Any, Any]:
    return repr(np.random.get_state()), random.getstate()  # noqa: NPY002


def _reached(cls: type) -> str | None:
    """What the methods of a class reach beside their arguments, and what may change, in words."""
    for name, method in _methods(cls):
        for cell_name, cell in zip(method.__code__.co_freevars, method.__closure__ or (), strict=True):
            if cell_name != "__class__" and not _lasts(cell.cell_contents):
                return f"its {name} closes over {cell_name}, which may change; give it to the layer as an argument"
        for word in method.__code__.co_names:
            value = method.__globals__.get(word)
            if isinstance(value, np.random.Generator | random.Random):
                return f"its {name} draws from {word}, a generator that others use; keep one declared with state()"
            home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if home in CLOCKS:
                return f"its {name} looks at the clock"
    return None


def _methods(cls: type) -> Iterator[tuple[str, FunctionType]]:
    for each in cls.__mro__:
        for name, value in () if is_ours(each) else vars(each).items():
            method = getattr(value, "__wrapped__", value)
            if isinstance(method, FunctionType):
                yield name, method


def _lasts(value: Any) -> bool:
    """Whether a value that a function has closed over is one that can't change: a number, a text, a function."""
    if isinstance(value, tuple):
        return all(map(_lasts, value))
    return isinstance(value, PLAIN) or (callable(value) and not isinstance(value, Configured))

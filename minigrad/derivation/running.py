"""The backward of a layer that writes none: its forward is traced each time, and the trace is walked back.

So it is exact whatever the forward decides by shapes or by numbers of its own. Inside a recording, of a training step
as a program, the trace follows what is recorded anyway, and the walk is recorded like a backward that is written out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.derivation.reverse import Reverse
from minigrad.derivation.trace import DerivationError, Inner, Trace, frames_here, frames_of, line_of
from minigrad.layer import TRACING, Layer, whole_copy
from minigrad.model import put
from minigrad.parameter import Array, gradient_name, states_of, walk
from minigrad.programs.tracing.arrays import TracingArray, Untraceable, raw


@dataclass
class Kept:
    """What the latest forward has left for the backward: its trace, or why there is none."""

    trace: Trace
    x: Array
    y: Any
    refused: DerivationError | None = None


def forward(layer: Layer, run: Callable[[Layer, Any], Any], x: Any) -> Any:
    """`run(layer, x)`, which is the layer's own forward, traced."""
    if isinstance(x, TracingArray):
        around = x.tape if isinstance(x.tape, Trace) else x.tape.trace
        if around is None:
            return _recorded(layer, run, x)
        return run(layer, x) if around.within is None else _within(layer, run, x, around)
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        return run(layer, x)
    with TRACING:
        return _kept(layer, run, x)


def _kept(layer: Layer, run: Callable[[Layer, Any], Any], x: Array) -> Any:
    """The same for plain arrays: what the backward needs is kept, and a layer that can't be traced is as it was."""
    before, states = [(inner, dict(vars(inner))) for inner in walk([layer])], _states(layer)
    trace = Trace()
    try:
        y = traced(layer, run, x, trace)
    except Exception as error:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)
        for inner, name, value in states:
            put(inner, name, value)
        y = run(layer, x)  # which tells what is wrong with x, if it is that
        layer._kept = Kept(trace, x, None, refusal(error))
        return y
    layer._kept = Kept(trace, x, y)
    return raw(y)


def _recorded(layer: Layer, run: Callable[[Layer, Any], Any], x: TracingArray) -> Any:
    tape, trace = x.tape, Trace(x.tape)
    tape.trace = trace
    try:
        y = _traced(layer, run, x, trace)
    finally:
        tape.trace = None
    layer._kept = Kept(trace, x.array, y)
    return y


def _within(layer: Layer, run: Callable[[Layer, Any], Any], x: TracingArray, trace: Trace) -> Any:
    """Within a layer that has a backward, which will ask for this one's: the part of the trace for it is kept."""
    around, start, calls, spoiled = trace.within, len(trace.nodes), len(trace.inner), set(trace.spoiled)
    assert around is not None
    trace.within = layer
    try:
        with _inner_calls(layer, trace):
            y = run(layer, x)
    finally:
        trace.within = around
    part = copy.copy(trace)
    part.x, part.nodes, part.within = x.array, trace.nodes[start:], None
    part.inner = [replace(each, start=each.start - start, stop=each.stop - start) for each in trace.inner[calls:]]
    part.spoiled = {number: trace.spoiled.pop(number) for number in set(trace.spoiled) - spoiled}
    del trace.inner[calls:]
    for error in part.spoiled.values():
        trace.spoiled.setdefault(id(around), error)
    layer._kept = Kept(part, x.array, y, part.spoiled.pop(id(layer), None))
    return y


def traced(layer: Layer, run: Callable[[Layer, Any], Any], x: Array, trace: Trace) -> Any:
    """The layer's own forward on recording arrays; what it has kept of them is plain arrays after that."""
    try:
        for inner in walk([layer]):
            for name, array in (inner.params | states_of(inner)).items():
                if isinstance(array, np.ndarray):
                    vars(inner)[name] = TracingArray(array, trace.tape)
        raised = Untraceable.raised()
        y = _traced(layer, run, TracingArray(x, trace.tape), trace)
        if Untraceable.raised() > raised:
            raise DerivationError("it catches an error that it meets only here, and does something else then")
        return y
    finally:
        for inner in walk([layer]):
            vars(inner).update({name: raw(value) for name, value in vars(inner).items() if _has_recorded(value)})


def _traced(layer: Layer, run: Callable[[Layer, Any], Any], x: TracingArray, trace: Trace) -> Any:
    trace.x = x.array
    trace.introduce(x, active=x.dtype.kind == "f")
    for inner in walk([layer]):
        for array in inner.params.values():
            trace.introduce(array, active=True)
        for value in states_of(inner).values():
            if isinstance(value, TracingArray):
                trace.introduce(value, active=False, state=True)
    with _inner_calls(layer, trace):
        return run(layer, x)


@contextmanager
def _inner_calls(layer: Layer, trace: Trace) -> Iterator[None]:
    """In here the trace learns where the forward of each layer that has a backward begins and ends."""
    tapped = {id(inner): inner for inner in _with_backward(layer) if "forward" not in vars(inner)}.values()
    for inner in tapped:
        vars(inner)["forward"] = _tap(inner, trace)
    try:
        yield
    finally:
        for inner in tapped:
            vars(inner).pop("forward", None)


def _with_backward(layer: Layer) -> Iterator[Layer]:
    """The layers in a layer that have a backward of their own, within those that have none too."""
    for inner in layer.layers:
        if type(inner).backward is Layer.backward:
            yield from _with_backward(inner)
        else:
            yield inner


def _tap(inner: Layer, trace: Trace) -> Callable[[Any], Any]:
    forward = inner.forward

    def tapped(x: Any) -> Any:
        start, around = len(trace.nodes), trace.within
        trace.within = inner
        try:
            y = forward(x)
        finally:
            trace.within = around
        if not (isinstance(x, TracingArray) and isinstance(y, TracingArray)):
            return y
        if not any(node.out.array is y.array for node in trace.nodes[start:]):
            y = y[...]  # x itself, say, of which the gradient is another one than that of y
        params = [array for each in walk([inner]) for array in each.params.values()]
        if y.dtype.kind == "f" and trace.is_active(raw([x, *params])):
            trace.activate(y.array)
        trace.inner.append(Inner(inner, x.array, y.array, start, len(trace.nodes), tuple(frames_here())))
        return y

    return tapped


def backward(layer: Layer, dy: Any) -> Any:
    """dx for dy of the latest forward; sets the gradients of the parameters, of those in inner layers too."""
    if type(layer).forward is Layer.forward:
        raise NotImplementedError(f"{type(layer).__name__} has no forward(x)")
    kept: Kept | None = getattr(layer, "_kept", None)
    if kept is None:
        raise AttributeError(f"{layer!r}: call forward(x) before backward(dy)", name="forward", obj=layer)
    if kept.refused is not None:
        raise DerivationError(f"{layer!r} has no backward, and none can be derived from its forward: {kept.refused}")
    if np.shape(dy) != np.shape(kept.y):
        raise ValueError(f"{layer!r}: dy has the shape {np.shape(dy)}, y of its latest forward {np.shape(kept.y)}")
    recording = isinstance(dy, TracingArray)
    if recording:
        getattr(layer, getattr(type(layer).forward, "keeps", ""), None)  # as a written backward reads what was kept
    reverse = Reverse(kept.trace, recording)
    if isinstance(kept.y, TracingArray):
        reverse.run(kept.y.array, dy)
    for inner in walk([layer]):
        if id(inner) in reverse.finished:
            continue
        for name, array in inner.params.items():
            dW = reverse.of(raw(array))
            vars(inner)[gradient_name(inner, name)][...] = 0 if dW is None else dW
    if kept.x.dtype.kind != "f":
        return None
    dx = reverse.of(kept.x)
    return np.zeros_like(TracingArray(kept.x, kept.trace.tape) if recording else kept.x) if dx is None else dx


def gradients(layer: Layer, x: Any, dy: Any, *, asking: bool = False) -> list[Array | None]:
    """dx, and the gradients of all parameters in the order of `walk` and `params`: what the forward alone gives.

    No backward is asked, not of inner layers either unless `asking`. The layer is left alone. Raises DerivationError.
    """
    layer, trace, x = whole_copy(layer), Trace(), np.asarray(x)
    try:
        y = traced(layer, type(layer).forward, x, trace)
    except Untraceable as error:
        raise refusal(error) from None
    if not asking:
        trace.inner.clear()
    reverse = Reverse(trace, recording=False)
    if isinstance(y, TracingArray):
        reverse.run(y.array, np.asarray(dy))
    found: list[Array | None] = [None if x.dtype.kind != "f" else reverse.of(x)]
    for inner in walk([layer]):
        for name, array in inner.params.items():
            g = inner.grads[name] if id(inner) in reverse.finished else reverse.of(array)
            found.append(np.zeros_like(array) if g is None else g)
    return found


def refusal(error: Exception) -> DerivationError:
    """Why there is no backward, in words for the one who wrote the forward."""
    if isinstance(error, DerivationError):
        return error
    why = str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"
    return DerivationError(f"{line_of(frames_of(error))}: {why}")


def _states(layer: Layer) -> list[tuple[Layer, str, Any]]:
    return [(inner, name, copy.deepcopy(value)) for inner in walk([layer]) for name, value in states_of(inner).items()]


def _has_recorded(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_has_recorded, value))
    return any(map(_has_recorded, value.values())) if isinstance(value, dict) else isinstance(value, TracingArray)

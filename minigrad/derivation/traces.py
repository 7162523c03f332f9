"""The two traces behind a derived source: that of the forward, and that of the walk back over it.

What the forward calls its arrays, and where it keeps them, is read while it runs. Nodes that make the same of the same
are one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.derivation.places import Picked
from minigrad.derivation.profiling import watched
from minigrad.derivation.reverse import Reverse
from minigrad.derivation.rule import rule_name
from minigrad.derivation.running import refusal, traced
from minigrad.derivation.trace import DerivationError, Inner, Node, Trace
from minigrad.layer import Layer
from minigrad.parameter import Array, gradient_name, pack
from minigrad.programs.tracing.arrays import TracingArray, Untraceable, raw


class InnerBackward:
    """The backward of a layer in the layer, as a function of a node."""

    __name__ = "backward"

    def __init__(self, layer: Layer) -> None:
        self.layer = layer


class Placing:
    """Adding to some places of an array of zeros, as a function of a node: of the array, the index and what to add."""

    __name__ = "placing"

    def __init__(self, first: bool) -> None:
        self.first = first


@dataclass(frozen=True)
class AsIn:
    """The places that a view has of its first input, as an index: the view of their numbers."""

    view: Node


class _Walk(Reverse):
    """A walk that remembers which array is whose gradient, and notes the backward of a layer in the layer as a call."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace, recording=True)
        self.whose: dict[int, Array] = {}

    def _back(self, node: Node) -> None:
        self._remember(node.out.array)
        super()._back(node)

    def _through(self, inner: Inner) -> None:
        self._remember(inner.y)
        super()._through(inner)

    def _run_again(self, inner: Inner) -> None:
        raise DerivationError(
            f"{inner.layer!r} runs several times: its backward, of the latest time, can't be written down; give each "
            f"time a layer of its own"
        )

    def _remember(self, array: Array) -> None:
        g = self._gradients.get(id(array))
        if g is not None:
            self.whose.setdefault(id(g.array), array)

    def of(self, array: Array) -> Any:
        g = super().of(array)
        if g is not None:
            self.whose.setdefault(id(g.array), array)
        return g

    def _place(self, array: Array, index: Any, g: Any) -> None:
        key, there = id(array), self._gradients.get(id(array))
        whole: Any = there if key in self._own else np.zeros_like(self._value(array))
        if there is not None and key not in self._own:
            whole = whole + there
        function: Any = Placing(there is None)
        self._trace.nodes.append(Node(function, (whole.array, raw(index), g.array), {}, whole, writes=True))
        self._gradients[key] = whole
        self._own.add(key)

    def _by_places(self, node: Node) -> Picked:
        return Picked(AsIn(node))

    def _inner_backward(self, layer: Layer, g: Any) -> Any:
        dx = layer.backward(raw(g))
        function: Any = InnerBackward(layer)
        noted = self._trace.note(None, function, (g.array,), {}, np.zeros(0) if dx is None else dx)
        return None if dx is None else noted


class Traces:
    """Forward and backward of a layer at x, as nodes: the first `forward` of `trace.nodes`, and the others.

    Of arrays, by their numbers of `id`: `held` says where on the layer the method finds them ("self.W"), `called` what
    the forward calls them, `whose` whose gradient they are, `moved` of which state they are a copy from before it was
    written, `inner` those that a layer in it has made which has a backward, and whether that alone will do, `same` the
    first one that is equal. `gradients` has the array for "return" and for such as "self.dW", None where it is 0.
    """

    def __init__(self, layer: Layer, x: Array) -> None:
        pack([layer], np.float64)
        self.layer = layer
        self.trace: Trace = Trace()
        self.function: Any = inspect.unwrap(type(layer).forward)
        self.argument: str = list(inspect.signature(self.function).parameters)[1]
        self.held: dict[int, str] = {}
        self.called: dict[int, str] = {}
        self.alive: list[Array] = []
        try:
            y = traced(layer, self._run, x, self.trace)
        except Untraceable as error:
            raise refusal(error) from None
        self.x: Array = self.trace.x
        self.y: Any = raw(y)
        self.forward: int = len(self.trace.nodes)
        self._walk_back(isinstance(y, TracingArray))
        self._merge()

    def _run(self, layer: Layer, x: Any) -> Any:
        """The forward, with an eye on what its variables and attributes are called."""
        variables: dict[str, Any] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code is self.function.__code__:
                variables.update(frame.f_locals)

        with watched(watch):
            y = self.function(layer, x)
        for inner, path in paths(layer):
            for name, value in vars(inner).items():
                if isinstance(array := raw(value), np.ndarray):
                    self.held.setdefault(id(array), f"self.{path}{name}")
                    self.called.setdefault(id(array), name)
                    self.alive.append(array)
        for name, value in variables.items():
            if isinstance(array := raw(value), np.ndarray):
                self.called.setdefault(id(array), name)
                self.alive.append(array)
        return y

    def _walk_back(self, depends: bool) -> None:
        trace, y = self.trace, self.y
        trace.reversing = True
        walk = _Walk(trace)
        dy = TracingArray(np.ones_like(y, dtype=np.float64), trace.tape)
        trace.known[id(dy.array)] = dy
        self.dy: Array = dy.array
        if depends:
            walk.run(y, dy)
        self.gradients: dict[str, Array | None] = {}
        for inner, path in paths(self.layer):
            if id(inner) not in walk.finished:
                for name, array in inner.params.items():
                    self.gradients[f"self.{path}{gradient_name(inner, name)}"] = raw(walk.of(array))
        if self.x.dtype.kind == "f":
            self.gradients["return"] = raw(walk.of(self.x))
        self.called[id(y)] = "y"
        self.whose: dict[int, Array] = walk.whose
        self.moved: dict[int, int] = {id(raw(copied)): number for number, copied in trace.before.items()}
        self.inner: dict[int, bool] = {id(inner.y): id(inner.layer) in trace.spoiled for inner in walk._by_themselves()}

    def _merge(self) -> None:
        """The same function of the same arrays is written once: `same` has the first one's number of `id`."""
        self.same: dict[int, int] = {}
        self.nodes: dict[int, Node] = {}
        self.writes: dict[int, list[Node]] = {}
        seen: dict[Any, int] = {}

        def key(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return "array", self.same.get(id(value), id(value))
            if isinstance(value, tuple | list):
                return tuple(map(key, value))
            return repr(value)

        for node in self.trace.nodes:
            number = id(node.out.array)
            if node.writes:
                self.writes.setdefault(number, []).append(node)
                continue
            self.nodes[number] = node
            if (unchanged := self._unchanged(node)) is not None:
                self.same[number] = self.same.get(id(unchanged), id(unchanged))
                continue
            if getattr(node.function, "__name__", "") == "zeros_like" or isinstance(node.function, InnerBackward):
                continue
            mark = (str(node.function), key(node.inputs), key(tuple(sorted(node.options.items()))))
            self.same[number] = seen.setdefault(mark, number)

        for named in (self.held, self.called):
            for number, name in list(named.items()):
                named.setdefault(self.same.get(number, number), name)

    def _unchanged(self, node: Node) -> Array | None:
        """The array that a view equals: one of that shape already, or one that was turned before and is turned back."""
        if not node.is_view:
            return None
        given: Array = node.inputs[0]
        name, before = rule_name(node.function), self.nodes.get(self.same.get(id(given), id(given)))
        if name in ("reshape", "broadcast_to"):
            return given if given.shape == node.out.shape else None
        if before is None or not before.is_view or rule_name(before.function) != name:
            return None
        turned_back = name == "swapaxes" or (name == "transpose" and len(node.inputs) == 1 and not node.options)
        return before.inputs[0] if turned_back and before.inputs[1:] == node.inputs[1:] else None


def paths(layer: Layer, prefix: str = "") -> Iterator[tuple[Layer, str]]:
    """Every layer in a layer, and how its code calls that: "", "gate.", "layers[1]."."""
    yield layer, prefix
    for place, inner in enumerate(layer.layers):
        name = next((name for name, value in vars(layer).items() if value is inner), f"layers[{place}]")
        yield from paths(inner, f"{prefix}{name}.")

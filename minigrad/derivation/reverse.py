"""Reverse mode: the nodes of a forward from the last one to the first, each handing on what reaches its inputs.

It is written with the functions of NumPy alone, so that the same walk computes a gradient, is recorded into a program,
and is written down as source.
"""

from __future__ import annotations

from collections import Counter
from types import MethodDescriptorType
from typing import Any

import numpy as np

from minigrad.derivation.places import Picked, is_slicing, view_slope
from minigrad.derivation.reductions import spread
from minigrad.derivation.rules import rule_of
from minigrad.derivation.trace import DerivationError, Inner, Node, Trace, line_of
from minigrad.layer import Layer
from minigrad.parameter import Array, gradient_name, walk
from minigrad.programs.ir.memory import arrays_in, owner
from minigrad.programs.tracing.arrays import raw

ITS_OWN = (
    "has a backward of its own, which can be asked where the layer runs once, or has no state, and only what it "
    "returns is read; else write a backward for the layer around it"
)


class Reverse:
    """The gradients of a traced forward, by the arrays that they belong to.

    `recording` says that values are to be recording arrays; else they are plain ones. `finished` are the layers inside
    whose own backward has set their gradients, by their numbers of `id`.
    """

    def __init__(self, trace: Trace, recording: bool) -> None:
        self._trace, self._recording = trace, recording
        self._gradients: dict[int, Any] = {}
        self._makers = {id(node.out.array): node for node in trace.nodes if not node.writes}
        self.finished: set[int] = set()
        self._again: set[int] = set()
        self._sums: dict[tuple[int, str], Any] = {}
        self._odd: set[int] = set()  # what is |a| in sign(a) h(|a|)
        self._own: set[int] = set()  # of arrays whose gradient is an array that nobody else has

    def run(self, y: Array, dy: Any) -> None:
        """Walk back from y, which dy reaches."""
        self._give(y, dy)
        spans = {inner.stop: inner for inner in self._by_themselves()}
        nodes, place = self._trace.nodes, len(self._trace.nodes)
        while place > 0:
            inner = spans.get(place)
            if inner is not None:
                self._through(inner)
                place = inner.start
                continue
            place -= 1
            self._back(nodes[place])

    def of(self, array: Array) -> Any:
        """The gradient of an array, of its shape; None where y does not depend on it."""
        g = self._gradients.get(id(array))
        if g is None or g.shape == array.shape:
            return g
        return np.zeros_like(self._value(array)) + g

    # ---------------------------------------------------------------------------------------------- inner layers
    def _by_themselves(self) -> list[Inner]:
        """The calls of inner layers that have a backward of their own, where that is asked.

        It belongs to the latest call. A layer of the package that has run several times is derived, which is as right;
        one of the user's own, of which nobody knows that, runs again before each. So too where what a layer keeps is
        read: the package's is derived, the user's refused.
        """
        calls = Counter(id(inner.layer) for inner in self._trace.inner)
        found = [
            inner
            for inner in self._trace.inner
            if calls[id(inner.layer)] == 1 or (inner.may_run_again and not inner.is_derived_as_well)
        ]
        for inner in list(found):
            made = {id(node.out.array) for node in self._trace.nodes[inner.start : inner.stop]} - {id(inner.y)}
            outside = self._trace.nodes[: inner.start] + self._trace.nodes[inner.stop :]
            if any(id(array) in made for node in outside for array in arrays_in((node.inputs, node.options))):
                found = [each for each in found if each.layer is not inner.layer]
        apart = {id(inner.layer) for inner in found}
        for number, error in self._trace.spoiled.items():
            if number not in apart:
                raise error
        for inner in self._trace.inner:
            if id(inner.layer) not in apart and not inner.is_derived_as_well:
                raise DerivationError(f"{line_of(inner.frames)}: {inner.layer!r} {ITS_OWN}")
        self._again = {number for number in apart if calls[number] > 1}
        return found

    def _through(self, inner: Inner) -> None:
        g, layer = self._gradients.pop(id(inner.y), None), inner.layer
        if g is None:
            g = np.zeros_like(self._value(inner.y))
        if id(layer) in self._again:
            self._run_again(inner)
        dx = self._inner_backward(layer, spread(g, inner.y))
        if id(layer) in self._again:
            self._sum_up(layer)
        self.finished.update(map(id, walk([layer])))
        if dx is not None:
            self._give(inner.x, dx)

    def _run_again(self, inner: Inner) -> None:
        """Have a layer keep what belongs to a call that is not its latest."""
        inner.layer.forward(self._value(inner.x))

    def _sum_up(self, layer: Layer) -> None:
        """Add the gradients of this call to those of its later ones."""
        for each in walk([layer]):
            for name in each.params:
                there = vars(each)[gradient_name(each, name)]
                total = self._sums.get((id(each), name))
                self._sums[id(each), name] = there + 0 if total is None else total + there
                there[...] = self._sums[id(each), name]

    def _inner_backward(self, layer: Layer, g: Any) -> Any:
        return layer.backward(g)

    # ------------------------------------------------------------------------------------------------------ nodes
    def _back(self, node: Node) -> None:
        if node.writes:
            self._unwrite(node)
            return
        g = self._gradients.pop(id(node.out.array), None)
        if g is None or not node.is_active:
            return
        y, inputs, options = self._value(node.out.array), self._values(node.inputs), self._values(node.options)
        if node.is_view:
            share = view_slope(node.function, g, y, inputs, options)
            if share is None:
                share = self._by_places(node)
            self._hand(node.inputs[0], share, g, y)
            return
        u = self._exponent_below(node)
        if u is not None:
            s = y if is_one(node.inputs[0]) else 1 / inputs[1]
            self._hand(u, -(g * (y * (1 - s))), g, y, elementwise=True)
        if id(node.out.array) in self._odd:
            self._hand(node.inputs[0], g * np.copysign(1.0, inputs[0]), g, y, elementwise=True)
            return
        odd = self._odd_in(node)
        if odd is not None and node.function is np.multiply:
            h, a = odd
            self._hand(h, g * np.copysign(1.0, self._value(a)), g, y, elementwise=True)
            return
        if node.function is np.multiply and node.inputs[0] is node.inputs[1]:
            self._hand(node.inputs[0], g * (2 * inputs[0]), g, y, elementwise=True)
            return
        rule = rule_of(node.function)
        assert rule is not None  # else the trace has refused it
        for position, given in enumerate(node.inputs):
            if not (rule.moves(position) and self._trace.is_active(given)) or (u is not None and position == 1):
                continue
            share = rule.slope(position, g, y, *inputs, **options)
            if isinstance(given, np.ndarray):
                self._hand(given, share, g, y, rule.elementwise)
                continue
            for part, own in zip(given, share, strict=True):
                if self._trace.is_active(part):
                    self._hand(part, own, g, y)

    def _unwrite(self, node: Node) -> None:
        """To what was written or added goes what has reached its places: all that was read of them was read later."""
        whole = self.of(owner(node.out.array))
        if whole is None or not self._trace.is_active(node.inputs):
            return
        g = self._looked(node.out.array, whole)
        self._give(node.inputs[0], gathered(g, node.inputs[0].shape, g.shape, True))

    def _looked(self, array: Array, whole: Any) -> Any:
        """The view of `whole` that an array is of its owner."""
        if array is owner(array):
            return whole
        made = self._makers[id(array)]
        seen, more = self._looked(made.inputs[0], whole), self._values(made.inputs[1:])
        if isinstance(made.function, MethodDescriptorType):  # such as transpose, of plain arrays alone
            return getattr(seen, made.function.__name__)(*more, **made.options)
        return made.function(seen, *more, **made.options)

    def _exponent_below(self, node: Node) -> Array | None:
        """u where a node makes y = a / (1 + exp(u)), to which du = -y (1 - s) g leads, s = 1 / (1 + exp(u)).

        The rules of its three functions, one after the other, would multiply 0 by an exp(u) that has overflowed.
        """
        if node.function is not np.divide:
            return None
        sum_ = self._makers.get(id(node.inputs[1]))
        if sum_ is None or sum_.function is not np.add or not any(map(is_one, sum_.inputs)):
            return None
        exp = self._makers.get(id(sum_.inputs[is_one(sum_.inputs[0])]))
        return exp.inputs[0] if exp is not None and exp.is_active and exp.function is np.exp else None

    def _odd_in(self, node: Node) -> tuple[Array, Array] | None:
        """h and a where a node makes y = sign(a) h, or copysign(h, a), and h depends on x by |a| alone.

        There the sign and the slope of |a| are one factor: at a = 0, where both are 0 and the slope of y is that of h,
        1 stands for each.
        """
        pairs = [(node.inputs[0], node.inputs[1])] if node.function is np.copysign else []
        if node.function is np.multiply:
            makers = [self._makers.get(id(given)) for given in node.inputs]
            pairs = [(node.inputs[1 - k], each.inputs[0]) for k, each in enumerate(makers) if each and _is_sign(each)]
        for h, a in pairs:
            waiting, ends = [h], set[int]()
            while waiting:
                array = waiting.pop()
                made = self._makers.get(id(array))
                if made is None or made.is_view:
                    break
                if made.function in (np.absolute, np.fabs) and made.inputs[0] is a:
                    ends.add(id(array))
                else:
                    waiting += filter(self._trace.is_active, arrays_in((made.inputs, made.options)))
            else:
                self._odd |= ends
                return h, a
        return None

    def _by_places(self, node: Node) -> Picked:
        """For any other view: which element of its first input each of its own is."""
        base, view = node.inputs[0], node.out.array
        item, size = base.itemsize, base.size
        home = owner(base)
        numbers = np.full(sum((n - 1) * abs(s) for n, s in zip(home.shape, home.strides, strict=True)) // item + 1, -1)

        def of(array: Array) -> Array:
            offset = (array.__array_interface__["data"][0] - home.__array_interface__["data"][0]) // item
            strides = [stride // item * numbers.itemsize for stride in array.strides]
            return np.lib.stride_tricks.as_strided(numbers[offset:], array.shape, strides)

        of(base)[...] = np.arange(size).reshape(base.shape)
        return Picked(np.unravel_index(of(view).copy(), base.shape))

    def _hand(self, array: Array, share: Any, g: Any, y: Any, elementwise: bool = False) -> None:
        """What reaches an input: summed over the axes along which it was broadcast."""
        if isinstance(share, Picked):
            self._place(array, share.index, g)
        else:
            self._give(array, gathered(share, array.shape, y.shape, elementwise))

    def _place(self, array: Array, index: Any, g: Any) -> None:
        """Add g to some places of the gradient of an array."""
        key, there = id(array), self._gradients.get(id(array))
        if there is None:
            whole = np.zeros_like(self._value(array))
            if is_slicing(index):
                whole[index] = g
            else:
                np.add.at(whole, index, g)
        else:
            whole = there if key in self._own else np.zeros_like(self._value(array)) + there
            if is_slicing(index):
                parts = index if isinstance(index, tuple) else (index,)
                part = whole[parts if Ellipsis in parts else (*parts, Ellipsis)]
                np.add(part, g, out=part)
            else:
                np.add.at(whole, index, g)
        self._gradients[key] = whole
        self._own.add(key)

    def _give(self, array: Array, share: Any) -> None:
        """Add to the gradient of an array."""
        if not self._trace.is_active(array):
            return
        if share.dtype != array.dtype and array.dtype.kind == "f":
            share = share.astype(array.dtype)
        key = id(array)
        if key in self._gradients:
            before = self._gradients[key]
            self._gradients[key] = before + share
            if self._gradients[key].shape == array.shape:
                self._own.add(key)
        else:
            self._gradients[key] = share

    # ----------------------------------------------------------------------------------------------------- values
    def _value(self, array: Array) -> Any:
        value = self._trace.value(array)
        return value if self._recording else raw(value)

    def _values(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self._value(value)
        if isinstance(value, tuple | list):
            return type(value)(map(self._values, value))
        return {name: self._values(item) for name, item in value.items()} if isinstance(value, dict) else value


def _is_sign(node: Node) -> bool:
    return node.function is np.sign


def is_one(value: Any) -> bool:
    """Whether a value is the number 1."""
    return isinstance(value, int | float) and value == 1


def gathered(share: Any, shape: tuple[int, ...], whole: tuple[int, ...], elementwise: bool) -> Any:
    """What has reached an input of this shape, where the operation has spread it to the shape `whole`."""
    if elementwise and shape != whole and share.shape != whole:
        share = np.broadcast_to(share, whole)
    extra = share.ndim - len(shape)
    if extra > 0:
        share = share.sum(axis=0 if extra == 1 else tuple(range(extra)))
    before = len(shape) - share.ndim
    last = share.ndim - 1
    ones = tuple(-1 if k == last else k for k, n in enumerate(share.shape) if n != 1 and shape[before + k] == 1)
    return share.sum(axis=ones[0] if len(ones) == 1 else ones, keepdims=True) if ones else share

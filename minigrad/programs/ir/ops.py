"""The form of a program: values, views of them, and ops that make new values of old ones.

Every value is assigned once: an op that changes part of an array makes the next *version* of it, a value of its own
that `follows` the one before. So the order of the ops says nothing that the values do not say, and whoever writes a
program down (as NumPy, as a sheet, as a page) decides alone where each value lies. Only `memory`, the number that all
versions of one array share, tells a writer that works in place what may be overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from minigrad.parameter import Array

Position: TypeAlias = int | Literal["loss", "optimizer", "all"]
Role: TypeAlias = Literal["batch", "parameter", "gradient", "state", "memory", "coefficient", "constant", "made"]
Place: TypeAlias = tuple[int, int, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Scope:
    """Whose op it is: the `verb` ("forward", "backward", "update" …) of a layer, of the loss or of the optimizer.

    `position` is the layer's in the chain, from 0, or says "loss" or "optimizer"; `title` is its repr.
    """

    verb: str
    position: Position
    title: str


@dataclass(eq=False)
class Value:
    """An array at one moment: a run of elements of `dtype`, of which `shape` and `strides` (in elements) are the whole.

    `role` says where it comes from: the "batch" (x, t and w), a "parameter" (theta), a "gradient" (dtheta), a "state"
    of a layer, the "memory" or a "coefficient" of the optimizer, a "constant" that a layer holds, or "made" by an op.
    `follows` is the version before it. `name` is its own in its program: the textbook's, where there is one (`z1`,
    `theta`, after the update `theta_new`), else `v1`, `v2` and so on. A value equals itself alone.
    """

    number: int
    memory: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    role: Role
    follows: Value | None = None
    name: str = ""

    @cached_property
    def whole(self) -> View:
        """All of it."""
        return View(self, 0, self.shape, self.strides)

    @property
    def first(self) -> Value:
        """The version that follows none: what its memory was made as, or was given as."""
        value = self
        while value.follows is not None:
            value = value.follows
        return value

    def empty(self) -> Array:
        """Memory for it, of zeros, in which it lies as it did when it was recorded."""
        elements = np.zeros(self.whole.extent, self.dtype)
        return np.lib.stride_tricks.as_strided(elements, self.shape, [s * self.dtype.itemsize for s in self.strides])

    def __repr__(self) -> str:
        return f"<{self.role} {self.name or self.number}, {self.shape} {self.dtype}>"


@dataclass(frozen=True, repr=False, slots=True)
class View:
    """Some elements of a value as an array: the first one lies at `offset`, `strides` lead on; both count elements."""

    value: Value
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The value's."""
        return self.value.dtype

    @property
    def memory(self) -> int:
        """The value's."""
        return self.value.memory

    @property
    def place(self) -> Place:
        """Where it lies, whatever version of the memory it is a view of."""
        return self.value.memory, self.offset, self.shape, self.strides

    @property
    def span(self) -> tuple[int, int]:
        """The lowest of its elements, and the one after the highest; both the offset where it has none."""
        if 0 in self.shape:
            return self.offset, self.offset
        steps = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        return self.offset + sum(s for s in steps if s < 0), self.offset + sum(s for s in steps if s > 0) + 1

    @property
    def extent(self) -> int:
        """How many elements lie from its lowest to its highest."""
        low, high = self.span
        return high - low

    def __repr__(self) -> str:
        return f"<{self.shape} at {self.offset} of {self.value.name or self.value.number}>"

    def of(self, value: Value) -> View:
        """The same elements of another value."""
        return self if value is self.value else replace(self, value=value)

    def array(self, home: Array) -> Array:
        """The view on the memory of an array, which lies there as the value's whole does."""
        if self == self.value.whole:
            return home
        bytes_apart = [stride * home.itemsize for stride in self.strides]
        elements = np.lib.stride_tricks.as_strided(home, (self.value.whole.extent,), (home.itemsize,))
        return np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, bytes_apart)


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """One operation: `function` of the `inputs` (views, numbers, nested tuples of them) with `options` makes `out`.

    The classes below say how it is run. `pure` ops may be dropped where nobody reads what they make, and an equal one
    may stand for them.
    """

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: Mapping[str, Any]
    out: View
    scope: Scope

    pure: ClassVar[bool] = True

    @property
    def part(self) -> Scope:
        """The scope, by its name of before."""
        return self.scope

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """Run it with arrays in place of the views."""
        raise NotImplementedError

    @cached_property
    def reads(self) -> Sequence[View]:
        """The views that it reads."""
        return tuple(views_in((self.inputs, self.options)))

    @property
    def writes(self) -> Sequence[View]:
        """The views that it makes."""
        return (self.out,)

    @property
    def fresh(self) -> bool:
        """Whether it makes the first version of an array."""
        return self.out.value.follows is None

    def on(self, thing: Callable[[Any], Any]) -> Op:
        """The same op with the method of another object, where its function is a method."""
        home = getattr(self.function, "__self__", None)
        other = home if isinstance(home, np.ufunc) else thing(home)
        return self if other is home else replace(self, function=getattr(other, self.function.__name__))

    def with_views(self, change: Callable[[View], View]) -> Op:
        """The same op with other views."""
        return replace(
            self,
            inputs=exchange(self.inputs, change),
            options=exchange(dict(self.options), change),
            out=change(self.out),
        )

    def __str__(self) -> str:
        return f"{function_name(self.function)}, in {self.scope.verb} of {self.scope.title}"

    def __repr__(self) -> str:
        inputs = ", ".join(map(repr, self.inputs))
        return f"<{type(self).__name__} {function_name(self.function)}({inputs}) -> {self.out!r}, {self.scope.verb}>"


class Into(Op):
    """A function that writes its result into an array that it is given."""

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """`function(*inputs, out=out)`"""
        self.function(*inputs, out=out, **options)


class Elementwise(Into):
    """A ufunc: an element of `out` depends on the inputs' elements at the same position, after broadcasting, alone."""


class Product(Into):
    """A ufunc with a signature: matmul, vecdot and their like, which sum over an axis that two inputs share."""


class Reduce(Into):
    """A ufunc's `reduce`, such as `np.add.reduce` (a sum); `options` has axis and keepdims."""

    @property
    def ufunc(self) -> np.ufunc:
        """The ufunc that is applied over and over."""
        ufunc: np.ufunc = self.function.__self__  # type: ignore[attr-defined]
        return ufunc


class Copy(Op):
    """The one input, broadcast to `out`."""

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """`out[...] = input`"""
        out[...] = inputs[0]


class Call(Op):
    """Any other function of NumPy, an indexing by arrays, an array's method: `out = function(*inputs, **options)`."""

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """`out[...] = function(*inputs)`"""
        out[...] = self.function(*inputs, **options)


class Draw(Call):
    """Random numbers: `function` is a method of a generator. Draws keep their order, and none is left out."""

    pure = False


class Change(Op):
    """A function that changes an array in place: `out` is all of the next version of its first input."""

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """`function(*inputs)`, the first of which lies in the memory of `out`."""
        self.function(*inputs, **options)


@dataclass(frozen=True, eq=False, repr=False)
class Opaque(Call):
    """Code that could not be recorded, run as it is; `out` is what it returns (of no elements, where that is nothing).

    It may read and change the arrays of its layer: `before` are their versions until then, `after` the next ones. `why`
    is what stood in the way.
    """

    before: tuple[View, ...] = ()
    after: tuple[View, ...] = ()
    why: str = ""

    pure = False

    def run(self, inputs: Sequence[Any], options: Mapping[str, Any], out: Array) -> None:
        """`out[...] = function(*inputs)`"""
        returned = self.function(*inputs, **options)
        if returned is not None:
            out[...] = returned

    @cached_property
    def reads(self) -> Sequence[View]:
        """The arguments, and the layer's arrays."""
        return (*super().reads, *self.before)

    @property
    def writes(self) -> Sequence[View]:
        """The result, and the layer's arrays."""
        return (self.out, *self.after)

    def with_views(self, change: Callable[[View], View]) -> Op:
        """The same op with other views."""
        changed = super().with_views(change)
        return replace(changed, before=exchange(self.before, change), after=exchange(self.after, change))  # type: ignore[call-arg]


@dataclass(eq=False)
class Program:
    """Lines in an order in which they can be run, and what they start from.

    `given` has the array behind each value that no op makes: the model's own, and the places of a batch. `result` is
    what the program returns; `lasting` are the last versions of what outlives it (parameters, gradients, state, the
    optimizer's memory). `names` has a name for every place that ops make.
    """

    ops: Sequence[Op]
    given: Mapping[Value, Array]
    result: View
    lasting: Sequence[Value]
    names: Mapping[Place, str]
    title: str
    known: dict[Place, Array] = field(default_factory=dict, repr=False)
    """Arrays that views of given values were seen as: NumPy is quicker with one object than with two of one memory."""

    @property
    def lines(self) -> Sequence[Op]:
        """The ops: a program prints one line for each."""
        return self.ops

    @property
    def values(self) -> list[Value]:
        """Every value, given or made, in the order of their numbers."""
        made = [view.value for op in self.ops for view in op.writes]
        return sorted({*self.given, *made}, key=lambda value: value.number)

    @property
    def inputs(self) -> list[Value]:
        """The batch: x, t, and the weights if there are any."""
        return [value for value in self.given if value.role == "batch"]

    def array(self, view: View) -> Array:
        """The array at a view of given memory, as it is now; the same object every time."""
        if view.place not in self.known:
            self.known[view.place] = view.array(self.homes[view.memory])
        return self.known[view.place]

    def on(self, thing: Callable[[Any], Any]) -> Program:
        """The same program on other things: `thing(array)` is what takes an array's place, and so with generators and
        objects whose methods are called.
        """
        given = {value: thing(array) for value, array in self.given.items()}
        known = {place: thing(array) for place, array in self.known.items() if thing(array) is not array}
        return Program(
            [op.on(thing) for op in self.ops], given, self.result, self.lasting, self.names, self.title, known
        )

    @cached_property
    def homes(self) -> dict[int, Array]:
        """The array that each given memory is."""
        return {value.memory: array for value, array in self.given.items()}


def views_in(value: Any) -> list[View]:
    """All views in nested tuples, lists and dicts."""
    if isinstance(value, View):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    return [view for item in value for view in views_in(item)] if isinstance(value, tuple | list) else []


def exchange(value: Any, change: Callable[[View], Any]) -> Any:
    """The same nested tuples, lists and dicts with every view changed."""
    if isinstance(value, View):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(exchange(item, change) for item in value)
    if isinstance(value, dict):
        return {name: exchange(item, change) for name, item in value.items()}
    return value


def in_c_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many elements lead on along each axis of what lies row by row."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def function_name(function: Callable[..., Any]) -> str:
    """What a function is called in NumPy, such as "add" and "add.reduce"; a method with the name of its class."""
    name, home = getattr(function, "__name__", type(function).__name__), getattr(function, "__self__", None)
    if isinstance(home, np.ufunc):
        return f"{home.__name__}.{name}"
    if home is not None and not isinstance(function, type(len)):
        return f"{type(home).__name__}.{name}"
    return name


def is_matrix_product(op: Op) -> bool:
    """Whether an op multiplies two matrices of floats."""
    return op.function is np.matmul and all(
        isinstance(v, View) and len(v.shape) == 2 and v.dtype == op.out.dtype and v.dtype.kind == "f"
        for v in (*op.inputs, op.out)
    )


def in_place(op: Op, target: View) -> bool:
    """Whether the op may write its result over those of its operands that lie in the target's memory."""
    mine = (view for view in op.reads if view.memory == target.memory)
    return isinstance(op, Elementwise) and all(view.place == target.place for view in mine)


class Unwritable(ValueError):
    """An op that a backend can't write, and why."""

    def __init__(self, op: Op, why: str) -> None:
        super().__init__(f"{op}: {why}")
        self.line = op
        self.why = why

"""Recording arrays: they compute as NumPy arrays do, and note down every operation on a tape.

The layers of a model run on them unchanged. What can't be noted down, such as a decision that depends on a value,
raises Untraceable: a recorded step must be the same sequence of operations whatever the numbers are.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address, arrays_in, owner
from minigrad.programs.ir.ops import (
    Call,
    Change,
    Copy,
    Draw,
    Elementwise,
    Op,
    Opaque,
    Place,
    Position,
    Product,
    Reduce,
    Role,
    Scope,
    Value,
    View,
)

FREE_OF_VALUES: set[Any] = {np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast}
SHAPED_BY_VALUES = {"nonzero", "flatnonzero", "argwhere", "compress", "extract", "bincount", "delete", "trim_zeros"} | {
    name for name in dir(np) if name.startswith(("unique", "union1d", "intersect1d", "setdiff1d", "setxor1d"))
}
UNNOTED = {"item", "tolist", "tobytes", "fill", "sort", "partition", "put", "resize", "byteswap"}  # of methods
REDUCTIONS: dict[str, np.ufunc] = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


class Untraceable(TypeError):
    """An operation whose outcome, or whose very happening, depends on the values of a recording array.

    `raised()` counts those of this thread: code that catches one, and goes on, has not done what it does with plain
    arrays.
    """

    counts: ClassVar[threading.local] = threading.local()

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        Untraceable.counts.raised = Untraceable.raised() + 1

    @staticmethod
    def raised() -> int:
        """How many there have been in this thread."""
        count: int = getattr(Untraceable.counts, "raised", 0)
        return count


class Tape:
    """The ops of a trace in order, and which value each array is at the moment.

    It keeps alive what is given, and nothing that ops make: a recording takes no more memory than the work does.

    `scope` says whose ops follow; `results` has what each part's verbs returned. `titles` says how the parts are
    called. `trace` is told of every op and of every view, if there is one: a backward is derived from it.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.scope: Scope = Scope("", "all", "")
        self.results: dict[tuple[str, Position], View] = {}
        self.titles: dict[Position, str] = {}
        self.given: dict[Value, Array] = {}
        self.known: dict[Place, Array] = {}
        self.trace: Any = None
        self._current: list[Value] = []
        self._memories: dict[int, int] = {}
        self._ends: dict[int, Any] = {}  # a number of `id` may come again when an array is gone
        self._values = 0

    def introduce(self, array: Array, role: Role) -> Value:
        """The present value of an array that is there already; `role` counts where it was not met before."""
        base = owner(array)
        memory = self._memories.get(id(base))
        if memory is None:
            value = self._new_memory(base, role)
            self.given[value] = base
            return value
        return self._current[memory]

    def view(self, array: Array) -> View:
        """The view that an array is of the present value of its memory."""
        value, base, size = self.introduce(array, "constant"), owner(array), array.itemsize
        if array is base and value.role == "made":
            return value.whole
        if array.dtype != value.dtype or min(base.strides, default=0) < 0:
            raise Untraceable("an array is looked at as one of another dtype, or lies in memory backwards")
        offset = (address(array) - address(base)) // size
        view = View(value, offset, array.shape, tuple(stride // size for stride in array.strides))
        if value.role != "made":
            self.known.setdefault(view.place, array)
        return view

    def met(self, array: Array) -> View | None:
        """The view that an array is, if its memory has been met."""
        return self.view(array) if id(owner(array)) in self._memories else None

    def note(
        self,
        kind: type[Op],
        function: Callable[..., Any],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        out: Any,
        *,
        fresh: bool = True,
        **more: Any,
    ) -> TracingArray:
        """Append an op for what has just been done, and return its result as a recording array.

        `fresh` says that the memory of `out` came into being here; else `out` is the next version of what it was.
        """
        out = np.asarray(out)
        seen, chosen = self._views(inputs), self._views(options)
        if fresh:
            self._new_memory(owner(out), "made")
        else:
            self._new_version(out)
        self.ops.append(kind(function, seen, chosen, self.view(out), self.scope, **more))
        noted = TracingArray(out, self, made=fresh)
        if self.trace is not None:
            self.trace.follow(function, inputs, options, noted, fresh)
        return noted

    def look(self, function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], seen: Array) -> Any:
        """A function has given a view of memory that is known: its recording array."""
        view = TracingArray(seen, self)
        if self.trace is not None:
            self.trace.follow_view(function, inputs, options, view)
        return view

    def note_opaque(
        self, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any, arrays: Iterable[Array], why: str
    ) -> TracingArray:
        """Append an op for code that ran as it is, for the reason `why`, and may change these arrays.

        It will be given copies, and what it returns will be copied. Where a product would see that by the strides, its
        last bits may be other ones: that is refused.
        """
        if not all(map(lies_as_its_copy, arrays_in((inputs, result)))):
            raise Untraceable("an array that it is given, or that it returns, lies in memory with gaps")
        arrays = list({id(base): base for base in map(owner, arrays)}.values())
        before = tuple(map(self.view, arrays))
        seen = self._views(inputs)
        after = tuple(self._new_version(array).whole for array in arrays)
        out = np.empty(0) if result is None else np.array(result)
        self._new_memory(out, "made")
        self.ops.append(Opaque(function, seen, {}, self.view(out), self.scope, before, after, why))
        return TracingArray(out, self)

    def _views(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.view(value)
        if isinstance(value, tuple | list):
            return type(value)(map(self._views, value))
        return {name: self._views(item) for name, item in value.items()} if isinstance(value, dict) else value

    def _new_memory(self, base: Array, role: Role) -> Value:
        self._memories[id(base)] = memory = len(self._current)
        if role == "made":
            self._ends[memory] = weakref.ref(base, partial(self._forget, id(base), memory))
        strides = tuple(stride // max(base.itemsize, 1) for stride in base.strides)
        value = Value(self._values, memory, base.shape, strides, base.dtype, role)
        self._current.append(value)
        self._values += 1
        return value

    def _forget(self, number: int, memory: int, _: Any) -> None:
        self._memories.pop(number, None)
        self._ends.pop(memory, None)

    def _new_version(self, array: Array) -> Value:
        before = self.introduce(array, "constant")
        value = replace(before, number=self._values, follows=before)
        self._current[before.memory] = value
        self._values += 1
        return value

    def origin(self, value: Value) -> int | None:
        """What tells a given array from another, as long as both recordings are kept; None for a made one."""
        return None if value.role == "made" else id(self.given[value.first])


def lies_as_its_copy(array: Array) -> bool:
    """Whether a copy of an array has the same strides."""
    pairs = zip(array.shape, array.strides, array.copy("K").strides, strict=True)
    return all(own == copied for length, own, copied in pairs if length > 1)


def raw(value: Any) -> Any:
    """The plain arrays in a value, in tuples, lists and dicts too."""
    if isinstance(value, TracingArray):
        return value.array
    if isinstance(value, tuple | list):
        return type(value)(raw(item) for item in value)
    if isinstance(value, dict):
        return {name: raw(item) for name, item in value.items()}
    return value


class TracingArray(NDArrayOperatorsMixin):
    """An array that notes down what is done to it. Views are recording arrays of the same memory.

    `made` says that it came into being here: where it has no axes, the layers have a NumPy scalar in its place. `weak`
    says that they have a Python number, which takes the dtype of the array that it meets.
    """

    __slots__ = ("array", "made", "tape", "weak")
    __array_priority__ = 1000

    def __init__(self, array: Array, tape: Tape, *, made: bool = False, weak: bool = False) -> None:
        self.array: Array = array
        self.tape: Tape = tape
        self.made: bool = made
        self.weak: bool = weak

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` is told: the class of what the layers have in its place."""
        if self.weak:
            return float
        return np.ndarray if self.ndim or not self.made else self.dtype.type

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of the array."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """As of the array."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """As of the array."""
        return self.array.size

    @property
    def strides(self) -> tuple[int, ...]:
        """As of the array."""
        return self.array.strides

    @property
    def T(self) -> TracingArray:
        """The transposed view."""
        seen: TracingArray = self.tape.look(np.transpose, (self.array,), {}, self.array.T)
        return seen

    @property
    def real(self) -> TracingArray:
        """A view of the real parts: of everything."""
        seen: TracingArray = self.tape.look(np.real, (self.array,), {}, self.array.real)
        return seen

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        return f"<a recording array of shape {self.shape}, {self.dtype}>"

    def __bool__(self, *_: Any) -> Any:
        raise Untraceable("a decision depends on the values of an array")

    __float__: Callable[..., Any] = __bool__
    __int__: Callable[..., Any] = __bool__
    __index__: Callable[..., Any] = __bool__
    __complex__: Callable[..., Any] = __bool__
    __contains__: Callable[..., Any] = __bool__

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Untraceable("an array is handed to code that takes plain arrays only")

    def __iter__(self) -> Any:
        return (self[row] for row in range(len(self)))

    def __deepcopy__(self, memo: Any) -> TracingArray:
        return self.copy()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **options: Any) -> Any:
        """Run and note a ufunc or a method of one."""
        if ufunc.nout != 1 or ("where" in options and method != "reduce"):
            raise Untraceable(f"{ufunc.__name__} with several results or with where=")
        _refuse_another_tape(self.tape, (inputs, options))
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        weak = method == "__call__" and all(_is_weak(value) for value in inputs)
        if (
            method == "__call__"
            and not weak
            and any(_is_weak(value) and isinstance(value, TracingArray) for value in inputs)
        ):
            inputs = self._with_dtypes(ufunc, inputs)
        arguments = raw(inputs)
        if method == "at":
            function(*arguments)
            self._note_change(function, arguments)
            return None
        call = Elementwise if ufunc.signature is None else Product
        whole = Call if "where" in options else Reduce
        kind: type[Op] = {"__call__": call, "reduce": whole}.get(method, Call)
        (target,) = out
        if target is None:
            options = raw(options)
            result = self.tape.note(kind, function, arguments, options, function(*arguments, **options))
            result.weak = weak and result.dtype == np.float64
            return result
        if not isinstance(target, TracingArray):
            raise Untraceable(f"{ufunc.__name__} writes into an array that is not part of the model")
        if options.get("where", True) is not True:
            raise Untraceable(f"{ufunc.__name__} writes a part of an array, with where=")
        function(*arguments, out=target.array, **options)
        self.tape.note(kind, function, arguments, options, target.array, fresh=False)
        return target

    def _with_dtypes(self, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs with each Python number that is on the tape cast to the dtype that it takes among the others."""
        promoted = [float if _is_weak(v) else np.asarray(raw(v)).dtype for v in inputs]
        dtypes = ufunc.resolve_dtypes((*promoted, None))
        return tuple(
            self.tape.note(Copy, np.copyto, (v.array,), {}, v.array.astype(dtype))
            if isinstance(v, TracingArray) and v.weak
            else v
            for v, dtype in zip(inputs, dtypes, strict=False)
        )

    def __pow__(self, other: Any) -> Any:
        a_number = isinstance(other, int | float | np.generic) and not isinstance(other, TracingArray)
        if self.made and self.ndim == 0 and a_number:
            # A NumPy scalar's power is C's, which may differ from the ufunc's in the last bit.
            return self.tape.note(Call, scalar_power, (self.array, other), {}, scalar_power(self.array, other))
        return super().__pow__(other)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Run and note any other NumPy function."""
        _refuse_if_it_depends_on_values(function.__name__, args, kwargs)
        _refuse_another_tape(self.tape, (args, kwargs))
        if function in SPELLED_OUT:
            return SPELLED_OUT[function](*args, **kwargs)
        arguments, options = raw(args), raw(kwargs)
        result = function(*arguments, **options)
        return result if function in FREE_OF_VALUES else self._result(function, arguments, options, result)

    def _result(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> Any:
        """What a function returned, as recording arrays: a view of memory already known, or the outcome of a call."""
        given = [*arguments[1:], options.get("out")]
        if any(result is array for array in arrays_in(given)) or options.get("overwrite_input"):
            raise Untraceable(f"{function.__name__} writes into an array that it is given")
        if function is np.nan_to_num and "copy" in options:
            raise Untraceable("nan_to_num with copy=")
        if isinstance(result, np.ndarray) and type(result) is not np.ndarray:
            raise Untraceable(f"{function.__name__} returns a {type(result).__name__}")
        if isinstance(result, list | tuple):
            return type(result)(self._result(function, arguments, options, part) for part in result)
        if not isinstance(result, np.ndarray | np.generic):
            raise Untraceable(f"{getattr(function, '__name__', function)} returns a {type(result).__name__}")
        if isinstance(result, np.ndarray) and any(owner(result) is owner(a) for a in arrays_in((arguments, options))):
            return self.tape.look(function, arguments, options, result)
        return self.tape.note(Call, function, arguments, options, result)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array_"):
            self.__array__()
        method = getattr(np.ndarray, name)
        if not callable(method) or name in UNNOTED:
            raise Untraceable(f"an array's {name} is used")
        if name in REDUCTIONS:
            no_dtype = (None,) if name in ("max", "min") else ()
            return lambda axis=None, *more, **options: REDUCTIONS[name].reduce(
                self, axis, *(more and no_dtype), *more, **options
            )

        def call(*args: Any, **kwargs: Any) -> Any:
            _refuse_if_it_depends_on_values(name, (self, *args), kwargs)
            arguments, options = (self.array, *raw(args)), raw(kwargs)
            return self._result(method, arguments, options, method(*arguments, **options))

        return call

    def __getitem__(self, index: Any) -> Any:
        _refuse_another_tape(self.tape, index)
        plain = raw(index)
        parts = plain if isinstance(plain, tuple) else (plain,)
        if not all(map(_is_of_a_view, parts)):
            given = index if isinstance(index, tuple) else (index,)
            if any(isinstance(part, TracingArray) and part.dtype == bool for part in given):
                raise Untraceable("a selection depends on the values of an array")
            return self.tape.note(Call, operator.getitem, (self.array, plain), {}, self.array[plain])
        if Ellipsis not in parts:
            parts = (*parts, Ellipsis)  # so that a single element, too, is a view
        view = self.tape.look(operator.getitem, (self.array, parts), {}, self.array[parts])
        view.made = True
        return view

    def __setitem__(self, index: Any, value: Any) -> None:
        _refuse_another_tape(self.tape, (index, value))
        plain, value = raw(index), raw(value)
        parts = plain if isinstance(plain, tuple) else (plain,)
        if not all(map(_is_of_a_view, parts)):
            self.array[plain] = value
            self._note_change(operator.setitem, (self.array, plain, value))
            return
        parts = parts if Ellipsis in parts else (*parts, Ellipsis)
        target = self.tape.look(operator.getitem, (self.array, parts), {}, self.array[parts]).array
        target[...] = value
        self.tape.note(Copy, np.copyto, (value,), {}, target, fresh=False)

    def _note_change(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """A function has changed its first argument: all of the memory is said to, since it may be a part of it."""
        self.tape.note(Change, function, arguments, {}, owner(arguments[0]), fresh=False)


def _broadcast(*arrays: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(array, shape) for array in arrays)


SPELLED_OUT: dict[Any, Callable[..., Any]] = {
    np.broadcast_arrays: _broadcast,
    np.unstack: lambda x, /, *, axis=0: tuple(np.moveaxis(x, axis, 0)),
}
"""Functions that return several views, each as a function of one array."""


def _is_of_a_view(part: Any) -> bool:
    """Whether a part of an index gives a view; a list, or a tuple in a tuple, gives a copy."""
    return part is None or part is Ellipsis or (isinstance(part, int | slice | np.integer) and type(part) is not bool)


def _refuse_another_tape(tape: Any, values: Any) -> None:
    """Raise where an array is left from another forward: what was done to it is not on this tape."""
    if isinstance(values, TracingArray):
        if values.tape is not tape:
            raise Untraceable("it uses an array of an earlier forward, kept elsewhere than in an attribute")
    elif isinstance(values, dict):
        _refuse_another_tape(tape, tuple(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            _refuse_another_tape(tape, value)


def _is_weak(value: Any) -> bool:
    """Whether a value is a Python number in the layers, which takes the dtype of the array that it meets."""
    return value.weak if isinstance(value, TracingArray) else type(value) in (int, float)


def scalar_power(base: Array, exponent: Any) -> Any:
    """The power of a NumPy scalar."""
    return base[()] ** exponent


def _refuse_if_it_depends_on_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise where the very shape of a function's result depends on the values of its arguments."""
    repeated = name == "repeat" and any(isinstance(count, TracingArray) for count in (*args[1:], kwargs.get("repeats")))
    if repeated or name in SHAPED_BY_VALUES or (name == "where" and len(args) == 1):
        raise Untraceable(f"the shape of what {name} returns depends on the values of an array")


class TracingGenerator:
    """A random generator whose draws are noted down, to be drawn anew in every replay."""

    def __init__(self, generator: np.random.Generator, tape: Tape) -> None:
        self._generator, self._tape = generator, tape

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._generator, name)

        def draw(*args: Any, **kwargs: Any) -> Any:
            arguments, options = raw(args), raw(kwargs)
            drawn = method(*arguments, **options)
            if not isinstance(drawn, np.ndarray | float | int):
                raise Untraceable(f"a generator's {name} is used")
            noted = self._tape.note(Draw, method, arguments, options, drawn)
            noted.weak = isinstance(drawn, float)
            return noted

        return draw

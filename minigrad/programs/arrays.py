"""Recording arrays: they compute as NumPy arrays do, and note down every operation on a tape.

The layers of a model run on them unchanged. What can't be noted down, such as a decision that depends on a value,
raises Unrecordable: a recorded step must be the same sequence of operations whatever the numbers are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad.parameter import Array

FREE_OF_VALUES = {np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast}
SHAPED_BY_VALUES = {"nonzero", "flatnonzero", "argwhere", "compress", "extract", "bincount", "delete", "trim_zeros"} | {
    name for name in dir(np) if name.startswith(("unique", "union1d", "intersect1d", "setdiff1d", "setxor1d"))
}
REDUCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


class Unrecordable(TypeError):
    """An operation whose outcome, or whose very happening, depends on the values of a recording array."""


@dataclass(eq=False)
class Operation:
    """One step of a recording.

    `kind` says how it is run again:

    * "ufunc": `function(*inputs, out)`;
    * "reduce": `function(*inputs, out=out, **options)`;
    * "call": `out[...] = function(*inputs, **options)`;
    * "copy": `out[...] = inputs[0]`;
    * "effect": `function(*inputs, **options)`, which changes the memory of `out`.

    `fresh` says that the memory of `out` came into being here. `pure` operations can be dropped when nobody reads what
    they write, and merged with an equal one; the others draw random numbers or run code that can't be recorded.
    """

    kind: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    out: Any
    section: tuple[str, int]
    fresh: bool
    pure: bool = True


@dataclass
class Tape:
    """The operations in order, the part of the step that is being recorded, ("forward", 2), and each part's result."""

    operations: list[Operation] = field(default_factory=list)
    section: tuple[str, int] = ("", 0)
    results: dict[tuple[str, int], Array] = field(default_factory=dict)

    def note(
        self,
        kind: str,
        function: Callable[..., Any],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        out: Any,
        *,
        fresh: bool = True,
        pure: bool = True,
    ) -> Recorded:
        """Append an operation that has just been made, and return its result as a recording array."""
        out = np.asarray(out)
        self.operations.append(Operation(kind, function, inputs, options, out, self.section, fresh, pure))
        return Recorded(out, self)


def raw(value: Any) -> Any:
    """The plain arrays in a value, in tuples, lists and dicts too."""
    if isinstance(value, Recorded):
        return value.array
    if isinstance(value, tuple | list):
        return type(value)(raw(item) for item in value)
    if isinstance(value, dict):
        return {name: raw(item) for name, item in value.items()}
    return value


def owner(array: Any) -> Any:
    """The array whose memory this one is a view of."""
    base = array
    while (base := getattr(base, "base", None)) is not None:
        if isinstance(base, np.ndarray):
            array = base
    return array


class Recorded(NDArrayOperatorsMixin):
    """An array that notes down what is done to it. Views are recording arrays of the same memory."""

    __slots__ = ("array", "tape")
    __array_priority__ = 1000

    def __init__(self, array: Array, tape: Tape) -> None:
        self.array, self.tape = array, tape

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
    def T(self) -> Recorded:
        """The transposed view."""
        return Recorded(self.array.T, self.tape)

    @property
    def real(self) -> Recorded:
        """A view of the real parts: of everything."""
        return Recorded(self.array.real, self.tape)

    def __len__(self) -> int:
        return len(self.array)

    def __repr__(self) -> str:
        return f"<a recording array of shape {self.shape}, {self.dtype}>"

    def _refuse(self, *_: Any) -> Any:
        raise Unrecordable("a decision depends on the values of an array")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __contains__ = _refuse

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unrecordable("an array is handed to code that takes plain arrays only")

    def __iter__(self) -> Any:
        return (self[row] for row in range(len(self)))

    def __deepcopy__(self, memo: Any) -> Recorded:
        return self.copy()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (None,), **options: Any) -> Any:
        """Run and note a ufunc or a method of one."""
        if ufunc.nout != 1 or "where" in options:
            raise Unrecordable(f"{ufunc.__name__} with several results or with where=")
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        arguments = raw(inputs)
        if method == "at":
            function(*arguments)
            self.tape.note("effect", function, arguments, {}, arguments[0], fresh=False)
            return None
        kind = {"__call__": "ufunc", "reduce": "reduce"}.get(method, "call")
        (target,) = out
        if target is None:
            return self.tape.note(kind, function, arguments, options, function(*arguments, **options))
        if not isinstance(target, Recorded):
            raise Unrecordable(f"{ufunc.__name__} writes into an array that is not part of the model")
        function(*arguments, out=target.array, **options)
        self.tape.note(kind, function, arguments, options, target.array, fresh=False)
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Run and note any other NumPy function."""
        _refuse_if_it_depends_on_values(function.__name__, args, kwargs)
        arguments, options = raw(args), raw(kwargs)
        result = function(*arguments, **options)
        return result if function in FREE_OF_VALUES else self._result(function, arguments, options, result)

    def _result(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> Any:
        """What a function returned, as recording arrays: a view of memory already known, or the outcome of a call."""
        given = [*arguments[1:], options.get("out")]
        if any(result is array for array in arrays_in(given)) or options.get("overwrite_input"):
            raise Unrecordable(f"{function.__name__} writes into an array that it is given")
        if function is np.nan_to_num and "copy" in options:
            raise Unrecordable("nan_to_num with copy=")
        if isinstance(result, list | tuple):
            return type(result)(self._result(function, arguments, options, part) for part in result)
        if not isinstance(result, np.ndarray | np.generic):
            raise Unrecordable(f"{getattr(function, '__name__', function)} returns a {type(result).__name__}")
        if isinstance(result, np.ndarray) and any(owner(result) is owner(a) for a in arrays_in((arguments, options))):
            return Recorded(result, self.tape)
        return self.tape.note("call", function, arguments, options, result)

    def __getattr__(self, name: str) -> Any:
        method = getattr(np.ndarray, name)
        if not callable(method) or name in ("item", "tolist", "tobytes", "fill", "sort", "partition", "put", "resize"):
            raise Unrecordable(f"an array's {name} is used")
        if name in REDUCTIONS:
            return lambda axis=None, **options: REDUCTIONS[name].reduce(self, axis=axis, **options)

        def call(*args: Any, **kwargs: Any) -> Any:
            _refuse_if_it_depends_on_values(name, (self, *args), kwargs)
            arguments, options = (self.array, *raw(args)), raw(kwargs)
            return self._result(method, arguments, options, method(*arguments, **options))

        return call

    def __getitem__(self, index: Any) -> Any:
        plain = raw(index)
        parts = plain if isinstance(plain, tuple) else (plain,)
        if any(isinstance(part, np.ndarray | list) for part in parts):
            given = index if isinstance(index, tuple) else (index,)
            if any(isinstance(part, Recorded) and part.dtype == bool for part in given):
                raise Unrecordable("a selection depends on the values of an array")
            return self.tape.note("call", operator.getitem, (self.array, plain), {}, self.array[plain])
        if Ellipsis not in parts:
            parts = (*parts, Ellipsis)  # so that a single element, too, is a view
        return Recorded(self.array[parts], self.tape)

    def __setitem__(self, index: Any, value: Any) -> None:
        plain, value = raw(index), raw(value)
        parts = plain if isinstance(plain, tuple) else (plain,)
        if any(isinstance(part, np.ndarray | list) for part in parts):
            self.array[plain] = value
            self.tape.note("effect", operator.setitem, (self.array, plain, value), {}, self.array, fresh=False)
            return
        target = self.array[parts if Ellipsis in parts else (*parts, Ellipsis)]
        target[...] = value
        self.tape.note("copy", np.copyto, (value,), {}, target, fresh=False)


def _refuse_if_it_depends_on_values(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise where the very shape of a function's result depends on the values of its arguments."""
    repeated = name == "repeat" and any(isinstance(count, Recorded) for count in (*args[1:], kwargs.get("repeats")))
    if repeated or name in SHAPED_BY_VALUES or (name == "where" and len(args) == 1):
        raise Unrecordable(f"the shape of what {name} returns depends on the values of an array")


def arrays_in(value: Any) -> list[Array]:
    """The arrays in a value, in tuples, lists and dicts too."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for item in value for array in arrays_in(item)] if isinstance(value, tuple | list) else []


class RecordedGenerator:
    """A random generator whose draws are noted down, to be drawn anew in every replay."""

    def __init__(self, generator: np.random.Generator, tape: Tape) -> None:
        self._generator, self._tape = generator, tape

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._generator, name)

        def draw(*args: Any, **kwargs: Any) -> Any:
            arguments, options = raw(args), raw(kwargs)
            drawn = method(*arguments, **options)
            if not isinstance(drawn, np.ndarray | float | int):
                raise Unrecordable(f"a generator's {name} is used")
            return self._tape.note("call", method, arguments, options, drawn, pure=False)

        return draw

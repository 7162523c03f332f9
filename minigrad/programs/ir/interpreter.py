"""What a program computes, value by value: the numbers that a page shows, and what every writer is compared with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.layer import Layer, whole_copy
from minigrad.parameter import Array, gradient_name, states_of, walk
from minigrad.programs.ir.ops import Change, Op, Opaque, Program, Value, View, exchange


def interpret(program: Program, batch: Sequence[Any] | None = None) -> dict[Value, Array]:
    """Run a program op by op, and return an array of its own for each value; nothing that is given is changed.

    `batch` is (x, t) or (x, t, w), in place of what stands at the program's inputs. Random numbers are drawn from
    copies of the generators. Code that is not traced runs as it is, and what its layer holds is put back.

    Raises ValueError for a batch of another number of arrays, or of other shapes.
    """
    opaque = {id(home): home for op in program.ops if isinstance(op, Opaque) for home in _objects(op)}
    saved = [(home, copy.deepcopy(_undeclared(home))) for home in opaque.values()]
    try:
        return _values(program, batch)
    finally:
        for home, before in saved:
            for name in _undeclared(home):
                del vars(home)[name]
            vars(home).update(before)


def _objects(op: Opaque) -> list[Any]:
    """The layers (or the loss) whose code an opaque op runs."""
    home: Any = getattr(op.function, "__self__", None)
    return list(walk([home])) if isinstance(home, Layer) else [home]


def _undeclared(home: Any) -> dict[str, Any]:
    """What an object holds beside parameters and arrays of state, which lie in the program's own memory."""
    kept = {name for name, value in home.params.items()} if isinstance(home, Layer) else set()
    kept |= {gradient_name(home, name) for name in kept}
    if isinstance(home, Layer):
        kept |= {name for name, value in states_of(home).items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in vars(home).items() if name not in kept and name != "_owner"}


def _values(program: Program, batch: Sequence[Any] | None) -> dict[Value, Array]:
    arrays = {value: _copy(value, array) for value, array in program.given.items()}
    for value, given in zip(program.inputs, _batch(program, batch), strict=True):
        arrays[value] = _copy(value, given)
    generators: dict[int, Any] = {}
    for op in program.ops:
        for view in op.writes:
            arrays[view.value] = _made(view.value, arrays)
        if isinstance(op, Opaque):
            _run_as_it_is(program, op, arrays)
            continue
        own = op.out.value if isinstance(op, Change) else None

        def seen(view: View, own: Value | None = own) -> Array:
            value = own if own is not None and view.value is own.follows else view.value
            return view.array(arrays[value])

        op = _with_copied_generator(op, generators)
        op.run(exchange(op.inputs, seen), exchange(dict(op.options), seen), op.out.array(arrays[op.out.value]))
    return arrays


def _batch(program: Program, batch: Sequence[Any] | None) -> list[Array]:
    places = [program.given[value] for value in program.inputs]
    if batch is None:
        return places
    given = [np.array(array, place.dtype) for array, place in zip(batch, places, strict=False)]
    if len(batch) != len(places) or any(a.shape != p.shape for a, p in zip(given, places, strict=True)):
        shapes = ", ".join(str(place.shape) for place in places)
        raise ValueError(f"this program takes a batch of {len(places)} arrays of the shapes {shapes}")
    return given


def _made(value: Value, arrays: dict[Value, Array]) -> Array:
    """The array of a new value, which begins as a copy of the version before it."""
    return value.empty() if value.follows is None else _copy(value, arrays[value.follows])


def _copy(value: Value, array: Array) -> Array:
    memory = value.empty()
    memory[...] = array
    return memory


def _with_copied_generator(op: Op, generators: dict[int, Any]) -> Op:
    home: Any = getattr(op.function, "__self__", None)
    if not isinstance(home, np.random.Generator):
        return op
    own = generators.setdefault(id(home), whole_copy(home))
    function: Callable[..., Any] = getattr(own, op.function.__name__)
    return type(op)(function, op.inputs, op.options, op.out, op.scope)


def _run_as_it_is(program: Program, op: Opaque, arrays: dict[Value, Array]) -> None:
    """Run a layer's own code: its arrays get their values for as long as it runs."""
    homes = [program.homes[view.memory] for view in op.before]
    saved = [home.copy() for home in homes]
    try:
        for home, view in zip(homes, op.before, strict=True):
            home[...] = arrays[view.value]

        def seen(view: View) -> Array:
            return view.array(arrays[view.value]).copy("K")

        out = op.out.array(arrays[op.out.value])
        op.run(exchange(op.inputs, seen), exchange(dict(op.options), seen), out)
        for home, view in zip(homes, op.after, strict=True):
            arrays[view.value][...] = home
    finally:
        for home, before in zip(homes, saved, strict=True):
            home[...] = before

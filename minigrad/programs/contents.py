"""What layers, losses and optimizers hold in their attributes, declared or not: put back, and compared."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minigrad.programs.arrays import Recorded, RecordedGenerator

PLAIN = (bool, int, float, complex, str, bytes, slice, range, np.dtype, type(None), type(Ellipsis))
UNTOUCHED = ("_owner", "_programs")  # what a model keeps of others, not of itself


class Moment:
    """All that a step can change, to be put back: the attributes of layers and optimizer, declared or not."""

    def __init__(self, objects: Iterable[Any]) -> None:
        seen: set[int] = set()
        self._restores = [restore for o in objects if (restore := _keep(vars(o), seen)) is not None]
        # A layer of one's own may draw from the old global generators.
        self._random = np.random.get_state(), random.getstate()  # noqa: NPY002

    def restore(self) -> None:
        """Put everything back into the same arrays, lists and generators."""
        np.random.set_state(self._random[0])  # noqa: NPY002
        random.setstate(self._random[1])
        for restore in self._restores:
            restore()


def _keep(value: Any, seen: set[int]) -> Callable[[], None] | None:
    """A function that puts the present content of a value back into it; None for a value that never changes."""
    if isinstance(value, PLAIN) or id(value) in seen:
        return None
    seen.add(id(value))
    if isinstance(value, np.random.Generator):
        state = copy.deepcopy(value.bit_generator.state)
        return lambda: setattr(value.bit_generator, "state", state)
    if isinstance(value, np.random.RandomState):
        legacy = value.get_state()
        return lambda: value.set_state(legacy)
    if isinstance(value, random.Random):
        drawn = value.getstate()
        return lambda: value.setstate(drawn)
    if isinstance(value, np.ndarray):
        content = value.copy()
        return (lambda: np.copyto(value, content)) if value.flags.writeable else None
    return _keep_items(value, seen) if isinstance(value, list | tuple | dict | set) else None


def _keep_items(value: Any, seen: set[int]) -> Callable[[], None]:
    items = value.values() if isinstance(value, dict) else value
    inner = [put for item in items if (put := _keep(item, seen)) is not None]
    saved = value if isinstance(value, tuple) else copy.copy(value)

    def restore() -> None:
        if isinstance(value, list):
            value[:] = saved
        elif isinstance(value, dict):
            for name in set(value) - set(saved) - set(UNTOUCHED):
                del value[name]
            value.update(saved)
        elif isinstance(value, set):
            value.clear()
            value.update(saved)
        for put_back in inner:
            put_back()

    return restore


class Same:
    """A thing that equals itself alone, and is kept alive so that no other is taken for it."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other._thing is self._thing

    def __hash__(self) -> int:
        return id(self._thing)


def content(value: Any) -> Any:
    """A value in a form that can be compared later, whatever happens to it: arrays by their bytes, code by identity.

    None for what belongs to a recording.
    """
    if isinstance(value, PLAIN):
        return type(value), repr(value)
    if isinstance(value, Recorded | RecordedGenerator):
        return None
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return type(value), value.dtype, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return type(value), tuple(map(content, value))
    if isinstance(value, dict):
        return type(value), tuple((content(name), content(item)) for name, item in value.items())
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(content, value))
    if isinstance(value, np.random.Generator):
        return Same(value), repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return Same(value), repr(value.get_state())
    if isinstance(value, random.Random):
        return Same(value), value.getstate()
    return Same(value)


def recorded(value: Any) -> bool:
    """Whether there is a recording array in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(recorded, value))
    return isinstance(value, Recorded | RecordedGenerator)

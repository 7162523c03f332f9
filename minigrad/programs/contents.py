"""What a step depends on and what it changes: all that layers, losses and optimizers hold, declared or not.

Here alone it is said what counts: for putting back what a trial has changed (`RestorePoint`), for comparing it later
(`content`), for telling programs apart (`key_of`) and for noticing that one no longer holds (`Guards`).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad.layer import Layer
from minigrad.objective import Objective
from minigrad.optimizers import Optimizer
from minigrad.parameter import walk
from minigrad.programs.arrays import Recorded, RecordedGenerator, arrays_in

PLAIN = (bool, int, float, complex, str, bytes, slice, range, np.dtype, type(None), type(Ellipsis))
UNTOUCHED = ("_owner", "_programs")  # what a model keeps of others, not of itself
COUNTS = ("steps", "epochs")  # an optimizer's: programs are handed what depends on them
NUMBERS_AND_WORDS = (bool, int, float, str)


class RestorePoint:
    """All that a step can change, to be put back by `restore()`: attributes of these objects, and what is in them."""

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


class ByIdentity:
    """A thing that equals itself alone, and is kept alive so that no other is taken for it."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other._thing is self._thing

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
        return ByIdentity(value), repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return ByIdentity(value), repr(value.get_state())
    if isinstance(value, random.Random):
        return ByIdentity(value), value.getstate()
    return ByIdentity(value)


def recorded(value: Any) -> bool:
    """Whether there is a recording array in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(recorded, value))
    return isinstance(value, Recorded | RecordedGenerator)


# --------------------------------------------------------------------------------------- what programs take for granted
Where: TypeAlias = tuple[int, int, str]
"""Which part, which of the layers in it, and the name of the attribute."""


def held_by(parts: Iterable[tuple[int, Layer]]) -> dict[Where, Any]:
    """What the layers of these parts hold beside recording arrays, by where."""
    return {
        (n, m, name): value
        for n, part in parts
        for m, layer in enumerate(walk([part]))
        for name, value in vars(layer).items()
        if name not in (*UNTOUCHED, "theta", "dtheta") and not recorded(value)
    }


class Guards:
    """What the recorded layers hold and did not set anew while they were recorded: a program holds as long as it stays.

    Numbers and words are left out where they are in the `key_of` a program. `also` are (layer, name, object) that must
    stay the very same objects; of the arrays, only those that are `read` count, where that is given.
    """

    def __init__(
        self,
        parts: Sequence[Layer],
        objects: dict[Where, Any],
        contents: dict[Where, Any],
        *,
        read: set[int] | None = None,
        also: Iterable[tuple[Layer, str, Any]] = (),
    ) -> None:
        self._same = [(vars(layer), name, value) for layer, name, value in also]
        self._equal = []
        for where, value in objects.items():
            n, m, name = where
            attributes = vars(list(walk([parts[n]]))[m])
            if attributes.get(name) is not value or type(value) in NUMBERS_AND_WORDS:
                continue
            if read is None or not arrays_in([value]):
                self._equal.append((attributes, name, value, contents[where]))
            elif id(value) in read:
                self._same.append((attributes, name, value))

    def hold(self) -> bool:
        """Whether attributes have the content that they had, and arrays are the same ones."""
        for attributes, name, value in self._same:
            if attributes.get(name) is not value:
                return False
        for attributes, name, value, before in self._equal:
            now = attributes.get(name)
            if content(now) != before or (isinstance(value, np.ndarray) and now is not value):
                return False
        return True


def key_of(objective: Objective, optimizer: Optimizer) -> tuple[Any, ...]:
    """The settings that tell one training step's program from another's: numbers and words, and which arrays."""
    marks: list[Any] = [id(optimizer), type(objective.loss), content(vars(objective.loss))]
    for part in optimizer.parts():
        marks += [(n, content(v)) for n, v in vars(part).items() if n not in (*COUNTS, *part.memory)]
    marks += [objective.l2, objective.l1, *(id(vars(part)[name]) for part, name in optimizer.slots())]
    for layer in walk([objective.model]):
        held = vars(layer)
        marks.append(ByIdentity(layer))
        marks += [(n, type(v), v) for n, v in held.items() if type(v) in NUMBERS_AND_WORDS]
        marks += [id(held.get(name)) for name in _declared(layer)]
    return tuple(marks)


def _declared(layer: Layer) -> list[str]:
    """The attributes that parameters, their gradients and states are declared to be."""
    gradients = [marker.gradient for marker in layer._parameters]
    return [marker.name for marker in (*layer._parameters, *gradients, *layer._states)]

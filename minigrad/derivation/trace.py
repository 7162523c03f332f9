"""What a forward did: every function and every view in order, each with the arrays that it was given and that it made.

It follows a tape (`programs.tracing.arrays`), or takes notes by itself where nothing is traced. Of what depends on x or
on a parameter, each operation must have a derivative; the first that has none is refused, with its line.
"""

from __future__ import annotations

import linecache
import operator
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from minigrad.derivation.expressions import REDUCED
from minigrad.derivation.rule import rule_name
from minigrad.derivation.rules import is_constant, rule_of
from minigrad.layer import Layer
from minigrad.parameter import Array, states_of, walk
from minigrad.programs.ir.memory import arrays_in, owner
from minigrad.programs.tracing.arrays import TracingArray

PACKAGE = str(Path(__file__).parent.parent)
ENGINE = (str(Path(__file__).parent), str(Path(PACKAGE) / "programs"), str(Path(np.__file__).parent))


class DerivationError(TypeError):
    """No backward can be derived from a forward; the message names the line, and says what to write."""


@dataclass(eq=False)
class Node:
    """`function` of the `inputs` (arrays, numbers, nested tuples of them) with `options` has made `out`.

    `is_view` says that `out` is other elements of its first input, in the same memory; `is_active` that a gradient goes
    through it; `writes` that `out` was there before, and has been written into, or added to where the function is add.
    """

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    out: TracingArray
    is_view: bool = False
    is_active: bool = False
    writes: bool = False


@dataclass(frozen=True)
class Inner:
    """A layer in the layer has run, called by `frames`, and has made `y` of `x` by the nodes from `start` to `stop`."""

    layer: Layer
    x: Array
    y: Array
    start: int
    stop: int
    frames: tuple[tuple[str, int], ...]

    @property
    def is_derived_as_well(self) -> bool:
        """Whether its backward is known to follow from its forward: all in it is of the package, or is derived."""
        package = __name__.partition(".")[0]
        return all(
            type(each).backward is Layer.backward or type(each).__module__.partition(".")[0] == package
            for each in walk([self.layer])
        )

    @property
    def may_run_again(self) -> bool:
        """Whether it gives the same each time."""
        return not any(states_of(each) for each in walk([self.layer]))


class Trace:
    """The nodes of a forward, and which arrays depend on `x` or a parameter: those are `active`.

    Without a recording it stands in the place of its tape: a recording array tells it what it does.
    """

    def __init__(self, tape: Any = None) -> None:
        self.tape: Any = self if tape is None else tape
        self.trace: None = None  # as a tape has one
        self.nodes: list[Node] = []
        self.inner: list[Inner] = []
        self.within: Layer | None = None  # a layer in the layer, with a backward of its own, that is running
        self.spoiled: dict[int, DerivationError] = {}  # such layers, by `id`, of which only that backward is right
        self.reversing = False
        self.x: Array = np.empty(0)
        self.known: dict[int, TracingArray] = {}
        self.before: dict[int, Any] = {}
        self._active: dict[int, Array] = {}  # the arrays are kept: a number of `id` must not come again
        self._memories: dict[int, Array] = {}
        self._reads: dict[int, list[Array]] = {}
        self._written: set[int] = set()
        self.filled: dict[int, list[tuple[int, Array]]] = {}  # memory that is written part by part: when, and where
        self._seen_at: dict[int, int] = {}

    # ------------------------------------------------------------------------------------------------- as a tape
    def note(
        self,
        kind: Any,
        function: Callable[..., Any],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        out: Any,
        *,
        fresh: bool = True,
    ) -> TracingArray:
        """What has just been done, as a tape takes it."""
        noted = TracingArray(np.asarray(out), self.tape, made=fresh)
        self.follow(function, inputs, options, noted, fresh)
        return noted

    def look(self, function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], seen: Array) -> Any:
        """A view of memory that is known, as a tape takes it."""
        view = TracingArray(seen, self.tape)
        self.follow_view(function, inputs, options, view)
        return view

    # -------------------------------------------------------------------------------------------------- following
    def introduce(self, array: Any, *, active: bool, state: bool = False) -> None:
        """A recording array that the forward starts from. Of state, which it may write, a copy is kept."""
        self.known[id(array.array)] = array
        if active:
            self.activate(array.array)
        if state:
            self.before[id(array.array)] = np.copy(array)

    def is_active(self, value: Any) -> bool:
        """Whether an array, or one in a nest of tuples, depends on x or a parameter."""
        if isinstance(value, np.ndarray):
            return id(value) in self._active or id(owner(value)) in self.filled
        if isinstance(value, dict):
            value = value.values()
        return isinstance(value, Iterable) and not isinstance(value, str) and any(map(self.is_active, value))

    def value(self, array: Any) -> Any:
        """An array as the backward is to read it: the recording one, or that of a state before it was written."""
        if id(owner(array)) in self._written:
            if id(array) not in self.before:
                raise DerivationError("it writes a state of which it has read a part before; read all of it")
            return self.before[id(array)]
        return self.known.get(id(array), TracingArray(array, self.tape))

    def follow(
        self,
        function: Callable[..., Any],
        inputs: tuple[Any, ...],
        options: dict[str, Any],
        out: TracingArray,
        fresh: bool,
    ) -> None:
        """A function has made an array or, if that is not `fresh`, has written into it."""
        if not fresh and not self.reversing:
            self._write(function, inputs, options, out)
            return
        self._add(Node(function, inputs, options, out, writes=not fresh))

    def follow_view(
        self, function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], out: TracingArray
    ) -> None:
        """A function has given a view of one of its inputs."""
        if any(out.array is array for array in arrays_in(inputs)):
            return
        if function in (np.array_split, np.split, np.hsplit, np.vsplit, np.dsplit):
            base = owner(inputs[0])
            function, inputs, options = operator.getitem, (inputs[0], _slice(inputs[0], out.array)), {}
            assert base is owner(out.array)
        self._add(Node(function, inputs, options, out, is_view=True))

    def _add(self, node: Node) -> None:
        array = node.out.array
        if not node.writes:
            self.known[id(array)] = node.out
            self._seen_at[id(array)] = len(self.nodes)
            if node.is_view and owner(array) is not node.inputs[0]:
                self._seen_at[id(array)] = self._seen_at.get(id(node.inputs[0]), -1)
        self.nodes.append(node)
        if self.reversing or not self.is_active((node.inputs, node.options)):
            return
        if node.is_view and array.dtype != node.inputs[0].dtype:
            self._refuse(f"it looks at {node.inputs[0].dtype} numbers as {array.dtype}; write astype for another dtype")
        if array.dtype.kind in "biu":
            return  # such numbers move in steps
        if is_constant(node.function) and array.dtype.kind == "f":
            return
        if array.dtype.kind != "f":
            self._refuse(
                f"{_said(node)} makes {'complex' * (array.dtype.kind == 'c') or array.dtype} numbers, which have no "
                f"derivative here; write it with real ones"
            )
        if not node.is_view and not self._admit(node):
            return
        for each in arrays_in((node.inputs, node.options)):
            base = owner(each)
            if id(base) in self._written and id(base) not in self._active:
                self._refuse("it reads a state that it has written; compute with the value, and write it last")
            if not node.is_view:
                if id(base) in self.filled and self._is_stale(each, base):
                    self._refuse("it reads a view from before it wrote there; look at the array again")
                self._reads.setdefault(id(base), []).append(each)
        node.is_active = True
        self.activate(array)

    def _admit(self, node: Node) -> bool:
        """Whether a gradient goes through a call; one that its rule does not know in full is refused."""
        said, rule = _said(node), rule_of(node.function)
        if rule is None:
            self._refuse(f"{said} has no derivative here")
            return True
        if self.is_active(node.options):
            node.inputs, node.options = rule.placed(node.inputs, node.options)
        traced = [f"{name}=" for name, value in node.options.items() if self.is_active(value)]
        traced += [
            f"its argument {position + 1}"
            for position, value in enumerate(node.inputs)
            if self.is_active(value) and not rule.takes(position)
        ]
        if traced:
            self._refuse(f"{said} has no derivative here by {traced[0]}, which depends on x or a parameter")
        if unknown := rule.objection(said, node.inputs, node.options):
            self._refuse(f"{unknown} has no derivative here")
        return any(self.is_active(value) and rule.moves(position) for position, value in enumerate(node.inputs))

    def activate(self, array: Array) -> None:
        """From here on the array counts as one that depends on x or a parameter."""
        base = owner(array)
        self._active[id(array)], self._memories[id(base)] = array, base

    def _write(
        self, function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], out: TracingArray
    ) -> None:
        """Writing is for state, for arrays that nothing to differentiate has to do with, and for filling an array of
        zeros part by part: each once, or by adding, and before it is read.
        """
        target, base = out.array, owner(out.array)
        if function is np.copyto and _same_place(inputs[0], target):
            return  # the second half of y[k] += v
        if any(owner(array) is base for array in map(self._known_array, self.before)):
            self._written.add(id(base))
            return
        read = any(np.shares_memory(target, each) for each in self._reads.get(id(base), []))
        given = tuple(each for each in inputs if each is not target)
        if id(base) not in self.filled and not self.is_active((given, options)) and id(base) not in self._memories:
            if read:
                self._refuse("it writes into an array that it has used before; make a new one")
            return
        adds = function is np.add and len(given) == 1
        over = not adds and any(np.shares_memory(target, each) for _, each in self.filled.get(id(base), []))
        fills = adds or (function is np.copyto and not options)
        if not fills or over or read or (id(base) in self._memories and id(base) not in self.filled):
            self._refuse("it writes into an array in place; make a new one, as in y = y + b in place of y += b")
        if base.dtype.kind != "f":
            self._refuse(f"it writes what depends on x or a parameter into an array of {base.dtype}")
        self.filled.setdefault(id(base), []).append((len(self.nodes), target))
        self.activate(base)
        self.nodes.append(Node(function, given, options, out, is_active=True, writes=True))

    def _is_stale(self, array: Array, base: Array) -> bool:
        """Whether an array is a view of filled memory from before something was written there."""
        since = self._seen_at.get(id(array), -1)
        return array is not base and any(
            when >= since and np.shares_memory(array, target) for when, target in self.filled[id(base)]
        )

    def _known_array(self, number: int) -> Array:
        return self.known[number].array

    def _refuse(self, why: str) -> None:
        """Raise an error that names the line; within a layer that has a backward, that one will do."""
        error = DerivationError(f"{line_of(frames_here())}: {why}")
        if self.within is None:
            raise error
        self.spoiled.setdefault(id(self.within), error)


def frames_here() -> list[tuple[str, int]]:
    """The file and the line of every frame that is running, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame is not None:
        frames.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return frames


def frames_of(error: BaseException) -> list[tuple[str, int]]:
    """The file and the line of every frame that an error has come through, the innermost first."""
    trace, frames = error.__traceback__, []
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return frames[::-1]


def line_of(frames: Iterable[tuple[str, int]]) -> str:
    """The line that is to blame, of frames from the innermost one outwards: the user's own, if there is one."""
    outside = [frame for frame in frames if not frame[0].startswith((*ENGINE, "<frozen", "<__array"))]
    own = [frame for frame in outside if not frame[0].startswith(PACKAGE)]
    inside = outside.index(own[0]) if own else len(outside)
    # A layer of the package has no frame of a user's between its forward and the derivation.
    blamed = own[0] if own and not _is_of_package(outside[:inside]) else (outside or [("", 0)])[0]
    text = linecache.getline(*blamed).strip()
    return f"line {blamed[1]} of {Path(blamed[0]).name}" + (f", `{text}`" if text else "")


def _is_of_package(frames: list[tuple[str, int]]) -> bool:
    return any(file.startswith(str(Path(PACKAGE) / "layers")) for file, _ in frames)


def _said(node: Node) -> str:
    """What a function is called by those who use it."""
    name = rule_name(node.function)
    return REDUCED.get(name.removesuffix(".reduce"), name) if name.endswith(".reduce") else name


def _same_place(value: Any, target: Array) -> bool:
    """Whether a value is the target itself, or a view of the same numbers in the same order."""
    return isinstance(value, np.ndarray) and all(
        value.__array_interface__[each] == target.__array_interface__[each] for each in ("data", "shape", "strides")
    )


def _slice(base: Array, part: Array) -> tuple[slice, ...]:
    """The slices that a part from a split is, of the array that was split."""
    apart = part.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    index: list[slice] = []
    for length, stride, n in zip(base.shape, base.strides, part.shape, strict=True):
        start = apart // stride if n != length and stride else 0
        apart -= start * stride
        index.append(slice(start, start + n) if n != length else slice(None))
    return tuple(index)

"""A program as a graph of numbers: of which numbers each one is made, wherever in memory they lay.

    graph = graph_of(program)
    for node in graph.nodes:
        …                               # node.function of node.inputs, folded over node.over, makes node.shape numbers

Every number of a program has a place of its own in one long row: those of a node stand there from `start` on, in C
order. An operand is an array of such places. So what a view does (a slice, a transpose, rows written one after the
other, a reshape) is said once, here, and a writer meets three things only: numbers that are given, a function of some
numbers, and such functions added up (or multiplied, or the largest of them) over further axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.parameter import Array
from minigrad.programs.form import (
    Change,
    Copy,
    Draw,
    Elementwise,
    Line,
    Opaque,
    Product,
    Program,
    Reduce,
    Value,
    View,
    exchange,
    function_name,
)
from minigrad.programs.writers.unwritable import Unwritable

Places: TypeAlias = npt.NDArray[np.intp]
Operand: TypeAlias = Places | float

FOLDS = ("add", "multiply", "maximum", "minimum")
MOVES = ("reshape", "getitem", "concatenate", "transpose", "take", "flip", "roll", "stack", "repeat", "ravel", "pad")
ALIKE = {"zeros_like": 0.0, "ones_like": 1.0}
"""Functions that put numbers elsewhere and leave them as they are."""
LARGEST = 1 << 24
"""So many terms of one node are more than anybody looks at."""


@dataclass(eq=False)
class Node:
    """Numbers of one kind: `function` of the `inputs`, which broadcast to `shape` + `over`; `fold` runs over `over`.

    Without a function they are given, or constant where `constant` has them. `name` is the textbook's, if there is one;
    `line` the line that makes it; `role` says what a given one is, as in `Value`.
    """

    function: str
    inputs: tuple[Operand, ...]
    shape: tuple[int, ...]
    over: tuple[int, ...] = ()
    fold: str = ""
    line: Line | None = None
    name: str = ""
    role: str = "made"
    start: int = 0
    constant: Array | None = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def places(self) -> Places:
        """The places of its numbers."""
        return np.arange(self.start, self.start + self.size, dtype=np.intp).reshape(self.shape)

    @property
    def is_given(self) -> bool:
        """Whether no function makes it."""
        return not self.function

    @property
    def verb(self) -> str:
        """Whose part of the step it is: forward, value, backward, penalty or update; "" where it is given."""
        return "" if self.line is None else self.line.part.verb

    def __repr__(self) -> str:
        return f"<{self.name or self.function or 'constant'} {self.shape} at {self.start}>"


@dataclass(eq=False)
class Graph:
    """Nodes in an order in which they can be computed, the places of the result, and of what each given node becomes.

    `given` says of which view each given node has the numbers, by its name; `lasting` has the places of all that
    outlives the program, by its names there, in the order of the array.
    """

    nodes: list[Node] = field(default_factory=list)
    result: Places = field(default_factory=lambda: np.zeros((), np.intp))
    updates: dict[Node, Places] = field(default_factory=dict)
    given: dict[str, View] = field(default_factory=dict)
    lasting: dict[str, Places] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.nodes[-1].start + self.nodes[-1].size if self.nodes else 0

    def add(self, node: Node) -> Node:
        """Give a node its places."""
        node.start = self.size
        self.nodes.append(node)
        return node

    def node_at(self, place: int) -> Node:
        """The node that a place belongs to."""
        low, high = 0, len(self.nodes) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.nodes[middle].start <= place else (low, middle - 1)
        return self.nodes[low]

    def numbers(self, values: Mapping[Value, Array]) -> dict[str, Array]:
        """The given numbers by name, out of what `interpret` says each value is."""
        return {name: view.array(values[view.value]) for name, view in self.given.items()}

    def named(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def whole(self, places: Operand) -> Node | None:
        """The node of which these are all places, in order; None for some of them, or for a plain number."""
        if not isinstance(places, np.ndarray) or places.size == 0:
            return None
        flat = places.ravel()
        node = self.node_at(int(flat[0]))
        same = node.start == flat[0] and node.size == flat.size and bool((np.diff(flat) == 1).all())
        return node if same else None

    def reached(self, places: Iterable[Operand]) -> set[Node]:
        """All nodes that these numbers depend on, their own ones too."""
        needed = np.zeros(len(self.nodes), bool)
        starts = np.array([node.start for node in self.nodes])

        def mark(operand: Operand) -> None:
            if isinstance(operand, np.ndarray) and operand.size:
                needed[np.unique(np.searchsorted(starts, operand.ravel(), "right") - 1)] = True

        for operand in places:
            mark(operand)
        for number in range(len(self.nodes) - 1, -1, -1):
            if needed[number]:
                for operand in self.nodes[number].inputs:
                    mark(operand)
        return {node for node, is_needed in zip(self.nodes, needed, strict=True) if is_needed}

    def evaluate(self, given: Mapping[str, Any]) -> Array:
        """All numbers, in a row, of the given ones by their names."""
        row = np.zeros(self.size)
        with np.errstate(all="ignore"):
            for node in self.nodes:
                row[node.start : node.start + node.size] = self._numbers(node, row, given).ravel()
        return row

    def _numbers(self, node: Node, row: Array, given: Mapping[str, Any]) -> Array:
        if node.is_given:
            return np.asarray(given[node.name] if node.constant is None else node.constant, np.float64)
        terms = node.shape + node.over
        operands = [row[operand] if isinstance(operand, np.ndarray) else operand for operand in node.inputs]
        if node.fold == "add" and node.function == "multiply":
            one, other = (np.broadcast_to(operand, terms) for operand in operands)
            axes = list(range(len(terms)))
            return np.asarray(np.einsum(one, axes, other, axes, axes[: len(node.shape)]))
        made = np.broadcast_to(FUNCTIONS[node.function](*operands), terms)
        if node.fold:
            made = getattr(np, node.fold).reduce(made, axis=tuple(range(len(node.shape), len(terms))))
        return np.asarray(made, np.float64)


def _same(x: Any) -> Any:
    return x


UFUNCS = (
    "add subtract multiply divide negative reciprocal square power sqrt absolute sign copysign minimum maximum floor "
    "ceil exp expm1 log log1p log2 log10 tanh sinh cosh sin cos arctan greater less greater_equal less_equal equal "
    "not_equal logical_and logical_or"
)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "same": _same,
    "positive": _same,
    "where": np.where,
    "invert": lambda x: 1 - x,
    **{name: getattr(np, name) for name in UFUNCS.split()},
    "bitwise_and": np.logical_and,
    "bitwise_or": np.logical_or,
}
"""What a function of a node is called, and what it computes of float64 numbers: comparisons give 0 and 1."""


def graph_of(program: Program, drawn: bool = False) -> Graph:
    """The graph of a program. Raises Unwritable, with the line, for what has no functions of numbers.

    Numbers drawn at random are given ones where they have been `drawn` already.
    """
    return _Builder(program, drawn).graph


class _Builder:
    """Walks the lines once; `_places` knows where the numbers of each value are."""

    def __init__(self, program: Program, drawn: bool) -> None:
        self.graph, self._program, self._drawn = Graph(), program, drawn
        self._places: dict[Value, Places] = {}
        self._parts = _parts(program)
        self._constants: dict[Any, Node] = {}
        for value in program.given:
            self._give(value)
        for line in program.lines:
            self._follow(line)
        self.graph.result = self._read(program.result)
        for value in program.lasting:
            self.graph.lasting[program.names.get(value.whole.place, value.name)] = self._read(value.whole)
            if value.role == "gradient":
                continue
            first = value
            while first.follows is not None:
                first = first.follows
            old, new = self._places[first].ravel(), self._places[value].ravel()
            for node in self.graph.nodes:
                if node.is_given and node.constant is None and node.size and node.start in old:
                    begin = int(np.flatnonzero(old == node.start)[0])
                    places = new[begin : begin + node.size].reshape(node.shape)
                    if not np.array_equal(places, node.places):
                        self.graph.updates[node] = places

    # ------------------------------------------------------------------------------------------------------- numbers
    def _give(self, value: Value) -> None:
        """Nodes for what stands at the beginning: one for a value, or one for each parameter in a vector of all."""
        name, vector = value.name or f"v{value.number}", (sum(size for _, size, _, _ in self._parts),)
        if value.shape == vector and value.role in ("parameter", "gradient", "memory") and self._parts:
            form = {"parameter": "{}", "gradient": "old d{}"}.get(value.role, name + "({})")
            nodes = [
                self.graph.add(Node("", (), shape, name=form.format(part), role=value.role))
                for _, _, shape, part in self._parts
            ]
            for node, (offset, _, shape, _) in zip(nodes, self._parts, strict=True):
                self.graph.given[node.name] = View(value, offset, shape, _strides(shape))
            self._places[value] = np.concatenate([node.places.ravel() for node in nodes])
            return
        node = self.graph.add(Node("", (), value.shape, name=name, role=value.role))
        self.graph.given[name] = value.whole
        self._places[value] = self._laid(value, node.places)

    @staticmethod
    def _laid(value: Value, places: Places) -> Places:
        """The places of all of a value, in the order in which its elements lie in memory."""
        laid = np.full(value.whole.extent, -1, np.intp)
        laid[_index(value.whole)] = places
        return laid

    def _read(self, view: View) -> Places:
        return np.asarray(self._places[view.value][_index(view)])

    def _write(self, view: View, places: Places) -> None:
        value = view.value
        before = np.full(value.whole.extent, -1, np.intp) if value.follows is None else self._places[value.follows]
        before = before.copy()
        before[_index(view)] = places
        self._places[value] = before

    def _constant(self, number: Any) -> Places:
        array = np.asarray(number, np.float64)
        key = array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self.graph.add(Node("", (), array.shape, role="constant", constant=array))
        return self._constants[key].places

    def _operand(self, value: Any) -> Operand:
        if isinstance(value, View):
            return self._read(value)
        return float(value) if np.ndim(value) == 0 else self._constant(value)

    # --------------------------------------------------------------------------------------------------------- lines
    def _follow(self, line: Line) -> None:
        if isinstance(line, Opaque):
            raise Unwritable(line, "it is code that could not be recorded")
        if isinstance(line, Draw):
            if not self._drawn:
                raise Unwritable(line, "it draws random numbers")
            node = self.graph.add(Node("", (), line.out.shape, line=line, name=f"drawn{len(self.graph.nodes)}"))
            node.role = "drawn"
            self.graph.given[node.name] = line.out
            self._write(line.out, node.places)
            return
        if isinstance(line, Change):
            raise Unwritable(line, "it changes an array in a way that has no formula")
        if line.out.dtype not in (np.float64, np.bool_):
            raise Unwritable(line, f"it computes in {line.out.dtype}, which has no formula; float64 has")
        kind = type(line)
        known: dict[type[Line], Callable[[Line], None]] = {
            Copy: self._copy,
            Elementwise: self._elementwise,
            Product: self._product,
            Reduce: self._reduce,
        }
        known.get(kind, self._call)(line)

    def _make(self, line: Line, node: Node) -> None:
        """Add the node that a line makes, with the name of its place, which an earlier version loses."""
        if node.function not in FUNCTIONS:
            raise Unwritable(line, f"there is no formula for {node.function}")
        if int(np.prod(node.shape + node.over)) > LARGEST:
            raise Unwritable(line, f"{np.prod(node.shape + node.over):,} products are too many to look at")
        node.line = line
        hint = self._program.names.get(line.out.place, "")
        first = line.out.value
        while first.follows is not None:
            first = first.follows
        if hint and first.role not in ("made", "gradient"):
            hint += "_new"
        self._name(node, hint)
        self.graph.add(node)
        self._write(line.out, node.places)

    def _name(self, node: Node, name: str) -> None:
        if not name or (name[0] == "v" and name[1:].isdigit()):
            return
        for other in self.graph.nodes:
            if other.name == name:
                other.name = ""
        node.name = name

    def _copy(self, line: Line) -> None:
        source = line.inputs[0]
        places = self._read(source) if isinstance(source, View) else self._constant(source)
        self._write(line.out, np.broadcast_to(places, line.out.shape))

    def _elementwise(self, line: Line) -> None:
        name = function_name(line.function)
        dtypes = [v.dtype if isinstance(v, View) else np.result_type(v) for v in line.inputs]
        if name in ("invert", "bitwise_and", "bitwise_or") and any(dtype != np.bool_ for dtype in dtypes):
            raise Unwritable(line, "it works on bits")
        if set(line.options) - {"dtype", "casting"}:
            raise Unwritable(line, f"the option {min(set(line.options) - {'dtype', 'casting'})} has no formula")
        inputs = tuple(self._operand(value) for value in line.inputs)
        length = sum(size for _, size, _, _ in self._parts)
        if line.part.verb != "update" or line.out.shape != (length,) or not self._parts:
            self._make(line, Node(name, inputs, line.out.shape))
            return
        places: list[Places] = []
        whole = self._program.names.get(line.out.place, "")
        for offset, size, shape, part in self._parts:
            some = tuple(
                operand[offset : offset + size].reshape(shape)
                if isinstance(operand, np.ndarray) and operand.shape == (length,)
                else operand
                for operand in inputs
            )
            node = Node(name, some, shape, line=line)
            if node.function not in FUNCTIONS:
                raise Unwritable(line, f"there is no formula for {name}")
            temporary = not whole or (whole[0] == "v" and whole[1:].isdigit())
            if not temporary:
                form = {"theta": "{}_new", "dtheta": "d{}"}.get(whole, whole + "({})_new")
                self._name(node, form.format(part))
            places.append(self.graph.add(node).places.ravel())
        self._write(line.out, np.concatenate(places))

    def _product(self, line: Line) -> None:
        if line.function is not np.matmul:
            raise Unwritable(line, "it is a product without a formula")
        one, other = (np.asarray(self._operand(value)) for value in line.inputs)
        if one.ndim > 1:
            one = one[..., :, None, :] if other.ndim > 1 else one
        if other.ndim > 1:
            other = np.swapaxes(other, -1, -2)
            other = other[..., None, :, :] if one.ndim > 1 else other
        self._make(line, Node("multiply", (one, other), line.out.shape, (one.shape[-1],), "add"))

    def _reduce(self, line: Line) -> None:
        assert isinstance(line, Reduce)
        name, options = line.ufunc.__name__, dict(line.options)
        axis, keep = options.pop("axis", 0), options.pop("keepdims", False)
        if name not in FOLDS or {k for k, v in options.items() if v is not None and k not in ("dtype", "out")}:
            raise Unwritable(line, f"there is no formula for {name}.reduce with such options")
        places = np.asarray(self._operand(line.inputs[0]))
        count = places.ndim
        axes = range(count) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = sorted({each % count for each in axes})
        kept = [each for each in range(count) if each not in gone]
        over = tuple(places.shape[each] for each in gone)
        moved = places.transpose(*kept, *gone).reshape(*line.out.shape, *over) if places.size else places
        del keep  # the shape of the result says it
        if not places.size:
            raise Unwritable(line, "it has no elements")
        self._make(line, Node("same", (moved,), line.out.shape, over, name))

    def _call(self, line: Line) -> None:
        name = function_name(line.function)
        short = name.rpartition(".")[2]
        if name == "where" and len(line.inputs) == 3 and not line.options:
            self._make(line, Node("where", tuple(self._operand(v) for v in line.inputs), line.out.shape))
        elif name == "einsum" and isinstance(line.inputs[0], str):
            self._einsum(line)
        elif name in ALIKE:
            self._write(line.out, np.broadcast_to(self._constant(ALIKE[name]), line.out.shape))
        elif name == "pad" and len(line.inputs) == 2 and not set(line.options) - {"constant_values"}:
            filler = self._constant(line.options.get("constant_values", 0))
            self._write(line.out, np.pad(self._read(line.inputs[0]), line.inputs[1], constant_values=filler))
        elif short in MOVES and _only_moves(line):
            places = line.function(*exchange(line.inputs, self._read), **exchange(dict(line.options), self._read))
            self._write(line.out, np.broadcast_to(places, line.out.shape))
        else:
            raise Unwritable(line, f"there is no formula for {name}")

    def _einsum(self, line: Line) -> None:
        """One or two operands, each letter once in each: the letters that the result lacks are added over."""
        text = line.inputs[0].replace(" ", "")
        terms, _, result = text.partition("->")
        letters = terms.split(",")
        if len(letters) == 1 and "." not in text and len(set(letters[0])) == len(letters[0]):
            word, places = letters[0], np.asarray(self._operand(line.inputs[1]))
            gone = [letter for letter in word if letter not in result]
            moved = places.transpose([word.index(letter) for letter in (*result, *gone)])
            self._make(line, Node("same", (moved,), line.out.shape, moved.shape[len(result) :], "add" * bool(gone)))
            return
        if len(letters) != 2 or "." in text or not result or any(len(set(word)) < len(word) for word in letters):
            raise Unwritable(line, "there is no formula for such an einsum")
        gone = [letter for letter in dict.fromkeys("".join(letters)) if letter not in result]
        sizes: dict[str, int] = {}
        operands = []
        for word, value in zip(letters, line.inputs[1:], strict=True):
            places = np.asarray(self._operand(value))
            sizes |= dict(zip(word, places.shape, strict=True))
            order = [word.index(letter) for letter in (*result, *gone) if letter in word]
            shape = [places.shape[word.index(k)] if k in word else 1 for k in (*result, *gone)]
            operands.append(places.transpose(order).reshape(shape))
        over = tuple(sizes[letter] for letter in gone)
        self._make(line, Node("multiply", tuple(operands), line.out.shape, over, "add"))


def _only_moves(line: Line) -> bool:
    """Whether the numbers go where nothing but the program says: no index is an array that it computes."""
    first = line.inputs[0]
    rest = [*line.inputs[1:], *line.options.values()]
    return isinstance(first, View | tuple | list) and not any(isinstance(value, View) for value in rest)


def _index(view: View) -> Places:
    """The elements of a view, counted from the lowest one of its value."""
    index = np.full(view.shape, view.offset - view.value.whole.span[0], np.intp)
    for axis, (length, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        index += (np.arange(length) * stride).reshape(-1, *[1] * (len(view.shape) - axis - 1))
    return index


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Those of an array in C order, in elements."""
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def _parts(program: Program) -> list[tuple[int, int, tuple[int, ...], str]]:
    """(first element, elements, shape, name) of each parameter in theta; empty where names do not cover all of it."""
    theta = next((value for value in program.given if value.role == "parameter" and len(value.shape) == 1), None)
    if theta is None:
        return []
    found: dict[int, tuple[int, int, tuple[int, ...], str]] = {}
    for (memory, offset, shape, strides), name in program.names.items():
        size = int(np.prod(shape))
        if memory == theta.memory and shape != theta.shape and size and strides == _strides(shape):
            found.setdefault(offset, (offset, size, shape, name))
    if not found:
        name = program.names.get(theta.whole.place, theta.name)
        found = {0: (0, theta.shape[0], theta.shape, _alone(program, theta) or name)}
    parts, end = sorted(found.values()), 0
    for offset, size, _, _ in parts:
        if offset != end:
            return []
        end += size
    return parts if end == theta.shape[0] else []


def _alone(program: Program, theta: Value) -> str:
    """The name of the one parameter, where it fills theta."""
    return next((n for p, n in program.names.items() if p[0] == theta.memory and n != "theta"), "")


# --------------------------------------------------------------------------------------------------------- plain words
def plain(graph: Graph) -> Graph:
    """The same numbers, to rounding, in the textbook's fewer steps; what nobody reads is left out.

    Floors that only matter where no digit is left to show go, halves that cancel do too, and σ' and tanh' are written
    with what they are derivatives of.
    """
    return _Plainer(graph).made


class _Plainer:
    """Walks the nodes once, and puts a plainer form in the place of each that has one."""

    def __init__(self, graph: Graph) -> None:
        self.made = Graph()
        self._known: dict[Any, Node] = {}
        wanted = graph.reached([graph.result, *graph.lasting.values(), *(n.places for n in graph.nodes if n.is_given)])
        where = np.full(graph.size, -1, np.intp)
        for node in graph.nodes:
            if node not in wanted:
                continue
            inputs = tuple(np.asarray(where[p]) if isinstance(p, np.ndarray) else p for p in node.inputs)
            new = replace(node, inputs=inputs)
            places = None if node.is_given else self._rules(new)
            if places is not None and node.name:  # the plainer form takes the name, if it has none
                made = self.made.whole(places)
                if made is None or made.name or made.is_given:
                    places = None
                else:
                    made.name, made.line = node.name, node.line
            if places is None:
                places = self._add(new).places
            where[node.start : node.start + node.size] = np.broadcast_to(places, node.shape).ravel()
        self.made.result = np.asarray(where[graph.result])
        self.made.updates = {
            self.made.node_at(int(where[node.start])): np.asarray(where[places])
            for node, places in graph.updates.items()
        }
        self.made.given = graph.given
        self.made.lasting = {name: np.asarray(where[places]) for name, places in graph.lasting.items()}
        self._drop()

    def _add(self, node: Node) -> Node:
        """Add a node, or find the equal one that there is: it takes the name."""
        if node.is_given:
            return self.made.add(node)
        marks = [(p.shape, p.tobytes()) if isinstance(p, np.ndarray) else repr(p) for p in node.inputs]
        key = node.function, node.fold, node.shape, node.over, tuple(marks)
        known = self._known.get(key)
        if known is None or (node.name and known.name):
            self._known[key] = known = self.made.add(node)
        elif node.name:
            known.name, known.line = node.name, node.line
        return known

    def _node(self, like: Node, function: str, *inputs: Operand, **more: Any) -> Node:
        return self._add(replace(like, function=function, inputs=inputs, name="", **more))

    def _is(self, operand: Operand, function: str, fold: str = "") -> Node | None:
        node = self.made.whole(operand)
        return node if node is not None and node.function == function and node.fold == fold else None

    def _rules(self, node: Node) -> Places | None:
        """The places of the same numbers in a plainer form; None where there is none."""
        f, inputs = node.function, node.inputs
        if node.fold or not node.inputs:
            return None
        first, second = inputs[0], inputs[-1]
        if isinstance(first, np.ndarray) and not node.name:
            floor = f == "maximum" and isinstance(second, float) and second <= -500
            if floor or f in ("same", "positive") or (f == "multiply" and isinstance(second, float) and second == 1.0):
                return first
        if f == "log1p":
            return self._log_of_sum(node)
        if f == "multiply" and isinstance(first, float) and first == 2.0:
            return self._twice(node)
        if f == "multiply" and isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
            return self._derivative(node)
        return None

    def _twice(self, node: Node) -> Places | None:
        """2 (z/2 - max z/2) is z - max z."""
        below = self._is(node.inputs[1], "subtract")
        if below is None:
            return None
        half, top = below.inputs
        halved, largest = self._is(half, "multiply"), self._is(top, "same", "maximum")
        if halved is None or largest is None or halved.inputs[1] != 0.5:
            return None
        z = halved.inputs[0]
        assert isinstance(z, np.ndarray)
        moved = z.reshape(largest.inputs[0].shape) if isinstance(largest.inputs[0], np.ndarray) else z
        if not np.array_equal(moved, z.reshape(moved.shape)):
            return None
        maximum = self._add(replace(largest, inputs=(moved,), name=""))
        return self._node(node, "subtract", z, maximum.places).places

    def _log_of_sum(self, node: Node) -> Places | None:
        """log1p(Σ (e - ones) + (Σ ones - 1)) is log Σ e."""
        total = self._is(node.inputs[0], "add")
        if total is None:
            return None
        others, least = self._is(total.inputs[0], "same", "add"), self._is(total.inputs[1], "subtract")
        if others is None or least is None or least.inputs[1] != 1.0:
            return None
        inner = self.made.whole(others.inputs[0])
        if inner is None or inner.function != "subtract" or not isinstance(inner.inputs[0], np.ndarray):
            return None
        e = inner.inputs[0]
        summed = self._add(replace(others, inputs=(e.reshape(np.shape(others.inputs[0])),), name=""))
        return self._node(node, "log", summed.places.reshape(node.shape)).places

    def _derivative(self, node: Node) -> Places | None:
        """(e a) a with a = 1 / (1 + e) is a (1 - a); with e = exp(-2|z|), (e y) y of y = 2 / (1 + e) is 1 - tanh² z."""
        first, second = node.inputs
        product = self._is(first, "multiply")
        if product is None or not np.array_equal(product.inputs[1], second):
            return None
        quotient = self._is(second, "divide")
        below = None if quotient is None else self._is(quotient.inputs[1], "add")
        if quotient is None or below is None or below.inputs[0] != 1.0:
            return None
        if not np.array_equal(below.inputs[1], product.inputs[0]):
            return None
        if quotient.inputs[0] == 1.0:
            rest = self._node(node, "subtract", 1.0, second)
            return self._node(node, "multiply", second, rest.places).places
        squared = self._is(product.inputs[0], "multiply")
        power = None if squared is None else self._is(squared.inputs[0], "exp")
        least = None if power is None else self._is(power.inputs[0], "minimum")
        minus = None if least is None else self._is(least.inputs[0], "negative")
        size = None if minus is None else self._is(minus.inputs[0], "absolute")
        if quotient.inputs[0] != 2.0 or size is None:
            return None
        for other in self.made.nodes:
            if other.function == "tanh" and np.array_equal(other.inputs[0], size.inputs[0]):
                square = self._node(node, "square", other.places)
                return self._node(node, "subtract", 1.0, square.places).places
        return None

    def _drop(self) -> None:
        """Leave out what nobody reads any more."""
        made, old = Graph(), self.made
        wanted = old.reached([old.result, *old.lasting.values(), *(node.places for node in old.updates)])
        where = np.full(old.size, -1, np.intp)
        places_of = {}
        for node in old.nodes:
            if node not in wanted:
                continue
            begin = node.start
            new = replace(
                node, inputs=tuple(np.asarray(where[p]) if isinstance(p, np.ndarray) else p for p in node.inputs)
            )
            made.add(new)
            places_of[node] = new
            where[begin : begin + node.size] = new.places.ravel()
        made.result = np.asarray(where[old.result])
        made.updates = {places_of[node]: np.asarray(where[places]) for node, places in old.updates.items()}
        made.lasting = {name: np.asarray(where[places]) for name, places in old.lasting.items()}
        made.given = {name: view for name, view in old.given.items() if any(n.name == name for n in made.nodes)}
        self.made = made


def taken(places: Operand, shape: Sequence[int]) -> tuple[int | list[int], list[int]]:
    """(first place, strides), or (all places, strides among them), by which an operand is read as of a larger shape."""
    if not isinstance(places, np.ndarray):
        raise TypeError("a plain number has no places")
    padded = places.reshape((1,) * (len(shape) - places.ndim) + places.shape)
    wide = [n if n == m else 0 for n, m in zip(padded.shape, shape, strict=True)]
    origin = int(padded.flat[0])
    strides = [int(np.take(padded, 1, axis).flat[0]) - origin if n > 1 else 0 for axis, n in enumerate(padded.shape)]
    regular = np.full(padded.shape, origin, np.intp)
    for axis, stride in enumerate(strides):
        regular += (np.arange(padded.shape[axis]) * stride).reshape(-1, *[1] * (padded.ndim - axis - 1))
    if np.array_equal(regular, padded):
        return origin, [stride if n else 0 for stride, n in zip(strides, wide, strict=True)]
    steps = [int(np.prod(padded.shape[axis + 1 :])) if n else 0 for axis, n in enumerate(wide)]
    return padded.ravel().tolist(), steps

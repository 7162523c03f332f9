"""From a program to its graph: where in one long row of numbers those of each value are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigrad.programs.graph.numbers import FUNCTIONS, Graph, Node, Operand, Places
from minigrad.programs.ir.ops import (
    Change,
    Copy,
    Draw,
    Elementwise,
    Op,
    Opaque,
    Product,
    Program,
    Reduce,
    Unwritable,
    Value,
    View,
    exchange,
    function_name,
    in_c_order,
)

FOLDS = ("add", "multiply", "maximum", "minimum")
MOVES = ("reshape", "getitem", "concatenate", "transpose", "take", "flip", "roll", "stack", "repeat", "ravel", "pad")
"""Functions that put numbers elsewhere and leave them as they are."""
ALIKE = {"zeros_like": 0.0, "ones_like": 1.0}
LARGEST = 1 << 24
"""So many terms of one node are more than anybody looks at."""


def graph_of(program: Program, drawn: bool = False) -> Graph:
    """The graph of a program. Raises Unwritable, with the op, for what has no functions of numbers.

    Numbers drawn at random are given ones where they have been `drawn` already.
    """
    return _Builder(program, drawn).graph


class _Builder:
    """Walks the ops once; `_places` knows where the numbers of each value are."""

    def __init__(self, program: Program, drawn: bool) -> None:
        self.graph, self._program, self._drawn = Graph(), program, drawn
        self._places: dict[Value, Places] = {}
        self._parts = _parts(program)
        self._constants: dict[Any, Node] = {}
        for value in program.given:
            self._give(value)
        for op in program.ops:
            self._follow(op)
        self.graph.result = self._read(program.result)
        for value in program.lasting:
            self.graph.lasting[program.names.get(value.whole.place, value.name)] = self._read(value.whole)
            if value.role == "gradient":
                continue
            old, new = self._places[value.first].ravel(), self._places[value].ravel()
            for node in self.graph.nodes:
                if node.is_given and node.constant is None and node.size and node.start in old:
                    begin = int(np.flatnonzero(old == node.start)[0])
                    places = new[begin : begin + node.size].reshape(node.shape)
                    if not np.array_equal(places, node.places):
                        self.graph.updates[node] = places

    # ------------------------------------------------------------------------------------------------------- numbers
    def _give(self, value: Value) -> None:
        """Nodes for what stands at the beginning: one for a value, or one for each parameter in a vector of all."""
        name, vector = value.name or f"v{value.number}", (sum(part.size for part in self._parts),)
        if value.shape == vector and value.role in ("parameter", "gradient", "memory") and self._parts:
            form = {"parameter": "{}", "gradient": "old d{}"}.get(value.role, name + "({})")
            nodes = [
                self.graph.add(Node("", (), part.shape, name=form.format(part.name), role=value.role))
                for part in self._parts
            ]
            for node, part in zip(nodes, self._parts, strict=True):
                self.graph.given[node.name] = View(value, part.offset, part.shape, in_c_order(part.shape))
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

    # ----------------------------------------------------------------------------------------------------------- ops
    def _follow(self, op: Op) -> None:
        if isinstance(op, Opaque):
            raise Unwritable(op, f"it could not be recorded: {op.why}")
        if isinstance(op, Draw):
            if not self._drawn:
                raise Unwritable(op, "it draws random numbers")
            node = self.graph.add(Node("", (), op.out.shape, op=op, name=f"drawn{len(self.graph.nodes)}"))
            node.role = "drawn"
            self.graph.given[node.name] = op.out
            self._write(op.out, node.places)
            return
        if isinstance(op, Change):
            raise Unwritable(op, "it changes an array in a way that has no formula")
        if op.out.dtype not in (np.float64, np.bool_):
            raise Unwritable(op, f"it computes in {op.out.dtype}, which has no formula; float64 has")
        kind = type(op)
        known: dict[type[Op], Callable[[Op], None]] = {
            Copy: self._copy,
            Elementwise: self._elementwise,
            Product: self._product,
            Reduce: self._reduce,
        }
        known.get(kind, self._call)(op)

    def _make(self, op: Op, node: Node) -> None:
        """Add the node that an op makes, with the name of its place, which an earlier version loses."""
        _refuse_without_formula(op, node)
        if int(np.prod(node.shape + node.over)) > LARGEST:
            raise Unwritable(op, f"{np.prod(node.shape + node.over):,} products are too many to look at")
        node.op = op
        hint = self._program.names.get(op.out.place, "")
        if hint and op.out.value.first.role not in ("made", "gradient"):
            hint += "_new"
        self._name(node, hint)
        self.graph.add(node)
        self._write(op.out, node.places)

    def _name(self, node: Node, name: str) -> None:
        """Give a node a name, which another one loses; none that is but a number."""
        if _is_numbered(name):
            return
        for other in self.graph.nodes:
            if other.name == name:
                other.name = ""
        node.name = name

    def _copy(self, op: Op) -> None:
        source = op.inputs[0]
        places = self._read(source) if isinstance(source, View) else self._constant(source)
        self._write(op.out, np.broadcast_to(places, op.out.shape))

    def _elementwise(self, op: Op) -> None:
        name = function_name(op.function)
        dtypes = [v.dtype if isinstance(v, View) else np.result_type(v) for v in op.inputs]
        if name in ("invert", "bitwise_and", "bitwise_or") and any(dtype != np.bool_ for dtype in dtypes):
            raise Unwritable(op, "it works on bits")
        if set(op.options) - {"dtype", "casting"}:
            raise Unwritable(op, f"the option {min(set(op.options) - {'dtype', 'casting'})} has no formula")
        inputs = tuple(self._operand(value) for value in op.inputs)
        length = sum(part.size for part in self._parts)
        if op.scope.verb != "update" or op.out.shape != (length,) or not self._parts:
            self._make(op, Node(name, inputs, op.out.shape))
            return
        places: list[Places] = []
        whole = self._program.names.get(op.out.place, "")
        for part in self._parts:
            some = tuple(
                operand[part.offset : part.offset + part.size].reshape(part.shape)
                if isinstance(operand, np.ndarray) and operand.shape == (length,)
                else operand
                for operand in inputs
            )
            node = Node(name, some, part.shape, op=op)
            _refuse_without_formula(op, node)
            if not _is_numbered(whole):
                form = {"theta": "{}_new", "dtheta": "d{}"}.get(whole, whole + "({})_new")
                self._name(node, form.format(part.name))
            places.append(self.graph.add(node).places.ravel())
        self._write(op.out, np.concatenate(places))

    def _product(self, op: Op) -> None:
        if op.function is not np.matmul:
            raise Unwritable(op, "it is a product without a formula")
        one, other = (np.asarray(self._operand(value)) for value in op.inputs)
        if one.ndim > 1:
            one = one[..., :, None, :] if other.ndim > 1 else one
        if other.ndim > 1:
            other = np.swapaxes(other, -1, -2)
            other = other[..., None, :, :] if one.ndim > 1 else other
        self._make(op, Node("multiply", (one, other), op.out.shape, (one.shape[-1],), "add"))

    def _reduce(self, op: Op) -> None:
        assert isinstance(op, Reduce)
        name, options = op.ufunc.__name__, dict(op.options)
        axis = options.pop("axis", 0)
        options.pop("keepdims", None)  # the shape of the result says it
        if name not in FOLDS or {k for k, v in options.items() if v is not None and k not in ("dtype", "out")}:
            raise Unwritable(op, f"there is no formula for {name}.reduce with such options")
        places = np.asarray(self._operand(op.inputs[0]))
        count = places.ndim
        axes = range(count) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = sorted({each % count for each in axes})
        kept = [each for each in range(count) if each not in gone]
        over = tuple(places.shape[each] for each in gone)
        moved = places.transpose(*kept, *gone).reshape(*op.out.shape, *over) if places.size else places
        if not places.size:
            raise Unwritable(op, "it has no elements")
        self._make(op, Node("same", (moved,), op.out.shape, over, name))

    def _call(self, op: Op) -> None:
        name = function_name(op.function)
        short = name.rpartition(".")[2]
        if name == "where" and len(op.inputs) == 3 and not op.options:
            self._make(op, Node("where", tuple(self._operand(v) for v in op.inputs), op.out.shape))
        elif name == "einsum" and isinstance(op.inputs[0], str):
            self._einsum(op)
        elif name in ALIKE:
            self._write(op.out, np.broadcast_to(self._constant(ALIKE[name]), op.out.shape))
        elif name == "pad" and len(op.inputs) == 2 and not set(op.options) - {"constant_values"}:
            filler = self._constant(op.options.get("constant_values", 0))
            self._write(op.out, np.pad(self._read(op.inputs[0]), op.inputs[1], constant_values=filler))
        elif short in MOVES and _only_moves(op):
            places = op.function(*exchange(op.inputs, self._read), **exchange(dict(op.options), self._read))
            self._write(op.out, np.broadcast_to(places, op.out.shape))
        else:
            raise Unwritable(op, f"there is no formula for {name}")

    def _einsum(self, op: Op) -> None:
        """One or two operands, each letter once in each: the letters that the result lacks are added over."""
        text = op.inputs[0].replace(" ", "")
        terms, _, result = text.partition("->")
        letters = terms.split(",")
        if len(letters) == 1 and "." not in text and len(set(letters[0])) == len(letters[0]):
            word, places = letters[0], np.asarray(self._operand(op.inputs[1]))
            gone = [letter for letter in word if letter not in result]
            moved = places.transpose([word.index(letter) for letter in (*result, *gone)])
            self._make(op, Node("same", (moved,), op.out.shape, moved.shape[len(result) :], "add" * bool(gone)))
            return
        if len(letters) != 2 or "." in text or not result or any(len(set(word)) < len(word) for word in letters):
            raise Unwritable(op, "there is no formula for such an einsum")
        gone = [letter for letter in dict.fromkeys("".join(letters)) if letter not in result]
        sizes: dict[str, int] = {}
        operands = []
        for word, value in zip(letters, op.inputs[1:], strict=True):
            places = np.asarray(self._operand(value))
            sizes |= dict(zip(word, places.shape, strict=True))
            order = [word.index(letter) for letter in (*result, *gone) if letter in word]
            shape = [places.shape[word.index(k)] if k in word else 1 for k in (*result, *gone)]
            operands.append(places.transpose(order).reshape(shape))
        over = tuple(sizes[letter] for letter in gone)
        self._make(op, Node("multiply", tuple(operands), op.out.shape, over, "add"))


def _is_numbered(name: str) -> bool:
    """Whether this is the name of an array on the way, v1 say, or none."""
    return not name or (name[0] == "v" and name[1:].isdigit())


def _refuse_without_formula(op: Op, node: Node) -> None:
    if node.function not in FUNCTIONS:
        raise Unwritable(op, f"there is no formula for {node.function}")


def _only_moves(op: Op) -> bool:
    """Whether the numbers go where nothing but the program says: no index is an array that it computes."""
    first = op.inputs[0]
    rest = [*op.inputs[1:], *op.options.values()]
    return isinstance(first, View | tuple | list) and not any(isinstance(value, View) for value in rest)


def _index(view: View) -> Places:
    """The elements of a view, counted from the lowest one of its value."""
    index = np.full(view.shape, view.offset - view.value.whole.span[0], np.intp)
    for axis, (length, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        index += (np.arange(length) * stride).reshape(-1, *[1] * (len(view.shape) - axis - 1))
    return index


class _Part(NamedTuple):
    """A parameter in theta: its first element, how many there are, its shape and its name."""

    offset: int
    size: int
    shape: tuple[int, ...]
    name: str


def _parts(program: Program) -> list[_Part]:
    """Each parameter in theta, in their order; empty where names do not cover all of it."""
    theta = next((value for value in program.given if value.role == "parameter" and len(value.shape) == 1), None)
    if theta is None:
        return []
    found: dict[int, _Part] = {}
    for (memory, offset, shape, strides), name in program.names.items():
        size = int(np.prod(shape))
        if memory == theta.memory and shape != theta.shape and size and strides == in_c_order(shape):
            found.setdefault(offset, _Part(offset, size, shape, name))
    if not found:
        name = program.names.get(theta.whole.place, theta.name)
        found = {0: _Part(0, theta.shape[0], theta.shape, _alone(program, theta) or name)}
    parts, end = sorted(found.values()), 0
    for part in parts:
        if part.offset != end:
            return []
        end += part.size
    return parts if end == theta.shape[0] else []


def _alone(program: Program, theta: Value) -> str:
    """The name of the one parameter, where it fills theta."""
    return next((n for p, n in program.names.items() if p[0] == theta.memory and n != "theta"), "")

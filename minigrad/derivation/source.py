"""A derived backward as source: the lines of NumPy that one would write by hand, with the textbook's names.

The forward is traced, the walk back over it is traced too, and what the gradients need of both is written down: each
array of the forward under the name that it has there (of a local variable, or of what it keeps on `self`), each
gradient as d and that name. What is used once stands in the expression that uses it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from minigrad.derivation.expressions import ATOM, PRODUCT, SIGN, Expression, call, function_of, index_text
from minigrad.derivation.insertion import with_kept
from minigrad.derivation.places import is_slicing
from minigrad.derivation.trace import DerivationError, Node
from minigrad.derivation.traces import AsIn, InnerBackward, Placing, Traces, paths
from minigrad.layer import Layer, whole_copy
from minigrad.parameter import Array
from minigrad.programs.ir.memory import arrays_in

ROWS = (101, 103, 107, 109, 113)
LONGEST = 60  # characters of an expression that stands within another one


@dataclass(frozen=True)
class Written:
    """A backward as source. `lines` has the line that gives each gradient, under "x" and the parameters' names.

    `forward` is the source of the forward with the lines added by which it keeps what backward needs; "" where it keeps
    all that already. `missing` are these lines, where there is no source to add them to. `computed` are numbers that
    the forward computes, in the source as they are for this layer.
    """

    backward: str
    forward: str
    missing: tuple[str, ...]
    computed: tuple[str, ...]
    lines: dict[str, str]

    def __str__(self) -> str:
        said = [f"# forward has to keep: {line}\n" for line in self.missing]
        if "scipy.special." in self.backward:
            said.append("# it needs: import scipy.special\n")
        if self.computed:
            said.append(f"# for this layer, the forward computes {', '.join(self.computed)}\n")
        return "".join([*said, self.forward, "\n" * bool(self.forward), self.backward])


def write(layer: Layer, x: Any) -> Written:
    """The backward of a layer, derived from its forward for rows like x. Raises DerivationError."""
    return _Method(whole_copy(layer), _rows(np.asarray(x))).written()


def _rows(x: Array) -> Array:
    """So many rows like x that their number is none of the other lengths: it is to be told from them."""
    rows = next(n for n in ROWS if n not in x.shape[1:])
    x = x.astype(np.float64) if x.dtype.kind == "f" else x
    return np.resize(x, (rows, *x.shape[1:])) if len(x) else np.zeros((rows, *x.shape[1:]), x.dtype)


class _Method(Traces):
    """The method that the two traces of a layer make. `to_keep` has what its forward has to keep, by attributes."""

    def __init__(self, layer: Layer, x: Array) -> None:
        super().__init__(layer, x)
        self.to_keep: dict[str, str] = {}
        self.computed: dict[str, None] = {}
        self._statements: list[str] = []
        self._written_as = {id(self.dy): Expression("dy")}
        self._aliases: dict[str, str] = {}
        self._used: list[str] = []
        self._literals = set(_constants(self.function.__code__, self.function.__globals__, set()))

    def written(self) -> Written:
        """All of it."""
        if self._takes_each_row():
            raise DerivationError(
                f"the forward of {self.layer!r} takes the rows one by one: such a source has a line for each row, and "
                f"is for as many; write forward for all rows at once, as in (x * x).sum(axis=-1), or leave it to train"
            )
        self._count()
        for number, node in enumerate(self.trace.nodes):
            if id(node.out.array) in self.uses or node.writes or isinstance(node.function, InnerBackward):
                self._state(node, number >= self.forward)
        cast = any("dtype" in node.options for node in self.trace.nodes[: self.forward])
        ends, lines = [], {}
        for place, array in self.gradients.items():
            if place == "return":
                value = f"np.zeros_like({self._text(self.x)})" if array is None else self._text(array)
                ends.append(f"return ({value}).astype(dy.dtype)" if cast else f"return {value}")
                lines["x"] = f"d{self.argument} = {value}"
            else:
                name = place.removeprefix("self.")
                value = f"0 * {place}" if array is None else self._value(array).text
                ends.append(f"{place} = {value}")
                lines[name.rsplit(".")[-1][1:]] = f"{place} = {value}"
        if "return" not in self.gradients:
            ends.append("return None")
        body = [*self._unpacking(), *self._statements, *ends]
        sets = [place.removeprefix("self.") for place in self.gradients if place != "return" and place.count(".") == 1]
        head = ["def backward(self, dy):", f'    """{self._shapes(sets)}"""']
        forward, missing = with_kept(self.function, self.to_keep)
        source = "\n".join([*head, *(f"    {line}" for line in body)])
        return Written(source, forward, tuple(missing), tuple(self.computed), lines)

    def _takes_each_row(self) -> bool:
        """Whether the forward, in a loop, looks at every row by its number."""
        first: set[Any] = set()
        for node in self.trace.nodes[: self.forward]:
            if function_of(node.function) == "getitem" and node.inputs[0].shape[:1] == (len(self.x),):
                index = node.inputs[1]
                first.add(index[0] if isinstance(index, tuple) and isinstance(index[0], int) else None)
        return first >= {*range(len(self.x))}

    def _count(self) -> None:
        """How often each array is used by what the gradients need."""
        self.uses: Counter[int] = Counter()
        waiting = [array for array in self.gradients.values() if array is not None]
        waiting += [each.inputs[0] for each in self.nodes.values() if isinstance(each.function, InnerBackward)]
        while waiting:
            array = waiting.pop()
            number = self.same.get(id(array), id(array))
            self.uses[number] += 1
            if self.uses[number] > 1 or self._is_source(number):
                continue
            node = self.nodes.get(number)
            if node is None:
                continue
            waiting += [] if self._is_shape_alone(node) else arrays_in((node.inputs, node.options))
            for write in self.writes.get(number, []):
                waiting += arrays_in((write.inputs, write.options))

    def _is_source(self, number: int) -> bool:
        known = number in self.held or number == id(self.x) or number in self._written_as or number in self.moved
        known = known or number in self.trace.filled
        return known or (number in self.inner and (number in self.called or self.inner[number]))

    def _is_shape_alone(self, node: Node) -> bool:
        """Whether a node looks at the shape of its input alone, for which another one of that shape may stand."""
        return getattr(node.function, "__name__", "") == "zeros_like" and self._shape_name(node.out.shape) != ""

    def _state(self, node: Node, is_backward: bool) -> None:
        """Write a node down: as a statement, or as an expression for the one that uses it."""
        number = id(node.out.array)
        if node.writes:
            self._state_write(node)
            return
        if self._is_source(number) or self.same.get(number, number) != number:
            return
        expression = self._expression(node)
        name = self.called.get(number)
        if is_backward:
            whose = self.whose.get(number)
            name = None if whose is None else self.called.get(self.same.get(id(whose), id(whose)))
            name = None if name is None else f"d{name}"
        is_root = any(array is node.out.array for array in self.gradients.values())
        if isinstance(node.function, InnerBackward) and self.uses[number] == 0:
            self._statements.append(expression.text)
            return
        short = len(expression.text) <= LONGEST and (is_backward or not name)
        alone = self.uses[number] <= 1 and (is_root or short)
        if number not in self.writes and (alone or self._is_light(node, expression, name)):
            self._written_as[number] = expression
            return
        name = self._free(name or ("d" if is_backward else "v"), bare=name is None)
        self.called.setdefault(number, name)
        self._statements.append(f"{name} = {expression.text}")
        self._written_as[number] = Expression(name)

    @staticmethod
    def _is_light(node: Node, expression: Expression, name: str | None) -> bool:
        """Whether an expression is as easily written again: the negative of a name, a view that has no name."""
        if expression.negated is not None:
            return name is None and expression.negated.text.isidentifier()
        return node.is_view and expression.text.count("(") <= 1 and (name is None or name.startswith("d"))

    def _state_write(self, node: Node) -> None:
        if not isinstance(node.function, Placing) or self.uses[id(node.inputs[0])] == 0:
            return
        whole, index, g = node.inputs
        home, added = self._text(whole), self._text(g)
        if isinstance(index, AsIn):
            numbers, view = Expression(f"np.arange({home}.size).reshape({home}.shape)"), index.view

            def write(value: Any) -> Expression:
                return numbers if value is view.inputs[0] else self._value(value)

            seen = call(view.function, view.inputs, view.options, write, self._place_text)
            self._statements.append(f"np.add.at({home}, np.unravel_index({seen.text}, {home}.shape), {added})")
            return
        where = index_text(index, self._place_text)
        if not is_slicing(index):
            sliced = isinstance(index, tuple) and any(isinstance(part, slice) for part in index)
            where = f"np.s_[{where}]" if sliced else f"({where})" if isinstance(index, tuple) else where
            self._statements.append(f"np.add.at({home}, {where}, {added})")
        else:
            self._statements.append(f"{home}[{where}] {'=' if node.function.first else '+='} {added}")

    def _expression(self, node: Node) -> Expression:
        function, inputs = node.function, node.inputs
        if isinstance(function, InnerBackward):
            path = next(path for inner, path in paths(self.layer) if inner is function.layer)
            return Expression(f"self.{path}backward({self._text(inputs[0])})")
        name = getattr(function, "__name__", "")
        if name == "zeros_like" and (shaped := self._shape_name(node.out.shape)):
            return Expression(f"np.zeros_like({shaped})")
        if name in ("reshape", "broadcast_to") and node in self.trace.nodes[self.forward :]:
            shape = inputs[1] if isinstance(inputs[1], tuple) else inputs[1:]
            if shaped := self._shape_name(tuple(shape)):
                a = self._value(inputs[0])
                if name == "reshape":
                    return Expression(f"{a.within(ATOM)}.reshape({shaped}.shape)")
                return Expression(f"np.broadcast_to({a.text}, {shaped}.shape)")
        return call(function, inputs, node.options, self._value, self._place_text)

    def _value(self, value: Any, plain: bool = False) -> Expression:
        """An array, a number, or a nest of them, as it is written; `plain` numbers are no lengths but of rows."""
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, tuple | list):
            inside = ", ".join(self._value(each, plain).text for each in value)
            return Expression(f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})")
        if isinstance(value, np.dtype):
            return Expression("dy.dtype")
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return Expression(repr(value) if not isinstance(value, type) else f"np.{value.__name__}")
        text = str(value) if plain and isinstance(value, int) and value % len(self.x) else self._number(value)
        return Expression(text, PRODUCT if " " in text else SIGN if text[0] == "-" else ATOM)

    def _text(self, value: Any) -> str:
        return self._value(value).text

    def _array(self, array: Array) -> Expression:
        number = self.same.get(id(array), id(array))
        if number in self._written_as:
            return self._written_as[number]
        if number == id(self.x) and number not in self.held:
            self.held[number] = f"self.{self._attribute(self.argument)}"
        if number not in self.held:
            self._keep(array, number)
        if number in self._written_as:
            return self._written_as[number]
        expression = Expression(self._alias(self.held[number]))
        self._written_as[number] = expression
        return expression

    def _keep(self, array: Array, number: int) -> None:
        """An array that no traced line has made."""
        if number in self.moved:
            state = self.held[self.moved[number]]
            name = f"{state.rsplit('.')[-1]}_before"
            self.to_keep[name] = f"{state}.copy()"
        elif array.ndim == 0:
            self._written_as[number] = Expression(self._number(array.item()))
            return
        elif number in self.called:
            name = self._attribute(self.called[number])
        elif array.size <= 8 and number not in self.trace.filled:
            self._written_as[number] = Expression(f"np.array({array.tolist()})")
            return
        else:
            raise DerivationError(
                f"the forward of {self.layer!r} makes an array of shape {array.shape} that has no name, which backward "
                f"needs: give it one first, as in mask = …"
            )
        self.held[number] = f"self.{name}"

    def _attribute(self, name: str) -> str:
        """The attribute in which the forward is to keep what it calls so: another one where it has that already."""
        attribute = f"{name}_kept" if name in vars(self.layer) else name
        self.to_keep[attribute] = name
        return attribute

    def _alias(self, place: str) -> str:
        """The name of what is held at a place, unpacked at the beginning of the method."""
        for name, held in self._aliases.items():
            if held == place:
                return name
        name = self._free(re.sub(r"\W+", "_", place.removeprefix("self.")))
        self._aliases[name] = place
        return name

    def _unpacking(self) -> list[str]:
        if not self._aliases:
            return []
        first = sorted(self._aliases.items(), key=lambda each: each[1] != self.held.get(id(self.x)))
        return [f"{', '.join(name for name, _ in first)} = {', '.join(place for _, place in first)}"]

    def _free(self, name: str, bare: bool = False) -> str:
        """A name that nothing else has; one without a meaning has a number."""
        taken = {"self", "np", "dy", *self._aliases, *self._used}
        unique, count = (f"{name}1" if bare else name), 1
        while unique in taken:
            count += 1
            unique = f"{name}{count}"
        self._used.append(unique)
        return unique

    def _shape_name(self, shape: tuple[int, ...]) -> str:
        """Something with a name that is of this shape: x, dy or what is held; "" where there is none."""
        if shape == self.x.shape:
            return self._array(self.x).text
        if shape == self.y.shape:
            return "dy"
        for number, place in self.held.items():
            if place.count(".") == 1 and any(id(each) == number and each.shape == shape for each in self.alive):
                return self._alias(place)
        return ""

    def _number(self, value: Any) -> str:
        """A number: an attribute of the layer, the number of rows or another length, or itself."""
        for name, held in vars(self.layer).items():
            if type(held) is float and held is value:
                return f"self.{name}"
        if isinstance(value, int | np.integer) and int(value) not in self._literals and value > 2:
            for name, held in vars(self.layer).items():
                if type(held) is int and held == value and value % len(self.x) == 0:
                    return f"self.{name}"
            length, read = self._length(int(value)), self.function.__code__.co_names
            own = [name for name, held in vars(self.layer).items() if type(held) is int and held == value]
            is_own = length == str(value) and len(own) == 1 and own[0] in read
            return f"self.{own[0]}" if is_own else length
        text = repr(float(value)) if isinstance(value, float | np.floating) else repr(int(value))
        if isinstance(value, float | np.floating) and float(value) not in self._literals:
            self.computed[text] = None
        return text

    def _length(self, value: int) -> str:
        """A length as that of x or of something else that the method has; itself if there is none."""
        shape, rows = self.x.shape, len(self.x)
        lengths = {rows: "len(x)"} | {shape[-1]: "x.shape[-1]"}
        for axis, n in enumerate(shape):
            lengths.setdefault(n, f"x.shape[{axis}]")
        if len(shape) > 2:
            lengths.setdefault(math.prod(shape[1:-1]), " * ".join(f"x.shape[{k}]" for k in range(1, len(shape) - 1)))
            lengths.setdefault(math.prod(shape[:-1]), "x.size // x.shape[-1]")
        if value % rows == 0:
            lengths.setdefault(value, f"len(x) * {value // rows}")
        if value in lengths:
            return re.sub(r"\bx\b", self._text(self.x), lengths[value])
        return str(value)

    def _place_text(self, value: Any) -> str:
        """What stands in an index, or names an axis."""
        return self._value(value, plain=True).text

    def _shapes(self, sets: list[str]) -> str:
        dx = f"d{self.argument} {self._shape(self.x.shape)}" if "return" in self.gradients else "None"
        ends = [f"{name} {vars(self.layer)[name].shape}" for name in sets]
        said = f"; sets {', '.join(ends[:-1])}{' and ' * (len(ends) > 1)}{ends[-1]}" if ends else ""
        return f"dy {self._shape(self.y.shape)} -> {dx}{said}."

    def _shape(self, shape: tuple[int, ...]) -> str:
        said = ["B" if n == len(self.x) else str(n) for n in shape]
        return f"({', '.join(said)}{',' * (len(said) == 1)})"


def _constants(code: CodeType, known: Mapping[str, Any], seen: set[CodeType]) -> Iterator[Any]:
    """The numbers that stand in some code, and in that of the functions which it calls by their names."""
    if code in seen:
        return
    seen.add(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _constants(constant, known, seen)
        elif isinstance(constant, int | float):
            yield constant
    for name in code.co_names:
        called = known.get(name)
        if isinstance(called, FunctionType):
            yield from _constants(called.__code__, called.__globals__, seen)

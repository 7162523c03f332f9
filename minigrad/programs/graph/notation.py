"""The textbook's notation for a graph: which of its numbers are worth a name of their own, and what they equal."""

from __future__ import annotations

import re

import numpy as np

from minigrad.programs.graph.numbers import Graph, Node, Operand

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
GREEK = {
    "eta": "η",
    "mu": "μ",
    "beta1": "β₁",
    "beta2": "β₂",
    "rest1": "(1−β₁)",
    "rest2": "(1−β₂)",
    "eps": "ε",
    "decay": "λ",
    "root": "√(1−β₂ᵗ)",
    "alpha": "α",
    "rest": "(1−α)",
}
LETTERS = {"gamma": "γ", "beta": "β", "mean": "μ", "dgamma": "dγ", "dbeta": "dβ"}
OWN = re.compile(r"d?[azxt]\d*|p|loss|.*_new|d[A-Za-z_]+\d+")
"""Names that the textbook gives; other names are those of attributes that a layer keeps for its backward."""
WORK_SHOWN, WORK_REPEATED = 20, 2
"""Of so many operations without a name nobody reads the formula; nor so many of them twice."""

SIGNS = {"add": ("+", 1), "subtract": ("−", 1), "multiply": ("·", 2), "divide": ("/", 2)}
COMPARED = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=", "not_equal": "≠"}
CALLED = {
    "log1p": "log(1 + {0})",
    "expm1": "exp({0}) − 1",
    "sqrt": "√({0})",
    "absolute": "|{0}|",
    "minimum": "min({0}, {1})",
    "maximum": "max({0}, {1})",
    "floor": "⌊{0}⌋",
    "invert": "1 − {0}",
    "reciprocal": "1 / {0}",
    "where": "({1} where {0}, else {2})",
    "copysign": "({0} with the sign of {1})",
}
FOLDED = {"add": "Σ", "maximum": "max", "minimum": "min", "multiply": "Π"}


def pretty(name: str) -> str:
    """W₁ for W1, W₁′ for W1_new, m(W₁) for m(W1)."""
    new = name.endswith("_new")
    name = name.removesuffix("_new")
    found = re.fullmatch(r"(\w+)\((.+)\)", name)
    if name in GREEK:
        text = GREEK[name]
    elif found:
        text = f"{ {'velocity': 'v'}.get(found[1], found[1]) }({pretty(found[2])})"
    else:
        letter, digits = re.fullmatch(r"(.*?)(\d*)", name, re.S).groups()  # type: ignore[union-attr]
        text = LETTERS.get(letter, letter).replace("_", " ") + digits.translate(SUBSCRIPTS)
    return text + "′" * new


class Notation:
    """The blocks of a graph, arrays that are shown, and their equations; the other nodes are part of an equation."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.blocks: dict[Node, None] = {}
        uses = self._uses()
        work: dict[Node, int] = {}
        ends = {each for p in (graph.result, *graph.updates.values()) for each in self.nodes_of(p)}
        folded = {each for node in graph.nodes if node.fold for p in node.inputs for each in self.nodes_of(p)}
        for node in graph.nodes:
            if node.constant is not None:
                continue
            own = bool(OWN.fullmatch(node.name)) or (bool(node.name) and uses[node] > 1)
            work[node] = (
                0
                if node.is_given
                else 1
                + sum(work.get(each, 0) for p in node.inputs for each in self.nodes_of(p) if each not in self.blocks)
            )
            shown = node.is_given or own or node in folded or node in ends
            shown |= uses[node] > 1 and (work[node] > WORK_REPEATED or bool(node.fold and node.shape))
            if shown or work[node] > WORK_SHOWN:
                self.blocks[node] = None
        self._give_names()

    def nodes_of(self, operand: Operand) -> list[Node]:
        """The nodes that an operand has numbers of."""
        if not isinstance(operand, np.ndarray) or not operand.size:
            return []
        whole = self.graph.whole(operand)
        if whole is not None:
            return [whole]
        found, left = [], np.unique(operand)
        while left.size:
            node = self.graph.node_at(int(left[0]))
            found.append(node)
            left = left[left >= node.start + node.size]
        return found

    def _uses(self) -> dict[Node, int]:
        uses = dict.fromkeys(self.graph.nodes, 0)
        ends = [self.graph.result, *self.graph.updates.values()]
        for operand in [p for node in self.graph.nodes for p in node.inputs] + ends:
            for each in self.nodes_of(operand):
                uses[each] += 1
        return uses

    def _give_names(self) -> None:
        taken = {node.name for node in self.graph.nodes}
        for node in self.blocks:
            if node.name:
                continue
            wanted = {"exp": "e"}.get(node.function, "u")
            if node.fold:
                wanted = {"add": "s", "maximum": "max", "minimum": "min"}.get(node.fold, "u")
            elif node.verb == "value" and node.shape:
                wanted = "e" if wanted == "e" else "l"
            name, count = wanted, 1
            while name in taken:
                count += 1
                name = f"{wanted}{count}"
            taken.add(name)
            node.name = name

    # ------------------------------------------------------------------------------------------------------- equations
    def equation(self, node: Node) -> str:
        """`z₁ = x W₁ + b₁`; only its name where it is given."""
        return pretty(node.name) if node.is_given else f"{pretty(node.name)} = {self._text(node)[0]}"

    def _operand(self, operand: Operand, least: int = 0) -> str:
        """The text of an operand, in brackets where it binds less than `least`."""
        if not isinstance(operand, np.ndarray):
            text, binds = f"{operand:g}".replace("-", "−"), 9 if operand >= 0 else 2
        else:
            text, binds = self._places(operand)
        return text if binds >= least else f"({text})"

    def _places(self, places: np.ndarray) -> tuple[str, int]:
        nodes = self.nodes_of(places)
        if len(nodes) > 1:
            names = [node.name for node in nodes]
            if all(name.startswith("d") for name in names):
                return "dθ", 9
            return (
                "θ" if all(node.role == "parameter" for node in nodes) else "[" + ", ".join(map(pretty, names)) + "]"
            ), 9
        [node] = nodes
        if node.constant is not None:
            return (f"{node.constant.ravel()[0]:g}" if node.size == 1 else "constants"), 9
        text, binds = (pretty(node.name), 9) if node in self.blocks else self._text(node)
        turned = len(node.shape) == 2 and places.squeeze().ndim == 2 and min(node.shape) > 1
        if turned and np.array_equal(places.squeeze(), node.places.T.squeeze()):
            return (text if binds == 9 else f"({text})") + "ᵀ", 9
        return text, binds

    def _text(self, node: Node) -> tuple[str, int]:
        """(the right side of the equation, how firmly it binds)"""
        f, inputs = node.function, node.inputs
        if node.fold:
            return self._folded(node)
        if f == "minimum" and isinstance(inputs[1], float) and inputs[1] > 700:  # a guard against overflow
            return self._places(np.asarray(inputs[0]))
        if f == "multiply":
            arrays = [isinstance(p, np.ndarray) and p.ndim > 0 and p.size > 1 for p in inputs]
            same = isinstance(inputs[0], np.ndarray) and np.array_equal(inputs[0], inputs[1])
            numbers = any(not isinstance(p, np.ndarray) or self._constant(p) for p in inputs)
            sign = " ⊙ " if all(arrays) else " · " if numbers else " "
            if same:
                return f"{self._operand(inputs[0], 9)}²", 8
            after = 2 if self._is_product(inputs[1]) else 3
            return f"{self._operand(inputs[0], 2)}{sign}{self._operand(inputs[1], after)}", 2
        if f == "minimum" and self._is_minus(inputs):
            return f"−|{self._operand(inputs[0])}|", 2
        if f in SIGNS:
            sign, binds = SIGNS[f]
            after = binds + (f != "add")
            return f"{self._operand(inputs[0], binds)} {sign} {self._operand(inputs[1], after)}", binds
        if f == "negative":
            return f"−{self._operand(inputs[0], 2)}", 2
        if f == "square":
            return f"{self._operand(inputs[0], 9)}²", 8
        if f in COMPARED:
            return f"[{self._operand(inputs[0])} {COMPARED[f]} {self._operand(inputs[1])}]", 9
        if f in ("expm1", "invert", "reciprocal"):
            return CALLED[f].format(self._operand(inputs[0], 9 if f != "expm1" else 0)), 1
        if f in CALLED:
            return CALLED[f].format(*map(self._operand, inputs)), 9
        return f"{f}({', '.join(map(self._operand, inputs))})", 9

    def _folded(self, node: Node) -> tuple[str, int]:
        if node.function == "multiply":
            one, other = node.inputs
            if isinstance(one, np.ndarray) and np.array_equal(one, other) and not node.shape:
                return f"Σ {self._operand(one, 9)}²", 2
            return f"{self._factor(one, node, 0)} {self._factor(other, node, 1)}", 3
        [terms], [operand] = self.nodes_of(node.inputs[0])[:1], node.inputs
        alone = isinstance(operand, np.ndarray) and len(self.nodes_of(operand)) == 1
        text = self._operand(terms.places if alone else operand, 3)
        rows = len(node.over) == 1 and len(terms.shape) == 2 and node.shape == terms.shape[1:]
        return f"{FOLDED[node.fold]}{'_rows' if rows else ''} {text}", 2

    def _constant(self, operand: Operand) -> bool:
        node = self.graph.whole(operand)
        return node is not None and node.constant is not None

    def _is_product(self, operand: Operand) -> bool:
        node = self.graph.whole(operand)
        return node is not None and node.function == "multiply" and not node.fold

    def _is_minus(self, inputs: tuple[Operand, ...]) -> bool:
        """Whether the second operand is the first one, negated."""
        node = self.graph.whole(inputs[1])
        return node is not None and node.function == "negative" and np.array_equal(node.inputs[0], inputs[0])

    def _factor(self, operand: Operand, node: Node, position: int) -> str:
        """A factor of a matrix product, with ᵀ where it is used transposed."""
        nodes = self.nodes_of(operand)
        if len(nodes) != 1 or not isinstance(operand, np.ndarray):
            return self._operand(operand, 3)
        [inner] = nodes
        text = pretty(inner.name) if inner in self.blocks else self._operand(inner.places, 9)
        if len(inner.shape) != 2 or len(node.shape) != 2:
            return text
        plain = inner.places if position == 0 else inner.places.T
        flat = operand.reshape(operand.shape[0] * operand.shape[1], -1) if operand.ndim == 3 else operand
        straight = flat.shape == plain.shape and np.array_equal(flat, plain)
        return text if straight else f"{text}ᵀ"

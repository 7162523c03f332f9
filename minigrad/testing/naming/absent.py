"""Names that there are none of where they stand: functions without np, other frameworks' words, misspelt gradients."""

from __future__ import annotations

import ast
import builtins
import copy
import difflib
import re
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.configured.hints import ARGUMENTS, ARRAY, FUNCTIONS, MODULES
from minigrad.layer import Layer
from minigrad.parameter import Array, gradient_name
from minigrad.testing.naming import rewrites
from minigrad.testing.naming.corrections import Correction
from minigrad.testing.naming.rewrites import Written
from minigrad.testing.naming.templates.edits import Edit, slots
from minigrad.testing.naming.templates.nodes import expression, listed

STARTS = ("forward", "backward", "predict")
MOST = 8  # numbers of a layer that are tried in the place of a name
NO_GRADIENT, NO_NAME, NO_METHOD = "{} is no gradient of this layer", "there is no {}", "an array has no method {}"
ALIKE = 0.75  # of two names, that one is the other misspelt


def correction(layer: Layer, x: Array, error: BaseException | None) -> Correction | None:
    """What is to be written for such names, all at once; None if there are none, or if that is not what is wrong.

    Without an error, only gradients are looked at: one of them is never set.
    """
    if not isinstance(error, NameError | AttributeError | TypeError | None):
        return None
    rewritten, told = list[Written](), dict[str, dict[str, str]]()
    for each in rewrites.written_in(layer, *STARTS):
        words = _Words(each, only_gradients=error is None)
        statements = [node for node in ast.walk(each.method.tree) if isinstance(node, ast.stmt)]
        each.edits.extend(edit for statement in statements for edit in words.edits(statement))
        for what, names in words.told.items():
            told.setdefault(what, {}).update(names)
        rewritten += [each] if each.edits else []
    if rewritten:
        says = "; ".join(_said(what, names) for what, names in told.items())
        return rewrites.correction(layer, x, rewritten, says, surely=True)
    return _number(layer, x, str(error.name)) if isinstance(error, NameError) else None


def _said(what: str, names: Mapping[str, str]) -> str:
    """Words for what is to stand for these names."""
    old, new = ([f"`{name}`" for name in dict.fromkeys(some)] for some in (names.values(), names))
    what = what if len(old) == 1 else what.replace("is no gradient", "are no gradients")
    return f"{what.format(listed(old))}: {listed(new)} {'belongs' if len(new) == 1 else 'belong'} there"


def imported(layer: Layer, error: BaseException | None) -> str:
    """Words for a function that a file has not imported, where it is known from where; else empty."""
    of_numpy = isinstance(error, AttributeError) and error.obj is np
    name = str(error.name) if isinstance(error, NameError | AttributeError) else ""
    if not (of_numpy or isinstance(error, NameError)) or hasattr(layer, name):
        return ""
    if name == "np":
        line = "import numpy as np"
    elif isinstance(getattr(functions, name, None), FunctionType):
        line = f"from minigrad.functions import {name}"
    else:
        return ""
    what = f"NumPy has no `{name}`, but minigrad" if of_numpy else f"there is no `{name}` in this file"
    return f"{what}: `{line}` {'gives it' if of_numpy else 'is missing at its beginning'}"


class _Words(ast.NodeTransformer):
    """Writes minigrad's and NumPy's names where a method has others.

    `told` has the other for each new one, by what is said of it.
    """

    def __init__(self, written: Written, only_gradients: bool) -> None:
        function = written.method.function
        variables = {*function.__code__.co_varnames, *function.__code__.co_freevars, *vars(builtins)}
        self.known: Mapping[str, Any] = {**dict.fromkeys(variables), **function.__globals__}
        self.numpy = next((name for name, value in function.__globals__.items() if value is np), "")
        self.holder, self.misspelt, self.only_gradients = written.holder, _misspelt(written), only_gradients
        self.told: dict[str, dict[str, str]] = {}
        self.count = 0

    def edits(self, statement: Any) -> Iterator[Edit]:
        """The edit of a statement, without those within it, if it has such names."""
        before, places = self.count, list[tuple[Any, str, Any]]()
        for key, value in ast.iter_fields(statement) if not isinstance(statement, ast.FunctionDef) else ():
            several = value if isinstance(value, list) else [value]
            if all(isinstance(each, ast.expr) for each in several):
                new = [self.visit(copy.deepcopy(each)) for each in several]
                places.append((statement, key, new if isinstance(value, list) else new[0]))
        if self.count > before:
            yield Edit("", statement, tuple(places))

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """A gradient, or the function of a module that there is none of."""
        self.generic_visit(node)
        of_parameter = re.fullmatch(r"self\.(\w+)\.grad", ast.unparse(node))
        gradient = self.misspelt.get(ast.unparse(node), "")
        if of_parameter and of_parameter[1] in getattr(self.holder, "params", ()):
            gradient = gradient_name(self.holder, of_parameter[1])
        if gradient:
            return self._put(node, f"self.{gradient}", NO_GRADIENT)
        root = ast.unparse(node).partition(".")[0]
        foreign = root in MODULES and root not in self.known
        foreign |= ast.unparse(node.value) == self.numpy and not hasattr(np, node.attr)
        return self._function(node, node.attr) if foreign and not self.only_gradients else node

    def visit_Call(self, node: ast.Call) -> Any:
        """A function without its module, a method that arrays have not, an argument that NumPy calls otherwise."""
        self.generic_visit(node)
        function = node.func
        if self.only_gradients:
            return node
        if isinstance(function, ast.Name) and function.id not in self.known:
            node.func = self._function(function, function.id)
        if not isinstance(function, ast.Attribute):
            return node
        for keyword in node.keywords:
            if keyword.arg in ARGUMENTS:
                self._tell(NO_NAME, f"{keyword.arg}=", f"{ARGUMENTS[keyword.arg]}=")
                keyword.arg = ARGUMENTS[keyword.arg]
        if ast.unparse(function.value) == "self":
            if not hasattr(self.holder, function.attr):
                node.func = self._function(function, function.attr)
        elif not self._is_module(function.value):
            return self._method(node, function)
        return node

    def _method(self, node: ast.Call, function: ast.Attribute) -> Any:
        """A method of an array that NumPy's arrays have not."""
        name, text = function.attr, ARRAY.get(function.attr, "")
        if callable(getattr(np.ndarray, name, None)) or node.keywords or not self.numpy:
            return node
        if not text and callable(getattr(np, name, None)):
            text = f"np.{name}({{0}})"
        if not text or ("{1}" in text) != bool(node.args):
            return node
        given = [f"({ast.unparse(function.value)})", ", ".join(map(ast.unparse, node.args))]
        new = text.replace("np.", f"{self.numpy}.").format(*given)
        return self._put(node, new, NO_METHOD, name)

    def _function(self, node: Any, name: str) -> Any:
        """The layer's or the file's function, or NumPy's, for one that there is none of; else the node itself."""
        letters = sorted(name.casefold())
        other = FUNCTIONS.get(name) or next((each for each in dir(np) if sorted(each.casefold()) == letters), name)
        other = name if hasattr(np, name) else other
        of_file = self.known.get(name)
        new = name if callable(of_file) and not isinstance(of_file, type) else ""
        if isinstance(node, ast.Name) and callable(getattr(self.holder, name, None)):
            new = f"self.{name}"
        if not new and self.numpy and (callable(getattr(np, other, None)) or other == "pi"):
            new = f"{self.numpy}.{other}"
        return self._put(node, new, NO_NAME) if new else node

    def _is_module(self, node: Any) -> bool:
        """Whether this is no array, but a module, a class or an inner layer."""
        text = ast.unparse(node)
        value = self.known.get(text, np.zeros(0))
        value = getattr(self.holder, text.removeprefix("self."), value) if text.startswith("self.") else value
        return not isinstance(value, np.ndarray | float | None) or text in MODULES

    def _put(self, node: Any, new: str, what: str, old: str = "") -> Any:
        made = expression(new)
        self._tell(what, old or ast.unparse(node), ast.unparse(made))
        if hasattr(node, "ctx") and hasattr(made, "ctx"):
            made.ctx = node.ctx
        return made

    def _tell(self, what: str, old: str, new: str) -> None:
        self.count += 1
        self.told.setdefault(what, {})[new] = old


def _misspelt(written: Written) -> dict[str, str]:
    """What backward sets on self and nothing reads, by the gradient that it has to be, which nothing names."""
    holder, cls = written.holder, type(written.holder)
    gradients = [gradient_name(holder, name) for name in getattr(holder, "params", ())]
    codes = [value.__code__ for value in vars(cls).values() if isinstance(value, FunctionType)]
    named = {name for each in codes for name in (*each.co_names, *each.co_consts) if isinstance(name, str)}
    attributes = [node for node in ast.walk(written.method.tree) if isinstance(node, ast.Attribute)]
    of_self = [node for node in attributes if ast.unparse(node.value) == "self"]
    stored = dict.fromkeys(node.attr for node in of_self if isinstance(node.ctx, ast.Store))
    read = {node.attr for node in of_self if isinstance(node.ctx, ast.Load)}
    strange = [name for name in stored if name not in {*gradients, *getattr(holder, "params", ()), *read}]
    found: dict[str, str] = {}
    for gradient in [name for name in gradients if name not in named] if written.name == "backward" else ():
        nearest = max(strange, key=lambda name: _alike(name, gradient), default="")
        if nearest and _alike(nearest, gradient) > ALIKE:
            found[f"self.{nearest}"] = gradient
            strange.remove(nearest)
    return found


def _alike(name: str, gradient: str) -> float:
    """How alike a name is to a gradient's, dW say: 1 if only in its case, or as W_grad, grad_W."""
    a, b = (text.casefold().replace("_", "") for text in (name, gradient))
    others = (b, f"{b[1:]}grad", f"grad{b[1:]}", f"delta{b[1:]}")
    ratio = difflib.SequenceMatcher(None, a, b).ratio()
    return 1 + (name.casefold() == gradient.casefold()) if a in others else ratio


def _number(layer: Layer, x: Array, name: str) -> Correction | None:
    """A number of the layer's in the place of a name that backward reads, d say of the formula, which is right then."""
    methods = list(rewrites.written_in(layer, "backward"))
    for number in dict.fromkeys(key for each in methods for key in _numbers(each.holder)):
        says = f"there is no `{name}`: `self.{number}` belongs there"
        for each in methods:
            named = [slot for slot in slots(each.method.tree, {}) if ast.unparse(slot.node) == name]
            each.edits[:] = [slot.to(expression(f"self.{number}"), says) for slot in named]
        found = rewrites.correction(layer, x, [each for each in methods if each.edits], says, surely=False)
        if found:
            return found
    return None


def _numbers(holder: Any) -> list[str]:
    return [name for name, value in vars(holder).items() if type(value) in (int, float) and name[0] != "_"][:MOST]

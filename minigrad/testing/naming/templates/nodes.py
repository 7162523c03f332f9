"""Nodes of Python's syntax: made of text and of numbers, shown as text, and asked for their names and factors."""

from __future__ import annotations

import ast
import functools
from typing import Any


def code(node: Any) -> str:
    """A node as source, in quotes."""
    return quoted(ast.unparse(node))


def quoted(text: str) -> str:
    """Source in quotes, if need be its beginning."""
    return f"`{text if len(text) < 60 else text[:56] + ' …'}`"


def listed(words: list[str]) -> str:
    """Words with commas and an "and"."""
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])


def expression(text: str) -> Any:
    """An expression's text as a node."""
    return ast.parse(text, mode="eval").body


def number(value: Any) -> Any:
    """A number as a node."""
    negative = isinstance(value, int | float) and value < 0
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if negative else ast.Constant(value)


def factors_of(node: Any) -> list[Any]:
    """The factors of a product, from the first to the last; of anything else, it itself."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors_of(node.left), *factors_of(node.right)]
    return [node]


def product_of(factors: list[Any]) -> Any:
    """The product of factors."""
    return functools.reduce(lambda left, right: ast.BinOp(left, ast.Mult(), right), factors)


def assigned(*nodes: Any) -> dict[str, None]:
    """The names of the variables that some code assigns, in its order."""
    return _names(nodes, ast.Store)


def names_read(*nodes: Any) -> dict[str, None]:
    """The names of the variables that some code reads, in its order."""
    return _names(nodes, ast.Load)


def _names(nodes: tuple[Any, ...], context: type[ast.expr_context]) -> dict[str, None]:
    found = (each for node in nodes for each in ast.walk(node))
    return {each.id: None for each in found if isinstance(each, ast.Name) and isinstance(each.ctx, context)}

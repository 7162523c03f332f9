"""The source of a forward, with lines added by which it keeps what a backward needs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from tokenize import TokenError
from typing import Any


def definition_of(function: Callable[..., Any]) -> tuple[ast.FunctionDef, str, int] | None:
    """A function's definition, its source, and the number of its first line.

    None where there is no source, or that of something else: code that was run from a text finds the lines of whatever
    file has the name that it was given.
    """
    try:
        lines, first = inspect.getsourcelines(function)
        source = textwrap.dedent("".join(lines))
        definition = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError, TokenError):
        return None
    if not isinstance(definition, ast.FunctionDef) or definition.name != inspect.unwrap(function).__name__:
        return None
    return definition, source, first


def with_kept(function: Callable[..., Any], to_keep: Mapping[str, str]) -> tuple[str, list[str]]:
    """The function's source with `self.name = value` for each name, after the line that makes it or else at the top.

    Where there is no source, or no such line: "", and the lines that are missing.
    """
    lines = [f"self.{name} = {value}" for name, value in to_keep.items()]
    if not lines:
        return "", []
    found = definition_of(function)
    if found is None:
        return "", lines
    definition, source, _ = found
    arguments = [argument.arg for argument in definition.args.args]
    text = source.splitlines()
    first = definition.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(definition.body) > 1
    top = (definition.body[1] if documented else first).lineno - 1
    if any(statement.lineno == definition.lineno for statement in definition.body):
        return "", lines
    added: list[tuple[int, str]] = []
    for line, value in zip(lines, to_keep.values(), strict=True):
        made = [each for each in definition.body if value in _assigned(each)]
        if made and value not in arguments:
            last = made[-1].end_lineno or made[-1].lineno
            if any(each.lineno == last for each in definition.body[definition.body.index(made[-1]) + 1 :]):
                return "", lines  # another statement stands behind it
            added.append((last, line))
        elif value.isidentifier() and value not in arguments:
            return "", lines
        else:
            added.append((top, line))
    if definition.lineno == first.lineno - 1:  # names of types may not be there where it is pasted
        text[definition.lineno - 1] = f"def {definition.name}({', '.join(arguments)}):"
    margin = " " * first.col_offset
    for place, line in sorted(added, key=lambda each: -each[0]):
        text.insert(place, margin + line)
    return "\n".join(text) + "\n", []


def _assigned(statement: ast.stmt) -> set[str]:
    """The names of variables that a statement assigns."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

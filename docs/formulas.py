"""What becomes of a docstring on the site: formulas keep their spaces, as code does, and names lead to their pages."""

import pkgutil
import re
from functools import cache
from types import ModuleType
from typing import Any

import griffe

import minigrad

FORMULA = re.compile(r"(\w+_\{[^}]*\}|\S{1,24}) (\+=|=|←) ")
NAME = re.compile(r"`(?P<code>[\w./]+)`|`[^`]*`|(?<![\w./\[])(?P<dotted>minigrad(\.\w+)+)(?![\w(`])")


def is_formula(paragraph: str) -> bool:
    """Whether it opens with `y = …` and is no sentence; wide spaces part the columns of formulas alone."""
    wide = re.match(r"\S.*\S {3,}\S", paragraph, re.S)
    return wide is not None or (FORMULA.match(paragraph) is not None and paragraph[-1] not in ".`")


def with_formulas(text: str) -> str:
    """The docstring with its formulas as code, which keeps their spaces."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(re.sub("^", "    ", each, flags=re.M) if is_formula(each) else each for each in paragraphs)


@cache
def place(name: str) -> str | None:
    """Where the reference has `minigrad.…`, or None where it has no such thing."""
    try:
        value = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):  # also of what this Python has not installed
        return None
    own = getattr(value, "__module__", "")
    found = value.__name__ if isinstance(value, ModuleType) else f"{own}.{getattr(value, '__qualname__', '')}"
    return found if re.fullmatch(r"minigrad(\.[A-Za-z]\w*)+", found) and getattr(value, "__doc__", None) else None


def meant(name: str, package: str, within: bool) -> str | None:
    """What a docstring in this package calls by a name in backticks: `Dense`, `training.fit`, `layer.py`.

    `within` says whether the package's own names are meant, too: `blocks`, `check_layer`.
    """
    if name.endswith(".py"):
        name = name.removesuffix(".py").replace("/", ".")
        return place(f"{package}.{name}") or place(f"minigrad.{name}")
    if name in minigrad.__all__ and name[0].isupper():
        return place(f"minigrad.{name}")
    inner = place(f"{package}.{name}") if within and package != "minigrad" else None
    return inner or (place(f"minigrad.{name}") if "." in name else None)


def with_links(text: str, package: str, within: bool) -> str:
    """The docstring with its names as links, outside of blocks of code."""

    def linked(match: re.Match[str]) -> str:
        dotted, code = match["dotted"], match["code"]
        found = place(dotted) if dotted else meant(code, package, within) if code else None
        return match[0] if found is None else f"[{match[0]}][{found}]"

    return "\n".join(line if line.startswith("    ") else NAME.sub(linked, line) for line in text.split("\n"))


class Formulas(griffe.Extension):
    """Applies both to every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            module = obj.module
            package = module.path if module.is_init_module else module.path.rpartition(".")[0]
            obj.docstring.value = with_links(with_formulas(obj.docstring.value), package, obj.is_module)

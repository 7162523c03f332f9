"""Docstrings open with formulas: on the site these lines keep their spaces, as code does."""

import re
from typing import Any

import griffe


def with_formulas(text: str) -> str:
    """The docstring with its first paragraphs as code, as long as they are formulas: `y = …` with wide spaces."""
    paragraphs = text.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if not re.match(r"\S{1,24} = ", paragraph) and not re.match(r"d\w+ = ", paragraph):
            break
        paragraphs[number] = "\n".join(f"    {line}" for line in paragraph.splitlines())
    return "\n\n".join(paragraphs)


class Formulas(griffe.Extension):
    """Applies it to every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = with_formulas(obj.docstring.value)

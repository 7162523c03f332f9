"""HTML: tables in which everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table of texts, numbers or `Markup`; the first cell of a row is its name."""
    top = "".join(f'<th scope="col">{marked(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{marked(name)}</th>{"".join(f"<td>{marked(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


class Markup(str):
    """Text that is HTML already."""


def marked(value: object) -> str:
    """A value as HTML: escaped, unless it is Markup."""
    return value if isinstance(value, Markup) else escape(str(value))

"""Which columns matter, in words, as lines of text and as a section of a page."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

from minigrad.display import Markup, html_table, text_table
from minigrad.parameter import Array
from minigrad.results.drawing import dependence
from minigrad.results.messages import amount
from minigrad.results.outcome import Interval

SHOWN = 25  # columns of a page's table
PAIRS = 5  # pairs of columns that are named
COLUMNS_SHOWN = 15  # of those that matter most
WIDTH = 110  # of a line of sentences


@dataclass(frozen=True)
class Importance:
    """How much the score falls where a column is shuffled among the rows, with the 95 % interval of that."""

    column: str
    drop: float
    interval: Interval


@dataclass(frozen=True)
class Curve:
    """The mean output where all rows have one and the same value in a column: (values, outputs)."""

    column: str
    values: list[Any]
    outputs: Array
    numbers: bool
    """Whether the values are numbers along a line, and no kinds."""


@dataclass(frozen=True)
class Explanation:
    """What is known of a model's columns, by rows that it was not trained on."""

    measure: str
    score: float
    rows: int
    importances: list[Importance]
    """The most important column first."""
    together: list[tuple[str, str, float]]
    """Pairs of columns that go together, and how closely: they share their importance."""
    curves: list[Curve]
    outputs: list[str]
    """What the outputs of a curve are."""

    def __str__(self) -> str:
        """Which columns matter, and how the answers go with the leading ones."""
        return "\n\n".join([importance_lines(self), *curve_lines(self)])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return columns_section(self)

    def to_json(self) -> dict[str, Any]:
        """`importance`, the drop in score by column, and what belongs to it."""
        return {
            "importance": {each.column: each.drop for each in self.importances},
            "importance_interval": {each.column: each.interval for each in self.importances},
            "importance_measure": self.measure,
            "columns_together": [{"columns": [a, b], "correlation": r} for a, b, r in self.together],
        }


def together_texts(found: Explanation) -> list[str]:
    """Which columns go together, in a sentence."""
    if not found.together:
        return []
    pairs = [f"{a!r} and {b!r} ({r:.2f})" for a, b, r in found.together[:PAIRS]]
    more = f" and {len(found.together) - PAIRS:,} more pairs" if len(found.together) > PAIRS else ""
    return [
        f"going together (correlation): {', '.join(pairs)}{more}. Such columns share their importance: where one is "
        "shuffled, the other still tells, so each can look unimportant."
    ]


def importance_lines(found: Explanation) -> str:
    """Which columns matter, the most important ones first, and which go together."""
    cells = [
        [each.column, f"{round(each.drop, 3) + 0.0:.3f}", "{:.3f} to {:.3f}".format(*each.interval)]
        for each in found.importances[:COLUMNS_SHOWN]
    ]
    left = len(found.importances) - COLUMNS_SHOWN
    head = [f"{found.measure} {found.score:.3f} of {found.rows:,} rows", "falls by", "95 % interval"]
    lines = ["which columns matter: what is lost where one is shuffled", text_table(head, cells, align="<>>")]
    lines += [f"and {left:,} more columns; --json names them all"] if left > 0 else []
    return "\n".join([*lines, *(textwrap.fill(text, WIDTH) for text in together_texts(found))])


def curve_lines(found: Explanation) -> list[str]:
    """The curves of the leading columns, as tables."""
    return [
        f"if every row had this {curve.column!r}, the mean answer would be\n"
        + text_table(
            [curve.column, *found.outputs],
            [
                [_value(value), *map(amount, row)]
                for value, row in zip(curve.values, curve.outputs.tolist(), strict=True)
            ],
            align="<" + ">" * len(found.outputs),
        )
        for curve in found.curves
    ]


def columns_section(found: Explanation) -> str:
    """The section of a page: what is lost without each column, and how the answers go with the leading ones."""
    largest = max((each.drop for each in found.importances), default=0.0)
    rows: list[list[object]] = []
    for each in found.importances[:SHOWN]:
        low, high = each.interval
        width = 100 * max(each.drop, 0.0) / largest if largest > 0 else 0.0
        bar = f'<span class="bar" style="width:{width:.0f}%"></span>'
        told = "" if low > 0 else "not shown on these rows"
        rows.append(
            [each.column, Markup(f"{round(each.drop, 3) + 0.0:.3f}{bar}<small>{low:.3f} to {high:.3f}</small>"), told]
        )
    words = (
        f"How much the {found.measure} of {found.score:.3f} falls where a column is shuffled among {found.rows:,} rows "
        "that were not trained on, so that it tells nothing of its row any more. Small figures are 95 % intervals. It "
        "says what this network uses, not what causes what."
    )
    together = "".join(f"<p>{escape(text[:1].upper() + text[1:])}</p>" for text in together_texts(found))
    table = html_table(["column", f"{found.measure} falls by", ""], rows)
    return f"<h2>Which columns matter</h2><p>{escape(words)}</p>{table}{together}{_curves(found)}"


def _curves(found: Explanation) -> str:
    if not found.curves:
        return ""
    words = (
        f"The mean of {', '.join(found.outputs)} if every row had the value below, all other columns as they are "
        "(partial dependence). Where columns go together, some of these rows can’t exist."
    )
    drawn = (dependence(each.column, each.values, each.outputs, found.outputs, each.numbers) for each in found.curves)
    return f'<p>{escape(words)}</p><div class="pair">{"".join(drawn)}</div>'


def _value(value: Any) -> str:
    return amount(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)

"""How a writer refuses."""

from __future__ import annotations

from minigrad.programs.form import Line


class Unwritable(ValueError):
    """A line that a writer has no words for, and why."""

    def __init__(self, line: Line, why: str) -> None:
        super().__init__(f"{line}: {why}")
        self.line = line
        self.why = why

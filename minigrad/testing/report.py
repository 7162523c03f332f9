"""What a check found: a report that prints as a table, or an error that names the bug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minigrad.display import html_table


@dataclass
class Finding:
    """One rule of the contract and how it went: "holds", "skipped" or "broken"."""

    rule: str
    verdict: str
    detail: str = ""


@dataclass
class Report:
    """The rules that were tried on `subject`, in order; `str()` is a table.

    `method` says how derivatives were measured, `error` how far they were off, of which `tolerance` is allowed, and
    `not_checked` what no rule can know.
    """

    subject: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    method: str = ""
    error: float = 0.0
    tolerance: float = 0.0
    not_checked: str = ""

    def holds(self, rule: str, detail: str = "") -> None:
        """Enter a rule that was tried and kept."""
        self.findings.append(Finding(rule, "holds", detail))

    def skipped(self, rule: str, why: str) -> None:
        """Enter a rule that does not apply here, or could not be tried; without a reason it is not mentioned."""
        if why:
            self.findings.append(Finding(rule, "skipped", why))

    def include(self, other: Report) -> None:
        """Enter all that a check within this one has found."""
        self.findings += other.findings
        for text in other.notes:
            self.note(text)

    def note(self, text: str) -> None:
        """Enter, once, what the reader should know although it is no error."""
        if text not in self.notes:
            self.notes.append(text)

    def __str__(self) -> str:
        broken = any(finding.verdict == "broken" for finding in self.findings)
        width = max((len(finding.rule) for finding in self.findings), default=0)
        lines = [f"{self.subject}: {'wrong' if broken else 'right'}"]
        lines += [f"  {f.rule:<{width}}  {f.verdict:<7}  {f.detail}".rstrip() for f in self.findings]
        lines += [f"  note: {note}" for note in self.notes]
        if self.not_checked and not broken:
            lines.append(f"  not checked: {self.not_checked}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        title, *_ = str(self).partition("\n")
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        notes += f"<p>not checked: {escape(self.not_checked)}</p>" if self.not_checked else ""
        return html_table(("rule", "", ""), ((f.rule, f.verdict, f.detail) for f in self.findings), title) + notes


@dataclass(frozen=True)
class Diagnosis:
    """The likely bug in one sentence, the line `written` wrong, and what is `right` there; each may be empty.

    `found` is the correction behind them, as long as it has not been tried as a whole.
    """

    sentence: str = ""
    written: str = ""
    right: str = ""
    found: Any = None

    def __str__(self) -> str:
        said = {"written": self.written, "right": self.right}
        lines = [f"  {f'{name}:':<11} {text}" for name, text in said.items() if text]
        return "\n".join([self.sentence, *lines] if self.sentence else lines)


class GradientError(AssertionError):
    """A rule of the contract is broken.

    `rule` says which and `situation` where; for a wrong number `parameter` ("x" for the input), `index`, `analytic`
    and `numeric` locate it. `diagnosis` is the likely bug, or empty: its `sentence`, and where they are known the line
    `written`, which is wrong, and what is `right` there. `report` has what was tried.
    """

    def __init__(
        self,
        rule: str,
        what: str,
        *,
        situation: str = "",
        diagnosis: Callable[[], Diagnosis] = Diagnosis,
        parameter: str | None = None,
        index: tuple[int, ...] | None = None,
        analytic: float | None = None,
        numeric: float | None = None,
    ) -> None:
        self.rule = rule
        self.what = what
        self.situation = situation
        self._diagnosis: Diagnosis | Callable[[], Diagnosis] = diagnosis
        self.parameter = parameter
        self.index = index
        self.analytic = analytic
        self.numeric = numeric
        self.report: Report | None = None
        super().__init__(rule, what)

    @property
    def diagnosis(self) -> str:
        """The likely bug with its line; the experiments that it takes are made when it is first asked for."""
        return str(self._diagnosed())

    @property
    def sentence(self) -> str:
        """The likely bug in one sentence, without its line."""
        return self._diagnosed().sentence

    @property
    def written(self) -> str:
        """The line that is wrong, and where it stands."""
        return self._diagnosed().written

    @property
    def right(self) -> str:
        """What should stand there, and how that is known."""
        return self._diagnosed().right

    def _diagnosed(self) -> Diagnosis:
        if not isinstance(self._diagnosis, Diagnosis):
            diagnose, self._diagnosis = self._diagnosis, Diagnosis()  # to print itself meanwhile, it asks nothing
            self._diagnosis = diagnose()
        return self._diagnosis

    def __str__(self) -> str:
        subject = f"{self.report.subject}: " if self.report else ""
        lines = [f"{subject}{self.what}"]
        if self.diagnosis:
            lines.append(f"  likely bug: {self.diagnosis}" if self.sentence else self.diagnosis)
        if self.situation:
            lines.append(f"  situation:  {self.situation}")
        lines.append(f"  rule:       {self.rule}")
        return "\n".join(lines)

    def filed(self, report: Report) -> GradientError:
        """Enter the error in the report, which it then carries, and return it."""
        if self.report is None:
            self.report = report
            report.findings.append(Finding(self.rule, "broken", self.what))
        return self

    def __reduce__(self) -> Any:
        self._diagnosed()
        return _rebuilt, (vars(self),)


def _rebuilt(attributes: dict[str, Any]) -> GradientError:
    error = GradientError(attributes["rule"], attributes["what"])
    vars(error).update(attributes)
    return error

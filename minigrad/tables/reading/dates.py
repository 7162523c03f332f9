"""Dates and times as people write them: one order for a whole column, and told where that is a guess.

    form, _ = decide(["05.01.2024", "2024-01-31"])      # day, month, year, but for a year in front
    form.parse("31 Jan 24")                             # has one order, too

Zones are left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

ORDERS = ("ymd", "dmy", "mdy")
WORDS = {"ymd": "year, month, day", "dmy": "day, month, year", "mdy": "month, day, year", "": "times of the day"}
MONTHS = (
    ("jan", "january", "januar", "janvier", "enero"),
    ("feb", "february", "februar", "février", "febrero"),
    ("mar", "march", "märz", "mär", "mrz", "mars", "marzo"),
    ("apr", "april", "avril", "abril"),
    ("may", "mai", "mayo"),
    ("jun", "june", "juni", "juin", "junio"),
    ("jul", "july", "juli", "juillet", "julio"),
    ("aug", "august", "août", "agosto"),
    ("sep", "sept", "september", "septembre", "septiembre"),
    ("oct", "october", "okt", "oktober", "octobre", "octubre"),
    ("nov", "november", "novembre", "noviembre"),
    ("dec", "december", "dez", "dezember", "décembre", "diciembre"),
)
NUMBER_OF_MONTH = {name: number for number, names in enumerate(MONTHS, 1) for name in names}

CLOCK = (
    r"(?P<h>\d{1,2}):(?P<min>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)
MONTH = r"(?P<m>\d{1,2}|[^\W\d_]{3,10}\.?)"
SHAPES = {
    "ymd": r"(?P<y>\d{4})(?P<mark>[-/.])(?P<m>\d{1,2})(?P=mark)(?P<d>\d{1,2})",
    "dmy": rf"(?P<d>\d{{1,2}})(?P<mark>[-/. ]|\. ){MONTH}(?P=mark)?(?:[-/. ])?(?P<y>\d{{4}}|\d\d)",
    "mdy": rf"{MONTH}(?P<mark>[-/. ])(?P<d>\d{{1,2}})(?:(?P=mark)|, )(?P<y>\d{{4}}|\d\d)",
}
PATTERNS = {order: re.compile(rf"{shape}(?:(?:,?\s+|T){CLOCK})?") for order, shape in SHAPES.items()}
PATTERNS[""] = re.compile(CLOCK)
DAY_ZERO = date(1970, 1, 1)


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written: the `order` of day, month and year, or "" for times of the day alone.

    What has one order whatever the column's is read by its own: a year of four digits in front, a month as a word.
    """

    order: str

    def parse(self, text: str) -> datetime | None:
        """The moment that a text is in this form, without its zone; None for what is none. Times are those of day 0."""
        moment = self._moment(self.order, text)
        if moment is not None or not self.order:
            return moment
        return next((found for order in ORDERS if (found := self._moment(order, text, certain=True)) is not None), None)

    @staticmethod
    def _moment(order: str, text: str, *, certain: bool = False) -> datetime | None:
        """The moment in this order; if it is to be certain, only of a text that has no other one."""
        found = PATTERNS[order].fullmatch(text)
        if found is None:
            return None
        parts = found.groupdict()
        if certain and order != "ymd" and parts["m"].isdigit():
            return None
        try:
            day = _day(parts) if order else DAY_ZERO
            return datetime.combine(day, _clock(parts)) if parts["h"] else datetime.combine(day, time())
        except (ValueError, KeyError):
            return None

    def describe(self) -> str:
        """The order, in words."""
        return WORDS[self.order]

    def to_json(self) -> dict[str, str]:
        """Its field."""
        return {"order": self.order}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> DateForm:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        if written.get("order") not in (*ORDERS, ""):
            raise ValueError(f"{written} is no form of dates")
        return cls(written["order"])


def decide(texts: Iterable[str], order: str | None = None) -> tuple[DateForm, bool] | None:
    """The form in which all these texts are dates, and whether its order is a guess; None if there is none.

    A guess is of both orders: day first where full stops part them, else month first. `order` is asked for.
    """
    texts = list(texts)
    possible = [DateForm(each) for each in (*ORDERS, "") if all(map(DateForm(each).parse, texts))] if texts else []
    if not possible:
        return None
    if len(possible) == 1 or _agree(possible, texts):
        return possible[0], False
    asked = [form for form in possible if form.order == order]
    if asked:
        return asked[0], False
    point = any(re.match(r"\d{1,2}\.", text) for text in texts)
    return DateForm("dmy" if point else "mdy"), not point


def as_datetime(value: date | datetime | time | timedelta) -> datetime:
    """What a workbook holds as date, time or duration, as a moment without its zone."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, timedelta):
        return datetime.combine(DAY_ZERO, time()) + value
    return datetime.combine(DAY_ZERO, value.replace(tzinfo=None))


def _agree(forms: list[DateForm], texts: list[str]) -> bool:
    return all(len({form.parse(text) for form in forms}) == 1 for text in texts)


def _day(parts: dict[str, Any]) -> date:
    month, year = parts["m"].rstrip("."), int(parts["y"])
    if len(parts["y"]) == 2:
        year += 2000 if year < 69 else 1900  # as POSIX has it
    return date(year, int(month) if month.isdigit() else NUMBER_OF_MONTH[month.casefold()], int(parts["d"]))


def _clock(parts: dict[str, Any]) -> time:
    hour = int(parts["h"])
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of half a day")
        hour = hour % 12 + 12 * (parts["half"][0] in "pP")
    return time(hour, int(parts["min"]), int(parts["s"] or 0), int(f"{parts['f'] or 0:0<6}"[:6]))

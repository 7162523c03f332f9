"""Numbers as people write them: separators, currencies, units, percent, parentheses; one format for a whole column.

    format, why = decide(texts)          # the format that all these texts agree in
    format.parse("€ 1.234,50")           # 1234.5

A format is decided by all texts of a column together: `1.234,56` can be read in one way only, `1,234` alone in two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

MARKERS = frozenset(
    {"", "-", "--", "---", ".", "..", "...", "–", "—", "?", "na", "n/a", "n.a.", "#n/a", "nan", "none", "null", "nil"}
    | {"unknown", "missing", "not available", "not applicable", "no data", "n.d.", "tbd", "tba", "inconnu", "s/d"}
    | {"#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!", "#n/v", "#nv", "#wert!", "#bezug!", "#zahl!"}
    | {"k.a.", "k. a.", "keine angabe", "unbekannt", "fehlt", "n.v.", "nicht verfügbar", "non disponible"}
)
"""What stands for no value in a column of numbers or dates, in small letters."""

SPACES = dict.fromkeys(map(ord, "\u00a0\u202f\u2009\u2007"), " ")
SIGNS = dict.fromkeys(map(ord, "−‐‑–—"), "-") | {ord("’"): "'", ord("´"): "'"}
ORDINARY = SPACES | SIGNS

CODES = "EUR|USD|GBP|CHF|JPY|CNY|RMB|SEK|NOK|DKK|PLN|CZK|HUF|RUB|INR|BRL|CAD|AUD|NZD|MXN|ZAR|TRY|KRW|SGD|HKD|ILS|THB"
CURRENCY = rf"(?:{CODES}|[A-Z]{{0,2}}[$€£¥₹₽₩₺₴₫₪฿¢]|Fr\.|kr\.?|zł|Kč|Ft|Rs\.?)"
BODY = r"(?P<body>(?:\d[\d.,' ]*\d|\d)[.,]?|[.,]\d+)(?P<power>[eE][+-]?\d+)?"
# 120- is -120, as accounts are written; 120.- and 120,- are prices without cents, and 12-month is no number.
BEHIND = rf"(?P<behind>(?<=\d)-(?=\s*(?:{CURRENCY})?$))?"
UNIT = r"(?:%|‰|°[CF]?|[^\W\d_][^\W\d]{0,9}(?:[/·*^][^\W\d_]?[^\W_]{0,6})*[²³]?\.?)"
NUMBER = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+-])?\s*(?P<before>{CURRENCY})?\s*(?P<inner>[+-])?\s*{BODY}{BEHIND}\s*(?P<after>{UNIT}|{CURRENCY})?"
    rf"\s*(?P<close>\))?"
)
MONEY = re.compile(CURRENCY)
KNOWN_UNIT = re.compile(
    "%|‰|°|°C|°F|mg|g|kg|t|lbs?|oz|mm|cm|m|km|ft|in|mi|ml|l|L|cl|s|sec|min|hr?s?|days?|d|years?|yrs?|m²|m2|km²|ha|m³|m3|"
    "k?W|[kM]Wh|V|A|[kMG]?Hz|[kKMGT]?B|bar|[hk]?Pa|K|C|F"
)

# (decimal mark, mark between thousands), in the order in which they are tried
MARKS = ((".", ""), (".", ","), (".", " "), (".", "'"), (",", ""), (",", "."), (",", " "), (",", "'"))


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = r"\d+"
    if thousands:
        mark = re.escape(thousands)
        whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{mark}\d{{3}})+"
        whole += r"|[1-9]\d?(?:,\d\d)+,\d{3})" if thousands == "," else ")"  # 12,34,567 as it is written in India
    point = re.escape(decimal)
    return re.compile(rf"{whole}(?:{point}\d*)?|{point}\d+")


PATTERNS = {marks: _pattern(*marks) for marks in MARKS}


@dataclass(frozen=True)
class Parts:
    """A text taken apart: the number's `body` and `power`, whether it is negative, what stands before and after it."""

    body: str
    power: str
    negative: bool
    before: str
    after: str

    @property
    def unit(self) -> tuple[str, str]:
        """What stands before the number and after it."""
        return self.before, self.after


def parts_of(text: str) -> Parts | None:
    """The parts of a text that may be a number, or None for one that is none."""
    found = NUMBER.fullmatch(text.translate(ORDINARY).strip())
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    signs = "".join(found[place] or "" for place in ("sign", "inner", "behind"))
    if len(signs) > 1 or (found["open"] and signs):
        return None
    after = found["after"] or ""
    if found["power"] is None and re.fullmatch(r"[eE]\d*", after):
        return None
    negative = signs == "-" or bool(found["open"])
    return Parts(found["body"], found["power"] or "", negative, found["before"] or "", after)


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written: the decimal mark, what parts thousands, what stands around them."""

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    def parse(self, text: str) -> float | None:
        """The number that a text is in this format; None for what is none.

        Where no mark between thousands has been met, each that is not the decimal mark is one.
        """
        parts = parts_of(text)
        if parts is None or parts.unit not in self.units:
            return None
        return next((value for marks in self.marks if (value := _value(parts, *marks)) is not None), None)

    @property
    def marks(self) -> list[tuple[str, str]]:
        """The decimal mark with each mark between thousands that is read."""
        return [marks for marks in MARKS if marks[0] == self.decimal and self.thousands in ("", marks[1])]

    @property
    def units(self) -> tuple[tuple[str, str], ...]:
        """What may stand before a number and after it: the unit, nothing, or a currency on either side."""
        word = self.before or self.after
        either = ((word, ""), ("", word)) if MONEY.fullmatch(word) else ()
        return ((self.before, self.after), ("", ""), *either)

    @property
    def plain(self) -> bool:
        """Whether it is how programs write numbers."""
        return self == NumberFormat()

    def written_otherwise(self, texts: Iterable[str], decimal: str | None = None) -> NumberFormat | None:
        """The format of numbers with other marks, in this unit or in none; None where these are no such numbers.

        Where there is no unit, they may be in one currency: a workbook's numbers are written so in text.
        """
        parts = [parts_of(text) for text in texts]
        known = [each for each in parts if each is not None]
        found = {each.unit for each in known}
        money = _one_unit(Counter(found)) if (self.before, self.after) == ("", "") else None
        around = money if money is not None and MONEY.fullmatch("".join(money)) else (self.before, self.after)
        own = replace(self, before=around[0], after=around[1])
        if not found <= {*own.units} or len(known) < len(parts):
            return None
        format = decide({each.body for each in known}, decimal)
        return replace(format, before=own.before, after=own.after) if isinstance(format, NumberFormat) else None

    def describe(self) -> str:
        """An example, and what it means."""
        example = f"1{self.thousands}234{self.decimal}5"
        before = self.before + " " * (len(self.before) > 1)
        after = ("" if self.after in ("%", "‰") else " ") + self.after if self.after else ""
        return f"written as {before}{example}{after}"

    def to_json(self) -> dict[str, str]:
        """Its fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> NumberFormat:
        """The inverse of `to_json`. Raises ValueError for what it has not written."""
        made = cls(**written)
        if (made.decimal, made.thousands) not in MARKS or not all(isinstance(v, str) for v in asdict(made).values()):
            raise ValueError(f"{made} is no format of numbers")
        return made


@dataclass(frozen=True)
class Ambiguous:
    """Texts that are numbers in two ways, such as the `example` 1,234, which may be 1234 or 1.234."""

    example: str
    formats: tuple[NumberFormat, ...]


def decide(texts: Iterable[str], decimal: str | None = None) -> NumberFormat | Ambiguous | None:
    """The format that all these texts agree in, or None if they don't; with `decimal`, the one with that mark.

    Where formats agree in every value, it is the first of `MARKS`.
    """
    parts = {text: parts_of(text) for text in texts}
    known = [each for each in parts.values() if each is not None]
    if not known or len(known) < len(parts):
        return None
    units = Counter(each.unit for each in known)
    around = _one_unit(units)
    if around is None:
        return None
    found: dict[NumberFormat, list[float | None]] = {}
    for marks in MARKS:
        values = [_value(each, *marks) for each in known]
        if None not in values:
            found[NumberFormat(*marks, *around)] = values
    formats = [format for format in found if decimal in (None, format.decimal)]
    if not formats:
        return None
    first = found[formats[0]]
    other = next((format for format in formats if found[format] != first), None)
    if other is None:
        return formats[0]
    place = next(i for i, pair in enumerate(zip(first, found[other], strict=True)) if pair[0] != pair[1])
    return Ambiguous(list(parts)[place], (formats[0], other))


def units_of(texts: Iterable[str]) -> Counter[str]:
    """How many of these texts are numbers with each unit, as far as it is a well-known one or a currency."""
    found: Counter[str] = Counter()
    for text in texts:
        parts = parts_of(text)
        if parts is not None and (unit := parts.before or parts.after) and is_unit(unit):
            found[unit] += 1
    return found


def is_unit(word: str) -> bool:
    """Whether it is a well-known unit or a currency."""
    return KNOWN_UNIT.fullmatch(word) is not None or MONEY.fullmatch(word) is not None


def is_marker(text: str) -> bool:
    """Whether a text stands for no value in a column of numbers or dates."""
    return text.casefold() in MARKERS


def _one_unit(units: Counter[tuple[str, str]]) -> tuple[str, str] | None:
    """What stands around the numbers where that is one thing: the same everywhere, or a currency here and there."""
    marked = [unit for unit in units if unit != ("", "")]
    if not marked:
        return "", ""
    words = {before or after for before, after in marked}
    if len(words) > 1 or any(before and after for before, after in marked):
        return None
    money = MONEY.fullmatch(next(iter(words))) is not None
    if ("", "") in units and not money:
        return None
    if len(marked) > 1 and not money:
        return None
    return max(marked, key=lambda unit: units[unit])


def _value(parts: Parts, decimal: str, thousands: str) -> float | None:
    if not PATTERNS[decimal, thousands].fullmatch(parts.body):
        return None
    body = parts.body.replace(thousands, "") if thousands else parts.body
    value = float(body.replace(decimal, ".") + parts.power)
    return -value if parts.negative else value

"""What the columns of a table become: numbers, text and dates, each encoded as training rows have taught it.

Numbers (and bools as 0 and 1) are standardised, z = (v - mean) / scale; a missing one takes the median (of bools, the
more frequent), and a second column then says that it was missing. Text becomes one column for each value, one for all
"other" values and one for missing ones, where training has such; spellings that differ in capitals and spaces alone are
one value. Dates become elapsed days and a year, standardised, and the sine and cosine of what comes again: the month,
the day of the month and of the week, the time of the day; each where it varies.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from minigrad.data.messages import number_text, shown
from minigrad.tables.reading.dates import as_datetime

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]

VALUES = 50  # of a column of text that get a column of their own
LARGEST = float(np.finfo(np.float32).max)
MARGIN = 0.1  # of the range of training's values: what lies farther outside than that is told
CYCLES = {"month": 12, "day of the month": 31, "day of the week": 7, "time of the day": 1}


@dataclass(frozen=True)
class NumberColumn:
    """z = (v - mean) / scale, with `fill` in place of a missing v; `flagged` adds 1 where it is missing, else 0.

    `low` and `high` are the ends of what training has met.
    """

    name: str
    kind: Literal["number", "flag"]
    mean: float
    scale: float
    fill: float
    flagged: bool
    low: float | None = None
    high: float | None = None

    @property
    def features(self) -> list[str]:
        """The names of the columns of x that it becomes."""
        return [self.name, f"{self.name} missing"] if self.flagged else [self.name]

    def encode(self, column: pd.Series[Any]) -> Floats:
        """(m,) -> (m, 1 or 2)"""
        values = numbers_of(column, self.kind)
        missing = np.isnan(values)
        z = (np.where(missing, self.fill, values) - self.mean) / self.scale
        if (large := np.abs(z) > LARGEST).any():
            raise ValueError(f"column {self.name!r}, row {column.index[int(large.argmax())]}: the number is too large")
        return np.column_stack([z, missing]) if self.flagged else z[:, None]

    def describe(self) -> str:
        """What is done, in words."""
        done = f"numbers, standardised (mean {self.mean:.4g}, deviation {self.scale:.4g})"
        if self.kind == "flag":
            done = "TRUE is 1 and FALSE 0, standardised"
        fill = ("TRUE" if self.fill else "FALSE") if self.kind == "flag" else f"the median {self.fill:.4g}"
        return done + (f"; missing: {fill} and a flag" if self.flagged else "")

    def surprises(self, column: pd.Series[Any]) -> list[str]:
        """What is new in these values, in sentences."""
        values = numbers_of(column, self.kind)
        said = _outside(values, self.low, self.high, "{:.6g}".format)
        return said + _newly_missing(int(np.isnan(values).sum()), self.flagged)


@dataclass(frozen=True)
class TextColumn:
    """1 in the column of its value, of "other" values or of missing ones, as far as there are such, and 0 elsewhere.

    `also` are spellings that training had beside a value's own, each with the value.
    """

    name: str
    values: tuple[str, ...]
    other: bool
    missing: bool
    also: tuple[tuple[str, str], ...] = ()
    kind: Literal["text"] = "text"

    @property
    def flagged(self) -> bool:
        """Whether its last feature says that there is no value, as for the other kinds of columns."""
        return self.missing

    @property
    def features(self) -> list[str]:
        """The names of the columns of x that it becomes."""
        extra = [word for word, present in (("(other)", self.other), ("(missing)", self.missing)) if present]
        return [f"{self.name} = {value}" for value in (*self.values, *extra)]

    def encode(self, column: pd.Series[Any]) -> Floats:
        """(m,) -> (m, values and extra columns)"""
        texts = self.spelled(column)
        places: dict[str | None, int] = {value: place for place, value in enumerate(self.values)}
        other = len(self.values) if self.other else -1
        places[None] = len(self.values) + self.other if self.missing else other
        codes = np.fromiter((places.get(text, other) for text in texts), np.intp, len(texts))
        rows = np.zeros((len(texts), len(self.features)))
        known = codes >= 0
        rows[np.flatnonzero(known), codes[known]] = 1
        return rows

    def spelled(self, column: pd.Series[Any]) -> list[str | None]:
        """The texts, in the spelling of the values where they are one but for capitals and spaces."""
        texts = texts_of(column)
        own, folded = set(self.values), {fold(value): value for value in reversed(self.values)}
        spelling = {t: t if t is None or t in own else folded.get(fold(t), t) for t in set(texts)}
        return [spelling[text] for text in texts]

    def unseen(self, column: pd.Series[Any]) -> Counter[str]:
        """The values that have no column of their own, and how often they come."""
        known = set(self.values)
        return Counter(text for text in self.spelled(column) if text is not None and text not in known)

    def describe(self) -> str:
        """What is done, in words."""
        extra = [word for word, present in (("other", self.other), ("missing", self.missing)) if present]
        also = f", and for {' and for '.join(extra)}" if extra else ""
        merged = f"; {spellings_told(self.also)}" if self.also else ""
        return f"text, one column for each of {len(self.values)} values ({shown(self.values)}){also}{merged}"

    def surprises(self, column: pd.Series[Any]) -> list[str]:
        """What is new in these values, in sentences."""
        said, unseen = [], self.unseen(column)
        if unseen:
            taken = "taken as 'other'" if self.other else "taken as none of those it had"
            values = [f"{value!r} ({times:,})" for value, times in unseen.most_common(12)]
            more = f" and {len(unseen) - 12:,} more" if len(unseen) > 12 else ""
            said.append(f"{taken}, since training had too few or none of them: {', '.join(values)}{more}")
        return said + _newly_missing(int(column.isna().sum()), self.missing)


@dataclass(frozen=True)
class DateColumn:
    """Some of: days since `mean`, and the year, both standardised, and sin and cos of 2π (part / length of its cycle).

    A missing date is 0 in all of them; `flagged` adds 1 where it is missing, else 0. `low` and `high` are days since
    1970 began.
    """

    name: str
    parts: tuple[str, ...]
    mean: float
    scale: float
    year_mean: float
    year_scale: float
    flagged: bool
    low: float
    high: float
    kind: Literal["date"] = "date"

    @property
    def features(self) -> list[str]:
        """The names of the columns of x that it becomes."""
        names = []
        for part in self.parts:
            names += [f"{self.name}: {part}"] if part not in CYCLES else [
                f"{self.name}: {part} ({wave})" for wave in ("sin", "cos")
            ]  # fmt: skip
        return [*names, f"{self.name} missing"] if self.flagged else names

    def encode(self, column: pd.Series[Any]) -> Floats:
        """(m,) -> (m, features)"""
        moments = moments_of(column)
        missing, found = np.isnat(moments), parts_of_dates(moments)
        made: list[Floats] = []
        for part in self.parts:
            if part == "days":
                made.append((found[part] - self.mean) / self.scale)
            elif part == "year":
                made.append((found[part] - self.year_mean) / self.year_scale)
            else:
                angle = 2 * np.pi * found[part] / CYCLES[part]
                made += [np.sin(angle), np.cos(angle)]
        x = np.where(missing[:, None], 0.0, np.column_stack(made))
        return np.column_stack([x, missing]) if self.flagged else x

    @classmethod
    def fit(cls, name: str, column: pd.Series[Any]) -> DateColumn | None:
        """Learn from these dates which parts vary; None if none does."""
        moments = moments_of(column)
        present = moments[~np.isnat(moments)]
        found = parts_of_dates(present)
        days, years = found["days"], found["year"]
        varies = {part: bool(np.ptp(values) > 0) for part, values in found.items()}
        varies["days"] = bool(np.ptp(np.floor(days)) > 0)
        parts = tuple(part for part in found if varies[part])
        if not parts:
            return None
        centre = float(days.mean()), float(days.std()) or 1.0, float(years.mean()), float(years.std()) or 1.0
        flagged = len(present) < len(moments)
        return cls(name, parts, *centre, flagged, float(days.min()), float(days.max()))

    def describe(self) -> str:
        """What is done, in words."""
        listed = ", ".join("elapsed days" if part == "days" else part for part in self.parts)
        what, told = ("times", clock_text) if self.low >= 0 and self.high < 1 else ("dates", day_text)
        ends = f"{told(self.low)} to {told(self.high)}"
        return f"{what} from {ends}: {listed}" + ("; missing: 0 and a flag" if self.flagged else "")

    def surprises(self, column: pd.Series[Any]) -> list[str]:
        """What is new in these values, in sentences."""
        moments = moments_of(column)
        days = np.where(np.isnat(moments), np.nan, parts_of_dates(moments)["days"])
        said = _outside(days, self.low, self.high, day_text) if "days" in self.parts else []
        return said + _newly_missing(int(np.isnat(moments).sum()), self.flagged)


Column = NumberColumn | TextColumn | DateColumn


def text_column(name: str, column: pd.Series[Any]) -> TextColumn | None:
    """A column of text as these rows teach it; None if no value stands in two of them."""
    spellings = spellings_of(texts_of(column))
    often = Counter({value: sum(times.values()) for value, times in spellings.items()})
    values = tuple(sorted(value for value, times in often.most_common(VALUES) if times > 1))
    also = tuple((text, value) for value in values for text in spellings[value] if text != value)
    gaps = bool(column.isna().any())
    return TextColumn(name, values, len(values) < len(often), gaps, also) if values else None


def number_column(name: str, kind: Any, column: pd.Series[Any]) -> NumberColumn:
    """A column of numbers or flags as these rows teach it."""
    values = numbers_of(column, kind)
    missing = np.isnan(values)
    fill = float(np.median(values[~missing]))
    if kind == "flag":
        fill = float(np.round(values[~missing].mean()))
    filled = np.where(missing, fill, values)
    low, high = float(filled.min()), float(filled.max())
    scale = float(filled.std()) if low < high else 1.0
    return NumberColumn(name, kind, float(filled.mean()), scale or 1.0, fill, bool(missing.any()), low, high)


# ----------------------------------------------------------------------------------------------------------- values
def fold(text: str) -> str:
    """What is the same of spellings that differ in capitals and spaces."""
    return " ".join(text.split()).casefold()


def spellings_of(texts: Iterable[str | None]) -> dict[str, Counter[str]]:
    """{value: {spelling: times}}, where a value is the most frequent of the spellings that are one when folded."""
    groups: dict[str, Counter[str]] = {}
    for text, times in Counter(texts).items():
        if text is not None:
            groups.setdefault(fold(text), Counter())[text] += times
    return {min(times, key=lambda text: (-times[text], text)): times for times in groups.values()}


def spellings_told(also: Iterable[tuple[str, str]]) -> str:
    """In words, which spellings are taken as which values."""
    pairs = [f"{text!r} is {value!r}" for text, value in also]
    return ", ".join(pairs[:6]) + (f" and {len(pairs) - 6} more" if len(pairs) > 6 else "")


def numbers_of(column: pd.Series[Any], kind: str) -> Floats:
    """float64 with NaN for missing values. Raises ValueError for numbers that are too large."""
    if kind == "flag":
        column = column.astype(object)
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isnan(numbers) & ~(np.abs(numbers) <= LARGEST)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {column.name!r}, row {column.index[row]}: {numbers[row]:g} is too large to compute with; divide "
            f"the values of the column"
        )
    return numbers


def texts_of(column: pd.Series[Any]) -> list[str | None]:
    """Texts with None for missing values; numbers as text."""
    return [
        None if missing else number_text(value) if isinstance(value, int | float) else str(value)
        for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True)
    ]


def moments_of(column: pd.Series[Any]) -> npt.NDArray[np.datetime64]:
    """datetime64[us] with NaT for missing values, without zones; times of the day and durations are those of 1970."""
    import pandas as pd

    if column.dtype.kind == "M":
        plain = column.dt.tz_localize(None) if getattr(column.dt, "tz", None) is not None else column
        return plain.to_numpy("datetime64[us]")
    cells = [
        None if gap else as_datetime(cell) if isinstance(cell, datetime.date | datetime.time | datetime.timedelta)
        else pd.Timestamp(str(cell)).to_pydatetime()
        for cell, gap in zip(column.tolist(), column.isna().tolist(), strict=True)
    ]  # fmt: skip
    return np.array(cells, "datetime64[us]")


def parts_of_dates(moments: npt.NDArray[np.datetime64]) -> dict[str, Floats]:
    """The parts of dates, by name; those of a missing date mean nothing."""
    known = np.where(np.isnat(moments), np.datetime64(0, "us"), moments)
    day, month = known.astype("datetime64[D]"), known.astype("datetime64[M]")
    days = known.astype(np.int64) / 86_400e6
    whole = day.astype(np.int64)
    return {
        "days": days,
        "year": known.astype("datetime64[Y]").astype(np.float64) + 1970,
        "month": (month.astype(np.int64) % 12).astype(np.float64),
        "day of the month": (day - month.astype("datetime64[D]")).astype(np.float64),
        "day of the week": ((whole + 3) % 7).astype(np.float64),
        "time of the day": days - np.floor(days),
    }


def day_text(day: float) -> str:
    """A day, counted from 1970-01-01, as text."""
    return str(np.datetime64(int(np.floor(day)), "D"))


def clock_text(day: float) -> str:
    """A time of the day, of 1970-01-01, as text."""
    return f"{int(1440 * day) // 60:02}:{int(1440 * day) % 60:02}"


def has_days(column: pd.Series[Any]) -> bool:
    """Whether these dates are more than times of the day."""
    return bool((parts_of_dates(moments_of(column))["days"] // 1).any())


def _outside(values: Floats, low: float | None, high: float | None, told: Any) -> list[str]:
    """How many values lie far outside the range of training."""
    if low is None or high is None:
        return []
    margin = MARGIN * (high - low)
    far = (values < low - margin) | (values > high + margin)
    if not far.any():
        return []
    ends = f"{told(float(values[far].min()))} to {told(float(values[far].max()))}"
    return [
        f"{int(far.sum()):,} of {len(values):,} values lie far outside those that training had ({ends}, where it had "
        f"{told(low)} to {told(high)}); are they in the same units?"
    ]


def _newly_missing(count: int, known: bool) -> list[str]:
    return [f"{count} missing, of which training had none"] if count and not known else []

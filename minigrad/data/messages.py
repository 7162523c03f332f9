"""Names and numbers as they stand in messages: the first of many, the one that is meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

SHOWN = 12  # names in an error message
CODES = frozenset({"id", "ids", "sku", "ean", "isbn", "iban", "plz", "zip", "postcode", "postleitzahl"})
CODES_BEHIND = frozenset({"nr", "no", "num", "number", "nummer", "numero", "code", "key", "schlüssel"})
"""Words that name numbers which count nothing, anywhere in a name or at its end: `Number of rooms` counts."""


def shown(names: Any) -> str:
    """The first names, for a message."""
    names = names.tolist() if hasattr(names, "tolist") else list(names)
    return ", ".join(map(repr, names[:SHOWN])) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def did_you_mean(name: str, known: Iterable[Any]) -> str:
    """What to add to a message about a name that is not known: the known one that is close, or nothing."""
    folded = {each.casefold(): each for each in map(str, known)}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    return f" (did you mean {folded[near[0]]!r}?)" if near else ""


def names_a_code(name: str) -> bool:
    """Whether a column's name is that of numbers which count nothing: `SKU`, `Kunden-Nr`, `customerId`, `ZIP code`."""
    words = [word.casefold() for word in re.findall(r"[^\W\d_A-Z]+|[A-Z][^\W\d_A-Z]+|[A-Z]+", name)]
    return bool(words) and (words[-1] in CODES_BEHIND or not CODES.isdisjoint(words))


def no_such_file(path: str | os.PathLike[str]) -> str:
    """The message about a file that is not there, with the one beside it that may be meant."""
    path, beside = Path(path), list[str]()
    with suppress(OSError):
        beside = os.listdir(path.parent)
    return f"{path}: there is no such file{did_you_mean(path.name, beside)}"


def number_text(number: float) -> str:
    """A number as text: 3 and not 3.0."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))

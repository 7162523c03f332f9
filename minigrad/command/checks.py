"""What the text of an option must be: each function reads it, or says what is wrong with it."""

from __future__ import annotations

import argparse
import math


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _from(1, text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    return _from(0, text)


def widths(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 on, parted by commas."""
    return tuple(count(width.strip()) for width in text.split(","))


def rate(text: str) -> float:
    """A number above 0."""
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def penalty(text: str) -> float:
    """A number from 0 on."""
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def fraction(text: str) -> float:
    """A number between 0 and 1."""
    if not 0 < (number := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return number


def _from(least: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number

"""Pictures that stand in an HTML page itself: charts as SVG in the page's colours, rows of numbers as small PNGs.

They are written here, not drawn by matplotlib, whose import alone takes longer than most trainings of a table.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.metrics import wilson_interval
from minigrad.parameter import Array
from minigrad.plots import BLUE, ORANGE
from minigrad.training.history import History

LEFT, BELOW, ABOVE, RIGHT = 58, 46, 10, 14  # around the axes, in units of the picture
LETTER = 7.0  # the width of one
POINTS = 1500  # of a cloud: more would hide each other, and fill the page
LONGEST = 14  # letters of a name
STYLE = 'font-size="12" fill="currentColor"'


class Chart:
    """Axes from `x` to `y`, each (lowest, highest), on which lines and points are put one after the other.

    `ticks` are the places along x with their names; without them, they are round numbers.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        labels: tuple[str, str],
        *,
        ticks: Sequence[tuple[float, str]] | None = None,
        size: tuple[int, int] = (560, 260),
    ) -> None:
        self.width, self.height = size
        self.x, self.y = _apart(x), _apart(y)
        ticks = [(place, f"{place:g}") for place in _round_numbers(*self.x)] if ticks is None else ticks
        letters = sum(len(name) + 2 for _, name in ticks)
        upright = letters * LETTER > self.width - LEFT - RIGHT
        self.below: float = BELOW + (LETTER * max(len(name) for _, name in ticks) - 8) * upright
        bottom = self.height - self.below
        self.parts = [
            f'<path d="M{LEFT} {ABOVE}V{bottom:.1f}H{self.width - RIGHT}" fill="none" stroke="currentColor"/>',
            _text(labels[0], (LEFT + self.width - RIGHT) / 2, self.height - 6, "middle"),
            _text(labels[1], 13, (ABOVE + bottom) / 2, "middle", upright=True),
        ]
        for place, name in ticks:
            at = self._across(place)
            self.parts.append(f'<path d="M{at:.1f} {bottom:.1f}v4" stroke="currentColor"/>')
            self.parts.append(_text(name, at, bottom + (8 if upright else 17), "end" if upright else "middle", upright))
        for place in _round_numbers(*self.y):
            at = self._down(place)
            self.parts.append(f'<path d="M{LEFT} {at:.1f}h-4" stroke="currentColor"/>')
            self.parts.append(_text(f"{place:g}", LEFT - 7, at + 4, "end"))

    def line(self, x: Any, y: Any, color: str, *, dotted: bool = False, width: float = 1.6) -> None:
        """A line through these points."""
        points = zip(np.ravel(x).tolist(), np.ravel(y).tolist(), strict=True)
        path = "L".join(f"{self._across(a):.1f} {self._down(b):.1f}" for a, b in points if math.isfinite(b))
        dashes = ' stroke-dasharray="2 3"' if dotted else ""
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="{width}"{dashes}/>')

    def points(self, x: Any, y: Any, color: str, *, radius: float = 3.0, opacity: float = 1.0) -> None:
        """A dot at each of these points."""
        path = "".join(
            f"M{self._across(a):.1f} {self._down(b):.1f}h0"
            for a, b in zip(np.ravel(x).tolist(), np.ravel(y).tolist(), strict=True)
        )
        self.parts.append(
            f'<path d="{path}" stroke="{color}" stroke-width="{2 * radius}" stroke-linecap="round" '
            f'stroke-opacity="{opacity}"/>'
        )

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """What each color stands for, above on the right: (name, color)."""
        for place, (name, color) in enumerate(names):
            at = ABOVE + 8 + 16 * place
            self.parts.append(_text(_short(name), self.width - RIGHT - 14, at + 4, "end"))
            self.parts.append(f'<circle cx="{self.width - RIGHT - 5}" cy="{at}" r="4" fill="{color}"/>')

    def figure(self, name: str, caption: str = "") -> str:
        """The picture in a page: `name` is what a screen reader says of it."""
        return _figure(self.parts, self.width, self.height, name, caption)

    def _across(self, x: float) -> float:
        low, high = self.x
        return LEFT + (x - low) / (high - low) * (self.width - LEFT - RIGHT)

    def _down(self, y: float) -> float:
        (low, high), bottom = self.y, self.height - self.below
        return bottom - (y - low) / (high - low) * (bottom - ABOVE)


def learning_curves(history: History) -> str:
    """The loss of each epoch, in training and validation; the epoch whose parameters were kept is marked."""
    losses = [*history.loss, *history.validation_loss]
    top, epochs = max(losses), np.arange(1, len(history) + 1)
    chart = Chart((1, len(history)), (min(0.0, *losses), top), ("epoch", "loss"))
    drawn = [("training", BLUE, history.loss), ("validation", ORANGE, history.validation_loss)]
    for _, color, values in drawn:
        if values:
            (chart.line if len(values) > 1 else chart.points)(epochs, values, color)
    if history.validation_loss:
        chart.legend([(name, color) for name, color, _ in drawn])
    if history.best_epoch is not None:
        chart.line([history.best_epoch] * 2, chart.y, "gray", dotted=True)
    return chart.figure("loss by epoch")


def residuals(truth: Array, answers: Array, caption: str) -> str:
    """What was missed, truth - answer, against the answer."""
    truth, answers = np.ravel(truth), np.ravel(answers)
    if len(truth) > POINTS:
        some = np.linspace(0, len(truth) - 1, POINTS).astype(int)
        truth, answers = truth[some], answers[some]
    missed = truth - answers
    chart = Chart((answers.min(), answers.max()), (missed.min(), missed.max()), ("predicted", "true - predicted"))
    chart.line(chart.x, [0, 0], "gray", width=1)
    chart.points(answers, missed, BLUE, opacity=0.6)
    return chart.figure("residuals against predictions", caption)


def reliability(confidence: Array, right: Array, labels: tuple[str, str], caption: str) -> str:
    """How often answers of each confidence are right: ten groups of equal size, each with its 95 % interval.

    Source: DeGroot and Fienberg, "The comparison and evaluation of forecasters", The Statistician 32, 1983.
    """
    chart = Chart((0, 1), (0, 1), labels, size=(400, 400))
    chart.line([0, 1], [0, 1], "gray", width=1)
    for group in np.array_split(np.argsort(confidence, kind="stable"), min(10, len(confidence))):
        mean = confidence[group].mean()
        chart.line([mean, mean], wilson_interval(int(right[group].sum()), len(group)), BLUE, width=1)
        chart.points(mean, right[group].mean(), BLUE)
    return chart.figure("reliability", caption)


def dependence(column: str, values: Sequence[Any], outputs: Array, names: Sequence[str], numbers: bool) -> str:
    """The mean outputs (V, K) where every row has one value in a column: a line along numbers, points for kinds."""
    places, ticks = np.arange(len(values), dtype=np.float64), None
    dated = numbers and np.asarray(values).dtype.kind not in "fiub"
    if dated:
        places = np.array(values, "datetime64[s]").astype(np.float64)
        some = np.linspace(0, len(values) - 1, min(4, len(values))).astype(int).tolist()
        ticks = [(places[k], str(values[k])[:10]) for k in some]
    elif numbers:
        places = np.asarray(values, np.float64)
    else:
        ticks = [(place, _short(value)) for place, value in enumerate(values)]
    beside = 0.0 if numbers else 0.4
    span = float(places.min()) - beside, float(places.max()) + beside
    chart = Chart(span, (outputs.min(), outputs.max()), (column, ""), ticks=ticks, size=(400, 260))
    colors = [BLUE, ORANGE, "#2a9d5c", "#a04fc4", "#888888"]
    for k in range(len(names)):
        if numbers:
            chart.line(places, outputs[:, k], colors[k % len(colors)])
        chart.points(places, outputs[:, k], colors[k % len(colors)], radius=2 if numbers else 4)
    if len(names) > 1:
        chart.legend([(name, colors[k % len(colors)]) for k, name in enumerate(names)])
    return chart.figure(f"partial dependence on {column}", column)


def confusion(matrix: npt.NDArray[np.int64], classes: Sequence[Any], caption: str) -> str:
    """True classes down, predicted ones across; a cell is the darker the larger its share of the true class."""
    names, side = [_short(name) for name in classes], 44 if len(classes) <= 12 else 26
    margin = 16 + LETTER * max(map(len, names))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    parts = []
    for k, name in enumerate(names):
        at = margin + (k + 0.5) * side
        parts += [_text(name, margin - 6, at + 4, "end"), _text(name, at + 4, margin - 6, "start", upright=True)]
    for i, j in np.argwhere(matrix).tolist():
        left, top, share = margin + j * side, margin + i * side, 0.08 + 0.92 * shares[i, j]
        box = f'x="{left:.0f}" y="{top:.0f}" width="{side}" height="{side}"'
        parts.append(f'<rect {box} fill="{BLUE}" fill-opacity="{share:.2f}"/>')
        number = _text(f"{matrix[i, j]}", left + side / 2, top + side / 2 + 4, "middle")
        parts.append(number.replace("currentColor", "white") if share > 0.45 else number)
    size = margin + side * len(names) + 4
    return _figure(parts, size, size, "confusion matrix", caption)


def tile(row: Array, name: str, low: float, high: float, *, signed: bool = False) -> str:
    """A row as a small square picture, one pixel for each number: gray or, `signed`, orange below 0 and blue above."""
    side = math.isqrt(row.size)
    share = np.clip((row.reshape(side, side, 1) - low) / ((high - low) or 1.0), 0, 1)
    if signed:
        below, above = (np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) for color in (ORANGE, BLUE))
        strength, color = abs(2 * share - 1), np.where(share < 0.5, below, above)
        pixels = 255 * (1 - strength) + color * strength
    else:
        pixels = np.repeat(255 * share, 3, axis=2)
    encoded = base64.b64encode(_png(pixels.round().astype(np.uint8))).decode()
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{encoded}">'


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of pixels (h, w, 3). Source: ISO/IEC 15948, "Portable network graphics", 2004."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def _figure(parts: Sequence[str], width: float, height: float, name: str, caption: str) -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure style="max-width:{1.2 * width:.0f}px"><svg role="img" aria-label="{escape(name)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>{below}</figure>'
    )


def _text(text: str, x: float, y: float, anchor: str, upright: bool = False) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned} {STYLE}>{escape(text)}</text>'


def _round_numbers(low: float, high: float) -> list[float]:
    """Some four to eight numbers between the two, of which each is so many times 1, 2 or 5 of its last digit."""
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(times for times in (1, 2, 5, 10) if times * unit >= 0.999 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    """The ends of an axis, which are not the same."""
    low, high = map(float, ends)
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1))


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

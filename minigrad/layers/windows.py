"""Windows that slide over lines and images: where they stand, and what is seen through them.

Images are channels last: (B, H, W, C), rows of pixels as they come. Lines are (B, T, C).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.layer import Layer
from minigrad.parameter import Array

MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What NumPy calls PyTorch's padding modes."""
PerAxis: TypeAlias = int | Sequence[int]
"""One number for all axes that a window slides along, or one for each."""


class Windowed(Layer):
    """A layer that looks at its input through windows: k cells along each axis, `dilation` apart, `stride` a step.

    On an axis of n places, with p added to them before and q after, there are

        ⌊(n + p + q - dilation (k - 1) - 1) / stride⌋ + 1

    windows. padding="valid" adds nothing; "same" adds what makes that ⌈n / stride⌉, half before and half after, an odd
    one after (as Keras and ONNX's SAME_UPPER have it; PyTorch has it for stride 1 alone); a number is added on both
    sides of every axis, a pair says the number for each axis. With ceil_mode a last window that stands half outside
    counts, too, unless it begins behind the last place and its padding; this adds places after.

    What stands at the added places, padding_mode says: "zeros"; "reflect", the places mirrored at the outermost ones;
    "replicate", the outermost ones again; "circular", those of the other end.
    """

    sliding: ClassVar[int]
    """The number of axes along which the windows slide: 1 for lines, 2 for images."""
    channels: int | None = None
    """The number of channels that x must have, where that is settled."""
    window: tuple[int, ...]
    """The number of cells of a window along each axis."""
    margin: tuple[int, ...] | None
    """The number of places added on both sides of each axis; None for "same", where it depends on their number."""
    padding_mode: str = "zeros"
    ceil_mode: bool = False

    @property
    def row_axes(self) -> int:
        """An axis for each along which windows slide, and the channels."""
        return self.sliding + 1

    def slide(self, size: PerAxis, stride: PerAxis, padding: str | PerAxis, dilation: PerAxis = 1) -> None:
        """Settle the windows; raises ValueError for numbers that make none."""
        self.window, self._stride = self._per_axis("size", size, 1), self._per_axis("stride", stride, 1)
        self._dilation = self._per_axis("dilation", dilation, 1)
        if isinstance(padding, str) and padding not in ("valid", "same"):
            raise ValueError(f'{type(self).__name__}: padding is "valid", "same" or numbers, not {padding!r}')
        fixed = 0 if isinstance(padding, str) else padding
        self.margin = None if padding == "same" else self._per_axis("padding", fixed, 0)
        self._spans = tuple(d * (k - 1) + 1 for k, d in zip(self.window, self._dilation, strict=True))
        self._strip = self.window[-1] if self._dilation[-1] == 1 else 1

    def _per_axis(self, name: str, value: PerAxis, least: int) -> tuple[int, ...]:
        each = tuple(value) if isinstance(value, Iterable) else (value,) * self.sliding
        if len(each) != self.sliding or not all(isinstance(n, int | np.integer) and n >= least for n in each):
            wanted = "a whole number" if self.sliding == 1 else f"a whole number or {self.sliding} of them,"
            raise ValueError(f"{type(self).__name__}: {name} is {wanted} of at least {least}, not {value!r}")
        return each

    def margins(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """How many places are added before and after the given ones, for each axis."""
        axes = list(zip(places, self._stride, self._spans, strict=True))
        if self.margin is None:
            missing = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in axes]
            return [(p // 2, p - p // 2) for p in missing]
        if not self.ceil_mode:
            return [(p, p) for p in self.margin]
        margins = []
        for (n, s, span), p in zip(axes, self.margin, strict=True):
            steps = min(-(-(n + 2 * p - span) // s), (n + p - 1) // s)
            margins.append((p, p + max(steps * s + span - n - 2 * p, 0)))
        return margins

    def counts(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many windows there are along each axis. Raises ValueError for rows that they do not fit."""
        self.refuse(input_shape)
        padded = self.padded((1, *input_shape))[1:-1]
        if any(n < span for n, span in zip(padded, self._spans, strict=True)):
            raise ValueError(
                f"{self!r}: windows of {_times(self._spans)} do not fit into rows of shape {input_shape}, "
                f"{_times(padded)} with padding"
            )
        reach = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        margins = self.margins(input_shape[:-1])
        if reach is not None and any(max(pq) > n - reach for pq, n in zip(margins, input_shape, strict=False)):
            raise ValueError(
                f"{self!r}: {self.padding_mode} padding repeats places that are there, of which rows of shape "
                f"{input_shape} have too few"
            )
        return tuple((n - span) // s + 1 for n, span, s in zip(padded, self._spans, self._stride, strict=True))

    def refuse(self, input_shape: tuple[int, ...]) -> None:
        """Raise ValueError for rows that are no lines or images, or have other channels."""
        kind = {1: "lines (T, C)", 2: "images (H, W, C)"}[self.sliding]
        if len(input_shape) != self.sliding + 1:
            raise ValueError(f"{self!r} takes {kind}, not rows of shape {input_shape}")
        if self.channels not in (None, input_shape[-1]):
            raise ValueError(
                f"{self!r} takes {kind} of {self.channels} channels, not of {input_shape[-1]}: channels are the last "
                f"of {input_shape}"
            )

    def padded(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the padded x."""
        rows, *places, channels = x_shape
        return (rows, *(n + p + q for n, (p, q) in zip(places, self.margins(places), strict=True)), channels)

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """x (B, …, C) with `value`, or what padding_mode says, at the places that padding adds."""
        margins = [(0, 0), *self.margins(x.shape[1:-1]), (0, 0)]
        if not np.any(margins):
            return x
        if self.padding_mode == "zeros":
            return np.pad(x, margins, constant_values=value)
        return np.pad(x, margins, MODES[self.padding_mode])

    def unpad(self, dx: Array, x_shape: tuple[int, ...]) -> Array:
        """The derivative of `pad`: of the padded dx, the places that x has, a view. What an added place repeats gets,
        in there, what that place has.
        """
        inner: list[Any] = [slice(None)]
        for axis, (n, (p, q)) in enumerate(zip(x_shape[1:-1], self.margins(x_shape[1:-1]), strict=True), start=1):
            if self.padding_mode != "zeros":
                repeated = np.pad(np.arange(n), (p, q), MODES[self.padding_mode])
                for place in (*range(p), *range(p + n, p + n + q)):
                    original = dx[(*[slice(None)] * axis, p + repeated[place])]
                    original += dx[(*[slice(None)] * axis, place)]
            inner.append(slice(p, p + n))
        return dx[tuple(inner)]

    def through(self, x: Array) -> Any:
        """All that the windows show of the padded x: a view (B, …, k, …, C), where they overlap of the same numbers."""
        axes = tuple(range(1, self.sliding + 1))
        steps = (slice(None, None, s) for s in self._stride)
        cells = (slice(None, None, d) for d in self._dilation)
        view = sliding_window_view(x, self._spans, axes, writeable=True)  # (B, …, C, k, …)
        view = view.transpose(0, *axes, *range(self.sliding + 2, view.ndim), self.sliding + 1)
        return view[(slice(None), *steps, *cells)]

    def strips(self) -> list[tuple[Any, ...]]:
        """A window's cells, as indices of strips without gaps: its rows or, with dilation, its single cells."""
        *rows, cells = self.window
        return [(*row, slice(j, j + self._strip)) for row in np.ndindex(*rows) for j in range(0, cells, self._strip)]

    def apart(self, count: int) -> list[tuple[Any, ...]]:
        """All windows, `count` along the last axis, as indices of sets in which no strip lies over another one."""
        sets = min(-(-self._strip // self._stride[-1]), count)
        return [(*[slice(None)] * self.sliding, slice(first, None, sets)) for first in range(sets)]

    def cells(self, x: Array, counts: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Any]]:
        """For each cell of a window, row by row, what it shows of the padded x: a view (B, *counts, C)."""
        for cell in np.ndindex(self.window):
            starts = (i * d for i, d in zip(cell, self._dilation, strict=True))
            numbers = zip(starts, counts, self._stride, strict=True)
            yield cell, x[(slice(None), *(slice(i, i + (n - 1) * s + 1, s) for i, n, s in numbers))]

    def within(self, places: tuple[int, ...], counts: tuple[int, ...], padding: bool, dtype: Any) -> Array:
        """How many cells of each window show the given places, or with `padding` those or what was asked for around
        them, but not what ceil_mode adds: (…, 1).
        """
        margins = [(p, min(p, q) if self.ceil_mode else q) for p, q in self.margins(places)]
        limits = tuple((0, p + n + q) if padding else (p, p + n) for n, (p, q) in zip(places, margins, strict=True))
        return _cells_within(counts, self.window, self._stride, self._dilation, limits, dtype)


@cache
def _cells_within(
    counts: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    limits: tuple[tuple[int, int], ...],
    dtype: Any,
) -> Array:
    numbers = np.ones(1, dtype)
    for h, k, s, d, (first, end) in reversed(list(zip(counts, window, stride, dilation, limits, strict=True))):
        at = s * np.arange(h)[:, None] + d * np.arange(k)
        numbers = ((first <= at) & (at < end)).sum(axis=1).astype(dtype).reshape(h, *[1] * numbers.ndim) * numbers
    return numbers


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))

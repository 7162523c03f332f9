"""The directions along which a gradient is compared, each with the finest step that is worth taking along it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.parameter import Array
from minigrad.testing.bench.subject import INPUT, Part
from minigrad.testing.oracle.point import Point, rms


def directions(point: Point, rng: np.random.Generator) -> Iterator[tuple[Array, float, list[str]]]:
    """One of the whole vector, one of each part and, where values repeat, one that moves equal entries alike.

    Each comes with the names of the parts that it says all of.
    """
    everything = [part.name for part in point.parts]
    yield *relative(point, rng), everything if len(everything) == 1 else []
    for part in point.parts:
        scales = point.scales[part.span]
        if scales.size:
            direction = np.zeros_like(point.v)
            even = scales.max() <= 1e4 * scales.min()
            direction[part.span] = (rms(scales) if even else scales) * rng.standard_normal(scales.shape)
            size = min(point.resolution(part.span) / rms(scales), 1) if even else 1
            yield direction, max(point.finest * size, 1e-22), [part.name]
    if point.ties is not None:
        direction = np.zeros_like(point.v)
        alike = rng.standard_normal(int(point.ties.max()) + 1)[point.ties]
        part = next(part for part in point.parts if part.name == INPUT)
        direction[part.span] = (rms(point.v[part.span]) or 1.0) * alike
        yield direction, point.finest, []


def relative(point: Point, rng: np.random.Generator) -> tuple[Array, float]:
    """A random one of the whole vector, in proportion to its entries."""
    zeros = point.scales[point.v == 0]
    finest = point.finest / max(float(zeros.max(initial=1)), 1)
    return point.scales * rng.standard_normal(point.scales.shape), max(finest, 1e-22)


def axis(point: Point, position: int) -> tuple[Array, float]:
    """That of one entry alone."""
    scale = float(point.scales[position])
    length = max(rms(point.scales[point.part_of(position).span]), scale)
    direction = np.zeros(point.v.shape)
    direction[position] = length
    own = point.resolution(slice(position, position + 1))
    return direction, max(point.finest * own / length, 1e-26)


def sample(part: Part, count: int, rng: np.random.Generator) -> list[int]:
    """The positions of so many entries of a part, or of all."""
    size = part.span.stop - part.span.start
    if size <= count:
        return list(range(part.span.start, part.span.stop))
    return sorted(part.span.start + int(i) for i in rng.choice(size, count, replace=False))

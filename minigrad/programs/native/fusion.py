"""Rows for the batches before the last one of a run: gradients that nobody but the update reads are not written.

What a run leaves behind are the gradients of its last batch. Before that, dW = xᵀ dz of a single row and
W = W - eta dW are one pass over W, with the bits of both: twice the memory of θ would have to be gone over else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minigrad.programs.native.extension import NotNative, own_loop
from minigrad.programs.native.table import Row
from minigrad.programs.native.work_sharing import Span, clash


def without_unread(rows: Sequence[Row], bases: Mapping[int, int]) -> list[Row] | None:
    """The rows with products and descent in one where that can be; None where it can't, or it would save nothing."""
    descents = [number for number, row in enumerate(rows) if _is(row, "descend")]
    products = [number for number, row in enumerate(rows) if _is(row, "outer")]
    if len(descents) != 1 or not products:
        return None
    (at,) = descents
    step, touched = rows[at], [row.touched(bases) for row in rows]
    (eta, gradient, _, theta), size = touched[at], step.items[3]
    if step.spots[2] != step.spots[3]:
        return None
    joined: dict[int, Span] = {}
    for number in products:
        (a, b, out), row = touched[number], rows[number]
        others = [span for n, spans in enumerate(touched) if n not in (number, at) for span in spans]
        later = [spans[-1] for spans in touched[number + 1 : at]]
        if (
            number < at
            and gradient[0] <= out[0] < out[1] <= gradient[1]
            and row.strides[7:] == (size * row.sizes[3], size)
            and not clash([out], others)
            and not clash([a, b], [*later, theta])
            and not clash([eta], later)
        ):
            joined[number] = (out[0] - gradient[0]) // size, (out[1] - gradient[0]) // size
    if not joined:
        return None
    kept = [row for number, row in enumerate(rows) if number not in joined and number != at]
    place, update = 0, list[Row]()
    for number, (start, stop) in sorted(joined.items(), key=lambda each: each[1]):
        update += _part(step, place, start)
        update.append(_joined(rows[number], step, start))
        place = stop
    before = sum(number < at and number not in joined for number in range(len(rows)))
    return [*kept[:before], *update, *_part(step, place, step.sizes[0]), *kept[before:]]


def _is(row: Row, name: str) -> bool:
    """Whether a row is of one of the own loops, for numbers of its size."""
    try:
        return row.loop.address == own_loop(f"{name} float{8 * row.items[-1]}").address
    except NotNative:
        return False


def _part(step: Row, start: int, stop: int) -> list[Row]:
    """The descent of these elements alone; none where there are none."""
    if start == stop:
        return []
    return step.cuts([start, stop]) or []


def _joined(product: Row, step: Row, start: int) -> Row:
    """The product of a column and a row, and the descent by it, in one row."""
    (_, rows, _, columns), size = product.sizes, step.items[3]
    (theta, offset), column = step.spots[3], product.strides[3]
    spots = (step.spots[0], *product.spots[:2], (theta, offset + start * size))
    loop, along = own_loop(f"outer descend float{8 * size}"), (0, 0, size, size)
    return Row(loop, spots, step.items, (rows, columns), (0, column, 0, columns * size, *along), kind="rows")

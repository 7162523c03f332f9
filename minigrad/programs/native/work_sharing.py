"""Native rows divided among threads: each makes a part of every result, and they meet where one needs another's part.

Every thread has a table of its own, and one BLAS thread. A meeting takes about a microsecond, so it stands only where
the bytes that one thread touches clash with those that another one has touched since the meeting before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from minigrad.programs.native.table import Row

Span = tuple[int, int]

DIVIDED_FROM = 1 << 12
"""Elements, or multiplications / 16, from which on a row is worth dividing: some microseconds."""
TOGETHER = 64
"""Parts begin at multiples of so many elements, where there are as many: whole vectors, and whole cache lines."""


def bounds_of(length: int, members: int) -> list[int]:
    """Where the parts of an axis begin and end, one for each member."""
    unit = TOGETHER if length >= 4 * TOGETHER * members else 1
    return [length * k // members // unit * unit for k in range(members)] + [length]


def divide(
    rows: Sequence[Row],
    members: int,
    bases: Mapping[int, int],
    fed: Sequence[Sequence[Span]],
    product: Callable[[Row, list[int]], list[list[Row]] | None],
) -> list[list[Row | None]]:
    """For each member its rows, with None where all meet.

    `fed` are the addresses that each member fills before the first row. `product(row, bounds)` is how a product is made
    in parts with these bounds; None where its bits would be other ones.
    """
    tables: list[list[Row | None]] = [[] for _ in range(members)]
    read: list[list[Span]] = [[] for _ in range(members)]
    written: list[list[Span]] = [list(spans) for spans in fed]
    for row in rows:
        parts = parts_of(row, members, product)
        touched = [[each.touched(bases) for each in part] for part in parts]
        reads = [[span for spans in part for span in spans[:-1]] for part in touched]
        writes = [[spans[-1] for spans in part] for part in touched]
        if any(
            clash(reads[k], written[j]) or clash(writes[k], [*written[j], *read[j]])
            for k in range(members)
            for j in range(members)
            if j != k
        ):
            for number in range(members):
                tables[number].append(None)
                read[number], written[number] = [], []
        for number, part in enumerate(parts):
            tables[number] += part
            read[number] += reads[number]
            written[number] += writes[number]
    for table in tables:
        table.append(None)  # before the next batch is fed
    return tables


def is_worth_dividing(row: Row, members: int) -> bool:
    """Whether a row is long enough, if it can be divided."""
    work = row.work // 16 if row.kind == "product" else row.work
    return work >= DIVIDED_FROM and row.length >= members


def parts_of(row: Row, members: int, product: Callable[[Row, list[int]], list[list[Row]] | None]) -> list[list[Row]]:
    """The part of each member; the first has all of what is not worth dividing, or can't be."""
    if is_worth_dividing(row, members):
        bounds = bounds_of(row.length, members)
        parts = product(row, bounds) if row.kind == "product" else [[part] for part in row.cuts(bounds) or []]
        if parts:
            return parts
    return [[row], *([] for _ in range(members - 1))]


def clash(some: Sequence[Span], others: Sequence[Span]) -> bool:
    """Whether an address of the ones is one of the others."""
    return any(a < d and c < b for a, b in some for c, d in others)

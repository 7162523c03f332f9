"""The way into the extension `_native`: whether there is one, its tables, its loops, and what it says of errors.

The extension is optional. `refusal` says why it is not used: it was not built, NumPy does not hand out its inner loops
here, or the environment says `MINIGRAD_NATIVE=0`. Then programs run as Python, with the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import Any, TypeAlias

import numpy as np

from minigrad.parameter import Array
from minigrad.programs.ir.memory import address
from minigrad.programs.native.threads import share

try:
    import minigrad.programs.native._native as _native
except ImportError:
    _native = None  # type: ignore[assignment]

SWITCH = "MINIGRAD_NATIVE"
OPERANDS, AXES, SIZES, STRIDES = 4, 4, 4, 10

LINE = np.dtype(
    [
        ("loop", np.uintp),
        ("context", np.uintp),
        ("auxdata", np.uintp),
        ("operands", np.intp),
        ("quiet", np.intp),
        ("data", np.uintp, OPERANDS),
        ("sizes", np.intp, SIZES),
        ("strides", np.intp, STRIDES),
        ("axes", np.intp),
        ("shape", np.intp, AXES),
        ("steps", np.intp, (AXES, OPERANDS)),
        ("run", np.intp),
    ]
)
"""A line as native.c has it."""
FEED = np.dtype(
    [
        ("place", np.uintp),
        ("table", np.uintp),
        ("rows", np.uintp),
        ("bytes", np.intp),
        ("stride", np.intp),
        ("count", np.intp),
        ("each", np.intp),
    ]
)
"""Rows that are copied before each batch, or one that is kept after it."""


EXACT: set[np.ufunc] = {
    *(np.add, np.subtract, np.multiply, np.divide, np.reciprocal, np.sqrt, np.square, np.negative, np.positive),
    *(np.absolute, np.sign, np.maximum, np.minimum, np.isfinite, np.isnan, np.signbit, np.logical_and, np.logical_or),
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.logical_not),
}
"""Ufuncs whose results are the nearest numbers there are. Others may have a loop for what is contiguous, and one of
other last bits for what is not; and in which the iterator calls depends on more than is known here."""


class NotNative(Exception):
    """An op that only Python can run, and why."""


@dataclass(frozen=True)
class Loop:
    """An inner loop: where it is, and what keeps it there. `quiet`: no floating-point error of it counts.

    `exact`: each element is the nearest number there is, so it is all one how many a call is given.
    """

    address: int
    context: int = 0
    auxdata: int = 0
    quiet: bool = False
    exact: bool = True
    keeper: Any = None


@cache
def refusal() -> str | None:
    """Why nothing runs natively; None where it does."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if _native is None:
        return "the extension minigrad.programs.native._native was not built"
    if (LINE.itemsize, FEED.itemsize) != (_native.LINE_BYTES, _native.FEED_BYTES):
        return "the extension minigrad.programs.native._native is of another version"
    try:
        loop_of(np.add, (np.dtype(np.float32),) * 3)
    except Exception as error:
        return f"NumPy {np.__version__} does not hand out its inner loops: {type(error).__name__}: {error}"
    return None


def native_available() -> bool:
    """Whether programs run natively here, as far as their ops can; `refusal` says why they don't."""
    return refusal() is None


@cache
def loop_of(ufunc: np.ufunc, dtypes: tuple[np.dtype[Any], ...]) -> Loop:
    """NumPy's inner loop for operands of these very dtypes, the result's included.

    Raises NotNative where there is none that does without Python.
    """
    found, info = ufunc._resolve_dtypes_and_context(dtypes)  # type: ignore[attr-defined]
    if tuple(found) != dtypes:
        raise NotNative(f"{ufunc.__name__} has no loop for {', '.join(map(str, dtypes))}")
    ufunc._get_strided_loop(info)  # type: ignore[attr-defined]
    loop, context, auxdata, requires_python, quiet = _native.loop_in(info)
    if requires_python:
        raise NotNative(f"{ufunc.__name__} needs Python")
    return Loop(loop, context, auxdata, bool(quiet), ufunc in EXACT, info)


def own_loop(name: str) -> Loop:
    """A loop of native.c by its name."""
    if name not in _native.LOOPS:
        raise NotNative(f"there is no loop to {name}")
    return Loop(_native.LOOPS[name], quiet=name.startswith(("copy", "turn", "gather")))


def own_loops() -> dict[str, int]:
    """The loops of native.c, by name."""
    return _native.LOOPS


def raw_bytes(records: Array) -> memoryview:
    """Records as the extension takes them: NumPy describes their fields anew whenever it hands out a buffer."""
    return records.view(np.uint8).data if records.size else memoryview(b"")


Feeding: TypeAlias = tuple[Array, Array, Array]
"""A place, a table, and the numbers of the rows that the place is given, batch after batch."""


def feed(place: Array, table: Array, rows: Array | None, count: int) -> tuple[int, ...]:
    """A record of FEED: `count` rows of a table for each batch; `rows` says which, without it they run on."""
    size = prod(table.shape[1:]) * table.itemsize
    return address(place), address(table), 0 if rows is None else address(rows), size, table.strides[0], count, count


def part_of(whole: tuple[int, ...], start: int, stop: int) -> tuple[int, ...]:
    """A feed of only some rows of each batch."""
    place, table, rows, size, stride, _, each = whole
    if rows:
        rows += start * np.dtype(np.intp).itemsize
    else:
        table += start * stride
    return place + start * size, table, rows, size, stride, stop - start, each


def records(feeds: Sequence[tuple[int, ...]]) -> memoryview:
    """Some feeds as the extension takes them."""
    return raw_bytes(np.array(feeds, FEED))


def run(ops: memoryview, *arguments: Any) -> int:
    """Run a table of rows; see native.c. Returns the floating-point errors."""
    return _native.run(ops, *arguments)


def run_together(tables: Sequence[memoryview], batches: int, feeds: Sequence[Any], keeps: Any) -> int:
    """Run a table in each of as many threads, which meet where the tables say so. Returns the floating-point errors."""
    team = np.zeros(_native.TEAM_BYTES // 4, np.int32)
    team[-1] = len(tables)
    errors = [0] * len(tables)

    def work(number: int) -> None:
        mine = keeps if number == 0 else None
        errors[number] = _native.run(tables[number], batches, feeds[number], mine, team.data)

    share([partial(work, number) for number in range(len(tables))])
    return int(np.bitwise_or.reduce(errors))


FAULTS: dict[int, tuple[Any, tuple[float, float]]] = {
    1: (np.divide, (1.0, 0.0)),
    2: (np.multiply, (1e300, 1e300)),
    4: (np.multiply, (1e-300, 1e-300)),
    8: (np.subtract, (np.inf, np.inf)),
}
"""For each floating-point error something in which NumPy meets it, and does what its errstate asks for."""


def complain(errors: int) -> None:
    """Have NumPy do about floating-point errors what its errstate asks for: warn, raise, call, print or nothing."""
    for bit, (ufunc, operands) in FAULTS.items():
        if errors & bit:
            ufunc(*map(np.float64, operands))


def only_warns() -> bool:
    """Whether NumPy's errstate asks for no more than warnings, which may come after the lines that they are about."""
    return set(np.geterr().values()) <= {"ignore", "warn"}

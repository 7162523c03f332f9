"""Blocks: rows that need not fit into memory, read a window of some blocks at a time and shuffled within it.

    model.fit(Blocks((x, t)), None, loss=…, optimizer=…, epochs=5)             # arrays, memory-mapped ones above all
    model.fit(Blocks("folder of Parquet files", target="species"), None, …)

An epoch takes the blocks in an order of its own, so many of them (a window) are in memory together, and their rows are
shuffled with each other. That is as good as shuffling all rows where a window has 64 blocks or more, from all over the
data; windows of a few large blocks, each of other classes than the rest, learn badly. The order depends on the seed and
the epoch alone. The next window is read by a thread while this one is trained on: memory holds two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.data.examples import InBlocks, as_numbers
from minigrad.data.labels import LabelEncoder
from minigrad.data.sources import ROWS, source_of
from minigrad.parameter import Array

Block: TypeAlias = "tuple[Array, Array, Array | None]"
"""Rows x, their targets t, and their weights or None."""


class Window(NamedTuple):
    """Some blocks in memory together: x, t and weights, the order of their rows, and the numbers of the blocks."""

    x: Array
    t: Array
    w: Array | None
    order: Array
    blocks: Array


class Blocks(InBlocks):
    """Rows x with targets t in blocks, `window` of which are in memory together.

    `source` is one of:

    * a pair of arrays (x, t), or (x, t, weights): NumPy's, memory-mapped ones, zarr's, Dask's. NumPy's are cut into
      blocks of `rows` rows, the others have the blocks that they are stored in;
    * a sequence of (x, t), or of (x, t, weights): anything with `len(source)` and `source[i]`;
    * a Dask DataFrame, whose partitions are the blocks, with the name of the column to predict as `target`;
    * a Parquet file, or a folder of them, likewise. Blocks are the files' row groups; a window has about as many rows
      as `window` blocks of 1,024, since groups can be large. Where they are sorted by what is to be learned,
      `to_arrays(folder)` writes all rows once as arrays, to shuffle them better.

    `columns` are those to learn from: by default all but the target. Labels are found by a first pass over the targets;
    `classes`, all the labels that there are, spares it.

    Raises ValueError for a `window` or `rows` that is no whole number from 1 on, for a source that blocks can't be read
    from, and for one without any.
    """

    def __init__(
        self,
        source: Any,
        window: int = 256,
        *,
        target: str | None = None,
        columns: Sequence[str] | None = None,
        classes: Any = None,
        rows: int = ROWS,
    ) -> None:
        for name, value in (("window", window), ("rows", rows)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                hint = "; give arrays as a pair: Blocks((x, t))" if name == "window" and np.ndim(value) else ""
                raise ValueError(f"{name}={value!r:.40} is not a whole number from 1 on{hint}")
        self._source = source_of(source, target, columns, rows)
        self.window: int = int(window)
        self.classes = classes
        if len(self._source) == 0:
            raise ValueError("there are no blocks")

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"Blocks({self._source}, window={self.window})"

    def __getitem__(self, number: int) -> Block:
        with _in_block(number):
            return _checked(self._source[number])

    def inputs(self, number: int) -> Array:
        """The x of a block."""
        with _in_block(number):
            return np.asarray(self._source.inputs(number))

    def targets(self, number: int) -> Array:
        """The targets of a block, without its x where the source can do that."""
        with _in_block(number):
            return np.asarray(self._source.targets(number))

    def rows(self) -> int:
        """The number of all rows. Where the source does not tell it, all targets are read."""
        known = self._source.rows()
        return sum(len(self.targets(number)) for number in range(len(self))) if known is None else known

    def labels(self) -> dict[Any, int]:
        """Each label with the number of its rows, by a pass over all targets."""
        found: dict[Any, int] = {}
        for number in range(len(self)):
            labels = self.targets(number)
            with _in_block(number):
                encoder = LabelEncoder(labels)
                counts = np.bincount(encoder.encode(labels), minlength=len(encoder.classes))
            for label, count in zip(encoder.classes.tolist(), counts.tolist(), strict=True):
                found[label] = found.get(label, 0) + count
        return found

    def windows(
        self,
        seed: Any,
        epoch: int,
        shuffle: bool,
        batch_size: int,
        *,
        held: Held | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Window]:
        """All rows, window after window; those that do not fill a batch are the first ones of the next window.

        Without `held` rows. Of several `ranks`, each has every so many-th block of the order. Raises
        ValueError for blocks that do not fit each other, and where some have weights and some none.
        """
        order = np.random.default_rng((seed, epoch)).permutation(len(self)) if shuffle else np.arange(len(self))
        order = order[rank::ranks]
        parts = np.array_split(order, math.ceil(len(order) / self._together)) if len(order) else []

        def read(number: int, left: Window | None) -> Window:
            blocks = np.sort(parts[number])
            found = [_without(self[int(n)], held, int(n)) for n in blocks]
            kept = 0
            if left is not None and (kept := len(left.order) % batch_size):
                rows = left.order[-kept:]
                found.insert(0, (left.x[rows], left.t[rows], None if left.w is None else left.w[rows]))
            x, t, w = _together(found, blocks)
            rng = np.random.default_rng((seed, epoch, 3, number * ranks + rank))
            new = rng.permutation(len(x) - kept) if shuffle else np.arange(len(x) - kept)
            return Window(x, t, w, np.concatenate([np.arange(kept), new + kept]), blocks)

        with ThreadPoolExecutor(1, "minigrad-reader") as reader:
            coming: Future[Window] | None = reader.submit(read, 0, None) if parts else None
            for number in range(len(parts)):
                assert coming is not None
                window = coming.result()
                last = number + 1 == len(parts)
                coming = None if last else reader.submit(read, number + 1, window)
                order = window.order
                yield window if last else window._replace(order=order[: len(order) // batch_size * batch_size])

    @property
    def _together(self) -> int:
        """How many blocks are a window."""
        largest = self._source.largest
        return self.window if largest is None else max(1, min(self.window, self.window * ROWS // largest))

    def to_arrays(self, folder: str | Path, dtype: npt.DTypeLike = np.float32) -> Blocks:
        """Write all rows as x.npy and t.npy (and w.npy) into a folder, and return them as blocks of 1,024 rows.

        They are read once, one block after the other. The rest of the disk is the only limit.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        m, start = self.rows(), 0
        x: Any = None
        ts, ws = [], []
        for number in range(len(self)):
            block, t, w = self[number]
            if x is None:
                x = np.lib.format.open_memmap(folder / "x.npy.part", "w+", dtype, (m, *block.shape[1:]))
            x[start : start + len(block)] = as_numbers(f"block {number}: x", block, dtype) if len(block) else block
            ts.append(t)
            ws.append(w)
            start += len(block)
        x.flush()
        del x  # a file that is mapped can't be renamed everywhere
        arrays = [("t.npy", np.concatenate(ts))]
        if any(w is not None for w in ws):
            arrays.append(
                ("w.npy", np.concatenate([np.ones(len(t)) if w is None else w for t, w in zip(ts, ws, strict=True)]))
            )
        for name, array in arrays:
            np.save(folder / name, array)
        (folder / "x.npy.part").replace(folder / "x.npy")
        names = ["x.npy", *(name for name, _ in arrays)]
        found = tuple(np.load(folder / name, mmap_mode="r") for name in names)
        return Blocks(found, self.window, classes=self.classes)


class Held:
    """Which rows of each block are held out: each row with the same chance, drawn from the seed and the block."""

    def __init__(self, seed: int, share: float) -> None:
        self.seed = seed
        self.share = share

    def __call__(self, number: int, rows: int) -> npt.NDArray[np.bool_]:
        """True for the rows of a block that are held out."""
        return np.random.default_rng((self.seed, 0, 1, number)).random(rows) < self.share


class _in_block:
    """Says in which block something is wrong."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, ValueError):
            raise ValueError(f"block {self._number}: {error}") from error


def _checked(item: Any) -> Block:
    """What a source gives as a block: arrays of equally many rows."""
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise ValueError(f"is {item!r:.60}; a block is (x, t), or (x, t, weights)")
    x, t = (np.asarray(part) for part in item[:2])
    w = np.asarray(item[2]) if len(item) == 3 and item[2] is not None else None
    if x.ndim == 0 or t.ndim == 0 or len(x) != len(t) or (w is not None and w.shape != (len(x),)):
        shapes = ", ".join(str(part.shape) for part in (x, t, w) if part is not None)
        raise ValueError(f"its arrays have the shapes {shapes}; x, t (and one weight a row) go together row by row")
    return x, t, w


def _without(block: Block, held: Held | None, number: int) -> Block:
    if held is None:
        return block
    kept = ~held(number, len(block[0]))
    return block[0][kept], block[1][kept], None if block[2] is None else block[2][kept]


def _together(blocks: list[Block], numbers: Array) -> Block:
    weighted = {w is not None for _, _, w in blocks}
    try:
        x, t = (np.concatenate([block[part] for block in blocks]) for part in (0, 1))
    except ValueError as error:
        raise ValueError(f"blocks {_shown(numbers)} do not fit each other: {error}") from error
    if len(weighted) == 2:
        raise ValueError(f"some of the blocks {_shown(numbers)} have weights, and some have none")
    return x, t, np.concatenate([w for _, _, w in blocks if w is not None]) if weighted == {True} else None


def _shown(numbers: Array) -> str:
    return ", ".join(map(str, numbers[:5].tolist())) + (", …" if len(numbers) > 5 else "")


def pieces_of(x: Any) -> tuple[Iterator[Array], int]:
    """The rows of Blocks, or of an array that is stored in chunks, piece by piece in their order; and their number."""
    blocks = x if isinstance(x, Blocks) else Blocks((x, x))
    return (blocks.inputs(number) for number in range(len(blocks))), blocks.rows()


def taker(array: Array, place: Array) -> Callable[..., Any] | None:
    """`array.take` where it can put rows of an array into a place at once; elsewhere it would copy the whole array."""
    return array.take if array.flags.c_contiguous and array.dtype == place.dtype else None


def gather(array: Array, rows: Array, place: Array) -> None:
    """Put these rows of an array into a place of its own."""
    take = taker(array, place)
    if take is None:
        place[...] = array[rows]
    else:
        take(rows, 0, place, "clip")

"""Sources of blocks: arrays cut into rows, what Dask and zarr hold, tables in Parquet files; any sequence of (x, t).

Each has a length, gives block i as (x, t) or (x, t, weights), and may tell more: the targets alone, the number of all
rows, and the rows of its largest block, where blocks are so large that a window is to have fewer of them.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.data.labels import label_array
from minigrad.parameter import Array
from minigrad.version import installing

ROWS = 1024
"""In a block: a window of 256 has some 262,144 rows."""


class Items:
    """Any sequence of (x, t): what all sources can do."""

    def __init__(self, items: Any) -> None:
        self._items = items
        self.largest: int | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> Any:
        return self._items[number]

    def __repr__(self) -> str:
        return f"{type(self._items).__name__} of {len(self)}"

    def inputs(self, number: int) -> Any:
        """The x of a block."""
        return self._part(number, 0)

    def targets(self, number: int) -> Any:
        """The targets of a block."""
        return self._part(number, 1)

    def _part(self, number: int, part: int) -> Any:
        item = self[number]
        if not isinstance(item, tuple | list) or len(item) not in (2, 3):
            raise ValueError(f"is {item!r:.60}; a block is (x, t), or (x, t, weights)")
        return item[part]

    def rows(self) -> int | None:
        """The number of all rows, where that is known."""
        return None


class Arrays(Items):
    """Arrays x, t (and weights) whose rows belong together: some of them are a block."""

    def __init__(self, arrays: Sequence[Any], rows: int) -> None:
        super().__init__(arrays)
        lengths = [array.shape[0] for array in arrays]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"x has {lengths[0]} rows, t has {lengths[1]}" + "".join(f", weights {n}" for n in lengths[2:])
            )
        self._total, self._rows = lengths[0], _stored_rows(arrays[0]) or rows

    def __len__(self) -> int:
        return -(-self._total // self._rows)

    def __getitem__(self, number: int) -> Any:
        return tuple(self._cut(array, number) for array in self._items)

    def __repr__(self) -> str:
        return f"arrays of {self._total} rows"

    def _part(self, number: int, part: int) -> Any:
        return self._cut(self._items[part], number)

    def rows(self) -> int | None:
        """The number of all rows."""
        return self._total

    def _cut(self, array: Any, number: int) -> Array:
        start = number * self._rows
        stop = min(self._total, start + self._rows)
        if isinstance(array, np.memmap):
            _read_ahead(array, start, stop)
        return np.array(array[start:stop])


def _stored_rows(array: Any) -> int | None:
    """The rows that lie together in an array stored in chunks of one size (zarr's, h5py's)."""
    chunks = getattr(array, "chunks", None)
    return int(chunks[0]) if isinstance(chunks, tuple) and chunks and isinstance(chunks[0], int) else None


def _read_ahead(array: np.memmap[Any, Any], start: int, stop: int) -> None:
    """Tell the system which bytes of a mapped file are wanted: all at once, instead of page by page with others around.

    Measured on a file larger than the page cache: without it, eleven times the bytes are read.
    """
    mapped, width = getattr(array, "_mmap", None), array.strides[0]
    if sys.platform == "win32" or mapped is None or not array.flags.c_contiguous:
        return
    begin = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data + start * width
    page = begin // mmap.PAGESIZE * mmap.PAGESIZE
    length = min(len(mapped) - page, begin - page + (stop - start) * width)
    if length > 0:
        mapped.madvise(mmap.MADV_WILLNEED, page, length)


class DaskArrays(Items):
    """Arrays of Dask: the chunks of x along its rows are the blocks."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        x, *others = arrays
        if any(np.isnan(size) for size in x.chunks[0]):
            raise ValueError("x has chunks of unknown lengths: call x.compute_chunk_sizes() first")
        if {len(array) for array in others} != {len(x)}:
            raise ValueError(f"x has {len(x)} rows, t has {len(others[0])}")
        import dask.array

        whole = dict.fromkeys(range(1, x.ndim), -1)
        self._arrays = [x.rechunk(whole)]
        for array in others:
            array = dask.array.asarray(array)
            self._arrays.append(array.rechunk((x.chunks[0], *((length,) for length in array.shape[1:]))))
        super().__init__(x)

    def __len__(self) -> int:
        return int(self._arrays[0].numblocks[0])

    def __getitem__(self, number: int) -> Any:
        import dask

        return dask.compute(*(array.blocks[number] for array in self._arrays))

    def __repr__(self) -> str:
        return f"Dask arrays of {len(self._arrays[0])} rows"

    def _part(self, number: int, part: int) -> Any:
        return self._arrays[part].blocks[number].compute()

    def rows(self) -> int | None:
        """The number of all rows."""
        return len(self._arrays[0])


class DaskFrame(Items):
    """A Dask DataFrame: its partitions are the blocks."""

    def __init__(self, frame: Any, target: str | None, columns: Sequence[str] | None) -> None:
        super().__init__(frame)
        self._target, self._columns = _chosen(list(frame.columns), target, columns, "the frame")

    def __len__(self) -> int:
        return int(self._items.npartitions)

    def __getitem__(self, number: int) -> Any:
        part = self._items.partitions[number].compute()
        return part[self._columns].to_numpy(), label_array(part[self._target])

    def __repr__(self) -> str:
        return f"a Dask DataFrame of {len(self)} partitions"

    def targets(self, number: int) -> Any:
        """The targets of a block."""
        return label_array(self._items[self._target].partitions[number].compute())


def row_groups(path: str | os.PathLike[str]) -> tuple[list[Any], list[str], list[int]]:
    """The row groups of a Parquet file or a folder of them, the names of the columns, and the groups' rows."""
    if not Path(path).exists():
        raise ValueError(f"{path}: there is no such file or folder")
    try:
        import pyarrow
        from pyarrow import dataset
    except ImportError as error:
        raise ValueError(f"{path}: Parquet files are read by pyarrow: {installing('parquet')}") from error
    try:
        data = dataset.dataset(path, format="parquet")
        groups = [group for fragment in data.get_fragments() for group in fragment.split_by_row_group()]
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}: can't be read as Parquet: {error}") from error
    return groups, list(data.schema.names), [group.row_groups[0].num_rows for group in groups]


class Parquet(Items):
    """A Parquet file or a folder of them, read by pyarrow: their row groups are the blocks."""

    groups: list[Any]
    names: list[str]

    def __init__(self, path: str | os.PathLike[str], target: str | None, columns: Sequence[str] | None) -> None:
        groups, self.names, self._sizes = row_groups(path)
        super().__init__(groups)
        self._path = path
        self._target, self._columns = _chosen(self.names, target, columns, str(path))
        self.largest: int | None = max(self._sizes, default=None)

    def __getitem__(self, number: int) -> Any:
        table = self._table(number, [*self._columns, self._target])
        x = np.empty((table.num_rows, len(self._columns)), self._dtype(table))
        for place, name in enumerate(self._columns):
            x[:, place] = self._numbers(table, name)
        return x, _labels(table.column(self._target))

    def __repr__(self) -> str:
        return f"{self._path}, {len(self)} row groups"

    def targets(self, number: int) -> Any:
        """The targets of a block; no other column is read."""
        return _labels(self._table(number, [self._target]).column(self._target))

    def rows(self) -> int | None:
        """The number of all rows."""
        return sum(self._sizes)

    def _table(self, number: int, columns: list[str]) -> Any:
        return self._items[number].to_table(columns=columns, use_threads=False)

    def _dtype(self, table: Any) -> Any:
        return np.result_type(
            *(
                table.column(name).type.to_pandas_dtype()
                for name in self._columns
                if _is_number(table.column(name).type)
            ),
            np.float32,
        )

    def _numbers(self, table: Any, name: str) -> Array:
        column = table.column(name)
        if not _is_number(column.type):
            raise ValueError(
                f"column {name!r} holds {column.type}, not numbers; leave it out by columns=, or prepare the table: "
                f"minigrad train takes text and dates"
            )
        return np.asarray(column.to_numpy())


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _labels(column: Any) -> Array:
    """Text as NumPy's own, which costs less than objects where labels are compared."""
    return label_array(column.to_pandas())


def _chosen(names: list[str], target: str | None, columns: Sequence[str] | None, where: str) -> tuple[str, list[str]]:
    if target is None:
        raise ValueError(
            f"{where} has the columns {', '.join(map(repr, names[:10]))}: name the one to predict, target=…"
        )
    chosen = [name for name in names if name != target] if columns is None else list(columns)
    for name in [target, *chosen]:
        if name not in names:
            raise ValueError(f"{where} has no column {name!r}; it has {', '.join(map(repr, names[:10]))}")
    if not chosen:
        raise ValueError(f"{where} has no column beside {target!r} to learn from")
    return target, chosen


def source_of(source: Any, target: str | None, columns: Sequence[str] | None, rows: int) -> Items:
    """What blocks are to be read from."""
    if isinstance(source, str | os.PathLike):
        return Parquet(source, target, columns)
    if hasattr(source, "npartitions") and hasattr(source, "columns"):
        return DaskFrame(source, target, columns)
    if target is not None or columns is not None:
        raise ValueError("target= and columns= are for tables: a Parquet file or folder, or a Dask DataFrame")
    if isinstance(source, tuple) and len(source) in (2, 3) and all(hasattr(part, "shape") for part in source):
        parts = [part for part in source if part is not None]
        return DaskArrays(parts) if hasattr(parts[0], "numblocks") else Arrays(parts, rows)
    if hasattr(source, "shape"):
        raise ValueError("an array alone has no targets: give the pair Blocks((x, t))")
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise ValueError(
            f"source={source!r:.60} is none that blocks can be read from: give arrays (x, t), a sequence of such "
            f"pairs with a length, a Dask DataFrame, or the path of Parquet files"
        )
    return Items(source)

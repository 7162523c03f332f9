"""Class labels of any kind, as integers and as one-hot rows, and back in the user's own words."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 65_536  # rows looked at together, so that learning from a memory-mapped array never copies all of it
SHOWN = 10  # classes written out in an error message
KINDS = {"b": "bools", "i": "whole numbers", "u": "whole numbers", "f": "whole numbers", "U": "text"}


class LabelEncoder:
    """classes[encode(labels)] == labels, with the classes sorted and each of them once.

    `LabelEncoder(labels)` learns the classes from labels of one kind: whole numbers (also written as floats), text or
    bools, in a list, an array, or a pandas Series. Shapes: labels (B,), codes (B,), one-hot rows (B, K) for K classes.

    Raises ValueError for no labels, for a missing one (None, NaN), for what is no label, and for labels of two kinds;
    it names the row, counted from 0.
    """

    def __init__(self, labels: Any) -> None:
        known: Any = None
        self.kind: str = ""
        for start, block in _blocks(label_array(labels)):
            kind, found = _distinct(block, start)
            if known is not None and kind != self.kind:
                raise ValueError(f"row {start}: label {block[0]!r} is {kind}, the rows before it are {self.kind}")
            self.kind = kind
            if block.dtype == object:
                known = found if known is None else known | found
            else:
                known = found if known is None else np.union1d(known, found)
        if known is None:
            raise ValueError("there are no labels to learn the classes from")
        if isinstance(known, set):
            self.classes: npt.NDArray[Any] = np.empty(len(known), object)
            self.classes[:] = sorted(known)
        else:
            self.classes = known

    def __repr__(self) -> str:
        return f"<LabelEncoder of {len(self.classes)} classes: {self._shown()}>"

    def encode(self, labels: Any) -> npt.NDArray[np.intp]:
        """The position of each label in `classes`. Raises ValueError for a label that is none of them."""
        labels = label_array(labels)
        codes = np.empty(len(labels), np.intp)
        positions = {label: position for position, label in enumerate(self.classes.tolist())}
        for start, block in _blocks(labels):
            kind, found = _distinct(block, start)
            unseen = {
                label for label in (found if isinstance(found, set) else found.tolist()) if label not in positions
            }
            if unseen or kind != self.kind:
                row = next(row for row, label in enumerate(block.tolist()) if label in unseen or kind != self.kind)
                raise ValueError(
                    f"row {start + row}: label {block[row : row + 1].tolist()[0]!r} is none of the "
                    f"{len(self.classes)} known classes: {self._shown()}"
                )
            if block.dtype == object or self.classes.dtype == object:
                codes[start : start + len(block)] = [positions[label] for label in block.tolist()]
            else:
                codes[start : start + len(block)] = np.searchsorted(self.classes, block)
        return codes

    def one_hot(self, labels: Any, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """A row for each label: 1 in the column of its class and 0 elsewhere."""
        codes = self.encode(labels)
        rows = np.zeros((len(codes), len(self.classes)), dtype)
        rows[np.arange(len(codes)), codes] = 1
        return rows

    def target_rows(self, outputs: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """What so many outputs are to be for each class: one-hot (K, K); for one output 0 and 1, (2, 1).

        Raises ValueError where so many outputs can't tell these classes apart.
        """
        if outputs != len(self.classes) and (outputs, len(self.classes)) != (1, 2):
            raise ValueError(f"{len(self.classes)} classes take as many outputs, or 1 if they are two; not {outputs}")
        return np.eye(outputs, dtype=dtype) if outputs > 1 else np.array([[0], [1]], dtype)

    def targets(self, labels: Any, outputs: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """What so many outputs are to be for these labels, (B, outputs). Raises ValueError as `target_rows` does."""
        rows: npt.NDArray[Any] = self.target_rows(outputs, dtype)[self.encode(labels)]
        return rows

    def decode(self, codes: npt.ArrayLike) -> npt.NDArray[Any]:
        """The labels at these positions, of the kind and the dtype that `label_array` gave the classes.

        Raises ValueError for codes that are no integers, or outside 0..K-1.
        """
        codes = np.asarray(codes)
        if codes.dtype.kind not in "iu":
            raise ValueError(f"codes are integers, not {codes.dtype}")
        wrong = (codes < 0) | (codes >= len(self.classes))
        if wrong.any():
            raise ValueError(f"code {codes[wrong][0]} is outside 0..{len(self.classes) - 1}")
        return np.asarray(self.classes[codes])

    def _shown(self) -> str:
        names = [repr(label) for label in self.classes[:SHOWN].tolist()]
        return ", ".join(names) + (", ..." if len(self.classes) > SHOWN else "")


def label_array(labels: Any) -> npt.NDArray[Any]:
    """Labels as a one-dimensional array: a view where they are an array already, of the natural dtype from a list.

    NumPy's strings of any length (StringDType) become ordinary ones: a deep copy of the former, as of a model that
    keeps them as its classes, ends the process in NumPy 2.0 to 2.2.4.
    """
    if isinstance(labels, list | tuple):
        array = np.empty(len(labels), object)
        # Item by item: np.asarray(["a", 1]) makes text of the 1, and then nobody can say that the kinds differ.
        for row, label in enumerate(labels):
            array[row] = label
        if len(array) == 0:
            return array
        _distinct(array, 0)
        return np.asarray(labels)
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"labels are one column of shape (rows,), not an array of shape {array.shape}")
    return label_array(array.tolist()) if array.dtype.kind == "T" else array


def _blocks(labels: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    for start in range(0, len(labels), BLOCK):
        yield start, labels[start : start + BLOCK]


def _distinct(block: npt.NDArray[Any], start: int) -> tuple[str, Any]:
    """The kind of the labels in a block and each of them once: a set for dtype object, else a sorted array."""
    if block.dtype == object:
        kinds = {cls: _kind(cls) for cls in set(map(type, block))}
        distinct = set(block) if all(kinds.values()) else set()
        strange = {label for label in distinct if isinstance(label, Real) and not float(label).is_integer()}
        first = kinds[type(block[0])]
        for row, label in enumerate(block):
            kind = kinds[type(label)]
            if kind is None or label in strange:
                raise ValueError(_refusal(start + row, label))
            if kind != first:
                raise ValueError(f"row {start + row}: label {label!r} is {kind}, the rows before it are {first}")
        return str(first), distinct
    kind = KINDS.get(block.dtype.kind)
    if kind is None:
        raise ValueError(f"labels are whole numbers, text or bools, not {block.dtype}")
    if block.dtype.kind == "f":
        wrong = ~np.isfinite(block)
        wrong[~wrong] = block[~wrong] % 1 != 0
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(_refusal(start + row, float(block[row])))
    return kind, np.unique(block)


def _kind(cls: type) -> str | None:
    if issubclass(cls, bool | np.bool_):
        return "bools"
    if issubclass(cls, Real):
        return "whole numbers"
    return "text" if issubclass(cls, str) else None


def _refusal(row: int, label: Any) -> str:
    if str(label) in ("None", "nan", "<NA>", "NaT"):
        return f"row {row}: the label is missing ({label}); fill it in or drop the row"
    return f"row {row}: {label!r} is no class label: labels are whole numbers, text or bools"

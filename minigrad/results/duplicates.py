"""Rows that have been met before: a digest of each row, and of a training the few that a model's file can keep."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
KEPT = 8192  # digests in a model's file, at 8 bytes: all rows of a small table, a sample of a large one
RARE = 0.05  # of rows that may look like others by chance, before that says nothing any more


def row_hashes(x: npt.ArrayLike, more: npt.ArrayLike | None = None) -> Hashes:
    """A number of 64 bits for each row of x (m, columns), and of what stands beside it: labels or numbers `more` (m,).

    Equal rows have equal numbers, on every machine. Source of the mixing: Steele, Lea and Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014.
    """
    cells = as_cells(x)
    found = np.full(len(cells), 0x9E3779B97F4A7C15, np.uint64)
    for column in cells.T:
        found = _mixed(found ^ column)
    return found if more is None else _mixed(found ^ as_cells(np.asarray(more)[:, None])[:, 0])


def as_cells(x: npt.ArrayLike) -> Hashes:
    """Each cell as 64 bits that tell it from others; of text, the first 64 of a digest. -0 is 0."""
    x = np.asarray(x)
    if x.dtype == np.uint64:  # it is such cells
        return x
    if x.dtype.kind in "fiub":
        return (x.astype(np.float64) + 0.0).view(np.uint64)
    different, places = np.unique(x.astype(str), return_inverse=True)
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in different.tolist()]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)[places].reshape(x.shape)


def by_chance(cells: Hashes, rows: int) -> float:
    """How many of `rows` other rows a row is equal to on average, if its columns had nothing to do with each other.

    Π_j Σ_v n_jv (n_jv - 1) / n (n - 1) is the probability that two of n rows are equal, where value v stands n_jv times
    in column j.
    """
    same, n = 1.0, len(cells)
    for column in cells.T:
        counts = np.unique(column, return_counts=True)[1]
        same *= float(np.sum(counts * (counts - 1.0))) / max(n * (n - 1), 1)
    return rows * same


def remembered(hashes: Hashes) -> dict[str, Any]:
    """What a model's file keeps of its training rows: the smallest KEPT of their digests, as text.

    They are a sample of the rows that does not depend on their order, so that others can be looked up in it.
    """
    kept = np.unique(hashes)
    all_kept = len(kept) <= KEPT
    kept = kept[:KEPT]
    text = base64.b64encode(kept.astype("<u8").tobytes()).decode()
    return {"rows": len(hashes), "all": all_kept, "digests": text}


def met(kept: dict[str, Any], hashes: Hashes) -> tuple[int, int]:
    """(how many of these rows were trained on, of how many that can be told).

    Where the file has a sample, only rows whose digests would belong to it can be told. Raises ValueError for what
    `remembered` has not written.
    """
    try:
        known = np.frombuffer(base64.b64decode(kept["digests"], validate=True), "<u8")
        told = hashes if kept["all"] else hashes[hashes <= known[-1]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"the digest of the training rows in the model's file is not consistent ({error})") from error
    return int(np.isin(told, known).sum()), len(told)


def _mixed(z: Hashes) -> Hashes:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) + np.uint64(0x9E3779B97F4A7C15)

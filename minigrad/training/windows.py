"""Windows: blocks as a training takes them, each window checked and its labels coded as those of rows in memory."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minigrad.data.blocks import Blocks, Held, Window
from minigrad.data.examples import Batch, Batches, Examples, as_numbers
from minigrad.data.labels import LabelEncoder
from minigrad.data.sources import ROWS
from minigrad.losses import Loss
from minigrad.model import Model
from minigrad.parameter import Array
from minigrad.training.dataset import Change, ClassWeight, Dataset, as_examples, encoder_of

log: logging.Logger = logging.getLogger("minigrad")

MOST_VALIDATED = 256 * ROWS
"""Rows that a fraction holds out at most, since they are kept in memory and gone through after every epoch."""
DIGESTED = 16  # blocks that tell a checkpoint's data from others: all of them would be read for nothing else
APART = 0.2
"""Half the sum of differences between the class shares of a window and of all rows. From here on learning suffers:
with 0.3 there were 0.75 right instead of 0.84 (4 GB sorted by class)."""

UNEVEN = (
    "a window of rows that are shuffled together has other class shares than all rows ({apart:.0%} of its rows would "
    "have to be of other classes), and training on such windows learns badly: let each have more blocks (64 or more, "
    "from all over the data), as in Blocks(…, window=256); Blocks(…).to_arrays(folder) makes blocks of "
    f"{ROWS:,} rows of any data"
)


class Windows:
    """Blocks, checked against a model and a loss: what `Examples` are for rows in memory.

    `rank` of `ranks` has every so many-th block.
    """

    def __init__(self, model: Model, loss: Loss, blocks: Blocks, class_weight: ClassWeight | None) -> None:
        self._model, self._blocks, self._loss, self._class_weight = model, blocks, loss, class_weight
        self._held: Held | None = None
        self._whole: Array | None = None  # rows of each class, where known
        self._met: list[Array] = []
        self._told = False
        self.rank: int = 0
        self.ranks: int = 1
        x, t, w = blocks[0]
        if loss.labels and t.ndim == 1:
            counts = blocks.labels() if blocks.classes is None or class_weight == "balanced" else None
            encoder = LabelEncoder(blocks.classes if counts is None else list(counts))
            rows = "the" if counts is None else sum(counts.values())
            model.classes = encoder_of(model, loss, encoder, model.output_shape(x.shape[1:]), rows).classes
            if counts is not None:
                self._whole = np.array([counts.get(label, 0) for label in model.classes.tolist()])
                if class_weight == "balanced":
                    self._class_weight = balanced(counts)
        if len(x):
            self._examples(x, t, w)

    def __repr__(self) -> str:
        """What tells these rows from others: a digest of some blocks."""
        digest = hashlib.sha256()
        for number in np.linspace(0, len(self._blocks) - 1, min(DIGESTED, len(self._blocks))).astype(int).tolist():
            for array in self._blocks[number]:
                if array is not None:
                    digest.update(array.tobytes() if array.dtype != object else repr(array.tolist()).encode())
        held = "" if self._held is None else f", without {self._held.share:g} of seed {self._held.seed}"
        return f"{len(self._blocks)} blocks, {self._blocks.window} a window{held}, {digest.hexdigest()[:16]}"

    def _examples(self, x: Array, t: Array, w: Array | None) -> Examples:
        return as_examples(self._model, self._loss, Dataset(x, t, w, self._class_weight))

    def epoch(
        self, seed: int, epoch: int, shuffle: Any, batch_size: int, change: Change | None = None
    ) -> Iterator[Batches]:
        """The runs of batches of an epoch: whole ones, but for the last."""
        windows = self._blocks.windows(
            seed, epoch, bool(shuffle), batch_size, held=self._held, rank=self.rank, ranks=self.ranks
        )
        for window in windows:
            if len(window.x):
                examples = self._checked(window)
                if examples.encoder is not None:
                    counts = np.bincount(examples.codes(window.order), minlength=len(examples.encoder.classes))
                    self._met.append(counts)
                    self._look_at_shares()
                yield from examples.runs(window.order, batch_size, change)
        if self._whole is None and self._met:
            self._whole = np.sum(self._met, axis=0)
            self._look_at_shares()

    def _checked(self, window: Window) -> Examples:
        try:
            return self._examples(window.x, window.t, window.w)
        except ValueError:
            for number in window.blocks.tolist():  # to say in which block it is
                as_numbers(f"block {number}: x", self._blocks[number][0], self._model.theta.dtype)
            raise

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows as they stand, batch by batch."""
        return (batch for batches in self.epoch(0, 0, False, batch_size) for batch in batches)

    def hold_out(self, share: float, seed: int) -> tuple[Windows, Examples]:
        """Windows without a share of the rows, and these rows: each was drawn with the same chance, in every block.

        They are 262,144 at most, so a share of very many rows is a smaller one.
        """
        if not isinstance(share, float | np.floating) or not 0 < share < 1:
            raise ValueError(f"validation={share!r}: a fraction of the rows is between 0 and 1")
        held = Held(seed, min(float(share), MOST_VALIDATED / max(1, self._blocks.rows())))
        found = []
        for number in range(len(self._blocks)):
            x, t, w = self._blocks[number]
            here = held(number, len(x))
            if here.any():
                found.append((x[here], t[here], None if w is None else w[here]))
        if not found:
            raise ValueError(f"validation={share!r} of these rows is none; both sides need at least one")
        x, t = (np.concatenate([each[part] for each in found]) for part in (0, 1))
        weights = None if found[0][2] is None else np.concatenate([w for _, _, w in found if w is not None])
        rest = Windows.__new__(Windows)
        vars(rest).update(vars(self), _held=held)
        return rest, self._examples(x, t, weights)

    def of_rank(self, rank: int, ranks: int) -> Windows:
        """Every `ranks`-th block of each epoch's order."""
        if len(self._blocks) < ranks:
            raise ValueError(f"{len(self._blocks)} blocks are too few for {ranks} ranks: each needs one at least")
        self.rank, self.ranks = rank, ranks
        return self

    def check_weights(self, purpose: str) -> None:
        """Nothing here: each window's are checked when it comes."""

    def _look_at_shares(self) -> None:
        """Compare the classes of the windows so far with those of all rows, once these are known."""
        if self._whole is None:
            return
        whole, met, self._met = self._whole / max(1, self._whole.sum()), self._met, []
        for counts in met:
            rows = max(1, int(counts.sum()))
            apart = np.abs(counts / rows - whole).sum() / 2
            if not self._told and apart > APART + 0.8 * np.sqrt(whole * (1 - whole) / rows).sum():
                self._told = True
                log.warning(UNEVEN.format(apart=apart))


def as_windows(model: Model, loss: Loss, data: Dataset) -> Windows:
    """Blocks as given for x, or arrays x, t and weights cut into blocks."""
    given = {"x": data.x, "t": data.t, "sample_weight": data.sample_weight}
    if isinstance(data.x, Blocks):
        for name in ("t", "sample_weight"):
            if given[name] is not None:
                raise ValueError(
                    f"{name} comes with the blocks: give None for it, and blocks (x, t) or (x, t, weights)"
                )
        return Windows(model, loss, data.x, data.class_weight)
    if data.t is None:
        raise ValueError("t is None: only Blocks bring their targets along")
    parts = [part if hasattr(part, "shape") else np.asarray(part) for part in given.values() if part is not None]
    return Windows(model, loss, Blocks(tuple(map(_plain, parts))), data.class_weight)


def _plain(array: Any) -> Any:
    """A frame or a series as an array."""
    return array.to_numpy() if hasattr(array, "iloc") else array


def balanced(counts: Mapping[Any, int]) -> dict[Any, float]:
    """The weight with which each class weighs the same in sum."""
    total = sum(counts.values())
    return {label: total / (len(counts) * count) for label, count in counts.items()}

"""The settings of a training: what each may be, what is customary for the kind of data, and what --help says of it.

Nothing else declares an option of `train` that a training depends on.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from minigrad.data.blocks import Blocks
from minigrad.data.messages import did_you_mean
from minigrad.layer import Layer
from minigrad.layers.activations import Identity, ReLU, Sigmoid, Tanh
from minigrad.layers.more_activations import ELU, GELU, LeakyReLU, Softplus, Swish
from minigrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.schedules import cosine

ACTIVATIONS: dict[str, type[Layer]] = {
    layer.__name__.lower(): layer for layer in (Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, Swish, Softplus, Identity)
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}
SGD_RATE = 0.5  # at SGD's own default, 0.01, the default epochs are far too few
NEWTON = "newton"  # what solves a network without hidden layers, where nobody asks for another training
LINEAR_RATE = 0.03  # at first: without hidden layers it falls to 0, and the last steps settle it
UNITS, EPOCHS, LINEAR_EPOCHS, STEPS = (64,), 200, 10, 5000  # for a table: hidden units, passes, and steps at least
AN_EPOCH = 32  # steps, at least


# ------------------------------------------------------------------------------------- what an option's text must be
def count(text: str) -> int:
    """A whole number from 1 on."""
    return _from(1, text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    return _from(0, text)


def layer_widths(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 on, parted by commas; the word "none" stands for no number at all."""
    if text.strip() == "none":
        return ()
    return tuple(count(width.strip()) for width in text.split(","))


def rate(text: str) -> float:
    """A number above 0."""
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def penalty(text: str) -> float:
    """A number from 0 on."""
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def fraction(text: str) -> float:
    """A number between 0 and 1, or one of per cents between 0 and 100."""
    share = text.strip().removesuffix("%")
    number = _number(share) / (1 if share == text.strip() else 100)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1, such as 0.2 or 20%")
    return number


def _from(least: int, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


# -------------------------------------------------------------------------------------------- settings of a training
def _option(default: Any, help: str, **check: Any) -> Any:
    """A field that is an option too, with its check and its help as argparse takes them.

    In the help, {0} and {1} are what is customary for sheets and for tables.
    """
    return field(default=default, metadata={"help": help} | check)


@dataclass(frozen=True)
class Settings:
    """All that a training depends on beside the data: each field is an option of `train`, and read from no other place.

    The default values are those for tables.
    """

    hidden: tuple[int, ...] | None = _option(
        None,
        f"of hidden layers, as in 64,32 ({{0}}; for a table {UNITS[0]}, or none where that is better inside the "
        "training rows); none: linear",
        type=layer_widths,
        metavar="WIDTHS",
    )
    activation: str = _option("relu", "of the hidden layers ({0}; for a table {1})", choices=ACTIVATIONS)
    epochs: int | None = _option(
        None,
        f"passes over the training rows ({{0}}; for a table {EPOCHS} at most, or {STEPS:,} steps if rows are few)",
        type=count,
        metavar="N",
    )
    batch_size: int = _option(32, "rows per step (default: {1})", type=count, metavar="N")
    optimizer: str = _option("adam", "the rule of the steps ({0}; for a table {1})", choices=OPTIMIZERS)
    learning_rate: float | None = _option(
        None, f"default: {SGD_RATE} for sgd, else the optimizer's own", type=rate, metavar="RATE"
    )
    l2: float | None = _option(
        1e-2, "penalty on the weights' squares (1 / rows; for a table {1})", type=penalty, metavar="L2"
    )
    seed: int = _option(0, "of the split, the first weights, the order (default: {1})", type=whole, metavar="N")
    class_weight: str | None = _option(
        None, "balanced: rare classes weigh as much as common ones in training", choices=("balanced",)
    )
    threshold: float | None = _option(
        None, "answer the rarer of two classes from this probability on", type=fraction, metavar="SHARE"
    )
    ensemble: int = _option(
        1, "train so many networks, each from its own weights, and answer by their mean", type=count, metavar="N"
    )
    test_size: float = _option(0.2, "share of rows held out (default: {1})", type=fraction, metavar="SHARE")

    def with_values(self, given: dict[str, Any]) -> Settings:
        """These settings with others for those that are given. Raises ValueError for a value that can be none."""
        known = {each.name: each.metadata for each in fields(self)}
        return replace(self, **{name: _checked(name, value, known[name]) for name, value in given.items()})

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the hidden layers, of which there may be none."""
        return UNITS if self.hidden is None else self.hidden

    @property
    def solved(self) -> bool:
        """Whether there is nothing to train: no hidden layers, and no word on how they are to be trained."""
        return self.hidden == () and self.optimizer == "adam" and self.epochs is None and self.learning_rate is None

    def for_pieces(self, blocks: Blocks | None) -> Settings:
        """The same where rows are read in pieces: those are trained on epoch by epoch, since solving needs them all."""
        return self if blocks is None or not self.solved else replace(self, epochs=self.passes(blocks.rows()))

    def passes(self, rows: int) -> int:
        """How many epochs a training on so many rows has at most."""
        if self.epochs is not None:
            return self.epochs
        return max(EPOCHS if self.widths else LINEAR_EPOCHS, math.ceil(STEPS / self._steps(rows, 1)))

    def repeats(self, rows: int) -> int:
        """How many passes over so many rows are told as one epoch: of few rows several, since each epoch costs time."""
        return 1 if self.epochs is not None else math.ceil(AN_EPOCH / self._steps(rows, 1))

    def _steps(self, rows: int, epochs: int) -> int:
        return epochs * math.ceil(rows / self.batch_size)

    def new_optimizer(self, rows: int) -> Optimizer:
        """An optimizer at the start of a training on so many rows."""
        rate: Any = self.learning_rate
        if rate is None and self.optimizer == "sgd":
            rate = SGD_RATE
        elif rate is None and self.optimizer == "adam" and not self.widths:
            rate = cosine(LINEAR_RATE, self._steps(rows, self.passes(rows)))
        return OPTIMIZERS[self.optimizer](**({} if rate is None else {"learning_rate": rate}))

    def told(self, rows: int) -> dict[str, Any]:
        """What a report and a model's file say of training on so many rows.

        Not the epochs: a model that is trained further by --resume is to be the one that was trained on in one go.
        """
        l2 = 1 / rows if self.l2 is None else self.l2
        told = asdict(self) | {"hidden": list(self.widths), "l2": l2}
        del told["epochs"]
        if self.solved:
            told["optimizer"] = NEWTON
            del told["learning_rate"], told["batch_size"]
        else:
            told["learning_rate"] = self.new_optimizer(rows).rate(0)
        for name in ("class_weight", "threshold", "ensemble"):
            if told[name] in (None, 1):
                del told[name]
        return told


# Customary values; those for tables were chosen by benchmarks/tables.py, and docs/text/tables.md has the comparison.
FOR_SHEETS = Settings(hidden=(25,), activation="sigmoid", epochs=20, optimizer="sgd", l2=None)
FOR_TABLES = Settings()


@dataclass(frozen=True)
class Options:
    """All that can be asked of a training: `data`, how it is read and held out, what is kept, and the `settings`.

    Each field is an option of the command, with dashes in its name.
    """

    data: Any
    settings: Settings
    target: str | None = None
    sheet: str | None = None
    task: Any = None
    encoding: str | None = None
    header_row: int | None = None
    stream: bool = False
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    as_number: tuple[str, ...] = ()
    as_category: tuple[str, ...] = ()
    decimal: str | None = None
    date_order: str | None = None
    split_by: str | None = None
    group: str | None = None
    x: str | None = None
    y: str | None = None
    trees: bool | None = None
    seeds: int = 1
    jobs: int | str = 1
    tune: int | None = None
    final: bool = False
    out: str | os.PathLike[str] | None = None
    resume: bool = False
    force: bool = False

    @classmethod
    def of(cls, data: Any, target: str | None, given: dict[str, Any]) -> Options:
        """The options by their names; None stands for what is customary. Raises ValueError for what is none."""
        given = {name: value for name, value in given.items() if value is not None}
        own, settings = (
            {each.name for each in fields(kind)} - {"data", "settings", "target"} for kind in (cls, Settings)
        )
        for name in given:
            if name not in own | settings:
                raise ValueError(f"there is no setting {name!r}{did_you_mean(name, own | settings)}")
        for name, choices in CHOICES.items():
            if name in given and given[name] not in choices:
                raise ValueError(f"{name}={given[name]!r}: choose from {', '.join(map(repr, choices))}")
        for name in ("drop", "keep", "as_number", "as_category"):
            if name in given:
                given[name] = (given[name],) if isinstance(given[name], str) else tuple(given[name])
        for name in ("seeds", "tune", "header_row"):
            if name in given:
                given[name] = _checked(name, given[name], {"type": count})
        sheets = target is None and not isinstance(data, tuple)
        customary = (FOR_SHEETS if sheets else FOR_TABLES).with_values(
            {name: value for name, value in given.items() if name in settings}
        )
        return cls(data, customary, target, **{name: value for name, value in given.items() if name in own})


CHOICES = {"task": ("classification", "regression"), "decimal": (".", ","), "date_order": ("dmy", "mdy")}


def _checked(name: str, value: Any, check: Mapping[str, Any]) -> Any:
    """A setting's value, read as its option on the command line would be. Raises ValueError for what is none."""
    if "choices" in check:
        if value not in check["choices"]:
            known = list(check["choices"])
            raise ValueError(
                f"{name}={value!r}{did_you_mean(str(value), known)}: choose from {', '.join(map(repr, known))}"
            )
        return value
    text = (",".join(map(str, value)) or "none") if isinstance(value, tuple | list) else str(value)
    try:
        return check["type"](text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"{name}={value!r}: {error}") from None

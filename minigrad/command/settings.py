"""How a network is made and trained: what the options of `train` ask for, and what is customary without them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from minigrad.command.checks import count, fraction, penalty, rate, whole, widths
from minigrad.layer import Layer
from minigrad.layers.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Swish, Tanh
from minigrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

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


def _option(default: Any, help: str, **check: Any) -> Any:
    """A field that is an option too, with its check and its help as argparse takes them.

    In the help, {sheets} and {tables} stand for what is customary for either.
    """
    return field(default=default, metadata={"help": help} | check)


@dataclass(frozen=True)
class Settings:
    """All that a training depends on beside the data: each field is an option of `train`."""

    hidden: tuple[int, ...] = _option(
        (64,), "of hidden layers, as in 64,32 ({sheets}; for a table {tables})", type=widths, metavar="WIDTHS"
    )
    activation: str = _option("relu", "of the hidden layers ({sheets}; for a table {tables})", choices=ACTIVATIONS)
    epochs: int = _option(
        200, "passes over the training rows ({sheets}; for a table {tables} at most)", type=count, metavar="N"
    )
    batch_size: int = _option(32, "rows per step (default: {tables})", type=count, metavar="N")
    optimizer: str = _option("adam", "the rule of the steps ({sheets}; for a table {tables})", choices=OPTIMIZERS)
    learning_rate: float | None = _option(
        None, f"default: {SGD_RATE} for sgd, else the optimizer's own", type=rate, metavar="RATE"
    )
    l2: float | None = _option(
        1e-3, "penalty on the weights' squares (1 / rows; for a table {tables})", type=penalty, metavar="L2"
    )
    seed: int = _option(0, "of the split, the first weights, the order (default: {tables})", type=whole, metavar="N")
    test_size: float = _option(0.2, "share of rows held out (default: {tables})", type=fraction, metavar="SHARE")

    def overridden(self, options: argparse.Namespace) -> Settings:
        """These settings, with what the options ask for in their place."""
        asked = {setting.name: getattr(options, setting.name) for setting in fields(self)}
        return replace(self, **{name: value for name, value in asked.items() if value is not None})

    def new_optimizer(self) -> Optimizer:
        """An optimizer at the start of its training."""
        chosen = SGD_RATE if self.learning_rate is None and self.optimizer == "sgd" else self.learning_rate
        return OPTIMIZERS[self.optimizer](**({} if chosen is None else {"learning_rate": chosen}))

    def penalty(self, rows: int) -> float:
        """The L2 penalty for so many rows to train on: 1 / rows where no `l2` is set."""
        return 1 / rows if self.l2 is None else self.l2

    def told(self, rows: int) -> dict[str, Any]:
        """What a report and a model's file say of training on so many rows.

        Not the epochs: a model that is trained further by --resume is to be the one that was trained on in one go.
        """
        used = {"hidden": list(self.hidden), "learning_rate": self.new_optimizer().rate(0), "l2": self.penalty(rows)}
        told = asdict(self) | used
        del told["epochs"]
        return told


# Customary values, not tuned to any data; benchmarks/tables.py shows how good those for tables are.
FOR_SHEETS = Settings(hidden=(25,), activation="sigmoid", epochs=20, optimizer="sgd", l2=None)
FOR_TABLES = Settings()

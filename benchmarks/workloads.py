"""What is measured: the same networks, rows and batches for every library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minigrad.data import LabelEncoder, load_digits

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Workload:
    """One line of the table: training in batches of `rows`, or predicting so many `rows` at once."""

    kind: str  # "sigmoid", "softmax" or "regression": the network; see handwritten.py
    widths: tuple[int, ...]
    rows: int
    m: int
    predicts: bool = False

    @property
    def name(self) -> str:
        """The head of its column."""
        network = "-".join(map(str, self.widths))
        return f"{network}, predict {self.rows}" if self.predicts else f"{network}, batch {self.rows}"

    @property
    def steps(self) -> int:
        """Training steps in an epoch; the last, smaller batch counts as one."""
        return 1 if self.predicts else -(-self.m // self.rows)

    @property
    def eta(self) -> float:
        """A learning rate so small that nothing saturates: subnormal numbers would slow some libraries down."""
        return 0.01

    def data(self) -> tuple[Array, Array]:
        """x and t, float32. Digits for 400 inputs, else made up from a seed."""
        if self.widths[0] == 400:
            x, labels = load_digits()
            return x[: self.m], LabelEncoder(labels).one_hot(labels)[: self.m]
        rng = np.random.default_rng(0)
        x = rng.random((self.m, self.widths[0]), np.float32)
        if self.kind == "regression":
            return x, np.sin(x.sum(axis=1, keepdims=True))
        return x, np.eye(self.widths[-1], dtype=np.float32)[rng.integers(self.widths[-1], size=self.m)]


DIGITS = (400, 25, 10)
WORKLOADS = (
    *(Workload("sigmoid", DIGITS, rows, 5000) for rows in (1, 8, 32, 128, 5000)),
    Workload("softmax", (784, 512, 256, 10), 128, 6400),
    Workload("regression", (13, 64, 64, 1), 32, 4000),
    Workload("sigmoid", DIGITS, 1, 5000, predicts=True),
    Workload("sigmoid", DIGITS, 5000, 5000, predicts=True),
)
QUICK = (
    Workload("sigmoid", DIGITS, 8, 100),
    Workload("regression", (13, 64, 64, 1), 32, 160),
    Workload("sigmoid", DIGITS, 1, 5000, predicts=True),
)

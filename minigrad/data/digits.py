"""The handwritten digits that come with the package; their source and licence stand in DIGITS-LICENSE.md."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt


def load_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """5,000 handwritten digits as `(x, labels)`, sorted by class.

    x is float32 of shape (5000, 400): the 20x20 pixels of a digit, row by row, from 0 (paper) to 1 (ink). The labels
    are the integers 1..10, where 10 stands for the digit 0; there are 500 of each.
    """
    with (resources.files("minigrad.data") / "digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["X"] / np.float32(255), arrays["y"].astype(np.int64)

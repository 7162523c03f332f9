"""A table with all that a column can hold, new rows with more than that, and models of it."""

import numpy as np
import pandas as pd

from minigrad.tables.network import train_network
from minigrad.tables.settings import Settings
from minigrad.tables.sources import Table


def flowers(rows=60):
    """Rows with every kind of column, missing values in each, and names that the graph could have for itself."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "petal": rng.normal(5, 3, rows),
            "y": rng.normal(1e9, 1, rows),  # in float32 all the same
            "site": rng.choice(["wood", "a b", "été"], rows),
            "c_0": rng.choice(["p", "q"], rows),
            "wild": rng.choice([True, False], rows).astype(object),
        }
    )
    frame.loc[3, "petal"], frame.loc[5, "site"], frame.loc[6, "site"], frame.loc[8, "wild"] = np.nan, "once", None, None
    return frame


def new_flowers():
    """Rows with what training never met: texts, and missing values where there had been none."""
    frame = flowers().iloc[::-1].reset_index(drop=True)
    frame.loc[:3, ["site", "c_0"]] = [["never", "p"], ["wood", "never"], [None, None], ["p", "wood"]]
    frame.loc[4:6, "y"] = np.nan
    frame["more"] = 0.0
    return frame[["more", *flowers()[::-1]]]


def flower_model(task="classification", unit=1.0):
    frame = flowers()
    size = frame["petal"].fillna(0) + 3 * (frame["site"] == "wood")
    values = np.where(size > 6, "rose", "daisy") if task == "classification" else unit * (size.to_numpy() + 100)
    rows = np.arange(len(frame))
    split = Table(frame, pd.Series(values, name="kind"), task).prepare(rows, rows[:0])
    return train_network(split, Settings(hidden=(8,), epochs=5))[0]

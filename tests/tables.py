"""A table with every kind of column, for the tests that need one, as a frame and as a file."""

import numpy as np
import pandas as pd

ROWS = 40


def plants(rows=ROWS):
    """A frame of every kind of column whose species follows from two of them; "size" is a number that does."""
    rng = np.random.default_rng(0)
    color = np.array(["red", "blue", "white"])[rng.integers(0, 3, rows)]
    height = rng.normal(10, 3, rows).round(2)
    return pd.DataFrame(
        {
            "height": height,
            "color": color,
            "wild": rng.integers(0, 2, rows).astype(bool),
            "species": np.where((color == "red") | (height > 11), "rose", "daisy"),
            "size": (3 * height + 5 * (color == "red")).round(2),
        }
    )


def write(path, frame):
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_excel(path, index=False, sheet_name="plants")
    return str(path)

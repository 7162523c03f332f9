"""Three small tables to begin with: a classification, a regression with dates, and a rare event.

    write("penguins", "penguins.csv")

SAMPLES-LICENSE.md says where they come from and what may be done with them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minigrad.atomic import replacing, target_of
from minigrad.data.messages import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sample:
    """A table: what it is about, the column to predict, its source and its licence."""

    about: str
    target: str
    source: str
    licence: str


SAMPLES = {
    "penguins": Sample(
        "344 penguins of three species: island, measures and sex, with gaps",
        "species",
        "Gorman, Williams and Fraser (2014), Palmer Station LTER; the table of the package palmerpenguins",
        "CC0 1.0",
    ),
    "weather": Sample(
        "1,461 days of weather in Seattle, 2012 to 2015, with their dates",
        "temp_max",
        "National Centers for Environmental Information, NOAA; the table of the package vega_datasets",
        "public domain (a work of the United States government)",
    ),
    "crashes": Sample(
        "3,758 drivers in crashes of the United States, 2002, of whom 4 % died: impact, seat belt, airbag, age",
        "driver",
        "Crashworthiness Data System, NHTSA; rows and columns of the table nassCDS of the package DAAG",
        "public domain (a work of the United States government)",
    ),
}


def frame_of(name: str) -> pd.DataFrame:
    """A sample as a frame. Raises ValueError for a name that is none."""
    import pandas as pd

    if name not in SAMPLES:
        raise ValueError(f"there is no sample {name!r}{did_you_mean(name, SAMPLES)}; there are {', '.join(SAMPLES)}")
    path = Path(__file__).with_name(f"{name}.csv")
    return pd.read_csv(path, parse_dates=["date"] if name == "weather" else None)


def write(name: str, path: str | os.PathLike[str]) -> Sample:
    """Write a sample as a .csv, .xlsx or .parquet file, which replaces one that exists; return what it is."""
    import io

    frame, ending, written = frame_of(name), Path(path).suffix.lower(), io.BytesIO()
    target_of(path)
    if ending == ".csv":
        frame.to_csv(written, index=False, date_format="%Y-%m-%d", lineterminator="\n")
    elif ending == ".xlsx":
        import pandas as pd

        with pd.ExcelWriter(written, engine="xlsxwriter", datetime_format="yyyy-mm-dd") as book:
            frame.to_excel(book, index=False, sheet_name=name)
    elif ending == ".parquet":
        frame.to_parquet(written, index=False)
    else:
        raise ValueError(f"{path}: the name of the file to write ends in .csv, .xlsx or .parquet")
    with replacing(path) as file:
        file.write(written.getbuffer())
    return SAMPLES[name]

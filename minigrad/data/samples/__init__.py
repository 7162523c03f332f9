"""Three small tables to begin with: a classification, a regression with dates, and a rare event.

    write("penguins", "penguins.csv")

The rare event is simulated, since no observed one is at hand: of the tables that scikit-learn has offline, iris and
wine are nearly balanced and breast_cancer has 37 % of the rarer class; a digit against the nine others would be rare
by our choice alone, and its columns are pixels.

SAMPLES-LICENSE.md says where they come from and what may be done with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigrad.atomic import replacing, target_of
from minigrad.data.words import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

ROWS, SEED = 2000, 20240501  # of the machines


@dataclass(frozen=True)
class Sample:
    """A table: what it is about, the column to predict, its source and its licence; `made` where it is no file."""

    about: str
    target: str
    source: str
    licence: str
    made: Callable[[], pd.DataFrame] | None = None


def _machines() -> pd.DataFrame:
    """Machines of which few fail within a week: the hotter, the older and the longer without service, the more."""
    import pandas as pd

    rng = np.random.default_rng(SEED)
    kind = np.array(["lathe", "mill", "press"])[rng.choice(3, ROWS, p=[0.5, 0.35, 0.15])]
    age, service = rng.gamma(3, 2, ROWS), rng.exponential(60, ROWS)
    heat, vibration = rng.normal(62, 7, ROWS), rng.lognormal(0.6, 0.4, ROWS)
    z = -5.2 + 0.13 * age + 0.006 * service + 0.06 * (heat - 62) + 0.5 * vibration + 0.9 * (kind == "press")
    z += 0.05 * np.maximum(heat - 70, 0) * (service > 90)
    failed = rng.random(ROWS) < 1 / (1 + np.exp(-z))
    temperature = np.where(rng.random(ROWS) < 0.03, np.nan, heat.round(1))
    return pd.DataFrame(
        {
            "machine": kind,
            "age_years": age.round(1),
            "days_since_service": service.round().astype(int),
            "temperature": temperature,
            "vibration": vibration.round(2),
            "failed": np.where(failed, "yes", "no"),
        }
    )


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
    "machines": Sample(
        "2,000 machines, of which few fail; simulated, not observed",
        "failed",
        "drawn by minigrad from a formula of its own (minigrad/data/samples), the same in every copy",
        "CC0 1.0",
        _machines,
    ),
}


def frame_of(name: str) -> pd.DataFrame:
    """A sample as a frame. Raises ValueError for a name that is none."""
    import pandas as pd

    if name not in SAMPLES:
        raise ValueError(f"there is no sample {name!r}{did_you_mean(name, SAMPLES)}; there are {', '.join(SAMPLES)}")
    made = SAMPLES[name].made
    if made is not None:
        return made()
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

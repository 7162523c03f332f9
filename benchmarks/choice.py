"""Whether a table of many rows needs hidden layers: what `minigrad train` chooses, and what is better on fresh rows.

    python -m benchmarks.choice [--rows 12000 40000 90000] [--seeds 3] [--sample 9000]

The tables are made: straight ones, bent ones, and some that are bent so little that it shows in many rows only. Each
has 10,000 more rows, on which the error (log loss, or the root mean squared error) of both networks is measured. With
--sample, what a choice by so many of the rows would take stands beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from minigrad.tables.choose import choose, error_of
from minigrad.tables.network import train_network
from minigrad.tables.settings import FOR_TABLES, UNITS
from minigrad.tables.sources import Table

FRESH = 10_000


def _columns(rng: np.random.Generator, rows: int, columns: int) -> Any:
    return rng.normal(size=(rows, columns))


def _yes(rng: np.random.Generator, logits: Any) -> Any:
    return np.where(rng.random(len(logits)) < 1 / (1 + np.exp(-logits)), "yes", "no")


def straight(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x, w = _columns(rng, rows, 30), rng.normal(size=30) * (np.arange(30) < 10)
    return x, x @ w + rng.normal(size=rows) * np.linalg.norm(w)


def weak(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x = _columns(rng, rows, 30)
    return x, _yes(rng, x @ rng.normal(size=30) * 0.15)


def rare(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x = _columns(rng, rows, 12)
    return x, _yes(rng, x @ rng.normal(size=12) * 0.4 - 3.7)


def categories(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x, shop, effect = _columns(rng, rows, 6), rng.integers(200, size=rows), rng.normal(size=200)
    frame = pd.DataFrame(x).assign(shop=[f"shop {place}" for place in shop])
    return frame, effect[shop] + x[:, 0] + x[:, 1] / 2 + 2 * rng.normal(size=rows)


def slightly_bent(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x = _columns(rng, rows, 20)
    return x, x @ rng.normal(size=20) + 0.8 * x[:, 0] * x[:, 1] + 8 * rng.normal(size=rows)


def products(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    area, town = rng.uniform(20, 200, rows), rng.choice(["Ulm", "Trier", "Jena"], rows)
    price = area * 20 * np.where(town == "Ulm", 1.5, 1.0) * np.exp(0.4 * rng.normal(size=rows))
    return pd.DataFrame({"area": area, "town": town, "floor": rng.integers(0, 9, rows)}), price.round()


def bent(rng: np.random.Generator, rows: int) -> tuple[Any, Any]:
    x = rng.random((rows, 10))
    curve = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, curve + 3 * rng.normal(size=rows)


TABLES: tuple[Callable[[np.random.Generator, int], tuple[Any, Any]], ...] = (
    straight, weak, rare, categories, slightly_bent, products, bent,
)  # fmt: skip


def measured(make: Callable[..., tuple[Any, Any]], rows: int, seed: int, sample: int | None) -> dict[str, Any]:
    """The errors on fresh rows with hidden layers and without, and which of them is chosen."""
    rng = np.random.default_rng(seed)
    x, answers = make(rng, rows + FRESH)
    frame = pd.DataFrame(x).rename(columns=str).set_axis(pd.RangeIndex(2, rows + FRESH + 2))
    table = Table(frame, pd.Series(answers, frame.index, name="answer"))
    train, test = np.arange(rows), np.arange(rows, rows + FRESH)
    split, settings = table.prepare(train, test), replace(FOR_TABLES, seed=seed)
    found: dict[str, Any] = {}
    for name, hidden in (("hidden", UNITS), ("none", ())):
        model, _ = train_network(split, replace(settings, hidden=hidden), progress=False)
        found[name] = error_of(split, model, test)
    for name, some in (("chosen", train), ("of a sample", None if sample is None else train[:sample])):
        if some is not None:
            chosen = choose(table, table.prepare(some, test), settings)
            found[name] = "hidden" if chosen is None or chosen.settings.widths else "none"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[12_000, 40_000, 90_000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sample", type=int, metavar="ROWS")
    options = parser.parse_args()
    for rows in options.rows:
        for make in TABLES:
            for seed in range(options.seeds):
                found = measured(make, rows, seed, options.sample)
                apart = found["hidden"] / found["none"] - 1
                told = ", ".join(f"{name} {what}" for name, what in found.items() if isinstance(what, str))
                print(
                    f"{rows:>8,} {make.__name__:<14}{seed}  error with hidden layers {apart:+.2%}  {told}", flush=True
                )


if __name__ == "__main__":
    main()

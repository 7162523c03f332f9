"""`minigrad train DATA`: hold rows out, train on the others, tell how good the network is on both."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigrad.command.folder import REPORT, refuse_out, refuse_ranks, writing_model
from minigrad.command.jobs import run_all
from minigrad.command.larger import is_larger, read_large
from minigrad.command.networks import train_network
from minigrad.command.options import Settings
from minigrad.command.sources import Source, read_source, with_source
from minigrad.results.evaluation import evaluate
from minigrad.results.report import Result, as_json, summary, write_html
from minigrad.training.history import History


def train(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    started = time.perf_counter()
    settings: Settings = options.settings
    refuse_ranks()
    refuse_out(options)
    source = read_large(options) if is_larger(options) else read_source(options)
    read = time.perf_counter()

    with with_source(source.where):  # what is wrong with the data is said before a folder is made
        split = source.hold_out(settings.test_size, settings.seed)
    with writing_model(options) as path:
        model, history = train_network(split, settings, path)
    trained = time.perf_counter()
    seeds = range(settings.seed + 1, settings.seed + options.seeds)
    others = run_all("other seeds", _score, [(source, replace(settings, seed=seed)) for seed in seeds], options.jobs)

    used, notes, for_json = settings.told(len(split.train)), split.notes, split.for_json
    if split.recipe.early_stopping:
        notes, for_json = (*notes, ("stopping", _stopping(history))), for_json | {"best_epoch": history.best_epoch}
    result = Result(
        data=source.where,
        evaluation=evaluate(
            model,
            history,
            split.x,
            split.answers,
            split.train,
            split.held_out,
            l2=used["l2"],
            names=split.names,
            first_row=source.row_numbers,
            others=others,
            decode=split.decode,
            drawn=split.drawn,
            dates=split.dates,
            seed=settings.seed,
        ),
        settings=used,
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
        notes=notes,
    )
    print_result(options, result, for_json, path)
    return 0


def _score(source: Source, settings: Settings) -> float:
    """How good a network is that is split, drawn and trained by the seed of the settings."""
    split = source.hold_out(settings.test_size, settings.seed)
    return split.score(train_network(split, settings)[0])


def _stopping(history: History) -> str:
    """What ended the training, in words."""
    if history.best_epoch is None:
        return f"after all {len(history)} epochs; there were too few rows to watch the validation loss"
    return (
        f"after {len(history)} epochs; the parameters are those of epoch {history.best_epoch}, whose loss on "
        f"a tenth of the training rows, kept for that, was lowest"
    )


def print_result(options: argparse.Namespace, result: Result, for_json: dict[str, Any], path: Path | None) -> None:
    """Print the result, as text or as JSON with more `for_json`; write the report beside the model, if it is kept."""
    report = None if path is None else path.with_name(REPORT)
    if report is not None:
        write_html(result, report)
    if options.json:
        files = {"model": None if path is None else str(path), "report": None if report is None else str(report)}
        print(json.dumps(as_json(result) | for_json | files))
        return
    print(summary(result))
    if path is not None:
        print(f"model     {path}\nreport    {report}")

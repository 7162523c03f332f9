"""`minigrad train DATA`: hold rows out, train on the others, tell how good the network is on both."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.command.folder import REPORT, refuse_out, refuse_ranks, writing_model
from minigrad.command.jobs import run_all
from minigrad.command.larger import is_larger, read_large
from minigrad.command.networks import Split, train_network
from minigrad.command.reading import read_source
from minigrad.command.settings import Settings
from minigrad.command.sources import Source, Table, with_source
from minigrad.command.tuning import Chosen, Tuned, choose, tune
from minigrad.data.target import threshold_of
from minigrad.results.evaluation import evaluate
from minigrad.results.importance import explain
from minigrad.results.outcome import Classification, Evaluation, Regression
from minigrad.results.report import Result, as_json, summary, write_html
from minigrad.saving.models import annotate
from minigrad.sequential import Sequential
from minigrad.table_model import TableModel
from minigrad.training.history import History


def train(options: argparse.Namespace) -> int:
    """Run the command, and return its exit status."""
    started = time.perf_counter()
    settings: Settings = options.settings
    refuse_ranks()
    refuse_out(options)
    _refuse_together(options)
    source = read_large(options) if is_larger(options) else read_source(options)
    read = time.perf_counter()

    with with_source(source.where):  # what is wrong with the data is said before a folder is made
        split = source.hold_out(settings.test_size, settings.seed)
        if options.tune is not None:
            found: Tuned | Chosen | None = tune(source, split, settings, options.tune, options.jobs)
        else:
            found = choose(source, split, settings)
    settings = settings if found is None else found.settings
    with writing_model(options) as path:
        model, history = train_network(split, settings, path)
    trained = time.perf_counter()
    seeds = range(settings.seed + 1, settings.seed + options.seeds)
    asked = options.settings  # each seed chooses by its own training rows
    others = run_all("other seeds", _score, [(source, replace(asked, seed=seed)) for seed in seeds], options.jobs)

    notes, for_json = _told(split, settings, history, found)
    result = Result(
        data=source.where,
        evaluation=_measured(source, split, settings, model, history, others),
        settings=settings.told(len(split.train)),
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
        notes=notes,
    )
    outcome = result.evaluation.outcome
    if isinstance(source, Table):
        explanation = explain(
            TableModel(model),
            source.frame.iloc[split.held_out],
            split.answers[split.held_out],
            by_auc=isinstance(outcome, Classification) and outcome.unbalanced is not None,
            seed=settings.seed,
        )
        result = replace(result, explanation=explanation, seconds=time.perf_counter() - started)
    _keep_interval(model, outcome, path)
    if options.final and path is not None:
        rows = _train_finally(source, split, settings, model, path)
        words = f"trained again on all {rows:,} rows, once all this was measured; the figures are of the network before"
        result = replace(result, notes=(*notes, ("final", words)), seconds=time.perf_counter() - started)
    print_result(options, result, for_json, path)
    return 0


def _measured(
    source: Source, split: Split, settings: Settings, model: Sequential, history: History, others: Sequence[float]
) -> Evaluation:
    """How good the network is on the rows held out; `others` are the scores by other seeds."""
    return evaluate(
        model,
        history,
        split.x,
        split.answers,
        split.train,
        split.held_out,
        l2=settings.told(len(split.train))["l2"],
        names=split.names,
        groups=split.groups,
        cells=source.cells(),
        first_row=source.row_numbers,
        others=others,
        decode=split.decode,
        threshold=threshold_of(model.preparation),
        drawn=split.drawn,
        dates=split.dates,
        seed=settings.seed,
    )


def _told(
    split: Split, settings: Settings, history: History, found: Tuned | Chosen | None
) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
    """What was chosen for the user: what each choice is about and what it is, and the same for JSON."""
    notes, for_json = list(split.notes), dict(split.for_json)
    if settings.class_weight is not None:
        notes.append(("weights", "classes weigh the same in sum, so the probabilities are those of equal classes"))
    if isinstance(found, Tuned):
        notes.append(("tuning", found.text()))
        for_json["tuned"] = asdict(found)
    elif found is not None:
        notes.append(("hidden", found.text()))
        for_json["chosen"] = asdict(found)
    if settings.ensemble > 1:
        notes.append(("ensemble", f"{settings.ensemble} networks, whose answers are averaged; the first's losses"))
    if split.recipe.early_stopping:
        notes.append(("stopping", _stopping(history, settings)))
        for_json["best_epoch"] = history.best_epoch
    return tuple(notes), for_json


def _score(source: Source, settings: Settings) -> float:
    """How good a network is that is split, drawn and trained by the seed of the settings."""
    split = source.hold_out(settings.test_size, settings.seed)
    chosen = choose(source, split, settings)
    return split.score(train_network(split, settings if chosen is None else chosen.settings)[0])


def _train_finally(source: Source, split: Split, settings: Settings, measured: Sequential, path: Path) -> int:
    """Train on all rows, and put that network in the place of the one that was measured; return how many rows."""
    rows = np.sort(np.concatenate([split.train, split.held_out]))
    whole = source.prepare(rows, split.held_out)
    model, _ = train_network(whole, settings)
    kept = {name: fact for name, fact in (measured.preparation or {}).items() if name == "interval"}
    model.preparation = (model.preparation or {}) | kept | {"final": True}
    model.save(path)
    return len(rows) if whole.blocks is None else whole.blocks.rows()


def _refuse_together(options: argparse.Namespace) -> None:
    """Raise ValueError for options that do not go together."""
    if options.final and options.out is None:
        raise ValueError("--final keeps a network of all rows, so it needs --out DIR")
    if options.tune is not None and options.target is None:
        raise ValueError("--tune is about a table with a header; name its column to predict with --target")
    if options.tune is not None and options.seeds > 1:
        raise ValueError("--tune chooses by rows that other seeds of --seeds hold out; give one of them")
    together = {"ensemble": options.settings.ensemble > 1, "final": options.final, "tune": options.tune is not None}
    for name, asked in together.items():
        if options.resume and asked:
            raise ValueError(f"--resume goes on with one training, which --{name} is not; begin anew with --force")


def _keep_interval(model: Sequential, outcome: Classification | Regression, path: Path | None) -> None:
    """Put the interval around predictions, which the held-out rows have told, into the model's file."""
    if path is None or not isinstance(outcome, Regression) or outcome.coverage is None:
        return
    interval = {"half_width": outcome.coverage.half_width, "level": outcome.coverage.level}
    model.preparation = (model.preparation or {}) | {"interval": interval}
    annotate(model, path)


def _stopping(history: History, settings: Settings) -> str:
    """What ended the training, in words."""
    if not settings.widths:
        return f"after all {len(history)} epochs; without hidden layers L2 is enough, and no rows are kept to stop by"
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

"""`minigrad.tables.train`: hold rows out, train on the others, tell how good the network is on both."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.atomic import refuse_name, refuse_open, target_of
from minigrad.results.baselines import ROWS_OF_TREES, boosting_installed
from minigrad.results.columns import Explanation
from minigrad.results.evaluation import evaluate
from minigrad.results.outcome import Classification, Evaluation, Regression
from minigrad.results.report import Result, as_json, html, summary, write_html
from minigrad.saving.format import read as read_file
from minigrad.saving.models import annotate
from minigrad.sequential import Sequential
from minigrad.tables.choose import Chosen, Tuned, choose, tune
from minigrad.tables.explain import explain
from minigrad.tables.jobs import run_all
from minigrad.tables.model import TableModel
from minigrad.tables.network import Split, train_network
from minigrad.tables.read import read_source
from minigrad.tables.settings import Options, Settings
from minigrad.tables.sources import Source, Table, with_source
from minigrad.tables.target import is_of_table, threshold_of
from minigrad.tables.writing.outputs import MODEL, REPORT, refuse_output
from minigrad.training.history import DivergenceError, History


@dataclass(frozen=True)
class Trained:
    """A network that was trained on a table, and what is known of it by rows that it has not seen.

    `print` tells it, a notebook shows it as the report. `model` is a TableModel (a Sequential, where sheets without a
    header were trained on). `explanation` says which columns matter; it is None of sheets, which have no columns with
    names. `history` has the losses by epoch, `warnings` what makes the figures worth less than they look.
    """

    model: Any
    result: Result
    files: Path | None = None
    """The folder that the model was written to, as training went on."""
    _more: dict[str, Any] = field(default_factory=dict, repr=False)
    _split: Split | None = field(default=None, repr=False)

    @property
    def evaluation(self) -> Evaluation:
        """How good the network is on both sides of the split, beside simpler answers."""
        return self.result.evaluation

    @property
    def explanation(self) -> Explanation | None:
        """Which columns matter, by the rows that were held out."""
        return self.result.explanation

    @property
    def history(self) -> History:
        """The losses of the training, by epoch."""
        return self.evaluation.history

    @property
    def warnings(self) -> list[str]:
        """What makes the figures worth less than they look."""
        return [f"{caution.title}. {caution.text}" for caution in self.evaluation.cautions]

    def __str__(self) -> str:
        return summary(self.result)

    def _repr_html_(self) -> str:
        """The report in a frame of its own, so that its style does not reach the notebook's."""
        page = html(self.result).replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe title="report" srcdoc="{page}" style="width:100%;height:42rem;border:0"></iframe>'

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the report as one HTML file that needs nothing else."""
        write_html(self.result, path)

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the model and the report to a folder, as `minigrad train --out` does; `minigrad.load` reads it.

        Raises ValueError for a folder with a model in it, unless it is to be replaced by `force`.
        """
        folder = Path(folder)
        folder.mkdir(exist_ok=True)
        refuse_output(folder / MODEL, force)
        self.model.save(folder / MODEL)
        self.report(folder / REPORT)

    def health(self) -> Any:
        """What the model does with its training rows: `Sequential.health`."""
        assert self._split is not None
        x, t = self._split.x[self._split.train], self._split.t[self._split.train]
        network = self.model.network if isinstance(self.model, TableModel) else self.model
        return network.health(x, t, self._split.recipe.loss())

    def to_json(self) -> dict[str, Any]:
        """All of it as an object that JSON can hold."""
        path, report = (None if self.files is None else str(self.files / name) for name in (MODEL, REPORT))
        return as_json(self.result) | self._more | {"model": path, "report": report}


def train(data: Any, target: str | None = None, *, progress: bool | None = None, **settings: Any) -> Trained:
    """Train a network on a table, and measure it on rows that it has not seen.

        trained = minigrad.tables.train("penguins.csv", target="species", seed=3)
        print(trained)                      # what `minigrad train` tells; in a notebook, the report
        trained.save("penguins")            # the model and report.html; minigrad.load("penguins") reads it
        trained.model.predict(frame)

    `data` is a DataFrame, the path of a file (CSV, TSV, Excel, ODS, Parquet, Feather), of a folder of Parquet files, or
    a pair of arrays (x, t). Every option of `minigrad train` is a setting of the same name with underscores, with the
    same meaning and the same numbers for the same seed: `hidden=(16, 8)`, `epochs`, `learning_rate`, `l2`, `seed`,
    `test_size`, `drop=["id"]`, `keep`, `as_number`, `as_category`, `decimal`, `date_order`, `split_by`, `group`,
    `class_weight`, `threshold`, `ensemble`, `trees`, `tune`, `seeds`, `jobs`, `final`, `sheet`, `task`, `encoding`,
    `header_row`, `stream`, `out`, `resume`, `force`. With `out`, the model is kept in that folder while it is trained.
    `progress` is that of `fit`.

    Raises ValueError for data that nothing can be learned from, for an unknown setting, and for a value that it can't
    have; FileNotFoundError for a file that is not there.
    """
    started = time.perf_counter()
    options = Options.of(data, target, settings)
    asked = options.settings
    _refuse_out(options)
    _refuse_together(options)
    source = read_source(options)
    read = time.perf_counter()

    with with_source(source.where):  # what is wrong with the data is said before a folder is made
        split = source.hold_out(asked.test_size, asked.seed)
        if options.tune is not None:
            found: Tuned | Chosen | None = tune(source, split, asked, options.tune, options.jobs)
        else:
            found = choose(source, split, asked)
    used = (asked if found is None else found.settings).for_pieces(split.blocks)
    with _writing_model(options) as path:
        model, history = train_network(split, used, path, progress=progress)
    trained = time.perf_counter()
    seeds = range(asked.seed + 1, asked.seed + options.seeds)  # each seed chooses by its own training rows
    others = run_all("other seeds", _score, [(source, replace(asked, seed=seed)) for seed in seeds], options.jobs)

    notes, more = _told(split, used, history, found)
    trees = options.trees if options.trees is not None else len(split.train) >= ROWS_OF_TREES
    if options.trees is None and not trees and boosting_installed():
        words = f"boosted trees from {ROWS_OF_TREES:,} training rows on, since they take longer than all else here"
        notes = (*notes, ("compared", f"with simpler models; with {words} (--trees asks for them)"))
    evaluation = _measured(source, split, used, model, history, others, trees)
    outcome = evaluation.outcome
    explanation = None
    if isinstance(source, Table):
        explanation = explain(
            TableModel(model),
            source.frame.iloc[split.held_out],
            split.answers[split.held_out],
            by_auc=isinstance(outcome, Classification) and outcome.unbalanced is not None,
            seed=used.seed,
        )
    _keep_interval(model, outcome, path)
    if options.final:
        model, rows = _train_finally(source, split, used, model, path)
        words = f"trained again on all {rows:,} rows, once all this was measured; the figures are of the network before"
        notes = (*notes, ("final", words))
    result = Result(
        data=source.where,
        evaluation=evaluation,
        settings=used.told(len(split.train)),
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
        notes=notes,
        explanation=explanation,
    )
    if path is not None:
        write_html(result, path.with_name(REPORT))
    kept = TableModel(model) if is_of_table(model) else model
    return Trained(kept, result, None if path is None else path.parent, more, split)


def _measured(
    source: Source,
    split: Split,
    settings: Settings,
    model: Sequential,
    history: History,
    others: Sequence[float],
    trees: bool,
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
        trees=trees,
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
    used = (settings if chosen is None else chosen.settings).for_pieces(split.blocks)
    return split.score(train_network(split, used)[0])


def _train_finally(
    source: Source, split: Split, settings: Settings, measured: Sequential, path: Path | None
) -> tuple[Sequential, int]:
    """Train on all rows, and put that network in the place of the one that was measured; return it, and how many."""
    rows = np.sort(np.concatenate([split.train, split.held_out]))
    whole = source.prepare(rows, split.held_out)
    model, _ = train_network(whole, settings)
    kept = {name: fact for name, fact in (measured.preparation or {}).items() if name == "interval"}
    model.preparation = (model.preparation or {}) | kept | {"final": True}
    if path is not None:
        model.save(path)
    return model, len(rows) if whole.blocks is None else whole.blocks.rows()


def _refuse_together(options: Options) -> None:
    """Raise ValueError for options that do not go together."""
    if options.tune is not None and options.target is None:
        raise ValueError("--tune is about a table with a header; name its column to predict with --target")
    if options.tune is not None and options.seeds > 1:
        raise ValueError("--tune chooses by rows that other seeds of --seeds hold out; give one of them")
    together = {"ensemble": options.settings.ensemble > 1, "final": options.final, "tune": options.tune is not None}
    for name, asked in together.items():
        if options.resume and asked:
            raise ValueError(f"--resume goes on with one training, which --{name} is not; begin anew with --force")


def _keep_interval(model: Sequential, outcome: Classification | Regression, path: Path | None) -> None:
    """Put the interval around predictions, which the held-out rows have told, into the model and its file."""
    if not isinstance(outcome, Regression) or outcome.coverage is None:
        return
    interval = {"half_width": outcome.coverage.half_width, "level": outcome.coverage.level}
    model.preparation = (model.preparation or {}) | {"interval": interval}
    if path is not None:
        annotate(model, path)


def _stopping(history: History, settings: Settings) -> str:
    """What ended the training, in words."""
    if settings.solved:
        return f"after {len(history)} steps, at the best weights; L2 is enough, and no rows are kept to stop by"
    if not settings.widths:
        return f"after all {len(history)} epochs; without hidden layers L2 is enough, and no rows are kept to stop by"
    if history.best_epoch is None:
        return f"after all {len(history)} epochs; there were too few rows to watch the validation loss"
    return (
        f"after {len(history)} epochs; the parameters are those of epoch {history.best_epoch}, whose loss on "
        f"a tenth of the training rows, kept for that, was lowest"
    )


# ---------------------------------------------------------------------------------------------------- the folder
def _refuse_out(options: Options) -> None:
    """Raise ValueError, before the work, where --out, --resume and --force name no place for the model."""
    if options.out is None:
        if options.resume or options.force:
            raise ValueError("--resume and --force need --out DIR, the folder of the model")
        return
    folder = Path(options.out)
    refuse_name(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{options.out} is a file; --out takes the name of a folder")
    if not folder.parent.is_dir():
        raise ValueError(f"{options.out}: there is no folder {folder.parent}; make it first")
    if (folder / MODEL).exists() and not options.resume and not options.force:
        raise ValueError(
            f"{folder / MODEL} exists already; go on with it by --resume, replace it by --force, or choose another "
            f"folder"
        )
    if options.resume and options.force:
        raise ValueError("--resume goes on with a model and --force begins anew; give one of them")
    for path in (folder / MODEL, folder / REPORT) if folder.exists() else (folder,):
        target_of(path)
        refuse_open(path)


@contextmanager
def _writing_model(options: Options) -> Iterator[Path | None]:
    """The file that --out has the model written to, in a folder that exists; a new training that fails leaves neither.

    None without --out.
    """
    if options.out is None:
        try:
            yield None
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; nothing is kept, since there is no --out DIR") from None
        return
    path = Path(options.out) / MODEL
    made, begun = not path.parent.exists(), path.exists() and options.resume
    path.parent.mkdir(exist_ok=True)
    if options.force:
        path.unlink(missing_ok=True)  # or the training would go on with it
    try:
        yield path
    except KeyboardInterrupt:
        if path.exists():
            epochs = len(read_file(path)[1]["checkpoint.history.loss"])
            how = "the same command with --resume" + (" and without --final" if options.final else "")
            raise KeyboardInterrupt(
                f"interrupted; {path} holds the network as it was after {epochs:,} epochs; {how} goes on"
            ) from None
        if made:
            with suppress(OSError):
                path.parent.rmdir()
        raise KeyboardInterrupt("interrupted before an epoch was kept; nothing is written") from None
    except (ValueError, OSError, DivergenceError):
        if not begun:
            path.unlink(missing_ok=True)
        if made:
            with suppress(OSError):
                path.parent.rmdir()
        raise

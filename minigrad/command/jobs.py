"""What the commands do with tables and with models: train on a table, predict, evaluate, show.

A function takes the command's options and returns the exit status; what the user can set right is a ValueError.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad.command.answers import check_output, write_beside, write_sheet
from minigrad.command.networks import BATCH, EPOCHS, HIDDEN, L2, answer, answers, train_table
from minigrad.command.progress import busy
from minigrad.data.digits import load_digits
from minigrad.data.preparation import NumberColumn, Preparation, Target, Task, is_of_table, table_of, target_values
from minigrad.data.split import Rows, split_rows
from minigrad.data.table import Cells, read_cells, shown
from minigrad.data.workbook import MissingSheetError, read_sheets, read_workbook
from minigrad.layer import Layer
from minigrad.layers.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Swish, Tanh
from minigrad.metrics import (
    accuracy,
    classification_report,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
    wilson_interval,
)
from minigrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.results import evaluation
from minigrad.results.report import Result, as_json, matrix_lines, summary, write_html
from minigrad.results.words import amount
from minigrad.saving import ModelFileError
from minigrad.sequential import Sequential, load
from minigrad.training.history import DivergenceError, History

if TYPE_CHECKING:
    import pandas as pd

Run: TypeAlias = tuple[Sequential, History, Rows, Rows]  # and the rows: trained on, held out

DIGITS = "digits"
MODEL, REPORT = "model.safetensors", "report.html"
LEAST_ROWS = 10  # of a table to train on
ACTIVATIONS: dict[str, type[Layer]] = {
    layer.__name__.lower(): layer for layer in (Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, Swish, Softplus, Identity)
}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}
SGD_RATE = 0.5  # at SGD's own default, 0.01, the default epochs are far too few


# ------------------------------------------------------------------------------------------------------ training
def train(options: argparse.Namespace) -> int:
    """`minigrad train DATA --target COLUMN`: hold rows out, train on the others, tell how good the network is."""
    started = time.perf_counter()
    with busy(f"reading {options.data}"):
        table = read_cells(options.data, options.sheet)
        frame, column = table.frame(options.target)
    read = time.perf_counter()
    assert column is not None
    with naming(table.where):
        task, why, values = target_values(column, options.task)
        rows, _ = part(column, values, task, options, options.seed)
        Target.fit(column.iloc[rows], task)
        Preparation.fit(frame.iloc[rows])  # what is wrong with the table is said before a folder is made

    settings = {
        "hidden": list(HIDDEN) if options.hidden is None else options.hidden,
        "activation": options.activation or "relu",
        "batch_size": options.batch_size or BATCH,
        "optimizer": options.optimizer or "adam",
        "learning_rate": optimizer_of(options, "adam").rate(0),
        "l2": L2 if options.l2 is None else options.l2,
        "seed": options.seed,
        "test_size": options.test_size,
    }

    def run(seed: int, path: Path | None) -> Run:
        rows, held_out = part(column, values, task, options, seed)
        model, history = train_table(
            frame.iloc[rows],
            values[rows],
            Target.fit(column.iloc[rows], task),
            hidden=settings["hidden"],
            activation=ACTIVATIONS[settings["activation"]],
            optimizer=optimizer_of(options, "adam"),
            epochs=options.epochs or EPOCHS,
            batch_size=settings["batch_size"],
            l2=settings["l2"],
            seed=seed,
            notes={"sheet": table.sheet, "settings": settings},
            checkpoint=path,
        )
        return model, history, rows, held_out

    with keeping(options) as path:
        model, history, *parts = run(options.seed, path)
    trained = time.perf_counter()
    others = []
    for seed in other_seeds(options):
        other, _, _, test = run(seed, None)
        score = accuracy if task == "classification" else r2_score
        others.append(score(values[test], answer(other, frame.iloc[test]).values))

    preparation, target = table_of(model)
    forced = "as --task says" if options.task else "--task overrides this"
    found = evaluation.evaluate(
        model,
        history,
        preparation.transform(frame),
        values,
        *parts,
        l2=settings["l2"],
        names=preparation.features,
        first_row=2,  # the header is the first
        others=others,
        decode=target.decode if task == "regression" else None,
        seed=options.seed,
    )
    result = Result(
        data=table.where,
        evaluation=found,
        settings=settings,
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
        notes=(
            ("target", f"{options.target}: {why}, so this is a {task} ({forced})"),
            *((name, line) for name, line in zip_longest(["columns"], preparation_lines(preparation), fillvalue="")),
            ("stopping", stopping(history)),
        ),
    )
    more = {"task": task, "preparation": dict(preparation.notes()), "best_epoch": history.best_epoch}
    tell(options, result, path, more)
    return 0


def part(
    column: pd.Series[Any], values: npt.NDArray[Any], task: Task, options: argparse.Namespace, seed: int
) -> tuple[Rows, Rows]:
    """The rows to train on and those to hold out. Raises ValueError where one can't learn, or can't test."""
    name, total, different = options.target, len(values), column.nunique()
    if total < LEAST_ROWS:
        raise ValueError(f"has {total} rows; {LEAST_ROWS} are the least to learn from and to test on")
    if different < 2:
        raise ValueError(f"column {name!r}: all {total} rows hold the same; there is nothing to tell")
    if task == "regression":
        if round(options.test_size * total) < 2:
            raise ValueError(f"--test-size {options.test_size:g} of {total} rows holds out fewer than two")
        return split_rows(total, options.test_size, seed=seed)
    if 2 * different > total:
        raise ValueError(
            f"column {name!r} has {different} different labels in {total} rows; that is too few rows of each to learn "
            f"from"
        )
    refuse_impossible_split(total, different, options.test_size)
    return split_rows(values, options.test_size, seed=seed)


def other_seeds(options: argparse.Namespace) -> range:
    """The seeds after the first that --seeds asks for."""
    return range(options.seed + 1, options.seed + options.seeds)


def tell(options: argparse.Namespace, result: Result, path: Path | None, more: dict[str, Any] | None = None) -> None:
    """Print the result, as text or as JSON with `more` in it; write the report beside the model, if that is kept."""
    report = None if path is None else path.with_name(REPORT)
    if report is not None:
        write_html(result, report)
    if options.json:
        files = {"model": None if path is None else str(path), "report": None if report is None else str(report)}
        print(json.dumps(as_json(result) | (more or {}) | files))
        return
    print(summary(result))
    if path is not None:
        print(f"model     {path}\nreport    {report}")


def optimizer_of(options: argparse.Namespace, default: str) -> Optimizer:
    """The optimizer that the options ask for."""
    name = options.optimizer or default
    rate = options.learning_rate or (SGD_RATE if name == "sgd" else None)
    return OPTIMIZERS[name](**({} if rate is None else {"learning_rate": rate}))


def refuse_impossible_split(rows: int, classes: int, test_size: float) -> None:
    """Raise ValueError where there is nothing to tell apart, or no way to train and to test."""
    if classes < 2:
        raise ValueError("all labels are the same; there must be two classes at least")
    held_out, possible = round(test_size * rows), rows - classes
    if not 1 <= held_out <= possible:
        raise ValueError(
            f"--test-size {test_size:g} of {rows} rows is {held_out} rows to hold out; one row of each of the "
            f"{classes} classes stays in training, so from 1 to {possible} are possible"
        )


def model_file(options: argparse.Namespace) -> Path | None:
    """Where --out has the model written. Raises ValueError, before the work, where there is another one."""
    if options.out is None:
        if options.resume or options.force:
            raise ValueError("--resume and --force need --out DIR, the folder of the model")
        return None
    path = Path(options.out) / MODEL
    if Path(options.out).exists() and not Path(options.out).is_dir():
        raise ValueError(f"{options.out} is a file; --out takes the name of a folder")
    if not path.parent.parent.is_dir():
        raise ValueError(f"{options.out}: there is no folder {path.parent.parent}; make it first")
    if path.exists() and not options.resume and not options.force:
        raise ValueError(
            f"{path} exists already; go on with it by --resume, replace it by --force, or choose another folder"
        )
    if options.resume and options.force:
        raise ValueError("--resume goes on with a model and --force begins anew; give one of them")
    return path


@contextmanager
def keeping(options: argparse.Namespace) -> Iterator[Path | None]:
    """The model's file, in a folder that exists; a new training that fails leaves neither."""
    path = model_file(options)
    if path is None:
        yield None
        return
    made, begun = not path.parent.exists(), path.exists() and options.resume
    path.parent.mkdir(exist_ok=True)
    if options.force:
        path.unlink(missing_ok=True)  # or the training would go on with it
    try:
        yield path
    except (ValueError, OSError, DivergenceError):
        if not begun:
            path.unlink(missing_ok=True)
        if made:
            with suppress(OSError):
                path.parent.rmdir()
        raise


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Put the place of the data before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


# ----------------------------------------------------------------------------------------------- using a model
def predict(options: argparse.Namespace) -> int:
    """`minigrad predict MODEL DATA --out FILE`: a copy of the data with the network's answers beside the rows."""
    source, out = Path(options.data), Path(options.out)
    if not source.exists():
        raise ValueError(f"{source}: there is no such file")
    check_output(source, out, options.force)
    model = model_for(options)
    if is_of_table(model):
        preparation, target = table_of(model)
        with busy(f"reading {source}"):
            table = table_for(model, options)
            frame, _ = table.frame(only=preparation.names)
        with naming(table.where):
            told = answers(model, preparation.transform(frame), target)
        for surprise in preparation.surprises(frame):
            print(f"minigrad: note: {table.where}: {surprise}", file=sys.stderr)
        columns = answer_columns(model, told.values, told.probabilities)
        with busy(f"writing {out}"):
            lost = write_beside(table, columns, out)
    else:
        with busy(f"reading {source}"):
            x = sheet_for(model, options)
        told = answers(model, x)
        columns = answer_columns(model, told.values, told.probabilities)
        with busy(f"writing {out}"):
            lost = write_sheet(source, columns, out)
    print(f"{out}: {len(told.values):,} rows of {source} with {shown(columns)}")
    for what in lost:
        print(f"minigrad: note: {out} does not keep: {what}", file=sys.stderr)
    return 0


def answer_columns(model: Sequential, values: npt.NDArray[Any], probabilities: Any) -> dict[str, list[Any]]:
    """The columns to write: the prediction, then the probability of each class."""
    columns: dict[str, list[Any]] = {"prediction": values.tolist()}
    if probabilities is None:
        return columns
    kind = "probability of" if np.all((probabilities >= 0) & (probabilities <= 1)) else "output for"
    names = list(range(probabilities.shape[1])) if model.classes is None else model.classes.tolist()
    if probabilities.shape[1] == 1:
        names = names[-1:]  # a single output stands for the second of two classes
    for name, column in zip(names, probabilities.T, strict=True):
        columns[f"{kind} {name}"] = [float(str(p)) for p in column]  # as few digits as float32 has
    return columns


def evaluate(options: argparse.Namespace) -> int:
    """`minigrad evaluate MODEL DATA`: how good the network's answers are about rows with known ones."""
    x: npt.NDArray[Any]
    model = model_for(options)
    if is_of_table(model):
        preparation, target = table_of(model)
        with busy(f"reading {options.data}"):
            table = table_for(model, options)
            frame, column = table.frame(target.name, only=preparation.names)
        assert column is not None
        where = table.where
        with naming(where):
            _, _, values = target_values(column, target.task)
            told = answers(model, preparation.transform(frame), target)
            refuse_unseen(model, values, lambda row: f"column {target.name!r}, row {row + 2}")
        if told.probabilities is None:
            return _evaluate_numbers(where, values, told.values, options)
    else:
        if options.data == DIGITS:
            where = "the digits that come with minigrad"
            x, values = load_digits()
        else:
            x_sheet, y_sheet = sheets_of(model, options)
            with busy(f"reading {options.data}"):
                x, values = read_workbook(options.data, x_sheet, y_sheet)
            where = f"{options.data}: sheets {x_sheet!r} and {y_sheet!r}"
        with naming(where):
            refuse_width(model, x)
            told = answers(model, x)
            refuse_unseen(model, values, lambda row: f"row {row + 1} of the labels")
    matrix = confusion_matrix(values, told.values, model.classes)
    report = classification_report(values, told.values, model.classes)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    low, high = wilson_interval(right, total)
    if options.json:
        measured = {"data": where, "rows": total, "accuracy": right / total, "interval": (low, high)}
        table_json = {"classes": report.classes.tolist(), "confusion_matrix": matrix.tolist()}
        print(json.dumps(measured | {"balanced_accuracy": report.balanced_accuracy} | table_json))
        return 0
    print(f"data      {where}")
    print(f"accuracy  {right / total:.3f}, 95 % interval {low:.3f} to {high:.3f}: {right:,} of {total:,} rows right\n")
    print("\n".join(matrix_lines("rows", [str(name) for name in report.classes.tolist()], matrix)))
    print(f"\n{report}")
    return 0


def _evaluate_numbers(where: str, values: Any, told: Any, options: argparse.Namespace) -> int:
    with naming(where):
        r2, mae = r2_score(values, told), mean_absolute_error(values, told)
    if options.json:
        print(json.dumps({"data": where, "rows": len(values), "r2": r2, "mae": mae}))
        return 0
    print(f"data      {where}")
    print(f"R²        {r2:.3f} of {len(values):,} rows (1 is perfect; 0 is what their own mean gets)")
    print(f"error     {amount(mae)} on average (mean absolute error)")
    return 0


def show(options: argparse.Namespace) -> int:
    """`minigrad show MODEL`: the layers, what the columns become, the classes, how it was trained."""
    path = model_of(options.model)
    model = load(path)
    print(f"{path}\n\n{model.summary()}")
    if model.classes is not None:
        print(f"\nclasses   {shown(model.classes.tolist())}")
    if is_of_table(model):
        preparation, target = table_of(model)
        scale = f", standardised ({amount(target.mean)} ± {amount(target.scale)})"
        units = "" if target.task == "classification" else scale
        print(f"\ntarget    {target.name}: {target.task}{units}\n")
        for name, text in preparation.notes():
            print(f"{name}: {text}")
    settings = (model.preparation or {}).get("settings")
    if isinstance(settings, dict):
        print("\ntraining  " + ", ".join(f"{name} {value}" for name, value in settings.items()))
    return 0


# ------------------------------------------------------------------------------------------- what jobs share
def model_of(name: str) -> Path:
    """The model's file: itself, or in the folder that `train --out` made."""
    path = Path(name)
    return path / MODEL if path.is_dir() else path


def model_for(options: argparse.Namespace) -> Sequential:
    """The model that is to look at data. Raises ValueError, with a hint, where the two may be in the wrong order."""
    try:
        return load(model_of(options.model))
    except ModelFileError as error:
        if Path(options.model).suffix.lower() not in (".csv", ".tsv", ".xlsx"):
            raise
        raise ValueError(f"{error}; the model comes first, then the data") from error


def table_for(model: Sequential, options: argparse.Namespace) -> Cells:
    """The table to predict on: the sheet that is asked for, else the one of the training's name, else the first."""
    if options.data == DIGITS and not Path(DIGITS).exists():
        preparation, _ = table_of(model)
        raise ValueError(
            f"{options.model} was trained on a table with the columns {shown(preparation.names)}, which {DIGITS} does "
            f"not have; give a table that has them"
        )
    trained = (model.preparation or {}).get("sheet")
    if options.sheet is None and isinstance(trained, str) and Path(options.data).suffix.lower() == ".xlsx":
        with suppress(MissingSheetError):
            return read_cells(options.data, trained)
    return read_cells(options.data, options.sheet)


def sheets_of(model: Sequential, options: argparse.Namespace) -> tuple[str, str]:
    """The names of the sheets of numbers and of labels."""
    written = model.preparation or {}
    return options.x or str(written.get("x", "X")), options.y or str(written.get("y", "y"))


def sheet_for(model: Sequential, options: argparse.Namespace) -> npt.NDArray[np.float64]:
    """The numbers of a workbook without headers."""
    name, _ = sheets_of(model, options)
    [sheet] = read_sheets(options.data, name)
    x = sheet.numbers()
    with naming(f"{options.data}: sheet {name!r}"):
        refuse_width(model, x)
    return x


def refuse_width(model: Sequential, x: npt.NDArray[Any]) -> None:
    """Raise ValueError for rows of another width than the network takes."""
    if model.input_shape is not None and model.input_shape != x.shape[1:]:
        raise ValueError(f"has {x.shape[1]} columns of numbers, but the network takes rows of {model.input_shape}")


def refuse_unseen(model: Sequential, values: npt.NDArray[Any], place: Callable[[int], str]) -> None:
    """Raise ValueError for a label that the network has not been trained on."""
    known = None if model.classes is None else set(model.classes.tolist())
    for row, value in enumerate(values.tolist()):
        if known is not None and value not in known:
            raise ValueError(
                f"{place(row)} holds the label {value!r}; the network was trained on {shown(model.classes)}"
            )


def preparation_lines(preparation: Preparation) -> list[str]:
    """What is done with each column, those of plain numbers together."""
    numbers = [column for column in preparation.columns if isinstance(column, NumberColumn)]
    plain = [column.name for column in numbers if column.kind == "number" and not column.flagged]
    lines = [f"numbers, standardised: {', '.join(plain)}"] if plain else []
    return lines + [f"{name}: {text}" for name, text in preparation.notes() if name not in plain]


def stopping(history: History) -> str:
    """What ended the training, in words."""
    if history.best_epoch is None:
        return f"after all {len(history)} epochs; there were too few rows to watch the validation loss"
    return (
        f"after {len(history)} epochs; the parameters are those of epoch {history.best_epoch}, whose loss on "
        f"a tenth of the training rows, kept for that, was lowest"
    )

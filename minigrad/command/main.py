"""The command `minigrad`: from a workbook to a trained network and an honest word about it.

Results go to stdout, progress and errors to stderr. What the user can set right is one line, `minigrad: …`, and the
exit status 2; a layer that `check` finds wrong gives 1, Ctrl-C 130, a reader that went away (`| head`) 141.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minigrad.command import jobs
from minigrad.command.jobs import ACTIVATIONS, DIGITS, OPTIMIZERS, SGD_RATE
from minigrad.command.networks import EPOCHS, HIDDEN
from minigrad.command.progress import busy
from minigrad.data.digits import load_digits
from minigrad.data.preparation import is_of_table, table_of
from minigrad.data.split import split_rows
from minigrad.data.table import is_text_file
from minigrad.data.workbook import MissingSheetError, cell_name, read_workbook, write_workbook
from minigrad.layer import Layer
from minigrad.layers.activations import Sigmoid
from minigrad.layers.dense import Dense
from minigrad.losses import BinaryCrossEntropy
from minigrad.metrics import accuracy
from minigrad.results.evaluation import evaluate
from minigrad.results.report import Result
from minigrad.sequential import Sequential, load
from minigrad.testing import GradientError, check_layer
from minigrad.training.history import DivergenceError

LARGE = 30  # sizes of x from which sigmoids are flat, and training hardly moves

EXAMPLES = """\
examples:
  minigrad train digits                 train the tutorial's network on the digits that come with minigrad
  minigrad digits digits.xlsx           write these digits as a workbook: sheet X the pixels, sheet y the labels
  minigrad train digits.xlsx            the same from a workbook of your own
  minigrad train digits --hidden 64,32 --activation relu --optimizer adam
  minigrad train flowers.csv --target species --out flowers
                                        learn to tell a column of a table from the others, and keep the model
  minigrad predict flowers new.xlsx --out predicted.xlsx
                                        a copy of new.xlsx with the predictions and their probabilities
  minigrad evaluate flowers test.csv    how good the model is on rows whose species is known
  minigrad show flowers                 its layers, what each column becomes, how it was trained
  minigrad check mylayers:Scale         prove the derivatives of a layer of your own
  minigrad export model.safetensors model.onnx --data digits.xlsx
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments (by default, the process's own) and return its exit status."""
    try:
        options = _parser().parse_args(argv)
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; now into nothing, so that it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except DivergenceError as error:
        return _refuse(f"{error}. Try a smaller --learning-rate")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:
        return _refuse(str(error))


def _refuse(message: str) -> int:
    print("minigrad:", " ".join(message.split()), file=sys.stderr)
    return 2


# ------------------------------------------------------------------------------------------------------ commands
def train(options: argparse.Namespace) -> int:
    """`minigrad train DATA`: hold rows out, train on the others, tell how good the network is on both."""
    jobs.model_file(options)
    if options.target is not None:
        if options.x is not None or options.y is not None:
            raise ValueError("--x and --y name sheets without a header, --target a column of one with a header")
        if options.data == DIGITS:
            raise ValueError(f"{DIGITS} has no header and no columns with names; leave --target out")
        return jobs.train(options)
    if options.sheet is not None or options.task is not None:
        raise ValueError("--sheet and --task are about a table with a header; name its column to predict with --target")
    return _train_sheets(options)


def _train_sheets(options: argparse.Namespace) -> int:
    """`minigrad train DATA` for the tutorial's two sheets, and for the digits."""
    started = time.perf_counter()
    options.x, options.y = options.x or "X", options.y or "y"
    name, x, labels = _read(options)
    read = time.perf_counter()

    classes = len(np.unique(labels))
    with jobs.naming(name):
        jobs.refuse_impossible_split(len(x), classes, options.test_size)
    train_rows, _ = split_rows(labels, options.test_size, seed=options.seed)
    hidden, activation = options.hidden or [25], options.activation or "sigmoid"
    l2, batch_size = 1 / len(train_rows) if options.l2 is None else options.l2, options.batch_size or 32
    settings = {
        "hidden": hidden,
        "activation": activation,
        "batch_size": batch_size,
        "optimizer": options.optimizer or "sgd",
        "learning_rate": jobs.optimizer_of(options, "sgd").rate(0),
        "l2": l2,
        "seed": options.seed,
        "test_size": options.test_size,
    }

    def run(seed: int, path: Path | None) -> jobs.Run:
        rows, held_out = split_rows(labels, options.test_size, seed=seed)
        model = _network(x.shape[1], hidden, ACTIVATIONS[activation], classes, seed)
        model.preparation = {"format": "sheets", "x": options.x, "y": options.y, "settings": settings}
        history = model.fit(
            x[rows],
            labels[rows],
            loss=BinaryCrossEntropy(),
            optimizer=jobs.optimizer_of(options, "sgd"),
            epochs=options.epochs or 20,
            batch_size=batch_size,
            validation=(x[held_out], labels[held_out]),  # only watched, for the curve: nothing is chosen by it
            l2=l2,
            seed=seed,
            checkpoint=path,
        )
        return model, history, rows, held_out

    with jobs.keeping(options) as path:
        model, history, *parts = run(options.seed, path)
    trained = time.perf_counter()
    others = []
    for seed in jobs.other_seeds(options):
        other, _, _, test = run(seed, None)
        others.append(accuracy(labels[test], other.predict_classes(x[test])))

    result = Result(
        data=name,
        evaluation=evaluate(model, history, x, labels, *parts, l2=l2, others=others, seed=options.seed),
        settings=settings,
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
    )
    jobs.tell(options, result, path)
    return 0


def digits(options: argparse.Namespace) -> int:
    """`minigrad digits FILE.xlsx`: the embedded digits as a workbook in the tutorial's format."""
    path = Path(options.file)
    if path.suffix.lower() != ".xlsx":
        raise ValueError(f"{path}: the name of a workbook ends in .xlsx")
    if path.is_dir():
        raise ValueError(f"{path} is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no directory {path.parent}; make it first")
    if path.exists() and not options.force:
        raise ValueError(f"{path} exists already; choose another name, or replace it with --force")
    x, labels = load_digits()
    write_workbook(path, x, labels, overwrite=options.force, progress=sys.stderr.isatty())
    print(f"{path}: sheet X has {len(x):,} digits of {x.shape[1]} pixels, sheet y their labels (10 is the digit 0)")
    return 0


def check(options: argparse.Namespace) -> int:
    """`minigrad check MODULE:NAME`: prove a layer of the user's own, or say what is wrong with it."""
    layer = _imported(options.layer)
    try:
        print(check_layer(layer))
    except GradientError as error:
        print(f"minigrad: {error}", file=sys.stderr)
        return 1
    return 0


def export(options: argparse.Namespace) -> int:
    """`minigrad export MODEL FILE.onnx`: the model as an ONNX file, once onnxruntime gives the same answers."""
    try:
        from minigrad.onnx import export as write
    except ImportError as error:
        raise ValueError(f"export needs onnx and onnxruntime ({error}): pip install 'minigrad-nn[onnx]'") from error
    if Path(options.file).exists() and not options.force:
        raise ValueError(f"{options.file} exists already; choose another name, or replace it with --force")
    model = load(jobs.model_of(options.model))
    x = None if options.data is None else _rows(model, options)
    difference = write(model, options.file, x)
    rows = "random rows" if x is None else f"the {len(x):,} rows of {options.data}"
    print(f"{options.file}: on {rows}, onnxruntime's answers differ from the model's by {difference:.2g} at most")
    if is_of_table(model):
        print(
            'It takes the table\'s columns by name, each (rows, 1): float64, NaN where missing; text, "" where missing'
        )
    return 0


def _rows(model: Sequential, options: argparse.Namespace) -> Any:
    """The rows of --data as the model takes them: read as `predict` reads them."""
    if not is_of_table(model) and options.data == DIGITS:
        return load_digits()[0]
    with busy(f"reading {options.data}"):
        if not is_of_table(model):
            return jobs.sheet_for(model, options)
        preparation, _ = table_of(model)
        table = jobs.table_for(model, options)
        frame, _ = table.frame(only=preparation.names)
    with jobs.naming(table.where):
        preparation.transform(frame)  # what is wrong with the table is said with its name
    return frame


# ------------------------------------------------------------------------------------------- what commands share
def _read(options: argparse.Namespace) -> tuple[str, Any, Any]:
    """(a name for the data, x, labels), checked to be something that classes can be learned from."""
    if options.data == DIGITS:
        return "the digits that come with minigrad", *load_digits()
    if not Path(options.data).exists():
        raise ValueError(f"{options.data}: there is no such file (DATA is FILE.csv or FILE.xlsx, or the word {DIGITS})")
    if is_text_file(options.data):
        raise ValueError(
            f"{options.data} is a text file (CSV?), not a workbook of two sheets; name the column to predict, "
            f"as in --target COLUMN"
        )
    try:
        with busy(f"reading {options.data}"):
            x, labels = read_workbook(options.data, options.x, options.y)
    except MissingSheetError as error:
        raise ValueError(f"{error}; or, if a sheet has a header, the column to predict with --target") from error
    if labels.dtype.kind == "f":
        row = int(np.argmax(labels % 1 != 0))
        raise ValueError(
            f"{options.data}: {cell_name(options.y, row, 0)} holds {labels[row]}, which is no class; labels are whole "
            f"numbers, text, or TRUE and FALSE"
        )
    largest = abs(x).max()
    if largest > np.finfo(np.float32).max:
        row, column = map(int, np.unravel_index(abs(x).argmax(), x.shape))
        raise ValueError(
            f"{options.data}: {cell_name(options.x, row, column)} holds {x[row, column]:g}, which is too "
            f"large to compute with; divide the values of its column"
        )
    if largest > LARGE:
        print(
            f"minigrad: note: values on sheet {options.x!r} reach {largest:g}; a network learns better from values of "
            f"about 0 to 1, so divide the columns by their largest values",
            file=sys.stderr,
        )
    return options.data, x, labels


def _network(features: int, hidden: list[int], activation: type[Layer], classes: int, seed: int) -> Sequential:
    """The tutorial's network, with hidden layers of these widths: one sigmoid for each class."""
    layers: list[Layer] = []
    for width in hidden:
        layers += [Dense(features, width), activation()]
        features = width
    return Sequential([*layers, Dense(features, classes), Sigmoid()], seed=seed)


def _imported(place: str) -> Layer:
    """The layer at MODULE:NAME, an instance or made by a callable without arguments."""
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise ValueError(f"{place!r} does not name a layer: write MODULE:NAME, as in mylayers:Scale")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ValueError(f"{module_name} can't be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ValueError(f"{module_name} has no {name!r}")
    found = getattr(module, name)
    if not isinstance(found, Layer) and callable(found):
        try:
            found = found()
        except Exception as error:
            raise ValueError(
                f"{place}() failed: {type(error).__name__}: {error}; "
                f"name an instance, or a function without arguments that makes one"
            ) from error
    if not isinstance(found, Layer):
        raise ValueError(f"{place} is not a layer but {found!r:.100}")
    return found


# ------------------------------------------------------------------------------------------------------- options
class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Here, where the command is known, what it does not know is refused: its own --help is the one to look at."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, 1)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + "".join(f"; is {n} meant?" for n in near))
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> _Parser:
    parser = _Parser(
        prog="minigrad",
        description="Train a small neural network, and learn honestly how good it is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)

    _add_uses(commands)

    command = commands.add_parser("digits", help="write the digits that come with minigrad as a workbook")
    command.add_argument("file", metavar="FILE.xlsx", help="the workbook to write")
    command.add_argument("--force", action="store_true", help="replace a file that exists")
    command.set_defaults(command=digits)

    command = commands.add_parser("check", help="prove the derivatives of a layer of your own")
    command.add_argument("layer", metavar="MODULE:NAME", help="a layer, or a callable without arguments that makes one")
    command.set_defaults(command=check)

    command = commands.add_parser("export", help="write a saved model as an ONNX file, verified", allow_abbrev=False)
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")
    command.add_argument("file", metavar="FILE.onnx", help="the file to write")
    command.add_argument(
        "--data", metavar="DATA", help=f"rows to compare on: a table, a workbook, or {DIGITS}; else random ones"
    )
    _add_sheets(command)
    command.add_argument("--force", action="store_true", help="replace a file that exists")
    command.set_defaults(command=export)
    return parser


def _command(commands: Any, name: str, function: Any, help: str, description: str) -> Any:
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(command=function)
    return command


def _add_train(commands: Any) -> None:
    command = _command(
        commands,
        "train",
        train,
        "train a network on a table, a workbook or the digits",
        "Train a network, and measure it on rows that it has not seen. DATA is one of:\n"
        "  a table with a header, FILE.csv, FILE.tsv or a sheet of FILE.xlsx, with --target COLUMN;\n"
        f"  a workbook FILE.xlsx with a sheet of numbers and one of labels, without headers; the word {DIGITS}.",
    )
    table = f"{','.join(map(str, HIDDEN))} relu adam {EPOCHS}".split()
    command.add_argument("data", metavar="DATA", help=f"a table, a workbook, or the word {DIGITS}")
    add = command.add_argument
    add("--target", metavar="COLUMN", help="the column to predict, of a table with a header")
    add("--sheet", metavar="NAME", help="the sheet of the table (default: the first)")
    add("--task", choices=("classification", "regression"), help="what the target is (default: found out, and said)")
    add("--x", metavar="SHEET", help="the sheet of numbers (default: X)")
    add("--y", metavar="SHEET", help="the sheet of labels (default: y)")
    add("--hidden", type=_widths, metavar="WIDTHS", help=f"of hidden layers, as in 64,32 (25; for a table {table[0]})")
    add("--activation", choices=ACTIVATIONS, help=f"of the hidden layers (sigmoid; for a table {table[1]})")
    add(
        "--epochs", type=_count, metavar="N", help=f"passes over the training rows (20; for a table {table[3]} at most)"
    )
    add("--batch-size", type=_count, metavar="N", help="rows per step (default: 32)")
    add("--optimizer", choices=OPTIMIZERS, help=f"the rule of the steps (sgd; for a table {table[2]})")
    add("--learning-rate", type=_rate, metavar="RATE", help=f"default: {SGD_RATE} for sgd, else the optimizer's own")
    add("--l2", type=_penalty, metavar="L2", help="penalty on the weights' squares (1 / rows; for a table 0.001)")
    add("--seed", type=_seed, default=0, metavar="N", help="of the split, the first weights, the order (default: 0)")
    add("--test-size", type=_fraction, default=0.2, metavar="SHARE", help="share of rows held out (default: 0.2)")
    add(
        "--seeds", type=_count, default=1, metavar="N", help="train with so many seeds, and tell how far results spread"
    )
    add("--out", metavar="DIR", help=f"the folder to write the model to, as {jobs.MODEL}, and {jobs.REPORT}")
    add("--resume", action="store_true", help="go on with the training in DIR, bit for bit as if it had not stopped")
    add("--force", action="store_true", help="replace the model in DIR")
    add("--json", action="store_true", help="print the results as one JSON object")


def _add_uses(commands: Any) -> None:
    command = _command(
        commands,
        "predict",
        jobs.predict,
        "write a copy of a table with a model's predictions",
        "Write a copy of DATA with the prediction for each row and, for labels, the probability of each. Columns are\n"
        "found by their names. A copy of a workbook keeps other sheets, formats and formulas; what it can't is said.",
    )
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")
    command.add_argument("data", metavar="DATA", help="a table or workbook like the one that it was trained on")
    command.add_argument("--out", metavar="FILE", required=True, help="the file to write: .xlsx, .csv or .tsv")
    command.add_argument("--force", action="store_true", help="replace a file that exists")
    _add_sheets(command)

    command = _command(
        commands,
        "evaluate",
        jobs.evaluate,
        "measure a model on rows with known answers",
        "Measure a model on rows with known answers. They should be rows that it was not trained on.",
    )
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")
    command.add_argument("data", metavar="DATA", help=f"a table or workbook with the answers, or the word {DIGITS}")
    _add_sheets(command)
    command.add_argument("--json", action="store_true", help="print the results as one JSON object")

    command = _command(
        commands,
        "show",
        jobs.show,
        "tell what is in the file of a model",
        "Tell the layers of a model, what each column becomes, its classes, and how it was trained.",
    )
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")


def _add_sheets(command: Any) -> None:
    command.add_argument(
        "--sheet", metavar="NAME", help="the sheet of the table (default: the training's, or the first)"
    )
    command.add_argument("--x", metavar="SHEET", help="the sheet of numbers without a header (default: the training's)")
    command.add_argument("--y", metavar="SHEET", help="the sheet of labels without a header (default: the training's)")


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)


def _count(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _widths(text: str) -> list[int]:
    return [_whole(width.strip(), 1) for width in text.split(",")]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def _rate(text: str) -> float:
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _penalty(text: str) -> float:
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _fraction(text: str) -> float:
    if not 0 < (number := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return number

"""The command `minigrad`: from a workbook to a trained network and an honest word about it.

Results go to stdout, progress and errors to stderr. What the user can set right is one line, `minigrad: …`, and the
exit status 2; a layer that `check` finds wrong gives 1, Ctrl-C 130, a reader that went away (`| head`) 141.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minigrad.data.digits import load_digits
from minigrad.data.split import train_test_split
from minigrad.data.workbook import cell_name, read_workbook, write_workbook
from minigrad.layer import Layer
from minigrad.layers.activations import ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, Softplus, Swish, Tanh
from minigrad.layers.dense import Dense
from minigrad.losses import BinaryCrossEntropy
from minigrad.metrics import classification_report, confusion_matrix, majority_baseline
from minigrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.report import Result, as_json, summary
from minigrad.sequential import Sequential
from minigrad.testing import GradientError, check_layer
from minigrad.training import DivergenceError

DIGITS = "digits"
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
SGD_RATE = 0.5  # at SGD's own default, 0.01, 20 epochs of this network are far too few
LARGE = 30  # sizes of x from which sigmoids are flat, and training hardly moves

EXAMPLES = """\
examples:
  minigrad train digits                 train the tutorial's network on the digits that come with minigrad
  minigrad digits digits.xlsx           write these digits as a workbook: sheet X the pixels, sheet y the labels
  minigrad train digits.xlsx            the same from a workbook of your own
  minigrad train digits --hidden 64,32 --activation relu --optimizer adam
  minigrad check mylayers:Scale         prove the derivatives of a layer of your own
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
    started = time.perf_counter()
    name, x, labels = _read(options)
    read = time.perf_counter()

    classes = np.unique(labels)
    _refuse_impossible_split(name, len(x), len(classes), options.test_size)
    x_train, x_test, train_labels, test_labels = train_test_split(
        x, labels, test_size=options.test_size, seed=options.seed
    )
    model = _network(x.shape[1], options.hidden, ACTIVATIONS[options.activation], len(classes), options.seed)
    rate = options.learning_rate or (SGD_RATE if options.optimizer == "sgd" else None)
    optimizer = OPTIMIZERS[options.optimizer](**({} if rate is None else {"learning_rate": rate}))
    l2 = 1 / len(x_train) if options.l2 is None else options.l2
    history = model.fit(
        x_train,
        train_labels,
        loss=BinaryCrossEntropy(),
        optimizer=optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        l2=l2,
        seed=options.seed,
    )
    trained = time.perf_counter()

    predicted = model.predict_classes(x_test)
    most, counts = np.unique(train_labels, return_counts=True)
    result = Result(
        data=name,
        features=x.shape[1],
        layers=[repr(layer) for layer in model],
        parameters=model.theta.size,
        settings={
            "hidden": options.hidden,
            "activation": options.activation,
            "batch_size": options.batch_size,
            "optimizer": options.optimizer,
            "learning_rate": optimizer.rate(0),
            "l2": l2,
            "seed": options.seed,
            "test_size": options.test_size,
        },
        losses=history.loss,
        train_matrix=confusion_matrix(train_labels, model.predict_classes(x_train), classes),
        held_out_matrix=confusion_matrix(test_labels, predicted, classes),
        held_out=classification_report(test_labels, predicted, classes),
        majority=most[counts.argmax()],
        baseline=majority_baseline(train_labels, test_labels),
        reading_seconds=read - started,
        training_seconds=trained - read,
        seconds=time.perf_counter() - started,
    )
    print(json.dumps(as_json(result)) if options.json else summary(result))
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


# ------------------------------------------------------------------------------------------- what commands share
def _read(options: argparse.Namespace) -> tuple[str, Any, Any]:
    """(a name for the data, x, labels), checked to be something that classes can be learned from."""
    if options.data == DIGITS:
        return "the digits that come with minigrad", *load_digits()
    if not Path(options.data).exists():
        raise ValueError(f"{options.data}: there is no such file (DATA is a workbook FILE.xlsx, or the word {DIGITS})")
    x, labels = read_workbook(options.data, options.x, options.y)
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


def _refuse_impossible_split(name: str, rows: int, classes: int, test_size: float) -> None:
    """Raise ValueError where there is nothing to tell apart, or no way to train and to test."""
    if classes < 2:
        raise ValueError(f"{name}: all labels are the same; there must be two classes at least")
    held_out, possible = round(test_size * rows), rows - classes
    if not 1 <= held_out <= possible:
        raise ValueError(
            f"{name}: --test-size {test_size:g} of {rows} rows is {held_out} rows to hold out; one row of each of the "
            f"{classes} classes stays in training, so from 1 to {possible} are possible"
        )


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

    command = commands.add_parser("digits", help="write the digits that come with minigrad as a workbook")
    command.add_argument("file", metavar="FILE.xlsx", help="the workbook to write")
    command.add_argument("--force", action="store_true", help="replace a file that exists")
    command.set_defaults(command=digits)

    command = commands.add_parser("check", help="prove the derivatives of a layer of your own")
    command.add_argument("layer", metavar="MODULE:NAME", help="a layer, or a callable without arguments that makes one")
    command.set_defaults(command=check)
    return parser


def _add_train(commands: Any) -> None:
    command = commands.add_parser(
        "train",
        help="train a network on a workbook or on the digits",
        description="Train a network of sigmoids, one for each class, and measure it on rows that it has not seen.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "data",
        metavar="DATA",
        help=f"the word {DIGITS}, or a workbook FILE.xlsx with a sheet of numbers and a sheet of labels, no headers",
    )
    add = command.add_argument
    add("--x", default="X", metavar="SHEET", help="the sheet of numbers (default: X)")
    add("--y", default="y", metavar="SHEET", help="the sheet of labels (default: y)")
    add(
        "--hidden", type=_widths, default=[25], metavar="WIDTHS", help="of the hidden layers, as in 64,32 (default: 25)"
    )
    add("--activation", choices=ACTIVATIONS, default="sigmoid", help="of the hidden layers (default: sigmoid)")
    add("--epochs", type=_count, default=20, metavar="N", help="passes over the training rows (default: 20)")
    add("--batch-size", type=_count, default=32, metavar="N", help="rows per step (default: 32)")
    add("--optimizer", choices=OPTIMIZERS, default="sgd", help="the rule of the steps (default: sgd)")
    add("--learning-rate", type=_rate, metavar="RATE", help=f"default: {SGD_RATE} for sgd, else the optimizer's own")
    add("--l2", type=_penalty, metavar="L2", help="penalty on the weights' squares (default: 1 / training rows)")
    add("--seed", type=_seed, default=0, metavar="N", help="of the split, the first weights, the order (default: 0)")
    add("--test-size", type=_fraction, default=0.2, metavar="SHARE", help="share of rows held out (default: 0.2)")
    add("--json", action="store_true", help="print the results as one JSON object")
    command.set_defaults(command=train)


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

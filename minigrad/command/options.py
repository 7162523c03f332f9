"""The command line: what can be asked of each command, how it is checked, and what --help says of it."""

from __future__ import annotations

import argparse
import difflib
from dataclasses import fields
from typing import Any, NoReturn

from minigrad.command.checks import count
from minigrad.command.folder import MODEL, REPORT
from minigrad.command.others import check, digits, export
from minigrad.command.settings import FOR_SHEETS, FOR_TABLES, Settings
from minigrad.command.sources import DIGITS
from minigrad.command.train import train
from minigrad.command.use import evaluate, predict, show

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


def command_parser() -> argparse.ArgumentParser:
    """What reads the command line: its result's `command` is the function to call with it."""
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
    _add_model(command)
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
    command.add_argument("data", metavar="DATA", help=f"a table, a workbook, or the word {DIGITS}")
    add = command.add_argument
    add("--target", metavar="COLUMN", help="the column to predict, of a table with a header")
    add("--sheet", metavar="NAME", help="the sheet of the table (default: the first)")
    add("--task", choices=("classification", "regression"), help="what the target is (default: found out, and said)")
    add("--x", metavar="SHEET", help="the sheet of numbers (default: X)")
    add("--y", metavar="SHEET", help="the sheet of labels (default: y)")
    for setting in fields(Settings):
        customary = [_word(getattr(settings, setting.name)) for settings in (FOR_SHEETS, FOR_TABLES)]
        words = setting.metadata["help"].format(sheets=customary[0], tables=customary[1])
        add(f"--{setting.name.replace('_', '-')}", **setting.metadata | {"help": words})
    add("--seeds", type=count, default=1, metavar="N", help="train with so many seeds, and tell how far results spread")
    add("--out", metavar="DIR", help=f"the folder to write the model to, as {MODEL}, and {REPORT}")
    add("--resume", action="store_true", help="go on with the training in DIR, bit for bit as if it had not stopped")
    add("--force", action="store_true", help="replace the model in DIR")
    add("--json", action="store_true", help="print the results as one JSON object")


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _add_uses(commands: Any) -> None:
    command = _command(
        commands,
        "predict",
        predict,
        "write a copy of a table with a model's predictions",
        "Write a copy of DATA with the prediction for each row and, for labels, the probability of each. Columns are\n"
        "found by their names. A copy of a workbook keeps other sheets, formats and formulas; what it can't is said.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help="a table or workbook like the one that it was trained on")
    command.add_argument("--out", metavar="FILE", required=True, help="the file to write: .xlsx, .csv or .tsv")
    command.add_argument("--force", action="store_true", help="replace a file that exists")
    _add_sheets(command)

    command = _command(
        commands,
        "evaluate",
        evaluate,
        "measure a model on rows with known answers",
        "Measure a model on rows with known answers. They should be rows that it was not trained on.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"a table or workbook with the answers, or the word {DIGITS}")
    _add_sheets(command)
    command.add_argument("--json", action="store_true", help="print the results as one JSON object")

    command = _command(
        commands,
        "show",
        show,
        "tell what is in the file of a model",
        "Tell the layers of a model, what each column becomes, its classes, and how it was trained.",
    )
    _add_model(command)


def _add_model(command: Any) -> None:
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")


def _add_sheets(command: Any) -> None:
    command.add_argument(
        "--sheet", metavar="NAME", help="the sheet of the table (default: the training's, or the first)"
    )
    command.add_argument("--x", metavar="SHEET", help="the sheet of numbers without a header (default: the training's)")
    command.add_argument("--y", metavar="SHEET", help="the sheet of labels without a header (default: the training's)")

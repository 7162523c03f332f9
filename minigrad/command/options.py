"""The command line: what can be asked of each command, how it is checked, and what --help says of it."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn

from minigrad.data.messages import did_you_mean
from minigrad.results.baselines import ROWS_OF_TREES
from minigrad.tables.jobs import jobs
from minigrad.tables.read import DIGITS
from minigrad.tables.settings import FOR_SHEETS, FOR_TABLES, Settings, count
from minigrad.tables.writing.outputs import MODEL, REPORT
from minigrad.version import __version__

EXAMPLES = """\
examples:
  minigrad train digits                 train the tutorial's network on the digits that come with minigrad
  minigrad digits digits.xlsx           write these digits as a workbook: sheet X the pixels, sheet y the labels
  minigrad train digits.xlsx            the same from a workbook of your own
  minigrad train digits --hidden 64,32 --activation relu --optimizer adam
  minigrad sample penguins penguins.csv write a small table to begin with
  minigrad train penguins.csv --target species --out penguins
                                        learn to tell a column of a table from the others, and keep the model
  minigrad predict penguins new.xlsx --out predicted.xlsx
                                        a copy of new.xlsx with the predictions and their probabilities
  minigrad evaluate penguins test.csv   how good the model is on rows whose species is known
  minigrad explain penguins test.csv    which columns matter, and how
  minigrad show penguins                its layers, what each column becomes, how it was trained
  minigrad lesson 1 --out mine.py       learn backpropagation; minigrad lesson 1 mine.py grades your answer
  minigrad check "mylayers:Scale(3)"    prove the derivatives of a layer of your own
  minigrad derive "mylayers:Scale(3)"   write them, from its forward alone
  minigrad export penguins model.onnx --data penguins.csv
"""


# ---------------------------------------------------------------------------------------------------------- parser
class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Here, where the command is known, what it does not know is refused: its own --help is the one to look at."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = difflib.get_close_matches(unknown[0].partition("=")[0], self._option_string_actions, 1, 0.7)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + "".join(f"; is {n} meant?" for n in near))
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """One line, with the choice that was meant where a word is none of them."""
        if found := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            message += did_you_mean(found[1], re.findall(r"[\w-]+", found[2]))
        raise ValueError(f"{message} (see {self.prog} --help)")


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The options of one `command`. Raises ValueError for what is none."""
    return _parser().parse_args(arguments)


def _parser() -> _Parser:
    parser = _Parser(
        prog="minigrad",
        description="Train a small neural network, and learn honestly how good it is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"minigrad {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    _add_train(commands)

    _add_uses(commands)

    command = _command(
        commands,
        "open",
        "lay a training step of a model open, as a page or a workbook",
        "Write the training step that a model would make with some rows of DATA: every number of it, what\n"
        "it is made of, and what happens when one of them is changed.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"a table or workbook with the answers, or the word {DIGITS}")
    command.add_argument("--rows", type=count, default=4, metavar="N", help="so many rows of DATA (default: 4)")
    command.add_argument("--out", metavar="FILE", required=True, help="the file to write: .html or .xlsx")
    _add_force(command)
    _add_sheets(command)

    command = commands.add_parser("digits", help="write the digits that come with minigrad as a workbook")
    command.add_argument("file", metavar="FILE.xlsx", help="the workbook to write")
    _add_force(command)

    command = commands.add_parser("sample", help="write a small table to begin with: penguins, weather or crashes")
    command.add_argument("name", metavar="NAME", help="penguins (classes), weather (numbers, dates), crashes (rare)")
    command.add_argument("file", metavar="FILE", help="the file to write: .csv, .xlsx or .parquet")
    _add_force(command)

    for name, help in (
        ("check", "prove the derivatives of a layer, loss or optimizer of your own"),
        ("derive", "write the backward of a layer from its forward, as NumPy to paste"),
    ):
        command = commands.add_parser(name, help=help)
        command.add_argument("layer", metavar="MODULE:NAME", help='or FILE.py:NAME: "mylayers:Scale(3)"')
        if name == "check":
            of_input = "shapes that it is tried at, as 4x5; 5:3 for 5 labels below 3, which are passed as they are"
            command.add_argument("--input", metavar="SHAPE", nargs="+", default=[], help=of_input)

    command = _command(
        commands,
        "lesson",
        "learn backpropagation: print a lesson, or grade its exercise",
        "Ten lessons, from one neuron to a small transformer. Without N, their titles; with N, the lesson; with FILE,\n"
        "what is to be said of the exercise as it is solved there; with several, as of a class, of each, and how\n"
        "many are right. The exit status is 1 where one is not right. What runs for more than 10 s is stopped.",
    )
    command.add_argument("number", metavar="N", type=count, nargs="?", help="the lesson, from 1 on")
    command.add_argument("files", metavar="FILE", nargs="*", help="the script or notebook with your answer, or several")
    command.add_argument("--out", metavar="FILE", help="write the lesson to FILE: .py, or .ipynb for a notebook")
    _add_force(command)
    _add_json(command)

    command = commands.add_parser(
        "export", help="write a saved model as an ONNX file, a workbook or a page", allow_abbrev=False
    )
    _add_model(command)
    command.add_argument("file", metavar="FILE", help="the file to write: .onnx, .xlsx or .html")
    command.add_argument(
        "--data",
        metavar="DATA",
        help=f"rows to compare on, or to show: a table, a workbook, or {DIGITS}; else random ones",
    )
    _add_sheets(command)
    _add_force(command)
    return parser


def _command(commands: Any, name: str, help: str, description: str) -> Any:
    examples = re.findall(rf"^  minigrad {name} .*\n(?: {{10}}.*\n)*", EXAMPLES, re.M)
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog="examples:\n" + "".join(examples) if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_train(commands: Any) -> None:
    command = _command(
        commands,
        "train",
        "train a network on a table, a workbook or the digits",
        "Train a network, and measure it on rows that it has not seen. DATA is one of:\n"
        "  a table with a header, FILE.csv, .tsv, .parquet, .feather or a sheet of FILE.xlsx or .ods, with --target\n"
        "  COLUMN;\n"
        f"  a workbook FILE.xlsx with a sheet of numbers and one of labels, without headers; the word {DIGITS}.",
    )
    command.add_argument("data", metavar="DATA", help=f"a table, a workbook, or the word {DIGITS}")
    add = command.add_argument
    add("--target", metavar="COLUMN", help="the column to predict, of a table with a header")
    add("--sheet", metavar="NAME", help="the sheet of the table (default: the first that has one)")
    add("--task", choices=("classification", "regression"), help="what the target is (default: found out, and said)")
    _add_reading(add)
    _add_stream(add)
    several: dict[str, Any] = {"action": "append", "metavar": "COLUMN", "default": []}
    add("--drop", help="do not learn from this column (may be repeated)", **several)
    add("--keep", help="use this column though it looks like an identifier or free text", **several)
    add("--as-number", help="this column holds numbers: what is none is missing", **several)
    add("--as-category", help="this column holds categories, though they are written as numbers", **several)
    add("--decimal", choices=(".", ","), help="the decimal mark where columns don't tell (1,234 may be 1234 or 1.234)")
    add("--date-order", choices=("dmy", "mdy"), help="the order of day and month where dates don't tell")
    add("--split-by", metavar="COLUMN", help="hold out the rows with the latest values of this column")
    add("--group", metavar="COLUMN", help="hold out whole groups: rows with one value here stay together")
    add("--x", metavar="SHEET", help="the sheet of numbers (default: X)")
    add("--y", metavar="SHEET", help="the sheet of labels (default: y)")
    for setting in fields(Settings):
        customary = [_word(getattr(settings, setting.name)) for settings in (FOR_SHEETS, FOR_TABLES)]
        words = setting.metadata["help"].format(*customary)
        add(f"--{setting.name.replace('_', '-')}", **setting.metadata | {"help": words})
    add(
        "--trees",
        action=argparse.BooleanOptionalAction,
        help=f"compare with scikit-learn's boosted trees, too (default: from {ROWS_OF_TREES:,} training rows on)",
    )
    add("--seeds", type=count, default=1, metavar="N", help="train with so many seeds, and tell how far results spread")
    add(
        "--jobs",
        type=jobs,
        default=1,
        metavar="M",
        help="so many of these trainings at once, or a Dask scheduler's address",
    )
    add("--tune", type=count, metavar="N", help="try N settings by cross-validation inside the training rows")
    add("--final", action="store_true", help="once measured, train again on all rows, and keep that network")
    add("--out", metavar="DIR", help=f"the folder to write the model to, as {MODEL}, and {REPORT}")
    add("--resume", action="store_true", help="go on with the training in DIR, bit for bit as if it had not stopped")
    add("--force", action="store_true", help="replace the model in DIR")
    _add_json(command)


def _add_stream(add: Callable[..., Any]) -> None:
    add("--stream", action="store_true", help="read a Parquet file in pieces, since memory does not hold it")


def _add_reading(add: Callable[..., Any]) -> None:
    add("--encoding", metavar="NAME", help="of a text file, such as cp1252 (default: found out, and said)")
    add("--header-row", type=count, metavar="N", help="the row with the names of the columns (default: found out)")


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _add_uses(commands: Any) -> None:
    command = _command(
        commands,
        "predict",
        "write a copy of a table with a model's predictions",
        "Write a copy of DATA with the prediction for each row and, for labels, the probability of each. Columns are\n"
        "found by their names. A copy of a workbook keeps other sheets, formats and formulas; what it can't is said.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help="a table or workbook like the one that it was trained on")
    command.add_argument(
        "--out", metavar="FILE", required=True, help="the file to write: .xlsx, .csv, .tsv, .parquet, .feather or .ods"
    )
    command.add_argument(
        "--explain", action="store_true", help="write beside each prediction what each column does to it"
    )
    _add_force(command)
    _add_sheets(command)
    _add_stream(command.add_argument)

    command = _command(
        commands,
        "evaluate",
        "measure a model on rows with known answers",
        "Measure a model on rows with known answers. They should be rows that it was not trained on.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help=f"a table or workbook with the answers, or the word {DIGITS}")
    _add_sheets(command)
    _add_stream(command.add_argument)
    _add_json(command)

    command = _command(
        commands,
        "explain",
        "tell which columns of a table matter to a model",
        "Tell which columns matter: what the score loses where a column is shuffled, and how the answers go with the\n"
        "leading ones. DATA has known answers, of rows that the model was not trained on.",
    )
    _add_model(command)
    command.add_argument("data", metavar="DATA", help="a table with the answers")
    _add_sheets(command)
    command.add_argument("--out", metavar="FILE.html", help="write it as a page, too")
    _add_force(command)
    _add_json(command)

    command = _command(
        commands,
        "show",
        "tell what is in the file of a model",
        "Tell the layers of a model, what each column becomes, its classes, and how it was trained.",
    )
    _add_model(command)


def _add_force(command: Any) -> None:
    command.add_argument("--force", action="store_true", help="replace a file that exists")


def _add_json(command: Any) -> None:
    command.add_argument("--json", action="store_true", help="print the results as one JSON object")


def _add_model(command: Any) -> None:
    command.add_argument("model", metavar="MODEL", help="the file of a model, or the folder that train --out wrote")


def _add_sheets(command: Any) -> None:
    command.add_argument(
        "--sheet", metavar="NAME", help="the sheet of the table (default: the training's, or the first)"
    )
    _add_reading(command.add_argument)
    command.add_argument("--x", metavar="SHEET", help="the sheet of numbers without a header (default: the training's)")
    command.add_argument("--y", metavar="SHEET", help="the sheet of labels without a header (default: the training's)")

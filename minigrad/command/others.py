"""`minigrad digits`, `sample`, `check`, `derive`, `export`: data to begin with, your own layers, models elsewhere."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigrad import spreadsheet, webpage
from minigrad.command.models import model_file
from minigrad.data import samples
from minigrad.data.digits import load_digits
from minigrad.derivation import DerivationError
from minigrad.layer import Layer
from minigrad.losses import Loss
from minigrad.optimizers import Optimizer
from minigrad.sequential import Sequential
from minigrad.tables.model import TableModel, load
from minigrad.tables.read import DIGITS, read_rows
from minigrad.tables.sources import with_source
from minigrad.tables.writing.outputs import refuse_output
from minigrad.tables.writing.workbook import write_workbook
from minigrad.testing import GradientError, check_layer, check_loss, check_optimizer
from minigrad.testing.derived import derive as derive_backward

CHECKS: dict[type, Callable[[Any], Any]] = {Layer: check_layer, Loss: check_loss, Optimizer: check_optimizer}


def digits(options: argparse.Namespace) -> int:
    """`minigrad digits FILE.xlsx`: the embedded digits as a workbook in the tutorial's format."""
    path = Path(options.file)
    if path.suffix.lower() != ".xlsx":
        raise ValueError(f"{path}: the name of a workbook ends in .xlsx")
    refuse_output(path, options.force)
    x, labels = load_digits()
    write_workbook(path, x, labels, overwrite=options.force, progress=sys.stderr.isatty())
    print(f"{path}: sheet X has {len(x):,} digits of {x.shape[1]} pixels, sheet y their labels (10 is the digit 0)")
    return 0


def sample(options: argparse.Namespace) -> int:
    """`minigrad sample NAME FILE`: a small table to begin with."""
    path = Path(options.file)
    refuse_output(path, options.force)
    written = samples.write(options.name, path)
    print(f"{path}: {written.about}\nsource    {written.source}\nlicence   {written.licence}")
    print(f"next      minigrad train {path} --target {written.target} --out {path.with_suffix('')}")
    return 0


def check(options: argparse.Namespace) -> int:
    """`minigrad check MODULE:NAME`: prove a layer, loss or optimizer of the user's own, or say what is wrong."""
    found = _imported(options.layer, *CHECKS)
    proof = next(proof for kind, proof in CHECKS.items() if isinstance(found, kind))
    try:
        print(proof(found))
    except GradientError as error:
        print(f"minigrad: {error}", file=sys.stderr)
        return 1
    return 0


def derive(options: argparse.Namespace) -> int:
    """`minigrad derive MODULE:NAME`: the backward of a layer of the user's own, from its forward, and its proof."""
    try:
        derived = derive_backward(_imported(options.layer, Layer))
    except DerivationError as error:
        raise ValueError(str(error)) from error
    print(derived)
    try:
        derived.prove()
    except GradientError as error:
        print(f"minigrad: with this backward, {error}", file=sys.stderr)
        return 1
    print(f"# {derived.layer!r} with this backward: right, as minigrad check proves it")
    return 0


def _imported(place: str, *kinds: type) -> Any:
    """The layer at MODULE:NAME, or FILE.py:NAME, an instance or what makes one; NAME(…) gives it arguments."""
    parts = re.fullmatch(r"(.+?):([^\W\d]\w*)(\(.*)?", place, re.DOTALL)
    module_name, name, parenthesis = parts.groups(default="") if parts else ("", "", "")
    called, folder = name + parenthesis, os.getcwd()
    if module_name.endswith(".py"):
        if not Path(module_name).is_file():
            raise ValueError(f"there is no file {module_name}")
        folder, module_name = str(Path(module_name).resolve().parent), Path(module_name).stem
    if not name:
        raise ValueError(
            f'{place!r} does not name a layer: write MODULE:NAME or FILE.py:NAME, as in "mylayers:Scale(3)"'
        )
    arguments, named = _arguments(place, called) if parenthesis else ([], {})
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # a lesson's page prints; what is printed here may be pasted
            module = importlib.import_module(module_name)
    except Exception as error:
        raise ValueError(f"{module_name} can't be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ValueError(f"{module_name} has no {name!r}")
    found = getattr(module, name)
    if not isinstance(found, kinds) and callable(found):
        try:
            found = found(*arguments, **named)
        except Exception as error:
            made = place if parenthesis else f"{place}()"
            raise ValueError(
                f"{made} failed: {type(error).__name__}: {error}; "
                f'name an instance, or give the arguments that it takes, as in "{module_name}:{name}(3)"'
            ) from error
    if not isinstance(found, kinds):
        raise ValueError(f"{place} is not a {' or '.join(kind.__name__.lower() for kind in kinds)} but {found!r:.100}")
    return found


def _arguments(place: str, called: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments in NAME(…): numbers, texts and the like, as Python writes them."""
    try:
        call: Any = ast.parse(called, mode="eval").body
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        return [ast.literal_eval(each) for each in call.args], named
    except (SyntaxError, ValueError, AttributeError) as error:
        raise ValueError(f'{place!r}: arguments are numbers and texts, as in "mylayers:Scale(3)"') from error


def export(options: argparse.Namespace) -> int:
    """`minigrad export MODEL FILE`: by its ending as an ONNX file, once onnxruntime agrees, a workbook or a page."""
    ending = Path(options.file).suffix.lower()
    if ending in (".xlsx", ".html", ".htm"):
        return _export_without_python(options, ending)
    if ending != ".onnx":
        raise ValueError(f"{options.file}: give it a name that ends in .onnx, .xlsx or .html: that says what to write")
    try:
        from minigrad.onnx import export as write
    except ImportError as error:
        raise ValueError(str(error)) from error
    refuse_output(options.file, options.force)
    model = load(model_file(options.model))
    x = None if options.data is None else _rows_to_compare(model, options)
    difference = write(model, options.file, x)
    rows = "random rows" if x is None else f"the {len(x):,} rows of {options.data}"
    print(f"{options.file}: on {rows}, onnxruntime's answers differ from the model's by {difference:.2g} at most")
    if isinstance(model, TableModel):
        print(
            'It takes the table\'s columns by name, each (rows, 1): float64, NaN where missing; text, "" where missing'
        )
    return 0


def _export_without_python(options: argparse.Namespace, ending: str) -> int:
    """The model as a workbook with live formulas, or as a page: for people without Python."""
    refuse_output(options.file, options.force)
    model = load(model_file(options.model))
    rows = None if options.data is None else _rows_to_compare(model, options)
    if ending == ".xlsx":
        spreadsheet.export(model, options.file, rows if rows is None else rows[: spreadsheet.MOST_ROWS])
        number = 0 if rows is None else min(len(rows), spreadsheet.MOST_ROWS)
        filled = f"{number:,} rows of {options.data}" if number else "rows to be filled in"
        print(f"{options.file}: a workbook of formulas with {filled}; begin at sheet Predict")
    else:
        webpage.export(model, options.file, rows)
        print(f"{options.file}: a page that answers offline, in any browser")
    return 0


def _rows_to_compare(model: Sequential | TableModel, options: argparse.Namespace) -> Any:
    """The rows of --data as the model takes them."""
    if options.data == DIGITS and not isinstance(model, TableModel):
        return load_digits()[0]
    rows = read_rows(model, options)
    rows.tell()
    if isinstance(model, TableModel):
        with with_source(rows.where):  # `export` would not name the data
            model.encode(rows.x)
    return rows.x

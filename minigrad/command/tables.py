"""`minigrad train`, `predict`, `evaluate`, `explain` and `show`: arguments in, text or JSON out."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

from minigrad.command.models import load_model, model_file, refuse_ranks
from minigrad.data.messages import no_such_file, shown
from minigrad.results.columns import WIDTH
from minigrad.results.messages import amount
from minigrad.results.report import write_explanation
from minigrad.sequential import Sequential
from minigrad.tables.answers import columns_of
from minigrad.tables.evaluation import evaluate as evaluate_rows, evaluate_pieces, explained, trained_on
from minigrad.tables.explain import row_reasons
from minigrad.tables.jobs import busy
from minigrad.tables.model import TableModel, load
from minigrad.tables.network import interrupted
from minigrad.tables.out_of_core import is_larger, predict_large
from minigrad.tables.read import read_rows
from minigrad.tables.settings import Options, Settings
from minigrad.tables.sources import with_source
from minigrad.tables.trained import train as train_on
from minigrad.tables.writing.outputs import MODEL, REPORT, refuse_output
from minigrad.tables.writing.predictions import check_output, write_beside, write_sheet

SETTINGS = {each.name for kind in (Options, Settings) for each in fields(kind)} - {"data", "target", "settings"}


def train(options: argparse.Namespace) -> int:
    """`minigrad train DATA`: hold rows out, train on the others, tell how good the network is on both."""
    refuse_ranks()
    if options.final and options.out is None:
        raise ValueError("--final keeps a network of all rows, so it needs --out DIR")
    found = train_on(
        options.data, options.target, **{name: value for name, value in vars(options).items() if name in SETTINGS}
    )
    if options.json:
        print(json.dumps(found.to_json()))
        return 0
    print(found)
    if found.files is not None:
        print(f"model     {found.files / MODEL}\nreport    {found.files / REPORT}")
    return 0


def predict(options: argparse.Namespace) -> int:
    """`minigrad predict MODEL DATA --out FILE`: a copy of the data with the network's answers beside the rows."""
    source, out = Path(options.data), Path(options.out)
    if is_larger(options.data, options.stream):
        if options.explain:
            raise ValueError(f"--explain is for tables that memory holds; take a part of {options.data}")
        number, names = predict_large(table_model(options), options.data, out, force=options.force)
        print(f"{out}: {number:,} rows of {source} with {shown(names)}")
        return 0
    if not source.exists():
        raise ValueError(no_such_file(source))
    check_output(source, out, options.force)
    model = load_model(options.model)
    rows = read_rows(model, options)
    found = rows.answered_by(model)
    rows.tell(rows.surprises(model))
    columns = columns_of(model, found)
    if options.explain:
        if not isinstance(model, TableModel):
            raise ValueError("--explain tells by the columns of a table with a header; this is a model of sheets")
        with with_source(rows.where):
            columns |= row_reasons(model, rows.x)
    with busy(f"writing {out}"):
        if isinstance(model, TableModel) and rows.table is not None:
            lost = write_beside(rows.table, rows.reading, columns, out)
        else:
            lost = write_sheet(source, columns, out)
    print(f"{out}: {len(found.values):,} rows of {source} with {shown(columns)}")
    for what in lost:
        print(f"minigrad: note: {out} does not keep: {what}", file=sys.stderr)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """`minigrad evaluate MODEL DATA`: how good the network's answers are about rows with known ones."""
    if is_larger(options.data, options.stream):
        found = evaluate_pieces(table_model(options), options.data)
    else:
        model = load_model(options.model)
        rows = read_rows(model, options, answered=True)
        rows.tell()
        found = evaluate_rows(model, rows)
    print(json.dumps(found.to_json()) if options.json else found)
    return 0


def explain(options: argparse.Namespace) -> int:
    """`minigrad explain MODEL DATA`: which columns matter, by rows with known answers."""
    out = None if options.out is None else Path(options.out)
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: --out writes a page, so its name ends in .html")
    if out is not None:
        refuse_output(out, options.force)
    model = load_model(options.model)
    if not isinstance(model, TableModel):
        raise ValueError(f"{options.model} is a model of sheets without a header, whose columns have no names to tell")
    rows = read_rows(model, options, answered=True)
    rows.tell()
    rows.refuse_unseen(model)
    found, warnings = explained(model, rows), trained_on(model, rows)
    if options.json:
        print(json.dumps({"data": rows.where} | found.to_json() | {"warnings": warnings}))
    else:
        said = [textwrap.fill(f"warning: {words}", WIDTH) for words in warnings]
        print("\n\n".join([f"data      {rows.where}", str(found), *said]))
    if out is not None:
        write_explanation(rows.where, found, out)
        if not options.json:
            print(f"\npage      {out}")
    return 0


def table_model(options: argparse.Namespace) -> TableModel:
    """The model of a table that --stream or a folder is given to."""
    model = load_model(options.model)
    if not isinstance(model, TableModel):
        raise ValueError(f"{options.model} was not trained on a table with a header, and {options.data} is one")
    return model


def show(options: argparse.Namespace) -> int:
    """`minigrad show MODEL`: the layers, what the columns become, the classes, how it was trained."""
    path = model_file(options.model)
    model = load(path)
    table = model if isinstance(model, TableModel) else None
    network: Sequential = model if table is None else table.network
    print(f"{path}\n\n{network.summary()}")
    if model.classes is not None:
        print(f"\nclasses   {shown(model.classes.tolist())}")
    if table is not None:
        target = table.target
        scale = f", standardised ({amount(target.mean)} ± {amount(target.scale)})"
        units = "" if target.task == "classification" else scale
        print(f"\ntarget    {target.name}: {target.task}{units}\n")
        for name, text in table.preparation.notes():
            print(f"{name}: {text}")
    if said := interrupted(model):
        print(f"\n{said}")
    settings = (network.preparation or {}).get("settings")
    if isinstance(settings, dict):
        print("\ntraining  " + ", ".join(f"{name} {value}" for name, value in settings.items()))
    return 0

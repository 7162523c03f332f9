"""A network as a workbook: in LibreOffice, and by its stored values, it answers as the network does."""

import datetime

import numpy as np
import openpyxl
import pandas as pd
import pytest
from engines import formulas, recalculated, told, values
from trained import CASES, ROWS, of_table

from minigrad import Conv2D, Dense, Flatten, Sequential, TableModel
from minigrad.command.main import main
from minigrad.pages.inference import Answering
from minigrad.spreadsheet import export
from minigrad.tables.answers import Answers, columns_of


def answers_in(book, count, inputs, columns):
    header, *rows = (row[inputs : inputs + len(columns)] for row in book["Rows"][: 1 + count])
    assert header == columns
    return rows


def in_float64(model, rows):
    a = Answering(model)
    x = a.encoded(rows)
    return [a.answer(y) for y in a.model.predict(x)], a


def test_workbooks_answer_as_their_networks_do(tmp_path):
    paths = [tmp_path / f"{name}.xlsx" for name in CASES]
    for (name, make), path in zip(CASES.items(), paths, strict=True):
        model, rows = make()
        export(model, path, rows[:ROWS])
        with told(name):
            check_answers(values(path), name)
            written = formulas(path)
            assert written and all(text.startswith("<f>") for text in written), "ordinary formulas"
            assert not any("{" in text or "setosa" in text for text in written), "without any of the user's words"
    for name, book in zip(CASES, recalculated(paths, tmp_path), strict=True):
        with told(f"{name}, recalculated"):
            check_answers(book, name)


def check_answers(book, name):
    model, rows = CASES[name]()
    rows = rows[:ROWS]
    expected, a = in_float64(model, rows)
    said = TableModel(model).answer(rows) if a.preparation else Answers.of(model, rows)
    assert ("Network 2, layer 1" in book) == (name in ("interval", "threshold")), "which are ensembles"
    found = answers_in(book, len(rows), len(a.names), a.columns())
    if a.regression:
        np.testing.assert_allclose(np.array(found, float), np.array(expected), rtol=1e-12, atol=1e-12)
        columns = columns_of(TableModel(model), said)
        assert list(columns) == a.columns()
        np.testing.assert_allclose(np.array(found, float).T, list(columns.values()), rtol=1e-5)
        return
    assert [f[0] for f in found] == said.values.tolist() == [e[0] for e in expected]
    numbers = np.array([f[1:] for f in found], float)
    np.testing.assert_allclose(numbers, np.array([e[1:] for e in expected], float), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(numbers, said.probabilities, atol=1e-5)


def test_typed_rows_get_the_answers_of_predict(tmp_path):
    model, rows = of_table("classification")
    typed = [
        [5.1, 1.2, "red", "bog", True, datetime.datetime(2020, 2, 29)],
        [5.1, None, None, None, None, None],
        [4.0, 1.0, " Red ", "3", False, datetime.datetime(1900, 3, 1)],
        [4.0, 1.0, "RED", "nowhere", False, datetime.datetime(2021, 12, 31)],
        [3.0, 1.0, "=blue", "+1", False, datetime.datetime(2099, 1, 3)],
        [1e6, -1e6, "red", "@home", True, datetime.datetime(2021, 1, 1)],
        [6.3, "NA", "?", "bog", "n/a", "NA"],
        ["6.3-", "Unknown", "red", "bog", "None", "--"],
    ]
    bad = [["five", 1.0, "red", "bog", True, None], [1.0, 1.0, "red", "bog", "maybe", None]]
    bad.append([1.0, 1.0, "red", "bog", True, "tomorrow"])
    bad += [[text, 1.0, "red", "bog", True, None] for text in ("45%", "1 2", "1,2", "-5-", "5 -", "€5", "1-2")]
    gaps = ("NA", "?", "n/a", "Unknown", "None", "--")
    frame = pd.DataFrame(
        [
            [None if str(v) in gaps else -6.3 if v == "6.3-" else v.strip() if isinstance(v, str) else v for v in row]
            for row in typed
        ],
        columns=rows.columns,
        dtype=object,
    )
    path = tmp_path / "model.xlsx"
    export(model, path)
    book = openpyxl.load_workbook(path)
    sheet = book["Rows"]
    for r, row in enumerate([*typed, *bad], 2):
        for c, value in enumerate(row, 1):
            sheet.cell(r, c).value = value
            if isinstance(value, str):
                sheet.cell(r, c).data_type = "s"
    book.save(path)
    (book,) = recalculated([path], tmp_path)
    expected, a = in_float64(model, frame)
    found = answers_in(book, len(typed) + len(bad) + 1, 6, [*a.columns(), "note"])
    for one, other in zip(found, expected, strict=False):
        assert one[0] == other[0]
        np.testing.assert_allclose(np.array(one[1:-1], float), other[1:], rtol=1e-12, atol=1e-12)
    assert [row[0] for row in found[len(typed) :]] == ["?"] * len(bad) + [None]
    wrong = ["number: petal length", "number: wild", "date: found", *["number: petal length"] * (len(bad) - 3)]
    assert [row[-1] for row in found[len(typed) : -1]] == [f"not a {what}. " for what in wrong]


def test_dates_that_sheets_do_not_have_are_refused(tmp_path):
    model, rows = of_table("regression")
    with pytest.raises(ValueError, match="column 'found' has dates before March 1900"):
        export(model, tmp_path / "model.xlsx", rows.assign(found=pd.Timestamp("1899-12-31")))


def test_labels_that_look_like_formulas_stay_text(tmp_path):
    model, rows = of_table("classification")
    export(model, tmp_path / "model.xlsx", rows[:ROWS])
    book = openpyxl.load_workbook(tmp_path / "model.xlsx")
    cells = [
        cell
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.value in ("=setosa", "=blue", "@home")
    ]
    assert cells and all(cell.data_type == "s" and cell.quotePrefix for cell in cells)


def test_what_cannot_be_a_sheet_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    images = Sequential([Conv2D(1, 2, 3), Flatten(), Dense(8, 2)], input_shape=(4, 4, 1), seed=0)
    with pytest.raises(ValueError, match=r"rows of shape \(4, 4, 1\) are no rows of a sheet"):
        export(images, tmp_path / "model.xlsx")
    monkeypatch.setitem(export.__globals__, "WEIGHTS", 1000)
    wide = Sequential([Dense(50, 30)], seed=0)
    wide.save(tmp_path / "wide.safetensors")
    assert main(["export", str(tmp_path / "wide.safetensors"), str(tmp_path / "wide.xlsx")]) == 2
    assert "1,530 weights" in capsys.readouterr().err
    small = Sequential([Dense(2, 1)], seed=0)
    with pytest.raises(ValueError, match="1,001 rows are more"):
        export(small, tmp_path / "model.xlsx", np.zeros((1001, 2)))
    small.layers[0].W[0, 0] = np.inf
    with pytest.raises(ValueError, match="weights that are not finite"):
        export(small, tmp_path / "model.xlsx")


def test_the_command_exports_a_workbook(tmp_path, capsys):
    model, rows = of_table("classification")
    model.save(tmp_path / "model.safetensors")
    rows[:ROWS].assign(place="bog").to_csv(tmp_path / "rows.csv", index=False)
    arguments = [
        "export",
        str(tmp_path / "model.safetensors"),
        str(tmp_path / "out.xlsx"),
        "--data",
        str(tmp_path / "rows.csv"),
    ]
    assert main(arguments) == 0, capsys.readouterr().err
    assert f"{ROWS} rows" in capsys.readouterr().out

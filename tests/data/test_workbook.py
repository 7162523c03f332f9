"""Workbooks: what is written is read back, and what is wrong is said with its file, sheet and cell."""

import datetime
import gc
import os
import zipfile

import numpy as np
import openpyxl
import pytest
import tqdm
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from openpyxl.chart import BarChart

from minigrad.data import WorkbookError, load_digits, read_workbook, write_workbook
from minigrad.tables.reading.workbooks import cell_name
from tests.systems import posix

LABELS = st.one_of(
    st.lists(st.integers(-(2**52), 2**52), min_size=4, max_size=4),
    st.lists(st.sampled_from(["=A1", "#N/A", "1", "TRUE", " a b ", "é", "2020-01-01"]), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.lists(st.sampled_from([0.5, 1.25, -3.0]), min_size=3, max_size=3).map(lambda some: [0.5, *some]),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("workbooks") / "data.xlsx"


@given(
    x=hnp.arrays(
        np.float32,
        st.tuples(st.just(4), st.integers(1, 5)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    labels=LABELS,
)
def test_what_is_written_is_read_back(path, x, labels):
    write_workbook(path, x, labels, overwrite=True)
    values, read = read_workbook(path)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values.astype(np.float32), x)
    assert read.dtype.kind == np.asarray(labels).dtype.kind
    assert read.tolist() == labels


@given(x=hnp.arrays(np.float64, (4, 3), elements=st.floats(-1e300, 1e300)))
def test_doubles_survive_to_sixteen_digits(path, x):
    write_workbook(path, x, range(4), x_sheet="My sheet", y_sheet="z", overwrite=True)
    np.testing.assert_allclose(read_workbook(path, x="My sheet", y="z")[0], x, rtol=6e-16, atol=0)


def test_digits_come_back_as_the_same_float32(tmp_path):
    x, labels = (part[::250] for part in load_digits())
    write_workbook(tmp_path / "digits.xlsx", x, labels)
    values, read = read_workbook(tmp_path / "digits.xlsx")
    np.testing.assert_array_equal(values.astype(np.float32), x)
    np.testing.assert_array_equal(read, labels)


def test_progress_is_a_bar_only_when_asked_for(tmp_path, capsys):
    write_workbook(tmp_path / "quiet.xlsx", np.zeros((3, 2)), [1, 2, 3])
    assert capsys.readouterr() == ("", "")
    write_workbook(tmp_path / "loud.xlsx", np.zeros((3, 2)), [1, 2, 3], progress=True)
    assert "loud.xlsx: 100%" in capsys.readouterr().err


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "data.xlsx"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"data\.xlsx exists already"):
        write_workbook(path, np.zeros((1, 1)), [1])
    assert path.read_text() == "precious"
    write_workbook(path, np.zeros((1, 1)), [1], overwrite=True)
    assert read_workbook(path)[1].tolist() == [1]


def test_pixels_and_bools_are_written_as_numbers(path):
    for x in (np.array([[0, 255]], np.uint8), np.array([[False, True]])):
        write_workbook(path, x, ["a"], overwrite=True)
        assert read_workbook(path)[0].tolist() == x.tolist()


@posix
def test_a_link_is_followed_and_not_replaced(tmp_path):
    write_workbook(tmp_path / "real.xlsx", np.zeros((1, 1)), [1])
    (tmp_path / "link.xlsx").symlink_to(tmp_path / "real.xlsx")
    write_workbook(tmp_path / "link.xlsx", np.zeros((1, 1)), [2], overwrite=True)
    assert (tmp_path / "link.xlsx").is_symlink()
    assert read_workbook(tmp_path / "real.xlsx")[1].tolist() == [2]


def test_a_missing_folder_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(openpyxl, "Workbook", None)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        write_workbook(tmp_path / "nowhere" / "data.xlsx", np.zeros((1, 1)), [1])


@pytest.mark.parametrize("failure", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure):
    def fail(*arguments):
        raise failure

    (tmp_path / "data.xlsx").write_text("precious")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(failure):
        write_workbook(tmp_path / "data.xlsx", np.zeros((1, 1)), [1], overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["data.xlsx"]
    assert (tmp_path / "data.xlsx").read_text() == "precious"


def test_an_interrupted_write_leaves_no_file(tmp_path, monkeypatch):
    def interrupted(rows, **options):
        yield next(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm, "tqdm", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_workbook(tmp_path / "data.xlsx", np.zeros((2, 1)), [1, 2])
    gc.collect()  # what openpyxl leaves half-written would complain here
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.zeros((2, 1)), [1], r"\(2, 1\) and \(1,\)"),
        (np.zeros(2), [1, 2], r"\(2,\)"),
        (np.array([[0.0, np.nan]]), [1], r"x\[0, 1\] is nan"),
        (np.zeros((1, 16_385)), [1], "does not fit on a sheet"),
        (np.zeros((0, 1)), [], "there are no rows"),
        (np.zeros((2, 1)), np.array(["a", 1], object), "all finite numbers, all text or all bools"),
        (np.zeros((2, 1)), [1, None], "none is missing"),
        (np.zeros((2, 1)), [1, np.inf], "all finite numbers"),
    ],
)
def test_what_no_sheet_can_hold_is_refused(tmp_path, x, labels, message):
    with pytest.raises(ValueError, match=message):
        write_workbook(tmp_path / "data.xlsx", x, labels)
    assert not list(tmp_path.iterdir())


def book_with(x, y, change=lambda book: None):
    """A function that writes a workbook with these rows on sheets X and y."""

    def write(path):
        book = openpyxl.Workbook()
        book.active.title = "X"
        for sheet, rows in ((book["X"], x), (book.create_sheet("y"), y)):
            for row in rows:
                sheet.append(row)
        change(book)
        book.save(path)

    return write


GOOD_X, GOOD_Y = [[1, 2.5], [3, 4], [5, 6]], [[1], [2], [1]]


def x_with(cell, value):
    return book_with(GOOD_X, GOOD_Y, lambda book: book["X"].__setitem__(cell, value))


def y_with(cell, value, y=GOOD_Y):
    return book_with(GOOD_X, y, lambda book: book["y"].__setitem__(cell, value))


def text(content):
    return lambda path: path.write_bytes(content)


def edited(change, part="xl/worksheets/sheet1.xml"):
    """A good workbook with one part of its archive changed, or left out where the change gives None."""

    def write(path):
        whole = path.with_name("whole.xlsx")
        book_with(GOOD_X, GOOD_Y)(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                content = change(old.read(name)) if name == part else old.read(name)
                if content is not None:
                    new.writestr(name, content)
        whole.unlink()

    return write


def stored(value, kind="n"):
    """Put a value that openpyxl would not write into the cell B3 of X."""
    return edited(lambda xml: xml.replace(b'<c r="B3" t="n"><v>6</v>', f'<c r="B3" t="{kind}">{value}'.encode()))


def truncated(path):
    book_with(GOOD_X, GOOD_Y)(path)
    path.write_bytes(path.read_bytes()[:-100])


def damaged(at):
    """A workbook with one byte flipped, so far from where the header of the part with the cells of X begins."""

    def write(path):
        book_with(GOOD_X, GOOD_Y)(path)
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            content[archive.getinfo("xl/worksheets/sheet1.xml").header_offset + at] ^= 0xFF
        path.write_bytes(content)

    return write


def chart_only(book):
    del book["y"]
    chart = BarChart()
    chart.add_data(openpyxl.chart.Reference(book["X"], min_col=1, min_row=1, max_row=3))
    book.create_chartsheet("y").add_chart(chart)


MALFORMED = {
    "directory": (lambda path: path.mkdir(), ["is a directory"]),
    "no bytes": (text(b""), ["empty file of 0 bytes"]),
    "csv": (text(b"1,2\n3,4\n"), ["text file (CSV?)", "save it as .xlsx"]),
    "csv in utf-16": (text("1,2".encode("utf-16")), ["not a workbook", "save it as .xlsx"]),
    "html": (text(b"\xef\xbb\xbf\r\n<html><table>"), ["web page"]),
    "old xls": (text(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"Workbook"), ["old .xls format"]),
    "password": (
        text(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")),
        ["protected by a password"],
    ),
    "truncated": (truncated, ["damaged or incomplete"]),
    "damaged cells": (damaged(94), ["damaged or incomplete workbook", "corrupt"]),
    "damaged name": (damaged(30), ["damaged or incomplete workbook", "differ"]),
    "damaged, seen by openpyxl only": (
        edited(lambda xml: xml.replace(b"<v>6</v>", b"").replace(b"defaultRowHeight", b"defaultRowWidth")),
        ["damaged or incomplete workbook", "defaultRowWidth"],
    ),
    "other zip": (edited(lambda xml: None, "[Content_Types].xml"), ["zip archive of another kind"]),
    "no workbook part": (edited(lambda xml: None, "xl/workbook.xml"), ["no sheet 'X'", "sheets: none"]),
    "cut xml": (edited(lambda xml: xml[:300]), ["damaged or incomplete workbook"]),
    "no sheet X": (
        book_with(GOOD_X, GOOD_Y, lambda book: setattr(book["X"], "title", "Data")),
        ["no sheet 'X'", "'Data', 'y'"],
    ),
    "no sheet y": (book_with(GOOD_X, GOOD_Y, lambda book: book.remove(book["y"])), ["no sheet 'y'", "sheets: 'X' ("]),
    "chart": (book_with(GOOD_X, GOOD_Y, chart_only), ["sheet 'y' is a chart"]),
    "empty X": (book_with([], GOOD_Y), ["sheet 'X' is empty"]),
    "empty y": (book_with(GOOD_X, []), ["sheet 'y' is empty"]),
    "empty cell": (x_with("B2", None), ["X!B2 is empty", "a number belongs"]),
    "blank first row": (book_with([[], *GOOD_X], GOOD_Y), ["X!A1 is empty", "the first value is in X!A2", "A1"]),
    "blank first column": (book_with([[None, *row] for row in GOOD_X], GOOD_Y), ["X!A1 is empty", "X!B1"]),
    "text": (x_with("B3", "n/a"), ["X!B3 holds the text 'n/a'"]),
    "number as text": (x_with("A2", "3.5"), ["X!A2 holds the text '3.5'", "convert the text to a number"]),
    "text of two lines": (x_with("A2", "a\nb"), [r"X!A2 holds the text 'a\nb'"]),
    "long text": (x_with("A2", "word " * 1000), ["X!A2 holds the text 'word "]),
    "blank text": (x_with("A2", " "), ["X!A2"]),
    "error": (x_with("A3", "#DIV/0!"), ["X!A3 holds the error #DIV/0!"]),
    "error of a formula": (stored("<f>1/0</f><v>#N/A</v>", "e"), ["X!B3 holds the error #N/A"]),
    "error in y": (y_with("A2", "#REF!"), ["y!A2 holds the error #REF!"]),
    "bool": (x_with("B1", True), ["X!B1 holds TRUE", "write 1 for TRUE"]),
    "date": (x_with("B1", datetime.date(2026, 1, 2)), ["X!B1 holds the date or time 2026-01-02"]),
    "time": (x_with("B1", datetime.time(12, 30)), ["X!B1 holds the date or time 12:30"]),
    "nan": (stored("<v>NaN</v>"), ["X!B3 holds nan", "finite"]),
    "infinity": (stored("<v>1e999</v>"), ["X!B3 holds inf", "finite"]),
    "merged": (book_with(GOOD_X, GOOD_Y, lambda book: book["X"].merge_cells("A1:B2")), ["X!B1 is merged with X!A1"]),
    "formula without a value": (x_with("B2", "=A2*2"), ["X!B2 holds the formula '=A2*2'", "never stored"]),
    "a whole column of them": (
        book_with([[1, "=A1"], [2, "=A2"], [3, "=A3"]], GOOD_Y),
        ["X!B1 holds the formula '=A1'", "never stored"],
    ),
    "header": (book_with([["height", "width"], *GOOD_X], GOOD_Y), ["X!A1 holds 'height'", "header", "delete row 1"]),
    "header of y": (book_with(GOOD_X, [["label"], *GOOD_Y]), ["y!A1 holds 'label'", "header", "delete row 1"]),
    "fewer labels": (book_with(GOOD_X, GOOD_Y[:2]), ["'X' has 3 rows", "'y' has 2"]),
    "two columns of labels": (y_with("B2", 7), ["sheet 'y' has 3 rows and 2 columns", "one column, A"]),
    "an error beside the labels": (y_with("B2", "#N/A"), ["3 rows and 2 columns"]),
    "labels in a row": (book_with(GOOD_X, [[1, 2, 1]]), ["1 rows and 3 columns", "one column"]),
    "labels in column B": (book_with(GOOD_X, [[None, row[0]] for row in GOOD_Y]), ["y!A1 is empty", "y!B1"]),
    "empty label": (y_with("A2", None), ["y!A2 is empty"]),
    "blank label": (y_with("A2", " "), ["y!A2"]),
    "labels of two kinds": (
        y_with("A3", "dog"),
        ["y!A3 holds the text 'dog'", "a number, as in the cells above it, belongs"],
    ),
    "date label": (y_with("A1", datetime.datetime(2026, 1, 2, 3)), ["y!A1 holds the date or time 2026-01-02 03:00:00"]),
    "infinite label": (
        edited(lambda xml: xml.replace(b"<v>2</v>", b"<v>inf</v>"), "xl/worksheets/sheet2.xml"),
        ["y!A2 holds inf"],
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_wrong_is_said_in_one_line_with_its_place(tmp_path, case):
    write, expected = MALFORMED[case]
    path = tmp_path / "data.xlsx"
    write(path)
    with pytest.raises(WorkbookError) as caught:
        read_workbook(path)
    message = str(caught.value)
    assert str(path) in message
    assert [part for part in expected if part not in message] == []
    assert "\n" not in message and len(message) < len(str(path)) + 300


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xlsx: there is no such file"):
        read_workbook(tmp_path / "nowhere.xlsx")


def test_other_sheets_and_formatted_or_computed_cells_are_no_matter(tmp_path):
    def change(book):
        book["X"]["D9"].number_format = "0%"
        book["X"]["A1"].number_format = "0%"
        book.create_sheet("notes").append(["=A1", "text", None])
        book["X"].add_data_validation(openpyxl.worksheet.datavalidation.DataValidation("whole", sqref="A1"))

    book_with(GOOD_X, GOOD_Y, change)(tmp_path / "data.xlsx")
    values, labels = read_workbook(tmp_path / "data.xlsx")
    assert values.tolist() == GOOD_X and labels.tolist() == [1, 2, 1]
    stored("<f>A3+1</f><v>6</v>")(tmp_path / "formula.xlsx")
    assert read_workbook(tmp_path / "formula.xlsx")[0].tolist() == GOOD_X


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("X", 16, 1), "X!B17"),
        (("y", 0, 0), "y!A1"),
        (("X", 4999, 399), "X!OJ5000"),
        (("My 'x'", 1, 26), "'My ''x'''!AA2"),
    ],
)
def test_cells_are_named_as_formulas_name_them(place, name):
    assert cell_name(*place) == name

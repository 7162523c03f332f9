"""Tables as offices have them: one content in every kind of file is read as the same columns, and choices are told."""

import zipfile
from xml.sax.saxutils import escape

import numpy as np
import openpyxl
import pandas as pd
import pytest

from minigrad.data import TableError, read_table
from minigrad.tables.reading import text_files as text_file
from minigrad.tables.reading.cells import read_cells
from minigrad.tables.reading.table import Asked, Reading

ROWS = 30


def content():
    """What the table below says: numbers, dates and words."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "Preis": rng.lognormal(7, 1, ROWS).round(2),
            "Tag": pd.Timestamp("2023-12-01") + pd.to_timedelta(rng.integers(0, 400, ROWS), unit="D"),
            "Gewicht": np.where(np.arange(ROWS) % 9, rng.uniform(1, 60, ROWS).round(1), np.nan),
            "Anteil": rng.uniform(0, 100, ROWS).round(1),
            "Saldo": rng.integers(-5000, 5000, ROWS).astype(float),
            "Ort": np.array(["Köln", "Zürich", "Łódź"])[rng.integers(0, 2, ROWS)],
        },
        index=range(2, ROWS + 2),
    )


def german(value, digits):
    return f"{value:,.{digits}f}".translate({ord(","): ".", ord("."): ","}).replace("-", "−")


def lines():
    """The table as a German office writes it."""
    rows = [
        [
            f"{german(row.Preis, 2)} €",
            f"{row.Tag:%d.%m.%Y}",
            "k.A." if np.isnan(row.Gewicht) else f"{german(row.Gewicht, 1)}\u00a0kg",
            f"{german(row.Anteil, 1)}%",
            german(row.Saldo, 0) if row.Saldo >= 0 else f"({german(-row.Saldo, 0)})",
            row.Ort,
        ]
        for row in content().itertuples()
    ]
    return [content().columns.tolist(), *(["-" if cell == "k.A." else cell for cell in row] for row in rows)]


def as_text(path, encoding="utf-8", title=()):
    rows = [*title, *(";".join(row) for row in lines())]
    path.write_bytes("\r\n".join(rows).encode(encoding))


def as_workbook(path, title=(), numbers_as_text=False):
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    book.active["A1"] = "made by hand"
    sheet = book.create_sheet("Data", 1)
    for row in title:
        sheet.append([row])
    names, *rows = lines()
    sheet.append(names)
    for row, written in zip(content().itertuples(index=False), rows, strict=True):
        values = written if numbers_as_text else [None if v != v else v for v in row]
        sheet.append([row.Tag.to_pydatetime() if k == 1 else value for k, value in enumerate(values)])
    book.save(path)


def as_ods(path):
    cells = []
    for row in lines():
        texts = "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(t)}</text:p></table:table-cell>' for t in row
        )
        cells.append(f"<table:table-row>{texts}</table:table-row>")
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    body = f'<office:body><office:spreadsheet><table:table table:name="Data">{"".join(cells)}</table:table>'
    with zipfile.ZipFile(path, "w") as archive:
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        archive.writestr("mimetype", kind)
        names = 'xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
        entry = f'<m:file-entry m:full-path="/" m:media-type="{kind}"/>'
        archive.writestr("META-INF/manifest.xml", f"<m:manifest {names}>{entry}</m:manifest>")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0"?><office:document-content{spaces}>{body}</office:spreadsheet></office:body>'
            "</office:document-content>",
        )


TITLE = ["Verkäufe 2024", ""]
FILES = {
    "UTF-8": ("a.csv", as_text, 0),
    "UTF-8 with a mark": ("a.csv", lambda path: as_text(path, "utf-8-sig"), 0),
    "UTF-16": ("a.csv", lambda path: as_text(path, "utf-16"), 0),
    "GB18030": ("a.csv", lambda path: as_text(path, "gb18030"), 0),
    "a title above": ("a.csv", lambda path: as_text(path, title=TITLE), 2),
    "a workbook": ("a.xlsx", as_workbook, 0),
    "a title in a workbook": ("a.xlsx", lambda path: as_workbook(path, TITLE), 2),
    "numbers stored as text": ("a.xlsx", lambda path: as_workbook(path, numbers_as_text=True), 0),
    "OpenDocument": ("a.ods", as_ods, 0),
    "Parquet": ("a.parquet", lambda path: content().to_parquet(path), -1),
    "Feather": ("a.feather", lambda path: content().reset_index(drop=True).to_feather(path), -1),
}


@pytest.mark.parametrize("kind", FILES)
def test_one_table_in_every_kind_of_file_is_the_same_columns(tmp_path, kind):
    name, write, above = FILES[kind]
    write(tmp_path / name)
    found, _ = read_table(tmp_path / name)
    assert found.index.tolist() == [row + above for row in content().index]
    expected = content().set_axis(found.index)
    for column in expected:
        if column == "Tag":
            assert found[column].tolist() == expected[column].tolist()
        elif column == "Ort":
            assert found[column].tolist() == expected[column].tolist() or kind == "GB18030"
        else:
            np.testing.assert_array_equal(found[column], expected[column])


@pytest.mark.parametrize("text", ["1.234,5", "1,234.5", "1 234.5 kg", "€ 1.234,5"])
def test_numbers_are_read_by_the_marks_of_another_file_where_these_are_certain(tmp_path, text):
    """As a workbook's are, or those of a program, once a person has written some."""
    texts, unit = [text, text.replace("234", "999"), "-"], "kg" * ("kg" in text)
    (tmp_path / "b.csv").write_text("x;y\n" + "\n".join(f"{text};1" for text in texts), encoding="utf-8")
    for trained in (f"0.5{unit}", f"1234,25{unit}"):
        (tmp_path / "a.csv").write_text(f"x;y\n{trained};1\n{trained};2", encoding="utf-8")
        a, b = (read_cells(tmp_path / name) for name in ("a.csv", "b.csv"))
        reading, told = Reading.decide(a).adapted(b, ["x", "y"])
        assert reading.frame(b)[0]["x"].tolist()[:2] == [1234.5, 1999.5]
        assert (told == []) == (Reading.decide(a).columns["x"].number.parse(text) is not None)
    for odd in ("12 g", "5 %", "two"):
        (tmp_path / "b.csv").write_text(f"x;y\n{odd};1\n", encoding="utf-8")
        (tmp_path / "a.csv").write_text("x;y\n1.25;1\n7.5;2", encoding="utf-8")
        a, b = (read_cells(tmp_path / name) for name in ("a.csv", "b.csv"))
        with pytest.raises(TableError, match=f"row 2, column 'x' holds the text '{odd}', where a number belongs"):
            Reading.decide(a).adapted(b, ["x", "y"])[0].frame(b)
    for other, expected in (("0,5", 1.234), ("7", 1234)):  # what the file's other columns have is certain here, too
        (tmp_path / "b.csv").write_text(f"x;y\n1,234;{other}\n", encoding="utf-8")
        b = read_cells(tmp_path / "b.csv")
        assert Reading.decide(a).adapted(b, ["x", "y"])[0].frame(b)[0]["x"].tolist() == [expected]


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030"])
def test_an_encoding_is_found_and_told_or_asked_for(tmp_path, encoding):
    words = ["größer", "Äpfel", "Müßiggang"] if encoding == "cp1252" else ["北京", "上海市", "广州的天气"]
    rows = [f"{words[k % 3]} {words[k % 2]};{k}" for k in range(40)]
    (tmp_path / "a.csv").write_bytes("\n".join([f"{words[0]};n", *rows]).encode(encoding))
    cells = read_cells(tmp_path / "a.csv")
    assert cells.dialect.encoding == encoding
    assert cells.said == (("encoding", f"{encoding}, found by its bytes (--encoding overrides this)"),)
    frame, _ = Reading.decide(cells).frame(cells)
    assert frame[words[0]].tolist() == [row.split(";")[0] for row in rows]
    assert read_cells(tmp_path / "a.csv", encoding=encoding).said == ()
    with pytest.raises(TableError, match="line 1 is not written in UTF-8"):
        read_cells(tmp_path / "a.csv", encoding="utf-8")
    with pytest.raises(TableError, match="there is no encoding 'klingon'"):
        read_cells(tmp_path / "a.csv", encoding="klingon")


def test_of_few_words_the_encoding_is_the_one_that_has_the_columns_asked_for(tmp_path):
    text = "重量,购买\n" + "".join(f"{k},{'是否'[k % 2]}\n" for k in range(40))
    (tmp_path / "a.csv").write_bytes(text.encode("gb18030"))
    assert read_table(tmp_path / "a.csv", "购买")[1].unique().tolist() == ["是", "否"]
    with pytest.raises(TableError, match=r"no column '购买量'.*\(read as .*, found by its bytes; --encoding overrides"):
        read_table(tmp_path / "a.csv", "购买量")


def read(path, text, asked=None):
    path.write_text(text, encoding="utf-8")
    cells = read_cells(path)
    reading = Reading.decide(cells, asked)
    again = Reading.from_json(reading.to_json())
    frame = reading.frame(cells)[0]
    pd.testing.assert_frame_equal(again.frame(cells)[0], frame)
    return frame, dict(reading.notes())


def test_what_stands_for_nothing_in_a_column_of_numbers_is_missing_and_told(tmp_path):
    marks = ["-", "--", ".", "None", "unknown", "n/a", "NULL", "?", "#N/A", "", "N/A"]
    text = "n,word\n" + "".join(f"{mark},{mark or 'y'}\n{k}.5,x\n" for k, mark in enumerate(marks))
    frame, told = read(tmp_path / "a.csv", text)
    assert frame["n"].isna().tolist() == [True, False] * len(marks)
    assert told == {"n": "missing where it holds '-', '--', '.', 'None', 'unknown'"}
    assert frame["word"].dropna().tolist()[:3] == ["-", "x", "--"]


def test_what_may_be_two_numbers_is_asked_for_unless_another_column_tells(tmp_path):
    with pytest.raises(TableError, match=r"column 'p' holds '1,234' and the like, which may be 1.234 or 1234; say"):
        read(tmp_path / "a.csv", "p;n\n1,234;1\n5,678;2\n")
    for decimal, value in ((",", 1.234), (".", 1234)):
        frame, _ = read(tmp_path / "a.csv", "p;n\n1,234;1\n5,678;2\n", Asked(decimal=decimal))
        assert frame["p"].tolist()[0] == value
    assert read(tmp_path / "a.csv", "p;n\n1,234;0,5\n5,678;2\n")[0]["p"].tolist() == [1.234, 5.678]
    assert read(tmp_path / "a.csv", "p;n\n1,234;0.5\n5,678;2\n")[0]["p"].tolist() == [1234, 5678]
    # In a file with decimal commas a point parts thousands, also where it looks like a plain number.
    assert read(tmp_path / "a.csv", "p;n\n1.234;0,5\n567;2,5\n")[0]["p"].tolist() == [1234, 567]


def test_as_number_and_as_category_have_the_last_word(tmp_path):
    text = "code,dose\n007,12\n010,trace\n010,30\n"
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(TableError, match="row 3, column 'dose' holds the text 'trace', where a number belongs"):
        read_table(tmp_path / "a.csv")
    frame, told = read(tmp_path / "a.csv", text, Asked(numbers=("dose",), categories=("code",)))
    assert frame["code"].tolist() == ["007", "010", "010"]
    np.testing.assert_array_equal(frame["dose"], [12, np.nan, 30])
    assert told["dose"] == "taken as numbers, as you asked for; missing where it holds 'trace'"
    with pytest.raises(TableError, match=r"has no column 'dosis' for --as-number \(did you mean 'dose'\?\)"):
        read(tmp_path / "a.csv", text, Asked(numbers=("dosis",)))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["01067", "80331", "04109"], "codes"),
        (["12345678901234567890", "12345678901234567891", ""], "codes"),
        (["1617235200000000000", "1617235260000000000", "1"], "numbers"),
        (["0", "10", "-5"], "numbers"),
        (["0.5", "007", "1.25"], "numbers"),
    ],
)
def test_digits_that_lose_something_as_numbers_are_codes(tmp_path, cells, kind):
    text = "code,n\n" + "".join(f"{cell},{k}\n" for k, cell in enumerate(cells * 3))
    frame, told = read(tmp_path / "a.csv", text)
    if kind == "codes":
        assert frame["code"].tolist() == [cell or None for cell in cells] * 3
        assert "codes (--as-number overrides this)" in told["code"]
        cells = read(tmp_path / "a.csv", text, Asked(numbers=("code",)))[0]["code"]
        assert cells.dtype.kind == "f"
    else:
        assert frame["code"].tolist() == [float(cell) for cell in cells] * 3 and told == {}


def test_codes_are_read_as_such_where_another_file_shows_no_zero(tmp_path):
    (tmp_path / "a.csv").write_text("zip,n\n01067,1\n80331,2\n")
    reading = Reading.decide(read_cells(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text("zip,n\n80331,1\n80331,2\n")
    assert reading.frame(read_cells(tmp_path / "b.csv"))[0]["zip"].tolist() == ["80331", "80331"]


def test_dates_in_several_forms_or_with_a_slip_are_no_free_text(tmp_path):
    certain = ["15.03.2021", "2021-04-03", "5 Mai 2021", "06.06.21", "2021/07/01 10:30"] * 2
    frame, told = read(tmp_path / "a.csv", "day;n\n" + "".join(f"{day};{k}\n" for k, day in enumerate(certain)))
    assert told["day"] == "dates, read as day, month, year" and frame["day"].dt.month.tolist() == [3, 4, 5, 6, 7] * 2
    several = [("15.03.2021", "03/16/2021")[k % 2] for k in range(9)]
    with pytest.raises(TableError, match=r"'day' holds dates in several forms, such as '.*' and '.*'; .*--drop 'day'"):
        read(tmp_path / "a.csv", "day;n\n" + "".join(f"{day};{k}\n" for k, day in enumerate(several)))
    days = [f"{k + 1:02}.03.2021" for k in range(20)] + ["31.02.2021"]
    with pytest.raises(
        TableError, match=r"row 22, column 'day' holds the text '31.02.2021', where a date \(day, month"
    ):
        read(tmp_path / "a.csv", "day;n\n" + "".join(f"{day};{k}\n" for k, day in enumerate(days)))
    words = ["may 5, 2021", "soon", "later", "never"] * 3
    assert read(tmp_path / "a.csv", "day;n\n" + "".join(f"{word};1\n" for word in words))[1] == {}


def test_units_that_differ_are_an_error_that_counts_them(tmp_path):
    with pytest.raises(TableError, match="column 'w' holds numbers in several units: 'kg' \\(3\\), 'g' \\(1\\)"):
        read(tmp_path / "a.csv", "w,n\n12 kg,1\n3 kg,2\n500 g,3\n7 kg,4\n")


def test_an_order_of_days_and_months_that_is_a_guess_is_told_and_overridden(tmp_path):
    text = "day,n\n01/02/2024,1\n03/04/2024,2\n"
    frame, told = read(tmp_path / "a.csv", text)
    assert "month, day, year (a guess" in told["day"]
    assert frame["day"].dt.month.tolist() == [1, 3]
    frame, told = read(tmp_path / "a.csv", text, Asked(date_order="dmy"))
    assert told["day"] == "dates, read as day, month, year"
    assert frame["day"].dt.month.tolist() == [2, 4]


def test_the_header_and_the_sheet_are_found_and_told(tmp_path):
    as_workbook(tmp_path / "a.xlsx", TITLE)
    cells = read_cells(tmp_path / "a.xlsx")
    assert (cells.sheet, cells.header) == ("Data", 2)
    assert dict(cells.said) == {
        "sheet": "'Data'; the file has others: 'Notes' (no table) (--sheet chooses)",
        "header": "found in row 3, below 'Verkäufe 2024' (--header-row overrides this)",
    }
    assert read_cells(tmp_path / "a.xlsx", "Data", header_row=3).said == ()
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    shown = book.copy_worksheet(book["Data"])
    shown.title, book["Data"].sheet_state = "Shown", "hidden"
    book.save(tmp_path / "b.xlsx")
    cells = read_cells(tmp_path / "b.xlsx")
    assert cells.sheet == "Shown" and "'Data' (hidden) (--sheet chooses)" in dict(cells.said)["sheet"]
    with pytest.raises(TableError, match="nothing in row 99, where --header-row says"):
        read_cells(tmp_path / "a.xlsx", "Data", header_row=99)
    with pytest.raises(TableError, match="Data!B1 is empty, where the name of a column belongs"):
        read_cells(tmp_path / "a.xlsx", "Data", header_row=1)


def test_a_long_file_is_read_in_parts_as_a_short_one_is(tmp_path, monkeypatch):
    """Text comes up only far below, and a blank end is no row."""
    monkeypatch.setattr(text_file, "ROWS_AT_ONCE", 64)
    rows = [f"{k},{'x' if k == 1000 else k}" for k in range(1001)]
    (tmp_path / "a.csv").write_text("a,b\n" + "\n".join(rows) + "\n\n,\n")
    cells = read_cells(tmp_path / "a.csv")
    assert cells.rows == 1001
    assert cells.texts("a")[-1] == "1000"
    assert cells.columns[1][999:] == ["999", "x"]
    (tmp_path / "a.csv").write_text("a,b\n" + "\n".join([*rows[:450], "", *rows[450:]]))
    cells = read_cells(tmp_path / "a.csv")
    assert cells.blank == (450,) and cells.rows == 1002 and dict(cells.said)["rows"].startswith("452: 1 with")
    assert cells.columns[1][449:452] == ["449", None, "450"]


def test_a_header_over_two_rows_with_merged_cells_is_joined(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Umsatz 2023"], ["Q1", None, "Q2", None, "Ziel"], ["Menge", "Preis", "Menge", "Preis"]):
        sheet.append(row)
    for cells in ("A1:E1", "A2:B2", "C2:D2", "E2:E3"):
        sheet.merge_cells(cells)
    for k in range(6):
        sheet.append([k, k + 1, k + 2, k + 3, k + 4])
    book.save(tmp_path / "a.xlsx")
    cells = read_cells(tmp_path / "a.xlsx")
    assert (cells.names, cells.header, cells.rows) == (["Q1 Menge", "Q1 Preis", "Q2 Menge", "Q2 Preis", "Ziel"], 2, 6)
    assert dict(cells.said)["names"] == "stand in rows 2 and 3, and are joined, as in 'Q1 Menge'"
    sheet["F3"], sheet["F4"], sheet["G3"], sheet["G4"] = "prediction", 1.0, "low (90 %)", 2.0  # as predict writes them
    book.save(tmp_path / "a.xlsx")
    assert read_cells(tmp_path / "a.xlsx").names == [*cells.names, "prediction", "low (90 %)"]
    for cell, value in (("B3", 7), ("B3", None)):  # no names: what stands below the header are values
        sheet[cell] = value
        book.save(tmp_path / "a.xlsx")
        with pytest.raises(ValueError, match=r"cells Sheet!\w+ to \w+ are merged; unmerge them|B3 is empty|B3 holds 7"):
            read_cells(tmp_path / "a.xlsx")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_columns_without_a_name_are_left_out_where_they_are_empty_and_names_are_one_line(form, tmp_path):
    rows = [["a\nb", "", "c", ""], *([str(k), "", "x", ""] for k in range(5))]
    if form == "csv":
        text = "\n".join(";".join(f'"{cell}"' for cell in row) for row in rows)
        (tmp_path / "a.csv").write_text(text + "\nQuelle: ERP\n", encoding="utf-8")
    else:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([cell or None for cell in row])
        book.save(tmp_path / "a.xlsx")
    frame, _ = read_table(tmp_path / f"a.{form}")
    assert list(frame) == ["a b", "c"] and len(frame) == 5
    (tmp_path / "b.csv").write_text("a;;c\n1;2;3\n", encoding="utf-8")
    with pytest.raises(TableError, match="row 1, column 2 is empty, where the name of a column belongs"):
        read_table(tmp_path / "b.csv")


JUNK = {
    "empty rows": ([], [["", "", "", ""]] * 3),
    "totals": ([["Summe", "", "", "1.111,11"]], []),
    "sums alone": ([["", "820", "3280", ""]], []),
    "means": ([["Mittelwert:", "20,5", "82", "9"], ["", "", "", ""], ["total", "", "", ""]], []),
    "notes": ([["", "", "", ""], ["Quelle: ERP", "", "", ""], ["", "n = 40", "", ""]], []),
    "all of it": ([["", "", "", ""], ["Σ", "820", "", ""], ["", "", "", ""], ["* netto", "", "", ""]], [[""] * 4]),
    "nothing of it": ([["Total", "7", "3", "5"]], []),
    "sparse rows": ([["x", "", "", "5"]] * 40, []),
}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("case", JUNK)
def test_empty_rows_notes_and_totals_are_no_rows_of_the_table(case, form, tmp_path):
    """They change no cell, no kind and no number of a row; what may be a row stays one."""
    below, between = JUNK[case]
    rows = [[f"Ort {k % 7}", str(k), str(4 * k), f"{k},5"] for k in range(1, 41)]
    kept = [*rows, *below] if case in ("nothing of it", "sparse rows") else rows
    for name, lines in (("plain", kept), ("junk", [*rows[:20], *between, *rows[20:], *below])):
        table = [["Ort", "Menge", "Preis", "Kosten"], *lines]
        if form == "csv":
            (tmp_path / f"{name}.csv").write_text("\n".join(";".join(row) for row in table), encoding="utf-8")
        else:
            book = openpyxl.Workbook()
            for row in table:
                book.active.append([float(c) if c.isdecimal() else c or None for c in row])
            book.save(tmp_path / f"{name}.xlsx")
    plain, junk = (read_cells(tmp_path / f"{name}.{form}") for name in ("plain", "junk"))
    reading = Reading.decide(junk)
    (frame, _), (expected, _) = reading.frame(junk), Reading.decide(plain).frame(plain)
    pd.testing.assert_frame_equal(frame.reset_index(drop=True), expected.reset_index(drop=True))
    assert frame.index.tolist() == [*range(2, 22), *range(22 + len(between), 42 + len(between) + len(kept) - 40)]
    assert junk.more == (kept is rows and bool(below)) and len(junk.blank) == len(between)

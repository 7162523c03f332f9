"""A network as a page: in QuickJS and in a browser it answers as the network does, and proves itself."""

import json

import numpy as np
import pandas as pd
import pytest
from engines import in_browser, in_quickjs, told
from trained import CASES, ROWS, of_digits, of_table

from minigrad import Conv2D, Dense, Flatten, Sequential, Softmax, TableModel
from minigrad.command.main import main
from minigrad.pages.inference import Answering
from minigrad.tables.answers import Answers, columns_of
from minigrad.tables.reading.numbers import NumberFormat
from minigrad.webpage import export


def exported(folder, model, rows=None):
    export(model, folder / "model.html", rows)
    return (folder / "model.html").read_text(encoding="utf-8")


def data_of(page):
    return json.loads(next(line for line in page.splitlines() if line.startswith("const DATA = "))[13:-1])


def asked(rows, a):
    every = [dict(zip(a.names, row, strict=True)) for row in a.cells(rows)]
    return f"{json.dumps(every, default=str)}.map(row => window.minigrad.predict(row))"


@pytest.mark.parametrize("where", ["quickjs", "chromium"])
def test_pages_answer_as_their_networks_do(where, tmp_path):
    pages, codes = [], []
    for make in CASES.values():
        model, rows = make()
        pages.append(exported(tmp_path, model, rows[:ROWS]))
        codes.append(f"[{asked(rows[:ROWS], Answering(model))}, window.minigrad.prove()]")
    if where == "quickjs":
        found = map(in_quickjs, pages, codes)
    else:
        found = in_browser([(page, f"return {code};") for page, code in zip(pages, codes, strict=True)], tmp_path)
    for case, (answers, difference) in zip(CASES, found, strict=True):
        with told(case):
            check_answers(answers, case)
            assert difference < 1e-12


def check_answers(found, case):
    model, rows = CASES[case]()
    some, a = rows[:ROWS], Answering(model)
    expected = [a.answer(y) for y in a.model.predict(a.encoded(some))]
    said = TableModel(model).answer(some) if a.preparation else Answers.of(model, some)
    for k, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert list(one) == a.columns()
        numbers = [v for v in one.values() if not isinstance(v, str)]
        np.testing.assert_allclose(numbers, [v for v in other if not isinstance(v, str)], rtol=1e-12, atol=1e-12)
        if case in ("regression", "interval"):
            width = [] if said.half_width is None else [-said.half_width, said.half_width]
            np.testing.assert_allclose(list(one.values()), [said.values[k] + w for w in (0, *width)], rtol=1e-5)
            assert list(one) == list(columns_of(TableModel(model), said))
        else:
            assert one["prediction"] == said.values.tolist()[k]
            np.testing.assert_allclose(list(one.values())[1:], said.probabilities[k], atol=1e-5)


def test_what_is_typed_gets_an_answer_or_a_reason(tmp_path):
    model, rows = of_table("classification")
    page = exported(tmp_path, model, rows)
    typed = {"petal length": 4.0, "petal width": "", "colour": " Red ", "place": "3", "wild": "false"}
    bad = [typed | {"petal length": "five"}, typed | {"wild": "maybe"}, typed | {"petal length": True}]
    bad += [typed | {"found": text} for text in ("2021-02-30", "31.12.2021", "2021-01-01T24:00")]
    good = [{}, typed, typed | {"petal length": "4-", "petal width": " Unknown ", "wild": "n/a"}]
    good += [typed | {"place": "nowhere"}, typed | {"colour": "NA", "petal length": ""}]
    found = in_quickjs(page, f"{json.dumps([*bad, *good])}.map(row => window.minigrad.predict(row))")
    assert [row["prediction"] for row in found[: len(bad)]] == ["?"] * len(bad)
    assert all("is not a date such as 2024-12-31" in row["note"] for row in found[3 : len(bad)])
    assert found[0]["note"] == "petal length: “five” is not a number" and "neither TRUE nor FALSE" in found[1]["note"]
    assert all(row["prediction"] in ("=setosa", "virginica") for row in found[len(bad) :])


@pytest.mark.parametrize("marks", [(".", "", "", ""), (",", ".", "", "€"), (".", "'", "Fr.", ""), (".", "", "", "kg")])
def test_typed_numbers_are_read_as_predict_reads_them(marks, tmp_path):
    format = NumberFormat(*marks)
    model, _ = of_table("classification")
    model.preparation |= {"reading": {"petal length": {"kind": "number", "number": format.to_json()}}}
    bodies = ["120", "1234.5", "1.234,5", "1,234", "1.234", "1'234", "12 345", ".5", "1e-3", "1,2,3", "12.", "five", ""]
    sides = ["{}", "-{}", "{}-", "−{}", "({})", "(-{})", "-{}-", "{} -"]
    sides += ["{} €", "€{}-", "-€ {}", "{} kg", "{}kg-", "{} %", "Fr. {}"]
    typed = [side.format(body) for side in sides for body in bodies]
    code = f"{json.dumps(typed)}.map(text => numberOf(text, DATA.columns[0])).map(v => Number.isNaN(v) ? null : v)"
    found = in_quickjs(exported(tmp_path, model), code)
    assert dict(zip(typed, found, strict=True)) == {text: format.parse(text) for text in typed}


@pytest.mark.parametrize("moment", ["1583-01-01", "1969-12-31T23:59:59.000001", "2020-02-29T06:30", "2099-12-31"])
def test_dates_and_spellings_are_encoded_as_in_predict(moment, tmp_path):
    model, rows = of_table("classification")
    row = rows.iloc[:1].assign(colour="  RED ", found=pd.Timestamp(moment))
    typed = {"colour": "  RED ", "found": moment}
    typed |= {name: rows[name].tolist()[0] for name in ("petal length", "petal width", "place", "wild")}
    found = in_quickjs(exported(tmp_path, model), f"window.minigrad.predict({json.dumps(typed)})")
    (expected,) = (a := Answering(model)).model.predict(a.encoded(row))
    np.testing.assert_allclose(list(found.values())[1:], expected, rtol=1e-12)


def test_a_page_that_computes_otherwise_says_so(tmp_path):
    model, rows = of_table("classification")
    page = exported(tmp_path, model, rows)
    broken = page.replace("exp: Math.exp,", "exp: x => Math.exp(x) + 1e-3,")
    shown = (
        "return [!document.getElementById('fault').hidden, document.getElementById('answer').textContent.length > 0];"
    )
    assert in_browser([(page, shown), (broken, shown)], tmp_path) == [[False, True], [True, True]]


def test_labels_cannot_end_the_script(tmp_path):
    model = Sequential([Dense(2, 2), Softmax()], seed=0)
    model.classes = np.array(["</script><b>", "<!--"])
    page = exported(tmp_path, model)
    assert page.count("</script>") == 1
    assert in_quickjs(page, "window.minigrad.predict({x1: 1, x2: 2})")["prediction"] in ("</script><b>", "<!--")


def test_a_slider_goes_over_the_numbers_that_training_had(tmp_path):
    model, rows = of_table("classification")
    ends = {column["name"]: column.get("ends") for column in data_of(exported(tmp_path, model))["columns"]}
    lengths = rows["petal length"].dropna()
    assert lengths.min() <= ends["petal length"][0] < ends["petal length"][1] <= lengths.max()


@pytest.mark.parametrize("with_rows", [False, True])
def test_the_field_is_blank_where_no_row_is_known(with_rows, tmp_path):
    model, rows = of_digits()
    page = exported(tmp_path, model, rows if with_rows else None)
    data = data_of(page)
    assert data["examples"] is with_rows
    np.testing.assert_array_equal(data["begin"], rows[0].ravel() if with_rows else np.zeros(100))


def test_convolutions_can_be_a_page(tmp_path):
    model = Sequential([Conv2D(1, 2, 3), Flatten(), Dense(72, 3), Softmax()], input_shape=(8, 8, 1), seed=0)
    page = exported(tmp_path, model)
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1))
    found = in_quickjs(page, f"window.minigrad.outputs({json.dumps(x.ravel().tolist())})")
    np.testing.assert_allclose(found, model.predict(x)[0], atol=1e-5)


def test_the_command_exports_a_page(tmp_path, capsys):
    model, rows = of_table("regression")
    model.save(tmp_path / "model.safetensors")
    rows.assign(place="bog").to_csv(tmp_path / "rows.csv", index=False)
    out = str(tmp_path / "out.html")
    arguments = ["export", str(tmp_path / "model.safetensors"), out, "--data", str(tmp_path / "rows.csv")]
    assert main(arguments) == 0, capsys.readouterr().err
    assert "a page that answers offline" in capsys.readouterr().out
    assert main(arguments) == 2 and "exists already" in capsys.readouterr().err
    wide = Sequential([Dense(300, 2)], seed=0)
    with pytest.raises(ValueError, match="300 inputs are more than a page's form should have"):
        export(wide, tmp_path / "wide.html")


def test_a_page_knows_spellings_that_differ_in_capitals_and_spaces_as_predict_does(tmp_path):
    model, rows = of_table("classification")
    page, a = exported(tmp_path, model, rows[:ROWS]), Answering(model)
    [row] = [dict(zip(a.names, cells, strict=True)) for cells in a.cells(rows[:1])]
    typed = [row | {"colour": text} for text in ("Red", " rED ", "=BLUE", "=blue", "green")]
    found = in_quickjs(page, f"{json.dumps(typed, default=str)}.map(row => window.minigrad.predict(row))")
    told = TableModel(model).answer(pd.DataFrame(typed)).probabilities
    np.testing.assert_allclose([list(each.values())[1:] for each in found], told, atol=1e-5)
    assert found[0] == found[1] != found[2] == found[3]

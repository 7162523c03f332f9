"""A table's preparation is part of the file, to the last bit, and a wrong one is never written."""

import json

import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from minigrad import Identity, ReLU, Sequential, TableModel
from minigrad.data import Preparation
from minigrad.onnx import FORMS, ExportError, Graph, export, made_up
from minigrad.tables.columns import TextColumn
from tests.onnx.files import run
from tests.onnx.flowers import flower_model, flowers, new_flowers


def test_a_table_goes_into_the_file_as_it_is(tmp_path):
    model, path = flower_model(), tmp_path / "m.onnx"
    difference = export(model, path, new_flowers())
    expected, found = TableModel(model).answer(new_flowers()), run(path, new_flowers())
    assert list(found) == ["y_", "label"]
    assert np.abs(found["y_"] - expected.probabilities).max() <= difference < 1e-6
    assert found["label"].tolist() == expected.values.tolist()
    assert set(expected.values) == {"rose", "daisy"}
    known = {fact.key: json.loads(fact.value) for fact in onnx.load(path).metadata_props}
    assert known == {"preparation": model.preparation, "classes": ["daisy", "rose"]}
    assert run(path, new_flowers()[:0])["y_"].shape == (0, 2)


@pytest.mark.parametrize("unit", [1e-6, 1, 1e6])
def test_numbers_are_in_the_targets_units(unit, tmp_path, monkeypatch):
    model, path = flower_model("regression", unit), tmp_path / "m.onnx"
    export(model, path, new_flowers())
    found, expected = run(path, new_flowers()), TableModel(model).answer(new_flowers()).values
    assert list(found) == ["y_"]
    np.testing.assert_allclose(found["y_"][:, 0], expected, rtol=1e-6)
    path.unlink()
    monkeypatch.setitem(FORMS, ReLU, lambda g, layer, x: g("Add", g("Relu", x), 0.01))  # small, but not in these units
    with pytest.raises(ExportError, match="answers differ from the model's by up to"):
        export(model, path)
    assert not path.exists()


def prepared_only(frame):
    """A network that computes nothing: y is the rows as they are prepared."""
    preparation = Preparation.fit(frame)
    model = Sequential([Identity()], input_shape=(len(preparation.features),))
    target = {"name": "t", "task": "classification", "mean": 0.0, "scale": 1.0}
    model.preparation = {"format": "table", **preparation.to_json(), "target": target}
    return model, preparation


# onnxruntime takes constants for 0 that float32 does not hold, when it simplifies a graph.
NUMBERS = st.none() | st.floats(-1e30, 1e30).map(lambda number: number if abs(number) > 1e-30 else 0.0)
TEXTS = st.none() | st.sampled_from(["a", "b", "A", "a ", "(other)", "ß", "\n", "10"])
FLAGS = st.none() | st.booleans()
NAMES = st.sampled_from(["y", "label", "x", "Concat_3", "c_0", "0.W_1", "a b", "", "é", "rows"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1
)


@given(data=st.data(), names=st.lists(NAMES.filter(bool), min_size=1, max_size=4, unique=True))
def test_any_table_is_prepared_to_the_last_bit(data, names, tmp_path_factory):
    columns = {name: data.draw(st.sampled_from([NUMBERS, TEXTS, FLAGS])) for name in names}
    drawn = {
        name: pd.Series(data.draw(st.lists(cells, min_size=12, max_size=12)), dtype=object)
        for name, cells in columns.items()
    }
    frame = pd.DataFrame(drawn)
    try:
        model, preparation = prepared_only(frame[:8])
        x = preparation.transform(frame)
    except ValueError:  # a table without a column to learn from, or a kind that training did not have
        return
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    assert export(model, path, frame) == 0
    texts = [column for column in preparation.columns if isinstance(column, TextColumn)]
    spelled = {column.name: pd.Series(column.spelled(frame[column.name]), dtype=object) for column in texts}
    (y,) = run(path, frame.assign(**spelled)).values()
    np.testing.assert_array_equal(y, x)
    assert export(model, path) == 0


def test_made_up_rows_show_all_that_a_column_may_hold():
    preparation = Preparation.fit(flowers())
    rows = made_up(preparation)
    assert {"wood", "a b", "été"} < set(rows["site"].dropna())
    new = [line for line in preparation.surprises(rows) if "far outside" not in line]
    assert [sum(name in line for line in new) for name in ("'site': taken", "'c_0': taken", "'y': ")] == [1, 1, 1]
    assert rows.isna().any().all()
    assert {True, False} < set(rows["wild"])
    assert rows["petal"].astype(float).std() > 3
    wide = Preparation.fit(pd.DataFrame({"word": [str(row // 2) for row in range(200)], "n": np.linspace(0, 1, 200)}))
    words = set(made_up(wide)["word"].dropna())
    assert len(words) == 51
    assert words > set(wide.columns[0].values)


@pytest.mark.parametrize(
    ("operation", "twist"),
    [
        ("Where", lambda inputs, attributes: ([inputs[0], inputs[2], inputs[2]], attributes)),
        ("Sub", lambda inputs, attributes: (inputs[::-1], attributes)),
        ("Div", lambda inputs, attributes: ([inputs[0], inputs[0]], attributes)),
        ("LabelEncoder", lambda inputs, attributes: (inputs, attributes | {"default_int64": 0})),
        (
            "LabelEncoder",
            lambda inputs, attributes: (inputs, attributes | {"values_int64s": [*attributes["values_int64s"][:-1], 0]}),
        ),
    ],
)
def test_a_wrong_preparation_is_never_written(operation, twist, tmp_path, monkeypatch):
    right = Graph.__call__

    def wrong(g, name, *inputs, **attributes):
        if name == operation:
            inputs, attributes = twist(inputs, attributes)
        return right(g, name, *inputs, **attributes)

    model, _ = prepared_only(flowers())
    monkeypatch.setattr(Graph, "__call__", wrong)
    for x in (None, new_flowers()):
        with pytest.raises(ExportError, match="differ"):
            export(model, tmp_path / "m.onnx", x)
    assert list(tmp_path.iterdir()) == []


def test_what_a_table_can_not_be_exported_with(tmp_path):
    path = tmp_path / "m.onnx"
    model = flower_model()
    with pytest.raises(ExportError, match="as a DataFrame"):
        export(model, path, np.zeros((3, 8)))
    with pytest.raises(ExportError, match="no rows"):
        export(model, path, flowers()[:0])
    with pytest.raises(ValueError, match="no column 'site'"):
        export(model, path, flowers().drop(columns="site"))
    blank, _ = prepared_only(pd.DataFrame({"word": ["", "a"] * 5, "n": np.linspace(0, 1, 10) ** 2}))
    with pytest.raises(ExportError, match="column 'word': the empty text is a value there"):
        export(blank, path)
    assert not path.exists()

"""ONNX files give the model's answers, for every layer; one that would not is never written."""

import json
import sys
from inspect import signature

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad import (
    GELU,
    SGD,
    AvgPool2D,
    BatchNorm,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Columns,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool2D,
    Identity,
    Layer,
    MaxPool2D,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Standardize,
    Tanh,
)
from minigrad.command import main as cli
from minigrad.command.networks import answer, train_network
from minigrad.command.options import Settings
from minigrad.command.sources import Table
from minigrad.data import Preparation
from minigrad.onnx import FORMS, ExportError, Graph, export, made_up

WIDE = Concatenate(
    Sequential([Columns(0, 1, integers=True), Embedding(7, 3), Flatten(), Dense(3, 8), ReLU()]), Columns(1, 5)
)
MADE = {
    Columns: Columns(1, 4),
    Concatenate: Concatenate(Dense(5, 2), Sequential([Columns(0, 3), Tanh()]), Residual(Sigmoid())),
    Dense: Dense(5, 3),
    Dropout: Dropout(0.5),
    Embedding: WIDE,
    Flatten: Flatten(),
    GELU: GELU("tanh"),
    Reshape: Reshape((5, 1)),
    Residual: Residual(Dense(5, 5), Tanh(), Dropout(0.5)),
}


IMAGES = {Conv1D, Conv2D, MaxPool2D, AvgPool2D, GlobalAvgPool2D}
INNER = [cls for cls in FORMS if cls not in {Embedding, Reshape} | IMAGES]  # those that take any rows of five numbers


def answers(path, x):
    (y,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["y"], {"x": x})
    return y


def made(cls, rng):
    """A layer for rows of 5 numbers, its parameters and state anything but their initial values."""
    layer = MADE[cls].__copy__() if cls in MADE else cls(*[5] * ("features" in signature(cls).parameters))
    for name, array in (layer.params | layer.states).items():
        if isinstance(array, np.ndarray):
            array[...] = rng.uniform(0.5, 2, array.shape) if "var" in name else rng.normal(size=array.shape)
    return layer.fit(rng.normal(3, 2, (50, 5))) if isinstance(layer, Standardize) else layer


def test_every_layer_has_a_form():
    ours = {cls for cls in vars(minigrad).values() if isinstance(cls, type) and issubclass(cls, Layer)}
    assert ours - {Layer, Sequential} == set(FORMS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", [*INNER, Embedding, Reshape], ids=lambda cls: cls.__name__)
def test_every_layer_answers_alike(cls, dtype, tmp_path):
    rng = np.random.default_rng(0)
    model = Sequential([made(cls, rng)], dtype, input_shape=(5,))
    x = (rng.normal(size=(300, 5)) * np.logspace(-3, 1, 300)[:, None]).astype(dtype)
    x[:, 0] = rng.integers(0, 7, 300)
    difference = export(model, tmp_path / "m.onnx", x)
    y, found = model.predict(x), answers(tmp_path / "m.onnx", x)
    assert found.dtype == y.dtype == dtype
    # onnxruntime's last bits depend on where in memory the rows lie, so the two are not equal
    assert max(np.abs(found - y).max(), difference) <= 16 * np.finfo(dtype).eps * max(1, np.abs(y).max())


def test_exact_gelu_in_float32_alone(tmp_path):
    x = np.linspace(-9, 9, 1000)[:, None]
    assert export(Sequential([GELU()]), tmp_path / "m.onnx", x) < 2e-6
    with pytest.raises(ExportError, match=r"does not run .*Erf.* make the model anew with dtype=np\.float32"):
        export(Sequential([GELU()], np.float64), tmp_path / "m.onnx", x)


@given(kinds=st.lists(st.sampled_from(INNER), max_size=4), rows=st.integers(0, 9), seed=st.integers(0, 99))
def test_networks_answer_alike_for_any_number_of_rows(kinds, rows, seed, tmp_path_factory):
    rng, layers, width = np.random.default_rng(seed), [], 5
    for kind in kinds:
        layers += [Dense(width, 5, seed=seed), made(kind, rng)]
        (width,) = layers[-1].output_shape((5,))
    model = Sequential([*layers, Dense(width, 2, seed=seed)], np.float64)
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export(model, path)
    x = rng.normal(size=(rows, 5))
    np.testing.assert_allclose(answers(path, x), model.predict(x), rtol=1e-9, atol=1e-9)


def test_integers_are_looked_up_and_refused_as_here(tmp_path):
    path = tmp_path / "m.onnx"
    words = Sequential([Embedding(7, 3), Flatten(), Dense(6, 2)], input_shape=(2,))
    assert export(words, path) < 1e-6
    x = np.random.default_rng(0).integers(0, 7, (9, 2))
    np.testing.assert_allclose(answers(path, x), words.predict(x), atol=1e-6)
    table = Sequential([WIDE.__copy__()], input_shape=(5,))
    assert export(table, path) < 1e-6  # random rows: whole numbers where ordinary ones are refused
    for wrong in (-1.0, 7.0, 2.5):
        row = np.full((1, 5), wrong, np.float32)
        with pytest.raises(IndexError):
            table.predict(row)
        with pytest.raises(Exception, match=r"out of (?:data )?bounds"):
            answers(path, row)


@pytest.mark.parametrize("padding", ["valid", "same", 1])
@pytest.mark.parametrize(
    "layer",
    [
        lambda padding: Conv2D(4, 6, (3, 2), stride=(2, 1), padding=padding, groups=2, seed=0),
        lambda padding: Conv2D(4, 2, 3, padding=padding, dilation=(1, 2), bias=False, seed=0),
        lambda padding: MaxPool2D(3, 2, padding),
        lambda padding: AvgPool2D((2, 3), 2, padding),
        lambda padding: GlobalAvgPool2D(),
        lambda padding: Sequential([Reshape((72, 4)), Conv1D(4, 3, 5, stride=2, padding=padding, dilation=2, seed=0)]),
    ],
)
def test_windows_answer_alike(layer, padding, tmp_path):
    model = Sequential([layer(padding)], input_shape=(8, 9, 4))
    assert export(model, tmp_path / "m.onnx") < 1e-5


def test_images_keep_their_axes(tmp_path):
    model = Sequential([Reshape((4, 4, 2)), BatchNorm(2), ReLU(), Flatten(), Dense(32, 3)], input_shape=(32,))
    assert export(model, tmp_path / "m.onnx") < 1e-5


def test_training_goes_on_undisturbed(tmp_path):
    x, t = np.random.default_rng(0).normal(size=(2, 30, 4))
    one, two = (
        Sequential([Dense(4, 8, seed=1), Dropout(0.5, seed=2), BatchNorm(8), Dense(8, 4, seed=3)]) for _ in range(2)
    )
    for model in (one, two):
        p = model.forward(x)
        if model is one:
            export(model, tmp_path / "m.onnx", x)
        model.backward(p - t)
    np.testing.assert_array_equal(one.dtheta, two.dtheta)
    np.testing.assert_array_equal(one.forward(x), two.forward(x))


class Scale(ReLU):
    """A layer of the user's own; that it is a ReLU does not make its form a ReLU's."""

    def forward(self, x):
        return 2 * x


def test_own_layer_is_named_and_nothing_is_written(tmp_path):
    for model, place in (
        (Sequential([Dense(2, 2), Scale()]), "layer 2 of 2"),
        (Sequential([Residual(Scale())], input_shape=(2,)), "layer 1 of 1"),
    ):
        with pytest.raises(ExportError, match=rf"{place}, Scale\(\), has no ONNX form"):
            export(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["Sigmoid", "Relu", "Floor"])
def test_a_wrong_form_leaves_the_old_file(wrong, tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    monkeypatch.setitem(FORMS, Tanh, lambda g, layer, x: g(wrong, x))
    with pytest.raises(ExportError, match="answers differ from the model's by up to"):
        export(Sequential([Dense(3, 3), Tanh()]), path)
    monkeypatch.setitem(FORMS, Tanh, lambda g, layer, x: g("Sigmod", x))
    with pytest.raises(ExportError, match="onnx refuses the graph"):
        export(Sequential([Dense(3, 3), Tanh()]), path)
    monkeypatch.setitem(FORMS, Tanh, lambda g, layer, x: g("Concat", x, x, axis=1))
    with pytest.raises(ExportError, match="onnx refuses the graph"):
        export(Sequential([Dense(3, 3), Tanh()]), path)
    monkeypatch.setitem(FORMS, Tanh, lambda g, layer, x: g("Gather", x, [0, 1, 9], axis=1))
    with pytest.raises(ExportError, match="onnxruntime does not run the graph"):
        export(Sequential([Dense(3, 3), Tanh()]), path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_answers_that_are_no_numbers_prove_nothing(tmp_path):
    model = Sequential([Dense(2, 2)])
    model.theta[0] = np.nan
    with pytest.raises(ExportError, match="differ"):
        export(model, tmp_path / "m.onnx")


def test_rows_are_asked_for_where_they_are_needed(tmp_path):
    with pytest.raises(ExportError, match="does not say how wide its rows are"):
        export(Sequential([Identity()]), tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="no rows"):
        export(Sequential([Dense(2, 2)]), tmp_path / "m.onnx", np.zeros((0, 2)))
    with pytest.raises(FileNotFoundError):
        export(Sequential([Dense(2, 2)]), tmp_path / "missing" / "m.onnx")


def test_classes_stand_in_the_metadata(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2))
    model = Sequential([Dense(2, 2), Softmax()])
    model.fit(x, ["ja", "nein"] * 10, loss=CategoricalCrossEntropy(), optimizer=SGD(), epochs=1)
    export(model, tmp_path / "m.onnx", x)
    (found,) = onnx.load(tmp_path / "m.onnx").metadata_props
    assert (found.key, json.loads(found.value)) == ("classes", ["ja", "nein"])


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Sequential([Dense(400, 5), Sigmoid(), Dense(5, 10), Sigmoid()], seed=0)
    model.fit(np.eye(400)[:10], np.arange(10), loss=BinaryCrossEntropy(), optimizer=SGD(), epochs=1)
    model.save("m.safetensors")
    assert cli.main(["export", "m.safetensors", "m.onnx", "--data", "digits"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("m.onnx: on the 5,000 rows of digits, onnxruntime's answers differ from the model's by ")
    x = np.random.default_rng(0).random((9, 400), np.float32)
    np.testing.assert_allclose(answers("m.onnx", x), model.predict(x), atol=1e-6)
    assert cli.main(["export", "m.safetensors", "m.onnx"]) == 2
    assert "m.onnx exists already" in capsys.readouterr().err
    assert cli.main(["export", "m.safetensors", "m.onnx", "--force"]) == 0
    assert "on random rows" in capsys.readouterr().out
    assert cli.main(["export", "none.safetensors", "n.onnx"]) == 2
    assert not (tmp_path / "n.onnx").exists()


def test_command_without_onnx(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "minigrad.onnx")
    assert cli.main(["export", "m.safetensors", str(tmp_path / "m.onnx")]) == 2
    assert "pip install 'minigrad-nn[onnx]'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ tables
def flowers(rows=60):
    """Rows with every kind of column, missing values in each, and names that the graph could have for itself."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "petal": rng.normal(5, 3, rows),
            "y": rng.normal(1e9, 1, rows),  # in float32 all the same
            "site": rng.choice(["wood", "a b", "été"], rows),
            "c_0": rng.choice(["p", "q"], rows),
            "wild": rng.choice([True, False], rows).astype(object),
        }
    )
    frame.loc[3, "petal"], frame.loc[5, "site"], frame.loc[6, "site"], frame.loc[8, "wild"] = np.nan, "once", None, None
    return frame


def new_flowers():
    """Rows with what training never met: texts, and missing values where there had been none."""
    frame = flowers().iloc[::-1].reset_index(drop=True)
    frame.loc[:3, ["site", "c_0"]] = [["never", "p"], ["wood", "never"], [None, None], ["p", "wood"]]
    frame.loc[4:6, "y"] = np.nan
    frame["more"] = 0.0
    return frame[["more", *flowers()[::-1]]]


def run(path, frame):
    """What a user of the file runs: the outputs by name."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for wanted in session.get_inputs():
        column = frame[wanted.name]
        text = wanted.type == "tensor(string)"
        values = column.where(column.notna(), "").to_numpy(object) if text else column.to_numpy(float, na_value=np.nan)
        feed[wanted.name] = values[:, None]
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))


def flower_model(task="classification", unit=1.0):
    frame = flowers()
    size = frame["petal"].fillna(0) + 3 * (frame["site"] == "wood")
    values = np.where(size > 6, "rose", "daisy") if task == "classification" else unit * (size.to_numpy() + 100)
    rows = np.arange(len(frame))
    split = Table(frame, pd.Series(values, name="kind"), task).prepare(rows, rows[:0])
    return train_network(split, Settings(hidden=(8,), epochs=5))[0]


def test_a_table_goes_into_the_file_as_it_is(tmp_path):
    model, path = flower_model(), tmp_path / "m.onnx"
    difference = export(model, path, new_flowers())
    expected, found = answer(model, new_flowers()), run(path, new_flowers())
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
    found, expected = run(path, new_flowers()), answer(model, new_flowers()).values
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


NUMBERS = st.none() | st.floats(-1e30, 1e30)
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
    (y,) = run(path, frame).values()
    np.testing.assert_array_equal(y, x)
    assert export(model, path) == 0


def test_made_up_rows_show_all_that_a_column_may_hold():
    preparation = Preparation.fit(flowers())
    rows = made_up(preparation)
    assert {"wood", "a b", "été"} < set(rows["site"].dropna())
    new = preparation.surprises(rows)
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


def test_a_wrong_label_is_never_written(tmp_path, monkeypatch):
    right = Graph.__call__
    monkeypatch.setattr(
        Graph,
        "__call__",
        lambda g, name, *inputs, **attributes: right(g, "ArgMin" if name == "ArgMax" else name, *inputs, **attributes),
    )
    with pytest.raises(ExportError, match="labels are not the most probable"):
        export(flower_model(), tmp_path / "m.onnx")
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


@pytest.mark.parametrize(
    ("labels", "type"),
    [([3, 10], "int64"), ([False, True], "bool"), (["ja", "nein"], "string")],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_label_is_the_models(labels, type, outputs, tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2))
    model = Sequential([Dense(2, outputs), Sigmoid() if outputs == 1 else Softmax()], seed=0)
    loss = BinaryCrossEntropy() if outputs == 1 else CategoricalCrossEntropy()
    model.fit(x, labels * 10, loss=loss, optimizer=SGD(), epochs=1)
    export(model, tmp_path / "m.onnx", x)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_outputs()[1].type == f"tensor({type})"
    (label,) = session.run(["label"], {"x": x.astype(np.float32)})
    assert label.tolist() == model.predict_classes(x).tolist()
    assert len(set(label.tolist())) == 2


@pytest.mark.parametrize("target", ["kind", "size"])
def test_command_with_a_table(target, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    goal = ["rose", "daisy"] * 30 if target == "kind" else np.linspace(0, 900, 60) ** 2
    flowers().assign(**{target: goal}).to_csv("train.csv", index=False)
    with pd.ExcelWriter("new.xlsx") as book:
        pd.DataFrame({"a": [1]}).to_excel(book, index=False, sheet_name="other")
        new_flowers().to_excel(book, index=False, sheet_name="new")
    assert cli.main(["train", "train.csv", "--target", target, "--out", "out", "--epochs", "2"]) == 0
    capsys.readouterr()
    assert cli.main(["export", "out", "m.onnx", "--data", "new.xlsx", "--sheet", "new"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("m.onnx: on the 60 rows of new.xlsx, onnxruntime's answers differ from the model's by ")
    assert "It takes the table's columns by name" in printed
    found, expected = run("m.onnx", new_flowers()), answer(minigrad.load("out/model.safetensors"), new_flowers())
    if target == "kind":
        assert found["label"].tolist() == expected.values.tolist()
    else:
        np.testing.assert_allclose(found["y_"][:, 0], expected.values, rtol=1e-5)
    assert cli.main(["export", "out", "m.onnx", "--force"]) == 0
    assert "on random rows" in capsys.readouterr().out
    flowers()[["petal", "y"]].to_csv("narrow.csv", index=False)
    for data, words in (("narrow.csv", "narrow.csv: there is no column 'site'"), ("digits", "digits does not have")):
        assert cli.main(["export", "out", "n.onnx", "--data", data]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "n.onnx").exists()

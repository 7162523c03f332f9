"""A file is written only where its answers are proved to be the model's."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

import minigrad.onnx
from minigrad import (
    SGD,
    BatchNorm,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Dense,
    Dropout,
    Identity,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    parameter,
)
from minigrad.onnx import FORMS, ExportError, Graph, export
from tests.onnx.flowers import flower_model


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
        with pytest.raises(
            ExportError, match=rf"{place}, Scale\(\), has no ONNX form; .* minigrad\.onnx\.FORMS\[Scale\] ="
        ):
            export(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


class Gain(Layer):
    """y = g x"""

    g, dg = parameter()

    def __init__(self, features):
        self.features, self.g = features, np.linspace(0.5, 2, features)

    def forward(self, x):
        return x * self.g


class MyMish(Layer):
    """y = x tanh(softplus(x))"""

    def forward(self, x):
        return x * np.tanh(np.logaddexp(0, x))


def test_own_layers_have_the_forms_that_the_docstring_gives_them(tmp_path, monkeypatch):
    forms = [line for line in minigrad.onnx.__doc__.splitlines() if line.startswith("    FORMS[")]
    model = Sequential([Dense(3, 4), MyMish(), Residual(Gain(4)), Dense(4, 1)], seed=0)
    with pytest.raises(ExportError, match=r"MyMish\(\), has no ONNX form"):
        export(model, tmp_path / "m.onnx")
    monkeypatch.setattr(minigrad.onnx, "FORMS", dict(FORMS))
    for form in forms:
        exec(form.strip(), {"FORMS": minigrad.onnx.FORMS, "Scale": Gain, "MyMish": MyMish})
    assert export(model, tmp_path / "m.onnx") < 1e-5


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

"""Every layer has an ONNX form that gives its answers."""

import copy
from inspect import signature

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, strategies as st

import minigrad
from minigrad import (
    GELU,
    GLU,
    GRU,
    LSTM,
    Average,
    AvgPool2D,
    BatchNorm,
    Bidirectional,
    Columns,
    Concatenate,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Frozen,
    GlobalAvgPool2D,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    MaxPool2D,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Reshape,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SimpleRNN,
    Standardize,
    SwiGLU,
    Tanh,
    Tied,
    UpSampling2D,
)
from minigrad.onnx import FORMS, ExportError, export
from minigrad.parameter import states_of
from tests.onnx.files import answers

WIDE = Concatenate(
    Sequential([Columns(0, 1, integers=True), Embedding(7, 3), Flatten(), Dense(3, 8), ReLU()]), Columns(1, 5)
)
MADE = {
    Average: Average(Dense(5, 2), Sequential([Columns(0, 3), Dense(3, 2), Tanh()])),
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


STEPS = {SimpleRNN, LSTM, GRU, Bidirectional, MultiHeadAttention, PositionalEncoding}
OTHERS = {GLU, SwiGLU, GroupNorm, InstanceNorm, Frozen, Tied, UpSampling2D}
IMAGES = STEPS | OTHERS | {Conv1D, Conv2D, ConvTranspose2D, MaxPool2D, AvgPool2D, GlobalAvgPool2D}
INNER = [cls for cls in FORMS if cls not in {Embedding, Reshape} | IMAGES]  # those that take any rows of five numbers
SWISH = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 31)
"""Whether onnxruntime runs it in float64: before, it made one operation of two, and lacked that."""


def made(cls, rng):
    """A layer for rows of 5 numbers, its parameters and state anything but their initial values."""
    layer = MADE[cls].__copy__() if cls in MADE else cls(*[5] * ("features" in signature(cls).parameters))
    for name, array in (layer.params | states_of(layer)).items():
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
    if (cls, dtype) == (minigrad.Swish, np.float64) and not SWISH:
        with pytest.raises(ExportError, match=r"QuickGelu.* make the model anew with dtype=np\.float32"):
            export(model, tmp_path / "m.onnx", x)
        return
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


@given(
    kinds=st.lists(st.sampled_from([cls for cls in INNER if cls is not minigrad.Swish or SWISH]), max_size=4),
    rows=st.integers(0, 9),
    seed=st.integers(0, 99),
)
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
        lambda padding: ConvTranspose2D(4, 6, (3, 2), stride=(2, 1), padding=padding, groups=2, seed=0),
        lambda padding: ConvTranspose2D(4, 3, (1, 2), stride=(2, 3), dilation=2, padding=padding, bias=False),
        lambda padding: ConvTranspose2D(4, 3, 3, stride=3, output_padding=(2, 1) if padding == 1 else 0),
        lambda padding: MaxPool2D((3, 2), (3, 2), padding, dilation=(2, 3), ceil_mode=True),
        lambda padding: AvgPool2D(3, 2, padding, ceil_mode=True),
        lambda padding: AvgPool2D(3, 2, padding, count_include_pad=False),
        lambda padding: Conv2D(4, 2, 3, padding=padding, padding_mode="reflect", seed=0),
        lambda padding: Conv2D(4, 2, (4, 3), padding=padding, padding_mode="replicate", seed=0),
        lambda padding: Conv2D(4, 2, 3, padding=padding, dilation=2, padding_mode="circular", seed=0),
        lambda padding: Sequential([Reshape((72, 4)), Conv1D(4, 3, 5, stride=2, padding=padding, dilation=2, seed=0)]),
    ],
)
def test_windows_answer_alike(layer, padding, tmp_path):
    model = Sequential([layer(padding)], input_shape=(8, 9, 4))
    assert export(model, tmp_path / "m.onnx") < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [None, 0.0])
@pytest.mark.parametrize(
    "layer",
    [
        *(
            lambda padding, cls=cls: Bidirectional(cls(4, 3, return_sequences=True, padding=padding))
            for cls in (SimpleRNN, LSTM, GRU)
        ),
        *(lambda padding, cls=cls: cls(4, 3, padding=padding) for cls in (SimpleRNN, LSTM, GRU)),
        lambda padding: MultiHeadAttention(4, 2, causal=True, padding=padding),
        lambda padding: MultiHeadAttention(4, 4, padding=padding),
        lambda padding: PositionalEncoding(4, padding=padding),
        lambda padding: PositionalEncoding(4, learned=Embedding(6, 4)),
    ],
)
def test_steps_answer_alike(layer, padding, dtype, tmp_path):
    rng = np.random.default_rng(0)
    model = Sequential([Dense(4, 4), layer(padding)], dtype, input_shape=(6, 4), seed=0)
    model.theta[...] += rng.normal(0, 0.3, model.theta.shape)
    model[0].b[...] = 0
    x = rng.normal(size=(9, 6, 4))
    x[0, 3:], x[1, 2], x[2] = 0, 0, 0
    assert export(model, tmp_path / "m.onnx", x) <= 64 * np.finfo(dtype).eps


def test_codes_that_stand_for_nothing_are_none(tmp_path):
    model = Sequential([Embedding(5, 3, padding=2), LSTM(3, 2, padding=0.0)], input_shape=(6,))
    model.theta[...] = np.random.default_rng(0).normal(size=model.theta.shape)
    assert export(model, tmp_path / "m.onnx", np.random.default_rng(0).integers(0, 5, (9, 6))) < 1e-6


@pytest.mark.parametrize(
    "layers",
    [
        [GLU()],
        [SwiGLU()],
        [Reshape((2, 3)), GroupNorm(1, 3)],
        [Reshape((3, 2)), GroupNorm(2, 2, affine=False)],
        [Reshape((2, 3)), InstanceNorm(3)],
        [LayerNorm(6, affine=False), RMSNorm(6, affine=False), BatchNorm(6, affine=False)],
        [Frozen(Sequential([Dense(6, 4), BatchNorm(4), Dropout(0.5)])), Dense(4, 2)],
        [Reshape((2, 1, 3)), UpSampling2D((2, 3))],
        [Sequential([TABLE := Embedding(7, 6)]), Tied(TABLE)],
    ],
)
def test_other_layers_answer_alike(layers, tmp_path):
    rng = np.random.default_rng(0)
    model = Sequential(copy.deepcopy(layers), input_shape=(6,), seed=1)
    x = rng.integers(0, 7, (9, 6)) if "Tied" in repr(model) else rng.normal(size=(9, 6))
    assert export(model, tmp_path / "m.onnx", x) < 1e-5


def test_images_keep_their_axes(tmp_path):
    model = Sequential([Reshape((4, 4, 2)), BatchNorm(2), ReLU(), Flatten(), Dense(32, 3)], input_shape=(32,))
    assert export(model, tmp_path / "m.onnx") < 1e-5

"""PyTorch's weights in a network of minigrad: it says what PyTorch says, and what does not fit is named."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import minigrad
from minigrad import (
    GRU,
    LSTM,
    BatchNorm,
    Bidirectional,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Frozen,
    LayerNorm,
    MaxPool2D,
    ModelFileError,
    MultiHeadAttention,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    SimpleRNN,
    Standardize,
    Tanh,
)

CASES = dict(np.load(Path(__file__).parent.parent / "cases" / "weights.npz"))
NETWORKS = {
    "pictures": [
        Conv2D(2, 3, 3, padding=1),
        BatchNorm(3),
        ReLU(),
        MaxPool2D(2, ceil_mode=True),
        ConvTranspose2D(3, 3, 2, bias=False),
        Conv2D(3, 5, 2),
        Tanh(),
        MaxPool2D((1, 2)),
        Flatten(),
        BatchNorm(30),
        Dropout(0.5),
        Dense(30, 4),
    ],
    "words": [
        Embedding(6, 3),
        Bidirectional(LSTM(3, 2, return_sequences=True)),
        Bidirectional(LSTM(4, 2, return_sequences=True)),
        GRU(4, 3, return_sequences=True),
        SimpleRNN(3, 3, return_sequences=True),
        Residual(MultiHeadAttention(3, 1)),
        LayerNorm(3),
        Dense(3, 2),
    ],
}


def network(name, dtype=np.float64):
    x = CASES[f"{name} x"]
    return Sequential(copy.deepcopy(NETWORKS[name]), dtype, input_shape=x.shape[1:], seed=0)


@pytest.fixture
def file(tmp_path):
    """A function that writes tensors as PyTorch's users do, and returns the path."""

    def write(**tensors):
        path = tmp_path / "weights.safetensors"
        safetensors.numpy.save_file({name: np.ascontiguousarray(a) for name, a in tensors.items()}, path)
        return path

    return write


def stored(name):
    return {key.partition("/")[2]: array for key, array in CASES.items() if key.startswith(f"{name}/")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_says_what_pytorch_says(name, dtype, file):
    model = network(name, dtype)
    assert minigrad.load(file(**stored(name)), into=model) is model
    y = model.predict(CASES[f"{name} x"])
    assert y.dtype == dtype
    np.testing.assert_allclose(y, CASES[f"{name} y"], rtol=0, atol=1e-10 if dtype == np.float64 else 1e-5)


def linear(rng, width=3, outputs=3):
    return {"weight": rng.normal(size=(outputs, width)), "bias": rng.normal(size=outputs)}


def tensors(**modules):
    rng = np.random.default_rng(0)
    return {f"{name}.{part}": a for name, sizes in modules.items() for part, a in linear(rng, *sizes).items()}


def test_layers_alike_are_found_by_their_places_or_by_names_that_are_given(file):
    layers = [Dense(3, 3), Tanh(), Dense(3, 3)]
    held = tensors(**{"2": (), "0": ()})
    model = minigrad.load(file(**held), into=Sequential(copy.deepcopy(layers), np.float64))
    assert np.array_equal(model[0].W, held["0.weight"].T) and np.array_equal(model[2].b, held["2.bias"])
    many = tensors(**{f"body.layer{n}": () for n in (9, 10)})
    model = minigrad.load(file(**many), into=Sequential(copy.deepcopy(layers), np.float64))
    assert np.array_equal(model[0].W, many["body.layer9.weight"].T)
    held = tensors(decoder=(), encoder=(), noise=(7, 7))
    names = {"encoder": 0, "decoder": "2", "noise": None}
    model = minigrad.load(file(**held), into=Sequential(copy.deepcopy(layers), np.float64), names=names)
    assert np.array_equal(model[0].W, held["encoder.weight"].T) and np.array_equal(model[2].b, held["decoder.bias"])


def test_frozen_and_fitted_layers_keep_what_pytorch_has_not(file):
    table = Standardize(3).fit(np.arange(12).reshape(4, 3))
    model = Sequential([table, Frozen(Dense(3, 3)), Dense(3, 2)], np.float64)
    held = tensors(first=(), last=(3, 2))
    minigrad.load(file(**held), into=model)
    assert np.array_equal(model[1].layers[0].W, held["first.weight"].T)
    assert np.array_equal(model[0].mean, [4.5, 5.5, 6.5])


@pytest.mark.parametrize(
    ("held", "names", "words"),
    [
        (tensors(encoder=(), decoder=()), None, "has 'decoder', 'encoder' alike, of which any may be layer '0', '2'"),
        (
            tensors(**{"0": (4, 3), "2": ()}),
            None,
            "holds 0 with bias (3,), weight (3, 4), where Dense(3, 3) takes bias",
        ),
        (tensors(one=(), two=(5, 5)), None, "has no tensors for layer 0, which takes bias (3,), weight (3, 3); it has"),
        (
            tensors(a1=(), a2=(), b=(2, 9)),
            None,
            "holds b with bias (9,), weight (9, 2), for which no layer has a place",
        ),
        (tensors(a=(), b=()), {"c": 0}, "has no module 'c'; it has 'a', 'b'"),
        (tensors(a=(), b=()), {"a": 1}, "can't give 'a' to layer 1, which takes no weights; '0', '2' do"),
        ({"0.weight": np.full((3, 3), np.nan)} | tensors(**{"2": ()}), None, "holds 0 with weight (3, 3), where"),
        (tensors(**{"2": ()}) | {"0.weight": np.eye(3), "0.bias": np.full(3, np.nan)}, None, "holds 0.bias with nan"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(held, names, words, file):
    model = Sequential([Dense(3, 3), Tanh(), Dense(3, 3)], seed=0)
    before = model.theta.copy()
    with pytest.raises(ModelFileError, match=re.escape(words)):
        minigrad.load(file(**held), into=model, names=names)
    assert np.array_equal(model.theta, before)


def test_complex_numbers_are_refused_by_their_name(file):
    path = file(**{"0.weight": np.eye(3)})
    path.write_bytes(path.read_bytes().replace(b'"F64"', b'"C64"'))  # older versions of safetensors don't write it
    with pytest.raises(ModelFileError, match=r"holds 0\.weight of C64; write it as float32"):
        minigrad.load(path, into=Sequential([Dense(3, 3)]))


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        (NETWORKS["pictures"], None, "of a size that is not known: make it with input_shape="),
        ([Residual(Conv2D(2, 2, 1), Flatten(), Reshape((3, 3, 2)))], (3, 3, 2), "lays images out inside"),
        (
            [Flatten(), Residual(Dense(18, 18))],
            (3, 3, 2),
            "Residual(Dense(18, 18)) follows images that are laid out in",
        ),
        ([Flatten(), Reshape((6, 3)), LSTM(3, 2)], (3, 3, 2), "Reshape((6, 3)) stands between layers that have"),
        ([Dense(3, 18), Reshape((3, 3, 2)), Conv2D(2, 1, 2)], (3,), "Reshape((3, 3, 2)) stands between layers that"),
    ],
)
def test_images_whose_order_can_not_be_told_are_refused(layers, shape, words, file):
    with pytest.raises(ModelFileError, match=re.escape(words)):
        minigrad.load(file(**stored("pictures")), into=Sequential(copy.deepcopy(layers), input_shape=shape))


def test_other_files_say_what_to_do(tmp_path, file):
    path = tmp_path / "network.pt"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 60)
    with pytest.raises(ModelFileError, match=r"safetensors\.torch\.save_file\(model\.state_dict\(\), path\)"):
        minigrad.load(path, into=Sequential([Dense(3, 3)]))
    with pytest.raises(ModelFileError, match=r"give that network: load\(path, into="):
        minigrad.load(file(**tensors(a=())))
    with pytest.raises(ModelFileError, match=r"minigrad\.onnx\.load"):
        minigrad.load(tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError):
        minigrad.load(tmp_path / "none.safetensors", into=Sequential([Dense(3, 3)]))

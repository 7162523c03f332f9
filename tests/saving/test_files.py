"""Files: what is saved is loaded bit for bit, what is wrong is said by the file's name, a crash leaves a whole file."""

import copy
import hashlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClipByNorm,
    ClipByValue,
    Conv1D,
    Conv2D,
    Dense,
    DivergenceError,
    Embedding,
    GlobalAvgPool2D,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    MeanSquaredError,
    ModelFileError,
    Optimizer,
    ParameterAverage,
    PReLU,
    ReLU,
    RMSNorm,
    RMSprop,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
    initializers,
    load,
    parameter,
    state,
)
from minigrad.saving import models as files
from minigrad.schedules import cosine, warmup
from minigrad.training import loop as training

ROOT = Path(__file__).parents[2]


class Noise(Layer):
    """A layer with a parameter, arrays of several dtypes, a generator, and arguments of every kind."""

    g, dg = parameter()
    mean = state()
    count = state()
    flags = state()
    rng = state()

    def __init__(self, features, *, shape=(1, 2), text="é", rate=0.1, on=True, nothing=None, seed=None):
        self.features, self.shape, self.text = features, shape, text
        self.rate, self.on, self.nothing, self.seed = rate, on, nothing, seed
        self.g = np.ones(features)
        self.mean, self.count = np.zeros(features), np.array(0)
        self.flags = np.zeros((2, 3), bool)
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.x = x
        self.count = self.count + 1
        self.mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
        return x * self.g + (0.01 * self.rng.standard_normal(x.shape)).astype(x.dtype)

    def predict(self, x):
        return x * self.g - self.mean

    def backward(self, dy):
        self.dg = (dy * self.x).sum(axis=0)
        return dy * self.g


class Sum(Layer):
    """A container that is built as Sum(*layers)."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        return sum(layer.forward(x) for layer in self.layers)

    def backward(self, dy):
        return sum(layer.backward(dy) for layer in self.layers)


class Pair(Layer):
    """A container that makes its layers itself."""

    def __init__(self, features, *, init="glorot_uniform"):
        self.features, self.init = features, init
        self.layers = (Dense(features, features, init=init), Dense(features, features, init=init))

    def forward(self, x):
        return self.layers[1].forward(self.layers[0].forward(x))

    def backward(self, dy):
        return self.layers[0].backward(self.layers[1].backward(dy))


def everything(dtype=np.float32, **options):
    return Sequential(
        [
            Dense(3, 4, init="he_normal"),
            LeakyReLU(0.2),
            Sequential(
                [Noise(4, shape=(2, (3, 4))), Sum(Dense(4, 4, bias=False), Pair(4, init="lecun_normal"))], dtype
            ),
            Dense(4, 2, init="he_uniform", seed=7),
            Sigmoid(),
        ],
        dtype,
        **options,
    )


def small():
    return Sequential([Dense(3, 2), Tanh(), Dense(2, 1)], seed=0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "model.safetensors"


def same(a, b):
    """Whether two models are equal to the last bit, generators included."""
    one, two = (copy.deepcopy(model) for model in (a, b))
    x = np.random.default_rng(5).normal(size=(3, 3))
    return (
        repr(a) == repr(b)
        and a.dtype == b.dtype
        and a.theta.tobytes() == b.theta.tobytes()
        and a.predict(x).tobytes() == b.predict(x).tobytes()
        and one.forward(x).tobytes() == two.forward(x).tobytes()
    )


CLASSES = st.one_of(
    st.none(),
    st.sampled_from([np.int8, np.int64, np.uint64, np.float32, np.float64]).map(lambda d: np.array([0, 7], d)),
    st.just(np.array([False, True])),
    st.lists(st.text('aé\U0001f600"\\ ', min_size=1), min_size=2, max_size=2, unique=True).map(np.array),
    st.just(np.array(["a", "bcd"], "<U9")),
    st.just(np.array(["a", "b"], object)),
    st.just(np.array(["a", "b"], np.dtypes.StringDType())),
)


@given(
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.one_of(st.none(), st.integers(0, 2**40)),
    classes=CLASSES,
    boundary=st.floats(-1, 1),
    input_shape=st.sampled_from([None, (3,)]),
    preparation=st.one_of(
        st.none(), st.dictionaries(st.text(), st.one_of(st.floats(-9, 9), st.lists(st.text()), st.none()))
    ),
)
def test_a_model_comes_back_bit_for_bit(path, dtype, seed, classes, boundary, input_shape, preparation):
    model = everything(dtype, seed=seed, input_shape=input_shape)
    model.theta[...] = np.random.default_rng(1).normal(size=model.theta.size)
    model.forward(np.ones((2, 3)))
    model.classes, model.boundary, model.preparation = classes, boundary, preparation
    model.save(path)
    written = path.read_bytes()
    loaded = load(path)
    assert same(model, loaded)
    assert loaded.seed == seed
    assert loaded.input_shape == model.input_shape
    assert loaded.config()["input_shape"] == input_shape
    assert loaded[2][0].count == 1 and loaded[2][0].flags.dtype == bool
    assert loaded[2][0].config() == model[2][0].config()
    assert loaded[3].seed == 7 and loaded[2][1].layers[1].layers[0].init == "lecun_normal"
    assert (loaded.boundary, loaded.preparation) == (boundary, preparation)
    if classes is None:
        assert loaded.classes is None
    else:
        assert loaded.classes.dtype == classes.dtype
        assert loaded.classes.tolist() == classes.tolist()
    loaded.save(path)
    assert path.read_bytes() == written


def test_a_loaded_model_trains_on(path):
    x, t = np.random.default_rng(0).normal(size=(20, 3)), np.ones((20, 2))
    model = everything()
    model.save(path)
    loaded = load(path)
    for each in (model, loaded):
        each.fit(x, t, loss=BinaryCrossEntropy(), optimizer=Adam(), epochs=2)
    assert same(model, loaded)
    assert np.shares_memory(loaded[0].dW, loaded.dtheta)


def test_tensors_have_pytorchs_names_and_layout(path):
    model = everything()
    model.save(path)
    tensors = safetensors.numpy.load_file(path)
    assert set(tensors) == {
        *("0.weight", "0.bias", "2.0.g", "2.0.mean", "2.0.count", "2.0.flags", "2.1.0.weight"),
        *("2.1.1.0.weight", "2.1.1.0.bias", "2.1.1.1.weight", "2.1.1.1.bias", "3.weight", "3.bias"),
    }
    np.testing.assert_array_equal(tensors["0.weight"], model[0].W.T)
    np.testing.assert_array_equal(tensors["3.bias"], model[3].b)


def image_model():
    model = Sequential(
        [Conv2D(2, 4, (3, 2), groups=2, padding=(1, 0)), BatchNorm(4), PReLU(4), MaxPool2D(2), Conv2D(4, 3, (2, 1)),
         GlobalAvgPool2D(), LayerNorm(3), RMSNorm(3), Dense(3, 2)],
        seed=0, dtype=np.float64,
    )  # fmt: skip
    model.theta[...] = np.random.default_rng(0).normal(size=model.theta.size)
    model.forward(np.random.default_rng(1).normal(3, 2, (5, 6, 5, 2)))  # the running statistics move
    return model


def test_pytorch_takes_the_state_of_an_image_model(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    class Last(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    model, nn = image_model(), torch.nn
    network = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), groups=2, padding=(1, 0)), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, (2, 1)), Last(), nn.LayerNorm(3), nn.RMSNorm(3, eps=1e-5), nn.Linear(3, 2),
    ).double().eval()  # fmt: skip
    model.save(path)
    network.load_state_dict(load_file(path))
    x = np.random.default_rng(2).normal(size=(3, 6, 5, 2))
    with torch.no_grad():
        theirs = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(model.predict(x), theirs, rtol=1e-12, atol=1e-12)


def test_pytorch_takes_the_state_of_lines_and_codes(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    model = Sequential([Embedding(5, 4), Conv1D(4, 3, 2)], seed=0, dtype=np.float64)
    table, line = network = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Conv1d(4, 3, 2)).double()
    model.save(path)
    network.load_state_dict(load_file(path))
    x = np.random.default_rng(2).integers(5, size=(3, 6))
    with torch.no_grad():
        theirs = line(table(torch.from_numpy(x)).mT).mT.numpy()
    np.testing.assert_allclose(model.predict(x), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [image_model, lambda: Sequential([Conv1D(2, 3, 2, seed=1)])])
def test_an_image_model_comes_back(path, make):
    model = make()
    model.save(path)
    loaded = load(path)
    assert repr(loaded) == repr(model)
    assert np.array_equal(loaded.theta, model.theta)
    for layer, other in zip(loaded, model, strict=True):
        assert all(np.array_equal(state, other.states[name]) for name, state in layer.states.items())


# Damage: small files, so that each of their bits can be tried


def test_every_flipped_bit_is_noticed(path):
    Sequential([Dense(1, 1)], seed=0).save(path)
    written = path.read_bytes()
    load(path)
    damaged = path.with_name("damaged")
    for bit in range(8 * len(written)):
        data = bytearray(written)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelFileError):
            files._parsed(bytes(data))
    damaged.write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match="damaged is damaged: its checksum is another"):
        load(damaged)


@given(data=st.data())
@settings(max_examples=200)
def test_changed_bytes_are_noticed(path, data):
    small().save(path)
    written = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(written) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=64))
    if written[start : start + len(piece)] != piece:
        written[start : start + len(piece)] = piece
        path.write_bytes(written)
        with pytest.raises(ModelFileError, match=path.name) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_every_truncation_is_noticed(path):
    small().save(path)
    written = path.read_bytes()
    for length in range(len(written)):
        with pytest.raises(ModelFileError):
            files._parsed(written[:length])
    with pytest.raises(ModelFileError, match="is cut off: 3 bytes are missing"):
        files._parsed(written[:-3])
    with pytest.raises(ModelFileError, match="is cut off: it has 100 bytes, and its header alone has"):
        files._parsed(written[:100])
    with pytest.raises(ModelFileError, match="1 bytes at its end belong to no tensor"):
        files._parsed(written + b"\0")


def archive(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


FOREIGN = {
    "is an empty file": lambda path: path.write_bytes(b""),
    "is a zip archive": archive,
    "is a pickle": lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    "is an HDF5 file": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)),
    "is not a model file of minigrad": lambda path: path.write_bytes(b"a,b,c\n1,2,3\n" * 9),
    "is a safetensors file of another program": lambda path: safetensors.numpy.save_file({"a": np.zeros(3)}, path),
    "is a folder": lambda path: path.mkdir(),
    "is a device or a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("message", FOREIGN)
def test_a_foreign_file_is_said_to_be_one(tmp_path, message):
    FOREIGN[message](tmp_path / "other")
    with pytest.raises(ModelFileError, match=rf"other {message}[^\n]*$"):
        load(tmp_path / "other")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing: there is no such file"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":1}', "a name stands twice"),
        ('{"a":NaN}', "NaN is no JSON"),
        ('{"a":' * 100_000, "its header can't be read"),
        ('{"a":' + "1" * 10_000 + "}", "its header can't be read"),
        ('{"a":"\xff"}', "its header can't be read"),
    ],
)
def test_a_header_that_is_no_json(header, message):
    text = header.encode("latin-1")
    with pytest.raises(ModelFileError, match=message):
        files._parsed(len(text).to_bytes(8, "little") + text + b"\0")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**63, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1] * 65 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": ["0", 8]},
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "path": "../x"},
        {"dtype": "F32", "shape": [2]},
        [],
    ],
)
def test_a_tensor_that_is_not_as_its_header_says(entry):
    header = {"__metadata__": {"minigrad": '{"format": 1}'}, "a": entry}
    text = json.dumps(header).encode()
    with pytest.raises(ModelFileError, match=r"is damaged: (the tensor a|its header has no proper entry)"):
        files._parsed(len(text).to_bytes(8, "little") + text + bytes(8))


# Forgeries: files with a right checksum, by someone who means harm or has made a mistake


def forge(path, change):
    """Save a small model, and write its file again with something changed in it."""
    model = Sequential([Dense(3, 2), Noise(2), Dense(2, 1)], seed=0)
    model.classes = np.array([3, 4])
    model.save(path)
    metadata, tensors = files._parsed(path.read_bytes())
    metadata["sha256"] = "0" * 64
    change(metadata, tensors)
    data = bytearray(safetensors.numpy.save(tensors, {"minigrad": json.dumps(metadata)}))
    start = data.index(b"0" * 64)
    data[start : start + 64] = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data)


def config(**options):
    return lambda metadata, tensors: metadata["model"]["config"]["layers"][0]["config"].update(options)


def sequential(**options):
    return lambda metadata, tensors: metadata["model"]["config"].update(options)


def layer(**entries):
    return lambda metadata, tensors: metadata["model"]["config"]["layers"][1].update(entries)


def entry(**entries):
    return lambda metadata, tensors: metadata.update(entries)


def tensor(name, value):
    return lambda metadata, tensors: tensors.update({name: value})


def generator(**entries):
    return lambda metadata, tensors: metadata["generators"]["1.rng"].update(entries)


def classes(dtype, *labels):
    return entry(classes={"dtype": dtype, "labels": list(labels)})


def dense(inputs, outputs):
    return {"class": "Dense", "config": {"in_features": inputs, "out_features": outputs}}


FORGERIES = [
    (config(in_features=10**9, out_features=10**9), "asks for in_features=1000000000"),
    (config(in_features=2**19, out_features=2**18), r"asks for weights of shape \(524288, 262144\)"),
    (config(in_features=-1), "holds a Dense that can't be used: Dense"),
    (config(in_features="3"), "holds a Dense that can't be used"),
    (config(in_features=1e308), "asks for weights of shape"),
    (config(in_features=None), "holds a Dense that can't be used"),
    (config(init="exec"), "there is no initializer 'exec'"),
    (config(path="/etc/passwd"), "unexpected keyword argument 'path'"),
    (config(in_features=2), r"layer 1 of 3|0.weight of shape \(2, 3\)"),
    (config(bias=False), "holds 0.bias, for which none of its layers has a place"),
    (sequential(input_shape=[10**5, 10**5]), "asks for arrays of shape"),
    (sequential(input_shape=[2] * 100_000), "asks for arrays of shape"),
    (sequential(input_shape=[4]), "layer 1 of 3, Dense"),
    (sequential(dtype="O"), "a model computes in float32"),
    (sequential(dtype="float64"), "float32, where .* takes .* float64"),
    (sequential(layers=[]), "needs at least one layer"),
    (sequential(layers=[dense(2**11, 2**11)] * 3), "asks for Dense, for which"),
    (layer(config={"features": 2**21}), "asks for features=2097152"),
    (layer(config={"features": 2**19}), "layer 2 of 3, Noise"),
    (layer(config={"features": 2, "shape": [2**18, 2**18]}), "asks for arrays of shape"),
    (layer(config={}), "missing 1 required positional argument"),
    (layer(more=1), "describes no layer"),
    (layer(**{"class": "Convolution9D"}), "holds the layer Convolution9D, which minigrad .* does not have"),
    (layer(**{"class": "os:system"}), "layer system, which is not known yet: import os, which defines it, before"),
    (layer(**{"class": "__main__:Mine"}), "layer Mine, which is not known yet: define Mine before loading"),
    (layer(**{"class": ["Dense"]}), "describes no layer"),
    (entry(model=dense(3, 2)), "is a layer and not a model"),
    (entry(model=None), "is not consistent"),
    (entry(format=2), "is in format 2, written by minigrad .*; minigrad .* reads format 1"),
    (entry(boundary="0"), "is not consistent"),
    (entry(boundary=1e999), "can't be read|not finite"),
    (entry(more=1), "is not consistent"),
    (entry(checkpoint={}), "the checkpoint is not described"),
    (entry(generators={}), "lacks 1.rng"),
    (generator(bit_generator="MT19937"), "another kind of random generator for 1.rng"),
    (generator(state={"state": -1, "inc": 1}), "a random generator for 1.rng"),
    (generator(more=1), "a random generator for 1.rng"),
    (generator(state=None), "a random generator for 1.rng"),
    (tensor("0.weight", np.zeros((3, 2), np.float32)), r"0.weight of shape \(3, 2\) .* takes \(2, 3\)"),
    (tensor("0.weight", np.zeros((2, 3), np.float64)), "0.weight of shape .* and float64, where .* float32"),
    (tensor("0.weight", np.full((2, 3), np.nan, np.float32)), "0.weight with nan among its weights"),
    (tensor("1.g", np.array([1, -np.inf], np.float32)), "1.g with -inf among its weights"),
    (tensor("../../x", np.zeros(2)), "holds ../../x, for which none of its layers has a place"),
    (lambda metadata, tensors: tensors.pop("2.bias"), "lacks 2.bias, which its layers need"),
    (classes("<U1000000000", "a", "b"), "no labels are of <U1000000000"),
    (classes("<i1", 1, 1000), "holds classes that can't be used"),
    (classes("<U1", "a", "bc"), "the labels are not of <U1"),
    (classes("|O8", 1, 2), "no labels are of"),
    (classes("object", [1], 2), "a label is a number, text or a bool"),
    (classes("<i8", True, 2), "the labels are not of <i8"),
    (entry(classes={"dtype": "<i8"}), "holds classes that can't be used"),
]


@pytest.mark.parametrize(("change", "message"), FORGERIES, ids=[str(number) for number in range(len(FORGERIES))])
def test_a_forged_file_is_refused_in_little_memory(path, change, message):
    forge(path, change)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=message) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    assert peak < 100e6


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([10**12, 2**63])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["class", "config", "a"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def places(tree):
    """Every place in a tree of JSON, as the container and the key."""
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


@given(data=st.data())
@settings(max_examples=300)
def test_any_forgery_is_refused_or_makes_a_model(path, data):
    def change(metadata, tensors):
        metadata.pop("sha256")
        tree, key = data.draw(st.sampled_from(list(places(metadata))))
        tree[key] = data.draw(JSON)
        metadata["sha256"] = "0" * 64

    forge(path, change)
    try:
        assert isinstance(load(path), Sequential)
    except ModelFileError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_an_unchanged_forgery_is_loaded(path):
    forge(path, lambda metadata, tensors: None)
    assert load(path).classes.tolist() == [3, 4]


def test_a_class_of_a_module_that_is_not_imported(tmp_path):
    everything().save(tmp_path / "model")
    code = f"import minigrad; minigrad.load({str(tmp_path / 'model')!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert f"holds the layer Noise, which is not known yet: import {__name__}, which defines it" in done.stderr


def test_names_in_files_are_unique():
    names = [files._class_name(cls) for cls in Layer.registry.values()]
    assert len(set(names)) == len(names)


# What can't be saved is refused while the model is still there


class Forgetful(Layer):
    """Its argument and its parameter do not belong together, once someone has changed the argument."""

    g, dg = parameter()

    def __init__(self, features):
        self.features, self.g = features, np.ones(features)

    def forward(self, x):
        return x * self.g


def broken(layer, **attributes):
    vars(layer).update(attributes)
    return Sequential([layer])


UNSAVEABLE = [
    (
        lambda: Sequential([Dense(2, 2, init=lambda rng, shape: np.ones(shape))]),
        "Dense can't be saved: its argument init",
    ),
    (lambda: Sequential([Noise(2, rate=math.inf)]), "Noise can't be saved: its argument rate is inf"),
    (lambda: Sequential([Noise(2, nothing={"a": 1})]), "its argument nothing is {'a': 1}"),
    (lambda: broken(Noise(2), rng=np.random.Generator(np.random.MT19937(0))), "its rng is Generator"),
    (lambda: broken(Noise(2), mean=np.array(["a"])), "its mean is of <U1"),
    (lambda: broken(Forgetful(2), features=3), r"could not be loaded: it holds 0.g of shape \(2,\)"),
]


@pytest.mark.parametrize(("make", "message"), UNSAVEABLE, ids=[message for _, message in UNSAVEABLE])
def test_what_a_file_can_t_hold_is_refused_and_the_old_file_kept(tmp_path, make, message):
    small().save(tmp_path / "model")
    written = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match=message):
        make().save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == written


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("classes", np.array([1 + 2j]), r"its class \(1\+2j\) is no number, text or bool"),
        ("preparation", {"a": {1, 2}}, "its preparation is no JSON"),
        ("preparation", {1: 2}, "its preparation is no JSON"),
        ("preparation", {"a": math.nan}, "its preparation is no JSON"),
        ("theta", math.nan, "0.bias with nan among its weights|0.weight with nan"),
        ("boundary", math.inf, "not JSON compliant|boundary"),
    ],
)
def test_attributes_that_a_file_can_t_hold(tmp_path, name, value, message):
    model = small()
    if name == "theta":
        model.theta[...] = value
    else:
        setattr(model, name, value)
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_initializers_of_minigrad_are_named_and_numpys_numbers_are_numbers(path):
    Sequential([Dense(np.int64(3), np.int32(2), init=initializers.he_normal), LeakyReLU(np.float32(0.5))]).save(path)
    assert load(path)[0].init == "he_normal"
    assert load(path)[1].slope == 0.5


# Writing


DYING = """
import os, shutil, signal, sys
import numpy as np
from pathlib import Path
from minigrad import Dense, Sequential, atomic, load

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def half(path, mode, opened=Path.open):
    file = opened(path, mode)
    if "x" not in mode:
        return file
    class Half:
        fileno = file.fileno
        def __enter__(self): return self
        def __exit__(self, *error): pass
        def write(self, data):
            file.write(data[: len(data) // 2])
            file.flush()
            die()
    return Half()

path, model = Path(sys.argv[1]), Sequential([Dense(30, 20)])
for owner, name, death in (
    (Path, "open", half), (shutil, "copymode", die), (os, "fsync", die), (os, "replace", die), (atomic, "_sync", die),
):
    model.theta[...] = 1
    model.save(path)
    model.theta[...] = 2
    child = os.fork()
    if child == 0:
        setattr(owner, name, death)
        model.save(path)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(name, os.WIFSIGNALED(status), load(path).theta[0])
"""


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(tmp_path):
    command = [sys.executable, "-W", "error", "-c", DYING, str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        *("open True 1.0", "copymode True 1.0", "fsync True 1.0", "replace True 1.0", "_sync True 2.0")
    ]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure, where):
    def fail(*arguments):
        raise failure

    model = small()
    model.save(tmp_path / "model")
    written = (tmp_path / "model").read_bytes()
    model.theta += 1
    with monkeypatch.context() as patched:
        patched.setattr(os, where, fail)
        with pytest.raises(type(failure)):
            model.save(tmp_path / "model")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_bytes() == written


def test_a_folder_that_can_t_be_synced_is_no_error(tmp_path, monkeypatch):
    def fail(descriptor, fsync=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    small().save(tmp_path / "model")
    load(tmp_path / "model")


def test_permissions_are_those_of_the_old_file_or_of_any_new_one(tmp_path):
    (tmp_path / "any").touch()
    small().save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "any").stat().st_mode
    for mode in (0o600, 0o664):
        (tmp_path / "model").chmod(mode)
        small().save(tmp_path / "model")
        assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == mode


def test_links_stay_links(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "real")
    for _ in range(2):
        small().save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert same(small(), load(tmp_path / "folder" / "real"))
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["real"]


def test_paths_that_can_t_be_written(tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        small().save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        small().save(tmp_path / "nowhere" / "model")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe"):
        small().save(tmp_path / "pipe")
    small().save(str(tmp_path / "model"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is protected against writing"):
        small().save(tmp_path / "model")


# Training that goes on


def halved(step):
    return 0.5 / (1 + step)


def decaying(rate):
    return lambda step: rate / (1 + 0.1 * step)


OPTIMIZERS = {
    "SGD": lambda: SGD(3.0),
    "SGD with momentum": lambda: SGD(0.1, momentum=0.9),
    "SGD with Nesterov's": lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD with a schedule": lambda: SGD(halved),
    "SGD with a closure": lambda: SGD(decaying(0.2)),
    "Adam": lambda: Adam(0.01),
    "AdamW": lambda: AdamW(0.01),
    "RMSprop": lambda: RMSprop(0.01),
    "RMSprop with momentum": lambda: RMSprop(0.01, momentum=0.5),
    "Adagrad": lambda: Adagrad(0.1),
    "a schedule of the package": lambda: SGD(warmup(5, cosine(3.0, 40))),
    "ClipByNorm": lambda: ClipByNorm(SGD(0.1, momentum=0.9), 0.1),
    "ClipByValue": lambda: ClipByValue(Adam(0.01), 0.1),
    "ParameterAverage": lambda: ParameterAverage(ClipByNorm(Adam(0.01), 0.1), 0.9),
}
X = np.random.default_rng(3).normal(size=(30, 3))
LABELS = np.where(X @ [1, -2, 0.5] + 0.5 * np.random.default_rng(4).normal(size=30) > 0, "yes", "no")


def jittered(x, rng):
    return x + rng.normal(0, 0.3, x.shape)


def noisy():
    return Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid()], seed=2)


class Interrupted(Exception):
    pass


class Interrupting(BinaryCrossEntropy):
    """BinaryCrossEntropy, until it has been asked often enough."""

    __qualname__ = "BinaryCrossEntropy"
    left = math.inf

    def absorb(self, layer):
        return None

    def value(self, p, t, sample_weight=None):
        self.left -= 1
        if self.left < 0:
            raise Interrupted
        return super().value(p, t, sample_weight)


def test_every_optimizer_is_tried():
    own = {cls.__name__ for cls in vars(minigrad).values() if isinstance(cls, type) and issubclass(cls, Optimizer)}
    assert own - {"Optimizer"} == {type(make()).__name__ for make in OPTIMIZERS.values()}


@given(
    make=st.sampled_from(sorted(OPTIMIZERS)).map(OPTIMIZERS.get),
    batch_size=st.sampled_from([1, 7, 30]),
    patience=st.sampled_from([None, 1, 2, 50]),
    validation=st.sampled_from([None, 0.3, (X[:8], LABELS[:8])]),
    l2=st.sampled_from([0.0, 0.01]),
    l1=st.sampled_from([0.0, 0.01]),
    augment=st.sampled_from([None, jittered]),
    weight=st.sampled_from([None, "balanced"]),
    stops=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    epochs=st.integers(1, 12),
)
def test_a_resumed_training_is_bit_for_bit_an_uninterrupted_one(
    path, make, batch_size, patience, validation, l2, l1, augment, weight, stops, epochs
):
    if validation is None:
        patience = None
    options = {
        "batch_size": batch_size,
        "validation": validation,
        "patience": patience,
        "l2": l2,
        "l1": l1,
        "augment": augment,
        "class_weight": weight,
        "epochs": epochs,
    }
    whole, optimizer = noisy(), make()
    history = whole.fit(X, LABELS, loss=Interrupting(), optimizer=optimizer, **options)

    path.unlink(missing_ok=True)
    training.SECONDS_BETWEEN_CHECKPOINTS, before = 0, training.SECONDS_BETWEEN_CHECKPOINTS
    try:
        for stop in (*stops, math.inf):
            resumed, loss, other = noisy(), Interrupting(), make()
            loss.left = stop
            try:
                again = resumed.fit(X, LABELS, loss=loss, optimizer=other, checkpoint=path, **options)
            except Interrupted:
                continue
    finally:
        training.SECONDS_BETWEEN_CHECKPOINTS = before

    assert same(whole, resumed) and same(whole, load(path))
    assert other.state().keys() == optimizer.state().keys()
    for name, value in optimizer.state().items():
        np.testing.assert_array_equal(other.state()[name], value)
    for name in ("loss", "validation_loss", "metrics", "best_epoch"):
        assert getattr(again, name) == getattr(history, name)
    assert len(again.seconds) == len(history.seconds)
    assert load(path).classes.tolist() == ["no", "yes"]


@pytest.mark.parametrize("stop", range(1, 8))
def test_early_stopping_is_resumed_before_and_after_the_best_epoch(tmp_path, stop):
    options = {"loss": BinaryCrossEntropy(), "validation": (X[:8], LABELS[:8]), "seed": 1}
    whole, resumed = noisy(), noisy()
    expected = whole.fit(X, LABELS, optimizer=SGD(3.0), epochs=20, patience=4, **options)
    assert 1 < expected.best_epoch == len(expected) - 4
    for epochs in (stop, 20):
        resumed = noisy()
        history = resumed.fit(
            X, LABELS, optimizer=SGD(3.0), epochs=epochs, patience=4, checkpoint=tmp_path / "checkpoint", **options
        )
    assert (history.validation_loss, history.best_epoch) == (expected.validation_loss, expected.best_epoch)
    assert same(resumed, whole) and same(load(tmp_path / "checkpoint"), whole)


@pytest.mark.parametrize("patience", [None, 2])
def test_a_training_that_has_ended_goes_on_when_asked_for_more(path, patience):
    options = {"loss": BinaryCrossEntropy(), "validation": 0.3}
    path.unlink(missing_ok=True)
    first = noisy()
    first.fit(X, LABELS, optimizer=Adam(0.1), epochs=3, patience=patience, checkpoint=path, **options)
    written = path.read_bytes()

    model = noisy()
    history = model.fit(X, LABELS, optimizer=Adam(0.1), epochs=2, patience=patience, checkpoint=path, **options)
    assert len(history) == 3 and path.read_bytes() == written and same(model, first)

    model = noisy()
    history = model.fit(X, LABELS, optimizer=Adam(0.1), epochs=9, patience=patience and 9, checkpoint=path, **options)
    whole = noisy()
    expected = whole.fit(X, LABELS, optimizer=Adam(0.1), epochs=9, patience=patience and 9, **options)
    assert same(model, whole) and history.loss == expected.loss and history.best_epoch == expected.best_epoch


CONTINUED = """
import os, signal, sys
import numpy as np
from minigrad import AdamW, Dense, MeanSquaredError, Sequential, Tanh
from minigrad.training import loop as training

training.SECONDS_BETWEEN_CHECKPOINTS = 0
path, kill = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).normal(size=(50, 3))
model = Sequential([Dense(3, 5), Tanh(), Dense(5, 1)], seed=0)

class Killing(MeanSquaredError):
    calls = 0
    __qualname__ = "MeanSquaredError"
    def value(self, *arguments):
        self.calls += 1
        if self.calls == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().value(*arguments)

checkpoint = None if path == "-" else path
history = model.fit(x, x[:, 0] ** 2, loss=Killing(), optimizer=AdamW(0.01), epochs=6, checkpoint=checkpoint)
print(model.theta.tobytes().hex(), history.loss)
"""


def test_a_killed_training_goes_on_in_a_new_process(tmp_path):
    def run(path, kill):
        command = [sys.executable, "-W", "error", "-c", CONTINUED, str(path), str(kill)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
        return done.stdout

    path = tmp_path / "checkpoint"
    run(path, 6)
    assert len(files._parsed(path.read_bytes())[1]["checkpoint.history.loss"]) == 2
    assert run(path, 0) == run("-", 0)


def begin(path, **changed):
    """Train for two epochs with everything as always, but for what is changed."""
    options = {
        "model": noisy(),
        "x": X,
        "t": LABELS,
        "loss": BinaryCrossEntropy(),
        "optimizer": Adam(0.01),
        "epochs": 2,
        "validation": 0.3,
        "patience": 5,
    } | changed
    model, x, t = (options.pop(name) for name in ("model", "x", "t"))
    return model, model.fit(x, t, checkpoint=path, **options)


DIFFERENCES = {
    r"its optimizer is Adam\(learning_rate=0.01, .*, here it is Adam\(learning_rate=0.02,": {"optimizer": Adam(0.02)},
    r"its optimizer is Adam\(.*, here it is SGD\(": {"optimizer": SGD(0.01)},
    r"here it is Adam\(learning_rate=.*halved": {"optimizer": Adam(halved)},
    r"here it is Adam\(learning_rate=.*decaying.<locals>.<lambda> with 0.5": {"optimizer": Adam(decaying(0.5))},
    r"here it is ClipByNorm\(optimizer=Adam\(learning_rate=0.01, .*\), limit=2.0\)": {
        "optimizer": ClipByNorm(Adam(0.01), 2.0)
    },
    r"here it is Adam\(learning_rate=warmup\(steps=5, schedule=cosine\(learning_rate=0.1, steps=9,": {
        "optimizer": Adam(warmup(5, cosine(0.1, 9)))
    },
    r"its augment is None, here it is .*jittered": {"augment": jittered},
    r"its l1 is 0.0, here it is 0.1": {"l1": 0.1},
    r"its loss is BinaryCrossEntropy\(.*\), here it is CategoricalCrossEntropy": {
        "loss": CategoricalCrossEntropy(),
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 2), Softmax()], seed=2),
    },
    "its batch_size is 32, here it is 16": {"batch_size": 16},
    "its l2 is 0.0, here it is 0.1": {"l2": 0.1},
    "its seed is 0, here it is None": {"seed": None, "validation": (X[:5], LABELS[:5])},
    "its shuffle is True, here it is False": {"shuffle": False},
    "its early stopping is True, here it is False": {"patience": None},
    "its data is '21 rows of .*', here it is '15 rows of": {"validation": 0.5},
    "its data is '21 rows of .*', here it is '21 rows of": {"x": X + 1e-9},
    "its data is": {"t": np.roll(LABELS, 1)},
    r"its model.layers\[2\].class is Tanh, here it is ReLU": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), ReLU(), Dense(4, 1), Sigmoid()], seed=2)
    },
    r"its model.layers has 5 items, here it has 6": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid(), Sigmoid()], seed=2)
    },
    "its model.seed is 2, here it is 3": {
        "model": Sequential([Dense(3, 4), Noise(4, seed=1), Tanh(), Dense(4, 1), Sigmoid()], seed=3)
    },
}


@pytest.mark.parametrize("message", DIFFERENCES)
def test_the_checkpoint_of_another_training_is_refused_by_its_difference(tmp_path, message):
    path, changed = tmp_path / "checkpoint", dict(DIFFERENCES[message])
    begin(path)
    written = path.read_bytes()
    model, optimizer = changed.pop("model", noisy()), changed.pop("optimizer", Adam(0.01))
    theta, counts = model.theta.copy(), optimizer.state()
    with pytest.raises(ValueError, match=rf"checkpoint is the checkpoint of another training: .*{message}") as caught:
        begin(path, model=model, optimizer=optimizer, epochs=4, **changed)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == written
    assert np.array_equal(model.theta, theta) and optimizer.state() == counts


def test_other_classes_are_another_training(tmp_path):
    begin(tmp_path / "checkpoint")
    other = np.where(LABELS == "yes", "z", "a")
    with pytest.raises(ValueError, match=r"its classes.dtype is <U3, here it is <U1"):
        begin(tmp_path / "checkpoint", t=other, epochs=4)


def test_paths_that_are_no_checkpoints_are_told_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        begin(tmp_path / "nowhere" / "checkpoint")
    with pytest.raises(IsADirectoryError):
        begin(tmp_path)
    small().save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="model holds a model, but no training to go on with"):
        begin(tmp_path / "model")
    (tmp_path / "text").write_text("precious")
    with pytest.raises(ModelFileError, match="text is not a model file"):
        begin(tmp_path / "text")
    assert (tmp_path / "text").read_text() == "precious"
    unsaveable = Sequential([Dense(3, 1, init=lambda rng, shape: np.ones(shape)), Sigmoid()])
    with pytest.raises(ValueError, match="Dense can't be saved"):
        begin(tmp_path / "checkpoint", model=unsaveable)
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("checkpoint.optimizer.m", np.zeros(2, np.float32), "holds a state of Adam.*that can't be used"),
        ("checkpoint.optimizer.w", np.zeros(2, np.float32), "holds a state of Adam.*that can't be used"),
        ("checkpoint.latest.0.weight", np.zeros(2, np.float32), r"holds 0.weight of shape \(2,\)"),
        ("checkpoint.history.loss", np.zeros(0), "the lists of its history do not fit"),
        ("checkpoint.history.loss", np.zeros((2, 2)), "the lists of its history do not fit"),
        ("checkpoint.history.validation_loss", np.zeros(0), "its best epoch is none of its epochs"),
    ],
)
def test_a_forged_checkpoint_is_refused(tmp_path, name, value, message):
    path = tmp_path / "checkpoint"
    begin(path)
    metadata, tensors = files._parsed(path.read_bytes())
    metadata["sha256"] = "0" * 64
    tensors[name] = value
    data = bytearray(safetensors.numpy.save(tensors, {"minigrad": json.dumps(metadata)}))
    start = data.index(b"0" * 64)
    data[start : start + 64] = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data)
    model = noisy()
    theta = model.theta.copy()
    with pytest.raises(ModelFileError, match=message):
        begin(path, model=model, epochs=4)
    assert np.array_equal(model.theta, theta)


@pytest.mark.parametrize(("seconds", "writes"), [(0, 5), (math.inf, 2)])
def test_the_first_and_the_last_epoch_are_written_always(tmp_path, monkeypatch, seconds, writes):
    lengths = []

    def counting(path, model, optimizer, settings, history, best, write=files.write_checkpoint):
        lengths.append(len(history["loss"]))
        write(path, model, optimizer, settings, history, best)

    monkeypatch.setattr(files, "write_checkpoint", counting)
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", seconds)
    begin(tmp_path / "checkpoint", epochs=5, patience=50)
    assert len(lengths) == writes
    assert (lengths[0], lengths[-1]) == (1, 5)


def test_a_diverging_training_keeps_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    model = Sequential([Dense(3, 1)], seed=0)
    with pytest.raises(DivergenceError) as caught:
        model.fit(
            X, X[:, 0], loss=MeanSquaredError(), optimizer=SGD(50.0), epochs=99, checkpoint=tmp_path / "checkpoint"
        )
    assert len(caught.value.history) > 0
    assert load(tmp_path / "checkpoint").theta.tobytes() == model.theta.tobytes()

"""Models as files: what is saved is loaded bit for bit, forgeries are refused, a crash leaves a whole file."""

import functools
import math
import ntpath
import os
import re
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st

from minigrad import (
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    GlobalAvgPool2D,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    ModelFileError,
    PReLU,
    RMSNorm,
    Sequential,
    Standardize,
    atomic,
    initializers,
    load,
    parameter,
    state,
)
from minigrad.layer import REGISTRY
from minigrad.parameter import states_of
from minigrad.saving.format import decode
from minigrad.saving.slots import class_name
from tests.saving.material import Noise, everything, same, small, write_forged
from tests.systems import posix

ROOT = Path(__file__).parents[2]


CLASSES = st.one_of(
    st.none(),
    st.sampled_from([np.int8, np.int64, np.uint64, np.float32, np.float64]).map(lambda d: np.array([0, 7], d)),
    st.just(np.array([False, True])),
    st.lists(st.text('aé\U0001f600"\\ ', min_size=1), min_size=2, max_size=2, unique=True).map(np.array),
    st.just(np.array(["a", "bcd"], "<U9")),
    st.just(np.array(["a", "b"], object)),
    st.just(np.array(["a", "b"], np.dtypes.StringDType())),
)


@settings(max_examples=settings.default.max_examples // 2)  # the network has layers of every kind
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
def test_save_and_load_keep_a_model_bit_for_bit(path, dtype, seed, classes, boundary, input_shape, preparation):
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


def test_loaded_model_trains_on(path):
    x, t = np.random.default_rng(0).normal(size=(20, 3)), np.ones((20, 2))
    model = everything()
    model.save(path)
    loaded = load(path)
    for each in (model, loaded):
        each.fit(x, t, loss=BinaryCrossEntropy(), optimizer=Adam(), epochs=2)
    assert same(model, loaded)
    assert np.shares_memory(loaded[0].dW, loaded.dtheta)


def test_saved_tensors_have_pytorchs_names_and_layout(path):
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


def channels_first(network):
    """PyTorch's network for arrays with channels last."""
    return lambda x: network(x.movedim(-1, 1)).movedim(1, -1)


def of_images(nn):
    network = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), groups=2, padding=(1, 0)), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, (2, 1)), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.LayerNorm(3),
        nn.RMSNorm(3, eps=1e-5), nn.Linear(3, 2),
    )  # fmt: skip
    return image_model(), network, channels_first(network), np.random.default_rng(2).normal(size=(3, 6, 5, 2))


def of_transposed_convolutions(nn):
    options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    model = Sequential([ConvTranspose2D(4, 6, (3, 2), **options)], seed=0, dtype=np.float64)
    network = nn.Sequential(nn.ConvTranspose2d(4, 6, (3, 2), **options))
    return model, network, channels_first(network), np.random.default_rng(2).normal(size=(3, 4, 5, 4))


def of_words(nn):
    model = Sequential([Embedding(5, 4), Conv1D(4, 3, 2)], seed=0, dtype=np.float64)
    table, line = network = nn.Sequential(nn.Embedding(5, 4), nn.Conv1d(4, 3, 2))
    return model, network, lambda x: channels_first(line)(table(x)), np.random.default_rng(2).integers(5, size=(3, 6))


@pytest.mark.parametrize("make", [of_images, of_transposed_convolutions, of_words])
def test_pytorch_loads_the_saved_tensors_and_predicts_the_same(path, make):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    model, network, predict, x = make(torch.nn)
    model.save(path)
    network.double().eval().load_state_dict(load_file(path))
    with torch.no_grad():
        theirs = predict(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.predict(x), theirs, rtol=1e-12, atol=1e-12)
    assert np.array_equal(load(path).predict(x), model.predict(x))


@pytest.mark.parametrize("make", [image_model, lambda: Sequential([Conv1D(2, 3, 2, seed=1)])])
def test_save_and_load_keep_convolutions_and_running_statistics(path, make):
    model = make()
    model.save(path)
    loaded = load(path)
    assert repr(loaded) == repr(model)
    assert np.array_equal(loaded.theta, model.theta)
    for layer, other in zip(loaded, model, strict=True):
        assert all(np.array_equal(state, states_of(other)[name]) for name, state in states_of(layer).items())


# Forgeries: files with a right checksum, by someone who means harm or has made a mistake


@functools.cache
def saved(path):
    """The bytes of a small model."""
    model = Sequential([Dense(3, 2), Noise(2), Dense(2, 1)], seed=0)
    model.classes = np.array([3, 4])
    model.save(path)
    return path.read_bytes()


def forge(path, change):
    """Write the small model's file with something changed in it."""
    metadata, tensors = decode(saved(path))
    change(metadata, tensors)
    write_forged(path, metadata, tensors)


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
    (config(in_features=1e308), r"in_features=1e\+308 is no whole number"),
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
    (layer(**{"class": "__main__:Unknown"}), "layer Unknown, which is not known yet: define Unknown before loading"),
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
def test_load_refuses_a_forged_file_in_little_memory(path, change, message):
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
@settings(max_examples=4 * settings.default.max_examples)
def test_load_of_any_forgery_is_refused_or_makes_a_model(path, data):
    def change(metadata, tensors):
        metadata.pop("sha256")
        tree, key = data.draw(st.sampled_from(list(places(metadata))))
        tree[key] = data.draw(JSON)

    forge(path, change)
    try:
        assert isinstance(load(path), Sequential)
    except ModelFileError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("make", "name", "value", "message"),
    [
        (lambda: BatchNorm(2), "running_var", [1, math.nan], "0.running_var with nan among its numbers"),
        (lambda: BatchNorm(2), "running_var", [-1, 1], "0.running_var with -1.0, which must not be negative"),
        (lambda: BatchNorm(2), "running_mean", [math.inf, 0], "0.running_mean with inf among its numbers"),
        (lambda: Standardize(2, fitted=True), "scale", [-1, 1], "0.scale with -1.0, which must not be negative"),
        (lambda: Noise(2), "mean", [math.nan, 0], "0.mean with nan among its numbers"),
    ],
)
def test_load_and_save_refuse_a_state_that_no_training_leaves(tmp_path, make, name, value, message):
    model = Sequential([make()])
    model.save(tmp_path / "model")
    metadata, tensors = decode((tmp_path / "model").read_bytes())
    tensors[f"0.{name}"] = np.array(value, tensors[f"0.{name}"].dtype)
    write_forged(tmp_path / "forged", metadata, tensors)
    with pytest.raises(ModelFileError, match=f"forged holds {message}"):
        load(tmp_path / "forged")
    setattr(model[0], name, np.array(value, np.float32))
    with pytest.raises(ValueError, match=f"could not be loaded: it holds {message}"):
        model.save(tmp_path / "model")


class Extremes(Layer):
    """A layer whose state begins with infinity."""

    least = state()

    def __init__(self, features):
        self.features, self.least = features, np.full(features, np.inf)

    def forward(self, x):
        self.least = np.minimum(self.least, x.min(axis=0))
        return x


def test_save_and_load_keep_infinities_in_a_state_that_begins_with_them(path):
    Sequential([Extremes(2)]).save(path)
    assert load(path)[0].least.tolist() == [math.inf, math.inf]


def test_load_takes_a_forgery_that_changes_nothing(path):
    forge(path, lambda metadata, tensors: None)
    assert load(path).classes.tolist() == [3, 4]


def test_load_names_the_module_that_defines_an_unknown_layer(tmp_path):
    everything().save(tmp_path / "model")
    code = f"import minigrad; minigrad.load({str(tmp_path / 'model')!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert f"holds the layer Noise, which is not known yet: import {Noise.__module__}, which defines it" in done.stderr


def test_class_names_in_files_are_unique():
    names = [class_name(cls) for cls in REGISTRY.values()]
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
    (
        lambda: Sequential([Noise(2, rate=math.inf)]),
        "Noise can't be saved: its argument rate is inf, .* None, or a text",
    ),
    (lambda: Sequential([Noise(2, nothing={"a": 1})]), "its argument nothing is {'a': 1}, .* or a list of pairs"),
    (lambda: Sequential([Noise(2, nothing=np.ones(2))]), r"array\.tolist\(\)"),
    (lambda: Sequential([Noise(2, nothing=np.random.default_rng(0))]), "give a seed"),
    (lambda: Sequential([Noise(2, nothing=np.float32)]), "its name as text, such as 'float32'"),
    (lambda: Sequential([Noise(2, nothing=np.tanh)]), "give a name as text"),
    (lambda: broken(Noise(2), rng=np.random.Generator(np.random.MT19937(0))), "its rng is Generator"),
    (lambda: broken(Noise(2), mean=np.array(["a"])), "its mean is of <U1"),
    (lambda: broken(Forgetful(2), features=3), r"could not be loaded: it holds 0.g of shape \(2,\)"),
]


class Advised(Layer):
    """Its arguments are what the refusals advise."""

    rng = state()

    def __init__(self, scales, seed, dtype, function, pairs):
        self.scales, self.seed, self.dtype, self.function, self.pairs = scales, seed, dtype, function, pairs
        self.by, self.rng = np.array(scales), np.random.default_rng(seed)

    def forward(self, x):
        y = {"tanh": np.tanh}[self.function](x * self.by).astype(self.dtype) * dict(self.pairs)["a"]
        return y + self.rng.normal(size=x.shape)


def test_what_the_refusals_advise_can_be_saved(tmp_path):
    scales, pairs = np.array([0.1, 3.0]), {"a": 0.7}
    model = Sequential([Advised(scales.tolist(), 3, "float32", "tanh", list(pairs.items()))])
    model.save(tmp_path / "model")
    loaded, x = load(tmp_path / "model"), np.ones((3, 2), np.float32)
    assert np.array_equal(loaded.forward(x), model.forward(x))


@pytest.mark.parametrize(("make", "message"), UNSAVEABLE, ids=[message for _, message in UNSAVEABLE])
def test_save_refuses_what_a_file_cannot_hold_and_keeps_the_old_file(tmp_path, make, message):
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
def test_save_refuses_attributes_that_a_file_cannot_hold(tmp_path, name, value, message):
    model = small()
    if name == "theta":
        model.theta[...] = value
    else:
        setattr(model, name, value)
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_save_names_initializers_of_minigrad_and_takes_numpys_numbers(path):
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


@posix
def test_kill_while_saving_leaves_the_old_file_or_the_new(tmp_path):
    command = [sys.executable, "-W", "error", "-c", DYING, str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        *("open True 1.0", "copymode True 1.0", "fsync True 1.0", "replace True 1.0", "_sync True 2.0")
    ]


def test_save_removes_what_a_killed_save_has_left_long_ago(tmp_path):
    long_ago, others = [".model.0123abcd.tmp"], [".model.89efcdef.tmp", ".other.0123abcd.tmp", ".model.notes.tmp"]
    for name in (*long_ago, *others):
        (tmp_path / name).touch()
    for name in (*long_ago, *others[1:]):
        os.utime(tmp_path / name, (0, 0))
    small().save(tmp_path / "model")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*others, "model"])


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_full_disk_while_saving_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure, where):
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


@pytest.mark.parametrize("failures", [3, 1000])
def test_a_file_that_is_open_on_windows_is_replaced_once_it_is_closed(tmp_path, monkeypatch, failures):
    def replace(*paths, replace=os.replace):
        tried.append(paths)
        if len(tried) <= failures:
            raise PermissionError(13, "Access is denied", str(paths[0]), 5, str(paths[1]))
        replace(*paths)

    tried = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(atomic, "SECONDS_HELD", 0.5)
    monkeypatch.setattr(os, "replace", replace)
    if failures == 3:
        small().save(tmp_path / "model")
        assert len(tried) == 4
    else:
        with pytest.raises(PermissionError, match="such as Excel, has it open; close it there") as caught:
            small().save(tmp_path / "model")
        assert caught.value.filename == str(tmp_path / "model")
    assert [file.name for file in tmp_path.iterdir()] == ["model"] * (failures == 3)


def test_save_into_a_folder_that_cannot_be_synced(tmp_path, monkeypatch):
    def fail(descriptor, fsync=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    small().save(tmp_path / "model")
    load(tmp_path / "model")


@posix
def test_saved_file_has_the_permissions_of_the_old_one_or_of_any_new_one(tmp_path):
    (tmp_path / "any").touch()
    small().save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "any").stat().st_mode
    for mode in (0o600, 0o664):
        (tmp_path / "model").chmod(mode)
        small().save(tmp_path / "model")
        assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == mode


@posix
def test_save_through_a_symbolic_link_keeps_the_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "real")
    for _ in range(2):
        small().save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert same(small(), load(tmp_path / "folder" / "real"))
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["real"]


@posix
def test_save_refuses_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a device or a pipe"):
        small().save(tmp_path / "pipe")


def test_save_refuses_paths_that_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        small().save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        small().save(tmp_path / "nowhere" / "model")
    small().save(str(tmp_path / "model"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="is protected against writing"):
        small().save(tmp_path / "model")
    monkeypatch.setattr(os, "access", lambda path, mode: not os.path.isdir(path))
    with pytest.raises(PermissionError, match=f"the folder {re.escape(str(tmp_path))} is protected against writing"):
        small().save(tmp_path / "model")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("aux.csv", "keeps the name aux for a device"),
        ("out/CON", "keeps the name CON for a device"),
        ("Nul .tar.gz", "keeps the name Nul for a device"),
        ("com1/model", "keeps the name com1 for a device"),
        ("out:1.csv", "has no ':' in names"),
        ("C:/out/what?.csv", "has no '[?]' in names"),
        ("out.csv.", "end in a dot"),
        ("out .csv ", "end in a space"),
        ("my folder /out.csv", "end in a space"),
        ("C:/../out.d/./.auxiliary/com.csv", None),
        (r"\\server\share\auxiliary, con (1)\münchen.xlsx", None),
        (".", None),
    ],
)
def test_names_that_windows_cannot_have_are_known_on_every_system(path, reason):
    found = atomic.not_on_windows(path)
    assert found is None if reason is None else re.search(reason, found), found
    if sys.version_info >= (3, 13):
        assert (found is not None) == ntpath.isreserved(path)


class Annealed(Layer):
    """Its temperature changes with every forward, and predict has it; what it counts is of a batch."""

    def __init__(self, features):
        self.features, self.tau, self.scale, self.rows = features, 2.0, 1.0, 0

    def forward(self, x):
        self.tau, self.rows = 0.5 * self.tau, len(x)
        return x * self.scale / self.tau

    def backward(self, dy):
        return dy * self.scale / self.tau

    def predict(self, x):
        return x * self.scale / self.tau

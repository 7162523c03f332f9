"""ONNX files as networks: those of other programs, those of our own, and what is no layer."""

import copy
import re

import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from onnx import numpy_helper, parser

from minigrad import (
    CELU,
    ELU,
    GELU,
    GRU,
    LSTM,
    SGD,
    AvgPool2D,
    BatchNorm,
    CategoricalCrossEntropy,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    Mish,
    ModelFileError,
    PReLU,
    ReLU,
    ReLU6,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SimpleRNN,
    Softmax,
    Softplus,
    Softsign,
    Standardize,
    Swish,
    Tanh,
)
from minigrad.onnx import export, load
from tests.onnx.files import answers

RNG = np.random.default_rng(0)


def written(path, nodes, row, weights=(), opset=20, kind="float"):
    """A file as another program writes it: nodes in ONNX's text, weights by name or of a shape, and their input."""
    sizes = ", ".join(map(str, ("B", *row)))
    text = f'<ir_version: 9, opset_import: ["": {opset}]> net ({kind}[{sizes}] x) => (float y) {{ {nodes} }}'
    model = parser.parse_model(text)
    for name, value in dict(weights).items():
        array = RNG.normal(0, 0.4, value) if isinstance(value, tuple) else np.asarray(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, path)
    return path


def var(size):
    return RNG.uniform(0.5, 2, size)


LINEAR = {"W": (4, 6), "b": (4,)}
CASES = {
    "Gemm of PyTorch": (
        "z = Gemm<transB = 1>(x, W, b) a = Relu(z) y = Gemm<alpha = 0.5, beta = 2.0>(a, V, c)",
        (6,), LINEAR | {"V": (4, 2), "c": (1, 2)}, [Dense(6, 4), ReLU(), Dense(4, 2)],
    ),
    "MatMul and Add of Keras": (
        "v = MatMul(x, W) z = Add(v, b) a = Sigmoid(z) y = MatMul(a, V)",
        (6,), {"W": (6, 4), "b": (4,), "V": (4, 2)}, [Dense(6, 4), Sigmoid(), Dense(4, 2, bias=False)],
    ),
    "activations": (
        "a = Elu<alpha = 0.5>(x) b = LeakyRelu<alpha = 0.2>(a) c = Celu(b) d = HardSwish(c) e = Mish(d) f = Softplus(e)"
        "g = Clip(f, low, six) h = Clip(g, one, six) i = Gelu<approximate = \"tanh\">(h)"
        "j = HardSigmoid<alpha = 0.16666667>(i) k = Softsign(j) l = PRelu(k, p) y = LogSoftmax(l)",
        (3,), {"low": np.zeros(()), "one": np.ones(()), "six": np.full((), 6.0), "p": (3,)},
        [ELU(0.5), LeakyReLU(0.2), CELU(), HardSwish(), Mish(), Softplus(), ReLU6(), HardTanh(1.0, 6.0), GELU("tanh"),
         HardSigmoid(), Softsign(), PReLU(3), LogSoftmax()],
    ),
    "activations in pieces": (
        "s = Sigmoid(x) a = Mul(x, s) d = Div(a, r) e = Erf(d) o = Add(e, one) m = Mul(a, o) b = Mul(m, half)"
        "p = Softplus(b) t = Tanh(p) c = Mul(b, t) q = Abs(c) u = Add(q, one) y = Div(c, u)",
        (3,), {"r": np.sqrt(2.0), "one": np.ones(()), "half": np.full((), 0.5)}, [Swish(), GELU(), Mish(), Softsign()],
    ),
    "an image, channels first, laid out": (
        "c = Conv<pads = [1, 0, 1, 0], strides = [1, 2]>(x, W, b) n = BatchNormalization(c, g, h, m, v) r = Relu(n)"
        "p = MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(r) f = Flatten(p)"
        "y = Gemm<transB = 1>(f, V, d)",
        (2, 5, 7), {"W": (3, 2, 3, 2), "b": (3,), "g": (3,), "h": (3,), "m": (3,), "v": var(3), "V": (4, 18),
                    "d": (4,)},
        [Conv2D(2, 3, (3, 2), stride=(1, 2), padding=(1, 0)), BatchNorm(3), ReLU(), MaxPool2D(2, ceil_mode=True),
         Flatten(), Dense(18, 4)],
    ),
    "an image, channels last": (
        "t = Transpose<perm = [0, 3, 1, 2]>(x) c = Conv<auto_pad = \"SAME_UPPER\", strides = [2, 1]>(t, W)"
        "a = AveragePool<kernel_shape = [2, 3], strides = [1, 2]>(c) u = Transpose<perm = [0, 2, 3, 1]>(a)"
        "s = Softmax(u) f = Reshape(s, n) y = MatMul(f, V)",
        (8, 5, 2), {"W": (3, 2, 2, 2), "n": [-1, 18], "V": (18, 2)},
        [Conv2D(2, 3, 2, stride=(2, 1), padding="same", bias=False), AvgPool2D((2, 3), stride=(1, 2)), Softmax(),
         Flatten(), Dense(18, 2, bias=False)],
    ),
    "an image that becomes larger and is averaged": (
        "p = Pad<mode = \"reflect\">(x, n) c = Conv<group = 2>(p, W) d = ConvTranspose<strides = [2, 2], pads = "
        "[1, 1, 1, 1], output_padding = [1, 0]>(c, V, b) a = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(d)"
        "g = GlobalAveragePool(a) y = Flatten(g)",
        (2, 4, 4), {"n": [0, 0, 2, 1, 0, 0, 2, 1], "W": (4, 1, 3, 3), "V": (4, 3, 3, 3), "b": (3,)},
        [Conv2D(2, 4, 3, padding=(2, 1), groups=2, bias=False, padding_mode="reflect"),
         ConvTranspose2D(4, 3, 3, stride=2, padding=1, output_padding=(1, 0)),
         AvgPool2D(3, stride=1, padding=1, count_include_pad=False), GlobalAvgPool2D()],
    ),
    "a residual of images": (
        "c = Conv<pads = [1, 1, 1, 1]>(x, W, b) r = Relu(c) a = Add(r, x) m = ReduceMean<keepdims = 0>(a, n)"
        "y = Gemm(m, V)",
        (2, 4, 3), {"W": (2, 2, 3, 3), "b": (2,), "n": [2, 3], "V": (2, 3)},
        [Residual(Conv2D(2, 2, 3, padding=1), ReLU()), GlobalAvgPool2D(), Dense(2, 3, bias=False)],
    ),
    "a line": (
        "c = Conv<pads = [1, 1]>(x, W, b) r = Tanh(c) f = Flatten(r) y = Gemm(f, V, d)",
        (2, 5), {"W": (3, 2, 3), "b": (3,), "V": (15, 2), "d": (2,)},
        [Conv1D(2, 3, 3, padding=1), Tanh(), Flatten(), Dense(15, 2)],
    ),
    "steps, and the last one": (
        "t = Transpose<perm = [1, 0, 2]>(x) h, l = LSTM<hidden_size = 3>(t, W, R, B) s = Squeeze(h, n)"
        "g = GRU<hidden_size = 2, linear_before_reset = 1>(s, V, Q, D) q = Squeeze(g, n)"
        "e = RNN<hidden_size = 2>(q, A, C) u = Squeeze(e, n) v = Transpose<perm = [1, 0, 2]>(u)"
        "w = Gather<axis = 1>(v, m) y = LayerNormalization(w, G, H)",
        (5, 4), {"W": (1, 12, 4), "R": (1, 12, 3), "B": (1, 24), "V": (1, 6, 3), "Q": (1, 6, 2), "D": (1, 12),
                 "A": (1, 2, 2), "C": (1, 2, 2), "n": [1], "m": -1, "G": (2,), "H": (2,)},
        [LSTM(4, 3, return_sequences=True), GRU(3, 2, return_sequences=True), SimpleRNN(2, 2), LayerNorm(2)],
    ),
    "norms in pieces": (
        "a = Sub(x, m) s = Div(a, d) z = MatMul(s, W) n = ReduceMean<axes = [-1]>(z) c = Sub(z, n) k = Pow(c, two)"
        "v = ReduceMean<axes = [-1]>(k) e = Add(v, eps) r = Sqrt(e) u = Div(c, r) g = Mul(u, G) y = Add(g, H)",
        (6,), {"m": (6,), "d": var(6), "W": (6, 4), "two": np.full((), 2.0), "eps": np.full((), 1e-3), "G": (4,),
               "H": (4,)},
        [Standardize(6, fitted=True), Dense(6, 4, bias=False), LayerNorm(4, eps=0.001)],
    ),
    "constants that nodes make": (
        "v = Transpose<perm = [1, 0]>(W) k = Constant<value_float = 0.5>() w = Mul(v, k) z = MatMul(x, w)"
        "i = Identity(z) y = Dropout(i)",
        (6,), {"W": (4, 6)}, [Dense(6, 4, bias=False)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_files_of_other_programs_are_layers(name, tmp_path):
    nodes, row, weights, expected = CASES[name]
    opset = 17 if "axes = " in nodes else 20
    path = written(tmp_path / "m.onnx", nodes, row, weights, opset)
    model = load(path)
    assert list(map(repr, model)) == list(map(repr, expected))
    first = len(row) > 1 and "perm = [0, 3, 1, 2]" not in nodes and "perm = [1, 0, 2]" not in nodes
    x = RNG.normal(size=(7, *row)).astype(np.float32)
    y = answers(path, x)
    np.testing.assert_allclose(model.predict(np.moveaxis(x, 1, -1) if first else x), y, rtol=0, atol=1e-5)


def test_codes_are_looked_up(tmp_path):
    path = written(tmp_path / "m.onnx", "e = Gather(T, x) f = Flatten(e) y = MatMul(f, W)", (2,),
                   {"T": (7, 3), "W": (6, 2)}, kind="int64")  # fmt: skip
    model = load(path)
    assert list(map(repr, model)) == ["Embedding(7, 3)", "Flatten()", "Dense(6, 2, bias=False)"]
    x = RNG.integers(0, 7, (5, 2))
    np.testing.assert_allclose(model.predict(x), answers(path, x), atol=1e-6)


OWN = [ReLU(), LeakyReLU(0.2), ELU(), CELU(), GELU(), GELU("tanh"), Swish(), Mish(), Softplus(), Softsign(),
       HardSwish(), HardTanh(-1.0, 2.0), ReLU6(), PReLU(4), LogSoftmax(), Softmax(), BatchNorm(4), LayerNorm(4),
       RMSNorm(4), Residual(Dense(4, 4), Tanh()), Tanh(), Sigmoid()]  # fmt: skip
IMAGES = [
    [Conv2D(2, 3, 2), Flatten(), Dense(36, 2)],
    [Conv2D(2, 3, 3, padding="same", stride=2), MaxPool2D(2, 2, "same"), Flatten(), Dense(6, 2)],
    [ConvTranspose2D(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2), Flatten(), Dense(320, 2)],
    [Residual(Conv2D(2, 2, 3, padding=1), ReLU()), AvgPool2D(2, 2, 1), GlobalAvgPool2D(), Dense(2, 2)],
    [Residual(Conv2D(2, 2, 1)), MaxPool2D(2, 3), BatchNorm(2), Flatten(), Dense(4, 2)],
]


@settings(max_examples=30)
@given(st.one_of(st.lists(st.sampled_from(OWN), max_size=3), st.sampled_from(IMAGES)), st.integers(0, 99))
def test_what_export_wrote_comes_back(tmp_path_factory, layers, seed):
    image = layers in IMAGES
    layers = [copy.deepcopy(layer) for layer in layers]
    layers = layers if image else [Dense(6, 4), *layers, Dense(4, 2)]
    shape = (4, 5, 2) if image else (6,)
    model = Sequential(layers, input_shape=shape, seed=seed)
    rng = np.random.default_rng(seed)
    model.theta[...] += rng.normal(0, 0.3, model.theta.shape)
    x = rng.normal(size=(9, *shape))
    model.forward(x)
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export(model, path, x)
    loaded = load(path)
    assert len(loaded) == len(model)
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=0, atol=1e-5)


def test_a_loaded_network_knows_its_classes_and_trains(tmp_path):
    x, labels = RNG.normal(size=(40, 3)), np.array(["no", "yes"] * 20)
    model = Sequential([Dense(3, 2), Softmax()], seed=0)
    model.fit(x, labels, loss=CategoricalCrossEntropy(), optimizer=SGD(0.1), epochs=1)
    export(model, tmp_path / "m.onnx", x)
    loaded = load(tmp_path / "m.onnx")
    assert loaded.predict_classes(x).tolist() == model.predict_classes(x).tolist()
    for network in (model, loaded):
        network.fit(x, labels, loss=CategoricalCrossEntropy(), optimizer=SGD(0.1), epochs=2)
    np.testing.assert_allclose(loaded.theta, model.theta, atol=1e-6)


IMAGE = (2, 4, 4)
REFUSED = {
    "y = Cos(x)": ((6,), "node 'y' (Cos) is none of the nodes that are layers here (Add, AveragePool, "),
    "z = Relu(x) v = Tanh(x) y = Concat<axis = 1>(z, v)": ((6,), "node 'y' (Concat) joins branches"),
    "z = Relu(x) v = Tanh(x) y = Add(z, v)": ((6,), "node 'y' (Add) joins branches; here they are Residual"),
    "z = Cos(x) y = Mul(z, x)": ((6,), "node 'y' (Mul) multiplies x by a branch (Cos), which is no layer here"),
    "y = Gemm<transA = 1>(x, W)": ((6,), "node 'y' (Gemm) transposes its rows"),
    "y = Add(x, b)": ((4,), "node 'y' (Add) adds a constant of shape (4,), which is no layer here"),
    "y = Sub(b, x)": ((4,), "node 'y' (Sub) begins with its constant, which is no layer here"),
    "y = Selu<alpha = 2.0>(x)": ((4,), "node 'y' (Selu) has alpha=2; here it is 1.67326"),
    "y = Softmax<axis = 2>(x)": (IMAGE, "node 'y' (Softmax) goes along axis 2; here it is the features"),
    "z = Conv(x, K) y = Softmax(z)": (IMAGE, "node 'y' (Softmax) takes channels last, where the file has another axis"),
    "y = MatMul(x, U)": (IMAGE, None),
    "z = Conv(x, K) y = MatMul(z, U)": (IMAGE, "'y' (MatMul) takes channels last, where the file has another axis"),
    "y = Conv<pads = [0, 0, 2, 2]>(x, K)": (IMAGE, "node 'y' (Conv) is padded in a way that no layer here is"),
    "y = Conv<auto_pad = \"SAME_LOWER\">(x, L)": (IMAGE, "node 'y' (Conv) is padded in a way that no layer here is"),
    "p = Pad(x, n) y = Relu(p)": (IMAGE, "node 'y' (Relu) follows a Pad, which is no layer by itself"),
    "y = Pad(x, n)": (IMAGE, "it ends in the middle of a layer"),
    "y = Transpose<perm = [0, 1, 3, 2]>(x)": (IMAGE, "node 'y' (Transpose) turns axes by [0, 1, 3, 2]"),
    "t = Transpose<perm = [1, 0, 2]>(x) h = GRU<hidden_size = 2>(t, G, R) y = Squeeze(h, o)": (
        (5, 4), "resets before the product; here, as in PyTorch, it is after it"),
    "t = Transpose<perm = [1, 0, 2]>(x) h, y = RNN<hidden_size = 6>(t, G, Q)": (
        (5, 4), "gives what no layer here gives"),
    "f = Reshape(x, r) y = Reshape(f, s)": (IMAGE, "which no layer here does"),
    "c = Conv(x, K) f = Flatten(c) y = MatMul(f, W)": (IMAGE, "takes 4 numbers of a laid-out image of 32"),
}  # fmt: skip
SOME = {"W": (4, 6), "b": (4,), "U": (4, 4), "K": (2, 2, 1, 1), "L": (2, 2, 2, 2), "n": [0, 0, 1, 1, 0, 0, 1, 1],
        "G": (1, 6, 4),
        "R": (1, 6, 2), "Q": (1, 6, 6), "o": [1], "r": [-1, 32], "s": [-1, 2, -1]}  # fmt: skip


@pytest.mark.parametrize("nodes", REFUSED)
def test_what_is_no_layer_is_refused_by_its_name(nodes, tmp_path):
    row, words = REFUSED[nodes]
    weights = {name: shape for name, shape in SOME.items() if re.search(rf"\b{name}\b", nodes)}
    path = written(tmp_path / "m.onnx", nodes, row, weights)
    if words is None:
        load(path)
        return
    with pytest.raises(ModelFileError, match=f"m.onnx can't be made a network of layers: .*{re.escape(words)}"):
        load(path)


def test_answers_are_compared(tmp_path):
    """A resemblance is not enough: this is no GELU, since its root is another."""
    nodes = "d = Div(x, r) e = Erf(d) o = Add(e, one) m = Mul(x, o) y = Mul(m, half)"
    weights = {"r": np.full((), 1.5), "one": np.ones(()), "half": np.full((), 0.5)}
    with pytest.raises(ModelFileError, match="answers otherwise than onnxruntime, by"):
        load(written(tmp_path / "m.onnx", nodes, (3,), weights))


def test_sizes_that_the_file_does_not_tell_are_asked_for(tmp_path):
    nodes = "c = Conv(x, W) g = GlobalAveragePool(c) y = Flatten(g)"
    path = written(tmp_path / "m.onnx", nodes, (2, "H", "V"), {"W": (3, 2, 2, 2)})
    with pytest.raises(ModelFileError, match=r"does not tell how large its rows are: .*load\(path, x\)"):
        load(path)
    assert len(load(path, RNG.normal(size=(3, 5, 6, 2)))) == 2
    path = written(tmp_path / "m.onnx", "c = Conv(x, W) y = Flatten(c)", (2, "H", "V"), {"W": (3, 2, 2, 2)})
    with pytest.raises(ModelFileError, match="lays images out, of a size that the file does not tell"):
        load(path, RNG.normal(size=(3, 5, 6, 2)))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(FileNotFoundError):
        load(path)
    path.write_bytes(b"no file of onnx")
    with pytest.raises(ModelFileError, match="is no ONNX file that onnx reads"):
        load(path)
    model = parser.parse_model(
        '<ir_version: 9, opset_import: ["": 20]> net (float[B, 3] x, float[B, 3] z) => (float y) { y = Add(x, z) }'
    )
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match="it has 2 inputs; a Sequential has one"):
        load(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_pytorch_exports_is_loaded(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(),
        nn.Dropout(), nn.Linear(48, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, 3), nn.Softmax(1),
    )  # fmt: skip
    x = torch.randn(6, 2, 5, 7)
    network(x)
    network.eval()
    torch.onnx.export(network, (x,), tmp_path / "m.onnx", dynamo=False)
    model = load(tmp_path / "m.onnx")
    with torch.no_grad():
        y = network(x).numpy()
    np.testing.assert_allclose(model.predict(x.numpy().transpose(0, 2, 3, 1)), y, rtol=0, atol=1e-5)

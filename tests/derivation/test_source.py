"""A derived backward as source: it reads like the textbook, and is right where it is pasted."""

import textwrap

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special

import minigrad
from minigrad import Dense, Layer, parameter, state
from minigrad.command.main import main
from minigrad.derivation import DerivationError
from minigrad.layer import REGISTRY
from minigrad.testing import check_layer
from minigrad.testing.strategies import layer_classes, layers_of
from tests.derivation.forwards import LAYERS, STEPS, TABLE, Attention, Looked, Noisy, Plain, Recurrent, Silu
from tests.derivation.test_running import REFUSED


@pytest.mark.parametrize("name", LAYERS)
def test_the_source_is_right_where_it_is_pasted(name):
    make, x = LAYERS[name]
    minigrad.derive(make(), x).prove()


@pytest.mark.parametrize("cls", layer_classes(), ids=lambda cls: cls.__name__)
@settings(max_examples=1)
@given(data=st.data())
def test_the_source_for_each_layer_of_the_package_is_right(cls, data):
    layer = data.draw(layers_of(cls))
    minigrad.derive(layer).prove()
    assert not any(name.endswith(".pasted") for name in REGISTRY)


SOURCES = {
    Dense(4, 3): """\
        def backward(self, dy):
            \"\"\"dy (B, 3) -> dx (B, 4); sets dW (4, 3) and db (3,).\"\"\"
            x, W = self.x, self.W
            self.dW = x.T @ dy
            self.db = dy.sum(axis=0)
            return dy @ W.T
        """,
    Silu(): """\
        def forward(self, x):
            self.x = x
            s = 1 / (1 + np.exp(-x))
            return x * s

        def backward(self, dy):
            \"\"\"dy (B, 4) -> dx (B, 4).\"\"\"
            x = self.x
            s = 1 / (1 + np.exp(-x))
            return dy * s + dy * x * (s * (1 - s))
        """,
    Noisy(0.5): """\
        # for this layer, the forward computes 0.5
        def forward(self, x):
            kept = self.rng.random(x.shape) >= self.rate
            self.kept = kept
            return x * kept / (1 - self.rate)

        def backward(self, dy):
            \"\"\"dy (B, 4) -> dx (B, 4).\"\"\"
            kept = self.kept
            return dy / 0.5 * kept
        """,
}


@pytest.mark.parametrize("layer", SOURCES, ids=repr)
def test_it_reads_like_the_textbook(layer):
    assert str(minigrad.derive(layer, TABLE)) == textwrap.dedent(SOURCES[layer]).rstrip()


@pytest.mark.parametrize(
    ("layer", "x", "expected"),
    [
        (Recurrent(4, 3), STEPS, ["dx = np.zeros_like(x)", "dx[:, 2] = d1 @ W.T", "self.dU = v2.T @ d1 + v1.T @ d2"]),
        (Attention(4), STEPS, ["s = q @ np.swapaxes(k, -1, -2) / 2.0", "dv1[:, :, 0:4] += d4 @ k", "return dv1 @ W.T"]),
        (
            Looked(5, 3),
            np.array([[0, 1], [4, 1]]),
            ["np.add.at(dW, x, dy * (1 - y * y))", "self.dW = dW", "return None"],
        ),
    ],
    ids=["recurrent", "attention", "looked up"],
)
def test_gradients_are_called_by_what_the_forward_calls_its_arrays(layer, x, expected):
    source = str(minigrad.derive(layer, x))
    assert [line for line in expected if line not in source] == []


class Errs(Layer):
    def forward(self, x):
        return x * special.erf(x) * special.expit(x)


class Picks(Layer):
    def forward(self, x):
        return x[:, [0, 0, 3]] * np.take(x, [2, 1, 0], axis=1) * x[:, (1,)] * x[:, np.array([True, False, True, True])]


class Orders(Layer):
    def forward(self, x):
        return x[:, x.sum(axis=0).argsort()] * x.reshape(len(x), 2, 2, order="F")[:, 0, :1]


@pytest.mark.parametrize("cls", [Errs, Picks, Orders])
def test_what_it_says_is_python(cls):
    minigrad.derive(cls(), TABLE).prove()


def test_rows_taken_one_by_one_have_no_source():
    class RowByRow(Layer):
        def forward(self, x):
            return np.stack([row * row.sum() for row in x])

    with pytest.raises(DerivationError, match="takes the rows one by one"):
        minigrad.derive(RowByRow(), TABLE)


def test_a_line_of_two_statements_is_left_alone():
    class OneLine(Layer):
        rng = state()

        def __init__(self):
            self.rng = np.random.default_rng(0)

        # fmt: off
        def forward(self, x):
            m = self.rng.random(x.shape) < 0.5; return x * m  # noqa: E702
        # fmt: on

    assert str(minigrad.derive(OneLine(), TABLE)).startswith("# forward has to keep: self.m = m\n")


def test_each_gradient_has_its_line():
    lines = minigrad.derive(Plain(4, 3)).lines
    assert lines == {"x": "dx = dy @ W.T", "W": "self.dW = x.T @ dy", "b": "self.db = dy.sum(axis=0)"}


def test_the_backward_alone_may_be_pasted_too():
    methods = {}
    exec(str(minigrad.derive(Plain(4, 3))), {"np": np}, methods)

    class Pasted(Plain):
        backward = methods["backward"]

    check_layer(Pasted(4, 3))
    layer = Pasted(4, 3)
    layer.forward(TABLE)
    assert "x" not in layer.__getstate__()


def test_without_a_source_of_the_forward_it_says_what_that_has_to_keep():
    methods = {}
    exec("def forward(self, x):\n    m = np.arange(12.0) + 1\n    return x * m", {"np": np}, methods)
    Made = type("Made", (Layer,), methods)
    assert str(minigrad.derive(Made(), np.ones((3, 12)))).startswith("# forward has to keep: self.m = m\ndef backward(")


def test_it_leaves_the_layer_alone():
    layer = Plain(4, 3)
    layer.forward(TABLE)
    before = dict(vars(layer))
    minigrad.derive(layer)
    assert vars(layer) == before and layer.W is before["W"]


def test_an_attribute_that_the_forward_has_already_is_not_overwritten():
    class Twice(Layer):
        w, dw = parameter()

        def __init__(self):
            self.w = 2.0

        def forward(self, x):
            self.x = np.sin(x)
            return self.x * x * self.w

    source = str(minigrad.derive(Twice(), TABLE))
    assert "self.x_kept = x" in source
    minigrad.derive(Twice(), TABLE).prove()


@pytest.mark.parametrize("cls", REFUSED, ids=lambda cls: cls.__name__)
def test_what_can_not_be_derived_is_refused_with_the_line(cls):
    with pytest.raises(DerivationError, match=r"line \d+ of test_running.py, `.*# the line`: "):
        minigrad.derive(cls(), TABLE)


def test_no_layer_and_no_rows_are_refused():
    with pytest.raises(TypeError, match=r"derive takes a layer, not .*; write Dense\(…\)"):
        minigrad.derive(Dense)
    with pytest.raises(ValueError, match="derive takes rows"):
        minigrad.derive(Dense(4, 3), 1.0)


def test_the_command_writes_it_and_proves_it(capsys):
    assert main(["derive", "tests.derivation.forwards:Silu"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("def forward(self, x):\n    self.x = x\n") and "# Silu() with this backward: right" in out


def test_the_command_refuses_in_a_line(capsys):
    assert main(["derive", "tests.derivation.test_running:Sorts"]) == 2
    assert "sort has no derivative here" in capsys.readouterr().err
